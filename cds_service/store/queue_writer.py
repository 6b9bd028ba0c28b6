"""One thread that writes what callers queue: in batches, in a bounded queue, patient while the store is away."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

IDLE_SECONDS = 0.3
LINGER_SECONDS = 0.05  # items of that time share one transaction, and one wake-up
RETRY_SECONDS = 0.5

T = TypeVar("T")


class QueueWriter(Generic[T]):
    """Never holds a caller up: items wait in order for the writer thread, which the first use starts.

    ``write`` gets up to ``batch`` items and says False where they must be tried again later; it raises nothing.
    ``between`` is run by the thread before each batch and when it is idle. Make it in the worker, after any fork.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[T]], bool],
        *,
        room: int,
        batch: int,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = name
        self._write = write
        self._batch = batch
        self._between = between
        self._waiting: queue.Queue[T] = queue.Queue(room)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    @property
    def pending(self) -> int:
        """Items that are queued or being written."""
        return self._waiting.unfinished_tasks

    def put(self, item: T) -> bool:
        """Queue one item; False where there is no room."""
        self.start()
        try:
            self._waiting.put_nowait(item)
        except queue.Full:
            return False
        return True

    def start(self) -> None:
        """Start the thread, once."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def flush(self, seconds: float) -> bool:
        """Wait until nothing is pending; False if that took too long."""
        deadline = time.monotonic() + seconds
        while self.pending and time.monotonic() < deadline:
            time.sleep(0.005)
        return not self.pending

    def close(self, seconds: float) -> bool:
        """Write what is pending and stop; False if some of it could not be written in time."""
        done = self.flush(seconds)
        self._closing.set()
        if self._thread is not None:
            self._thread.join(seconds)
        return done

    def _run(self) -> None:
        while not self._closing.is_set():
            with suppress(Exception):  # no housekeeping is worth the thread that writes everything
                self._between()
            batch = self._next_batch()
            while batch and not self._write(batch):
                if self._closing.wait(RETRY_SECONDS):
                    return
            for _ in batch:
                self._waiting.task_done()

    def _next_batch(self) -> list[T]:
        batch: list[T] = []
        with suppress(queue.Empty):
            batch.append(self._waiting.get(timeout=IDLE_SECONDS))
            self._closing.wait(LINGER_SECONDS)
            while len(batch) < self._batch:
                batch.append(self._waiting.get_nowait())
        return batch
