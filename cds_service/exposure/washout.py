"""The first day on which naltrexone may start after an opioid of the record (specification 2.5, 3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from cds_service.model import Exposure, Role, State


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


def earliest_start(exposure: Exposure, today: date, thresholds: Mapping[str, Any]) -> Earliest | None:
    """The first safe day after this opioid by the thresholds of the rules.

    None where 2.5 asks for none (PERIPH, finished ANTITUSSIVE).
    """
    days = max((_washout_days(exposure, role, thresholds) for role in _roles(exposure)), default=None)
    if days is None:
        return None
    last = _last_opioid_day(exposure, today)
    return Earliest(exposure, (last or today) + timedelta(days=days), days, last is not None)


def stated_wait(kind: str, thresholds: Mapping[str, Any]) -> int:
    """Opioid-free days after a last dose that somebody names: ``short`` or ``long`` acting."""
    return int(thresholds["long_acting_days"] if kind == "long" else thresholds["short_acting_days"]["warning_below"])


def _roles(exposure: Exposure) -> list[Role]:
    finished = exposure.state is State.RECENT
    return [c.role for c in exposure.medication.opioids
            if c.role is not Role.PERIPH and not (finished and c.role is Role.ANTITUSSIVE)]


def _washout_days(exposure: Exposure, role: Role, thresholds: Mapping[str, Any]) -> int:
    """The day from which table A is silent; a depot counts from the end of its own dosing interval, as there."""
    if role is Role.BUP_DEPOT:
        return (exposure.interval_days or 0) + int(thresholds["depot_opioid_days"]["critical_below"])
    if role in _LONG:
        return stated_wait("long", thresholds)
    if role in _SHORT and not exposure.brief:
        return stated_wait("short", thresholds)
    return int(thresholds["short_acting_days"]["critical_below"])


def _last_opioid_day(exposure: Exposure, today: date) -> date | None:
    """The day of the last dose as far as the record says it; None while it goes on or cannot be told."""
    is_depot = any(c.role is Role.BUP_DEPOT for c in exposure.medication.opioids)
    if is_depot and exposure.last_dose_days is not None:
        return today - timedelta(days=exposure.last_dose_days)
    if exposure.state is State.RECENT and exposure.days is not None:
        return today - timedelta(days=exposure.days)
    return None
