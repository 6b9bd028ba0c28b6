"""What to dispense for a plan: capsules or millilitres by length of fill (clinical specification 3.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
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


@dataclass(frozen=True, slots=True)
class Fill:
    """What is dispensed for a run of days, both ends included."""

    starts: date
    ends: date
    supplies: tuple[Supply, ...]


def fills(plan: Plan, form: Form, days: int) -> tuple[Fill, ...]:
    """The whole plan in fills of ``days`` days, without gap: the last one ends with the last dose."""
    found = []
    first = plan.starts
    while first <= plan.ends:
        last = min(first + timedelta(days=days - 1), plan.ends)
        found.append(Fill(first, last, _between(plan, form, first, last)))
        first = last + timedelta(days=1)
    return tuple(found)


def dispense(plan: Plan, form: Form, days: int) -> tuple[Supply, ...]:
    """What the first ``days`` days of the plan take, one entry per product in the order of use."""
    return _between(plan, form, plan.starts, plan.starts + timedelta(days=days - 1))


def _between(plan: Plan, form: Form, first: date, last: date) -> tuple[Supply, ...]:
    taken = [(step, _days_within(step, first, last)) for step in plan.steps]
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


def _days_within(step: Step, first: date, last: date) -> int:
    return max(0, (min(step.ends, last) - max(step.starts, first)).days + 1)


def common_strength(plan: Plan) -> Decimal:
    """The largest capsule, mg, of which every dose is a whole number: capsules are never split."""
    grid = plan.limits.grid_mg
    return math.gcd(*(int(step.each_mg / grid) for step in plan.steps)) * grid


def most_capsules_at_once(plan: Plan) -> int:
    """Capsules of the common strength in the largest single dose."""
    return int(max(step.each_mg for step in plan.steps) / common_strength(plan))
