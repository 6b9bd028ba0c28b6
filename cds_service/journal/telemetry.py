"""Structured logs: one JSON line per event on standard error, written by a thread of its own.

A blocked or broken sink costs log lines, never an answer; how many is counted, and said in the log
as soon as it takes lines again. Nothing of a patient is ever put into an event: callers pass words
of this service and counts only.
"""

from __future__ import annotations

import atexit
import logging
import queue
import sys
import threading
import time
from collections.abc import MutableMapping
from logging.handlers import QueueHandler, QueueListener
from typing import Any, TextIO

import orjson
import structlog

_WAITING = 10_000
_LINGER_SECONDS = 0.02
_LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
}


class LogSink:
    """A bounded queue before a stream that may block. ``dropped`` counts lines that were lost."""

    def __init__(self, stream: TextIO | None = None, waiting: int = _WAITING) -> None:
        lines: queue.Queue[Any] = queue.Queue(waiting)
        self._lost = _Lost()
        self._listener = _Listener(lines, _Writer(stream, self._lost))
        self._listener.start()
        self.logger = logging.Logger("cds_service")
        self.logger.addHandler(_Entrance(lines, self._lost))

    @property
    def dropped(self) -> int:
        return self._lost.lines

    def close(self, seconds: float = 0.5) -> None:
        """Write what is waiting, for at most this long."""
        self._listener.finish(seconds)


class _Lost:
    """How many lines were lost, by whichever thread."""

    def __init__(self) -> None:
        self.lines = 0
        self._lock = threading.Lock()

    def one(self) -> None:
        with self._lock:
            self.lines += 1


class _Entrance(QueueHandler):
    """Puts lines into the queue and never waits for room."""

    def __init__(self, lines: queue.Queue[Any], lost: _Lost) -> None:
        super().__init__(lines)
        self._lost = lost

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """As it is: the message is a finished line, without arguments that could still change."""
        return record

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's name
        self._lost.one()


class _Writer(logging.StreamHandler[TextIO]):
    """Writes lines. One that the stream does not take is lost; the next that it takes is followed
    by a line that says how many were.
    """

    def __init__(self, stream: TextIO | None, lost: _Lost) -> None:
        super().__init__(stream if stream is not None else sys.stderr)
        self._lost = lost
        self._said = 0
        self._failed = False

    def emit(self, record: logging.LogRecord) -> None:
        self._failed = False
        super().emit(record)
        lost = self._lost.lines
        if lost == self._said or self._failed:
            return
        note = {"event": "log-lines-dropped", "lines": lost - self._said, "level": "warning"}
        super().emit(logging.makeLogRecord({"msg": _to_json(None, "", note)}))
        if not self._failed:
            self._said = lost

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802
        self._failed = True
        self._lost.one()


class _Listener(QueueListener):
    """Carries lines to the writer a few times a second: a thread that is woken for every line would
    cost more than the line.
    """

    def dequeue(self, block: bool) -> logging.LogRecord:
        record = super().dequeue(block)
        if self.queue.empty():  # type: ignore[attr-defined]
            time.sleep(_LINGER_SECONDS)
        return record

    def finish(self, seconds: float) -> None:
        """``stop`` without its patience: a blocked stream must not hold up the end."""
        thread = self._thread
        try:
            self.enqueue_sentinel()
        except queue.Full:
            return
        if thread is not None:
            thread.join(seconds)


def open_log(level: str = "INFO", sink: LogSink | None = None) -> tuple[Any, LogSink]:
    """(logger, sink): events below ``level`` are dropped at once."""
    sink = sink or LogSink()
    atexit.register(sink.close)
    logger = structlog.wrap_logger(
        sink.logger,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS.get(level, logging.INFO)),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _to_json,
        ],
    )
    return logger, sink


def _to_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(event, default=str).decode()
