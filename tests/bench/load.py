"""Send calls: closed loop (each connection sends when it was answered) and open loop (calls arrive, whoever waits).

Both run in a process of their own on the last processor. A closed loop slows down with the server and hides the waiting;
the open loop counts a latency from the moment at which a call was due.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

PATH = "/cds-services/naltrexone-order-select"


@dataclass(frozen=True, slots=True)
class Sent:
    """What a load found: calls answered with 200, others, seconds it took, sorted latencies in seconds."""

    answered: int
    failed: int
    seconds: float
    latencies: tuple[float, ...]

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds; nan where nothing was answered."""
        return (
            1e3 * self.latencies[min(int(len(self.latencies) * share), len(self.latencies) - 1)]
            if self.latencies
            else float("nan")
        )


def send(
    port: int,
    bodies: Sequence[bytes],
    tokens: Sequence[str],
    *,
    connections: int,
    calls: int,
    rate: float = 0,
    path: str = PATH,
) -> Sent:
    """``calls`` calls over ``connections`` keep-alive connections; with ``rate`` > 0 an open loop of so many a second."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "load.json"
        file.write_text(
            json.dumps(
                {
                    "port": port,
                    "connections": connections,
                    "calls": calls,
                    "rate": rate,
                    "path": path,
                    "tokens": list(tokens),
                    "bodies": [b.decode() for b in bodies],
                }
            )
        )
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.load", str(file)],
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
    found = json.loads(done.stdout)
    return Sent(found["answered"], found["failed"], found["seconds"], tuple(found["latencies"]))


# --- the process that sends ---------------------------------------------------------------------------------------------


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> bool:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    size = int(lower.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    await reader.readexactly(size)
    return head.startswith(b"HTTP/1.1 200")


def _requests(bodies: Sequence[bytes], tokens: Sequence[str], path: str) -> Iterator[bytes]:
    signed: Iterator[str] = iter(tokens) if tokens else cycle([""])
    for body, token in zip(cycle(bodies), signed, strict=False):
        bearer = f"Authorization: Bearer {token}\r\n" if token else ""
        yield (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{bearer}"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body


async def _closed(
    port: int, requests: Iterator[bytes], connections: int, calls: int
) -> tuple[list[float], int]:
    latencies: list[float] = []
    left, failed = calls, 0

    async def one() -> None:
        nonlocal left, failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0:
            left -= 1
            request = next(requests)
            started = time.perf_counter()
            ok = await _exchange(reader, writer, request)
            latencies.append(time.perf_counter() - started)
            failed += not ok
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return latencies, failed


async def _open(
    port: int, requests: Iterator[bytes], connections: int, calls: int, rate: float
) -> tuple[list[float], int]:
    latencies: list[float] = []
    failed = 0
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))

    async def one(request: bytes, due: float) -> None:
        nonlocal failed
        connection = await free.get()
        failed += not await _exchange(*connection, request)
        latencies.append(time.perf_counter() - due)
        free.put_nowait(connection)

    start = time.perf_counter()
    tasks = []
    for number in range(calls):
        due = start + number / rate
        if (ahead := due - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        tasks.append(asyncio.create_task(one(next(requests), due)))
    await asyncio.gather(*tasks)
    return latencies, failed


def _main(file: str) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    asked = json.loads(Path(file).read_text())
    requests = _requests([b.encode() for b in asked["bodies"]], asked["tokens"], asked["path"])
    started = time.perf_counter()
    loop = (
        _open(asked["port"], requests, asked["connections"], asked["calls"], asked["rate"])
        if asked["rate"]
        else _closed(asked["port"], requests, asked["connections"], asked["calls"])
    )
    latencies, failed = asyncio.run(loop)
    seconds = time.perf_counter() - started
    json.dump(
        {
            "answered": len(latencies) - failed,
            "failed": failed,
            "seconds": seconds,
            "latencies": sorted(latencies),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    _main(sys.argv[1])
