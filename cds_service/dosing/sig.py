"""Read mg per day from the free text of a prescription, and answer None wherever the words leave a doubt.

The text is a fallback and a cross-check for structured dosage. A number that nothing explains, a second dose
that nothing joins, a rise without an end, a negation before a dose or a word of another language that its table
does not have is a doubt.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from cds_service.dosing.amounts import (
    DAILY,
    ONE,
    DailyAmount,
    DoseAmount,
    Rate,
    format_mg,
    mg_of,
    same,
)
from cds_service.dosing.sig_walk import SigPart, SigWalk, walk_over
from cds_service.dosing.sig_words import SigToken, cut, plain
from cds_service.dosing.translation import readings, translations
from cds_service.model import Strength

_USUAL = 120  # characters; longer texts may hold anything and are not kept
_KINDS = ("unit", "mL", "mg", "drop", "puff", "spray")


@dataclass(frozen=True, slots=True)
class SigReading:
    """Highest phase, first phase and largest single dose in mg; None = the text does not say it clearly."""

    daily_mg: Decimal | None = None
    first_phase_mg: Decimal | None = None
    each_mg: Decimal | None = None
    because: tuple[str, ...] = ()


_NOTHING, _UNCLEAR = SigReading(), SigReading(because=("sig: unclear",))


def read_sig(text: str, strength: Strength | None) -> SigReading:
    """The dose that a sig states; only its first 2,000 characters are read. Usual sigs are read once and remembered."""
    return _read_usual(text, strength) if _is_usual(text, strength) else _read(text, strength)


def read_daily(text: str, strength: Strength | None) -> DailyAmount | None:
    """What a sig allows a day, in its own unit; None where it does not say it clearly."""
    return (
        _daily_usual(text, strength) if _is_usual(text, strength) else _read_daily(text, strength)
    )


def read_rate(text: str) -> Rate | None:
    """How often a text says to take whatever it is, if it says one thing only."""
    said = plain(text)
    found = {_rate(reading) for reading in readings(said)}
    if found == {None}:
        found = {_rate(reading) for reading in translations(said)}
    return found.pop() if len(found) == 1 else None


def _is_usual(text: str, strength: Strength | None) -> bool:
    finite = strength is None or (strength.mg.is_finite() and strength.per_amount.is_finite())
    return finite and len(text) <= _USUAL


@lru_cache(maxsize=4_096)
def _read_usual(text: str, strength: Strength | None) -> SigReading:
    return _read(text, strength)


@lru_cache(maxsize=4_096)
def _daily_usual(text: str, strength: Strength | None) -> DailyAmount | None:
    return _read_daily(text, strength)


def _read(text: str, strength: Strength | None) -> SigReading:
    found = [_UNCLEAR if walk.doubt else _conclude(walk, strength) for walk in _walks(text)]
    told = dict.fromkeys((r.daily_mg, r.first_phase_mg, r.each_mg) for r in found)
    if len(told) == 1 and (found[0].because or found[0].each_mg):
        return found[0]
    return _UNCLEAR if found and any(r.because for r in found) else _NOTHING


def _read_daily(text: str, strength: Strength | None) -> DailyAmount | None:
    found = {None if walk.doubt else _daily_amount(walk, strength) for walk in _walks(text)}
    return found.pop() if len(found) == 1 else None


def _walks(text: str) -> list[SigWalk]:
    """One walk, or one for each language that the text may be in; none where no language has all its words."""
    said = plain(text)
    walks = [walk_over(cut(reading)) for reading in readings(said)]
    if len(walks) == 1 and walks[0].doubt and (others := translations(said)):
        return [walk_over(cut(reading)) for reading in others]
    return walks


def _rate(said: str) -> Rate | None:
    tokens = list(cut(said))
    if any(t.kind in {"doubt", "step", "then", "max", "upto", "not", "scheme"} for t in tokens):
        return None
    part = SigPart()
    joined = False
    for token in tokens:
        if token.kind in {"rate", "anchor"}:
            part.often(token, joined)
        if token.kind == "clock":
            part.clocks.add(token.word)
        joined = token.kind == "and" or (joined and token.kind == "word")
    return part.rate()


def _daily_amount(walk: SigWalk, strength: Strength | None) -> DailyAmount | None:
    """Lowest end of the lowest phase to upper end of the highest, capped by a stated maximum."""
    phases = _phases(walk)
    if not phases or walk.stepping == "up" or _is_ambiguous(walk, strength):
        return None
    unit = next((k for k in _KINDS if all(_in(part, k) for phase in phases for part in phase)), "")
    shared = _shared_rate(walk)
    if unit and _is_only_capped(walk, phases, shared):
        cap, each = _cap_in(unit, walk, strength), _in(phases[0][0], unit)
        return (
            DailyAmount(min(each.fewest, cap), cap, unit, True)
            if cap and each and each.fewest
            else None
        )
    ends = [_ends(phase, unit, shared) for phase in phases] if unit else []
    known = [e for e in ends if e is not None]
    if (
        not known
        or len(known) < len(ends)
        or any(
            p[0].risen and b[1] < a[1]
            for p, a, b in zip(phases[1:], known, known[1:], strict=False)
        )
    ):
        return None
    low, high = min(e[0] for e in known), max(e[1] for e in known)
    if walk.cap is not None:
        cap = _cap_in(unit, walk, strength)
        if cap is None or cap <= 0:
            return None
        high = cap if walk.starting else min(high, cap)
        low = min(low, high)
    return DailyAmount(low, high, unit, walk.as_needed) if low > 0 else None


def _is_only_capped(walk: SigWalk, phases: list[list[SigPart]], shared: Rate | None) -> bool:
    """ "1 tablet as needed, max 4 a day" has no other frequency: the maximum is what a day may take."""
    return (
        walk.as_needed
        and walk.cap_rate is not None
        and shared is None
        and len(phases) == 1
        and len(phases[0]) == 1
        and not phases[0][0].timed
    )


def _in(part: SigPart, unit: str) -> DoseAmount | None:
    """The one amount of a dose in this unit; restatements in other units say the same."""
    found = [a for a in part.amounts if a.unit == unit]
    return found[0] if len(found) == 1 else None


def _ends(phase: list[SigPart], unit: str, shared: Rate | None) -> tuple[Decimal, Decimal] | None:
    low = high = Decimal(0)
    for part in phase:
        amount, rate = _in(part, unit), (part.rate() if part.timed or len(phase) > 1 else shared)
        if (
            amount is None
            or rate is None
            or (part.limit and not part.timed and not same(rate.of(ONE), ONE))
        ):
            return None
        low += amount.fewest * rate.fewest / rate.days
        high += rate.of(amount.value)
    return low, high


def _cap_in(unit: str, walk: SigWalk, strength: Strength | None) -> Decimal | None:
    amount = walk.cap
    if amount is None:
        return None
    if amount.unit != unit:
        mg, one = mg_of(amount, strength), mg_of(DoseAmount(ONE, unit), strength)
        if mg is None or not one:
            return None
        amount = DoseAmount(mg / one, unit)
    return (walk.cap_rate or DAILY).of(amount.value)


def _phases(walk: SigWalk) -> list[list[SigPart]]:
    phases = [phase for phase in walk.phases if phase[0].amounts]
    if not phases and len({t.amount for t in walk.labels}) == 1 and not walk.labels[0].word:
        return [_with_label(walk)]
    return phases


def _is_ambiguous(walk: SigWalk, strength: Strength | None) -> bool:
    """ "2-0-2" of a 2 mg tablet may mean mg; "1.5-0-0" without a known strength too."""
    return any(n != 1 and (strength is None or same(strength.mg, n)) for n in walk.bare)


def _conclude(walk: SigWalk, strength: Strength | None) -> SigReading:
    if _is_ambiguous(walk, strength):
        return _UNCLEAR
    known = _strength(walk.labels, strength)
    phases = _phases(walk)
    shared = _shared_rate(walk)
    because: list[str] = []
    each = [mg for phase in phases for part in phase if (mg := _each(part, known)) is not None]
    days = [_daily(phase, shared, known, because) for phase in phases]
    first, highest = (days[0] if days else None), None
    certain = [mg for mg in days if mg is not None]
    if len(certain) == len(phases) and walk.stepping != "up" and not _falls(phases, days):
        highest = max(certain, default=None)
    if _is_only_capped(walk, phases, shared) and walk.cap is not None and walk.cap_rate is not None:
        limit = mg_of(walk.cap, known)
        first = highest = None if limit is None else walk.cap_rate.of(limit)
    first, highest = _bounded(walk, known, first, highest, because)
    return SigReading(highest, first, max(each, default=None), tuple(because))


def _falls(phases: list[list[SigPart]], days: list[Decimal | None]) -> bool:
    """An increase that ends below its start: its "every 2 weeks" was no frequency."""
    steps = zip(phases[1:], days[1:], days, strict=False)
    return any(
        phase[0].risen and new is not None and old is not None and new < old
        for phase, new, old in steps
    )


def _with_label(walk: SigWalk) -> list[SigPart]:
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


def _shared_rate(walk: SigWalk) -> Rate | None:
    """The one rate of the whole text, for phases that do not repeat it; None where it states several."""
    rates = [part.rate() for phase in walk.phases for part in phase if part.timed]
    if not rates or any(
        r is None or not same(r.of(ONE), rates[0].of(ONE)) for r in rates if rates[0]
    ):
        return None
    return rates[0]


def _daily(
    phase: list[SigPart], shared: Rate | None, strength: Strength | None, because: list[str]
) -> Decimal | None:
    total = Decimal(0)
    for part in phase:
        each = _each(part, strength)
        rate = part.rate() if part.timed or len(phase) > 1 else shared
        if (
            each is None
            or rate is None
            or (part.limit and not part.timed and not same(rate.of(ONE), ONE))
        ):
            return None  # "0.5 mg bid, increase to max 2 mg": a dose or a day?
        because.append(f"sig: {format_mg(each)} mg x {rate} = {format_mg(rate.of(each))} mg/d")
        total += rate.of(each)
    return total


def _each(part: SigPart, strength: Strength | None) -> Decimal | None:
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
            if part.amounts[0] is other and other.unit != "mL" and other.value != 1:
                return None  # "3 tablets (4.5 mg)": each or all of them?
        elif not same(counted_mg, mass):
            return counted_mg if same(counted_mg, mass * other.value) else None
    return mass


def _bounded(
    walk: SigWalk,
    strength: Strength | None,
    first: Decimal | None,
    highest: Decimal | None,
    because: list[str],
) -> tuple[Decimal | None, Decimal | None]:
    """A stated maximum caps the dose; after "start with" it is where the dose goes."""
    limit = mg_of(walk.cap, strength) if walk.cap else None
    if limit is None:
        return first, highest
    limit = (walk.cap_rate or DAILY).of(limit)
    because.append(f"sig: at most {format_mg(limit)} mg/d")
    if walk.starting and first is not None and limit > first:
        return first, limit
    return (None if first is None else min(first, limit)), (
        None if highest is None else min(highest, limit)
    )
