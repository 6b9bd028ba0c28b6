"""What 5,000 idle or slow sockets do to hook calls and health, without a proxy.

``python -m tests.load.sockets`` serves the production profile (signed tokens, SQLite, one worker, a health port) and
measures hook calls and both ways to ask for health: alone, and beside each kind of crowd. ``--against FOLDER`` serves
another checkout too. A crowd opens its sockets anew as soon as they are cut, so it stays as large as it can.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from pathlib import Path

import click
import requests
from rich.console import Console
from rich.table import Table

from tests.bench import bodies, load, servers
from tests.bench.tokens import Signer, write_site
from tests.conftest import ROOT, free_port

_POST = (
    b"POST " + load.PATH.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
)
CROWDS: Mapping[str, tuple[bytes, bytes]] = {  # what a socket says at once, and then every second
    "silent": (b"", b""),
    "half a header": (_POST, b""),
    "dripping header": (_POST, b"X"),
    "dripping body without token": (_POST + b"Content-Length: 20000\r\n\r\n{", b" "),
}
_out = Console(width=130, highlight=False)


@dataclass(frozen=True, slots=True)
class Found:
    """Latencies in ms, and how many of the calls were not answered with 200 in 5 s."""

    latencies: tuple[float, ...]
    failed: int

    def __str__(self) -> str:
        if not self.latencies:
            return f"none answered, {self.failed} failed"
        middle, worst = self.latencies[len(self.latencies) // 2], self.latencies[-1]
        return f"{middle:.1f} / {worst:.1f}" + (f", {self.failed} failed" if self.failed else "")


# --- the crowd, a process of its own ------------------------------------------------------------------------------------


async def _stay(port: int, first: bytes, drop: bytes) -> None:
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(first)
                await _drip(reader, writer, drop)
            finally:
                writer.close()
        await asyncio.sleep(1)


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, drop: bytes) -> None:
    """Until we are cut."""
    while True:
        with contextlib.suppress(TimeoutError):
            if not await asyncio.wait_for(reader.read(4_096), 1):
                return
        if drop:
            writer.write(drop)


def _crowd(port: int, number: int, first: bytes, drop: bytes, there: Event) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

    async def all_of_them() -> None:
        each = []
        for count in range(number):
            each.append(asyncio.create_task(_stay(port, first, drop)))
            if count % 100 == 99:
                await asyncio.sleep(0.02)
        there.set()
        await asyncio.gather(*each)

    asyncio.run(all_of_them())


@contextlib.contextmanager
def crowd(port: int, number: int, kind: str) -> Iterator[None]:
    """So many sockets of a kind beside what is done meanwhile."""
    there = multiprocessing.Event()
    process = multiprocessing.Process(
        target=_crowd, args=(port, number, *CROWDS[kind], there), daemon=True
    )
    process.start()
    there.wait(60)
    time.sleep(1)
    try:
        yield
    finally:
        process.kill()
        process.join()


# --- those who are to be left alone -------------------------------------------------------------------------------------


def hook_calls(port: int, signer: Signer, number: int) -> Found:
    """One call after the other, each on a connection of its own."""
    sent = bodies.calls(20, datetime.now(UTC).date(), ours=True)
    return _timed(
        lambda turn: requests.post(
            f"http://127.0.0.1:{port}{load.PATH}",
            data=sent[turn % len(sent)],
            timeout=5,
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Bearer {signer.token(load.PATH)}",
            },
        ),
        number,
    )


def health(port: int, number: int) -> Found:
    return _timed(lambda _turn: requests.get(f"http://127.0.0.1:{port}/livez", timeout=5), number)


def _timed(call: object, number: int) -> Found:
    latencies, failed = [], 0
    for turn in range(number):
        if failed > 3:
            break
        begun = time.perf_counter()
        try:
            ok = call(turn).status_code == 200  # type: ignore[operator]
        except requests.RequestException:
            ok = False
        if ok:
            latencies.append(1e3 * (time.perf_counter() - begun))
        failed += not ok
        time.sleep(0.02)
    return Found(tuple(sorted(latencies)), failed)


@click.command(help=__doc__)
@click.option("--sockets", default=5_000)
@click.option("--calls", default=150, help="Hook calls beside each crowd.")
@click.option("--against", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--crowds", default=",".join(CROWDS))
def main(sockets: int, calls: int, against: Path | None, crowds: str) -> None:
    table = Table(
        "served", f"beside {sockets} sockets", "hook p50 / worst ms", "/livez ms", "health door ms"
    )
    for name, version in [("now", ROOT), *([("before", against.resolve())] if against else [])]:
        with ExitStack() as running:
            folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
            signer, health_port = Signer("RS384"), free_port()
            own = {} if against and version != ROOT else {"health_port": json.dumps(health_port)}
            server = running.enter_context(
                servers.serve(
                    "site",
                    servers.SERVICE,
                    folder,
                    version=version,
                    toml=write_site(folder, signer),
                    **own,
                )
            )
            hook_calls(server.port, signer, 50)
            for kind in ["nobody", *crowds.split(",")]:
                with (
                    crowd(server.port, sockets, kind)
                    if kind in CROWDS
                    else contextlib.nullcontext()
                ):
                    row = [hook_calls(server.port, signer, calls), health(server.port, 30)]
                    if own:
                        row.append(health(health_port, 30))
                    table.add_row(name, kind, *map(str, row))
                time.sleep(2)
    _out.print(table)


if __name__ == "__main__":
    main()
