"""What readiness and the gauges look at: rules, content, store, audit, records, keys, FHIR servers, planner, log."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cds_service.auth.client_auth import known_clients
from cds_service.auth.jwks import JwksCache
from cds_service.ehr.client import FhirClient
from cds_service.journal import metrics
from cds_service.journal.audit import QUEUE_EVENTS, AuditLog
from cds_service.journal.high_water import KINDS, HighWater
from cds_service.journal.pseudonyms import Pseudonyms
from cds_service.journal.versions import package_version, rules_version
from cds_service.pipeline import Engine
from cds_service.reporting import RECENT_SECONDS, Reporter
from cds_service.settings import Settings
from cds_service.store.conditions import Condition
from cds_service.store.store import Store
from cds_service.web.health import Check


@dataclass(frozen=True, slots=True)
class Watched:
    """What readiness and the gauges look at."""

    settings: Settings
    engine: Engine
    store: Store
    audit: AuditLog
    pseudonyms: Pseudonyms
    water: HighWater
    fhir: FhirClient
    keys: JwksCache
    authenticates: bool
    reporter: Reporter
    overlay_refused: tuple[str, ...] = ()
    smart_key_fault: str = ""
    seen: dict[str, float] = field(default_factory=dict)

    def checks(self) -> dict[str, Check]:
        """What readiness looks at. A store that cannot be written degrades: hooks still answer (L11)."""
        return {
            "rules": self._rules,
            "content": self._content,
            "store": self._store,
            "audit": self._audit,
            "records": self._records,
            "keys": self._keys,
            "log": self._log,
            "calls": self._calls,
            "fhir": self._fhir,
            "planner": self._planner,
        }

    def started(self) -> dict[str, str]:
        """What the start has to bring about once; a key server that is down does not keep a replica from starting."""
        asked = all(map(self.keys.asked, self._key_urls()))
        return {
            "rules": self._rules(),
            "content": "ok" if self.engine.content.version else "not loaded",
            "keys": "ok" if asked else "not asked for yet",
        }

    def ask_for_keys(self) -> None:
        """Have each client's keys before its first call; what cannot be had is asked for again by that call."""
        for where in self._key_urls():
            self.keys.warm(where)

    def versions(self) -> dict[str, str]:
        return {
            "package": package_version(),
            "content": self.engine.content.version,
            "terminology": self.engine.terminology.version,
            "rules": rules_version(),
        }

    def _rules(self) -> str:
        return (
            "ok"
            if self.engine.terminology.version and self.engine.content.cards
            else "not ready: no rules"
        )

    def _content(self) -> str:
        faults = len(self.overlay_refused)
        if faults and not self.settings.content_overlay:
            return f"degraded: drug tables not signed ({faults} complaints), in use all the same"
        return (
            f"degraded: content overlay refused ({faults} complaints), packaged content in use"
            if faults
            else "ok"
        )

    def _store(self) -> str:
        if self.store.writable():
            return "ok"
        why = (
            self.store.condition
            if self.store.condition is not Condition.WELL
            else "no answer in time"
        )
        if self.settings.audit == "required":
            return f"not ready: audit is required, store not writable ({why})"
        return f"degraded: store not writable ({why})"

    def _audit(self) -> str:
        if self.settings.audit == "off":
            return "ok"
        if said := self.audit.retention.waiting or self.audit.retention.doubt:
            return f"degraded: {said}"
        if self.pseudonyms.fault:
            return f"degraded: no key for patient hashes ({self.pseudonyms.fault})"
        if self._rose("audit", self.audit.dropped) or self.reporter.is_troubled("audit"):
            return "degraded: audit events are lost"
        return "degraded: audit events wait" if self.audit.pending > QUEUE_EVENTS // 2 else "ok"

    def _records(self) -> str:
        missing = {
            kind: sum(loss.count for loss in self.water.losses() if loss.kind == kind)
            for kind in KINDS
        }
        if any(missing.values()):
            said = ", ".join(f"{count} of {kind}" for kind, count in missing.items() if count)
            return f"degraded: records are missing ({said})"
        if alarms := self.water.alarms():
            return f"degraded: {alarms[-1][1]}"
        if self.water.fault:
            return f"degraded: high-water mark not kept ({self.water.fault})"
        begun_anew = self.reporter.is_troubled("records")
        return "degraded: high-water mark unreadable, a new one is begun" if begun_anew else "ok"

    def _calls(self) -> str:
        troubled = self.reporter.is_troubled("calls")
        return "degraded: faults of ours in the last minute" if troubled else "ok"

    def _fhir(self) -> str:
        if any(self.fhir.open_circuits().values()):
            return "degraded: a FHIR server is left alone"
        troubled = self.reporter.is_troubled("fhir")
        return "degraded: a FHIR server did not answer in the last minute" if troubled else "ok"

    def _planner(self) -> str:
        fault = self.smart_key_fault
        return (
            f"degraded: no key file for the planner's sessions ({fault}), they end with this worker"
            if fault
            else "ok"
        )

    def _keys(self) -> str:
        if not self.authenticates:
            return "ok"
        files = [c.jwks_file for c in known_clients(self.settings) if c.jwks_file]
        if not all(os.access(file, os.R_OK) for file in files):
            return "degraded: a key file cannot be read"
        return (
            "ok"
            if all(map(self.keys.at_hand, self._key_urls()))
            else "degraded: keys not fetched yet"
        )

    def _log(self) -> str:
        return (
            "degraded: log lines are lost"
            if self._rose("log", self.reporter.sink.dropped)
            else "ok"
        )

    def _rose(self, what: str, number: int) -> bool:
        """True for a minute after this number has last risen."""
        if number > self.seen.get(what, 0):
            self.seen[what], self.seen[f"{what} at"] = number, time.monotonic()
        return time.monotonic() - self.seen.get(f"{what} at", float("-inf")) < RECENT_SECONDS

    def _key_urls(self) -> list[str]:
        return (
            [c.jwks_url for c in known_clients(self.settings) if c.jwks_url]
            if self.authenticates
            else []
        )

    def set_gauges(self, found: Mapping[str, str]) -> None:
        """What is true now rather than counted; counters that others keep rise by what they rose."""
        numbers = self.reporter.numbers
        for name, word in found.items():
            numbers.set(
                metrics.READY,
                1 if word == "ok" else 0 if word.startswith("not ready") else 0.5,
                name,
            )
        numbers.set_one(metrics.STORE_CONDITION, self.store.condition, Condition)
        for kind in KINDS:
            numbers.set(
                metrics.MISSING_RECORDS,
                sum(x.count for x in self.water.losses() if x.kind == kind),
                kind,
            )
        for base, is_open in self.fhir.open_circuits().items():
            numbers.set(metrics.BREAKER_OPEN, is_open, urlsplit(base).netloc)
        for client in known_clients(self.settings):
            if client.jwks_url and self.authenticates:
                age = self.keys.age(client.jwks_url)
                numbers.set(
                    metrics.KEY_SET_AGE,
                    -1 if age == float("inf") else age,
                    client.name or client.issuer,
                )
        numbers.set(metrics.AUDIT_WAITING, self.audit.pending)
        self._raise_to(metrics.AUDIT_WRITTEN, self.audit.written)
        self._raise_to(metrics.AUDIT_DROPPED, self.audit.dropped)
        self._raise_to(metrics.LOG_DROPPED, self.reporter.sink.dropped)
        numbers.set(metrics.MEMORY, _resident_bytes())
        numbers.set(metrics.WORKERS, 1)
        versions = self.versions()
        numbers.set(
            metrics.BUILD,
            1,
            versions["package"],
            versions["content"],
            versions["terminology"],
            versions["rules"],
        )

    def _raise_to(self, spec: metrics.Spec, value: int) -> None:
        before = self.seen.get(spec.name, 0)
        self.seen[spec.name] = max(before, value)
        self.reporter.numbers.count(spec, by=max(0, value - before))


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4_096
    except (OSError, ValueError, IndexError):
        return 0
