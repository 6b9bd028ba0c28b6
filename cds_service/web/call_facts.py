"""What the observers of a call may know: words and numbers of ours, nothing of a patient; gathered once per call."""

from __future__ import annotations

import time
from dataclasses import dataclass

from flask import g, request

from cds_service.auth.client_auth import Caller
from cds_service.hooks.services import SERVICES
from cds_service.pipeline import Outcome

NO_CLIENT = "none"
_OUTCOMES = {
    400: "bad-request",
    401: "unauthorized",
    404: "not-found",
    412: "no-order",
    413: "too-large",
    415: "media-type",
    429: "limited",
    503: "unavailable",
}


@dataclass(frozen=True, slots=True)
class CallFacts:
    """One hook or feedback call that has ended. ``hook`` is "" where no service of ours was called."""

    hook: str
    client: str
    status: int
    outcome: str
    seconds: float
    request_id: str
    judged: Outcome | None
    fault: str
    parent: str  # the caller's traceparent header, or ""


def is_call() -> bool:
    return request.method == "POST" and request.path.startswith("/cds-services/")


def gather(status: int) -> CallFacts:
    """The facts of the current request, after it was answered."""
    service = g.get("service", "")
    hook = SERVICES[service].hook if service else ""
    if service and request.path.endswith("/feedback"):
        hook = "feedback"
    judged: Outcome | None = g.get("outcome")
    caller: Caller | None = g.get("caller")
    client = (caller.client.name or caller.client.issuer) if caller else NO_CLIENT
    started: float = g.get("started", time.perf_counter())
    return CallFacts(
        hook,
        client,
        status,
        _name_outcome(status, hook, judged),
        time.perf_counter() - started,
        g.get("request_id", ""),
        judged,
        g.get("fault", ""),
        request.headers.get("traceparent", ""),
    )


def _name_outcome(status: int, hook: str, judged: Outcome | None) -> str:
    if g.get("limited"):
        return "limited"
    if status == 200 and hook == "feedback":
        return "taken"
    if status == 200:
        return "could-not-check" if judged is None else "cards" if judged.cards else "no-cards"
    return _OUTCOMES.get(status, "failed" if status >= 500 else "refused")
