"""Turn dosage instructions and a product strength into mg per day; what cannot be computed stays None.

Structured dosage comes first; the sig text fills its gaps and stands beside it as a second reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal

from cds_service.dosing.amounts import (
    COUNTS,
    DAILY,
    MG_PER_UNIT,
    ONE,
    VOLUMES,
    DoseAmount,
    Rate,
    format_mg,
    mg_of,
    rate_of,
    same,
    usable,
)
from cds_service.dosing.sig import SigReading, read_rate, read_sig
from cds_service.model import Band, Component, Dosage, Dose, Quantity, Strength

__all__ = ["BandEdges", "band", "compute", "format_mg", "same"]

_TOLERANCE = Decimal("1e-9")
_BARE = frozenset({"1", "each", "ea", "dose", "doses", "unit", "units"})
_DRUG_FORM_CODES = frozenset({                 # HL7 orderableDrugForm
    "ortab", "ertab", "ertab24", "ectab", "drtab", "sltab", "buctab", "chewtab", "disintab", "ercap",
    "ercap12", "ercap24", "entcap", "orcap", "tpatch", "tpath16", "tpath24", "tpath72", "supp", "recsupp",
    "ortroche"})
_TIMES_A_DAY = {"QD": 1, "BID": 2, "TID": 3, "QID": 4, "AM": 1, "PM": 1, "BED": 1, "HS": 1, "QHS": 1,
                "QAM": 1, "QPM": 1, "DAILY": 1, "Q1H": 24, "Q2H": 12, "Q3H": 8, "Q4H": 6, "Q6H": 4,
                "Q8H": 3, "Q12H": 2, "Q24H": 1}
_DAYS_BETWEEN = {"QOD": 2, "WK": 7, "MO": 30}
_PERIOD_UNITS = {"s": "s", "min": "min", "h": "h", "d": "d", "wk": "w", "mo": "m", "a": "y"}
_NIGHT_OR_DAILY = re.compile(r"\b(?:night|nightly|bedtime|bed|hs|qhs|qd|daily|day)\b", re.IGNORECASE)
_CONCENTRATION = re.compile(
    r"(?<![\w.,/-])(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6}) ?(mg|mcg|ug|g) ?(?:/|per) ?"
    r"(\d{1,4}(?:\.\d{1,4})?)? ?ml\b",
    re.IGNORECASE)


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
        return cls(**{f.name: Decimal(str(values[f.name])) for f in fields(cls) if f.name in values})


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

    ``drug_text`` is asked for a concentration ("1 mg/mL") only where the component has none. Different
    sequences are phases (the highest counts), the same sequence adds, a dosage without one adds to each.
    """
    strength = _strength(component, drug_text)
    because: list[str] = []
    each = [_each_mg(dosage, strength) for dosage in dosages]
    days = [_daily_mg(dosage, mg, strength, because) for dosage, mg in zip(dosages, each, strict=True)]
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
        structured_mg=highest, sig_mg=sig.daily_mg,
        phases=max(phases, 2) if _is_stepped(sig) else phases,
        because=(*because, *sig.because))


def _is_stepped(sig: SigReading) -> bool:
    return sig.first_phase_mg is not None and sig.first_phase_mg != sig.daily_mg


def _strength(component: Component | None, drug_text: str) -> Strength | None:
    """The component's strength, else the one concentration in the name; another number there is a doubt."""
    if component is None or component.strength is not None:
        return component.strength if component else None
    found = _CONCENTRATION.search(drug_text[:500])
    if not found:
        return None
    rest = drug_text[:found.start()] + drug_text[found.end():500]
    if re.search(r"[\d/+]|\band\b|\bwith\b", rest, re.IGNORECASE) or (found[3] and not Decimal(found[3])):
        return None
    return Strength(Decimal(found[1]) * MG_PER_UNIT[found[2].lower()], Decimal(found[3] or 1), "mL")


def _mg(quantity: Quantity, strength: Strength | None) -> Decimal | None:
    """mg in a quantity; a unit that is not known to be a mass, a volume or a count is never guessed."""
    value = usable(quantity.value)
    word = _word(quantity.unit)
    if value is None:
        return None
    if word in MG_PER_UNIT:
        return value * MG_PER_UNIT[word]
    if word in VOLUMES:
        return mg_of(DoseAmount(value, "mL"), strength)
    if word in COUNTS or word in _BARE or word in _DRUG_FORM_CODES:
        return mg_of(DoseAmount(value, "unit"), strength)
    if strength is not None and _names(word, strength.per_unit):
        return mg_of(DoseAmount(value, strength.per_unit), strength)
    return None


def _word(unit: str) -> str:
    return unit.strip().strip("{}").strip().lower().removesuffix("(s)")


def _names(word: str, per_unit: str) -> bool:
    """A puff, spray or drop counts only where the strength is per puff, spray or drop."""
    singular = per_unit.lower().removesuffix("s")
    return bool(word) and per_unit not in {"unit", "mL"} and word.removesuffix("s") == singular


def _each_mg(dosage: Dosage, strength: Strength | None) -> Decimal | None:
    """mg of one dose: the upper end; a range without an upper end has none."""
    high, low = dosage.dose_high, dosage.dose_low
    if high is None or dosage.has_rate:
        return None
    if not high.unit and low is not None and low.unit:
        high = Quantity(high.value, low.unit)
    return _mg(high, strength)


def _daily_mg(dosage: Dosage, each: Decimal | None, strength: Strength | None,
              because: list[str]) -> Decimal | None:
    rate = _rate(dosage)
    if each is None or rate is None:
        return None
    daily = rate.of(each)
    because.append(f"structured: {_shown(dosage, each)} x {rate} = {format_mg(daily)} mg/d")
    limit = _limit(dosage, strength)
    if limit is not None and limit < daily:
        because.append(f"structured: at most {format_mg(limit)} mg/d")
        return limit
    return daily


def _shown(dosage: Dosage, each: Decimal) -> str:
    quantity = dosage.dose_high
    count = usable(quantity.value) if quantity else None
    if not count or not quantity or _word(quantity.unit) in MG_PER_UNIT:
        return f"{format_mg(each)} mg"
    return f"{format_mg(count)} unit x {format_mg(each / count)} mg"


def _limit(dosage: Dosage, strength: Strength | None) -> Decimal | None:
    """maxDosePerPeriod in mg/day; one that cannot be read bounds nothing."""
    if dosage.max_per_period is None:
        return None
    amount, time = dosage.max_per_period
    mg, period = _mg(amount, strength), usable(time.value)
    rate = rate_of(ONE, period, _time_unit(time.unit)) if period else None
    return None if mg is None or rate is None else rate.of(mg)


def _time_unit(word: str) -> str:
    """UCUM code or its English word, as ``rate_of`` wants it."""
    word = word.strip().lower()
    words = {"hour": "h", "day": "d", "week": "w", "month": "m", "year": "y", "minute": "min", "second": "s"}
    return _PERIOD_UNITS.get(word) or words.get(word.removesuffix("s"), "")


def _rate(dosage: Dosage) -> Rate | None:
    """How often: the repeat, else its code, else a text that says daily or at night, else unknown."""
    repeats = any(x is not None for x in (dosage.frequency, dosage.frequency_max, dosage.period))
    if repeats or dosage.when or dosage.time_of_day:
        return _repeat(dosage)
    if dosage.timing_code:
        rate = _coded(dosage.timing_code)
        return _on_days(rate, dosage) if rate else None
    if dosage.day_of_week:
        return _on_days(DAILY, dosage)
    return read_rate(dosage.text) if _NIGHT_OR_DAILY.search(dosage.text[:2000]) else None


def _coded(code: str) -> Rate | None:
    code = code.strip().upper()
    if code in _TIMES_A_DAY:
        return Rate(Decimal(_TIMES_A_DAY[code]), ONE)
    return Rate(ONE, Decimal(_DAYS_BETWEEN[code])) if code in _DAYS_BETWEEN else None


def _repeat(dosage: Dosage) -> Rate | None:
    """Frequency per period, or the count of times of day. FHIR: a period without a frequency means once."""
    moments = len(set(dosage.time_of_day)) or len(set(dosage.when))
    frequencies = [f for f in (dosage.frequency, dosage.frequency_max) if f is not None]
    if not frequencies and dosage.period is None:
        return _on_days(Rate(Decimal(moments), ONE), dosage)
    numbers = [usable(f) for f in frequencies] or [Decimal(moments or 1)]
    known, period = [n for n in numbers if n is not None], usable(dosage.period)
    if len(known) < len(numbers) or period is None:
        return None
    rate = rate_of(max(known), period, _time_unit(dosage.period_unit))
    return _on_days(rate, dosage) if rate else None


def _on_days(rate: Rate, dosage: Dosage) -> Rate | None:
    """Only on some days of the week: once a week on Monday is one dose a week, once a day on Monday too."""
    days = len({d.lower() for d in dosage.day_of_week})
    if not days:
        return rate
    if rate.times >= rate.days:
        return Rate(rate.times * min(days, 7), rate.days * 7)
    return Rate(max(rate.times, Decimal(days)), rate.days) if rate.days >= 7 else None


def _phases(dosages: tuple[Dosage, ...],
            days: list[Decimal | None]) -> tuple[Decimal | None, Decimal | None, int]:
    """(first phase, highest phase, how many); one unreadable part makes its phase and the highest unknown."""
    concurrent = [mg for dosage, mg in zip(dosages, days, strict=True) if dosage.sequence is None]
    numbers = sorted({d.sequence for d in dosages if d.sequence is not None})
    sums = [_sum([mg for dosage, mg in zip(dosages, days, strict=True) if dosage.sequence == n] + concurrent)
            for n in numbers] or ([_sum(concurrent)] if dosages else [])
    known = [mg for mg in sums if mg is not None]
    return (sums[0] if sums else None), (max(known) if known and len(known) == len(sums) else None), len(sums)


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
