"""Which alerts a clinician overrode lately: shown cards and the answers to them, by a keyed hash of what they rest on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from cds_service.content.render import OVERRIDE_SYSTEM
from cds_service.hooks.repeats import Bases, Overridden
from cds_service.hooks.request import HookRequest
from cds_service.journal.pseudonyms import Pseudonyms
from cds_service.store.schema import feedback, shown_card
from cds_service.store.store import Store, StoreAway

KEPT_HOURS = 24  # from select to sign
PATIENCE = 0.25  # seconds; where nobody can tell in that time, the alert is said in full


@dataclass(frozen=True, slots=True)
class _Question:
    """Which of these keys this issuer's clinicians overrode since then."""

    keys: tuple[str, ...]
    issuer: str
    since: datetime


class OverriddenCards:
    """Asks the store through its writer thread, so that no call is at the mercy of a store that hangs."""

    def __init__(self, store: Store, pseudonyms: Pseudonyms, clock: Callable[[], datetime]) -> None:
        self._writer = store.writer
        self._lane = store.writer.lane(_find_all, synced=False)
        self._pseudonyms = pseudonyms
        self._clock = clock

    def recall(self, issuer: str, request: HookRequest, bases: Bases) -> Mapping[str, Overridden]:
        """By topic, the alerts that the clinician of this call overrode at order-select; none where that is not known."""
        topics = {
            key: topic
            for topic, basis in bases.items()
            if (key := self._pseudonyms.alert(issuer, request.user_id, request.patient_id, basis))
        }
        if not topics:
            return {}
        since = self._clock() - timedelta(hours=KEPT_HOURS)
        try:
            found = self._writer.write(
                self._lane, _Question(tuple(topics), issuer, since), PATIENCE
            )
        except StoreAway:
            return {}
        return {topics[key]: overridden for key, overridden in found.items()}


def _find_all(
    connection: Connection, questions: Sequence[_Question]
) -> list[Mapping[str, Overridden]]:
    return [_find(connection, question) for question in questions]


def _find(connection: Connection, question: _Question) -> dict[str, Overridden]:
    """The newest answer to each alert counts, and only an override of it."""
    same = (shown_card.c.card == feedback.c.card) & (shown_card.c.service == feedback.c.service)
    query = (
        select(
            shown_card.c.alert,
            feedback.c.outcome,
            feedback.c.received_at,
            feedback.c.reason_code,
            feedback.c.reason_system,
        )
        .join(feedback, same)
        .where(
            shown_card.c.alert.in_(question.keys),
            shown_card.c.shown_at >= question.since,
            feedback.c.issuer == question.issuer,
        )
        .order_by(feedback.c.received_at, feedback.c.id)
    )
    newest = {row.alert: row for row in connection.execute(query)}
    return {
        key: Overridden(
            row.received_at, row.reason_code if row.reason_system == OVERRIDE_SYSTEM else ""
        )
        for key, row in newest.items()
        if row.outcome == "overridden"
    }
