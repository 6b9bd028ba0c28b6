"""What is written down of each call: one audit event and one log line, both without anything of the patient."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import Flask, Response, g, request

from cds_service.auth.client_auth import Caller
from cds_service.errors import Unavailable
from cds_service.hooks.prefetch import Record
from cds_service.hooks.services import PREFETCH_KEYS
from cds_service.journal.audit import AuditedCard, AuditEvent, AuditLog
from cds_service.journal.pseudonyms import Pseudonyms
from cds_service.pipeline import Outcome
from cds_service.web.wire import name_fault

NO_ANSWER = frozenset(
    {"timeout", "circuit-open", "busy", "unreachable", "broken", "tls", "http-5xx"}
)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Where calls are written down. ``required`` = an answer waits for its audit event and fails with it."""

    audit: AuditLog
    pseudonyms: Pseudonyms
    log: Any
    now: Callable[[], datetime]
    content_version: str
    required: bool
    trouble: Callable[[str], None] = lambda _about: (
        None
    )  # hears "calls", "fhir" or "audit" when one of these went wrong
    prescribers: bool = False
    rules_version: str = ""
    terminology_version: str = ""
    state: dict[str, bool] = field(default_factory=lambda: {"available": True})

    def install(self, app: Flask) -> None:
        app.before_request(self._begin)
        app.after_request(self._end)

    def watch(self, outcome: Outcome) -> None:
        """Write the audit event of an answered call; raises Unavailable only where audit is required."""
        g.outcome = outcome
        if self.required:
            self._append_or_refuse(self._event(200))

    def _begin(self) -> None:
        g.started = time.perf_counter()
        if self.required and _is_call():
            self._append_or_refuse(AuditEvent(self.now(), g.request_id, kind="begin"))
            g.audited = False

    def _append_or_refuse(self, event: AuditEvent) -> None:
        """Write now, or Unavailable; a store that has just refused is not asked a second time by the same call."""
        g.audited = True
        try:
            self.audit.append(event)
        except Unavailable:
            self._note(available=False)
            raise
        self._note(available=True)

    def _note(self, *, available: bool) -> None:
        """Once per change, not per call."""
        if available == self.state["available"]:
            return
        self.state["available"] = available
        if available:
            self.log.info("audit-available", request_id=g.request_id)
        else:
            self.log.error("audit-unavailable", request_id=g.request_id)

    def _end(self, response: Response) -> Response:
        if _is_call():
            if not g.get("audited"):
                self._append_quietly(response.status_code)
            self._log_quietly(response.status_code)
        return response

    def _append_quietly(self, status: int) -> None:
        """An observer in its own fence: whatever breaks here costs no answer."""
        try:
            self.audit.append(self._event(status))
        except Unavailable:
            self._note(available=False)
        except Exception as error:  # noqa: BLE001
            self.log.error("audit-broken", request_id=g.request_id, fault=name_fault(error))
            self.trouble("audit")

    def _log_quietly(self, status: int) -> None:
        try:
            line = self._line(status)
            self.log.info("call", **line)
            for about in troubles_of(line):
                self.trouble(about)
        except Exception as error:  # noqa: BLE001 - as above
            self.log.error("log-broken", request_id=g.request_id, fault=name_fault(error))

    def _event(self, status: int) -> AuditEvent:
        caller: Caller | None = g.get("caller")
        outcome: Outcome | None = g.get("outcome")
        issuer = caller.client.issuer if caller else ""
        event = {
            "request_id": g.request_id,
            "issuer": issuer,
            "tenant": caller.tenant if caller else "",
            "jti": caller.jti if caller else "",
            "retry": bool(caller and caller.retry),
            "service": g.get("service", ""),
            "content_version": self.content_version,
            "rules_version": self.rules_version,
            "terminology_version": self.terminology_version,
            "status": status,
            "ms": _elapsed_ms(),
            "client": (caller.client.name or issuer) if caller else "",
        }
        return AuditEvent(
            self.now(), **event, **(self._of_outcome(outcome, issuer) if outcome else {})
        )

    def _of_outcome(self, outcome: Outcome, issuer: str) -> dict[str, Any]:
        request = outcome.request
        situations = _situations(outcome)
        shown = [
            AuditedCard(
                c["uuid"],
                *(key := (c["source"]["topic"]["code"], c["indicator"])),
                situation=next(situations.get(key, iter(())), ""),
                alert=self._alert(outcome, key[0]),
            )
            for c in outcome.cards
        ]
        silenced = [
            AuditedCard("", f.topic, f.severity.indicator, shown=False) for f in outcome.silenced
        ]
        return {
            "hook": request.hook,
            "hook_instance": self.pseudonyms.hook_instance(request.hook_instance),
            "patient_hash": self.pseudonyms.patient(issuer, request.patient_id),
            "prescriber": self.pseudonyms.prescriber(issuer, request.user_id)
            if self.prescribers
            else "",
            "release": str(outcome.snapshot.release),
            "sources": sources_of(outcome.record),
            "rules": [v.rule + ("!" if v.error else "") for v in outcome.verdicts],
            "cards": [*shown, *silenced],
            "gaps": outcome.snapshot.gaps,
            "unknown_names": len(outcome.snapshot.unknown_names),
        }

    def _alert(self, outcome: Outcome, topic: str) -> str:
        """By the client whose rules hold, who need not have shown a token where none is asked for."""
        basis, request = outcome.bases.get(topic), outcome.request
        issuer = client.issuer if (client := g.get("client")) else ""
        return (
            self.pseudonyms.alert(issuer, request.user_id, request.patient_id, basis)
            if basis
            else ""
        )

    def _line(self, status: int) -> dict[str, Any]:
        """Why a call was answered as it was, in words of this service only."""
        outcome: Outcome | None = g.get("outcome")
        line: dict[str, Any] = {
            "request_id": g.request_id,
            "service": g.get("service", ""),
            "status": status,
            "ms": _elapsed_ms(),
        }
        if caller := g.get("caller"):
            line["client"] = caller.client.name or caller.client.issuer
            if caller.retry:
                line["retry"] = True
        if fault := g.get("fault"):
            line["fault"] = fault
        if g.get("limited"):
            line["limited"] = True
        if outcome is not None:
            line["hook"] = outcome.request.hook
            line["cards"] = [
                f"{c['source']['topic']['code']}:{c['indicator']}" for c in outcome.cards
            ]
            line["silenced"] = [f.topic for f in outcome.silenced]
            line["shortened"] = sorted(outcome.overridden)
            line["gaps"] = [f"{gap.about}:{gap.why}" for gap in outcome.snapshot.gaps]
            line["broken_rules"] = [f"{v.rule}:{v.error}" for v in outcome.verdicts if v.error]
            line["broken_cards"] = list(outcome.broken_cards)
            line["drafts"], line["listed"] = (
                len(outcome.snapshot.drafts),
                len(outcome.snapshot.exposures),
            )
        return line


def troubles_of(line: Mapping[str, Any]) -> Iterator[str]:
    """What a call's line says of this service or of a FHIR server that is not in order."""
    if line.get("fault") or line.get("broken_rules") or line.get("broken_cards"):
        yield "calls"
    if NO_ANSWER & {gap.rpartition(":")[2] for gap in line.get("gaps", ())}:
        yield "fhir"


def _situations(outcome: Outcome) -> dict[tuple[str, str], Iterator[str]]:
    """The situations of the findings behind the cards of a topic and indicator, in their order."""
    found: dict[tuple[str, str], list[str]] = {}
    for verdict in outcome.verdicts:
        for finding in verdict.findings:
            found.setdefault((finding.topic, finding.severity.indicator), []).append(
                finding.situation
            )
    return {key: iter(names) for key, names in found.items()}


def _is_call() -> bool:
    return request.method == "POST" and request.path.startswith("/cds-services/")


def _elapsed_ms() -> int:
    started: float = g.get("started", time.perf_counter())
    return round((time.perf_counter() - started) * 1_000)


def sources_of(record: Record) -> Mapping[str, str]:
    """Our own keys: answered, fetched, failed, unread or absent; keys that a caller made up are counted together."""
    known = {
        key: (
            "unread"
            if a.state == "unread"
            else "fetched"
            if a.fetched and a.complete
            else "answered"
            if a.complete
            else "failed"
        )
        for key, a in record.answers.items()
        if key in PREFETCH_KEYS
    }
    others = sum(key not in PREFETCH_KEYS for key in record.answers)
    absent = dict.fromkeys(sorted(PREFETCH_KEYS - known.keys()), "absent")
    return {**known, **absent, **({"other keys": str(others)} if others else {})}
