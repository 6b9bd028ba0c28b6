"""What stands around every answer: caching, sniffing, framing, transport, and no trust in forged proxies (T12)."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.conformance.calls import call, conflict, opioid
from tests.conftest import Running
from tests.security.ehr import BASE, Ehr, bearer, run_production

SIGN = "/cds-services/naltrexone-order-sign"
ROUTES = [
    ("GET", "/cds-services"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/nowhere"),
    ("GET", SIGN),
    ("POST", SIGN),
    ("POST", f"{SIGN}/feedback"),
    ("POST", "/cds-services/no-such"),
    ("OPTIONS", SIGN),
    ("GET", "/smart/launch"),
    ("GET", "/smart/callback"),
    ("GET", "/smart/s/x/"),
    ("PUT", "/livez"),
    ("HEAD", "/cds-services"),
]


@pytest.fixture(scope="module")
def ehr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ehr]:
    with run_production(tmp_path_factory.mktemp("headers")) as found:
        yield found


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_CT12_every_answer_bears_the_security_headers(ehr: Ehr, method: str, path: str) -> None:
    headers = ehr.service.request(method, path, allow_redirects=False).headers
    policy = headers["Content-Security-Policy"]
    assert ("nosniff", "no-referrer", True, True) == (
        headers["X-Content-Type-Options"],
        headers["Referrer-Policy"],
        "default-src 'none'" in policy,
        "frame-ancestors 'none'" in policy,
    )


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_CT12_behind_https_every_answer_demands_https_for_a_year(
    ehr: Ehr, method: str, path: str
) -> None:
    said = ehr.service.request(method, path, allow_redirects=False).headers[
        "Strict-Transport-Security"
    ]
    assert int(said.partition("max-age=")[2].partition(";")[0]) >= 31_536_000


def test_CT12_without_https_nothing_is_demanded(service: Running) -> None:
    assert "Strict-Transport-Security" not in service.get("/cds-services").headers


def test_CT12_no_hook_answer_is_stored_by_anybody(ehr: Ehr) -> None:
    answers = [
        ehr.call(conflict()),
        ehr.service.post(SIGN),
        ehr.post(SIGN, json={}),
        ehr.service.get(SIGN),
    ]
    assert ([200, 401, 400, 405], {"no-store"}) == (
        [answer.status_code for answer in answers],
        {answer.headers["Cache-Control"] for answer in answers},
    )


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_CT12_no_answer_says_which_version_of_what_runs_here(
    ehr: Ehr, method: str, path: str
) -> None:
    headers = ehr.service.request(method, path, allow_redirects=False).headers
    assert not any(character.isdigit() for character in headers.get("Server", ""))
    assert "X-Powered-By" not in headers


@pytest.mark.parametrize("path", ["/cds-services", "/cds-services/", "//cds-services"])
def test_CT12_api_routes_never_redirect(ehr: Ehr, path: str) -> None:
    """Not from http to https either: the first request would have carried the chart in the clear."""
    answer = ehr.service.get(path, allow_redirects=False, headers={"X-Forwarded-Proto": "http"})
    assert (200, None) == (answer.status_code, answer.headers.get("Location"))


def test_CT12_headers_of_a_proxy_change_nothing_unless_one_is_configured(ehr: Ehr) -> None:
    forged = {
        "X-Forwarded-Host": "evil.test",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-For": "10.0.0.1",
        "Forwarded": "host=evil.test;proto=http",
        "X-Original-URL": "/livez",
    }
    with_forged, without = (ehr.call(conflict(), headers=extra) for extra in (forged, {}))
    assert (200, 200) == (with_forged.status_code, without.status_code)
    assert "evil.test" not in with_forged.text
    for_evil = {**forged, **bearer(SIGN, aud=f"http://evil.test{SIGN}")}
    assert 401 == ehr.post(SIGN, json=conflict(), headers=for_evil).status_code


def test_CT12_a_configured_proxy_changes_no_address_of_ours_either(tmp_path: Path) -> None:
    with run_production(tmp_path, trusted_proxy=True) as ehr:
        answer = ehr.call(
            conflict(), headers={"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "http"}
        )
        assert (200, False, True) == (
            answer.status_code,
            "evil.test" in answer.text,
            f"{BASE}/smart/launch" in answer.text,
        )


def speak(url: str, text: bytes, *, whole: bool = False) -> bytes:
    """What the server says to these raw bytes first, or all of it until it hangs up."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=10) as sock:
        sock.sendall(text)
        said = sock.recv(65_536)
        while whole and (more := sock.recv(65_536)):
            said += more
        return said


def raw_post(headers: str, body: str = "") -> bytes:
    start = f"POST {SIGN} HTTP/1.1\r\nHost: cds.example.org\r\nContent-Type: application/json"
    return f"{start}\r\n{headers}\r\n\r\n{body}".encode()


BODY = json.dumps(call("order-sign", opioid()))
CHUNKED = f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n"


def status_of(said: bytes) -> int:
    return int(said.split(b" ")[1])


HYPER = pytest.mark.xfail(
    strict=True,
    reason="the server takes the chunked length alone and closes (RFC 9112 6.3); T12 "
    "asks for 400, which needs a proxy in front: our code does not see the other length",
)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param("Content-Length: 4\r\nTransfer-Encoding: chunked", CHUNKED, marks=HYPER),
        pytest.param("Transfer-Encoding: chunked\r\nContent-Length: 4", CHUNKED, marks=HYPER),
        (f"Content-Length: 5\r\nContent-Length: {len(BODY)}", BODY),
        ("Content-Length: -1", BODY),
        (f"Content-Length: +{len(BODY)}", BODY),
        (f"Content-Length : {len(BODY)}", BODY),
        ("Transfer-Encoding: xchunked", CHUNKED),
        ("Transfer-Encoding: identity, chunked, identity", CHUNKED),
        ("Transfer-Encoding : chunked", CHUNKED),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", CHUNKED),
    ],
)
def test_CT12_a_body_with_two_lengths_is_refused(service: Running, headers: str, body: str) -> None:
    """Two servers could see two different requests in it (smuggling)."""
    assert 400 == status_of(speak(service.url, raw_post(headers, body)))


@pytest.mark.parametrize(
    ("headers", "body"),
    [(f"Content-Length: {len(BODY)}", BODY), ("Transfer-Encoding: chunked", CHUNKED)],
)
def test_CT12_a_body_with_one_length_is_answered(service: Running, headers: str, body: str) -> None:
    assert 200 == status_of(speak(service.url, raw_post(headers, body)))


def test_CT12_a_smuggled_request_is_not_answered(service: Running) -> None:
    """One answer, and the connection is closed behind it."""
    hidden = f"{CHUNKED}GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    said = speak(
        service.url, raw_post("Content-Length: 4\r\nTransfer-Encoding: chunked", hidden), whole=True
    )
    assert (1, False) == (said.count(b"HTTP/1.1 "), b"alive" in said)


def test_CT12_two_authorization_headers_are_refused(ehr: Ehr) -> None:
    good = bearer(SIGN)["Authorization"]
    twice = raw_post(f"Authorization: {good}\r\nAuthorization: Bearer x\r\nContent-Length: 2", "{}")
    again = raw_post(f"Authorization: Bearer x\r\nAuthorization: {good}\r\nContent-Length: 2", "{}")
    once = raw_post(f"Authorization: {good}\r\nContent-Length: 2", "{}")
    said = [speak(ehr.service.url, each).split(b" ")[1] for each in (twice, again, once)]
    assert [b"401", b"401", b"400"] == said


def test_CT12_a_header_that_goes_on_for_ever_is_refused(service: Running) -> None:
    answer = requests.get(f"{service.url}/livez", headers={"X-Long": "x" * 1_000_000}, timeout=10)
    assert answer.status_code in {400, 431}
