"""Make early refusals readable: what is left of a body is taken before the answer goes out.

A connection that is closed over unread bytes is reset, and the caller sees a broken pipe in place of a 401 or 413. What is
taken is thrown away. How much, how long and for how many at once is bounded: a caller beyond that has its connection cut.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

MOST_BYTES = 64_000_000
MOST_SECONDS = 3.0
MOST_AT_ONCE = 32  # of the threads of a worker
_PIECE = 65_536

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]


class TakeUnreadBodies:
    """WSGI middleware. Only a body of announced length that nobody has begun to read is taken."""

    def __init__(
        self, application: Application, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._application = application
        self._clock = clock
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        length = environ.get("CONTENT_LENGTH") or "0"
        if environ.get("REQUEST_METHOD") != "POST" or not length.isdecimal() or length == "0":
            return self._application(environ, start_response)
        body = environ["wsgi.input"] = _Watched(environ["wsgi.input"])
        answer = self._application(environ, start_response)
        if not body.begun and self._places.acquire(blocking=False):
            try:
                self._take(body, min(int(length), MOST_BYTES))
            finally:
                self._places.release()
        return answer

    def _take(self, body: _Watched, left: int) -> None:
        end = self._clock() + MOST_SECONDS
        while left > 0 and self._clock() < end:
            piece = body.read(min(left, _PIECE))
            if not piece:
                return
            left -= len(piece)


class _Watched:
    """The body of a request, and whether anybody has begun to read it."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self.begun = False

    def read(self, *size: int) -> bytes:
        self.begun = True
        return bytes(self._body.read(*size))

    def __iter__(self) -> Any:
        self.begun = True
        return iter(self._body)

    def __getattr__(self, name: str) -> Any:
        self.begun = True
        return getattr(self._body, name)
