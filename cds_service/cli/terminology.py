"""``terminology``: the drug tables."""

from __future__ import annotations

from pathlib import Path

import click

from cds_service import terminology as package
from cds_service.cli.options import load_settings, stop, with_settings
from cds_service.journal.unknown_names import ENOUGH_PATIENTS, read_names
from cds_service.terminology.build import BuildError
from cds_service.terminology.build import build as build_tables

_PACKAGED = Path(package.__file__).parent / "data"


@click.group()
def terminology() -> None:
    """The drug tables."""


@terminology.command()
@with_settings
def unknown(settings_file: str | None) -> None:
    """Print the names of medicines that no table holds and that at least ten patients had."""
    file = load_settings(settings_file).unknown_names_file
    if not file:
        stop("unknown_names_file is not set: unknown names are not listed")
    try:
        names = read_names(Path(file))
    except OSError as error:
        stop(f"unknown_names_file cannot be read ({type(error).__name__})")
    click.echo(f"{len(names)} names, each had by at least {ENOUGH_PATIENTS} patients", err=True)
    for name in names:
        click.echo(name)


@terminology.command()
@click.option(
    "--rxnorm",
    "rrf",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with RXNCONSO.RRF, RXNREL.RRF and RXNSAT.RRF of an RxNorm (prescribable) release.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the tables go; default: the installed package's own.",
)
def build(rrf: Path, out: Path | None) -> None:
    """Regenerate the drug tables from an official RxNorm release; a broken one leaves the old."""
    try:
        report = build_tables(rrf, out or _PACKAGED)
    except BuildError as error:
        stop(f"refused, the old tables stay: {error}")
    click.echo(str(report))
