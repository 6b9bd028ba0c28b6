"""Plain statements are written as all others are: together, whole or not at all, and into the file that is there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from cds_service.store.group_commit import StoreAway
from cds_service.store.sqlite import PlainWriter
from cds_service.store.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = open_store(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    make_table(opened)
    return opened


def make_table(store: Store) -> None:
    with store.write() as connection:
        connection.execute(text("CREATE TABLE kept (number INTEGER UNIQUE)"))


def plainly(run: Callable[..., Any], numbers: Sequence[int]) -> list[int]:
    for number in numbers:
        run("INSERT INTO kept VALUES (?)", (number,))
    return [2 * number for number in numbers]


def in_core(connection: Connection, numbers: Sequence[int]) -> list[int]:
    for number in numbers:
        connection.execute(text("INSERT INTO kept VALUES (:number)"), {"number": number})
    return [3 * number for number in numbers]


def kept(store: Store) -> list[int]:
    with store.read() as connection:
        return sorted(connection.execute(text("SELECT number FROM kept")).scalars())


def test_both_kinds_of_lane_may_share_a_transaction(store: Store) -> None:
    """One batch of both is one transaction of a Connection; each item gets the result of its own lane."""
    plain, core = store.writer.lane(plainly, plain=True), store.writer.lane(in_core)
    waiting = [store.writer.put(lane, n) for n, lane in enumerate((plain, core) * 6)]
    assert [n * (2 if n % 2 == 0 else 3) for n in range(12)] == [f.result(5) for f in waiting]
    assert list(range(12)) == kept(store)


def test_one_that_cannot_be_written_spoils_no_other(store: Store) -> None:
    lane = store.writer.lane(plainly, plain=True)
    store.writer.write(lane, 7, 5)
    waiting = [store.writer.put(lane, number) for number in (1, 7, 2)]
    assert [2, 4] == [waiting[0].result(5), waiting[2].result(5)]
    with pytest.raises(StoreAway) as refused:
        waiting[1].result(5)
    assert (False, [1, 2, 7]) == (refused.value.for_all, kept(store))


def test_nothing_of_a_transaction_that_fails_is_kept(store: Store) -> None:
    with pytest.raises(StoreAway), store.write_plain() as run:
        run("INSERT INTO kept VALUES (?)", (1,))
        run("INSERT INTO nowhere VALUES (?)", (1,))
    with pytest.raises(LookupError), store.write_plain() as run:
        run("INSERT INTO kept VALUES (?)", (2,))
        raise LookupError
    assert [] == kept(store)
    with store.write_plain() as run:
        run("INSERT INTO kept VALUES (?)", (3,))
    assert [3] == kept(store)


def test_a_file_that_was_replaced_is_written_and_not_the_one_before(
    store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "store.sqlite3"
    with store.write_plain() as run:
        run("INSERT INTO kept VALUES (?)", (1,))
    for part in tmp_path.glob("store.sqlite3*"):
        if not part.name.endswith(".lock"):
            part.rename(tmp_path / part.name.replace("store", "old"))
    with store.write():
        assert file.exists()
    make_table(store)
    with store.write_plain() as run:
        run("INSERT INTO kept VALUES (?)", (2,))
    assert [2] == kept(store)


@pytest.mark.parametrize("order", [(True, False, True), (False, True, False), (False, False, True)])
def test_what_must_be_on_the_disk_is_synced_whatever_was_written_before(
    tmp_path: Path, order: tuple[bool, ...]
) -> None:
    """2 = FULL: each commit waits for the disk; 1 = NORMAL: safe from the end of the process alone."""
    file = tmp_path / "x.sqlite3"
    sqlite3.connect(file).close()
    writer = PlainWriter(file)
    found = []
    for synced in order:
        with writer.begin(synced=synced) as run:
            found.append(run("PRAGMA synchronous").fetchone()[0])
    writer.close()
    assert [2 if synced else 1 for synced in order] == found
