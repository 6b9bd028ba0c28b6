"""The launch of the titration app (conformance T9): listed EHRs only, PKCE, one browser, one use, no token in sight."""

from __future__ import annotations

import html
import json
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask.testing import FlaskClient

from cds_service.planner.blueprint import make_smart
from cds_service.planner.edition import edition_of
from cds_service.planner.launch import read_context
from cds_service.planner.registration import registrations
from cds_service.settings import Settings, Smart, SmartIssuer
from tests.e2e.oauth_server import Ehr, serve_ehr
from tests.e2e.smart_site import FIBROMYALGIA, NOON, PATIENT, Clock, Site, engine, make_site
from tests.e2e.smart_steps import (
    is_written,
    open_app,
    sign_in,
    start,
    words,
    write_plan,
)
from tests.planner.pages import SHIPPED, Planner


def title_of(trouble: str) -> str:
    """The title of an error page, as the content words it."""
    return edition_of(engine().content, NOON.date()).say(f"trouble.{trouble}.title")


def authorize_parameters(response_location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(response_location).query).items()}


LOOK_ALIKES = [
    "http://evil.test/fhir",
    "{iss}.evil.test",
    "{iss}/../other",
    "{iss}/x",
    "{iss}//",
    "{iss}?x=1",
    "{iss}#f",
    "http://user@127.0.0.1:{port}/fhir",
    "HTTP://127.0.0.1:{port}/fhir",
    "http://127.0.0.1:{port}/FHIR",
    "http://127.0.0.1.evil.test:{port}/fhir",
    "http://127.1:{port}/fhir",
    "https://127.0.0.1:{port}/fhir",
    "{iss}%00",
    "{iss}\\",
    " {iss}",
    "javascript:alert(1)",
    "",
]


@pytest.mark.parametrize("template", LOOK_ALIKES)
def test_CT09_an_iss_that_is_not_listed_exactly_is_refused_before_any_call(
    client: FlaskClient, ehr: Ehr, template: str
) -> None:
    """A readable 403 and not one request to anybody."""
    iss = template.replace("{iss}", ehr.iss).replace("{port}", ehr.root.rsplit(":", 1)[1])
    answer = client.get("/smart/launch", query_string={"iss": iss, "launch": "x"})
    assert (403, 0) == (answer.status_code, len(ehr.seen))
    assert title_of("unknown-iss") in words(answer)


def test_a_trailing_slash_of_the_iss_is_the_same_ehr(client: FlaskClient, ehr: Ehr) -> None:
    """EHRs differ in this, and the address is the same."""
    assert (
        302
        == client.get(
            "/smart/launch", query_string={"iss": f"{ehr.iss}/", "launch": "x"}
        ).status_code
    )


def test_CT09_the_authorization_request_has_pkce_state_aud_and_the_fixed_redirect(
    client: FlaskClient, ehr: Ehr, site: Site
) -> None:
    """S256 always, a long state, aud = iss, and our own callback whatever the launch said."""
    begun = start(client, ehr, "abc", redirect_uri="https://evil.test/", next="//evil.test")
    asked = authorize_parameters(begun.headers["Location"])
    expected = ("S256", 43, ehr.iss, f"{site.base}/smart/callback", "code", "abc")
    assert expected == (
        asked["code_challenge_method"],
        len(asked["code_challenge"]),
        asked["aud"],
        asked["redirect_uri"],
        asked["response_type"],
        asked["launch"],
    )
    assert len(asked["state"]) >= 40
    assert "evil" not in begun.headers["Location"]


def test_CT09_the_token_request_proves_the_pkce_verifier(client: FlaskClient, ehr: Ehr) -> None:
    """The EHR checks it (its test server refuses otherwise); here that it was sent."""
    open_app(client, ehr)
    token_call = next(seen for seen in ehr.seen if seen.path == "/auth/token")
    assert len(token_call.form["code_verifier"]) >= 43


def test_CT09_every_launch_has_its_own_state_and_challenge(client: FlaskClient, ehr: Ehr) -> None:
    """Nothing of one launch can be used for another."""
    first, second = (
        authorize_parameters(start(client, ehr, "x").headers["Location"]) for _ in range(2)
    )
    assert first["state"] != second["state"]
    assert first["code_challenge"] != second["code_challenge"]


@pytest.mark.parametrize(
    "bend",
    [
        lambda query: {**query, "state": "wrong"},
        lambda query: {**query, "state": ""},
        lambda query: {k: v for k, v in query.items() if k != "state"},
        lambda query: {**query, "state": "x" * 3_000},
    ],
)
def test_CT09_a_wrong_or_missing_state_gets_no_token_request(
    client: FlaskClient, ehr: Ehr, bend
) -> None:
    """4xx, and the code is never sent anywhere."""
    callback = urlsplit(sign_in(start(client, ehr, ehr.new_launch("ldn-1")).headers["Location"]))
    query = bend({name: values[0] for name, values in parse_qs(callback.query).items()})
    answer = client.get(f"{callback.path}?{urlencode(query)}")
    assert 400 == answer.status_code
    assert "/auth/token" not in ehr.paths()


def test_CT09_a_state_is_used_once(client: FlaskClient, ehr: Ehr) -> None:
    """The second use of a callback is refused without a second token request."""
    callback = sign_in(start(client, ehr, ehr.new_launch("ldn-1")).headers["Location"])
    assert [303, 400] == [client.get(callback).status_code for _ in range(2)]
    assert 1 == ehr.paths().count("/auth/token")


def test_CT09_a_state_of_another_browser_is_refused(site: Site, ehr: Ehr) -> None:
    """A callback that was lured into someone else's browser finds no launch there."""
    callback = sign_in(
        start(site.app.test_client(), ehr, ehr.new_launch("ldn-1")).headers["Location"]
    )
    other = site.app.test_client()
    start(other, ehr, "x")  # has a cookie of its own
    assert 400 == other.get(callback).status_code
    assert 400 == site.app.test_client().get(callback).status_code
    assert "/auth/token" not in ehr.paths()


def test_CT09_a_launch_expires_after_ten_minutes(client: FlaskClient, ehr: Ehr, site: Site) -> None:
    """A sign-in page that was left open does not start a session later."""
    callback = sign_in(start(client, ehr, ehr.new_launch("ldn-1")).headers["Location"])
    site.clock.move(seconds=601)
    assert 400 == client.get(callback).status_code
    assert "/auth/token" not in ehr.paths()


def test_CT09_a_server_swapped_between_discovery_and_callback_is_refused(
    client: FlaskClient, ehr: Ehr
) -> None:
    """An answer that names another issuer (RFC 9207) is not used: the code goes to nobody."""
    ehr.answers_iss = "https://evil.test/fhir"
    callback = sign_in(start(client, ehr, ehr.new_launch("ldn-1")).headers["Location"])
    assert title_of("mix-up") in words(client.get(callback))
    assert "/auth/token" not in ehr.paths()


def test_CT09_a_code_goes_to_the_token_endpoint_known_at_launch(
    client: FlaskClient, ehr: Ehr
) -> None:
    """What discovery says later changes nothing for a launch under way."""
    callback = sign_in(start(client, ehr, ehr.new_launch("ldn-1")).headers["Location"])
    ehr.token_path = "/evil/token"
    assert 303 == client.get(callback).status_code
    assert ["/auth/token"] == [path for path in ehr.paths("POST") if path.endswith("/token")]


def test_an_ehr_that_names_itself_in_the_callback_is_believed(
    client: FlaskClient, ehr: Ehr
) -> None:
    """RFC 9207 with the right issuer works."""
    ehr.answers_iss = ehr.iss
    assert open_app(client, ehr).startswith("/smart/s/")


@pytest.mark.parametrize(
    ("error", "title"),
    [
        ("access_denied", title_of("access_denied")),
        ("invalid_scope", title_of("invalid_scope")),
        ("server_error", title_of("sign-in-error")),
        ("csrf<script>", title_of("sign-in-error")),
    ],
)
def test_CT09_an_error_of_the_sign_in_is_a_readable_page_with_its_words_escaped(
    client: FlaskClient, ehr: Ehr, error: str, title: str
) -> None:
    """Denied, bad scope and anything else: what happened, what to do, and the server's own text as text."""
    ehr.authorize_error = error
    answer = client.get(sign_in(start(client, ehr, ehr.new_launch("ldn-1")).headers["Location"]))
    assert 403 == answer.status_code
    assert title in words(answer)
    assert "<script>" not in answer.text
    assert f"{error}: <script>alert('described')</script>" in html.unescape(answer.text)
    assert "What to do:" in words(answer)


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        ("invalid_grant", 400, title_of("token-error")),
        ("invalid_client", 401, title_of("invalid_client")),
        ("invalid_scope", 400, title_of("invalid_scope")),
        ("strange <b>", 400, title_of("token-error")),
        ("server_error", 500, title_of("token-error")),
    ],
)
def test_a_token_error_is_a_readable_page(
    client: FlaskClient, ehr: Ehr, error: str, status: int, title: str
) -> None:
    """Every refusal of the token server has its page."""
    ehr.token_error, ehr.token_status = error, status
    answer = client.get(sign_in(start(client, ehr, ehr.new_launch("ldn-1")).headers["Location"]))
    assert title in words(answer)
    assert "<b>" not in answer.text
    assert f"{error}: <b>described</b>" in html.unescape(answer.text) or status >= 500


@pytest.mark.parametrize(
    "patient", ["", "..", "a b", "a/../b", "Patient/ldn-1", "x" * 65, 7, ["ldn-1"], "é"]
)
def test_a_launch_without_a_readable_patient_says_so(
    client: FlaskClient, ehr: Ehr, patient: Any
) -> None:
    """Some app lists open an app without a chart; what is no FHIR id is no patient."""
    callback = sign_in(start(client, ehr, ehr.new_launch(patient)).headers["Location"])
    assert title_of("no-patient") in words(client.get(callback))


@pytest.mark.parametrize(
    "context",
    [
        {"patient": "somebody-else"},
        {"patient": "Patient/somebody-else"},
        {"patient": 7},
        {"patient": None},
        json.dumps({"draft": "d1", "patient": "somebody-else"}),
    ],
)
def test_CT09_another_patient_in_appcontext_is_refused(
    client: FlaskClient, ehr: Ehr, context: object
) -> None:
    """Nothing is read where the launch names two patients."""
    callback = sign_in(
        start(client, ehr, ehr.new_launch("ldn-1", appContext=context)).headers["Location"]
    )
    answer = client.get(callback)
    assert 409 == answer.status_code
    assert title_of("other-patient") in words(answer)
    assert not [path for path in ehr.paths() if path.startswith("/fhir/Patient")]


@pytest.mark.parametrize(
    "context",
    [
        None,
        "",
        "not json",
        "{}",
        "[1, 2]",
        '{"draft": "<script>alert(1)</script>", "band": "LDN\\n#"}',
        {"gate": "open"},
        {"mgPerDay": "4.5", "draft": "d1", "band": "LDN", "gate": "none"},
        "x" * 5_000,
        {"mgPerDay": "1e999"},
        {"mgPerDay": {"a": 1}},
        '{"patient": "Patient/ldn-1"}',
        "[" * 1_000,
    ],
)
def test_CT09_the_app_opens_with_any_appcontext_or_none(
    client: FlaskClient, ehr: Ehr, context: object
) -> None:
    """Text, object, absent or hostile: the planner opens, and nothing of a hostile one reaches the page."""
    page = client.get(open_app(client, ehr, appContext=context))
    assert 200 == page.status_code
    assert "alert(1)" not in page.text


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (
            '{"draft": "d1", "mgPerDay": "4.50", "band": "LDN", "gate": "opioid-conflict"}',
            {"draft": "d1", "mgPerDay": "4.5", "band": "LDN", "gate": "opioid-conflict"},
        ),
        ({"mgPerDay": 4.5}, {"mgPerDay": "4.5"}),
        ({"mgPerDay": "NaN"}, {}),
        ({"mgPerDay": "-1"}, {}),
        ({"mgPerDay": True}, {}),
        ({"mgPerDay": "0"}, {}),
        ({"band": "ldn"}, {}),
        ({"gate": "none "}, {}),
        ({"draft": "a b"}, {}),
        ({"draft": "d" * 129}, {}),
        ({"more": "x"}, {}),
        (7, {}),
        ({"patient": "Patient/p1"}, {"patient": "p1"}),
        ({"patient": []}, {"patient": ""}),
    ],
)
def test_CT09_only_known_members_of_appcontext_are_taken(
    context: object, expected: dict[str, str]
) -> None:
    """An id, a number and two words of fixed lists; everything else is dropped."""
    assert expected == read_context(context)


def test_CT09_no_token_code_or_secret_is_in_any_page_or_address(
    client: FlaskClient, ehr: Ehr
) -> None:
    """The token stays on the server: not in HTML, not in Location, not in a cookie."""
    ehr.offers_refresh = True
    plan_url = open_app(client, ehr)
    page = client.get(plan_url)
    cookie = client.get_cookie("__Host-titration", "localhost")
    everything = page.text + str(page.headers) + plan_url + str(cookie.value if cookie else "")
    assert "CANARY-TOK" not in everything
    assert "CANARY-REF" not in everything


def test_CT09_the_token_is_encrypted_at_rest(client: FlaskClient, ehr: Ehr, tmp_path: Path) -> None:
    """No token, patient name or handle stands in the database in the clear; the key file is the owner's alone."""
    ehr.offers_refresh = True
    handle = open_app(client, ehr).split("/")[3]
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("store*"))
    assert b"smart_session" in stored
    assert not [canary for canary in (b"CANARY", b"ldn-1", handle.encode()) if canary in stored]
    assert 0o600 == (tmp_path / "smart.key").stat().st_mode & 0o777


def test_CT09_the_cookie_is_host_bound_secure_and_out_of_reach_of_scripts(
    client: FlaskClient, ehr: Ehr
) -> None:
    """Without embedding it is Lax."""
    cookie = start(client, ehr, "x").headers["Set-Cookie"]
    assert cookie.startswith("__Host-titration=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


def test_CT09_an_embedded_app_has_a_cookie_that_works_in_the_ehrs_frame(
    ehr: Ehr, tmp_path: Path
) -> None:
    """SameSite=None only where frames are configured, and then kept apart per EHR (Partitioned)."""
    site = make_site(ehr, tmp_path, frame_ancestors=("https://ehr.test",))
    cookie = start(site.app.test_client(), ehr, "x").headers["Set-Cookie"]
    assert {"SameSite=None", "Partitioned", "Secure"} <= set(cookie.split("; "))
    site.close()


@pytest.mark.parametrize(
    "path",
    [
        "/smart/launch",
        "/smart/launch?iss=http://evil.test",
        "/smart/callback",
        "/smart/s/none/",
        "/smart/s/none/result",
        "/smart/jwks.json",
        "/smart/static/smart.css",
    ],
)
def test_CT10_every_answer_forbids_frames_and_foreign_content(
    client: FlaskClient, path: str
) -> None:
    """Content-Security-Policy without inline code and with frame-ancestors, on every route and status."""
    with client.get(path) as answer:
        headers = answer.headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert ("no-referrer", "nosniff") == (
        headers["Referrer-Policy"],
        headers["X-Content-Type-Options"],
    )


def test_CT10_only_listed_ehrs_may_frame_the_app(ehr: Ehr, tmp_path: Path) -> None:
    """The configured origins, and ourselves."""
    site = make_site(ehr, tmp_path, frame_ancestors=("https://ehr.test", "https://b.test"))
    policy = site.app.test_client().get("/smart/launch").headers["Content-Security-Policy"]
    assert policy.endswith("frame-ancestors 'self' https://ehr.test https://b.test")
    site.close()


def test_CT12_pages_are_never_cached(client: FlaskClient, ehr: Ehr) -> None:
    """no-store on pages, redirects and errors."""
    plan_url = open_app(client, ehr)
    answers = [
        client.get("/smart/launch"),
        start(client, ehr, "x"),
        client.get(plan_url),
        client.get("/smart/callback"),
    ]
    assert {"no-store"} == {answer.headers["Cache-Control"] for answer in answers}


def test_the_app_asks_for_the_least_it_needs(client: FlaskClient, ehr: Ehr) -> None:
    """Reads what the hooks read, creates three types, for this patient only."""
    asked = set(authorize_parameters(start(client, ehr, "x").headers["Location"])["scope"].split())
    reads = {
        "Patient",
        "MedicationRequest",
        "MedicationStatement",
        "MedicationDispense",
        "MedicationAdministration",
        "Condition",
    }
    writes = {"MedicationRequest", "Task", "CarePlan"}
    expected = {
        "launch",
        *(f"patient/{r}.read" for r in reads),
        *(f"patient/{w}.write" for w in writes),
    }
    assert expected == asked


def test_smart_2_scopes_are_asked_for_where_the_server_knows_them(
    client: FlaskClient, ehr: Ehr
) -> None:
    """permission-v2: read and search, create only."""
    ehr.version_two, ehr.offers_refresh = True, True
    asked = set(authorize_parameters(start(client, ehr, "x").headers["Location"])["scope"].split())
    expected = {
        "patient/MedicationRequest.rs",
        "patient/MedicationRequest.c",
        "patient/Patient.r",
        "online_access",
    }
    assert expected <= asked
    assert not [scope for scope in asked if scope.endswith((".read", ".write"))]


def test_a_standalone_launch_asks_the_ehr_for_a_patient(client: FlaskClient, ehr: Ehr) -> None:
    """Opened by iss alone: scope launch/patient, no launch parameter."""
    ehr.standalone_patient = "ldn-1"
    begun = start(client, ehr)
    asked = authorize_parameters(begun.headers["Location"])
    assert ("launch/patient", None) == (asked["scope"].split()[0], asked.get("launch"))
    assert 303 == client.get(sign_in(begun.headers["Location"])).status_code


def test_a_smart_1_server_is_found_through_its_capability_statement(
    client: FlaskClient, ehr: Ehr
) -> None:
    """Without smart-configuration the oauth-uris extension tells the endpoints."""
    ehr.smart_one = True
    assert open_app(client, ehr).startswith("/smart/s/")


def test_a_confidential_client_sends_its_secret_by_basic_authentication(tmp_path: Path) -> None:
    """auth = client_secret: the secret comes from its file and stands in no form field."""
    (tmp_path / "secret").write_text("CANARY-SECRET\n")
    with serve_ehr([PATIENT, FIBROMYALGIA], client_secret="CANARY-SECRET") as ehr:
        site = make_site(ehr, tmp_path, auth="client_secret", secret_file=str(tmp_path / "secret"))
        assert open_app(site.app.test_client(), ehr).startswith("/smart/s/")
        assert "CANARY-SECRET" not in str([seen.form for seen in ehr.seen])
        site.close()


def test_a_confidential_client_signs_an_assertion_with_its_key(tmp_path: Path) -> None:
    """auth = private_key_jwt: ES384, at most five minutes, and the public half is published without the private one."""
    key = ec.generate_private_key(ec.SECP384R1())
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with serve_ehr([PATIENT, FIBROMYALGIA], client_key=key.public_key()) as ehr:
        site = make_site(
            ehr,
            tmp_path,
            clock=Clock(datetime.now(UTC)),
            auth="private_key_jwt",
            key_file=str(tmp_path / "key.pem"),
        )
        client = site.app.test_client()
        assert open_app(client, ehr).startswith("/smart/s/")
        (published,) = client.get("/smart/jwks.json").get_json()["keys"]
        assert ("ES384", "sig", False) == (published["alg"], published["use"], "d" in published)
        site.close()


def test_a_wrong_secret_is_a_readable_page(tmp_path: Path) -> None:
    """The administrator is told, not the world."""
    (tmp_path / "secret").write_text("wrong")
    with serve_ehr([PATIENT, FIBROMYALGIA], client_secret="right") as ehr:
        site = make_site(ehr, tmp_path, auth="client_secret", secret_file=str(tmp_path / "secret"))
        client = site.app.test_client()
        answer = client.get(
            sign_in(start(client, ehr, ehr.new_launch("ldn-1")).headers["Location"])
        )
        assert title_of("invalid_client") in words(answer)
        site.close()


def test_a_missing_secret_file_is_a_readable_page_not_a_fault(tmp_path: Path) -> None:
    """A broken set-up at one EHR never becomes a stack trace."""
    with serve_ehr([PATIENT, FIBROMYALGIA], client_secret="right") as ehr:
        site = make_site(ehr, tmp_path, auth="client_secret", secret_file=str(tmp_path / "none"))
        client = site.app.test_client()
        answer = client.get(
            sign_in(start(client, ehr, ehr.new_launch("ldn-1")).headers["Location"])
        )
        assert (502, True) == (answer.status_code, title_of("token-error") in words(answer))
        site.close()


def test_an_ehr_without_an_authorization_server_is_a_readable_page(
    client: FlaskClient, ehr: Ehr
) -> None:
    """Discovery that fails offers to try again."""
    iss = ehr.iss
    ehr.root = "ftp://127.0.0.1"  # the endpoints that discovery will name
    answer = client.get("/smart/launch", query_string={"iss": iss, "launch": "x"})
    assert 502 == answer.status_code
    assert title_of("no-authorization-server") in words(answer)
    assert "Try again" in words(answer)


def test_the_page_without_a_launch_shows_the_schedule_and_calls_nobody(
    client: FlaskClient, ehr: Ehr
) -> None:
    """Honest about having no patient; the default schedule with its off-label status; no request leaves."""
    page = client.get("/smart/launch")
    assert (200, []) == (page.status_code, ehr.seen)
    for needed in (
        "no patient here",
        "1.5 mg",
        "4.5 mg",
        "Off-label",
        "42 × 1.5 mg",
        "315 mL",
        "did not beat placebo",
    ):
        assert needed in words(page)


def test_the_page_without_a_launch_names_no_ehr(client: FlaskClient, ehr: Ehr) -> None:
    """Anyone may look at it."""
    assert ehr.root not in client.get("/smart/launch").text


DEMO_LAUNCHERS = [
    "https://launch.smarthealthit.org/v/r4/sim/WzAsIiIsIiIsIkFVVE8iLDAsMCwwLCIiLCIiLCIiLCIiLCIiLCIiLCIiLDAsMV0/fhir",
    "https://launch.smarthealthit.org/v/r2/fhir",
    "http://localhost:8013/v/r3/sim/abc/fhir",
    "http://127.0.0.1:9/fhir",
]
NO_LAUNCHERS = [
    "https://launch.smarthealthit.org.evil.test/v/r4/fhir",
    "https://evil.test/v/r4/fhir",
    "http://localhost@evil.test/fhir",
    "http://launch.smarthealthit.org/v/r4/fhir",
    "http://localhost:8013/../fhir?x",
    "http://10.0.0.1/fhir",
]


@pytest.mark.parametrize(
    ("iss", "is_known"), [*((i, True) for i in DEMO_LAUNCHERS), *((i, False) for i in NO_LAUNCHERS)]
)
def test_the_demo_knows_the_public_launcher_and_any_on_this_machine(
    iss: str, is_known: bool
) -> None:
    """With no settings; not in production, and not where EHRs were set."""
    demo = registrations(Settings())
    assert is_known is (demo.get(iss) is not None)
    assert (
        registrations(Settings(smart=Smart({"https://ehr.test/fhir": SmartIssuer("x")}))).get(iss)
        is None
    )


def test_the_demo_opens_from_a_launcher_of_this_machine_with_no_settings(tmp_path: Path) -> None:
    """From the launch to written drafts; EHR launch and standalone."""
    with serve_ehr(
        [PATIENT, FIBROMYALGIA], client_id="naltrexone-titration-demo", standalone_patient="ldn-1"
    ) as ehr:
        site = make_site(None, tmp_path)
        client = site.app.test_client()
        assert is_written(write_plan(client, open_app(client, ehr)))
        assert [r for r in ehr.of_type("CarePlan") if r["status"] == "draft"]
        back = client.get(sign_in(start(client, ehr).headers["Location"]))
        assert 200 == client.get(back.headers["Location"]).status_code
        site.close()


def test_a_refused_issuer_is_named_on_the_page_and_in_the_log_with_what_to_add(
    tmp_path: Path,
) -> None:
    """Whoever can mend it finds the address and the lines of the settings file."""
    told: list[dict[str, Any]] = []
    planner = Planner(SHIPPED)
    services = replace(
        planner.desk.services, log=lambda event, **facts: told.append({"event": event, **facts})
    )
    app = Flask("refused")
    app.register_blueprint(make_smart(Settings(), services), url_prefix="/smart")
    answer = app.test_client().get(
        "/smart/launch", query_string={"iss": "https://other.test/<b>fhir", "launch": "x"}
    )
    assert "https://other.test/<b>fhir" in html.unescape(answer.text)
    assert "<b>" not in answer.text
    (line,) = told
    assert ("smart-issuer-refused", "https://other.test/<b>fhir") == (line["event"], line["iss"])
    assert "https://other.test/<b>fhir" in tomllib.loads(line["add"])["smart"]["issuers"]


def test_an_ehr_that_does_not_answer_is_not_asked_again_at_once(
    client: FlaskClient, ehr: Ehr
) -> None:
    """The second launch of the next seconds costs the EHR, and us, nothing."""
    ehr.statuses["GET metadata"] = 500
    ehr.smart_one, ehr.token_path = True, " not usable"
    assert [502, 502] == [start(client, ehr, "x").status_code for _ in range(2)]
    assert 1 == ehr.paths().count("/fhir/metadata")
