"""One thread of a worker writes for all its calls: what waits shares one transaction, and one sync of the disk.

Writers that do not meet do not fight: SQLite lets one in at a time, and lets the others poll. And no call is at the
mercy of a store: it waits for the thread as long as it wants, however long a server that hangs keeps the thread.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from cds_service.errors import Unavailable
from cds_service.store.database import Run, run_in

PATIENCE = 0.8  # seconds that a clinician's call gives the store
GLANCE = 0.05  # seconds, after a failure, where the call can do without
LOOK = 0.25  # seconds, at the least, where it cannot: enough for a store that is back
ROOM = 10_000  # writes that wait; more are refused
BATCH = 256  # writes of one transaction

RETRY_SECONDS = 5  # said to a caller that may come again

T = TypeVar("T")
R = TypeVar("R")
Begin = Callable[..., AbstractContextManager[Connection]]
BeginPlain = Callable[..., AbstractContextManager[Run]]


class StoreAway(Unavailable):
    """The store did not take a write. ``for_all`` is False where only what was written is at fault."""

    def __init__(self, *, for_all: bool = True) -> None:
        super().__init__(
            "The store cannot take this now.", headers={"Retry-After": str(RETRY_SECONDS)}
        )
        self.for_all = for_all


@dataclass(frozen=True, eq=False)
class Lane(Generic[T, R]):
    """One kind of write. ``write`` puts items into the open transaction; one result for each, in their order.

    It gets the Connection, or where it is ``plain`` a Run: statements in the driver's own words. It may be called again
    with the same items, and with fewer of them, as long as nothing was committed.
    ``synced`` = the items are on the disk, not only safe from the end of this process, when their future is done.
    """

    write: Callable[[Any, Sequence[T]], Sequence[R]]
    synced: bool = True
    plain: bool = False


@dataclass(frozen=True, slots=True)
class _Waiting:
    lane: Lane[Any, Any]
    item: Any
    future: Future[Any] = field(default_factory=Future)


class GroupCommit:
    """The writer thread of one store, which the first use starts. Make it in the worker, after any fork.

    ``begin(synced=...)`` is one transaction, and raises StoreAway where it is none; ``begin_plain`` is the same for
    those who need no more than a Run.
    Items of a transaction are written lane by lane, in the order in which lanes first came: workers that share a
    database take its locks in one order. One that raises spoils no other: then each is tried by itself.
    """

    def __init__(self, begin: Begin, begin_plain: BeginPlain) -> None:
        self._begin = begin
        self._begin_plain = begin_plain
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._order: dict[Lane[Any, Any], int] = {}
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._busy_since: float | None = None
        self._failed = False

    def lane(
        self,
        write: Callable[[Any, Sequence[T]], Sequence[R]],
        *,
        synced: bool = True,
        plain: bool = False,
    ) -> Lane[T, R]:
        """Open a lane; the earlier it is opened, the earlier its items are written."""
        made = Lane(write, synced, plain)
        self._order[made] = len(self._order)
        return made

    def note_success(self) -> None:
        """The store took a write of somebody else: it is back."""
        self._failed = False

    @property
    def patience(self) -> float:
        """Seconds that it makes sense to wait: none while the thread is stuck, a glance after a failure."""
        since = self._busy_since
        if since is not None and time.monotonic() - since > PATIENCE:
            return 0.0
        return GLANCE if self._failed else PATIENCE

    def put(self, lane: Lane[T, R], item: T) -> Future[R]:
        """Have an item written some time; StoreAway if too many wait already."""
        if self._waiting.qsize() >= ROOM:
            raise StoreAway
        self._start()
        waiting = _Waiting(lane, item)
        self._waiting.put(waiting)
        return waiting.future

    def write(self, lane: Lane[T, R], item: T, seconds: float | None = None) -> R:
        """Write an item and wait for it; StoreAway if that failed or took too long, then it may yet be written."""
        future = self.put(lane, item)
        try:
            return future.result(max(LOOK, self.patience) if seconds is None else seconds)
        except TimeoutError:
            future.cancel()
            raise StoreAway from None

    def _start(self) -> None:
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Write what waits, and end the thread; one that is stuck is left alone."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        ended = False
        while not ended:
            batch = self._next_batch()
            ended = None in batch
            self._busy_since = time.monotonic()
            self._settle([w for w in batch if w and w.future.set_running_or_notify_cancel()])
            self._busy_since = None

    def _next_batch(self) -> list[_Waiting | None]:
        batch = [self._waiting.get()]
        while len(batch) < BATCH:
            try:
                batch.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        return batch

    def _settle(self, batch: Sequence[_Waiting]) -> None:
        """Give every one its result. A store that is away is so for all; anything else is the fault of one."""
        if not batch:
            return
        try:
            results = self._commit(batch)
            self._failed = False
        except Exception as error:  # noqa: BLE001 - it is handed to the callers, and the thread must live on
            self._failed = away = isinstance(error, StoreAway) and error.for_all
            if len(batch) == 1 or away:
                for waiting in batch:
                    waiting.future.set_exception(error)
            else:
                for waiting in batch:
                    self._settle([waiting])
            return
        for waiting, result in zip(batch, results, strict=True):
            waiting.future.set_result(result)

    def _commit(self, batch: Sequence[_Waiting]) -> list[Any]:
        """What comes alone is most of what comes, and a Run is enough for it: a tenth of the work of a Connection."""
        synced = any(w.lane.synced for w in batch)
        if all(w.lane.plain for w in batch):
            with self._begin_plain(synced=synced) as run:
                return self._write_lanes(batch, run, run)
        with self._begin(synced=synced) as connection:
            return self._write_lanes(batch, connection, run_in(connection))

    def _write_lanes(self, batch: Sequence[_Waiting], connection: Any, run: Run) -> list[Any]:
        found: dict[int, Any] = {}
        for lane in sorted({w.lane for w in batch}, key=self._order.__getitem__):
            places = [place for place, w in enumerate(batch) if w.lane is lane]
            items = [batch[place].item for place in places]
            results = lane.write(run if lane.plain else connection, items)
            found.update(zip(places, results, strict=True))
        return [found[place] for place in range(len(batch))]
