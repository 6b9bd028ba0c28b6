"""How large one worker grows over many calls that differ, and how long it takes to start.

``python -m tests.load.memory`` sends 50,000 order-select calls with five to twelve medicines each, whose names, codes,
strengths and directions are new in every third call, and prints the resident size on the way. Three starts are timed.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import click
import orjson
from rich.console import Console

from tests.bench import bodies, load, servers

CHUNK = 2_500
_out = Console(width=120, highlight=False)


def varied(number: int, chance: random.Random, today: date) -> bytes:
    """The body of one call; a third of them name medicines that nobody has named before."""
    new = number % 3 == 0
    texts = [bodies.OXYCODONE]
    for _ in range(chance.randint(4, 11)):
        name = chance.choice(bodies.COMMON)
        written = f"{name} {chance.randrange(10**9):x}" if new else name
        texts.append(
            (
                written,
                str(chance.randrange(10**9)),
                f"{chance.choice(bodies.SIGS)} {number if new else ''}",
            )
        )
    return orjson.dumps(bodies.call(number, texts, today, ours=number % 2 == 0))


@contextlib.contextmanager
def serving() -> Iterator[servers.Server]:
    with tempfile.TemporaryDirectory() as folder:
        toml = Path(folder) / "settings.toml"
        toml.write_text("[limits]\nrequests_per_minute = 0\n", encoding="ascii")
        with servers.serve("site", servers.SERVICE, Path(folder), toml=toml) as server:
            yield server


def seconds_to_start() -> float:
    """From the command to the first answer, in a new data folder."""
    begun = time.perf_counter()
    with serving() as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("GET", "/readyz")
        connection.getresponse().read()
        return time.perf_counter() - begun


@click.command(help=__doc__)
@click.option("--calls", default=50_000)
@click.option("--starts", default=3)
def main(calls: int, starts: int) -> None:
    chance, today, failed = random.Random(7), datetime.now(UTC).date(), 0
    if starts:
        _out.print(f"start: {statistics.median(seconds_to_start() for _ in range(starts)):.2f} s")
    with serving() as server:
        _out.print(f"0 calls: {server.memory():.0f} MB", soft_wrap=True)
        for first in range(1, calls + 1, CHUNK):
            some = [
                varied(number, chance, today)
                for number in range(first, min(first + CHUNK, calls + 1))
            ]
            failed += load.send(server.port, some, (), connections=8, calls=len(some)).failed
            if first % 10_000 == 1 or first + CHUNK > calls:
                _out.print(
                    f"{first - 1 + len(some)} calls: {server.memory():.0f} MB, {failed} failed"
                )


if __name__ == "__main__":
    main()
