"""Schedule mathematics: which dose on which day.

Clinical specification 3.1 (steps), 3.3 (hold, step down); the numbers come in as ``Schedules``.
Days are calendar days, so neither month ends nor daylight saving can move a step. Doses are ``Decimal`` mg.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from cds_service.titration.schedules import Limits, Schedule, Schedules, Span


class Kind(StrEnum):
    """A change of course during the plan (3.3)."""

    HOLD = "hold"
    STEP_DOWN = "step-down"


@dataclass(frozen=True, slots=True)
class Change:
    """From ``on``: stay on the present dose ``days`` longer, or (0 days) go one dose back and stay there."""

    kind: Kind
    on: date
    days: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """What the prescriber chose. Milligrams per dose; ``maximum_mg`` is the highest single dose."""

    schedule: str
    start_on: date
    start_mg: Decimal
    step_mg: Decimal
    interval_days: int
    maximum_mg: Decimal
    reason_above: str = ""
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why a choice gives no plan: the field of ``Choice``, a key of ``COMPLAINTS``, and what its sentence names."""

    about: str
    why: str
    facts: Mapping[str, str] = field(default_factory=dict)


COMPLAINTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "schedule": frozenset(),
        "outside": frozenset({"field", "schedule", "low", "high", "unit"}),
        "fixed": frozenset({"field", "schedule", "value", "unit"}),
        "grid": frozenset({"field", "grid"}),
        "below_start": frozenset(),
        "no_steps": frozenset(),
        "whole_steps": frozenset({"step"}),
        "reason_above": frozenset({"usual_max"}),
        "change_order": frozenset(),
        "change_outside": frozenset(),
        "change_lowest": frozenset(),
        "hold_days": frozenset({"low", "high"}),
    }
)


class ChoiceRefusedError(ValueError):
    """A plan was asked for that the limits do not allow."""

    def __init__(self, complaints: tuple[Complaint, ...]):
        super().__init__("; ".join(c.about for c in complaints))
        self.complaints = complaints


@dataclass(frozen=True, slots=True)
class Step:
    """One dose over a run of days, both ends included."""

    number: int
    starts: date
    ends: date
    each_mg: Decimal
    times_per_day: int

    @property
    def days(self) -> int:
        return (self.ends - self.starts).days + 1

    @property
    def daily_mg(self) -> Decimal:
        return self.each_mg * self.times_per_day


@dataclass(frozen=True, slots=True)
class Review:
    """A visit or call to judge benefit and harm, in the ``week``-th week after the start; no two share a week."""

    week: int
    on: date


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps without gap or overlap from ``choice.start_on``; stop on ``stop_on`` if it has not helped."""

    choice: Choice
    schedule: Schedule
    limits: Limits
    steps: tuple[Step, ...]
    reviews: tuple[Review, ...]
    last_dose_since: date | None = None  # where the plan is what is left of one

    @property
    def starts(self) -> date:
        return self.steps[0].starts

    @property
    def ends(self) -> date:
        return self.steps[-1].ends

    @property
    def stop_on(self) -> date:
        return self.ends + timedelta(days=1)

    @property
    def days(self) -> int:
        return (self.ends - self.starts).days + 1

    @property
    def highest_daily_mg(self) -> Decimal:
        return max(step.daily_mg for step in self.steps)

    @property
    def onset(self) -> tuple[date, date]:
        """The days between which a benefit is usually noticed, if there is one: counted from the last dose step."""
        soonest, latest = self.limits.onset_weeks
        top = self.last_dose_since or self.steps[-1].starts
        return (top + timedelta(weeks=soonest), top + timedelta(weeks=latest))

    def daily_mg_on(self, day: date) -> Decimal:
        """Milligrams taken on that day; 0 before the first and after the last."""
        return next((s.daily_mg for s in self.steps if s.starts <= day <= s.ends), Decimal(0))


def propose(schedules: Schedules, schedule_id: str, start_on: date) -> Choice:
    """The default choice of a schedule; KeyError where there is no such schedule."""
    s = schedules.by_id[schedule_id]
    return Choice(
        s.id, start_on, s.start.default, s.step.default, int(s.interval.default), s.maximum.default
    )


def complaints(schedules: Schedules, choice: Choice) -> tuple[Complaint, ...]:
    """Everything that keeps the choice from being a plan, in the order of the form; () = it can be drawn."""
    schedule, limits = schedules.by_id.get(choice.schedule), schedules.limits
    if schedule is None:
        return (Complaint("schedule", "schedule"),)
    found = [*_out_of_span(choice, schedule, limits), *_ill_fitting(choice, schedule, limits)]
    return tuple(found or _misplaced_changes(choice, schedule, limits))


def _out_of_span(choice: Choice, schedule: Schedule, limits: Limits) -> Iterator[Complaint]:
    fields = (
        ("start_mg", schedule.start, choice.start_mg, "mg"),
        ("step_mg", schedule.step, choice.step_mg, "mg"),
        ("interval_days", schedule.interval, Decimal(choice.interval_days), "days"),
        ("maximum_mg", schedule.maximum, choice.maximum_mg, "mg"),
    )
    for about, span, value, unit in fields:
        if not value.is_finite() or not span.admits(value):
            yield _outside(about, schedule.id, span, unit)
        elif unit == "mg" and value % limits.grid_mg:
            yield Complaint(about, "grid", {"field": about, "grid": plain(limits.grid_mg)})


def _outside(about: str, schedule: str, span: Span, unit: str) -> Complaint:
    where = {"field": about, "schedule": schedule, "unit": unit}
    if span.is_fixed:
        return Complaint(about, "fixed", {**where, "value": plain(span.low)})
    return Complaint(about, "outside", {**where, "low": plain(span.low), "high": plain(span.high)})


def _ill_fitting(choice: Choice, schedule: Schedule, limits: Limits) -> Iterator[Complaint]:
    if not choice.maximum_mg.is_finite() or not choice.start_mg.is_finite():
        return
    if choice.maximum_mg < choice.start_mg:
        yield Complaint("maximum_mg", "below_start")
    if not schedule.step.high and choice.maximum_mg != choice.start_mg:
        yield Complaint("maximum_mg", "no_steps")
    elif (
        (step := schedule.step).is_fixed
        and step.low
        and (choice.maximum_mg - choice.start_mg) % step.low
    ):
        yield Complaint("maximum_mg", "whole_steps", {"step": plain(step.low)})
    if (
        choice.maximum_mg * schedule.times_per_day > limits.usual_max_mg
        and not choice.reason_above.strip()
    ):
        yield Complaint("reason_above", "reason_above", {"usual_max": plain(limits.usual_max_mg)})


def _misplaced_changes(choice: Choice, schedule: Schedule, limits: Limits) -> list[Complaint]:
    found: list[Complaint] = []
    hold = limits.hold_days
    for index, change in enumerate(choice.changes):
        before = _doses(choice, choice.changes[:index])
        day = _day_number(choice, change.on)
        if index and change.on <= choice.changes[index - 1].on:
            found.append(Complaint("changes", "change_order"))
        elif not 2 <= day <= _last_day(schedule, before, limits):
            found.append(Complaint("changes", "change_outside"))
        elif change.kind is Kind.HOLD and not hold.admits(Decimal(change.days)):
            found.append(
                Complaint(
                    "changes", "hold_days", {"low": plain(hold.low), "high": plain(hold.high)}
                )
            )
        elif change.kind is Kind.STEP_DOWN and _lower_dose(before, day) is None:
            found.append(Complaint("changes", "change_lowest"))
    return found


def plain(number: Decimal) -> str:
    """4.5, not 4.50; 0.5, not .5."""
    return f"{number.normalize():f}"


def draw(schedules: Schedules, choice: Choice) -> Plan:
    """The plan of a choice. Raises ChoiceRefusedError where ``complaints`` has something to say."""
    if found := complaints(schedules, choice):
        raise ChoiceRefusedError(found)
    schedule, limits = schedules.by_id[choice.schedule], schedules.limits
    doses = _doses(choice, choice.changes)
    last = _last_day(schedule, doses, limits)
    first_days = [day for day, _ in doses]
    steps = tuple(
        Step(number, _date(choice, day), _date(choice, until - 1), mg, schedule.times_per_day)
        for number, ((day, mg), until) in enumerate(
            zip(doses, [*first_days[1:], last + 1], strict=True), 1
        )
    )
    reviews = tuple(
        Review(offset // 7, choice.start_on + timedelta(days=offset))
        for offset in _review_offsets(choice, schedule, limits, last)
    )
    return Plan(choice, schedule, limits, steps, reviews)


def _last_day(schedule: Schedule, doses: list[tuple[int, Decimal]], limits: Limits) -> int:
    """Day number of the last dose: its weeks on the highest dose, or the trial and the least time on it."""
    before_top = doses[-1][0] - 1
    if schedule.trial_weeks is None:
        return before_top + limits.weeks_at_top * 7
    return max(schedule.trial_weeks * 7, before_top + limits.trial_weeks_at_top * 7)


def _review_offsets(choice: Choice, schedule: Schedule, limits: Limits, last: int) -> list[int]:
    """Days after the start (3.1): early weeks, while the dose rises, after each hold, and the decision to stop.

    A hold moves those behind it. Of two in one week the later stays, so that the decision is never lost.
    """
    top = _doses(choice, ())[-1][0] - 1
    early = [week * 7 for week in schedule.review_weeks]
    every = limits.review_every_weeks * 7
    rising = [] if schedule.trial_weeks else range(max(early) + every, top + 1, every)
    offsets = [*early, *rising]
    for change in choice.changes:
        if change.kind is Kind.HOLD:
            on = (change.on - choice.start_on).days
            offsets = [o + change.days if o >= on else o for o in offsets]
            offsets.append(on + change.days)
    by_week = {offset // 7: offset for offset in sorted(o for o in offsets if 0 < o < last)}
    return list({**by_week, last // 7: last}.values())


def _levels(choice: Choice) -> list[Decimal]:
    """The doses on the way up: each one step above the last, the final one exactly the maximum."""
    levels = [choice.start_mg]
    while levels[-1] < choice.maximum_mg:
        levels.append(min(levels[-1] + choice.step_mg, choice.maximum_mg))
    return levels


def _doses(choice: Choice, changes: tuple[Change, ...]) -> list[tuple[int, Decimal]]:
    """(day number, mg per dose) of every day on which the dose changes; the first is day 1."""
    doses = [(1 + choice.interval_days * rise, mg) for rise, mg in enumerate(_levels(choice))]
    for change in changes:
        day = _day_number(choice, change.on)
        if change.kind is Kind.HOLD:
            doses = [(d + change.days if d >= day else d, mg) for d, mg in doses]
        elif (lower := _lower_dose(doses, day)) is not None:
            doses = [*((d, mg) for d, mg in doses if d < day), (day, lower)]
    return doses


def _lower_dose(doses: list[tuple[int, Decimal]], day: int) -> Decimal | None:
    """One dose below the one taken before ``day``; None at the bottom."""
    taken = [mg for d, mg in doses if d < day]
    below = [mg for mg in taken if mg < taken[-1]] if taken else []
    return max(below, default=None)


def _day_number(choice: Choice, on: date) -> int:
    return (on - choice.start_on).days + 1


def _date(choice: Choice, day: int) -> date:
    return choice.start_on + timedelta(days=day - 1)
