"""HTTP calls to listed servers only: pinned address, no redirect, capped answer, an end by the wall clock.

Every request of a ``OutboundSession`` goes to an address that was resolved and checked, carries only the headers
given, and leaves nothing behind but the connection: no cookie, proxy, netrc file or environment. No call is
retried: the EHR asks again with the next change of the order, and a second try would cost the budget of this
one. Only a kept connection that the server had closed meanwhile is replaced, where asking twice is safe.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from queue import Empty, Queue
from time import monotonic
from typing import TypeVar

import certifi
from urllib3 import BaseHTTPResponse, HTTPConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from cds_service.outbound.addresses import Place, Resolver, find_listed, read_place
from cds_service.outbound.connections import Connections
from cds_service.outbound.failures import DeadConnectionError, heard_nothing, let_go, name_failure
from cds_service.outbound.pinning import PinnedConnection, using

CREW = 8  # requests at the same time within one visit
_CHUNK = 65_536
_ONCE = Retry(total=False, redirect=False)
_T = TypeVar("_T")


class CallFailedError(Exception):
    """No whole answer was had; ``why`` is one stable word.

    The words: refused-host, unreachable, timeout, busy, tls, redirect, too-large, broken. Holds neither URL
    nor headers nor the error of the library underneath (which would).
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    target: str
    headers: Mapping[str, str]
    data: bytes | None
    safe: bool


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What a server said: status, headers with lower-case names, and the body after inflating."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@functools.cache
def usual_trust(ca_file: str = "") -> ssl.SSLContext:
    """TLS 1.2 or later, names checked; the machine's own certificate store, certifi's and the site's file."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    if ca_file:
        context.load_verify_locations(ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@dataclass(frozen=True, slots=True)
class Outbound:
    """Where calls may go and what an answer may weigh (bytes, after inflating).

    ``listed`` are absolute URLs; each covers itself and what lies below its path, or, where it has a query, itself
    alone. ``trust`` None means ``usual_trust``. ``proxy`` is asked to CONNECT to the checked address; it is
    never taken from the environment. ``kept`` may be shared: what differs here is kept apart there.
    """

    listed: tuple[str, ...]
    allow_http: bool = False
    max_bytes: int = 2_000_000
    resolver: Resolver = socket.getaddrinfo
    trust: ssl.SSLContext | None = None
    proxy: Place | None = None
    kept: Connections = field(default_factory=Connections, compare=False, repr=False)

    def admit(self, url: str) -> Place:
        """The place that a listed URL names; raises CallFailedError("refused-host") for every other URL."""
        place = read_place(url)
        if place is None or not find_listed(place, self.listed):
            raise CallFailedError("refused-host")
        if place.scheme == "http" and not self.allow_http:
            raise CallFailedError("refused-host")
        return place

    def call(
        self,
        method: str,
        url: str,
        *,
        seconds: float,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> HttpResponse:
        """One request, over within ``seconds`` whatever DNS or the server does; raises CallFailedError.

        A redirect is a failure; every other status is an answer.
        """
        place = self.admit(url)

        def ask() -> Iterator[HttpResponse | str]:
            try:
                yield visit.send(method, place, headers or {}, data)
            except CallFailedError as failure:
                yield failure.why

        with OutboundSession(self, place, seconds) as visit:
            visit.resolve()
            answer = visit.gather({"": ask}).get("", "timeout")
        if isinstance(answer, str):
            raise CallFailedError(answer)
        return answer


class OutboundSession:
    """Requests to one place until one moment. A context manager; leaving it cuts whatever still runs.

    ``answered`` is True once the server gave one whole answer. ``slots`` bounds the threads of all the visits
    that share it.
    """

    def __init__(
        self,
        outbound: Outbound,
        place: Place,
        seconds: float,
        *,
        slots: threading.Semaphore | None = None,
    ) -> None:
        self.place = place
        self.answered = False
        self._outbound = outbound
        self._until = monotonic() + max(0.0, seconds)
        self._slots = slots or threading.Semaphore(CREW)
        self._lock = threading.Lock()
        self._busy: set[PinnedConnection] = set()
        self._over = False
        self._pools: tuple[HTTPConnectionPool, ...] = ()

    def __enter__(self) -> OutboundSession:
        return self

    def __exit__(self, *_: object) -> None:
        """Wake every thread that waits for the server: no thread works for a visit that is over."""
        with self._lock:
            self._over = True
            busy = tuple(self._busy)
        for connection in busy:
            connection.cut(self)
        if not self.answered:
            self._outbound.kept.forget(self.place, self._outbound.resolver)

    @property
    def left(self) -> float:
        """Seconds until this visit ends, never negative."""
        return max(0.0, self._until - monotonic())

    def resolve(self) -> None:
        """Pin the addresses that the host has, looked up at most once; raises CallFailedError."""
        addresses: tuple[str, ...] | str | None
        addresses = self._outbound.kept.recall(self.place, self._outbound.resolver)
        if addresses is None:
            addresses = self.gather({"": self._look_up}).get("", "timeout")
        if not addresses or isinstance(addresses, str):
            raise CallFailedError(addresses if isinstance(addresses, str) else "refused-host")
        trust = (self._outbound.trust or usual_trust()) if self.place.scheme == "https" else None
        self._pools = tuple(
            self._outbound.kept.pool(self.place, each, trust, self._outbound.proxy)
            for each in addresses
        )

    def _look_up(self) -> Iterator[tuple[str, ...] | str]:
        """The addresses, () where one is forbidden, or why there are none."""
        try:
            yield self._outbound.kept.look_up(self.place, self._outbound.resolver)
        except (OSError, ValueError):
            yield "unreachable"

    def gather(self, tasks: Mapping[str, Callable[[], Iterator[_T]]]) -> dict[str, _T]:
        """Run tasks side by side; the last value that each yielded before the end (a silent task is absent).

        A task that yields several values makes each a better one (a list that grows page by page). Raises
        CallFailedError("busy") where no thread could be had in time.
        """
        waiting = deque(tasks.items())
        told: Queue[tuple[str, _T] | None] = Queue()
        wanted = min(len(tasks), CREW)
        crew = sum(self._hire(waiting, told, patient=number == 0) for number in range(wanted))
        if tasks and not crew:
            raise CallFailedError("busy")
        latest: dict[str, _T] = {}
        while crew:
            try:
                news = told.get(timeout=self.left)
            except Empty:
                break
            if news is None:
                crew -= 1
            else:
                latest[news[0]] = news[1]
        return latest

    def _hire(
        self,
        waiting: deque[tuple[str, Callable[[], Iterator[_T]]]],
        told: Queue[tuple[str, _T] | None],
        *,
        patient: bool,
    ) -> bool:
        """Have one thread of the crew work the tasks off; False where none is to be had."""
        if not (
            self._slots.acquire(timeout=self.left)
            if patient
            else self._slots.acquire(blocking=False)
        ):
            return False

        def work() -> None:
            try:
                while not self._over and self.left and (taken := _take(waiting)):
                    name, task = taken
                    for value in task():
                        told.put((name, value))
            finally:
                self._slots.release()
                told.put(None)

        if self._outbound.kept.crew.take(work):
            return True
        self._slots.release()
        return False

    def send(
        self,
        method: str,
        place: Place,
        headers: Mapping[str, str],
        data: bytes | None = None,
        *,
        safe: bool = False,
    ) -> HttpResponse:
        """One request; ``place`` must be on this visit's server. Raises CallFailedError.

        ``safe`` says that it changes nothing and may be sent again, as every GET may. To be called inside a
        task of ``gather``: only the end of the visit stops a server that drips.
        """
        if (place.scheme, place.authority) != (self.place.scheme, self.place.authority):
            raise CallFailedError("refused-host")
        own = {"Host": place.authority, "User-Agent": "naltrexone-cds", "Accept-Encoding": "gzip"}
        request = _Request(method, place.target, {**own, **headers}, data, safe or method == "GET")
        why = "unreachable"
        for pool in self._pools:
            try:
                answer = self._ask(pool, request)
            except CallFailedError as failure:
                why = failure.why
            except Exception as error:  # noqa: BLE001 - whatever a library raises: its text may hold the URL
                why = name_failure(error, over=not self.left)
                let_go(error)
            else:
                self.answered = True
                return answer
            if why != "unreachable":
                break
        self.answered = self.answered or why in {"tls", "redirect", "too-large"}
        raise CallFailedError(why)  # outside the handlers, so that no library error hangs on it

    def _ask(self, pool: HTTPConnectionPool, request: _Request) -> HttpResponse:
        """The answer; over a new connection where a kept one had died and nothing was heard."""
        try:
            return self._exchange(pool, request, fresh=False)
        except DeadConnectionError:
            pass
        return self._exchange(pool, request, fresh=True)

    def _exchange(
        self, pool: HTTPConnectionPool, request: _Request, *, fresh: bool
    ) -> HttpResponse:
        if not self.left:
            raise CallFailedError("timeout")
        with using(self, fresh=fresh) as use:
            try:
                response = pool.urlopen(
                    request.method,
                    request.target,
                    body=request.data,
                    headers=request.headers,
                    retries=_ONCE,
                    redirect=False,
                    preload_content=False,
                    timeout=self.left,
                )
            except (HTTPError, OSError) as error:
                if not (request.safe and use.reused and self.left and heard_nothing(error)):
                    raise
                let_go(error)
                raise DeadConnectionError from None
            with contextlib.closing(response):
                if 300 <= response.status < 400:
                    raise CallFailedError("redirect")
                headers = {name.lower(): value for name, value in response.headers.items()}
                return HttpResponse(response.status, headers, self._read(response))

    def _read(self, response: BaseHTTPResponse) -> bytes:
        body = bytearray()
        for chunk in response.stream(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._outbound.max_bytes:
                raise CallFailedError("too-large")
            if not self.left:
                break
        if self._over or not self.left:  # a cut connection may look like the end of the body
            raise CallFailedError("timeout")
        return bytes(body)

    def joined(self, connection: PinnedConnection) -> None:
        """A thread of this visit uses this connection from now on; raises TimeoutError where it is over."""
        with self._lock:
            self._busy.add(connection)
            if not self._over:
                return
        connection.cut(self)
        raise TimeoutError


def _take(waiting: deque[_T]) -> _T | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None
