"""The services that we offer: one per hook, each with an id of its own, and their prefetch templates.

Distinct ids because the official sandbox keys services by URL (conformance D5). Templates use CDS Hooks 1.0 tokens only
and no dates, so that clients of every version can fill them (R20-R25); the look-back is judged after reading.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cds_service.fhir.releases import ASSUMED, ORDER_SEARCHES, profile_of
from cds_service.hooks.profiles import MORE_SEARCHES, PROFILES, UNDATED
from cds_service.model import Json, Release

CDS_HOOKS_VERSION = "2.0.1"
CONFIGURATION = "configuration-items"  # the extension of PDDI-CDS, in discovery and in requests
KEEP_FOR_SIGN = "cache-for-order-sign-filtering"
SHORTEN_REPEATS = "filter-out-repeated-alerts"
_CONFIGURATION_ITEMS: dict[str, Json] = {
    "order-select": {
        "code": KEEP_FOR_SIGN,
        "type": "boolean",
        "name": "Keep for order-sign",
        "description": "What is shown now may be said in one line at order-sign, if the same clinician overrides it.",
    },
    "order-sign": {
        "code": SHORTEN_REPEATS,
        "type": "boolean",
        "name": "Shorten repeated alerts",
        "description": "An alert that the same clinician overrode at order-select is said in one line; never left out.",
    },
}


def _search(kind: str) -> str:
    return f"{kind}?patient={{{{context.patientId}}}}"


_ORDERS = {key: _search(kind) for key, kind in ORDER_SEARCHES.items()}
_USUAL_ORDERS = profile_of(ASSUMED).order_key
_TEMPLATES = {
    "patient": "Patient/{{context.patientId}}",
    _USUAL_ORDERS: _ORDERS[_USUAL_ORDERS],
    "medicationStatements": _search("MedicationStatement"),
    "medicationDispenses": _search("MedicationDispense"),
    "medicationAdministrations": _search("MedicationAdministration"),
    "conditions": _search("Condition"),
    "encounter": "Encounter/{{context.encounterId}}",
}
PREFETCH_KEYS = frozenset({*_TEMPLATES, *_ORDERS})
SEARCH_KEYS = (PREFETCH_KEYS | MORE_SEARCHES.keys()) - {"patient", "encounter"}

_USAGE = (
    "Needs the prefetch of this service, or FHIR access, to see the patient's medicines: without them a drafted "
    "naltrexone is answered with a could-not-check card. An answer at order-sign supersedes one at order-select."
)


@dataclass(frozen=True, slots=True)
class Service:
    """One CDS service. ``is_of_1_0`` where its hook is of CDS Hooks 1.0: where nothing tells what the client speaks, a
    delete takes that version's form, and one without a target means the only order of the call (conformance R87).
    """

    id: str
    hook: str
    title: str
    description: str
    is_of_1_0: bool = False

    @property
    def prefetch(self) -> dict[str, str]:
        """The templates of this service, by key, as every client can fill them."""
        return dict(_TEMPLATES) if self.hook == "medication-refill" else {**_TEMPLATES, **_ORDERS}

    def prefetch_for(self, profile: str) -> dict[str, str]:
        """The templates in the profile of one client."""
        asked = PROFILES[profile]
        return {
            **{
                key: template + asked.narrowed.get(key, "")
                for key, template in self.prefetch.items()
            },
            **{key: MORE_SEARCHES[key] for key in asked.more},
        }

    def queries(self, release: Release) -> dict[str, str]:
        """The templates that a server of this release can answer: of the searches for orders only its own."""
        own = profile_of(release).order_key
        return {
            key: template
            for key, template in {**self.prefetch, own: _ORDERS[own]}.items()
            if key == own or key not in _ORDERS
        }


_DOES = (
    "Warns when naltrexone and an opioid meet (precipitated withdrawal, blocked analgesia, overdose as the blockade "
    "fades) and notes the off-label status of low-dose naltrexone, with its evidence."
)

SERVICES = {
    service.id: service
    for service in (
        Service(
            "naltrexone-medication-prescribe",
            "medication-prescribe",
            "Naltrexone safety while prescribing",
            _DOES,
            is_of_1_0=True,
        ),
        Service(
            "naltrexone-order-select",
            "order-select",
            "Naltrexone safety when an order is selected",
            _DOES,
        ),
        Service(
            "naltrexone-order-sign",
            "order-sign",
            "Naltrexone safety before orders are signed",
            _DOES,
        ),
        Service(
            "naltrexone-medication-refill",
            "medication-refill",
            "Naltrexone safety at refills",
            _DOES,
        ),
    )
}
SERVED_HOOKS = frozenset(service.hook for service in SERVICES.values())


def _configurable(service: Service) -> Json:
    item = _CONFIGURATION_ITEMS.get(service.hook)
    return {"extension": {CONFIGURATION: [item]}} if item else {}


def discovery(switched_off: Collection[str] = (), profile: str = UNDATED) -> Json:
    """The answer to ``GET /cds-services``, with the prefetch that this client's profile asks for."""
    return {
        "services": [
            {
                "id": service.id,
                "hook": service.hook,
                "title": service.title,
                "description": service.description,
                "prefetch": service.prefetch_for(profile),
                "usageRequirements": _USAGE,
                "version": CDS_HOOKS_VERSION,
                **_configurable(service),
            }
            for service in SERVICES.values()
            if service.id not in switched_off
        ]
    }
