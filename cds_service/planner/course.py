"""Plans of ours read back from their orders: the steps as they were written, and the choice that draws them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from types import MappingProxyType

from cds_service.content.planner_words import Words
from cds_service.fhir.values import as_dict, as_list, as_text, resource_ref
from cds_service.model import Json
from cds_service.planner.judge import is_ours
from cds_service.planner.phrases import Phrases, mg
from cds_service.titration.plan import Change, Choice, Kind, Plan, Step, complaints, draw, propose
from cds_service.titration.schedules import Limits, Schedule, Schedules

MOST_PLANS, MOST_STEPS = 12, 60  # read of one record; what is longer is none of ours
_YEARS = range(2000, 2101)
DRAFT, ACTIVE, OVER = "draft", "active", "over"
_STANDINGS: Mapping[str, str] = MappingProxyType(
    {
        "draft": DRAFT,
        "active": ACTIVE,
        "on-hold": OVER,
        "completed": OVER,
        "stopped": OVER,
        "ended": OVER,
    }
)


@dataclass(frozen=True, slots=True)
class Written:
    """One plan of ours. ``steps`` is () where they cannot be read, ``choice`` None where no schedule of ours draws them.

    A plan that went on from an earlier one is drawn by the earlier choice with its change of course.
    """

    refs: tuple[str, ...]
    standing: str  # DRAFT, ACTIVE or OVER
    authored: str
    steps: tuple[Step, ...]
    notes: str = ""
    choice: Choice | None = None
    course: tuple[Step, ...] = ()  # from the course's first day to its last, as the choice draws it

    def covers(self, day: date) -> bool:
        return any(step.starts <= day <= step.ends for step in self.course)


def read_back(resources: Iterable[Json], schedules: Schedules, say: Words) -> tuple[Written, ...]:
    """Every plan of ours on the list, the newest first. What was cancelled was perhaps never taken: left out."""
    plans: dict[tuple[str, str], list[Json]] = {}
    for resource in resources:
        standing = _STANDINGS.get(as_text(resource.get("status")))
        if standing and is_ours(resource) and "dosageInstruction" in resource:
            plans.setdefault((_key(resource), standing), []).append(resource)
    found = sorted(
        (_written(standing, orders) for (_, standing), orders in plans.items()),
        key=lambda plan: plan.authored,
        reverse=True,
    )
    return _with_choices(found[:MOST_PLANS], schedules, say)


def rest(plan: Plan, day: date) -> Plan:
    """What is left of a plan from this day on; supplies, sigs and refills follow from its steps."""
    steps = [replace(s, starts=max(s.starts, day)) for s in plan.steps if s.ends >= day]
    left = tuple(replace(step, number=n) for n, step in enumerate(steps, 1))
    reviews = tuple(r for r in plan.reviews if r.on > day)
    return replace(plan, steps=left, reviews=reviews, last_dose_since=plan.steps[-1].starts)


# --- the orders


def _written(standing: str, orders: Sequence[Json]) -> Written:
    authored = max(as_text(order.get("authoredOn")) for order in orders)
    notes = (as_text(n.get("text")) for o in orders for n in map(as_dict, as_list(o.get("note"))))
    return Written(
        tuple(map(resource_ref, orders)), standing, authored, _read(orders), " ".join(notes)
    )


def _key(resource: Json) -> str:
    values = (as_text(as_dict(i).get("value")) for i in as_list(resource.get("identifier")))
    return next((v.partition("#")[0] for v in values if "#" in v), "")


def _read(orders: Iterable[Json]) -> tuple[Step, ...]:
    """The steps of all orders in one row; () where one cannot be read, or they leave a gap or overlap."""
    try:
        found = sorted((s for o in orders for s in _steps(o)), key=lambda step: step.starts)
    except (ValueError, TypeError, OverflowError, InvalidOperation):
        return ()
    whole = all(a.ends + timedelta(days=1) == b.starts for a, b in pairwise(found))
    is_fine = whole and len(found) <= MOST_STEPS and all(map(_is_sound, found))
    return tuple(replace(step, number=n) for n, step in enumerate(found, 1)) if is_fine else ()


def _is_sound(step: Step) -> bool:
    is_dose = step.each_mg.is_finite() and 0 < step.each_mg <= 1_000
    return step.starts <= step.ends and is_dose and 0 < step.times_per_day <= 24


def _steps(order: Json) -> Iterator[Step]:
    for dosage in map(as_dict, as_list(order.get("dosageInstruction"))):
        repeat = as_dict(as_dict(dosage.get("timing")).get("repeat"))
        bounds = as_dict(repeat.get("boundsPeriod"))
        dose = as_dict(dosage.get("doseQuantity")) or as_dict(
            as_dict(next(iter(as_list(dosage.get("doseAndRate"))), None)).get("doseQuantity")
        )
        yield Step(
            0,
            _day(bounds.get("start")),
            _day(bounds.get("end")),
            Decimal(str(dose.get("value"))),
            int(repeat.get("frequency", 1)),
        )


def _day(value: object) -> date:
    found = date.fromisoformat(as_text(value)[:10])
    if found.year not in _YEARS:
        raise ValueError
    return found


# --- the choice that draws them


def _with_choices(
    plans: Sequence[Written], schedules: Schedules, say: Words
) -> tuple[Written, ...]:
    """Each with its choice: the rest of a signed plan that began before, or drawn as it is."""
    known: dict[int, Choice] = {}
    in_order = sorted((n for n, p in enumerate(plans) if p.steps), key=lambda n: _starts(plans[n]))
    for number in in_order:
        plan = plans[number]
        before = [known[n] for n in known if plans[n].standing != DRAFT]
        tried = [*(c for one in reversed(before) for c in _continued(one, plan, schedules))]
        tried += _drawn_by(plan, schedules, say)
        for is_whole in (True, False):
            choice = next((c for c in tried if _draws(c, plan, schedules, say, is_whole)), None)
            if choice is not None:
                known[number] = choice
                break
    return tuple(
        replace(
            plan,
            choice=known.get(number),
            course=draw(schedules, known[number]).steps if number in known else plan.steps,
        )
        for number, plan in enumerate(plans)
    )


def _starts(plan: Written) -> date:
    return plan.steps[0].starts


def _draws(choice: Choice, plan: Written, schedules: Schedules, say: Words, is_whole: bool) -> bool:
    """True if the choice draws exactly these steps from their first day on.

    With a product for each strength the later ones are ordered with a later fill: not ``is_whole`` takes the first
    steps alone, where the order's own note names the highest dose that the choice comes to.
    """
    if choice.start_on > _starts(plan) or complaints(schedules, choice):
        return False
    left = rest(draw(schedules, choice), _starts(plan))
    drawn, read = _doses(left.steps), _doses(plan.steps)
    if is_whole or not left.steps:
        return drawn == read
    highest = left.highest_daily_mg
    said = say("note.highest", dose=mg(highest), dose_words=Phrases(say).mg_in_words(highest))
    return drawn[: len(read)] == read and said in plan.notes


def _continued(before: Choice, plan: Written, schedules: Schedules) -> Iterator[Choice]:
    """The earlier choice, and the same with a change of course on the first day of the plan."""
    on, hold = _starts(plan), schedules.limits.hold_days
    yield before
    for days in (int(hold.default), *range(int(hold.low), int(hold.high) + 1)):
        yield replace(before, changes=(*before.changes, Change(Kind.HOLD, on, days)))
    yield replace(before, changes=(*before.changes, Change(Kind.STEP_DOWN, on)))


def _drawn_by(plan: Written, schedules: Schedules, say: Words) -> Iterator[Choice]:
    """Several schedules may draw the same steps: the one that the order's note names comes first."""

    def is_silent(id_: str) -> bool:
        standing = say(f"schedule.{id_}.standing")
        return say("note.off_label", schedule=id_, standing=standing) not in plan.notes

    for id_ in sorted(schedules.by_id, key=is_silent):
        yield from _candidates(plan.steps, schedules.by_id[id_], schedules)


def _candidates(
    steps: tuple[Step, ...], schedule: Schedule, schedules: Schedules
) -> Iterator[Choice]:
    """Choices that may have drawn the steps: a step that lasts longer than the interval was held."""
    first, *later = steps
    proposed = propose(schedules, schedule.id, first.starts)
    is_down = bool(later) and steps[-1].each_mg < steps[-2].each_mg
    rise = later[0].each_mg - first.each_mg if later else Decimal(0)
    highest = max(step.each_mg for step in steps)
    above = _maxima(max(highest, proposed.maximum_mg), highest, schedule, schedules.limits)
    for interval in dict.fromkeys([*(step.days for step in steps[:-1]), proposed.interval_days]):
        for maximum, held in ((highest, steps[:-1]), *((more, steps) for more in above)):
            yield replace(
                proposed,
                start_mg=first.each_mg,
                step_mg=rise if rise > 0 else proposed.step_mg,
                interval_days=interval,
                maximum_mg=maximum,
                reason_above=_reason(maximum * schedule.times_per_day, schedules.limits),
                changes=(*_holds(held, interval), *_down(steps if is_down else ())),
            )


def _maxima(
    usual: Decimal, lowest: Decimal, schedule: Schedule, limits: Limits
) -> Iterator[Decimal]:
    """What a plan may rise to beyond the steps that are read, the usual first."""
    yield usual
    for count in range(int((schedule.maximum.high - lowest) / limits.grid_mg)):
        yield lowest + (count + 1) * limits.grid_mg


def _reason(highest_mg: Decimal, limits: Limits) -> str:
    return "as before" if highest_mg > limits.usual_max_mg else ""


def _holds(steps: Sequence[Step], interval: int) -> Iterator[Change]:
    for step in steps:
        if step.days > interval:
            on = step.starts + timedelta(days=interval)
            yield Change(Kind.HOLD, on, step.days - interval)


def _down(steps: Sequence[Step]) -> Iterator[Change]:
    for step in steps[-1:]:
        yield Change(Kind.STEP_DOWN, step.starts)


def _doses(steps: Iterable[Step]) -> list[tuple[date, date, Decimal, int]]:
    return [(s.starts, s.ends, s.each_mg, s.times_per_day) for s in steps]
