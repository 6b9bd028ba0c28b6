"""A store in one SQLite file: durable settings, one opener at a time, and damage set aside, never erased."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

BUSY_MS = 5_000
CHECK_SECONDS = 0.5
ROOM_BYTES = 256 * 1024
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # WAL with FULL syncs at every commit; NORMAL would not
    f"busy_timeout={BUSY_MS}",
    "foreign_keys=ON",
)


def configure(connection: Any, _record: object = None) -> None:
    """Set a new connection up; transactions are begun by ``store``, not by the sqlite3 module."""
    connection.isolation_level = None
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def identity(path: Path) -> tuple[int, int] | None:
    """Which file the name leads to, None = none; it changes when someone removes or replaces the store."""
    try:
        status = os.stat(path)  # noqa: PTH116 - asked twice for each write, and three times as fast
    except OSError:
        return None
    return status.st_dev, status.st_ino


@dataclass(frozen=True, slots=True)
class Made:
    """What the lock file tells of the store that was opened here last: was there one, and which file was it."""

    store: bool = False
    inode: int | None = None

    def is_other_than(self, path: Path) -> bool:
        """True if the name leads to another file now than the one that was opened last; False if nobody can tell."""
        now = identity(path)
        return self.inode is not None and now is not None and now[1] != self.inode


@contextmanager
def only_opener(path: Path) -> Iterator[Made]:
    """Wait until no other process opens this store; the value is what was opened here before.

    The lock file outlives the store: that is how a store that has vanished differs from the first start.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor)
        yield _read_made(os.pread(descriptor, 64, 0))
        if (opened := identity(path)) is not None:
            os.pwrite(descriptor, f"made {opened[1]:<24}\n".encode(), 0)
    finally:
        os.close(descriptor)


def _read_made(text: bytes) -> Made:
    inode = text.removeprefix(b"made").strip()
    return Made(bool(text), int(inode) if inode.isdigit() else None)


def _lock(descriptor: int) -> None:
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def create_private(path: Path) -> None:
    """Make sure of a file that only its owner may read, and of its name; side files copy its mode.

    One that is there stays shut: closing it would drop the locks that this process holds on it (POSIX).
    """
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def has_room(path: Path) -> bool:
    """True if the disk has room for some more feedback; False also if nobody can tell."""
    try:
        return shutil.disk_usage(path.parent).free >= ROOM_BYTES
    except OSError:
        return False


def is_empty(path: Path) -> bool:
    """True if there is no file or nothing in it."""
    return not path.exists() or path.stat().st_size == 0


def is_damaged(path: Path, seconds: float | None = CHECK_SECONDS) -> bool:
    """True if SQLite finds the file broken, or only its log is left.

    A store too large to read in ``seconds`` counts as whole until a query fails.
    """
    if is_empty(path):
        return _side_file(path, "-wal").exists()
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_MS / 1000)) as connection:
            if seconds is not None:
                deadline = time.monotonic() + seconds
                connection.set_progress_handler(lambda: time.monotonic() > deadline, 1_000)
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
    except sqlite3.DatabaseError as error:
        return tells_damage(error)


def tells_damage(error: BaseException | None) -> bool:
    """True if this error says that the file itself is broken, rather than full, locked or out of reach."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE


def set_aside(path: Path, at: datetime, why: str = "corrupt") -> Path:
    """Rename the store with its side files, so that a person can still read what it held."""
    kept = path.with_name(f"{path.name}.{why}-{at.astimezone(UTC):%Y%m%dT%H%M%S%fZ}")
    for ending in ("-wal", "-shm", ""):
        part = _side_file(path, ending)
        if part.exists():
            part.rename(_side_file(kept, ending))
    return kept


def _side_file(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


class PlainWriter:
    """A connection of the writer's own to one file, kept from transaction to transaction, with nothing above the driver.

    Not safe for two threads at once. What fails on it is closed with it, and nothing of that is kept.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._synced = True

    @contextmanager
    def begin(self, *, synced: bool) -> Iterator[Callable[..., sqlite3.Cursor]]:
        """One transaction: what executes a statement in it. sqlite3.Error if the file does not take it."""
        try:
            execute = self._open(synced=synced).execute
            execute("BEGIN IMMEDIATE")
            yield execute
            execute("COMMIT")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection back; the next transaction opens the file that is there then."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _open(self, *, synced: bool) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(
                self._file, timeout=BUSY_MS / 1000, check_same_thread=False
            )
            configure(self._connection)
            self._synced = True
        if synced is not self._synced:
            self._connection.execute(f"PRAGMA synchronous={'FULL' if synced else 'NORMAL'}")
            self._synced = synced
        return self._connection
