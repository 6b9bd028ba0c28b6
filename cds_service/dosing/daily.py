"""What a day takes of any product, and how long a quantity of it lasts (specification 2.4, run-out by quantity).

Structured dosage first, the sig where it cannot be read. Everything is a span: a range of doses, of frequencies or of
phases has a low and a high end, and how long a supply lasts has the two the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from cds_service.dosing.amounts import ONE, DailyAmount, DoseAmount, Rate, mg_of, same, usable
from cds_service.dosing.label import named_strength
from cds_service.dosing.sig import read_daily
from cds_service.dosing.structured import high_of, per_time
from cds_service.dosing.timing import rate_of_dosage
from cds_service.dosing.units import amount_of, is_counted, unit_of
from cds_service.model import Dosage, Quantity, Strength


@dataclass(frozen=True, slots=True)
class Lasting:
    """Days that a supply lasts: ``least`` at the highest dose that the sig allows, ``most`` at the lowest.

    ``as_needed``: it may last longer than ``most``, since none may be needed.
    """

    least: Decimal
    most: Decimal
    as_needed: bool = False


def daily_amounts(
    dosages: tuple[Dosage, ...], strength: Strength | None = None, drug_text: str = ""
) -> DailyAmount | None:
    """What all instructions together take a day; None where one of them cannot be read.

    Different sequences are phases: ``high`` is the highest, ``low`` the lowest. The same sequence adds, a dosage
    without one adds to each. A maximum bounds both ends. The low end of an as-needed dosage is that of its frequency.
    Amounts in different units are brought to one by the strength, else None.
    """
    strength = strength or named_strength(drug_text[:500])
    read = [_of_dosage(dosage, strength) for dosage in dosages]
    known = [amount for amount in read if amount is not None]
    if not known or len(known) < len(read):
        return None
    unit = known[0].unit
    same_unit = [_in(amount, unit, strength) for amount in known]
    amounts = [amount for amount in same_unit if amount is not None]
    return _together(dosages, amounts) if len(amounts) == len(known) else None


def days_supplied(
    quantity: Quantity,
    dosages: tuple[Dosage, ...],
    strength: Strength | None = None,
    drug_text: str = "",
) -> Lasting | None:
    """How long ``quantity`` of this product lasts; None where quantity and dose cannot be read in the same unit.

    A quantity without a unit counts units where ``drug_text`` names a form that is counted. One that only counts
    ("each", "1", "piece") and would not last a day is a count of packs: None.
    """
    daily = daily_amounts(dosages, strength, drug_text)
    amount = quantity_in_units(quantity, drug_text)
    if daily is None or amount is None or amount.value <= 0:
        return None
    strength = strength or named_strength(drug_text[:500])
    own = _in(DailyAmount(amount.value, amount.value, amount.unit), daily.unit, strength)
    if own is None:
        return None
    unit = unit_of(quantity)
    if (unit is None or unit.bare) and own.high < daily.high:
        return None
    return Lasting(round(own.high / daily.high, 9), round(own.high / daily.low, 9), daily.as_needed)


def quantity_in_units(quantity: Quantity, drug_text: str = "") -> DoseAmount | None:
    """A dispensed quantity as an amount: by its unit, or units where it has none and the product is counted."""
    if (quantity.unit or quantity.code).strip():
        return amount_of(quantity)
    value = usable(quantity.value)
    return DoseAmount(value, "unit") if value is not None and is_counted(drug_text) else None


def _of_dosage(dosage: Dosage, strength: Strength | None) -> DailyAmount | None:
    """One instruction; where structure and sig can both be read the structure counts."""
    found = _day_amount(dosage, strength) if dosage.has_rate else _dose_by_rate(dosage, strength)
    if found is None:
        found = read_daily(dosage.text, strength) if dosage.text else None
    if found is None:
        return None
    found = _capped(found, dosage, strength)
    return DailyAmount(found.low, found.high, found.unit, found.as_needed or dosage.as_needed)


def _dose_by_rate(dosage: Dosage, strength: Strength | None) -> DailyAmount | None:
    high = high_of(dosage)
    top = amount_of(high) if high is not None else None
    if top is None or top.value <= 0:
        return None
    rate = rate_of_dosage(dosage)
    if rate is None:
        return _only_capped(top, dosage, strength)
    top = _at_most(top, dosage.max_each, strength)
    bottom = (amount_of(dosage.dose_low) if dosage.dose_low is not None else None) or top
    low = bottom.value if bottom.unit == top.unit and 0 < bottom.value <= top.value else top.value
    return DailyAmount(low * rate.fewest / rate.days, rate.of(top.value), top.unit)


def _only_capped(each: DoseAmount, dosage: Dosage, strength: Strength | None) -> DailyAmount | None:
    """As needed without a frequency: from one dose to the stated maximum of a day."""
    if not dosage.as_needed or dosage.max_per_period is None or dosage.timing_words:
        return None
    amount, rate = amount_of(dosage.max_per_period[0]), per_time(dosage.max_per_period[1])
    limit = _limit(amount, rate, each.unit, strength)
    return DailyAmount(min(each.value, limit), limit, each.unit, True) if limit else None


def _at_most(amount: DoseAmount, most: Quantity | None, strength: Strength | None) -> DoseAmount:
    limit = amount_of(most) if most is not None else None
    if limit is None or limit.value <= 0:
        return amount
    there = _in(DailyAmount(limit.value, limit.value, limit.unit), amount.unit, strength)
    return amount if there is None else DoseAmount(min(amount.value, there.high), amount.unit)


def _day_amount(dosage: Dosage, strength: Strength | None) -> DailyAmount | None:
    """The amount of a day, unless dose and frequency beside it say another."""
    if dosage.day_amount is None:
        return None
    amount, rate = amount_of(dosage.day_amount[0]), per_time(dosage.day_amount[1])
    if amount is None or rate is None or amount.value <= 0:
        return None
    daily = rate.of(amount.value)
    beside = _dose_by_rate(dosage, strength)
    if beside is not None and beside.unit == amount.unit and not same(beside.high, daily):
        return None
    return DailyAmount(daily, daily, amount.unit)


def _capped(found: DailyAmount, dosage: Dosage, strength: Strength | None) -> DailyAmount:
    if dosage.max_per_period is None:
        return found
    amount, rate = amount_of(dosage.max_per_period[0]), per_time(dosage.max_per_period[1])
    limit = _limit(amount, rate, found.unit, strength)
    if limit is None or limit <= 0:
        return found
    return DailyAmount(min(found.low, limit), min(found.high, limit), found.unit, found.as_needed)


def _limit(
    amount: DoseAmount | None, rate: Rate | None, unit: str, strength: Strength | None
) -> Decimal | None:
    if amount is None or rate is None:
        return None
    there = _in(DailyAmount(amount.value, amount.value, amount.unit), unit, strength)
    return None if there is None else rate.of(there.high)


def _in(amount: DailyAmount, unit: str, strength: Strength | None) -> DailyAmount | None:
    """The same amount in another unit, by way of mg; None where the strength does not lead there."""
    if amount.unit == unit:
        return amount
    one, other = _mg_of_one(amount.unit, strength), _mg_of_one(unit, strength)
    if not one or not other:
        return None
    return DailyAmount(amount.low * one / other, amount.high * one / other, unit, amount.as_needed)


def _mg_of_one(unit: str, strength: Strength | None) -> Decimal | None:
    return mg_of(DoseAmount(ONE, unit), strength)


def _together(dosages: tuple[Dosage, ...], amounts: list[DailyAmount]) -> DailyAmount:
    pairs = list(zip(dosages, amounts, strict=True))
    always = [amount for dosage, amount in pairs if dosage.sequence is None]
    numbers = sorted({d.sequence for d in dosages if d.sequence is not None})
    phases = [
        [*always, *(amount for dosage, amount in pairs if dosage.sequence == n)] for n in numbers
    ] or [always]
    return DailyAmount(
        min(_sum(a.low for a in phase) for phase in phases),
        max(_sum(a.high for a in phase) for phase in phases),
        amounts[0].unit,
        any(a.as_needed for a in amounts),
    )


def _sum(parts: Iterable[Decimal]) -> Decimal:
    return sum(parts, Decimal(0))
