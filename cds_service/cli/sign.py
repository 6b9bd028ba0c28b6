"""``sign``: a reviewer signs which verdicts a site's content changes; production can be told to ask for that."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click
import orjson

from cds_service import signing
from cds_service.cli.options import stop
from cds_service.signing import PARTS, NotSignableError

_FILE = click.Path(path_type=Path, dir_okay=False)
_EXISTING = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group(name="sign")
def sign() -> None:
    """Sign which verdicts content changes."""


@sign.command()
@click.option("--out", type=_FILE, required=True, help="File for the private key; must not exist.")
def key(out: Path) -> None:
    """Make a reviewer's key; print the public half for the settings.

    The private half stays with the reviewer, not with the service.
    """
    made = signing.new_key()
    try:
        out.touch(0o600, exist_ok=False)
        out.write_bytes(orjson.dumps(made.as_dict(private=True)))
    except OSError as error:
        stop(f"sign key: {out.name} cannot be made ({type(error).__name__})")
    click.echo(made.as_dict(private=False)["x"])


@sign.command()
@click.argument("diff_json", metavar="DIFF.JSON", type=_EXISTING)
@click.option("--reviewer", required=True, help="Your name as the settings have it.")
@click.option("--key", "key_file", type=_EXISTING, required=True, help="Your private key.")
@click.option("--out", type=_FILE, required=True, help="The signature file; a line is added.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def diff(diff_json: Path, reviewer: str, key_file: Path, out: Path, yes: bool) -> None:
    """Sign the diff.json of two replays, once you have read its page."""
    try:
        data = diff_json.read_bytes()
        said = signing.statement(data, reviewer, date.today().isoformat())  # noqa: DTZ011 - the reviewer's own day
        private = signing.private_key(key_file)
    except (NotSignableError, OSError) as error:
        stop(f"sign diff: {error}")
    for part in PARTS:
        click.echo(f"{part}: {said['old'][part][:12]} -> {said['new'][part][:12]}")
    totals = orjson.loads(data).get("totals", {})
    click.echo(f"{said['orders']} orders, {' to '.join(said['window'])}: " + ("" if said["changed"] else "nothing changed ")
               + ", ".join(f"{name} {_range(pair)}" for name, pair in totals.items()))  # fmt: skip
    if not yes:
        click.confirm(f"Sign as {reviewer}?", abort=True)
    try:
        with out.open("a", encoding="ascii") as file:
            file.write(signing.sign(said, private) + "\n")
    except OSError as error:
        stop(f"sign diff: {out.name} cannot be written ({type(error).__name__})")
    click.echo(f"signed; {out}")


def _range(pair: list[int] | None) -> str:
    return "few" if pair is None else " to ".join(map(str, dict.fromkeys(pair)))
