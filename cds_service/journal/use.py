"""What live use looks like in numbers: calls, cards, feedback and gaps, counted by week, client, hook, rule and version.

Each worker keeps its own counts and reads only what came since it last looked, so a page costs the same with a
hundred thousand events stored as with ten. Nothing of a patient or prescriber is kept but who overrode what lately,
by hash, for a day: that is how a repeat is told.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Row, Select, select

from cds_service.errors import Unavailable
from cds_service.journal.audit_chain import READ_ROWS
from cds_service.store.schema import audit_event, audit_head, feedback, shown_card
from cds_service.store.store import Store

MOST_EVENTS = 200_000  # of the newest that are counted
REPEAT = timedelta(hours=24)
_MOST_LOOSE = 1_000  # items of feedback without a card that are looked at again

ClientOf = Callable[[str, str], str]  # (issuer, tenant) -> the name that the settings give it


class Fact(NamedTuple):
    """What a count is of. ``kind`` is call, quiet, refused, shown, silenced, accepted, overridden, repeat, loose, gap
    or unknown (names of medicines that no table holds).

    ``word`` is the reason of an override, or what a gap was about and why. "" = does not apply, or not known.
    """

    week: date
    kind: str
    client: str = ""
    hook: str = ""
    rule: str = ""
    indicator: str = ""
    version: str = ""  # of the rules, and of the content: "4f02aa1c9b03/9a7c..."
    word: str = ""


@dataclass(slots=True)
class _Counted:
    """The counts and how far they reach into the store."""

    counts: Counter[Fact] = field(default_factory=Counter)
    since: datetime | None = None
    first: int = -1  # where the chain began
    begin: int = 0  # what is not newer is not counted
    seq: int = 0
    feedback: int = 0
    loose: dict[int, Fact] = field(default_factory=dict)
    overridden: dict[tuple[str, ...], datetime] = field(default_factory=dict)


class UseTally:
    """The counts of a store. Safe to share between threads; ``facts`` may raise Unavailable."""

    def __init__(self, store: Store, client_of: ClientOf) -> None:
        self._store = store
        self._client_of = client_of
        self._lock = threading.Lock()
        self._counted = _Counted()

    def facts(self) -> Mapping[Fact, int]:
        """Every count up to now."""
        with self._lock, self._store.read() as connection:
            self._catch_up(connection)
            return dict(self._counted.counts)

    def warm_up(self) -> None:
        """Count what is there already, so that the first who looks need not wait; a store that is away waits for them."""
        with suppress(Unavailable):
            self.facts()

    @property
    def since(self) -> datetime | None:
        """The time of the oldest event that is counted."""
        return self._counted.since

    def _catch_up(self, connection: Connection) -> None:
        head = connection.execute(select(audit_head)).one()
        if head.seq < self._counted.seq or head.base_seq != self._counted.first:
            begin = max(head.base_seq, head.seq - MOST_EVENTS)
            self._counted = _Counted(first=head.base_seq, begin=begin, seq=begin)
        known = self._counted
        for row in _rows(connection, _events(known.seq, head.seq)):
            known.since = known.since or row.time
            self._count_event(row.time, orjson.loads(row.body))
        for row in _rows(connection, _cards(known.seq, head.seq)):
            if row.rule:
                fact = _fact_of_card(row, "shown")
                known.counts[fact] += 1
        known.seq = head.seq
        self._count_feedback(connection)

    def _count_event(self, time: datetime, body: Mapping[str, Any]) -> None:
        if body.get("kind") != "call":
            return
        counts, week = self._counted.counts, week_of(time)
        client, hook = (
            self._client_of(body.get("issuer", ""), body.get("tenant", "")),
            body.get("hook", ""),
        )
        counts[Fact(week, "call", client, hook)] += 1
        if (body.get("status") or 0) >= 400:
            counts[Fact(week, "refused", client, hook)] += 1
        elif not any(card["shown"] for card in body["cards"]):
            counts[Fact(week, "quiet", client, hook)] += 1
        for card in body["cards"]:
            if not card["shown"]:
                counts[Fact(week, "silenced", client, hook, card["topic"], card["indicator"])] += 1
        for gap in body["gaps"]:
            counts[Fact(week, "gap", client, hook, word=gap)] += 1
        if names := body.get("unknown_names"):
            counts[Fact(week, "unknown", client, hook)] += names

    def _count_feedback(self, connection: Connection) -> None:
        known = self._counted
        again = [*known.loose]
        for row in _rows(connection, _feedback(known.feedback, again)):
            known.feedback = max(known.feedback, row.id)
            if row.seq is not None and row.seq <= known.begin:
                continue  # its card is not counted either
            if (before := known.loose.pop(row.id, None)) is not None:
                known.counts[before] -= 1
            if row.rule is None:
                fact = known.loose[row.id] = before or Fact(week_of(row.received_at), "loose")
            else:
                fact = _fact_of_card(row, row.outcome)
                if row.outcome == "overridden":
                    fact = fact._replace(word=row.reason_code or "no reason given")
                    self._count_repeat(row, fact)
            known.counts[fact] += 1
        for loose in [*known.loose][:-_MOST_LOOSE]:
            del known.loose[loose]

    def _count_repeat(self, row: Row[Any], fact: Fact) -> None:
        """The same patient, rule, situation and prescriber overridden again within a day."""
        patient = orjson.loads(row.body).get("patient_hash", "") if row.body else ""
        if not patient:
            return
        key = (patient, row.prescriber or "", row.rule, row.situation or "")
        last, self._counted.overridden[key] = (
            self._counted.overridden.pop(key, None),
            row.outcome_timestamp,
        )
        if last is not None and abs(row.outcome_timestamp - last) <= REPEAT:
            self._counted.counts[fact._replace(kind="repeat", word="")] += 1
        self._forget(row.outcome_timestamp)

    def _forget(self, now: datetime) -> None:
        known = self._counted.overridden
        while known and abs(now - known[oldest := next(iter(known))]) > REPEAT:
            del known[oldest]


def week_of(time: datetime) -> date:
    """The Monday of the week, in UTC."""
    return time.date() - timedelta(days=time.weekday())


def _fact_of_card(row: Row[Any], kind: str) -> Fact:
    version = f"{row.rules_version or ''}/{row.content_version or ''}"
    return Fact(
        week_of(row.shown_at),
        kind,
        row.client or "",
        row.hook or "",
        row.rule,
        row.indicator or "",
        version,
    )


_CARD = (
    shown_card.c.seq,
    shown_card.c.rule,
    shown_card.c.situation,
    shown_card.c.indicator,
    shown_card.c.hook,
    shown_card.c.client,
    shown_card.c.content_version,
    shown_card.c.rules_version,
    shown_card.c.prescriber,
    shown_card.c.shown_at,
)


def _events(after: int, last: int) -> Select[Any]:
    between = (audit_event.c.seq > after) & (audit_event.c.seq <= last)
    return select(audit_event.c.time, audit_event.c.body).where(between).order_by(audit_event.c.seq)


def _cards(after: int, last: int) -> Select[Any]:
    return select(*_CARD).where((shown_card.c.seq > after) & (shown_card.c.seq <= last))


def _feedback(after: int, again: Iterable[int]) -> Select[Any]:
    """What came since, and what had no card when it was looked at."""
    same = (shown_card.c.card == feedback.c.card) & (shown_card.c.service == feedback.c.service)
    columns = (
        feedback.c.id,
        feedback.c.outcome,
        feedback.c.reason_code,
        feedback.c.received_at,
        feedback.c.outcome_timestamp,
        audit_event.c.body,
    )
    joined = feedback.join(shown_card, same, isouter=True).join(
        audit_event, audit_event.c.seq == shown_card.c.seq, isouter=True
    )
    wanted = (feedback.c.id > after) | feedback.c.id.in_([*again])
    return select(*columns, *_CARD).select_from(joined).where(wanted).order_by(feedback.c.id)


def _rows(connection: Connection, query: Select[Any]) -> Iterable[Row[Any]]:
    return connection.execution_options(yield_per=READ_ROWS).execute(query)
