"""A browser page may read our answers only from an origin that is listed, letter for letter (T11)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cds_service.settings import Settings, SettingsError, check, load
from tests.conformance.calls import conflict
from tests.security.ehr import Ehr, run_production

SIGN = "/cds-services/naltrexone-order-sign"
LISTED = "https://ehr-front.example.org"
OTHERS = [
    "null",
    f"{LISTED}.evil.test",
    f"{LISTED}/",
    f"{LISTED}.",
    LISTED.upper(),
    LISTED.replace("https", "HTTPS"),
    LISTED.replace("https:", "http:"),
    f"{LISTED}:443",
    f"{LISTED}:8443",
    LISTED.replace("ehr-front", "x.ehr-front"),
    LISTED.replace("ehr-front.", "ehr-frontX"),
    "https://evil.test",
    f"https://evil.test/{LISTED}",
    f"{LISTED},https://evil.test",
    "*",
    "https://sandbox.cds-hooks.org",
    "https://ehr-front.example.org@evil.test",
    "file://",
]


@pytest.fixture(scope="module")
def ehr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ehr]:
    with run_production(tmp_path_factory.mktemp("cors"), cors_origins=[LISTED]) as found:
        yield found


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ehr]:
    with run_production(tmp_path_factory.mktemp("closed")) as found:
        yield found


def allowed(answer: Any) -> dict[str, str]:
    return {
        name: value
        for name, value in answer.headers.items()
        if name.lower().startswith("access-control-allow")
    }


def test_CT11_a_listed_origin_is_named_without_credentials_or_wildcard(ehr: Ehr) -> None:
    answer = ehr.call(conflict(), headers={"Origin": LISTED})
    assert {"access-control-allow-origin": LISTED} == {
        n.lower(): v for n, v in allowed(answer).items()
    }
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("origin", OTHERS)
def test_CT11_any_other_origin_gets_no_leave_on_any_status(ehr: Ehr, origin: str) -> None:
    said = [
        ehr.call(conflict(), headers={"Origin": origin}),
        ehr.service.post(SIGN, headers={"Origin": origin}),
        ehr.service.get("/cds-services", headers={"Origin": origin}),
        ehr.service.get("/cds-services/no-such", headers={"Origin": origin}),
    ]
    assert ([200, 401, 200, 405], [{}] * 4) == (
        [a.status_code for a in said],
        [allowed(a) for a in said],
    )


@pytest.mark.parametrize("origin", OTHERS)
def test_CT11_any_other_origin_gets_no_preflight(ehr: Ehr, origin: str) -> None:
    answer = ehr.service.request(
        "OPTIONS", SIGN, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
    )
    assert {} == allowed(answer)


def test_CT11_a_preflight_never_allows_other_methods_or_headers(ehr: Ehr) -> None:
    answer = ehr.service.request(
        "OPTIONS",
        SIGN,
        headers={
            "Origin": LISTED,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "x-evil, authorization, cookie",
        },
    )
    said = {name.lower(): value.lower() for name, value in allowed(answer).items()}
    assert set() == {"put", "delete", "patch", "trace", "*"} & words(
        said.get("access-control-allow-methods", "")
    )
    assert words(said.get("access-control-allow-headers", "")) <= {"authorization", "content-type"}
    assert "access-control-allow-credentials" not in said


def words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",") if word.strip()}


def test_CT11_a_preflight_is_remembered_for_ten_minutes_at_most(ehr: Ehr) -> None:
    answer = ehr.service.request(
        "OPTIONS", SIGN, headers={"Origin": LISTED, "Access-Control-Request-Method": "POST"}
    )
    assert 0 < int(answer.headers["Access-Control-Max-Age"]) <= 600


def test_CT11_an_answer_without_an_origin_says_that_it_varies(ehr: Ehr) -> None:
    """A cache must not hand the answer for one page to another."""
    answer = ehr.service.get("/cds-services")
    assert ({}, True) == (allowed(answer), "Origin" in answer.headers.get("Vary", ""))


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/smart/launch"])
def test_CT11_only_the_hook_routes_are_open_to_pages(ehr: Ehr, path: str) -> None:
    assert {} == allowed(ehr.service.get(path, headers={"Origin": LISTED}))


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
def test_CT11_a_post_that_a_page_may_send_unasked_is_refused(ehr: Ehr, kind: str) -> None:
    """A simple cross-site POST has none of our content types, and no token."""
    assert (
        415
        == ehr.post(
            SIGN, data=b'{"hook": "order-sign"}', headers={"Content-Type": kind}
        ).status_code
    )


@pytest.mark.parametrize(
    "origin", [LISTED, "https://sandbox.cds-hooks.org", "http://localhost:8080", "null"]
)
def test_CT11_where_nobody_is_listed_nobody_gets_leave(closed: Ehr, origin: str) -> None:
    assert ({}, {}) == (
        allowed(closed.call(conflict(), headers={"Origin": origin})),
        allowed(closed.service.get("/cds-services", headers={"Origin": origin})),
    )


def test_CT11_production_lists_nobody_by_itself_and_the_demo_the_sandbox() -> None:
    production = Settings(profile="production")
    assert ((), ("https://sandbox.cds-hooks.org", "http://localhost:8080")) == (
        production.cors_origins,
        load(environ={}).cors_origins,
    )


@pytest.mark.parametrize(
    "origin", ["*", "https://*.example.org", "null", "https://a.example.org/x", "a.example.org", ""]
)
def test_CT11_only_whole_origins_can_be_listed(origin: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cors_origins"):
        check(Settings(cors_origins=(origin,)))
