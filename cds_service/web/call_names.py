"""The names that a call's chart holds and no table: handed to the site's own list, after the answer, in a fence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cds_service.auth.client_auth import Caller
from cds_service.journal.unknown_names import UnknownNames
from cds_service.pipeline import Outcome
from cds_service.web.call import Call
from cds_service.web.wire import name_fault


@dataclass(frozen=True, slots=True)
class CallNames:
    names: UnknownNames
    log: Any

    def end(self, call: Call, _status: int) -> None:
        if call.outcome is None:
            return
        try:
            self.observe(call.outcome, call.caller)
        except Exception as error:  # noqa: BLE001 - a list is worth no answer
            self.log.error(
                "unknown-names-broken", request_id=call.request_id, fault=name_fault(error)
            )

    def observe(self, outcome: Outcome, caller: Caller | None) -> None:
        """Count the names of one call; say once that the file cannot be written."""
        snapshot, before = outcome.snapshot, self.names.fault
        drafted = (draft.name for draft in snapshot.unknown_drafts)
        self.names.see(
            caller.client.issuer if caller else "",
            outcome.request.patient_id,
            (*snapshot.unknown_names, *drafted),
        )
        if self.names.fault != before and self.names.fault:
            self.log.error("unknown-names-unwritable", fault=self.names.fault)
