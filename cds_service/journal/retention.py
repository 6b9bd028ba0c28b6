"""When old audit events may go. A slip in a setting, or of a clock, must not take the audit along.

A shorter retention than the one in force waits GRACE before it removes anything, so that it can be
taken back; which one is in force stands in a small file beside the store. Nothing is removed while
the clock is in doubt.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

GRACE = timedelta(days=7)
DRIFT = timedelta(days=1)
FOREVER = 0


@dataclass(frozen=True, slots=True)
class InForce:
    """The retention in force, and a shorter one that waits since a moment ("" = none waits)."""

    days: int = FOREVER
    shorter: int = FOREVER
    since: str = ""


def is_shorter(one: int, other: int) -> bool:
    """Does ``one`` remove what ``other`` keeps? 0 keeps everything."""
    return one != FOREVER and (other == FOREVER or one < other)


def decide(stated: InForce | None, wanted: int, now: datetime) -> InForce:
    """What is in force now, if the setting says ``wanted``. A first start takes it at its word."""
    if stated is None or not is_shorter(wanted, stated.days):
        return InForce(wanted)
    if stated.shorter == wanted and stated.since:
        waited = now - datetime.fromisoformat(stated.since)
        return InForce(wanted) if waited >= GRACE else stated
    return InForce(stated.days, wanted, now.astimezone(UTC).isoformat())


class Retention:
    """The retention of one store. ``before`` says which events may go now; ``waiting`` is for readiness.

    ``path`` None: at its word, without grace (for tools). ``doubt`` says why nothing is removed
    now, or is "".
    """

    def __init__(self, days: int, path: Path | None, now: Callable[[], datetime]) -> None:
        if days < 0:  # a date in the future: everything would be older
            raise ValueError("retention_days must not be negative")
        self._days = days
        self._path = path
        self._now = now
        self._began = (now(), time.monotonic())
        self.doubt = ""
        self.waiting = ""
        self._in_force = self._settle()

    def before(self, newest: datetime | None) -> datetime | None:
        """Events older than this may go; None = none may. ``newest`` is when the newest was written."""
        self._in_force = self._settle()
        if self._in_force.days == FOREVER:
            return None
        now = self._now()
        self.doubt = self._find_doubt(now, newest)
        return None if self.doubt else now - timedelta(days=self._in_force.days)

    def _find_doubt(self, now: datetime, newest: datetime | None) -> str:
        wall, steady = now - self._began[0], timedelta(seconds=time.monotonic() - self._began[1])
        if abs(wall - steady) > DRIFT and self._path is not None:
            return "the clock was set"
        return "the newest event is from the future" if newest and newest > now + DRIFT else ""

    def _settle(self) -> InForce:
        if self._path is None:
            return InForce(self._days)
        stated = _read(self._path)
        settled = decide(stated, self._days, self._now())
        if settled != stated:
            try:
                _write(self._path, settled)
            except OSError:  # what cannot be written down does not come into force
                settled = stated or InForce(FOREVER)
        self.waiting = (
            f"retention of {settled.shorter} instead of {settled.days or 'all'} days waits "
            f"{GRACE.days} days from {settled.since[:16]}"
            if settled.since
            else ""
        )
        return settled


def _read(path: Path) -> InForce | None:
    """None for a first start; a file that cannot be read keeps everything until it can."""
    try:
        return InForce(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        return InForce(FOREVER)


def _write(path: Path, in_force: InForce) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(asdict(in_force), file)
        Path(name).replace(path)
    except OSError:
        with suppress(OSError):
            Path(name).unlink()
        raise
