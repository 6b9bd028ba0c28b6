"""A suggestion changes only what this patient's call brought along (conformance T6)."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.conformance.calls import (
    BUPRENORPHINE,
    HOOKS,
    LEVOTHYROXINE,
    RELEASES,
    T1,
    T2,
    T5,
    actions,
    call,
    card_of,
    cards,
    conflict,
    ldn,
    listed,
    listed_ldn,
    naltrexone_50,
    opioid,
    order,
    reverse,
    start,
    topics,
)


def targets(card: dict[str, Any]) -> set[str]:
    """Type/id of everything that a card's actions touch."""
    return {
        a.get("resourceId") or f"{a['resource']['resourceType']}/{a['resource']['id']}"
        for a in actions(card)
    }


@pytest.mark.parametrize("hook", ["order-sign", "order-select"])
@pytest.mark.parametrize("release", RELEASES)
def test_CT06_a_delete_names_a_draft_of_this_call(service: Any, release: str, hook: str) -> None:
    kind = "MedicationOrder" if release == "DSTU2" else "MedicationRequest"
    assert {f"{kind}/ntx-1"} == targets(card_of(cards(service, conflict(hook, release)), T1))


@pytest.mark.parametrize("release", RELEASES)
def test_CT06_holding_touches_the_listed_naltrexone_and_the_draft_alone(
    service: Any, release: str
) -> None:
    kind = "MedicationOrder" if release == "DSTU2" else "MedicationRequest"
    found = targets(card_of(cards(service, reverse("order-sign", release)), T1))
    assert {f"{kind}/op-1", f"{kind}/m-ntx"} == found


@pytest.mark.parametrize(
    "body", [conflict(), reverse(), start(), call("order-sign", ldn(), opioid())]
)
def test_CT06_an_update_is_the_sent_resource_and_keeps_its_patient(
    service: Any, body: dict[str, Any]
) -> None:
    for card in cards(service, body):
        for action in actions(card):
            assert action["type"] in ("update", "delete")
            if action["type"] == "update":
                assert {"reference": "Patient/p1"} == action["resource"]["subject"]


@pytest.mark.parametrize("hook", HOOKS)
def test_CT06_a_draft_for_another_patient_gets_no_suggestion_but_a_could_not_check_card(
    service: Any, hook: str
) -> None:
    body = call(hook, ldn(patient="somebody-else"), meds=(listed(),))
    found = cards(service, body)
    assert [] == [a for card in found for a in actions(card)]
    assert {T5: "warning"} == topics(found)


def test_CT06_the_other_drafts_of_such_a_call_are_judged(service: Any) -> None:
    body = call(
        "order-sign", ldn(), naltrexone_50(id="not-ours", patient="somebody-else"), meds=(listed(),)
    )
    card = card_of(cards(service, body), T1)
    assert {"MedicationRequest/ntx-1"} == targets(card)


def test_CT06_somebody_elses_draft_hides_nothing_on_this_patients_list(service: Any) -> None:
    body = call(
        "order-sign", ldn(), opioid(id="m-1", patient="somebody-else"), meds=(listed(id="m-1"),)
    )
    assert "critical" == topics(cards(service, body))[T1]


def test_CT06_somebody_elses_naltrexone_is_never_held(service: Any) -> None:
    """A list with somebody else's entry is not read completely, and that is all that is said."""
    found = cards(
        service, call("order-sign", opioid(), meds=(listed_ldn(patient="somebody-else"),))
    )
    assert ({T5: "info"}, []) == (topics(found), [a for card in found for a in actions(card)])


def test_CT06_no_action_without_a_medication_list(service: Any) -> None:
    found = cards(service, call("order-sign", naltrexone_50(), meds=None))
    assert ({T5: "warning"}, []) == (topics(found), [a for card in found for a in actions(card)])


def test_CT06_no_lower_start_is_suggested_without_a_medication_list(service: Any) -> None:
    found = cards(service, call("order-sign", ldn(), meds=None))
    assert [] == actions(card_of(found, T2))


def test_CT06_an_active_opioid_is_never_changed(service: Any) -> None:
    for drug in (
        BUPRENORPHINE,
        ("morphine 12 HR tablet", ""),
        ("methadone hydrochloride 10 MG Oral Tablet", "864706"),
    ):
        found = cards(service, call("order-sign", ldn(), meds=(listed(drug, id="keep"),)))
        assert "MedicationRequest/keep" not in targets(card_of(found, T1))


def test_CT06_a_methadone_or_buprenorphine_draft_is_never_recommended_for_deletion(
    service: Any,
) -> None:
    body = call("order-sign", opioid(BUPRENORPHINE), meds=(listed_ldn(),))
    chosen = [
        s
        for s in card_of(cards(service, body), T1).get("suggestions", [])
        if s.get("isRecommended")
    ]
    assert [] == [a for s in chosen for a in s["actions"] if a["type"] == "delete"]
    assert ["m-ntx"] == [a["resource"]["id"] for s in chosen for a in s["actions"]]


def test_CT06_an_unrelated_draft_is_never_touched(service: Any) -> None:
    body = call("order-sign", ldn(), order(LEVOTHYROXINE, id="levo-1"), meds=(listed(),))
    assert [] == [t for card in cards(service, body) for t in targets(card) if "levo-1" in t]


def test_CT06_a_draft_that_cannot_be_made_valid_loses_its_update_and_keeps_its_card(
    service: Any,
) -> None:
    broken = ldn(substitution="yes", supportingInformation={"a": 1})
    found = cards(service, call("order-sign", broken))
    assert {T2: "info"} == topics(found)
    assert [] == actions(card_of(found, T2))


@pytest.mark.parametrize(
    "repair",
    [
        {"category": {"text": "community"}},
        {"reasonCode": {"text": "Fibromyalgia"}},
        {"intent": None},
    ],
)
def test_CT06_the_documented_repairs_make_an_update_possible(
    service: Any, repair: dict[str, Any]
) -> None:
    draft = {k: v for k, v in {**ldn(), **repair}.items() if v is not None}
    (update,) = actions(card_of(cards(service, call("order-sign", deepcopy(draft))), T2))
    assert "order" == update["resource"]["intent"]
    for member in ("category", "reasonCode"):
        if member in repair:
            assert [repair[member]] == update["resource"][member]
