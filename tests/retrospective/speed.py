"""How fast a replay is, beside the naive way: ``python -m tests.retrospective.speed --patients 20000``.

The naive way puts every order, whatever it is, as a hook call with the whole chart of that moment through the pipeline;
it is timed on a sample of patients. Seconds of CPU are those of the replay and its workers.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from cds_service.pipeline import answer
from cds_service.retrospective.chart import SERVICE
from cds_service.retrospective.history import read_when
from cds_service.retrospective.run import Plan, make_court, replay
from tests.burden.patients import hook_call
from tests.retrospective.generate import FIRST, LAST, Style, truths, write


def cpu() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def timed(work: Callable[[], int]) -> tuple[int, float, float]:
    """(orders, seconds, seconds of CPU)."""
    began, spent = time.perf_counter(), cpu()
    orders = work()
    return orders, time.perf_counter() - began, cpu() - spent


def naive(plan: Plan, patients: int) -> int:
    engine = make_court(plan, b"", {}, {}).engine
    count = 0
    for resources, _ in islice(truths(7, patients, Style.CLEAN), patients):
        orders = [r for r in resources if r["resourceType"] == "MedicationRequest"]
        for order in orders:
            when = read_when(order["authoredOn"], engine.zone)
            assert when is not None
            before = [r for r in orders if r["authoredOn"] < order["authoredOn"]]
            body = hook_call({**order, "status": "draft"}, before, [], "naive")
            body["context"]["patientId"] = order["subject"]["reference"].partition("/")[2]
            answer(body, SERVICE, engine, when.instant)
            count += 1
    return count


@click.command(help=__doc__)
@click.option("--patients", default=20_000, show_default=True)
@click.option("--processes", default=2, show_default=True)
@click.option("--sample", default=300, show_default=True, help="Patients of the naive way.")
def main(patients: int, processes: int, sample: int) -> None:
    table = Table(
        "Way",
        "Patients",
        "Orders",
        "Seconds",
        "CPU seconds",
        "Orders a CPU second",
        "CPU s for 2 million",
    )
    with tempfile.TemporaryDirectory() as folder:
        for number in (patients // 2, patients):
            export = Path(folder) / f"in-{number}"
            write(export, 7, number, Style.CLEAN)
            lines = sum(1 for _ in (export / "MedicationRequest.ndjson").open(encoding="utf-8"))
            plan = Plan(export, Path(folder) / f"out-{number}", FIRST, LAST, processes=processes)
            _add(
                table,
                "replay",
                number,
                timed(lambda plan=plan, lines=lines: replay(plan) and lines),
            )
        _add(table, "naive", sample, timed(lambda: naive(plan, sample)))
    Console(width=120).print(table)


def _add(table: Table, way: str, patients: int, spent: tuple[int, float, float]) -> None:
    orders, seconds, used = spent
    table.add_row(
        way,
        f"{patients:,}",
        f"{orders:,}",
        f"{seconds:.1f}",
        f"{used:.1f}",
        f"{orders / used:,.0f}",
        f"{2e6 * used / orders:,.0f}",
    )


if __name__ == "__main__":
    main()
