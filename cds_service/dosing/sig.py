"""Read mg per day from the free text of a prescription, and answer None wherever the words leave a doubt.

The text is a fallback and a cross-check for structured dosage. A number that nothing explains, a second dose
that nothing joins, a rise without an end or a negation before a dose is a doubt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache

from cds_service.dosing.amounts import DAILY, ONE, DoseAmount, Rate, format_mg, mg_of, same
from cds_service.dosing.sig_words import SigToken, cut, plain
from cds_service.model import Strength

_USUAL = 120                                   # characters; longer texts may hold anything and are not kept


@dataclass(frozen=True, slots=True)
class SigReading:
    """Highest phase, first phase and largest single dose in mg; None = the text does not say it clearly."""

    daily_mg: Decimal | None = None
    first_phase_mg: Decimal | None = None
    each_mg: Decimal | None = None
    because: tuple[str, ...] = ()


def read_sig(text: str, strength: Strength | None) -> SigReading:
    """The dose that a sig states; only its first 2,000 characters are read. Usual sigs are read once and remembered."""
    finite = strength is None or (strength.mg.is_finite() and strength.per_amount.is_finite())
    return _read_usual(text, strength) if finite and len(text) <= _USUAL else _read(text, strength)


@lru_cache(maxsize=4_096)
def _read_usual(text: str, strength: Strength | None) -> SigReading:
    return _read(text, strength)


def _read(text: str, strength: Strength | None) -> SigReading:
    walk = _SigWalk()
    for token in cut(plain(text)):
        walk.take(token)
    if walk.doubt:
        return SigReading(because=("sig: unclear",) if walk.doses() else ())
    return _conclude(walk, strength)


def read_rate(text: str) -> Rate | None:
    """How often a text says to take whatever it is, if it says one thing only."""
    tokens = list(cut(plain(text)))
    if any(t.kind in {"doubt", "step", "then", "max", "upto", "not"} for t in tokens):
        return None
    part = _Part()
    joined = False
    for token in tokens:
        if token.kind in {"rate", "anchor"}:
            part.often(token, joined)
        joined = token.kind == "and" or (joined and token.kind == "word")
    return part.rate()


_FILLERS = frozenset({
    "take", "takes", "give", "another", "also", "additional", "the", "a", "an", "in", "at", "every", "each",
    "as", "needed", "mouth", "po", "orally", "oral", "sl", "food", "before", "after"})


@dataclass(slots=True)
class _Part:
    """One dose and how often; ``amounts`` holds restatements of the same dose ("1 tablet (50 mg)")."""

    amounts: list[DoseAmount] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)
    risen: bool = False                        # the end of an increase
    limit: bool = False                        # ... stated as a maximum

    def often(self, token: SigToken, joined: bool) -> None:
        if token.rate:
            self.rates.append(token.rate)
        elif joined or not {token.word, *self.anchors} <= {"evening", "night"} or not self.anchors:
            self.anchors.append(token.word)

    def rate(self) -> Rate | None:
        """A stated rate, which times of day only describe; rates or times of day that differ: None."""
        moments = len(set(self.anchors))
        if not self.rates:
            return Rate(Decimal(moments), ONE) if moments else None
        first = self.rates[0]
        if any(not same(first.of(ONE), r.of(ONE)) for r in self.rates):
            return None
        return None if moments > 1 and not same(first.of(ONE), Decimal(moments)) else first

    @property
    def timed(self) -> bool:
        return bool(self.rates or self.anchors)


@dataclass(slots=True)
class _SigWalk:
    """What was understood while walking over the words; ``phases`` follow each other, their parts add."""

    phases: list[list[_Part]] = field(default_factory=lambda: [[_Part()]])
    labels: list[SigToken] = field(default_factory=list)
    cap: DoseAmount | None = None
    cap_rate: Rate | None = None
    doubt: bool = False
    capping: str = ""                          # "max" | "upto" while words bound the dose
    stepping: str = ""                         # "up" | "down" inside "increase by ... every ..."
    reaching: bool = False                     # ... and past its "to"
    limiting: bool = False                     # ... and past its "max"
    negated: bool = False                      # after "do not"
    foreign: bool = False                      # after "with": another drug or a drink
    joined: str = ""                           # "and" | "or" waiting for its other side
    after_duration: bool = False
    starting: bool = False
    last: str = ""

    @property
    def part(self) -> _Part:
        return self.phases[-1][-1]

    def doses(self) -> list[DoseAmount]:
        return [a for phase in self.phases for part in phase for a in part.amounts]

    def take(self, token: SigToken) -> None:
        """Take the next word; what stands before it decides what it means."""
        match token.kind:
            case "doubt" | "number":
                self.doubt = True
            case "amount":
                self._take_amount(token.amount)
            case "label":
                self.labels.append(token)
            case "rate" | "anchor":
                self._take_rate(token)
            case "within" if self.capping:
                self._take_rate(token)
            case "and" | "or":
                self.joined = token.kind
            case "word":
                self._take_word(token.word)
            case _:
                self._take_bound(token)
        if token.kind != "words" and token.word != "of":
            self.last = token.kind

    def _take_bound(self, token: SigToken) -> None:
        match token.kind:
            case "duration":
                self.after_duration = bool(self.part.amounts)
            case "then":
                self._end_step()
                self.capping = self.joined = ""
                self._open_phase()
            case "step":
                self._end_step()
                self.stepping = token.word if self.doses() else ""
            case "to" | "by" | "target" | "max" | "upto":
                self._take_limit(token.kind)
            case "not":
                self.negated = True
            case "with":
                self.foreign = True
            case "start":
                self.starting = True
            case "stop":
                self._end_clause(token.word)

    def _take_limit(self, kind: str) -> None:
        """Inside a step these words lead to its end; elsewhere "max" and "up to" bound the dose of a day."""
        if kind == "target" and self.doses():
            self.stepping = "up"
        self.reaching = bool(self.stepping) and kind != "by"
        if self.stepping:
            self.limiting = self.limiting or kind == "max"
        elif kind == "max" or (kind == "upto" and self.part.amounts):
            self.capping = kind

    def _take_amount(self, amount: DoseAmount) -> None:
        if self.negated or self.foreign:
            self.doubt = True
        elif self.stepping:
            self._take_step_amount(amount)
        elif self.capping and not (self.capping == "upto" and not self.part.amounts):
            self.doubt = self.doubt or self.cap is not None
            self.cap = amount
        else:
            self._take_dose(amount)
        self.joined = ""

    def _take_step_amount(self, amount: DoseAmount) -> None:
        if self.reaching:
            self._open_phase()
            self.part.amounts.append(amount)
            self.part.risen, self.part.limit = self.stepping == "up", self.limiting
            self._end_step()

    def _end_step(self) -> None:
        self.stepping, self.reaching, self.limiting = "", False, False

    def _take_dose(self, amount: DoseAmount) -> None:
        """The dose, its restatement, its other end, the next phase, or a second dose that "and" joins."""
        here = self.part.amounts
        if self.after_duration and here:
            self.doubt = self.doubt or self.joined != ""
            self._open_phase()
            self.part.amounts.append(amount)
        elif not here:
            here.append(amount)
        elif self.joined == "or" and not self.part.timed and here[-1].unit == amount.unit:
            here[-1] = max(here[-1], amount, key=lambda a: a.value)
        elif self.joined == "and" and self.part.timed:
            self.phases[-1].append(_Part([amount]))
        elif self.last == "amount" and here[-1].unit != amount.unit:
            here.append(amount)
        elif amount not in here or self.part.timed:
            self.doubt = True

    def _take_rate(self, token: SigToken) -> None:
        if self.stepping or self.negated:
            return
        if self.capping == "upto" and self.cap is None:
            self.capping = ""
        if not self.capping:
            self.part.often(token, self.joined == "and")
        elif token.rate:
            self.doubt = self.doubt or self.cap_rate is not None
            self.cap_rate = token.rate
        self.joined = ""

    def _take_word(self, word: str) -> None:
        """A strange word beside "and" names something else: what stands there is not this dose."""
        strange = word not in _FILLERS
        if self.joined and strange:
            self.joined = "strange"
        elif len(self.phases[-1]) > 1 and not self.part.timed and strange:
            self.doubt = True

    def _end_clause(self, mark: str) -> None:
        if mark != ",":
            self.capping = self.joined = ""
        self.negated = self.foreign = False

    def _open_phase(self) -> None:
        if self.part.amounts:
            self.phases.append([_Part()])
        self.after_duration = False


def _conclude(walk: _SigWalk, strength: Strength | None) -> SigReading:
    known = _strength(walk.labels, strength)
    phases = [phase for phase in walk.phases if phase[0].amounts]
    if not phases and len({t.amount for t in walk.labels}) == 1 and not walk.labels[0].word:
        phases = [_with_label(walk)]
    shared = _shared_rate(walk)
    because: list[str] = []
    each = [mg for phase in phases for part in phase if (mg := _each(part, known)) is not None]
    days = [_daily(phase, shared, known, because) for phase in phases]
    first, highest = (days[0] if days else None), None
    certain = [mg for mg in days if mg is not None]
    if len(certain) == len(phases) and walk.stepping != "up" and not _falls(phases, days):
        highest = max(certain, default=None)
    first, highest = _bounded(walk, known, first, highest, because)
    return SigReading(highest, first, max(each, default=None), tuple(because))


def _falls(phases: list[list[_Part]], days: list[Decimal | None]) -> bool:
    """An increase that ends below its start: its "every 2 weeks" was no frequency."""
    steps = zip(phases[1:], days[1:], days, strict=False)
    return any(phase[0].risen and new is not None and old is not None and new < old
               for phase, new, old in steps)


def _with_label(walk: _SigWalk) -> list[_Part]:
    """ "50 mg tablet daily": one tablet of what the label says, unless it is a concentration."""
    label, part = walk.labels[0].amount, walk.phases[0][0]
    if label.unit == "unit":
        part.amounts.append(DoseAmount(label.value, "mg"))
    return [part]


def _strength(labels: list[SigToken], strength: Strength | None) -> Strength | None:
    """The product's strength; without one, the single strength that the text names."""
    named = {t.amount for t in labels}
    if strength is not None or len(named) != 1:
        return strength if not _contradicts(named, strength) else None
    only = named.pop()
    return Strength(only.value, ONE, only.unit)


def _contradicts(named: set[DoseAmount], strength: Strength | None) -> bool:
    """The text names another strength than the product has, or several."""
    for label in named:
        one = mg_of(DoseAmount(ONE, label.unit), strength)
        if strength is None or (one is not None and not same(one, label.value)):
            return True
    return False


def _shared_rate(walk: _SigWalk) -> Rate | None:
    """The one rate of the whole text, for phases that do not repeat it; None where it states several."""
    rates = [part.rate() for phase in walk.phases for part in phase if part.timed]
    if not rates or any(r is None or not same(r.of(ONE), rates[0].of(ONE)) for r in rates if rates[0]):
        return None
    return rates[0]


def _daily(phase: list[_Part], shared: Rate | None, strength: Strength | None,
           because: list[str]) -> Decimal | None:
    total = Decimal(0)
    for part in phase:
        each = _each(part, strength)
        rate = part.rate() if part.timed or len(phase) > 1 else shared
        if each is None or rate is None or (part.limit and not part.timed and not same(rate.of(ONE), ONE)):
            return None                        # "0.5 mg bid, increase to max 2 mg": a dose or a day?
        because.append(f"sig: {format_mg(each)} mg x {rate} = {format_mg(rate.of(each))} mg/d")
        total += rate.of(each)
    return total


def _each(part: _Part, strength: Strength | None) -> Decimal | None:
    """mg of one dose; a count and a mass that restate each other agree, or the mass is that of one unit."""
    masses = [a.value for a in part.amounts if a.unit == "mg"]
    others = [a for a in part.amounts if a.unit != "mg"]
    if not part.amounts or not masses:
        counted = {mg_of(a, strength) for a in others}
        return counted.pop() if len(counted) == 1 else None
    mass = masses[0]
    for other in others:
        counted_mg = mg_of(other, strength)
        if counted_mg is None:
            if part.amounts[0] is other and other.value != 1:
                return None
        elif not same(counted_mg, mass):
            return counted_mg if same(counted_mg, mass * other.value) else None
    return mass


def _bounded(walk: _SigWalk, strength: Strength | None, first: Decimal | None, highest: Decimal | None,
             because: list[str]) -> tuple[Decimal | None, Decimal | None]:
    """A stated maximum caps the dose; after "start with" it is where the dose goes."""
    limit = mg_of(walk.cap, strength) if walk.cap else None
    if limit is None:
        return first, highest
    limit = (walk.cap_rate or DAILY).of(limit)
    because.append(f"sig: at most {format_mg(limit)} mg/d")
    if walk.starting and first is not None and limit > first:
        return first, limit
    return (None if first is None else min(first, limit)), (None if highest is None else min(highest, limit))
