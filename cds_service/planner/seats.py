"""How many of a worker's threads the planner may hold at once: whatever its pages wait for, hooks find a thread."""

from __future__ import annotations

import threading
from collections import Counter

MOST = 32
SHARE = 4  # of this many threads, one is the planner's
RETRY_SECONDS = 5


class Seats:
    """Places for requests that are being worked on. One caller, a browser or an address, gets at most half of them."""

    def __init__(self, threads: int) -> None:
        self.most = max(1, min(MOST, threads // SHARE))
        self.most_of_caller = max(1, self.most // 2)
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()

    def take(self, caller: str) -> bool:
        """A place for this caller; False where there is none, at once and without waiting."""
        with self._lock:
            is_full = self._held.total() >= self.most or self._held[caller] >= self.most_of_caller
            if not is_full:
                self._held[caller] += 1
            elif not self._held[caller]:
                del self._held[caller]
            return not is_full

    def leave(self, caller: str) -> None:
        """Give the place back."""
        with self._lock:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]
