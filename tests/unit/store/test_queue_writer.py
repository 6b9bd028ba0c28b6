"""The queue before the store: bounded, in order, in batches, and nothing is lost while the store is away."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from cds_service.store.queue_writer import QueueWriter


class Sink:
    """Takes batches while it is ``open``; ``asked`` is set at every try."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.batches: list[list[int]] = []
        self.is_open = is_open
        self.asked = threading.Event()

    def __call__(self, items: Sequence[int]) -> bool:
        self.asked.set()
        if self.is_open:
            self.batches.append(list(items))
        return self.is_open

    @property
    def items(self) -> list[int]:
        return [item for batch in self.batches for item in batch]


@pytest.mark.parametrize(
    ("batch", "sizes"), [(200, [10]), (10, [10]), (4, [4, 4, 2]), (1, [1] * 10)]
)
def test_items_are_written_in_order_and_in_batches(batch: int, sizes: list[int]) -> None:
    """The queue is filled before the thread looks: what came within its lingering goes together."""
    sink, ready = Sink(), threading.Event()
    writer = QueueWriter[int](
        "test", sink, room=100, batch=batch, between=lambda: ready.wait(5) and None
    )
    assert [True] * 10 == [writer.put(n) for n in range(10)]
    ready.set()
    assert True is writer.close(10)
    assert (list(range(10)), sizes, 0) == (
        sink.items,
        [len(each) for each in sink.batches],
        writer.pending,
    )


def test_a_full_queue_takes_no_more_and_says_so() -> None:
    hold = threading.Event()
    writer = QueueWriter[int](
        "test", Sink(), room=3, batch=5, between=lambda: hold.wait(5) and None
    )
    assert [True, True, True, False, False] == [writer.put(n) for n in range(5)]
    assert 3 == writer.pending
    hold.set()
    assert True is writer.close(10)


def test_a_batch_is_tried_again_until_it_is_written() -> None:
    sink = Sink(is_open=False)
    writer = QueueWriter[int]("test", sink, room=10, batch=5)
    writer.put(1)
    assert sink.asked.wait(5)
    assert (False, 1) == (writer.flush(0), writer.pending)
    sink.is_open = True
    assert True is writer.close(10)
    assert [1] == sink.items


def test_closing_gives_up_on_a_store_that_stays_away() -> None:
    sink = Sink(is_open=False)
    writer = QueueWriter[int]("test", sink, room=10, batch=5)
    writer.put(1)
    assert sink.asked.wait(5)
    assert (False, 1) == (writer.close(0.1), writer.pending)


def test_housekeeping_that_breaks_costs_no_item() -> None:
    def broken() -> None:
        raise ValueError

    sink = Sink()
    writer = QueueWriter[int]("test", sink, room=10, batch=5, between=broken)
    writer.put(1)
    assert True is writer.close(10)
    assert [1] == sink.items


def test_where_nothing_is_queued_no_thread_is_started() -> None:
    writer = QueueWriter[int]("never-started", Sink(), room=10, batch=5)
    assert True is writer.close(1)
    assert "never-started" not in {thread.name for thread in threading.enumerate()}
