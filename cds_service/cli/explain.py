"""``explain``: one request traced, for the eyes of the person who has it."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console

from cds_service.cli.hook_request import judge, read_request, service_for, with_file, with_service
from cds_service.cli.show import show_trace
from cds_service.explaining import explain


@click.command(name="explain")
@with_file
@click.option("--as-of", help="The day (or moment, ISO 8601) to judge at; default now.")
@with_service
@click.option("--json", "as_json", is_flag=True, help="Print the trace as JSON.")
def explain_request(file: Any, as_of: str | None, service_id: str | None, as_json: bool) -> None:
    """Trace the hook request in FILE (or -): what was read, what each rule said, what could not be known."""
    body = read_request(file)
    outcome, engine = judge(body, service_for(body, service_id), as_of)
    trace = explain(outcome, engine)
    if as_json:
        click.echo(json.dumps(trace, indent=2, ensure_ascii=False))
    else:
        show_trace(trace, Console())
