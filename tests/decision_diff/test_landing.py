"""The verdict diff of a landing is made where something that decides has changed, and never fails a build."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.decision_diff import landing
from tests.decision_diff.landing import DECIDES, base, bounded, changed, main, told
from tests.decision_diff.versions import ROOT

WHO = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")


def git(folder: Path, *words: str) -> str:
    made = subprocess.run(
        ["git", *WHO, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return made.stdout.strip()


def commit(folder: Path, file: str, text: str) -> str:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Change")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "cards/thresholds.yaml", "one")
    return folder


def test_every_folder_that_decides_is_there() -> None:
    assert [] == [name for name in DECIDES if not (ROOT / name).exists()]


def test_a_branch_is_compared_with_where_it_left_main_and_main_with_the_commit_before(
    repository: Path,
) -> None:
    first = git(repository, "rev-parse", "HEAD")
    second = commit(repository, "docs/a.md", "x")
    assert first == base(repository)
    git(repository, "checkout", "-qb", "work")
    commit(repository, "docs/b.md", "x")
    commit(repository, "docs/c.md", "x")
    assert second == base(repository)
    assert first == base(repository, first)
    assert "" == base(repository, "no-such-commit")


@pytest.mark.parametrize(
    "file",
    ["cards/shared.yaml", "cds_service/rules/pairs.py", "cds_service/terminology/data/atc.csv"],
)
def test_what_decides_is_seen_committed_or_not(file: str, repository: Path) -> None:
    since = git(repository, "rev-parse", "HEAD")
    commit(repository, "docs/a.md", "x")
    assert [] == changed(repository, since)
    (repository / file).parent.mkdir(parents=True, exist_ok=True)
    (repository / file).write_text("new")
    assert [file] == changed(repository, since)
    commit(repository, file, "changed")
    assert [file] == changed(repository, since)


def test_without_history_it_is_said_in_one_line(repository: Path, tmp_path: Path) -> None:
    """No repository, one commit alone, and a shallow clone of a long history."""
    (tmp_path / "none").mkdir()
    commit(repository, "cards/thresholds.yaml", "two")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    for folder in (tmp_path / "none", tmp_path / "shallow"):
        line = told(folder, tmp_path / "out", 5)
        assert line.startswith("not made: the history does not reach")
        assert not (tmp_path / "out").exists()


def test_nothing_changed_and_too_slow_are_said_in_one_line(
    repository: Path, tmp_path: Path
) -> None:
    commit(repository, "docs/a.md", "x")
    assert told(repository, tmp_path / "out", 5).startswith("not made: nothing that decides")
    commit(repository, "cards/thresholds.yaml", "two")
    line = told(repository, tmp_path / "out", 0)
    assert line.startswith(
        "not made: 1 files that decide have changed, but it took longer than 0 s"
    )


def test_a_version_that_does_not_run_is_said_in_one_line(repository: Path, tmp_path: Path) -> None:
    """The repository of this test holds no service at all."""
    commit(repository, "cards/thresholds.yaml", "two")
    line = told(repository, tmp_path / "out", 60)
    assert line.startswith("not made: 1 files that decide have changed, but ")
    assert 1 == len(line.splitlines())


def test_whatever_happens_the_build_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(landing, "told", lambda *_: 1 / 0)
    result = CliRunner().invoke(main, ["--out", str(tmp_path)])
    assert (0, "verdict diff: not made: ZeroDivisionError: division by zero\n") == (
        result.exit_code,
        result.output,
    )


def test_what_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    child = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    waited = started_and_bounded(tmp_path / "pid", parent)
    assert (None, "") == waited
    pid = int((tmp_path / "pid").read_text() or "0")
    deadline = time.monotonic() + 30
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(pid)


def started_and_bounded(pid_file: Path, parent: str) -> tuple[int | None, str]:
    """Try with longer and longer bounds until the grandchild had time to start."""
    for seconds in (2, 5, 15, 30):
        found = bounded([sys.executable, "-c", parent], pid_file.parent, seconds)
        if pid_file.exists() and pid_file.read_text():
            return found
    return found


def is_running(pid: int) -> bool:
    """A process that ended and was not waited for is none."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False
