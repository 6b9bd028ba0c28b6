"""Medication -> Exposure: is it in the body now, since when not, and how surely (specification 2.4).

Days are whole calendar days in the configured zone; only administrations look at the clock. What cannot be told keeps
the drug close to today: silence is earned by evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from cds_service.exposure.calendar import Clock, add_days, days_between
from cds_service.exposure.depot import depot_interval, depot_kind, is_depot
from cds_service.exposure.ending import (
    DOSES,
    Bound,
    Listed,
    documented,
    is_completed,
    is_housekeeping,
    latest_possible,
    stated_end,
    uses,
)
from cds_service.exposure.supply import Fills, is_half_known, run_out, start_of, supply_run_out
from cds_service.exposure.washout import clear_on, silent_from
from cds_service.model import Ending, Exposure, Medication, Order, RunOut, Standing, State, Strength


@dataclass(frozen=True, slots=True)
class _Case:
    """One listed medicine with all that its state rests on."""

    medication: Medication
    clock: Clock
    listed: Listed
    thresholds: Mapping[str, Any]
    supplied: RunOut | None
    last_dose: date | None  # of a depot

    def exposure(self, state: State, because: str, **facts: Any) -> Exposure:
        return Exposure(self.medication, state, because=because, **facts)

    def since(self, day: date) -> int:
        return days_between(day, self.clock.today)


def expose(
    medication: Medication, clock: Clock, listed: Listed, thresholds: Mapping[str, Any]
) -> Exposure:
    """The exposure that one listed, not excluded medicine stands for."""
    order = medication.order
    supplied = run_out(order, _fills(order, listed), _strength(medication), clock.today, thresholds)
    case = _Case(medication, clock, listed, thresholds, supplied, listed.doses.last_for(medication))
    return _with_evidence(_judge(case), case)


def stopped_today(
    medication: Medication, clock: Clock, listed: Listed, thresholds: Mapping[str, Any]
) -> Exposure:
    """An order of this call that is being stopped or completed: day 0 of the interval (specification 2.1.3)."""
    last = listed.doses.last_for(medication)
    case = _Case(medication, clock, listed, thresholds, None, last)
    return _with_evidence(
        case.exposure(
            State.RECENT,
            "being stopped in this call",
            days=0,
            last_dose_days=case.since(last or clock.today),
            ending=Ending(last or clock.today, "this call"),
            latest_day=clock.today,
            on=clock.today,
            dated="ended",
        ),
        case,
    )


def settle_brief(exposures: Iterable[Exposure]) -> tuple[Exposure, ...]:
    """An administration counts as brief only while it stands alone: a longer course of the same drug makes it chronic."""
    listed = tuple(exposures)
    longer = {
        c.ingredient
        for e in listed
        if e.medication.order.kind != "administration" and not e.brief
        for c in e.medication.recognition.components
    }
    return tuple(
        replace(e, brief=False)
        if e.brief
        and e.medication.order.kind == "administration"
        and any(c.ingredient in longer for c in e.medication.recognition.components)
        else e
        for e in listed
    )


def may_be_current(exposure: Exposure) -> bool:
    """Whether the drug may be taken now, or will be: what an unknown name has to be asked about (specification 2.11)."""
    return exposure.state not in {State.RECENT, State.OLD}


def _fills(order: Order, listed: Listed) -> Fills:
    """All that are allowed while it is active; of a finished order the first, and those that dispenses show.

    A stopped order of which no dispense is shown may have been filled until it was stopped.
    """
    allowed, shown = 1 + order.supply.repeats, listed.fills(order)
    if order.standing in {Standing.ACTIVE, Standing.HELD}:
        return Fills(allowed, allowed)
    if shown or is_completed(order):
        return Fills(max(1, shown), max(1, shown))
    return Fills(1, allowed)


def _strength(medication: Medication) -> Strength | None:
    """The strength that ties tablets to milligrams; None where a product of several has none of its own."""
    return next((c.strength for c in medication.recognition.components if c.strength), None)


# --- one way per kind of resource -------------------------------------------------------------------------------------


def _judge(case: _Case) -> Exposure:
    order = case.medication.order
    if (
        order.standing in {Standing.ACTIVE, Standing.HELD}
        and (starts := order.course.start)
        and starts.first > case.clock.today
    ):
        return case.exposure(
            State.PLANNED, f"starts on {starts.first}", on=starts.first, dated="starts"
        )
    match order.kind, order.standing:
        case _, Standing.HELD:
            return _held(case, f"status {order.status or 'missing'}: last dose to be confirmed")
        case "administration", _:
            return _administered(case)
        case "dispense", _:
            return _dispensed(case)
        case _, Standing.ENDED:
            return _finished(case)
        case _:
            return _active(case)


def _held(case: _Case, because: str) -> Exposure:
    order = case.medication.order
    given = order.given or order.handed_over
    last = case.last_dose or case.listed.last_given(order) or (given.last if given else None)
    written = order.authored or order.asserted
    return case.exposure(
        State.HELD,
        because,
        last_dose_days=case.since(last) if last else None,
        on=last or (written.last if written else None),
        dated="dose" if last else "written",
    )


def _administered(case: _Case) -> Exposure:
    order, clock = case.medication.order, case.clock
    if order.given is None:
        return _held(case, "given, but without a time")
    days, hours = case.since(order.given.last), case.thresholds["administration_hours"]
    fresh = clock.now - order.given_at < timedelta(hours=hours) if order.given_at else days <= 1
    return case.exposure(
        State.CURRENT if fresh else State.RECENT,
        f"given less than {hours} hours ago" if fresh else f"given {days} days ago",
        days=days,
        last_dose_days=days,
        ending=Ending(order.given.last, "administration"),
        latest_day=order.given.last,
        on=order.given.last,
        dated="dose",
    )


def _dispensed(case: _Case) -> Exposure:
    order = case.medication.order
    if order.handed_over is None:
        return _held(case, "dispensed, but without a date")
    if case.last_dose is not None:
        return _ended(case, _dose_of(case, case.last_dose))
    if case.supplied is not None:
        return _used_up(case)
    since = case.since(order.handed_over.last)
    current, held = (
        case.thresholds["dispense_without_supply_days"][k] for k in ("current", "held")
    )
    if is_half_known(order):
        held = case.thresholds["order_life_days"]
    state = State.CURRENT if since <= current else State.HELD if since <= held else State.RECENT
    return case.exposure(
        state,
        f"dispensed {since} days ago, days of supply unknown",
        days=max(0, since - current),
        on=order.handed_over.last,
        dated="dispensed",
    )


def _finished(case: _Case) -> Exposure:
    """By the last dose of a depot, by evidence of the end, else by what bounds the last dose."""
    order = case.medication.order
    if case.last_dose is not None:
        return _ended(case, _dose_of(case, case.last_dose))
    ending = documented(order, case.listed, case.clock.today)
    if ending is None:
        return _used_up(case)
    supplied = supply_run_out(order, _strength(case.medication), case.thresholds)
    if supplied is not None and is_housekeeping(ending, supplied, case.thresholds):
        return _held(
            case,
            f"{order.status}, but {ending.what} {ending.on} lies long after the supply "
            f"({supplied.latest}): last dose to be confirmed",
        )
    return (
        _ended(case, ending) if ending.is_exact else _bounded(case, Bound(ending.on, ending.what))
    )


def _dose_of(case: _Case, day: date) -> Ending:
    return Ending(min(day, case.clock.today), "last dose")


def _ended(case: _Case, ending: Ending) -> Exposure:
    days = case.since(ending.on)
    return case.exposure(
        State.RECENT,
        f"{_word(case)}, ended {days} days ago by {ending.what}",
        days=days,
        last_dose_days=days,
        ending=ending,
        latest_day=ending.on,
        on=ending.on,
        dated="dose" if ending.what in DOSES else "ended",
    )


def _used_up(case: _Case) -> Exposure:
    """Finished or dispensed, without evidence of the end: current while tablets are left, then as far as it is bounded."""
    order, today = case.medication.order, case.clock.today
    if is_completed(order) and case.supplied and today <= case.supplied.earliest:
        return case.exposure(
            State.CURRENT,
            f"{_word(case)}, supply lasts until {case.supplied.earliest} ({case.supplied.by})",
            days=0,
            latest_day=today,
            on=_written_on(case),
            dated="dispensed" if order.handed_over else "written",
        )
    bound = latest_possible(order, case.supplied, case.listed, today, case.thresholds)
    if bound is None:
        return _held(case, f"{_word(case)} without any date: last dose to be confirmed")
    return _bounded(case, bound)


def _bounded(case: _Case, bound: Bound) -> Exposure:
    """Behind us where the latest possible day leaves the window of the tables behind, else to be confirmed."""
    days, limit = (
        case.since(bound.on),
        silent_from(case.medication, _is_brief(case, None), case.thresholds),
    )
    if days < limit:
        held = _held(
            case,
            f"{_word(case)} without an end, taken until {bound.on} at the latest ({bound.what}): "
            "last dose to be confirmed",
        )
        return replace(held, latest_day=bound.on)
    return case.exposure(
        State.RECENT,
        f"{_word(case)}, taken until {bound.on} at the latest ({bound.what}), {days} days ago",
        days=days,
        last_dose_days=days,
        latest_day=bound.on,
        on=bound.on,
        dated="ended",
    )


def _active(case: _Case) -> Exposure:
    order = case.medication.order
    stale = _why_stale(case)
    return case.exposure(
        State.STALE if stale else State.CURRENT,
        stale or "on the active list",
        last_dose_days=case.since(case.last_dose) if case.last_dose else None,
        on=case.last_dose or _written_on(case),
        dated="dose" if case.last_dose else "written" if order.kind != "dispense" else "dispensed",
    )


def _why_stale(case: _Case) -> str:
    """Why an active entry looks out of date; "" while it does not."""
    grace = case.thresholds["grace_days"]
    if case.last_dose is not None:
        lasts = depot_interval(case.medication, case.thresholds) + grace["at_most"]
        return f"last dose more than {lasts} days ago" if case.since(case.last_dose) > lasts else ""
    if case.supplied is not None:
        fill = case.supplied.fill_days if case.supplied.fill_days is not None else grace["at_most"]
        days = min(max(fill, grace["at_least"]), grace["at_most"])
        is_over = case.clock.today > add_days(case.supplied.earliest, days)
        return (
            f"supply ended on {case.supplied.earliest} ({case.supplied.by}), more than {days} days ago"
            if is_over
            else ""
        )
    written = _newest_written(case)
    limit = case.thresholds["stale_authored_days"]
    old = written is not None and (case.clock.today - written).days > limit
    return f"written more than {limit} days ago, no supply data" if old else ""


# --- what every exposure carries --------------------------------------------------------------------------------------


def _with_evidence(plain: Exposure, case: _Case) -> Exposure:
    """Brief courses, the evidence of use, the run-outs, the intervals of depots; and what has grown old."""
    used, order, kind = _newest_use(case), case.medication.order, depot_kind(case.medication)
    past = (
        case.supplied.earliest
        if case.supplied and case.supplied.earliest <= case.clock.today
        else None
    )
    removed = _removal(case) if kind == "implant" else None
    known = replace(
        plain,
        depot=kind,
        interval_days=depot_interval(case.medication, case.thresholds) if kind else None,
        removed_days=case.since(removed.on) if removed else None,
        last_dose_days=_since_insertion(case) if removed else plain.last_dose_days,
        brief=not kind and (order.kind == "administration" or _is_brief(case, plain.ending)),
        used_days=case.since(used) if used else None,
        run_out_days=case.since(past) if past else None,
        run_out=case.supplied,
        state=State.OLD if _is_old(plain.state, case) else plain.state,
    )
    return replace(known, clear_on=clear_on(known, case.clock.today, case.thresholds))


def _removal(case: _Case) -> Ending | None:
    """The recorded end of an implant is the day on which it was taken out."""
    order = case.medication.order
    ending = stated_end(order, case.clock.today) if order.standing is Standing.ENDED else None
    return ending if ending and ending.what != "boundsPeriod.end" else None


def _since_insertion(case: _Case) -> int | None:
    return case.since(case.last_dose) if case.last_dose else None


def _is_brief(case: _Case, ending: Ending | None) -> bool:
    """A course of at most 3 days: between its start and a documented end, else by everything that was supplied."""
    limit, start = case.thresholds["brief_course_days"], start_of(case.medication.order)
    if is_depot(case.medication):
        return False
    if ending is not None:
        return start is not None and (ending.on - start.first).days <= limit
    return (
        case.supplied is not None
        and case.supplied.course_days is not None
        and case.supplied.course_days <= limit
    )


def _newest_use(case: _Case) -> date | None:
    """The newest of authored, dispensed, administered, asserted; never last updated or status changed."""
    order, today = case.medication.order, case.clock.today
    days = [
        *uses(order, case.listed),
        *((order.asserted.last,) if order.asserted else ()),
        *((case.last_dose,) if case.last_dose else ()),
    ]
    return max((min(day, today) for day in days), default=None)


def _is_old(state: State, case: _Case) -> bool:
    limits, today = case.thresholds["old_days"], case.clock.today
    if state is State.HELD:
        newest = max(_every_date(case), default=None)
        return newest is not None and (today - newest).days > limits["held"]
    if state is not State.STALE:
        return False
    over = _latest_run_out(case)
    used = _newest_use(case)
    return (
        over is not None
        and (today - over).days > limits["stale"]
        and (used is None or (today - used).days > limits["stale"])
    )


def _latest_run_out(case: _Case) -> date | None:
    if case.last_dose is not None:
        return add_days(case.last_dose, depot_interval(case.medication, case.thresholds))
    if case.supplied is not None:
        return case.supplied.latest
    written = _newest_written(case)
    return add_days(written, case.thresholds["order_life_days"]) if written else None


def _every_date(case: _Case) -> Iterator[date]:
    order = case.medication.order
    days = (
        order.authored,
        order.asserted,
        order.ended,
        order.status_changed,
        case.listed.changed(order),
        order.given,
        order.handed_over,
        order.course.start,
        order.course.end,
    )
    yield from (day.last for day in days if day)
    yield from uses(order, case.listed)
    if case.last_dose:
        yield case.last_dose


def _newest_written(case: _Case) -> date | None:
    """The newest of authored, asserted, dispensed; without any of these the start of the course."""
    order = case.medication.order
    days = [day.last for day in (order.authored, order.asserted, order.handed_over) if day]
    days += case.listed.handed_over.get(order.ref, ()) if order.ref else ()
    return max(days, default=order.course.start.last if order.course.start else None)


def _written_on(case: _Case) -> date | None:
    order = case.medication.order
    day = order.handed_over or order.authored or order.asserted or order.course.start
    return day.last if day else None


def _word(case: _Case) -> str:
    return "dispensed" if case.medication.order.kind == "dispense" else case.medication.order.status
