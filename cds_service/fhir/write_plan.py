"""Draft resources of a titration plan in the server's FHIR release: orders, review tasks, a care plan (3.4).

Everything here is a proposal: orders, reviews and care plan have status ``draft``, and no call changes that.
Built resources are validated with the strict models of fhir.resources before they leave this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from cds_service.fhir.releases import PlanProfile, ReleaseProfile, profile_of
from cds_service.fhir.write import NALTREXONE, UCUM, is_valid
from cds_service.model import Release

ORAL = {"system": "http://snomed.info/sct", "code": "26643006", "display": "Oral route"}
IDENTIFIER_SYSTEM = "urn:ietf:rfc:3986"

Resource = dict[str, Any]


class DraftRefusedError(ValueError):
    """A resource that must not leave: not valid in its release, or not a low-dose draft."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One dose over a run of days, both ends included; ``text`` is the whole instruction in words."""

    starts: date
    ends: date
    each_mg: Decimal
    times_per_day: int
    text: str

    @property
    def at_bedtime(self) -> bool:
        return self.times_per_day == 1


@dataclass(frozen=True, slots=True)
class CompoundedProduct:
    """What one order dispenses. ``unit`` is "capsule" or "mL"; ``strength_mg`` is per capsule or per mL."""

    label: str
    strength_mg: Decimal
    unit: str
    quantity: Decimal
    phases: tuple[Phase, ...]


@dataclass(frozen=True, slots=True)
class ReviewVisit:
    """A review of benefit and harm, to happen between ``on`` and ``until``, both ends included."""

    week: int
    on: date
    until: date
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class PlanDraft:
    """A plan in words and days, ready to be written for one patient. ``key`` is a UUID of this plan."""

    key: str
    patient_id: str
    authored: datetime
    title: str
    note: str
    fill_days: int
    highest_strength_mg: Decimal
    products: tuple[CompoundedProduct, ...]
    visits: tuple[ReviewVisit, ...]
    reasons: tuple[Mapping[str, Any], ...] = ()

    @property
    def starts(self) -> date:
        return min(phase.starts for product in self.products for phase in product.phases)

    @property
    def ends(self) -> date:
        return max(phase.ends for product in self.products for phase in product.phases)


@dataclass(frozen=True, slots=True)
class Built:
    """One resource with the name it has within the plan ("order-1", "review-2", "care-plan")."""

    name: str
    resource: Resource

    @property
    def kind(self) -> str:
        return str(self.resource["resourceType"])


def orders(plan: PlanDraft, release: Release) -> tuple[Built, ...]:
    """One draft MedicationRequest for each product. Raises DraftRefusedError."""
    row, shape = _shapes(release)
    return _checked(
        release,
        (
            (f"order-{n}", _order(plan, product, row, shape, n))
            for n, product in enumerate(plan.products, 1)
        ),
    )


def reviews(
    plan: PlanDraft,
    release: Release,
    order_refs: Iterable[str] = (),
    *,
    as_request: bool = False,
) -> tuple[Built, ...]:
    """One draft Task for each visit, or a ServiceRequest (R4, R5) where the server takes no tasks."""
    row, shape = _shapes(release)
    focus = next(iter(order_refs), None)
    if as_request and shape.has_service_request:
        return _checked(
            release,
            ((f"review-{visit.week}", _request(plan, visit, row, focus)) for visit in plan.visits),
        )
    return _checked(
        release, ((f"review-{visit.week}", _task(plan, visit, focus)) for visit in plan.visits)
    )


def care_plan(plan: PlanDraft, release: Release, refs: Iterable[str] = ()) -> Built:
    """The draft CarePlan that holds the orders and reviews named by ``refs`` ("MedicationRequest/1")."""
    _, shape = _shapes(release)
    activity = [{shape.activity: {"reference": ref}} for ref in refs]
    resource: Resource = {
        "resourceType": "CarePlan",
        "identifier": [_identifier(plan, "care-plan")],
        "status": "draft",
        "intent": "plan",
        "title": plan.title,
        "description": plan.note,
        "subject": _patient(plan),
        "period": {"start": plan.starts.isoformat(), "end": plan.ends.isoformat()},
        "note": [{"text": plan.note}],
    }
    if shape.care_plan_created:
        resource["created"] = plan.authored.isoformat(timespec="seconds")
    if activity:
        resource["activity"] = activity
    return _checked(release, (("care-plan", resource),))[0]


def collection(plan: PlanDraft, release: Release, urn: Callable[[str], str]) -> Resource:
    """All drafts as one Bundle to hand over by file; ``urn`` gives each name its full URL."""
    written = orders(plan, release)
    order_urls = [urn(built.name) for built in written]
    written += reviews(plan, release, order_urls)
    written += (care_plan(plan, release, [urn(built.name) for built in written]),)
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": urn(built.name), "resource": built.resource} for built in written],
    }
    return _checked(release, (("bundle", bundle),))[0].resource


def identifier_of(resource: Mapping[str, Any]) -> str:
    """``system|value`` of our identifier: the token that finds a resource written before."""
    identifier = resource["identifier"]
    first = identifier[0] if isinstance(identifier, list) else identifier
    return f"{first['system']}|{first['value']}"


def _shapes(release: Release) -> tuple[ReleaseProfile, PlanProfile]:
    row = profile_of(release)
    if row.plan is None:
        raise DraftRefusedError(f"drafts are not written for FHIR {release}")
    return row, row.plan


def _order(
    plan: PlanDraft,
    product: CompoundedProduct,
    row: ReleaseProfile,
    shape: PlanProfile,
    number: int,
) -> Resource:
    if not 0 < product.strength_mg <= plan.highest_strength_mg:
        raise DraftRefusedError("a titration order is never written above the highest strength")
    concept = {"coding": [NALTREXONE], "text": product.label}
    resource: Resource = {
        "resourceType": "MedicationRequest",
        "identifier": [_identifier(plan, f"order-{number}")],
        "status": "draft",
        "intent": "order",
        row.medication: row.coded(concept),
        "subject": _patient(plan),
        "authoredOn": plan.authored.isoformat(timespec="seconds"),
        "note": [{"text": plan.note}],
        "dosageInstruction": [_dosage(phase, n, row) for n, phase in enumerate(product.phases, 1)],
        "dispenseRequest": _dispense_request(plan, product, shape),
    }
    if plan.reasons:
        resource[row.reason] = [row.coded(dict(reason)) for reason in plan.reasons]
    return resource


def _dispense_request(plan: PlanDraft, product: CompoundedProduct, shape: PlanProfile) -> Resource:
    """One fill, no repeats; STU3 says "none" by leaving the number out (there it starts at 1)."""
    unit = (
        {"unit": "mL", "system": UCUM, "code": "mL"}
        if product.unit == "mL"
        else {"unit": "capsule"}
    )
    return {
        **({"numberOfRepeatsAllowed": 0} if shape.states_no_repeats else {}),
        "quantity": {"value": _number(product.quantity), **unit},
        "expectedSupplyDuration": {
            "value": plan.fill_days,
            "unit": "days",
            "system": UCUM,
            "code": "d",
        },
    }


def _dosage(phase: Phase, sequence: int, row: ReleaseProfile) -> Resource:
    repeat: Resource = {
        "boundsPeriod": {"start": phase.starts.isoformat(), "end": phase.ends.isoformat()},
        "frequency": phase.times_per_day,
        "period": 1,
        row.period_unit: "d",
    }
    if phase.at_bedtime and row.has_when:
        repeat["when"] = ["HS"]
    dose = {"value": _number(phase.each_mg), "unit": "mg", "system": UCUM, "code": "mg"}
    return {
        "sequence": sequence,
        "text": phase.text,
        "timing": {"repeat": repeat},
        "route": {"coding": [ORAL]},
        **row.dose(dose),
    }


def _task(plan: PlanDraft, visit: ReviewVisit, focus: str | None) -> Resource:
    resource: Resource = {
        "resourceType": "Task",
        "identifier": [_identifier(plan, f"review-{visit.week}")],
        "status": "draft",
        "intent": "plan",
        "code": {"text": visit.title},
        "description": visit.text,
        "for": _patient(plan),
        "authoredOn": plan.authored.isoformat(timespec="seconds"),
        "restriction": {"period": {"start": visit.on.isoformat(), "end": visit.until.isoformat()}},
    }
    if focus:
        resource["focus"] = {"reference": focus}
    return resource


def _request(
    plan: PlanDraft, visit: ReviewVisit, row: ReleaseProfile, focus: str | None
) -> Resource:
    words = {"text": visit.title}
    return {
        "resourceType": "ServiceRequest",
        "identifier": [_identifier(plan, f"review-{visit.week}")],
        "status": "draft",
        "intent": "plan",
        "code": row.coded(words),
        "subject": _patient(plan),
        "authoredOn": plan.authored.isoformat(timespec="seconds"),
        "occurrencePeriod": {"start": visit.on.isoformat(), "end": visit.until.isoformat()},
        "note": [{"text": visit.text}],
        **({"basedOn": [{"reference": focus}]} if focus else {}),
    }


def _identifier(plan: PlanDraft, name: str) -> Resource:
    return {"system": IDENTIFIER_SYSTEM, "value": f"urn:uuid:{plan.key}#{name}"}


def _patient(plan: PlanDraft) -> Resource:
    return {"reference": f"Patient/{plan.patient_id}"}


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _checked(release: Release, built: Iterable[tuple[str, Resource]]) -> tuple[Built, ...]:
    found = tuple(Built(name, resource) for name, resource in built)
    for one in found:
        validate(one.resource, release)
    return found


def validate(resource: Resource, release: Release) -> None:
    """Raise DraftRefusedError unless the strict model of this release takes the resource."""
    _shapes(release)
    if not is_valid(resource, release):
        raise DraftRefusedError(f"{resource['resourceType']} is not valid FHIR {release}")
