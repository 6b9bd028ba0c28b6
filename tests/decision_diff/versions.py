"""A version of the service: a folder, a wheel, or a git revision of this repository, as a folder to import from."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.decision_diff.calls import Call

ROOT = Path(__file__).parents[2]
RUNNER = Path(__file__).with_name("runner.py")

Line = dict[str, Any]  # what the runner says about one call


class VersionError(Exception):
    """What was named is no version of the service, or the version does not run."""


@dataclass(frozen=True, slots=True)
class Version:
    """Where ``cds_service`` is imported from, and by which interpreter."""

    name: str
    folder: Path
    python: str = sys.executable


@contextmanager
def version(name: str, python: str = sys.executable) -> Iterator[Version]:
    """The version called ``name``; what had to be unpacked for it vanishes again."""
    with tempfile.TemporaryDirectory(prefix="version-") as place:
        folder = Path(name) if Path(name).is_dir() else Path(place)
        if Path(name).suffix == ".whl":
            unpack_wheel(Path(name), folder)
        elif folder == Path(place):
            unpack_revision(name, folder)
        if not (folder / "cds_service" / "__init__.py").is_file():
            raise VersionError(f"{name}: there is no cds_service in it")
        yield Version(name, folder.resolve(), python)


def unpack_wheel(wheel: Path, folder: Path) -> None:
    try:
        shutil.unpack_archive(wheel, folder, "zip")
    except OSError as error:  # shutil.ReadError is one
        raise VersionError(f"{wheel}: {error}") from error


def unpack_revision(revision: str, folder: Path) -> None:
    archive = subprocess.run(
        ["git", "archive", "--format=tar", f"{revision}^{{commit}}"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        raise VersionError(
            f"{revision}: no folder, no wheel and no git revision of this repository"
        )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")


def run(versions: Sequence[Version], what: str, calls: Sequence[Call]) -> list[list[Line]]:
    """What each version answered to each call; they work at the same time."""
    with tempfile.TemporaryDirectory(prefix="calls-") as place:
        asked = Path(place) / "asked.ndjson"
        asked.write_bytes(b"".join(call.line() + b"\n" for call in calls))
        files = [Path(place) / f"version-{number}" for number, _ in enumerate(versions)]
        for process in [
            start(each, what, asked, file) for each, file in zip(versions, files, strict=True)
        ]:
            process.wait()
        return [answers(each, file, len(calls)) for each, file in zip(versions, files, strict=True)]


def start(wanted: Version, what: str, asked: Path, answer: Path) -> subprocess.Popen[bytes]:
    """The runner, sent to this version's interpreter, which imports the package from its folder alone."""
    environ = {**os.environ, "PYTHONPATH": str(wanted.folder), "PYTHONDONTWRITEBYTECODE": "1"}
    with (
        asked.open("rb") as calls,
        answer.open("wb") as said,
        answer.with_suffix(".err").open("wb") as complained,
    ):
        return subprocess.Popen(
            [wanted.python, "-P", str(RUNNER), what, str(wanted.folder)],
            cwd=wanted.folder,
            env=environ,
            stdin=calls,
            stdout=said,
            stderr=complained,
        )


def answers(wanted: Version, answer: Path, expected: int) -> list[Line]:
    found = [json.loads(line) for line in answer.read_bytes().splitlines()]
    if len(found) != expected:
        complaint = answer.with_suffix(".err").read_text(encoding="utf-8", errors="replace")
        raise VersionError(f"{wanted.name} does not run: {complaint[-1500:]}")
    return found
