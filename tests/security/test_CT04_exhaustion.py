"""No caller and no FHIR server can use the service up: neither its memory, nor its threads, nor its time (T4)."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.conformance.calls import (
    T1,
    T5,
    call,
    conflict,
    ldn,
    listed,
    naltrexone_50,
    order,
    refusal,
    topics,
)
from tests.conftest import Running
from tests.fhir_server import FhirServer, serve
from tests.security.ehr import Ehr, client, run_production, worker_pids
from tests.tls import make_server_tls

SIGN = "/cds-services/naltrexone-order-sign"
JSON = {"Content-Type": "application/json"}
SOCKETS = 200
SLOW_BODY = (
    f"POST {SIGN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    "Content-Length: 5000\r\n\r\n{"
).encode()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FhirServer, Ehr]]:
    folder = tmp_path_factory.mktemp("exhaustion")
    tls, _ = make_server_tls(folder, "localhost")
    with serve([listed()], tls=tls, name="localhost") as fhir:
        known = client(folder, fhir_bases=[fhir.base_url])
        with run_production(
            folder,
            known,
            environ={"SSL_CERT_FILE": str(folder / "cert.pem")},
            limits={"fhir_budget_ms": 300},
        ) as ehr:
            yield fhir, ehr


def usage(service: Running) -> tuple[int, int, int]:
    """Resident KiB, threads and open files of the one worker."""
    pid = worker_pids(service)[0]
    status = Path(f"/proc/{pid}/status").read_text()
    return (
        int(status.split("VmRSS:")[1].split()[0]),
        int(status.split("Threads:")[1].split()[0]),
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
    )


# --- what callers send ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"a":' * 100_000, JSON, 400),
        (b"[" * 1_000_000, JSON, 400),
        (b'{"a": 1' + b"0" * 5_000 + b"}", JSON, 400),
        (b'{"a": "' + b"x" * 10_000_000 + b'"}', JSON, 413),
        (b"\x1f\x8b\x08", {**JSON, "Content-Encoding": "gzip"}, 415),
    ],
)
def test_CT04_a_body_that_is_meant_to_hurt_is_refused_in_no_time(
    service: Running, body: bytes, headers: dict[str, str], status: int
) -> None:
    begun = time.monotonic()
    answer = service.post(SIGN, data=body, headers=headers)
    assert (status, True) == (answer.status_code, time.monotonic() - begun < 2)
    refusal(answer)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 50_000 + "!",
        " " * 100_000,
        "naltrexone " * 5_000,
        "1" * 50_000 + "mg",
        "4.5 mg " * 8_000,
        "take " * 10_000 + "daily",
        "(" * 50_000,
        "low dose " * 8_000 + "x",
    ],
)
@pytest.mark.parametrize("where", ["drug", "sig"])
def test_CT04_a_text_made_for_slow_patterns_is_read_at_once(
    service: Running, text: str, where: str
) -> None:
    """A drug that is not identified is a 412."""
    drafts = (
        order(text) if where == "drug" else ldn(dose={"text": text, "patientInstruction": text})
    )
    begun = time.monotonic()
    assert service.post(SIGN, json=call("order-sign", drafts)).status_code in {200, 412}
    assert time.monotonic() - begun < 2


def test_CT04_ten_thousand_orders_are_all_read_and_the_opioid_among_them_is_found(
    service: Running,
) -> None:
    many = [
        order("Amoxicillin 500 MG Oral Capsule", id=f"m-{n}", status="active") for n in range(9_999)
    ]
    body = call("order-sign", naltrexone_50(), meds=(*many, listed(id="m-last")))
    answer = service.post(SIGN, json=body)
    assert (200, "critical") == (answer.status_code, topics(answer.json()["cards"])[T1])


@contextlib.contextmanager
def held_open(service: Running, start: bytes) -> Iterator[list[socket.socket]]:
    """Two hundred connections that have sent this much and wait."""
    address = (urlsplit(service.url).hostname or "", urlsplit(service.url).port or 80)
    with contextlib.ExitStack() as stack:
        socks = [
            stack.enter_context(socket.create_connection(address, timeout=15))
            for _ in range(SOCKETS)
        ]
        for sock in socks:
            sock.sendall(start)
        yield socks


def is_cut(sock: socket.socket, seconds: float) -> bool:
    """True if the server hangs up in time."""
    sock.settimeout(seconds)
    with contextlib.suppress(ConnectionResetError):
        try:
            while sock.recv(65_536):
                continue
        except TimeoutError:
            return False
    return True


def test_CT04_two_hundred_slow_headers_hold_up_nobody_and_are_cut(service: Running) -> None:
    with held_open(service, f"POST {SIGN} HTTP/1.1\r\nHost: x\r\nX-Slow: ".encode()) as socks:
        assert [200] * 10 == [service.post(SIGN, json=conflict()).status_code for _ in range(10)]
        deadline = time.monotonic() + 25
        assert SOCKETS == sum(is_cut(sock, max(0.1, deadline - time.monotonic())) for sock in socks)


def test_CT04_two_hundred_slow_bodies_of_strangers_hold_up_nobody(
    site: tuple[FhirServer, Ehr],
) -> None:
    """Production asks for the token before it reads a body, so a stranger's body holds no thread."""
    with held_open(site[1].service, SLOW_BODY) as socks:
        assert [200] * 10 == [site[1].call(conflict()).status_code for _ in range(10)]
        assert 200 == site[1].service.get("/livez").status_code
        assert SOCKETS == sum(is_cut(sock, 10) for sock in socks)


def test_CT04_two_hundred_slow_bodies_hold_up_nobody_in_the_demo_profile(service: Running) -> None:
    """A body that stops arriving holds one of the server's 256 threads; more of them need a proxy that buffers."""
    with held_open(service, SLOW_BODY):
        answered = []
        with contextlib.suppress(requests.RequestException):
            answered.append(requests.get(f"{service.url}/livez", timeout=3).status_code)
    assert [200] == answered


# --- what FHIR servers answer -----------------------------------------------------------------------------------------


def fetching(fhir: FhirServer, fault: str) -> Any:
    fhir.fault = fault
    return {**call("order-sign", naltrexone_50(), meds=None), "fhirServer": fhir.base_url}


@pytest.mark.parametrize(
    "fault",
    ["gzip-bomb", "endless", "huge", "deep", "drip-body", "drip-headers", "next-loop", "hang"],
)
def test_CT04_a_hostile_answer_costs_a_card_in_time_and_little_memory(
    site: tuple[FhirServer, Ehr], fault: str
) -> None:
    fhir, ehr = site
    ehr.call(fetching(fhir, ""))
    before, begun = usage(ehr.service)[0], time.monotonic()
    answer = ehr.call(fetching(fhir, fault))
    elapsed = time.monotonic() - begun
    assert (200, {T5: "warning"}) == (answer.status_code, topics(answer.json()["cards"]))
    assert (True, True) == (elapsed < 2, usage(ehr.service)[0] - before < 100_000)


def test_CT04_a_hundred_calls_with_a_hanging_server_leave_nothing_behind(
    site: tuple[FhirServer, Ehr],
) -> None:
    """What the first hundred leave open (the store's connections) does not grow with the second."""
    fhir, ehr = site
    hundred_calls(fhir, ehr)
    time.sleep(3)
    _, threads, files = usage(ehr.service)
    hundred_calls(fhir, ehr)
    assert settles(ehr.service, threads + 8, files + 8), usage(ehr.service)


def hundred_calls(fhir: FhirServer, ehr: Ehr) -> None:
    with ThreadPoolExecutor(100) as pool:
        said = list(pool.map(lambda _: ehr.call(fetching(fhir, "hang")), range(100)))
    assert {200} == {answer.status_code for answer in said}
    assert {"warning"} == {topics(answer.json()["cards"])[T5] for answer in said}


def settles(service: Running, threads: int, files: int) -> bool:
    """True once threads and files are back to so many."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        _, now_threads, now_files = usage(service)
        if now_threads <= threads and now_files <= files:
            return True
        time.sleep(0.5)
    return False
