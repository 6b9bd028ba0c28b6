"""The titration schedules A to E as values: what is proposed, what may be chosen, and the limits of every plan.

The numbers are clinical content (``cards/schedules.yaml``, ``cards/thresholds.yaml``); none stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

DEFAULT = "A"  # proposed first; its first step is the START_1_5 suggestion


@dataclass(frozen=True, slots=True)
class Span:
    """What a prescriber may choose between, ends included, and what we propose."""

    low: Decimal
    high: Decimal
    default: Decimal

    def admits(self, value: Decimal) -> bool:
        return self.low <= value <= self.high

    @property
    def is_fixed(self) -> bool:
        return self.low == self.high


@dataclass(frozen=True, slots=True)
class Schedule:
    """One way to titrate. Milligrams are per dose, ``times_per_day`` doses a day; ``interval`` is in days."""

    id: str
    start: Span
    step: Span
    interval: Span
    maximum: Span
    times_per_day: int
    review_weeks: tuple[int, ...]
    trial_weeks: int | None  # total length; None = so many weeks at the highest dose
    raise_below_relief_percent: (
        Decimal | None
    )  # the rise is decided at the first review; None = it is not

    @property
    def rise_is_decided_at_review(self) -> bool:
        return self.raise_below_relief_percent is not None


@dataclass(frozen=True, slots=True)
class Limits:
    """What every plan keeps to, whatever its schedule. Milligrams of the maxima are per day."""

    usual_max_mg: Decimal  # never proposed above this
    with_reason_max_mg: Decimal  # accepted up to this with a written reason
    grid_mg: Decimal
    solution_mg_per_ml: Decimal
    weeks_at_top: int
    trial_weeks_at_top: int
    onset_weeks: tuple[int, int]
    fill_days: tuple[int, ...]
    first_fill_days: int
    hold_days: Span
    capsules_at_once: int
    furthest_start_days: int
    review_window_days: int
    review_every_weeks: int  # while the dose rises
    diary_weeks: int


@dataclass(frozen=True, slots=True)
class Schedules:
    """All schedules by id, and the limits that they share, as they hold on one day."""

    by_id: Mapping[str, Schedule]
    limits: Limits

    @classmethod
    def of(cls, numbers: Mapping[str, Any]) -> Schedules:
        """From the numbers in force (thresholds with ``schedules`` and ``titration``)."""
        found = {id_: _schedule(id_, value) for id_, value in sorted(numbers["schedules"].items())}
        return cls(MappingProxyType(found), _limits(numbers))


def _schedule(id_: str, value: Mapping[str, Any]) -> Schedule:
    limits = value.get("limits", {})
    start, step, interval, maximum = (
        _span(value[name], limits.get(name))
        for name in ("start_mg", "step_mg", "step_days", "max_mg")
    )
    relief = value.get("raise_below_relief_percent")
    return Schedule(
        id_,
        start,
        step,
        interval,
        maximum,
        value["times_per_day"],
        tuple(value["review_weeks"]),
        value.get("trial_weeks"),
        None if relief is None else _decimal(relief),
    )


def _limits(numbers: Mapping[str, Any]) -> Limits:
    t = numbers["titration"]
    return Limits(
        usual_max_mg=_decimal(numbers["ldn_usual_max_mg"]),
        with_reason_max_mg=_decimal(t["with_reason_max_mg"]),
        grid_mg=_decimal(t["grid_mg"]),
        solution_mg_per_ml=_decimal(t["solution_mg_per_ml"]),
        weeks_at_top=t["weeks_at_top"],
        trial_weeks_at_top=t["trial_weeks_at_top"],
        onset_weeks=(t["onset_weeks"]["low"], t["onset_weeks"]["high"]),
        fill_days=tuple(t["fill_days"]["choices"]),
        first_fill_days=t["fill_days"]["usual"],
        hold_days=_span(t["hold_days"]["usual"], t["hold_days"]),
        capsules_at_once=t["capsules_at_once"],
        furthest_start_days=t["furthest_start_days"],
        review_window_days=t["review_window_days"],
        review_every_weeks=t["review_every_weeks"],
        diary_weeks=t["diary_weeks"],
    )


def _span(usual: float, limits: Mapping[str, float] | None) -> Span:
    low, high = (limits["low"], limits["high"]) if limits else (usual, usual)
    return Span(_decimal(low), _decimal(high), _decimal(usual))


def _decimal(number: float) -> Decimal:
    return Decimal(str(number))
