"""Ask a slow yes-or-no question in the background and answer at once, for readiness."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet

INTERVAL = 1.0
PATIENCE = 0.04


class Probe:
    """``answer()`` takes at most PATIENCE seconds; one that stays away past two INTERVALs counts as no."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._pending: Future[bool] | None = None
        self._asked = float("-inf")
        self._last = False

    def answer(self) -> bool:
        """The newest answer; the question is asked again if it is older than INTERVAL."""
        with self._lock:
            if self._pending is None and time.monotonic() - self._asked >= INTERVAL:
                self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="probe")
                self._pending, self._asked = self._pool.submit(self._ask), time.monotonic()
            if self._pending is not None:
                self._collect(self._pending)
            return self._last

    def tell(self, answer: bool) -> None:
        """What is known before anybody asked: said only while the first answer is not there yet."""
        with self._lock:
            self._last = answer

    def close(self) -> None:
        """Ask no more; waits for a question that is being asked."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _collect(self, pending: Future[bool]) -> None:
        try:
            self._last, self._pending = pending.result(timeout=PATIENCE), None
        except NotYet:
            self._last = self._last and time.monotonic() - self._asked < 2 * INTERVAL
