"""Calls go to listed servers only, at the address that was checked, and end when their time is over."""

from __future__ import annotations

import http.client
import io
import ipaddress
import logging
import socket
import threading
import time
import traceback
from contextlib import redirect_stdout
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url

from cds_service.outbound.addresses import find_listed, pin, read_listed, read_place
from cds_service.outbound.http import CallFailedError, Outbound, OutboundSession
from tests.fhir_server import FhirServer, serve
from tests.tls import make_server_tls

ANYWHERE_LOCAL = ("http://127.0.0.1:*", "http://localhost:*")


def failure(outbound: Outbound, url: str, seconds: float = 1.0) -> str:
    with pytest.raises(CallFailedError) as caught:
        outbound.call("GET", url, seconds=seconds)
    return caught.value.why


def resolve_to(*addresses: str):
    return lambda host, port, **_: [(0, 0, 0, "", (address, port)) for address in addresses]


# --- what a URL names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "written_anew"),
    [
        ("https://EHR.example.org/fhir/", "https://ehr.example.org/fhir"),
        ("https://ehr.example.org:443/fhir", "https://ehr.example.org/fhir"),
        ("https://ehr.example.org:8443", "https://ehr.example.org:8443"),
        ("https://ehr.example.org/", "https://ehr.example.org"),
        ("https://ehr.example.org/fhir?a=1&b=%7C", "https://ehr.example.org/fhir?a=1&b=%7C"),
        ("http://10.1.2.3:8080/r4", "http://10.1.2.3:8080/r4"),
        ("http://[FD00:0:0::1]:8080/r4", "http://[fd00::1]:8080/r4"),
    ],
)
def test_a_plain_url_is_written_anew_from_what_was_understood(url: str, written_anew: str) -> None:
    place = read_place(url)
    assert place is not None
    assert written_anew == place.url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/fhir",
        "//ehr.example.org/fhir",
        "ehr.example.org",
        "https://",
        "https:///fhir",
        "https:ehr.example.org",
        "ftp://ehr.example.org",
        "file:///etc/passwd",
        "https://u@ehr.example.org",
        "https://u:p@ehr.example.org",
        "https://@ehr.example.org",
        "https://ehr.example.org/#x",
        "https://ehr.example.org#",
        "https://ehr.example.org:",
        "https://ehr.example.org:0",
        "https://ehr.example.org:99999",
        "https://ehr.example.org:8a",
        "https://ehr.example.org.",
        "https://ehr.example.org\\@evil.test",
        "https://ehr.example.org/\\x",
        "https://ehr.example.org/a b",
        "https://ehr.example.org/\r\nX: y",
        "https://ehr\t.example.org",
        "https://ehr.example.org/ä",
        "https://ehr。example.org",
        "https://ⓔhr.example.org",
        "https://ehr.example.org/fhir/../admin",
        "https://ehr.example.org/./fhir",
        "https://ehr.example.org//fhir",
        "https://ehr.example.org/%2e%2e/x",
        "https://ehr.example.org/a%2Fb",
        "https://ehr.example.org/a%5cb",
        "https://ehr.example.org/a%00b",
        "https://ehr.example.org/a%0ab",
        "https://e%68r.example.org",
        "http://0",
        "http://127.1",
        "http://0x7f.1",
        "http://0x7f000001",
        "http://2130706433",
        "http://017700000001",
        "http://127.0.0.01",
        "http://1.2.3.4.5",
        "http://[::1",
        "http://[::1%25lo]",
        "http://[127.0.0.1]",
        "http://-ehr.example.org",
        "https://ehr..example.org",
        "https://" + "a" * 64 + ".org",
        "https://ehr.example.org/" + "a" * 9_000,
    ],
)
def test_an_unusual_url_names_no_place(url: str) -> None:
    assert read_place(url) is None


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("https://ehr.example.org/fhir", "https://ehr.example.org/fhir"),
        ("https://ehr.example.org/fhir/tenant/7", "https://ehr.example.org/fhir"),
        ("https://ehr.example.org/fhir-evil", ""),
        ("https://ehr.example.org/FHIR", ""),
        ("https://ehr.example.org", ""),
        ("http://ehr.example.org/fhir", ""),
        ("https://ehr.example.org:8443/fhir", ""),
        ("https://ehr.example.org.evil.test/fhir", ""),
        ("https://evil.test/ehr.example.org/fhir", ""),
        ("http://localhost:81/x", "http://localhost:*"),
        ("http://localhost.evil.test:81/x", ""),
    ],
)
def test_a_list_entry_covers_itself_and_the_paths_below_it(url: str, entry: str) -> None:
    place = read_place(url)
    assert place is not None
    listed = ("nonsense", "https://ehr.example.org/fhir", "http://localhost:*")
    assert entry == find_listed(place, listed)


@pytest.mark.parametrize(
    "entry", ["https://ehr.example.org:*", "https://*", "http://127.0.0.1:*x", "http://localhost*"]
)
def test_no_other_wildcard_is_understood_in_a_list(entry: str) -> None:
    assert read_listed(entry) is None


def test_a_list_entry_with_a_query_covers_that_url_alone() -> None:
    listed = ("https://keys.example.org/jwks?p=a",)
    places = [
        read_place(f"https://keys.example.org/jwks{rest}")
        for rest in ("?p=a", "?p=b", "", "/x?p=a")
    ]
    assert [listed[0], "", "", ""] == [find_listed(place, listed) for place in places if place]


@given(
    st.text(alphabet="htps:/@#?\\.[]%0127xaé\r\t *&-_;", max_size=40),
    st.sampled_from(["", "http://", "https://"]),
)
def test_what_is_accepted_means_the_same_to_every_parser(text: str, scheme: str) -> None:
    """urllib, urllib3 and ourselves agree on scheme, host and port of each URL that we write: no check is bypassed."""
    place = read_place(scheme + text)
    if place is None:
        return
    theirs, standard = parse_url(place.url), urlsplit(place.url)
    port = theirs.port or {"http": 80, "https": 443}[place.scheme]
    assert (place.scheme, place.host, place.port) == (
        theirs.scheme,
        (theirs.host or "").strip("[]"),
        port,
    )
    assert (place.scheme, place.host) == (standard.scheme, standard.hostname)
    assert place == read_place(place.url)


# --- which address may be called --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "10.0.0.5",
        "172.16.3.4",
        "192.168.1.1",
        "100.64.0.9",
        "fd12::1",
        "2001:4860:4860::8888",
        "::ffff:10.0.0.5",
        "64:ff9b::808:808",
    ],
)
def test_a_listed_name_may_lead_to_a_public_or_a_site_address(address: str) -> None:
    place = read_place("https://ehr.test/fhir")
    assert place is not None
    assert (str(ipaddress.ip_address(address)),) == pin(place, resolve_to(address))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "169.254.169.254",
        "169.254.1.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.2.1",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "ff02::1",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::7f00:1",
        "2001:db8::1",
    ],
)
def test_a_listed_name_never_leads_to_loopback_link_local_metadata_or_reserved(
    address: str,
) -> None:
    place = read_place("https://ehr.test/fhir")
    assert place is not None
    assert () == pin(place, resolve_to(address))
    assert () == pin(place, resolve_to("8.8.8.8", address))


def test_localhost_leads_to_loopback_only_and_an_address_stands_for_itself() -> None:
    local, literal, metadata = (
        read_place(url)
        for url in ("http://localhost:1", "http://127.0.0.1:1", "http://169.254.169.254")
    )
    assert local and literal and metadata
    assert ("127.0.0.1", "::1") == pin(local, resolve_to("::1", "127.0.0.1", "127.0.0.1"))
    assert () == pin(local, resolve_to("10.0.0.1"))
    assert ("127.0.0.1",) == pin(literal, resolve_to("8.8.8.8"))
    assert ("169.254.169.254",) == pin(
        metadata, resolve_to()
    )  # a list names it, or it is never asked for


# --- one call ---------------------------------------------------------------------------------------------


def test_a_listed_url_is_answered_with_status_headers_and_body() -> None:
    with serve([{"resourceType": "Patient", "id": "1"}]) as server:
        answer = Outbound(ANYWHERE_LOCAL, allow_http=True).call(
            "GET", f"{server.base_url}/Patient/1?_format=json", seconds=1, headers={"X-Own": "1"}
        )
    assert (200, "application/fhir+json", b'{"resourceType": "Patient", "id": "1"}') == (
        answer.status,
        answer.headers["content-type"],
        answer.body,
    )
    seen = server.seen[0]
    assert ("_format=json", f"127.0.0.1:{server.port}", "1", "gzip") == (
        seen.query,
        seen.headers["host"],
        seen.headers["x-own"],
        seen.headers["accept-encoding"],
    )


def test_http_needs_leave_and_every_url_needs_a_list() -> None:
    with serve() as server:
        assert "refused-host" == failure(Outbound(ANYWHERE_LOCAL), server.base_url)
        assert "refused-host" == failure(Outbound((), allow_http=True), server.base_url)
        assert 0 == server.connections


@pytest.mark.parametrize("fault", ["hang", "headers-then-hang", "drip-headers", "drip-body"])
def test_a_call_is_over_when_its_time_is_over(fault: str) -> None:
    with serve(fault=fault) as server:
        start = time.monotonic()
        assert "timeout" == failure(
            Outbound(ANYWHERE_LOCAL, allow_http=True), server.base_url, seconds=0.3
        )
        assert 0.25 < time.monotonic() - start < 0.4
        assert_no_thread_is_left()


def test_dns_that_does_not_answer_costs_no_more_than_the_call() -> None:
    asleep = threading.Event()

    def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
        asleep.wait(10)
        return []

    try:
        outbound = Outbound(("https://ehr.test",), resolver=resolve)
        start = time.monotonic()
        assert "timeout" == failure(outbound, "https://ehr.test", seconds=0.2)
        assert time.monotonic() - start < 0.3
    finally:
        asleep.set()
    assert_no_thread_is_left()


def test_a_name_without_an_address_is_unreachable() -> None:
    def unknown(*_: object, **__: object) -> list[tuple[object, ...]]:
        raise socket.gaierror(-2, "Name or service not known")

    assert "unreachable" == failure(
        Outbound(("https://ehr.test",), resolver=unknown), "https://ehr.test"
    )


def test_the_second_address_is_tried_where_the_first_refuses() -> None:
    with serve() as server:
        outbound = Outbound(
            ANYWHERE_LOCAL, allow_http=True, resolver=resolve_to("127.0.0.2", "127.0.0.1")
        )
        url = f"http://localhost:{server.port}/fhir/metadata"
        assert 200 == outbound.call("GET", url, seconds=1).status


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("redirect", "redirect"),
        ("redirect-home", "redirect"),
        ("redirect-bomb", "redirect"),
        ("gzip-bomb", "too-large"),
        ("huge", "too-large"),
        ("endless", "too-large"),
        ("reset", "broken"),
    ],
)
def test_an_answer_that_is_not_wanted_has_its_own_word(fault: str, why: str) -> None:
    with serve(fault=fault) as server:
        assert why == failure(Outbound(ANYWHERE_LOCAL, allow_http=True), server.base_url)
        assert 1 == len(server.seen)


def test_an_answer_of_exactly_the_cap_is_read() -> None:
    body = b'{"resourceType": "Patient", "id": "1"}'
    with serve([{"resourceType": "Patient", "id": "1"}]) as server:
        fits = Outbound(ANYWHERE_LOCAL, allow_http=True, max_bytes=len(body))
        assert body == fits.call("GET", f"{server.base_url}/Patient/1", seconds=1).body
        tight = Outbound(ANYWHERE_LOCAL, allow_http=True, max_bytes=len(body) - 1)
        assert "too-large" == failure(tight, f"{server.base_url}/Patient/1")


def test_no_slot_means_busy() -> None:
    with serve() as server:
        outbound = Outbound(ANYWHERE_LOCAL, allow_http=True)
        place = outbound.admit(server.base_url)
        with (
            OutboundSession(outbound, place, 0.05, slots=threading.Semaphore(0)) as visit,
            pytest.raises(CallFailedError) as caught,
        ):
            visit.resolve()
            visit.gather({"": lambda: iter([visit.send("GET", place, {})])})
    assert ("busy", 0) == (caught.value.why, server.connections)


def test_a_visit_never_leaves_its_server() -> None:
    with serve() as server, serve() as other:
        outbound = Outbound(ANYWHERE_LOCAL, allow_http=True)
        here = OutboundSession(outbound, outbound.admit(server.base_url), 1)
        with here as visit, pytest.raises(CallFailedError) as caught:
            visit.resolve()
            visit.send("GET", outbound.admit(other.base_url), {})
    assert ("refused-host", 0) == (caught.value.why, other.connections)


@pytest.mark.parametrize(
    "broken", [UnicodeError("x"), ValueError("x"), OSError("x"), http.client.HTTPException("x")]
)
def test_whatever_a_library_raises_is_one_word_without_a_trace_of_the_call(
    broken: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The libraries' errors hold the URL and the headers; ours must not hang on to them."""
    asked: list[str] = []

    def urlopen(_: object, method: str, url: str, **__: object) -> None:
        asked.append(f"{method} {url}")
        raise broken

    monkeypatch.setattr("urllib3.HTTPConnectionPool.urlopen", urlopen)
    with pytest.raises(CallFailedError) as caught:
        Outbound(ANYWHERE_LOCAL, allow_http=True).call(
            "GET",
            "http://127.0.0.1:9/fhir/Patient/CANARY-ID",
            seconds=1,
            headers={"Authorization": "Bearer CANARY-TOK"},
        )
    assert ["GET /fhir/Patient/CANARY-ID"] == asked
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert ("broken", None, None) == (
        caught.value.why,
        caught.value.__cause__,
        caught.value.__context__,
    )
    assert "CANARY" not in shown


# --- the environment, cookies, logs -----------------------------------------------------------------------


def test_CT02_neither_netrc_nor_proxy_nor_cookie_touches_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """requests alone would let a .netrc replace the bearer token (measured)."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login evil password evil\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    outbound = Outbound(ANYWHERE_LOCAL, allow_http=True)
    with serve(fault="cookie") as server:
        for _ in range(2):
            outbound.call("GET", server.base_url, seconds=1, headers={"Authorization": "Bearer t"})
    assert ["Bearer t", "Bearer t"] == [each.headers["authorization"] for each in server.seen]
    assert not any("cookie" in each.headers for each in server.seen)


def test_CT02_debug_logging_shows_neither_url_nor_token(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    caplog.set_level(logging.DEBUG)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.DEBUG)
    printed = io.StringIO()
    with serve() as server, redirect_stdout(printed):
        Outbound(ANYWHERE_LOCAL, allow_http=True).call(
            "GET",
            f"{server.base_url}/Patient/CANARY-ID",
            seconds=1,
            headers={"Authorization": "Bearer CANARY-TOK"},
        )
    assert ("", "") == (caplog.text, printed.getvalue())


# --- TLS --------------------------------------------------------------------------------------------------


def tls_call(server: FhirServer, **options: object) -> int:
    url = f"https://localhost:{server.port}/fhir/metadata"
    outbound = Outbound(
        (f"https://localhost:{server.port}",), resolver=resolve_to("127.0.0.1"), **options
    )
    return outbound.call("GET", url, seconds=2).status


def test_CT12_a_certificate_of_a_trusted_authority_for_the_name_is_accepted(tmp_path: Path) -> None:
    server_tls, trust = make_server_tls(tmp_path, "localhost")
    with serve(tls=server_tls) as server:
        assert 200 == tls_call(server, trust=trust)
        assert [f"localhost:{server.port}"] == [each.headers["host"] for each in server.seen]


@pytest.mark.parametrize(("name", "trusted"), [("localhost", False), ("other.test", True)])
def test_CT12_a_self_signed_certificate_or_one_for_another_name_is_refused(
    tmp_path: Path, name: str, trusted: bool
) -> None:
    server_tls, trust = make_server_tls(tmp_path, name)
    with serve(tls=server_tls) as server, pytest.raises(CallFailedError) as caught:
        tls_call(server, **({"trust": trust} if trusted else {}))
    assert ("tls", []) == (caught.value.why, server.seen)


def test_a_server_that_speaks_no_tls_is_refused() -> None:
    with serve() as server, pytest.raises(CallFailedError) as caught:
        tls_call(server)
    assert ("tls", []) == (caught.value.why, server.paths())


def assert_no_thread_is_left() -> None:
    until = time.monotonic() + 2
    while time.monotonic() < until and any(
        each.name == "outbound" for each in threading.enumerate()
    ):
        time.sleep(0.01)
    assert [] == [each.name for each in threading.enumerate() if each.name == "outbound"]
