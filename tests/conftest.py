"""Fixtures for every folder: the service on loopback and the in-process engine, both with a fixed clock."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import requests

from cds_service import terminology
from cds_service.content import loader as content
from cds_service.pipeline import Engine

AS_OF = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ROOT = Path(__file__).parent.parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow suites run only when they are asked for by name (``-m slow``)."""
    if config.getoption("-m"):
        return
    skipped = pytest.mark.skip(reason="slow: run it with -m slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skipped)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a skipped browser or database test is a failure: the machine was meant to have it."""
    if os.environ.get("CI_STRICT") != "1":
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = [
        r
        for r in reporter.stats.get("skipped", [])
        if "slow:" not in str(r.longrepr) and "specification section 4" not in str(r.longrepr)
    ]
    if skipped:
        reporter.write_line(
            f"\nCI_STRICT: {len(skipped)} tests were skipped that must run here", red=True
        )
        for report in skipped:
            reporter.write_line(f"  {report.nodeid}: {report.longrepr}", red=True)
        session.exitstatus = 1


@dataclass(frozen=True, slots=True)
class Running:
    """A service that answers on loopback."""

    url: str
    process: subprocess.Popen[bytes]

    def get(self, path: str, **options: object) -> requests.Response:
        return requests.get(self.url + path, timeout=10, **options)

    def post(self, path: str, **options: object) -> requests.Response:
        return requests.post(self.url + path, timeout=10, **options)

    def request(self, method: str, path: str, **options: object) -> requests.Response:
        return requests.request(method, self.url + path, timeout=10, **options)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def run_service(data_dir: Path, **environ: str) -> Iterator[Running]:
    """Start the real server (granian) with the clock fixed at AS_OF; ``environ`` sets NALTREXONE_CDS_* variables."""
    port = free_port()
    env = {
        **os.environ,
        "NALTREXONE_CDS_PORT": str(port),
        "NALTREXONE_CDS_DATA_DIR": str(data_dir),
        **({} if "NALTREXONE_CDS_SETTINGS" in environ else {"NALTREXONE_CDS_WORKERS": "1"}),
        **environ,
    }
    with (data_dir / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.serving"], cwd=ROOT, env=env, stdout=log, stderr=log
        )
    running = Running(f"http://127.0.0.1:{port}", process)
    try:
        _wait_until_up(running, data_dir)
        yield running
    finally:
        process.terminate()
        process.wait(timeout=15)


def _wait_until_up(running: Running, data_dir: Path) -> None:
    for _ in range(200):
        if running.process.poll() is not None:
            break
        with contextlib.suppress(requests.RequestException):
            if requests.get(running.url + "/cds-services", timeout=2).status_code in {200, 401}:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the service did not start: {(data_dir / 'log.txt').read_text()[-2000:]}")


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with run_service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The in-process engine: real terminology and content."""
    return Engine(
        terminology.load(),
        content.load(),
        ZoneInfo("UTC"),
        "http://127.0.0.1:8000",
        lambda: str(uuid.uuid4()),
    )


@pytest.fixture(scope="session")
def as_of() -> datetime:
    return AS_OF
