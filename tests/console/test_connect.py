"""``/connect``: the TOML that it makes starts a site, its doctor judges as the service does, and nothing pasted stays."""

from __future__ import annotations

import json
import re
import time
import tomllib
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flask.testing import FlaskClient

from cds_service import settings as configuration
from cds_service.app import create_app
from cds_service.auth.token_rules import RULES as TOKEN_RULES
from cds_service.console import connect_checks
from cds_service.console.connect_checks import (
    build_settings,
    check_statement,
    check_token,
    profiles,
    sign_test_call,
)
from cds_service.hooks.services import SERVICES
from cds_service.settings import Client, Settings

ISSUER = "https://ehr.example.org/fhir"
GOOD = {
    "client": 'Example "Hospital" \\ \x7f',
    "issuer": ISSUER,
    "jwks_url": "https://ehr.example.org/jwks.json",
    "fhir_bases": f"{ISSUER} https://ehr.example.org/stu3",
    "public_base_url": "https://cds.example.org",
    "prefetch_profile": "status",
    "null_means_unknown": "1",
}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return create_app(Settings(data_dir=str(tmp_path_factory.mktemp("data")))).test_client()


def verdicts(checks: list[Any]) -> dict[str, str]:
    return {check.name: check.verdict for check in checks}


# --- settings -----------------------------------------------------------------------------------------------------------


def test_the_toml_loads_as_what_was_asked_for(tmp_path) -> None:
    toml, checks = build_settings(GOOD)
    assert {"settings": "pass"} == verdicts(checks)
    file = tmp_path / "site.toml"
    file.write_text(toml, encoding="utf-8")
    loaded = configuration.load(str(file), environ={})
    assert [] == configuration.complaints(loaded)
    (client,) = loaded.clients
    assert (ISSUER, "status", True) == (
        client.issuer,
        client.prefetch_profile,
        client.null_means_unknown,
    )
    assert ("https://ehr.example.org/stu3" in client.fhir_bases, 2) == (
        True,
        len(client.fhir_bases),
    )


@pytest.mark.parametrize("name", ["issuer", "jwks_url", "fhir_bases", "public_base_url"])
def test_what_is_left_out_is_said_with_its_cure(name: str) -> None:
    toml, checks = build_settings({**GOOD, name: ""})
    assert {"fail"} == {check.verdict for check in checks}
    assert all(check.why and check.cure for check in checks)
    tomllib.loads(toml)


# --- tokens -------------------------------------------------------------------------------------------------------------


def settings() -> Settings:
    client = Client(ISSUER, jwks_url="https://ehr.example.org/jwks.json")
    return Settings(clients=(client,), public_base_url="https://cds.example.org")


def made(**changed: Any) -> tuple[str, str]:
    """A token by another library than the one that reads it, and its key set."""
    key = ec.generate_private_key(ec.SECP384R1())
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": "https://cds.example.org/cds-services/naltrexone-order-sign",
        "iat": now,
        "exp": now + 300,
        "jti": "one",
        **changed,
    }
    token = jwt.encode(claims, key, algorithm="ES384", headers={"kid": "k"})
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    return token, json.dumps({"keys": [{**public, "kid": "k"}]})


def test_a_good_token_passes_every_rule_but_replay() -> None:
    token, keys = made()
    found = verdicts(check_token(f"Bearer {token}\n", keys, settings(), time.time()))
    assert {"replay"} == {name for name, verdict in found.items() if verdict != "pass"}


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"iss": "https://elsewhere.example.org"}, "issuer"),
        ({"aud": "https://other.example.org"}, "audience"),
        ({"exp": 10}, "times"),
        ({"jti": ""}, "jti"),
    ],
)
def test_a_fault_is_named_with_its_cure(changed: dict[str, Any], rule: str) -> None:
    token, keys = made(**changed)
    (check,) = [c for c in check_token(token, keys, settings(), time.time()) if c.name == rule]
    assert "fail" == check.verdict
    assert check.cure


def test_another_key_is_seen() -> None:
    found = verdicts(check_token(made()[0], made()[1], settings(), time.time()))
    assert "fail" == found["signature"]


def test_every_rule_of_a_token_has_a_cure() -> None:
    assert {name for name, _ in TOKEN_RULES} == set(connect_checks._CURES)


@pytest.mark.parametrize("pasted", ["", "a.b.c", "{}", "x" * 9_000, "\ud800", "a.b.c.d"])
def test_whatever_is_pasted_as_a_token_is_answered(pasted: str) -> None:
    for keys in ("", "{}", "[", '{"keys": [1]}', "\ud800"):
        assert check_token(pasted, keys, settings(), 1.0)


def test_the_test_call_is_one_that_the_service_would_take() -> None:
    url = "https://cds.example.org/cds-services/naltrexone-order-sign"
    call = sign_test_call(url, settings(), time.time(), "j")
    assert {"replay"} == {check.name for check in call.checks if check.verdict != "pass"}
    assert '"d"' not in call.jwks


# --- statements ---------------------------------------------------------------------------------------------------------


def statement(**changed: Any) -> str:
    kinds = ["MedicationRequest", "MedicationStatement", "Condition", "Encounter"]
    searches = [{"type": k, "searchParam": [{"name": "patient"}]} for k in kinds]
    rest = [{"resource": searches, "security": {"service": [{"text": "SMART OAuth"}]}}]
    body = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": rest}
    return json.dumps({**body, **changed})


def test_a_statement_says_what_can_be_read_and_what_is_lost() -> None:
    checks = {check.name: check for check in check_statement(statement())}
    assert ("pass", "pass", "pass") == tuple(
        checks[name].verdict for name in ("release", "orders", "security")
    )
    assert "not offered" == checks["MedicationDispense"].verdict
    assert checks["MedicationDispense"].cure


@pytest.mark.parametrize(
    "pasted",
    ["", "[]", "null", "1e999", statement(rest=3), statement(rest=[{"resource": [1, {}]}]),
     statement(fhirVersion={"a": 1}), "[" * 10_000, "\ud800"],
)  # fmt: skip
def test_whatever_is_pasted_as_a_statement_is_answered(pasted: str) -> None:
    assert check_statement(pasted)


# --- the page -----------------------------------------------------------------------------------------------------------


def test_the_page_has_each_service_profile_and_error(web: FlaskClient) -> None:
    page = web.get("/connect").text
    assert all(f"/cds-services/{name}" in page for name in SERVICES)
    assert all(f"<code>{name}</code>" in page for name, *_ in profiles())
    assert len(page) < 150_000
    assert "form-action 'self'" in web.get("/connect").headers["Content-Security-Policy"]


@pytest.mark.parametrize("do", ["settings", "token", "statement", "call", "other"])
def test_every_form_answers_and_what_is_pasted_stays_inert(web: FlaskClient, do: str) -> None:
    evil = "<script>alert(1)</script>"
    names = ("issuer", "client", "jwks_url", "fhir_bases", "token", "keys", "statement")
    answer = web.post("/connect", data={"do": do, **dict.fromkeys(names, evil)})
    assert 200 == answer.status_code
    assert "<script" not in answer.text


def test_a_pasted_token_is_not_shown_again(web: FlaskClient) -> None:
    token, keys = made()
    page = web.post("/connect", data={"do": "token", "token": token, "keys": keys}).text
    assert token.rpartition(".")[2] not in page
    assert "Token checked" in page


def test_a_test_call_from_the_page_is_answered_by_the_service(web: FlaskClient) -> None:
    page = web.post("/connect", data={"do": "call"}).text
    token = re.search(r"Bearer ([\w.-]+)", page)
    body = re.search(r"-d &#39;(.*?)&#39;|-d '(.*?)'</pre>", page)
    assert token and body
    sent = json.loads((body[1] or body[2]).replace("&#34;", '"'))
    answer = web.post(
        "/cds-services/naltrexone-order-sign",
        json=sent,
        headers={"Authorization": f"Bearer {token[1]}"},
    )
    assert 200 == answer.status_code
    assert answer.json["cards"]


def test_too_much_is_refused_and_not_read(web: FlaskClient) -> None:
    answer = web.post("/connect", data={"do": "statement", "statement": "x" * 2_100_000})
    assert 413 == answer.status_code
