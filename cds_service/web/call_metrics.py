"""The metrics of each call, taken after it was answered, in a fence of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from cds_service.hooks.prefetch import Record
from cds_service.journal import metrics
from cds_service.journal.metrics import Metrics
from cds_service.pipeline import Fetch, Outcome
from cds_service.reading import Reading
from cds_service.web.call import Call
from cds_service.web.call_facts import CallFacts, gather
from cds_service.web.wire import name_fault

SHED = {"limited": "rate-limit", "too-large": "too-large", "unavailable": "unavailable"}

NOT_ASKED = frozenset(
    {"refused-host", "bad-id", "bad-token", "expired", "wrong-patient", "circuit-open", "busy"}
)


@dataclass(frozen=True, slots=True)
class CallMetrics:
    """Counts what the other observers write down."""

    numbers: Metrics
    log: Any
    trouble: Callable[[str], None] = lambda _about: None  # hears "calls" when a number broke

    def timed(self, fetch: Fetch | None, request_id: str) -> Fetch | None:
        """The same fetch, its time and its answers counted."""
        return None if fetch is None else _timed(fetch, partial(self._count_fetch, request_id))

    def end(self, call: Call, status: int) -> None:
        try:
            self.observe(gather(call, status))
            if call.caller and call.caller.retry:
                self.numbers.count(metrics.RETRIED)
            if call.cut:
                self.numbers.count(metrics.CUT)
        except Exception as error:  # noqa: BLE001 - a number is worth no answer
            self._broke(error, call.request_id)

    def observe(self, call: CallFacts) -> None:
        """Count one call."""
        numbers = self.numbers
        numbers.count(metrics.CALLS, call.hook or "none", call.client, call.outcome)
        if call.outcome in SHED:
            numbers.count(metrics.SHED, SHED[call.outcome])
        if call.fault:
            numbers.count(metrics.FAULTS)
        if call.judged is not None:
            self._observe_judged(call.judged)
            numbers.observe(metrics.STAGE_SECONDS, call.seconds, "total")

    def _observe_judged(self, outcome: Outcome) -> None:
        numbers = self.numbers
        for stage, seconds in outcome.timings.items():
            numbers.observe(metrics.STAGE_SECONDS, seconds, stage)
        for card in outcome.cards:
            numbers.count(metrics.CARDS, card["source"]["topic"]["code"], card["indicator"], "yes")
        for finding in outcome.silenced:
            numbers.count(metrics.CARDS, finding.topic, finding.severity.indicator, "no")
        for gap in outcome.snapshot.gaps:
            numbers.count(metrics.GAPS, gap.why)
        if unknown := len(getattr(outcome.snapshot, "unknown_names", ())):
            numbers.count(metrics.UNKNOWN_NAMES, by=unknown)
        for verdict in outcome.verdicts:
            if verdict.error:
                numbers.count(metrics.BROKEN_RULES, verdict.rule)
        for topic in outcome.broken_cards:
            numbers.count(metrics.BROKEN_CARDS, topic)

    def _count_fetch(self, request_id: str, seconds: float, found: Record) -> None:
        try:
            answers = [answer for answer in found.answers.values() if answer.fetched]
            if any(answer.why not in NOT_ASKED for answer in answers):
                self.numbers.observe(metrics.FHIR_SECONDS, seconds)
            for answer in answers:
                self.numbers.count(
                    metrics.FHIR_ANSWERS, "ok" if answer.complete else answer.why or answer.state
                )
        except Exception as error:  # noqa: BLE001 - as above
            self._broke(error, request_id)

    def _broke(self, error: Exception, request_id: str) -> None:
        self.log.error("metrics-broken", request_id=request_id, fault=name_fault(error))
        self.trouble("calls")


def _timed(fetch: Fetch, count: Callable[[float, Record], None]) -> Fetch:
    def fetch_and_count(reading: Reading) -> Record:
        begun = time.perf_counter()
        found = fetch(reading)
        if found is not reading.record:
            count(time.perf_counter() - begun, found)
        return found

    return fetch_and_count
