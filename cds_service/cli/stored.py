"""Read the store of a service, running or not, for a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

from cds_service.cli.options import existing_folder, load_settings, stop
from cds_service.errors import Unavailable
from cds_service.store.read_only import open_to_read
from cds_service.store.store import Store, StoreError


@contextmanager
def stored(settings_file: str | None, data_dir: str | None) -> Iterator[Store]:
    """The store that the settings name; one that cannot be read ends the run with one line."""
    settings = load_settings(settings_file, data_dir=existing_folder(data_dir))
    try:
        with open_to_read(settings.database) as store:
            yield store
    except StoreError as error:
        stop(str(error))
    except Unavailable:
        stop("the store cannot be read now: damaged, locked or out of reach")


def put_out(pieces: Iterable[str]) -> None:
    for piece in pieces:
        click.echo(piece, nl=False)
