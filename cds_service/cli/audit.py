"""``audit``: what was asked and answered."""

from __future__ import annotations

import sys

import click

from cds_service.cli.options import with_data_dir, with_format, with_settings
from cds_service.cli.stored import end_if_missing, put_out, stored
from cds_service.journal.audit_chain import verify as verify_chain
from cds_service.journal.export import export_audit


@click.group()
def audit() -> None:
    """What was asked and answered, without clinical text."""


@audit.command(name="export")
@with_data_dir
@with_format
@with_settings
def export_all(data_dir: str | None, fmt: str, settings_file: str | None) -> None:
    """Print every audit event as JSON or CSV, oldest first; exit 1 if there were more once."""
    with stored(settings_file, data_dir, "audit") as (store, lost):
        put_out(export_audit(store, fmt))
    end_if_missing(lost)


@audit.command()
@with_data_dir
@click.option(
    "--anchor",
    nargs=2,
    type=(int, str),
    default=None,
    metavar="NUMBER HASH",
    help="The head that an earlier verification printed: it finds a chain rewritten as a whole.",
)
@with_settings
def verify(data_dir: str | None, anchor: tuple[int, str] | None, settings_file: str | None) -> None:
    """Check the chain of audit events; exit 1 if one was changed, removed or added."""
    with stored(settings_file, data_dir, "audit") as (store, lost):
        report = verify_chain(store, anchor)
    for fault in (*report.faults, *lost):
        click.secho(f"FAULT {fault}", fg="red")
    number, digest = report.head
    click.echo(f"{report.events} events from number {report.first}; head: {number} {digest}")
    sys.exit(0 if report.ok and not lost else 1)
