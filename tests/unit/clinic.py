"""Orders, exposures, drafts and snapshots as values, for tests of the timeline and the rules: no FHIR, no words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from cds_service.content import loader as content
from cds_service.model import (
    Band,
    Component,
    Concept,
    Condition,
    ConditionKind,
    Dose,
    Draft,
    Drug,
    Exposure,
    Identity,
    Medication,
    Order,
    Recognition,
    Release,
    Role,
    Setting,
    Snapshot,
    Standing,
    State,
    Strength,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TODAY = NOW.date()
LIMITS = content.load().thresholds(TODAY)
INGREDIENTS = {
    Role.FULL_SA: "oxycodone",
    Role.FULL_LA: "levorphanol",
    Role.METHADONE: "methadone",
    Role.BUP: "buprenorphine",
    Role.BUP_DEPOT: "buprenorphine",
    Role.MIXED: "butorphanol",
    Role.DUAL: "tramadol",
    Role.ANTITUSSIVE: "codeine",
    Role.PERIPH: "loperamide",
    Role.OPIOID_LIKE: "mitragynine",
    Role.OTHER_ANTAG: "nalmefene",
}


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def medication(
    role: Role,
    *,
    band: Band | None = None,
    dose: Dose | None = None,
    strength: Strength | None = None,
    also: tuple[Component, ...] = (),
    **order: Any,
) -> Medication:
    """One product with one ingredient (and ``also``); ``order`` are members of its Order."""
    ingredient = INGREDIENTS.get(role, "naltrexone")
    written = {
        "ref": f"MedicationRequest/{ingredient}",
        "kind": "request",
        "release": Release.R4,
        "source": "context",
        "standing": Standing.ACTIVE,
        "status": "active",
        "drug": Drug(Concept(text=ingredient)),
        "label": ingredient,
        **order,
    }
    written.setdefault("target", written["ref"])
    recognition = Recognition(
        Identity.RELEVANT,
        (Component(ingredient, "1", role, strength), *also),
        product_key=ingredient,
    )
    return Medication(Order(**written), recognition, dose or Dose(), band)


def naltrexone(
    band: Band = Band.LDN, mg: str | None = None, role: Role = Role.NTX_ORAL, **rest: Any
) -> Medication:
    """A naltrexone product of this band; ``mg`` a day, in the first phase as well."""
    daily = Decimal(mg) if mg else None
    return medication(role, band=band, dose=rest.pop("dose", Dose(daily, daily, phases=1)), **rest)


def draft(meant: Medication, **facts: Any) -> Draft:
    return Draft(meant, **facts)


def exposure(
    meant: Medication, state: State = State.CURRENT, days: int | None = None, **facts: Any
) -> Exposure:
    return Exposure(meant, state, days, **facts)


def problem(*kinds: ConditionKind) -> Condition:
    return Condition(Concept(text="problem"), frozenset(kinds))


def snapshot(
    *drafts: Draft,
    listed: tuple[Exposure, ...] = (),
    problems: tuple[ConditionKind, ...] = (),
    **facts: Any,
) -> Snapshot:
    """A complete call at order-sign: everything was readable unless ``facts`` say otherwise."""
    plain = Snapshot(
        hook="order-sign",
        as_of=NOW,
        today=TODAY,
        release=Release.R4,
        drafts=drafts,
        exposures=listed,
        conditions=tuple(problem(kind) for kind in problems),
        conditions_read=True,
        list_available=True,
        unidentified_draft=False,
        unidentifiable=False,
        foreign_naltrexone=False,
        age=50,
        setting=Setting(),
        gaps=(),
        thresholds=LIMITS,
        orders_in_call=len(drafts),
    )
    return replace(plain, **facts)
