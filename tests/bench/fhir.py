"""Weigh what reading the record costs: the same calls with everything prefetched, and with nothing.

``python -m tests.bench.fhir`` runs the production profile (signed tokens, SQLite) against a FHIR server that speaks
real TLS in a process of its own, so that only the service's CPU is counted: seven queries a call (a patient, an
encounter, five searches). It prints CPU per call, what fetching adds, and the connections opened for each query.
``--against FOLDER`` serves another checkout in the same rounds. CPU and ratios hold on a busy machine; latencies do not.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import requests
from rich.console import Console
from rich.table import Table

from tests.bench import bodies, load, servers
from tests.bench.servers import Server
from tests.bench.tokens import Signer, write_site
from tests.conftest import ROOT
from tests.fhir_server import serve
from tests.tls import make_server_tls

QUERIES = 7
PATIENTS = 16
TOKEN = "bench-token"
_out = Console(width=120, highlight=False)


@dataclass(frozen=True, slots=True)
class Counted:
    """What the FHIR server saw so far."""

    connections: int
    queries: int


@dataclass(frozen=True, slots=True)
class Record:
    """The FHIR server's end of the line."""

    base: str
    certificate: Path
    line: Connection

    def counted(self) -> Counted:
        self.line.send("count")
        return Counted(*self.line.recv())


@dataclass(frozen=True, slots=True)
class Weighed:
    """One round: CPU ms a call, connections opened for each query (nan without queries), and what the load found."""

    cpu_ms: float
    opened: float
    sent: load.Sent


@dataclass(slots=True)
class Contender:
    name: str
    server: Server
    signer: Signer
    rounds: dict[str, list[Weighed]] = field(default_factory=dict)


def _serve_record(resources: list[Any], folder: str, line: Connection) -> None:
    tls, _ = make_server_tls(Path(folder), "localhost")
    with serve(resources, tls=tls, name="localhost", token=TOKEN) as server:
        line.send(server.base_url)
        while line.recv():
            line.send((server.connections, len(server.seen)))


@contextmanager
def run_record(resources: list[Any], folder: Path) -> Iterator[Record]:
    """A FHIR server over TLS in a process of its own."""
    mine, theirs = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(
        target=_serve_record, args=(resources, str(folder), theirs), daemon=True
    )
    process.start()
    try:
        yield Record(mine.recv(), folder / "cert.pem", mine)
    finally:
        mine.send("")
        process.join(10)


def make_calls(now: datetime) -> tuple[list[bytes], list[Any]]:
    """Calls that bring everything along, and the resources they bring."""
    prefetched = bodies.calls(20, now.date(), number=PATIENTS)
    held: list[Any] = []
    for body in prefetched:
        for answer in json.loads(body)["prefetch"].values():
            entries = (
                answer.get("entry", [])
                if answer["resourceType"] == "Bundle"
                else [{"resource": answer}]
            )
            held += [entry["resource"] for entry in entries]
    return prefetched, held


def without_prefetch(body: bytes, base: str) -> bytes:
    """The same call of a client that sends no prefetch but lets us read its FHIR server."""
    call = {name: value for name, value in json.loads(body).items() if name != "prefetch"}
    authorization = {
        "access_token": TOKEN,
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.read",
        "subject": "cds",
    }
    return json.dumps({**call, "fhirServer": base, "fhirAuthorization": authorization}).encode()


@click.command(help=__doc__)
@click.option("--rounds", default=4, help="Rounds that count; the median is shown.")
@click.option("--calls", default=150, help="Calls a round.")
@click.option("--connections", default="1,8", help="Concurrent callers.")
@click.option(
    "--against",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Another checkout.",
)
def main(rounds: int, calls: int, connections: str, against: Path | None) -> None:
    prefetched, held = make_calls(datetime.now(UTC))
    versions = {"now": ROOT, **({"before": against.resolve()} if against else {})}
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        record = running.enter_context(run_record(held, folder))
        sent = {
            "prefetched": prefetched,
            "fetched": [without_prefetch(body, record.base) for body in prefetched],
        }
        contenders = [
            running.enter_context(_serving(name, version, folder, record))
            for name, version in versions.items()
        ]
        for contender in contenders:
            _must_agree(contender, sent)
        for number in map(int, connections.split(",")):
            for contender in contenders:
                contender.rounds = {kind: [] for kind in sent}
            for turn in range(rounds + 1):
                for kind, some in sent.items():
                    for contender in contenders:
                        found = _round(contender, record, some, number, calls)
                        if turn:
                            contender.rounds[kind].append(found)
            _show(contenders, number)


@contextmanager
def _serving(name: str, version: Path, folder: Path, record: Record) -> Iterator[Contender]:
    signer = Signer("RS384")
    site = folder / f"site-{name}"
    site.mkdir()
    toml = write_site(site, signer, fhir_base=record.base, version=version)
    os.environ["SSL_CERT_FILE"] = str(record.certificate)
    with servers.serve(name, servers.SERVICE, folder, version=version, toml=toml) as server:
        yield Contender(name, server, signer)


def _must_agree(contender: Contender, sent: dict[str, list[bytes]]) -> None:
    """A reading that fails is cheap: both kinds of call must come to the same cards."""
    said = []
    for kind in sent:
        answer = requests.post(
            f"http://127.0.0.1:{contender.server.port}{load.PATH}",
            data=sent[kind][0],
            timeout=10,
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Bearer {contender.signer.token(load.PATH)}",
            },
        )
        said.append([(card["indicator"], card["summary"]) for card in answer.json()["cards"]])
    if not said[0] or said[0] != said[1]:
        raise RuntimeError(
            f"{contender.name}: prefetched and fetched calls are answered differently: {said}"
        )


def _round(
    contender: Contender, record: Record, some: Sequence[bytes], connections: int, calls: int
) -> Weighed:
    tokens = [contender.signer.token(load.PATH) for _ in range(calls)]
    seen, before = record.counted(), contender.server.cpu()
    sent = load.send(contender.server.port, some, tokens, connections=connections, calls=calls)
    time.sleep(0.5)  # the audit writer and the log finish
    spent, now = contender.server.cpu() - before, record.counted()
    if sent.failed:
        raise RuntimeError(
            f"{contender.name}: {sent.failed} of {calls} calls were not answered with 200"
        )
    queries = now.queries - seen.queries
    opened = (now.connections - seen.connections) / queries if queries else float("nan")
    return Weighed(1e3 * spent / calls, opened, sent)


def _show(contenders: Sequence[Contender], connections: int) -> None:
    table = Table(
        "version",
        "call",
        "CPU ms a call",
        "fetching adds",
        "a query",
        "connections / queries",
        "p50 ms",
        "p99 ms",
        title=f"{connections} connection(s), closed loop, 1 worker, {QUERIES} queries a fetched call",
    )
    for contender in contenders:
        plain = statistics.median(each.cpu_ms for each in contender.rounds["prefetched"])
        for kind, found in contender.rounds.items():
            cpu = statistics.median(each.cpu_ms for each in found)
            latencies = load.Sent(
                0, 0, 1, tuple(sorted(s for each in found for s in each.sent.latencies))
            )
            fetched = kind == "fetched"
            table.add_row(
                contender.name,
                kind,
                f"{cpu:.2f}",
                f"{cpu - plain:.2f}" if fetched else "",
                f"{(cpu - plain) / QUERIES:.2f}" if fetched else "",
                f"{statistics.mean(each.opened for each in found):.3f}" if fetched else "",
                f"{latencies.percentile(0.5):.1f}",
                f"{latencies.percentile(0.99):.1f}",
            )
        table.add_section()
    _out.print(table)


if __name__ == "__main__":
    main()
