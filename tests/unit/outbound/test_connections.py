"""Connections are kept for the same server only, carry nothing over, and are replaced when they had died."""

from __future__ import annotations

import contextlib
import gc
import json
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from cds_service.outbound import pinning
from cds_service.outbound.addresses import Place, read_place
from cds_service.outbound.connections import Connections
from cds_service.outbound.http import CallFailedError, HttpResponse, Outbound, OutboundSession
from tests.fhir_server import serve
from tests.tls import make_server_tls

LOCAL = ("http://127.0.0.1:*", "http://localhost:*", "https://localhost:*")
PATIENTS = [{"resourceType": "Patient", "id": f"p{number}"} for number in range(40)]


def door(**options: object) -> Outbound:
    return Outbound(LOCAL, allow_http=True, **options)


def get(outbound: Outbound, url: str, seconds: float = 2.0, **headers: str) -> HttpResponse:
    return outbound.call("GET", url, seconds=seconds, headers=headers)


def why(outbound: Outbound, url: str, seconds: float = 2.0) -> str:
    with pytest.raises(CallFailedError) as caught:
        outbound.call("GET", url, seconds=seconds)
    return caught.value.why


# --- kept, and for whom -----------------------------------------------------------------------------------


def test_calls_one_after_the_other_share_a_connection() -> None:
    with serve(PATIENTS) as server:
        outbound = door()
        assert [200] * 10 == [
            get(outbound, f"{server.base_url}/Patient/p1").status for _ in range(10)
        ]
        assert (1, 10) == (server.connections, len(server.seen))


def test_queries_side_by_side_open_as_many_as_run_at_once_and_keep_them() -> None:
    with serve(PATIENTS, delay=0.02) as server:
        outbound = door()
        with ThreadPoolExecutor(4) as pool:
            for _ in range(10):
                list(pool.map(lambda _: get(outbound, f"{server.base_url}/Patient/p1"), range(4)))
        assert 40 == len(server.seen)
        assert server.connections <= 4


def test_CT02_nothing_of_one_call_is_in_the_next_on_the_same_connection() -> None:
    with serve(PATIENTS) as server:
        outbound, url = door(), f"{server.base_url}/Patient/p1"
        get(outbound, url, Authorization="Bearer CANARY-TOK", Cookie="a=b", **{"X-Own": "1"})
        server.fault = "cookie"
        get(outbound, url)
        server.fault = ""
        get(outbound, url)
        assert 1 == server.connections
        kept = [{"authorization", "cookie", "x-own"} & set(each.headers) for each in server.seen]
    assert [{"authorization", "cookie", "x-own"}, set(), set()] == kept


def test_hosts_with_one_address_share_no_connection() -> None:
    with serve(PATIENTS) as server:
        outbound = door()
        for host in ("127.0.0.1", "localhost", "127.0.0.1", "localhost"):
            get(outbound, f"http://{host}:{server.port}/fhir/Patient/p1")
        assert 2 == server.connections
        assert {f"127.0.0.1:{server.port}", f"localhost:{server.port}"} == {
            each.headers["host"] for each in server.seen
        }


def test_CT12_a_connection_of_who_trusts_is_not_used_by_who_does_not(tmp_path: Path) -> None:
    tls, trust = make_server_tls(tmp_path, "localhost")
    with serve(PATIENTS, tls=tls, name="localhost") as server:
        trusting = door(trust=trust)
        doubting = replace(trusting, trust=ssl.create_default_context())
        assert doubting.kept is trusting.kept
        url = f"{server.base_url}/Patient/p1"
        assert 200 == get(trusting, url).status
        assert "tls" == why(doubting, url)
        assert 200 == get(trusting, url).status
        assert 2 == len(server.seen)


def test_CT12_the_listed_name_is_what_tls_must_prove_on_every_new_connection(
    tmp_path: Path,
) -> None:
    tls, trust = make_server_tls(tmp_path, "localhost")
    resolver = lambda host, port, **_: [(0, 0, 0, "", ("10.0.0.1", port))]  # noqa: E731
    with serve(PATIENTS, tls=tls, name="localhost") as server:
        outbound = door(trust=trust)
        assert 200 == get(outbound, f"{server.base_url}/Patient/p1").status
        place = Place("https", "ehr.test", server.port)
        pool = outbound.kept.pool(place, "127.0.0.1", trust, None)
        assert ("ehr.test", 0) == (pool.conn_kw["server_hostname"], pool.num_connections)
        other = replace(outbound, listed=(place.url,), resolver=resolver)
        with OutboundSession(other, place, 1) as visit, pytest.raises(CallFailedError) as caught:
            visit._pools = (pool,)  # as if the name led to this machine
            visit.send("GET", place, {})
    assert "tls" == caught.value.why


def test_addresses_that_nobody_uses_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_service.outbound.connections._ADDRESSES", 2)
    kept = Connections()
    pools = [
        kept.pool(Place("http", "ehr.test", 80), f"10.0.0.{number}", None, None)
        for number in range(3)
    ]
    again = [
        kept.pool(Place("http", "ehr.test", 80), f"10.0.0.{number}", None, None)
        for number in (2, 1, 0)
    ]
    assert [True, True, False] == [old is new for old, new in zip(pools[::-1], again, strict=True)]


# --- idle -------------------------------------------------------------------------------------------------


def test_a_connection_that_idled_too_long_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serve(PATIENTS) as server:
        outbound, url = door(), f"{server.base_url}/Patient/p1"
        get(outbound, url)
        monkeypatch.setattr(pinning, "IDLE_SECONDS", 0.0)
        get(outbound, url)
        assert 2 == server.connections


def test_idle_connections_are_closed_and_the_crew_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_service.outbound.connections.IDLE_SECONDS", 0.2)
    with serve(PATIENTS) as server:
        outbound = door()
        get(outbound, f"{server.base_url}/Patient/p1")
        assert outbound.kept.sweep()
        time.sleep(0.25)
        assert not outbound.kept.sweep()
        assert 0 == open_connections(outbound, server.base_url)


def open_connections(outbound: Outbound, url: str) -> int:
    place = read_place(url)
    assert place is not None
    idle = outbound.kept.pool(place, place.host, None, None).pool
    assert idle is not None
    return sum(each is not None and each.sock is not None for each in idle.queue)


# --- names ------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Names:
    """A name server that counts; ``answers`` are given in turn, the last one for ever."""

    answers: list[str]
    asked: int = 0

    def __call__(self, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        address = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [(0, 0, 0, "", (address, port))]


def test_a_name_is_asked_for_once_in_five_seconds() -> None:
    names, now = Names(["127.0.0.1"]), [100.0]
    outbound = door(resolver=names, kept=Connections(lambda: now[0]))
    with serve(PATIENTS) as server:
        for step in (0.0, 2.0, 2.9, 0.2):
            now[0] += step
            get(outbound, f"http://localhost:{server.port}/fhir/Patient/p1")
    assert 2 == names.asked


def test_CT01_a_remembered_answer_is_checked_at_every_use() -> None:
    names = Names(["10.0.0.5"])
    kept, site, local = Connections(), Place("http", "ehr.test", 80), Place("http", "localhost", 80)
    assert (None, ("10.0.0.5",), ("10.0.0.5",)) == (
        kept.recall(site, names),
        kept.look_up(site, names),
        kept.recall(site, names),
    )
    bad = Names(["169.254.169.254", "127.0.0.1"])
    assert ((), (), 1) == (kept.look_up(site, bad), kept.recall(site, bad), bad.asked)
    assert (None, ("127.0.0.1",)) == (kept.recall(local, bad), kept.look_up(local, bad))


def test_CT01_a_name_that_turns_bad_is_refused_although_a_connection_is_kept() -> None:
    names, now = Names(["127.0.0.1", "10.0.0.5"]), [100.0]
    outbound = door(resolver=names, kept=Connections(lambda: now[0]))
    with serve(PATIENTS) as server:
        url = f"http://localhost:{server.port}/fhir/Patient/p1"
        assert 200 == get(outbound, url).status
        now[0] += 6
        assert "refused-host" == why(outbound, url)
        assert 1 == len(server.seen)


def test_a_name_that_led_to_silence_is_asked_for_again() -> None:
    names = Names(["127.0.0.2", "127.0.0.1"])
    with serve(PATIENTS) as server:
        outbound, url = door(resolver=names), f"http://localhost:{server.port}/fhir/Patient/p1"
        assert "unreachable" == why(outbound, url)
        assert 200 == get(outbound, url).status
    assert 2 == names.asked


# --- on the wire ------------------------------------------------------------------------------------------


def test_head_and_body_leave_in_one_write() -> None:
    """Apart they are two TLS records, two packets, two wake-ups at both ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arrived: list[bytes] = []

        def answer() -> None:
            with listener.accept()[0] as sock:
                arrived.append(sock.recv(65_536))
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/fhir/Condition/_search"
        assert b"{}" == door().call("POST", url, seconds=2, data=b"patient=123").body
        thread.join(2)
    head, _, body = arrived[0].partition(b"\r\n\r\n")
    assert (b"POST /fhir/Condition/_search HTTP/1.1", b"patient=123") == (
        head.partition(b"\r\n")[0],
        body,
    )


# --- dead connections -------------------------------------------------------------------------------------


@dataclass
class Flaky:
    """A server that answers the first request of each of its first connections, and then does as told."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def flaky(then: bytes | None, *, broken: int = 1, reset: bool = False) -> Iterator[Flaky]:
    """``then`` is what a second request on one of the first ``broken`` connections gets before it is cut."""
    state = Flaky()

    def serve_one(sock: socket.socket, number: int) -> None:
        with sock:
            for turn in range(50):
                request = read_request(sock)
                if not request:
                    return
                state.requests.append(request)
                if turn and number <= broken:
                    sock.sendall(then or b"")
                    if reset:
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    return
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                state.connections += 1
                threading.Thread(
                    target=serve_one, args=(sock, state.connections), daemon=True
                ).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        state.port = listener.getsockname()[1]
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield state
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def read_request(sock: socket.socket) -> bytes:
    data = b""
    with contextlib.suppress(OSError):
        while b"\r\n\r\n" not in data:
            more = sock.recv(65_536)
            if not more:
                return b""
            data += more
    return data.partition(b"\r\n")[0]


def send_twice(port: int, method: str, *, safe: bool = False) -> list[str]:
    outbound = door()
    place = outbound.admit(f"http://127.0.0.1:{port}/fhir")
    said = []
    for _ in range(2):
        with OutboundSession(outbound, place, 2) as visit:
            visit.resolve()

            def ask(visit: OutboundSession = visit) -> Iterator[str]:
                try:
                    yield str(
                        visit.send(
                            method, place, {}, b"x" if method == "POST" else None, safe=safe
                        ).status
                    )
                except CallFailedError as failure:
                    yield failure.why

            said.append(visit.gather({"": ask})[""])
    return said


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(("method", "safe"), [("GET", False), ("POST", True)])
def test_a_kept_connection_that_died_is_replaced_once_where_asking_twice_is_safe(
    method: str, safe: bool, reset: bool
) -> None:
    with flaky(None, reset=reset) as server:
        assert ["200", "200"] == send_twice(server.port, method, safe=safe)
        assert (2, 3) == (server.connections, len(server.requests))


def test_what_may_change_something_is_never_sent_twice() -> None:
    with flaky(None) as server:
        assert ["200", "broken"] == send_twice(server.port, "POST")
        assert (1, 2) == (server.connections, len(server.requests))


@pytest.mark.parametrize(
    "heard", [b"HT", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"nonsense\r\n\r\n"]
)
def test_an_answer_that_had_begun_is_not_asked_for_again(heard: bytes) -> None:
    with flaky(heard) as server:
        assert ["200", "broken"] == send_twice(server.port, "GET")
        assert (1, 2) == (server.connections, len(server.requests))


def test_a_new_connection_that_is_cut_is_not_tried_again() -> None:
    with serve(PATIENTS, fault="reset") as server:
        assert "broken" == why(door(), f"{server.base_url}/Patient/p1")
        assert (1, 1) == (server.connections, len(server.seen))


def test_a_server_that_closes_every_connection_is_answered_by_without_a_failure() -> None:
    """It says ``Connection: close``, or closes in silence before the next request: neither costs an answer."""
    with serve(PATIENTS, fault="") as server:
        outbound = door()
        for _ in range(3):
            assert 200 == get(outbound, f"{server.base_url}/Patient/p1", Connection="close").status
        assert 3 == server.connections


@pytest.mark.parametrize(
    "fault", ["", "hang", "reset", "headers-then-hang", "huge", "redirect", "gzip-bomb"]
)
def test_CT02_a_call_that_is_over_leaves_nothing_to_the_garbage_collector(fault: str) -> None:
    """Errors of libraries hold frames that hold them: tokens, and connections, would live on for a while."""
    gc.collect()
    gc.disable()
    try:
        with serve(PATIENTS, fault=fault) as server:
            outbound = door(max_bytes=100_000)
            gone = weakref.ref(outbound.kept)
            with contextlib.suppress(CallFailedError):
                get(outbound, f"{server.base_url}/Patient/p1", seconds=0.2)
            del outbound
            until = time.monotonic() + 1
            while gone() is not None and time.monotonic() < until:
                time.sleep(0.01)
            assert gone() is None
    finally:
        gc.enable()


# --- whose answer -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", ["hang", "headers-then-hang", "drip-body", "endless", "redirect", "huge", "500"]
)
def test_no_call_reads_what_was_meant_for_another(fault: str) -> None:
    with serve(PATIENTS) as server:
        outbound = door(max_bytes=100_000)
        for number in range(6):
            server.fault = fault
            with contextlib.suppress(CallFailedError):
                get(outbound, f"{server.base_url}/Patient/other", seconds=0.1)
            server.fault = ""
            answer = get(outbound, f"{server.base_url}/Patient/p{number}")
            assert f"p{number}" == json.loads(answer.body)["id"]


def test_a_visit_that_ends_cuts_its_own_connections_and_no_other_visits() -> None:
    """Calls with hardly any time beside calls with enough of it, on the same connections."""
    with serve(PATIENTS, delay=0.01) as server:
        outbound = door()

        def hurried(number: int) -> None:
            with contextlib.suppress(CallFailedError):
                get(
                    outbound,
                    f"{server.base_url}/Patient/p{number % 40}",
                    seconds=0.008 + number % 7 / 1_000,
                )

        def patient(number: int) -> str:
            return str(
                json.loads(
                    get(outbound, f"{server.base_url}/Patient/p{number % 40}", seconds=20).body
                )["id"]
            )

        with ThreadPoolExecutor(8) as rush, ThreadPoolExecutor(4) as calm:
            hurrying = rush.map(hurried, range(300))
            assert [f"p{number % 40}" for number in range(150)] == list(
                calm.map(patient, range(150))
            )
            list(hurrying)
