"""The store behind feedback and audit: opened, upgraded, kept writable, and mended without a restart.

A 2xx may rest on ``Store.write``: when its block has ended, the transaction is committed and synced to disk.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from cds_service.errors import Unavailable
from cds_service.store import sqlite as sqlite_file
from cds_service.store.conditions import Condition, Witness, name_condition
from cds_service.store.database import Run, StoreError, make_engine, parse_url, run_in, upgrade
from cds_service.store.group_commit import RETRY_SECONDS, GroupCommit, StoreAway
from cds_service.store.probe import Probe
from cds_service.store.schema import readiness

__all__ = ["Store", "StoreAway", "StoreError", "open_store", "utc_now"]

PAUSE_SECONDS = 1.0
_OF_ONE = (DataError, IntegrityError, sqlite3.DataError, sqlite3.IntegrityError)


def utc_now() -> datetime:
    """The clock on the wall, as an aware datetime."""
    return datetime.now(UTC)


def open_store(
    url: str, clock: Callable[[], datetime] = utc_now, witness: Witness | None = None
) -> Store:
    """The store at this SQLAlchemy URL, upgraded to the newest schema; safe under several workers at once.

    Call it in the worker, after any fork. A store that is full, read-only or out of reach is returned all the
    same: its writes raise Unavailable until it is back. A damaged SQLite file is renamed (``Store.alarms``).
    StoreError only for what no waiting mends.
    """
    parsed = parse_url(url)
    file = Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
    store = Store(make_engine(parsed), file, clock, witness or Witness())
    try:
        store.try_to_open()
    except StoreError:
        store.close()
        raise
    return store


class Store:
    """Transactions on the store, one writer at a time in this process. What calls write goes through ``writer``.

    ``alarms`` are events that a person must hear of. ``fault`` is why the last write failed, "" if not:
    the name of the error, never its text, which may quote data; ``condition`` is the same in one stable word.
    ``made_before`` is True where a store was here before this process made it anew.
    """

    def __init__(
        self,
        engine: Engine,
        file: Path | None,
        clock: Callable[[], datetime],
        witness: Witness | None = None,
    ) -> None:
        self.engine = engine
        self._writing = {
            synced: engine.execution_options(writes=True, synced=synced) for synced in (True, False)
        }
        self.alarms: tuple[str, ...] = ()
        self.fault = ""
        self.condition = Condition.WELL
        self.made_before = False
        self._witness = witness or Witness()
        self._file = file
        self._clock = clock
        self._turn = threading.Lock()  # SQLite's own queue of writers polls and is not fair
        self._opened = False
        self._damaged = False
        self._identity: tuple[int, int] | None = None
        self._paused_until = float("-inf")
        self._probe = Probe(self._touch)
        self._plain = sqlite_file.PlainWriter(file) if file else None
        self.writer = GroupCommit(self.write, self.write_plain)

    @property
    def dialect(self) -> str:
        """sqlite or postgresql."""
        return self.engine.dialect.name

    @contextmanager
    def write(self, *, synced: bool = True) -> Iterator[Connection]:
        """One transaction, durable when the block has ended; on any error StoreAway and nothing kept.

        Without ``synced`` it outlives this process, and a loss of power only if a later one is synced.
        """
        with self._guarded(), self._begin(synced=synced) as connection:
            yield connection

    @contextmanager
    def write_plain(self, *, synced: bool = True) -> Iterator[Run]:
        """As ``write``, for plain statements: SQLite is asked without a layer above its driver."""
        with self._guarded():
            if self._plain is None:
                with self._begin(synced=synced) as connection:
                    yield run_in(connection)
            else:
                with self._plain.begin(synced=synced) as run:
                    yield run

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """What surrounds every write: its turn, an open store, and afterwards a look whether it is still there."""
        if not self._turn.acquire(timeout=RETRY_SECONDS):
            raise StoreAway
        try:
            if time.monotonic() < self._paused_until:
                raise StoreAway
            self._open()
            yield
            self._check_still_there()
            self._note_well()
            self.writer.note_success()
        except (SQLAlchemyError, sqlite3.Error, OSError, StoreError) as error:
            self._note(error)
            raise StoreAway(for_all=not isinstance(error, _OF_ONE)) from None
        finally:
            self._turn.release()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One unchanging view of the store that holds up no writer; Unavailable on any error of the store."""
        options = {"isolation_level": "REPEATABLE READ"} if self.dialect == "postgresql" else {}
        try:
            with self.engine.execution_options(**options).connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            self._note(error)
            raise StoreAway from None

    def writable(self) -> bool:
        """True if a write has just succeeded; answers within 50 ms, with the last known state if need be."""
        return self._probe.answer()

    def try_to_open(self) -> None:
        """Open and upgrade now instead of at the first write; a failure is noted in ``fault``, not raised.

        One that could be opened is tried at once: the first question for readiness may come in a busy moment.
        """
        try:
            with self._turn:
                self._open()
        except (SQLAlchemyError, OSError) as error:
            self._note(error)
        else:
            self._probe.tell(self._touch())

    def close(self) -> None:
        """Give all connections back."""
        self._probe.close()
        self.writer.close()
        self._drop_connections()

    def _drop_connections(self) -> None:
        self.engine.dispose()
        if self._plain is not None:
            self._plain.close()

    @contextmanager
    def _begin(self, *, synced: bool = True) -> Iterator[Connection]:
        """A write transaction on a connection that is not used again if anything in the store failed on it."""
        with self._writing[synced].connect() as connection:
            try:
                with connection.begin():
                    yield connection
            except SQLAlchemyError:
                connection.invalidate()
                raise

    def _open(self) -> None:
        """Do nothing unless it is the first time, an error asked for it, or the file is another one now."""
        if self._opened and (
            self._file is None or sqlite_file.identity(self._file) == self._identity
        ):
            return
        self._drop_connections()
        self._opened = False
        if self._file is None:
            with self._begin() as connection:
                upgrade(connection)
        else:
            self._open_file(self._file)
        self._opened = True

    def _open_file(self, file: Path) -> None:
        with sqlite_file.only_opener(file) as before:
            self.made_before = before.store
            self._look_at(file, before)
            self._damaged = False
            sqlite_file.create_private(file)
            with self._begin() as connection:
                upgrade(connection)
            self._identity = sqlite_file.identity(file)

    def _look_at(self, file: Path, before: sqlite_file.Made) -> None:
        """Set a damaged file aside; raise an alarm for one that is gone or is not the one that we used last."""
        if sqlite_file.is_damaged(file, None if self._damaged else sqlite_file.CHECK_SECONDS):
            kept = sqlite_file.set_aside(file, self._clock())
            self._alarm("damaged", f"store damaged: set aside as {kept.name}, a new one was made")
        elif before.store and sqlite_file.is_empty(file):
            self._alarm("removed", "store removed or emptied by someone: a new one was made")
        elif before.is_other_than(file):
            self._alarm(
                "replaced", "store replaced by someone: not the file that this service used last"
            )

    def _alarm(self, word: str, sentence: str) -> None:
        self.alarms += (sentence,)
        self._witness.alarmed(word, sentence)

    def _check_still_there(self) -> None:
        """A store removed while we wrote took along what we wrote: then nothing may be acknowledged."""
        if self._file is not None and sqlite_file.identity(self._file) != self._identity:
            raise FileNotFoundError

    def _note(self, error: Exception) -> None:
        cause = error.orig if isinstance(error, DBAPIError) else error
        fault = str(getattr(cause, "sqlite_errorname", "") or type(cause).__name__)
        condition = Condition.AHEAD if isinstance(error, StoreError) else name_condition(error)
        if sqlite_file.tells_damage(cause):
            self._opened, self._damaged = False, True
        if condition is Condition.BEHIND:  # the next write upgrades it
            self._opened = False
        if self._file is None and not isinstance(error, _OF_ONE):
            # a server that is away costs seconds a try
            self._paused_until = time.monotonic() + PAUSE_SECONDS
        self._change(condition, fault)

    def _note_well(self) -> None:
        self._change(Condition.WELL, "")

    def _change(self, condition: Condition, fault: str) -> None:
        before, self.condition, self.fault = self.condition, condition, fault
        if condition is not before:
            self._witness.changed(condition, before, fault)

    def _touch(self) -> bool:
        """Write one row. A full disk still takes that, as it needs no new room: so look for room too."""
        if self._file is not None and not sqlite_file.has_room(self._file):
            self._change(
                Condition.FULL if self._file.parent.exists() else Condition.REMOVED, "no room"
            )
            return False
        try:
            with self.write() as connection:
                connection.execute(update(readiness).values(at=self._clock()))
        except Unavailable:
            return False
        return True
