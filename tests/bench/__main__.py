"""Weigh the full answer against a bare Flask view: same server, same bodies, same run, interleaved rounds.

``python -m tests.bench`` takes about three minutes and touches nothing but loopback and a temporary folder. The measure
is CPU time of the whole server process group per request; wall-clock latencies are printed for information only, because
the load generator shares the processors. Ratios are CPU(bare) / CPU(full): 0.4 means 40% of the bare view's throughput.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.bench import bodies, servers, steps
from tests.bench.servers import Round, Server
from tests.vignettes.releases import RELEASES

SIZES = (20, 100, 300)
REQUESTS = {20: 400, 100: 120, 300: 60}
AIM = 0.4
APPS = {"bare Flask": (servers.PLAIN, {}), "bare Flask + orjson": (servers.FAST, {}), "full": (servers.FULL, {}),
        "full, audit off": (servers.FULL, {"audit": "off"})}
_out = Console(width=118, highlight=False)

Costs = Mapping[tuple[str, int], list[Round]]


@dataclass(frozen=True, slots=True)
class Answered:
    """What one application needed for one size: CPU us per request over all rounds, latencies in ms."""

    cpu_us: float
    p50_ms: float
    p99_ms: float


@click.command(help=__doc__)
@click.option("--rounds", default=5, help="Rounds per application and size; the median counts.")
@click.option("--sizes", default=",".join(map(str, SIZES)), help="Numbers of current medicines.")
def main(rounds: int, sizes: str) -> None:
    numbers = tuple(int(size) for size in sizes.split(","))
    now = datetime.now(UTC)
    sent = {size: bodies.calls(size, now.date()) for size in numbers}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        apps = [running.enter_context(servers.serve(name, target, Path(folder), **settings))
                for name, (target, settings) in APPS.items()]
        costs = weigh(apps, sent, rounds)
    _show_servers({key: summarise(found) for key, found in costs.items()}, sent)
    _show_steps(sent, now)
    _show_validation()


def weigh(apps: list[Server], sent: Mapping[int, list[bytes]], rounds: int) -> Costs:
    """Every application and size in turn, ``rounds`` times over, after a first round that only warms up."""
    costs: dict[tuple[str, int], list[Round]] = {(app.name, size): [] for app in apps for size in sent}
    for turn in range(rounds + 1):
        for size, calls in sent.items():
            for app in apps:
                found = app.run(calls, REQUESTS.get(size, 100))
                if turn:
                    costs[app.name, size].append(found)
    return costs


def summarise(rounds: list[Round]) -> Answered:
    """Median CPU over the rounds; latencies over all requests."""
    latencies = sorted(1e3 * each for found in rounds for each in found.latencies)
    return Answered(1e6 * statistics.median(found.cpu for found in rounds),
                    statistics.median(latencies), latencies[len(latencies) * 99 // 100])


def _show_servers(found: Mapping[tuple[str, int], Answered], sent: Mapping[int, list[bytes]]) -> None:
    _out.print(f"\n[bold]CPU per request on the same server[/bold] (granian, 1 worker, {servers.THREADS} threads, "
               f"{servers.CONNECTIONS} keep-alive connections; demo profile, audit best-effort, log on)\n"
               "Another patient and hookInstance in every body; the medicines repeat, so recognition comes from memory "
               "(lru_cache of drugs).")
    table = Table("medicines", "body kB", "application", "CPU us", "of bare Flask", "of bare + orjson", "p50 ms",
                  "p99 ms")
    for size, calls in sent.items():
        for name in APPS:
            each = found[name, size]
            ratios = [f"{found[yardstick, size].cpu_us / each.cpu_us:.2f}" for yardstick in list(APPS)[:2]]
            table.add_row(str(size), f"{len(calls[0]) / 1e3:.0f}", name, f"{each.cpu_us:.0f}", *ratios,
                          f"{each.p50_ms:.1f}", f"{each.p99_ms:.1f}")
        table.add_section()
    _out.print(table)
    _show_aim(found, list(sent))


def _show_aim(found: Mapping[tuple[str, int], Answered], sizes: list[int]) -> None:
    ratio = found["bare Flask", sizes[0]].cpu_us / found["full", sizes[0]].cpu_us
    _out.print(f"Aim at {sizes[0]} medicines: at least {AIM} of bare Flask; measured {ratio:.2f}: "
               f"{'reached' if ratio >= AIM else 'NOT reached'}")
    for low, high in pairwise(sizes):
        more = (found["full", high].cpu_us - found["full", low].cpu_us) / (high - low)
        _out.print(f"Linear? {low} -> {high} medicines: {more:.1f} us per added medicine")


def _show_steps(sent: Mapping[int, list[bytes]], now: datetime) -> None:
    engine = steps.make_desk()
    table = Table("medicines", "words", *steps.STEPS, "sum", "per medicine",
                  title="\nIn process, without a server: median CPU us per step")
    for size, calls in sent.items():
        some = calls[:max(4, 320 // size)]
        known, new = steps.step_costs(some, engine, now), steps.first_costs(some[:4], engine, now)
        for words, costs in (("known", known), ("new", new)):
            whole = sum(costs.values())
            table.add_row(str(size), words, *(f"{1e6 * costs[step]:.0f}" for step in steps.STEPS),
                          f"{1e6 * whole:.0f}", f"{1e6 * whole / size:.1f}")
    _out.print(table)
    _out.print("known: every drug text was seen before; new: nothing is remembered, each name is sought anew.")
    size = next(iter(sent))
    _out.print(f"\n[bold]Profile[/bold] of {size} medicines, words known (cProfile makes small functions look dearer)")
    _out.print(steps.profile(sent[size][:20], engine, now), markup=False)


def _show_validation() -> None:
    _out.print("\n[bold]Proof that one emitted resource is valid[/bold] (fhir.resources; DSTU2: our own schema), CPU us. "
               "The calls above delete a draft and so emit none.")
    table = Table("resource", *RELEASES)
    costs = steps.validation_costs()
    for name in dict.fromkeys(name for name, _ in costs):
        table.add_row(name, *(f"{1e6 * costs[name, release]:.0f}" for release in RELEASES))
    _out.print(table)


if __name__ == "__main__":
    main()
