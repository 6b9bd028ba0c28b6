"""What came along and what did not (conformance R51-R54, R56, R60, R61)."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import Any

import pytest

from tests.conformance.calls import (
    T1,
    T2,
    T5,
    bundle,
    call,
    card_of,
    cards,
    complaints,
    conflict,
    ldn,
    listed,
    naltrexone_50,
    opioid,
    order,
    path_of,
    prefetch,
    refusal,
    topics,
    unnamed,
)

NOWHERE = {
    "medicationCodeableConcept": None,
    "medicationReference": {"reference": "Medication/nowhere"},
}
OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "forbidden"}],
}
GAP = {T5: "warning"}


def with_list(value: Any, *drafts: dict[str, Any]) -> dict[str, Any]:
    """Labelled naltrexone drafted (or the given orders), with ``value`` as the answer of the order search."""
    body = call("order-sign", *(drafts or (naltrexone_50(),)))
    body["prefetch"]["medicationRequests"] = value
    return body


def outcome_entry(severity: str) -> dict[str, Any]:
    return {
        "resource": {**OUTCOME, "issue": [{"severity": severity, "code": "processing"}]},
        "search": {"mode": "outcome"},
    }


@pytest.mark.parametrize(
    "hook", ["order-sign", "order-select", "medication-prescribe", "medication-refill"]
)
@pytest.mark.parametrize("meds", [None, ()])
def test_CR51_when_no_order_can_be_identified_the_answer_is_412(
    service: Any, hook: str, meds: Any
) -> None:
    answer = service.post(
        f"/cds-services/naltrexone-{hook}", json=call(hook, order("", **NOWHERE), meds=meds)
    )
    assert 412 == answer.status_code
    refusal(answer)


@pytest.mark.parametrize(
    "reference", ["#m", "Medication/m", "urn:uuid:0f7e1a52-3a55-4f7c-93f7-6f5d60f9a0a1"]
)
def test_CR51_a_reference_that_resolves_is_an_identified_order(
    service: Any, reference: str
) -> None:
    drug = {
        "resourceType": "Medication",
        "id": "m",
        "code": {"text": "Naltrexone 4.5 mg oral capsule (compounded)"},
    }
    draft = ldn(
        medicationCodeableConcept=None,
        medicationReference={"reference": reference},
        contained=[drug] if reference == "#m" else None,
    )
    body = call("order-sign", draft, meds=(listed(),))
    if reference != "#m":
        full = (
            reference
            if reference.startswith("urn")
            else "https://ehr.example.org/fhir/Medication/m"
        )
        body["context"]["draftOrders"]["entry"].append({"fullUrl": full, "resource": drug})
    assert "critical" == topics(cards(service, body))[T1]


def test_CR51_the_display_of_a_reference_is_text_that_names_the_drug(service: Any) -> None:
    draft = ldn(
        medicationCodeableConcept=None,
        medicationReference={
            "reference": "Medication/nowhere",
            "display": "Naltrexone 4.5 mg capsule",
        },
    )
    assert "critical" == topics(cards(service, call("order-sign", draft, meds=(listed(),))))[T1]


@pytest.mark.parametrize(
    "hook", ["order-sign", "order-select", "medication-prescribe", "medication-refill"]
)
def test_CR51_a_known_drug_without_a_medication_list_is_a_card_and_no_error(
    service: Any, hook: str
) -> None:
    (card,) = cards(service, call(hook, naltrexone_50(), meds=None))
    assert GAP == topics([card])
    assert "incomplete" in card["summary"]


def test_CR51_one_unidentified_draft_beside_naltrexone_is_a_gap(service: Any) -> None:
    assert GAP == topics(
        cards(service, call("order-sign", naltrexone_50(), order("", id="x", **NOWHERE)))
    )


def test_CR51_an_opioid_alone_without_a_list_is_told_so_but_for_a_refill(service: Any) -> None:
    """Specification 2.11, the other direction."""
    (card,) = cards(service, call("order-sign", opioid(), meds=None))
    assert {T5: "info"} == topics([card])
    assert "could not be excluded" in card["summary"]
    assert [] == cards(service, call("medication-refill", opioid(), meds=None))


def test_CR51_a_pair_that_was_found_needs_no_gap_card(service: Any) -> None:
    assert {T1: "critical", T2: "info"} == topics(
        cards(service, call("order-sign", ldn(), opioid(), meds=None))
    )


def test_CR52_null_means_that_there_is_nothing(service: Any) -> None:
    assert [] == cards(service, with_list(None))


@pytest.mark.parametrize(
    "key",
    [
        "medicationStatements",
        "medicationDispenses",
        "medicationAdministrations",
        "conditions",
        "encounter",
        "patient",
    ],
)
def test_CR52_null_for_any_key_is_no_error(service: Any, key: str) -> None:
    body = conflict()
    body["prefetch"][key] = None
    assert "critical" == topics(cards(service, body))[T1]


def test_CR53_an_operation_outcome_instead_of_the_list_is_a_list_that_failed(service: Any) -> None:
    assert GAP == topics(cards(service, with_list(OUTCOME)))


@pytest.mark.parametrize("severity", ["error", "fatal"])
def test_CR53_an_error_inside_a_bundle_fails_the_list(service: Any, severity: str) -> None:
    found = {"resourceType": "Bundle", "type": "searchset", "entry": [outcome_entry(severity)]}
    assert GAP == topics(cards(service, with_list(found)))


@pytest.mark.parametrize("severity", ["error", "fatal", "warning", "information"])
def test_CR53_what_did_arrive_beside_an_outcome_is_used(service: Any, severity: str) -> None:
    found = bundle(listed())
    found["entry"].append(outcome_entry(severity))
    assert "critical" == topics(cards(service, with_list(found)))[T1]


@pytest.mark.parametrize("severity", ["warning", "information"])
def test_CR53_a_remark_inside_a_bundle_does_not_fail_the_list(service: Any, severity: str) -> None:
    found = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 0,
        "entry": [outcome_entry(severity)],
    }
    assert [] == cards(service, with_list(found))


@pytest.mark.parametrize(
    "nothing",
    [
        None,
        {"resourceType": "Bundle", "type": "searchset", "total": 0},
        {"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": []},
        {"resourceType": "Bundle"},
    ],
)
def test_CR54_every_way_of_finding_nothing_gives_the_same_answer(
    service: Any, nothing: Any
) -> None:
    expected = cards(service, with_list(bundle(), ldn()))
    assert unnamed(expected) == unnamed(cards(service, with_list(nothing, ldn())))


def test_CR54_nothing_is_another_answer_than_a_missing_key(service: Any) -> None:
    body = with_list(None)
    del body["prefetch"]["medicationRequests"]
    assert GAP == topics(cards(service, body))


def test_CR56_resources_under_a_foreign_key_are_read_by_type(service: Any) -> None:
    body = call("order-sign", ldn(), meds=None)
    body["prefetch"] = {"meds": bundle(listed())}
    assert {T1: "critical", T2: "info"} == topics(cards(service, body))


def test_CR56_a_foreign_key_never_makes_the_list_complete(service: Any) -> None:
    body = call("order-sign", naltrexone_50(), meds=None)
    body["prefetch"] = {"meds": bundle()}
    assert GAP == topics(cards(service, body))


def test_CR56_a_resource_that_came_twice_is_one_resource(service: Any) -> None:
    once, twice = conflict(), conflict()
    twice["prefetch"]["meds"] = bundle(listed())
    said_once, said_twice = cards(service, once), cards(service, twice)
    assert unnamed(said_once) == unnamed(said_twice)
    assert "+1 more" not in card_of(said_twice, T1)["detail"]


def test_CR60_a_call_with_complete_data_is_answered_well_within_half_a_second(service: Any) -> None:
    def seconds() -> float:
        begun = perf_counter()
        cards(service, conflict())
        return perf_counter() - begun

    assert median(seconds() for _ in range(15)) < 0.5


def wrapped(value: Any, status: str) -> dict[str, Any]:
    return {"response": {"status": status}, **({} if value is None else {"resource": value})}


def test_CR61_the_wrapper_of_before_1_0_is_opened(service: Any) -> None:
    plain, legacy = conflict(), conflict()
    legacy["prefetch"] = {
        key: wrapped(value, "200 OK") for key, value in prefetch(listed()).items()
    }
    assert unnamed(cards(service, plain)) == unnamed(cards(service, legacy))


@pytest.mark.parametrize(
    "value",
    [
        wrapped(bundle(), "404 Not Found"),
        wrapped(bundle(), "500"),
        wrapped(None, "200 OK"),
        wrapped(OUTCOME, "200 OK"),
    ],
)
def test_CR61_a_wrapper_of_a_failure_is_a_failed_key(service: Any, value: Any) -> None:
    assert GAP == topics(cards(service, with_list(value)))


@pytest.mark.parametrize(
    "value", [[], "x", 5, True, {}, {"resourceType": "Foo"}, [None], {"entry": 5}]
)
def test_CR53_a_list_that_is_no_bundle_is_a_failed_list(service: Any, value: Any) -> None:
    """Silence would say that the list was read; only a Bundle or null says so."""
    answer = service.post(path_of(with_list(value)), json=with_list(value))
    assert (200, []) == (answer.status_code, complaints("response", answer.json()))
    assert GAP == topics(answer.json()["cards"])


def test_CR61_prefetch_of_another_type_is_no_prefetch(service: Any) -> None:
    for value in ([], "x", 5, None):
        assert GAP == topics(
            cards(service, {**call("order-sign", naltrexone_50(), meds=None), "prefetch": value})
        )
