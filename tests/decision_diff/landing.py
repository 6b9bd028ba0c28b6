"""The verdict diff of a change that is about to land: one page, for whoever reviews it. It never fails a build.

``python -m tests.decision_diff.landing --out FOLDER`` compares this tree with the commit it began from (``CI_BASE``, else
where it left ``main``, else the one before) over the vignettes in R4, fixtures, captures, the field's bodies and a small
synthetic export. Without a change of what decides, or without that commit (a shallow clone), it says so in one line.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from tests.decision_diff.versions import ROOT
from tests.retrospective.generate import FIRST, LAST, Style, write

DECIDES = ("cards", *(f"cds_service/{name}" for name in (
    "content", "dosing", "exposure", "fhir", "hooks", "rules", "terminology", "model.py", "pipeline.py", "reading.py",
    "snapshot.py")))  # fmt: skip
CALLS = (
    "/R4/",
    "field/",
    "captures/",
    "examples/",
    "order-select/",
    "order-sign/",
    "medication-prescribe/",
    "medication-refill/",
)
PATIENTS, SEED = 300, 13


def git(root: Path, *words: str) -> str:
    """What git answers; "" where it cannot."""
    try:
        said = subprocess.run(
            ["git", *words], cwd=root, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


def base(root: Path, wanted: str = "") -> str:
    """The commit to compare with; "" where the history does not reach that far."""
    here = git(root, "rev-parse", "HEAD")
    if wanted:
        return git(root, "rev-parse", "--verify", f"{wanted}^{{commit}}")
    for trunk in ("origin/main", "main"):
        if (met := git(root, "merge-base", "HEAD", trunk)) and met != here:
            return met
    return git(root, "rev-parse", "--verify", "HEAD~1^{commit}")


def changed(root: Path, since: str) -> list[str]:
    """The files of content, terminology and rules that differ from that commit, new ones included."""
    new = git(root, "ls-files", "--others", "--exclude-standard", "--", *DECIDES)
    other = git(root, "diff", "--name-only", since, "--", *DECIDES)
    return sorted({*other.splitlines(), *new.splitlines()})


def bounded(words: Sequence[str], root: Path, seconds: float) -> tuple[int | None, str]:
    """(exit status, what it said); None where it took longer, and then nothing of it runs on."""
    process = subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               start_new_session=True)  # fmt: skip
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, ""
    return process.returncode, said


def told(root: Path, out: Path, seconds: float, wanted: str = "") -> str:
    """One line about the diff, which lies in ``out`` if there was one to make."""
    if not (since := base(root, wanted)):
        return "not made: the history does not reach the commit before (a shallow clone?)"
    if not (files := changed(root, since)):
        return f"not made: nothing that decides has changed since {since[:12]}"
    with tempfile.TemporaryDirectory(prefix="landing-") as place:
        write(Path(place), SEED, PATIENTS, Style.OVERWRITTEN)
        words = [sys.executable, "-m", "tests.decision_diff", since[:12], str(root), "--bulk", place, "--from", str(FIRST),
                 "--to", str(LAST), "--page", str(out), "--small-cells", "1", "--examples", "0"]  # fmt: skip
        status, said = bounded([*words, *(word for call in CALLS for word in ("--only", call))], root, seconds)  # fmt: skip
    first = (said.strip().splitlines() or [""])[0]
    if status not in (0, 1) or not (out / "diff.html").exists():
        why = f"it took longer than {seconds:g} s" if status is None else said.strip()[-300:]
        return f"not made: {len(files)} files that decide have changed, but {' '.join(why.split())}"
    return f"{first}; {'verdicts changed' if status else 'no verdict changed'}: {out / 'diff.html'}"


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--seconds", default=60.0, show_default=True, help="Longest it may take.")
def main(out: Path, seconds: float) -> None:
    try:
        line = told(ROOT, out.absolute(), seconds, os.environ.get("CI_BASE", ""))
    except Exception as error:  # noqa: BLE001 - a page for a reader is no reason to fail a build
        line = f"not made: {type(error).__name__}: {error}"
    click.echo(f"verdict diff: {line}")


if __name__ == "__main__":
    main()
