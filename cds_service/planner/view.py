"""What the titration pages show: forms read into choices, plans turned into words, tables and a step chart. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise

from cds_service.planner.gate import METHODS, Answers
from cds_service.titration.plan import (
    FILL_DAYS,
    Change,
    Choice,
    Complaint,
    Form,
    Kind,
    Plan,
    Step,
    Supply,
    common_strength,
    complaints,
    dispense,
    propose,
)
from cds_service.titration.schedules import SCHEDULES, Schedule, Span

LONGEST_FIELD = 400
FURTHEST_START = timedelta(days=180)
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, slots=True)
class Wish:
    """The plan that a form asks for, with what is wrong with it. ``choice`` may hold NaN for an unreadable number."""

    choice: Choice
    form: Form
    fill_days: int
    faults: tuple[Complaint, ...] = ()
    reason: str = ""                               # what it is for, in the words of the record or the clinician

    @property
    def is_plan(self) -> bool:
        return not self.faults


def first_wish(today: date, earliest: date | None) -> Wish:
    """What to propose before anything was entered: schedule A from the first safe day."""
    return Wish(propose("A", max(today, earliest or today)), Form.ONE_STRENGTH, FILL_DAYS[0])


def read_answers(fields: Mapping[str, str], confirmed: Iterable[str], methods: Iterable[str]) -> Answers:
    """What was ticked and entered at the gate; unknown words count as not answered."""
    return Answers(
        frozenset(confirmed), tuple(m for m in METHODS if m in set(methods)),
        _one_of(fields.get("last_opioid"), ("none", "short", "long")), _read_date(fields.get("last_opioid_on")),
        _one_of(fields.get("surgery"), ("no", "yes")))


def _one_of(text: str | None, words: tuple[str, ...]) -> str:
    return text if text in words else ""


def read_wish(fields: Mapping[str, str], today: date, earliest: date | None) -> Wish:
    """The form's wish; a newly picked schedule comes with its own defaults. Never raises."""
    start = _read_date(fields.get("start_on"))
    schedule = (fields.get("schedule") or "")[:1]
    form = _read_form(fields.get("form"))
    fill = _read_int(fields.get("fill_days"))
    if schedule in SCHEDULES and schedule != fields.get("drawn"):
        choice = propose(schedule, start or today)
    else:
        choice = _read_choice(fields, schedule, start or today)
    faults = [*_date_faults(start, today, earliest), *complaints(choice)]
    if fill not in FILL_DAYS:
        faults.append(Complaint("fill_days", "Choose one of the fill lengths."))
    reason = (fields.get("reason") or fields.get("reason_text") or "")[:LONGEST_FIELD].strip()
    return Wish(choice, form, fill if fill in FILL_DAYS else FILL_DAYS[0], tuple(faults), reason)


def _read_choice(fields: Mapping[str, str], schedule: str, start: date) -> Choice:
    first = _read_mg(fields.get("start_mg"))
    has_steps = schedule not in SCHEDULES or bool(SCHEDULES[schedule].step.high)
    return Choice(
        schedule, start, first, _read_mg(fields.get("step_mg")), _read_int(fields.get("interval_days")),
        _read_mg(fields.get("maximum_mg")) if has_steps else first,
        (fields.get("reason_above") or "")[:LONGEST_FIELD].strip(), _read_changes(fields))


def _read_changes(fields: Mapping[str, str]) -> tuple[Change, ...]:
    """One change of course, from the "hold or step down" part of the form; () where it was left empty."""
    on = _read_date(fields.get("change_on"))
    kind = fields.get("change")
    if kind not in {"hold", "step-down"} or on is None:
        return ()
    return (Change(Kind(kind), on, _read_int(fields.get("hold_days")) or 14),)


def _date_faults(start: date | None, today: date, earliest: date | None) -> list[Complaint]:
    if start is None:
        return [Complaint("start_on", "Enter the start date as year-month-day.")]
    if start < today:
        return [Complaint("start_on", "The start date must not be in the past.")]
    if start > today + FURTHEST_START:
        return [Complaint("start_on", "The start date must be within 180 days.")]
    if earliest and start < earliest:
        return [Complaint("start_on", f"Not before {day(earliest)}: the opioid-free interval.")]
    return []


def _read_mg(text: str | None) -> Decimal:
    with suppress(InvalidOperation):
        return Decimal((text or "")[:12].strip().replace(",", "."))
    return Decimal("NaN")


def _read_int(text: str | None) -> int:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0


def _read_form(text: str | None) -> Form:
    return Form(text) if text in set(Form) else Form.ONE_STRENGTH


def _read_date(text: str | None) -> date | None:
    with suppress(ValueError):
        found = date.fromisoformat((text or "").strip())
        return found if 2000 <= found.year <= 2100 else None
    return None


def mg(value: Decimal) -> str:
    """4.5, not 4.50; 0.5, not .5; "" for no number."""
    return f"{value.normalize():f}" if value.is_finite() else ""


def say_mg(value: Decimal) -> str:
    """4.5 -> "four point five milligrams": the unit in words, against tenfold errors."""
    whole, _, rest = mg(value).partition(".")
    words = " ".join(_DIGITS[int(d)] for d in whole)
    if rest:
        words += " point " + " ".join(_DIGITS[int(d)] for d in rest)
    return f"{words} milligram" if value == 1 else f"{words} milligrams"


def day(value: date) -> str:
    """23 Nov 2026."""
    return f"{value.day} {value:%b %Y}"


def weekday(value: date) -> str:
    """Mon 23 Nov 2026."""
    return f"{value:%a} {day(value)}"


def when(step: Step) -> str:
    return "at bedtime" if step.times_per_day == 1 else "twice daily"


def amount(step: Step, form: Form, strength: Decimal) -> str:
    """What is taken at once: "2 capsules of 1.5 mg", "3 mL of 1 mg/mL"."""
    if form is Form.SOLUTION:
        return f"{mg(step.each_mg)} mL of 1 mg/mL solution"
    number = 1 if form is Form.EACH_STRENGTH else int(step.each_mg / strength)
    each = step.each_mg if form is Form.EACH_STRENGTH else strength
    return f"1 capsule of {mg(each)} mg" if number == 1 else f"{number} capsules of {mg(each)} mg"


def instruction(plan: Plan, step: Step, form: Form) -> str:
    """The whole dosage text of one step."""
    return (f"{day(step.starts)} to {day(step.ends)}: {mg(step.each_mg)} mg ({say_mg(step.each_mg)}), "
            f"{amount(step, form, common_strength(plan))}, by mouth {when(step)}.")


def defaults(schedule: Schedule) -> str:
    """The fields of a schedule as JSON: proposed value, whether it is fixed, and its hint."""
    spans = {"start_mg": (schedule.start, "mg per dose"), "step_mg": (schedule.step, "mg"),
             "interval_days": (schedule.interval, "days"), "maximum_mg": (schedule.maximum, "mg per dose")}
    return json.dumps({name: {"value": mg(span.default), "fixed": span.is_fixed, "hint": hint(span, unit)}
                       for name, (span, unit) in spans.items()})


def hint(span: Span, unit: str) -> str:
    """What a field may hold: "mg, 0.5 to 1.5" or "mg, fixed"."""
    return f"{unit}, fixed" if span.is_fixed else f"{unit}, {mg(span.low)} to {mg(span.high)}"


def diary_weeks(plan: Plan) -> list[date]:
    """The first day of each of the first twelve weeks, as far as the plan goes."""
    return [plan.starts + timedelta(weeks=n) for n in range(12) if plan.starts + timedelta(weeks=n) <= plan.ends]


def supply_words(supply: Supply) -> str:
    if supply.form is Form.SOLUTION:
        return f"{mg(supply.quantity)} mL of 1 mg/mL"
    return f"{mg(supply.quantity)} × {mg(supply.strength_mg)} mg"


@dataclass(frozen=True, slots=True)
class CountRow:
    """One way to make it up, with what is dispensed for each fill length, product by product."""

    form: Form
    name: str
    cells: tuple[tuple[str, ...], ...]


def count_table(plan: Plan) -> tuple[CountRow, ...]:
    """Capsules or mL for every fill length (3.2)."""
    strength = common_strength(plan)
    names = {Form.ONE_STRENGTH: f"{mg(strength)} mg capsules only", Form.EACH_STRENGTH: "One capsule per dose",
             Form.SOLUTION: "1 mg/mL solution"}
    return tuple(CountRow(form, names[form], tuple(
        tuple(supply_words(s) for s in dispense(plan, form, days)) for days in FILL_DAYS)) for form in Form)


@dataclass(frozen=True, slots=True)
class DoseChart:
    """Geometry of the step chart in SVG units: the line, the ticks, reviews and the span of expected onset."""

    width: int
    height: int
    left: int
    bottom: int
    line: str
    doses: tuple[tuple[float, float, str], ...]
    days: tuple[tuple[float, str], ...]
    levels: tuple[tuple[float, str], ...]
    reviews: tuple[tuple[float, str], ...]
    onset: tuple[float, float]


def draw_chart(plan: Plan, width: int = 640, height: int = 260) -> DoseChart:
    """Dose against date."""
    left, right, top, bottom = 44, 14, 26, height - 42
    highest = max(plan.highest_daily_mg, Decimal(1))

    def x(on: date) -> float:
        return round(left + (width - left - right) * (on - plan.starts).days / plan.days, 1)

    def y(dose: Decimal) -> float:
        return round(bottom - (bottom - top) * float(dose / highest), 1)

    corners = [f"M{x(plan.starts)} {y(plan.steps[0].daily_mg)}"]
    for before, after in pairwise(plan.steps):
        corners.append(f"H{x(after.starts)} V{y(after.daily_mg)}" if before.daily_mg != after.daily_mg else "")
    corners.append(f"H{x(plan.stop_on)}")
    every = max(1, -(-len(plan.steps) // 6))
    ends = min(plan.onset[1], plan.stop_on)
    return DoseChart(
        width, height, left, bottom, " ".join(c for c in corners if c),
        tuple((x(s.starts), y(s.daily_mg), mg(s.daily_mg)) for s in plan.steps),
        tuple((x(s.starts), f"{s.starts.day} {s.starts:%b}") for s in plan.steps[::every]),
        tuple((y(v), mg(v)) for v in sorted({Decimal(0), *(s.daily_mg for s in plan.steps[::every])})),
        tuple((x(r.on), f"Review week {r.week}") for r in plan.reviews if r.on <= plan.stop_on),
        (x(plan.onset[0]), round(x(ends) - x(plan.onset[0]), 1)))
