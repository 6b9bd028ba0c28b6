"""What an order says about time and amount: its dates, the bounds of its course, its fills (specification 2.4).

One reader for DSTU2, STU3, R4 and R5: what differs is a handful of member names, and each is tried in turn. A date
that is written and cannot be read is named, so that it becomes a gap and not a silence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from typing import Any

from cds_service.fhir.dates import is_unreadable, read_day, read_days
from cds_service.fhir.values import as_decimal, as_dict, as_list, first_present, read_quantity
from cds_service.model import Course, Day, Json, Quantity, Supply

_AUTHORED = ("authoredOn", "dateWritten")
_GIVEN = (
    "effectiveDateTime",
    "effectiveTimeDateTime",
    "occurenceDateTime",
    "occurrenceDateTime",
    "performedDateTime",
)
_PERIODS = (
    "effectivePeriod",
    "effectiveTimePeriod",
    "effectiveDosePeriod",
    "occurencePeriod",
    "occurrencePeriod",
    "performedPeriod",
)
_HANDED_OVER = ("whenHandedOver", "whenPrepared", "recorded")
_MOST_REPEATS = 1000


# --- dates ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Written:
    """A member of the resource where a date belongs, with what stands there."""

    name: str
    value: object


def read_authored(resource: Json, zone: tzinfo) -> Day | None:
    return read_day(first_present(resource, *_AUTHORED), zone)


def read_asserted(resource: Json, zone: tzinfo) -> Day | None:
    """``dateAsserted`` of a statement; R5 dispenses and statements may say ``recorded``."""
    return read_day(first_present(resource, "dateAsserted"), zone)


def read_given(resource: Json) -> object:
    """What stands where an administration says when it was: a moment, else the end of a period, else its start."""
    return first_present(resource, *_GIVEN) or first_present(_period(resource), "end", "start")


def read_handed_over(resource: Json, zone: tzinfo) -> Day | None:
    return read_day(first_present(resource, *_HANDED_OVER), zone)


def read_updated(resource: Json, zone: tzinfo) -> Day | None:
    return read_day(as_dict(resource.get("meta")).get("lastUpdated"), zone)


def unread_dates(resource: Json, zone: tzinfo) -> tuple[str, ...]:
    """The members whose date is written and cannot be read, by name."""
    return tuple(
        dict.fromkeys(w.name for w in _written_dates(resource) if is_unreadable(w.value, zone))
    )


def _written_dates(resource: Json) -> Iterable[_Written]:
    names = (*_AUTHORED, *_GIVEN, *_HANDED_OVER, "dateAsserted", "dateEnded", "statusChanged")
    yield from (_Written(name, resource[name]) for name in names if name in resource)
    for name in _PERIODS:
        yield from _ends_of(name, resource.get(name))
    for repeat in _repeats(resource):
        yield from _ends_of("boundsPeriod", repeat.get("boundsPeriod"))
    yield from _ends_of(
        "validityPeriod", as_dict(resource.get("dispenseRequest")).get("validityPeriod")
    )


def _ends_of(name: str, period: object) -> Iterable[_Written]:
    yield from (
        _Written(f"{name}.{side}", as_dict(period)[side])
        for side in ("start", "end")
        if side in as_dict(period)
    )


def _period(resource: Json) -> Json:
    return as_dict(first_present(resource, *_PERIODS))


# --- the course -------------------------------------------------------------------------------------------------------


def read_course(resource: Json, zone: tzinfo) -> Course:
    """First and last day and length, by the effective period and the bounds of the timing."""
    period, bounds = (
        _period(resource),
        [_Bounds.read(repeat, zone) for repeat in _repeats(resource)],
    )
    start = read_day(period.get("start") or resource.get("effectiveDateTime"), zone) or min(
        (b.start for b in bounds if b.start), key=lambda day: day.first, default=None
    )
    end, end_of = read_day(period.get("end"), zone), "effectivePeriod.end"
    if end is None and bounds and all(b.end for b in bounds):
        end, end_of = (
            max((b.end for b in bounds if b.end), key=lambda day: day.last),
            "boundsPeriod.end",
        )
    return Course(start, end, end_of if end else "", _length(bounds, resource))


@dataclass(frozen=True, slots=True)
class _Bounds:
    """``bounds[x]`` of one timing: a period, or a length with its shortest and longest reading."""

    start: Day | None
    end: Day | None
    days: tuple[Decimal, Decimal] | None

    @classmethod
    def read(cls, repeat: Mapping[str, Any], zone: tzinfo) -> _Bounds:
        period, span = as_dict(repeat.get("boundsPeriod")), as_dict(repeat.get("boundsRange"))
        whole = read_days(first_present(repeat, "boundsDuration", "boundsQuantity"))
        low, high = (
            (whole, whole) if whole else (read_days(span.get("low")), read_days(span.get("high")))
        )
        shortest, longest = low or high, high or low
        return cls(
            read_day(period.get("start"), zone),
            read_day(period.get("end"), zone),
            (shortest, longest) if shortest and longest else None,
        )


def _length(bounds: list[_Bounds], resource: Json) -> tuple[Decimal, Decimal] | None:
    """Phases (different sequences) follow each other, the lines of one phase run side by side."""
    phases: dict[object, list[tuple[Decimal, Decimal]]] = defaultdict(list)
    for dosage, bound in zip(_dosages(resource), bounds, strict=True):
        if bound.days is None:
            return None
        phases[str(dosage.get("sequence"))].append(bound.days)
    if not phases:
        return None
    return (
        sum((max(low for low, _ in lines) for lines in phases.values()), Decimal(0)),
        sum((max(high for _, high in lines) for lines in phases.values()), Decimal(0)),
    )


def _dosages(resource: Json) -> list[Mapping[str, Any]]:
    return [
        as_dict(item) for item in as_list(first_present(resource, "dosageInstruction", "dosage"))
    ]


def _repeats(resource: Json) -> list[Mapping[str, Any]]:
    return [as_dict(as_dict(dosage.get("timing")).get("repeat")) for dosage in _dosages(resource)]


# --- the supply -------------------------------------------------------------------------------------------------------


def read_supply(resource: Json, zone: tzinfo) -> Supply:
    """Days and quantity of one fill, and how many fills: of a request, or of one dispense."""
    request = as_dict(resource.get("dispenseRequest"))
    first = as_dict(request.get("initialFill"))
    return Supply(
        days=_days_of_supply(
            first_present(request, "expectedSupplyDuration") or resource.get("daysSupply")
        ),
        quantity=_quantity(first_present(request, "quantity") or resource.get("quantity")),
        repeats=_repeats_allowed(request),
        first_days=read_days(first.get("duration")),
        first_quantity=_quantity(first.get("quantity")),
        valid_until=read_day(as_dict(request.get("validityPeriod")).get("end"), zone),
    )


def _days_of_supply(value: object) -> Decimal | None:
    """A Duration; a bare number under these names can only be days."""
    return read_days({"value": value} if as_decimal(value) is not None else value)


def _quantity(value: object) -> Quantity | None:
    """An amount above zero; a bare number is an amount without a unit."""
    number = as_decimal(value)
    quantity = Quantity(number) if number is not None else read_quantity(value)
    return quantity if quantity and quantity.value is not None and quantity.value > 0 else None


def _repeats_allowed(request: Json) -> int:
    number = as_decimal(request.get("numberOfRepeatsAllowed"))
    return min(max(int(number), 0), _MOST_REPEATS) if number is not None else 0
