"""Our JSON Schemas against files with a recorded verdict (conformance 3.2)."""

from __future__ import annotations

from typing import Any

import jsonschema
import jsonschema_rs
import pytest

from tests.conformance.calls import (
    INSTANCE,
    RELEASES,
    SCHEMAS,
    VALID,
    complaints,
    example,
    ldn,
    schema,
)

GOOD_CARD: dict[str, Any] = {
    "uuid": INSTANCE,
    "summary": "One sentence.",
    "indicator": "info",
    "source": {"label": "Naltrexone safety", "topic": {"code": "c", "system": "urn:x"}},
}
SUGGESTION = {
    "label": "Cancel",
    "uuid": INSTANCE,
    "actions": [
        {"type": "delete", "description": "Cancel it", "resourceId": "MedicationRequest/1"}
    ],
}
GOOD_ITEM: dict[str, Any] = {
    "card": INSTANCE,
    "outcome": "overridden",
    "outcomeTimestamp": "2026-11-21T12:00:00Z",
}

# Verdicts of the HL7 validator in FHIR/fhir-test-cases@2dee8a0f (R4.cdshooks-*.json), but for source-link,
# which the CDS Hooks text forbids; 1.0 response-02 and the last three were judged by that text alone.
VERDICTS = {
    "1.0__spec__response-01": True,
    "2.0__spec__response-01": True,
    "1.0__spec__response-02": True,
    "fhir-validator-tests__cdshooks-response-two-cards": True,
    "fhir-validator-tests__cdshooks-response-link": True,
    "fhir-validator-tests__cdshooks-response-empty-bad": False,
    "fhir-validator-tests__cdshooks-response-empty-source": False,
    "fhir-validator-tests__cdshooks-response-suggestion": False,
    "fhir-validator-tests__cdshooks-response-source-link": False,
    "2.0.1__spec__response-01": False,
    "docs-site__quickstart__response-01": False,
    "1.1__spec__response-01": True,
}


def with_card(**members: Any) -> dict[str, Any]:
    return {"cards": [{**GOOD_CARD, **members}]}


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda p: p.name)
def test_every_schema_is_a_schema_to_both_libraries(path: Any) -> None:
    name = path.name.removesuffix(".schema.json")
    jsonschema.Draft202012Validator.check_schema(schema(name))
    jsonschema_rs.meta.validate(schema(name))
    assert name in VALID


@pytest.mark.parametrize(("name", "verdict"), VERDICTS.items())
def test_the_schema_of_any_answer_gives_the_recorded_verdict(name: str, verdict: bool) -> None:
    assert verdict == VALID["cards"].is_valid(example(name))


def test_a_link_without_a_type_is_refused_though_the_hl7_validator_passes_it() -> None:
    card = {
        **example("fhir-validator-tests__cdshooks-response-source-link")["cards"][0],
        "summary": "Short.",
    }
    assert not VALID["cards"].is_valid({"cards": [card]})
    card["links"][0]["type"] = "absolute"
    assert VALID["cards"].is_valid({"cards": [card]})


@pytest.mark.parametrize("name", ["source-link", "suggestion"])
def test_a_summary_of_140_or_more_is_refused_though_the_hl7_validator_passes_it(name: str) -> None:
    card = example(f"fhir-validator-tests__cdshooks-response-{name}")["cards"][0]
    assert len(card["summary"]) in (169, 157)
    assert any("summary" in line for line in complaints("cards", {"cards": [card]}))


def test_our_own_profile_accepts_its_model_card() -> None:
    assert [] == complaints("response", with_card())
    assert [] == complaints(
        "response", with_card(suggestions=[SUGGESTION], selectionBehavior="at-most-one")
    )


@pytest.mark.parametrize(
    "members",
    [
        {"summary": "x" * 140},
        {"summary": " "},
        {"indicator": "error"},
        {"detail": ""},
        {"detail": None},
        {"links": []},
        {"uuid": INSTANCE.upper()},
        {"uuid": "x"},
        {"source": {"label": "x"}},
        {"extension": {}},
        {"overrideReasons": []},
        {"suggestions": [SUGGESTION]},
        {"suggestions": [SUGGESTION], "selectionBehavior": "any"},
        {"suggestions": [{**SUGGESTION, "actions": []}], "selectionBehavior": "at-most-one"},
        {
            "suggestions": [{**SUGGESTION, "isRecommended": True}] * 2,
            "selectionBehavior": "at-most-one",
        },
        {
            "links": [
                {"label": "x", "url": "https://e.org/", "type": "absolute", "appContext": "{}"}
            ]
        },
        {"links": [{"label": "x", "url": "https://user@e.org/", "type": "absolute"}]},
        {"links": [{"label": "x", "url": "javascript:alert(1)", "type": "absolute"}]},
        {"links": [{"label": "x", "url": "https://e.org/\n", "type": "absolute"}]},
        {
            "links": [
                {"label": "x", "url": "https://e.org/", "type": "smart", "autolaunchable": True}
            ]
        },
        {"overrideReasons": [{"code": "a", "system": "b"}]},
    ],
)
def test_our_own_profile_refuses_what_we_must_not_send(members: dict[str, Any]) -> None:
    assert not VALID["response"].is_valid(with_card(**members))


@pytest.mark.parametrize(
    "action",
    [
        {
            "type": "delete",
            "description": "x",
            "resource": "1",
            "resourceId": "MedicationRequest/1",
        },
        {"type": "delete", "description": "x", "resource": {"resourceType": "MedicationRequest"}},
        {"type": "delete", "description": "x", "resourceId": "1"},
        {"type": "delete", "resourceId": "MedicationRequest/1"},
        {"type": "update", "description": "x"},
        {"type": "update", "description": "x", "resource": "1"},
        {
            "type": "update",
            "description": "x",
            "resource": {"resourceType": "MedicationRequest", "note": []},
        },
        {
            "type": "update",
            "description": "x",
            "resource": {"resourceType": "MedicationRequest", "a": {"b": [None]}},
        },
    ],
)
def test_our_own_profile_refuses_half_an_action(action: dict[str, Any]) -> None:
    body = with_card(
        suggestions=[{**SUGGESTION, "actions": [action]}], selectionBehavior="at-most-one"
    )
    assert not VALID["response"].is_valid(body)


@pytest.mark.parametrize(
    "name",
    [
        "2.0__spec__feedback-request-01",
        "2.0__spec__feedback-request-02",
        "2.0__spec__feedback-request-03",
        "captured__18-feedback-overridden-with-reason",
        "captured__19-feedback-overridden-no-reason",
        "captured__20-feedback-accepted",
    ],
)
def test_published_and_captured_feedback_is_accepted(name: str) -> None:
    assert [] == complaints("feedback", example(name))


def test_feedback_that_prints_prose_for_its_values_is_refused() -> None:
    assert not VALID["feedback"].is_valid(example("1.1__spec__feedback-request-01"))


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"outcomeTimestamp": "2026-11-21T12:00:00+00:00"},
        {"outcomeTimestamp": "2026-11-21T07:00:00.123-05:00"},
        {"overrideReason": {"reason": {"code": "x"}}},
        {"overrideReason": {"userComment": "why"}},
        {"outcome": "accepted", "acceptedSuggestions": [{"id": INSTANCE}]},
        {"card": INSTANCE.upper()},
        {"unheard": 1},
    ],
)
def test_feedback_by_the_text_is_accepted(members: dict[str, Any]) -> None:
    assert [] == complaints("feedback", {"feedback": [{**GOOD_ITEM, **members}]})


@pytest.mark.parametrize(
    "members",
    [
        {"outcomeTimestamp": "2020-12-16"},
        {"outcomeTimestamp": "2026-11-21T12:00:00"},
        {"outcomeTimestamp": 5},
        {"outcomeTimestamp": "2026-13-21T12:00:00Z"},
        {"outcomeTimestamp": "2026-11-21T12:00:00Z\n"},
        {"card": "x"},
        {"outcome": "accepted"},
        {"outcome": "ignored"},
        {"overrideReason": {}},
        {"overrideReason": {"reason": {}}},
        {"overrideReason": {"userComment": "x" * 4001}},
        {"card": None},
        {"outcome": None},
        {"outcome": "accepted", "acceptedSuggestions": []},
        {"outcome": "accepted", "acceptedSuggestions": [{}]},
    ],
)
def test_feedback_against_the_text_is_refused(members: dict[str, Any]) -> None:
    assert not VALID["feedback"].is_valid({"feedback": [{**GOOD_ITEM, **members}]})


@pytest.mark.parametrize(
    "body",
    [
        GOOD_ITEM,
        [GOOD_ITEM],
        {},
        {"feedback": []},
        {"feedback": GOOD_ITEM},
        None,
        {"feedback": [GOOD_ITEM] * 201},
    ],
)
def test_feedback_is_an_object_with_a_list(body: Any) -> None:
    assert not VALID["feedback"].is_valid(body)


@pytest.mark.parametrize("name", ["1.0__spec__discovery-01", "2.0__spec__discovery-01"])
def test_published_discovery_is_accepted(name: str) -> None:
    assert [] == complaints("discovery", example(name))


def test_a_published_operation_outcome_is_accepted() -> None:
    assert [] == complaints("operation-outcome", example("3.0-draft__spec__operationoutcome-01"))
    assert not VALID["operation-outcome"].is_valid(
        {"resourceType": "OperationOutcome", "issue": []}
    )


@pytest.mark.parametrize(
    "name",
    [
        "derived__request__1.0__medication-prescribe-02",
        "derived__request__library__order-select-03",
        "derived__request__library__medication-refill-02",
        "sandbox__order-sign__dstu2",
        "captured__24-dstu2-order-select-naltrexone",
        "captured__29-2019-medication-prescribe-dstu2",
    ],
)
def test_published_dstu2_orders_are_accepted(name: str) -> None:
    context = example(name)["context"]
    entries = context.get("draftOrders", context.get("medications"))["entry"]
    orders = [e["resource"] for e in entries if e["resource"]["resourceType"] == "MedicationOrder"]
    assert orders
    assert [] == [line for order in orders for line in complaints("medication-order-dstu2", order)]


@pytest.mark.parametrize(
    "members",
    [
        {"status": "cancelled"},
        {"patient": None},
        {"subject": {"reference": "Patient/p1"}},
        {"authoredOn": "2026-11-21"},
        {"medicationReference": {"reference": "Medication/m"}},
        {"dosageInstruction": {}},
        {"dateWritten": "Invalid date"},
        {"dosageInstruction": [{"doseAndRate": []}]},
        {"dosageInstruction": [{"timing": {"repeat": {"periodUnit": "d"}}}]},
        {"note": [{"text": "x"}]},
        {"statusReason": {"text": "x"}},
        {"reasonCode": []},
    ],
)
def test_an_order_in_another_releases_shape_is_no_dstu2_order(members: dict[str, Any]) -> None:
    good = ldn("DSTU2")
    assert [] == complaints("medication-order-dstu2", good)
    bad = {name: value for name, value in {**good, **members}.items() if value is not None}
    assert not VALID["medication-order-dstu2"].is_valid(bad)


@pytest.mark.parametrize("release", [r for r in RELEASES if r != "DSTU2"])
def test_a_medication_request_is_no_dstu2_order(release: str) -> None:
    assert not VALID["medication-order-dstu2"].is_valid(ldn(release))
