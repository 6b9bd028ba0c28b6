"""The shape of the code: imports go down only, the middle is pure, a rule's id is the same everywhere."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from cds_service.content import loader as content
from cds_service.model import GAP_ABOUT, GAP_WHY
from cds_service.rules import RULES, Rule
from cds_service.rules.registry import rule_table

PACKAGE = Path(__file__).parents[2] / "cds_service"
PURE = [
    "model.py",
    "errors.py",
    "dosing",
    "exposure",
    "titration",
    "reading.py",
    "snapshot.py",
    "content",
    "clinical.py",
    "pipeline.py",
    "rules",
    "fhir",
    "terminology",
    "hooks",
]
CLOCKS_AND_CHANCE = {"now", "today", "uuid4", "getenv", "print", "random"}


def test_imports_go_down_only(capsys: pytest.CaptureFixture[str]) -> None:
    """The contracts of pyproject.toml hold."""
    assert 0 == lint_imports(config_filename=str(PACKAGE.parent / "pyproject.toml")), (
        capsys.readouterr().out
    )


def pure_files() -> list[Path]:
    return [
        file
        for name in PURE
        for file in (
            [PACKAGE / name] if name.endswith(".py") else sorted((PACKAGE / name).rglob("*.py"))
        )
    ]


@pytest.mark.parametrize("file", pure_files(), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_the_middle_asks_no_clock_no_chance_and_no_environment(file: Path) -> None:
    """The clock, ids and randomness are arguments in the pure middle."""
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    assert set() == called & CLOCKS_AND_CHANCE


def literals(file: Path) -> set[str]:
    """Every text in the code of a file; what documents it is no code."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in documented
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_the_id_of_a_rule_is_written_in_its_own_file_and_nowhere_else(rule: Rule) -> None:
    """Everything else asks the registry."""
    named = [
        file
        for file in sorted(PACKAGE.rglob("*.py"))
        if any(rule.id in text for text in literals(file))
    ]
    assert [Path(sys.modules[rule.judge.__module__].__file__ or "")] == named


def test_a_rule_and_its_card_file_share_one_id() -> None:
    assert {rule.id for rule in RULES} == set(content.load().cards)


def test_the_table_of_the_rules_in_the_documents_is_the_registry_s() -> None:
    """``python -m cds_service.rules > docs/rules.md`` writes it anew."""
    assert rule_table() == (PACKAGE.parent / "docs" / "rules.md").read_text(encoding="utf-8")


def test_every_gap_that_the_code_can_emit_is_a_word_of_the_model() -> None:
    """The content has words for each of those (``content.contract``)."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in sorted(PACKAGE.rglob("*.py"))]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    calls = {"Gap": 1, "CallFailedError": 0, "failed": 0, "SearchAnswer": 3, "Fetched": 2}
    why = {
        text
        for node in nodes
        if isinstance(node, ast.Call)
        for text in texts_of(given(node, calls))
    } | {text for node in nodes for text in texts_of(counted(node)[1:])}
    about = {text for node in nodes for text in texts_of(counted(node)[:1])}
    assert {"draft", "medicine"} == about
    assert {"timeout", "not-sent", "more-pages", "other-patient", "operation-outcome"} <= why
    assert set() == (about - set(GAP_ABOUT)) | (why - set(GAP_WHY) - {"ok"})


def given(call_: ast.Call, places: dict[str, int]) -> list[ast.expr]:
    """The argument that says why, in a call by one of these names."""
    name = ast.unparse(call_.func).rpartition(".")[2]
    if name not in places:
        return []
    return [
        *call_.args[places[name] : places[name] + 1],
        *(k.value for k in call_.keywords if k.arg == "why"),
    ]


def counted(node: ast.AST) -> list[ast.expr]:
    """``about`` and ``why`` of ``gaps[about, why] += 1``."""
    if (
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Tuple)
        and ast.unparse(node.value).endswith("gaps")
    ):
        return node.slice.elts
    return []


def texts_of(nodes: list[ast.expr]) -> list[str]:
    return [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value
    ]
