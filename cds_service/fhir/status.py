"""One table of status words: what each release's status says about a listed medicine (specification 2.13)."""

from __future__ import annotations

from typing import Any

from cds_service.fhir.releases import only_release
from cds_service.fhir.values import as_code, as_dict, as_list, read_concept
from cds_service.model import Json, Release, Standing

ORDER_KINDS = {
    "MedicationRequest": "request",
    "MedicationOrder": "request",
    "MedicationStatement": "statement",
    "MedicationUsage": "statement",
    "MedicationDispense": "dispense",
    "MedicationAdministration": "administration",
}

_EXCLUDED, _ACTIVE, _HELD, _ENDED, _GIVEN = (
    Standing.EXCLUDED,
    Standing.ACTIVE,
    Standing.HELD,
    Standing.ENDED,
    Standing.GIVEN,
)

_WORDS: dict[str, dict[str, Standing]] = {
    "request": {
        "active": _ACTIVE,
        "on-hold": _HELD,
        "unknown": _HELD,
        "completed": _ENDED,
        "stopped": _ENDED,
        "ended": _ENDED,
        "draft": _EXCLUDED,
        "cancelled": _EXCLUDED,
        "entered-in-error": _EXCLUDED,
    },
    "statement": {
        "active": _ACTIVE,
        "recorded": _ACTIVE,
        "on-hold": _HELD,
        "unknown": _HELD,
        "completed": _ENDED,
        "stopped": _ENDED,
        "intended": _EXCLUDED,
        "not-taken": _EXCLUDED,
        "draft": _EXCLUDED,
        "entered-in-error": _EXCLUDED,
    },
    "dispense": {
        "in-progress": _GIVEN,
        "completed": _GIVEN,
        "unknown": _HELD,
        "preparation": _EXCLUDED,
        "on-hold": _EXCLUDED,
        "cancelled": _EXCLUDED,
        "declined": _EXCLUDED,
        "stopped": _EXCLUDED,
        "entered-in-error": _EXCLUDED,
    },
    "administration": {
        "in-progress": _GIVEN,
        "on-hold": _GIVEN,
        "stopped": _GIVEN,
        "completed": _GIVEN,
        "unknown": _GIVEN,
        "not-done": _EXCLUDED,
        "entered-in-error": _EXCLUDED,
        "aborted": _GIVEN,
        "suspended": _GIVEN,
        "preparation": _EXCLUDED,  # of a Procedure that gave the drug
    },
}
# R5 ``adherence``; longer codes ("stopped-as-directed") begin with these.
_ADHERENCE = {
    "taking": _ACTIVE,
    "on-hold": _HELD,
    "unknown": _HELD,
    "stopped": _ENDED,
    "completed": _ENDED,
    "not-taking": _EXCLUDED,
    "never": _EXCLUDED,
}
_CLASS_SHAPES: dict[type, str] = {
    str: "code",
    dict: "coding",
    list: "concepts",
}  # of Encounter.class
_NOT_ORDERED = frozenset({"proposal", "option"})
_US_CORE_ADHERENCE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-medication-adherence"
_DOES_NOT_TAKE = frozenset(
    {"715036001", "not-taking"}
)  # SNOMED CT "does not take medication", and R5's word


def order_kind(resource: Json) -> str:
    """request | statement | dispense | administration, or "" for every other resource (odd types included)."""
    kind = resource.get("resourceType")
    return ORDER_KINDS.get(kind, "") if isinstance(kind, str) else ""


def standing_of(resource: Json, kind: str) -> Standing:
    """What a listed medicine's status says. A missing or unknown word is HELD: confirm, never "no"."""
    if _says_never(resource):
        return Standing.EXCLUDED
    standing = _WORDS[kind].get(as_code(resource.get("status")), Standing.HELD)
    if kind == "request":
        return _as_ordered(resource, standing)
    if kind == "statement" and standing is Standing.ACTIVE:
        return _as_taken(resource)
    return standing


def _says_never(resource: Json) -> bool:
    return (
        resource.get("doNotPerform") is True
        or resource.get("wasNotTaken") is True
        or resource.get("wasNotGiven") is True
        or resource.get("notGiven") is True
        or ("taken" in resource and as_code(resource["taken"]) == "n")
        or any(_says_not_taken(extension) for extension in as_list(resource.get("extension")))
    )


def _says_not_taken(extension: object) -> bool:
    """US Core medication adherence: an extension of extensions, one of which is the code."""
    member = as_dict(extension)
    if member.get("url") != _US_CORE_ADHERENCE:
        return False
    codes = (
        coding.code
        for part in as_list(member.get("extension"))
        for coding in read_concept(as_dict(part).get("valueCodeableConcept")).codings
    )
    return any(code in _DOES_NOT_TAKE for code in codes)


def _as_ordered(resource: Json, standing: Standing) -> Standing:
    """A plan is an order only where somebody reports that it is taken, as US Core writes patients' own medicines."""
    intent = as_code(resource.get("intent"))
    if intent in _NOT_ORDERED:
        return Standing.EXCLUDED
    if intent == "plan" and standing is Standing.ACTIVE and not is_reported(resource):
        return Standing.HELD
    return standing


def is_reported(resource: Json) -> bool:
    """``reportedBoolean``, ``reportedReference`` (R4), ``reported`` (R5)."""
    return (
        resource.get("reportedBoolean") is True
        or resource.get("reported") is True
        or bool(as_dict(resource.get("reportedReference")))
    )


def status_word(resource: Json, kind: str) -> str:
    """The status as written; for an R5 statement, which is only ever recorded, what its adherence says."""
    status = as_code(resource.get("status"))
    said = as_code(as_dict(resource.get("adherence")).get("code"))
    return said if kind == "statement" and status == "recorded" and said else status


def _as_taken(resource: Json) -> Standing:
    """STU3 ``taken`` and R5 ``adherence`` refine an active statement."""
    if as_code(resource.get("taken")) == "unk":
        return Standing.HELD
    code = as_code(as_dict(resource.get("adherence")).get("code"))
    if not code:
        return Standing.ACTIVE
    if code in _DOES_NOT_TAKE:
        return Standing.EXCLUDED
    return next(
        (standing for word, standing in _ADHERENCE.items() if code.startswith(word)), Standing.HELD
    )


def release_of(resource: Json) -> Release | None:
    """The release that this resource's shape gives away; None where it fits several."""
    kind = resource.get("resourceType")
    if kind == "MedicationOrder" or "wasNotTaken" in resource or "wasNotGiven" in resource:
        return Release.DSTU2
    if order_kind(resource):
        return _release_of_order(resource)
    if kind == "Condition":
        if "patient" in resource:
            return Release.DSTU2
        status = resource.get("clinicalStatus")
        return (
            Release.STU3
            if isinstance(status, str)
            else Release.R4
            if isinstance(status, dict)
            else None
        )
    if kind == "Encounter" and "class" in resource:
        shape = _CLASS_SHAPES.get(type(resource["class"]))
        return only_release(lambda row: row.encounter_class == shape)
    return None


def _release_of_order(resource: Json) -> Release | None:
    if resource.get("resourceType") == "MedicationUsage" or isinstance(
        resource.get("medication"), dict
    ):
        return Release.R5
    if (
        "taken" in resource
        or "notGiven" in resource
        or isinstance(as_dict(resource.get("requester")).get("agent"), dict)
    ):
        return Release.STU3
    dosages = [
        as_dict(d)
        for d in (*as_list(resource.get("dosageInstruction")), *as_list(resource.get("dosage")))
    ]
    if any("doseAndRate" in d for d in dosages):
        return Release.R4
    if any("doseQuantity" in d or "doseRange" in d for d in dosages):
        units = any(
            "periodUnits" in as_dict(as_dict(d.get("timing")).get("repeat")) for d in dosages
        )
        return Release.DSTU2 if units else Release.STU3
    return None


def category_codes(resource: Json) -> frozenset[str]:
    """Lower-case codes of ``category``, as a list or as the single object that the sandbox sends."""
    return frozenset(
        c.code.lower()
        for item in as_list(resource.get("category"))
        for c in read_concept(item).codings
        if c.code
    )


def encounter_classes(encounter: Json) -> frozenset[str]:
    """Upper-case class codes of an Encounter: a Coding, a code (DSTU2) or a list of concepts (R5)."""
    value: Any = encounter.get("class")
    if isinstance(value, str):
        return frozenset({value.strip().upper()})
    return frozenset(
        c.code.upper() for item in as_list(value) for c in read_concept(item).codings if c.code
    )
