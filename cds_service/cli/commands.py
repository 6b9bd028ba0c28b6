"""Commands for those who run the service: why a token or a FHIR server would be refused, feedback and audit as files."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from cds_service import settings as configuration
from cds_service.errors import Unavailable
from cds_service.settings import Settings, SettingsError

if TYPE_CHECKING:
    from cds_service.auth.client_auth import Rule
    from cds_service.store.store import Store

_COLOURS = {"pass": "green", "fail": "red", "not checked": "yellow"}
settings_option = click.option("--settings", "settings_file", type=click.Path(dir_okay=False),
                         envvar=configuration.FILE_VARIABLE, help="Settings file (TOML).")
data_dir_option = click.option("--data-dir", type=click.Path(file_okay=False), help="Where the embedded stores live.")
_format = click.option("--format", "fmt", type=click.Choice(["json", "csv"]), default="json", show_default=True)


# --- doctor -----------------------------------------------------------------------------------------------------------

@click.group()
def doctor() -> None:
    """Explain, rule by rule, why a token or a FHIR server would be refused."""


@doctor.command(name="jwt")
@click.argument("file", type=click.File("r", errors="replace"))
@click.option("--endpoint", "endpoints", multiple=True, help="URL that was called; default: every URL of this service.")
@settings_option
def explain_jwt(file: Iterable[str], endpoints: Sequence[str], settings_file: str | None) -> None:
    """Explain the client token in FILE (or -); exit 1 if a rule fails."""
    from cds_service.cli.doctor import doctor_jwt  # noqa: PLC0415 - the other commands need no cryptography
    _show(doctor_jwt("".join(file), load_settings(settings_file), time.time(), endpoints))


@doctor.command(name="fhir")
@click.argument("url")
@click.option("--offline", is_flag=True, help="Resolve the name, but do not call the server.")
@settings_option
def explain_fhir(url: str, offline: bool, settings_file: str | None) -> None:
    """Explain whether the FHIR server at URL could be used; exit 1 if a rule fails."""
    from cds_service.cli.doctor import doctor_fhir  # noqa: PLC0415
    _show(doctor_fhir(url, load_settings(settings_file), call=not offline))


def _show(rules: Sequence[Rule]) -> None:
    for rule in rules:
        click.echo(f"{click.style(rule.verdict.ljust(11), fg=_COLOURS[rule.verdict])} {rule.name:<10} {rule.why}")
    sys.exit(1 if any(rule.verdict == "fail" for rule in rules) else 0)


# --- feedback and audit -----------------------------------------------------------------------------------------------

@click.group()
def feedback() -> None:
    """What clinicians did with the cards."""


@feedback.command(name="export")
@data_dir_option
@_format
@settings_option
def export_all_feedback(data_dir: str | None, fmt: str, settings_file: str | None) -> None:
    """Print every stored item as JSON or CSV, also while the service runs; exit 1 if there were more once."""
    from cds_service.journal.export import export_feedback  # noqa: PLC0415 - SQLAlchemy is slow to import
    with _stored(settings_file, data_dir, "feedback") as (store, missing):
        _print(export_feedback(store, fmt))
    _say_missing(missing)


@click.group()
def audit() -> None:
    """What was asked and answered, without clinical text."""


@audit.command(name="export")
@data_dir_option
@_format
@settings_option
def export_all_audit(data_dir: str | None, fmt: str, settings_file: str | None) -> None:
    """Print every audit event as JSON or CSV, oldest first; exit 1 if there were more once."""
    from cds_service.journal.export import export_audit  # noqa: PLC0415
    with _stored(settings_file, data_dir, "audit") as (store, missing):
        _print(export_audit(store, fmt))
    _say_missing(missing)


@audit.command()
@data_dir_option
@click.option("--anchor", nargs=2, type=(int, str), default=None, metavar="NUMBER HASH",
              help="The head that an earlier verification printed: a chain rewritten as a whole is found by it.")
@settings_option
def verify(data_dir: str | None, anchor: tuple[int, str] | None, settings_file: str | None) -> None:
    """Check the chain of audit events; exit 1 if an event was changed, removed or added, or there were more once."""
    from cds_service.journal.audit_chain import verify as verify_chain  # noqa: PLC0415
    with _stored(settings_file, data_dir, "audit") as (store, missing):
        report = verify_chain(store, anchor)
    for fault in (*report.faults, *missing):
        click.secho(f"FAULT {fault}", fg="red")
    click.echo(f"{report.events} events from number {report.first}; head: {report.head[0]} {report.head[1]}")
    sys.exit(0 if report.ok and not missing else 1)


def _say_missing(missing: Sequence[str]) -> None:
    """On standard error: what was printed stays a file that can be read."""
    for line in missing:
        click.secho(f"MISSING {line}", fg="red", err=True)
    if missing:
        sys.exit(1)


@contextmanager
def _stored(settings_file: str | None, data_dir: str | None, kind: str) -> Iterator[tuple[Store, tuple[str, ...]]]:
    """The store, opened to be read, and what is missing of this kind."""
    from cds_service.cli.completeness import missing  # noqa: PLC0415
    from cds_service.store.read_only import open_to_read  # noqa: PLC0415
    from cds_service.store.store import StoreError  # noqa: PLC0415
    settings = load_settings(settings_file, data_dir)
    try:
        with open_to_read(settings.database) as store:
            yield store, tuple(missing(settings, store, kind))
    except StoreError as error:
        stop("; ".join([str(error), *missing(settings, None, kind)]))
    except Unavailable:
        stop("the store cannot be read now: damaged, locked or out of reach")


def _print(pieces: Iterable[str]) -> None:
    for piece in pieces:
        click.echo(piece, nl=False)


def load_settings(path: str | None, data_dir: str | None = None) -> Settings:
    try:
        if data_dir is not None and not Path(data_dir).is_dir():
            stop("--data-dir: there is no such folder")
        return configuration.load(path, data_dir=data_dir)
    except SettingsError as error:
        stop(str(error))


def stop(line: str) -> NoReturn:
    click.echo(f"naltrexone-cds: {line}", err=True)
    sys.exit(2)
