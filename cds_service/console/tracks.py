"""One exposure as a bar: from the evidence of its start to the evidence, or the bounds, of its end. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from cds_service.exposure.supply import start_of
from cds_service.fhir.values import resource_ref
from cds_service.model import Exposure, State


@dataclass(frozen=True, slots=True)
class Span:
    """Days from ``first`` to ``last``, both included, on which the same holds. ``kind`` is an indicator."""

    first: date
    last: date
    kind: str


@dataclass(frozen=True, slots=True)
class Track:
    """One exposure. It is sure from ``starts`` to ``sure_to``; from there to ``may_to`` it cannot be excluded.

    ``may_to`` None = no end is known. ``started_by`` and ``ended_by`` name the evidence. ``spans`` are the days on which
    a draft would be told of it, and how. ``ref`` is "" where the record has no id.
    """

    ref: str
    label: str
    state: str
    because: str
    starts: date | None
    sure_to: date | None
    may_to: date | None
    started_by: str
    ended_by: str
    clear_on: date | None
    spans: tuple[Span, ...]


def track_of(exposure: Exposure, today: date, spans: tuple[Span, ...]) -> Track:
    """The exposure as it is drawn on this day."""
    order = exposure.medication.order
    starts, started_by = start_and_evidence(exposure)
    sure, may, ended_by = end_and_evidence(exposure, today)
    return Track(
        resource_ref(order.resource),
        order.label,
        exposure.state.value,
        exposure.because,
        starts,
        sure,
        may,
        started_by,
        ended_by,
        exposure.clear_on,
        spans,
    )


def start_and_evidence(exposure: Exposure) -> tuple[date | None, str]:
    """The first day of which there is evidence, and what that is."""
    order = exposure.medication.order
    if order.given:
        return order.given.first, "administration"
    day = start_of(order)
    if day is None:
        return None, ""
    known = (
        (order.course.start, "start of the course"),
        (order.handed_over, "dispensed"),
        (order.authored, "written"),
        (order.asserted, "asserted"),
    )
    return day.first, next((what for named, what in known if named == day), "")


def end_and_evidence(exposure: Exposure, today: date) -> tuple[date | None, date | None, str]:
    """(sure until, cannot be excluded until, by what)."""
    start, _ = start_and_evidence(exposure)
    if exposure.interval_days is not None and exposure.last_dose_days is not None:
        dose = today - timedelta(days=exposure.last_dose_days)
        over = dose + timedelta(days=exposure.interval_days)
        return (
            over,
            over,
            f"last dose {dose.isoformat()}, made to last {exposure.interval_days} days",
        )
    if exposure.ending is not None:
        return exposure.ending.on, exposure.ending.on, exposure.ending.what
    if (supply := exposure.run_out) is not None:
        still = exposure.state is State.CURRENT
        may = max(supply.latest, today) if still else exposure.latest_day or supply.latest
        sure = min(supply.earliest, today) if still else supply.earliest
        return min(sure, may), may, f"supply: {supply.by}"
    if exposure.latest_day is not None:
        return start, exposure.latest_day, "at the latest"
    return (today if exposure.state is State.CURRENT else start), None, ""
