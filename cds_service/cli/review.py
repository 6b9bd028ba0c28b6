"""``review``: what two reviewers made of the blinded sample of a replay."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cds_service.cli.options import stop
from cds_service.retrospective.review import review


@click.command(name="review")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False, exists=True))
def review_sample(out: Path) -> None:
    """What two reviewers made of a replay's sample.

    Predictive value, missed cases and kappa from sample.csv of the replay in OUT, once two reviewers filled it in.
    """
    try:
        found = review(out / "sample.csv", out / "sample-key.csv")
    except (OSError, KeyError, ValueError) as error:
        stop(f"review: {type(error).__name__}: is there a sample.csv with its columns?")
    click.echo(json.dumps(found, indent=2))
