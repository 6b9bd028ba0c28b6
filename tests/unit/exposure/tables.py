"""Tables A and B of specification 2.5 as a second reading, so that exposures can be judged without the rules."""

from __future__ import annotations

from cds_service.model import Band, Exposure, Role, Severity, State

NONE, INFO, WARNING, CRITICAL = Severity.NONE, Severity.INFO, Severity.WARNING, Severity.CRITICAL
SHORT = frozenset({Role.FULL_SA, Role.DUAL, Role.MIXED})
LONG = frozenset({Role.FULL_LA, Role.METHADONE, Role.BUP})


def table_a(exposure: Exposure) -> Severity:
    """What a drafted low or labelled dose of naltrexone makes of a listed opioid."""
    return max(_opioid(c.role, exposure) for c in exposure.medication.opioids)


def table_b(exposure: Exposure) -> Severity:
    """What a drafted full agonist makes of a listed antagonist."""
    role = next(c.role for c in exposure.medication.recognition.components if c.role.is_antagonist)
    if role is Role.NTX_TOPICAL:
        return NONE
    if role in {Role.NTX_XR, Role.NTX_IMPLANT}:
        return _depot_antagonist(
            exposure, *((180, INFO, 240) if exposure.depot == "implant" else (30, WARNING, 60))
        )
    if exposure.medication.band is Band.MICRO:
        return WARNING if exposure.state is State.CURRENT else NONE
    plain = {
        State.CURRENT: CRITICAL,
        State.HELD: WARNING,
        State.STALE: WARNING,
        State.OLD: INFO,
        State.PLANNED: WARNING,
    }
    return plain.get(exposure.state) or _ended_antagonist(exposure)


def _ended_antagonist(exposure: Exposure) -> Severity:
    days = exposure.days or 0
    if days < 3:
        return WARNING
    labelled = exposure.medication.band in {Band.LABELLED, Band.SUPRA, Band.UNKNOWN, Band.BUPROPION}
    return INFO if labelled and days < 14 else NONE


def _depot_antagonist(exposure: Exposure, blocks: int, later: Severity, until: int) -> Severity:
    """XR: 30 days, then to 60; an implant: 180, then to 240."""
    since, state = exposure.last_dose_days, exposure.state
    if since is None:
        return {State.CURRENT: CRITICAL, State.OLD: INFO, State.RECENT: NONE}.get(state, WARNING)
    if since <= blocks:
        return CRITICAL
    if since <= until:
        return later
    return {State.OLD: INFO, State.RECENT: NONE}.get(state, WARNING)


def _opioid(role: Role, exposure: Exposure) -> Severity:
    if role is Role.PERIPH:
        return INFO if exposure.state is State.CURRENT else NONE
    if role is Role.BUP_DEPOT:
        return _depot_opioid(exposure)
    listed = _ROWS[_row(role)].get(exposure.state)
    counted = exposure.days if exposure.state is State.RECENT else exposure.floor_days
    floor = (
        NONE
        if counted is None or exposure.state in {State.OLD, State.PLANNED}
        else _ended_opioid(role, counted, exposure.brief)
    )
    return max(listed or NONE, floor)


def _row(role: Role) -> str:
    return "wait" if role in SHORT | LONG else role.value


_ROWS = {
    "wait": {
        State.CURRENT: CRITICAL,
        State.HELD: WARNING,
        State.STALE: WARNING,
        State.OLD: INFO,
        State.PLANNED: WARNING,
    },
    "OPIOID_LIKE": {
        State.CURRENT: WARNING,
        State.HELD: WARNING,
        State.STALE: WARNING,
        State.PLANNED: WARNING,
    },
    "ANTITUSSIVE": {
        State.CURRENT: WARNING,
        State.HELD: WARNING,
        State.STALE: INFO,
        State.PLANNED: INFO,
    },
}


def _ended_opioid(role: Role, days: int, brief: bool) -> Severity:
    if role in LONG:
        return CRITICAL if days < 14 else NONE
    if role in SHORT:
        first = WARNING if brief else CRITICAL
        return first if days < 7 else WARNING if days < 10 and not brief else NONE
    if role is Role.OPIOID_LIKE:
        return WARNING if days < 10 else NONE
    return WARNING if days < 7 else INFO if days < 10 else NONE


def _depot_opioid(exposure: Exposure) -> Severity:
    since, state = exposure.last_dose_days, exposure.state
    if state is State.PLANNED:
        return WARNING
    if since is None:
        return {State.CURRENT: CRITICAL, State.OLD: INFO, State.RECENT: NONE}.get(state, WARNING)
    interval = exposure.interval_days or 0
    if since - interval < 14:
        return CRITICAL
    until = {"weekly": 60, "monthly": 180, "implant": 360}[exposure.depot]
    if since <= until:
        return WARNING
    return INFO if state is State.OLD else NONE
