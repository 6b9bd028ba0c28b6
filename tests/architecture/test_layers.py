"""The shape of the code: imports go down only, the middle is pure, a rule's id is the same everywhere."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from cds_service.cli import explain
from cds_service.content import loader as content
from cds_service.rules import RULES

PACKAGE = Path(__file__).parents[2] / "cds_service"
PURE = ["model.py", "errors.py", "dosing", "exposure", "titration", "snapshot.py", "content", "pipeline.py", "rules",
        "fhir", "terminology", "hooks"]
CLOCKS_AND_CHANCE = {"now", "today", "uuid4", "getenv", "print", "random"}


def test_imports_go_down_only(capsys: pytest.CaptureFixture[str]) -> None:
    """The contracts of pyproject.toml hold."""
    assert 0 == lint_imports(config_filename=str(PACKAGE.parent / "pyproject.toml")), capsys.readouterr().out


def pure_files() -> list[Path]:
    return [file for name in PURE for file in
            ([PACKAGE / name] if name.endswith(".py") else sorted((PACKAGE / name).rglob("*.py")))]


@pytest.mark.parametrize("file", pure_files(), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_the_middle_asks_no_clock_no_chance_and_no_environment(file: Path) -> None:
    """The clock, ids and randomness are arguments in the pure middle."""
    called = {node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
              for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)}
    assert set() == called & CLOCKS_AND_CHANCE


def test_a_rule_a_card_and_a_trace_share_one_id() -> None:
    assert set(RULES) == set(content.CARD_IDS) == set(content.load().cards)
    assert explain.is_complete()


def test_the_readme_has_a_section_for_every_rule() -> None:
    readme = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
    assert [] == [name for name in RULES if f"### {name}" not in readme]
