"""What waits is written together, and one that cannot be written spoils no other."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from cds_service.store.group_commit import ROOM, StoreAway
from cds_service.store.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = open_store(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    with opened.write() as connection:
        connection.execute(text("CREATE TABLE kept (number INTEGER)"))
    return opened


class Keep:
    """Keeps numbers but 13; ``batches`` are those that it was handed, ``hold`` delays the first."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.hold = threading.Event()

    def __call__(self, connection: Connection, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        self.hold.wait(5)
        for number in numbers:
            connection.execute(text("INSERT INTO kept VALUES (:number)"), {"number": number})
        if 13 in numbers:
            raise LookupError
        return [2 * number for number in numbers]


def kept(store: Store) -> list[int]:
    with store.read() as connection:
        return sorted(connection.execute(text("SELECT number FROM kept")).scalars())


def test_what_waits_shares_a_transaction_and_each_gets_its_own_result(store: Store) -> None:
    keep = Keep()
    lane = store.writer.lane(keep)
    futures = [store.writer.put(lane, number) for number in range(9)]
    keep.hold.set()
    assert [2 * number for number in range(9)] == [future.result(5) for future in futures]
    assert (list(range(9)), True) == (kept(store), len(keep.batches) <= 2)
    store.close()


def test_one_that_cannot_be_written_spoils_no_other(store: Store) -> None:
    keep = Keep()
    lane = store.writer.lane(keep)
    futures = [store.writer.put(lane, number) for number in (1, 12, 13, 14)]
    keep.hold.set()
    assert [2, 24, 28] == [future.result(5) for future in futures if future is not futures[2]]
    with pytest.raises(LookupError):
        futures[2].result(5)
    assert [1, 12, 14] == kept(store)
    store.close()


def test_what_nobody_waits_for_any_more_is_not_written(store: Store) -> None:
    keep = Keep()
    lane = store.writer.lane(keep)
    store.writer.put(lane, 1)
    late = store.writer.put(lane, 2)
    late.cancel()
    keep.hold.set()
    store.close()
    assert 2 not in kept(store)


def test_more_than_the_room_is_refused(store: Store) -> None:
    keep = Keep()
    lane = store.writer.lane(keep)
    with pytest.raises(StoreAway):
        for number in range(ROOM + 300):
            store.writer.put(lane, number)
    keep.hold.set()
    store.close()
