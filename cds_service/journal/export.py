"""Feedback and audit as JSON or as CSV that no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Row, select

from cds_service.journal.audit_chain import READ_ROWS, stream, written
from cds_service.store.schema import feedback, shown_card
from cds_service.store.store import Store

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
FEEDBACK_COLUMNS = (
    "service",
    "card",
    "outcome",
    "outcomeTimestamp",
    "acceptedSuggestions",
    "reasonCode",
    "reasonSystem",
    "reasonDisplay",
    "userComment",
    "issuer",
    "receivedAt",
    "matched",
    "rule",
    "situation",
    "indicator",
    "hook",
    "client",
    "release",
    "contentVersion",
    "rulesVersion",
    "prescriber",
    "shownAt",
)
AUDIT_COLUMNS = (
    "seq",
    "time",
    "kind",
    "request_id",
    "issuer",
    "tenant",
    "jti",
    "hook",
    "service",
    "hook_instance",
    "patient_hash",
    "status",
    "ms",
    "content_version",
    "rules_version",
    "terminology_version",
    "rules",
    "sources",
    "cards",
    "gaps",
    "unknown_names",
    "events",
    "base",
    "base_hash",
    "hash",
)

Member = Mapping[str, Any]
_SHOWN = {
    "rule": "rule",
    "situation": "situation",
    "indicator": "indicator",
    "hook": "hook",
    "client": "client",
    "release": "release",
    "content_version": "contentVersion",
    "rules_version": "rulesVersion",
    "prescriber": "prescriber",
    "shown_at": "shownAt",
}


def export_feedback(store: Store, fmt: str) -> Iterator[str]:
    """Every stored item in the order of arrival, as pieces of text; ``fmt`` is json or csv.

    JSON is one list; each item has the members that were sent, so that it can be sent again, and service,
    issuer, receivedAt and matched (null = cards were not recorded, so nobody can tell). ``shown`` is the call that
    it belongs to: absent where that is not known.
    """
    same = (shown_card.c.card == feedback.c.card) & (shown_card.c.service == feedback.c.service)
    query = select(feedback, *(shown_card.c[name] for name in _SHOWN)).join(
        shown_card, same, isouter=True
    )
    query = query.order_by(feedback.c.id)
    with store.read() as connection:
        rows = connection.execution_options(yield_per=READ_ROWS).execute(query)
        if fmt == "csv":
            yield from _csv(FEEDBACK_COLUMNS, map(_feedback_cells, rows))
        else:
            yield from _json(map(_feedback_members, rows))


def export_audit(store: Store, fmt: str, patient_hash: str = "") -> Iterator[str]:
    """Every audit event from the oldest on, as pieces of text, each with its number and its chain hash.

    ``patient_hash`` leaves only those of one patient: a subject's access, whose chain cannot be verified alone.
    """
    with store.read() as connection:
        every = ({**json.loads(row.body), "hash": row.hash} for row in stream(connection))
        events = (
            event
            for event in every
            if not patient_hash or event.get("patient_hash") == patient_hash
        )
        if fmt == "csv":
            yield from _csv(
                AUDIT_COLUMNS, ([e.get(name) for name in AUDIT_COLUMNS] for e in events)
            )
        else:
            yield from _json(events)


def safe_cell(value: Any) -> str:
    """The text of a cell: what would start a formula, even after blanks, gets an apostrophe in front."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    risky = text.startswith(FORMULA_STARTS) or text.lstrip().startswith(FORMULA_STARTS)
    return f"'{text}" if risky else text


def _feedback_members(row: Row[Any]) -> Member:
    sent: dict[str, Any] = {
        "card": row.card,
        "outcome": row.outcome,
        "outcomeTimestamp": written(row.outcome_timestamp),
    }
    if row.accepted_suggestions:
        sent["acceptedSuggestions"] = [
            {"id": suggestion} for suggestion in row.accepted_suggestions.split()
        ]
    if override := _override(row):
        sent["overrideReason"] = override
    ours = {"service": row.service, "issuer": row.issuer, "matched": row.matched}
    call = {
        name: value for name, value in zip(_SHOWN.values(), _call_cells(row), strict=True) if value
    }
    return {
        **sent,
        **ours,
        "receivedAt": written(row.received_at),
        **({"shown": call} if call else {}),
    }


def _call_cells(row: Row[Any]) -> list[Any]:
    cells = [getattr(row, name) for name in _SHOWN]
    return [*cells[:-1], written(row.shown_at) if row.shown_at else None]


def _override(row: Row[Any]) -> Member:
    coding = {"code": row.reason_code, "system": row.reason_system, "display": row.reason_display}
    found: dict[str, Any] = {}
    if row.reason_code is not None:
        found["reason"] = {name: value for name, value in coding.items() if value}
    if row.user_comment is not None:
        found["userComment"] = row.user_comment
    return found


def _feedback_cells(row: Row[Any]) -> list[Any]:
    return [
        row.service,
        row.card,
        row.outcome,
        written(row.outcome_timestamp),
        row.accepted_suggestions,
        row.reason_code,
        row.reason_system,
        row.reason_display,
        row.user_comment,
        row.issuer,
        written(row.received_at),
        row.matched,
        *_call_cells(row),
    ]


def _json(items: Iterable[Member]) -> Iterator[str]:
    yield "["
    for number, item in enumerate(items):
        yield (",\n" if number else "\n") + json.dumps(item, ensure_ascii=False)
    yield "\n]\n"


def _csv(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    yield _line(columns)
    for row in rows:
        yield _line(map(safe_cell, row))


def _line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow(cells)
    return line.getvalue()
