"""Read one dosage instruction of any release into the one shape that dosing understands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from cds_service.fhir.dates import read_date
from cds_service.fhir.values import (
    as_decimal,
    as_dict,
    as_list,
    as_text,
    first_present,
    read_concept,
    read_quantity,
    texts,
)
from cds_service.model import Dosage, Json, Quantity


def read_dosages(resource: Json, zone: tzinfo) -> tuple[Dosage, ...]:
    """All instructions in the order written; wrong-typed members are absent members."""
    written = first_present(resource, "dosageInstruction", "dosage")
    return tuple(_read_dosage(as_dict(item), zone) for item in as_list(written))


def _read_dosage(item: Mapping[str, Any], zone: tzinfo) -> Dosage:
    timing = as_dict(item.get("timing"))
    repeat = as_dict(timing.get("repeat"))
    low, high, has_rate = _read_dose(item)
    bounds = as_dict(repeat.get("boundsPeriod"))
    sequence = as_decimal(item.get("sequence"))
    return Dosage(
        sequence=int(sequence) if sequence is not None else None,
        text=as_text(item.get("text")),
        dose_low=low, dose_high=high, has_rate=has_rate,
        frequency=as_decimal(first_present(repeat, "frequency")),
        frequency_max=as_decimal(repeat.get("frequencyMax")),
        period=as_decimal(repeat.get("period")),
        period_unit=as_text(first_present(repeat, "periodUnit", "periodUnits")),
        timing_code=_timing_code(timing.get("code")),
        when=tuple(texts(repeat.get("when"))),
        time_of_day=tuple(texts(repeat.get("timeOfDay"))),
        day_of_week=tuple(texts(repeat.get("dayOfWeek"))),
        as_needed=_as_needed(item),
        max_per_period=_read_maximum(item),
        bounds_start=read_date(bounds.get("start"), zone),
        bounds_end=read_date(bounds.get("end"), zone),
        route=read_concept(item.get("route")),
    )


def _timing_code(value: object) -> str:
    """``timing.code`` is a concept (a bare code is tolerated)."""
    concept = read_concept(value)
    return next((c.code for c in concept.codings if c.code), concept.text)


def _as_needed(item: Mapping[str, Any]) -> bool:
    return item.get("asNeededBoolean") is True or item.get("asNeeded") is True \
        or bool(first_present(item, "asNeededCodeableConcept", "asNeededFor"))


def _read_dose(item: Mapping[str, Any]) -> tuple[Quantity | None, Quantity | None, bool]:
    """(low, high, has a rate). R4 keeps the dose in ``doseAndRate`` (a list, or an object), older releases beside it."""
    holders = [as_dict(d) for d in as_list(item.get("doseAndRate"))] or [item]
    holder = next((h for h in holders if "doseQuantity" in h or "doseRange" in h or "dose" in h), holders[0])
    has_rate = any(name.startswith("rate") and holder[name] for name in holder)
    plain = read_quantity(first_present(holder, "doseQuantity", "doseSimpleQuantity", "dose"))
    if plain:
        return plain, plain, has_rate
    dose_range = as_dict(holder.get("doseRange"))
    low, high = read_quantity(dose_range.get("low")), read_quantity(dose_range.get("high"))
    return low or high, high or low, has_rate


def _read_maximum(item: Mapping[str, Any]) -> tuple[Quantity, Quantity] | None:
    ratio = next(iter(as_list(item.get("maxDosePerPeriod"))), None)
    amount, time = (read_quantity(as_dict(ratio).get(side)) for side in ("numerator", "denominator"))
    return (amount, time) if amount and time else None
