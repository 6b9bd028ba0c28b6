"""Read one dosage instruction of any release into the one shape that dosing understands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from decimal import Decimal
from typing import Any

from cds_service.dosing.units import time_unit
from cds_service.fhir.dates import read_date
from cds_service.fhir.values import (
    MOST,
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
    """All instructions in the order written; wrong-typed members are absent members.

    None of more than ``MOST``: a dose that a part of them states is not the dose.
    """
    written = as_list(first_present(resource, "dosageInstruction", "dosage"))
    return tuple(_read_dosage(as_dict(item), zone) for item in written if len(written) <= MOST)


def _read_dosage(item: Mapping[str, Any], zone: tzinfo) -> Dosage:
    timing = as_dict(item.get("timing"))
    repeat = as_dict(timing.get("repeat"))
    holder = _dose_holder(item)
    low, high = _read_dose(holder)
    has_rate = any(name.startswith("rate") and holder[name] for name in holder)
    bounds = as_dict(repeat.get("boundsPeriod"))
    sequence = as_decimal(item.get("sequence"))
    code, words = _timing_code(timing.get("code"))
    return Dosage(
        sequence=int(sequence) if sequence is not None else None,
        text=as_text(item.get("text")),
        dose_low=low,
        dose_high=high,
        has_rate=has_rate,
        frequency=as_decimal(first_present(repeat, "frequency")),
        frequency_max=as_decimal(repeat.get("frequencyMax")),
        period=as_decimal(repeat.get("period")),
        period_max=as_decimal(repeat.get("periodMax")),
        period_unit=as_text(first_present(repeat, "periodUnit", "periodUnits")),
        timing_code=code,
        timing_words=words,
        when=tuple(texts(repeat.get("when"))),
        time_of_day=tuple(texts(repeat.get("timeOfDay"))),
        day_of_week=tuple(texts(repeat.get("dayOfWeek"))),
        as_needed=_as_needed(item),
        max_per_period=_read_ratio(item.get("maxDosePerPeriod")),
        max_each=read_quantity(item.get("maxDosePerAdministration")),
        day_amount=_day_amount(holder) if has_rate else None,
        bounds_start=read_date(bounds.get("start"), zone),
        bounds_end=read_date(bounds.get("end"), zone),
        route=read_concept(item.get("route")),
    )


def _timing_code(value: object) -> tuple[str, tuple[str, ...]]:
    """(first code, the other codes and words) of ``timing.code``, which is a concept; a bare code is tolerated."""
    if not value:
        return "", ()
    concept = read_concept(value)
    codes = [c.code for c in concept.codings if c.code]
    words = (*codes[1:], *(c.display for c in concept.codings), concept.text)
    return codes[0] if codes else "", tuple(dict.fromkeys(word for word in words if word.strip()))


def _as_needed(item: Mapping[str, Any]) -> bool:
    return (
        item.get("asNeededBoolean") is True
        or item.get("asNeeded") is True
        or bool(first_present(item, "asNeededCodeableConcept", "asNeededFor"))
    )


# DSTU2 statements write quantity[x], DSTU2 administrations quantity, where later releases write dose[x].
_AMOUNTS = frozenset(
    {"doseQuantity", "doseRange", "dose", "quantityQuantity", "quantityRange", "quantity"}
)


def _dose_holder(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where the dose stands: R4 keeps it in ``doseAndRate`` (a list, or an object), older releases beside it.

    Of several the one that was ordered counts, else the first that is an amount.
    """
    holders = [as_dict(d) for d in as_list(item.get("doseAndRate"))]
    amounts = [h for h in holders if _AMOUNTS & h.keys()] or holders or [item]
    if len(amounts) > 1:
        return next((h for h in amounts if _is_ordered(h)), amounts[0])
    return amounts[0]


def _is_ordered(holder: Mapping[str, Any]) -> bool:
    return any(c.code.lower() == "ordered" for c in read_concept(holder.get("type")).codings)


def _read_dose(holder: Mapping[str, Any]) -> tuple[Quantity | None, Quantity | None]:
    """Both ends of the dose."""
    plain = read_quantity(
        first_present(
            holder, "doseQuantity", "doseSimpleQuantity", "dose", "quantityQuantity", "quantity"
        )
    )
    if plain:
        return plain, plain
    dose_range = as_dict(first_present(holder, "doseRange", "quantityRange"))
    low, high = read_quantity(dose_range.get("low")), read_quantity(dose_range.get("high"))
    return low or high, high or low


def _day_amount(holder: Mapping[str, Any]) -> tuple[Quantity, Quantity] | None:
    """A rate of whole days is an amount of medicine a day (JP Core); mL per hour is an infusion."""
    rate = _read_ratio(holder.get("rateRatio")) or _per_day(
        read_quantity(holder.get("rateQuantity"))
    )
    return rate if rate and time_unit(rate[1]) in {"d", "w"} else None


def _per_day(rate: Quantity | None) -> tuple[Quantity, Quantity] | None:
    """ "4.5 mg/d" as 4.5 mg and one day."""
    if rate is None:
        return None
    amount, per, time = (rate.code or rate.unit).partition("/")
    return (
        (Quantity(rate.value, amount), Quantity(Decimal(1), time))
        if per and amount and time
        else None
    )


def _read_ratio(value: object) -> tuple[Quantity, Quantity] | None:
    if not value:
        return None
    ratio = next(iter(as_list(value)), None)
    amount, time = (
        read_quantity(as_dict(ratio).get(side)) for side in ("numerator", "denominator")
    )
    return (amount, time) if amount and time else None
