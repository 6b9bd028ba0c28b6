"""Draft resources of a plan (specification 3.4): drafts only, low dose only, valid in the release."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from cds_service.fhir.releases import WRITABLE
from cds_service.fhir.write_plan import (
    CompoundedProduct,
    DraftRefusedError,
    Phase,
    PlanDraft,
    ReviewVisit,
    care_plan,
    collection,
    identifier_of,
    orders,
    reviews,
    validate,
)
from cds_service.model import Release

PHASES = (
    Phase(date(2026, 11, 23), date(2026, 12, 6), Decimal("1.5"), 1, "1.5 mg at bedtime"),
    Phase(date(2026, 12, 7), date(2026, 12, 20), Decimal(3), 1, "3 mg at bedtime"),
    Phase(date(2026, 12, 21), date(2027, 2, 14), Decimal("4.5"), 1, "4.5 mg at bedtime"),
)
PLAN = PlanDraft(
    "0f4dd0e2-4b8f-4d1e-9a3b-0a0b0c0d0e0f",
    "ldn-1",
    datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
    "Low-dose naltrexone titration, schedule A",
    "off-label LDN, schedule A",
    28,
    Decimal(5),
    (
        CompoundedProduct(
            "naltrexone 1.5 mg oral capsule (compounded)",
            Decimal("1.5"),
            "capsule",
            Decimal(42),
            PHASES,
        ),
    ),
    tuple(
        ReviewVisit(
            w, date(2026, 12, 7), date(2026, 12, 13), f"Review, week {w}", "Benefit and harm"
        )
        for w in (2, 4, 8)
    ),
    ({"text": "Fibromyalgia"},),
)


def everything(release: Release) -> list[dict[str, Any]]:
    built = [
        *orders(PLAN, release),
        *reviews(PLAN, release, ["MedicationRequest/1"]),
        *reviews(PLAN, release, as_request=True),
        care_plan(PLAN, release, ["MedicationRequest/1"]),
    ]
    return [b.resource for b in built]


@pytest.mark.parametrize("release", WRITABLE)
def test_every_resource_is_a_draft_for_this_patient(release: Release) -> None:
    """Status draft, intent order or plan, and the subject is the patient of the plan."""
    assert {("draft", "Patient/ldn-1")} == {
        (r["status"], (r.get("subject") or r["for"])["reference"]) for r in everything(release)
    }
    assert {"order", "plan"} == {r["intent"] for r in everything(release)}


def test_an_r4_order_carries_the_phases_in_sequence_with_bounds() -> None:
    """dosageInstruction 1..n, each with its own days, at bedtime, in mg."""
    (order,) = orders(PLAN, Release.R4)
    written = order.resource["dosageInstruction"]
    expected = [
        (1, {"start": "2026-11-23", "end": "2026-12-06"}, 1.5),
        (2, {"start": "2026-12-07", "end": "2026-12-20"}, 3),
        (3, {"start": "2026-12-21", "end": "2027-02-14"}, 4.5),
    ]
    repeats = [d["timing"]["repeat"] for d in written]
    assert expected == [
        (d["sequence"], r["boundsPeriod"], d["doseAndRate"][0]["doseQuantity"]["value"])
        for d, r in zip(written, repeats, strict=True)
    ]
    assert {("HS",)} == {tuple(d["timing"]["repeat"]["when"]) for d in written}


def test_an_order_has_its_quantity_and_no_repeats() -> None:
    """During titration each fill is a new order."""
    (order,) = orders(PLAN, Release.R4)
    dispense = order.resource["dispenseRequest"]
    found = (
        dispense["numberOfRepeatsAllowed"],
        dispense["quantity"]["value"],
        dispense["expectedSupplyDuration"]["value"],
    )
    assert found == (0, 42, 28)


@pytest.mark.parametrize(
    ("release", "member"),
    [
        (Release.STU3, "medicationCodeableConcept"),
        (Release.R4, "medicationCodeableConcept"),
        (Release.R5, "medication"),
    ],
)
def test_the_medicine_is_named_the_way_of_the_release(release: Release, member: str) -> None:
    """The ingredient code and the words of the compounded capsule, never a 50 mg tablet."""
    (order,) = orders(PLAN, release)
    concept = order.resource[member]
    concept = concept.get("concept", concept)
    expected = ("7243", "naltrexone 1.5 mg oral capsule (compounded)")
    assert expected == (concept["coding"][0]["code"], concept["text"])


def test_two_doses_a_day_are_not_written_as_bedtime_doses() -> None:
    """Schedule B is taken twice daily."""
    product = replace(PLAN.products[0], phases=(replace(PHASES[0], times_per_day=2),))
    twice = replace(PLAN, products=(product,))
    repeat = orders(twice, Release.R4)[0].resource["dosageInstruction"][0]["timing"]["repeat"]
    assert (repeat["frequency"], repeat.get("when")) == (2, None)


@pytest.mark.parametrize("strength", [Decimal("5.1"), Decimal(50), Decimal(0)])
def test_a_tablet_of_50_mg_cannot_be_written(strength: Decimal) -> None:
    """Only compounded strengths up to 5 mg leave this module."""
    with pytest.raises(DraftRefusedError):
        orders(
            replace(PLAN, products=(replace(PLAN.products[0], strength_mg=strength),)), Release.R4
        )


def test_dstu2_drafts_are_refused() -> None:
    """There is no strict model to check them with, so none are written."""
    with pytest.raises(DraftRefusedError):
        orders(PLAN, Release.DSTU2)


@pytest.mark.parametrize("release", WRITABLE)
def test_a_broken_resource_does_not_pass_the_strict_model(release: Release) -> None:
    """The validation can fail: a misspelt member is refused in every release."""
    (order,) = orders(PLAN, release)
    with pytest.raises(DraftRefusedError):
        validate({**order.resource, "dosageInstructions": []}, release)


def test_every_resource_has_an_identifier_of_its_own() -> None:
    """A repeat of the same write can be recognised by the server."""
    names = [identifier_of(r) for r in everything(Release.R4)]
    assert len(set(names)) == len(names) - len(
        PLAN.visits
    )  # a review is a Task or a ServiceRequest


def test_the_care_plan_names_what_was_written() -> None:
    """Its activities are the references given, in order."""
    built = care_plan(PLAN, Release.R4, ["MedicationRequest/7", "Task/8"])
    expected = ["MedicationRequest/7", "Task/8"]
    assert expected == [a["reference"]["reference"] for a in built.resource["activity"]]


def test_the_collection_is_complete_and_refers_to_itself() -> None:
    """Orders, reviews and the care plan, whose activities are the full URLs of the entries before it."""
    bundle = collection(
        PLAN, Release.R4, lambda name: f"urn:uuid:{uuid.uuid5(uuid.UUID(PLAN.key), name)}"
    )
    kinds = [e["resource"]["resourceType"] for e in bundle["entry"]]
    assert kinds == ["MedicationRequest", "Task", "Task", "Task", "CarePlan"]
    assert [e["fullUrl"] for e in bundle["entry"][:-1]] == [
        a["reference"]["reference"] for a in bundle["entry"][-1]["resource"]["activity"]
    ]
