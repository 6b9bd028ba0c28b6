"""How many launches may begin in a second: a token bucket for each address and one for all of them together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from cachetools import LRUCache

_MOST_ADDRESSES = 4_096


@dataclass(slots=True)
class Bucket:
    """Fills up to ``most`` at ``per_second``."""

    most: float
    per_second: float
    left: float
    filled_at: float

    def fill(self, now: float) -> None:
        gained = max(0.0, now - self.filled_at) * self.per_second
        self.left, self.filled_at = min(self.most, self.left + gained), now


@dataclass(slots=True)
class Pace:
    """``per_second`` launches of one address after a first ``burst``; of all addresses ``shares`` times as many."""

    per_second: float
    burst: int
    shares: int = 4
    clock: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _of: LRUCache[str, Bucket] = field(
        default_factory=lambda: LRUCache(_MOST_ADDRESSES), init=False
    )
    _all: Bucket = field(init=False)

    def __post_init__(self) -> None:
        self._all = self._bucket(self.shares)

    def admits(self, address: str) -> bool:
        """Count a launch of this address; False, uncounted, where it is one too many."""
        now = self.clock()
        with self._lock:
            own = self._of.get(address)
            if own is None:
                own = self._of[address] = self._bucket()
            for bucket in (own, self._all):
                bucket.fill(now)
            if min(own.left, self._all.left) < 1:
                return False
            own.left -= 1
            self._all.left -= 1
            return True

    def _bucket(self, shares: int = 1) -> Bucket:
        most = float(self.burst * shares)
        return Bucket(most, self.per_second * shares, most, self.clock())


def place_of(address: str) -> str:
    """Who has this address: an IPv6 network of 64 bits is one place."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(int(found) >> 64) if isinstance(found, IPv6Address) else address
