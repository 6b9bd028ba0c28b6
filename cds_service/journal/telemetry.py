"""Structured logs: one JSON line per event on standard error, written by a thread of its own.

A blocked or broken sink costs log lines (counted), never an answer. Nothing of a patient is ever put into an event:
callers pass words of this service and counts only.
"""

from __future__ import annotations

import atexit
import logging
import queue
import sys
import threading
import time
from collections.abc import MutableMapping
from typing import Any, TextIO

import orjson
import structlog

_WAITING = 10_000
_LINGER_SECONDS = 0.02
_LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARNING": logging.WARNING, "ERROR": logging.ERROR}


class LogSink:
    """A bounded queue before a stream that may block. ``dropped`` counts lines that found no room or no stream."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._lines: queue.Queue[str | None] = queue.Queue(_WAITING)
        self.dropped = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def msg(self, line: str) -> None:
        """Queue one line; never waits."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    log = debug = info = warning = warn = error = critical = fatal = msg

    def close(self, seconds: float = 0.5) -> None:
        """Write what is waiting, for at most this long."""
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _write(self) -> None:
        """Lines go out together a few times a second: a thread woken for every line would cost more than the line."""
        last = False
        while not last:
            lines = [self._lines.get()]
            time.sleep(_LINGER_SECONDS)
            while not self._lines.empty():
                lines.append(self._lines.get_nowait())
            last = None in lines
            self._put_out([line for line in lines if line is not None])

    def _put_out(self, lines: list[str]) -> None:
        if not lines:
            return
        try:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self.dropped += len(lines)


def open_log(level: str = "INFO", sink: LogSink | None = None) -> tuple[Any, LogSink]:
    """(logger, sink): events below ``level`` are dropped at once."""
    sink = sink or LogSink()
    atexit.register(sink.close)
    logger = structlog.wrap_logger(
        sink, wrapper_class=structlog.make_filtering_bound_logger(_LEVELS.get(level, logging.INFO)),
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True),
                    _to_json])
    return logger, sink


def _to_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(event, default=str).decode()
