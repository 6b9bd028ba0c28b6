"""The trace of each call, handed over after it was answered, in a fence of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cds_service.journal.traces import Traces
from cds_service.web.call import Call
from cds_service.web.call_facts import CallFacts, gather
from cds_service.web.wire import name_fault


@dataclass(frozen=True, slots=True)
class CallTraces:
    traces: Traces
    log: Any

    def end(self, call: Call, status: int) -> None:
        try:
            self.observe(gather(call, status))
        except Exception as error:  # noqa: BLE001 - a trace is worth no answer
            self.log.error("traces-broken", request_id=call.request_id, fault=name_fault(error))

    def observe(self, call: CallFacts) -> None:
        facts: dict[str, str | int] = {
            "hook": call.hook,
            "client": call.client,
            "outcome": call.outcome,
            "http.response.status_code": call.status,
            "request_id": call.request_id,
        }
        stages = call.judged.timings if call.judged else {}
        if call.judged is not None:
            facts |= {"cards": len(call.judged.cards), "gaps": len(call.judged.snapshot.gaps)}
        self.traces.record(
            f"hook {call.hook}" if call.hook else "hook", call.seconds, stages, facts, call.parent
        )
