"""The amount that an order's instructions allow in a day, at least and at most, for the quantity to be divided by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from cds_service.dosing.amounts import COUNTS, VOLUMES
from cds_service.dosing.structured import compute
from cds_service.exposure.supply import DailyAmount
from cds_service.model import Component, Dosage, Medication, Role, Strength

_RANGE = re.compile(r"\d\s?(?:-|–|to|or|bis|à|a)\s?\d", re.IGNORECASE)
_MASS_OR_VOLUME = re.compile(r"\d\s?(?:m?c?g|µg|μg|ml|units?)\b", re.IGNORECASE)


def daily_amount(medication: Medication) -> DailyAmount | None:
    """None without a quantity to divide, or where the dose or its frequency cannot be read."""
    order = medication.order
    supplies = (order.supply, order.linked_supply)
    dosages = order.dosages or order.linked_dosages
    if not dosages or not any(s and (s.quantity or s.first_quantity) for s in supplies):
        return None
    readings = (_between(dosages, component, unit) for component, unit in _readings(medication, dosages))
    return next((amount for amount in readings if amount), None)


def _readings(medication: Medication, dosages: tuple[Dosage, ...]) -> Iterator[tuple[Component, str]]:
    """By the strength of the product; without one, tablets and millilitres are counted as they are."""
    for component in medication.recognition.components:
        if component.strength is not None:
            yield component, "mg"
    for unit, words in (("unit", COUNTS), ("mL", VOLUMES)):
        if all(_is_in(dosage, unit, words) for dosage in dosages):
            yield Component("", "", Role.FULL_SA, Strength(Decimal(1), Decimal(1), unit)), unit


def _is_in(dosage: Dosage, unit: str, words: frozenset[str]) -> bool:
    if dosage.dose_high is not None:
        return dosage.dose_high.unit.strip().strip("{}").lower().removesuffix("(s)") in words
    return unit == "unit" and bool(dosage.text) and not _MASS_OR_VOLUME.search(dosage.text)


def _between(dosages: tuple[Dosage, ...], component: Component, unit: str) -> DailyAmount | None:
    high = compute(dosages, component)
    if high.daily_mg is None or high.daily_mg <= 0 or high.phases > 1:
        return None
    low = compute(tuple(replace(d, dose_high=d.dose_low, frequency_max=None) for d in dosages), component).daily_mg
    unclear = high.structured_mg is None and any(_RANGE.search(d.text) for d in dosages)
    return DailyAmount(Decimal(0) if unclear or low is None else min(low, high.daily_mg), high.daily_mg, unit)
