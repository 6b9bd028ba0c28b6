"""What each FHIR release calls things: one frozen row per release, and no reading or writing that guesses beside it.

A new member of ``Release`` is a type error in ``profile_of`` until its row exists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from cds_service.model import Release

ASSUMED = Release.R4  # where nothing gives the release away (conformance R45)


@dataclass(frozen=True, slots=True)
class PlanProfile:
    """How the drafts of a titration plan are written: orders, review tasks, a care plan."""

    states_no_repeats: bool  # numberOfRepeatsAllowed may be 0; where it starts at 1 it is left out
    has_service_request: bool  # a review may be a ServiceRequest where the server takes no Task
    care_plan_created: bool  # CarePlan.created
    activity: str  # member of CarePlan.activity that refers to a draft


@dataclass(frozen=True, slots=True)
class ReleaseProfile:
    """Member names and shapes of one release, as far as this service reads or writes them."""

    release: Release
    versions: tuple[str, ...]  # how CapabilityStatement.fhirVersion begins
    models: str  # package of the models that prove what is written; "" = ``schema`` proves it
    schema: str  # file name of our own schema for an order, "" where there are models
    order: str  # resource type of a prescription
    order_key: str  # prefetch key of the search for it
    patient: str  # member that names the patient of an order
    authored: str
    medication: str  # member that holds the concept of the drug
    reason: str  # member that holds the concepts of the reasons
    coded_references: (
        bool  # CodeableReference: those concepts, and what is requested, stand in ``concept``
    )
    lists: tuple[str, ...]  # members that are lists, where the sandbox sends a single object
    has_intent: bool
    on_hold_why: Literal["statusReason", "annotation", "text"]  # text = ``note`` is one string
    dose_in_list: bool  # doseAndRate
    bounds: str  # member of timing.repeat that holds a number of days
    period_unit: str
    has_when: bool  # timing.repeat.when says bedtime as HS
    encounter_class: Literal["code", "coding", "concepts"]
    ended: Literal["", "dateEnded"]  # member of an order that says when it ended
    taken_in: Literal["status", "adherence"]  # where a statement says whether it is still taken
    plan: PlanProfile | None  # None = a plan is handed over as text and never written

    def coded(self, concept: dict[str, Any]) -> dict[str, Any]:
        """A concept where this release may hold a reference in its place."""
        return {"concept": concept} if self.coded_references else concept

    def dose(self, quantity: dict[str, Any]) -> dict[str, Any]:
        """The members of a dosage that say how much is taken at a time."""
        dose = {"doseQuantity": quantity}
        return {"doseAndRate": [dose]} if self.dose_in_list else dose


_DSTU2 = ReleaseProfile(
    Release.DSTU2,
    versions=("1.0", "0.5"),
    models="",
    schema="medication-order-dstu2.schema.json",
    order="MedicationOrder",
    order_key="medicationOrders",
    patient="patient",
    authored="dateWritten",
    medication="medicationCodeableConcept",
    reason="reasonCodeableConcept",
    coded_references=False,
    lists=(),
    has_intent=False,
    on_hold_why="text",
    dose_in_list=False,
    bounds="boundsQuantity",
    period_unit="periodUnits",
    has_when=False,
    encounter_class="code",
    ended="dateEnded",
    taken_in="status",
    plan=None,
)

_STU3 = ReleaseProfile(
    Release.STU3,
    versions=("3.",),
    models="fhir.resources.STU3",
    schema="",
    order="MedicationRequest",
    order_key="medicationRequests",
    patient="subject",
    authored="authoredOn",
    medication="medicationCodeableConcept",
    reason="reasonCode",
    coded_references=False,
    lists=("reasonCode",),
    has_intent=True,
    on_hold_why="annotation",
    dose_in_list=False,
    bounds="boundsDuration",
    period_unit="periodUnit",
    has_when=True,
    encounter_class="coding",
    ended="",
    taken_in="status",
    plan=PlanProfile(
        states_no_repeats=False,
        has_service_request=False,
        care_plan_created=False,
        activity="reference",
    ),
)

_R4 = ReleaseProfile(
    Release.R4,
    versions=("4.",),
    models="fhir.resources.R4B",
    schema="",
    order="MedicationRequest",
    order_key="medicationRequests",
    patient="subject",
    authored="authoredOn",
    medication="medicationCodeableConcept",
    reason="reasonCode",
    coded_references=False,
    lists=("category", "reasonCode"),
    has_intent=True,
    on_hold_why="statusReason",
    dose_in_list=True,
    bounds="boundsDuration",
    period_unit="periodUnit",
    has_when=True,
    encounter_class="coding",
    ended="",
    taken_in="status",
    plan=PlanProfile(
        states_no_repeats=True,
        has_service_request=True,
        care_plan_created=True,
        activity="reference",
    ),
)

_R5 = ReleaseProfile(
    Release.R5,
    versions=("5.",),
    models="fhir.resources",
    schema="",
    order="MedicationRequest",
    order_key="medicationRequests",
    patient="subject",
    authored="authoredOn",
    medication="medication",
    reason="reason",
    coded_references=True,
    lists=("category", "reasonCode"),
    has_intent=True,
    on_hold_why="statusReason",
    dose_in_list=True,
    bounds="boundsDuration",
    period_unit="periodUnit",
    has_when=True,
    encounter_class="concepts",
    ended="",
    taken_in="adherence",
    plan=PlanProfile(
        states_no_repeats=True,
        has_service_request=True,
        care_plan_created=True,
        activity="plannedActivityReference",
    ),
)


def profile_of(release: Release) -> ReleaseProfile:
    """The row of this release."""
    match release:
        case Release.DSTU2:
            return _DSTU2
        case Release.STU3:
            return _STU3
        case Release.R4:
            return _R4
        case Release.R5:
            return _R5
        case _:
            assert_never(release)


PROFILES = tuple(profile_of(release) for release in Release)
ORDER_SEARCHES = {row.order_key: row.order for row in PROFILES}  # prefetch key -> resource type
WRITABLE = tuple(
    row.release for row in PROFILES if row.plan
)  # what a titration plan can be written in


def release_of_version(version: str) -> Release | None:
    """The release that a ``fhirVersion`` such as 4.0.1 names; None for one that we do not know."""
    return next((row.release for row in PROFILES if version.startswith(row.versions)), None)


def only_release(fits: Callable[[ReleaseProfile], bool]) -> Release | None:
    """The one release whose row fits; None where several do, or none."""
    found = [row.release for row in PROFILES if fits(row)]
    return found[0] if len(found) == 1 else None
