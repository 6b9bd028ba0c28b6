"""Start one application on the service's own server (granian, one worker) and weigh the CPU time of all its processes.

``python -m tests.bench.servers TARGET`` serves one WSGI factory with the settings of the environment.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT, free_port

FULL, PLAIN, FAST = "cds_service.app:worker", "tests.bench.bare:plain", "tests.bench.bare:fast"
THREADS = 8
CONNECTIONS = 4
PATH = "/cds-services/naltrexone-order-select"
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of requests cost: CPU seconds of the server per request, and seconds of each request."""

    cpu: float
    latencies: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Server:
    """One running application; ``process`` leads a process group of its own."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    def cpu(self) -> float:
        """CPU seconds, user and system, of every process of the group so far."""
        return sum(_ticks(stat, self.process.pid) for stat in Path("/proc").glob("[0-9]*/stat")) / _TICK

    def run(self, bodies: list[bytes], requests: int) -> Round:
        """Send ``requests`` bodies in turn over keep-alive connections; every answer must be a 200 with a card."""
        latencies: list[float] = []
        before = self.cpu()
        shares = [bodies[i::CONNECTIONS] or bodies for i in range(CONNECTIONS)]
        threads = [threading.Thread(target=self._send, args=(share, requests // CONNECTIONS, latencies))
                   for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if len(latencies) != requests // CONNECTIONS * CONNECTIONS:
            raise RuntimeError(f"{self.name}: only {len(latencies)} of {requests} requests were answered with a card")
        time.sleep(0.6)                        # the audit writer and the log finish what they owe these requests
        return Round((self.cpu() - before) / len(latencies), tuple(latencies))

    def _send(self, bodies: list[bytes], number: int, latencies: list[float]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        for i in range(number):
            started = time.perf_counter()
            connection.request("POST", PATH, bodies[i % len(bodies)], {"Content-Type": "application/json"})
            response = connection.getresponse()
            if b'"cards":[{' not in response.read() or response.status != 200:
                return
            latencies.append(time.perf_counter() - started)
        connection.close()


def _ticks(stat: Path, group: int) -> int:
    with contextlib.suppress(OSError):
        fields = stat.read_text().rpartition(")")[2].split()
        if int(fields[2]) == group:
            return int(fields[11]) + int(fields[12])
    return 0


@contextlib.contextmanager
def serve(name: str, target: str, folder: Path, **settings: str) -> Iterator[Server]:
    """A server on a free loopback port with a data folder of its own; ``settings`` are settings by name."""
    data, port = folder / name.replace(" ", "-"), free_port()
    data.mkdir()
    wanted = {"port": str(port), "data_dir": str(data), "threads": str(THREADS), "workers": "1", **settings}
    environ = {**os.environ, **{f"NALTREXONE_CDS_{key.upper()}": value for key, value in wanted.items()}}
    with (data / "log.txt").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "tests.bench.servers", target], cwd=ROOT, env=environ,
                                   stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(port, process, data / "log.txt")
        yield Server(name, port, process)
    finally:
        process.terminate()
        process.wait(timeout=20)


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


if __name__ == "__main__":
    from cds_service import settings as configuration
    from cds_service.serving import run

    run(configuration.load_for_worker(), target=sys.argv[1])
