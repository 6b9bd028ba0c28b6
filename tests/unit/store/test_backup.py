"""What is backed up while the service works can be restored, verifies, and says what it lacks."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy.engine import make_url

from cds_service.__main__ import main
from cds_service.journal import audit_chain
from cds_service.journal.audit import AuditLog
from cds_service.journal.feedback import FeedbackJournal
from cds_service.journal.high_water import HighWater
from cds_service.store.read_only import open_to_read
from cds_service.store.store import open_store
from tests.postgres import PostgresServer, postgres_server, postgres_url
from tests.unit.journal.samples import NOW, event, item, keep, kept, url_of

__all__ = ["postgres_server", "postgres_url"]


def run(folder: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["store", *words, "--data-dir", str(folder)])
    return done.exit_code, done.output


def fill(folder: Path, calls: int, items: int) -> None:
    """As the service does it, high-water mark included."""
    store, water = open_store(url_of(folder)), HighWater(folder / "high-water.json")
    log = AuditLog(store, "required", water=water)
    for _ in range(calls):
        log.append(event())
    journal = FeedbackJournal(store, cards_recorded=False, water=water)
    for _ in range(items):
        journal.record([item()], issuer="i", now=NOW)
    log.close()
    store.close()


def held(folder: Path) -> tuple[int, int, bool]:
    with open_to_read(url_of(folder)) as store:
        report = audit_chain.verify(store)
        return report.events, kept(store), report.ok


def test_a_backup_is_whole_private_and_says_what_it_holds(tmp_path: Path) -> None:
    fill(tmp_path, 7, 3)
    target = tmp_path / "copy.sqlite3"
    code, said = run(tmp_path, "backup", str(target))
    assert (0, True) == (code, said.endswith("7 audit events, 3 feedback items\n"))
    assert 0o600 == stat.S_IMODE(target.stat().st_mode)
    assert (2, True) == (run(tmp_path, "backup", str(target))[0], target.exists())
    assert [] == list(tmp_path.glob("copy.sqlite3*.part"))


def test_a_backup_made_while_the_service_writes_is_one_moment(tmp_path: Path) -> None:
    """Every back-up verifies, and none holds feedback that was not there when it was done."""
    fill(tmp_path, 50, 1)
    store = open_store(url_of(tmp_path))
    log = AuditLog(store, "required")
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            log.append(event())
            keep(store, item())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            (tmp_path / str(number)).mkdir()
            assert 0 == run(tmp_path, "backup", str(tmp_path / str(number) / "store.sqlite3"))[0]
    finally:
        stop.set()
        writer.join()
    counts = [held(tmp_path / str(number)) for number in range(5)]
    assert [True] * 5 == [ok for _, _, ok in counts]
    assert sorted(counts) == counts
    assert all(abs((events - 50) - (items - 1)) <= 1 for events, items, _ in counts)
    store.close()


def test_a_restored_store_is_the_one_that_was_backed_up_and_the_other_is_kept(
    tmp_path: Path,
) -> None:
    fill(tmp_path, 5, 2)
    run(tmp_path, "backup", str(tmp_path / "b"))
    fill(tmp_path, 4, 1)
    code, said = run(tmp_path, "restore", str(tmp_path / "b"))
    assert (5, 2, True) == held(tmp_path)
    assert (1, True, True) == (
        code,
        "5 audit events up to number 5, where there were 9" in said,
        "2 feedback items up to number 2, where there were 3" in said,
    )
    aside = next(tmp_path.glob("store.sqlite3.replaced-*Z"))
    shutil.copytree(tmp_path, tmp_path.with_name("aside"))
    (tmp_path.with_name("aside") / aside.name).replace(
        tmp_path.with_name("aside") / "store.sqlite3"
    )
    assert (9, 3, True) == held(tmp_path.with_name("aside"))
    store = open_store(url_of(tmp_path))
    assert () == store.alarms, "who restores is not told that somebody replaced the store"
    keep(store, item())
    store.close()


def test_a_restore_of_all_there_was_lacks_nothing(tmp_path: Path) -> None:
    fill(tmp_path, 5, 2)
    run(tmp_path, "backup", str(tmp_path / "b"))
    for file in tmp_path.glob("store.sqlite3*"):
        file.unlink()
    assert (0, "") == run(tmp_path, "restore", str(tmp_path / "b"))
    assert (5, 2, True) == held(tmp_path)


def test_a_log_that_stayed_behind_is_not_played_into_the_restored_store(tmp_path: Path) -> None:
    fill(tmp_path, 5, 2)
    run(tmp_path, "backup", str(tmp_path / "b"))
    store = open_store(url_of(tmp_path))
    keep(store, *[item() for _ in range(50)])
    log = (tmp_path / "store.sqlite3-wal").read_bytes()
    store.close()
    (tmp_path / "store.sqlite3").unlink()
    (tmp_path / "store.sqlite3-wal").write_bytes(log)
    run(tmp_path, "restore", str(tmp_path / "b"))
    assert (5, 2, True) == held(tmp_path)


@pytest.mark.parametrize("kind", ["noise", "another", "damaged", "newer"])
def test_what_is_no_whole_store_of_ours_is_not_restored(tmp_path: Path, kind: str) -> None:
    fill(tmp_path, 30, 2)
    bad = tmp_path / "bad"
    if kind == "noise":
        bad.write_bytes(b"no database" * 999)
    elif kind == "another":
        with closing(sqlite3.connect(bad)) as connection:
            connection.execute("CREATE TABLE t (x)")
    else:
        run(tmp_path, "backup", str(bad))
        if kind == "damaged":
            whole = bad.read_bytes()
            bad.write_bytes(whole[:4096] + b"\xab" * (len(whole) - 4096))
        else:
            with closing(sqlite3.connect(bad)) as connection:
                connection.execute("UPDATE alembic_version SET version_num = '9999'")
                connection.commit()
    code, said = run(tmp_path, "restore", str(bad))
    assert (2, True) == (code, str(bad) in said)
    assert (30, 2, True) == held(tmp_path)


def test_a_backup_of_no_store_makes_none(tmp_path: Path) -> None:
    assert 2 == run(tmp_path, "backup", str(tmp_path / "b"))[0]
    assert [] == list(tmp_path.iterdir())


def test_postgresql_is_pointed_to_its_own_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NALTREXONE_CDS_DATABASE_URL", "postgresql://h/d")
    code, said = run(tmp_path, "backup", str(tmp_path / "b"))
    assert (2, True) == (code, "pg_dump" in said)


def tool_of(server: PostgresServer, name: str) -> str | None:
    """Beside the server's own programs, where a link may lead, or on the path."""
    beside = (server.binaries / "initdb").resolve().parent / name if server.binaries else None
    return str(beside) if beside and beside.exists() else shutil.which(name)


@pytest.mark.postgres
def test_a_dump_of_postgresql_restores_a_chain_that_verifies(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    """The two commands of docs/operations/backup.md, by the tools of the server's version."""
    tools = [tool_of(postgres_server, name) for name in ("pg_dump", "pg_restore")]
    if not all(tools):
        pytest.skip("pg_dump and pg_restore are not installed")
    dump_tool, restore_tool = tools
    store = open_store(postgres_url)
    AuditLog(store, "required").append(event())
    keep(store, item(), item())
    plain = (
        make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False)
    )
    subprocess.run(
        [dump_tool, "--format=custom", f"--file={tmp_path}/d", plain], check=True, timeout=60
    )
    keep(store, item())
    store.close()
    command = [
        restore_tool,
        "--clean",
        "--if-exists",
        "--single-transaction",
        f"--dbname={plain}",
        f"{tmp_path}/d",
    ]
    subprocess.run(command, check=True, timeout=60)
    with open_to_read(postgres_url) as again:
        assert (1, True, 2) == (
            audit_chain.verify(again).events,
            audit_chain.verify(again).ok,
            kept(again),
        )
