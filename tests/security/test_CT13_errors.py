"""A fault of ours is a fixed answer with a request id, never a stack, and never an empty list of cards (T13)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from cds_service.settings import SettingsError, check
from tests.conformance.calls import (
    T5,
    call,
    ldn,
    listed,
    naltrexone_50,
    opioid,
    order,
    refusal,
    topics,
)
from tests.conftest import Running
from tests.security.ehr import run_failing
from tests.security.keys import ehr, settings

SIGN = "/cds-services/naltrexone-order-sign"
OTHER = order("Amoxicillin 500 MG Oral Capsule")
NOT_FOR_CALLERS = re.compile(
    r"Traceback|File \"|\.py|line \d+|/home/|/usr/|site-packages|werkzeug|flask|python|granian[ /]\d",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with run_failing(tmp_path_factory.mktemp("failing")) as running:
        yield running


def send(failing: Running, body: Any, fault: str, **headers: str) -> requests.Response:
    return failing.post(SIGN, json=body, headers={"X-Test-Fault": fault, **headers})


def test_CT13_a_fault_is_a_500_with_a_fixed_text_and_the_request_id(failing: Running) -> None:
    answers = [
        send(failing, call("order-sign", OTHER), "clock", **{"X-Request-Id": "abc-1"})
        for _ in range(2)
    ]
    found = refusal(answers[0])
    assert (500, "abc-1") == (answers[0].status_code, answers[0].headers["X-Request-Id"])
    assert "exception" == found["issue"][0]["code"]
    assert answers[0].content == answers[1].content


def test_CT13_a_fault_answers_with_all_headers_of_the_wall(failing: Running) -> None:
    headers = send(
        failing, call("order-sign", OTHER), "clock", Origin="http://localhost:8080"
    ).headers
    assert ("no-store", "nosniff", "http://localhost:8080") == (
        headers["Cache-Control"],
        headers["X-Content-Type-Options"],
        headers["Access-Control-Allow-Origin"],
    )


@pytest.mark.parametrize("fault", ["clock", "rule"])
@pytest.mark.parametrize("draft", [naltrexone_50(), opioid()], ids=["naltrexone", "opioid"])
def test_CT13_a_fault_while_a_drug_of_ours_is_drafted_is_a_could_not_check_card(
    failing: Running, draft: Any, fault: str
) -> None:
    answer = send(failing, call("order-sign", draft), fault)
    assert (200, {T5: "warning"}) == (answer.status_code, topics(answer.json()["cards"]))


def test_CL18_a_broken_rule_never_silences_the_others(failing: Running) -> None:
    found = topics(
        send(failing, call("order-sign", ldn(), meds=(listed(),)), "rule").json()["cards"]
    )
    assert "critical" == found["naltrexone-opioid-interaction"]


def test_CT13_the_service_goes_on_after_faults(failing: Running) -> None:
    for _ in range(20):
        send(failing, call("order-sign", OTHER), "clock")
    assert 200 == send(failing, call("order-sign", opioid()), "").status_code


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", "/nowhere", {}),
        ("GET", SIGN, {}),
        ("POST", SIGN, {"data": b"{"}),
        ("POST", SIGN, {"json": {}}),
        ("POST", SIGN, {"data": b"{", "headers": {"Content-Type": "application/json"}}),
        ("PUT", "/livez", {}),
        ("POST", SIGN, {"json": call("order-sign", OTHER), "headers": {"X-Test-Fault": "clock"}}),
        ("GET", "/cds-services/%00", {}),
        ("GET", "/..%2f..%2fetc/passwd", {}),
        ("GET", "/smart/s/none/", {}),
    ],
)
def test_CT13_no_error_shows_a_stack_a_path_or_a_version(
    failing: Running, method: str, path: str, options: Any
) -> None:
    answer = failing.request(method, path, **options)
    assert 400 <= answer.status_code <= 599
    assert None is NOT_FOR_CALLERS.search(answer.text), answer.text


@pytest.mark.parametrize(
    "query", ["__debugger__=yes&cmd=resource&f=debugger.js", "__debugger__=yes&cmd=printpin&s=x"]
)
@pytest.mark.parametrize("path", ["/livez", "/console", "/nowhere", SIGN])
def test_CT13_no_debugger_answers(failing: Running, path: str, query: str) -> None:
    plain, asked = failing.get(path), failing.get(f"{path}?{query}")
    assert (plain.status_code, plain.content) == (asked.status_code, asked.content)


def test_CT13_the_debug_switch_of_flask_is_refused_in_production(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    with pytest.raises(SettingsError, match="FLASK_DEBUG"):
        check(settings(ehr(fhir_bases=("https://fhir.example.org",))))


@pytest.mark.parametrize("given", ["", "x y", "a" * 65, "-a", "é", "<b>", "a;b"])
def test_CT13_a_request_id_that_is_none_is_replaced_by_ours(failing: Running, given: str) -> None:
    ours = failing.get("/livez", headers={"X-Request-Id": given.encode()}).headers["X-Request-Id"]
    assert ours == str(uuid.UUID(ours))
