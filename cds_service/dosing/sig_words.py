"""Cut the free text of a prescription into the few kinds of words that a dose is made of.

The kinds: amount, label (a product's strength), rate, anchor (a time of day), duration, within ("in 24
hours"), the small words that join or bound a dose (and, or, then, max, upto, step, to, by, not, with...),
word, words (no meaning), number (one that nothing explains) and doubt.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from cds_service.dosing.amounts import (
    COUNTS,
    MG_PER_UNIT,
    ONE,
    VOLUMES,
    DoseAmount,
    Rate,
    between,
    rate_of,
)

LONGEST_SIG = 2_000  # characters read; what stands behind them is no sig
_NOTHING = DoseAmount(Decimal(0), "")


@dataclass(frozen=True, slots=True)
class SigToken:
    """One word with what it means: ``amount`` for amounts and labels, ``rate`` for rates, both for a scheme.

    ``parts`` are the numbers of a scheme that states no unit.
    """

    kind: str
    word: str = ""
    amount: DoseAmount = _NOTHING
    rate: Rate | None = None
    parts: tuple[Decimal, ...] = ()


_SMALL = (
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_NUMBERS = {word: str(n) for n, word in enumerate(_SMALL, start=1)}
_ORDINALS = {"second": "2nd", "third": "3rd", "fourth": "4th", "fifth": "5th", "sixth": "6th"}
_SPELLED = re.compile(rf"\b({'|'.join((*_NUMBERS, *_ORDINALS))})\b")
_CHARACTERS = str.maketrans(
    {
        "½": " 1/2 ",
        "¼": " 1/4 ",
        "¾": " 3/4 ",
        "⁄": "/",
        "×": "x",
        "\n": " ; ",
        "\r": " ; ",
        **dict.fromkeys("‐‑‒–—−", "-"),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", ""),
    }
)
_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[μµ](?=[a-z])"), "u"),  # the sign of micro, not a letter of a Greek word
    (re.compile(r"\b(?:[a-z]\.){1,4}[a-z]\b\.?"), "dots"),
    (re.compile(r"\bq\. ?(?=\d)"), "q"),
    (re.compile(r"(\d) (?:and|&) (?:an? |1[ -])half\b"), r"\1 1/2"),
    (re.compile(r"\b(?:an? |1[ -])?half(?: of)?(?: an?\b| 1\b)?"), "1/2"),
    (re.compile(r"\b(?:an? |1[ -])?quarter(?: of)?(?: an?\b)?"), "1/4"),
    (re.compile(r"(?<![\d/.,])(\d{1,2}) (?:and|&) (\d/\d)(?![\d/])"), r"\1 \2"),
    (re.compile(r"(?<![\d/.,-])(\d{1,4}(?:\.\d{1,4})?) ?\(\1\)"), r"\1"),  # one (1) tablet
)


def plain(text: str) -> str:
    """Lower case, ASCII signs, digits for number words, single spaces, at most 2,000 characters."""
    text = unicodedata.normalize("NFKC", text[:LONGEST_SIG].translate(_CHARACTERS)).lower()
    text = " ".join(text[:LONGEST_SIG].translate(_CHARACTERS).split())
    text = _SPELLED.sub(lambda m: _NUMBERS.get(m[1]) or _ORDINALS[m[1]], text)
    for pattern, new in _REWRITES:
        text = pattern.sub((lambda m: m[0].replace(".", "")) if new == "dots" else new, text)
    return text


_N = (
    r"(?>(?:\d{1,3}[ -])?\d{1,2}/\d{1,2}(?![\d/])|\d{1,3}(?:,\d{3}){1,3}(?:\.\d{1,9})?(?![\d,])"
    r"|\d{1,9}(?:[.,]\d{1,9})?|(?<![\w.])\.\d{1,9})(?![\d])"
)
_R = rf"(?P<a>{_N})(?: ?(?P<join>-|to|or) ?(?P<b>{_N}))?"
_MASS = "|".join(sorted(MG_PER_UNIT, key=len, reverse=True))
_FORM = r"(?:" + "|".join(sorted(COUNTS, key=len, reverse=True)) + r")(?:\(s\)|\(es\))?"
_ML = "|".join(sorted(VOLUMES, key=len, reverse=True))
_T = (
    r"(?P<t>seconds?|secs?|minutes?|mins?|hours?|hourly|hrs?|h|days?|daily|d|nights?|nightly|weeks?|weekly"
    r"|wks?|w|months?|monthly|mo|years?|yrs?)(?![a-z])"
)
_T_EACH = r"(?P<t>day|daily|d|night|nightly|week|weekly|wk|month|monthly|mo|hours?|hrs?|h)(?![a-z])"
_PER = rf"(?: ?(?:/|per|an?\b|each|every|in an?\b)(?: ?(?P<span>{_N}))?)?"
_PER_OR_ADVERB = (
    r"(?: ?/ ?| per | a | each | every | )"
    r"(?P<t>daily|nightly|weekly|monthly|(?<!\d )(?:day|week|month))"
)
_THROUGH = rf"(?: ?(?:-|to|through|thru|and|&|,) ?{_N})?"
_ML_OR_FORM = rf"(?:(?P<ml>{_ML})|(?P<form>{_FORM}))"
_TO_MASS = rf"(?: ?(?P<u1>{_MASS}))?(?: ?(?P<join>-|to|or) ?(?P<b>{_N}))?[ -]?(?P<u>{_MASS})"
_S = rf"(?>(?:\d )?\d/\d|{_N})"  # a number of a scheme
_SCHEME_UNIT = rf"(?P<u>{_MASS})|(?P<ml>{_ML})|(?P<c>puff|spray|drop)s?|(?P<form>{_FORM})"
_SCHEME = (
    rf"(?<![\d.,/-])(?P<all>{_S}(?: ?- ?{_S}){{2,3}})(?![\d/]| ?-)"
    rf"(?: ?(?:{_SCHEME_UNIT})(?![a-z]))?(?: (?:daily|per day|a day|/ ?day)\b)?"
)
_LIQUID = r"(?:of )?(?:water|juice|fluid|liquid|milk)"
_MADE_UP = (
    r"(?:(?:dissolv|crush|mix|suspend|dispers|dilut)[a-z]* (?:and )?(?:it )?){1,2}"
    rf"(?:(?P<n>{_N}) ?)?(?:(?P<u>{_MASS})[ -]?)?(?:{_FORM} )?"
    rf"(?:and (?:dissolve|mix|suspend)[a-z]* )?(?:in|into|with) "
    rf"(?P<per>{_N}) ?(?:{_ML}) (?:of )?(?:[a-z]{{4,9}} )?water\b"
)
# A number alone is a count where a route or a frequency follows, at the start of what is said.
_COUNT = (
    r"(?:(?<![\s\S])|(?<=take )|(?<=give )|(?<=then )|(?<=and )|(?<=[;,:] ))"
    r"(?P<a>[1-6]|1/2|1 1/2|1\.5|0?\.5)(?: ?(?P<join>-|to|or) ?(?P<b>[1-6]))?"
    r"(?= (?:po|by mouth|orally|sl|sublingually|once|twice|q\d|q[a-z]{1,4}\b|every|each|daily|nightly|[bt]id|qid|od|bd"
    r"|tds|qds|hs|nocte|mane|a day|per day|at (?:night|bedtime|hs)|in the (?:morning|evening|afternoon))(?![a-z]))"
)


def _number(text: str) -> Decimal | None:
    """4.5, .5, 4,5 (decimal comma), 1,000 (thousands), 1/2, 1 1/2."""
    if not text:
        return None
    if "/" in text:
        whole, _, fraction = text.replace("-", " ").rpartition(" ")
        above, below = (int(n) for n in fraction.split("/"))
        proper = below in {2, 3, 4, 8} and 0 < above < below
        return Decimal(whole or 0) + Decimal(above) / below if proper else None
    thousands = re.fullmatch(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?", text)
    text = text.replace(",", "" if thousands else ".")
    return Decimal(text) if text.count(".") <= 1 else None


def _range(m: re.Match[str]) -> tuple[Decimal, Decimal] | None:
    """Both ends; a hyphen between far or falling numbers is a combination product (5-325), not a range."""
    low = _number(m["a"])
    high = _number(m["b"]) if m["b"] else low
    if low is None or high is None or low > high or (m["join"] == "-" and high > 6 * low):
        return None
    return low, high


def _unit_of_time(word: str) -> str:
    if word.startswith("min"):
        return "min"
    return "d" if word.startswith("n") else word[0]


def _mass(m: re.Match[str]) -> SigToken:
    ends = _range(m)
    if ends is None or (m["u1"] and MG_PER_UNIT[m["u1"]] != MG_PER_UNIT[m["u"]]):
        return SigToken("doubt")
    factor = MG_PER_UNIT[m["u"]]
    return SigToken("amount", amount=_amount(ends[0] * factor, ends[1] * factor, "mg"))


def _amount(low: Decimal, high: Decimal, unit: str) -> DoseAmount:
    return DoseAmount(high, unit, low if low != high else None)


def _several(m: re.Match[str]) -> SigToken:
    count, each = _number(m["n"]), _number(m["each"])
    if count is None or each is None:
        return SigToken("doubt")
    return SigToken("amount", amount=DoseAmount(count * each * MG_PER_UNIT[m["u"]], "mg"))


def _label(m: re.Match[str]) -> SigToken:
    ends, per = _range(m), _number(m["per"] or "1") if "per" in m.re.groupindex else ONE
    if ends is None or m["b"] or not per:
        return SigToken("words")
    unit = "mL" if "ml" in m.re.groupindex and m["ml"] else "unit"
    plural = unit == "unit" and m["form"].endswith("s")
    amount = DoseAmount(ends[1] * MG_PER_UNIT[m["u"]] / per, unit)
    return SigToken("label", "plural" if plural else "", amount=amount)


def _quantity(unit: str) -> Callable[[re.Match[str]], SigToken]:
    def build(m: re.Match[str]) -> SigToken:
        ends = _range(m)
        return SigToken("amount", amount=_amount(*ends, unit)) if ends else SigToken("doubt")

    return build


def _made_up(m: re.Match[str]) -> SigToken:
    """ "Dissolve 50 mg in 50 mL water" is the strength of what is then taken; of a tablet that is not named in mg, none."""
    mass, per = _number(m["n"] or ""), _number(m["per"])
    if not (m["u"] and mass and per):
        return SigToken("words")
    per_ml = mass * MG_PER_UNIT[m["u"]] / per
    return SigToken("label", amount=DoseAmount(per_ml, "mL"))


def _count(m: re.Match[str]) -> SigToken:
    """ "1 po qhs": so many of what is dispensed, unless it may mean mg (``parts``)."""
    ends = _range(m)
    if ends is None:
        return SigToken("doubt")
    parts = tuple(n for n in {*ends} if n != 1)
    return SigToken("count", amount=_amount(*ends, "unit"), parts=parts)


def _counted(m: re.Match[str]) -> SigToken:
    """Puffs, sprays and drops: an amount, though hardly ever one in mg."""
    return _quantity(m["c"])(m)


def _form_and_mass(m: re.Match[str]) -> SigToken:
    """ "Capsules 4.5 mg": the strength of one."""
    ends = _range(m)
    if ends is None or m["b"]:
        return SigToken("doubt")
    return SigToken("label", amount=DoseAmount(ends[1] * MG_PER_UNIT[m["u"]], "unit"))


def _scheme(m: re.Match[str]) -> SigToken:
    """ "1-0-1": morning, noon, evening and night. Without a unit only what people count in tablets."""
    numbers = [_number(part) for part in re.split(r" ?- ?", m["all"])]
    values = [n for n in numbers if n is not None]
    unit = (
        "unit"
        if m["form"] or not (m["u"] or m["ml"] or m["c"])
        else "mg"
        if m["u"]
        else "mL"
        if m["ml"]
        else m["c"]
    )
    if (
        len(values) < len(numbers)
        or not any(values)
        or (unit == "unit" and max(values) > 6)
        or (unit == "mg" and all(values) and len(set(values)) > 1)
    ):
        return SigToken("doubt")
    factor = MG_PER_UNIT[m["u"]] if m["u"] else ONE
    most, total = max(values), sum(values, Decimal(0))
    bare = () if m["form"] or unit != "unit" else tuple(sorted({n for n in values if n and n != 1}))
    return SigToken(
        "scheme", amount=DoseAmount(most * factor, unit), rate=Rate(total, most), parts=bare
    )


def _interval(m: re.Match[str]) -> SigToken:
    """Every 4-6 hours: the shorter interval is the higher dose."""
    ends = _range(m) if m["a"] else (ONE, ONE)
    rate = (
        between(*(rate_of(ONE, end, _unit_of_time(m["t"])) for end in (ends[1], ends[0])))
        if ends
        else None
    )
    return SigToken("rate", rate=rate) if rate else SigToken("doubt")


def _times(m: re.Match[str]) -> SigToken:
    words = {"once": ONE, "twice": Decimal(2), "thrice": Decimal(3)}
    ends = _range(m) if m["a"] else (words[m["word"]],) * 2
    span, unit = _number(m["span"] or "1") or ONE, _unit_of_time(m["t"])
    rate = between(*(rate_of(end, span, unit) for end in ends)) if ends else None
    return SigToken("rate", rate=rate) if rate else SigToken("doubt")


def _within(m: re.Match[str]) -> SigToken:
    span = _number(m["n"]) if m["n"] else ONE
    rate = rate_of(ONE, span, _unit_of_time(m["t"])) if span else None
    return SigToken("within", rate=rate) if rate else SigToken("doubt")


def _every(days: int, times: int = 1) -> Callable[[re.Match[str]], SigToken]:
    return lambda _: SigToken("rate", rate=Rate(Decimal(times), Decimal(days)))


def _is(kind: str, word: str = "") -> Callable[[re.Match[str]], SigToken]:
    return lambda m: SigToken(kind, word or m[0])


_WORDS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], SigToken]], ...] = tuple(
    (re.compile(pattern), build)
    for pattern, build in (
        # numbers that are no dose
        (_MADE_UP, _made_up),
        (
            rf"(?:disp(?:ense)?|qty|quantity|supply)\b[:.]? ?#? ?{_N}(?: ?(?:{_FORM}|{_ML})(?![a-z]))?",
            _is("words"),
        ),
        (rf"# ?{_N}|(?:refills?|rf)\b[ :.x#]{{0,3}}{_N}|{_N} refills?\b", _is("words")),
        (rf"(?:with )?{_N} ?-? ?(?:fl )?(?:oz|ounces?)\b(?: {_LIQUID}\b)?", _is("words")),
        (rf"\(?{_N} ?(?:{_ML})\)? {_LIQUID}\b", _is("words")),
        (
            r"(?:at |@ ?)?\d{1,2}(?::\d{2})? ?(?:am|pm)\b|(?:at |@ ?)?\d{1,2}:\d{2}\b|at \d{4}\b",
            _is("clock"),
        ),
        (
            r"pain(?: (?:score|scale|level))?(?: of)? ?\(?\d{1,2} ?(?:-|to) ?\d{1,2}\)?(?!\w)",
            _is("words"),
        ),
        (_SCHEME, _scheme),
        (_COUNT, _count),
        # how often
        (r"every other (?:day|night|evening|morning)\b|every 2nd (?:day|night)\b", _every(2)),
        (r"(?:qod|eod)\b|(?:on )?alternate (?:days|nights)\b", _every(2)),
        (
            r"every (?P<a>\d)(?:st|nd|rd|th) (?P<t>day|night|week|month)\b(?P<join>)(?P<b>)",
            _interval,
        ),
        (rf"(?:every|each|q) ?(?:{_R}[ -]?)?{_T}", _interval),
        (rf"(?:{_R} ?(?:x|times?|time\(s\))|(?P<word>once|twice|thrice)){_PER} ?{_T_EACH}", _times),
        (
            rf"x ?(?P<a>\d{{1,2}})(?P<join>)(?P<b>)(?P<word>)(?P<span>){_PER_OR_ADVERB}(?![a-z])",
            _times,
        ),
        (rf"(?:per\b|/) ?(?:{_R} ?)?{_T_EACH}", _interval),
        (r"an? (?P<a>)(?P<join>)(?P<b>)(?P<t>day|night|week|month)\b", _interval),
        (rf"(?:with)?in (?:an? |any )?(?:(?P<n>{_N})[ -]?)?(?P<t>day|hours?|hrs?|h)\b", _within),
        (r"daily\b|qd\b|qday\b|od\b", _every(1)),
        (r"(?:bid|bd)\b", _every(1, 2)),
        (r"(?:tid|tds)\b", _every(1, 3)),
        (r"(?:qid|qds)\b", _every(1, 4)),
        (r"weekly\b", _every(7)),
        (r"bi-?weekly\b|fortnightly\b", _every(14)),
        (r"monthly\b", _every(30)),
        (r"hourly\b", _every(1, 24)),
        (r"(?:mornings?|am|breakfast|qam|mane)\b", _is("anchor", "morning")),
        (r"(?:noon|midday|lunch|lunchtime|afternoon)\b", _is("anchor", "noon")),
        (r"(?:evenings?|supper|dinner|pm|qpm)\b", _is("anchor", "evening")),
        (r"(?:nights?|nightly|bedtime|bed|hs|qhs|nocte)\b", _is("anchor", "night")),
        # how long, and which step of a schedule
        (
            rf"{_R} days? ?(?:an?\b|per\b|/|each\b|every\b|out of\b)(?: an?| the)? ?week",
            _is("doubt"),
        ),
        (rf"(?:weeks?|wks?|days?|months?|steps?|phases?) ?#?{_N}{_THROUGH}(?![\w.])", _is("then")),
        (rf"(?:x ?)?{_R}[ -]?{_T}", _is("duration")),
        # how much
        (rf"{_R} ?(?:{_MASS}) ?(?:/|per) ?(?:kg|m2|h|hr|hrs|hour|min|minute)\b", _is("doubt")),
        (
            rf"{_R}(?:/{_N})? ?(?P<u>{_MASS}) ?(?:/|per|in) ?(?P<per>{_N})? ?{_ML_OR_FORM}(?![a-z])",
            _label,
        ),
        (
            rf"(?P<n>{_N}) ?(?:x ?)?(?P<each>{_N})[ -]?(?P<u>{_MASS})[ -](?:oral )?{_FORM}(?![a-z])",
            _several,
        ),
        (rf"(?P<n>{_N}) ?x ?(?P<each>{_N}) ?(?P<u>{_MASS})(?![a-z])", _several),
        (rf"{_R}[ -]?(?P<u>{_MASS})[ -](?:oral )?(?P<form>{_FORM})(?![a-z])", _label),
        (rf"(?P<a>{_N}){_TO_MASS}(?![a-z])", _mass),
        (rf"{_R} ?(?:{_ML})(?![a-z])", _quantity("mL")),
        (rf"{_R}[ -]?{_FORM}(?![a-z])", _quantity("unit")),
        (rf"{_R}[ -]?(?P<c>puff|spray|drop)s?(?![a-z])", _counted),
        (rf"(?:{_FORM}) ?(?:of |at )?{_R}[ -]?(?P<u>{_MASS})(?![a-z])(?! ?/)", _form_and_mass),
        # what joins and what bounds
        (r"max(?:imum)?\b(?: (?:total )?daily)?(?: (?:dose|dosage|amount))?", _is("max")),
        (r"(?:mdd|total daily dose|nte)\b", _is("max")),
        (r"(?:do )?not (?:to )?exceed(?:ing)?\b|exceeding\b", _is("max")),
        (r"(?:do |should )?(?:not|no|never)(?: to)?(?: take)? more than\b", _is("max")),
        (r"up to\b|as much as\b", _is("upto")),
        (
            r"(?:increas|escalat|rais|advanc)[a-z]*|titrat(?:e[sd]?|ing)\b|add(?:ing)?\b",
            _is("step", "up"),
        ),
        (r"(?:decreas|reduc|taper|wean)[a-z]*", _is("step", "down")),
        (r"(?:target|goal)\b", _is("target")),
        (r"(?:to|until|till|reach(?:es|ing)?)\b", _is("to")),
        (r"by\b", _is("by")),
        (r"then\b|thereafter\b|followed by\b|afterwards?\b|after that\b|next\b", _is("then")),
        (r"(?:and|plus)\b|[&+]", _is("and")),
        (r"or\b", _is("or")),
        (r"start[a-z]*|begin[a-z]*|initial(?:ly)?\b", _is("start")),
        (
            r"with (?:an? )?(?:food|meals?|snack|full glass|glass|water|milk|or without food|each meal)\b",
            _is("words"),
        ),
        (
            r"(?:do not|don't|not|avoid|stop|discontinued?|previous(?:ly)?|was|were|instead of|replac[a-z]*)\b",
            _is("not"),
        ),
        (r"with\b", _is("with")),
        (
            r"(?:alternat[a-z]*|repeat[a-z]*|except|skip|divided|bolus|loading|weekdays?|weekends?)\b",
            _is("doubt"),
        ),
        (r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?s?\b", _is("doubt")),
        (r"(?:prn|(?:as|if|when) (?:needed|required|necessary))\b", _is("prn")),
        (r";|\.(?= |$)|,", _is("stop")),
        (r"[a-z'-]*\d\w*", _is("number")),  # one that nothing explains
        (r"[^\W\d]+", _is("word")),
        (r"[^\w]|_", _is("words")),
    )
)


_SPACE = SigToken("words", " ")


def cut(text: str) -> Iterator[SigToken]:
    """The words of a text from ``plain``, in order."""
    at = 0
    while at < len(text):
        if text[at] == " ":
            yield _SPACE
            at += 1
            continue
        found, build = next(
            (m, build) for pattern, build in _WORDS if (m := pattern.match(text, at))
        )
        yield build(found)
        at = found.end()
