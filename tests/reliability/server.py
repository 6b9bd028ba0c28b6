"""The command ``serve`` as an operator runs it, in a process group of its own, so that it can be killed whole."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, Running, free_port
from tests.security.ehr import wait_until_alive


def start(
    data_dir: Path,
    *words: str,
    stderr: Any = None,
    command: tuple[str, ...] = ("tests.serving",),
    **environ: str,
) -> Running:
    """Start the server on a free port and return at once; ``environ`` are NALTREXONE_CDS_* variables."""
    port = free_port()
    env = {
        **os.environ,
        "NALTREXONE_CDS_PORT": str(port),
        "NALTREXONE_CDS_DATA_DIR": str(data_dir),
        **({} if "NALTREXONE_CDS_SETTINGS" in environ else {"NALTREXONE_CDS_WORKERS": "1"}),
        **environ,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", *command, *words],
        cwd=ROOT,
        env=env,
        start_new_session=True,
        stdout=subprocess.DEVNULL if stderr is None else stderr,
        stderr=subprocess.DEVNULL if stderr is None else stderr,
    )
    return Running(f"http://127.0.0.1:{port}", process)


def kill_all(running: Running) -> None:
    """SIGKILL to every process of the server at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.process.pid, signal.SIGKILL)
    running.process.wait(timeout=10)


@contextlib.contextmanager
def serving(data_dir: Path, **options: Any) -> Iterator[Running]:
    """A server that answers, until the block ends; then it is asked to stop, and killed if it does not."""
    running = start(data_dir, **options)
    try:
        wait_until_alive(running)
        yield running
    finally:
        running.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.process.wait(timeout=15)
        kill_all(running)
