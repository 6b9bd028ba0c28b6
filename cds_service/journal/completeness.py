"""Does the store hold all that it has held? Compared with the high-water mark, for readiness and for exports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from cds_service.journal.high_water import KINDS, HighWater, Loss, Mark, Marks
from cds_service.store.schema import audit_event, audit_head, feedback


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Less of a kind than the mark says: what there was, and what there is."""

    kind: str
    had: Mark
    holds: Mark

    def __str__(self) -> str:
        what = "audit events" if self.kind == "audit" else "feedback items"
        if self.kind == "audit" and self.holds.last >= self.had.last:
            return f"audit event {self.had.last} is not the one that was written: another history"
        held = f"{self.had.count} up to number {self.had.last}"
        return f"{self.holds.count} {what} up to number {self.holds.last}, where there were {held}"


def shortfalls(connection: Connection, marks: Marks) -> tuple[Shortfall, ...]:
    """Where the store holds less than it did."""
    return tuple(_shortfalls(connection, marks))


def _shortfalls(connection: Connection, marks: Marks) -> Iterator[Shortfall]:
    had = marks.of("audit")
    if had.last and (holds := _audit(connection, had)) is not None:
        yield Shortfall("audit", had, holds)
    had = marks.of("feedback")
    holds = _feedback(connection, had.epoch)
    if holds.last < had.last or holds.count < had.count:
        yield Shortfall("feedback", had, holds)


def _audit(connection: Connection, had: Mark) -> Mark | None:
    """What the chain holds where it no longer holds that event with that hash; None where it does, or has pruned it."""
    head = connection.execute(select(audit_head)).one_or_none()
    if head is None:
        return Mark(epoch=had.epoch)
    holds = Mark(head.seq, head.hash, head.seq, had.epoch)
    if head.seq < had.last:
        return holds
    if head.base_seq >= had.last:
        return None
    chained = connection.execute(
        select(audit_event.c.hash).where(audit_event.c.seq == had.last)
    ).scalar()
    return None if chained == had.hash else holds


def _feedback(connection: Connection, epoch: int) -> Mark:
    count, last = connection.execute(select(func.count(), func.max(feedback.c.id))).one()
    return Mark(last or 0, "", count, epoch)


def reconcile(connection: Connection, water: HighWater, found: str) -> tuple[Loss, ...]:
    """At start: write down what is missing, and take the store as it is for the mark from now on."""
    marks = Marks({kind: water.known(kind) for kind in KINDS})
    lost = [water.lose(each.kind, found, each.holds) for each in shortfalls(connection, marks)]
    head = connection.execute(select(audit_head)).one_or_none()
    if head is not None:
        water.rise("audit", head.seq, head.hash)
    kept = _feedback(connection, 0)
    water.rise("feedback", kept.last, more=kept.count - water.known("feedback").count)
    return tuple(loss for loss in lost if loss)
