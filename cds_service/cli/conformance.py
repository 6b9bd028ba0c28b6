"""``conformance``: the protocol probes against any CDS Hooks service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click
import requests
from rich.console import Console
from rich.table import Table

from cds_service.cli.options import stop
from cds_service.conformance.probes import TITLES, Answer, Ask, Findings, probe

_STYLES = {"passed": "green", "failed": "red", "warned": "yellow", "not tried": "dim"}


@click.command(name="conformance")
@click.argument("url")
@click.option("--token", envvar="CDS_TOKEN", help="Bearer token to send with every call.")
@click.option(
    "--origin",
    default="https://sandbox.cds-hooks.org",
    show_default=True,
    help="For the CORS probe.",
)
@click.option(
    "--body", type=click.File("rb"), help="A call of your own that is expected to bring cards."
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def try_service(url: str, token: str | None, origin: str, body: Any, as_json: bool) -> None:
    """Probe any CDS Hooks service, by requirement.

    URL is its root, without /cds-services; exit 1 if a requirement fails.
    """
    try:
        found = probe(over_http(url.rstrip("/"), token), origin, json.load(body) if body else None)
    except (requests.RequestException, ValueError) as error:
        stop(f"conformance: {type(error).__name__}")
    if as_json:
        click.echo(
            json.dumps(
                {
                    r: {"outcome": found.outcome(r), "faults": found.faults.get(r, [])}
                    for r in TITLES
                },
                indent=2,
            )
        )
    else:
        _show(found)
    raise SystemExit(1 if found.failed else 0)


def over_http(url: str, token: str | None) -> Ask:
    session = requests.Session()
    if token:
        session.headers["Authorization"] = f"Bearer {token}"

    def ask(method: str, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {**({"Content-Type": "application/json"} if data is not None else {}), **headers}
        answer = session.request(
            method, url + path, data=data, headers=sent, timeout=20, allow_redirects=False
        )
        return Answer(
            answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.text
        )

    return ask


def _show(found: Findings) -> None:
    table = Table("Id", "Requirement", "Outcome", "First fault")
    for requirement, title in TITLES.items():
        outcome = found.outcome(requirement)
        table.add_row(
            requirement,
            title,
            f"[{_STYLES[outcome]}]{outcome}",
            next(iter(found.faults.get(requirement, [])), ""),
        )
    Console(width=140).print(table)
