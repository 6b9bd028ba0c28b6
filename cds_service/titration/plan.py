"""Schedule mathematics: which dose on which day, and what to dispense.

Numbers: clinical specification 3.1 and 3.2 (steps, counts), 3.3 (hold, step down).
Days are calendar days, so neither month ends nor daylight saving can move a step. Doses are ``Decimal`` mg.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from cds_service.titration.schedules import SCHEDULES, Schedule

CEILING_MG = Decimal("4.5")                    # never proposed above this, mg/day
CEILING_WITH_REASON_MG = Decimal(5)            # accepted up to this with a written reason, mg/day
GRID_MG = Decimal("0.1")                       # the finest dose step that a pharmacy can compound or measure
SOLUTION_MG_PER_ML = Decimal(1)
WEEKS_AT_TOP = 8                               # no useful benefit after this long at the highest dose: stop
ONSET_WEEKS = (2, 8)
FILL_DAYS = (28, 30, 42, 56, 84)
HOLD_DAYS = 14
CAPSULES_WORTH_A_WARNING = 4                   # more than this at once is better made up another way


class Kind(StrEnum):
    """A change of course during the plan (3.3)."""

    HOLD = "hold"
    STEP_DOWN = "step-down"


@dataclass(frozen=True, slots=True)
class Change:
    """From ``on``: stay on the present dose ``days`` longer, or go one dose back and stay there."""

    kind: Kind
    on: date
    days: int = HOLD_DAYS


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
    """Why a choice gives no plan: the field of ``Choice`` and a sentence for the prescriber."""

    about: str
    words: str


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
    """A visit or call to judge benefit and harm, ``week`` weeks after the start."""

    week: int
    on: date


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps without gap or overlap from ``choice.start_on``; stop on ``stop_on`` if it has not helped."""

    choice: Choice
    schedule: Schedule
    steps: tuple[Step, ...]
    reviews: tuple[Review, ...]

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
        """The days between which a benefit is usually noticed, if there is one."""
        return (self.starts + timedelta(weeks=ONSET_WEEKS[0]), self.starts + timedelta(weeks=ONSET_WEEKS[1]))

    def daily_mg_on(self, day: date) -> Decimal:
        """Milligrams taken on that day; 0 before the first and after the last."""
        return next((s.daily_mg for s in self.steps if s.starts <= day <= s.ends), Decimal(0))


def propose(schedule_id: str, start_on: date) -> Choice:
    """The default choice of a schedule; KeyError where there is no such schedule."""
    s = SCHEDULES[schedule_id]
    return Choice(s.id, start_on, s.start.default, s.step.default, int(s.interval.default), s.maximum.default)


def complaints(choice: Choice) -> tuple[Complaint, ...]:
    """Everything that keeps the choice from being a plan, in the order of the form; () = it can be drawn."""
    schedule = SCHEDULES.get(choice.schedule)
    if schedule is None:
        return (Complaint("schedule", "Choose one of the schedules A to E."),)
    found = [*_out_of_span(choice, schedule), *_ill_fitting(choice, schedule)]
    return tuple(found or _misplaced_changes(choice, schedule))


def _out_of_span(choice: Choice, schedule: Schedule) -> Iterator[Complaint]:
    fields = (("start_mg", "Starting dose", schedule.start, choice.start_mg, "mg"),
              ("step_mg", "Step", schedule.step, choice.step_mg, "mg"),
              ("interval_days", "Interval", schedule.interval, Decimal(choice.interval_days), "days"),
              ("maximum_mg", "Maximum", schedule.maximum, choice.maximum_mg, "mg"))
    for about, name, span, value, unit in fields:
        if not value.is_finite() or not span.admits(value):
            allowed = f"{span.low}" if span.is_fixed else f"between {span.low} and {span.high}"
            yield Complaint(about, f"{name} of schedule {schedule.id} must be {allowed} {unit}.")
        elif unit == "mg" and value % GRID_MG:
            yield Complaint(about, f"{name} must be a multiple of {GRID_MG} mg.")


def _ill_fitting(choice: Choice, schedule: Schedule) -> Iterator[Complaint]:
    if not choice.maximum_mg.is_finite() or not choice.start_mg.is_finite():
        return
    if choice.maximum_mg < choice.start_mg:
        yield Complaint("maximum_mg", "The maximum must not be below the starting dose.")
    if not schedule.step.high and choice.maximum_mg != choice.start_mg:
        yield Complaint("maximum_mg", "A fixed dose has no steps: the maximum is the dose itself.")
    elif (step := schedule.step).is_fixed and step.low and (choice.maximum_mg - choice.start_mg) % step.low:
        yield Complaint("maximum_mg", f"The maximum must be whole steps of {step.low} mg above the start.")
    if choice.maximum_mg * schedule.times_per_day > CEILING_MG and not choice.reason_above.strip():
        yield Complaint("reason_above", f"More than {CEILING_MG} mg a day needs a written reason.")


def _misplaced_changes(choice: Choice, schedule: Schedule) -> list[Complaint]:
    found: list[Complaint] = []
    for index, change in enumerate(choice.changes):
        before = _doses(choice, choice.changes[:index])
        day = _day_number(choice, change.on)
        if index and change.on <= choice.changes[index - 1].on:
            found.append(Complaint("changes", "Each change must come after the one before."))
        elif not 2 <= day <= _last_day(schedule, before):
            found.append(Complaint("changes", "A change must fall within the plan, after its first day."))
        elif change.kind is Kind.HOLD and not 1 <= change.days <= 28:
            found.append(Complaint("changes", "Hold for between 1 and 28 days."))
        elif change.kind is Kind.STEP_DOWN and _lower_dose(before, day) is None:
            found.append(Complaint("changes", "Already at the lowest dose: stop, or draw a lower schedule."))
    return found


def draw(choice: Choice) -> Plan:
    """The plan of a choice. Raises ChoiceRefusedError where ``complaints`` has something to say."""
    if found := complaints(choice):
        raise ChoiceRefusedError(found)
    schedule = SCHEDULES[choice.schedule]
    doses = _doses(choice, choice.changes)
    last = _last_day(schedule, doses)
    first_days = [day for day, _ in doses]
    steps = tuple(
        Step(number, _date(choice, day), _date(choice, until - 1), mg, schedule.times_per_day)
        for number, ((day, mg), until) in enumerate(zip(doses, [*first_days[1:], last + 1], strict=True), 1))
    reviews = tuple(Review(w, choice.start_on + timedelta(weeks=w)) for w in schedule.review_weeks)
    return Plan(choice, schedule, steps, reviews)


def _last_day(schedule: Schedule, doses: list[tuple[int, Decimal]]) -> int:
    """Day number of the last dose: 8 weeks on the highest dose, or the trial and at least 4 weeks on it."""
    before_top = doses[-1][0] - 1
    if schedule.weeks is None:
        return before_top + WEEKS_AT_TOP * 7
    return max(schedule.weeks * 7, before_top + 28)


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


class Form(StrEnum):
    """How the pharmacy makes it up."""

    ONE_STRENGTH = "one-strength"              # every dose from capsules of one strength
    EACH_STRENGTH = "each-strength"            # one capsule per dose, a strength for each step
    SOLUTION = "solution"                      # 1 mg/mL


@dataclass(frozen=True, slots=True)
class Supply:
    """One product to dispense: ``quantity`` capsules of ``strength_mg``, or mL of ``strength_mg`` per mL."""

    form: Form
    strength_mg: Decimal
    quantity: Decimal
    steps: tuple[int, ...]

    @property
    def unit(self) -> str:
        return "mL" if self.form is Form.SOLUTION else "capsule"


def dispense(plan: Plan, form: Form, days: int) -> tuple[Supply, ...]:
    """What the first ``days`` days of the plan take, one entry per product in the order of use."""
    taken = [(step, _days_within(plan, step, days)) for step in plan.steps]
    taken = [(step, count) for step, count in taken if count]
    if form is Form.EACH_STRENGTH:
        return _each_strength(taken)
    strength = SOLUTION_MG_PER_ML if form is Form.SOLUTION else common_strength(plan)
    quantity = sum((step.daily_mg / strength * count for step, count in taken), Decimal(0))
    return (Supply(form, strength, quantity, tuple(step.number for step, _ in taken)),)


def _each_strength(taken: list[tuple[Step, int]]) -> tuple[Supply, ...]:
    strengths = dict.fromkeys(step.each_mg for step, _ in taken)
    return tuple(
        Supply(Form.EACH_STRENGTH, mg, Decimal(sum(n * s.times_per_day for s, n in taken if s.each_mg == mg)),
               tuple(s.number for s, _ in taken if s.each_mg == mg))
        for mg in strengths)


def _days_within(plan: Plan, step: Step, days: int) -> int:
    last = min(step.ends, plan.starts + timedelta(days=days - 1))
    return max(0, (last - step.starts).days + 1)


def common_strength(plan: Plan) -> Decimal:
    """The largest capsule, mg, of which every dose is a whole number: capsules are never split."""
    grid = [int(step.each_mg / GRID_MG) for step in plan.steps]
    return math.gcd(*grid) * GRID_MG


def most_capsules_at_once(plan: Plan) -> int:
    """Capsules of the common strength in the largest single dose."""
    return int(max(step.each_mg for step in plan.steps) / common_strength(plan))
