"""What to dispense for a plan: capsules or millilitres by length of fill (clinical specification 3.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from cds_service.titration.plan import Plan, Step


class Form(StrEnum):
    """How the pharmacy makes it up."""

    ONE_STRENGTH = "one-strength"  # every dose from capsules of one strength
    EACH_STRENGTH = "each-strength"  # one capsule per dose, a strength for each step
    SOLUTION = "solution"


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
    strength = plan.limits.solution_mg_per_ml if form is Form.SOLUTION else common_strength(plan)
    quantity = sum((step.daily_mg / strength * count for step, count in taken), Decimal(0))
    return (Supply(form, strength, quantity, tuple(step.number for step, _ in taken)),)


def _each_strength(taken: list[tuple[Step, int]]) -> tuple[Supply, ...]:
    strengths = dict.fromkeys(step.each_mg for step, _ in taken)
    return tuple(
        Supply(
            Form.EACH_STRENGTH,
            mg,
            Decimal(sum(n * s.times_per_day for s, n in taken if s.each_mg == mg)),
            tuple(s.number for s, _ in taken if s.each_mg == mg),
        )
        for mg in strengths
    )


def _days_within(plan: Plan, step: Step, days: int) -> int:
    last = min(step.ends, plan.starts + timedelta(days=days - 1))
    return max(0, (last - step.starts).days + 1)


def common_strength(plan: Plan) -> Decimal:
    """The largest capsule, mg, of which every dose is a whole number: capsules are never split."""
    grid = plan.limits.grid_mg
    return math.gcd(*(int(step.each_mg / grid) for step in plan.steps)) * grid


def most_capsules_at_once(plan: Plan) -> int:
    """Capsules of the common strength in the largest single dose."""
    return int(max(step.each_mg for step in plan.steps) / common_strength(plan))
