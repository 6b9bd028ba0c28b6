"""Tolerant reading of single FHIR values: a wrong-typed member is an absent member, never an exception."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from cds_service.model import Coding, Concept, Quantity

_NUMBER = re.compile(r"[+-]?(?:\d{1,30}(?:[.,]\d{1,30})?|[.,]\d{1,30})")
_THOUSANDS = re.compile(
    r"[+-]?[1-9]\d{0,2},\d{3}"
)  # "1,500": a thousand and more, or one and a half
_REFERENCE = re.compile(r"(?:.*/)?([A-Za-z]{1,64})/([^/#?\s]{1,256})(?:/_history/[^/]*)?")
_LEGAL_ID = re.compile(
    r"(?!\.+$)[A-Za-z0-9\-._]{1,64}"
)  # FHIR's own, and the underscore that some EHRs use
_NO_CONCEPT = Concept()


def as_dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """A list stays a list, a single object becomes a list of one (the sandbox's ``category`` and ``reasonCode``)."""
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, dict) else []


def as_text(value: object) -> str:
    return value if isinstance(value, str) else ""


def as_decimal(value: object) -> Decimal | None:
    """A finite number, also where the sender wrote it as text ("4.5", "4,5"); "1,500" can mean two and is none."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return Decimal(repr(value)) if math.isfinite(value) and abs(value) < 1e15 else None
    text = value.strip() if isinstance(value, str) else ""
    if _NUMBER.fullmatch(text) and not _THOUSANDS.fullmatch(text):
        try:
            return Decimal(text.replace(",", "."))
        except InvalidOperation:
            return None
    return None


def as_code(value: object) -> str:
    """A code as written, lower case; a Coding or CodeableConcept in its place gives its first code."""
    if isinstance(value, str):
        return value.strip().lower()
    return (
        next((c.code.lower() for c in read_concept(value).codings if c.code), "") if value else ""
    )


def read_coding(value: object) -> Coding | None:
    """A Coding with a code or a display; None for anything else. A numeric code is read as its digits."""
    member = as_dict(value)
    code = member.get("code")
    if isinstance(code, int) and not isinstance(code, bool):
        code = str(code)
    coding = Coding(
        as_text(member.get("system")).strip(), as_text(code).strip(), as_text(member.get("display"))
    )
    return coding if coding.code or coding.display else None


MOST = 60  # members of one list that are looked at: dosages, reasons, notes


def read_concept(value: object) -> Concept:
    """A CodeableConcept; a bare Coding, a list of one and a plain string are understood as well."""
    if not value:
        return _NO_CONCEPT
    if isinstance(value, str):
        return Concept(text=value)
    if isinstance(value, list):
        value = value[0]
    member = as_dict(value)
    codings = tuple(c for c in map(read_coding, as_list(member.get("coding"))) if c)
    if not codings and "code" in member and not isinstance(member.get("code"), dict):
        own = read_coding(member)
        codings = (own,) if own else ()
    return Concept(codings, as_text(member.get("text")))


def read_quantity(value: object) -> Quantity | None:
    """A Quantity with its unit (or, failing that, its code) as written; None where there is none."""
    member = as_dict(value)
    if not member:
        return None
    code = as_text(member.get("code"))
    return Quantity(
        as_decimal(member.get("value")),
        as_text(member.get("unit")) or code,
        code,
        as_text(member.get("system")),
    )


def read_reference(value: object) -> tuple[str, str]:
    """(reference, display) of a Reference; a plain string is taken as the reference itself."""
    if not value:
        return "", ""
    if isinstance(value, str):
        return value.strip(), ""
    member = as_dict(value)
    return as_text(member.get("reference")).strip(), as_text(member.get("display"))


def local_reference(reference: str) -> str:
    """``Type/id`` of any literal reference (absolute, versioned); other forms (urn:uuid, #x) as they are."""
    if reference.startswith(("urn:", "#")):
        return reference
    match = _REFERENCE.fullmatch(reference)
    return f"{match[1]}/{match[2]}" if match else reference


def resource_id(resource: Mapping[str, Any]) -> str:
    """The id as text; a number is tolerated. "" where there is none."""
    value = resource.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return as_text(value).strip()


def target_ref(resource: Mapping[str, Any]) -> str:
    """``Type/id`` where the id is one that may stand in a reference or an action; else ""."""
    return resource_ref(resource) if _LEGAL_ID.fullmatch(resource_id(resource)) else ""


def resource_ref(resource: Mapping[str, Any]) -> str:
    """``Type/id``, or "" without an id."""
    own = resource_id(resource)
    return f"{as_text(resource.get('resourceType'))}/{own}" if own else ""


def first_present(resource: Mapping[str, Any], *names: str) -> Any:
    """The first of these members that is there and is neither null nor empty."""
    for name in names:
        value = resource.get(name)
        if value or (value is not None and value not in ("", [], {})):
            return value
    return None


def texts(values: object) -> Iterator[str]:
    """The non-empty strings of a list, or the one string given."""
    if isinstance(values, str):
        values = [values]
    for value in values if isinstance(values, list) else ():
        if isinstance(value, str) and value:
            yield value
