"""The first day on which naltrexone may start after an opioid of the record (specification 2.5, 3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from types import MappingProxyType

from cds_service.model import Exposure, Role, State


@dataclass(frozen=True, slots=True)
class Washout:
    """Whole days without opioid before naltrexone (2.5, 3.4), and the intervals of depot buprenorphine."""

    short_acting: int = 10
    brief: int = 7
    long_acting: int = 14
    depot_intervals: Mapping[str, int] = field(
        default_factory=lambda: MappingProxyType({"weekly": 7, "monthly": 28, "implant": 180}))


@dataclass(frozen=True, slots=True)
class Earliest:
    """The first day on which naltrexone may start after one opioid.

    ``on`` is exact where the last opioid day is known; else it is the day that counts if the last dose is
    today's and ``is_known`` is False. ``days`` is the washout behind it.
    """

    exposure: Exposure
    on: date
    days: int
    is_known: bool


_SHORT = frozenset({Role.FULL_SA, Role.DUAL, Role.MIXED})
_LONG = frozenset({Role.FULL_LA, Role.METHADONE, Role.BUP})


def earliest_start(exposure: Exposure, today: date, washout: Washout | None = None) -> Earliest | None:
    """The first safe day after this opioid; None where 2.5 asks for none (PERIPH, finished ANTITUSSIVE)."""
    rules = washout or Washout()
    days = max((_washout_days(exposure, role, rules) for role in _roles(exposure)), default=None)
    if days is None:
        return None
    last = _last_opioid_day(exposure, today)
    return Earliest(exposure, (last or today) + timedelta(days=days), days, last is not None)


def _roles(exposure: Exposure) -> list[Role]:
    finished = exposure.state is State.RECENT
    return [c.role for c in exposure.medication.opioids
            if c.role is not Role.PERIPH and not (finished and c.role is Role.ANTITUSSIVE)]


def _washout_days(exposure: Exposure, role: Role, washout: Washout) -> int:
    if role is Role.BUP_DEPOT:
        return _depot_interval(exposure, washout) + washout.long_acting
    if role in _LONG:
        return washout.long_acting
    if role in _SHORT and not exposure.brief:
        return washout.short_acting
    return washout.brief


def _depot_interval(exposure: Exposure, washout: Washout) -> int:
    """By the words of the product; the monthly interval where they do not say."""
    words = " ".join([exposure.medication.order.label, *exposure.medication.recognition.matched_by]).lower()
    return next((days for name, days in washout.depot_intervals.items() if name in words),
                washout.depot_intervals["monthly"])


def _last_opioid_day(exposure: Exposure, today: date) -> date | None:
    """The day of the last dose as far as the record says it; None while it goes on or cannot be told."""
    is_depot = any(c.role is Role.BUP_DEPOT for c in exposure.medication.opioids)
    if is_depot and exposure.last_dose_days is not None:
        return today - timedelta(days=exposure.last_dose_days)
    if exposure.state is State.RECENT and exposure.days is not None:
        return today - timedelta(days=exposure.days)
    return None
