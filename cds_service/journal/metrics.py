"""Every Prometheus metric of this service: names, labels and meanings, in one table. Never a label of a patient.

Labels hold words of ours and of the settings (client names, listed servers), never what a caller made up.
Several workers: ``serve`` sets PROMETHEUS_MULTIPROC_DIR, each worker then writes its values to files in memory there, and
whichever worker is scraped adds them up (the multiprocess mode of prometheus-client).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 5.0)
MOST_LABELS = 2_000  # children of one metric; what is beyond is counted under "other"
_FILE_BYTES = 1 << 20
_FILES = ("counter", "histogram", "gauge_livemax", "gauge_livemin", "gauge_livesum")


class Kind(StrEnum):
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    HIGHEST = "livemax"  # a gauge: the highest of the living workers
    LOWEST = "livemin"  # a gauge: the lowest of the living workers
    SUM = "livesum"  # a gauge: the sum over the living workers


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric. Counters are exposed with the ending ``_total``."""

    name: str
    kind: Kind
    means: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = FAST

    @property
    def exposed(self) -> str:
        return self.name + ("_total" if self.kind is Kind.COUNTER else "")


_P = "naltrexone_cds_"
CALLS = Spec(
    _P + "calls",
    Kind.COUNTER,
    "Calls of hooks and feedback, by how they ended.",
    ("hook", "client", "outcome"),
)
STAGE_SECONDS = Spec(
    _P + "stage_seconds",
    Kind.HISTOGRAM,
    "Time of each stage of an answered hook call: decode, fetch, read, decide, render, total.",
    ("stage",),
)
CARDS = Spec(
    _P + "cards",
    Kind.COUNTER,
    "Cards by topic and indicator; shown is no for those that a client silences.",
    ("topic", "indicator", "shown"),
)
GAPS = Spec(_P + "gaps", Kind.COUNTER, "What could not be known of a call, by cause.", ("cause",))
UNKNOWN_NAMES = Spec(
    _P + "unknown_names", Kind.COUNTER, "Medicines that no table knows; their number only."
)
BROKEN_RULES = Spec(_P + "broken_rules", Kind.COUNTER, "Rules that raised an error.", ("rule",))
BROKEN_CARDS = Spec(
    _P + "broken_cards", Kind.COUNTER, "Cards that went out in the plain form.", ("topic",)
)
FAULTS = Spec(_P + "faults", Kind.COUNTER, "Faults of our own code, caught on a call.")
FHIR_SECONDS = Spec(
    _P + "fhir_seconds",
    Kind.HISTOGRAM,
    "Time that a call spent on its client's FHIR server.",
    (),
    SLOW,
)
FHIR_ANSWERS = Spec(
    _P + "fhir_answers",
    Kind.COUNTER,
    "Answers to what was fetched, ok or what went wrong.",
    ("outcome",),
)
BREAKER_OPEN = Spec(
    _P + "breaker_open", Kind.HIGHEST, "1 while a listed FHIR server is left alone.", ("server",)
)
KEY_SET_AGE = Spec(
    _P + "key_set_age_seconds",
    Kind.HIGHEST,
    "Age of a client's public keys; -1 = never had.",
    ("client",),
)
REFUSED_TOKENS = Spec(
    _P + "refused_tokens", Kind.COUNTER, "Tokens that were refused, by reason.", ("reason",)
)
RETRIED = Spec(
    _P + "retried_calls",
    Kind.COUNTER,
    "Calls that came again with the same token, as a proxy sends them; answered.",
)
FEEDBACK = Spec(
    _P + "feedback_items", Kind.COUNTER, "Feedback items that were taken, by outcome.", ("outcome",)
)
SHED = Spec(
    _P + "shed_calls", Kind.COUNTER, "Calls that were not worked on, by reason.", ("reason",)
)
CUT = Spec(
    _P + "cut_connections", Kind.COUNTER, "Connections that ended before the body was there."
)
STORE_CONDITION = Spec(
    _P + "store_condition",
    Kind.HIGHEST,
    "1 for the condition that the store is in.",
    ("condition",),
)
STORE_CHANGES = Spec(
    _P + "store_condition_changes",
    Kind.COUNTER,
    "Changes of the store's condition, by the new one.",
    ("condition",),
)
STORE_ALARMS = Spec(
    _P + "store_alarms", Kind.COUNTER, "A store was damaged, removed or replaced.", ("alarm",)
)
MISSING_RECORDS = Spec(
    _P + "missing_records",
    Kind.HIGHEST,
    "Records that the store held and holds no more.",
    ("kind",),
)
AUDIT_WRITTEN = Spec(_P + "audit_events", Kind.COUNTER, "Audit events that were written.")
AUDIT_DROPPED = Spec(_P + "audit_events_dropped", Kind.COUNTER, "Audit events that were lost.")
AUDIT_WAITING = Spec(_P + "audit_queue", Kind.SUM, "Audit events that wait to be written.")
LOG_DROPPED = Spec(
    _P + "log_lines_dropped", Kind.COUNTER, "Log lines that found no room or no stream."
)
TOKENS_UNSHARED = Spec(
    _P + "used_tokens_unshared",
    Kind.COUNTER,
    "Times that the store could not say whether a token was used before.",
)
READY = Spec(
    _P + "check_ok",
    Kind.LOWEST,
    "1 = this readiness check is ok, 0.5 = degraded, 0 = not ready.",
    ("check",),
)
MEMORY = Spec(_P + "worker_memory_bytes", Kind.HIGHEST, "Resident memory of the largest worker.")
WORKERS = Spec(_P + "workers", Kind.SUM, "Living workers.")
CLOCK_JUMPS = Spec(
    _P + "clock_jumps", Kind.COUNTER, "Jumps of the wall clock by more than a minute."
)
BUILD = Spec(
    _P + "build_info",
    Kind.HIGHEST,
    "1; the labels say what is running.",
    ("version", "content", "terminology", "rules"),
)

SPECS: tuple[Spec, ...] = tuple(spec for spec in list(globals().values()) if isinstance(spec, Spec))


class Metrics:
    """The metrics of one worker; ``shared`` where those of all are added up.

    Whatever breaks here costs a number, so callers put a fence around it.
    """

    def __init__(self) -> None:
        self.shared = _is_shared()
        self._registry = CollectorRegistry()
        self._made = {spec.name: _make(spec, self._registry) for spec in SPECS}
        self._children: dict[tuple[str, ...], Any] = {}
        self._numbers: dict[str, int] = {}

    def count(self, spec: Spec, *labels: str, by: float = 1) -> None:
        self.child(spec, *labels).inc(by)

    def observe(self, spec: Spec, seconds: float, *labels: str) -> None:
        self.child(spec, *labels).observe(seconds)

    def set(self, spec: Spec, value: float, *labels: str) -> None:
        self.child(spec, *labels).set(value)

    def set_one(self, spec: Spec, chosen: str, among: type[StrEnum]) -> None:
        """1 for the chosen word, 0 for all others of its kind."""
        for word in among:
            self.set(spec, float(word == chosen), str(word))

    def child(self, spec: Spec, *labels: str) -> Any:
        """The series of these labels, remembered: the library's own look-up costs more than the count."""
        key = (spec.name, *labels)
        found = self._children.get(key)
        if found is None:
            if labels and self._numbers.get(spec.name, 0) >= MOST_LABELS:
                labels = ("other",) * len(labels)
            self._numbers[spec.name] = self._numbers.get(spec.name, 0) + 1
            made = self._made[spec.name]
            found = self._children[key] = made.labels(*labels) if labels else made
        return found

    def begin(self, spec: Spec, words: Iterable[str]) -> None:
        """Show these series from the start, at 0: a counter that first appears as 1 has not risen, to Prometheus."""
        for word in words:
            self.child(spec, str(word))

    def expose(self) -> bytes:
        """What Prometheus scrapes: of all workers, if the values are shared."""
        if not self.shared:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def _make(spec: Spec, registry: CollectorRegistry) -> Any:
    if spec.kind is Kind.COUNTER:
        return Counter(spec.name, spec.means, spec.labels, registry=registry)
    if spec.kind is Kind.HISTOGRAM:
        return Histogram(
            spec.name, spec.means, spec.labels, buckets=spec.buckets, registry=registry
        )
    mode: Any = str(spec.kind)
    return Gauge(spec.name, spec.means, spec.labels, registry=registry, multiprocess_mode=mode)


@cache
def _is_shared() -> bool:
    """Once in a worker: make the files of this process whole and forget the living values of dead ones.

    The library makes its files with holes. A memory file system that fills up later would then kill the worker with
    SIGBUS, so their room is taken now, and where there is none each worker keeps its values to itself.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return False
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]
    try:
        for name in _FILES:
            _take_room(Path(folder) / f"{name}_{os.getpid()}.db")
    except OSError:
        values.ValueClass = values.MutexValue
        return False
    for pid in {int(file.stem.rpartition("_")[2]) for file in Path(folder).glob("*.db")} - {
        os.getpid()
    }:
        if not Path(f"/proc/{pid}").exists():
            with suppress(OSError):
                mark_process_dead(pid)  # type: ignore[no-untyped-call]
    return True


def _take_room(file: Path) -> None:
    descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, _FILE_BYTES)
    finally:
        os.close(descriptor)
