"""A short soak of the real thing passes, and one that is sabotaged does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.operations.proxy import nginx
from tests.postgres import PostgresServer, postgres_server

__all__ = ["postgres_server"]


def soak(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.soak", "--rate", "10", "--vignettes", "60", *options]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.mark.slow  # half a minute each
@pytest.mark.postgres
@pytest.mark.parametrize("audit", ["best-effort", "required"])
def test_half_a_minute_with_faults_costs_no_answer(
    audit: str, postgres_server: PostgresServer
) -> None:
    assert postgres_server.url
    assert nginx()
    done = soak("--minutes", "0.35", "--audit", audit)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("broken", ["answers", "feedback", "audit"])
def test_what_is_broken_on_purpose_is_noticed(broken: str, postgres_server: PostgresServer) -> None:
    assert postgres_server.url
    assert nginx()
    done = soak("--minutes", "0.05", "--sabotage", broken)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED" in done.stdout
