"""A digest covers all that decides: another byte anywhere in it is another version."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cds_service
from cds_service.content import loader
from cds_service.journal import versions
from cds_service.journal.versions import digests, rules_version
from tests.decision_diff.landing import DECIDES

CONTENT = loader.load()
NOT_DECIDING = {"", "errors", "settings", "retrospective"}  # settings reach a verdict as arguments
ALTERED = {
    "rules/interaction.py": {"rules"},
    "fhir/dates.py": {"rules"},
    "hooks/prefetch.py": {"rules"},
    "exposure/washout.py": {"rules"},
    "reading.py": {"rules"},
    "model.py": {"rules"},
    "content/render.py": {"rules"},
    "titration/schedules.py": {"rules"},
    "terminology/names.py": {"rules", "terminology"},
    "terminology/data/names.csv": {"terminology"},
    "web/hooks.py": set(),
    "console/pages.py": set(),
}


def test_every_module_that_a_verdict_needs_is_covered() -> None:
    code = "import sys, json, cds_service.retrospective.judging as j; print(json.dumps([m for m in sys.modules]))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = [m for m in json.loads(said.stdout) if m.split(".")[0] == "cds_service"]
    rooms = {f"{m}.".split(".")[1] for m in loaded} - NOT_DECIDING
    assert {"rules", "fhir", "reading"} < rooms
    assert rooms == {part.removesuffix(".py") for part in versions._DECIDES}
    assert set() == {f"cds_service/{part}" for part in versions._DECIDES} - {*DECIDES}


def forget() -> None:
    versions._rules_digest.cache_clear()
    versions._packaged_terminology.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package, whose digests are taken."""
    root = tmp_path / "cds_service"
    shutil.copytree(Path(cds_service.__path__[0]), root, ignore=shutil.ignore_patterns("cards"))
    monkeypatch.setattr(versions, "_root", lambda: root)
    forget()
    yield root
    forget()


def test_another_byte_is_another_version(package: Path) -> None:
    """Of code, and of tables that lie beside it; of pages and sockets it is not."""
    before, version = digests(CONTENT, ""), rules_version()
    words = next(
        f
        for f in sorted((package / "dosing").rglob("*"))
        if f.is_file() and f.suffix not in {".py", ".pyc"}
    )
    for name, parts in {**ALTERED, words.relative_to(package).as_posix(): {"rules"}}.items():
        kept = (package / name).read_bytes()
        (package / name).write_bytes(kept + b" ")
        forget()
        after = digests(CONTENT, "")
        assert parts == {part for part in before if before[part] != after[part]}, name
        assert ("rules" in parts) == (version != rules_version())
        (package / name).write_bytes(kept)
    (package / "rules/__pycache__").mkdir(exist_ok=True)
    (package / "rules/__pycache__/x.cpython-311.pyc").write_bytes(b"compiled")
    forget()
    assert before == digests(CONTENT, "")


def test_a_site_s_tables_are_in_the_digest_of_the_terminology(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("a")
    one = digests(CONTENT, tmp_path)
    (tmp_path / "names.csv").rename(tmp_path / "products.csv")
    other = digests(CONTENT, tmp_path)
    assert 3 == len({digests(CONTENT, "")["terminology"], one["terminology"], other["terminology"]})
    assert one["rules"] == other["rules"]
