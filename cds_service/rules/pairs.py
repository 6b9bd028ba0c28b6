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
MOST_COMPARED = (
    60  # drafts and listed medicines of one kind that are held against those of the other
)
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
    blockers = _foremost([d for d in snapshot.drafts if blocks(d.medication)])
    opioids = _foremost([d for d in snapshot.drafts if d.medication.opioids])
    for draft in blockers:
        for opioid in opioids:
            if draft is opioid or not (draft.selected or opioid.selected):
                continue
            for component in opioid.medication.opioids:
                severity = both_drafted(component, opioid.medication, snapshot.thresholds)
                yield _pair(BOTH, severity, draft.medication, opioid.medication, component, None)


def _antagonist_drafted(snapshot: Snapshot) -> Iterator[Pair]:
    drafts = _foremost([d for d in _selected(snapshot) if blocks(d.medication)])
    exposures = _surest([e for e in snapshot.exposures if e.medication.opioids])
    for draft in drafts:
        for exposure in exposures:
            for component in exposure.medication.opioids:
                severity = table_a(component, exposure, snapshot.thresholds)
                yield _pair(
                    START, severity, draft.medication, exposure.medication, component, exposure
                )


def _opioid_drafted(snapshot: Snapshot) -> Iterator[Pair]:
    drafts = _foremost([d for d in _selected(snapshot) if d.medication.opioids])
    exposures = _surest([e for e in snapshot.exposures if blocks(e.medication)])
    for draft in drafts:
        for component in draft.medication.opioids:
            for exposure in exposures:
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


def _foremost(drafts: list[Draft]) -> list[Draft]:
    """At most MOST_COMPARED drafts, one of each product before the second of any: the work stays linear."""
    if len(drafts) <= MOST_COMPARED:
        return drafts
    first: dict[object, Draft] = {}
    for draft in drafts:
        first.setdefault(_product(draft), draft)
    chosen = {id(draft) for draft in first.values()}
    return [*first.values(), *(d for d in drafts if id(d) not in chosen)][:MOST_COMPARED]


def _product(draft: Draft) -> object:
    recognition = draft.medication.recognition
    doubt = bool(recognition.conflict or recognition.uncertain)
    return recognition.components, draft.medication.band, draft.selected, doubt


def _surest(exposures: list[Exposure]) -> list[Exposure]:
    """At most MOST_COMPARED listed medicines, those that are surely and lately in the body first."""
    if len(exposures) <= MOST_COMPARED:
        return exposures
    return sorted(exposures, key=lambda e: (SURE_FIRST.index(e.state), e.days or 0))[:MOST_COMPARED]


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
