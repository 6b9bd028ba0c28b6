"""A circuit breaker for one server: after some failures in a row it is left alone a while, then asked once.

Our own, because the ones on PyPI do not fit: pybreaker 1.4.1 holds its lock while the call runs and counts by
the wall clock, circuitbreaker 2.1.3 lets every call through when it is half open.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Breaker:
    """Closed until ``failures`` in a row, then open for ``seconds``, then half open: one probe at a time."""

    def __init__(
        self, monotonic: Callable[[], float], *, failures: int = 5, seconds: float = 10.0
    ) -> None:
        self._monotonic = monotonic
        self._limit = failures
        self._seconds = seconds
        self._lock = threading.Lock()
        self._failed = 0
        self._open_until: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Is the server left alone now? Half open counts as open until the probe was answered."""
        return self._open_until is not None

    def admits(self) -> bool:
        """May a call go out now? Who is admitted must ``record`` its end, or a probe blocks the others."""
        with self._lock:
            if self._open_until is None:
                return True
            if self._probing or self._monotonic() < self._open_until:
                return False
            self._probing = True
            return True

    def record(self, answered: bool | None) -> None:
        """Say how an admitted call ended; None = it says nothing about the server."""
        with self._lock:
            probed, self._probing = self._probing, False
            if answered:
                self._failed, self._open_until = 0, None
            elif answered is False:
                self._failed += 1
                if probed or (self._open_until is None and self._failed >= self._limit):
                    self._open_until = self._monotonic() + self._seconds
