"""Depots and implants: how long one dose lasts, when the last was given, and the billing codes that show one (2.4, 2.5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Any

from cds_service.model import Concept, Drug, Medication, Role, Standing

DEPOT_ROLES = frozenset({Role.NTX_XR, Role.NTX_IMPLANT, Role.BUP_DEPOT})
_IMPLANT = re.compile(r"implant|pellet|probuphine|sixmo", re.IGNORECASE)
_WEEKLY = re.compile(
    r"weekly|(?<!\d)50 ?mg/ ?ml", re.IGNORECASE
)  # Brixadi weekly is 50 mg/mL, monthly 356 mg/mL
_MONTHLY = re.compile(r"monthly", re.IGNORECASE)

# HCPCS codes of doses given in a clinic: the product as the terminology knows it.
_BILLED = MappingProxyType(
    {
        "J2315": "naltrexone extended-release injection (Vivitrol)",
        "Q9991": "buprenorphine extended-release injection (Sublocade), monthly",
        "Q9992": "buprenorphine extended-release injection (Sublocade), monthly",
        "J0577": "buprenorphine extended-release injection (Brixadi), weekly",
        "J0578": "buprenorphine extended-release injection (Brixadi), monthly",
        "J0570": "buprenorphine implant (Probuphine)",
    }
)


@dataclass(frozen=True, slots=True)
class Doses:
    """Dates on which depots were given or handed over, by ingredient and role, latest first read as the last dose."""

    last: Mapping[tuple[str, Role], date]

    def last_for(self, medication: Medication) -> date | None:
        """The latest recorded dose of a depot in this product; None for other products and where none is recorded."""
        days = [self.last[key] for key in _depots(medication) if key in self.last]
        return max(days, default=None)


def gather_doses(medications: Iterable[Medication]) -> Doses:
    """Last dose dates of depots from administrations and dispenses that were really given or handed over."""
    last: dict[tuple[str, Role], date] = {}
    for medication in medications:
        order = medication.order
        day = order.given if order.kind == "administration" else order.handed_over
        if day is None or order.standing is not Standing.GIVEN:
            continue
        for key in _depots(medication):
            last[key] = max(day.last, last.get(key, day.last))
    return Doses(last)


def is_depot(medication: Medication) -> bool:
    return bool(_depots(medication))


def depot_kind(medication: Medication) -> str:
    """weekly | monthly | implant, by the words of the product; "" for everything that is no depot."""
    if not is_depot(medication):
        return ""
    drug = medication.order.drug
    words = " ".join(
        [
            medication.order.label,
            drug.concept.text,
            drug.form.label,
            *(c.display for c in drug.concept.codings),
        ]
    )
    if _IMPLANT.search(words) or any(role is Role.NTX_IMPLANT for _, role in _depots(medication)):
        return "implant"
    return "weekly" if _WEEKLY.search(words) and not _MONTHLY.search(words) else "monthly"


def depot_interval(medication: Medication, thresholds: Mapping[str, Any]) -> int:
    """Days that one depot dose is meant to last: weekly 7, monthly 28, implant 180 (specification 2.5)."""
    days: Mapping[str, int] = thresholds["depot_interval_days"]
    return days[depot_kind(medication) or "monthly"]


def billed_product(concept: Concept) -> str:
    """The depot that a billing code stands for; "" for every other concept."""
    return next((_BILLED[c.code.upper()] for c in concept.codings if c.code.upper() in _BILLED), "")


def name_billed(drug: Drug) -> Drug:
    """The drug with the words of its billing code, where the sender gave the code alone."""
    product = "" if drug.concept.label else billed_product(drug.concept)
    return replace(drug, concept=replace(drug.concept, text=product)) if product else drug


def _depots(medication: Medication) -> list[tuple[str, Role]]:
    return [
        (c.ingredient, c.role) for c in medication.recognition.components if c.role in DEPOT_ROLES
    ]
