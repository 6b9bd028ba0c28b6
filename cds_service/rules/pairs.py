"""Every pair of an antagonist and an opioid that meet in this call, worst first, with what caps its severity.

One pair is one antagonist product (naltrexone, or another one) and one opioid product, at least one of them drafted.
"""

from __future__ import annotations

from collections.abc import Iterator
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
from cds_service.rules.tables import both_drafted, table_a, table_b

MOUD = frozenset({Role.METHADONE, Role.BUP, Role.BUP_DEPOT})
LONG_FIRST = (
    Role.METHADONE,
    Role.BUP,
    Role.BUP_DEPOT,
    Role.FULL_LA,
    Role.FULL_SA,
    Role.MIXED,
    Role.DUAL,
    Role.OPIOID_LIKE,
    Role.ANTITUSSIVE,
    Role.PERIPH,
)
SURE_FIRST = (State.CURRENT, State.RECENT, State.HELD, State.STALE, State.PLANNED, State.OLD)
BOTH, START, BLOCK = "both-draft", "ntx-draft", "opioid-draft"


@dataclass(frozen=True, slots=True)
class Pair:
    """An antagonist and an opioid that meet. ``listed`` is the exposure of the side that is not drafted, if any."""

    direction: str  # both-draft | ntx-draft | opioid-draft
    severity: Severity
    antagonist: Medication
    opioid: Medication
    component: Component  # the opioid ingredient
    listed: Exposure | None
    tolerance: bool = False  # only the notice of lost tolerance (table B)

    @property
    def micro(self) -> bool:
        return self.antagonist.band is Band.MICRO

    @property
    def blocker(self) -> Component:
        """The antagonist ingredient."""
        found = self.antagonist.antagonist
        assert found is not None  # noqa: S101 - pairs are made of antagonists only
        return found

    @property
    def uncertain(self) -> Medication | None:
        """The side that was recognised by likeness alone."""
        return next((m for m in (self.opioid, self.antagonist) if m.recognition.uncertain), None)

    @property
    def conflicting(self) -> Medication | None:
        """The side whose code and name are different drugs."""
        return next((m for m in (self.opioid, self.antagonist) if m.recognition.conflict), None)


def find_pairs(snapshot: Snapshot) -> tuple[Pair, ...]:
    """Every pair with something to say; the order does not depend on the order of what was sent."""
    pairs = [*_both_drafted(snapshot), *_antagonist_drafted(snapshot), *_opioid_drafted(snapshot)]
    return tuple(sorted((p for p in pairs if p.severity), key=_rank))


def _rank(pair: Pair) -> tuple[Any, ...]:
    state = SURE_FIRST.index(pair.listed.state) if pair.listed else -1
    days = pair.listed.days if pair.listed and pair.listed.days is not None else 0
    return (
        -pair.severity,
        state,
        LONG_FIRST.index(pair.component.role),
        days,
        pair.component.ingredient,
        pair.opioid.order.ref,
        pair.antagonist.order.ref,
        pair.opioid.order.label,
    )


def _both_drafted(snapshot: Snapshot) -> Iterator[Pair]:
    for draft in snapshot.drafts:
        for opioid in snapshot.drafts:
            if (
                draft is opioid
                or not blocks(draft.medication)
                or not (draft.selected or opioid.selected)
            ):
                continue
            for component in opioid.medication.opioids:
                severity = both_drafted(component, opioid.medication, snapshot.thresholds)
                yield _pair(BOTH, severity, draft.medication, opioid.medication, component, None)


def _antagonist_drafted(snapshot: Snapshot) -> Iterator[Pair]:
    for draft in _selected(snapshot):
        if not blocks(draft.medication):
            continue
        for exposure in snapshot.exposures:
            for component in exposure.medication.opioids:
                severity = table_a(component, exposure, snapshot.thresholds)
                yield _pair(
                    START, severity, draft.medication, exposure.medication, component, exposure
                )


def _opioid_drafted(snapshot: Snapshot) -> Iterator[Pair]:
    for draft in _selected(snapshot):
        for component in draft.medication.opioids:
            for exposure in snapshot.exposures:
                if not blocks(exposure.medication):
                    continue
                severity, tolerance = table_b(component.role, exposure, snapshot.thresholds)
                yield _pair(
                    BLOCK,
                    severity,
                    exposure.medication,
                    draft.medication,
                    component,
                    exposure,
                    tolerance,
                )


def _pair(
    direction: str,
    severity: Severity,
    antagonist: Medication,
    opioid: Medication,
    component: Component,
    listed: Exposure | None,
    tolerance: bool = False,
) -> Pair:
    """A pair whose severity is capped where the dose is a microgram or a name is not certain (specification 2.5)."""
    capped = antagonist.band is Band.MICRO or any(
        m.recognition.conflict or m.recognition.uncertain for m in (antagonist, opioid)
    )
    return Pair(
        direction,
        min(severity, Severity.WARNING) if capped else severity,
        antagonist,
        opioid,
        component,
        listed,
        tolerance,
    )


def blocks(medication: Medication) -> bool:
    """Whether the product holds an antagonist that reaches the blood."""
    return medication.antagonist is not None and medication.antagonist.role is not Role.NTX_TOPICAL


def _selected(snapshot: Snapshot) -> Iterator[Draft]:
    return (draft for draft in snapshot.drafts if draft.selected)
