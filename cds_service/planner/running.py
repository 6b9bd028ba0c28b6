"""A plan of ours that is under way: where the patient is in it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from cds_service.planner.course import ACTIVE, Written
from cds_service.titration.plan import Choice, Step


@dataclass(frozen=True, slots=True)
class Running:
    """The course with all that was changed of it. ``choice`` is None where its steps are no schedule of ours."""

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


def running_of(plans: Iterable[Written], today: date) -> Running | None:
    """The newest signed plan of ours that covers today, from the course's first day on; None where there is none."""
    for plan in plans:
        if plan.standing == ACTIVE and plan.covers(today):
            return Running(plan.refs, plan.course, plan.choice)
    return None
