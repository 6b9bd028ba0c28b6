"""Feedback that is on the disk before 2xx: items a second on the journal itself and over HTTP, SQLite.

``python -m tests.bench.feedback`` weighs one item a call at 1 and 32 connections; ``--against FOLDER`` another checkout in
the same rounds. Each count comes from the rows that are in the store afterwards, not from the answers.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.bench import load, servers
from tests.conftest import ROOT

FEEDBACK = load.PATH + "/feedback"
_out = Console(width=120, highlight=False)
_JOURNAL = """
import sys, time, threading
from datetime import UTC, datetime
from uuid import uuid4
from cds_service.hooks.feedback import FeedbackItem
from cds_service.journal.feedback import FeedbackJournal
from cds_service.store.store import open_store
store = open_store("sqlite:///" + sys.argv[1])
journal, threads, each = FeedbackJournal(store, cards_recorded=True), int(sys.argv[2]), int(sys.argv[3])
now = datetime.now(UTC)
def items(n): return [FeedbackItem(service="naltrexone-order-select", card=str(uuid4()), outcome="accepted",
                                   outcome_timestamp=now) for _ in range(n)]
def work(some):
    for item in some: journal.record([item], issuer="https://ehr.example", now=now)
work(items(5))
sent = [items(each) for _ in range(threads)]
crew = [threading.Thread(target=work, args=(some,)) for some in sent]
begun = time.perf_counter()
for one in crew: one.start()
for one in crew: one.join()
print(threads * each / (time.perf_counter() - begun))
"""


def _body() -> bytes:
    item = {
        "card": str(uuid.uuid4()),
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-21T22:17:53Z",
    }
    return json.dumps({"feedback": [item]}).encode()


def in_process(version: Path, connections: int, each: int) -> float:
    """Items a second of threads that call the journal."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-c",
            _JOURNAL,
            str(Path(folder) / "store.sqlite3"),
            str(connections),
            str(each),
        ]
        done = subprocess.run(
            command,
            cwd=version,
            env={**os.environ, "PYTHONPATH": str(version)},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
    return float(done.stdout)


def over_http(version: Path, connections: int, calls: int) -> load.Sent:
    """What one worker keeps of calls over HTTP; RuntimeError where an acknowledged item is not in the store."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        toml = Path(name) / "settings.toml"
        toml.write_text("[limits]\nrequests_per_minute = 0\n")
        server = running.enter_context(
            servers.serve("feedback", servers.SERVICE, Path(name), version=version, toml=toml)
        )
        time.sleep(0.5)
        sent = load.send(
            server.port,
            [_body() for _ in range(calls)],
            (),
            connections=connections,
            calls=calls,
            path=FEEDBACK,
        )
        with closing(sqlite3.connect(Path(name) / "feedback" / "store.sqlite3")) as store:
            kept = store.execute("SELECT count(*) FROM feedback").fetchone()[0]
    if sent.failed or kept < sent.answered:
        raise RuntimeError(f"{sent.answered} acknowledged, {kept} kept")
    return sent


@click.command(help=__doc__)
@click.option("--rounds", default=3)
@click.option("--connections", default="1,32")
@click.option(
    "--against",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Another checkout.",
)
@click.option("--http/--no-http", default=True)
def main(rounds: int, connections: str, against: Path | None, *, http: bool) -> None:
    versions = {"now": ROOT} | ({"before": against.resolve()} if against else {})
    table = Table(
        "connections", "version", "journal items/s", "HTTP items/s", "HTTP p50 ms", "HTTP p99 ms"
    )
    for number in map(int, connections.split(",")):
        alone: dict[str, list[float]] = {name: [] for name in versions}
        whole: dict[str, list[load.Sent]] = {name: [] for name in versions}
        for _ in range(rounds):
            for name, version in versions.items():
                alone[name].append(in_process(version, number, 300 if number == 1 else 100))
                if http:
                    whole[name].append(over_http(version, number, 300 if number == 1 else 1_500))
        for name in versions:
            table.add_row(
                str(number), name, f"{statistics.median(alone[name]):.0f}", *_of_http(whole[name])
            )
    _out.print(table)


def _of_http(sent: Sequence[load.Sent]) -> list[str]:
    if not sent:
        return []
    every = load.Sent(0, 0, 1, tuple(sorted(s for one in sent for s in one.latencies)))
    speed = statistics.median(one.per_second for one in sent)
    return [f"{speed:.0f}", f"{every.percentile(0.5):.1f}", f"{every.percentile(0.99):.1f}"]


if __name__ == "__main__":
    main()
