"""What is written down of each call: one audit event and one log line, both without anything of the patient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cds_service.errors import Unavailable
from cds_service.hooks.prefetch import Record
from cds_service.hooks.services import PREFETCH_KEYS
from cds_service.journal.audit import AuditedCard, AuditEvent, AuditLog
from cds_service.journal.pseudonyms import Pseudonyms
from cds_service.pipeline import Outcome
from cds_service.web.call import Call
from cds_service.web.call_facts import name_client
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

    def begin(self, call: Call) -> None:
        """Announce a call where audit is required; raises Unavailable."""
        if self.required:
            self._append_or_refuse(call, AuditEvent(self.now(), call.request_id, kind="begin"))
            call.audited = False

    def watch(self, call: Call) -> None:
        """Write the audit event of a judged call before its answer, and raise Unavailable, where audit is required."""
        if self.required:
            self._append_or_refuse(call, self._event(call, 200))

    def end(self, call: Call, status: int) -> None:
        """Write down what is not written yet, and the line of the log."""
        if not call.audited:
            self._append_quietly(call, status)
        self._log_quietly(call, status)

    def _append_or_refuse(self, call: Call, event: AuditEvent) -> None:
        """Write now, or Unavailable; a store that has just refused is not asked a second time by the same call."""
        call.audited = True
        try:
            self.audit.append(event)
        except Unavailable:
            self._note(call, available=False)
            raise
        self._note(call, available=True)

    def _note(self, call: Call, *, available: bool) -> None:
        """Once per change, not per call."""
        if available == self.state["available"]:
            return
        self.state["available"] = available
        if available:
            self.log.info("audit-available", request_id=call.request_id)
        else:
            self.log.error("audit-unavailable", request_id=call.request_id)

    def _append_quietly(self, call: Call, status: int) -> None:
        """An observer in its own fence: whatever breaks here costs no answer."""
        try:
            self.audit.append(self._event(call, status))
        except Unavailable:
            self._note(call, available=False)
        except Exception as error:  # noqa: BLE001
            self.log.error("audit-broken", request_id=call.request_id, fault=name_fault(error))
            self.trouble("audit")

    def _log_quietly(self, call: Call, status: int) -> None:
        try:
            line = self._line(call, status)
            self.log.info("call", **line)
            for about in troubles_of(line):
                self.trouble(about)
        except Exception as error:  # noqa: BLE001 - as above
            self.log.error("log-broken", request_id=call.request_id, fault=name_fault(error))

    def _event(self, call: Call, status: int) -> AuditEvent:
        caller, outcome = call.caller, call.outcome
        issuer = caller.client.issuer if caller else ""
        event: dict[str, Any] = {
            "request_id": call.request_id,
            "issuer": issuer,
            "tenant": caller.tenant if caller else "",
            "jti": caller.jti if caller else "",
            "retry": bool(caller and caller.retry),
            "service": call.service.id if call.service else "",
            "content_version": self.content_version,
            "rules_version": self.rules_version,
            "terminology_version": self.terminology_version,
            "status": status,
            "ms": round(call.elapsed * 1_000),
            "client": name_client(call) if caller else "",
        }
        return AuditEvent(
            self.now(), **event, **(self._of_outcome(call, outcome, issuer) if outcome else {})
        )

    def _of_outcome(self, call: Call, outcome: Outcome, issuer: str) -> dict[str, Any]:
        request = outcome.request
        situations = _situations(outcome)
        shown = [
            AuditedCard(
                c["uuid"],
                *(key := (c["source"]["topic"]["code"], c["indicator"])),
                situation=next(situations.get(key, iter(())), ""),
                alert=self._alert(call, outcome, key[0]),
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

    def _alert(self, call: Call, outcome: Outcome, topic: str) -> str:
        """By the client whose rules hold, who need not have shown a token where none is asked for."""
        basis, request = outcome.bases.get(topic), outcome.request
        issuer = call.client.issuer if call.client else ""
        return (
            self.pseudonyms.alert(issuer, request.user_id, request.patient_id, basis)
            if basis
            else ""
        )

    def _line(self, call: Call, status: int) -> dict[str, Any]:
        """Why a call was answered as it was, in words of this service only."""
        outcome = call.outcome
        line: dict[str, Any] = {
            "request_id": call.request_id,
            "service": call.service.id if call.service else "",
            "status": status,
            "ms": round(call.elapsed * 1_000),
        }
        if call.caller:
            line["client"] = name_client(call)
            if call.caller.retry:
                line["retry"] = True
        if call.fault:
            line["fault"] = call.fault
        if call.limited:
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
