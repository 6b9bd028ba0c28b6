"""Faults of the store, the database and the disk."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock

from sqlalchemy import event, text

from tests.faults.site import Site, site
from tests.faults.table import ALL_REFUSED, fault
from tests.postgres import PostgresServer, new_database, server
from tests.reliability.test_CL12_http import locked
from tests.unit.journal.samples import item

CONDITION = 'store_condition{{condition="{}"}}'


def used(folder: Path, **options: object) -> Iterator[Site]:
    """A service that has answered calls and taken feedback."""
    with site(folder, **options) as found:  # type: ignore[arg-type]
        for _ in range(3):
            found.ask("order-sign", "naltrexone")
        found.flush()
        found.parts.feedback.record([item()], issuer="i", now=found.clock())
        yield found


def remove(folder: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        (folder / f"store.sqlite3{ending}").unlink(missing_ok=True)


def damage(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "store.sqlite3")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = (folder / "store.sqlite3").read_bytes()
    (folder / "store.sqlite3").write_bytes(whole[:4096] + b"\xab" * (len(whole) - 4096))


@fault("store", log="store-alarm", metric='store_alarms_total{alarm="removed"}', check="records")
def store_removed_while_running(folder: Path) -> Iterator[Site]:
    for found in used(folder):
        remove(folder)
        yield found


@fault("store", log="store-alarm", metric='store_alarms_total{alarm="damaged"}', check="records")
def store_damaged_while_running(folder: Path) -> Iterator[Site]:
    for found in used(folder):
        found.parts.store.engine.dispose()
        damage(folder)
        yield found


@fault("store", log="records-missing", metric='missing_records{kind="audit"}', check="records")
def store_put_back_to_an_older_copy(folder: Path) -> Iterator[Site]:
    for found in used(folder):
        found.parts.store.engine.dispose()
        shutil.copyfile(folder / "store.sqlite3", folder / "older")
        found.parts.store.try_to_open()
        for _ in range(20):
            found.ask("order-sign", "naltrexone")
        found.flush()
        found.parts.store.engine.dispose()
        remove(folder)
        (folder / "older").replace(folder / "store.sqlite3")
        yield found


def restarted(folder: Path, harm: object) -> Iterator[Site]:
    for found in used(folder):
        found.stop()
        harm(folder)  # type: ignore[operator]
        found.start()
        yield found


@fault("store", log="records-missing", metric='missing_records{kind="audit"}', check="records")
def store_removed_between_two_starts(folder: Path) -> Iterator[Site]:
    yield from restarted(folder, remove)


@fault("store", log="store-alarm", metric='store_alarms_total{alarm="damaged"}', check="records")
def store_damaged_between_two_starts(folder: Path) -> Iterator[Site]:
    yield from restarted(folder, damage)


def delete_feedback(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "store.sqlite3")) as connection:
        connection.execute("DELETE FROM feedback")
        connection.commit()


@fault("store", log="records-missing", metric='missing_records{kind="feedback"}', check="records")
def feedback_deleted_between_two_starts(folder: Path) -> Iterator[Site]:
    yield from restarted(folder, delete_feedback)


@fault("store", log="store-condition", metric=CONDITION.format("locked"), check="store")
def store_locked_by_another_process(folder: Path) -> Iterator[Site]:
    with site(folder, audit="best-effort") as found, locked(folder):
        yield found


@fault(
    "store",
    log="store-condition audit-unavailable",
    metric=CONDITION.format("locked"),
    check="store",
    answers=ALL_REFUSED,
)
def store_locked_where_audit_is_required(folder: Path) -> Iterator[Site]:
    """Not for as long as SQLite waits: the turn of one caller is 5 s, so the wait is cut here."""
    quick = ("journal_mode=WAL", "busy_timeout=100")
    with (
        mock.patch("cds_service.store.sqlite.PRAGMAS", quick),
        site(folder, audit="required") as found,
        locked(folder),
    ):
        yield found


def spoil_connections(found: Site, pragma: str) -> None:
    def spoil(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA {pragma}")

    event.listen(found.parts.store.engine, "checkout", spoil)


@fault("disk", log="store-condition", metric=CONDITION.format("full"), check="store")
def disk_full(folder: Path) -> Iterator[Site]:
    full = shutil._ntuple_diskusage(1, 1, 0)  # type: ignore[attr-defined]
    with site(folder) as found:
        spoil_connections(found, "max_page_count=1")
        with mock.patch("cds_service.store.sqlite.shutil.disk_usage", return_value=full):
            yield found


@fault("disk", log="store-condition", metric=CONDITION.format("read-only"), check="store")
def disk_read_only(folder: Path) -> Iterator[Site]:
    with site(folder) as found:
        spoil_connections(found, "query_only=1")
        yield found


@fault("disk", log="readiness-changed", metric='check_ok{check="records"}', check="records")
def high_water_mark_cannot_be_written(folder: Path) -> Iterator[Site]:
    with (
        site(folder) as found,
        mock.patch("cds_service.journal.high_water._write", side_effect=OSError(28, "full")),
    ):
        found.parts.water.rise("audit", 10**6, "x", at_once=True)
        yield found


@fault("disk", log="smart-key-unavailable", metric='check_ok{check="planner"}', check="planner")
def key_of_the_planner_cannot_be_kept(folder: Path) -> Iterator[Site]:
    with (
        mock.patch("cds_service.app.read_or_make_key", side_effect=PermissionError(13, "no")),
        site(folder) as found,
    ):
        yield found


@fault(
    "disk",
    log="high-water-mark-unreadable",
    metric='check_ok{check="records"}',
    check="records",
)
def high_water_mark_cannot_be_read(folder: Path) -> Iterator[Site]:
    def prepare(where: Path) -> None:
        (where / "high-water.json").write_text("{")

    with site(folder, prepare=prepare) as found:
        yield found


@fault(
    "store",
    log="store-condition",
    metric='store_condition_changes_total{condition="behind"}',
    check="",
    why="the service upgrades the store itself with the next write",
)
def tables_missing(folder: Path) -> Iterator[Site]:
    with site(folder) as found:
        with closing(sqlite3.connect(folder / "store.sqlite3")) as connection:
            for name in (
                "feedback",
                "shown_card",
                "audit_event",
                "audit_head",
                "readiness",
                "jwt_seen",
                "smart_session",
                "client_calls",
                "alembic_version",
            ):
                connection.execute(f"DROP TABLE {name}")
            connection.commit()
        yield found


@fault("store", log="store-condition", metric=CONDITION.format("ahead"), check="store")
def store_of_a_newer_version(folder: Path) -> Iterator[Site]:
    with site(folder) as found:
        with found.parts.store.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        found.parts.store._opened = False  # as after any fault of the file: it is opened anew
        yield found


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def on_postgres(folder: Path) -> Iterator[tuple[Site, PostgresServer]]:
    running = server()
    assert isinstance(running, PostgresServer)
    with new_database(running) as url, site(folder, database_url=url) as found:
        yield found, running


@fault(
    "database",
    log="store-condition",
    metric=CONDITION.format("unreachable"),
    check="store",
    needs="postgres",
)
def database_stopped(folder: Path) -> Iterator[Site]:
    for found, running in on_postgres(folder):
        running.stop()
        try:
            yield found
        finally:
            running.start()


@fault(
    "database",
    log="store-condition readiness-changed",
    metric='check_ok{check="store"}',
    check="store",
    needs="postgres",
)
def database_hangs(folder: Path) -> Iterator[Site]:
    for found, running in on_postgres(folder):
        assert running.folder
        main = int((running.folder / "data" / "postmaster.pid").read_text().split()[0])
        found_pids = subprocess.run(
            ["pgrep", "-P", str(main)], capture_output=True, text=True, check=False
        ).stdout
        pids = [main, *map(int, found_pids.split())]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield found
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


@fault(
    "database",
    log="store-condition",
    metric='store_condition_changes_total{condition="locked"}',
    check="store",
    needs="postgres",
)
def database_table_locked(folder: Path) -> Iterator[Site]:
    for found, _running in on_postgres(folder):
        with found.parts.store.engine.connect() as other:
            other.execute(
                text("LOCK TABLE audit_head, audit_event, readiness IN ACCESS EXCLUSIVE MODE")
            )
            yield found
