"""Start one application on the service's own server (granian, one worker) and weigh the CPU time of all its processes."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT, free_port

SERVICE, FLASK, WSGI = "cds_service.app:worker", "tests.bench.bare:fast", "tests.bench.bare:wsgi"
_TICK = os.sysconf("SC_CLK_TCK")
_START = (
    "from cds_service import settings; from cds_service.serving import run; import sys;"
    "run(settings.load_for_worker(), target=sys.argv[1])"
)


@dataclass(frozen=True, slots=True)
class Server:
    """One running application; ``process`` leads a process group of its own."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    def cpu(self) -> float:
        """CPU seconds, user and system, of every process of the group so far."""
        return (
            sum(_ticks(stat, self.process.pid) for stat in Path("/proc").glob("[0-9]*/stat"))
            / _TICK
        )

    def memory(self) -> float:
        """Resident MB of the largest process of the group."""
        sizes = [_pages(stat, self.process.pid) for stat in Path("/proc").glob("[0-9]*/stat")]
        return max(sizes, default=0) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _fields(stat: Path, group: int) -> list[str]:
    with contextlib.suppress(OSError):
        fields = stat.read_text().rpartition(")")[2].split()
        if int(fields[2]) == group:
            return fields
    return []


def _ticks(stat: Path, group: int) -> int:
    fields = _fields(stat, group)
    return int(fields[11]) + int(fields[12]) if fields else 0


def _pages(stat: Path, group: int) -> int:
    fields = _fields(stat, group)
    return int(fields[21]) if fields else 0


@contextlib.contextmanager
def serve(
    name: str,
    target: str,
    folder: Path,
    *,
    version: Path = ROOT,
    toml: Path | None = None,
    **settings: str,
) -> Iterator[Server]:
    """A server on a free loopback port with a data folder of its own.

    ``version`` is the checkout whose package is served, ``toml`` its settings file, ``settings`` single settings by name.
    """
    data, port = folder / name.replace(" ", "-"), free_port()
    data.mkdir()
    wanted = {"port": str(port), "data_dir": str(data), "workers": "1", **settings}
    environ = {
        **os.environ,
        **{f"NALTREXONE_CDS_{key.upper()}": value for key, value in wanted.items()},
        "PYTHONPATH": str(version),
    }
    if toml:
        environ["NALTREXONE_CDS_SETTINGS"] = str(toml)
    with (data / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, target],
            cwd=version,
            env=environ,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait(port, process, data / "log.txt")
        yield Server(name, port, process)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/")
            connection.getresponse().read()
            return
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start: {log.read_text()[-1000:]}")
