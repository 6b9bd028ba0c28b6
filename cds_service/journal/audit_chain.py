"""The audit chain in the store: each event carries the hash of the one before it, so a change shows.

``hash = SHA-256(hash before + newline + body)``; the body holds its own number. The head row says where the
chain ends and, once retention has removed the oldest events, where it begins; a checkpoint event in the chain
says the same. Appending locks the head row, so several workers and replicas write one chain. Who can write
to the store can also recompute a whole chain: keep ``ChainReport.head`` elsewhere, give it to ``verify`` later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from cds_service.store.schema import audit_event, audit_head, feedback, shown_card
from cds_service.store.store import Store

PRUNE_EVENTS = 5_000
READ_ROWS = 500

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What ``verify`` found: ``head`` is (number, hash) of the newest event, ``faults`` what is wrong."""

    events: int
    first: int
    head: tuple[int, str]
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.faults


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """Number and hash of the newest event."""

    seq: int
    hash: str


def lock_end(connection: Connection) -> ChainEnd:
    """Where the chain ends; nobody else can append until this transaction ends."""
    head = connection.execute(select(audit_head).with_for_update()).one()
    return ChainEnd(head.seq, head.hash)


def append(
    connection: Connection, events: Sequence[tuple[datetime, Body]], end: ChainEnd | None = None
) -> tuple[tuple[int, ...], ChainEnd]:
    """Add events to the end of the chain in the open write transaction: their numbers, in order, and the new end.

    ``end`` is what ``lock_end`` said in this transaction, where the caller has asked already.
    """
    end = end or lock_end(connection)
    seq, chained = end.seq, end.hash
    rows: list[dict[str, Any]] = []
    for time, body in events:
        seq += 1
        text = canonical({**body, "seq": seq, "time": written(time)})
        chained = link(chained, text)
        rows.append({"seq": seq, "time": time, "body": text, "hash": chained})
    if rows:
        connection.execute(insert(audit_event), rows)
        connection.execute(update(audit_head).values(seq=seq, hash=chained))
    return tuple(row["seq"] for row in rows), ChainEnd(seq, chained)


def canonical(body: Body) -> str:
    """One line of ASCII JSON with sorted names: whatever a text holds, it cannot start a new line."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def link(before: str, text: str) -> str:
    """The hash of an event: of the hash before it and its own body."""
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def written(time: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def prune(store: Store, before: datetime, now: datetime) -> int:
    """Remove the oldest events up to the first that is not older than ``before``; how many went.

    Done in small transactions; each leaves a checkpoint event that says where the chain begins now.
    """
    total = 0
    while removed := _prune_some(store, before, now):
        total += removed
    return total


def _prune_some(store: Store, before: datetime, now: datetime) -> int:
    with store.write() as connection:
        head = connection.execute(select(audit_head).with_for_update()).one()
        young = select(func.min(audit_event.c.seq)).where(audit_event.c.time >= before)
        last = (connection.execute(young).scalar() or head.seq + 1) - 1
        last = min(last, head.base_seq + PRUNE_EVENTS)
        base = connection.execute(
            select(audit_event.c.hash).where(audit_event.c.seq == last)
        ).scalar()
        if (
            last <= head.base_seq
            or base is None
            or _only_checkpoint(connection, head.base_seq + 1, last)
        ):
            return 0
        connection.execute(delete(audit_event).where(audit_event.c.seq <= last))
        _forget_cards(connection, int(last))
        connection.execute(update(audit_head).values(base_seq=last, base_hash=base))
        append(connection, [(now, {"kind": "checkpoint", "base": last, "base_hash": base})])
        return int(last - head.base_seq)


def _forget_cards(connection: Connection, last: int) -> None:
    """Cards that nobody said anything about go with their events; of the others only who prescribed."""
    old = shown_card.c.seq <= last
    answered = select(feedback.c.card).where(feedback.c.card == shown_card.c.card).exists()
    connection.execute(delete(shown_card).where(old, ~answered))
    connection.execute(update(shown_card).where(old).values(prescriber=None, alert=None))


def _only_checkpoint(connection: Connection, first: int, last: int) -> bool:
    """A checkpoint alone is not pruned: its own successor would take its place for ever."""
    if first != last:
        return False
    body = connection.execute(
        select(audit_event.c.body).where(audit_event.c.seq == first)
    ).scalar_one()
    return bool(json.loads(body).get("kind") == "checkpoint")


def newest(store: Store) -> datetime | None:
    """When the newest event was written; None for an empty chain."""
    with store.read() as connection:
        found: datetime | None = connection.execute(
            select(audit_event.c.time).order_by(audit_event.c.seq.desc()).limit(1)
        ).scalar()
        return found


def verify(store: Store, anchor: tuple[int, str] | None = None) -> ChainReport:
    """Walk the whole chain; finds an event edited, removed, inserted or moved, and an end that was cut off.

    ``anchor`` is the head of an earlier report: the chain must still hold that event with that hash, unless
    it was pruned. Without one, a chain that was recomputed as a whole, head row included, cannot be told.
    """
    with store.read() as connection:
        head = connection.execute(select(audit_head)).one_or_none()
        if head is None:
            return ChainReport(0, 0, (0, ""), ("the head record is missing",))
        walk = _ChainWalk(head.base_seq, head.base_hash, anchor)
        for row in stream(connection):
            walk.step(row)
        return ChainReport(
            walk.events, head.base_seq + 1, (head.seq, head.hash), tuple(walk.end(head))
        )


def stream(connection: Connection) -> Iterator[Row[Any]]:
    """All events in the order of their numbers, a few hundred at a time."""
    query = select(audit_event).order_by(audit_event.c.seq)
    yield from connection.execution_options(yield_per=READ_ROWS).execute(query)


class _ChainWalk:
    """Where the walk stands. After a fault it goes on from what is written, so one change is one fault."""

    def __init__(self, base_seq: int, base_hash: str, anchor: tuple[int, str] | None) -> None:
        self.events = 0
        self._seq, self._hash = base_seq, base_hash
        self._base = (base_seq, base_hash)
        self._anchor = anchor if anchor and anchor[0] > base_seq else None
        self._stated = (0, "0" * 64)
        self._faults: list[str] = []

    def step(self, row: Row[Any]) -> None:
        if row.seq != self._seq + 1:
            self._faults.append(f"events {self._seq + 1} to {row.seq - 1} are missing")
        elif row.hash != link(self._hash, row.body) or not _agrees(row):
            self._faults.append(f"event {row.seq} was changed")
        else:
            self._note_checkpoint(json.loads(row.body))
        if self._anchor and self._anchor[0] == row.seq:
            self._faults += [f"event {row.seq} is not the one of the anchor"] * (
                row.hash != self._anchor[1]
            )
            self._anchor = None
        self.events += 1
        self._seq, self._hash = row.seq, row.hash

    def end(self, head: Row[Any]) -> list[str]:
        if (self._seq, self._hash) != (head.seq, head.hash):
            self._faults.append(
                f"the chain ends at event {self._seq}, the head record says {head.seq}"
            )
        if self._stated != self._base:
            self._faults.append("no checkpoint accounts for where the chain begins")
        if self._anchor:
            self._faults.append(f"event {self._anchor[0]} of the anchor is missing")
        return self._faults

    def _note_checkpoint(self, body: Body) -> None:
        if body.get("kind") == "checkpoint":
            self._stated = (body["base"], body["base_hash"])


def _agrees(row: Row[Any]) -> bool:
    """The columns say what the body says; retention and order go by the columns."""
    try:
        body = json.loads(row.body)
        return bool(body["seq"] == row.seq and body["time"] == written(row.time))
    except (ValueError, KeyError, TypeError):
        return False
