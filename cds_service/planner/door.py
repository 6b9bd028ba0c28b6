"""In front of Flask: launches beyond the pace are turned away for the price of a few look-ups, so that hooks keep the time.

A launch that is one too many is sent back to its own address once, with a signed turn. A browser follows and is let in at
the pace of those who followed; a flood that only sends does not. Who finds that crowded too reads a page, with 429.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from werkzeug.test import run_wsgi_app

from cds_service.planner.pace import Pace, place_of

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Headers = list[tuple[str, str]]

PATH = "/smart/launch"
HURRIED = (
    "naltrexone_cds.hurried"  # in the environ: Flask is to say that this launch is one too many
)
PER_SECOND, BURST = 5, 30  # of one address, which may be a whole hospital's
TURN_SECONDS = 60
_TURN = "&turn="
_OF_THE_BODY = frozenset({"content-type", "content-length", "retry-after", "x-request-id"})


class Turn(Enum):
    """What a launch brings along."""

    NONE = "none, or one that ended"
    VALID = "valid"
    FOREIGN = "not given by us to this address"


@dataclass(frozen=True, slots=True)
class Turns:
    """Signed leave to come again soon, for one address."""

    key: bytes = field(repr=False)
    clock: Callable[[], float] = time.time

    def give(self, place: str) -> str:
        ends = f"{int(self.clock()) + TURN_SECONDS:x}"
        return f"{ends}.{self._sign(ends, place)}"

    def read(self, text: str, place: str) -> Turn:
        if not text:
            return Turn.NONE
        ends, _, signed = text.partition(".")
        if not hmac.compare_digest(signed.encode(), self._sign(ends, place).encode()):
            return Turn.FOREIGN
        return Turn.VALID if int(ends, 16) > self.clock() else Turn.NONE

    def _sign(self, ends: str, place: str) -> str:
        said = f"{ends}.{place}".encode()
        return hashlib.blake2b(said, key=self.key, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Page:
    """What Flask says to a launch that is one too many: the same for everybody, so it is made once."""

    status: str
    headers: Headers
    body: bytes

    @classmethod
    def of(cls, application: Application, environ: dict[str, Any]) -> Page:
        asked = {**environ, HURRIED: True, "REQUEST_METHOD": "GET", "QUERY_STRING": ""}
        parts, status, headers = run_wsgi_app(application, asked, buffered=True)
        return cls(
            status, [(n, v) for n, v in headers if n.lower() != "x-request-id"], b"".join(parts)
        )

    def way_to(self, location: str) -> Headers:
        """The headers of a redirect: those of the page that do not describe its body."""
        kept = [(n, v) for n, v in self.headers if n.lower() not in _OF_THE_BODY]
        return [*kept, ("Location", location), ("Content-Length", "0")]


class LaunchDoor:
    """WSGI middleware around the service. Only launches are looked at; each worker counts by itself."""

    def __init__(
        self,
        application: Application,
        key: bytes,
        on_refusal: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._application = application
        self._turns = Turns(hashlib.sha256(b"turns" + key).digest())
        self._first, self._followed = (Pace(PER_SECOND, BURST, clock=clock) for _ in range(2))
        self._on_refusal = on_refusal
        self._lock = threading.Lock()
        self._page: Page | None = None

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != PATH:
            return self._application(environ, start_response)
        place = place_of(environ.get("REMOTE_ADDR") or "")
        query, _, text = environ.get("QUERY_STRING", "").partition(_TURN)
        turn = self._turns.read(text, place)
        pace = self._followed if turn is Turn.VALID else self._first
        if pace.admits(place):
            return self._application(environ, start_response)
        self._on_refusal()
        page = self._made_once(environ)
        identity = ("X-Request-Id", str(uuid.uuid4()))
        if turn is Turn.NONE and query.isascii() and query.isprintable():
            location = f"launch?{query}{_TURN}{self._turns.give(place)}"
            start_response("302 Found", [*page.way_to(location), identity])
            return [b""]
        start_response(page.status, [*page.headers, identity])
        return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else page.body]

    def _made_once(self, environ: dict[str, Any]) -> Page:
        with self._lock:
            page = self._page or Page.of(self._application, environ)
            self._page = page if page.status.startswith("429") else None
            return page
