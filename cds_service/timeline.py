"""Medication -> Exposure: is it in the body now, since when not, and how surely (specification 2.4).

Days are whole calendar days in the configured zone; only administrations look at the clock. Where two readings are
possible the one that keeps the drug closer to today is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import Any

from cds_service.model import Exposure, Medication, Order, Role, Standing, State

DEPOT_ROLES = frozenset({Role.NTX_XR, Role.NTX_IMPLANT, Role.BUP_DEPOT})
_IMPLANT = re.compile(r"implant|pellet|probuphine", re.IGNORECASE)
_WEEKLY = re.compile(r"weekly|(?<!\d)50 ?mg/ ?ml", re.IGNORECASE)  # Brixadi weekly is 50 mg/mL, monthly 356 mg/mL
_MONTHLY = re.compile(r"monthly", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Clock:
    """The moment of the call: ``now`` with an offset, ``today`` in the configured zone."""

    now: datetime
    today: date


@dataclass(frozen=True, slots=True)
class Doses:
    """Dates on which depots were given or handed over, by ingredient and role, latest first read as the last dose."""

    last: Mapping[tuple[str, Role], date]

    def last_for(self, medication: Medication) -> date | None:
        """The latest recorded dose of a depot in this product; None for other products and where none is recorded."""
        days = [self.last[key] for key in _depots(medication) if key in self.last]
        return max(days, default=None)


def gather_doses(medications: Iterable[Medication]) -> Doses:
    """Last dose dates of depots from administrations and dispenses that were really given or handed over."""
    last: dict[tuple[str, Role], date] = {}
    for medication in medications:
        order = medication.order
        day = order.given_on if order.kind == "administration" else order.handed_over
        if day is None or order.standing is not Standing.GIVEN:
            continue
        for key in _depots(medication):
            last[key] = max(day, last.get(key, day))
    return Doses(last)


def _depots(medication: Medication) -> list[tuple[str, Role]]:
    return [(c.ingredient, c.role) for c in medication.recognition.components if c.role in DEPOT_ROLES]


def depot_interval(medication: Medication, thresholds: Mapping[str, Any]) -> int:
    """Days that one depot dose is meant to last: weekly 7, monthly 28, implant 180 (specification 2.5)."""
    days: Mapping[str, int] = thresholds["depot_interval_days"]
    drug = medication.order.drug
    words = " ".join([medication.order.label, drug.concept.text, drug.form.label,
                      *(c.display for c in drug.concept.codings)])
    if _IMPLANT.search(words):
        return days["implant"]
    return days["weekly"] if _WEEKLY.search(words) and not _MONTHLY.search(words) else days["monthly"]


def expose(medication: Medication, clock: Clock, doses: Doses, thresholds: Mapping[str, Any]) -> Exposure:
    """The exposure that one listed, not excluded medicine stands for."""
    order = medication.order
    match order.kind, order.standing:
        case _, Standing.HELD:
            exposure = _held(medication, clock, doses)
        case "administration", _:
            exposure = _administered(medication, clock)
        case "dispense", _:
            exposure = _dispensed(medication, clock, thresholds)
        case _, Standing.ENDED:
            exposure = _ended(medication, clock, doses, thresholds)
        case _:
            exposure = _active(medication, clock, doses, thresholds)
    return _with_interval(exposure, thresholds)


def _with_interval(exposure: Exposure, thresholds: Mapping[str, Any]) -> Exposure:
    if not _depots(exposure.medication):
        return exposure
    return replace(exposure, interval_days=depot_interval(exposure.medication, thresholds))


def stopped_today(medication: Medication, clock: Clock, doses: Doses, thresholds: Mapping[str, Any]) -> Exposure:
    """An order of this call that is being stopped or completed: day 0 of the interval (specification 2.1.3)."""
    start = medication.order.start or medication.order.authored
    last = doses.last_for(medication)
    return _with_interval(Exposure(
        medication, State.RECENT, days=0, last_dose_days=days_between(last or clock.today, clock.today),
        brief=_is_brief(start, clock.today, thresholds), because="being stopped in this call",
        on=clock.today, dated="ended"), thresholds)


def settle_brief(exposures: Iterable[Exposure]) -> tuple[Exposure, ...]:
    """An administration counts as brief only while it stands alone: a longer course of the same drug makes it chronic."""
    listed = tuple(exposures)
    longer = {c.ingredient for e in listed if e.medication.order.kind != "administration" and not e.brief
              for c in e.medication.recognition.components}
    return tuple(
        replace(e, brief=False) if e.brief and e.medication.order.kind == "administration"
        and any(c.ingredient in longer for c in e.medication.recognition.components) else e
        for e in listed)


def days_between(earlier: date, later: date) -> int:
    """Whole calendar days; a date in the future counts as today."""
    return max(0, (later - earlier).days)


# --- one way per kind of resource -------------------------------------------------------------------------------------

def _held(medication: Medication, clock: Clock, doses: Doses) -> Exposure:
    order = medication.order
    last = doses.last_for(medication) or order.given_on or order.handed_over
    proxy = last or order.end or order.start or order.authored
    return Exposure(
        medication, State.HELD, last_dose_days=days_between(proxy, clock.today) if proxy else None,
        because=f"status {order.status or 'missing'}: last dose to be confirmed", on=last or order.authored,
        dated="dose" if last else "written")


def _administered(medication: Medication, clock: Clock) -> Exposure:
    order = medication.order
    if order.given_on is None:
        return Exposure(medication, State.HELD, because="given, but without a time")
    days = days_between(order.given_on, clock.today)
    fresh = (clock.now - order.given_at < timedelta(hours=24)) if order.given_at else days <= 1
    state = State.CURRENT if fresh else State.RECENT
    return Exposure(medication, state, days=days, last_dose_days=days, brief=True,
                    because="given less than 24 hours ago" if fresh else f"given {days} days ago",
                    on=order.given_on, dated="dose")


def _dispensed(medication: Medication, clock: Clock, thresholds: Mapping[str, Any]) -> Exposure:
    order = medication.order
    if order.handed_over is None:
        return Exposure(medication, State.HELD, because="dispensed, but without a date")
    since = days_between(order.handed_over, clock.today)
    supply = order.supply_days
    if supply is None:
        return _dispensed_without_supply(medication, since, thresholds)
    end = _plus(order.handed_over, supply)
    if clock.today <= end:
        return Exposure(medication, State.CURRENT, days=0, last_dose_days=since,
                        because="dispensed supply lasts", on=order.handed_over, dated="dispensed")
    days = days_between(end, clock.today)
    return Exposure(medication, State.RECENT, days=days, last_dose_days=since,
                    brief=supply <= thresholds["brief_course_days"],
                    because=f"dispensed supply ended {days} days ago", on=end, dated="ended")


def _dispensed_without_supply(medication: Medication, since: int, thresholds: Mapping[str, Any]) -> Exposure:
    current, held = (thresholds["dispense_without_supply_days"][k] for k in ("current", "held"))
    state = State.CURRENT if since <= current else State.HELD if since <= held else State.RECENT
    return Exposure(medication, state, days=max(0, since - current), last_dose_days=since,
                    because=f"dispensed {since} days ago, days of supply unknown", on=medication.order.handed_over,
                    dated="dispensed")


def _ended(medication: Medication, clock: Clock, doses: Doses, thresholds: Mapping[str, Any]) -> Exposure:
    order = medication.order
    last = doses.last_for(medication)
    start = order.start or order.authored
    supplied = _supply_end(order)
    end = last or order.end or (min(supplied, clock.today) if supplied else None)
    known_end = end is not None
    end = end or start
    if end is None:
        return Exposure(medication, State.HELD, because=f"{order.status} without any date: last dose to be confirmed")
    days = days_between(end, clock.today)
    return Exposure(
        medication, State.RECENT, days=days, last_dose_days=days_between(last, clock.today) if last else days,
        brief=known_end and last is None and _is_brief(start, min(end, clock.today), thresholds),
        because=f"{order.status}, ended {days} days ago", on=min(end, clock.today), dated="dose" if last else "ended")


def _active(medication: Medication, clock: Clock, doses: Doses, thresholds: Mapping[str, Any]) -> Exposure:
    order = medication.order
    last = doses.last_for(medication)
    stale = _why_stale(medication, last, clock.today, thresholds)
    return Exposure(
        medication, State.STALE if stale else State.CURRENT,
        last_dose_days=days_between(last, clock.today) if last else None,
        because=stale or "on the active list", on=last or order.authored or order.start,
        dated="dose" if last else "written")


def _why_stale(medication: Medication, last: date | None, today: date, thresholds: Mapping[str, Any]) -> str:
    """Why an active entry looks out of date; "" while it does not."""
    order, grace = medication.order, thresholds["stale_grace_days"]
    if last is not None:
        lasts = depot_interval(medication, thresholds) + grace
        return f"last dose more than {lasts} days ago" if days_between(last, today) > lasts else ""
    end = order.end or _supply_end(order)
    if end is not None:
        return "supply ended more than 30 days ago" if (today - end).days > grace else ""
    authored = order.authored or order.start
    old = authored is not None and (today - authored).days > thresholds["stale_authored_days"]
    return "ordered more than a year ago, no supply data" if old else ""


def _supply_end(order: Order) -> date | None:
    start = order.start or order.authored
    if start is None or order.supply_days is None:
        return None
    return _plus(start, order.supply_days * (1 + order.refills))


def _plus(day: date, days: Decimal) -> date:
    try:
        return day + timedelta(days=ceil(days))
    except OverflowError:
        return date.max


def _is_brief(start: date | None, end: date, thresholds: Mapping[str, Any]) -> bool:
    return start is not None and (end - start).days <= thresholds["brief_course_days"]
