"""JSON on the wire: what every body looks like, and what is refused (conformance R01-R07)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fhir.resources.medicationrequest import MedicationRequest as MedicationRequestR5
from fhir.resources.R4B.medicationrequest import MedicationRequest as MedicationRequestR4
from fhir.resources.STU3.medicationrequest import MedicationRequest as MedicationRequestSTU3

from tests.conformance.calls import (
    HOOKS,
    RELEASES,
    actions,
    call,
    cards,
    complaints,
    conflict,
    ldn,
    leaves,
    listed,
    naltrexone_50,
    opioid,
    path_of,
    reverse,
    start,
    unnamed,
)

JSON = {"Content-Type": "application/json"}
STRICT = {"STU3": MedicationRequestSTU3, "R4": MedicationRequestR4, "R5": MedicationRequestR5}

SITUATIONS = {
    "conflict": conflict(),
    "reverse": reverse(),
    "start": start(),
    "nothing": call("order-sign", naltrexone_50()),
    "gap": call("order-sign", naltrexone_50(), meds=None),
    "both": call("order-sign", naltrexone_50(), opioid()),
    "dstu2": reverse(release="DSTU2"),
    "no-id": call("medication-prescribe", ldn(id=None), meds=(listed(),)),
}


@pytest.fixture(scope="module")
def bodies(service: Any) -> list[Any]:
    """The parsed answers of every route and status that a client can meet."""
    sign = "/cds-services/naltrexone-order-sign"
    answers = [
        service.get("/cds-services"),
        *(service.post(path_of(b), json=b) for b in SITUATIONS.values()),
        service.post(sign, data=b"{", headers=JSON),
        service.post(sign, data=b"x", headers={"Content-Type": "text/plain"}),
        service.post("/cds-services/no-such", json={}),
        service.get(sign),
        service.get("/cds-services/no-such"),
        service.post(sign, json={}),
    ]
    return [answer.json() for answer in answers]


@pytest.mark.parametrize("name", SITUATIONS)
def test_CR01_a_hook_answer_is_json(service: Any, name: str) -> None:
    answer = service.post(path_of(SITUATIONS[name]), json=SITUATIONS[name])
    assert (200, "application/json") == (
        answer.status_code,
        answer.headers["Content-Type"].split(";")[0],
    )
    assert isinstance(answer.json(), dict)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("post", "/cds-services/naltrexone-order-sign", b"{", 400),
        ("post", "/cds-services/no-such-service", b"{}", 404),
        ("get", "/cds-services/naltrexone-order-sign", None, 405),
        ("get", "/no/such/page", None, 404),
    ],
)
def test_CR01_an_error_answer_is_json_too(
    service: Any, method: str, path: str, body: bytes | None, status: int
) -> None:
    answer = service.post(path, data=body, headers=JSON) if method == "post" else service.get(path)
    assert (status, "application/json") == (
        answer.status_code,
        answer.headers["Content-Type"].split(";")[0],
    )
    assert "OperationOutcome" == answer.json()["resourceType"]


def test_CR02_no_body_has_a_null_anywhere(bodies: list[Any]) -> None:
    assert [] == [path for body in bodies for path, value in leaves(body) if value is None]


def test_CR03_nothing_is_empty_but_the_list_of_cards(bodies: list[Any]) -> None:
    empty = [path for body in bodies for path, value in leaves(body) if value in ("", [], {})]
    assert {"/cards"} == set(empty)


@pytest.mark.parametrize(
    "text",
    ['{"hook": "order-sign", // why\n "context": {}}', '{"hook": "order-sign",}', "{'hook': 1}"],
)
def test_CR04_json_with_comments_or_trailing_commas_is_refused(service: Any, text: str) -> None:
    answer = service.post("/cds-services/naltrexone-order-sign", data=text.encode(), headers=JSON)
    assert 400 == answer.status_code
    assert [] == complaints("operation-outcome", answer.json())


@pytest.mark.parametrize("hook", ["order-sign", "medication-prescribe"])
@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("situation", [reverse, start])
def test_CR05_every_resource_in_an_action_is_valid_in_its_own_release(
    service: Any, situation: Any, release: str, hook: str
) -> None:
    found = cards(service, situation(hook, release))
    resources = [a["resource"] for card in found for a in actions(card) if a["type"] != "delete"]
    assert 1 == len(resources)
    if release == "DSTU2":
        assert [] == complaints("medication-order-dstu2", resources[0])
    else:
        STRICT[release].model_validate_json(json.dumps(resources[0]))


@pytest.mark.parametrize("place", ["root", "context", "fhirAuthorization"])
def test_CR06_an_extension_changes_nothing(service: Any, place: str) -> None:
    plain = {
        **conflict("order-select"),
        "fhirServer": "https://ehr.example.org/fhir",
        "fhirAuthorization": {
            "access_token": "t",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "patient/*.read",
            "subject": "s",
        },
    }
    extended = json.loads(json.dumps(plain))
    (extended if place == "root" else extended[place])["extension"] = {
        "com.example.speciality": {"code": "pain"}
    }
    assert unnamed(cards(service, plain)) == unnamed(cards(service, extended))


@pytest.mark.parametrize("hook", HOOKS)
def test_CR07_unknown_members_at_any_depth_change_nothing(service: Any, hook: str) -> None:
    plain = conflict(hook)
    crowded = json.loads(json.dumps(plain))
    context = crowded["context"]
    orders = context.get("draftOrders") or context["medications"]
    entry = orders["entry"][0]
    for node in (
        crowded,
        context,
        orders,
        entry,
        entry["resource"],
        entry["resource"]["medicationCodeableConcept"],
    ):
        node["unheardOf"] = {"deep": [1, {"er": True}]}
    assert 2 == len(cards(service, plain)) if hook != "medication-refill" else True
    assert unnamed(cards(service, plain)) == unnamed(cards(service, crowded))
