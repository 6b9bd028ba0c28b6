"""Hook calls as data: small builders of whole request bodies in any FHIR release, and readers of the answers.

The clock of the service under test stands at 2026-11-21T12:00:00Z, so every date here is a fixed one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "fhir_fixtures" / "requests" / "examples"
CAPTURES = ROOT / "fhir_fixtures" / "requests" / "captures"
SCHEMAS = ROOT / "cds_service" / "hooks" / "schema"

TODAY = "2026-11-21"
PATIENT = "p1"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
TOPIC_SYSTEM = "urn:x-naltrexone-cds:card-topic"
OVERRIDE_SYSTEM = "urn:x-naltrexone-cds:override-reason"
INSTANCE = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"

T1 = "naltrexone-opioid-interaction"
T2 = "naltrexone-off-label"
T3 = "naltrexone-dose-check"
T4 = "naltrexone-patient-safety"
T5 = "naltrexone-data-gap"

HOOKS = ("medication-prescribe", "order-select", "order-sign", "medication-refill")
ORDERS_IN = {
    "medication-prescribe": "medications",
    "medication-refill": "medications",
    "order-select": "draftOrders",
    "order-sign": "draftOrders",
}
RELEASES = ("DSTU2", "STU3", "R4", "R5")
RANK = {"info": 1, "warning": 2, "critical": 3}

LDN = "Naltrexone 4.5 mg oral capsule (compounded)"
NALTREXONE_50 = ("naltrexone hydrochloride 50 MG Oral Tablet", "1483744")
OXYCODONE = ("oxycodone hydrochloride 5 MG Oral Tablet", "1049621")
OXYCODONE_ER = ("12 HR Oxycodone Hydrochloride 10 MG Extended Release Oral Tablet", "1049502")
TRAMADOL = ("tramadol hydrochloride 50 MG Oral Tablet", "835603")
BUPRENORPHINE = ("buprenorphine 8 MG / naloxone 2 MG Sublingual Film", "1010604")
LEVOTHYROXINE = ("Levothyroxine Sodium 0.05 MG Oral Tablet", "966221")

Json = dict[str, Any]


def concept(text: str, code: str = "", system: str = RXNORM) -> Json:
    """A CodeableConcept with a text and, where a code is given, one coding."""
    return {
        "text": text,
        **({"coding": [{"system": system, "code": code, "display": text}]} if code else {}),
    }


def dosage(
    value: float, unit: str, release: str = "R4", *, frequency: int = 1, sig: str = ""
) -> Json:
    """``value`` ``unit`` taken ``frequency`` times a day, in the dose shape of ``release``."""
    repeat = {
        "frequency": frequency,
        "period": 1,
        "periodUnits" if release == "DSTU2" else "periodUnit": "d",
    }
    amount = {"doseQuantity": {"value": value, "unit": unit}}
    return {
        **({"text": sig} if sig else {}),
        "timing": {"repeat": repeat},
        **(amount if release in {"DSTU2", "STU3"} else {"doseAndRate": [amount]}),
    }


def order(
    drug: str | tuple[str, str],
    *,
    id: str = "ntx-1",  # noqa: A002
    status: str = "draft",
    release: str = "R4",
    authored: str = TODAY,
    patient: str = PATIENT,
    dose: Json | None = None,
    reason: Json | None = None,
    **members: Any,
) -> Json:
    """A MedicationRequest (DSTU2: MedicationOrder) for 30 days; a member given as None is taken off."""
    text, code = (drug, "") if isinstance(drug, str) else drug
    old = release == "DSTU2"
    resource: Json = {
        "resourceType": "MedicationOrder" if old else "MedicationRequest",
        "id": id,
        "status": status,
        **({} if old else {"intent": "order"}),
        "patient" if old else "subject": {"reference": f"Patient/{patient}"},
        "dateWritten" if old else "authoredOn": authored,
        **(
            {"medication": {"concept": concept(text, code)}}
            if release == "R5"
            else {"medicationCodeableConcept": concept(text, code)}
        ),
        "dispenseRequest": {
            "expectedSupplyDuration": {
                "value": 30,
                "unit": "days",
                "system": "http://unitsofmeasure.org",
                "code": "d",
            }
        },
        **({"dosageInstruction": [dose]} if dose else {}),
        **_reason(reason, release),
        **members,
    }
    return {name: value for name, value in resource.items() if value is not None}


def _reason(reason: Json | None, release: str) -> Json:
    if not reason:
        return {}
    return {
        "DSTU2": {"reasonCodeableConcept": reason},
        "STU3": {"reasonCode": [reason]},
        "R4": {"reasonCode": [reason]},
        "R5": {"reason": [{"concept": reason}]},
    }[release]


def ldn(release: str = "R4", **members: Any) -> Json:
    """A draft of low-dose naltrexone, 4.5 mg at bedtime."""
    given: Json = {
        "dose": dosage(4.5, "mg", release, sig="Take 4.5 mg by mouth at bedtime"),
        **members,
    }
    return order(LDN, release=release, **given)


def naltrexone_50(release: str = "R4", **members: Any) -> Json:
    """A draft of the labelled 50 mg a day."""
    return order(
        NALTREXONE_50, release=release, **{"dose": dosage(1, "tablet", release), **members}
    )


def opioid(drug: str | tuple[str, str] = OXYCODONE, release: str = "R4", **members: Any) -> Json:
    """A draft of an opioid, one tablet four times a day; oxycodone 5 mg unless told."""
    given: Json = {"id": "op-1", "dose": dosage(1, "tablet", release, frequency=4), **members}
    return order(drug, release=release, **given)


def listed(drug: str | tuple[str, str] = OXYCODONE, release: str = "R4", **members: Any) -> Json:
    """An active order of ten days ago with supply for thirty; oxycodone 5 mg unless told."""
    given: Json = {
        "id": "m-1",
        "status": "active",
        "authored": "2026-11-11",
        "dose": dosage(1, "tablet", release),
        **members,
    }
    return order(drug, release=release, **given)


def listed_ldn(release: str = "R4", **members: Any) -> Json:
    """Active low-dose naltrexone as a request, in supply."""
    return listed(LDN, release, **{"id": "m-ntx", "dose": dosage(4.5, "mg", release), **members})


def taken(
    drug: str | tuple[str, str], *, end: str, amount: Json | None = None, **members: Any
) -> Json:
    """A finished R4 MedicationStatement that says on which day the patient took the last of it."""
    text, code = (drug, "") if isinstance(drug, str) else drug
    return {
        "resourceType": "MedicationStatement",
        "id": "s-1",
        "status": "completed",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "medicationCodeableConcept": concept(text, code),
        "effectivePeriod": {"start": "2026-06-01", "end": end},
        **({"dosage": [amount]} if amount else {}),
        **members,
    }


def bundle(*resources: Json) -> Json:
    """A searchset as a server answers it; without hits it has no ``entry``."""
    entries = [
        {
            "fullUrl": f"https://ehr.example.org/fhir/{r.get('resourceType')}/{r.get('id')}",
            "resource": r,
        }
        for r in resources
    ]
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(entries),
        **({"entry": entries} if entries else {}),
    }


def drafts(*resources: Json) -> Json:
    """The orders of a context, as a Bundle of type collection."""
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": r} for r in resources],
    }


def prefetch(*resources: Json, release: str = "R4") -> Json:
    """Every list that this service asks for, complete, with ``resources`` sorted into their keys."""
    kinds = {
        "medicationStatements": "MedicationStatement",
        "medicationDispenses": "MedicationDispense",
        "medicationAdministrations": "MedicationAdministration",
        "conditions": "Condition",
        "medicationOrders" if release == "DSTU2" else "medicationRequests": "MedicationOrder"
        if release == "DSTU2"
        else "MedicationRequest",
    }
    return {
        "patient": {"resourceType": "Patient", "id": PATIENT, "birthDate": "1972-03-04"},
        **{
            key: bundle(*(r for r in resources if r["resourceType"] == kind))
            for key, kind in kinds.items()
        },
    }


def call(
    hook: str,
    *orders: Json,
    meds: tuple[Json, ...] | None = (),
    release: str = "R4",
    **members: Any,
) -> Json:
    """A whole call of ``hook`` with every draft selected; ``meds=None`` leaves prefetch out."""
    context: Json = {
        "userId": "Practitioner/u1",
        "patientId": PATIENT,
        ORDERS_IN[hook]: drafts(*orders),
    }
    if hook == "order-select":
        context["selections"] = [f"{o['resourceType']}/{o['id']}" for o in orders if o.get("id")]
    return {
        "hook": hook,
        "hookInstance": INSTANCE,
        "context": context,
        **({} if meds is None else {"prefetch": prefetch(*meds, release=release)}),
        **members,
    }


def conflict(hook: str = "order-sign", release: str = "R4") -> Json:
    """Low-dose naltrexone drafted while oxycodone is current: one critical card and the off-label note."""
    return call(hook, ldn(release), meds=(listed(release=release),), release=release)


def reverse(hook: str = "order-sign", release: str = "R4") -> Json:
    """Oxycodone drafted while low-dose naltrexone is current: a critical card that offers to hold it."""
    return call(hook, opioid(release=release), meds=(listed_ldn(release),), release=release)


def start(hook: str = "order-sign", release: str = "R4") -> Json:
    """Low-dose naltrexone started at full dose, no opioid: the off-label note with a lower start."""
    return call(hook, ldn(release), release=release)


def example(name: str) -> Any:
    """One published example, or with ``captured__`` before its name one body that the sandbox sent, parsed."""
    captured = name.removeprefix("captured__")
    folder = EXAMPLES if captured == name else CAPTURES
    return json.loads((folder / f"{captured}.json").read_text(encoding="utf-8"))


def example_names() -> list[str]:
    """Every name that ``example`` reads."""
    return sorted(
        [
            *(p.stem for p in EXAMPLES.glob("*.json")),
            *(f"captured__{p.stem}" for p in CAPTURES.glob("*.json")),
        ]
    )


def schema(name: str) -> Any:
    """One of the service's own JSON Schemas, parsed."""
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))


VALID = {
    name: jsonschema_rs.validator_for(schema(name))
    for name in (
        "request",
        "response",
        "cards",
        "discovery",
        "feedback",
        "operation-outcome",
        "medication-order-dstu2",
    )
}


def path_of(body: Any, hook: str = "") -> str:
    """The endpoint that a body belongs to."""
    return f"/cds-services/naltrexone-{hook or body['hook']}"


def cards(service: Any, body: Any, hook: str = "") -> list[Json]:
    """The cards of a 200 answer, after the whole answer met the strict schema."""
    answer = service.post(path_of(body, hook), json=body)
    assert answer.status_code == 200, f"{answer.status_code} {answer.text[:300]}"
    found = answer.json()
    assert [] == complaints("response", found)
    return list(found["cards"])


def refusal(answer: Any) -> Json:
    """The OperationOutcome of an answer that is no 200, after it met its schema."""
    found: Json = answer.json()
    assert [] == complaints("operation-outcome", found)
    return found


def complaints(name: str, instance: Any) -> list[str]:
    """What one of our schemas has against a JSON value."""
    return [
        f"{list(e.instance_path)}: {e.message[:200]}" for e in VALID[name].iter_errors(instance)
    ]


def topics(found: list[Json]) -> dict[str, str]:
    """Topic to indicator of each card."""
    return {card["source"]["topic"]["code"]: card["indicator"] for card in found}


def card_of(found: list[Json], topic: str) -> Json:
    """The one card of a topic."""
    (only,) = [card for card in found if card["source"]["topic"]["code"] == topic]
    return only


def actions(card: Json) -> list[Json]:
    """Every action of every suggestion of a card."""
    return [
        action for suggestion in card.get("suggestions", []) for action in suggestion["actions"]
    ]


def unnamed(value: Any) -> Any:
    """The same JSON without uuids, so that two answers can be compared."""
    if isinstance(value, dict):
        return {k: unnamed(v) for k, v in value.items() if k != "uuid"}
    if isinstance(value, list):
        return [unnamed(v) for v in value]
    return value


def words(card: Json) -> str:
    """All that a prescriber can read on a card's face, lower case, without markdown escapes."""
    return re.sub(r"\\(.)", r"\1", f"{card['summary']} {card.get('detail', '')}").lower()


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every node of a JSON value with its path, containers included."""
    yield path, value
    members = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for name, member in members:
        yield from leaves(member, f"{path}/{name}")


def changed(body: Json, path: str, value: Any) -> Json:
    """A copy of ``body`` with the member at ``path`` ("context/patientId") set to ``value``."""
    copy = deepcopy(body)
    *parents, last = path.split("/")
    node: Any = copy
    for name in parents:
        node = node[int(name) if isinstance(node, list) else name]
    node[int(last) if isinstance(node, list) else last] = value
    return copy
