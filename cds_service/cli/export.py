"""``export``: the knowledge in forms that other tools read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from cds_service import signing, terminology
from cds_service.cli.options import load_settings, with_settings
from cds_service.knowledge.export import export as write_all
from cds_service.pipeline import Engine


@click.group()
def export() -> None:
    """The knowledge as FHIR, CQL and CSV."""


@export.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option(
    "--base",
    default="https://naltrexone-cds.example.org/fhir",
    show_default=True,
    help="Canonical base URL.",
)
@with_settings
def fhir(out: Path, base: str, settings_file: str | None) -> None:
    """ValueSets, CQL, PlanDefinition, schedules, evidence; the formulary and a build sheet as CSV."""
    settings = load_settings(settings_file)
    engine = Engine(terminology.load(settings.terminology_dir), signing.in_force(settings).content,
                    settings.zone, settings.base_url, lambda: "")  # fmt: skip
    files = write_all(engine, base.rstrip("/"), out, datetime.now(UTC))
    click.echo(f"{len(files)} files in {out}")
