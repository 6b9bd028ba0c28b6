"""The store as files: back-up, restore, and losses that a person has seen."""

from __future__ import annotations

from pathlib import Path

import click

from cds_service.cli.completeness import missing
from cds_service.cli.options import (
    existing_folder,
    load_settings,
    stop,
    with_data_dir,
    with_settings,
)
from cds_service.journal.high_water import HighWater
from cds_service.store.backup import BackupError, back_up, bring_back
from cds_service.store.database import StoreError
from cds_service.store.read_only import open_to_read
from cds_service.store.schema import HEAD
from cds_service.store.store import open_store


@click.group()
def store() -> None:
    """Migrate, back up and restore the store; acknowledge a loss."""


@store.command()
@with_data_dir
@with_settings
def migrate(data_dir: str | None, settings_file: str | None) -> None:
    """Bring the store's schema to this version's, before replicas of it start; done again it changes nothing."""
    settings = load_settings(settings_file, data_dir=data_dir)
    Path(settings.data_dir).mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        opened = open_store(settings.database)
    except StoreError as error:
        stop(str(error))
    try:
        if not opened.writable():
            stop(f"the store does not take writes ({opened.fault or opened.condition})")
    finally:
        opened.close()
    click.echo(f"the store is at revision {HEAD}")


@store.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@with_data_dir
@with_settings
def backup(file: Path, data_dir: str | None, settings_file: str | None) -> None:
    """Copy the SQLite store into FILE, also while the service runs; the copy is checked before it counts."""
    settings = load_settings(settings_file, data_dir=existing_folder(data_dir))
    try:
        held = back_up(settings.database, file)
    except BackupError as error:
        stop(str(error))
    click.echo(f"{file}: {held.audit} audit events, {held.feedback} feedback items")


@store.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_data_dir
@with_settings
def restore(file: Path, data_dir: str | None, settings_file: str | None) -> None:
    """Put the back-up FILE in the place of the store; what stood there is set aside. Stop the service first.

    Exit 1 where the back-up holds less than the store has held: the rest is in the file that was set aside.
    """
    settings = load_settings(settings_file, data_dir=existing_folder(data_dir))
    try:
        kept = bring_back(settings.database, file)
    except BackupError as error:
        stop(str(error))
    if kept:
        click.echo(f"the store that was there is now {kept.name}")
    with open_to_read(settings.database) as opened:
        lines = [line for kind in ("audit", "feedback") for line in missing(settings, opened, kind)]
    for line in lines:
        click.secho(f"MISSING {line}", fg="red")
    raise SystemExit(1 if lines else 0)


@store.command()
@with_data_dir
@with_settings
def acknowledge(data_dir: str | None, settings_file: str | None) -> None:
    """Say that a person has seen what is missing: readiness, exports and ``verify`` are silent about it from now on."""
    water = HighWater(load_settings(settings_file, data_dir=existing_folder(data_dir)).high_water)
    for loss in water.acknowledge():
        click.echo(f"acknowledged: {loss}")
    if water.fault:
        stop(f"the high-water mark cannot be written ({water.fault})")
