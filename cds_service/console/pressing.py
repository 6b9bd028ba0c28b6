"""What an EHR does with a card: a suggestion that is pressed changes the orders, and what was done is fed back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cds_service.console.order_form import drafts, with_draft
from cds_service.fhir.values import as_dict, as_list, as_text, resource_id, resource_ref
from cds_service.model import Json


def press(body: Json, suggestion: object) -> dict[str, Any]:
    """The call after every action of the suggestion: on a draft, or on an order of the list where the action names one.

    An action about something that was not sent changes nothing.
    """
    done = dict(body)
    for action in as_list(as_dict(suggestion).get("actions")):
        done = _act(done, as_dict(action))
    return done


def _act(body: dict[str, Any], action: Json) -> dict[str, Any]:
    """CDS Hooks 1.0 names what to delete in ``resource``, by a bare id."""
    resource = as_dict(action.get("resource"))
    ref = resource_ref(resource)
    wanted = as_text(action.get("resourceId")) or as_text(action.get("resource")) or ref
    old = next((d for d in drafts(body) if wanted in (resource_ref(d), resource_id(d))), None)
    if old is not None and wanted:
        return with_draft(body, old, None if action.get("type") == "delete" else resource)
    return _with_listed(body, ref, resource) if ref else body


def _with_listed(body: dict[str, Any], ref: str, resource: Json) -> dict[str, Any]:
    """The call with an order of the list as the action writes it."""

    def changed(answer: Any) -> Any:
        held = [as_dict(entry) for entry in as_list(as_dict(answer).get("entry"))]
        if not any(_holds(entry, ref) for entry in held):
            return answer
        new = [{**entry, "resource": resource} if _holds(entry, ref) else entry for entry in held]
        return {**answer, "entry": new}

    prefetch = as_dict(body.get("prefetch"))
    return {**body, "prefetch": {key: changed(answer) for key, answer in prefetch.items()}}


def _holds(entry: Json, ref: str) -> bool:
    return resource_ref(as_dict(entry.get("resource"))) == ref


def acceptance(card: str, suggestion: str, now: datetime) -> dict[str, Any]:
    """The feedback for a suggestion that was pressed."""
    return {
        "card": card,
        "outcome": "accepted",
        "acceptedSuggestions": [{"id": suggestion}],
        "outcomeTimestamp": now.isoformat(timespec="milliseconds"),
    }
