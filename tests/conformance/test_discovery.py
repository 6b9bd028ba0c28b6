"""What the service announces (conformance R10-R26)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conformance.calls import HOOKS, VALID, call, complaints, conflict, refusal

PATIENT_QUERY = "patient={{context.patientId}}"
COMMON = {
    "patient": "Patient/{{context.patientId}}",
    "medicationRequests": f"MedicationRequest?{PATIENT_QUERY}",
    "medicationStatements": f"MedicationStatement?{PATIENT_QUERY}",
    "medicationDispenses": f"MedicationDispense?{PATIENT_QUERY}",
    "medicationAdministrations": f"MedicationAdministration?{PATIENT_QUERY}",
    "conditions": f"Condition?{PATIENT_QUERY}",
    "encounter": "Encounter/{{context.encounterId}}",
}
TEMPLATES = {
    f"naltrexone-{hook}": COMMON
    if hook == "medication-refill"
    else {**COMMON, "medicationOrders": f"MedicationOrder?{PATIENT_QUERY}"}
    for hook in HOOKS
}
TOKEN = re.compile(r"\{\{(.*?)\}\}")
ALLOWED_TOKENS = {
    hook: {"context.patientId", "context.encounterId", "context.userId"} for hook in HOOKS
}


@pytest.fixture(scope="module")
def services(service: Any) -> list[dict[str, Any]]:
    """The announced services, after the whole answer met its schema."""
    body = service.get("/cds-services").json()
    assert [] == complaints("discovery", body)
    return list(body["services"])


def queries(services: list[dict[str, Any]]) -> list[str]:
    """Every prefetch template of every service."""
    return [query for s in services for query in s["prefetch"].values()]


def test_CR10_discovery_is_always_there(service: Any) -> None:
    answer = service.get("/cds-services", headers={"Accept": "application/json"})
    assert (200, "application/json") == (
        answer.status_code,
        answer.headers["Content-Type"].split(";")[0],
    )


def test_CR10_head_is_answered_without_a_body(service: Any) -> None:
    import requests

    answer = requests.head(f"{service.url}/cds-services", timeout=5)
    assert (200, b"") == (answer.status_code, answer.content)


@pytest.mark.parametrize("path", ["/cds-services/", "//cds-services"])
def test_CR10_a_trailing_or_double_slash_gets_the_same_answer_without_a_redirect(
    service: Any, path: str
) -> None:
    answer = service.get(path, allow_redirects=False)
    assert (200, service.get("/cds-services").json()) == (answer.status_code, answer.json())


def test_CR11_services_is_an_array(service: Any) -> None:
    assert isinstance(service.get("/cds-services").json()["services"], list)


def test_CR12_one_service_per_hook_with_hook_description_and_id(
    services: list[dict[str, Any]],
) -> None:
    assert {(hook, f"naltrexone-{hook}") for hook in HOOKS} == {
        (s["hook"], s["id"]) for s in services
    }
    assert all(s["description"].strip() for s in services)
    assert all(re.fullmatch(r"[A-Za-z0-9._~-]+", s["id"]) for s in services)


def test_CR13_every_service_has_a_title_of_its_own(services: list[dict[str, Any]]) -> None:
    assert 4 == len({s["title"] for s in services})


def test_CR14_prefetch_is_an_object_of_texts(services: list[dict[str, Any]]) -> None:
    assert {str} == {
        type(part) for s in services for pair in s["prefetch"].items() for part in pair
    }


def test_CR15_usage_requirements_say_what_the_service_needs_to_see(
    services: list[dict[str, Any]],
) -> None:
    for s in services:
        assert re.search(r"prefetch|FHIR", s["usageRequirements"])
        assert re.search(r"medication|medicine", s["usageRequirements"])


def test_CR16_version_is_semantic_and_no_hook_version_is_claimed(
    services: list[dict[str, Any]],
) -> None:
    assert all(re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", s["version"]) for s in services)
    assert [] == [s["id"] for s in services if "hookVersion" in s]


def test_CR17_no_service_at_all_would_still_be_a_valid_announcement() -> None:
    assert VALID["discovery"].is_valid({"services": []})
    assert not VALID["discovery"].is_valid({})


def test_CR18_no_two_services_share_an_id(services: list[dict[str, Any]]) -> None:
    assert len(services) == len({s["id"] for s in services})


@pytest.mark.parametrize("hook", HOOKS)
def test_CR19_each_announced_id_is_called_under_its_own_path(service: Any, hook: str) -> None:
    assert 200 == service.post(f"/cds-services/naltrexone-{hook}", json=conflict(hook)).status_code


@pytest.mark.parametrize(
    "rest", ["/analytics", "/feedback/x", "/x", "/22222222-2222-4222-8222-222222222222"]
)
def test_CR19_nothing_but_feedback_lives_under_a_service(service: Any, rest: str) -> None:
    answer = service.post(f"/cds-services/naltrexone-order-sign{rest}", json=conflict())
    assert 404 == answer.status_code
    refusal(answer)


def test_CR20_tokens_are_plain_members_of_the_hooks_context(services: list[dict[str, Any]]) -> None:
    for s in services:
        used = {token for query in s["prefetch"].values() for token in TOKEN.findall(query)}
        assert used and used <= ALLOWED_TOKENS[s["hook"]]


def test_CR21_no_token_names_the_user_by_role(services: list[dict[str, Any]]) -> None:
    assert [] == [q for q in queries(services) if "userP" in q or "userRelated" in q]


def test_CR22_no_token_is_an_expression(services: list[dict[str, Any]]) -> None:
    assert [] == [
        t
        for q in queries(services)
        for t in TOKEN.findall(q)
        if not re.fullmatch(r"context\.[A-Za-z]+", t)
    ]


def test_CR23_queries_read_one_resource_or_search_by_reference_without_modifiers(
    services: list[dict[str, Any]],
) -> None:
    simple = re.compile(
        r"[A-Z][A-Za-z]+(/\{\{context\.[A-Za-z]+\}\}|\?patient=\{\{context\.patientId\}\})"
    )
    assert [] == [q for q in queries(services) if not simple.fullmatch(q)]


def test_CR24_no_template_depends_on_another(services: list[dict[str, Any]]) -> None:
    keys = {key for s in services for key in s["prefetch"]}
    assert [] == [
        q for q in queries(services) for token in TOKEN.findall(q) if token.split(".")[0] in keys
    ]


def test_CR25_the_templates_are_the_reviewed_ones_and_no_more(
    services: list[dict[str, Any]],
) -> None:
    assert TEMPLATES == {s["id"]: s["prefetch"] for s in services}


def test_CR26_discovery_refuses_a_post_in_json(service: Any) -> None:
    answer = service.post("/cds-services", json={})
    assert 405 == answer.status_code
    refusal(answer)


def test_CR26_discovery_ignores_a_token_that_nobody_asked_for(service: Any) -> None:
    answer = service.get("/cds-services", headers={"Authorization": "Bearer not.a.token"})
    assert (200, 4) == (answer.status_code, len(answer.json()["services"]))


def test_CR14_the_data_asked_for_is_enough_to_judge(
    service: Any, services: list[dict[str, Any]]
) -> None:
    """A client that fetches exactly the announced keys gets a verdict, not a gap."""
    keys = {key for s in services if s["hook"] == "order-sign" for key in s["prefetch"]}
    body = conflict()
    assert set(body["prefetch"]) <= keys
    empty = call("order-sign", body["context"]["draftOrders"]["entry"][0]["resource"])
    found = service.post("/cds-services/naltrexone-order-sign", json=empty).json()["cards"]
    assert ["naltrexone-off-label"] == [card["source"]["topic"]["code"] for card in found]
