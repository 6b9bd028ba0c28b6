"""What a version of the service would put before prescribers: false alarms, and endangered patients without a word.

``python -m tests.burden --seed 7`` invents 400 starters of low-dose naltrexone with one oxycodone order each, told in four
styles of record, and 100 plausible naltrexone drafts; ``--against`` asks a second version (a folder, a wheel, a git
revision) about the same patients and prints it first.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.burden import tally
from tests.burden.drafts import Purpose, drafted
from tests.burden.patients import STARTERS, Style, starters
from tests.burden.tally import LEVELS, Burden
from tests.decision_diff.decisions import decision
from tests.decision_diff.versions import ROOT, Version, VersionError, run, version


@dataclass(frozen=True, slots=True)
class Measured:
    """One version: the four styles, and which cards the drafts get."""

    version: str
    styles: tuple[Burden, ...]
    cards: Mapping[str, Counter[str]]


def measure(versions: Sequence[Version], seed: int, count: int = STARTERS) -> list[Measured]:
    """The same patients before every version."""
    cohort, drafts = starters(seed, count), drafted(seed)
    calls = [call for style in Style for call in tally.calls_of(cohort, style)] + tally.draft_calls(
        drafts
    )
    measured = []
    for each, lines in zip(versions, run(versions, "decide", calls), strict=True):
        decisions = iter([decision(call, line) for call, line in zip(calls, lines, strict=True)])
        styles = tuple(tally.burden(cohort, style, islice(decisions, count)) for style in Style)
        measured.append(Measured(each.name, styles, tally.cards_of(drafts, decisions)))
    return measured


@click.command(help=__doc__)
@click.option("--seed", default=7, show_default=True)
@click.option("--count", default=STARTERS, show_default=True, help="Starters of the cohort.")
@click.option(
    "--version", "wanted", default=str(ROOT), help="The version to measure; default: this tree."
)
@click.option("--against", help="Another version, printed first.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the figures here.",
)
def main(seed: int, count: int, wanted: str, against: str | None, json_file: Path | None) -> None:
    try:
        with ExitStack() as open_now:
            names = [name for name in (against, wanted) if name]
            measured = measure(
                [open_now.enter_context(version(name)) for name in names], seed, count
            )
    except VersionError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    console = Console(width=160, highlight=False)
    for each in measured:
        show(each, console)
    if json_file:
        found = {
            "seed": seed,
            "count": count,
            "measured": [tally.as_json(m.version, m.styles, m.cards) for m in measured],
        }
        json_file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def show(measured: Measured, console: Console) -> None:
    """One column a record style, one row a count; then the cards of the drafts."""
    table = Table(
        title=f"{measured.version}: starters of low-dose naltrexone", title_justify="left"
    )
    table.add_column("patients")
    for found in measured.styles:
        table.add_column(found.style, justify="right")
    for name, counts in rows(measured.styles):
        table.add_row(name, *(str(count or "-") for count in counts))
    console.print(table)
    cards = Table(title=f"{measured.version}: 100 drafts of naltrexone", title_justify="left")
    for name in ("card", *Purpose, "all"):
        cards.add_column(str(name), justify="left" if name == "card" else "right")
    for card, of in measured.cards.items():
        cards.add_row(card, *(str(of[purpose] or "-") for purpose in Purpose), str(of.total()))
    console.print(cards)


def rows(styles: Sequence[Burden]) -> Iterator[tuple[str, list[int]]]:
    yield from (
        (f"clear, {level}", [found.clear.get(level, 0) for found in styles]) for level in LEVELS
    )
    yield "clear, critical, record like a user's", [found.identical for found in styles]
    yield from (
        (f"in danger, {level}", [found.endangered.get(level, 0) for found in styles])
        for level in LEVELS
    )
    yield "in danger, silent by rule (brief course)", [found.by_rule for found in styles]
    yield "in danger, with a START button", [found.started for found in styles]


if __name__ == "__main__":
    main()
