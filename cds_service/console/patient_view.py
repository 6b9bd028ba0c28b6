"""What a prescriber has before the eyes: who the patient is, what is drafted and what is on the list, as it was sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cds_service.console.order_form import drafts, label_of, subject
from cds_service.fhir.course import read_given
from cds_service.fhir.status import order_kind
from cds_service.fhir.values import as_code, as_dict, as_list, as_text, first_present
from cds_service.model import Json

_MOST = 60


@dataclass(frozen=True, slots=True)
class Line:
    """One medicine or problem of the record: its name, its status and the date that stands beside it."""

    name: str
    status: str
    when: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The record of one call. ``patient`` is a name, "" where none was sent; ``also`` are the other drafts."""

    patient: str
    born: str
    medicines: tuple[Line, ...]
    problems: tuple[Line, ...]
    also: tuple[str, ...] = ()


def chart_of(body: object) -> Chart:
    """The record that came with a call; whatever cannot be shown is left out."""
    prefetch = as_dict(as_dict(body).get("prefetch"))
    resources = [r for answer in prefetch.values() for r in _resources(answer)][:_MOST]
    patient: Json = next((r for r in resources if r.get("resourceType") == "Patient"), {})
    name = as_dict(next(iter(as_list(patient.get("name"))), {}))
    return Chart(
        " ".join([*_texts(name.get("given")), *_texts(name.get("family"))]),
        as_text(patient.get("birthDate")),
        tuple(_medicine(r) for r in resources if order_kind(r)),
        tuple(_problem(r) for r in resources if r.get("resourceType") == "Condition"),
        tuple(
            label_of(d) or "an order without a name" for d in drafts(body) if d is not subject(body)
        ),
    )


def _resources(answer: Any) -> Iterator[Json]:
    found = as_dict(answer)
    if found.get("resourceType") == "Bundle":
        yield from (as_dict(as_dict(e).get("resource")) for e in as_list(found.get("entry")))
    elif found:
        yield found


def _medicine(resource: Json) -> Line:
    when = first_present(
        resource, "authoredOn", "dateWritten", "whenHandedOver", "dateAsserted"
    ) or read_given(resource)
    return Line(
        label_of(resource) or "a medicine without a name",
        as_code(resource.get("status")),
        as_text(when)[:10],
    )


def _problem(resource: Json) -> Line:
    concept = as_dict(resource.get("code"))
    coding = as_dict(next(iter(as_list(concept.get("coding"))), {}))
    name = as_text(concept.get("text")) or as_text(coding.get("display"))
    return Line(name or as_text(coding.get("code")), as_code(resource.get("clinicalStatus")), "")


def _texts(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [as_text(v) for v in as_list(value)]
