"""What is wrong with a store, in one stable word, and who is told when that word changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.exc import DBAPIError


class Condition(StrEnum):
    """Why the last write failed; WELL if it did not."""

    WELL = "ok"
    FULL = "full"
    READ_ONLY = "read-only"
    LOCKED = "locked"
    DAMAGED = "damaged"
    REMOVED = "removed"
    BEHIND = "behind"  # tables are missing that this version needs
    AHEAD = "ahead"  # made by a newer version of this service
    UNREACHABLE = "unreachable"
    FAILED = "failed"  # whatever else; the log names the error


ALARMS = ("damaged", "removed", "replaced")

_SQLITE = {
    sqlite3.SQLITE_FULL: Condition.FULL,
    sqlite3.SQLITE_READONLY: Condition.READ_ONLY,
    sqlite3.SQLITE_BUSY: Condition.LOCKED,
    sqlite3.SQLITE_LOCKED: Condition.LOCKED,
    sqlite3.SQLITE_CORRUPT: Condition.DAMAGED,
    sqlite3.SQLITE_NOTADB: Condition.DAMAGED,
    sqlite3.SQLITE_CANTOPEN: Condition.UNREACHABLE,
    sqlite3.SQLITE_IOERR: Condition.FAILED,
    sqlite3.SQLITE_PERM: Condition.READ_ONLY,
}
_SQLSTATE = {  # classes and codes of PostgreSQL's appendix A
    "53100": Condition.FULL,
    "25006": Condition.READ_ONLY,
    "42501": Condition.READ_ONLY,
    "55P03": Condition.LOCKED,
    "57014": Condition.LOCKED,
    "40P01": Condition.LOCKED,
    "42P01": Condition.BEHIND,
    "42703": Condition.BEHIND,
    "XX001": Condition.DAMAGED,
    "XX002": Condition.DAMAGED,
}
_MISSING_TABLE = ("no such table", "no such column", "has no column named")


def name_condition(error: BaseException) -> Condition:
    """The word for an error of the store; UNREACHABLE for a server that says nothing."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause)
    if isinstance(cause, OSError):
        return _of_file(cause)
    state = getattr(cause, "sqlstate", "")
    return _SQLSTATE.get(state or "", Condition.FAILED if state else Condition.UNREACHABLE)


def _of_sqlite(error: sqlite3.Error) -> Condition:
    if any(words in str(error) for words in _MISSING_TABLE):
        return Condition.BEHIND
    return _SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, Condition.FAILED)


def _of_file(error: OSError) -> Condition:
    if isinstance(error, FileNotFoundError):
        return Condition.REMOVED
    if isinstance(error, BlockingIOError):
        return Condition.LOCKED
    if isinstance(error, PermissionError) or error.errno == 30:  # EROFS
        return Condition.READ_ONLY
    return Condition.FULL if error.errno in {28, 122} else Condition.FAILED  # ENOSPC, EDQUOT


@dataclass(frozen=True, slots=True)
class Witness:
    """Who hears of the store, at the moment when it happens and once per change.

    ``changed`` gets (condition now, condition before, name of the error); ``alarmed`` gets the word of an alarm
    (damaged, removed, replaced) and a sentence for a person. What they raise would cost a write, so they must not.
    """

    changed: Callable[[Condition, Condition, str], None] = lambda _now, _before, _fault: None
    alarmed: Callable[[str, str], None] = lambda _word, _sentence: None
