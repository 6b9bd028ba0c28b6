"""Read the store of a service, running or not, for a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

from cds_service.cli.completeness import missing
from cds_service.cli.options import existing_folder, load_settings, stop
from cds_service.errors import Unavailable
from cds_service.store.read_only import open_to_read
from cds_service.store.store import Store, StoreError


@contextmanager
def stored(
    settings_file: str | None, data_dir: str | None, kind: str
) -> Iterator[tuple[Store, tuple[str, ...]]]:
    """The store that the settings name, and what it held of this kind and holds no more.

    One that cannot be read ends the run with one line.
    """
    settings = load_settings(settings_file, data_dir=existing_folder(data_dir))
    try:
        with open_to_read(settings.database) as store:
            yield store, tuple(missing(settings, store, kind))
    except StoreError as error:
        stop("; ".join([str(error), *missing(settings, None, kind)]))
    except Unavailable:
        stop("the store cannot be read now: damaged, locked or out of reach")


def put_out(pieces: Iterable[str]) -> None:
    for piece in pieces:
        click.echo(piece, nl=False)


def end_if_missing(lines: tuple[str, ...]) -> None:
    """Exit 1 where there were more; said on standard error: what was printed stays whole."""
    for line in lines:
        click.secho(f"MISSING {line}", fg="red", err=True)
    if lines:
        raise SystemExit(1)
