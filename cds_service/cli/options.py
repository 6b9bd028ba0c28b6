"""What the commands share: options, the settings they name, and the way to stop with one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import click

from cds_service import settings as configuration
from cds_service.rules import TOPICS
from cds_service.settings import Settings, SettingsError

with_settings = click.option(
    "--settings",
    "settings_file",
    type=click.Path(dir_okay=False),
    envvar=configuration.FILE_VARIABLE,
    help="Settings file (TOML).",
)
with_data_dir = click.option(
    "--data-dir", type=click.Path(file_okay=False), help="Where the embedded stores live."
)
with_format = click.option(
    "--format", "fmt", type=click.Choice(["json", "csv"]), default="json", show_default=True
)


def load_settings(path: str | None, **overrides: Any) -> Settings:
    """The settings of this run; a bad one ends it with one line."""
    try:
        settings = configuration.load(path, **overrides)
        configuration.check_topics(settings, TOPICS)
        return settings
    except SettingsError as error:
        stop(str(error))


def existing_folder(data_dir: str | None) -> str | None:
    """A data folder to read from; one that is not there ends the run."""
    if data_dir is not None and not Path(data_dir).is_dir():
        stop("--data-dir: there is no such folder")
    return data_dir


def stop(line: str) -> NoReturn:
    """End with one line on standard error and exit status 2: nothing was done."""
    click.echo(f"naltrexone-cds: {line}", err=True)
    raise SystemExit(2)
