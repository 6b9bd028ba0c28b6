"""The store opens, upgrades and mends itself."""

import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from cds_service.errors import Unavailable
from cds_service.store.database import StoreError, revision
from cds_service.store.schema import HEAD, metadata
from cds_service.store.store import open_store
from tests.unit.journal.samples import item, keep, kept, url_of


def test_the_schema_module_names_the_newest_revision():
    config = Config()
    config.set_main_option("script_location", "cds_service.store:migrations")
    assert HEAD == ScriptDirectory.from_config(config).get_current_head()


def test_the_migrations_make_the_tables_that_the_schema_module_describes(store_url):
    store = open_store(store_url)
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert [] == compare_metadata(context, metadata)
    store.close()


def test_CL10_sqlite_syncs_every_commit(tmp_path):
    store = open_store(url_of(tmp_path))
    with store.read() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    store.close()
    assert ["wal", 2, 1, 5_000] == found


@pytest.mark.postgres
def test_CL10_postgresql_syncs_every_commit(postgres_url):
    store = open_store(postgres_url)
    with store.read() as connection:
        assert "on" == connection.execute(text("SHOW synchronous_commit")).scalar()
    store.close()


def test_CT14_only_the_owner_can_read_the_store(tmp_path):
    store = open_store(url_of(tmp_path / "new"))
    keep(store, item())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()}
    store.close()
    names = ["store.sqlite3", "store.sqlite3-shm", "store.sqlite3-wal", "store.sqlite3.lock"]
    assert dict.fromkeys(names, 0o600) == modes
    assert 0o700 == stat.S_IMODE((tmp_path / "new").stat().st_mode)


OPEN_AND_KEEP = """
import sys
from cds_service.store.store import open_store
from tests.unit.journal.samples import item, keep
store = open_store(sys.argv[1])
keep(store, item())
print(store.fault, store.alarms)
"""


def test_CL14_workers_that_start_at_once_upgrade_once(store_url):
    """Four processes open the same new store together; each can write at once and none raises an alarm."""
    command = [sys.executable, "-W", "error", "-c", OPEN_AND_KEEP, store_url]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [" ()\n"] * 4 == [worker.communicate(timeout=60)[0] for worker in workers]
    store = open_store(store_url)
    assert 4 == kept(store)
    with store.read() as connection:
        assert HEAD == revision(connection)
    store.close()


def test_CL11_stores_of_one_process_that_open_at_once_do_not_meet(tmp_path):
    """Alembic's environment is global to a process: unguarded, two upgrades use one connection and SQLite crashes."""
    urls = [f"sqlite:///{tmp_path / str(number)}.sqlite3" for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        stores = [*pool.map(open_store, urls)]
    assert [""] * 16 == [store.fault for store in stores]
    for store in stores:
        store.close()


def test_a_store_of_a_newer_version_is_refused(store_url):
    """The store of a newer version is left as it is, and the message says so."""
    store = open_store(store_url)
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(StoreError, match="newer version"):
        open_store(store_url)


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://h/d", "sqlite://", "sqlite:///:memory:", "sqlite+x:///f"]
)
def test_a_url_that_is_no_store_is_refused(url):
    with pytest.raises(StoreError, match=r"^database_url: "):
        open_store(url)


def test_the_refusal_of_a_url_does_not_quote_its_password():
    with pytest.raises(StoreError) as caught:
        open_store("oracle://user:CANARY@host/db")
    assert "CANARY" not in str(caught.value)


def damage(folder):
    """Overwrite page 2 and all after it with what is no page of SQLite's; noise made by chance might be one."""
    file = folder / "store.sqlite3"
    assert not file.with_name("store.sqlite3-wal").exists(), (
        "a log that still holds the pages would hide the damage"
    )
    with file.open("r+b") as opened:
        opened.seek(4_096)
        opened.write(b"\xff" * (file.stat().st_size - 4_096))
    return file.read_bytes()


def test_CL11_a_damaged_store_is_set_aside_whole_and_a_new_one_made(tmp_path):
    store = open_store(url_of(tmp_path))
    keep(store, item())
    store.close()
    noise = damage(tmp_path)
    store = open_store(url_of(tmp_path), lambda: datetime(2026, 11, 22, 9, 30, tzinfo=UTC))
    kept_name = "store.sqlite3.corrupt-20261122T093000000000Z"
    assert (f"store damaged: set aside as {kept_name}, a new one was made",) == store.alarms
    assert noise == (tmp_path / kept_name).read_bytes()
    keep(store, item())
    assert 1 == kept(store)
    store.close()


def test_CL11_a_file_that_is_no_database_is_set_aside(tmp_path):
    (tmp_path / "store.sqlite3").write_bytes(b"not a database at all" * 500)
    store = open_store(url_of(tmp_path))
    keep(store, item())
    assert (1, 1) == (len(store.alarms), len(list(tmp_path.glob("*.corrupt-*"))))
    store.close()


def test_CL11_damage_under_a_running_service_is_mended_without_a_restart(tmp_path):
    """At most one refusal; what is acknowledged after the damage is in the new store, the old one is kept."""
    store = open_store(url_of(tmp_path))
    other = open_store(url_of(tmp_path))
    keep(store, item())
    store.engine.dispose()
    other.engine.dispose()
    damage(tmp_path)
    acknowledged = attempts(store, 2) + attempts(other, 2)
    assert acknowledged >= 3
    assert acknowledged == kept(store) == kept(other)
    assert (1, 0) == (len(store.alarms), len(other.alarms))
    assert 1 == len(list(tmp_path.glob("store.sqlite3.corrupt-*Z")))
    store.close()
    other.close()


def attempts(store, times):
    done = 0
    for _ in range(times):
        try:
            keep(store, item())
        except Unavailable as refused:
            assert "5" == refused.headers["Retry-After"]
        else:
            done += 1
    return done


@pytest.mark.parametrize(
    ("names", "left"),
    [
        (["store.sqlite3"], 1),
        (["store.sqlite3", "store.sqlite3-wal", "store.sqlite3-shm"], 0),
    ],
)
def test_CL11_a_store_removed_under_a_running_service_raises_an_alarm(tmp_path, names, left):
    """The next write is in a new store, with an alarm; a log that was left behind is set aside, not erased."""
    store = open_store(url_of(tmp_path))
    keep(store, item())
    for name in names:
        (tmp_path / name).unlink()
    keep(store, item())
    assert (1, left) == (len(store.alarms), len(list(tmp_path.glob("*.corrupt-*-wal"))))
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as connection:
        assert (1,) == connection.execute("SELECT count(*) FROM feedback").fetchone()
    store.close()


def test_CL11_a_store_removed_during_a_write_is_not_acknowledged(tmp_path):
    store = open_store(url_of(tmp_path))
    with pytest.raises(Unavailable), store.write():
        (tmp_path / "store.sqlite3").unlink()
    keep(store, item())
    assert 1 == kept(store)
    store.close()


def test_CL11_a_store_that_vanished_between_two_starts_raises_an_alarm(tmp_path):
    """A first start is silent; a start that finds the traces of a store but not the store is not."""
    first = open_store(url_of(tmp_path))
    first.close()
    (tmp_path / "store.sqlite3").write_bytes(b"")
    second = open_store(url_of(tmp_path))
    second.close()
    assert ((), 1) == (first.alarms, len(second.alarms))


def test_CL13_readiness_knows_a_store_that_takes_writes(store_url):
    store = open_store(store_url)
    assert True is store.writable()
    store.close()
