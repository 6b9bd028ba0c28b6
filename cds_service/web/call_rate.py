"""How many calls a client may make in a sliding minute, over all workers that share a store.

Each worker counts by itself, in memory, without a timer or a lock that waits. From a twentieth of
the limit on it adds its counts up with those of the others once a second: a worker that sees less
cannot matter. While the store is away each worker goes by what it knows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

Counts = Mapping[tuple[str, int], int]  # (client, minute) -> calls
Share = Callable[[Counts], Counts]

SHARE_SECONDS = 1.0
SHARED_FROM = 20  # the part of the limit, one in so many, from which on a worker's count matters


class CallRate:
    """``admits`` counts a call and says whether it is within ``per_minute``; a refused one is not counted.

    The estimate is that of a sliding window counter: this minute's calls and the part of the last
    minute's that is less than a minute ago. ``share`` adds counts up and gives the sums of all
    workers; it may raise.
    """

    def __init__(
        self,
        per_minute: int,
        share: Share | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._limit = per_minute
        self._share = share
        self._clock = clock
        self._lock = threading.Lock()
        self._here: dict[tuple[str, int], int] = {}  # not yet added up
        self._everywhere: dict[tuple[str, int], int] = {}  # what all had counted when last asked
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def admits(self, client: str) -> bool:
        """Is one more call of this client within the limit?"""
        now = self._clock()
        minute, into = divmod(now, 60)
        with self._lock:
            this = self._calls(client, int(minute))
            last = self._calls(client, int(minute) - 1)
            if this + last * (1 - into / 60) >= self._limit:
                return False
            key = (client, int(minute))
            self._here[key] = self._here.get(key, 0) + 1
            matters = self._share is not None and self._here[key] * SHARED_FROM >= self._limit
        if matters and not self._wanted.is_set():
            self._ask_others()
        return True

    def exchange(self) -> None:
        """Add up with the others now. Counts that could not be added wait for the next time."""
        if self._share is None:
            return
        oldest = int(self._clock() // 60) - 1
        with self._lock:
            told = {key: calls for key, calls in self._here.items() if key[1] >= oldest}
            self._here = dict(told)
            self._everywhere = {k: v for k, v in self._everywhere.items() if k[1] >= oldest}
        if not told:
            return
        sums = self._share(told)
        with self._lock:
            self._everywhere |= sums
            for key, calls in told.items():
                self._here[key] -= calls

    def _calls(self, client: str, minute: int) -> int:
        key = (client, minute)
        return self._here.get(key, 0) + self._everywhere.get(key, 0)

    def _ask_others(self) -> None:
        self._wanted.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="rate", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        """One exchange a second, as long as there is something to tell."""
        while True:
            self._wanted.wait()
            time.sleep(SHARE_SECONDS)
            self._wanted.clear()
            with suppress(Exception):  # whatever a store raises: the next call asks for it again
                self.exchange()
