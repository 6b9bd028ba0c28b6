"""The log never holds up a call: what it cannot write is counted, and said when it can."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cds_service.journal.telemetry import LogSink, open_log


class Stream(io.StringIO):
    """A stream that can be blocked or broken from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()
        self.broken = False

    def write(self, text: str) -> int:
        self.entered.set()
        assert self.free.wait(20)
        if self.broken:
            raise OSError(28, "No space left on device")
        return super().write(text)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def stream() -> Iterator[Stream]:
    stream = Stream()
    yield stream
    stream.free.set()


def until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_event_is_one_line_of_json_with_its_level_and_time(stream: Stream) -> None:
    log, sink = open_log("INFO", LogSink(stream))
    log.warning("refused", why="no-token", count=2)
    log.debug("not written")
    log.info("answered %s", percent="%d")
    sink.close()
    first, second = stream.lines()
    assert ("refused", "warning", "no-token", 2) == tuple(
        first[k] for k in ("event", "level", "why", "count")
    )
    assert first["timestamp"].endswith("Z")
    assert ("answered %s", "%d", 0) == (second["event"], second["percent"], sink.dropped)


def test_lines_keep_their_order_from_many_threads(stream: Stream) -> None:
    log, sink = open_log("INFO", LogSink(stream))
    writers = [
        threading.Thread(target=lambda who=who: [log.info("e", who=who, n=n) for n in range(200)])
        for who in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    sink.close(10)
    found = stream.lines()
    assert (1_600, 0) == (len(found), sink.dropped)
    assert [[*range(200)]] * 8 == [
        [line["n"] for line in found if line["who"] == who] for who in range(8)
    ]


def test_a_blocked_stream_costs_lines_and_no_time_and_they_are_counted_and_said(
    stream: Stream,
) -> None:
    log, sink = open_log("INFO", LogSink(stream, waiting=50))
    stream.free.clear()
    log.info("first")
    assert stream.entered.wait(10)
    slowest = 0.0
    for n in range(500):
        begun = time.monotonic()
        log.info("next", n=n)
        slowest = max(slowest, time.monotonic() - begun)
    assert (True, 450) == (slowest < 0.5, sink.dropped)
    stream.free.set()
    until(lambda: len(stream.lines()) == 52)
    assert [450] == [
        line["lines"] for line in stream.lines() if line["event"] == "log-lines-dropped"
    ]
    log.info("last")
    sink.close()
    assert ("last", 450) == (stream.lines()[-1]["event"], sink.dropped)


def test_a_broken_stream_costs_lines_and_says_so_once_it_is_whole_again(stream: Stream) -> None:
    log, sink = open_log("INFO", LogSink(stream))
    stream.broken = True
    for n in range(3):
        log.info("lost", n=n)
    until(lambda: sink.dropped == 3)
    stream.broken = False
    log.info("kept")
    sink.close()
    assert [("kept", None), ("log-lines-dropped", 3)] == [
        (line["event"], line.get("lines")) for line in stream.lines()
    ]


@pytest.mark.parametrize("waiting", [1, 1_000])
def test_a_blocked_stream_does_not_hold_up_the_end(stream: Stream, waiting: int) -> None:
    log, sink = open_log("INFO", LogSink(stream, waiting=waiting))
    stream.free.clear()
    log.info("first")
    assert stream.entered.wait(10)
    log.info("second")
    begun = time.monotonic()
    sink.close(0.1)
    assert time.monotonic() - begun < 2
