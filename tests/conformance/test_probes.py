"""Twenty-five probes, each of which some service in the field fails, against ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.conformance.calls import (
    LDN,
    LEVOTHYROXINE,
    T1,
    T2,
    T5,
    bundle,
    call,
    complaints,
    conflict,
    ldn,
    listed,
    naltrexone_50,
    opioid,
    order,
    reverse,
    topics,
)

SIGN = "/cds-services/naltrexone-order-sign"
SANDBOX = "https://sandbox.cds-hooks.org"
JSON = {"Content-Type": "application/json"}
OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "exception"}],
}


def ask(body: Any, path: str = SIGN) -> Callable[[Any], requests.Response]:
    return lambda service: service.post(path, json=body)


def send(data: bytes, kind: str = "application/json") -> Callable[[Any], requests.Response]:
    return lambda service: service.post(SIGN, data=data, headers={"Content-Type": kind})


def preflight(service: Any) -> requests.Response:
    return requests.options(
        f"{service.url}{SIGN}",
        timeout=5,
        headers={
            "Origin": SANDBOX,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )


def from_origin(origin: str) -> Callable[[Any], requests.Response]:
    return lambda service: service.post(SIGN, json=conflict(), headers={"Origin": origin})


def allows_sandbox(answer: requests.Response) -> bool:
    allowed = answer.headers.get("Access-Control-Allow-Headers", "").lower()
    return (
        answer.headers.get("Access-Control-Allow-Origin") == SANDBOX and "authorization" in allowed
    )


def cards_are(expected: dict[str, str]) -> Callable[[requests.Response], bool]:
    return lambda answer: answer.json() is not None and expected == topics(answer.json()["cards"])


def is_outcome(answer: requests.Response) -> bool:
    return complaints("operation-outcome", answer.json()) == [] and "Traceback" not in answer.text


CRITICAL = cards_are({T1: "critical", T2: "info"})
BIG = call(
    "order-sign",
    ldn(),
    meds=(*(listed(LEVOTHYROXINE, id=f"levo-{n}") for n in range(1500)), listed()),
)
BARE = {k: v for k, v in conflict().items() if k != "prefetch"}
REFERENCE = order(
    LDN, medicationCodeableConcept=None, medicationReference={"reference": "Medication/x"}
)
CONTAINED = ldn(
    medicationCodeableConcept=None,
    medicationReference={"reference": "#m"},
    contained=[{"resourceType": "Medication", "id": "m", "code": {"text": LDN}}],
)
FAILED = {**conflict(), "prefetch": {**conflict()["prefetch"], "medicationRequests": OUTCOME}}

PROBES: dict[
    str, tuple[Callable[[Any], requests.Response], int, Callable[[requests.Response], bool]]
] = {
    "discovery": (lambda s: s.get("/cds-services"), 200, lambda a: len(a.json()["services"]) == 4),
    "order-sign warns": (ask(conflict()), 200, CRITICAL),
    "order-select warns": (
        ask(conflict("order-select"), SIGN.replace("sign", "select")),
        200,
        CRITICAL,
    ),
    "medication-prescribe warns": (
        ask(conflict("medication-prescribe"), "/cds-services/naltrexone-medication-prescribe"),
        200,
        CRITICAL,
    ),
    "the reverse direction warns": (ask(reverse()), 200, cards_are({T1: "critical"})),
    "fhirServer in the body changes nothing": (
        ask({**conflict(), "fhirServer": "https://ehr.example.org/fhir"}),
        200,
        CRITICAL,
    ),
    "a contained medication is read": (
        ask(call("order-sign", CONTAINED, meds=(listed(),))),
        200,
        CRITICAL,
    ),
    "an unrelated drug is silent": (
        ask(call("order-sign", order(LEVOTHYROXINE))),
        200,
        cards_are({}),
    ),
    "an empty order bundle is silent": (ask(call("order-sign")), 200, cards_are({})),
    "no prefetch is said": (
        ask({**BARE, "context": {**BARE["context"], "draftOrders": [naltrexone_50()]}}),
        200,
        cards_are({T5: "warning"}),
    ),
    "prefetch null is no crash": (
        ask({**conflict(), "prefetch": None}),
        200,
        cards_are({T5: "warning", T2: "info"}),
    ),
    "an outcome in prefetch is said": (ask(FAILED), 200, cards_are({T5: "warning", T2: "info"})),
    "an unknowable order is 412": (ask(call("order-sign", REFERENCE, meds=None)), 412, is_outcome),
    "an empty object is refused": (send(b"{}"), 400, is_outcome),
    "a list is refused": (send(b"[]"), 400, is_outcome),
    "broken JSON is refused": (send(b'{"hook":'), 400, is_outcome),
    "an empty body is refused": (send(b""), 400, is_outcome),
    "text is refused": (send(json.dumps(conflict()).encode(), "text/plain"), 415, is_outcome),
    "an unknown service is refused": (ask(conflict(), "/cds-services/nobody"), 404, is_outcome),
    "a wrong method is refused": (lambda s: s.get(SIGN), 405, is_outcome),
    "a chart of a megabyte is read": (ask(BIG), 200, CRITICAL),
    "preflight lets Authorization through": (preflight, 200, allows_sandbox),
    "the sandbox may read": (
        from_origin(SANDBOX),
        200,
        lambda a: a.headers.get("Access-Control-Allow-Origin") == SANDBOX,
    ),
    "strangers may not": (
        from_origin("https://evil.test"),
        200,
        lambda a: "Access-Control-Allow-Origin" not in a.headers,
    ),
    "credentials are never offered": (
        from_origin(SANDBOX),
        200,
        lambda a: "Access-Control-Allow-Credentials" not in a.headers,
    ),
}


def test_there_are_twenty_five() -> None:
    assert 25 == len(PROBES)


@pytest.mark.parametrize("name", PROBES)
def test_probe(service: Any, name: str) -> None:
    send_it, status, holds = PROBES[name]
    answer = send_it(service)
    assert status == answer.status_code or (
        name.startswith("preflight") and answer.status_code == 204
    )
    assert holds(answer)


def test_a_listed_opioid_under_any_key_is_seen(service: Any) -> None:
    for key in (
        "medicationRequests",
        "medicationStatements",
        "medicationOrders",
        "medicationDispenses",
    ):
        body = call("order-sign", ldn())
        body["prefetch"][key] = bundle(listed())
        assert CRITICAL(service.post(SIGN, json=body))


def test_an_opioid_with_an_opioid_is_silent(service: Any) -> None:
    body = call("order-sign", opioid(), meds=(listed(),))
    assert {"cards": []} == service.post(SIGN, json=body).json()
