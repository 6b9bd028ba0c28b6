"""The knowledge as FHIR: ValueSets by role, the library of the critical pairs, schedules, evidence, capabilities.

R4 throughout, but for Citation, which R5 made. Everything is ``draft`` and ``experimental`` until a clinician signs.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from cds_service.content.loader import Content
from cds_service.hooks.services import CDS_HOOKS_VERSION, SERVICES
from cds_service.knowledge.cql import LIBRARY
from cds_service.knowledge.medicines import RXNORM, Product
from cds_service.rules.interaction import TOPIC as INTERACTION

Json = dict[str, Any]
_USAGE = "http://terminology.hl7.org/CodeSystem/usage-context-type"


def value_sets(base: str, found: Iterable[Product], version: str, today: date) -> Iterator[Json]:
    """One expanded ValueSet a role; its version is that of the drug tables."""
    products = [*found]
    for role in sorted({role for product in products for role in product.roles}):
        held = [p for p in products if role in p.roles]
        codes = [{"system": RXNORM, "code": p.rxcui, "display": p.name} for p in held]
        yield {
            **_canonical("ValueSet", base, _role_id(role), f"Medicines in the role {role}", version, today),
            "compose": {"include": [{"system": RXNORM, "concept": [
                {"code": c["code"], "display": c["display"]} for c in codes]}]},
            "expansion": {"timestamp": f"{today}T00:00:00Z", "total": len(codes), "contains": codes},
        }  # fmt: skip


def value_set_url(base: str, role: str) -> str:
    return f"{base}/ValueSet/{_role_id(role)}"


def _role_id(role: str) -> str:
    return f"naltrexone-cds-{role.lower().replace('_', '-')}"


def _canonical(kind: str, base: str, name: str, title: str, version: str, today: date) -> Json:
    return {
        "resourceType": kind, "id": name, "url": f"{base}/{kind}/{name}", "version": version, "name": _pascal(name),
        "title": title, "status": "draft", "experimental": True, "date": today.isoformat(),
    }  # fmt: skip


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def library(base: str, text: str, version: str, today: date) -> Json:
    return {
        **_canonical("Library", base, "naltrexone-opioid-criticals", "Critical pairs of opioids", version, today),
        "name": LIBRARY,
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/library-type", "code": "logic-library"}]},
        "content": [{"contentType": "text/cql", "data": base64.b64encode(text.encode()).decode()}],
    }  # fmt: skip


def plan_definition(base: str, content: Content, version: str, today: date) -> Json:
    """The event-condition-action rule that the library decides."""
    kind = {
        "system": "http://terminology.hl7.org/CodeSystem/plan-definition-type",
        "code": "eca-rule",
    }
    return {
        **_canonical("PlanDefinition", base, INTERACTION, "Naltrexone meets an opioid", version, today),
        "type": {"coding": [kind]},
        "library": [f"{base}/Library/naltrexone-opioid-criticals|{version}"],
        "relatedArtifact": [
            {"type": "citation", "label": source["short"], "display": source["title"], "url": source["url"]}
            for source in content.sources.values() if source.get("link") and source.get("url")
        ],
        "action": [{
            "title": "Warn before signing",
            "trigger": [{"type": "named-event", "name": hook} for hook in ("order-select", "order-sign")],
            "condition": [{"kind": "applicability", "expression": {
                "language": "text/cql-identifier", "expression": "Is Critical",
                "reference": f"{base}/Library/naltrexone-opioid-criticals|{version}"}}],
            "priority": "stat",
        }],
    }  # fmt: skip


# --- titration --------------------------------------------------------------------------------------------------------


def schedules(base: str, content: Content, version: str, today: date) -> Iterator[Json]:
    """An ActivityDefinition for each way to titrate low-dose naltrexone, its doses in order."""
    for name, numbers in content.thresholds(today)["schedules"].items():
        yield {
            **_canonical("ActivityDefinition", base, f"ldn-schedule-{name.lower()}",
                         f"Low-dose naltrexone, schedule {name}", version, today),
            "kind": "MedicationRequest", "intent": "proposal", "doNotPerform": False,
            "productCodeableConcept": {"text": "naltrexone, compounded, oral"},
            "dosage": [_dosage(number, dose, numbers) for number, dose in enumerate(_doses(numbers), 1)],
        }  # fmt: skip


def _doses(numbers: Mapping[str, Any]) -> Iterator[Decimal]:
    start, step, most = (Decimal(str(numbers[name])) for name in ("start_mg", "step_mg", "max_mg"))
    yield start
    while step and start < most:
        start = min(start + step, most)
        yield start


def _dosage(number: int, dose: Decimal, numbers: Mapping[str, Any]) -> Json:
    repeat: Json = {"frequency": numbers["times_per_day"], "period": 1, "periodUnit": "d"}
    if dose < Decimal(str(numbers["max_mg"])):
        repeat["boundsDuration"] = {"value": numbers["step_days"], "unit": "days",
                                    "system": "http://unitsofmeasure.org", "code": "d"}  # fmt: skip
    quantity = {
        "value": float(dose),
        "unit": "mg",
        "system": "http://unitsofmeasure.org",
        "code": "mg",
    }
    return {
        "sequence": number,
        "timing": {"repeat": repeat},
        "doseAndRate": [{"doseQuantity": quantity}],
    }


# --- evidence and capabilities ----------------------------------------------------------------------------------------


def citations(base: str, content: Content, version: str, today: date) -> Iterator[Json]:
    """The sources as R5 Citations."""
    for name, source in content.sources.items():
        if not source.get("title"):
            continue
        cited: Json = {"title": [{"text": source["title"]}]}
        if source.get("url"):
            cited["webLocation"] = [{"url": source["url"]}]
        if source.get("publisher"):
            cited["publicationForm"] = [{"publishedIn": {"title": source["publisher"]}}]
        identity = f"source-{name.lower()}".replace("_", "-")
        yield {**_canonical("Citation", base, identity, source.get("short", source["title"]), version, today),
               **({"purpose": source["cited_for"]} if source.get("cited_for") else {}), "citedArtifact": cited}  # fmt: skip


def capability_statement(base: str, version: str, today: date) -> Json:
    """What the service reads; its own surface is CDS Hooks, told by its discovery."""
    del base
    kinds = sorted(
        {
            t.partition("?")[0].partition("/")[0]
            for s in SERVICES.values()
            for t in s.prefetch.values()
        }
    )
    known = [kind for kind in kinds if kind != "MedicationOrder"]  # DSTU2 only
    hooks = ", ".join(service.hook for service in SERVICES.values())
    return {
        "resourceType": "CapabilityStatement", "id": "naltrexone-cds", "name": "NaltrexoneCds",
        "title": "Naltrexone safety",
        "version": version, "status": "draft", "experimental": True, "date": today.isoformat(), "kind": "capability",
        "description": f"A CDS Hooks {CDS_HOOKS_VERSION} service for {hooks}. As a FHIR client it reads:",
        "software": {"name": "naltrexone-cds", "version": version}, "fhirVersion": "4.0.1", "format": ["json"],
        "rest": [{"mode": "client", "resource": [
            {"type": kind, "interaction": [{"code": "read" if kind in {"Patient", "Encounter"} else "search-type"}]}
            for kind in known]}],
    }  # fmt: skip
