"""The command line: serve | try | explain | check | terminology | feedback | audit | doctor."""

from __future__ import annotations

import json
import os
import socket
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click
import orjson
import requests
from rich.console import Console

from cds_service import settings as configuration
from cds_service.cli import commands
from cds_service.cli.store import store
from cds_service.errors import ServiceError
from cds_service.hooks.services import SERVICES, Service
from cds_service.settings import Settings, SettingsError

_BY_HOOK = {service.hook: service for service in SERVICES.values()}
_settings_option = click.option("--settings", "settings_file", type=click.Path(dir_okay=False),
                                envvar=configuration.FILE_VARIABLE, help="Settings file (TOML).")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="naltrexone-cds")
def main() -> None:
    """Naltrexone safety: a CDS Hooks service for naltrexone, opioids and low-dose naltrexone."""


# --- serve ------------------------------------------------------------------------------------------------------------

@main.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--data-dir", type=click.Path(file_okay=False), help="Where the embedded stores live.")
@_settings_option
def serve(host: str | None, port: int | None, data_dir: str | None, settings_file: str | None) -> None:
    """Run the service."""
    settings = _load(settings_file, host=host, port=port, data_dir=data_dir)
    _refuse_broken_content(settings)
    _refuse_taken_port(settings)
    _hand_to_workers(settings, settings_file)
    _say_where(settings)
    from cds_service.serving import run  # noqa: PLC0415 - the server is not needed by the other commands
    run(settings)


def _load(path: str | None, **overrides: Any) -> Settings:
    try:
        return configuration.load(path, **overrides)
    except SettingsError as error:
        _stop(str(error))


def _stop(line: str) -> NoReturn:
    click.echo(f"naltrexone-cds: {line}", err=True)
    sys.exit(2)


def _refuse_broken_content(settings: Settings) -> None:
    from cds_service import terminology  # noqa: PLC0415
    from cds_service.content import loader as content  # noqa: PLC0415
    from cds_service.store.store import StoreError, open_store  # noqa: PLC0415
    try:
        content.load(settings.content_overlay)
        terminology.load(settings.terminology_dir)
        Path(settings.data_dir).mkdir(parents=True, exist_ok=True, mode=0o700)
        open_store(settings.database).close()
    except content.ContentError as error:
        _stop(f"content: {str(error).splitlines()[0]}")
    except (StoreError, OSError, ValueError, KeyError) as error:
        _stop(f"cannot start: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")


def _refuse_taken_port(settings: Settings) -> None:
    try:
        with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.port))
    except OSError as error:
        _stop(f"cannot listen on {settings.host}:{settings.port} ({error.strerror})")


def _hand_to_workers(settings: Settings, settings_file: str | None) -> None:
    """Workers are new processes: they read the same file and these variables."""
    if settings_file:
        os.environ[configuration.FILE_VARIABLE] = str(Path(settings_file).resolve())
    for name in ("host", "port", "data_dir"):
        value = getattr(settings, name)
        os.environ[configuration.ENV_PREFIX + name.upper()] = str(Path(value).resolve() if name == "data_dir" else value)


def _say_where(settings: Settings) -> None:
    if settings.is_demo:
        click.secho("DEMO PROFILE, NOT FOR PATIENTS: no client authentication, content not clinically reviewed.",
                    err=True, fg="red", bold=True)
    where = f"http://{settings.host}:{settings.port}"
    click.echo(f"Listening on {where}  discovery: {settings.base_url}/cds-services", err=True)


# --- try and explain --------------------------------------------------------------------------------------------------

@main.command(name="try")
@click.argument("file", type=click.File("rb"))
@click.option("--as-of", help="The day (or moment, ISO 8601) to judge at; default now. In-process only.")
@click.option("--url", help="Base URL of a running service; without it the request is judged in this process.")
@click.option("--service", "service_id", help="Service id; default: the service of the request's hook.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def try_request(file: Any, as_of: str | None, url: str | None, service_id: str | None, as_json: bool) -> None:
    """Send the hook request in FILE (or -) and print the cards."""
    from cds_service.cli.show import show_cards  # noqa: PLC0415
    body = _read_request(file)
    service = _service_for(body, service_id)
    response = _post(url, service, body) if url else _judge(body, service, as_of)[0].response
    if as_json:
        click.echo(json.dumps(response, indent=2, ensure_ascii=False))
    else:
        show_cards(response, Console())


@main.command()
@click.argument("file", type=click.File("rb"))
@click.option("--as-of", help="The day (or moment, ISO 8601) to judge at; default now.")
@click.option("--service", "service_id", help="Service id; default: the service of the request's hook.")
@click.option("--json", "as_json", is_flag=True, help="Print the trace as JSON.")
def explain(file: Any, as_of: str | None, service_id: str | None, as_json: bool) -> None:
    """Trace the hook request in FILE (or -): what was read, what each rule said, what could not be known."""
    from cds_service.cli.explain import explain as trace_of  # noqa: PLC0415
    from cds_service.cli.show import show_trace  # noqa: PLC0415
    body = _read_request(file)
    outcome, engine = _judge(body, _service_for(body, service_id), as_of)
    trace = trace_of(outcome, engine)
    if as_json:
        click.echo(json.dumps(trace, indent=2, ensure_ascii=False))
    else:
        show_trace(trace, Console())


def _read_request(file: Any) -> Any:
    try:
        return orjson.loads(file.read())
    except orjson.JSONDecodeError as error:
        _stop(f"the request is not JSON: {error.msg} at line {error.lineno}")


def _service_for(body: Any, service_id: str | None) -> Service:
    if service_id is not None:
        return SERVICES[service_id] if service_id in SERVICES else _stop(f"no such service: {service_id}")
    hook = body.get("hook") if isinstance(body, dict) else None
    return _BY_HOOK[hook] if hook in _BY_HOOK else _stop("the request's hook is none of ours; see --service")


def _judge(body: Any, service: Service, as_of: str | None) -> tuple[Any, Any]:
    from cds_service import pipeline, terminology  # noqa: PLC0415
    from cds_service.content import loader as content  # noqa: PLC0415
    settings = _load(os.environ.get(configuration.FILE_VARIABLE))
    engine = pipeline.Engine(terminology.load(settings.terminology_dir), content.load(settings.content_overlay),
                         settings.zone, settings.base_url, lambda: str(uuid.uuid4()))
    try:
        return pipeline.answer(body, service, engine, _moment(as_of)), engine
    except ServiceError as error:
        _stop(f"{error.status}: {error.message} {' '.join(error.expression)}".rstrip())


def _moment(as_of: str | None) -> datetime:
    if as_of is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(as_of)
    except ValueError:
        _stop("--as-of must be a date or a moment in ISO 8601")
    if len(as_of) == len("2026-11-21"):
        moment = moment.replace(hour=12)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _post(url: str, service: Service, body: Any) -> dict[str, Any]:
    try:
        response = requests.post(f"{url.rstrip('/')}/cds-services/{service.id}", json=body, timeout=30)
        answer: dict[str, Any] = response.json()
    except (requests.RequestException, ValueError) as error:
        _stop(f"no answer from {url} ({type(error).__name__})")
    if response.status_code != 200:
        _stop(f"{response.status_code}: {json.dumps(answer)}")
    return answer


# --- check and terminology --------------------------------------------------------------------------------------------

@main.command()
@click.option("--fixtures", type=click.Path(path_type=Path, file_okay=False), help="Folder of FHIR fixtures to check.")
@_settings_option
def check(fixtures: Path | None, settings_file: str | None) -> None:
    """Check content, terminology, fixtures and settings; exit 1 with a line per fault."""
    from cds_service.cli import check as checks  # noqa: PLC0415
    settings = _load(settings_file)
    here = Path.cwd() / "fhir_fixtures"
    found = checks.run(settings.content_overlay, settings.terminology_dir, fixtures or (here if here.is_dir() else None))
    for line in found.checked:
        click.echo(f"ok    {line}")
    click.echo("ok    settings " + json.dumps(configuration.redacted(settings)))
    for fault in found.faults:
        click.secho(f"FAULT {fault}", fg="red")
    sys.exit(1 if found.faults else 0)


@main.group()
def terminology() -> None:
    """The drug tables."""


@terminology.command()
@click.option("--rxnorm", "rrf", required=True, type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Folder with RXNCONSO.RRF, RXNREL.RRF and RXNSAT.RRF of an RxNorm (prescribable) release.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Where the tables go; default: the installed package's own.")
def build(rrf: Path, out: Path | None) -> None:
    """Regenerate the drug tables from an official RxNorm release; a broken release leaves the old data."""
    from cds_service.terminology.build import BuildError  # noqa: PLC0415
    from cds_service.terminology.build import build as build_tables  # noqa: PLC0415
    target = out or Path(__file__).parent / "terminology" / "data"
    try:
        report = build_tables(rrf, target)
    except BuildError as error:
        _stop(f"refused, the old tables stay: {error}")
    click.echo(str(report))


for _group in (commands.doctor, commands.feedback, commands.audit, store):
    main.add_command(_group)


if __name__ == "__main__":
    main()
