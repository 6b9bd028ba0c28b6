"""What the titration pages ask and draw: forms read into choices, and plans into a step chart. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise

from cds_service.planner.gate import METHODS, Answers
from cds_service.planner.phrases import day, mg
from cds_service.titration.plan import Change, Choice, Complaint, Kind, Plan, complaints, propose
from cds_service.titration.schedules import DEFAULT, Schedules
from cds_service.titration.supply import Form

LONGEST_FIELD = 400
WISH_COMPLAINTS: Mapping[str, frozenset[str]] = {
    "fill_days": frozenset(), "start_missing": frozenset(), "start_past": frozenset(), "start_far": frozenset(),
    "start_early": frozenset({"day"}),
}


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


def first_wish(today: date, earliest: date | None, schedules: Schedules) -> Wish:
    """What to propose before anything was entered: the default schedule from the first safe day."""
    return Wish(propose(schedules, DEFAULT, max(today, earliest or today)), Form.ONE_STRENGTH,
                schedules.limits.first_fill_days)


def read_answers(fields: Mapping[str, str], confirmed: Iterable[str], methods: Iterable[str]) -> Answers:
    """What was ticked and entered at the gate; unknown words count as not answered."""
    return Answers(
        frozenset(confirmed), tuple(m for m in METHODS if m in set(methods)),
        _one_of(fields.get("last_opioid"), ("none", "short", "long")), _read_date(fields.get("last_opioid_on")),
        _one_of(fields.get("surgery"), ("no", "yes")))


def _one_of(text: str | None, words: tuple[str, ...]) -> str:
    return text if text in words else ""


def read_wish(fields: Mapping[str, str], today: date, earliest: date | None, schedules: Schedules) -> Wish:
    """The form's wish; a newly picked schedule comes with its own defaults. Never raises."""
    limits = schedules.limits
    start = _read_date(fields.get("start_on"))
    schedule = (fields.get("schedule") or "")[:1]
    form = _read_form(fields.get("form"))
    fill = _read_int(fields.get("fill_days"))
    if schedule in schedules.by_id and schedule != fields.get("drawn"):
        choice = propose(schedules, schedule, start or today)
    else:
        choice = _read_choice(fields, schedule, start or today, schedules)
    faults = [*_date_faults(start, today, earliest, limits.furthest_start_days), *complaints(schedules, choice)]
    if fill not in limits.fill_days:
        faults.append(Complaint("fill_days", "fill_days"))
    reason = (fields.get("reason") or fields.get("reason_text") or "")[:LONGEST_FIELD].strip()
    return Wish(choice, form, fill if fill in limits.fill_days else limits.first_fill_days, tuple(faults), reason)


def _read_choice(fields: Mapping[str, str], schedule: str, start: date, schedules: Schedules) -> Choice:
    first = _read_mg(fields.get("start_mg"))
    has_steps = schedule not in schedules.by_id or bool(schedules.by_id[schedule].step.high)
    return Choice(
        schedule, start, first, _read_mg(fields.get("step_mg")), _read_int(fields.get("interval_days")),
        _read_mg(fields.get("maximum_mg")) if has_steps else first,
        (fields.get("reason_above") or "")[:LONGEST_FIELD].strip(),
        _read_changes(fields, int(schedules.limits.hold_days.default)))


def _read_changes(fields: Mapping[str, str], usual_hold: int) -> tuple[Change, ...]:
    """One change of course, from the "hold or step down" part of the form; () where it was left empty."""
    on = _read_date(fields.get("change_on"))
    kind = fields.get("change")
    if kind not in {"hold", "step-down"} or on is None:
        return ()
    return (Change(Kind(kind), on, _read_int(fields.get("hold_days")) or usual_hold),)


def _date_faults(start: date | None, today: date, earliest: date | None, furthest: int) -> list[Complaint]:
    if start is None:
        return [Complaint("start_on", "start_missing")]
    if start < today:
        return [Complaint("start_on", "start_past")]
    if start > today + timedelta(days=furthest):
        return [Complaint("start_on", "start_far")]
    if earliest and start < earliest:
        return [Complaint("start_on", "start_early", {"day": day(earliest)})]
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
    reviews: tuple[tuple[float, int], ...]
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
        tuple((x(r.on), r.week) for r in plan.reviews if r.on <= plan.stop_on),
        (x(plan.onset[0]), round(x(ends) - x(plan.onset[0]), 1)))
