"""``use``: what the page ``/use`` is made from."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import click

from cds_service import signing
from cds_service.cli.options import load_settings, stop, with_data_dir, with_settings
from cds_service.console.use_demo import Invented, invent
from cds_service.journal.audit import AuditLog
from cds_service.journal.feedback import FeedbackJournal
from cds_service.journal.high_water import HighWater
from cds_service.rules import RULES
from cds_service.settings import Settings
from cds_service.store.store import open_store

_AT_ONCE = 2_000
_SECONDS = 60.0


@click.group()
def use() -> None:
    """What the page /use is made from."""


@use.command()
@click.option("--calls", type=click.IntRange(1, 1_000_000), default=5_000, show_default=True)
@click.option("--weeks", type=click.IntRange(1, 104), default=13, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@with_data_dir
@with_settings
def demo(
    calls: int, weeks: int, seed: int, data_dir: str | None, settings_file: str | None
) -> None:
    """Put invented calls, cards and feedback into the store of a demo service; done twice, feedback is there once."""
    settings = load_settings(settings_file, data_dir=data_dir)
    if not settings.is_demo:
        stop("use demo: invented calls do not belong into a production store")
    content = signing.in_force(settings).content
    found = invent(RULES, content, datetime.now(UTC), calls=calls, weeks=weeks, seed=seed)
    click.echo(f"{fill(settings, list(found))} calls in {settings.data_dir}; look at /use")


def fill(settings: Settings, invented: list[Invented]) -> int:
    """Write them as the service writes its own: the audit chain holds, feedback meets its card."""
    Path(settings.data_dir).mkdir(parents=True, exist_ok=True, mode=0o700)
    water = HighWater(settings.high_water)
    store = open_store(settings.database)
    audit = AuditLog(store, "best-effort", water=water)
    journal = FeedbackJournal(store, cards_recorded=True, water=water)
    rest = iter(invented)
    while batch := list(islice(rest, _AT_ONCE)):
        for one in batch:
            audit.append(one.event)
        if not audit.flush(_SECONDS):
            stop("use demo: the store does not take what is written")
        for one in batch:
            if one.feedback:
                journal.record(
                    one.feedback, issuer=one.event.issuer, now=one.received, quota=10_000_000
                )
    audit.close()
    store.close()
    return len(invented)
