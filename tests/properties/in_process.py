"""The walk of a hook call without HTTP: a fault of ours is an exception here, where the server would hide it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cds_service import pipeline
from cds_service.errors import ServiceError
from cds_service.hooks.services import SERVICES


@dataclass(frozen=True, slots=True)
class Said:
    """What a call was answered with; reads like an HTTP answer."""

    status_code: int
    body: Any

    def json(self) -> Any:
        return self.body

    @property
    def text(self) -> str:
        return json.dumps(self.body)


class InProcess:
    """Answers calls like the running service, without its server, its limits and its last-resort card.

    No dataclass: hypothesis would print the whole terminology beside each failing case.
    """

    def __init__(self, engine: pipeline.Engine, now: datetime):
        self.engine = engine
        self.now = now

    def __repr__(self) -> str:
        return "the walk"

    def post(self, path: str, json: Any) -> Said:
        """Judge ``json`` as the body of a call to ``path``; only the service's own refusals are caught."""
        service = SERVICES[path.rsplit("/", 1)[-1]]
        try:
            outcome = pipeline.answer(json, service, self.engine, self.now)
        except ServiceError as refusal:
            issue = {
                "severity": "error",
                "code": refusal.issue_code,
                "diagnostics": refusal.message,
            }
            return Said(refusal.status, {"resourceType": "OperationOutcome", "issue": [issue]})
        return Said(200, outcome.response)
