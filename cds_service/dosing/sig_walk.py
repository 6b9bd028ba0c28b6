"""Walk over the words of a sig and keep what was understood: doses, rates, phases, bounds, and every doubt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from cds_service.dosing.amounts import ONE, DoseAmount, Rate, same
from cds_service.dosing.sig_words import SigToken

_FILLERS = frozenset(
    {
        "take",
        "takes",
        "give",
        "another",
        "also",
        "additional",
        "the",
        "a",
        "an",
        "in",
        "at",
        "every",
        "each",
        "as",
        "needed",
        "mouth",
        "po",
        "orally",
        "oral",
        "sl",
        "food",
        "before",
        "after",
    }
)


@dataclass(slots=True)
class SigPart:
    """One dose and how often; ``amounts`` holds restatements of the same dose ("1 tablet (50 mg)")."""

    amounts: list[DoseAmount] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)
    clocks: set[str] = field(default_factory=set)
    risen: bool = False  # the end of an increase
    limit: bool = False  # ... stated as a maximum

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
        return (
            None
            if any(
                n > 1 and not same(first.of(ONE), Decimal(n)) for n in (moments, len(self.clocks))
            )
            else first
        )

    @property
    def timed(self) -> bool:
        return bool(self.rates or self.anchors)


@dataclass(slots=True)
class SigWalk:
    """What was understood while walking over the words; ``phases`` follow each other, their parts add."""

    phases: list[list[SigPart]] = field(default_factory=lambda: [[SigPart()]])
    labels: list[SigToken] = field(default_factory=list)
    cap: DoseAmount | None = None
    cap_rate: Rate | None = None
    as_needed: bool = False
    doubt: bool = False
    bare: list[Decimal] = field(default_factory=list)  # numbers of a 1-0-1 scheme without a unit
    capping: str = ""  # "max" | "upto" while words bound the dose
    stepping: str = ""  # "up" | "down" inside "increase by ... every ..."
    reaching: bool = False  # ... and past its "to"
    limiting: bool = False  # ... and past its "max"
    negated: bool = False  # after "do not"
    foreign: bool = False  # after "with": another drug or a drink
    joined: str = ""  # "and" | "or" waiting for its other side
    after_duration: bool = False
    starting: bool = False
    last: str = ""

    @property
    def part(self) -> SigPart:
        return self.phases[-1][-1]

    def doses(self) -> list[DoseAmount]:
        return [a for phase in self.phases for part in phase for a in part.amounts]

    def take(self, token: SigToken) -> None:
        """Take the next word; what stands before it decides what it means."""
        match token.kind:
            case "number":
                self._take_number(token.word)
            case "doubt":
                self.doubt = True
            case "scheme":
                self._take_scheme(token)
            case "clock":
                self.part.clocks.add(token.word)
            case "amount" | "count":
                self.bare.extend(token.parts)
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
            self.last = "amount" if token.kind == "count" else token.kind

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
            case "prn":
                self.as_needed = True
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
        self.as_needed = self.as_needed or kind == "upto"
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

    def _take_number(self, word: str) -> None:
        """A number that nothing explains is a doubt; after "1-2 tablets ... max" it counts tablets."""
        counted = self.part.amounts and all(a.unit == "unit" for a in self.part.amounts)
        if self.capping and self.cap is None and counted and word.isdecimal() and len(word) < 3:
            self.cap = DoseAmount(Decimal(word), "unit")
        else:
            self.doubt = True

    def _take_scheme(self, token: SigToken) -> None:
        """ "1-0-1" is a dose and how often at once: nothing may stand beside it."""
        if self.doses() or self.part.timed or token.rate is None:
            self.doubt = True
            return
        self.part.amounts.append(token.amount)
        self.part.rates.append(token.rate)
        self.bare.extend(token.parts)

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
            ends = (here[-1].fewest, here[-1].value, amount.fewest, amount.value)
            here[-1] = DoseAmount(max(ends), amount.unit, min(ends))
        elif self.joined == "and" and self.part.timed:
            self.phases[-1].append(SigPart([amount]))
        elif self.last == "amount" and here[-1].unit != amount.unit:
            here.append(amount)
        elif amount not in here or self.part.timed:
            self.doubt = True

    def _take_rate(self, token: SigToken) -> None:
        if self.stepping or self.negated:
            return
        if self.capping == "upto" and self.cap is None:
            self.capping = ""
            token = _up_to(token)
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
            self.phases.append([SigPart()])
        self.after_duration = False


def _up_to(token: SigToken) -> SigToken:
    """ "Up to 3 times daily" is at least once, as far as a sig can say."""
    rate = token.rate
    return replace(token, rate=replace(rate, least=min(ONE, rate.times))) if rate else token


def walk_over(tokens: Iterable[SigToken]) -> SigWalk:
    """What these words say, in order."""
    walk = SigWalk()
    for token in tokens:
        walk.take(token)
    return walk
