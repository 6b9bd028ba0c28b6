"""Which of the names in a text are meant and which are only mentioned: "codeine-free", "allergic to codeine".

A name is mentioned where a word just before it in the same clause turns it away ("no oxycodone", "ohne Codein"), or a
word just behind it does ("codeine allergy"), or where it is diluted away (D6, 30C). The name that opens a text is the
drug itself unless the words behind it say otherwise.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_CUES = (
    # allergy and intolerance
    r"allerg\w{0,5}(?:\s(?:to|auf|gegen|a|al|alla|aux?|voor|mot|til|for|overfor))?(?:\s(?:la|le|les|el|il|the))?"
    r"|intoleran\w{0,3}(?:\s(?:to|of|auf|gegen|a|al|alla|aux?|voor|mot))?|hypersensitiv\w{0,4}\sto|sensitiv\w{0,4}\sto"
    r"|unvertraglichkeit(?:\sgegen)?|reaction\sto|adverse\sto|anaphyla\w{0,6}\sto"
    # absence and refusal
    r"|no(?:\smore)?(?!\.)|not?\sany|non|none\sof|not(?:\s(?:with|for|taking|on|a|an|to\sbe\sgiven\swith))?|never|without"
    r"|contains\sno|does\snot\scontain|free\s(?:of|from)|avoid(?:ing|s)?|refus\w{0,3}|declin\w{0,3}|unlike|except"
    r"|ohne|kein\w{0,2}|nicht|sans|pas\sde|sin|sem|senza|zonder|geen|utan|inga?|inget|uden|uten|ilman|bez|без|χωρις"
    # another drug's place or time
    r"|instead\sof|in\splace\sof|rather\sthan|in\slieu\sof|replac\w{1,4}|substitut\w{0,4}\sfor|alternative\sto"
    r"|anstelle\svon|statt|anstatt|au\slieu\sd[eu]?|en\slugar\sde|invece\sdi|in\splaats\svan|i\sstallet\sfor|i\sstedet\sfor"
    r"|(?:s\W?p|status\spost|after|following|post)(?:\s(?:stopping|taper(?:\sof)?|last))?|nach|apres|despues\sde|dopo|efter"
    r"|history\sof|hx(?:\sof)?|h\W?o|interact\w{0,4}\swith|contraindicated\swith|incompatible\swith|vs\.?|versus"
)
# Words of the past turn a name away only beside the drug that took its place: alone they tell of a recent medicine.
_PAST = (
    r"past|previous(?:ly)?(?:\son)?|formerly(?:\son)?|prior|former|was\son|off|ex|failed|stopp?ed|discontinued?"
    r"|d\Wc\W?d?|off\sof|weaned\s(?:off|from)|tapered\soff|switch\w{0,3}\sfrom|changed\sfrom"
)
_BEFORE_OF_PAST = re.compile(rf"(?<![^\W_])(?:{_PAST})[\s'\u2019]{{0,2}}$", re.IGNORECASE)
_STRENGTH_BEHIND = re.compile(
    r"^[\s(,]{0,3}\d{1,4}(?:[.,]\d{1,3})?\s?(?:mg|mcg|ug|\u03bcg|g)(?![^\W\d_])", re.IGNORECASE
)
_BEFORE = re.compile(rf"(?<![^\W_])(?:{_CUES})[\s'\u2019]{{0,2}}$", re.IGNORECASE)
_LINKED = re.compile(
    r"(?:,|/|\bor\b|\band\b|\bnor\b|\bund\b|\boder\b|\bou\b|\bo\b|\bet\b|\by\b|&)\s{0,2}$",
    re.IGNORECASE,
)
_BEHIND = re.compile(
    r"^[\s-]{0,2}(?:free\b|frei\w{0,2}\b|fri(?:tt|a)?\b|vrij\w?\b|allerg\w{0,5}|intoleran\w{0,3}|sensitiv\w{0,4}|hypersens"
    r"|withdrawal|dependen\w{0,3}|addict\w{0,3}|overdose|abuse|misuse|antagonist|antidote|induced|related|associated"
    r"|unvertraglich|abhangig\w{0,5}|screen\b|test\b|level\b|assay\b|antibod)",
    re.IGNORECASE,
)
_FREE_WORD = re.compile(
    r"^(?:frei\w{0,2}|fri|vrij\w?|free|los|antagonist\w{0,2}|entzug\w{0,4}|abhangig\w{0,5}"
    r"|allergi\w{0,2}|unvertraglich\w{0,5})$",
    re.IGNORECASE,
)
_POTENCY = re.compile(
    r"(?<![^\W_])(?:(?:[6-9]|[1-9]\d{1,3})\s?(?:ch|ck|c|x|k|dh|lm)|[dx]\s?(?:[2-9]|[1-9]\d{1,2})|c\s?(?:[6-9]|[1-9]\d{1,3})"
    r"|lm\s?\d{1,3}|(?:10|50|1)\s?m|globuli|globules?|globulos|homeopath\w{0,4}|homoopath\w{0,4}|homeopat\w{0,4})"
    r"(?![^\W_]|-[iv\d])",
    re.IGNORECASE,
)
_REMEDY = re.compile(
    r"(?<![^\W_])(?:\d{1,4}\s?(?:ch|dh|ck)|(?:ch|dh)\s?\d{1,4}|globuli|globulos|granules hom"
    r"|homeopath\w{0,4}|homoopath\w{0,4}|homeopat\w{0,4})(?![^\W_])",
    re.IGNORECASE,
)
_MASS = re.compile(
    r"\d\s?(?:mg|mcg|ug|\u03bcg|g|ml|%|microgram|mikrogram)(?![^\W\d_])", re.IGNORECASE
)
_CLAUSE = re.compile(r"[;.()\[\]:\n\u3002\uff0c]|\s-\s|,(?!\d)")
_HEAD = re.compile(r"^[\W\d_]{0,20}$")
_WINDOW = 40
_REACH = 60


class Place(NamedTuple):
    """Where a name stands in a text."""

    start: int
    end: int


def mentioned(folded: str, places: tuple[Place, ...], *, alone: bool) -> frozenset[Place]:
    """Those of the ``places`` whose name is only mentioned; ``places`` are in the order of the text.

    ``alone`` where the text names no other drug: then a past medicine and one with its strength are meant.
    """
    if not places:
        return frozenset()
    if is_homeopathic(folded, places):
        return frozenset(places)
    found: set[Place] = set()
    for number, place in enumerate(places):
        before = places[number - 1] if number else None
        listed = before is not None and before in found and _goes_on(folded, before, place)
        if listed or _turned_away(folded, place, alone):
            found.add(place)
    return frozenset(found)


def _turned_away(folded: str, place: Place, alone: bool) -> bool:
    behind = folded[place.end : place.end + _WINDOW]
    if _BEHIND.match(behind) or _FREE_WORD.match(_rest_of_word(folded, place)):
        return True
    ahead = folded[max(0, place.start - _WINDOW) : place.start]
    if place.start <= _WINDOW and _HEAD.match(ahead):
        return False
    clause = _CLAUSE.split(ahead)[-1]
    if alone:
        return bool(_BEFORE.search(clause)) and not _STRENGTH_BEHIND.match(behind)
    return bool(_BEFORE.search(clause) or _BEFORE_OF_PAST.search(clause))


def _rest_of_word(folded: str, place: Place) -> str:
    """What is written on to a name without a space: "frei" in "codeinfrei"."""
    rest = re.match(r"[^\W\d_]{0,20}", folded[place.end : place.end + 20])
    return rest.group() if rest else ""


def _goes_on(folded: str, before: Place, place: Place) -> bool:
    """Whether a list goes on: "no codeine, oxycodone or morphine"; a strength ends it."""
    between = folded[before.end : place.start]
    return (
        len(between) <= 6
        and bool(_LINKED.search(between))
        and not any(c.isdigit() for c in between)
    )


def is_homeopathic(folded: str, places: tuple[Place, ...]) -> bool:
    """Whether a potency stands near a name and no amount of substance anywhere."""
    if _MASS.search(folded):
        return False
    return any(_POTENCY.search(folded, place.end, place.end + _REACH) for place in places)


def is_remedy(folded: str) -> bool:
    """Whether a text can only be a homeopathic remedy, whatever it names."""
    return bool(_REMEDY.search(folded)) and not _MASS.search(folded)
