"""Back up a SQLite store while it is in use, and bring a back-up into its place. PostgreSQL has ``pg_dump`` for that."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cds_service.store import sqlite as sqlite_file
from cds_service.store.database import parse_url
from cds_service.store.schema import HEAD

PAGES_AT_ONCE = 1_000  # then a writer may have its turn


class BackupError(Exception):
    """One line for a person: why nothing was copied. What was there before is still there."""


@dataclass(frozen=True, slots=True)
class Held:
    """How much a store file holds."""

    revision: str
    audit: int
    feedback: int


def back_up(url: str, target: Path) -> Held:
    """A whole copy as of one moment under ``target``, for its owner only; BackupError leaves no file behind."""
    source = _file_of(url)
    if target.exists():
        raise BackupError(f"{target}: is there already")
    part = target.with_name(target.name + ".part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _copy(source, part)
        held = inspect(part)
        part.rename(target)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise BackupError(f"cannot back up: {_name(error)}") from None
    return held


def bring_back(url: str, backup: Path) -> Path | None:
    """Put the back-up in the store's place; where the store that stood there is now, None if there was none."""
    target = _file_of(url, must_exist=False)
    held = _inspect_or_refuse(backup)
    if held.revision > HEAD:
        raise BackupError(f"{backup}: made by a newer version of this service")
    part = target.with_name(target.name + ".part")
    try:
        with sqlite_file.only_opener(target):
            part.unlink(missing_ok=True)
            _copy(backup, part)
            part.chmod(0o600)
            # A log that stayed behind would be played into the restored file.
            there = any(
                target.with_name(target.name + ending).exists() for ending in ("", "-wal", "-shm")
            )
            kept = sqlite_file.set_aside(target, datetime.now(UTC), "replaced") if there else None
            part.rename(target)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise BackupError(f"cannot restore: {_name(error)}") from None
    return kept


def inspect(file: Path) -> Held:
    """What this file holds; BackupError for one that is no whole store of ours."""
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise BackupError(f"{file}: is damaged")

        def one(query: str) -> str:
            return str(connection.execute(query).fetchone()[0])

        return Held(
            one("SELECT version_num FROM alembic_version"),
            int(one("SELECT count(*) FROM audit_event")),
            int(one("SELECT count(*) FROM feedback")),
        )


def _inspect_or_refuse(file: Path) -> Held:
    try:
        return inspect(file)
    except sqlite3.Error as error:
        raise BackupError(f"{file}: is no store of this service ({_name(error)})") from None


def _copy(source: Path, target: Path) -> None:
    """By SQLite's own online back-up: writers go on, and what they write meanwhile is either in it or not."""
    with (
        closing(
            sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
        ) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new, pages=PAGES_AT_ONCE)
        new.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _file_of(url: str, *, must_exist: bool = True) -> Path:
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise BackupError(
            "the store is PostgreSQL: use pg_dump and pg_restore (docs/operations/backup.md)"
        )
    file = Path(parsed.database or "")
    if must_exist and not file.is_file():
        raise BackupError("data_dir: holds no store yet")
    return file


def _name(error: Exception) -> str:
    return str(
        getattr(error, "sqlite_errorname", "")
        or getattr(error, "strerror", "")
        or type(error).__name__
    )
