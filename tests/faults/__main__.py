"""``python -m tests.faults [NAME ...]``: every fault with every hook and every draft; exit 1 if one fails."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from tests.faults import of_store, of_world  # noqa: F401 - they register their faults
from tests.faults.site import HOOKS
from tests.faults.table import FAULTS
from tests.faults.trial import Report, attempt
from tests.postgres import PostgresServer, server


@click.command(help=__doc__)
@click.argument("names", nargs=-1)
def main(names: tuple[str, ...]) -> None:
    """Print a line per fault."""
    failed = tried = 0
    for fault in FAULTS.values():
        if names and fault.name not in names:
            continue
        if fault.needs and not isinstance(server(), PostgresServer):
            click.echo(f"LEFT OUT  {fault.group:<12} {fault.name:<40} no PostgreSQL here")
            continue
        with tempfile.TemporaryDirectory() as folder:
            report = attempt(fault, Path(folder) / "data", HOOKS)
        tried, failed = tried + 1, failed + (not report.ok)
        _show(report)
    click.echo(f"{tried} faults, {failed} failed")
    sys.exit(1 if failed else 0)


def _show(report: Report) -> None:
    fault = report.fault
    answers = "/".join(fault.answers.values())
    seen = (
        f"log {fault.log[0]}, metric {'yes' if fault.metric else '-'}, readyz {fault.check or '-'}"
    )
    click.echo(
        f"{'ok' if report.ok else 'FAILED':<9} {fault.group:<12} {fault.name:<40} {report.calls:>2} calls, "
        f"slowest {report.slowest * 1000:>5.0f} ms  {answers}  {seen}"
    )
    for line in (*report.wrong, *report.late, *(f"not seen: {each}" for each in report.unseen)):
        click.echo(f"          {line}")


if __name__ == "__main__":
    main()
