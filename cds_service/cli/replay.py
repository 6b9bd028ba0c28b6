"""``replay``: a year of orders through the rules that answer live, before they do."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click
import yaml
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from cds_service import clinical
from cds_service.cli.options import load_settings, stop, with_settings

try:
    from cds_service.retrospective import output, report
    from cds_service.retrospective.bulk import ExportError
    from cds_service.retrospective.judging import Variant
    from cds_service.retrospective.run import Plan, Stopped, Told, finish, replay, replay_recorded
except ModuleNotFoundError as error:  # the extra is not installed
    stop(f"{error.name} is missing: install naltrexone-cds[replay]")

_DAY = click.DateTime(["%Y-%m-%d"])
_FOLDER = click.Path(path_type=Path, file_okay=False)
_EXISTING = click.Path(path_type=Path, file_okay=False, exists=True)
_STAGES = {"read": "reading the export", "judge": "judging orders"}


@click.command(name="replay")
@click.option("--bulk", type=_EXISTING, help="Folder of a Bulk FHIR export: .ndjson, .ndjson.gz.")
@click.option("--calls", type=_EXISTING, help="Or a folder of recorded hook calls (.json).")
@click.option("--from", "first", type=_DAY, required=True, help="First day of orders to judge.")
@click.option("--to", "last", type=_DAY, required=True, help="Last day of orders to judge.")
@click.option("--out", type=_FOLDER, required=True, help="Folder for verdicts and report.")
@click.option("--processes", default=2, show_default=True, type=click.IntRange(1, 64))
@click.option(
    "--memory",
    default="1GB",
    show_default=True,
    help="For reading; what does not fit goes to the disk.",
)
@click.option("--partitions", default=64, show_default=True, type=click.IntRange(1, 4096))
@click.option(
    "--with-ids",
    is_flag=True,
    help="Keep patient, prescriber and order ids and days in the verdicts.",
)
@click.option(
    "--small-cells", default=5, show_default=True, help="Counts below this are not shown."
)
@click.option(
    "--pseudonyms",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the key of the pseudonyms, made if missing: `diff` needs two replays of one key.",
)
@click.option("--what-if", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="YAML list of variants: name, thresholds, topics_off, without (prefetch keys).")  # fmt: skip
@click.option("--spark", "master", default="", metavar="MASTER",
              help="Judge on Apache Spark: local[4], spark://host:7077. All its nodes must see the export.")  # fmt: skip
@click.option("--most", default=0, help="Stop after so many partitions; the same command goes on.")
@click.option(
    "--keep-work", is_flag=True, help="Keep the working folder (it holds the export's own texts)."
)
@with_settings
def replay_orders(  # noqa: PLR0913, PLR0917 - one parameter an option
    bulk: Path | None,
    calls: Path | None, first: datetime, last: datetime, out: Path, processes: int, memory: str, partitions: int,
    with_ids: bool, small_cells: int, pseudonyms: Path | None, what_if: Path | None, master: str, most: int,
    keep_work: bool, settings_file: str | None,
) -> None:  # fmt: skip
    """Judge a year of orders from a Bulk FHIR export, before go-live.

    It writes what a committee asks.
    """
    if (source := bulk or calls) is None or (bulk and calls):
        stop("one of --bulk and --calls is needed")
    settings = load_settings(settings_file)
    if refused := clinical.load(settings.content_overlay).refused:
        stop(f"content overlay: {refused[0]}")
    plan = Plan(source, out, first.date(), last.date(), str(settings.zone), settings.content_overlay,
                str(settings.terminology_dir or ""), (Variant(), *_variants(what_if)), with_ids, processes, partitions,
                memory, small_cells, most, pseudonyms)  # fmt: skip
    try:
        rows = _run(plan, master) if bulk else replay_recorded(plan)
    except (ExportError, ValueError, OSError) as error:
        stop(str(error))
    except Stopped:
        click.echo("stopped before the end; the same command goes on from here")
        raise SystemExit(3) from None
    count = output.write_verdicts(rows, out)
    report.write(rows, out, small_cells)
    if not keep_work:
        finish(plan)
    click.echo(f"{len(rows)} sessions judged, {count} verdicts; read {out / 'report.html'}")


def _run(plan: Plan, master: str) -> list[dict[str, object]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks = {stage: bar.add_task(words, total=None) for stage, words in _STAGES.items()}

        def tell(stage: str, done: int, of: int) -> None:
            bar.update(tasks[stage], completed=done, total=of)

        return _on_spark(plan, master, tell) if master else replay(plan, tell)


def _on_spark(plan: Plan, master: str, tell: Told) -> list[dict[str, object]]:
    try:
        from cds_service.retrospective.spark import replay_on_spark  # noqa: PLC0415 - an extra, slow to load
    except ModuleNotFoundError as error:
        stop(f"{error.name} is missing: install naltrexone-cds[spark]")
    return replay_on_spark(plan, master, tell)


def _variants(file: Path | None) -> list[Variant]:
    if file is None:
        return []
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
        return [Variant(str(v["name"]), dict(v.get("thresholds", {})), frozenset(v.get("topics_off", ())),
                        frozenset(v.get("without", ()))) for v in found]  # fmt: skip
    except (yaml.YAMLError, TypeError, KeyError, AttributeError):
        stop("--what-if: must be a YAML list of {name, thresholds, topics_off, without}")
