"""One medication order, statement, dispense, administration, problem or encounter as each FHIR release writes it.

The input is a vignette's own shape (specification section 4); the output is what a server of that release would send:
DSTU2 has ``MedicationOrder``, ``dateWritten`` and ``periodUnits``, STU3 puts the dose directly on the dosage, R5 says
``medication.concept``, ``reason`` and ``adherence``. What a release cannot say is left out and skipped in the tests.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

RELEASES = ("DSTU2", "STU3", "R4", "R5")
UCUM = "http://unitsofmeasure.org"
ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
UCUM_CODES = {
    "mg": "mg",
    "mcg": "ug",
    "mL": "mL",
    "tablet": "{tbl}",
    "capsule": "{capsule}",
    "g": "g",
}
ROUTES = {
    "intramuscular": ("78421000", "Intramuscular route"),
    "topical": ("6064005", "Topical route"),
    "oral": ("26643006", "Oral route"),
    "subcutaneous": ("34206005", "Subcutaneous route"),
}
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
RESULTS = {"positive": ("10828004", "Positive"), "negative": ("260385009", "Negative")}
ADHERENCE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-medication-adherence"
NOT_TAKING = {"coding": [{"system": SNOMED, "code": "715036001", "display": "Not taking drug"}]}
ENCOUNTERS_DSTU2 = {
    "IMP": "inpatient",
    "ACUTE": "inpatient",
    "NONACUTE": "inpatient",
    "OBSENC": "inpatient",
    "SS": "inpatient",
    "EMER": "emergency",
    "AMB": "outpatient",
    "HH": "home",
    "VR": "virtual",
}
CATEGORY_SYSTEMS = {
    "STU3": "http://hl7.org/fhir/medication-request-category",
    "R4": TERMINOLOGY + "medicationrequest-category",
    "R5": TERMINOLOGY + "medicationrequest-admin-location",
}
TIMING_SYSTEMS = {
    "DSTU2": "http://hl7.org/fhir/timing-abbreviation",
    "STU3": "http://hl7.org/fhir/v3/GTSAbbreviation",
}


def order_type(release: str) -> str:
    return "MedicationOrder" if release == "DSTU2" else "MedicationRequest"


def patient_of(release: str, patient: str = "pat-1") -> Json:
    return {"patient" if release == "DSTU2" else "subject": {"reference": f"Patient/{patient}"}}


def drug(item: Json, release: str) -> Json:
    """``medicationCodeableConcept``, or R5 ``medication.concept``; a compounded product has words only.

    A drug that is a reference to a Medication nobody sent is ``medicationReference``, R5 ``medication.reference``.
    """
    if item.get("unresolved_reference"):
        target = {"reference": item["unresolved_reference"]}
        return (
            {"medication": {"reference": target}}
            if release == "R5"
            else {"medicationReference": target}
        )
    codings = item.get("codings") or ([item["rxnorm"]] if item.get("rxnorm") else [])
    concept: Json = {"coding": [dict(coding) for coding in codings]} if codings else {}
    if item["drug_text"]:
        concept["text"] = item["drug_text"]
    return (
        {"medication": {"concept": concept}}
        if release == "R5"
        else {"medicationCodeableConcept": concept}
    )


def meta(item: Json) -> Json:
    """When the record was touched last; a server says it to the second."""
    return (
        {"meta": {"lastUpdated": f"{item['last_updated']}T10:00:00Z"}}
        if item.get("last_updated")
        else {}
    )


def order(item: Json, release: str, authored: str | None) -> Json:
    """A MedicationRequest (DSTU2 MedicationOrder) in any status; ``authored`` None where nobody wrote a date."""
    if item.get("resourceType") == "ServiceRequest":
        return service_request(item, release)
    resource = {
        "resourceType": order_type(release),
        "id": item["id"],
        **meta(item),
        "status": item["status"],
    }
    if release != "DSTU2" and item.get("intent"):
        resource["intent"] = item["intent"]
    if authored:
        resource["dateWritten" if release == "DSTU2" else "authoredOn"] = authored
    if item.get("doNotPerform"):
        resource["doNotPerform"] = True
    resource |= {
        **category(item, release),
        **drug(item, release),
        **patient_of(release),
        **reasons(item, release),
    }
    if item.get("end") and release == "DSTU2":
        resource["dateEnded"] = item["end"]
    if item.get("prior"):
        resource["priorPrescription"] = {"reference": f"{order_type(release)}/{item['prior']}"}
    return (
        resource
        | provenance(item, release)
        | dosages(item, release)
        | supply(item, release, authored)
    )


def provenance(item: Json, release: str) -> Json:
    """Who says so, since when, and whether it is taken: what only some releases have a place for."""
    said: Json = {}
    if item.get("status_changed") and release == "R5":
        said["statusChanged"] = item["status_changed"]
    if "reported" in item and release in {"R4", "R5"}:
        said["reported" if release == "R5" else "reportedBoolean"] = item["reported"]
    if item.get("adherence") == "not-taking" and release == "R4":
        taken = {"url": "medicationAdherence", "valueCodeableConcept": NOT_TAKING}
        said["extension"] = [{"url": ADHERENCE, "extension": [taken]}]
    return said


def service_request(item: Json, release: str) -> Json:
    code: Json = {"text": item["drug_text"]}
    return {
        "resourceType": "ServiceRequest",
        "id": item["id"],
        "status": item["status"],
        "intent": item["intent"],
        "code": {"concept": code} if release == "R5" else code,
        **patient_of(release),
    }


def category(item: Json, release: str) -> Json:
    if not item.get("category") or release == "DSTU2":
        return {}
    concept = {"coding": [{"system": CATEGORY_SYSTEMS[release], "code": item["category"]}]}
    return {"category": concept if release == "STU3" else [concept]}


def reasons(item: Json, release: str) -> Json:
    concepts = [condition_code(reason) for reason in item.get("reason") or ()]
    if not concepts:
        return {}
    if release == "DSTU2":
        return {"reasonCodeableConcept": concepts[0]}
    return (
        {"reason": [{"concept": c} for c in concepts]}
        if release == "R5"
        else {"reasonCode": concepts}
    )


def condition_code(condition: Json) -> Json:
    """ICD-10-CM where no system is named; a code of digits alone is none of ICD-10-CM but SNOMED CT."""
    system = condition.get("system") or (SNOMED if condition["code"].isdigit() else ICD_10_CM)
    coding = {"system": system, "code": condition["code"], "display": condition["text"]}
    return {"coding": [coding], "text": condition["text"]}


def supply(item: Json, release: str, authored: str | None = None) -> Json:
    """``dispenseRequest`` from supply, quantity, refills and validity; before R4 repeats are positive or absent."""
    wanted: Json = {}
    if item.get("validity_end"):
        start = {"start": authored[:10]} if authored else {}
        wanted["validityPeriod"] = {**start, "end": item["validity_end"]}
    if item.get("initial_fill_days") and release in {"R4", "R5"}:
        wanted["initialFill"] = {"duration": days(item["initial_fill_days"])}
    if item.get("refills") or (item.get("refills") == 0 and release in {"R4", "R5"}):
        wanted["numberOfRepeatsAllowed"] = item["refills"]
    if item.get("quantity"):
        wanted["quantity"] = quantity(item["quantity"], release)
    if item.get("supply_days") is not None:
        wanted["expectedSupplyDuration"] = days(item["supply_days"])
    return {"dispenseRequest": wanted} if wanted else {}


def days(number: int) -> Json:
    return {"value": number, "unit": "days", "system": UCUM, "code": "d"}


def dosages(item: Json, release: str) -> Json:
    """``dosageInstruction``: the structured lines, and on the first the words and the bounds of the course."""
    lines = [dosage(line, release) for line in item.get("dosage") or ()]
    limits = bounds(item, release)
    if (item.get("sig_text") or item.get("route") or limits) and not lines:
        lines = [{}]
    if item.get("sig_text"):
        lines[0] = {"text": item["sig_text"], **lines[0]}
    if limits:
        lines[0].setdefault("timing", {}).setdefault("repeat", {}).update(limits)
    lines = [written for line in lines if (written := line | route(item))]
    return {"dosageInstruction": lines} if lines else {}


def bounds(item: Json, release: str) -> Json:
    """``boundsDuration`` (DSTU2 ``boundsQuantity``), or ``boundsPeriod``; the end of a DSTU2 order is ``dateEnded``."""
    if item.get("bounds_duration_days"):
        return {
            "boundsQuantity" if release == "DSTU2" else "boundsDuration": days(
                item["bounds_duration_days"]
            )
        }
    end = {"end": item["end"]} if item.get("end") and release != "DSTU2" else {}
    start = item.get("start") or (item.get("authoredOn") if end else None)
    period = {**({"start": start} if start else {}), **end}
    return {"boundsPeriod": period} if period else {}


def dosage(line: Json, release: str) -> Json:
    written: Json = {name: line[name] for name in ("sequence", "text") if name in line}
    if "timing" in line:
        written["timing"] = timing(line["timing"], release)
    if "asNeededBoolean" in line:
        written["asNeeded" if release == "R5" else "asNeededBoolean"] = line["asNeededBoolean"]
    amounts = [amount(given, release) for given in line.get("doseAndRate") or ()]
    if amounts:
        written |= {"doseAndRate": amounts} if release in {"R4", "R5"} else amounts[0]
    return written


def timing(given: Json, release: str) -> Json:
    written: Json = {}
    if "repeat" in given:
        written["repeat"] = dict(given["repeat"])
        if release == "DSTU2" and "periodUnit" in written["repeat"]:
            written["repeat"]["periodUnits"] = written["repeat"].pop("periodUnit")
    if "code" in given:
        system = TIMING_SYSTEMS.get(release, TERMINOLOGY + "v3-GTSAbbreviation")
        written["code"] = {
            "coding": [{"system": system, "code": given["code"]}],
            "text": given["code"],
        }
    return written


def amount(given: Json, release: str) -> Json:
    """``doseQuantity`` or ``doseRange`` with UCUM codes; R5 senders often give the code alone."""
    if "doseRange" in given:
        return {
            "doseRange": {
                end: quantity(given["doseRange"][end], release) for end in given["doseRange"]
            }
        }
    return {"doseQuantity": quantity(given["doseQuantity"], release)}


def quantity(given: Json, release: str) -> Json:
    code = UCUM_CODES.get(given["unit"])
    if code is None:
        return dict(given)
    coded = {"value": given["value"], "system": UCUM, "code": code}
    return coded if release == "R5" and "{" not in code else {**coded, "unit": given["unit"]}


def route(item: Json) -> Json:
    if not item.get("route"):
        return {}
    code, display = ROUTES[item["route"]]
    return {
        "route": {
            "coding": [{"system": "http://snomed.info/sct", "code": code, "display": display}],
            "text": item["route"],
        }
    }


def statement(item: Json, release: str) -> Json:
    """A MedicationStatement: DSTU2 ``wasNotTaken``, STU3 ``taken``, R5 ``recorded`` with ``adherence``."""
    resource = {
        "resourceType": "MedicationStatement",
        "id": item["id"],
        **meta(item),
        "status": item["status"],
        **patient_of(release),
        **drug(item, release),
    }
    if release == "DSTU2":
        resource["wasNotTaken"] = item.get("wasNotTaken", False)
    if release == "STU3":
        resource["taken"] = item.get("taken", "y")
    if release == "R5":
        system = "http://hl7.org/fhir/CodeSystem/medication-statement-adherence"
        said = {"active": "taking"}.get(item["status"], item["status"])
        resource |= {
            "status": "recorded",
            "adherence": {"code": {"coding": [{"system": system, "code": said}]}},
        }
    if asserted := item.get("date_asserted") or item.get("authoredOn"):
        resource["dateAsserted"] = asserted
    if start := item.get("start") or item.get("authoredOn"):
        resource["effectivePeriod"] = {"start": start}
    if item.get("end"):
        resource["effectivePeriod"] = {**resource.get("effectivePeriod", {}), "end": item["end"]}
    lines = dosages({**item, "start": None, "end": None}, release).get("dosageInstruction", [])
    for line in lines if release == "DSTU2" else ():
        if "doseQuantity" in line:
            line["quantityQuantity"] = line.pop("doseQuantity")
    return {**resource, "dosage": lines} if lines else resource


def dispense(item: Json, release: str, order_id: str | None) -> Json:
    """A MedicationDispense handed over on ``authoredOn``."""
    resource = {
        "resourceType": "MedicationDispense",
        "id": item["id"],
        **meta(item),
        "status": item["status"],
        **patient_of(release),
        **drug(item, release),
    }
    if item.get("authoredOn"):
        resource["whenHandedOver"] = item["authoredOn"] + "T10:20:00Z"
    if item.get("quantity"):
        resource["quantity"] = quantity(item["quantity"], release)
    if item.get("supply_days") is not None:
        resource["daysSupply"] = days(item["supply_days"])
    resource |= dosages({**item, "start": None, "end": None}, release)
    if order_id:
        resource["authorizingPrescription"] = [{"reference": f"{order_type(release)}/{order_id}"}]
    return resource


def administration(item: Json, release: str, at: str, order_id: str | None) -> Json:
    """A MedicationAdministration at ``at``; R5 really spells the element ``occurenceDateTime``."""
    when = {"DSTU2": "effectiveTimeDateTime", "R5": "occurenceDateTime"}.get(
        release, "effectiveDateTime"
    )
    resource = {
        "resourceType": "MedicationAdministration",
        "id": item["id"],
        **meta(item),
        "status": item["status"],
        when: at,
        **patient_of(release),
        **drug(item, release),
    }
    if release in {"DSTU2", "STU3"}:
        resource["wasNotGiven" if release == "DSTU2" else "notGiven"] = False
    if order_id:
        name = "prescription" if release in {"DSTU2", "STU3"} else "request"
        resource[name] = {"reference": f"{order_type(release)}/{order_id}"}
    return resource


def condition(number: int, item: Json, release: str) -> Json:
    status: Any = item.get("clinicalStatus", "active")
    verified: Any = "confirmed"
    if release in {"R4", "R5"}:
        status = {"coding": [{"system": TERMINOLOGY + "condition-clinical", "code": status}]}
        verified = {"coding": [{"system": TERMINOLOGY + "condition-ver-status", "code": verified}]}
    written_on = {"DSTU2": "dateRecorded", "STU3": "assertedDate"}.get(release, "recordedDate")
    dates = {
        name: item[key]
        for name, key in (("onsetDateTime", "onset"), (written_on, "recorded"))
        if item.get(key)
    }
    return {
        "resourceType": "Condition",
        "id": f"cond-{number}",
        "clinicalStatus": status,
        "verificationStatus": verified,
        "code": condition_code(item),
        **patient_of(release),
        **dates,
    }


def laboratory(number: int, item: Json, release: str) -> Json:
    """A laboratory Observation: a coded result, a number with its own upper limit, or words."""
    system = TERMINOLOGY if release in {"R4", "R5"} else "http://hl7.org/fhir/"
    kind = {"coding": [{"system": system + "observation-category", "code": "laboratory"}]}
    coding = {"system": LOINC, "code": item["loinc"], "display": item["text"]}
    return {
        "resourceType": "Observation",
        "id": f"lab-{number}",
        "status": item.get("status", "final"),
        "category": kind if release == "DSTU2" else [kind],
        "code": {"coding": [coding], "text": item["text"]},
        "subject": {"reference": "Patient/pat-1"},
        **({"effectiveDateTime": item["date"]} if item.get("date") else {}),
        **result(item),
    }


def result(item: Json) -> Json:
    value, unit = item.get("value"), {"unit": item["unit"]} if item.get("unit") else {}
    if isinstance(value, int | float):
        limit = (
            {"referenceRange": [{"high": {"value": item["high"], **unit}}]}
            if "high" in item
            else {}
        )
        return {"valueQuantity": {"value": value, **unit}, **limit}
    if value in RESULTS:
        code, display = RESULTS[value]
        return {
            "valueCodeableConcept": {
                "coding": [{"system": SNOMED, "code": code, "display": display}],
                "text": display,
            }
        }
    return {"valueString": value} if value else {}


def procedure(number: int, item: Json, release: str) -> Json:
    """A completed Procedure; a code that is a letter and digits is a billing code (HCPCS), else SNOMED CT."""
    system = item.get("system") or (SNOMED if item["code"].isdigit() else HCPCS)
    coding = {"system": system, "code": item["code"], "display": item["text"]}
    when = "occurrenceDateTime" if release == "R5" else "performedDateTime"
    return {
        "resourceType": "Procedure",
        "id": f"proc-{number}",
        "status": "completed",
        "code": {"coding": [coding], "text": item["text"]},
        "subject": {"reference": "Patient/pat-1"},
        **({when: item["date"]} if item.get("date") else {}),
    }


def encounter(code: str, release: str) -> Json:
    """An encounter in progress: DSTU2 class word, STU3/R4 Coding, R5 list of concepts."""
    coding = {"system": TERMINOLOGY + "v3-ActCode", "code": code}
    if release == "STU3":
        coding["system"] = "http://hl7.org/fhir/v3/ActCode"
    kind: Any = {"DSTU2": ENCOUNTERS_DSTU2[code], "R5": [{"coding": [coding]}]}.get(release, coding)
    return {
        "resourceType": "Encounter",
        "id": "enc-1",
        "status": "in-progress",
        "class": kind,
        **patient_of(release),
    }
