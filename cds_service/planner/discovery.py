"""What each EHR says of itself is asked seldom, once at a time, and by few threads: a silent EHR takes nobody else's place.

An EHR that answered before is asked again in places of its own; meanwhile what it said last holds. One that did not answer
is not asked again for a moment.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import TTLCache

FRESH_SECONDS = 300.0
KNOWN_SECONDS = 24 * 3600.0
SILENT_SECONDS = 15.0
PLACES = 4  # for EHRs that answered before, and as many for those that never did
WAITERS = 4  # for the answer of one EHR
WAIT_SECONDS = 1.0

_Said = TypeVar("_Said")


class SilentError(Exception):
    """It did not answer a moment ago, or cannot be asked now."""


@dataclass(frozen=True, slots=True)
class _Known(Generic[_Said]):
    said: _Said
    until: float


class Discoveries(Generic[_Said]):
    """What was said, by address. Per process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._known: TTLCache[str, _Known[_Said]] = TTLCache(256, KNOWN_SECONDS, clock)
        self._silent: TTLCache[str, bool] = TTLCache(1_024, SILENT_SECONDS, clock)
        self._asked: dict[str, bool] = {}  # and whether it had answered before
        self._waiting: Counter[str] = Counter()

    def get(self, address: str, ask: Callable[[], _Said]) -> _Said:
        """What ``ask`` gives, or gave; raises SilentError, or what ``ask`` raises."""
        known = self._known_or_turn(address)
        if known is not None:
            return known
        try:
            said = ask()
        except Exception:
            self._done(address, None)
            raise
        self._done(address, _Known(said, self._clock() + FRESH_SECONDS))
        return said

    def _known_or_turn(self, address: str) -> _Said | None:
        """What is known; None where the caller is the one to ask."""
        until = self._clock() + WAIT_SECONDS
        with self._changed:
            while True:
                known = self._known.get(address)
                if known is not None and known.until > self._clock():
                    return known.said
                if address in self._silent:
                    raise SilentError
                if self._takes_place(address, is_known=known is not None):
                    return None
                if known is not None:
                    return known.said
                self._wait(address, until)

    def _takes_place(self, address: str, *, is_known: bool) -> bool:
        taken = sum(known is is_known for known in self._asked.values())
        if address in self._asked or taken >= PLACES:
            return False
        self._asked[address] = is_known
        return True

    def _wait(self, address: str, until: float) -> None:
        left = until - self._clock()
        if left <= 0 or self._waiting[address] >= WAITERS:
            raise SilentError
        self._waiting[address] += 1
        try:
            self._changed.wait(left)
        finally:
            self._waiting[address] -= 1
            self._waiting += Counter()  # forgets those that nobody waits for

    def _done(self, address: str, known: _Known[_Said] | None) -> None:
        with self._changed:
            self._asked.pop(address, None)
            if known is None:
                self._silent[address] = True
            else:
                self._known[address] = known
            self._changed.notify_all()
