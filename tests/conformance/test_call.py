"""Being called: envelope, hook, context and the orders in it (conformance R30-R32, R37-R45)."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.conformance.calls import (
    HOOKS,
    INSTANCE,
    LDN,
    LEVOTHYROXINE,
    T1,
    T2,
    T5,
    call,
    cards,
    changed,
    conflict,
    dosage,
    drafts,
    ldn,
    listed,
    listed_ldn,
    naltrexone_50,
    opioid,
    order,
    path_of,
    prefetch,
    refusal,
    topics,
    unnamed,
)

SIGN = "/cds-services/naltrexone-order-sign"
CRITICAL = {T1: "critical", T2: "info"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_CR30_only_post_calls_a_service(service: Any, method: str) -> None:
    import requests

    answer = requests.request(method, f"{service.url}{SIGN}", json=conflict(), timeout=5)
    assert 405 == answer.status_code
    assert "POST" in answer.headers["Allow"]
    refusal(answer)


def test_CR30_an_unknown_service_is_not_found(service: Any) -> None:
    answer = service.post("/cds-services/no-such-service", json=conflict())
    assert 404 == answer.status_code
    refusal(answer)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "text/html", "application/xml"]
)
def test_CR30_a_body_that_does_not_say_json_is_refused(service: Any, kind: str) -> None:
    answer = service.post(SIGN, data=b"{}", headers={"Content-Type": kind})
    assert 415 == answer.status_code
    refusal(answer)


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
def test_CR30_every_way_of_saying_json_is_accepted(service: Any, kind: str) -> None:
    import json

    answer = service.post(
        SIGN, data=json.dumps(conflict()).encode(), headers={"Content-Type": kind}
    )
    assert (200, CRITICAL) == (answer.status_code, topics(answer.json()["cards"]))


@pytest.mark.parametrize("member", ["hook", "hookInstance", "context"])
@pytest.mark.parametrize("wrong", ["missing", None, 5, [], "", True])
def test_CR31_hook_instance_and_context_are_required(service: Any, member: str, wrong: Any) -> None:
    body = conflict()
    if wrong == "missing":
        del body[member]
    else:
        body[member] = wrong
    answer = service.post(SIGN, json=body)
    assert 400 == answer.status_code
    assert any(
        member in e for issue in refusal(answer)["issue"] for e in issue.get("expression", [])
    )


@pytest.mark.parametrize(
    "instance", ["not-a-uuid", "1", "x" * 128, INSTANCE.upper(), f"urn:uuid:{INSTANCE}"]
)
def test_CR32_any_short_text_names_a_call(service: Any, instance: str) -> None:
    assert CRITICAL == topics(cards(service, {**conflict(), "hookInstance": instance}))


def test_CR32_a_name_of_more_than_128_characters_is_refused(service: Any) -> None:
    assert 400 == service.post(SIGN, json={**conflict(), "hookInstance": "x" * 129}).status_code


def test_CR32_a_repeated_name_is_answered_again(service: Any) -> None:
    first, second = (cards(service, conflict()) for _ in range(2))
    assert unnamed(first) == unnamed(second)


@pytest.mark.parametrize("called", HOOKS)
@pytest.mark.parametrize("hook", HOOKS)
def test_CR37_another_of_our_order_hooks_is_judged_by_its_context(
    service: Any, called: str, hook: str
) -> None:
    assert "critical" == topics(cards(service, conflict(hook), called))[T1]


@pytest.mark.parametrize(
    "hook", ["patient-view", "order-review", "order-dispatch", "encounter-start", "nonsense"]
)
def test_CR37_a_hook_that_is_not_served_is_refused(service: Any, hook: str) -> None:
    answer = service.post(SIGN, json={**conflict(), "hook": hook})
    assert 400 == answer.status_code
    assert any(
        "hook" in e for issue in refusal(answer)["issue"] for e in issue.get("expression", [])
    )


@pytest.mark.parametrize("hook", HOOKS)
def test_CR38_each_hook_finds_its_orders_where_its_context_keeps_them(
    service: Any, hook: str
) -> None:
    assert "critical" == topics(cards(service, conflict(hook)))[T1]


@pytest.mark.parametrize("hook", HOOKS)
def test_CR38_the_encounter_is_optional(service: Any, hook: str) -> None:
    """An encounter that is named and not sent is a remark on the card at most."""
    body = changed(conflict(hook), "context/encounterId", "e1")
    assert topics(cards(service, conflict(hook))) == topics(cards(service, body))


@pytest.mark.parametrize("hook", HOOKS)
def test_CR38_a_context_without_orders_has_nothing_to_say(service: Any, hook: str) -> None:
    body = conflict(hook)
    body["context"] = {"patientId": "p1", "userId": "Practitioner/u1"}
    assert [] == cards(service, body)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("bare", [True, False])
def test_CR38_orders_come_as_a_bundle_or_as_a_plain_array(
    service: Any, hook: str, bare: bool
) -> None:
    body = conflict(hook)
    member = "draftOrders" if "draftOrders" in body["context"] else "medications"
    resources = [e["resource"] for e in body["context"][member]["entry"]]
    body["context"][member] = resources if bare else [{"resource": r} for r in resources]
    assert "critical" == topics(cards(service, body))[T1]


@pytest.mark.parametrize(
    "user", ["Practitioner/u1", "PractitionerRole/u1", "Patient/u1", "u1", "", None, 5, "absent"]
)
def test_CR39_the_user_does_not_change_the_verdict(service: Any, user: Any) -> None:
    body = conflict()
    if user == "absent":
        del body["context"]["userId"]
    else:
        body["context"]["userId"] = user
    assert unnamed(cards(service, conflict())) == unnamed(cards(service, body))


def test_CR40_a_leading_patient_is_taken_off_the_id(service: Any) -> None:
    body = changed(conflict(), "context/patientId", "Patient/p1")
    assert unnamed(cards(service, conflict())) == unnamed(cards(service, body))


@pytest.mark.parametrize(
    "patient",
    [
        "a/b/c",
        "../x",
        "x" * 10_000,
        "1&_include=*",
        "1?x=y",
        "1#",
        "%2e%2e",
        "p 1",
        "1/../../Practitioner/2",
        "p1\n",
        "\u2010",
    ],
)
def test_CR40_an_id_that_is_no_fhir_id_is_refused(service: Any, patient: str) -> None:
    answer = service.post(SIGN, json=changed(conflict(), "context/patientId", patient))
    assert 400 == answer.status_code
    assert any(
        "patientId" in e for issue in refusal(answer)["issue"] for e in issue.get("expression", [])
    )


@pytest.mark.parametrize(
    "selections",
    [
        "missing",
        [],
        None,
        "MedicationRequest/ntx-1",
        ["MedicationRequest/ntx-1"],
        ["ntx-1"],
        ["urn:uuid:1d0c62e8-4e54-4b9c-9a3a-1f1f0b5d8c11"],
        ["MedicationRequest/ntx-1", "MedicationRequest/gone"],
    ],
)
def test_CR41_selections_are_matched_tolerantly_and_missing_ones_select_all(
    service: Any, selections: Any
) -> None:
    body = conflict("order-select")
    body["context"]["draftOrders"]["entry"][0]["fullUrl"] = (
        "urn:uuid:1d0c62e8-4e54-4b9c-9a3a-1f1f0b5d8c11"
    )
    if selections == "missing":
        del body["context"]["selections"]
    else:
        body["context"]["selections"] = selections
    assert CRITICAL == topics(cards(service, body))


@pytest.mark.parametrize(
    "selections", [["MedicationRequest/gone"], [{"reference": "x"}], [5, None]]
)
def test_CR41_a_dangling_selection_is_no_error(service: Any, selections: Any) -> None:
    answer = service.post(
        path_of(conflict("order-select")),
        json=changed(conflict("order-select"), "context/selections", selections),
    )
    assert 200 == answer.status_code


def two_drafts(*selected: str) -> dict[str, Any]:
    body = call("order-select", ldn(), opioid(), order(LEVOTHYROXINE, id="levo-1"))
    body["context"]["selections"] = [f"MedicationRequest/{name}" for name in selected]
    return body


def test_CR42_a_selected_order_is_judged_against_the_unselected_ones_once(service: Any) -> None:
    found = cards(service, two_drafts("ntx-1"))
    assert CRITICAL == topics(found)
    assert 2 == len(found)


@pytest.mark.parametrize(
    "handle",
    [
        "MedicationRequest/levo-1",
        "levo-1",
        "urn:uuid:levo-1",
        "urn:uuid:1d0c62e8-4e54-4b9c-9a3a-1f1f0b5d8c11",
    ],
)
def test_CR42_unselected_orders_alone_say_nothing(service: Any, handle: str) -> None:
    """However a client names the order that it means: by type and id, by id, as a URN, by full URL.

    A name that nobody understood would select every order, and then there would be cards.
    """
    body = two_drafts()
    body["context"]["draftOrders"]["entry"][2]["fullUrl"] = (
        "urn:uuid:1d0c62e8-4e54-4b9c-9a3a-1f1f0b5d8c11"
    )
    body["context"]["selections"] = [handle]
    assert [] == cards(service, body)


@pytest.mark.parametrize(
    "bare",
    [
        order(LDN, medicationCodeableConcept=None),
        order(LDN, medicationCodeableConcept=None, intent=None),
        order(LDN, medicationCodeableConcept={}),
    ],
)
def test_CR43_a_draft_without_a_medication_is_no_order_yet(
    service: Any, bare: dict[str, Any]
) -> None:
    assert [] == cards(service, call("order-select", bare, meds=None))


def test_CR43_a_draft_without_a_medication_hides_no_listed_order(service: Any) -> None:
    """It is no order, so it cannot stand for the active one that has the same id."""
    body = call(
        "order-sign",
        ldn(),
        opioid(id="m-1", medicationCodeableConcept=None),
        meds=(listed(id="m-1"),),
    )
    assert "critical" == topics(cards(service, body))[T1]


def test_CR43_a_draft_without_dose_or_intent_is_judged(service: Any) -> None:
    body = call("order-select", order(LDN, intent=None, dispenseRequest=None), meds=(listed(),))
    assert "critical" == topics(cards(service, body))[T1]


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("status", ["draft", "active", "on-hold", "unknown", None])
def test_CR44_an_order_that_is_not_finished_counts_as_a_draft(
    service: Any, hook: str, status: str | None
) -> None:
    assert (
        "critical" == topics(cards(service, call(hook, ldn(status=status), meds=(listed(),))))[T1]
    )


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
def test_CR44_a_cancelled_order_is_ignored_and_masks_its_listed_self(
    service: Any, status: str
) -> None:
    body = call(
        "order-sign", naltrexone_50(), opioid(id="m-1", status=status), meds=(listed(id="m-1"),)
    )
    assert [] == cards(service, body)


@pytest.mark.parametrize("status", ["stopped", "completed"])
def test_CR44_an_order_stopped_in_this_call_ends_today(service: Any, status: str) -> None:
    """Day 0 after a short-acting opioid is inside the opioid-free interval of 7 days."""
    body = call(
        "order-sign",
        naltrexone_50(),
        opioid(id="m-1", status=status, authored="2026-10-01"),
        meds=(listed(id="m-1", authored="2026-10-01"),),
    )
    (card,) = cards(service, body)
    assert {T1: "critical"} == topics([card])
    assert "opioid-free interval" in card["summary"].lower()


def test_CR45_each_resource_is_read_by_its_own_shape(service: Any) -> None:
    mixed = drafts(
        ldn("DSTU2", id="a"),
        opioid(release="STU3", id="b"),
        order(LEVOTHYROXINE, release="R5", id="c"),
    )
    body = call("order-sign")
    body["context"]["draftOrders"] = mixed
    assert "critical" == topics(cards(service, body))[T1]


@pytest.mark.parametrize("draft_release", ["DSTU2", "STU3", "R4", "R5"])
def test_CR45_drafts_and_lists_may_differ_in_release(service: Any, draft_release: str) -> None:
    body = call("order-sign", ldn(draft_release))
    body["prefetch"] = {
        **prefetch(listed("oxycodone 5 mg tablet")),
        **({"medicationOrders": None} if draft_release == "DSTU2" else {}),
    }
    assert "critical" == topics(cards(service, body))[T1]


def test_CR45_a_dose_in_the_wrong_releases_shape_is_still_read(service: Any) -> None:
    """The library's R4 and STU3 examples have their dose shapes swapped."""
    swapped = order(LDN, dose=dosage(4.5, "mg", "STU3"))
    as_object = order(
        LDN,
        dose={**dosage(4.5, "mg"), "doseAndRate": {"doseQuantity": {"value": 4.5, "unit": "mg"}}},
    )
    for draft in (swapped, as_object):
        (card,) = cards(service, call("order-sign", draft))
        assert {T2: "info"} == topics([card])
        assert "4.5 mg/day" in card["summary"]


def test_CR38_a_body_with_both_members_and_an_opioid_alone_says_the_same(service: Any) -> None:
    body = call("order-sign", opioid(), meds=None)
    assert {T5: "info"} == topics(cards(service, body))
    body["context"]["medications"] = deepcopy(body["context"]["draftOrders"])
    assert {T5: "info"} == topics(cards(service, body))


def test_CR44_a_listed_draft_that_is_not_in_this_call_does_not_count(service: Any) -> None:
    body = call("order-sign", opioid(), meds=(listed_ldn(status="draft"),))
    assert {} == topics(cards(service, body))
    assert T5 not in topics(cards(service, body))
