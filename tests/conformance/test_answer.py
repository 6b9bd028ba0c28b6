"""What we say: cards, suggestions, links, override reasons (conformance R70-R97)."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conformance.calls import (
    HOOKS,
    LDN,
    LEVOTHYROXINE,
    OVERRIDE_SYSTEM,
    OXYCODONE,
    RANK,
    T1,
    T2,
    T3,
    T4,
    T5,
    TOPIC_SYSTEM,
    actions,
    bundle,
    call,
    card_of,
    cards,
    conflict,
    dosage,
    ldn,
    leaves,
    listed,
    listed_ldn,
    naltrexone_50,
    opioid,
    order,
    path_of,
    prefetch,
    refusal,
    reverse,
    start,
    topics,
    unnamed,
    words,
)

PREGNANCY = {
    "resourceType": "Condition",
    "id": "c1",
    "subject": {"reference": "Patient/p1"},
    "clinicalStatus": {"coding": [{"code": "active"}]},
    "code": {
        "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "Z33.1"}],
        "text": "Pregnancy",
    },
}
WITHDRAWAL = {
    **PREGNANCY,
    "id": "c2",
    "code": {
        "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F11.23"}],
        "text": "Opioid dependence with withdrawal",
    },
}
OVERDOSE = naltrexone_50(dose=dosage(4, "tablet"))

SITUATIONS = {
    "conflict": conflict(),
    "conflict-select": conflict("order-select"),
    "conflict-2019": conflict("medication-prescribe"),
    "conflict-refill": conflict("medication-refill"),
    "reverse": reverse(),
    "start": start(),
    "gap": call("order-sign", naltrexone_50(), meds=None),
    "over": call("order-sign", OVERDOSE),
    "both": call("order-sign", ldn(), opioid()),
    "pregnant": call("order-sign", ldn(), meds=(PREGNANCY,)),
    "withdrawal": call("order-sign", ldn(), meds=(WITHDRAWAL,)),
    "stale": call("order-sign", ldn(), meds=(listed(authored="2025-06-01", dispenseRequest=None),)),
    "dstu2": conflict("medication-prescribe", "DSTU2"),
    "stu3": reverse("order-sign", "STU3"),
    "r5": reverse("order-sign", "R5"),
}
OVERRIDES = {
    T1: {
        "opioid-free-confirmed",
        "challenge-negative",
        "starts-later",
        "supervised-protocol",
        "specialist-consulted",
        "list-outdated",
        "benefit-outweighs",
    },
    T3: {"supervised-protocol", "specialist-consulted", "list-outdated", "benefit-outweighs"},
    T4: {  # a warning, as the withdrawal is undated (2.11)
        "opioid-free-confirmed",
        "specialist-consulted",
        "list-outdated",
        "benefit-outweighs",
    },
}


@pytest.fixture(scope="module")
def answers(service: Any) -> dict[str, list[dict[str, Any]]]:
    """The cards of each situation, all schema-valid."""
    return {name: cards(service, body) for name, body in SITUATIONS.items()}


@pytest.fixture(scope="module")
def every(answers: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """All the cards of all the situations; there are cards of every topic among them."""
    found = [card for group in answers.values() for card in group]
    assert {T1, T2, T3, T4, T5} == {card["source"]["topic"]["code"] for card in found}
    return found


@pytest.mark.parametrize("name", SITUATIONS)
def test_CR70_success_is_200_with_an_array_of_cards(service: Any, name: str) -> None:
    answer = service.post(path_of(SITUATIONS[name]), json=SITUATIONS[name])
    assert 200 == answer.status_code
    assert ["cards"] == list(answer.json())
    assert 1 <= len(answer.json()["cards"]) <= 5


@pytest.mark.parametrize("hook", HOOKS)
def test_CR71_an_unrelated_drug_gets_an_empty_list(service: Any, hook: str) -> None:
    body = call(hook, order(LEVOTHYROXINE), meds=(listed(), listed_ldn()))
    assert {"cards": []} == service.post(path_of(body), json=body).json()


def test_CR71_labelled_naltrexone_without_opioids_gets_an_empty_list(service: Any) -> None:
    assert [] == cards(service, call("order-sign", naltrexone_50(), meds=(listed(LEVOTHYROXINE),)))


@pytest.mark.parametrize("name", SITUATIONS)
def test_CR72_no_system_action_is_ever_sent(service: Any, name: str) -> None:
    text = service.post(path_of(SITUATIONS[name]), json=SITUATIONS[name]).text
    assert "systemActions" not in text


def test_CR73_a_summary_is_under_140_characters_however_they_are_counted(
    every: list[dict[str, Any]],
) -> None:
    for card in every:
        assert 0 < len(card["summary"]) < 140
        assert len(card["summary"].encode("utf-16-le")) // 2 < 140


@pytest.mark.parametrize(
    "name",
    [
        "oxycodone " + "x" * 500,
        "oxycodone " + "\U0001f48a" * 300,
        "oxycodone " + "&*[" * 200,
        "oxycodone" + " " * 500 + "5 mg",
        "\\oxycodone\\" * 40,
    ],
)
def test_CR73_a_summary_stays_short_whatever_a_drug_is_called(service: Any, name: str) -> None:
    found = cards(service, call("order-sign", ldn(), meds=(listed((name, OXYCODONE[1])),)))
    assert "critical" == topics(found)[T1]
    for card in found:
        assert len(card["summary"].encode("utf-16-le")) // 2 < 140
        assert not re.search(r"\\$|[\ud800-\udfff]", card["summary"])


def test_CR73_a_summary_is_one_line(every: list[dict[str, Any]]) -> None:
    assert [] == [
        card["summary"]
        for card in every
        if "\n" in card["summary"] or card["summary"] != card["summary"].strip()
    ]


def test_CR74_the_indicator_is_one_of_three(every: list[dict[str, Any]]) -> None:
    assert {"info", "warning", "critical"} == {card["indicator"] for card in every}


@pytest.mark.parametrize("name", SITUATIONS)
def test_CR74_the_worst_card_comes_first(
    answers: dict[str, list[dict[str, Any]]], name: str
) -> None:
    ranks = [RANK[card["indicator"]] for card in answers[name]]
    assert sorted(ranks, reverse=True) == ranks


def test_CR75_every_source_has_our_label(every: list[dict[str, Any]]) -> None:
    assert {"Naltrexone safety"} == {card["source"]["label"] for card in every}


def test_CR76_source_addresses_are_absolute(every: list[dict[str, Any]]) -> None:
    for card in every:
        assert {"label", "topic"} <= set(card["source"]) <= {"label", "topic", "url"}
        assert urlsplit(card["source"].get("url", "https://x")).scheme in {"http", "https"}


def test_CR77_every_source_has_a_topic_and_each_topic_speaks_once(
    answers: dict[str, list[dict[str, Any]]],
) -> None:
    for found in answers.values():
        codes = [card["source"]["topic"]["code"] for card in found]
        assert len(codes) == len(set(codes))
        assert {TOPIC_SYSTEM} == {card["source"]["topic"]["system"] for card in found}


def test_CR78_detail_is_markdown_without_html(every: list[dict[str, Any]]) -> None:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    for card in every:
        tokens = [
            t for block in parser.parse(card["detail"]) for t in (block, *(block.children or []))
        ]
        assert [] == [t.content for t in tokens if t.type.startswith("html")]
        assert any(t.type == "paragraph_open" for t in tokens)


def test_CR79_every_card_has_a_lower_case_uuid_that_no_other_card_has(service: Any) -> None:
    names = [
        card["uuid"]
        for _ in range(5)
        for body in SITUATIONS.values()
        for card in cards(service, body)
    ]
    assert len(names) == len(set(names))
    assert [] == [
        n for n in names if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", n)
    ]


def test_CR80_every_suggestion_has_a_label_of_its_own(every: list[dict[str, Any]]) -> None:
    labels = [[s["label"] for s in card["suggestions"]] for card in every if "suggestions" in card]
    assert labels
    assert [] == [group for group in labels if len(group) != len(set(group)) or not all(group)]


def test_CR81_suggestions_come_with_a_selection_behaviour(every: list[dict[str, Any]]) -> None:
    assert {(True, True), (False, False)} == {
        ("suggestions" in c, "selectionBehavior" in c) for c in every
    }


def test_CR82_at_most_one_is_the_only_selection_behaviour(every: list[dict[str, Any]]) -> None:
    assert {"at-most-one"} == {c["selectionBehavior"] for c in every if "suggestions" in c}


def test_CR83_at_most_one_suggestion_is_recommended_and_only_on_a_critical_card(
    every: list[dict[str, Any]],
) -> None:
    chosen = {
        c["uuid"]: [s for s in c.get("suggestions", []) if s.get("isRecommended")] for c in every
    }
    assert {0, 1} == {len(group) for group in chosen.values()}
    assert {"critical"} == {c["indicator"] for c in every if chosen[c["uuid"]]}


def test_CR83_on_a_critical_card_the_naltrexone_draft_is_the_one_to_cancel(
    answers: dict[str, list[dict[str, Any]]],
) -> None:
    (chosen,) = [
        s for s in card_of(answers["conflict"], T1)["suggestions"] if s.get("isRecommended")
    ]
    assert ["MedicationRequest/ntx-1"] == [a["resourceId"] for a in chosen["actions"]]


def test_CR84_every_suggestion_has_a_uuid_that_nothing_else_has(
    every: list[dict[str, Any]],
) -> None:
    names = [c["uuid"] for c in every] + [
        s["uuid"] for c in every for s in c.get("suggestions", [])
    ]
    assert len(names) == len(set(names))


def test_CR85_every_action_says_what_it_does(every: list[dict[str, Any]]) -> None:
    found = [a for card in every for a in actions(card)]
    assert {"delete", "update"} == {a["type"] for a in found}
    assert all(a["description"].strip() for a in found)


@pytest.mark.parametrize("hook", ["order-sign", "order-select", "medication-prescribe"])
def test_CR86_holding_naltrexone_keeps_every_member_of_the_order(service: Any, hook: str) -> None:
    active = listed_ldn(
        identifier=[{"system": "urn:x", "value": "1"}],
        note=[{"text": "keep me"}],
        extension=[{"url": "https://ehr.example.org/e", "valueString": "keep me too"}],
    )
    found = cards(service, call(hook, opioid(), meds=(active,)))
    (update,) = [a for a in actions(card_of(found, T1)) if a["type"] == "update"]
    held = deepcopy(update["resource"])
    assert ("on-hold", True) == (held.pop("status"), bool(held.pop("statusReason")))
    assert {k: v for k, v in active.items() if k != "status"} == held


def test_CR86_starting_lower_keeps_what_it_does_not_change(service: Any) -> None:
    draft = ldn(
        identifier=[{"system": "urn:x", "value": "1"}],
        priority="routine",
        reasonCode=[{"text": "Fibromyalgia"}],
    )
    (update,) = actions(card_of(cards(service, call("order-sign", draft)), T2))
    resource = update["resource"]
    for member in (
        "resourceType",
        "id",
        "status",
        "intent",
        "subject",
        "identifier",
        "priority",
        "reasonCode",
    ):
        assert draft[member] == resource[member]
    assert (
        "naltrexone 1.5 mg oral capsule (compounded)"
        == resource["medicationCodeableConcept"]["text"]
    )
    assert "7243" == resource["medicationCodeableConcept"]["coding"][0]["code"]
    assert 14 == resource["dispenseRequest"]["quantity"]["value"]


@pytest.mark.parametrize("hook", ["order-sign", "order-select", "medication-refill"])
def test_CR87_an_order_hook_deletes_by_resource_id(service: Any, hook: str) -> None:
    deletes = [
        a for a in actions(card_of(cards(service, conflict(hook)), T1)) if a["type"] == "delete"
    ]
    assert [("MedicationRequest/ntx-1", False)] == [
        (a["resourceId"], "resource" in a) for a in deletes
    ]


def test_CR87_medication_prescribe_deletes_by_the_bare_id(service: Any) -> None:
    deletes = [
        a
        for a in actions(card_of(cards(service, conflict("medication-prescribe")), T1))
        if a["type"] == "delete"
    ]
    assert [("ntx-1", False)] == [(a["resource"], "resourceId" in a) for a in deletes]


def test_CR87_the_only_draft_of_medication_prescribe_may_lack_an_id(service: Any) -> None:
    body = call("medication-prescribe", ldn(id=None), meds=(listed(),))
    (delete,) = actions(card_of(cards(service, body), T1))
    assert {"type", "description"} == set(delete)


def test_CR87_a_draft_without_id_among_others_gets_no_delete(service: Any) -> None:
    body = call(
        "medication-prescribe", ldn(id=None), order(LEVOTHYROXINE, id="levo-1"), meds=(listed(),)
    )
    assert [] == actions(card_of(cards(service, body), T1))
    assert [] == actions(
        card_of(cards(service, call("order-sign", ldn(id=None), meds=(listed(),))), T1)
    )


@pytest.mark.parametrize("name", SITUATIONS)
def test_CR88_an_action_touches_a_draft_or_the_naltrexone_that_was_sent(
    answers: dict[str, list[dict[str, Any]]], name: str
) -> None:
    sent = {v["id"] for path, v in leaves(SITUATIONS[name]) if isinstance(v, dict) and "id" in v}
    for card in answers[name]:
        for action in actions(card):
            target = action.get("resourceId") or action["resource"]
            assert (target["id"] if isinstance(target, dict) else target.split("/")[-1]) in sent
            assert action["type"] != "create"


def test_CR88_an_active_opioid_is_never_a_target(every: list[dict[str, Any]]) -> None:
    targets = [a.get("resourceId") or a["resource"] for card in every for a in actions(card)]
    assert [] == [t for t in targets if "m-1" in json.dumps(t)]


def test_CR89_links_are_labelled_absolute_and_on_known_hosts(
    service: Any, every: list[dict[str, Any]]
) -> None:
    links = [link for card in every for link in card.get("links", [])]
    assert {"absolute", "smart"} == {link["type"] for link in links}
    hosts = {urlsplit(link["url"]).netloc for link in links if link["type"] == "absolute"}
    assert hosts <= {
        "dailymed.nlm.nih.gov",
        "doi.org",
        "pubmed.ncbi.nlm.nih.gov",
        "www.ncbi.nlm.nih.gov",
        "pmc.ncbi.nlm.nih.gov",
    }
    assert {"https"} == {
        urlsplit(link["url"]).scheme for link in links if link["type"] == "absolute"
    }


def test_CR89_the_smart_link_is_ours_and_leaves_launch_and_iss_to_the_client(
    every: list[dict[str, Any]],
) -> None:
    smart = [
        urlsplit(link["url"])
        for card in every
        for link in card.get("links", [])
        if link["type"] == "smart"
    ]
    assert {("/smart/launch", "")} == {(url.path, url.query) for url in smart}


def test_CR90_app_context_is_small_json_without_the_patient(every: list[dict[str, Any]]) -> None:
    links = [link for card in every for link in card.get("links", [])]
    assert {"smart"} == {link["type"] for link in links if "appContext" in link}
    for link in links:
        if "appContext" in link:
            assert len(link["appContext"].encode()) <= 1024
            assert not re.search(r"oxycodone|\bp1\b|patient", link["appContext"], re.IGNORECASE)
            assert isinstance(json.loads(link["appContext"]), dict)


@pytest.mark.parametrize(("body", "gate"), [(start(), "none"), (conflict(), "opioid-conflict")])
def test_CR90_app_context_carries_the_gate(service: Any, body: dict[str, Any], gate: str) -> None:
    (context,) = [
        json.loads(link["appContext"])
        for link in card_of(cards(service, body), T2)["links"]
        if "appContext" in link
    ]
    assert gate in context.values()
    assert "LDN" in context.values()


def test_CR91_no_link_launches_by_itself(every: list[dict[str, Any]]) -> None:
    assert [] == [
        link for card in every for link in card.get("links", []) if "autolaunchable" in link
    ]


@pytest.mark.parametrize(
    ("name", "topic"), [("conflict", T1), ("stale", T1), ("over", T3), ("withdrawal", T4)]
)
def test_CR92_override_reasons_are_the_listed_ones(
    answers: dict[str, list[dict[str, Any]]], name: str, topic: str
) -> None:
    reasons = card_of(answers[name], topic)["overrideReasons"]
    assert OVERRIDES[topic] == {r["code"] for r in reasons}
    assert {OVERRIDE_SYSTEM} == {r["system"] for r in reasons}
    assert all(r["display"].strip() for r in reasons)


def test_CR92_an_info_card_needs_no_reason(every: list[dict[str, Any]]) -> None:
    assert [] == [
        c["summary"] for c in every if c["indicator"] == "info" and "overrideReasons" in c
    ]


def test_CR93_every_address_in_a_detail_is_a_link_too(every: list[dict[str, Any]]) -> None:
    for card in every:
        printed = re.findall(r"https?://[^\s)\]>]+", card["detail"])
        assert set(printed) <= {link["url"] for link in card.get("links", [])}


def test_CR94_a_card_about_one_of_two_naltrexone_drafts_names_it(service: Any) -> None:
    other = ldn(
        id="ntx-2",
        dose=dosage(9, "mg"),
        medicationCodeableConcept={"text": "Naltrexone 9 mg oral capsule"},
        reasonCode=[{"text": "Fibromyalgia"}],
    )
    found = cards(service, call("order-sign", ldn(), other))
    assert "9 mg" in words(card_of(found, T3))
    assert "4.5 mg" in words(card_of(found, T2)) and "9 mg" in words(card_of(found, T2))


def test_CR94_the_interaction_card_says_which_drug_was_found_where(
    answers: dict[str, list[dict[str, Any]]],
) -> None:
    text = words(card_of(answers["conflict"], T1))
    for part in ("found:", "oxycodone", "2026-11-11"):
        assert part in text


@pytest.mark.parametrize(
    ("number", "dated", "rest"), [(1, 1, ""), (3, 3, ""), (4, 3, "+1 more: "), (6, 3, "+3 more: ")]
)
def test_CR94_three_drugs_are_said_with_standing_and_date_and_the_others_by_name(
    service: Any, number: int, dated: int, rest: str
) -> None:
    """Specification, "Wording": drug, standing, date, source; three drugs, then "+N more"."""
    drugs = [
        "oxycodone 5 mg tablet",
        "morphine 15 mg tablet",
        "hydromorphone 2 mg tablet",
        "fentanyl 25 mcg/h patch",
        "oxymorphone 5 mg tablet",
        "hydrocodone 5 mg / acetaminophen 325 mg tablet",
    ][:number]
    meds = tuple(listed(drug, id=f"m-{n}") for n, drug in enumerate(drugs))
    detail = card_of(cards(service, call("order-sign", ldn(), meds=meds)), T1)["detail"]
    (found,) = [line for line in detail.splitlines() if "Found:" in line]
    assert (dated, bool(rest), [True] * number) == (
        found.count("2026-11-11"),
        "more: " in found,
        [drug.split(" ")[0] in found for drug in drugs],
    )
    assert rest in found


@pytest.mark.parametrize(
    ("kw", "status"),
    [
        ({"data": b"{"}, 400),
        ({"data": b"{}"}, 400),
        ({"data": b"[]"}, 400),
        ({"data": b"x" * 6_000_000}, 413),
    ],
)
def test_CR95_only_the_listed_error_statuses_are_used(
    service: Any, kw: dict[str, Any], status: int
) -> None:
    answer = service.post(
        "/cds-services/naltrexone-order-sign", headers={"Content-Type": "application/json"}, **kw
    )
    assert status == answer.status_code
    refusal(answer)


@pytest.mark.parametrize(
    ("path", "body", "kind", "status"),
    [
        ("/cds-services/naltrexone-order-sign", b"{", "application/json", 400),
        ("/cds-services/nowhere", b"{}", "application/json", 404),
        ("/cds-services", b"{}", "application/json", 405),
        ("/cds-services/naltrexone-order-sign", b"{}", "text/plain", 415),
        ("/cds-services/naltrexone-order-sign", b" " * 5_000_001, "application/json", 413),
    ],
)
def test_CR96_an_error_is_an_operation_outcome_that_a_browser_may_read_and_nobody_stores(
    service: Any, path: str, body: bytes, kind: str, status: int
) -> None:
    answer = service.post(
        path, data=body, headers={"Content-Type": kind, "Origin": "https://sandbox.cds-hooks.org"}
    )
    assert status == answer.status_code
    assert "no-store" in answer.headers["Cache-Control"]
    assert "https://sandbox.cds-hooks.org" == answer.headers["Access-Control-Allow-Origin"]
    issues = refusal(answer)["issue"]
    assert {"error"} == {issue["severity"] for issue in issues}


def test_CR96_a_412_is_an_operation_outcome_too(service: Any) -> None:
    draft = order(
        LDN,
        medicationCodeableConcept=None,
        medicationReference={"reference": "Medication/secret-7"},
    )
    answer = service.post(
        "/cds-services/naltrexone-order-sign",
        json=call("order-sign", draft, meds=None),
        headers={"Origin": "https://sandbox.cds-hooks.org"},
    )
    assert 412 == answer.status_code
    assert "no-store" in answer.headers["Cache-Control"]
    assert "https://sandbox.cds-hooks.org" == answer.headers["Access-Control-Allow-Origin"]
    assert "secret-7" not in json.dumps(refusal(answer))


@pytest.mark.parametrize("canary", ["Canary-Q7", "/etc/passwd", "Traceback"])
def test_CR96_an_error_quotes_nothing_that_was_sent(service: Any, canary: str) -> None:
    for body in (
        {"hook": canary},
        {**conflict(), "hook": canary},
        {**conflict(), "hookInstance": canary * 50},
        {**conflict(), "context": {"patientId": f"{canary}/../x"}},
    ):
        answer = service.post("/cds-services/naltrexone-order-sign", json=body)
        assert 400 == answer.status_code
        assert canary not in answer.text


def test_CR97_a_call_is_judged_by_its_own_data_alone(service: Any) -> None:
    before, between, after = conflict(), call("order-sign", ldn()), conflict()
    assert before["hookInstance"] == between["hookInstance"]
    assert [{T1, T2}, {T2}, {T1, T2}] == [
        set(topics(cards(service, body))) for body in (before, between, after)
    ]


def test_CR97_a_hook_answer_is_not_to_be_stored(service: Any) -> None:
    assert "no-store" in service.post(path_of(conflict()), json=conflict()).headers["Cache-Control"]


def test_CR74_silence_and_warning_differ_only_by_the_list(service: Any) -> None:
    body = call("order-sign", naltrexone_50())
    assert [] == cards(service, body)
    body["prefetch"] = {**prefetch(), "medicationRequests": bundle(listed())}
    assert {T1: "critical"} == topics(cards(service, body))
    assert unnamed(cards(service, body)) == unnamed(cards(service, body))
