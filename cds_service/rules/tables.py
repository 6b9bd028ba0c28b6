"""Table A and table B of specification 2.5: how bad it is when one listed drug meets the drafted one.

A cell sees the role, the exposure and the numbers in force; who is drafted, what caps a verdict and what is said about it
is the business of ``pairs`` and ``interaction``.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cds_service.model import Band, Component, Exposure, Medication, Role, Severity, State

Limits = Mapping[str, Any]

LONG_ACTING = frozenset({Role.FULL_LA, Role.METHADONE, Role.BUP})
SHORT_ACTING = frozenset({Role.FULL_SA, Role.DUAL, Role.MIXED})
_NONE, _INFO, _WARNING, _CRITICAL = (
    Severity.NONE,
    Severity.INFO,
    Severity.WARNING,
    Severity.CRITICAL,
)
_UNSETTLED = frozenset({State.HELD, State.STALE})
# A dose that could not be read is not taken for a low one.
_MAY_BE_LABELLED = frozenset({Band.LABELLED, Band.SUPRA, Band.BUPROPION, Band.UNKNOWN})


def both_drafted(component: Component, opioid: Medication, limits: Limits) -> Severity:
    """The first column of table A: an antagonist and an opioid in one signing."""
    match component.role:
        case Role.PERIPH:
            return _peripheral(opioid, limits)
        case Role.ANTITUSSIVE | Role.OPIOID_LIKE:
            return _WARNING
    return _CRITICAL


# --- table A: a drafted antagonist meets a listed opioid ---------------------------------------------------------------


def table_a(component: Component, exposure: Exposure, limits: Limits) -> Severity:
    match component.role:
        case Role.PERIPH:
            return (
                _peripheral(exposure.medication, limits)
                if exposure.state is State.CURRENT
                else _NONE
            )
        case Role.ANTITUSSIVE:
            return _antitussive(exposure, limits)
        case Role.OPIOID_LIKE:
            return _opioid_like(exposure, limits)
        case Role.BUP_DEPOT:
            return _depot_opioid(exposure, limits)
    return _opioid(component.role, exposure, limits)


def _opioid(role: Role, exposure: Exposure, limits: Limits) -> Severity:
    match exposure.state:
        case State.CURRENT:
            return _CRITICAL
        case State.PLANNED:
            return _WARNING
        case State.OLD:
            return _INFO
        case State.RECENT:
            return _recent_opioid(role, exposure.days or 0, exposure.brief, limits)
    return max(_WARNING, _floor(role, exposure, limits))


def _floor(role: Role, exposure: Exposure, limits: Limits) -> Severity:
    """HELD and STALE are never milder than stopped on the day of the newest evidence of use."""
    days = exposure.floor_days
    return _NONE if days is None else _recent_opioid(role, days, exposure.brief, limits)


def _recent_opioid(role: Role, days: int, brief: bool, limits: Limits) -> Severity:
    if role in LONG_ACTING:
        return _CRITICAL if days < limits["long_acting_days"] else _NONE
    wait = limits["short_acting_days"]
    if brief:
        return _WARNING if days < wait["critical_below"] else _NONE
    return (
        _CRITICAL
        if days < wait["critical_below"]
        else _WARNING
        if days < wait["warning_below"]
        else _NONE
    )


def _antitussive(exposure: Exposure, limits: Limits) -> Severity:
    if exposure.state is State.RECENT:
        return _recent_antitussive(exposure.days or 0, limits)
    stated = {
        State.CURRENT: _WARNING,
        State.HELD: _WARNING,
        State.STALE: _INFO,
        State.PLANNED: _INFO,
    }.get(exposure.state, _NONE)
    if exposure.state in _UNSETTLED and exposure.floor_days is not None:
        return max(stated, _recent_antitussive(exposure.floor_days, limits))
    return stated


def _recent_antitussive(days: int, limits: Limits) -> Severity:
    wait = limits["antitussive_days"]
    return (
        _WARNING if days < wait["warning_below"] else _INFO if days < wait["info_below"] else _NONE
    )


def _opioid_like(exposure: Exposure, limits: Limits) -> Severity:
    if exposure.state is State.RECENT:
        return _WARNING if (exposure.days or 0) < limits["opioid_like_days"] else _NONE
    return _NONE if exposure.state is State.OLD else _WARNING


def _depot_opioid(exposure: Exposure, limits: Limits) -> Severity:
    """Depot buprenorphine is judged by its last dose: days past the interval, then a long tail (L18, J3)."""
    if exposure.state is State.PLANNED:
        return _WARNING
    since = exposure.last_dose_days
    if since is None:
        return {State.CURRENT: _CRITICAL, State.OLD: _INFO}.get(exposure.state, _WARNING)
    interval = exposure.interval_days or 0
    if since - interval < limits["depot_opioid_days"]["critical_below"]:
        return _CRITICAL
    tail = limits["depot_tail_days"][exposure.depot or "monthly"]
    left = (
        exposure.removed_days
        if exposure.removed_days is not None
        else since - interval
        if exposure.depot == "implant"
        else since
    )
    return _WARNING if left <= tail else _INFO if exposure.state is State.OLD else _NONE


def _peripheral(medication: Medication, limits: Limits) -> Severity:
    """No withdrawal is expected, but for loperamide in doses that reach the brain."""
    loperamide = any(c.ingredient == "loperamide" for c in medication.opioids)
    dose = medication.dose.daily_mg
    high = loperamide and dose is not None and dose > Decimal(str(limits["loperamide_mg"]))
    return _WARNING if high else _INFO


# --- table B: a drafted opioid meets a listed antagonist ---------------------------------------------------------------


def table_b(role: Role, exposure: Exposure, limits: Limits) -> tuple[Severity, bool]:
    """(severity, is only the notice of lost tolerance)."""
    antagonist = exposure.medication.antagonist
    if antagonist is None or antagonist.role is Role.NTX_TOPICAL:
        return _NONE, False
    if role is Role.PERIPH:
        return (_INFO if exposure.state is State.CURRENT else _NONE), False
    if role is Role.OPIOID_LIKE:
        return (_WARNING if exposure.state in {State.CURRENT, *_UNSETTLED} else _NONE), False
    severity, tolerance = _antagonist(antagonist, exposure, limits)
    if role is Role.ANTITUSSIVE:
        severity = min(severity, _WARNING)
        return (_NONE, False) if tolerance and severity is _INFO else (severity, tolerance)
    return severity, tolerance


def _antagonist(antagonist: Component, exposure: Exposure, limits: Limits) -> tuple[Severity, bool]:
    if exposure.medication.band is Band.MICRO:
        return (_WARNING if exposure.state is State.CURRENT else _NONE), False
    if exposure.state is State.PLANNED:
        return _WARNING, False
    by_dose = {Role.NTX_XR: _injection, Role.NTX_IMPLANT: _implant}.get(antagonist.role)
    if by_dose is not None:
        return by_dose(exposure, limits)
    if exposure.state is State.RECENT:
        return _stopped(antagonist, exposure, limits)
    return {State.CURRENT: _CRITICAL, State.OLD: _INFO}.get(exposure.state, _WARNING), False


def _stopped(antagonist: Component, exposure: Exposure, limits: Limits) -> tuple[Severity, bool]:
    days = exposure.days or 0
    if antagonist.role is Role.OTHER_ANTAG:
        hold = limits["other_antagonist_days"]
        return (
            _WARNING if days < hold.get(antagonist.ingredient, max(hold.values())) else _NONE
        ), False
    if days < limits["oral_hold_days"]:
        return _WARNING, False
    notice = (
        days < limits["tolerance_notice_days"]["labelled_below"]
        and exposure.medication.band in _MAY_BE_LABELLED
    )
    return (_INFO if notice else _NONE), notice


def _injection(exposure: Exposure, limits: Limits) -> tuple[Severity, bool]:
    """The injection is judged by its last dose, whatever the status says."""
    since, tail = exposure.last_dose_days, limits["naltrexone_tail_days"]["xr"]
    if since is not None and since <= limits["xr_blockade_days"]:
        return _CRITICAL, False
    if since is not None and since <= tail:
        return _WARNING, True
    if since is None:
        return {State.CURRENT: _CRITICAL, State.OLD: _INFO, State.RECENT: _NONE}.get(
            exposure.state, _WARNING
        ), False
    return {State.RECENT: _NONE, State.OLD: _INFO}.get(exposure.state, _WARNING), False


def _implant(exposure: Exposure, limits: Limits) -> tuple[Severity, bool]:
    since, lasts = exposure.last_dose_days, limits["depot_interval_days"]["implant"]
    if exposure.state is State.CURRENT or (since is not None and since <= lasts):
        return _CRITICAL, False
    if exposure.state is State.RECENT:
        fading = since is not None and since <= limits["naltrexone_tail_days"]["implant"]
        return (_INFO if fading else _NONE), fading
    return {State.OLD: _INFO}.get(exposure.state, _WARNING), False
