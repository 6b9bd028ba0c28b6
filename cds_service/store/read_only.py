"""Open a store only to read it: while the service runs, after it, and in a folder that takes no writes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from cds_service.store.database import StoreError, make_engine, make_reader, parse_url, revision
from cds_service.store.schema import HEAD
from cds_service.store.store import Store, utc_now


@contextmanager
def open_to_read(url: str) -> Iterator[Store]:
    """The store as it is now, for exports and ``verify``; StoreError, in one line, if it cannot be read."""
    parsed = parse_url(url)
    with tempfile.TemporaryDirectory(prefix="store-") as scratch:
        if parsed.get_backend_name() == "sqlite":
            engine = _readable(Path(parsed.database or ""), Path(scratch))
        else:
            engine = make_engine(parsed)
        store = Store(engine, None, utc_now)
        try:
            _check(engine)
            yield store
        finally:
            store.close()


def _readable(file: Path, scratch: Path) -> Engine:
    """The file itself, or a copy with its log: SQLite reads a log only in a folder that it may write to."""
    if not file.is_file():
        raise StoreError("data_dir: holds no store yet")
    engine = make_reader(file)
    try:
        with engine.connect() as connection:
            revision(connection)
    except SQLAlchemyError:
        return make_reader(_copy(file, scratch))
    return engine


def _copy(file: Path, scratch: Path) -> Path:
    copied = scratch / file.name
    try:
        for ending in ("", "-wal"):
            part = file.with_name(file.name + ending)
            if part.exists():
                shutil.copyfile(part, copied.with_name(copied.name + ending))
    except OSError as error:
        raise StoreError(f"data_dir: the store cannot be read ({error.strerror})") from None
    return copied


def _check(engine: Engine) -> None:
    try:
        with engine.connect() as connection:
            found = revision(connection)
    except SQLAlchemyError:
        raise StoreError("the store cannot be read: damaged, locked or out of reach") from None
    if found != HEAD:
        raise StoreError(
            "the store is of another version: start this service once, or use its version"
        )
