"""When a finished item ended: by evidence, or not later than a day that can be bounded (specification 2.4).

A start date is never an end date. Where nothing bounds the last dose the answer is None: it has to be asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from cds_service.exposure.calendar import add_days
from cds_service.exposure.depot import Doses, gather_doses
from cds_service.exposure.supply import sound_end
from cds_service.model import Day, Ending, Medication, Order, RunOut, Standing

DOSES = frozenset(
    {"administration", "last dose"}
)  # endings that are a dose, and no entry of a date


@dataclass(frozen=True, slots=True)
class Listed:
    """What the other entries of the list say about one of them.

    ``given`` and ``handed_over`` hold the days by the order that an administration or a dispense names; ``bulk`` are
    days on which so much of the list was changed at once that the change says nothing about one entry.
    """

    doses: Doses
    given: Mapping[str, tuple[date, ...]]
    handed_over: Mapping[str, tuple[date, ...]]
    bulk: frozenset[date] = frozenset()

    def last_given(self, order: Order) -> date | None:
        return max(self.given.get(order.ref, ()), default=None)

    def fills(self, order: Order) -> int:
        return len(self.handed_over.get(order.ref, ()))

    def changed(self, order: Order) -> Day | None:
        """The day of the record's last change, where it says something about this record."""
        day = order.updated
        return None if day is None or day.last in self.bulk else day


def gather(
    medications: Iterable[Medication], updates: Iterable[date], thresholds: Mapping[str, Any]
) -> Listed:
    """Doses, fills and bulk changes of a whole list. ``updates`` are the last changes of all its entries."""
    known = tuple(medications)
    given: dict[str, set[date]] = {}
    handed_over: dict[str, set[date]] = {}
    for order in (m.order for m in known if m.order.standing is Standing.GIVEN):
        day, days = (
            (order.given, given)
            if order.kind == "administration"
            else (order.handed_over, handed_over)
        )
        if day is not None:
            for ref in order.based_on:
                days.setdefault(ref, set()).add(day.last)
    return Listed(
        gather_doses(known),
        {ref: tuple(d) for ref, d in given.items()},
        {ref: tuple(d) for ref, d in handed_over.items()},
        _bulk(updates, thresholds["bulk_update"]),
    )


def _bulk(updates: Iterable[date], limits: Mapping[str, Any]) -> frozenset[date]:
    counted = Counter(updates)
    entries = counted.total()
    if entries < limits["entries"]:
        return frozenset()
    return frozenset(day for day, number in counted.items() if number > entries * limits["share"])


# --- evidence of the end itself ---------------------------------------------------------------------------------------


def documented(order: Order, listed: Listed, today: date) -> Ending | None:
    """The end as somebody recorded it: last administration, ``dateEnded``, effective period, bounds that are over."""
    last = listed.last_given(order)
    return (
        Ending(min(last, today), "administration") if last is not None else stated_end(order, today)
    )


def stated_end(order: Order, today: date) -> Ending | None:
    """The end that the item itself states; one still to come is no evidence."""
    stated = ((order.ended, "dateEnded"), (sound_end(order), order.course.end_of))
    return next(
        (
            Ending(min(day.last, today), what, day.is_exact)
            for day, what in stated
            if day and day.first <= today
        ),
        None,
    )


def is_housekeeping(ending: Ending, supplied: RunOut | None, thresholds: Mapping[str, Any]) -> bool:
    """True for an end entered long after everything that the order allows was used up: the list was tidied that day."""
    return (
        supplied is not None
        and ending.what not in DOSES
        and ending.on > add_days(supplied.latest, thresholds["housekeeping_days"])
    )


# --- the latest possible day ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bound:
    """The latest day on which a finished item can have been taken, and what bounds it."""

    on: date
    what: str


def latest_possible(
    order: Order,
    supplied: RunOut | None,
    listed: Listed,
    today: date,
    thresholds: Mapping[str, Any],
) -> Bound | None:
    """None where nothing bounds the last dose. Never before the newest day on which it was written, filled or given."""
    bounds = list(_bounds(order, supplied, listed, thresholds))
    if not bounds:
        return None
    first = min(bounds, key=lambda bound: bound.on)
    newest = max((day for day in uses(order, listed) if day <= today), default=first.on)
    return Bound(min(max(first.on, newest), today), first.what)


def _bounds(
    order: Order, supplied: RunOut | None, listed: Listed, thresholds: Mapping[str, Any]
) -> Iterable[Bound]:
    changed = listed.changed(order)
    if supplied is not None:
        yield Bound(supplied.latest, supplied.by)
    if order.kind == "dispense":
        return
    if is_completed(order):
        if supplied is not None:
            return
        if changed is not None:
            yield Bound(
                add_days(changed.last, thresholds["completed_after_update_days"]),
                "meta.lastUpdated",
            )
            return
    else:
        known = (
            (order.status_changed, "statusChanged"),
            (changed, "meta.lastUpdated"),
            (order.asserted, "dateAsserted"),
        )
        already = next((Bound(day.last, what) for day, what in known if day), None)
        if already is not None:
            yield already
        if already is not None or supplied is not None:
            return
    if (written := _written(order)) is not None:
        yield Bound(
            add_days(written.last, thresholds["order_life_days"]), "the longest life of an order"
        )


def is_completed(order: Order) -> bool:
    """An administrative word: all was dispensed, and there may be tablets left."""
    return order.kind == "dispense" or order.status.startswith("completed")


def _written(order: Order) -> Day | None:
    """The day an item was written. A statement that only says since when it is taken was written on no known day."""
    return (
        order.authored
        or order.asserted
        or (order.course.start if order.kind == "request" else None)
    )


def uses(order: Order, listed: Listed) -> Iterable[date]:
    """Days on which the drug was prescribed, handed over or given: newest evidence of use, without assertions."""
    yield from (day.last for day in (order.authored, order.handed_over, order.given) if day)
    if order.ref:
        yield from listed.given.get(order.ref, ())
        yield from listed.handed_over.get(order.ref, ())
