"""The knowledge as FHIR: ValueSets by role, the critical pairs in CQL, the schedules, the evidence, the capabilities.

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
from cds_service.knowledge.medicines import RXNORM, Pair, Product
from cds_service.rules.interaction import TOPIC as INTERACTION

Json = dict[str, Any]
_USAGE = "http://terminology.hl7.org/CodeSystem/usage-context-type"
LIBRARY = "NaltrexoneOpioidCriticals"
CQL = """library {library} version '{version}'

// Naltrexone and opioids that must not meet, by codes alone: orders written in words, courses that are over and doses
// are not seen here. The service reads them; this is a second opinion and a way into tools that speak CQL.
using FHIR version '4.0.1'
include FHIRHelpers version '4.0.1'

{valuesets}

parameter DraftOrders List<FHIR.MedicationRequest>

context Patient

define "Listed Requests":
  [MedicationRequest] M
    where M.status in {{ 'active', 'on-hold', 'unknown' }}
      and M.intent in {{ 'order', 'original-order', 'reflex-order', 'filler-order', 'instance-order' }}
      and not (M.doNotPerform is true)
      and (M.authoredOn is null or difference in days between date from M.authoredOn.value and Today() <= {days})
      and (M.authoredOn is null or M.dispenseRequest.expectedSupplyDuration.value is null
        or not (M.dispenseRequest.expectedSupplyDuration.code.value = 'd')
        or difference in days between date from M.authoredOn.value and Today()
          <= M.dispenseRequest.expectedSupplyDuration.value.value
            * (1 + Coalesce(M.dispenseRequest.numberOfRepeatsAllowed.value, 0)) + {grace})

define "Listed Statements":
  [MedicationStatement] S where S.status in {{ 'active', 'on-hold', 'unknown' }}

{defines}

define "Is Critical":
  {any}
"""


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


def _role_id(role: str) -> str:
    return f"naltrexone-cds-{role.lower().replace('_', '-')}"


def _canonical(kind: str, base: str, name: str, title: str, version: str, today: date) -> Json:
    return {
        "resourceType": kind, "id": name, "url": f"{base}/{kind}/{name}", "version": version, "name": _pascal(name),
        "title": title, "status": "draft", "experimental": True, "date": today.isoformat(),
    }  # fmt: skip


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


# --- CQL --------------------------------------------------------------------------------------------------------------


def cql(base: str, pairs: Iterable[Pair], version: str, numbers: Mapping[str, Any]) -> str:
    """The critical pairs of roles as a CQL library."""
    critical = sorted({(p.ordered, p.listed) for p in pairs if p.severity == "critical"})
    roles = sorted({role for pair in critical for role in pair})
    sets = "\n".join(f"valueset \"{role}\": '{base}/ValueSet/{_role_id(role)}'" for role in roles)
    by_ordered = {ordered: [b for a, b in critical if a == ordered] for ordered, _ in critical}
    defines = "\n\n".join(_define(ordered, listed) for ordered, listed in by_ordered.items())
    any_of = "\n    or ".join(f'"{_name(ordered)}"' for ordered in by_ordered) or "false"
    return CQL.format(
        library=LIBRARY,
        version=version,
        valuesets=sets,
        defines=defines,
        any=any_of,
        days=numbers["stale_authored_days"],
        grace=numbers["grace_days"]["at_most"],
    )


def _name(ordered: str) -> str:
    return f"{ordered} Meets What It Must Not"


def _define(ordered: str, listed: Iterable[str]) -> str:
    def member(alias: str, roles: Iterable[str]) -> str:
        return "\n        or ".join(
            f'({alias}.medication as FHIR.CodeableConcept) in "{role}"' for role in roles
        )

    met = [*listed]
    return f"""define "{_name(ordered)}":
  exists (DraftOrders D where {member("D", [ordered])})
    and (exists ("Listed Requests" M where {member("M", met)})
      or exists ("Listed Statements" S where {member("S", met)})
      or exists (DraftOrders O where {member("O", met)}))"""


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
