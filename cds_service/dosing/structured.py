"""Turn dosage instructions and a product strength into mg per day; what cannot be computed stays None.

Structured dosage comes first; the sig text fills its gaps and stands beside it as a second reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal

from cds_service.dosing.amounts import ONE, Rate, format_mg, rate_of, same, usable
from cds_service.dosing.label import strength_of
from cds_service.dosing.sig import SigReading, read_sig
from cds_service.dosing.timing import rate_of_dosage
from cds_service.dosing.units import mg_in, time_unit, unit_of
from cds_service.model import Band, Component, Dosage, Dose, Quantity, Strength

__all__ = ["BandEdges", "band", "compute", "format_mg", "same"]

_TOLERANCE = Decimal("1e-9")


@dataclass(frozen=True, slots=True)
class BandEdges:
    """The naltrexone band edges in mg/day (specification 2.3; values as in cards/thresholds.yaml)."""

    micro_below: Decimal = Decimal("0.1")
    ldn_from: Decimal = Decimal(1)
    ldn_to: Decimal = Decimal(5)
    labelled_from: Decimal = Decimal(50)
    labelled_to: Decimal = Decimal(100)

    @classmethod
    def of(cls, values: Mapping[str, object]) -> BandEdges:
        """Edges from a mapping of numbers by these names; a missing name keeps its default."""
        return cls(
            **{f.name: Decimal(str(values[f.name])) for f in fields(cls) if f.name in values}
        )


_EDGES = BandEdges()


def band(daily_mg: Decimal | None, edges: BandEdges = _EDGES) -> Band:
    """The naltrexone band of a daily dose, edges compared with 1e-9 tolerance; None or zero is UNKNOWN."""
    if daily_mg is None or daily_mg <= 0:
        return Band.UNKNOWN
    if daily_mg < edges.micro_below - _TOLERANCE:
        return Band.MICRO
    if daily_mg < edges.ldn_from - _TOLERANCE:
        return Band.VLDN
    if daily_mg <= edges.ldn_to + _TOLERANCE:
        return Band.LDN
    if daily_mg < edges.labelled_from - _TOLERANCE:
        return Band.INTERMEDIATE
    return Band.LABELLED if daily_mg <= edges.labelled_to + _TOLERANCE else Band.SUPRA


def compute(dosages: tuple[Dosage, ...], component: Component | None, drug_text: str = "") -> Dose:
    """mg/day of one component by its dosages (specification 2.13).

    ``drug_text`` is asked for a strength ("1 mg/mL", "capsules 4.5 mg") only where the component has none. Different
    sequences are phases (the highest counts), the same sequence adds, a dosage without one adds to each.
    """
    strength = strength_of(component, drug_text)
    because: list[str] = []
    each = [_each_mg(dosage, strength) for dosage in dosages]
    days = [
        _daily_mg(dosage, mg, strength, because) for dosage, mg in zip(dosages, each, strict=True)
    ]
    first, highest, phases = _phases(dosages, days)
    sig = _read_texts(dosages, strength)
    by_sig = highest is None and sig.daily_mg is not None
    if by_sig and any(d.dose_low or d.dose_high for d in dosages):
        because.append("structured: not computable, sig used")
    largest = max((mg for mg in each if mg is not None), default=None)
    return Dose(
        daily_mg=sig.daily_mg if by_sig else highest,
        first_phase_mg=sig.first_phase_mg if by_sig or first is None else first,
        each_mg=sig.each_mg if largest is None or None in each else largest,
        structured_mg=highest,
        sig_mg=sig.daily_mg,
        phases=max(phases, 2) if _is_stepped(sig) else phases,
        because=(*because, *sig.because),
    )


def _is_stepped(sig: SigReading) -> bool:
    return sig.first_phase_mg is not None and sig.first_phase_mg != sig.daily_mg


def _each_mg(dosage: Dosage, strength: Strength | None) -> Decimal | None:
    """mg of one dose: the upper end, at most the stated maximum; a range without an upper end has none."""
    high = high_of(dosage)
    mg = mg_in(high, strength) if high is not None else None
    most = mg_in(dosage.max_each, strength) if dosage.max_each is not None else None
    return mg if mg is None or most is None else min(mg, most)


def high_of(dosage: Dosage) -> Quantity | None:
    """The upper end of the dose, in the unit of the lower one where it has none."""
    high, low = dosage.dose_high, dosage.dose_low
    if high is not None and low is not None and high is not low and not (high.unit or high.code):
        return Quantity(high.value, low.unit, low.code, low.system)
    return high


def _daily_mg(
    dosage: Dosage, each: Decimal | None, strength: Strength | None, because: list[str]
) -> Decimal | None:
    if dosage.has_rate:
        return _day_amount(dosage, each, strength, because)
    rate = rate_of_dosage(dosage) if each is not None else None
    if each is not None and rate is None and dosage.as_needed and not dosage.timing_words:
        return _at_most(dosage, strength, because)
    if each is None or rate is None:
        return None
    daily = rate.of(each)
    because.append(f"structured: {_shown(dosage, each)} x {rate} = {format_mg(daily)} mg/d")
    return _capped(daily, dosage, strength, because)


def _day_amount(
    dosage: Dosage, each: Decimal | None, strength: Strength | None, because: list[str]
) -> Decimal | None:
    """The amount of a day ("3 tablets per 1 day"), unless dose and frequency beside it say another."""
    if dosage.day_amount is None:
        return None
    quantity, time = dosage.day_amount
    mg, rate = mg_in(quantity, strength), per_time(time)
    if mg is None or rate is None:
        return None
    daily, often = rate.of(mg), rate_of_dosage(dosage) if each is not None else None
    if each is not None and often is not None and not same(often.of(each), daily):
        because.append("structured: amount per day and single dose disagree")
        return None
    because.append(f"structured: {format_mg(daily)} mg per day")
    return _capped(daily, dosage, strength, because)


def _at_most(dosage: Dosage, strength: Strength | None, because: list[str]) -> Decimal | None:
    """As needed without a frequency: the stated maximum is what a day may take."""
    limit = _limit(dosage, strength)
    if limit is not None:
        because.append(f"structured: as needed, at most {format_mg(limit)} mg/d")
    return limit


def _capped(
    daily: Decimal, dosage: Dosage, strength: Strength | None, because: list[str]
) -> Decimal:
    limit = _limit(dosage, strength)
    if limit is None or limit >= daily:
        return daily
    because.append(f"structured: at most {format_mg(limit)} mg/d")
    return limit


def _shown(dosage: Dosage, each: Decimal) -> str:
    high = high_of(dosage)
    unit = unit_of(high) if high is not None else None
    count = high.value * unit.factor if high is not None and high.value and unit else None
    if not count or unit is None or unit.kind == "mg":
        return f"{format_mg(each)} mg"
    return f"{format_mg(count)} unit x {format_mg(each / count)} mg"


def _limit(dosage: Dosage, strength: Strength | None) -> Decimal | None:
    """maxDosePerPeriod in mg/day; one that cannot be read bounds nothing."""
    if dosage.max_per_period is None:
        return None
    amount, time = dosage.max_per_period
    mg, rate = mg_in(amount, strength), per_time(time)
    return None if mg is None or rate is None else rate.of(mg)


def per_time(time: Quantity) -> Rate | None:
    """Once in this time; None where it is no time."""
    period = usable(time.value)
    return rate_of(ONE, period, time_unit(time)) if period else None


def _phases(
    dosages: tuple[Dosage, ...], days: list[Decimal | None]
) -> tuple[Decimal | None, Decimal | None, int]:
    """(first phase, highest phase, how many); one unreadable part makes its phase and the highest unknown."""
    concurrent = [mg for dosage, mg in zip(dosages, days, strict=True) if dosage.sequence is None]
    numbers = sorted({d.sequence for d in dosages if d.sequence is not None})
    sums = [
        _sum(
            [mg for dosage, mg in zip(dosages, days, strict=True) if dosage.sequence == n]
            + concurrent
        )
        for n in numbers
    ] or ([_sum(concurrent)] if dosages else [])
    known = [mg for mg in sums if mg is not None]
    return (
        (sums[0] if sums else None),
        (max(known) if known and len(known) == len(sums) else None),
        len(sums),
    )


def _sum(parts: Iterable[Decimal | None]) -> Decimal | None:
    parts = list(parts)
    known = [p for p in parts if p is not None]
    return sum(known, Decimal(0)) if len(known) == len(parts) else None


def _read_texts(dosages: tuple[Dosage, ...], strength: Strength | None) -> SigReading:
    """The sig of the whole order: its only text, or the texts joined as their dosages are."""
    texts = [d.text for d in dosages]
    if not dosages or not all(t.strip() for t in texts):
        return read_sig(texts[0], strength) if len(texts) == 1 else SigReading()
    if len(set(texts)) == 1:
        alone = len(dosages) == 1 or len({d.sequence for d in dosages}) == len(dosages)
        return read_sig(texts[0], strength) if alone else SigReading()
    if len({(d.sequence, d.text) for d in dosages}) < len(dosages):
        return SigReading()
    readings = [read_sig(text, strength) for text in texts]
    first, highest, _ = _phases(dosages, [r.daily_mg for r in readings])
    each = max((r.each_mg for r in readings if r.each_mg is not None), default=None)
    return SigReading(highest, first, each, tuple(b for r in readings for b in r.because))
