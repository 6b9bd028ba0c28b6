"""For how long after the last dose the tables of 2.5 have something to say: one answer for cards, planner and gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from cds_service.exposure.depot import depot_interval, depot_kind
from cds_service.model import Band, Component, Exposure, Medication, Role, State

_SHORT = frozenset({Role.FULL_SA, Role.DUAL, Role.MIXED})
_LONG = frozenset({Role.FULL_LA, Role.METHADONE, Role.BUP})
_LABELLED = frozenset({Band.LABELLED, Band.SUPRA, Band.UNKNOWN, Band.BUPROPION})


@dataclass(frozen=True, slots=True)
class Earliest:
    """The first day on which naltrexone may start after one opioid.

    ``on`` rests on a documented end where ``is_known``: "if the last dose was that day". Else it is the day that counts
    if the last dose is today's. ``days`` is the washout behind it.
    """

    exposure: Exposure
    on: date
    days: int
    is_known: bool


def earliest_start(
    exposure: Exposure, today: date, thresholds: Mapping[str, Any]
) -> Earliest | None:
    """The first safe day after this opioid; None where table A asks for no wait (PERIPH, naltrexone itself)."""
    days = opioid_free_days(exposure.medication, exposure.brief, thresholds)
    if days is None:
        return None
    if exposure.clear_on is not None:
        return Earliest(exposure, exposure.clear_on, days, is_known=True)
    return Earliest(exposure, today + timedelta(days=days), days, is_known=False)


def stated_wait(kind: str, thresholds: Mapping[str, Any]) -> int:
    """Opioid-free days after a last dose that somebody names: ``short`` or ``long`` acting."""
    return int(
        thresholds["long_acting_days"]
        if kind == "long"
        else thresholds["short_acting_days"]["warning_below"]
    )


def clear_on(exposure: Exposure, today: date, thresholds: Mapping[str, Any]) -> date | None:
    """The first day on which table A says none, if the last dose was that of the documented end; else None."""
    ending, days = (
        exposure.ending,
        opioid_free_days(exposure.medication, exposure.brief, thresholds),
    )
    if ending is None or days is None or exposure.state is not State.RECENT:
        return None
    clear = ending.on + timedelta(days=days)
    if exposure.removed_days is None or exposure.last_dose_days is None:
        return clear
    inserted = today - timedelta(days=exposure.last_dose_days)
    absorbed = inserted + timedelta(
        days=depot_interval(exposure.medication, thresholds)
        + thresholds["depot_opioid_days"]["critical_below"]
    )
    return max(
        absorbed,
        today
        - timedelta(days=exposure.removed_days)
        + timedelta(days=thresholds["depot_tail_days"]["implant"] + 1),
    )


def opioid_free_days(
    medication: Medication, brief: bool, thresholds: Mapping[str, Any]
) -> int | None:
    """Table A: the first d for which RECENT(d) says none, counted from the last dose; None = it never says anything."""
    days = [
        _opioid_days(c.role, medication, brief, thresholds)
        for c in medication.opioids
        if c.role is not Role.PERIPH
    ]
    return max(days, default=None)


def silent_from(medication: Medication, brief: bool, thresholds: Mapping[str, Any]) -> int:
    """Both tables: the first d for which RECENT(d) of this product says none. An unknown drug is given the longest."""
    if not medication.recognition.components:
        return int(thresholds["long_acting_days"])
    antagonists = [
        _antagonist_days(c, medication, thresholds)
        for c in medication.recognition.components
        if c.role.is_antagonist
    ]
    return max([*antagonists, opioid_free_days(medication, brief, thresholds) or 0])


def _opioid_days(
    role: Role, medication: Medication, brief: bool, thresholds: Mapping[str, Any]
) -> int:
    if role is Role.BUP_DEPOT:
        return _depot_days(medication, thresholds)
    if role in _LONG:
        return stated_wait("long", thresholds)
    if role in _SHORT:
        return (
            int(thresholds["short_acting_days"]["critical_below"])
            if brief
            else stated_wait("short", thresholds)
        )
    return int(
        thresholds["opioid_like_days"]
        if role is Role.OPIOID_LIKE
        else thresholds["antitussive_days"]["info_below"]
    )


def _depot_days(medication: Medication, thresholds: Mapping[str, Any]) -> int:
    """From the last dose; an implant without a recorded removal is counted out from the end of its interval."""
    kind, interval = depot_kind(medication), depot_interval(medication, thresholds)
    tail = int(thresholds["depot_tail_days"][kind]) + 1 + (interval if kind == "implant" else 0)
    return max(tail, interval + int(thresholds["depot_opioid_days"]["critical_below"]))


def _antagonist_days(
    component: Component, medication: Medication, thresholds: Mapping[str, Any]
) -> int:
    match component.role:
        case Role.NTX_TOPICAL:
            return 0
        case Role.NTX_XR | Role.NTX_IMPLANT:
            kind = "implant" if depot_kind(medication) == "implant" else "xr"
            return int(thresholds["naltrexone_tail_days"][kind]) + 1
        case Role.OTHER_ANTAG:
            hold: Mapping[str, int] = thresholds["other_antagonist_days"]
            return hold.get(component.ingredient, max(hold.values()))
    if medication.band is Band.MICRO:
        return 0
    if medication.band in _LABELLED or component.role is Role.NTX_BUP:
        return int(thresholds["tolerance_notice_days"]["labelled_below"])
    return int(thresholds["oral_hold_days"])
