"""The services that we offer: one per hook, each with an id of its own, and their prefetch templates.

Distinct ids because the official sandbox keys services by URL (conformance D5). Templates use CDS Hooks 1.0 tokens only
and no dates, so that clients of every version can fill them (R20-R25); the look-back is judged after reading.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cds_service.model import Json

CDS_HOOKS_VERSION = "2.0.1"
PATIENT_SEARCHES = {
    "medicationRequests": "MedicationRequest", "medicationStatements": "MedicationStatement",
    "medicationDispenses": "MedicationDispense", "medicationAdministrations": "MedicationAdministration",
    "conditions": "Condition",
}
_TEMPLATES = {
    "patient": "Patient/{{context.patientId}}",
    **{key: f"{kind}?patient={{{{context.patientId}}}}" for key, kind in PATIENT_SEARCHES.items()},
    "encounter": "Encounter/{{context.encounterId}}",
}
_DSTU2_ORDERS = {"medicationOrders": "MedicationOrder?patient={{context.patientId}}"}
PREFETCH_KEYS = frozenset({*_TEMPLATES, *_DSTU2_ORDERS})

_USAGE = ("Needs the prefetch of this service, or FHIR access, to see the patient's medicines: without them a drafted "
          "naltrexone is answered with a could-not-check card. An answer at order-sign supersedes one at order-select.")


@dataclass(frozen=True, slots=True)
class Service:
    """One CDS service. ``delete_by_resource`` is the CDS Hooks 1.0 shape of delete actions (conformance R87)."""

    id: str
    hook: str
    title: str
    description: str
    delete_by_resource: bool = False

    @property
    def prefetch(self) -> dict[str, str]:
        """The templates of this service, by key."""
        return dict(_TEMPLATES) if self.hook == "medication-refill" else {**_TEMPLATES, **_DSTU2_ORDERS}


_DOES = ("Warns when naltrexone and an opioid meet (precipitated withdrawal, blocked analgesia, overdose as the blockade "
         "fades) and notes the off-label status of low-dose naltrexone, with its evidence.")

SERVICES = {service.id: service for service in (
    Service("naltrexone-medication-prescribe", "medication-prescribe",
            "Naltrexone safety while prescribing", _DOES, delete_by_resource=True),
    Service("naltrexone-order-select", "order-select", "Naltrexone safety when an order is selected", _DOES),
    Service("naltrexone-order-sign", "order-sign", "Naltrexone safety before orders are signed", _DOES),
    Service("naltrexone-medication-refill", "medication-refill", "Naltrexone safety at refills", _DOES),
)}
SERVED_HOOKS = frozenset(service.hook for service in SERVICES.values())


def discovery(switched_off: Collection[str] = ()) -> Json:
    """The answer to ``GET /cds-services``."""
    return {"services": [{
        "id": service.id, "hook": service.hook, "title": service.title, "description": service.description,
        "prefetch": service.prefetch, "usageRequirements": _USAGE, "version": CDS_HOOKS_VERSION,
    } for service in SERVICES.values() if service.id not in switched_off]}
