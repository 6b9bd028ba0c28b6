"""A store that hangs, rather than being down, leaves every hook call answered in time (issue: a deadline at our side).

PostgreSQL is stopped with SIGSTOP, so that its kernel still takes what it is sent; SQLite is locked by another process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conformance.calls import conflict
from tests.conftest import Running
from tests.postgres import PostgresServer, postgres_server, postgres_url
from tests.reliability.server import serving
from tests.security.ehr import bearer, client, write_settings

__all__ = ["postgres_server", "postgres_url"]

SIGN = "/cds-services/naltrexone-order-sign"
IN_TIME = 1.5
Hang = Callable[[], contextlib.AbstractContextManager[None]]


def family(pid: int) -> list[int]:
    """A process and its children."""
    found = [pid]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


@contextlib.contextmanager
def stopped(server: PostgresServer) -> Iterator[None]:
    """Every process of this server is stopped; those that it has then go on."""
    if server.folder is None:
        pytest.skip("a server that is not ours cannot be stopped")
    pid = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
    processes = family(pid)
    for each in processes:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT)


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Somebody else has begun to write and does not end."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Hang]:
    """The URL of a store, and what makes it hang."""
    if request.param == "sqlite":
        file = tmp_path / "store.sqlite3"
        return f"sqlite:///{file}", lambda: locked(file)
    url, server = (
        request.getfixturevalue("postgres_url"),
        request.getfixturevalue("postgres_server"),
    )
    return url, lambda: stopped(server)


@contextlib.contextmanager
def production(folder: Path, url: str, audit: str) -> Iterator[Running]:
    file = write_settings(folder / "etc", client(folder / "etc"), database_url=url, audit=audit)
    with serving(folder, NALTREXONE_CDS_SETTINGS=str(file)) as service:
        service.post(SIGN, json=conflict(), headers=bearer(SIGN))
        yield service


def twelve_calls(
    service: Running, headers: Callable[[], dict[str, str]]
) -> tuple[list[int], float]:
    """Eight at once and then four in turn: their statuses, and how long the slowest took."""

    def call(_number: int) -> tuple[int, float]:
        begun = time.monotonic()
        answer = service.post(SIGN, json=conflict(), headers=headers())
        return answer.status_code, time.monotonic() - begun

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(call, range(8)))
    said += [call(number) for number in range(4)]
    return [status for status, _ in said], max(seconds for _, seconds in said)


def test_CL12_every_hook_call_is_answered_while_the_store_hangs(
    tmp_path: Path, store: tuple[str, Hang]
) -> None:
    """With its card; a replay at the same worker is still refused, and the store is used again afterwards."""
    url, hang = store
    with production(tmp_path, url, "best-effort") as service:
        once = bearer(SIGN)
        with hang():
            statuses, slowest = twelve_calls(service, lambda: bearer(SIGN))
            replayed = [
                service.post(
                    SIGN, json={**conflict(), "hookInstance": name}, headers=once
                ).status_code
                for name in ("a", "b")
            ]
            begun = time.monotonic()
            feedback = service.post(
                f"{SIGN}/feedback", json=feedback_body(), headers=bearer(f"{SIGN}/feedback")
            )
            refused_after = time.monotonic() - begun
        after = recovered(service)
        assert ([200] * 12, [200, 401], 503) == (statuses, replayed, feedback.status_code)
        assert max(slowest, refused_after) < IN_TIME
        assert after < 10
        assert 401 == service.post(SIGN, json=conflict(), headers=once).status_code


def test_CL12_required_audit_refuses_in_time_while_the_store_hangs(
    tmp_path: Path, store: tuple[str, Hang]
) -> None:
    url, hang = store
    with production(tmp_path, url, "required") as service:
        with hang():
            statuses, slowest = twelve_calls(service, lambda: bearer(SIGN))
        assert ([503] * 12, True) == (statuses, slowest < IN_TIME)
        assert recovered(service) < 10


def feedback_body() -> dict[str, object]:
    return {
        "feedback": [
            {
                "card": str(uuid4()),
                "outcome": "overridden",
                "outcomeTimestamp": "2026-11-21T11:59:00Z",
            }
        ]
    }


def recovered(service: Running) -> float:
    """Seconds until feedback is kept again."""
    begun = time.monotonic()
    path = f"{SIGN}/feedback"
    while service.post(path, json=feedback_body(), headers=bearer(path)).status_code != 200:
        assert time.monotonic() - begun < 20
        time.sleep(0.2)
    return time.monotonic() - begun
