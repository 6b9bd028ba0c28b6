"""What a replay of an export larger than its memory takes: ``python -m tests.retrospective.memory``.

The replay runs in a process whose anonymous memory the kernel bounds (RLIMIT_DATA), and so do its workers: each dies
where it asks for more. DuckDB is told a third of that. Exit status 0 only where the export is larger than the limit and
every planted danger was judged critical.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import tempfile
from pathlib import Path

import click

from cds_service.retrospective.run import Plan, replay
from tests.retrospective.generate import FIRST, LAST, Planted, Style, write

MEGA = 1 << 20
INTERACTION = "naltrexone-opioid-interaction"


def bounded(export: Path, out: Path, limit: int) -> None:
    """In a process of its own: replay, and leave what was said of each order."""
    resource.setrlimit(resource.RLIMIT_DATA, (limit * MEGA, limit * MEGA))
    plan = Plan(export, out, FIRST, LAST, with_ids=True, processes=1, memory=f"{limit // 3}MB")
    rows = replay(plan)
    said = {o: r["verdicts"]["as it is"].get(INTERACTION, ["none"])[:2] for r in rows for o in r["orders"]}  # fmt: skip
    peak = max(resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))  # fmt: skip
    (out / "said.json").write_text(json.dumps({"said": said, "peak": peak // 1024}), encoding="utf-8")  # fmt: skip


def missed(planted: list[Planted], said: dict[str, list[str]]) -> int:
    return sum(
        "critical" not in said[f"MedicationRequest/{p.order}"] for p in planted if p.dangerous
    )


@click.command(help=__doc__)
@click.option("--patients", default=130_000, show_default=True)
@click.option("--limit", default=400, show_default=True, help="MB of memory for each process.")
def main(patients: int, limit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        export, out = Path(folder) / "in", Path(folder) / "out"
        planted = write(export, 7, patients, Style.CLEAN)
        size = sum(file.stat().st_size for file in export.glob("*.ndjson")) // MEGA
        child = multiprocessing.get_context("spawn").Process(target=bounded, args=(export, out, limit))  # fmt: skip
        child.start()
        child.join()
        if child.exitcode or size <= limit:
            sys.exit(f"export {size} MB, limit {limit} MB: exit status {child.exitcode}")
        found = json.loads((out / "said.json").read_text(encoding="utf-8"))
        lost = missed(planted, found["said"])
        click.echo(f"export {size} MB, limit {limit} MB a process, {found['peak']} MB resident at most, "
                   f"{len(found['said'])} orders judged, {lost} planted dangers missed")  # fmt: skip
        sys.exit(bool(lost))


if __name__ == "__main__":
    main()
