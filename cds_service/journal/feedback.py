"""Keep what clinicians did with our cards: durable before it is acknowledged, and each item once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from cds_service.errors import Unavailable
from cds_service.hooks.feedback import FeedbackItem
from cds_service.journal.audit_chain import written
from cds_service.journal.high_water import HighWater, Loss, Mark
from cds_service.store.database import insert_once
from cds_service.store.schema import feedback, shown_card
from cds_service.store.store import Store

QUOTA = 100_000
QUOTA_RETRY_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class _Call:
    """The items of one call, as rows, and what its issuer may keep."""

    rows: Sequence[Mapping[str, Any]]
    issuer: str
    quota: int


@dataclass(frozen=True, slots=True)
class _Added:
    """Numbers that a transaction added; ``before`` was the largest, ``broken`` = less than the high-water mark."""

    before: int
    broken: bool
    ids: Sequence[int]


class FeedbackJournal:
    """``cards_recorded``: the audit log writes down shown cards; without that nobody can tell a match.

    ``water`` keeps how many there were; ``on_loss`` hears of it when the store turns out to hold fewer.
    """

    def __init__(
        self,
        store: Store,
        *,
        cards_recorded: bool,
        water: HighWater | None = None,
        on_loss: Callable[[Loss], None] = lambda _loss: None,
    ) -> None:
        self._writer = store.writer
        self._lane = store.writer.lane(self._write)
        self._cards_recorded = cards_recorded
        self._water = water
        self._on_loss = on_loss

    def record(
        self, items: Sequence[FeedbackItem], *, issuer: str, now: datetime, quota: int = QUOTA
    ) -> None:
        """Keep all items or none; when this returns they are on disk. A repeat of an item is kept once (L7).

        Unavailable with Retry-After if the store fails or new items go beyond what this issuer may keep; on
        PostgreSQL calls at the same moment may go beyond it by what they hold.
        """
        call = _Call([_row(item, issuer, now) for item in items], issuer, quota)
        added = self._writer.write(self._lane, call)
        if added is not None and self._water is not None:
            self._mark(self._water, added, now)

    def _write(self, connection: Connection, calls: Sequence[_Call]) -> list[_Added | None]:
        """In the order in which they came; one ``matched`` and one count of what is kept for all of them.

        What was added is told to the first of them, who moves the mark for all.
        """
        before, broken = self._held_before(connection)
        rows = [row for call in calls for row in call.rows]
        shown = self._shown(connection, {row["card"] for row in rows})
        known = [{**row, "matched": self._matched(row, shown)} for row in rows]
        insert = insert_once(connection, feedback, "key").returning(
            feedback.c.id, feedback.c.issuer
        )
        added = connection.execute(insert, known).all()
        quotas = {call.issuer: call.quota for call in calls}
        if any(
            _kept(connection, issuer) > quotas[issuer] for issuer in {row.issuer for row in added}
        ):
            headers = {"Retry-After": str(QUOTA_RETRY_SECONDS)}
            raise Unavailable("No more feedback of this client can be kept.", headers=headers)
        told = _Added(before, broken, [row.id for row in added])
        return [told, *[None] * (len(calls) - 1)]

    def _held_before(self, connection: Connection) -> tuple[int, bool]:
        """The largest number in the store, and whether the mark knows of a larger one: numbers only rise.

        The mark is read first: it never says what was not committed before.
        """
        if self._water is None:
            return 0, False
        known = self._water.known("feedback").last
        if (held := _largest(connection)) < known:
            self._water.adopt()  # another worker may have noticed it first
            known = self._water.known("feedback").last
            held = _largest(connection)
        return held, held < known

    def _mark(self, water: HighWater, added: _Added, now: datetime) -> None:
        if added.broken:
            held = Mark(added.before, "", added.before, water.known("feedback").epoch)
            if loss := water.lose("feedback", written(now), held):
                self._on_loss(loss)
        if added.ids:
            water.rise("feedback", max(added.ids), more=len(added.ids), at_once=True)

    def _shown(self, connection: Connection, cards: set[str]) -> set[tuple[str, str]]:
        if not self._cards_recorded or not cards:
            return set()
        query = select(shown_card.c.card, shown_card.c.service).where(shown_card.c.card.in_(cards))
        return {(card, service) for card, service in connection.execute(query)}

    def _matched(self, row: Mapping[str, Any], shown: set[tuple[str, str]]) -> bool | None:
        return (row["card"], row["service"]) in shown if self._cards_recorded else None


def item_key(item: FeedbackItem, issuer: str) -> str:
    """SHA-256 over who said what: equal for a repeat, different for anything else."""
    reason = [item.reason.system, item.reason.code, item.reason.display] if item.reason else None
    said = [
        issuer,
        item.service,
        item.card,
        item.outcome,
        item.outcome_timestamp.isoformat(),
        item.accepted_suggestions,
        reason,
        item.user_comment,
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _row(item: FeedbackItem, issuer: str, now: datetime) -> dict[str, Any]:
    return {
        "key": item_key(item, issuer),
        "service": item.service,
        "card": item.card,
        "outcome": item.outcome,
        "outcome_timestamp": item.outcome_timestamp,
        "accepted_suggestions": " ".join(item.accepted_suggestions),
        "reason_code": item.reason and item.reason.code,
        "reason_system": item.reason and item.reason.system,
        "reason_display": item.reason and item.reason.display,
        "user_comment": item.user_comment,
        "issuer": issuer,
        "received_at": now,
    }


def _kept(connection: Connection, issuer: str) -> int:
    query = select(func.count()).select_from(feedback).where(feedback.c.issuer == issuer)
    return connection.execute(query).scalar_one()


def _largest(connection: Connection) -> int:
    return connection.execute(select(func.max(feedback.c.id))).scalar() or 0
