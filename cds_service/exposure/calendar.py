"""Whole calendar days, and the moment that they are counted from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import ceil


@dataclass(frozen=True, slots=True)
class Clock:
    """The moment of the call: ``now`` with an offset, ``today`` in the configured zone."""

    now: datetime
    today: date


def days_between(earlier: date, later: date) -> int:
    """Whole calendar days; a date in the future counts as today."""
    return max(0, (later - earlier).days)


def add_days(day: date, days: Decimal | int) -> date:
    """``day`` plus whole days (rounded up), held inside the calendar."""
    try:
        return day + timedelta(days=ceil(days))
    except OverflowError:
        return date.max
