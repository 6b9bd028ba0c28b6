"""The table of specification 2.13: what each status, intent and adherence says about a listed medicine."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.fhir.status import order_kind, standing_of, status_word
from cds_service.model import Standing

A, H, E, X, G = Standing.ACTIVE, Standing.HELD, Standing.ENDED, Standing.EXCLUDED, Standing.GIVEN
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-medication-adherence"
SNOMED = "http://snomed.info/sct"


def standing(kind: str, **members: Any) -> Standing:
    resource = {"resourceType": kind, **members}
    return standing_of(resource, order_kind(resource))


def adherence(code: str, url: str = US_CORE) -> list[dict[str, Any]]:
    return [
        {
            "url": url,
            "extension": [
                {
                    "url": "medicationAdherence",
                    "valueCodeableConcept": {"coding": [{"system": SNOMED, "code": code}]},
                },
                {"url": "dateAsserted", "valueDateTime": "2026-11-20"},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("kind", "word", "expected"),
    [
        *(
            ("MedicationRequest", w, s)
            for w, s in {
                "active": A,
                "on-hold": H,
                "unknown": H,
                "completed": E,
                "stopped": E,
                "ended": E,
                "draft": X,
                "cancelled": X,
                "entered-in-error": X,
                "": H,
                "brand-new-word": H,
            }.items()
        ),
        *(
            ("MedicationOrder", w, s)
            for w, s in {
                "active": A,
                "on-hold": H,
                "completed": E,
                "stopped": E,
                "draft": X,
                "entered-in-error": X,
            }.items()
        ),
        *(
            ("MedicationStatement", w, s)
            for w, s in {
                "active": A,
                "recorded": A,
                "on-hold": H,
                "unknown": H,
                "completed": E,
                "stopped": E,
                "intended": X,
                "not-taken": X,
                "draft": X,
                "entered-in-error": X,
            }.items()
        ),
        *(
            ("MedicationDispense", w, s)
            for w, s in {
                "in-progress": G,
                "completed": G,
                "unknown": H,
                "preparation": X,
                "on-hold": X,
                "cancelled": X,
                "declined": X,
                "stopped": X,
                "entered-in-error": X,
            }.items()
        ),
        *(
            ("MedicationAdministration", w, s)
            for w, s in {
                "in-progress": G,
                "on-hold": G,
                "stopped": G,
                "completed": G,
                "unknown": G,
                "not-done": X,
                "entered-in-error": X,
            }.items()
        ),
    ],
)
def test_a_status_says_what_the_table_says(kind: str, word: str, expected: Standing) -> None:
    assert expected is standing(kind, **({"status": word} if word else {}))
    assert expected is standing(kind, **({"status": word.upper()} if word else {}))


@pytest.mark.parametrize(
    ("intent", "expected"),
    [
        ("order", A),
        ("original-order", A),
        ("reflex-order", A),
        ("filler-order", A),
        ("instance-order", A),
        (None, A),
        ("proposal", X),
        ("option", X),
        ("plan", H),
    ],
)
def test_an_intent_counts_unless_nobody_ordered_it(intent: str | None, expected: Standing) -> None:
    assert expected is standing(
        "MedicationRequest", status="active", **({"intent": intent} if intent else {})
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"reportedBoolean": True}, A),
        ({"reportedReference": {"reference": "Patient/1"}}, A),
        ({"reported": True}, A),
        ({"reportedBoolean": False}, H),
        ({"reported": False}, H),
        ({}, H),
    ],
)
def test_a_plan_counts_where_it_is_reported(said: dict[str, Any], expected: Standing) -> None:
    """US Core writes patient-reported medicines so."""
    assert expected is standing("MedicationRequest", status="active", intent="plan", **said)
    assert E is standing("MedicationRequest", status="stopped", intent="plan", **said)
    assert X is standing("MedicationRequest", status="draft", intent="plan", **said)


@pytest.mark.parametrize(
    ("extension", "expected"),
    [
        (adherence("715036001"), X),
        (adherence("702565001"), A),
        (adherence("1156699004"), A),
        (adherence("715036001", "http://example.org/other"), A),
        (adherence("715036001")[0], X),
        ("x", A),
        ([None], A),
    ],
)
def test_what_the_patient_does_not_take_is_excluded(extension: object, expected: Standing) -> None:
    """Taken otherwise than prescribed is taken."""
    assert expected is standing(
        "MedicationRequest", status="active", intent="order", extension=extension
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"taken": "n"}, X),
        ({"taken": "y"}, A),
        ({"taken": "unk"}, H),
        ({"wasNotTaken": True}, X),
        ({"wasNotTaken": False}, A),
        *(
            ({"adherence": {"code": {"coding": [{"code": code}]}}}, s)
            for code, s in {
                "taking": A,
                "taking-as-directed": A,
                "taking-not-as-directed": A,
                "not-taking": X,
                "never": X,
                "on-hold": H,
                "on-hold-as-directed": H,
                "stopped": E,
                "stopped-as-directed": E,
                "completed": E,
                "unknown": H,
                "new-word": H,
                "715036001": X,
            }.items()
        ),
        ({"adherence": {"code": {"text": "now and then"}}}, A),
    ],
)
def test_a_statement_is_refined_by_what_is_taken(said: dict[str, Any], expected: Standing) -> None:
    assert expected is standing("MedicationStatement", status="recorded", **said)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("MedicationRequest", {"doNotPerform": True}),
        ("MedicationAdministration", {"wasNotGiven": True}),
        ("MedicationAdministration", {"notGiven": True}),
    ],
)
def test_what_was_forbidden_or_not_given_is_excluded(kind: str, said: dict[str, Any]) -> None:
    assert X is standing(
        kind, status="active" if kind == "MedicationRequest" else "completed", **said
    )


@pytest.mark.parametrize(
    ("resource", "word"),
    [
        (
            {"status": "recorded", "adherence": {"code": {"coding": [{"code": "stopped"}]}}},
            "stopped",
        ),
        ({"status": "recorded"}, "recorded"),
        (
            {"status": "completed", "adherence": {"code": {"coding": [{"code": "taking"}]}}},
            "completed",
        ),
    ],
)
def test_an_r5_statement_is_called_by_its_adherence(resource: dict[str, Any], word: str) -> None:
    assert word == status_word(resource, "statement")
