"""Threads that wait on other servers, and stay for the next task instead of being hired for each one.

Our own, because ``ThreadPoolExecutor`` joins its threads when the interpreter ends (a name server that
hangs would keep the service from stopping), queues without bound instead of saying that it is busy, and
never lets a thread go.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, Queue

Job = Callable[[], None]


def _nothing_to_tend() -> bool:
    return False


class Crew:
    """At most ``most`` daemon threads; who had nothing to do for ``linger`` seconds leaves.

    ``tend`` is called by who is about to leave; the last one stays for as long as it says True.
    """

    def __init__(
        self, most: int, *, linger: float = 1.0, tend: Callable[[], bool] = _nothing_to_tend
    ) -> None:
        self._most = most
        self._linger = linger
        self._tend = tend
        self._lock = threading.Lock()
        self._jobs: Queue[Job] = (
            Queue()
        )  # a SimpleQueue may wait for ever once its time is just over (3.11)
        self._hired = 0
        self._waiting = 0  # threads that wait and have no job promised to them

    def take(self, job: Job) -> bool:
        """Have a thread do this at once; False where none is to be had."""
        with self._lock:
            if self._waiting:
                self._waiting -= 1
                self._jobs.put(job)
                return True
            if self._hired >= self._most:
                return False
            self._hired += 1
        try:
            threading.Thread(target=self._work, args=([job],), name="outbound", daemon=True).start()
        except RuntimeError:  # the machine has no thread left
            with self._lock:
                self._hired -= 1
            return False
        return True

    def _work(self, first: list[Job]) -> None:
        """One thread's life. No variable of it holds a job that is done: that would keep a whole visit alive."""
        try:
            first.pop()()
            while job := self._next():
                job()
                del job
        finally:
            with self._lock:
                self._hired -= 1

    def _next(self) -> Job | None:
        with self._lock:
            self._waiting += 1
        while True:
            try:
                return self._jobs.get(timeout=self._linger)
            except Empty:
                stay = self._tend()
            with self._lock:
                if self._jobs.empty() and not (stay and self._hired == 1):
                    self._waiting -= 1
                    return None
