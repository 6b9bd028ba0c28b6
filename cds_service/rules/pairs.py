"""Table A and table B of specification 2.5: how bad it is when naltrexone and an opioid meet.

One pair is one naltrexone product and one opioid product, at least one of them drafted in this call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.model import (
    Band,
    Component,
    Draft,
    Exposure,
    Medication,
    Role,
    Severity,
    Snapshot,
    State,
)

LONG_ACTING = frozenset({Role.FULL_LA, Role.METHADONE, Role.BUP})
MOUD = frozenset({Role.METHADONE, Role.BUP, Role.BUP_DEPOT})
_NONE, _INFO, _WARNING, _CRITICAL = Severity.NONE, Severity.INFO, Severity.WARNING, Severity.CRITICAL
_BOTH, _START, _BLOCK = "both-draft", "ntx-draft", "opioid-draft"


@dataclass(frozen=True, slots=True)
class Pair:
    """Naltrexone and an opioid that meet. ``listed`` is the exposure of the side that is not drafted, if any."""

    direction: str                    # both-draft | ntx-draft | opioid-draft
    severity: Severity
    naltrexone: Medication
    opioid: Medication
    component: Component              # the opioid ingredient
    listed: Exposure | None
    tolerance: bool = False           # only the notice of lost tolerance (table B, info)

    @property
    def micro(self) -> bool:
        return self.naltrexone.band is Band.MICRO


def find_pairs(snapshot: Snapshot) -> tuple[Pair, ...]:
    """Every pair with something to say, worst first; the order does not depend on the order of what was sent."""
    pairs = [*_both_drafted(snapshot), *_naltrexone_drafted(snapshot), *_opioid_drafted(snapshot)]
    return tuple(sorted((p for p in pairs if p.severity), key=_rank))


def _rank(pair: Pair) -> tuple[Any, ...]:
    state = ["CURRENT", "RECENT", "HELD", "STALE"].index(pair.listed.state) if pair.listed else -1
    role = [*LONG_FIRST].index(pair.component.role)
    days = pair.listed.days if pair.listed and pair.listed.days is not None else 0
    return (-pair.severity, state, role, days, pair.component.ingredient, pair.opioid.order.ref, pair.naltrexone.order.ref,
            pair.opioid.order.label)


LONG_FIRST = (Role.METHADONE, Role.BUP, Role.BUP_DEPOT, Role.FULL_LA, Role.FULL_SA, Role.MIXED, Role.DUAL,
              Role.ANTITUSSIVE, Role.PERIPH)


def _systemic(medication: Medication) -> bool:
    return medication.naltrexone is not None and medication.naltrexone.role is not Role.NTX_TOPICAL


def _both_drafted(snapshot: Snapshot) -> Iterator[Pair]:
    for ntx in snapshot.drafts:
        for opioid in snapshot.drafts:
            if ntx is opioid or not _systemic(ntx.medication) or not (ntx.selected or opioid.selected):
                continue
            for component in opioid.medication.opioids:
                severity = _cap_micro(_worst_drafted(component.role), ntx.medication)
                yield Pair(_BOTH, severity, ntx.medication, opioid.medication, component, None)


def _naltrexone_drafted(snapshot: Snapshot) -> Iterator[Pair]:
    for draft in _selected(snapshot):
        if not _systemic(draft.medication):
            continue
        for exposure in snapshot.exposures:
            for component in exposure.medication.opioids:
                severity = table_a(component.role, exposure, snapshot.thresholds)
                yield Pair(_START, _cap_micro(severity, draft.medication), draft.medication,
                           exposure.medication, component, exposure)


def _opioid_drafted(snapshot: Snapshot) -> Iterator[Pair]:
    for draft in _selected(snapshot):
        for component in draft.medication.opioids:
            for exposure in snapshot.exposures:
                if not _systemic(exposure.medication):
                    continue
                severity, tolerance = table_b(component.role, exposure, snapshot.thresholds)
                yield Pair(_BLOCK, severity, exposure.medication, draft.medication, component, exposure, tolerance)


def _selected(snapshot: Snapshot) -> Iterator[Draft]:
    return (draft for draft in snapshot.drafts if draft.selected)


def _cap_micro(severity: Severity, naltrexone: Medication) -> Severity:
    return min(severity, _WARNING) if naltrexone.band is Band.MICRO else severity


def _worst_drafted(role: Role) -> Severity:
    return {Role.PERIPH: _INFO, Role.ANTITUSSIVE: _WARNING}.get(role, _CRITICAL)


def table_a(role: Role, exposure: Exposure, limits: Mapping[str, Any]) -> Severity:
    """A draft of systemic naltrexone meets a listed opioid."""
    if role in {Role.PERIPH, Role.ANTITUSSIVE}:
        return _worst_drafted(role) if exposure.state is State.CURRENT else _NONE
    if exposure.state is State.CURRENT:
        return _CRITICAL
    if exposure.state is State.STALE:
        return _WARNING
    if role is Role.BUP_DEPOT:
        return _depot_opioid(exposure, limits)
    if exposure.state is State.HELD:
        return _WARNING
    days = exposure.days if exposure.days is not None else 0
    if role in LONG_ACTING:
        return _CRITICAL if days < limits["long_acting_days"] else _NONE
    return _short_acting(days, exposure.brief, limits)


def _short_acting(days: int, brief: bool, limits: Mapping[str, Any]) -> Severity:
    wait = limits["short_acting_days"]
    if brief:
        return _WARNING if days < wait["critical_below"] else _NONE
    return _CRITICAL if days < wait["critical_below"] else _WARNING if days < wait["warning_below"] else _NONE


def _depot_opioid(exposure: Exposure, limits: Mapping[str, Any]) -> Severity:
    """Depot buprenorphine: days past the dosing interval, then a long tail (label L18, judgement J3)."""
    since, wait = exposure.last_dose_days, limits["depot_opioid_days"]
    if since is not None and since - (exposure.interval_days or 0) < wait["critical_below"]:
        return _CRITICAL
    if exposure.state is State.HELD:
        return _WARNING
    return _WARNING if since is None or since <= wait["warning_to"] else _NONE


def table_b(role: Role, exposure: Exposure, limits: Mapping[str, Any]) -> tuple[Severity, bool]:
    """(severity, is only the tolerance notice) of a drafted opioid meeting listed systemic naltrexone."""
    naltrexone = exposure.medication.naltrexone
    assert naltrexone is not None  # noqa: S101 - callers pass systemic naltrexone only
    if role is Role.PERIPH:
        return (_INFO if exposure.state is State.CURRENT else _NONE), False
    cell = _depot_naltrexone if naltrexone.role is Role.NTX_XR else \
        _micro_naltrexone if exposure.medication.band is Band.MICRO else _oral_naltrexone
    severity, tolerance = cell(exposure, limits)
    if role is Role.ANTITUSSIVE:
        return (_NONE, False) if tolerance else (min(severity, _WARNING), False)
    return severity, tolerance


def _micro_naltrexone(exposure: Exposure, _limits: Mapping[str, Any]) -> tuple[Severity, bool]:
    return (_WARNING if exposure.state is State.CURRENT else _NONE), False


def _oral_naltrexone(exposure: Exposure, limits: Mapping[str, Any]) -> tuple[Severity, bool]:
    if exposure.state is not State.RECENT:
        return (_CRITICAL if exposure.state is State.CURRENT else _WARNING), False
    days = exposure.days if exposure.days is not None else 0
    if days < limits["oral_hold_days"]:
        return _WARNING, False
    notice = _is_labelled(exposure.medication, limits) and days < limits["tolerance_notice_days"]["labelled_below"]
    return (_INFO if notice else _NONE), notice


def _is_labelled(naltrexone: Medication, limits: Mapping[str, Any]) -> bool:
    """A labelled dose; where the dose could not be read, a product of labelled strength: unknown never lowers."""
    if naltrexone.band is not Band.UNKNOWN:
        return naltrexone.band in {Band.LABELLED, Band.SUPRA}
    component = naltrexone.naltrexone
    strength = component.strength if component else None
    return strength is not None and strength.per_unit == "unit" \
        and strength.mg / strength.per_amount >= limits["dose_bands"]["labelled_from"]


def _depot_naltrexone(exposure: Exposure, limits: Mapping[str, Any]) -> tuple[Severity, bool]:
    if exposure.state is State.CURRENT:
        return _CRITICAL, False
    if exposure.state is State.STALE:
        return _WARNING, False
    since, blockade = exposure.last_dose_days, limits["xr_blockade_days"]
    if since is not None and since <= blockade:
        return _CRITICAL, False
    if exposure.state is State.HELD:
        return _WARNING, False
    notice = since is not None and since <= limits["tolerance_notice_days"]["xr_to"]
    return (_INFO if notice else _NONE), notice
