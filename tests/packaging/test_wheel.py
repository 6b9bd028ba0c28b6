"""What is handed out: a wheel with one import package, and an sdist to build it from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cds_service.console.stories import all_stories
from cds_service.content.loader import content_folder
from tests.conftest import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
REQUEST = ROOT / "fhir_fixtures" / "requests" / "captures" / "03-r4-order-select-naltrexone.json"
Run = Callable[..., subprocess.CompletedProcess[str]]


def run(*command: str | Path, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """A command without the checkout on its path: ``-P`` leaves the working directory out."""
    return subprocess.run(
        [sys.executable, "-P", *map(str, command)],
        cwd=cwd,
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
        env={**plain_environment(), **environ},
    )


def plain_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("NALTREXONE_CDS_")
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that was built from it, not from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    done = run("-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    assert 0 == done.returncode, done.stdout[-2_000:] + done.stderr[-2_000:]
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder that got the wheel alone; its dependencies are this environment's."""
    folder = tmp_path_factory.mktemp("installed")
    done = run(
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-index",
        "--quiet",
        "--target",
        folder,
        wheel,
        cwd=folder,
    )
    assert 0 == done.returncode, done.stderr[-2_000:]
    return folder


@pytest.fixture
def away(installed: Path, tmp_path: Path) -> Run:
    """Runs the installed service from an empty folder."""
    return lambda *words, **environ: run(
        "-m", "cds_service", *words, cwd=tmp_path, PYTHONPATH=str(installed), **environ
    )


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_one_import_package_and_its_metadata(wheel: Path) -> None:
    assert {"cds_service", f"naltrexone_cds-{VERSION}.dist-info"} == {
        name.split("/")[0] for name in names_in(wheel)
    }


def test_the_wheel_holds_the_types_and_every_file_of_the_cards_folder(wheel: Path) -> None:
    cards = {
        f"cds_service/cards/{file.relative_to(ROOT / 'cards').as_posix()}"
        for file in (ROOT / "cards").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert len(cards) > 5
    assert set() == {"cds_service/py.typed", *cards} - set(names_in(wheel))


def test_the_wheel_holds_the_stories_of_the_playground(wheel: Path) -> None:
    stories = {
        f"cds_service/fhir_fixtures/{file.relative_to(ROOT / 'fhir_fixtures').as_posix()}"
        for story in all_stories().values()
        for file in story.files.values()
    }
    assert len(stories) > 24
    assert set() == stories - set(names_in(wheel))


def test_the_wheel_holds_every_file_of_the_package_and_no_bytecode(wheel: Path) -> None:
    ours = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "cds_service").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert set() == ours - set(names_in(wheel))
    assert [] == [name for name in names_in(wheel) if name.endswith(".pyc")]


def test_the_sdist_holds_all_that_is_needed_to_test_and_to_build(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        file.relative_to(ROOT).as_posix()
        for top in ("cards", "cds_service", "docs", "fhir_fixtures", "tests")
        for file in (ROOT / top).rglob("*")
        if file.is_file() and not {"__pycache__", ".hypothesis"} & set(file.parts)
    }
    wanted |= {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "uv.lock",
        "requirements.txt",
        "requirements-test.txt",
    }
    assert set() == wanted - held


def test_a_checkout_reads_its_own_cards() -> None:
    assert ROOT / "cards" == content_folder()


def test_the_installed_service_is_the_installed_one(installed: Path, tmp_path: Path) -> None:
    where = run(
        "-c",
        "import cds_service.content.loader as c; print(c.content_folder())",
        cwd=tmp_path,
        PYTHONPATH=str(installed),
    ).stdout.strip()
    assert str(installed / "cds_service" / "cards") == where


def test_the_installed_service_answers_a_captured_request(away: Run) -> None:
    done = away("try", REQUEST, "--as-of", "2026-11-21", "--json")
    assert 0 == done.returncode, done.stderr
    found = {
        card["source"]["topic"]["code"]: card["indicator"]
        for card in json.loads(done.stdout)["cards"]
    }
    assert "warning" == found["naltrexone-opioid-interaction"]


def test_the_installed_service_takes_a_site_overlay(away: Run, tmp_path: Path) -> None:
    words = (ROOT / "cards" / "shared.yaml").read_text(encoding="utf-8")
    site = tmp_path / "site"
    site.mkdir()
    (site / "shared.yaml").write_text(
        words.replace("Naltrexone safety", "Example Hospital"), encoding="utf-8"
    )
    done = away(
        "try", REQUEST, "--as-of", "2026-11-21", "--json", NALTREXONE_CDS_CONTENT_OVERLAY=str(site)
    )
    assert {"Example Hospital"} == {
        card["source"]["label"] for card in json.loads(done.stdout)["cards"]
    }


def test_the_installed_service_checks_itself(away: Run) -> None:
    done = away("check")
    assert (0, False) == (done.returncode, "FAULT" in done.stdout), done.stdout + done.stderr
