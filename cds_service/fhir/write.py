"""Build the few resources that a suggestion carries, in the release of the order it answers, and prove them valid.

Reading is tolerant, writing is strict: what does not validate is not offered. The caller's own members are kept; only the
documented repairs are made (an object becomes a list, unparseable dates go, a missing intent becomes ``order``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources as packaged
from typing import Any

import jsonschema_rs

from cds_service.fhir.values import as_dict, as_list, read_reference, resource_id
from cds_service.model import Json, Release

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
UCUM = "http://unitsofmeasure.org"
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?)?)?")
_DATES = frozenset({"authoredOn", "dateWritten", "dateEnded", "start", "end", "effectiveDateTime", "dateAsserted", "time"})
_LISTS = ("category", "reasonCode")


def hold(request: Json, release: Release, reason: str) -> dict[str, Any]:
    """The same request on hold; why stands in ``statusReason`` (R4, R5) or in a note (STU3, DSTU2)."""
    held = _repaired(request, release)
    held["status"] = "on-hold"
    if release in {Release.R4, Release.R5}:
        held["statusReason"] = {"text": reason}
    elif release is Release.STU3:
        held["note"] = [*as_list(held.get("note")), {"text": reason}]
    else:
        held["note"] = f"{held['note']} {reason}" if isinstance(held.get("note"), str) else reason
    return held


def start_low(draft: Json, release: Release, words: Mapping[str, str], dose_mg: float, days: int) -> dict[str, Any]:
    """The caller's draft as ``dose_mg`` of naltrexone at bedtime for ``days``, one a day (specification 2.7 START_1_5)."""
    order = _repaired(draft, release)
    _replace_medication(order, release, words["medication"])
    order["dosageInstruction"] = [_bedtime_dose(release, words["sig"], dose_mg, days)]
    order["dispenseRequest"] = {
        **as_dict(order.get("dispenseRequest")),
        "quantity": {"value": days, "unit": "capsule"},
        "expectedSupplyDuration": _days(days),
    }
    return order


def _replace_medication(order: dict[str, Any], release: Release, text: str) -> None:
    former, _ = read_reference(order.pop("medicationReference", None) or as_dict(order.get("medication")).get("reference"))
    concept = {"coding": [{"system": RXNORM, "code": "7243", "display": "naltrexone"}], "text": text}
    if release is Release.R5:
        order["medication"] = {"concept": concept}
    else:
        order.pop("medication", None)
        order["medicationCodeableConcept"] = concept
    kept = [c for c in as_list(order.get("contained")) if former.lstrip("#") != resource_id(as_dict(c))]
    if "contained" in order:
        order["contained"] = kept
        if not kept:
            del order["contained"]


def _bedtime_dose(release: Release, sig: str, dose_mg: float, days: int) -> dict[str, Any]:
    quantity = {"value": dose_mg, "unit": "mg", "system": UCUM, "code": "mg"}
    if release is Release.DSTU2:
        return {"text": sig, "doseQuantity": quantity, "timing": {"repeat": {
            "boundsQuantity": _days(days), "frequency": 1, "period": 1, "periodUnits": "d"}}}
    timing = {"repeat": {"boundsDuration": _days(days), "frequency": 1, "period": 1, "periodUnit": "d",
                         "when": ["HS"]}}
    if release is Release.STU3:
        return {"text": sig, "timing": timing, "doseQuantity": quantity}
    return {"text": sig, "timing": timing, "doseAndRate": [{"doseQuantity": quantity}]}


def _days(number: int) -> dict[str, Any]:
    return {"value": number, "unit": "days", "system": UCUM, "code": "d"}


# --- the repairs ------------------------------------------------------------------------------------------------------

def _repaired(resource: Json, release: Release) -> dict[str, Any]:
    order: dict[str, Any] = _pruned(resource)
    if release in {Release.R4, Release.R5}:
        for name in _LISTS:
            if isinstance(order.get(name), dict):
                order[name] = [order[name]]
    elif release is Release.STU3 and isinstance(order.get("reasonCode"), dict):
        order["reasonCode"] = [order["reasonCode"]]
    if release is not Release.DSTU2 and not order.get("intent"):
        order["intent"] = "order"
    _drop_bad_dates(order)
    return order


def _pruned(value: Any) -> Any:
    """A deep copy without nulls and empty members, which no CDS Hooks answer may hold (R02, R03)."""
    if isinstance(value, Mapping):
        kept = {name: _pruned(child) for name, child in value.items()}
        return {name: child for name, child in kept.items() if child not in (None, "", [], {})}
    if isinstance(value, list):
        return [child for child in map(_pruned, value) if child not in (None, "", [], {})]
    return value


def _drop_bad_dates(value: Any) -> None:
    """Remove date members that hold no date (the sandbox's "Invalid date") and objects that this leaves empty."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    emptied = []
    for name, child in list(children):
        if name in _DATES and isinstance(child, str) and not _DATE.fullmatch(child):
            emptied.append(name)
        elif isinstance(child, dict | list):
            had = bool(child)
            _drop_bad_dates(child)
            if had and not child and isinstance(value, dict):
                emptied.append(name)
    for name in emptied:
        del value[name]


# --- the proof --------------------------------------------------------------------------------------------------------

def is_valid(resource: Json, release: Release) -> bool:
    """True where the resource is legal in its release: fhir.resources (R4B models for R4), our own schema for DSTU2."""
    return not faults(resource, release)


def faults(resource: Json, release: Release) -> list[str]:
    """What breaks the release's rules, as member paths and messages without the values; [] for a valid resource."""
    kind = resource.get("resourceType")
    if release is Release.DSTU2:
        return [error.message for error in _dstu2_schema().iter_errors(dict(resource))]
    try:
        model = model_for(str(kind), release)
        model.model_validate(dict(resource))
    except Exception as error:  # noqa: BLE001 - fhir.resources raises KeyError and RecursionError as well
        return _describe(error)
    return []


def warm_up() -> None:
    """Load and build the R4 models ahead of the first suggestion, which would otherwise wait a third of a second."""
    draft = {"resourceType": "MedicationRequest", "status": "draft", "subject": {"reference": "Patient/x"}}
    faults(start_low(draft, Release.R4, {"medication": "x", "sig": "x"}, 1, 1), Release.R4)


def _describe(error: Exception) -> list[str]:
    listed = getattr(error, "errors", None)
    if not callable(listed):
        return [f"not readable as FHIR ({type(error).__name__})"]
    try:
        items = listed(include_input=False, include_url=False, include_context=False)
    except TypeError:
        return ["not valid"]
    return [f"{'.'.join(str(part) for part in item['loc'])}: {item['type']}" for item in items]


@lru_cache(maxsize=32)
def model_for(kind: str, release: Release) -> Any:
    """The fhir.resources model of a resource type; imported on first use. KeyError for a type that the release lacks."""
    from fhir.resources import get_fhir_model_class  # noqa: PLC0415 - 250 ms, only needed where something is written
    package = {Release.R4: "R4B", Release.R5: "R5", Release.STU3: "STU3"}[release]
    if package == "R5":
        return get_fhir_model_class(kind)
    module = __import__(f"fhir.resources.{package}", fromlist=["get_fhir_model_class"])
    return module.get_fhir_model_class(kind)


@lru_cache(maxsize=1)
def _dstu2_schema() -> Any:
    path = packaged.files("cds_service.hooks").joinpath("schema", "medication-order-dstu2.schema.json")
    return jsonschema_rs.Draft202012Validator(json.loads(path.read_bytes()), mask="(value)")

