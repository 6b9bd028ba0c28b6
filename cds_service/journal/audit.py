"""Write down one event per call: who asked, what was looked at, which cards came; never what was in them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from cds_service.errors import Unavailable
from cds_service.journal import audit_chain
from cds_service.journal.audit_chain import ChainEnd
from cds_service.journal.high_water import HighWater, Loss, Mark
from cds_service.journal.retention import Retention
from cds_service.model import Gap
from cds_service.store.database import insert_once
from cds_service.store.queue_writer import QueueWriter
from cds_service.store.schema import shown_card
from cds_service.store.store import Store, utc_now

QUEUE_EVENTS = 10_000
BATCH_EVENTS = 200
PRUNE_SECONDS = 3_600.0
WAIT_SECONDS = 15.0  # of the thread that writes for nobody who waits
LONGEST_TEXT = 256


@dataclass(frozen=True, slots=True)
class AuditedCard:
    """A card of an answer; ``shown`` is False for one that a client's settings silence.

    ``situation`` says which of the rule's findings it is and ``alert`` is the hash by which it is known again, "" where it
    need not be; both are kept with the card, not in the chain.
    """

    uuid: str
    topic: str
    indicator: str
    shown: bool = True
    situation: str = ""
    alert: str = ""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One call, without clinical text or raw patient ids: see Pseudonyms for the hash and the hook instance.

    ``kind`` is call, or begin where a call is announced before it is worked on. ``sources`` maps our prefetch
    keys and "context" to answered, fetched, failed, unread or absent; ``rules`` were run, or "not-ours" alone where
    every order is surely another drug and the list was not read; "" and None mean not known.
    What follows ``ms`` is kept with the shown cards, so that feedback can be joined with its call; ``prescriber`` is
    a keyed hash, where the settings allow one. ``unknown_names`` counts listed medicines that no table holds.
    """

    time: datetime
    request_id: str
    kind: str = "call"
    issuer: str = ""
    tenant: str = ""
    jti: str = ""
    hook: str = ""
    service: str = ""
    hook_instance: str = ""
    patient_hash: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    rules: Sequence[str] = ()
    content_version: str = ""
    cards: Sequence[AuditedCard] = ()
    gaps: Sequence[Gap] = ()
    status: int | None = None
    ms: int | None = None
    client: str = ""
    release: str = ""
    rules_version: str = ""
    terminology_version: str = ""
    prescriber: str = ""
    unknown_names: int = 0
    retry: bool = False  # the same call with the same token came before


class AuditLog:
    """``mode`` is off, best-effort or required.

    Best effort never holds a call up: events wait in a bounded queue for one writer thread, which tries again
    while the store is away. ``dropped`` counts events that were lost; the chain gets an event that says so.
    Required writes before it returns. Make it in the worker, after any fork.
    """

    def __init__(
        self,
        store: Store,
        mode: str,
        *,
        retention_days: int = 0,
        retention_file: Path | None = None,
        queue_events: int = QUEUE_EVENTS,
        clock: Callable[[], datetime] = utc_now,
        water: HighWater | None = None,
        on_loss: Callable[[Loss], None] = lambda _loss: None,
    ) -> None:
        self._store = store
        self._commit = store.writer
        self._lane = store.writer.lane(self._write_groups, synced=mode == "required")
        self._water = water
        self._on_loss = on_loss
        self._mode = mode
        self.retention = Retention(retention_days, retention_file, clock)
        self._clock = clock
        self._writer = QueueWriter(
            "audit",
            self._try_to_write,
            room=queue_events,
            batch=BATCH_EVENTS,
            between=self._keep_house,
        )
        self._lock = threading.Lock()
        self._dropped_told = 0
        self._pruned_at = float("-inf")
        self.dropped = 0
        self.written = 0

    @property
    def records_cards(self) -> bool:
        """True if shown cards are written down, so that feedback on them can be matched."""
        return self._mode != "off"

    @property
    def pending(self) -> int:
        """Events that are queued or being written."""
        return self._writer.pending

    def append(self, event: AuditEvent) -> None:
        """Write or queue one event; Unavailable only if audit is required and the store cannot take it."""
        if self._mode == "off":
            return
        if self._mode == "required":
            self._writer.start()  # it prunes
            self._write((event,))
        elif not self._writer.put(event):
            self._drop(1)

    def _drop(self, events: int) -> None:
        with self._lock:
            self.dropped += events

    def flush(self, seconds: float) -> bool:
        """Wait until nothing is pending; False if that took too long."""
        return self._writer.flush(seconds)

    def close(self, seconds: float = 2.0) -> bool:
        """Write what is pending and stop; False if some of it could not be written in time."""
        done = self._writer.close(seconds)
        if self._water is not None:
            self._water.save(at_once=True)
        return done

    def _try_to_write(self, events: Sequence[AuditEvent]) -> bool:
        """False if the store is away. Events that nothing can write are dropped: the thread must live on."""
        try:
            self._write(events, WAIT_SECONDS)
        except Unavailable:
            return False
        except Exception:  # noqa: BLE001 - no event is worth the thread that writes all others
            self._drop(len(events))
        return True

    def _write(self, events: Sequence[AuditEvent], seconds: float | None = None) -> None:
        dropped = self.dropped
        bodies = [(event.time, _body(event)) for event in events]
        lost = dropped - self._dropped_told
        if lost:
            bodies.append((self._clock(), {"kind": "lost", "events": lost}))
        chained = self._commit.write(self._lane, _Group(bodies, events), seconds)
        if chained is not None:
            self._mark(chained)
        self._dropped_told = dropped
        with self._lock:
            self.written += len(events)

    def _write_groups(
        self, connection: Connection, groups: Sequence[_Group]
    ) -> list[_Chained | None]:
        """What was chained is told to the first of them, who moves the mark for all."""
        before = audit_chain.lock_end(connection)
        broken = self._breaks(before)
        bodies = [body for group in groups for body in group.bodies]
        bodies[0] = (
            bodies[0][0],
            {**bodies[0][1], **self._predecessor(before, broken=broken)},
        )
        chain, after = audit_chain.append(connection, bodies, before)
        numbers = iter(chain)
        for group in groups:
            own = list(islice(numbers, len(group.bodies)))
            _record_cards(connection, list(zip(own, group.events, strict=False)))
        return [_Chained(before, after, broken), *[None] * (len(groups) - 1)]

    def _breaks(self, end: ChainEnd) -> bool:
        """True where the chain does not go on from the end that we know: it ends before it, or there with another hash."""
        if self._water is None or not self._is_short(end):
            return False
        self._water.adopt()  # another worker may have noticed it first
        return self._is_short(end)

    def _is_short(self, end: ChainEnd) -> bool:
        known = self._water.known("audit") if self._water else Mark()
        return end.seq < known.last or (end.seq == known.last > 0 and end.hash != known.hash)

    def _predecessor(self, end: ChainEnd, *, broken: bool) -> dict[str, Any]:
        """What the first event of a chain, or of the rest of one, says of the events before it."""
        if self._water is None or not (broken or end.seq == 0):
            return {}
        known = self._water.known("audit")
        if broken:
            return {"predecessor": {"seq": known.last, "hash": known.hash}}
        return {"predecessor": "missing" if self._store.made_before or known.epoch else "none"}

    def _mark(self, chained: _Chained) -> None:
        if self._water is None:
            return
        if chained.broken:
            before = chained.before
            held = Mark(before.seq, before.hash, before.seq, self._water.known("audit").epoch)
            if loss := self._water.lose("audit", audit_chain.written(self._clock()), held):
                self._on_loss(loss)
        self._water.rise("audit", chained.after.seq, chained.after.hash)

    def _keep_house(self) -> None:
        if self._water is not None:
            self._water.save()
        self._prune_if_due()

    def _prune_if_due(self) -> None:
        if time.monotonic() - self._pruned_at < PRUNE_SECONDS:
            return
        self._pruned_at = time.monotonic()
        with suppress(Unavailable):
            if before := self.retention.before(audit_chain.newest(self._store)):
                audit_chain.prune(self._store, before, self._clock())


@dataclass(frozen=True, slots=True)
class _Group:
    """Events that are kept together, as bodies of the chain; a body more than events says what was lost."""

    bodies: Sequence[tuple[datetime, Mapping[str, Any]]]
    events: Sequence[AuditEvent]


@dataclass(frozen=True, slots=True)
class _Chained:
    """Where the chain ended before and after a transaction; ``broken`` = not where the high-water mark says."""

    before: ChainEnd
    after: ChainEnd
    broken: bool


def _body(event: AuditEvent) -> dict[str, Any]:
    """The event as JSON. Texts that a caller may have made are cut to LONGEST_TEXT."""
    return {
        "kind": event.kind,
        "request_id": _short(event.request_id),
        "issuer": _short(event.issuer),
        "tenant": _short(event.tenant),
        "jti": _short(event.jti),
        **({"retry": True} if event.retry else {}),
        "hook": _short(event.hook),
        "service": _short(event.service),
        "hook_instance": _short(event.hook_instance),
        "patient_hash": event.patient_hash,
        "sources": {_short(key): _short(word) for key, word in event.sources.items()},
        "rules": list(event.rules),
        "content_version": event.content_version,
        "rules_version": event.rules_version,
        "terminology_version": event.terminology_version,
        "cards": [
            {"uuid": c.uuid, "topic": c.topic, "indicator": c.indicator, "shown": c.shown}
            for c in event.cards
        ],
        "gaps": [f"{_short(gap.about)}/{_short(gap.why)}" for gap in event.gaps],
        **({"unknown_names": event.unknown_names} if event.unknown_names else {}),
        "status": event.status,
        "ms": event.ms,
    }


def _short(text: str) -> str:
    return text[:LONGEST_TEXT]


def _record_cards(connection: Connection, numbered: Sequence[tuple[int, AuditEvent]]) -> None:
    rows = [
        {
            "card": card.uuid,
            "service": event.service,
            "seq": seq,
            "rule": card.topic,
            "situation": card.situation,
            "indicator": card.indicator,
            "hook": event.hook,
            "client": event.client,
            "release": event.release,
            "content_version": event.content_version,
            "rules_version": event.rules_version,
            "prescriber": event.prescriber,
            "shown_at": event.time,
            "alert": card.alert or None,
        }
        for seq, event in numbered
        for card in event.cards
        if card.shown
    ]
    if rows:
        connection.execute(insert_once(connection, shown_card, "card"), rows)
