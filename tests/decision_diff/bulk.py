"""A Bulk FHIR export replayed by two versions, each by its own code: which verdicts changed.

Only the command line of a version is asked, with ids, so a version that knows no key of pseudonyms is compared as well;
its output vanishes again, and the page names nobody.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cds_service.retrospective.diff import DiffError, compare, read_replayed
from tests.decision_diff.report import Report, sample
from tests.decision_diff.versions import Version, VersionError

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Corpus:
    """An export and the days of the orders to judge in it."""

    folder: Path
    first: str
    last: str


def compared(old: Version, new: Version, corpus: Corpus, small: int) -> dict[str, Any]:
    """What ``retrospective.diff`` finds; the two versions work at the same time."""
    with tempfile.TemporaryDirectory(prefix="replayed-") as place:
        folders = [Path(place) / "old", Path(place) / "new"]
        running = [start(v, corpus, folder) for v, folder in zip((old, new), folders, strict=True)]
        complaints = [process.communicate()[1] for process in running]
        for version, process, said in zip((old, new), running, complaints, strict=True):
            if process.returncode:
                raise VersionError(f"{version.name} does not replay: {said.decode()[-1500:]}")
        try:
            return compare(*map(read_replayed, folders), small=small)
        except DiffError as error:
            raise VersionError(str(error)) from None


def start(wanted: Version, corpus: Corpus, out: Path) -> subprocess.Popen[bytes]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("NALTREXONE_CDS_")}  # fmt: skip
    words = ["replay", "--bulk", str(corpus.folder.resolve()), "--from", corpus.first, "--to", corpus.last,
             "--out", str(out), "--with-ids", "--processes", "1", "--partitions", "4"]  # fmt: skip
    return subprocess.Popen(
        [wanted.python, "-P", "-m", "cds_service", *words],
        cwd=wanted.folder,
        env={**environ, "PYTHONPATH": str(wanted.folder), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def as_part(report: Report) -> dict[str, Any]:
    """The repository's own calls as a table for the end of the page."""
    return {
        "title": "The calls of the repository",
        "text": f"{report.headline}: vignettes, fixtures, captures, bodies of the field.",
        "head": ("Rule", "Change", "Calls", "Cause", "For example"),
        "rows": [(topic, what, len(members), causes, _examples(members))
                 for (topic, what, causes), members in report.groups()],
    }  # fmt: skip


def _examples(members: Iterable[Any]) -> str:
    return "; ".join(line.partition("  ")[0] for line in sample([*members], EXAMPLES))
