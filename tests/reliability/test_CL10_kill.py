"""What was acknowledged is stored, once and whole, whenever a worker dies (L10).

Power loss proper needs a tool that drops blocks under the file system; kill -9 does not show a missing fsync.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.postgres import postgres_server, postgres_url
from tests.unit.journal.samples import store_url

__all__ = ["postgres_server", "postgres_url", "store_url"]

ZERO = {"lost": 0, "duplicates": 0, "torn": 0, "damaged": 0, "chain_faults": 0, "set_aside": 0}


def killed(url, rounds, seed):
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "tests.reliability.kill_rounds",
        url,
        str(rounds),
        str(seed),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=30 + rounds * 30
    )
    assert (0, "") == (done.returncode, done.stderr)
    return json.loads(done.stdout)


def test_CL10_a_few_rounds_of_kill_9_lose_and_double_nothing(store_url):
    found = killed(store_url, int(os.environ.get("KILL_ROUNDS", "4")), 10)
    assert ZERO == {name: found[name] for name in ZERO}
    assert found["stored"] >= found["acknowledged"] > 0


@pytest.mark.slow
def test_CL10_two_hundred_rounds_of_kill_9_lose_and_double_nothing(store_url):
    found = killed(store_url, int(os.environ.get("KILL_ROUNDS_SLOW", "200")), 200)
    assert ZERO == {name: found[name] for name in ZERO}
    assert found["stored"] >= found["acknowledged"] > 0
