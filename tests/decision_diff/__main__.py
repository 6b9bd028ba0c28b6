"""Which decisions changed between two versions of the service, by rule and cause.

``python -m tests.decision_diff OLD NEW``: each is a folder that holds the package, a wheel, or a git revision of this
repository. Both answer the same calls in processes of their own: every vignette in every release and hook, the captures
and fixtures, the field's bodies, and the folders given. A decision is the status and, per card, topic, indicator,
situation, suggestions and kinds of link; words and override reasons count with --words only. --bulk replays a Bulk FHIR
export in both as well. Exit status: 0 nothing changed, 1 something did, 2 a version could not be run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from cds_service.retrospective.diff import write
from tests.decision_diff.bulk import Corpus, as_part, compared
from tests.decision_diff.calls import Call, all_calls
from tests.decision_diff.causes import causes
from tests.decision_diff.decisions import Change, changes, decision
from tests.decision_diff.generated import generated
from tests.decision_diff.report import Changed, Report, as_json, as_markdown, as_text, lines
from tests.decision_diff.versions import Version, VersionError, run, version
from tests.vignettes.builder import NOW


def compare(old: Version, new: Version, calls: Sequence[Call], *, words: bool = False) -> Report:
    """Both versions over ``calls``; only what changed is asked for its trace."""
    found: list[tuple[Call, list[Change]]] = []
    for call, was, is_ in zip(calls, *run((old, new), "decide", calls), strict=True):
        if differing := [*changes(decision(call, was), decision(call, is_), words=words)]:
            found.append((call, differing))
    traces = (
        zip(*run((old, new), "explain", [call for call, _ in found]), strict=True) if found else ()
    )
    return Report(
        old.name,
        new.name,
        len(calls),
        tuple(
            Changed(
                call.name,
                change.topic,
                change.what,
                causes(change.topic, was.get("trace"), is_.get("trace")),
            )
            for (call, differing), (was, is_) in zip(found, traces, strict=True)
            for change in differing
        ),
    )


def moment(text: str | None) -> datetime:
    if text is None:
        return NOW
    at = datetime.fromisoformat(text)
    at = at.replace(hour=12) if len(text) == len("2026-11-21") else at
    return at if at.tzinfo else at.replace(tzinfo=UTC)


@click.command(help=__doc__)
@click.argument("old")
@click.argument("new")
@click.option(
    "--bodies",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with hook calls (*.json, *.ndjson); may be given again.",
)
@click.option(
    "--as-of", help="The day or moment to judge the --bodies at; default 2026-11-21T12:00Z."
)
@click.option(
    "--only",
    multiple=True,
    help="Only calls whose name contains this, as in vignettes/A01/ or field/; may be given again.",
)
@click.option("--generated", "number", default=0, help="So many generated calls more.")
@click.option("--seed", default=1, show_default=True, help="Of the generated calls.")
@click.option("--words", is_flag=True, help="Compare summaries, details and override reasons too.")
@click.option("--examples", default=3, show_default=True, help="Cases printed for each group.")
@click.option(
    "--bulk",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of a Bulk FHIR export to replay too.",
)
@click.option("--from", "first", default="", help="First day of the export's orders to judge.")
@click.option("--to", "last", default="", help="Last day of them.")
@click.option("--small-cells", default=5, show_default=True, help="Least count shown of it.")
@click.option(
    "--page",
    type=click.Path(file_okay=False, path_type=Path),
    help="With --bulk: folder for diff.html and diff.json.",
)
@click.option("--python-old", default=sys.executable, help="Interpreter of OLD; default: this one.")
@click.option("--python-new", default=sys.executable, help="Interpreter of NEW; default: this one.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write every change here.",
)
@click.option(
    "--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Write the report here too."
)
def main(  # noqa: PLR0913, PLR0917 - click hands over an argument for each option
    old: str,
    new: str,
    bodies: tuple[Path, ...],
    as_of: str | None,
    only: tuple[str, ...],
    number: int,
    seed: int,
    words: bool,
    examples: int,
    bulk: Path | None,
    first: str,
    last: str,
    small_cells: int,
    page: Path | None,
    python_old: str,
    python_new: str,
    json_file: Path | None,
    markdown: Path | None,
) -> None:
    if (bulk and not (first and last)) or (page and not bulk):
        raise click.UsageError("--bulk needs --from and --to, and --page needs --bulk")
    day = moment(as_of)
    calls = [
        call
        for call in (*all_calls((folder, day) for folder in bodies), *generated(number, seed))
        if not only or any(part in call.name for part in only)
    ]
    try:
        with version(old, python_old) as before, version(new, python_new) as after:
            report = compare(before, after, calls, words=words)
            corpus = Corpus(bulk, first, last) if bulk else None
            verdicts = compared(before, after, corpus, small_cells) if corpus else {}
    except VersionError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    click.echo(lines(as_text(report, examples)), nl=False)
    if verdicts:
        click.echo(
            f"the export: {'verdicts changed' if verdicts['changed'] else 'no verdict changed'}"
        )
    if page:
        write(verdicts, page, (as_part(report),))
    if json_file:
        json_file.write_text(
            json.dumps(as_json(report), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    if markdown:
        markdown.write_text(lines(as_markdown(report, examples)), encoding="utf-8")
    sys.exit(1 if report.changed or verdicts.get("changed") else 0)


if __name__ == "__main__":
    main()
