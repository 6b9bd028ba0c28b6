"""Weigh the service as hospitals run it: production profile, signed tokens, SQLite; beside the floors, in one run.

``python -m tests.bench`` prints CPU per request (user and system, all processes of the server), throughput and latencies
at 1, 16 and 64 connections for three bodies: naltrexone drafted with 20 medicines (two cards), the same with a draft that
is none of ours, and naltrexone with 300 medicines. ``--against FOLDER`` serves another checkout in the same rounds and
prints the ratio. ``--rate`` adds an open loop, whose latencies include the waiting. Nothing but loopback and a temporary
folder is touched. Ratios and CPU hold on a busy machine; wall times do not.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.bench import bodies, load, servers, steps
from tests.bench.servers import Server
from tests.bench.tokens import Signer, write_site
from tests.conftest import ROOT
from tests.vignettes.releases import RELEASES

BODIES = {"ours, 20": (20, True), "not ours, 20": (20, False), "ours, 300": (300, True)}
PROFILES = ("production RS384", "production ES384", "demo", "floor Flask", "floor WSGI")
_out = Console(width=132, highlight=False)


@dataclass(frozen=True, slots=True)
class Contender:
    """One application in the run; ``signer`` where its calls carry tokens."""

    name: str
    server: Server
    signer: Signer | None = None

    def tokens(self, number: int) -> list[str]:
        return [self.signer.token(load.PATH) for _ in range(number)] if self.signer else []


@dataclass(frozen=True, slots=True)
class Weighed:
    """One round: CPU ms per request, and what the load found."""

    cpu_ms: float
    sent: load.Sent


@click.command(help=__doc__)
@click.option(
    "--rounds",
    default=3,
    help="Rounds per contender, body and number of connections; the median counts.",
)
@click.option("--connections", default="1,16,64")
@click.option(
    "--against",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Another checkout.",
)
@click.option(
    "--profiles",
    default=",".join(PROFILES),
    help="Which of: " + ", ".join(PROFILES) + ", production PostgreSQL.",
)
@click.option("--only", default="", help="One body: " + ", ".join(BODIES))
@click.option("--postgres", default="", help="SQLAlchemy URL for the PostgreSQL profile.")
@click.option(
    "--rate",
    default=0.0,
    help="Calls a second of an open loop on the production profile, 64 connections.",
)
@click.option("--calls", default=0, help="Calls a round; 0 = by body and connections.")
@click.option(
    "--inside/--no-inside",
    default=False,
    help="Also the steps, a profile and validation in this process.",
)
def main(  # noqa: PLR0913 - one option each
    rounds: int,
    connections: str,
    against: Path | None,
    profiles: str,
    only: str,
    postgres: str,
    rate: float,
    calls: int,
    *,
    inside: bool,
) -> None:
    now = datetime.now(UTC)
    sent = {
        name: bodies.calls(size, now.date(), ours=ours)
        for name, (size, ours) in BODIES.items()
        if not only or name == only
    }
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        contenders = [
            running.enter_context(_Serving(name, version, Path(folder), postgres))
            for name, version in _lineup(profiles.split(","), against)
        ]
        for number in map(int, connections.split(",")):
            found = weigh(contenders, sent, rounds, number, calls)
            _show(found, sent, number)
        if rate:
            _show_open_loop(contenders, sent, rate)
        for each in contenders:
            _out.print(f"{each.name}: {each.server.memory():.0f} MB resident")
    if inside:
        _show_steps(
            {BODIES[name][0]: calls_ for name, calls_ in sent.items() if BODIES[name][1]}, now
        )
        _show_validation()


def _lineup(profiles: Sequence[str], against: Path | None) -> Iterator[tuple[str, Path]]:
    for name in profiles:
        yield name, ROOT
        if against and not name.startswith("floor"):
            yield f"{name} (before)", against.resolve()


class _Serving:
    """A contender that runs while the context lasts."""

    def __init__(self, name: str, version: Path, folder: Path, postgres: str) -> None:
        self.name, self.version, self.folder, self.postgres = name, version, folder, postgres
        self._running = ExitStack()

    def __enter__(self) -> Contender:
        kind = self.name.removesuffix(" (before)")
        if kind.startswith("production"):
            signer = Signer("ES384" if kind.endswith("ES384") else "RS384")
            place = self.folder / f"site-{self.name.replace(' ', '-')}"
            place.mkdir()
            url = self.postgres if kind.endswith("PostgreSQL") else ""
            toml = write_site(place, signer, url, version=self.version)
            served = servers.serve(
                self.name, servers.SERVICE, self.folder, version=self.version, toml=toml
            )
            return Contender(self.name, self._running.enter_context(served), signer)
        target = {"floor Flask": servers.FLASK, "floor WSGI": servers.WSGI}.get(
            kind, servers.SERVICE
        )
        served = servers.serve(self.name, target, self.folder, version=self.version)
        return Contender(self.name, self._running.enter_context(served))

    def __exit__(self, *_: object) -> None:
        self._running.close()


Found = Mapping[tuple[str, str], list[Weighed]]


def weigh(
    contenders: Sequence[Contender],
    sent: Mapping[str, list[bytes]],
    rounds: int,
    connections: int,
    calls: int,
) -> Found:
    """Every contender and body in turn, ``rounds`` times over, after a first round that only warms up."""
    found: dict[tuple[str, str], list[Weighed]] = {
        (c.name, body): [] for c in contenders for body in sent
    }
    for turn in range(rounds + 1):
        for body, some in sent.items():
            number = calls or (120 if BODIES[body][0] > 100 else 400) * (
                2 if connections > 1 else 1
            )
            for contender in contenders:
                each = _round(contender, some, number, connections)
                if turn:
                    found[contender.name, body].append(each)
    return found


def _round(contender: Contender, some: list[bytes], number: int, connections: int) -> Weighed:
    tokens = contender.tokens(number)
    before = contender.server.cpu()
    sent = load.send(contender.server.port, some, tokens, connections=connections, calls=number)
    _settle(contender.server)
    if sent.failed:
        raise RuntimeError(
            f"{contender.name}: {sent.failed} of {number} calls were not answered with 200"
        )
    return Weighed(1e3 * (contender.server.cpu() - before) / number, sent)


def _settle(server: Server) -> None:
    """Wait until the audit writer and the log have finished what they owe these requests."""
    last = -1.0
    for _ in range(20):
        time.sleep(0.15)
        if (now := server.cpu()) - last < 0.011:
            return
        last = now


def _show(found: Found, sent: Mapping[str, list[bytes]], connections: int) -> None:
    _out.print(f"\n[bold]{connections} connection(s)[/bold], closed loop, granian, 1 worker")
    table = Table(
        "body",
        "kB",
        "application",
        "CPU ms",
        "of floor Flask",
        "of before",
        "calls/s",
        "p50 ms",
        "p99 ms",
    )
    names = list(dict.fromkeys(name for name, _ in found))
    for body, some in sent.items():
        cpu = {name: statistics.median(w.cpu_ms for w in found[name, body]) for name in names}
        for name in names:
            rounds = found[name, body]
            whole = load.Sent(0, 0, 1, tuple(sorted(s for w in rounds for s in w.sent.latencies)))
            floor, before = cpu.get("floor Flask"), cpu.get(f"{name} (before)")
            table.add_row(
                body,
                f"{len(some[0]) / 1e3:.0f}",
                name,
                f"{cpu[name]:.2f}",
                f"{cpu[name] / floor:.2f}" if floor else "",
                f"{cpu[name] / before:.2f}" if before else "",
                f"{statistics.median(w.sent.per_second for w in rounds):.0f}",
                f"{whole.percentile(0.5):.1f}",
                f"{whole.percentile(0.99):.1f}",
            )
        table.add_section()
    _out.print(table)


def _show_open_loop(
    contenders: Sequence[Contender], sent: Mapping[str, list[bytes]], rate: float
) -> None:
    _out.print(
        f"\n[bold]Open loop, {rate:.0f} calls a second[/bold] for 10 s, 64 connections; latency from the moment "
        "at which a call was due"
    )
    table = Table("body", "application", "answered", "p50 ms", "p99 ms", "worst ms")
    for body, some in sent.items():
        for contender in contenders:
            number = int(rate * 10)
            done = load.send(
                contender.server.port,
                some,
                contender.tokens(number),
                connections=64,
                calls=number,
                rate=rate,
            )
            table.add_row(
                body,
                contender.name,
                str(done.answered),
                f"{done.percentile(0.5):.1f}",
                f"{done.percentile(0.99):.1f}",
                f"{done.percentile(1):.1f}",
            )
    _out.print(table)


def _show_steps(sent: Mapping[int, list[bytes]], now: datetime) -> None:
    engine = steps.make_engine()
    table = Table(
        "medicines",
        "words",
        *steps.STEPS,
        "sum",
        "per medicine",
        title="\nIn process, without a server: median CPU us per step",
    )
    for size, calls in sent.items():
        some = calls[: max(4, 320 // size)]
        known, new = steps.step_costs(some, engine, now), steps.first_costs(some[:4], engine, now)
        for words, costs in (("known", known), ("new", new)):
            whole = sum(costs.values())
            table.add_row(
                str(size),
                words,
                *(f"{1e6 * costs[step]:.0f}" for step in steps.STEPS),
                f"{1e6 * whole:.0f}",
                f"{1e6 * whole / size:.1f}",
            )
    _out.print(table)
    _out.print(
        "known: every drug text was seen before; new: nothing is remembered, each name is sought anew."
    )
    size = next(iter(sent))
    _out.print(
        f"\n[bold]Profile[/bold] of {size} medicines, words known (cProfile makes small functions look dearer)"
    )
    _out.print(steps.profile(sent[size][:20], engine, now), markup=False)


def _show_validation() -> None:
    _out.print(
        "\n[bold]Proof that one emitted resource is valid[/bold] (fhir.resources; DSTU2: our own schema), CPU us. "
        "The calls above delete a draft and so emit none."
    )
    table = Table("resource", *RELEASES)
    costs = steps.validation_costs()
    for name in dict.fromkeys(name for name, _ in costs):
        table.add_row(name, *(f"{1e6 * costs[name, release]:.0f}" for release in RELEASES))
    _out.print(table)


if __name__ == "__main__":
    main()
