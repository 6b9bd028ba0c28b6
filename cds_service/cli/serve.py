"""``serve``: run the service, or say in one line why not, before the port is bound."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import click

from cds_service import settings as configuration
from cds_service.cli.options import load_settings, stop, with_data_dir, with_settings
from cds_service.cli.preflight import refuse_what_cannot_be_opened
from cds_service.settings import Settings


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
@with_data_dir
@with_settings
def serve(
    host: str | None, port: int | None, data_dir: str | None, settings_file: str | None
) -> None:
    """Run the service."""
    settings = load_settings(settings_file, host=host, port=port, data_dir=data_dir)
    refuse_what_cannot_be_opened(settings)
    for wanted in filter(None, (settings.port, settings.health_port)):
        _refuse_taken_port(settings.host, wanted)
    if settings.health_port and settings.health_port == settings.port:
        stop("health_port: must not be the port of the hooks")
    _hand_to_workers(settings, settings_file)
    _say_where(settings)
    from cds_service.serving import run  # noqa: PLC0415 - the server takes long to import, for --help too

    run(settings)


def _refuse_taken_port(host: str, port: int) -> None:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        stop(f"cannot listen on {host}:{port} ({error.strerror})")


def _hand_to_workers(settings: Settings, settings_file: str | None) -> None:
    """Workers are new processes: they read the same file and these variables."""
    if settings_file:
        os.environ[configuration.FILE_VARIABLE] = str(Path(settings_file).resolve())
    given = {
        "host": settings.host,
        "port": str(settings.port),
        "data_dir": str(Path(settings.data_dir).resolve()),
    }
    for name, value in given.items():
        os.environ[configuration.ENV_PREFIX + name.upper()] = value


def _say_where(settings: Settings) -> None:
    if settings.is_demo:
        click.secho(
            "DEMO PROFILE, NOT FOR PATIENTS: "
            "no client authentication, content not clinically reviewed.",
            err=True,
            fg="red",
            bold=True,
        )
    where = f"http://{settings.host}:{settings.port}"
    click.echo(f"Listening on {where}  discovery: {settings.base_url}/cds-services", err=True)
