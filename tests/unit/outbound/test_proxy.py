"""Through a hospital's proxy: a tunnel to the address that was checked, TLS with the listed name inside it."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from cds_service.outbound.addresses import Place, read_place
from cds_service.outbound.http import CallFailedError, Outbound, usual_trust
from tests.connect_proxy import Proxy, connect_proxy
from tests.fhir_server import FhirServer, serve
from tests.tls import make_server_tls, make_site_tls

PATIENT = {"resourceType": "Patient", "id": "1"}
LOCAL = ("https://localhost:*", "http://localhost:*", "http://127.0.0.1:*")


def place_of(url: str) -> Place:
    place = read_place(url)
    assert place is not None
    return place


def through(proxy: Proxy, **options: object) -> Outbound:
    return Outbound(LOCAL, allow_http=True, proxy=place_of(proxy.url), **options)


def read(outbound: Outbound, server: FhirServer, seconds: float = 2.0) -> str:
    try:
        answer = outbound.call(
            "GET",
            f"{server.base_url}/Patient/1",
            seconds=seconds,
            headers={"Authorization": "Bearer CANARY-TOK"},
        )
    except CallFailedError as failure:
        return failure.why
    return str(answer.status)


def test_the_tunnel_leads_to_the_checked_address_and_tls_proves_the_listed_name(
    tmp_path: Path,
) -> None:
    tls, authority = make_site_tls(tmp_path, "localhost")
    asked_for: list[str | None] = []
    tls.sni_callback = lambda _sock, name, _context: asked_for.append(name)
    with connect_proxy() as proxy, serve([PATIENT], tls=tls, name="localhost") as server:
        outbound = through(proxy, trust=usual_trust(str(authority)))
        assert ["200"] * 4 == [read(outbound, server) for _ in range(4)]
        assert [f"localhost:{server.port}"] * 4 == [each.headers["host"] for each in server.seen]
    assert ([f"CONNECT 127.0.0.1:{server.port}"], ["localhost"]) == (proxy.asked, asked_for)


def test_CT02_the_proxy_sees_neither_token_nor_path(tmp_path: Path) -> None:
    tls, authority = make_site_tls(tmp_path, "localhost")
    with connect_proxy() as proxy, serve([PATIENT], tls=tls, name="localhost") as server:
        assert "200" == read(through(proxy, trust=usual_trust(str(authority))), server)
    assert not any(
        "CANARY" in head or "Patient" in head or "localhost" in head for head in proxy.heads
    )


@pytest.mark.parametrize("name", ["other.test", "127.0.0.1"])
def test_CT12_a_certificate_for_another_name_is_refused_inside_the_tunnel(
    tmp_path: Path, name: str
) -> None:
    tls, trust = make_server_tls(tmp_path, name)
    with connect_proxy() as proxy, serve([PATIENT], tls=tls, name="localhost") as server:
        assert "tls" == read(through(proxy, trust=trust), server)
        assert [] == server.seen


def test_without_the_sites_authority_its_servers_are_not_trusted(tmp_path: Path) -> None:
    tls, authority = make_site_tls(tmp_path, "localhost")
    with serve([PATIENT], tls=tls, name="localhost") as server:
        assert "tls" == read(Outbound(LOCAL), server)
        assert "200" == read(Outbound(LOCAL, trust=usual_trust(str(authority))), server)


def test_plain_http_goes_through_the_tunnel_too_and_as_itself() -> None:
    with connect_proxy() as proxy, serve([PATIENT]) as server:
        outbound = through(proxy)
        assert ["200"] * 2 == [read(outbound, server) for _ in range(2)]
        assert {"/fhir/Patient/1"} == {each.path for each in server.seen}
    assert [f"CONNECT 127.0.0.1:{server.port}"] == proxy.asked


def test_CT01_a_name_that_leads_somewhere_forbidden_is_not_asked_of_the_proxy() -> None:
    def resolver(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", ("169.254.169.254", port))]

    with connect_proxy() as proxy:
        outbound = Outbound(
            ("http://ehr.test",), allow_http=True, resolver=resolver, proxy=place_of(proxy.url)
        )
        with pytest.raises(CallFailedError) as caught:
            outbound.call("GET", "http://ehr.test/fhir", seconds=1)
    assert ("refused-host", []) == (caught.value.why, proxy.asked)


@pytest.mark.parametrize(
    "says", ["403 Forbidden", "407 Proxy Authentication Required", "502 Bad Gateway"]
)
def test_a_proxy_that_refuses_is_a_server_that_cannot_be_reached(says: str) -> None:
    with connect_proxy(says=says) as proxy, serve([PATIENT]) as server:
        assert "unreachable" == read(through(proxy), server)
        assert [] == server.seen


def test_a_proxy_that_is_not_there_is_a_server_that_cannot_be_reached() -> None:
    with socket.socket() as nobody, serve([PATIENT]) as server:
        nobody.bind(("127.0.0.1", 0))
        proxy = Proxy(url=f"http://127.0.0.1:{nobody.getsockname()[1]}")
        assert "unreachable" == read(through(proxy), server)
        assert 0 == server.connections


def test_a_proxy_that_hangs_costs_no_more_than_the_call() -> None:
    with connect_proxy(says="hang") as proxy, serve([PATIENT]) as server:
        start = time.monotonic()
        assert "timeout" == read(through(proxy), server, seconds=0.3)
        assert time.monotonic() - start < 0.45


def test_a_call_through_the_proxy_and_one_past_it_share_no_connection() -> None:
    with connect_proxy() as proxy, serve([PATIENT]) as server:
        direct = Outbound(LOCAL, allow_http=True)
        tunnelled = through(proxy, kept=direct.kept)
        assert ["200"] * 4 == [
            read(each, server) for each in (direct, tunnelled, direct, tunnelled)
        ]
        assert (2, 1) == (server.connections, len(proxy.asked))
