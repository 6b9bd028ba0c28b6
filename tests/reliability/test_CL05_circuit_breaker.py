"""A FHIR server that stopped answering is left alone for ten seconds, and no other server notices (L5)."""

from __future__ import annotations

import threading
import time

import pytest

from cds_service.ehr.client import FhirAccess, FhirClient
from cds_service.outbound.breaker import Breaker
from cds_service.settings import Limits
from tests.fhir_server import FhirServer, refuse, serve

LISTED = ("http://127.0.0.1:*",)
PATIENT = {"resourceType": "Patient", "id": "123"}
LIMITS = Limits(fhir_budget_ms=200)


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def ask(client: FhirClient, base: str, budget_ms: int | None = None) -> str:
    access = FhirAccess(base, "t", 300, LISTED, require_https=False)
    return client.fetch({"p": "Patient/123"}, access, deadline_ms=budget_ms)["p"].why


def client_at(clock: Clock) -> FhirClient:
    return FhirClient(LIMITS, LISTED, allow_http=True, monotonic=clock)


def test_CL05_five_timeouts_in_a_row_open_the_circuit_and_answers_come_at_once() -> None:
    clock = Clock()
    client = client_at(clock)
    with serve([PATIENT], fault="hang") as server:
        assert ["timeout"] * 5 == [ask(client, server.base_url) for _ in range(5)]
        start = time.monotonic()
        clock.now += 9.9
        assert "circuit-open" == ask(client, server.base_url)
        assert time.monotonic() - start < 0.05
        assert 5 == server.connections


def test_CL05_refused_connections_open_it_as_well() -> None:
    client = client_at(Clock())
    with refuse() as base:
        assert [*["unreachable"] * 5, "circuit-open"] == [ask(client, base) for _ in range(6)]


def test_CL05_a_probe_after_ten_seconds_closes_it_again() -> None:
    clock = Clock()
    client = client_at(clock)
    with serve([PATIENT], fault="hang") as server:
        open_circuit(client, server)
        clock.now += 10
        server.fault = ""
        assert ["ok", "ok"] == [ask(client, server.base_url) for _ in range(2)]


def test_CL05_a_probe_that_fails_opens_it_for_ten_seconds_more() -> None:
    clock = Clock()
    client = client_at(clock)
    with serve([PATIENT], fault="hang") as server:
        open_circuit(client, server)
        clock.now += 10
        assert ["timeout", "circuit-open"] == [ask(client, server.base_url) for _ in range(2)]
        clock.now += 9.9
        assert "circuit-open" == ask(client, server.base_url)


def test_CL05_only_one_call_probes_at_a_time() -> None:
    clock = Clock()
    client = client_at(clock)
    with serve([PATIENT], fault="hang") as server:
        open_circuit(client, server)
        clock.now += 10
        said: list[str] = []
        threads = [
            threading.Thread(target=lambda: said.append(ask(client, server.base_url)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (["circuit-open"] * 3 + ["timeout"], 6) == (sorted(said), server.connections)


def test_CL05_an_answer_in_between_starts_the_count_anew() -> None:
    client = client_at(Clock())
    with serve([PATIENT], fault="hang") as server:
        said = []
        for fault in ["hang"] * 4 + [""] + ["hang"] * 5:
            server.fault = fault
            said.append(ask(client, server.base_url))
        assert ["timeout"] * 4 + ["ok"] + ["timeout"] * 5 == said


@pytest.mark.parametrize("fault", ["500", "401", "404", "html", "redirect", "outcome", "huge"])
def test_CL05_a_server_that_answers_badly_is_still_asked(fault: str) -> None:
    client = client_at(Clock())
    with serve([PATIENT], fault=fault) as server:
        assert "circuit-open" not in [ask(client, server.base_url) for _ in range(7)]


def test_CL05_a_call_that_had_no_fair_chance_does_not_count() -> None:
    client = client_at(Clock())
    with serve([PATIENT], fault="hang") as server:
        assert ["timeout"] * 6 == [ask(client, server.base_url, budget_ms=20) for _ in range(6)]


def test_CL05_a_name_that_is_refused_leaves_the_probe_to_the_next_call() -> None:
    clock = Clock()
    addresses = iter(["127.0.0.1"] * 5 + ["10.0.0.9", "127.0.0.1"])
    client = FhirClient(
        LIMITS,
        ("http://localhost:*",),
        allow_http=True,
        monotonic=clock,
        resolver=lambda host, port, **_: [(0, 0, 0, "", (next(addresses), port))],
    )
    with serve([PATIENT], fault="hang", name="localhost") as server:
        access = FhirAccess(
            server.base_url, None, None, ("http://localhost:*",), require_https=False
        )
        said = [client.fetch({"p": "Patient/123"}, access)["p"].why for _ in range(5)]
        clock.now += 10
        server.fault = ""
        said += [client.fetch({"p": "Patient/123"}, access)["p"].why for _ in range(2)]
    assert ["timeout"] * 5 + ["refused-host", "ok"] == said


BOTH = {"p": "Patient/123", "orders": "MedicationRequest?patient=123"}
ORDERS = [
    {
        "resourceType": "MedicationRequest",
        "id": f"m{number}",
        "subject": {"reference": "Patient/123"},
    }
    for number in range(5)
]


def patient_client(clock: Clock) -> FhirClient:
    """One whose budget leaves a request its fair trial on a busy machine too."""
    return FhirClient(Limits(fhir_budget_ms=400), LISTED, allow_http=True, monotonic=clock)


def ask_both(client: FhirClient, base: str) -> tuple[str, str]:
    found = client.fetch(BOTH, FhirAccess(base, "t", 300, LISTED, require_https=False))
    return found["p"].why, found["orders"].why


def test_CL05_a_type_that_hangs_is_left_alone_while_the_others_are_answered_at_once() -> None:
    """Counted by whole calls it would never open: the patient is answered, and each call waits for the orders."""
    clock = Clock()
    client = patient_client(clock)
    with serve([PATIENT, *ORDERS], fault="hang", fault_on="MedicationRequest") as server:
        assert [("ok", "timeout")] * 5 == [ask_both(client, server.base_url) for _ in range(5)]
        asked = len(server.seen)
        start = time.monotonic()
        assert ("ok", "circuit-open") == ask_both(client, server.base_url)
        assert time.monotonic() - start < 0.05
        assert ["GET /fhir/Patient/123"] == server.paths()[asked:]
        clock.now += 10
        server.fault = ""
        assert [("ok", "ok")] * 2 == [ask_both(client, server.base_url) for _ in range(2)]


def test_CL05_a_type_that_still_hangs_when_probed_is_left_alone_again() -> None:
    clock = Clock()
    client = patient_client(clock)
    with serve([PATIENT], fault="hang", fault_on="MedicationRequest") as server:
        for _ in range(5):
            ask_both(client, server.base_url)
        clock.now += 10
        assert [("ok", "timeout"), ("ok", "circuit-open")] == [
            ask_both(client, server.base_url) for _ in range(2)
        ]


def test_CL05_further_pages_that_hang_are_left_alone_and_the_first_page_is_still_read() -> None:
    client = patient_client(Clock())
    with serve([PATIENT, *ORDERS], page_size=2, fault="hang", fault_on="page") as server:
        said, asked, seconds = [], [], []
        for _ in range(6):
            start, before = time.monotonic(), len(server.seen)
            said.append(ask_both(client, server.base_url))
            seconds.append(time.monotonic() - start)
            asked.append(len(server.seen) - before)
    assert ([("ok", "more-pages")] * 6, [3] * 5 + [2]) == (said, asked)
    assert seconds[5] < 0.05
    assert min(seconds[:5]) > 0.2


def test_CL05_a_prefetched_page_whose_next_pages_hang_opens_it_too() -> None:
    client = patient_client(Clock())
    with serve([PATIENT, *ORDERS], page_size=2, fault="hang", fault_on="page") as server:
        page = {
            "resourceType": "Bundle",
            "link": [{"relation": "next", "url": f"{server.base_url}?_getpages=x&_page=2"}],
        }
        access = FhirAccess(server.base_url, "t", 300, LISTED, require_https=False)
        assert {"more-pages"} == {client.follow(page, access).why for _ in range(7)}
        assert 5 == len(server.seen)


def test_CL05_a_type_that_fails_at_once_costs_no_budget_and_is_still_asked() -> None:
    client = patient_client(Clock())
    with serve([PATIENT], fault="reset", fault_on="MedicationRequest") as server:
        assert [("ok", "broken")] * 7 == [ask_both(client, server.base_url) for _ in range(7)]


def test_CL05_one_type_of_one_base_says_nothing_about_another_base() -> None:
    client = patient_client(Clock())
    with (
        serve([PATIENT], fault="hang", fault_on="MedicationRequest") as dead,
        serve([PATIENT]) as alive,
    ):
        for _ in range(5):
            ask_both(client, dead.base_url)
        assert (("ok", "circuit-open"), ("ok", "ok")) == (
            ask_both(client, dead.base_url),
            ask_both(client, alive.base_url),
        )


def test_CL05_one_servers_outage_leaves_the_others_alone() -> None:
    client = client_at(Clock())
    with serve([PATIENT], fault="hang") as dead, serve([PATIENT]) as alive:
        before = median_seconds(client, alive)
        stop = threading.Event()

        def hammer() -> None:
            while not stop.is_set():
                ask(client, dead.base_url)
                stop.wait(0.005)

        threads = [threading.Thread(target=hammer) for _ in range(4)]
        for thread in threads:
            thread.start()
        during = median_seconds(client, alive)
        stop.set()
        for thread in threads:
            thread.join()
    assert during < before * 1.2 + 0.01


def test_a_breaker_counts_failures_in_a_row_only() -> None:
    clock = Clock()
    breaker = Breaker(clock, failures=2, seconds=10)
    for answered in (False, True, False, None):
        assert breaker.admits()
        breaker.record(answered)
    assert breaker.admits()
    breaker.record(False)
    assert not breaker.admits()


def open_circuit(client: FhirClient, server: FhirServer) -> None:
    for _ in range(5):
        ask(client, server.base_url)
    assert "circuit-open" == ask(client, server.base_url)


def median_seconds(client: FhirClient, server: FhirServer) -> float:
    took = []
    for _ in range(31):
        start = time.monotonic()
        assert "ok" == ask(client, server.base_url)
        took.append(time.monotonic() - start)
    return sorted(took)[15]
