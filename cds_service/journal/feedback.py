"""Keep what clinicians did with our cards: durable before it is acknowledged, and each item once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
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


class FeedbackJournal:
    """``cards_recorded``: the audit log writes down shown cards; without that nobody can tell a match.

    ``water`` keeps how many there were; ``on_loss`` hears of it when the store turns out to hold fewer.
    """

    def __init__(self, store: Store, *, cards_recorded: bool, water: HighWater | None = None,
                 on_loss: Callable[[Loss], None] = lambda _loss: None) -> None:
        self._store = store
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
        with self._store.write() as connection:
            shown = self._shown(connection, items)
            rows = [_row(item, issuer, now, self._matched(item, shown)) for item in items]
            insert = insert_once(connection, feedback, "key").returning(feedback.c.id)
            added = connection.execute(insert, rows).all()
            if added and _kept(connection, issuer) > quota:
                headers = {"Retry-After": str(QUOTA_RETRY_SECONDS)}
                raise Unavailable("No more feedback of this client can be kept.", headers=headers)
        if added and self._water is not None:
            self._mark(self._water, [row.id for row in added], now)

    def _mark(self, water: HighWater, ids: Sequence[int], now: datetime) -> None:
        """Numbers only rise; ones that were used before mean that the store is not the one that it was."""
        if min(ids) <= water.known("feedback").last:
            water.adopt()                      # another worker may have noticed it first
        known = water.known("feedback")
        if min(ids) <= known.last:
            held = Mark(min(ids) - 1, "", min(ids) - 1, known.epoch)
            if loss := water.lose("feedback", written(now), held):
                self._on_loss(loss)
        water.rise("feedback", max(ids), more=len(ids), at_once=True)

    def _shown(self, connection: Connection, items: Sequence[FeedbackItem]) -> set[tuple[str, str]]:
        cards = {item.card for item in items} if self._cards_recorded else set()
        query = select(shown_card.c.card, shown_card.c.service).where(shown_card.c.card.in_(cards))
        return {(card, service) for card, service in connection.execute(query)} if cards else set()

    def _matched(self, item: FeedbackItem, shown: set[tuple[str, str]]) -> bool | None:
        return (item.card, item.service) in shown if self._cards_recorded else None


def item_key(item: FeedbackItem, issuer: str) -> str:
    """SHA-256 over who said what: equal for a repeat, different for anything else."""
    reason = [item.reason.system, item.reason.code, item.reason.display] if item.reason else None
    said = [
        issuer, item.service, item.card, item.outcome, item.outcome_timestamp.isoformat(),
        item.accepted_suggestions, reason, item.user_comment,
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _row(item: FeedbackItem, issuer: str, now: datetime, matched: bool | None) -> dict[str, Any]:
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
        "matched": matched,
    }


def _kept(connection: Connection, issuer: str) -> int:
    query = select(func.count()).select_from(feedback).where(feedback.c.issuer == issuer)
    return connection.execute(query).scalar_one()
