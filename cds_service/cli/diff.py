"""``diff``: which verdicts changed between two replays of the same orders."""

from __future__ import annotations

from pathlib import Path

import click

from cds_service.cli.options import stop

try:
    from cds_service.retrospective.diff import DiffError, compare, read_replayed, write
except ModuleNotFoundError as error:  # the extra is not installed
    stop(f"{error.name} is missing: install naltrexone-cds[replay]")

_EXISTING = click.Path(path_type=Path, file_okay=False, exists=True)


@click.command(name="diff")
@click.argument("old", type=_EXISTING)
@click.argument("new", type=_EXISTING)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for the page.",
)
@click.option(
    "--small-cells",
    default=5,
    show_default=True,
    type=click.IntRange(1),
    help="Counts below this are not shown.",
)
@click.option(
    "--most",
    default=50,
    show_default=True,
    type=click.IntRange(0, 100_000),
    help="Changed sessions to list.",
)
@click.option("--with-ids", is_flag=True, help="List people, days and departments, small groups too.")  # fmt: skip
def diff_replays(
    old: Path, new: Path, out: Path, small_cells: int, most: int, with_ids: bool
) -> None:
    """Which verdicts changed between two replays of the same orders.

    OLD and NEW are their output folders. Writes diff.html and diff.json.
    Exit status: 0 nothing changed, 1 something did, 2 they cannot be compared.
    """
    try:
        sides = read_replayed(old), read_replayed(new)
        found = compare(*sides, small=small_cells, most=most, with_ids=with_ids)
        write(found, out)
    except (DiffError, OSError) as error:
        stop(str(error))
    click.echo(
        f"{'verdicts changed' if found['changed'] else 'no verdict changed'}; read {out / 'diff.html'}"
    )
    raise SystemExit(1 if found["changed"] else 0)
