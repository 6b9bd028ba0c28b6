"""A FHIR base is exactly a listed one, and no spelling of a path leads a token elsewhere on the same server (T1)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.ehr.client import FhirAccess, FhirClient
from cds_service.outbound.addresses import Place, find_base, read_link, read_place
from cds_service.settings import Limits
from tests.fhir_server import FhirServer, serve

STEPS = ("..", ".", "/", "\\", ";", "../", "..;", "..\\", "%", "a;b=c", "../admin", "/../admin")
PATIENT = {"resourceType": "Patient", "id": "123"}


def encode(text: str, how: str) -> str:
    """``text`` as somebody writes it who wants a server to read it and a check not to."""
    octets = text.encode()
    once = "".join(f"%{octet:02x}" for octet in octets)
    return {
        "raw": text,
        "escaped": once,
        "upper": once.upper(),
        "first": once[:3] + text[1:],
        "twice": once.replace("%", "%25"),
        "thrice": once.replace("%", "%2525"),
        "overlong": "".join(
            f"%{0xC0 | octet >> 6:02x}%{0x80 | octet & 0x3F:02x}" for octet in octets
        ),
        "fullwidth": "".join(
            "".join(f"%{part:02x}" for part in chr(octet + 0xFEE0).encode()) for octet in octets
        ),
        "iis": "".join(f"%u{octet:04x}" for octet in octets),
        "parameter": f"{text};x=1",
        "null": f"{text}%00",
        "newline": f"{text}%0d%0a",
    }[how]


ENCODINGS = (
    "raw",
    "escaped",
    "upper",
    "first",
    "twice",
    "thrice",
    "overlong",
    "fullwidth",
    "iis",
    "parameter",
    "null",
    "newline",
)
SPELLED = sorted({encode(step, how) for step, how in itertools.product(STEPS, ENCODINGS)})
PLACED = (
    "{root}/{step}",
    "{root}/{step}/admin",
    "{root}{step}",
    "{root}/x{step}",
    "{root}/x{step}y/z",
)


def tempted(server: FhirServer) -> list[str]:
    """Every spelling of a step, at every place of a path below this server's base."""
    root = server.base_url
    return [
        shape.format(root=root, step=step)
        for shape, step in itertools.product(PLACED, SPELLED)
        if shape.format(root="", step=step).strip("/")
    ]


def test_CT01_no_spelling_of_a_step_is_called_as_base_as_next_link_or_as_reference() -> None:
    with serve([PATIENT]) as server:
        listed = (server.base_url,)
        client = FhirClient(Limits(), listed, allow_http=True)
        access = FhirAccess(server.base_url, "CANARY-TOK", 300, listed, require_https=False)
        urls = tempted(server)
        for url in urls:
            base = FhirAccess(url, "CANARY-TOK", 300, listed, require_https=False)
            assert "refused-host" == client.fetch({"p": "Patient/123"}, base)["p"].why, url
            if is_ordinary(url):
                continue
            page = {"resourceType": "Bundle", "link": [{"relation": "next", "url": url}]}
            assert "more-pages" == client.follow(page, access).why, url
        for start in range(0, len(urls), 50):
            some = [f"{url}/Medication/d1" for url in urls[start : start + 50]]
            assert {"bad-id", "refused-host"} >= {
                each.why for each in client.read_many(some, access).values()
            }
        assert (0, []) == (server.connections, server.seen)
    assert len(urls) > 500


def is_ordinary(url: str) -> bool:
    """Dots inside a name are no step (``/fhir/x..y``): such a next link may be followed."""
    steps = url.partition("://")[2].removesuffix("/").split("/")
    return not set(url) & set("%;\\") and all(step.strip(".") for step in steps)


def read_base(url: str) -> Place:
    place = read_place(url)
    assert place is not None
    return place


@pytest.mark.parametrize("step", SPELLED)
@pytest.mark.parametrize("shape", PLACED[:2])
def test_CT01_a_segment_that_may_be_a_step_names_no_place(shape: str, step: str) -> None:
    """As a whole segment no spelling is read at all; only a trailing slash stands for nothing."""
    found = read_place(shape.format(root="https://ehr.example.org/fhir", step=step))
    assert found is None


@pytest.mark.parametrize(
    "link",
    [
        "../fhir?page=2",
        "./?page=2",
        "x/../Patient?page=2",
        "/fhir/..;/admin",
        "/fhir/%2e%2e/admin",
        "..%2fadmin",
        "/fhir/%252e%252e/admin",
        "/fh\nir/Patient",
        "/fhir/Patient\t?page=2",
        "\\",
        "//ehr.example.org/other",
        "",
    ],
)
def test_CT01_a_relative_link_is_judged_as_written_and_as_resolved(link: str) -> None:
    base = read_base("https://ehr.example.org/fhir")
    assert read_link(link, base) in (None, base)
    assert link == "" or read_link(link, base) is None


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("?_getpages=a%2Fb&_page=2", "https://ehr.example.org/fhir?_getpages=a%2Fb&_page=2"),
        ("MedicationRequest?page=2", "https://ehr.example.org/fhir/MedicationRequest?page=2"),
        ("/fhir/_page/7", "https://ehr.example.org/fhir/_page/7"),
        (
            "https://ehr.example.org/fhir/My%20Unit/%C3%A4",
            "https://ehr.example.org/fhir/My%20Unit/%C3%A4",
        ),
    ],
)
def test_an_ordinary_link_is_followed_as_written(link: str, url: str) -> None:
    found = read_link(link, read_base("https://ehr.example.org/fhir"))
    assert found is not None
    assert url == found.url


@pytest.mark.parametrize(
    ("base", "entry"),
    [
        ("https://ehr.example.org/fhir", "https://ehr.example.org/fhir/"),
        ("https://ehr.example.org/fhir/", "https://ehr.example.org/fhir/"),
        ("https://EHR.example.org:443/fhir", "https://ehr.example.org/fhir/"),
        ("https://ehr.example.org/fhir/tenant-a", "https://ehr.example.org/fhir/tenant-a"),
        ("https://ehr.example.org/fhir/tenant-b", ""),
        ("https://ehr.example.org/fhir/tenant-a/x", ""),
        ("https://ehr.example.org", ""),
        ("https://ehr.example.org/FHIR", ""),
        ("http://localhost:81/any/path", "http://localhost:*"),
        ("http://localhost.evil.test:81", ""),
    ],
)
def test_CT01_a_base_is_a_listed_base_and_a_tenant_below_one_is_another(
    base: str, entry: str
) -> None:
    listed = (
        "https://ehr.example.org/fhir/",
        "https://ehr.example.org/fhir/tenant-a",
        "http://localhost:*",
    )
    assert entry == find_base(read_base(base), listed)


def test_CT01_a_tenant_that_nobody_listed_is_not_called() -> None:
    with serve([PATIENT]) as server:
        listed = (server.base_url,)
        tenant = FhirAccess(
            f"{server.base_url}/tenant-b", "CANARY-TOK", 300, listed, require_https=False
        )
        found = FhirClient(Limits(), listed, allow_http=True).fetch({"p": "Patient/123"}, tenant)
        assert ("refused-host", 0) == (found["p"].why, server.connections)


@given(st.text(alphabet="./\\;%25efcEFC0a", max_size=12))
@settings(max_examples=500)
def test_CT01_a_path_that_is_read_stays_the_same_however_often_it_is_decoded(tail: str) -> None:
    """Whatever a server behind decodes, cuts at ``;`` or turns around, it finds the segments that we checked."""
    from urllib.parse import unquote

    place = read_place(f"https://ehr.example.org/fhir/{tail}")
    if place is None:
        return
    for segment in place.segments:
        once = unquote(segment)
        assert once == unquote(once)
        assert not set("/\\;") & set(once)
        assert once.strip(".")
