"""A log or an audit store that is blocked costs no card, unless the site asked for audit before answers (L12)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.calls import T1, conflict, topics
from tests.conftest import ROOT, Running, free_port
from tests.reliability.server import kill_all, serving
from tests.security.ehr import bearer, client, wait_until_alive, write_settings

SIGN = "/cds-services/naltrexone-order-sign"
CALLS = 300
LOUD = {"NALTREXONE_CDS_LOG_LEVEL": "DEBUG"}


def slowest(service: Running, calls: int = CALLS) -> float:
    """Seconds of the slowest of many calls, all of which must be answered."""
    longest = 0.0
    for _ in range(calls):
        begun = time.monotonic()
        answer = service.post(SIGN, json=conflict())
        longest = max(longest, time.monotonic() - begun)
        assert (200, "critical") == (answer.status_code, topics(answer.json()["cards"])[T1])
    return longest


def test_CL12_an_orderly_stop_writes_the_audit_of_the_last_calls(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        for _ in range(20):
            service.post(SIGN, json=conflict())
    with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite3")) as store:
        assert [(20,)] == store.execute("SELECT count(*) FROM audit_event").fetchall()


def test_CL12_a_log_that_nobody_reads_costs_no_card(tmp_path: Path) -> None:
    """A pipe of one page that is full after a few lines."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4_096)
    try:
        with serving(tmp_path, stderr=writer, **LOUD) as service:
            assert slowest(service) < 2
    finally:
        os.close(reader)
        os.close(writer)


def test_CL12_a_full_log_disk_costs_no_card(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full, serving(tmp_path, stderr=full, **LOUD) as service:
        assert slowest(service) < 2


def test_CL12_closed_standard_output_and_error_cost_no_card(tmp_path: Path) -> None:
    port = free_port()
    env = {
        **os.environ,
        "NALTREXONE_CDS_PORT": str(port),
        "NALTREXONE_CDS_DATA_DIR": str(tmp_path),
        **LOUD,
    }
    command = ["/bin/sh", "-c", f"exec {sys.executable} -m tests.serving >&- 2>&-"]
    process = subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True)
    running = Running(f"http://127.0.0.1:{port}", process)
    try:
        wait_until_alive(running)
        assert slowest(running) < 2
    finally:
        kill_all(running)


@contextlib.contextmanager
def locked(data: Path) -> Iterator[None]:
    """Another process's transaction that keeps every writer of the embedded store waiting."""
    connection = sqlite3.connect(data / "store.sqlite3", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_CL12_best_effort_audit_never_waits_for_a_locked_store(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        slowest(service, 1)
        with locked(tmp_path):
            assert slowest(service, 20) < 1


def test_CL12_a_locked_store_does_not_silence_signed_calls(tmp_path: Path) -> None:
    """The worker goes by the tokens that it has seen itself; each is still let in once."""
    file = write_settings(tmp_path / "etc", client(tmp_path / "etc"))
    with serving(tmp_path, NALTREXONE_CDS_SETTINGS=str(file)) as service:
        with locked(tmp_path):
            once, begun = bearer(SIGN), time.monotonic()
            said = [
                service.post(
                    SIGN, json={**conflict(), "hookInstance": name}, headers=each
                ).status_code
                for name, each in (("a", once), ("b", once), ("c", bearer(SIGN)))
            ]
            elapsed = time.monotonic() - begun
        assert ([200, 401, 200], True) == (said, elapsed < 4)


def test_CL12_required_audit_refuses_while_the_store_is_locked_and_answers_afterwards(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, NALTREXONE_CDS_AUDIT="required") as service:
        slowest(service, 1)
        with locked(tmp_path):
            refused = service.post(SIGN, json=conflict())
        assert (503, True) == (refused.status_code, int(refused.headers["Retry-After"]) > 0)
        assert "OperationOutcome" == refused.json()["resourceType"]
        slowest(service, 1)


@pytest.mark.parametrize("mode", ["best-effort", "required", "off"])
def test_CL12_each_mode_answers_while_all_is_well(tmp_path: Path, mode: str) -> None:
    with serving(tmp_path, NALTREXONE_CDS_AUDIT=mode) as service:
        assert slowest(service, 5) < 2
