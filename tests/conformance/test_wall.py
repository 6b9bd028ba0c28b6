"""Who may call, what is fetched with their token, and what of feedback is kept: over real HTTP, production profile."""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.calls import (
    HOOKS,
    PATIENT,
    T1,
    T5,
    TODAY,
    call,
    complaints,
    conflict,
    drafts,
    example,
    ldn,
    leaves,
    listed,
    naltrexone_50,
    order,
    path_of,
    refusal,
    reverse,
    start,
    topics,
    unnamed,
)
from tests.fhir_server import FhirServer, count_connections, serve
from tests.security.ehr import (
    BASE,
    NOW,
    Ehr,
    bearer,
    client,
    exported,
    feedback_item,
    run_production,
)
from tests.security.keys import ISSUER, jwk, sign, token
from tests.tls import make_server_tls

SIGN = "/cds-services/naltrexone-order-sign"
FEEDBACK = f"{SIGN}/feedback"
TOKEN = "fhir-token-1"
ORIGIN = "https://ehr-front.example.org"
ROTATING = "https://rotating.example.com"
TENANTED = "https://tenanted.example.com"
CHART = [
    {"resourceType": "Patient", "id": PATIENT, "birthDate": "1972-03-04"},
    listed(),
    {
        "resourceType": "Condition",
        "id": "c-1",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "code": {"text": "Fibromyalgia"},
    },
]


@dataclass(frozen=True, slots=True)
class Site:
    """A FHIR server with one chart, and the service that may read it."""

    fhir: FhirServer
    ehr: Ehr
    data: Path

    def grant(self, body: Any, **authorization: Any) -> Any:
        """The body with leave to read the FHIR server; a member given as None is taken off."""
        given = {
            "access_token": TOKEN,
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "patient/*.read",
            "subject": "cds-service",
            **authorization,
        }
        return {
            **body,
            "fhirServer": self.fhir.base_url,
            "fhirAuthorization": {
                name: value for name, value in given.items() if value is not None
            },
        }

    def cards(self, body: Any) -> list[Any]:
        answer = self.ehr.call(body)
        assert 200 == answer.status_code, answer.text
        found = answer.json()
        assert [] == complaints("response", found)
        return list(found["cards"])

    def keep(self, *items: Any, **options: Any) -> int:
        return self.ehr.post(FEEDBACK, json={"feedback": list(items)}, **options).status_code

    def stored(self, *cards: str) -> list[Any]:
        """What was stored about these cards."""
        return [each for each in exported(self.data) if each["card"] in cards]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    tls, _ = make_server_tls(folder, "localhost")
    with serve(CHART, tls=tls, name="localhost", token=TOKEN) as fhir:
        fhir.pages["/jwks.json"] = {"keys": [jwk(kid="old")]}  # keys are fetched at start, too
        clients = [
            client(folder, fhir_bases=[fhir.base_url]),
            {
                "issuer": ROTATING,
                "jwks_url": f"{fhir.base_url}/jwks.json",
                "fhir_bases": [fhir.base_url],
            },
            client(folder, TENANTED, number=2, tenants=["north"]),
        ]
        with run_production(
            folder,
            *clients,
            environ={"SSL_CERT_FILE": str(folder / "cert.pem")},
            cors_origins=[ORIGIN],
        ) as ehr:
            yield Site(fhir, ehr, folder / "data")


@pytest.fixture
def site(opened: Site) -> Site:
    opened.fhir.seen.clear()
    opened.fhir.fault = ""
    return opened


def without(body: Any, *keys: str) -> Any:
    return {
        **body,
        "prefetch": {key: value for key, value in body["prefetch"].items() if key not in keys},
    }


# --- discovery (R27) --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("authorization", [None, "Bearer x", "Bearer a.b.c", "Basic eA=="])
def test_CR27_discovery_is_open_whatever_token_comes_along(
    site: Site, authorization: str | None
) -> None:
    """The sandbox and Inferno send a token that nobody asked for."""
    headers = {"Authorization": authorization} if authorization else {}
    assert 200 == site.ehr.service.get("/cds-services", headers=headers).status_code


def test_CR27_a_site_may_guard_discovery_too(tmp_path: Path) -> None:
    with run_production(tmp_path, auth="all") as ehr:
        signed = ehr.service.get("/cds-services", headers=bearer("/cds-services"))
        other = ehr.service.get("/cds-services", headers=bearer(SIGN))
        assert [401, 200, 401] == [
            ehr.service.get("/cds-services").status_code,
            signed.status_code,
            other.status_code,
        ]


# --- FHIR access (R33-R36, R50, R55, R57-R59) -------------------------------------------------------------------------


def test_CR33_authorization_without_a_server_is_no_access_and_no_error(site: Site) -> None:
    body = {**site.grant(conflict()), "fhirServer": None}
    assert unnamed(site.cards(conflict())) == unnamed(site.cards(body))
    assert [] == site.fhir.seen


def test_CR34_a_server_without_https_is_never_called_in_production(site: Site) -> None:
    """The answer is built from prefetch; the listener hears nothing."""
    with count_connections() as count:
        body = {
            **site.grant(without(naltrexone(), "medicationRequests")),
            "fhirServer": f"http://127.0.0.1:{count.port}",
        }
        listed_in_http = {**body, "fhirServer": site.fhir.base_url.replace("https:", "http:")}
        found = [topics(site.cards(each)) for each in (body, listed_in_http)]
        assert ([{T5: "warning"}] * 2, 0, []) == (found, count(), site.fhir.seen)


def naltrexone() -> Any:
    return call("order-sign", naltrexone_50())


@pytest.mark.parametrize(
    ("odd", "is_called"),
    [
        ({"token_type": "bearer"}, True),
        ({"token_type": "BEARER"}, True),
        ({"expires_in": "300"}, True),
        ({"scope": None, "subject": None}, True),
        ({"expires_in": 0}, False),
        ({"expires_in": -5}, False),
        ({"token_type": "MAC"}, False),
        ({"token_type": None}, False),
        ({"access_token": None}, False),
        ({"access_token": ""}, False),
        ({"access_token": 5}, False),
        ({"access_token": "a\r\nX: y"}, False),
    ],
)
def test_CR35_an_odd_authorization_never_crashes_and_is_used_only_where_it_is_a_live_bearer_token(
    site: Site, odd: Any, is_called: bool
) -> None:
    found = site.cards(site.grant(without(naltrexone(), "medicationRequests"), **odd))
    assert (is_called, {T1: "critical"} if is_called else {T5: "warning"}) == (
        bool(site.fhir.seen),
        topics(found),
    )


@pytest.mark.parametrize(
    ("patient", "is_called"),
    [
        (PATIENT, True),
        (f"Patient/{PATIENT}", True),
        ("p2", False),
        ("Patient/p2", False),
        (f"{PATIENT}0", False),
    ],
)
def test_CR36_a_token_for_another_patient_is_not_used(
    site: Site, patient: str, is_called: bool
) -> None:
    found = site.cards(site.grant(without(naltrexone(), "medicationRequests"), patient=patient))
    assert (is_called, {T1: "critical"} if is_called else {T5: "warning"}) == (
        bool(site.fhir.seen),
        topics(found),
    )


QUERIES = {
    "patient": ("GET", f"/Patient/{PATIENT}"),
    **{
        key: ("POST", f"/{kind}/_search")
        for key, kind in {
            "medicationRequests": "MedicationRequest",
            "medicationStatements": "MedicationStatement",
            "medicationDispenses": "MedicationDispense",
            "medicationAdministrations": "MedicationAdministration",
            "conditions": "Condition",
        }.items()
    },
}


@pytest.mark.parametrize("key", QUERIES)
def test_CR50_a_missing_key_is_fetched_and_nothing_else_is(site: Site, key: str) -> None:
    found = site.cards(site.grant(without(conflict(), key)))
    asked = [(each.method, each.path.removeprefix("/fhir")) for each in site.fhir.seen]
    assert ([QUERIES[key]], unnamed(site.cards(conflict()))) == (asked, unnamed(found))


def test_CR50_a_complete_prefetch_needs_no_call(site: Site) -> None:
    site.cards(site.grant(conflict()))
    assert [] == site.fhir.seen


def test_CR50_drugs_that_do_not_concern_us_need_no_call(site: Site) -> None:
    assert [] == site.cards(
        site.grant(call("order-sign", order("Amoxicillin 500 MG Oral Capsule"), meds=None))
    )
    assert [] == site.fhir.seen


def paged(link: str) -> Any:
    """Naltrexone drafted; of the medication list only a first page without opioids was sent."""
    body = naltrexone()
    body["prefetch"]["medicationRequests"] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 1,
        "link": [{"relation": "next", "url": link}],
    }
    return body


def test_CR55_a_next_link_of_prefetch_is_followed_with_the_token(site: Site) -> None:
    site.fhir.pages["/page-2"] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 1,
        "entry": [{"resource": listed()}],
    }
    found = site.cards(site.grant(paged(f"{site.fhir.base_url}/page-2")))
    assert {T1: "critical"} == topics(found)
    assert [("/fhir/page-2", f"Bearer {TOKEN}")] == [
        (e.path, e.headers["authorization"]) for e in site.fhir.seen
    ]


def test_CR55_a_next_link_elsewhere_is_not_followed_and_the_list_is_incomplete(site: Site) -> None:
    with count_connections() as count:
        links = (
            f"http://127.0.0.1:{count.port}/fhir/2",
            f"https://localhost:{count.port}/fhir/2",
            site.fhir.base_url.replace("/fhir", "/fhir-evil/2"),
        )
        found = [topics(site.cards(site.grant(paged(link)))) for link in links]
        assert ([{T5: "warning"}] * 3, 0, []) == (found, count(), site.fhir.seen)


def test_CR55_a_next_link_without_a_token_is_an_incomplete_list(site: Site) -> None:
    assert {T5: "warning"} == topics(site.cards(paged(f"{site.fhir.base_url}/page-2")))
    assert [] == site.fhir.seen


def test_CR55_a_next_link_that_loops_ends(site: Site) -> None:
    link = f"{site.fhir.base_url}/loop"
    site.fhir.pages["/loop"] = paged(link)["prefetch"]["medicationRequests"]
    assert {T5: "warning"} == topics(site.cards(site.grant(paged(link))))
    assert len(site.fhir.seen) <= 10


def test_CR57_prefetch_and_fhir_access_give_identical_cards(site: Site) -> None:
    meds = tuple(each for each in CHART if each["resourceType"] != "Patient")
    sent = site.cards(call("order-sign", ldn(), meds=meds))
    fetched = site.cards(site.grant(call("order-sign", ldn(), meds=None)))
    assert unnamed(sent) == unnamed(fetched)
    assert "critical" == topics(sent)[T1]


def test_CR58_every_call_to_the_server_carries_the_token_and_nobody_else_gets_one(
    site: Site,
) -> None:
    site.cards(site.grant(call("order-sign", ldn(), meds=None)))
    assert {f"Bearer {TOKEN}"} == {each.headers.get("authorization") for each in site.fhir.seen}
    assert len(QUERIES) <= len(site.fhir.seen)


def test_CR58_without_a_token_none_is_sent(site: Site) -> None:
    """An open server is read; this one refuses, so the list stays unknown."""
    body = {
        key: value
        for key, value in site.grant(without(naltrexone(), "medicationRequests")).items()
        if key != "fhirAuthorization"
    }
    assert {T5: "warning"} == topics(site.cards(body))
    assert [None] == [each.headers.get("authorization") for each in site.fhir.seen]


def test_CR59_the_token_is_gone_when_the_call_is_over(site: Site) -> None:
    """It is in no file of the service, and a later call without one does not profit from it."""
    secret = f"secret-{uuid.uuid4().hex}"
    site.cards(site.grant(call("order-sign", ldn(), meds=None), access_token=secret))
    time.sleep(0.5)
    files = [file for file in site.data.rglob("*") if file.is_file()]
    assert [] == [file.name for file in files if secret.encode() in file.read_bytes()]
    assert {"log.txt", "store.sqlite3"} <= {file.name for file in files}


# --- feedback (R100-R110) ---------------------------------------------------------------------------------------------


def test_CR100_feedback_has_the_published_address(site: Site) -> None:
    item = feedback_item()
    assert (200, 1) == (site.keep(item), len(site.stored(item["card"])))
    unknown = site.ehr.post("/cds-services/no-such/feedback", json={"feedback": [item]})
    wrong = site.ehr.service.get(FEEDBACK)
    assert [404, 405, "OPTIONS, POST"] == [
        unknown.status_code,
        wrong.status_code,
        wrong.headers["Allow"],
    ]


@pytest.mark.parametrize(
    "shape",
    [
        lambda item: item,
        lambda item: [item],
        lambda item: {"feedback": item},
        lambda _: {},
        lambda _: {"feedback": None},
        lambda _: "x",
    ],
)
def test_CR101_only_an_object_with_a_list_of_feedback_is_taken(site: Site, shape: Any) -> None:
    item = feedback_item()
    answer = site.ehr.post(FEEDBACK, json=shape(item))
    assert (400, []) == (answer.status_code, site.stored(item["card"]))
    refusal(answer)


@pytest.mark.parametrize(
    "wrong",
    [
        {"card": None},
        {"card": 5},
        {"card": ""},
        {"outcome": None},
        {"outcome": "ignored"},
        {"outcome": 1},
        {"outcomeTimestamp": None},
        {"outcomeTimestamp": "yesterday"},
        {"outcomeTimestamp": 5},
    ],
)
def test_CR102_an_item_without_card_outcome_or_time_is_refused_and_nothing_of_its_call_is_stored(
    site: Site, wrong: Any
) -> None:
    good = feedback_item()
    assert (400, []) == (site.keep(good, feedback_item(**wrong)), site.stored(good["card"]))


@pytest.mark.parametrize(
    ("suggestions", "status"),
    [(None, 400), ([], 400), ([{}], 400), ([{"id": ""}], 400), ([{"id": str(uuid.uuid4())}], 200)],
)
def test_CR103_an_accepted_card_names_the_suggestion(
    site: Site, suggestions: Any, status: int
) -> None:
    item = feedback_item(outcome="accepted", acceptedSuggestions=suggestions, overrideReason=None)
    assert (status, int(status == 200)) == (site.keep(item), len(site.stored(item["card"])))


def test_CR104_an_override_needs_no_reason(site: Site) -> None:
    item = feedback_item(overrideReason=None)
    assert 200 == site.keep(item)
    (found,) = site.stored(item["card"])
    assert "overrideReason" not in found


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ({}, 400),
        ({"reason": {}}, 400),
        ({"reason": {"code": "x"}}, 200),
        ({"userComment": "x"}, 200),
        ({"reason": {"code": "x", "system": "urn:y", "display": "z"}, "userComment": "w"}, 200),
    ],
)
def test_CR105_a_reason_is_a_coding_or_a_comment_or_both(
    site: Site, reason: Any, status: int
) -> None:
    item = feedback_item(overrideReason=reason)
    assert status == site.keep(item)
    assert [reason] * (status == 200) == [
        each["overrideReason"] for each in site.stored(item["card"])
    ]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-11-21T11:59:00Z", "2026-11-21T11:59:00.000000Z"),
        ("2026-11-21T11:59:00+00:00", "2026-11-21T11:59:00.000000Z"),
        ("2026-11-21T11:59:00.123Z", "2026-11-21T11:59:00.123000Z"),
        ("2026-11-21T06:59:00-05:00", "2026-11-21T11:59:00.000000Z"),
        ("2026-11-21", ""),
        ("2026-11-21T11:59:00", ""),
    ],
)
def test_CR106_times_are_rfc_3339_and_kept_in_utc(site: Site, sent: str, kept: str) -> None:
    item = feedback_item(outcomeTimestamp=sent)
    assert (200 if kept else 400) == site.keep(item)
    assert [kept] * bool(kept) == [each["outcomeTimestamp"] for each in site.stored(item["card"])]


def test_CR107_several_items_are_all_kept_and_a_repeat_is_kept_once(site: Site) -> None:
    first, second = feedback_item(), feedback_item()
    again = {**first, "outcomeTimestamp": "2026-11-21T12:00:00Z"}
    assert [200] * 4 == [
        site.keep(first, second),
        site.keep(again),
        site.keep(first),
        site.keep(first, first),
    ]
    assert 3 == len(site.stored(first["card"], second["card"]))


@pytest.mark.parametrize(
    ("aud", "status"),
    [
        (BASE + FEEDBACK, 200),
        (BASE + SIGN, 200),
        (f"{BASE}/cds-services/naltrexone-order-select/feedback", 401),
        (f"{BASE}/cds-services", 401),
        (BASE, 401),
    ],
)
def test_CR108_feedback_is_signed_for_its_own_url_or_its_services(
    site: Site, aud: str, status: int
) -> None:
    item = feedback_item()
    assert status == site.keep(item, headers=bearer(FEEDBACK, aud=aud))
    assert int(status == 200) == len(site.stored(item["card"]))


def test_CR109_a_card_that_nobody_reported_on_leaves_no_feedback(site: Site) -> None:
    shown = [card["uuid"] for card in site.cards(conflict())]
    assert (2, []) == (len(shown), site.stored(*shown))


def test_CR110_feedback_on_an_unknown_card_is_stored_as_unmatched(site: Site) -> None:
    shown, unknown = site.cards(conflict())[0]["uuid"], str(uuid.uuid4())
    wait_for_audit(site.data, shown)
    assert 200 == site.keep(feedback_item(card=shown), feedback_item(card=unknown))
    assert {shown: True, unknown: False} == {
        each["card"]: each["matched"] for each in site.stored(shown, unknown)
    }


def wait_for_audit(data: Path, card: str) -> None:
    deadline = time.monotonic() + 10
    with closing(sqlite3.connect(f"file:{data}/store.sqlite3?mode=ro", uri=True)) as connection:
        while not connection.execute("SELECT 1 FROM shown_card WHERE card = ?", [card]).fetchone():
            assert time.monotonic() < deadline, "the shown card never reached the audit log"
            time.sleep(0.05)


# --- client authentication (R120-R130) --------------------------------------------------------------------------------


def status_of(site: Site, headers: Any, path: str = SIGN, **members: Any) -> int:
    body = {**conflict(), **members}
    return site.ehr.service.post(path, json=body, headers=headers).status_code


@pytest.mark.parametrize("path", [SIGN, FEEDBACK])
def test_CR120_a_call_without_a_token_is_refused_in_production(site: Site, path: str) -> None:
    answer = site.ehr.service.post(path, json=conflict())
    assert (401, "Bearer") == (answer.status_code, answer.headers["WWW-Authenticate"])
    refusal(answer)


@pytest.mark.parametrize("alg", ["none", "None", "", "HS256", "HS384", "HS512"])
def test_CR121_unsigned_tokens_and_shared_secrets_are_refused(site: Site, alg: str) -> None:
    payload = {
        "iss": ISSUER,
        "aud": BASE + SIGN,
        "iat": NOW,
        "exp": NOW + 300,
        "jti": uuid.uuid4().hex,
    }
    forged = sign({"alg": alg, "kid": jwk()["kid"], "typ": "JWT"}, json.dumps(payload).encode())
    unsigned = f"{forged.rpartition('.')[0]}."
    assert [401, 401] == [
        status_of(site, {"Authorization": f"Bearer {each}"}) for each in (forged, unsigned)
    ]


def test_CR122_an_issuer_or_key_url_that_is_not_listed_is_refused_without_a_call(
    site: Site,
) -> None:
    with count_connections() as count:
        jku = f"https://localhost:{count.port}/jwks.json"
        foreign = token(
            iss=ISSUER,
            aud=BASE + SIGN,
            iat=NOW,
            exp=NOW + 300,
            jti=uuid.uuid4().hex,
            header={"jku": jku},
        )
        stranger = bearer(SIGN, issuer="https://stranger.example.com")
        assert [401, 401] == [
            status_of(site, each) for each in (stranger, {"Authorization": f"Bearer {foreign}"})
        ]
        assert 0 == count()


@pytest.mark.parametrize(
    ("aud", "status"),
    [
        (BASE + SIGN, 200),
        (f"{BASE}{SIGN}/", 200),
        (["https://x.example.org", BASE + SIGN], 200),
        (BASE, 401),
        (f"{BASE}/cds-services", 401),
        (f"{BASE}/cds-services/naltrexone-order-select", 401),
        (BASE + SIGN.replace("sign", "sig"), 401),
        ((BASE + SIGN).replace("https:", "http:"), 401),
        (f"{BASE}:8443{SIGN}", 401),
        (f"https://evil.example.org{SIGN}", 401),
        ([], 401),
        ({}, 401),
    ],
)
def test_CR123_aud_is_the_endpoint_that_is_called(site: Site, aud: Any, status: int) -> None:
    assert status == status_of(site, bearer(SIGN, aud=aud))


@pytest.mark.parametrize(
    "trick",
    [
        {"Host": "evil.example.org"},
        {"X-Forwarded-Host": "evil.example.org"},
        {"Forwarded": "host=evil.example.org"},
    ],
)
def test_CR123_no_header_changes_the_endpoint(site: Site, trick: Any) -> None:
    evil = bearer(SIGN, aud=f"https://evil.example.org{SIGN}")
    assert [401, 200] == [
        status_of(site, {**evil, **trick}),
        status_of(site, {**bearer(SIGN), **trick}),
    ]


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "iat", "jti"])
def test_CR124_each_claim_is_required(site: Site, claim: str) -> None:
    assert 401 == status_of(site, bearer(SIGN, **{claim: None}))


def test_CR124_a_token_shaped_like_epics_is_accepted(site: Site) -> None:
    assert 200 == status_of(site, bearer(SIGN, nbf=NOW - 300, exp=NOW + 900, sub=ISSUER))


def test_CR125_a_token_is_accepted_once(site: Site) -> None:
    once = bearer(SIGN)
    said = [status_of(site, once, hookInstance=name) for name in ("a", "b", "c", "a")]
    assert [200, 401, 401, 200] == said  # the last is the first again: a proxy's retry


def test_CR125_a_tenant_that_is_not_listed_is_refused(site: Site) -> None:
    said = [
        status_of(site, bearer(SIGN, issuer=TENANTED, number=2, tenant=t))
        for t in ("north", "south", None)
    ]
    assert [200, 401, 401] == said


def test_CR126_every_refusal_is_the_same_to_the_byte(site: Site) -> None:
    """Sent without a body: refusals come before it is read, and where it is still on its way the server adds
    ``Connection: close``, which says nothing of the refusal and depends on the network alone.
    """
    used = bearer(SIGN)
    status_of(site, used)
    bad = [
        {},
        {"Authorization": ""},
        {"Authorization": "Basic eDp5"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer a.b.c"},
        used,
        bearer(SIGN, iss="x"),
        bearer(SIGN, aud="x"),
        bearer(SIGN, exp=NOW - 99),
        bearer(SIGN, iat=NOW + 90),
        bearer(SIGN, exp=NOW + 90_000),
        bearer(SIGN, jti=""),
        bearer(SIGN, number=1),
        bearer(SIGN, issuer=TENANTED, number=2, tenant="south"),
        {"Authorization": f"Bearer {'x' * 9_000}"},
    ]
    answers = [site.ehr.service.post(SIGN, headers=each) for each in bad]
    own = {"date", "x-request-id"}
    said = {
        (
            a.status_code,
            a.content,
            tuple((k, v) for k, v in a.headers.items() if k.lower() not in own),
        )
        for a in answers
    }
    assert ([401], 1) == (sorted({status for status, _, _ in said}), len(said))


def test_CR127_no_token_is_logged_but_why_it_was_refused_is(site: Site) -> None:
    good, bad = bearer(SIGN), bearer(SIGN, jti="jti-that-nobody-logs", number=1)
    assert [200, 401] == [status_of(site, good), status_of(site, bad)]
    log = wait_for_log(site.data / "log.txt", '"why":"signature"')
    parts = [
        each
        for headers in (good, bad)
        for each in headers["Authorization"].split(" ")[1].split(".")
    ]
    assert [] == [each for each in parts if each in log]


def wait_for_log(file: Path, text: str) -> str:
    deadline = time.monotonic() + 10
    while text not in (log := file.read_text()):
        assert time.monotonic() < deadline, f"{text} was never logged"
        time.sleep(0.05)
    return log


def test_CR128_both_recommended_algorithms_are_accepted_and_others_are_not(tmp_path: Path) -> None:
    keys = {
        "ES384": "P-384",
        "RS384": "RSA-2048",
        "ES256": "P-256",
        "RS256": "RSA-2048",
        "PS384": "RSA-2048",
    }
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk(name, kid=alg) for alg, name in keys.items()]}))
    entry = {"issuer": ISSUER, "jwks_file": str(file), "fhir_bases": ["https://fhir.example.org"]}
    with run_production(tmp_path, entry) as ehr:
        said = {}
        for alg, name in keys.items():
            claims = {"iss": ISSUER, "aud": BASE + SIGN, "iat": NOW, "exp": NOW + 300, "jti": alg}
            headers = {
                "Authorization": f"Bearer {token(name, alg=alg, header={'kid': alg}, **claims)}"
            }
            said[alg] = ehr.service.post(SIGN, json=conflict(), headers=headers).status_code
    assert {"ES384": 200, "RS384": 200, "ES256": 401, "RS256": 401, "PS384": 401} == said


def test_CR129_keys_from_a_url_follow_a_rotation_with_one_more_fetch(site: Site) -> None:
    """Production fetches them through the guarded door: https, listed, certificate checked."""
    said = [status_of(site, rotating("old", 0)), status_of(site, rotating("old", 0))]
    site.fhir.pages["/jwks.json"] = {"keys": [jwk(kid="old"), jwk(number=1, kid="new")]}
    said += [status_of(site, rotating("new", 1)) for _ in range(3)]
    assert ([200] * 5, ["/fhir/jwks.json"]) == (said, [each.path for each in site.fhir.seen])


def rotating(kid: str, number: int) -> dict[str, str]:
    claims = {
        "iss": ROTATING,
        "aud": BASE + SIGN,
        "iat": NOW,
        "exp": NOW + 300,
        "jti": uuid.uuid4().hex,
    }
    return {"Authorization": f"Bearer {token(number=number, header={'kid': kid}, **claims)}"}


@pytest.mark.parametrize(
    "header",
    ["X-SSL-Client-Verify", "X-Client-Cert", "X-Forwarded-Client-Cert", "SSL-Client-Verify"],
)
def test_CR130_a_header_of_a_proxy_is_no_client_certificate(site: Site, header: str) -> None:
    """Mutual TLS may be used in front of this service; nothing that a caller says about it is believed."""
    assert 401 == status_of(site, {header: "SUCCESS", "X-Forwarded-Proto": "https"})


# --- browsers (R140) --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "method"), [("/cds-services", "GET"), (SIGN, "POST"), (FEEDBACK, "POST")]
)
def test_CR140_a_preflight_needs_no_token(site: Site, path: str, method: str) -> None:
    answer = site.ehr.service.request(
        "OPTIONS",
        path,
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    allowed = {
        name: answer.headers[f"Access-Control-Allow-{name}"].lower()
        for name in ("Origin", "Methods", "Headers")
    }
    assert (200, ORIGIN) == (answer.status_code, allowed["Origin"])
    assert method.lower() in allowed["Methods"]
    assert {"authorization", "content-type"} == {
        each.strip() for each in allowed["Headers"].split(",")
    }


def test_CR140_a_browser_may_read_every_answer_and_every_error(site: Site) -> None:
    service, json_type, origin = (
        site.ehr.service,
        {"Content-Type": "application/json"},
        {"Origin": ORIGIN},
    )
    nowhere = {
        "medicationCodeableConcept": None,
        "medicationReference": {"reference": "Medication/nowhere"},
    }
    answers = [
        service.get("/cds-services", headers=origin),
        site.ehr.call(conflict(), headers=origin),
        site.ehr.post(SIGN, data=b"{", headers={**json_type, **origin}),
        service.post(SIGN, headers=origin),
        service.post("/cds-services/no-such", headers=origin),
        service.get(SIGN, headers=origin),
        site.ehr.call(call("order-sign", order("", **nowhere), meds=None), headers=origin),
        site.ehr.post(
            FEEDBACK,
            data=b'{"feedback": "' + b"x" * 70_000 + b'"}',
            headers={**json_type, **origin},
        ),
        site.ehr.post(SIGN, data=b"x", headers={"Content-Type": "text/plain", **origin}),
    ]
    assert [200, 200, 400, 401, 404, 405, 412, 413, 415] == [
        answer.status_code for answer in answers
    ]
    assert {ORIGIN} == {answer.headers.get("Access-Control-Allow-Origin") for answer in answers}


@pytest.mark.parametrize("hook", HOOKS)
def test_CR28_no_action_selection_behaviour_is_ever_sent(site: Site, hook: str) -> None:
    """No client is known to support it; the suggestions that could bear it are there."""
    found = [
        card for body in (conflict(hook), reverse(hook), start(hook)) for card in site.cards(body)
    ]
    assert any(card.get("suggestions") for card in found)
    assert [] == [path for path, _ in leaves(found) if path.endswith("actionSelectionBehavior")]


# --- Inferno (I6-I8; the TLS version, I1, is the proxy's) -------------------------------------------------------------


@pytest.mark.parametrize(("key", "alg"), [("P-384", "ES384"), ("RSA-2048", "RS384")])
def test_CI06_each_service_answers_a_call_signed_as_inferno_signs(
    tmp_path: Path, key: str, alg: str
) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk(key)]}))
    inferno = {
        "issuer": "https://inferno.example.org/suites",
        "jwks_file": str(file),
        "jku": ["https://inferno.example.org/jwks.json"],
        "fhir_bases": ["https://inferno.example.org/fhir"],
    }
    with run_production(tmp_path, inferno) as ehr:
        for hook in HOOKS:
            path = path_of({}, hook)
            signed = token(
                key,
                alg=alg,
                header={"jku": "https://inferno.example.org/jwks.json"},
                iss=inferno["issuer"],
                aud=BASE + path,
                iat=NOW,
                exp=NOW + 300,
                jti=(uuid.uuid4().hex * 2),
            )
            answer = ehr.service.post(
                path, json=conflict(hook), headers={"Authorization": f"Bearer {signed}"}
            )
            assert (200, []) == (answer.status_code, complaints("response", answer.json()))


@pytest.mark.parametrize("hook", HOOKS)
def test_CI07_a_request_with_all_that_inferno_demands_is_accepted(site: Site, hook: str) -> None:
    body = site.grant(conflict(hook), patient=PATIENT)
    assert {"hook", "hookInstance", "context", "fhirServer", "fhirAuthorization"} <= body.keys()
    assert [] == complaints("request", body)
    assert "critical" == topics(site.cards(body))[T1]


@pytest.mark.parametrize("user", ["Practitioner/a-1", "PractitionerRole/a-1"])
@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_CI08_a_context_as_inferno_demands_it_is_accepted(site: Site, hook: str, user: str) -> None:
    """Bare ids, drafts with ids among orders of other kinds, selections that point into them."""
    device = {
        "resourceType": "DeviceRequest",
        "id": "d-1",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "codeCodeableConcept": {"text": "Walker"},
    }
    service_request = {
        "resourceType": "ServiceRequest",
        "id": "s-1",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "authoredOn": TODAY,
        "code": {"text": "X-ray"},
    }
    body = conflict(hook)
    body["context"] |= {
        "userId": user,
        "encounterId": "e-1",
        "draftOrders": drafts(device, ldn(), service_request),
    }
    if hook == "order-select":
        body["context"]["selections"] = ["DeviceRequest/d-1", "MedicationRequest/ntx-1"]
    assert "critical" == topics(site.cards(body))[T1]


def test_CR120_the_demo_profile_answers_the_specifications_example_without_a_token(
    service: Any,
) -> None:
    """So that a newcomer sees a card first; the start says that this is no place for patients."""
    body = example("derived__request__library__order-sign-01")
    assert 200 == service.post(path_of(body), json=body).status_code
