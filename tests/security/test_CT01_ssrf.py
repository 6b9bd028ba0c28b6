"""No URL that a caller chooses makes this service call a server that nobody listed (conformance T1)."""

from __future__ import annotations

import socket
import time

import pytest

from cds_service.ehr.client import FhirAccess, FhirClient
from cds_service.outbound.addresses import pin, read_place
from cds_service.outbound.http import CallFailedError, Outbound
from cds_service.settings import Limits
from tests.fhir_server import count_connections, serve

LISTED = ("https://ehr.example.org/fhir", "http://ehr.example.org/fhir")
QUERIES = {"patient": "Patient/123", "orders": "MedicationRequest?patient=123"}
REFUSED = dict.fromkeys(QUERIES, (None, False, "refused-host"))
PATIENT = {"resourceType": "Patient", "id": "123"}
ORDERS = [
    {
        "resourceType": "MedicationRequest",
        "id": f"m{number}",
        "subject": {"reference": "Patient/123"},
    }
    for number in range(3)
]


def never(*_: object, **__: object) -> list[tuple[object, ...]]:
    raise AssertionError("a name was looked up that nobody listed")


def resolve_to(*addresses: str):
    return lambda host, port, **_: [(0, 0, 0, "", (address, port)) for address in addresses]


def fetch(
    base: str, listed: tuple[str, ...] = LISTED, resolver=never
) -> dict[str, tuple[object, bool, str]]:
    client = FhirClient(Limits(), listed, allow_http=True, resolver=resolver)
    found = client.fetch(QUERIES, FhirAccess(base, "CANARY-TOK", 300, listed, require_https=False))
    return {name: (each.resource, each.complete, each.why) for name, each in found.items()}


@pytest.mark.parametrize(
    "base",
    [
        "http://169.254.169.254/",
        "http://127.0.0.1:{port}",
        "http://0:{port}",
        "http://127.1:{port}",
        "http://0x7f.1:{port}",
        "http://2130706433:{port}",
        "http://[::ffff:127.0.0.1]:{port}",
        "http://[::1]:{port}",
        "http://user@127.0.0.1:{port}",
        "http://127.0.0.1:{port}\\@evil/x",
        "http://localhost:{port}",
        "http://ehr.example.org@127.0.0.1:{port}/fhir",
        "http://127.0.0.1:{port}#@ehr.example.org/fhir",
        "http://127.0.0.1:{port}?@ehr.example.org/fhir",
        "http://127.0.0.1:{port}/ehr.example.org/fhir",
        "http://ehr.example.org:{port}/fhir",
        "http://ehr.example.org\\.127.0.0.1:{port}/fhir",
        "https://ehr.example.org.evil.test",
        "https://ehr.example.org@evil.test",
        "https://evil.test/#ehr.example.org",
        "https://ehr.example.org:8443",
        "https://ehr.example.org/fhir-evil",
        "https://ehr.example.org/fhir/../admin",
        "https://ehr.example.org/fhir/%2e%2e/admin",
        "https://ehr.example.org/fhir?x=1",
        "https://ehr.example.org/fhir?",
        "https://ehr.example.org/fhir#",
        "https://ehr.example.org/",
        "https://EHR.example.org./fhir",
        "https://ehr。example.org/fhir",
        "https://ehr.example.org%00.evil.test/fhir",
        "https://ⓔhr.example.org/fhir",
        "file:///etc/passwd",
        "ftp://ehr.example.org/fhir",
        "gopher://ehr.example.org/fhir",
        "//ehr.example.org/fhir",
        "ehr.example.org/fhir",
        "/fhir",
        "fhir",
        "",
        " https://ehr.example.org/fhir",
        "https://ehr.example.org/fhir ",
        "https://ehr.example.org/fhir\r\nHost: evil.test",
        "https://ehr.example.org/fhir\nX",
        "https:ehr.example.org/fhir",
        pytest.param("https://ehr.example.org/fhir/" + "a" * 100_000, id="100 kB"),
    ],
)
def test_CT01_a_base_that_is_not_listed_is_never_called(base: str) -> None:
    """All get the same answer, at once, without a connection or a DNS question."""
    with count_connections() as connections:
        start = time.monotonic()
        answer = fetch(base.replace("{port}", str(connections.port)))
        assert time.monotonic() - start < 0.05
        assert (REFUSED, 0) == (answer, connections())


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "127.0.0.2", "::ffff:7f00:1"]
)
def test_CT01_a_listed_name_that_leads_to_this_machine_is_never_called(address: str) -> None:
    with count_connections() as connections:
        base = f"http://ehr.example.org:{connections.port}/fhir"
        assert (REFUSED, 0) == (fetch(base, (base,), resolve_to(address)), connections())


def test_CT01_one_forbidden_address_among_good_ones_is_enough_to_refuse() -> None:
    with count_connections() as connections:
        base = f"http://ehr.example.org:{connections.port}/fhir"
        assert (REFUSED, 0) == (
            fetch(base, (base,), resolve_to("10.0.0.5", "127.0.0.1")),
            connections(),
        )


def test_CT01_the_name_is_looked_up_once_and_the_answer_pinned() -> None:
    """A DNS answer that changes after the check (rebinding) reaches nobody: reads, searches and pages share one."""
    asked: list[str] = []

    def rebind(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(0, 0, 0, "", ("127.0.0.1" if len(asked) == 1 else "127.0.0.2", port))]

    with (
        serve([PATIENT, *ORDERS], page_size=1, name="localhost") as server,
        socket.socket() as other,
    ):
        other.bind(("127.0.0.2", server.port))
        other.listen(5)
        other.settimeout(0.05)
        answer = fetch(server.base_url, (server.base_url,), rebind)
        with pytest.raises(TimeoutError):
            other.accept()
    assert [(True, "ok")] * 2 == [each[1:] for each in answer.values()]
    assert (["localhost"], 4) == (asked, len(server.seen))
    assert {f"localhost:{server.port}"} == {each.headers["host"] for each in server.seen}


def test_CT01_a_second_lookup_that_turns_bad_is_refused() -> None:
    place = read_place("http://ehr.example.org/fhir")
    assert place is not None
    assert (("10.0.0.5",), ()) == (
        pin(place, resolve_to("10.0.0.5")),
        pin(place, resolve_to("127.0.0.1")),
    )


@pytest.mark.parametrize("fault", ["redirect", "redirect-home", "redirect-bomb"])
def test_CT01_a_redirect_is_not_followed_elsewhere_nor_to_another_tenant(fault: str) -> None:
    with (
        count_connections() as connections,
        serve(
            [PATIENT], fault=fault, foreign=f"http://127.0.0.1:{connections.port}/fhir"
        ) as server,
    ):
        answer = fetch(server.base_url, (server.base_url,))
        assert dict.fromkeys(QUERIES, (None, False, "redirect")) == answer
        assert (0, 2) == (connections(), len(server.seen))


@pytest.mark.parametrize(
    "next_url",
    [
        "http://127.0.0.1:{foreign}/fhir?page=2",
        "http://localhost:{own}/fhir?page=2",
        "//127.0.0.1:{foreign}/fhir?page=2",
        "https://127.0.0.1:{own}/fhir?page=2",
        "http://127.0.0.1:{own}/other?page=2",
        "/other?page=2",
        "../other?page=2",
        "http://127.0.0.1:{own}/fhir-evil?page=2",
        "http://127.0.0.1:{own}/fhir/../other",
        "http://127.0.0.1:{own}/fhir/%2e%2e/o",
        "http://127.0.0.1:{own}@127.0.0.1:{foreign}/fhir",
        "http://127.0.0.1:{own}\\@127.0.0.1:{foreign}/fhir",
        "http://127.0.0.1:{own}/fhir#@127.0.0.1:{foreign}",
        "http://0x7f.1:{own}/fhir",
        "http://[::1",
        "file:///etc/passwd",
        "",
        "http://127.0.0.1:{own}/fhir?page=2\r\nX: y",
        7,
        None,
        {"a": 1},
        "http://127.0.0.1:{own}/fhir?" + "a" * 100_000,
    ],
    ids=lambda url: str(url)[:60],
)
def test_CT01_a_next_link_off_the_base_is_not_followed_and_the_list_is_incomplete(
    next_url: object,
) -> None:
    with count_connections() as connections, serve([PATIENT, *ORDERS]) as server:
        if isinstance(next_url, str):
            next_url = next_url.replace("{foreign}", str(connections.port)).replace(
                "{own}", str(server.port)
            )
        page = {
            "resourceType": "Bundle",
            "entry": [{"resource": ORDERS[0]}],
            "link": [{"relation": "next", "url": next_url}],
        }
        listed = ("http://127.0.0.1:*", "http://localhost:*")
        found = FhirClient(Limits(), listed, allow_http=True).follow(
            page, FhirAccess(server.base_url, "CANARY-TOK", 300, listed, require_https=False)
        )
        assert (False, "more-pages", page) == (found.complete, found.why, found.resource)
        assert (0, 0) == (connections(), len(server.seen))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/jwks.json",
        "https://ehr.example.org/jwks.json.evil",
        "https://ehr.example.org/jwks.json/../x",
        "https://u@ehr.example.org/jwks.json",
        "https://ehr.example.org.evil.test/jwks.json",
    ],
)
def test_CT01_a_key_set_url_that_is_not_listed_is_never_called(url: str) -> None:
    with count_connections() as connections:
        outbound = Outbound(("https://ehr.example.org/jwks.json",), allow_http=True, resolver=never)
        with pytest.raises(CallFailedError) as caught:
            outbound.call("GET", url.replace("{port}", str(connections.port)), seconds=1)
        assert ("refused-host", 0) == (caught.value.why, connections())


@pytest.mark.parametrize(
    "patient",
    [
        "1&_include=*",
        "1/../../Practitioner/2",
        "1?x=y",
        "1#",
        "%2e%2e",
        "..",
        "1%0d%0aX:y",
        "1\r\nX: y",
        "1,2",
        "1 2",
        "",
    ],
)
def test_CT01_a_patient_id_cannot_bend_a_query(patient: str) -> None:
    with serve([PATIENT]) as server:
        client = FhirClient(Limits(), (server.base_url,), allow_http=True)
        found = client.fetch(
            {"patient": f"Patient/{patient}", "orders": f"MedicationRequest?patient={patient}"},
            FhirAccess(server.base_url, "t", 300, (server.base_url,), require_https=False),
        )
        assert ({"bad-id"}, 0) == ({each.why for each in found.values()}, server.connections)
