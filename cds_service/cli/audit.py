"""``audit``: what was asked and answered."""

from __future__ import annotations

import sys

import click

from cds_service.cli.options import (
    existing_folder,
    load_settings,
    stop,
    with_data_dir,
    with_format,
    with_settings,
)
from cds_service.cli.stored import end_if_missing, put_out, stored
from cds_service.journal.audit_chain import verify as verify_chain
from cds_service.journal.export import export_audit
from cds_service.journal.pseudonyms import Pseudonyms


@click.group()
def audit() -> None:
    """What was asked and answered, without clinical text."""


@audit.command(name="export")
@with_data_dir
@with_format
@with_settings
@click.option(
    "--patient",
    nargs=2,
    default=None,
    metavar="ISSUER ID",
    help="Only events of this patient (a client's issuer, a FHIR id); needs the audit key.",
)
@click.option("--patient-hash", default="", help="Only events with this patient_hash.")
def export_all(
    data_dir: str | None,
    fmt: str,
    settings_file: str | None,
    patient: tuple[str, str] | None,
    patient_hash: str,
) -> None:
    """Print every audit event as JSON or CSV, oldest first; exit 1 if there were more once."""
    wanted = _hash_of(patient, settings_file, data_dir) if patient else patient_hash
    with stored(settings_file, data_dir, "audit") as (store, lost):
        put_out(export_audit(store, fmt, wanted))
    end_if_missing(lost)


def _hash_of(patient: tuple[str, str], settings_file: str | None, data_dir: str | None) -> str:
    settings = load_settings(settings_file, data_dir=existing_folder(data_dir))
    pseudonyms = Pseudonyms(settings.audit_key, make=False)
    issuer, patient_id = patient
    found = pseudonyms.patient(issuer, patient_id.removeprefix("Patient/"))
    return found or stop(f"no key for patient hashes ({pseudonyms.fault or 'no patient id'})")


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
