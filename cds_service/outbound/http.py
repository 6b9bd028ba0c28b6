"""HTTP calls to listed servers only: pinned address, no redirect, capped answer, an end by the wall clock.

Every request of a ``OutboundSession`` goes to the address that was resolved and checked once, carries only the headers
given, and keeps nothing: no session, cookie, proxy, netrc file or environment. No call is retried: the EHR
asks again with the next change of the order, and a second try would cost the budget of this one.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TypeVar

import certifi
import requests
from urllib3.exceptions import NewConnectionError

from cds_service.outbound.addresses import Place, Resolver, find_listed, pin, read_place
from cds_service.outbound.pinning import CREW, PinnedAdapter

_CHUNK = 65_536
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
class HttpResponse:
    """What a server said: status, headers with lower-case names, and the body after inflating."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@functools.cache
def usual_trust() -> ssl.SSLContext:
    """TLS 1.2 or later, names checked; the machine's own certificate store (hospital CAs) and certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@dataclass(frozen=True, slots=True)
class Outbound:
    """Where calls may go and what an answer may weigh (bytes, after inflating).

    ``listed`` are absolute URLs; each covers itself and what lies below its path, or, where it has a query, itself
    alone. ``trust`` None means ``usual_trust``.
    """

    listed: tuple[str, ...]
    allow_http: bool = False
    max_bytes: int = 2_000_000
    resolver: Resolver = socket.getaddrinfo
    trust: ssl.SSLContext | None = None

    def admit(self, url: str) -> Place:
        """The place that a listed URL names; raises CallFailedError("refused-host") for every other URL."""
        place = read_place(url)
        if place is None or not find_listed(place, self.listed):
            raise CallFailedError("refused-host")
        if place.scheme == "http" and not self.allow_http:
            raise CallFailedError("refused-host")
        return place

    def call(self, method: str, url: str, *, seconds: float, headers: Mapping[str, str] | None = None,
             data: bytes | None = None) -> HttpResponse:
        """One request, over within ``seconds`` whatever DNS or the server does; raises CallFailedError.

        A redirect is a failure; every other status is an answer.
        """
        place = self.admit(url)

        def ask() -> Iterator[HttpResponse | CallFailedError]:
            try:
                yield visit.send(method, place, headers or {}, data)
            except CallFailedError as failure:
                yield failure

        with OutboundSession(self, place, seconds) as visit:
            visit.resolve()
            answer = visit.gather({"": ask}).get("", CallFailedError("timeout"))
        if isinstance(answer, CallFailedError):
            raise answer
        return answer


class OutboundSession:
    """Requests to one place until one moment. A context manager; leaving it cuts whatever still runs.

    ``answered`` is True once the server gave one whole answer. ``slots`` bounds the threads of all the visits
    that share it.
    """

    def __init__(self, outbound: Outbound, place: Place, seconds: float, *,
                 slots: threading.Semaphore | None = None) -> None:
        self.place = place
        self.answered = False
        self._outbound = outbound
        self._until = monotonic() + max(0.0, seconds)
        self._slots = slots or threading.Semaphore(CREW)
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._over = False
        self._adapters: tuple[PinnedAdapter, ...] = ()

    def __enter__(self) -> OutboundSession:
        return self

    def __exit__(self, *_: object) -> None:
        """Wake every thread that waits for the server: threads and sockets do not outlive the visit."""
        with self._lock:
            self._over = True
            for sock in self._open:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
            self._open.clear()
        for adapter in self._adapters:
            adapter.close()

    @property
    def left(self) -> float:
        """Seconds until this visit ends, never negative."""
        return max(0.0, self._until - monotonic())

    def resolve(self) -> None:
        """Look the host up, once, and pin what it says; raises CallFailedError."""
        addresses = self.gather({"": self._look_up}).get("", CallFailedError("timeout"))
        if isinstance(addresses, CallFailedError):
            raise addresses
        trust = (self._outbound.trust or usual_trust()) if self.place.scheme == "https" else None
        self._adapters = tuple(PinnedAdapter(self.place, each, self._watch, trust) for each in addresses)

    def _look_up(self) -> Iterator[tuple[str, ...] | CallFailedError]:
        try:
            yield pin(self.place, self._outbound.resolver) or CallFailedError("refused-host")
        except (OSError, ValueError):
            yield CallFailedError("unreachable")

    def gather(self, tasks: Mapping[str, Callable[[], Iterator[_T]]]) -> dict[str, _T]:
        """Run tasks side by side; the last value that each yielded before the end (a silent task is absent).

        A task that yields several values makes each a better one (a list that grows page by page). Raises
        CallFailedError("busy") where no thread could be had in time.
        """
        waiting = deque(tasks.items())
        told: SimpleQueue[tuple[str, _T] | None] = SimpleQueue()
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

    def _hire(self, waiting: deque[tuple[str, Callable[[], Iterator[_T]]]],
              told: SimpleQueue[tuple[str, _T] | None], *, patient: bool) -> bool:
        """Start one daemon thread that works the tasks off; False where none is to be had."""
        if not (self._slots.acquire(timeout=self.left) if patient else self._slots.acquire(blocking=False)):
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

        try:
            threading.Thread(target=work, name="outbound", daemon=True).start()
        except RuntimeError:             # the machine has no thread left
            self._slots.release()
            return False
        return True

    def send(self, method: str, place: Place, headers: Mapping[str, str],
             data: bytes | None = None) -> HttpResponse:
        """One request; ``place`` must be on this visit's server. Raises CallFailedError.

        To be called inside a task of ``gather``: only the end of the visit stops a server that drips.
        """
        if (place.scheme, place.authority) != (self.place.scheme, self.place.authority):
            raise CallFailedError("refused-host")
        own = {"Host": place.authority, "User-Agent": "naltrexone-cds", "Accept-Encoding": "gzip"}
        request = requests.Request(method, place.url, headers={**own, **headers}, data=data)
        why = "unreachable"
        for adapter in self._adapters:
            try:
                answer = self._receive(adapter, request.prepare())
            except CallFailedError as failure:
                why = failure.why
            except Exception as error:  # noqa: BLE001 - whatever a library raises: its text may hold the URL
                why = _name(error, over=not self.left)
            else:
                self.answered = True
                return answer
            if why != "unreachable":
                break
        self.answered = self.answered or why in {"tls", "redirect", "too-large"}
        raise CallFailedError(why)       # outside the handlers, so that no library error hangs on it

    def _receive(self, adapter: PinnedAdapter, request: requests.PreparedRequest) -> HttpResponse:
        if not self.left:
            raise CallFailedError("timeout")
        # The adapter itself: a Session would follow a redirect, or read all of its body without a cap.
        response = adapter.send(request, stream=True, timeout=self.left)
        with contextlib.closing(response):
            if 300 <= response.status_code < 400:
                raise CallFailedError("redirect")
            headers = {name.lower(): value for name, value in response.headers.items()}
            return HttpResponse(response.status_code, headers, self._read(response))

    def _read(self, response: requests.Response) -> bytes:
        body = bytearray()
        for chunk in response.iter_content(_CHUNK):
            body += chunk
            if len(body) > self._outbound.max_bytes:
                raise CallFailedError("too-large")
            if not self.left:
                break
        if self._over or not self.left:  # a cut connection may look like the end of the body
            raise CallFailedError("timeout")
        return bytes(body)

    def _watch(self, sock: socket.socket) -> None:
        with self._lock:
            if self._over:
                sock.close()
                raise TimeoutError
            self._open.append(sock)


def _take(waiting: deque[_T]) -> _T | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None


def _name(error: Exception, *, over: bool) -> str:
    """The stable word for a library's error."""
    if over or isinstance(error, requests.exceptions.Timeout | TimeoutError):
        return "timeout"
    if isinstance(error, requests.exceptions.SSLError | ssl.SSLError):
        return "tls"
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return "unreachable" if isinstance(cause, NewConnectionError) else "broken"
