"""Says in the log, counts and remembers what happens beside the calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cds_service.journal import metrics
from cds_service.journal.high_water import HighWater, Loss
from cds_service.journal.metrics import Metrics
from cds_service.journal.telemetry import LogSink
from cds_service.rules import TOPICS
from cds_service.store.conditions import ALARMS, Condition, Witness

RECENT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Reporter:
    """Says in the log, and counts, what happens to the store and its records."""

    log: Any
    sink: LogSink
    numbers: Metrics
    water: HighWater
    recent: dict[str, float] = field(default_factory=dict)

    def begin(self) -> None:
        """The counters that alerts watch are there before anything happens; what nobody acknowledged is said again."""
        self.numbers.begin(metrics.STORE_ALARMS, ALARMS)
        self.numbers.begin(metrics.STORE_CHANGES, Condition)
        self.numbers.begin(metrics.BROKEN_RULES, sorted(TOPICS))
        self.numbers.begin(metrics.BROKEN_CARDS, sorted(TOPICS))
        if self.water.fault:
            self.log.error("high-water-mark-unreadable", fault=self.water.fault)
            self.trouble("records")
        for word, sentence in self.water.alarms():
            self._say_alarm(word, sentence)

    def say_if_unshared(self, workers: int) -> None:
        if workers > 1 and not self.numbers.shared:
            self.log.warning("metrics-per-worker", workers=workers)

    @property
    def witness(self) -> Witness:
        return Witness(self._changed, self._alarmed)

    def _changed(self, now: Condition, before: Condition, fault: str) -> None:
        say = self.log.info if now is Condition.WELL else self.log.error
        say("store-condition", condition=str(now), before=str(before), fault=fault)
        self.numbers.count(metrics.STORE_CHANGES, str(now))

    def _alarmed(self, word: str, sentence: str) -> None:
        self.water.alarm(word, sentence)
        self._say_alarm(word, sentence)

    def _say_alarm(self, word: str, sentence: str) -> None:
        self.log.error("store-alarm", alarm=word, means=sentence)
        self.numbers.count(metrics.STORE_ALARMS, word)

    def lost(self, loss: Loss) -> None:
        self.log.error(
            "records-missing", kind=loss.kind, count=loss.count, last=loss.last, hash=loss.hash
        )

    def trouble(self, about: str) -> None:
        """Something about this went wrong just now; readiness says so for a minute."""
        self.recent[about] = time.monotonic()

    def is_troubled(self, about: str) -> bool:
        return time.monotonic() - self.recent.get(about, float("-inf")) < RECENT_SECONDS

    def token_refused(self, why: str, request_id: str) -> None:
        self.log.warning("refused", why=why, request_id=request_id)
        self.numbers.count(metrics.REFUSED_TOKENS, why)


@dataclass(slots=True)
class Seldom:
    """Says something at most once in a while, with how often it happened since."""

    say: Callable[[int], None]
    seconds: float = RECENT_SECONDS
    _since: int = 0
    _said_at: float = float("-inf")

    def happened(self) -> None:
        self._since += 1
        if time.monotonic() - self._said_at >= self.seconds:
            self._said_at = time.monotonic()
            times, self._since = self._since, 0
            self.say(times)
