"""Kill writers at random moments, again and again, and count what was lost. Prints one JSON object.

    python -m tests.reliability.kill_rounds <store url> <rounds> <seed>

Each round forks eight writers that open the store, keep feedback and write required audit events. A writer notes an
item in its ledger only after the journal has taken it. Then one writer or all of them get SIGKILL.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace

from sqlalchemy import event as engine_event
from sqlalchemy import func, select

from cds_service.errors import Unavailable
from cds_service.journal.audit import AuditLog
from cds_service.journal.audit_chain import verify
from cds_service.journal.feedback import FeedbackJournal
from cds_service.store.read_only import open_to_read
from cds_service.store.schema import feedback
from cds_service.store.store import open_store
from tests.unit.journal.samples import NOW, event, item

WRITERS = 8
Counts = dict[str, int]


def main(url: str, rounds: int, seed: int) -> Counts:
    """Run the rounds; every count but acknowledged, stored and rounds must be 0."""
    chance = random.Random(seed)
    total = {
        "rounds": 0,
        "acknowledged": 0,
        "stored": 0,
        "lost": 0,
        "duplicates": 0,
        "torn": 0,
        "damaged": 0,
        "chain_faults": 0,
        "set_aside": 0,
    }
    for number in range(rounds):
        with tempfile.NamedTemporaryFile() as ledger:
            run_round(url, f"round-{number}", ledger.fileno(), chance)
            ledger.seek(0)
            acknowledged = ledger.read().decode().split()
        for name, count in check_round(url, f"round-{number}", acknowledged).items():
            total[name] += count
    return total


def run_round(url: str, issuer: str, ledger: int, chance: random.Random) -> None:
    """Fork the writers, wait 0 to 300 ms from the start or from the first acknowledgement, and kill."""
    checkpoint_always = chance.random() < 0.5
    writers = [fork_writer(url, issuer, ledger, checkpoint_always) for _ in range(WRITERS)]
    if chance.random() < 0.7:
        wait_for_first(ledger)
    time.sleep(chance.uniform(0, 0.3))
    if chance.random() < 0.5:
        os.kill(chance.choice(writers), signal.SIGKILL)
        time.sleep(chance.uniform(0, 0.1))
    for writer in writers:
        os.kill(writer, signal.SIGKILL)
    for writer in writers:
        os.waitpid(writer, 0)


def wait_for_first(ledger: int) -> None:
    deadline = time.monotonic() + 20
    while os.fstat(ledger).st_size == 0 and time.monotonic() < deadline:
        time.sleep(0.005)


def fork_writer(url: str, issuer: str, ledger: int, checkpoint_always: bool) -> int:
    child = os.fork()
    if child == 0:
        try:
            write_until_killed(url, issuer, ledger, checkpoint_always)
        finally:
            os._exit(1)
    return child


def write_until_killed(url: str, issuer: str, ledger: int, checkpoint_always: bool) -> None:
    store = open_store(url)
    if checkpoint_always and store.dialect == "sqlite":
        engine_event.listen(
            store.engine, "connect", lambda c, _: c.execute("PRAGMA wal_autocheckpoint=1")
        )
        store.engine.dispose()
    journal, log = FeedbackJournal(store, cards_recorded=True), AuditLog(store, "required")
    while True:
        items = [whole(issuer) for _ in range(random.randint(1, 3))]
        try:
            journal.record(items, issuer=issuer, now=NOW)
            os.write(ledger, "".join(f"{one.card}\n" for one in items).encode())
            journal.record(items, issuer=issuer, now=NOW)
            log.append(event())
        except Unavailable:
            continue


def whole(issuer: str):
    """An item whose comment repeats its card, so that half a row shows."""
    one = item()
    return replace(one, user_comment=one.card * 30)


def check_round(url: str, issuer: str, acknowledged: Iterable[str]) -> Counts:
    """Restart on the store as the killed writers left it, and compare it with the ledger."""
    store = open_store(url)
    set_aside = len(store.alarms)
    store.close()
    with open_to_read(url) as reader:
        with reader.read() as connection:
            query = select(feedback.c.card, feedback.c.user_comment).where(
                feedback.c.issuer == issuer
            )
            rows = connection.execute(query).all()
            stored = connection.execute(
                select(func.count()).where(feedback.c.issuer == issuer)
            ).scalar_one()
        faults = len(verify(reader).faults)
    cards = {row.card for row in rows}
    return {
        "rounds": 1,
        "acknowledged": len(set(acknowledged)),
        "stored": stored,
        "lost": len(set(acknowledged) - cards),
        "duplicates": len(rows) - len(cards),
        "torn": sum(row.user_comment != row.card * 30 for row in rows),
        "damaged": int(is_damaged(url)),
        "chain_faults": faults,
        "set_aside": set_aside,
    }


def is_damaged(url: str) -> bool:
    """SQLite only: PostgreSQL's own files are the server's."""
    if not url.startswith("sqlite"):
        return False
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))) + "\n")
