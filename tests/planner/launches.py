"""A flood of launches in a process of its own, and a server that is not ours to send it to.

An open loop: so many launches a second are due, whoever waits, each over a connection of its own and without a cookie.
``python -m tests.planner.launches FILE`` sends what the file asks for and prints counts; ``... sink PORT`` is the server.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlencode

from tests.conftest import free_port

SECONDS = 12.0  # that a launch waits for its answer
_MOST_WAITING = 2_000
NOT_ANSWERED = "not answered"
_SINK = b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Flood:
    """``rate`` launches a second for ``seconds``, of the issuers in turn, from the addresses in turn."""

    port: int
    issuers: tuple[str, ...]
    rate: float
    seconds: float
    addresses: tuple[str, ...] = ("127.0.0.2",)


class Sending:
    """The process that sends; ``counts`` after its end: how they were answered -> launches."""

    def __init__(self, flood: Flood, folder: Path) -> None:
        file = folder / "flood.json"
        file.write_text(json.dumps(asdict(flood)))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.planner.launches", str(file)], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it has begun

    def counts(self) -> Counter[str]:
        out, _ = self._process.communicate(timeout=120)
        return Counter(json.loads(out))


@contextmanager
def sink() -> Iterator[int]:
    """The port of a server that is not ours and answers everything at once."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.planner.launches", "sink", str(port)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


# --- in the process ---------------------------------------------------------------------------------------------------


async def _launch(flood: Flood, number: int) -> str:
    """How one launch was answered: "admitted" to a sign-in, "sent back" to come again, or the status."""
    query = urlencode({"iss": flood.issuers[number % len(flood.issuers)], "launch": "x"})
    address = flood.addresses[number % len(flood.addresses)]
    reader, writer = await asyncio.open_connection("127.0.0.1", flood.port, local_addr=(address, 0))
    try:
        writer.write(
            f"GET /smart/launch?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        )
        head, _, _ = (await reader.read()).partition(b"\r\n\r\n")
        status = head.split(maxsplit=2)[1].decode()
        return status if status != "302" else "sent back" if b"&turn=" in head else "admitted"
    finally:
        writer.close()


async def _send(flood: Flood) -> Counter[str]:
    counts: Counter[str] = Counter()
    waiting: set[asyncio.Task[None]] = set()

    async def one(number: int) -> None:
        try:
            counts[await asyncio.wait_for(_launch(flood, number), SECONDS)] += 1
        except (OSError, TimeoutError, IndexError):
            counts[NOT_ANSWERED] += 1

    print("begun", flush=True)  # noqa: T201 - to the process that started this one
    begun = time.perf_counter()
    for number in range(int(flood.rate * flood.seconds)):
        if (ahead := begun + number / flood.rate - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        if len(waiting) >= _MOST_WAITING:
            counts[NOT_ANSWERED] += 1
            continue
        waiting.add(task := asyncio.create_task(one(number)))
        task.add_done_callback(waiting.discard)
    await asyncio.gather(*waiting)
    return counts


async def _serve_sink(port: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_SINK)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=2_048)
    print("begun", flush=True)  # noqa: T201 - to the process that started this one
    await server.serve_forever()


def _main(what: str, *more: str) -> None:
    if what == "sink":
        asyncio.run(_serve_sink(int(more[0])))
        return
    asked = json.loads(Path(what).read_text())
    counts = asyncio.run(
        _send(
            Flood(
                asked["port"],
                tuple(asked["issuers"]),
                asked["rate"],
                asked["seconds"],
                tuple(asked["addresses"]),
            )
        )
    )
    print(json.dumps(counts))  # noqa: T201 - the same


if __name__ == "__main__":
    _main(*sys.argv[1:])
