"""What the observers of a call may know: words and numbers of ours, nothing of a patient; gathered once per call."""

from __future__ import annotations

from dataclasses import dataclass

from cds_service.pipeline import Outcome
from cds_service.web.call import Call

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


def gather(call: Call, status: int) -> CallFacts:
    """The facts of a call that was answered with this status."""
    hook = "feedback" if call.is_feedback else call.service.hook if call.service else ""
    return CallFacts(
        hook,
        name_client(call),
        status,
        _name_outcome(call, status),
        call.elapsed,
        call.request_id,
        call.outcome,
        call.fault,
        call.header("traceparent"),
    )


def name_client(call: Call) -> str:
    """The name of who showed a token, as configured; NO_CLIENT where nobody did."""
    client = call.caller.client if call.caller else None
    return (client.name or client.issuer) if client else NO_CLIENT


def _name_outcome(call: Call, status: int) -> str:
    if call.limited:
        return "limited"
    if status == 200 and call.is_feedback:
        return "taken"
    if status == 200:
        judged = call.outcome
        return "could-not-check" if judged is None else "cards" if judged.cards else "no-cards"
    return _OUTCOMES.get(status, "failed" if status >= 500 else "refused")
