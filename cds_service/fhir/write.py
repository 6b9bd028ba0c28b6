"""Build the few resources that a suggestion carries, in the release of the order it answers, and prove them valid.

Reading is tolerant, writing is strict: what does not validate is not offered. The caller's own members are kept; only the
documented repairs are made (an object becomes a list, unparseable dates go, a missing intent becomes ``order``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from importlib import resources as packaged
from typing import Any, assert_never

import jsonschema_rs

from cds_service.fhir.releases import ASSUMED, ReleaseProfile, profile_of
from cds_service.fhir.values import as_dict, as_list, read_reference, resource_id
from cds_service.model import Json, Release

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
NALTREXONE = {"system": RXNORM, "code": "7243", "display": "naltrexone"}
UCUM = "http://unitsofmeasure.org"
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?)?)?")
_STAYS_OF_SUPPLY = ("performer", "dispenser")
_DATES = frozenset(
    {
        "authoredOn",
        "dateWritten",
        "dateEnded",
        "start",
        "end",
        "effectiveDateTime",
        "dateAsserted",
        "time",
    }
)


def hold(request: Json, release: Release, reason: str) -> dict[str, Any]:
    """The same request on hold; why stands in ``statusReason`` (R4, R5) or in a note (STU3, DSTU2)."""
    row = profile_of(release)
    held = _repaired(request, row)
    held["status"] = "on-hold"
    match row.on_hold_why:
        case "statusReason":
            held["statusReason"] = {"text": reason}
        case "annotation":
            held["note"] = [*as_list(held.get("note")), {"text": reason}]
        case "text":
            held["note"] = (
                f"{held['note']} {reason}" if isinstance(held.get("note"), str) else reason
            )
        case _:
            assert_never(row.on_hold_why)
    return held


def start_low(
    draft: Json, release: Release, words: Mapping[str, str], dose_mg: float, days: int
) -> dict[str, Any]:
    """The caller's draft as ``dose_mg`` of naltrexone at bedtime for ``days``, one a day (specification 2.7 START_1_5)."""
    row = profile_of(release)
    order = _repaired(draft, row)
    _replace_medication(order, row, words["medication"])
    order["dosageInstruction"] = [_bedtime_dose(row, words["sig"], dose_mg, days)]
    former = as_dict(order.get("dispenseRequest"))
    order["dispenseRequest"] = {  # repeats, first fill and validity were meant for another plan
        **{name: former[name] for name in _STAYS_OF_SUPPLY if name in former},
        "quantity": {"value": days, "unit": "capsule"},
        "expectedSupplyDuration": _days(days),
    }
    return order


def _replace_medication(order: dict[str, Any], row: ReleaseProfile, text: str) -> None:
    former, _ = read_reference(
        order.pop("medicationReference", None) or as_dict(order.get("medication")).get("reference")
    )
    if row.medication != "medication":
        order.pop("medication", None)
    order[row.medication] = row.coded({"coding": [dict(NALTREXONE)], "text": text})
    kept = [
        c for c in as_list(order.get("contained")) if former.lstrip("#") != resource_id(as_dict(c))
    ]
    if "contained" in order:
        order["contained"] = kept
        if not kept:
            del order["contained"]


def _bedtime_dose(row: ReleaseProfile, sig: str, dose_mg: float, days: int) -> dict[str, Any]:
    quantity = {"value": dose_mg, "unit": "mg", "system": UCUM, "code": "mg"}
    repeat = {
        row.bounds: _days(days),
        "frequency": 1,
        "period": 1,
        row.period_unit: "d",
        **({"when": ["HS"]} if row.has_when else {}),
    }
    return {"text": sig, "timing": {"repeat": repeat}, **row.dose(quantity)}


def _days(number: int) -> dict[str, Any]:
    return {"value": number, "unit": "days", "system": UCUM, "code": "d"}


# --- the repairs ------------------------------------------------------------------------------------------------------


def _repaired(resource: Json, row: ReleaseProfile) -> dict[str, Any]:
    order: dict[str, Any] = _pruned(resource)
    for name in row.lists:
        if isinstance(order.get(name), dict):
            order[name] = [order[name]]
    if row.has_intent and not order.get("intent"):
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
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
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
    """True where the resource is legal in its release: by the models of fhir.resources, or by a schema of our own."""
    return not faults(resource, release)


def faults(resource: Json, release: Release) -> list[str]:
    """What breaks the release's rules, as member paths and messages without the values; [] for a valid resource."""
    row = profile_of(release)
    if row.schema:
        return [error.message for error in _schema(row.schema).iter_errors(dict(resource))]
    try:
        _model(str(resource.get("resourceType")), row.models).model_validate(dict(resource))
    except Exception as error:  # noqa: BLE001 - fhir.resources raises KeyError and RecursionError as well
        return _describe(error)
    return []


def warm_up() -> None:
    """Load and build the models ahead of the first suggestion, which would otherwise wait a third of a second."""
    draft = {
        "resourceType": "MedicationRequest",
        "status": "draft",
        "subject": {"reference": "Patient/x"},
    }
    faults(start_low(draft, ASSUMED, {"medication": "x", "sig": "x"}, 1, 1), ASSUMED)


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
def _model(kind: str, package: str) -> Any:
    """The model of a resource type; its package takes 250 ms to import. KeyError for a type that the release lacks."""
    return import_module(package).get_fhir_model_class(kind)


@lru_cache(maxsize=4)
def _schema(file: str) -> Any:
    path = packaged.files("cds_service.hooks").joinpath("schema", file)
    return jsonschema_rs.Draft202012Validator(json.loads(path.read_bytes()), mask="(value)")
