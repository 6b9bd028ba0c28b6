"""A plan as a step chart: geometry in SVG units. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise

from cds_service.planner.phrases import mg
from cds_service.titration.plan import Plan


@dataclass(frozen=True, slots=True)
class DoseChart:
    """Geometry of the step chart in SVG units. Labels that would touch their neighbour are left out, lines never."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    line: str
    area: str
    days: tuple[tuple[float, str, str], ...]  # where, the date, the text's anchor
    levels: tuple[tuple[float, str], ...]
    reviews: tuple[
        tuple[float, int, bool], ...
    ]  # where, which week, whether there is room to say it
    onset: tuple[float, float]
    today: float | None  # where a course stands


def draw_chart(plan: Plan, today: date | None = None) -> DoseChart:
    """Dose against date, small enough for a side column and still legible there."""
    width, height, left, right, top, bottom = 400, 214, 36, 392, 26, 158
    highest = max(plan.highest_daily_mg, Decimal(1))

    def x(on: date) -> float:
        return round(left + (right - left) * (on - plan.starts).days / plan.days, 1)

    def y(dose: Decimal) -> float:
        return round(bottom - (bottom - top) * float(dose / highest), 1)

    corners = [f"M{left} {y(plan.steps[0].daily_mg)}"]
    for before, after in pairwise(plan.steps):
        corners.append(
            f"H{x(after.starts)}" + f"V{y(after.daily_mg)}" * (before.daily_mg != after.daily_mg)
        )
    line = "".join([*corners, f"H{right}"])
    levels = {y(dose): mg(dose) for dose in (Decimal(0), *sorted({s.daily_mg for s in plan.steps}))}
    soonest, latest = (min(max(on, plan.starts), plan.stop_on) for on in plan.onset)
    reviews = [(x(r.on), r.week) for r in plan.reviews if r.on <= plan.stop_on]
    named = set(_apart([at for at, _ in reviews], 40))
    return DoseChart(
        width,
        height,
        left,
        right,
        top,
        bottom,
        line,
        f"{line}V{bottom}H{left}Z",
        tuple(_day_labels([(x(s.starts), s.starts) for s in plan.steps], (right, plan.stop_on))),
        tuple((at, levels[at]) for at in _apart(sorted(levels, reverse=True), 16)),
        tuple((at, week, at in named) for at, week in reviews),
        (x(soonest), round(x(latest) - x(soonest), 1)),
        x(today) if today and plan.starts <= today <= plan.ends else None,
    )


def _apart(places: Sequence[float], gap: float) -> list[float]:
    """The places of a run, the first and then each that keeps its distance from the one before."""
    kept: list[float] = []
    for place in places:
        if not kept or abs(place - kept[-1]) >= gap:
            kept.append(place)
    return kept


def _day_labels(
    starts: Sequence[tuple[float, date]], end: tuple[float, date]
) -> Iterator[tuple[float, str, str]]:
    room = 50
    named = set(_apart([at for at, _ in starts], room))
    for at, on in starts:
        if at in named and at <= end[0] - room - 16:
            yield at, f"{on.day} {on:%b}", "start"
    yield end[0], f"{end[1].day} {end[1]:%b}", "end"
