"""A hook request in a file, judged in this process: what ``try`` and ``explain`` have in common."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from typing import Any

import click
import orjson

from cds_service import pipeline, signing, terminology
from cds_service import settings as configuration
from cds_service.cli.options import load_settings, stop
from cds_service.errors import ServiceError
from cds_service.hooks.services import SERVICES, Service

_BY_HOOK = {service.hook: service for service in SERVICES.values()}
with_file = click.argument("file", type=click.File("rb"))
with_service = click.option(
    "--service", "service_id", help="Service id; default: the service of the request's hook."
)


def read_request(file: Any) -> Any:
    try:
        return orjson.loads(file.read())
    except orjson.JSONDecodeError as error:
        stop(f"the request is not JSON: {error.msg} at line {error.lineno}")


def service_for(body: Any, service_id: str | None) -> Service:
    if service_id is not None:
        return (
            SERVICES[service_id]
            if service_id in SERVICES
            else stop(f"no such service: {service_id}")
        )
    hook = body.get("hook") if isinstance(body, dict) else None
    return (
        _BY_HOOK[hook]
        if hook in _BY_HOOK
        else stop("the request's hook is none of ours; see --service")
    )


def judge(
    body: Any, service: Service, as_of: str | None
) -> tuple[pipeline.Outcome, pipeline.Engine]:
    """The answer at that day (None: now), and what it was made with."""
    settings = load_settings(os.environ.get(configuration.FILE_VARIABLE))
    content = signing.in_force(settings)
    if content.refused:
        click.echo(
            f"content overlay refused, packaged content in use: {content.refused[0]}", err=True
        )
    engine = pipeline.Engine(
        terminology.load(settings.terminology_dir),
        content.content,
        settings.zone,
        settings.base_url,
        lambda: str(uuid.uuid4()),
    )
    try:
        return pipeline.answer(body, service, engine, _moment(as_of)), engine
    except ServiceError as error:
        stop(f"{error.status}: {error.message} {' '.join(error.expression)}".rstrip())


def _moment(as_of: str | None) -> datetime:
    """Noon UTC of a day, or the moment itself."""
    if as_of is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(as_of)
    except ValueError:
        stop("--as-of must be a date or a moment in ISO 8601")
    if len(as_of) == len("2026-11-21"):
        moment = moment.replace(hour=12)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
