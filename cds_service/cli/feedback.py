"""``feedback``: what clinicians did with the cards."""

from __future__ import annotations

import click

from cds_service.cli.options import with_data_dir, with_format, with_settings
from cds_service.cli.stored import end_if_missing, put_out, stored
from cds_service.journal.export import export_feedback


@click.group()
def feedback() -> None:
    """What clinicians did with the cards."""


@feedback.command(name="export")
@with_data_dir
@with_format
@with_settings
def export_all(data_dir: str | None, fmt: str, settings_file: str | None) -> None:
    """Print every stored item as JSON or CSV, also while the service runs.

    Exit 1 if there were more once.
    """
    with stored(settings_file, data_dir, "feedback") as (store, lost):
        put_out(export_feedback(store, fmt))
    end_if_missing(lost)
