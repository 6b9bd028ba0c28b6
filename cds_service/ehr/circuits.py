"""What is asked of a FHIR base in vain, call after call, is left alone a while; everything else is still asked (L5).

A server that hangs on one resource type answers the others, so no count of whole calls ever reaches it:
each call would wait its whole budget, for ever. Hence one breaker for each thing that is asked of a base.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cachetools import LRUCache

from cds_service.outbound.breaker import Breaker
from cds_service.outbound.http import CallFailedError

FAIR_TRIAL = 0.15  # seconds; a request that had less is not blamed on the server
NO_SIGN_OF_LIFE = frozenset({"timeout", "unreachable", "broken"})
_MOST = 10_000


class Circuits:
    """The breakers of all bases: one for a base as a whole, and one for each thing asked of it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._breakers: LRUCache[tuple[str, str], Breaker] = LRUCache(_MOST)

    def breaker(self, base: str, what: str = "") -> Breaker:
        """The breaker of the whole base, or of what is asked of it (a resource type, its further pages)."""
        with self._lock:
            return self._breakers.setdefault((base, what), Breaker(self._monotonic))

    def open_by_base(self) -> dict[str, bool]:
        """Every base that was asked, and whether it or something of it is left alone now."""
        with self._lock:
            known = list(self._breakers.items())
        found: dict[str, bool] = {}
        for (base, _), breaker in known:
            found[base] = found.get(base, False) or breaker.is_open
        return found


@dataclass(slots=True)
class _Question:
    """One request: when it went out, when it was over, and whether the server gave a sign of life.

    ``alive`` None says nothing about the server.
    """

    asked_at: float
    ended_at: float | None = None
    alive: bool | None = False


class Hearing:
    """What one call asks of one base, and what it hears. A context manager; leaving it tells the breakers.

    A thing counts as silent where the call waited for one request of it in vain, however many were answered.
    """

    def __init__(self, circuits: Circuits, base: str) -> None:
        self._circuits = circuits
        self._base = base
        self._lock = threading.Lock()
        self._over = False
        self._admitted: dict[str, Breaker | None] = {}
        self._questions: dict[str, list[_Question]] = {}

    def __enter__(self) -> Hearing:
        return self

    def __exit__(self, *_: object) -> None:
        now = time.monotonic()
        with self._lock:
            self._over = True
            for what, breaker in self._admitted.items():
                if breaker is not None:
                    breaker.record(_judge(self._questions[what], now))

    @contextmanager
    def ask(self, what: str) -> Iterator[None]:
        """Around one request; raises CallFailedError("circuit-open") where it would be made in vain."""
        question = self._admit(what)
        try:
            yield
            question.alive = True
        except CallFailedError as failure:
            if failure.why not in NO_SIGN_OF_LIFE:
                question.alive = None if failure.why == "refused-host" else True
            raise
        finally:
            question.ended_at = time.monotonic()

    def _admit(self, what: str) -> _Question:
        with self._lock:
            if self._over:
                raise CallFailedError("timeout")
            if what not in self._admitted:
                breaker = self._circuits.breaker(self._base, what)
                self._admitted[what] = breaker if breaker.admits() else None
            if self._admitted[what] is None:
                raise CallFailedError("circuit-open")
            question = _Question(time.monotonic())
            self._questions.setdefault(what, []).append(question)
            return question


def _judge(questions: list[_Question], now: float) -> bool | None:
    """False where one was waited for in vain, True where the server answered, None where neither is known."""
    waited = (each for each in questions if each.alive is False)
    if any((each.ended_at or now) - each.asked_at >= FAIR_TRIAL for each in waited):
        return False
    return True if any(each.alive for each in questions) else None
