"""A PostgreSQL connection that gives a server up that hangs: its kernel answers, so that no time-out of TCP's ends."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import psycopg
from psycopg.waiting import Ready, Wait

from cds_service.store.deadline import DEADLINE_SECONDS


class PatientConnection(psycopg.Connection[Any]):
    """Waits ``deadline_seconds`` for each answer (None = for ever), then is closed and raises OperationalError."""

    deadline_seconds: float | None = DEADLINE_SECONDS

    def wait(self, gen: Any, *limits: Any, **more: Any) -> Any:
        if self.deadline_seconds is not None:
            gen = self._until(gen, time.monotonic() + self.deadline_seconds)
        return super().wait(gen, *limits, **more)

    def _until(self, gen: Any, deadline: float) -> Generator[Wait, Ready, Any]:
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > deadline:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the server did not answer in time")
                wanted = gen.send(ready)
        except StopIteration as done:
            return done.value


def connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> psycopg.Connection[Any]:
    """For SQLAlchemy's event of that name."""
    return PatientConnection.connect(*arguments, **options)
