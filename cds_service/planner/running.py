"""A plan of ours that is under way, read back from its orders: where the patient is, and the rest (3.3). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

from cds_service.fhir.values import as_dict, as_list, as_text, resource_ref
from cds_service.model import Json
from cds_service.planner.judge import is_ours
from cds_service.titration.plan import Choice, Plan, Step, complaints, draw, propose
from cds_service.titration.schedules import Schedules


@dataclass(frozen=True, slots=True)
class Running:
    """The plan as it was written. ``choice`` is None where its steps are no schedule of ours any more."""

    refs: tuple[str, ...]
    steps: tuple[Step, ...]
    choice: Choice | None

    def step_on(self, day: date) -> Step:
        return next(step for step in self.steps if step.starts <= day <= step.ends)

    def next_after(self, day: date) -> Step | None:
        return next((step for step in self.steps if step.starts > day), None)

    def taken_until(self, day: date) -> Decimal:
        """Milligrams of the plan up to and with this day."""
        days = ((min(step.ends, day) - step.starts).days + 1 for step in self.steps)
        return sum(
            (s.daily_mg * max(0, n) for s, n in zip(self.steps, days, strict=True)), Decimal(0)
        )


def running_of(resources: Iterable[Json], schedules: Schedules, today: date) -> Running | None:
    """The newest signed plan of ours that covers today; None where there is none. A draft is no course yet."""
    plans: dict[str, list[Json]] = {}
    for resource in resources:
        if (
            resource.get("status") == "active"
            and is_ours(resource)
            and "dosageInstruction" in resource
        ):
            plans.setdefault(_key(resource), []).append(resource)
    found = [
        (max(as_text(r.get("authoredOn")) for r in orders), orders) for orders in plans.values()
    ]
    for _, orders in sorted(found, key=lambda one: one[0], reverse=True):
        steps = _numbered(step for order in orders for step in _steps(order))
        if steps and any(step.starts <= today <= step.ends for step in steps):
            return Running(tuple(map(resource_ref, orders)), steps, _choice(steps, schedules))
    return None


def rest(plan: Plan, day: date) -> Plan:
    """What is left of a plan from this day on; supplies, sigs and refills follow from its steps."""
    steps = [replace(s, starts=max(s.starts, day)) for s in plan.steps if s.ends >= day]
    left = tuple(replace(step, number=n) for n, step in enumerate(steps, 1))
    return replace(plan, steps=left, reviews=tuple(r for r in plan.reviews if r.on > day))


def _key(resource: Json) -> str:
    values = (as_text(as_dict(i).get("value")) for i in as_list(resource.get("identifier")))
    return next((v.partition("#")[0] for v in values if "#" in v), "")


def _steps(order: Json) -> Iterator[Step]:
    for dosage in map(as_dict, as_list(order.get("dosageInstruction"))):
        repeat = as_dict(as_dict(dosage.get("timing")).get("repeat"))
        bounds = as_dict(repeat.get("boundsPeriod"))
        dose = as_dict(dosage.get("doseQuantity")) or as_dict(
            as_dict(next(iter(as_list(dosage.get("doseAndRate"))), None)).get("doseQuantity")
        )
        try:
            yield Step(
                0,
                date.fromisoformat(as_text(bounds.get("start"))[:10]),
                date.fromisoformat(as_text(bounds.get("end"))[:10]),
                Decimal(str(dose.get("value"))),
                int(repeat.get("frequency", 1)),
            )
        except (ValueError, TypeError, InvalidOperation):
            return


def _numbered(steps: Iterable[Step]) -> tuple[Step, ...]:
    """In order; () where they leave a gap or overlap."""
    found = sorted(steps, key=lambda step: step.starts)
    whole = all(a.ends + timedelta(days=1) == b.starts for a, b in pairwise(found))
    return tuple(replace(step, number=n) for n, step in enumerate(found, 1)) if whole else ()


def _choice(steps: tuple[Step, ...], schedules: Schedules) -> Choice | None:
    """The choice that draws exactly these steps, tried schedule by schedule."""
    first = steps[0]
    for id_ in schedules.by_id:
        proposed = propose(schedules, id_, first.starts)
        more = len(steps) > 1
        changed: Mapping[str, Any] = {
            "start_mg": first.each_mg,
            "step_mg": steps[1].each_mg - first.each_mg if more else proposed.step_mg,
            "interval_days": first.days if more else proposed.interval_days,
            "maximum_mg": steps[-1].each_mg,
            "reason_above": "as before",
        }
        choice = replace(proposed, **changed)
        if not complaints(schedules, choice) and _doses(draw(schedules, choice).steps) == _doses(
            steps
        ):
            return choice
    return None


def _doses(steps: Iterable[Step]) -> list[tuple[date, date, Decimal, int]]:
    return [(s.starts, s.ends, s.each_mg, s.times_per_day) for s in steps]
