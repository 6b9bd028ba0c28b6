"""Realistic order-select calls: a draft (low-dose naltrexone, or amoxicillin) and a list of different current medicines.

Every call has a patient and a hookInstance of its own; the texts of the medicines repeat from patient to patient, as
they do in a clinic. Dates are counted back from the day of the run, so that the list is current whenever it is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import orjson

Json = dict[str, Any]

OXYCODONE = (
    "oxycodone hydrochloride 5 MG Oral Tablet",
    "1049621",
    "Take 1 tablet by mouth every 6 hours as needed",
)
COMMON = (
    "lisinopril 10 MG Oral Tablet",
    "metformin hydrochloride 500 MG Oral Tablet",
    "atorvastatin 20 MG Oral Tablet",
    "levothyroxine sodium 0.05 MG Oral Tablet",
    "amlodipine 5 MG Oral Tablet",
    "omeprazole 20 MG Oral Capsule",
    "sertraline 50 MG Oral Tablet",
    "gabapentin 300 MG Oral Capsule",
    "albuterol 0.09 MG/ACTUAT Metered Dose Inhaler",
    "insulin glargine 100 UNT/ML Injectable Solution",
    "warfarin sodium 2.5 MG Oral Tablet",
    "hydrochlorothiazide 25 MG Oral Tablet",
    "duloxetine 30 MG Delayed Release Oral Capsule",
    "cyclobenzaprine hydrochloride 10 MG Oral Tablet",
    "acetaminophen 500 MG Oral Tablet",
    "melatonin 3 MG Oral Tablet",
    "cholecalciferol 1000 UNT Oral Capsule",
    "fluticasone propionate 0.05 MG/ACTUAT Nasal Spray",
    "prednisone 5 MG Oral Tablet",
    "pregabalin 75 MG Oral Capsule",
    "topiramate 25 MG Oral Tablet",
    "losartan potassium 50 MG Oral Tablet",
    "furosemide 40 MG Oral Tablet",
    "apixaban 5 MG Oral Tablet",
    "montelukast 10 MG Oral Tablet",
    "trazodone hydrochloride 50 MG Oral Tablet",
    "folic acid 1 MG Oral Tablet",
    "methotrexate 2.5 MG Oral Tablet",
    "hydroxychloroquine sulfate 200 MG Oral Tablet",
    "loratadine 10 MG Oral Tablet",
)
SIGS = (
    "Take 1 tablet by mouth daily",
    "Take 1 by mouth twice daily with meals",
    "Take 1 capsule at bedtime",
    "Use as directed by the clinic",
    "Take 1 every morning",
)
_STRENGTH = re.compile(r"\d+(?:\.\d+)?")


def calls(
    medicines: int, today: date, *, ours: bool = True, number: int = 64, first: int = 1
) -> list[bytes]:
    """``number`` bodies with ``medicines`` current medicines each, one of which is oxycodone.

    With ``ours`` naltrexone is drafted (two cards), else amoxicillin, as in nearly every call of a hospital.
    """
    texts = [OXYCODONE, *islice(_others(), medicines - 1)]
    return [orjson.dumps(call(n, texts, today, ours=ours)) for n in range(first, first + number)]


def call(number: int, texts: list[tuple[str, str, str]], today: date, *, ours: bool = True) -> Json:
    """One whole order-select call for patient ``number``."""
    patient = f"pat-{number:05d}"
    listed = [
        _order(f"mr-{number}-{i}", patient, text, today - timedelta(days=7 + i % 60))
        for i, text in enumerate(texts)
    ]
    return {
        "hook": "order-select",
        "hookInstance": str(UUID(int=0x40008000_0000_0000_0000_0000 + number)),
        "context": {
            "userId": "Practitioner/prac-1",
            "patientId": patient,
            "encounterId": f"enc-{number}",
            "selections": ["MedicationRequest/draft-1"],
            "draftOrders": {
                "resourceType": "Bundle",
                "type": "collection",
                "entry": [{"resource": _draft(patient, today) if ours else _other(patient, today)}],
            },
        },
        "prefetch": {
            "patient": {
                "resourceType": "Patient",
                "id": patient,
                "gender": "female",
                "birthDate": "1974-03-14",
                "name": [{"family": "Testpatient", "given": ["Nora"]}],
            },
            "encounter": {
                "resourceType": "Encounter",
                "id": f"enc-{number}",
                "status": "in-progress",
                "class": {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                    "code": "AMB",
                },
            },
            "medicationRequests": _search(listed),
            "medicationStatements": _search([]),
            "medicationDispenses": _search([]),
            "medicationAdministrations": _search([]),
            "conditions": _search([_condition(patient)]),
        },
    }


def _others() -> Iterator[tuple[str, str, str]]:
    """Different medicines without end: the common ones, then the same ones in other strengths."""
    for turn in range(1_000):
        for i, text in enumerate(COMMON):
            written = _stronger(text, turn + 1)
            yield written, f"{900_000_000 + 100 * turn + i}", SIGS[(turn + i) % len(SIGS)]


def _stronger(text: str, times: int) -> str:
    return _STRENGTH.sub(lambda found: f"{float(found[0]) * times:g}", text, count=1)


def _search(resources: list[Json]) -> Json:
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(resources),
        "entry": [
            {
                "fullUrl": f"https://ehr.example.org/r4/{r['resourceType']}/{r['id']}",
                "resource": r,
                "search": {"mode": "match"},
            }
            for r in resources
        ],
    }


def _order(own: str, patient: str, text: tuple[str, str, str], day: date) -> Json:
    name, code, sig = text
    return {
        "resourceType": "MedicationRequest",
        "id": own,
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {
            "text": name,
            "coding": [
                {
                    "system": "http://www.nlm.nih.gov/research/umls/rxnorm",
                    "code": code,
                    "display": name,
                }
            ],
        },
        "subject": {"reference": f"Patient/{patient}"},
        "authoredOn": day.isoformat(),
        "requester": {"reference": "Practitioner/prac-1"},
        "dosageInstruction": [
            {
                "text": sig,
                "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}],
            }
        ],
        "dispenseRequest": {
            "numberOfRepeatsAllowed": 3,
            "quantity": {"value": 90, "unit": "tablet"},
            "expectedSupplyDuration": {
                "value": 90,
                "unit": "days",
                "code": "d",
                "system": "http://unitsofmeasure.org",
            },
        },
    }


def _draft(patient: str, today: date) -> Json:
    return {
        "resourceType": "MedicationRequest",
        "id": "draft-1",
        "status": "draft",
        "intent": "order",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/medicationrequest-category",
                        "code": "community",
                    }
                ]
            }
        ],
        "medicationCodeableConcept": {"text": "Naltrexone 4.5 mg oral capsule (compounded)"},
        "subject": {"reference": f"Patient/{patient}"},
        "authoredOn": today.isoformat(),
        "reasonCode": [
            {
                "text": "Fibromyalgia",
                "coding": [
                    {
                        "system": "http://hl7.org/fhir/sid/icd-10-cm",
                        "code": "M79.7",
                        "display": "Fibromyalgia",
                    }
                ],
            }
        ],
        "dosageInstruction": [
            {
                "text": "Take 4.5 mg by mouth at bedtime",
                "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [
                    {
                        "doseQuantity": {
                            "value": 4.5,
                            "unit": "mg",
                            "code": "mg",
                            "system": "http://unitsofmeasure.org",
                        }
                    }
                ],
            }
        ],
    }


def _other(patient: str, today: date) -> Json:
    name = "amoxicillin 500 MG Oral Capsule"
    coding = {
        "system": "http://www.nlm.nih.gov/research/umls/rxnorm",
        "code": "308182",
        "display": name,
    }
    return {
        **_draft(patient, today),
        "medicationCodeableConcept": {"text": name, "coding": [coding]},
        "reasonCode": [{"text": "Sinusitis"}],
        "dosageInstruction": [{"text": "Take 1 capsule three times a day"}],
    }


def _condition(patient: str) -> Json:
    return {
        "resourceType": "Condition",
        "id": f"c-{patient}",
        "subject": {"reference": f"Patient/{patient}"},
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {
            "text": "Fibromyalgia",
            "coding": [
                {
                    "system": "http://hl7.org/fhir/sid/icd-10-cm",
                    "code": "M79.7",
                    "display": "Fibromyalgia",
                }
            ],
        },
    }
