"""Break the clinical core on purpose, one small change at a time, and see whether the tests notice.

``python -m tests.mutation --minutes 20`` works in a temporary copy of the repository, so the work tree is never touched.
Each mutant meets the unit tests of its own module first and, if it survives them, those of the other modules under test
and the vignettes in-process (without the ones over HTTP). What fits into the time is a sample, drawn with ``--seed``
evenly over the files; what was not run is said. Survivors that ``survivors.md`` explains are marked; the exit status is 1
if there is one that it does not.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click
import pytest

from tests.mutation.mutants import Mutant, mutants_of

ROOT = Path(__file__).parents[2]
EXPLAINED = Path(__file__).with_name("survivors.md")
RECOGNISING = (
    "terminology/test_recognition.py",
    "terminology/test_identity.py",
    "terminology/test_conditions.py",
)
RULES = (
    "rules/test_tables.py",
    "rules/test_rules.py",
    "rules/test_rules_notes.py",
    "rules/test_thresholds_move.py",
)
DOSES, SIGS, DAILY, LANGUAGES = (
    f"dosing/test_{name}.py" for name in ("structured", "sig", "daily", "languages")
)
UNITS = "dosing/test_units.py"
ENDS = tuple(f"exposure/test_{name}.py" for name in ("ending", "supply", "timeline", "blurring"))
DEPOTS = tuple(f"exposure/test_{name}.py" for name in ("depot", "washout", "timeline"))
TARGETS = {
    "cds_service/dosing/structured.py": (DOSES, UNITS, DAILY),
    "cds_service/dosing/amounts.py": (DOSES, SIGS, UNITS),
    "cds_service/dosing/daily.py": (DAILY, DOSES, UNITS),
    "cds_service/dosing/label.py": (DAILY, DOSES, UNITS),
    "cds_service/dosing/timing.py": (DOSES, DAILY, UNITS, "fhir/test_dosage.py"),
    "cds_service/dosing/translation.py": (LANGUAGES, SIGS),
    "cds_service/dosing/units.py": (UNITS, DOSES, SIGS, LANGUAGES),
    "cds_service/dosing/vocabulary.py": (LANGUAGES, UNITS, DOSES),
    "cds_service/dosing/sig.py": (SIGS, LANGUAGES, DAILY),
    "cds_service/dosing/sig_walk.py": (SIGS, LANGUAGES),
    "cds_service/dosing/sig_words.py": (SIGS, LANGUAGES),
    "cds_service/exposure/calendar.py": ENDS,
    "cds_service/exposure/depot.py": DEPOTS,
    "cds_service/exposure/ending.py": ENDS,
    "cds_service/exposure/supply.py": ENDS,
    "cds_service/exposure/timeline.py": (*ENDS, "exposure/test_depot.py"),
    "cds_service/exposure/washout.py": DEPOTS,
    **{
        f"cds_service/terminology/{name}.py": RECOGNISING
        for name in (
            "absence",
            "atc",
            "codes",
            "form_codes",
            "lexicon",
            "likeness",
            "mentions",
            "others",
            "rest",
            "systems",
            "recognition",
            "texts",
            "roles",
            "strengths",
            "evidence",
            "names",
            "words",
            "forms",
            "conflicts",
            "conditions",
        )
    },
    **{
        f"cds_service/rules/{name}.py": RULES
        for name in (
            "__init__",
            "tables",
            "pairs",
            "interaction",
            "offers",
            "naltrexone",
            "off_label",
            "dose_check",
            "patient_safety",
            "data_gap",
        )
    },
}
EVERYWHERE = (
    "tests/unit/test_small_changes.py"  # cases that once let a mutant pass, for every module
)
ALL_TESTS = (
    *dict.fromkeys(f"tests/unit/{name}" for names in TARGETS.values() for name in names),
    EVERYWHERE,
    "tests/vignettes",
)
_COPIED = ("cds_service", "cards", "tests", "fhir_fixtures", "pyproject.toml")
_HEAVY = ("flask", "sqlalchemy", "orjson", "jsonschema", "jsonschema_rs", "yaml", "requests")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one mutant: killed (by which test), survived or timed out."""

    mutant: Mutant
    outcome: str
    by: str = ""


@click.command(help=__doc__)
@click.option("--minutes", default=20.0, help="Stop after this many minutes.")
@click.option("--seed", default=1, help="Which sample to draw.")
@click.option("--only", default="", help="Only files whose path contains this.")
@click.option("--quiet", is_flag=True, help="Print survivors only.")
@click.option(
    "--own",
    is_flag=True,
    help="Run a module's own tests only: many more mutants a minute; the vignettes may kill a survivor.",
)
def main(minutes: float, seed: int, only: str, quiet: bool, own: bool) -> None:
    deadline = time.monotonic() + 60 * minutes
    files = [file for file in TARGETS if only in file]
    with tempfile.TemporaryDirectory() as folder:
        copy = _copy(Path(folder))
        everyone = {
            file: mutants_of(file, (copy / file).read_text(encoding="utf-8")) for file in files
        }
        whole = _baseline(
            copy, dict.fromkeys(t for f in files for t in _own(f)) if own else ALL_TESTS
        )
        verdicts = []
        for mutant in _drawn(everyone, seed):
            if time.monotonic() > deadline:
                break
            verdicts.append(verdict := judge(mutant, copy, whole, own_only=own))
            if verdict.outcome == "survived" or not quiet:
                click.echo(
                    f"{verdict.outcome:9} {mutant.file}:{mutant.line}  {mutant.before} -> {mutant.after}"
                    f"  {verdict.by}"
                )
    sys.exit(_report(everyone, verdicts, seed))


def _copy(folder: Path) -> Path:
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*")
            )
        else:
            shutil.copy2(source, folder / name)
    return folder


def _own(file: str) -> tuple[str, ...]:
    return (*(f"tests/unit/{name}" for name in TARGETS[file]), EVERYWHERE)


def _baseline(copy: Path, tests: Iterable[str]) -> float:
    """Seconds of the unchanged tests; they must be green, or a red one would kill every mutant."""
    started = time.monotonic()
    outcome, by = _run_tests(copy, tests, 1_200, compiled=True)
    if outcome != "survived":
        raise click.ClickException(f"the tests are not green without a mutant: {outcome} {by}")
    return time.monotonic() - started


def _drawn(everyone: dict[str, list[Mutant]], seed: int) -> Iterator[Mutant]:
    """All mutants in random order, taking the files in turn."""
    shuffled = [
        random.Random(f"{seed} {file}").sample(mutants, len(mutants))
        for file, mutants in everyone.items()
    ]
    return (
        mutant for turn in itertools.zip_longest(*shuffled) for mutant in turn if mutant is not None
    )


def judge(mutant: Mutant, copy: Path, whole: float, *, own_only: bool = False) -> Verdict:
    """Run the tests against one mutant; the file in the copy is as before afterwards."""
    target = copy / mutant.file
    before, right = target.stat(), target.read_bytes()
    target.write_text(mutant.source, encoding="utf-8")
    os.utime(
        target, (before.st_atime, before.st_mtime + 100)
    )  # no stale bytecode of the same size and second
    try:
        own = _own(mutant.file)
        outcome, by = _run_tests(copy, own, 60 + 4 * whole)
        if outcome == "survived" and not own_only:
            outcome, by = _run_tests(
                copy, [name for name in ALL_TESTS if name not in own], 60 + 4 * whole
            )
        return Verdict(mutant, outcome, by)
    finally:
        target.write_bytes(right)
        os.utime(target, (before.st_atime, before.st_mtime))


def _run_tests(
    copy: Path, tests: Iterable[str], seconds: float, *, compiled: bool = False
) -> tuple[str, str]:
    """("killed", test), ("survived", "") or ("timed out", ""): in a child process that loads the copy's modules afresh."""
    for name in _HEAVY:
        __import__(name)
    log = copy / "log.txt"
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _become_test_run(copy, tests, log, compiled=compiled)
    status = _wait(child, seconds)
    if status is None:
        return "timed out", ""
    if status == 0:
        return "survived", ""
    failed = (
        line
        for line in log.read_text(errors="replace").splitlines()
        if line.startswith(("FAILED", "ERROR", "E "))
    )
    return "killed", next(failed, "").partition(" - ")[0][:110]


def _become_test_run(copy: Path, tests: Iterable[str], log: Path, *, compiled: bool) -> NoReturn:
    """Run pytest on the copy in this forked process and leave it; nothing of the parent may be unwound here."""
    try:
        with log.open("w") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        os.chdir(copy)
        sys.path[:] = [str(copy), *(entry for entry in sys.path if entry not in {"", str(ROOT)})]
        sys.argv[:] = ["pytest"]
        sys.dont_write_bytecode = not compiled
        for name in [
            name for name in sys.modules if name.partition(".")[0] in {"tests", "cds_service"}
        ]:
            del sys.modules[name]
        status = int(
            pytest.main(
                [
                    "-x",
                    "-q",
                    "--tb=no",
                    "-p",
                    "no:cacheprovider",
                    "-k",
                    "not over_http",
                    "--hypothesis-seed=0",
                    "--rootdir",
                    str(copy),
                    *tests,
                ]
            )
        )
    except BaseException:  # noqa: BLE001 - a broken run counts as red, and says why in the log
        traceback.print_exc()
        status = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _wait(child: int, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _report(everyone: dict[str, list[Mutant]], verdicts: list[Verdict], seed: int) -> int:
    """Print the table and the survivors; 1 if one of them is not explained."""
    run, survived = (
        Counter(v.mutant.file for v in verdicts if v.outcome in wanted)
        for wanted in ({"killed", "survived", "timed out"}, {"survived"})
    )
    click.echo(f"\n{'file':44} mutants    run  killed  survived  not run")
    for file, mutants in everyone.items():
        click.echo(
            f"{file:44} {len(mutants):7} {run[file]:6} {run[file] - survived[file]:7} {survived[file]:9} "
            f"{len(mutants) - run[file]:8}"
        )
    total = sum(map(len, everyone.values()))
    late = sum(v.outcome == "timed out" for v in verdicts)
    click.echo(
        f"seed {seed}: {len(verdicts)} of {total} mutants were run, {total - len(verdicts)} were NOT run; "
        f"{sum(survived.values())} survived, {late} timed out (counted as killed)"
    )
    explained = EXPLAINED.read_text(encoding="utf-8") if EXPLAINED.exists() else ""
    unexplained = 0
    for verdict in (v for v in verdicts if v.outcome == "survived"):
        known = f"`{verdict.mutant.key}`" in explained
        unexplained += not known
        click.echo(
            f"{'explained' if known else 'SURVIVED '} line {verdict.mutant.line} of `{verdict.mutant.key}`"
        )
    return 1 if unexplained else 0


if __name__ == "__main__":
    main()
