"""``try``: a hook request in, cards out, as a prescriber would see them."""

from __future__ import annotations

import json
from typing import Any

import click
import requests
from rich.console import Console

from cds_service.cli.hook_request import judge, read_request, service_for, with_file, with_service
from cds_service.cli.options import stop
from cds_service.cli.show import show_cards
from cds_service.hooks.services import Service


@click.command(name="try")
@with_file
@click.option(
    "--as-of", help="The day (or moment, ISO 8601) to judge at; default now. In-process only."
)
@click.option(
    "--url", help="Base URL of a running service; without it the request is judged in this process."
)
@with_service
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def try_request(
    file: Any, as_of: str | None, url: str | None, service_id: str | None, as_json: bool
) -> None:
    """Send the hook request in FILE (or -) and print the cards."""
    body = read_request(file)
    service = service_for(body, service_id)
    response = _post(url, service, body) if url else judge(body, service, as_of)[0].response
    if as_json:
        click.echo(json.dumps(response, indent=2, ensure_ascii=False))
    else:
        show_cards(response, Console())


def _post(url: str, service: Service, body: Any) -> dict[str, Any]:
    try:
        response = requests.post(
            f"{url.rstrip('/')}/cds-services/{service.id}", json=body, timeout=30
        )
        answer: dict[str, Any] = response.json()
    except (requests.RequestException, ValueError) as error:
        stop(f"no answer from {url} ({type(error).__name__})")
    if response.status_code != 200:
        stop(f"{response.status_code}: {json.dumps(answer)}")
    return answer
