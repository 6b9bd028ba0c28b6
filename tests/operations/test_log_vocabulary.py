"""Every event that the code logs is in the vocabulary, with its level and its members, and the other way round (T14)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "operations" / "log-vocabulary.md"
LEVELS = frozenset({"debug", "info", "warning", "error"})
OPEN = frozenset({"call"})  # its members are put together line by line, see test below
Said = dict[str, tuple[set[str], set[str]]]


def is_log(node: ast.expr) -> bool:
    """``log``, ``self.log``, ``reporter.log``, ``parts.log``, ``self._log``."""
    name = (
        node.id
        if isinstance(node, ast.Name)
        else node.attr
        if isinstance(node, ast.Attribute)
        else ""
    )
    return name in {"log", "_log"}


def calls() -> Iterator[tuple[str, ast.Call, str]]:
    """(level, call, where) of each line that the code logs, also where the level was chosen before."""
    for file in sorted((ROOT / "cds_service").rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        chosen: dict[str, set[str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                levels = {
                    each.attr
                    for each in ast.walk(node.value)
                    if isinstance(each, ast.Attribute)
                    and each.attr in LEVELS
                    and is_log(each.value)
                }
                if levels:
                    chosen[node.targets[0].id] = levels
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            if isinstance(called, ast.Attribute) and called.attr in LEVELS and is_log(called.value):
                yield called.attr, node, f"{file.name}:{node.lineno}"
            elif isinstance(called, ast.Name) and called.id in chosen:
                for level in chosen[called.id]:
                    yield level, node, f"{file.name}:{node.lineno}"


def literal_events() -> Iterator[tuple[str, str, set[str]]]:
    """Lines that are made without the logger: a dict with a literal ``event`` and ``level``."""
    for file in (ROOT / "cds_service" / "journal").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Dict):
                keys = [k.value if isinstance(k, ast.Constant) else None for k in node.keys]
                if {"event", "level"} <= set(keys):
                    values = {
                        k: v.value
                        for k, v in zip(keys, node.values, strict=True)
                        if isinstance(v, ast.Constant)
                    }
                    yield (
                        values["level"],
                        values["event"],
                        {str(k) for k in keys} - {"event", "level"},
                    )


def in_code() -> Said:
    found: Said = {}
    for level, call, where in calls():
        assert call.args and isinstance(call.args[0], ast.Constant), (
            f"{where}: an event must be a literal"
        )
        levels, members = found.setdefault(str(call.args[0].value), (set(), set()))
        levels.add(level)
        members |= {keyword.arg for keyword in call.keywords if keyword.arg}
    for level, event, named in literal_events():
        levels, members = found.setdefault(event, (set(), set()))
        levels.add(level)
        members |= named
    return found


def in_page() -> Said:
    rows = re.findall(
        r"^\| `([\w-]+)` \| ([^|]+) \| ([^|]*) \|",
        PAGE.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    return {
        event: (
            set(re.split(r",\s*", levels.strip())),
            set(re.split(r",\s*", members.strip())) - {""},
        )
        for event, levels, members in rows
    }


def test_CT14_the_vocabulary_is_that_of_the_code() -> None:
    code, page = in_code(), in_page()
    assert len(page) > 10
    assert code.keys() == page.keys()
    assert {event: said for event, said in code.items() if event not in OPEN} == {
        event: said for event, said in page.items() if event not in OPEN
    }


def test_CT14_the_members_of_a_call_line_are_those_of_the_vocabulary() -> None:
    source = (ROOT / "cds_service" / "web" / "call_journal.py").read_text(encoding="utf-8")
    line = next(
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == "_line"
    )
    texts = {
        node.value
        for node in ast.walk(line)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set() == in_page()["call"][1] - texts
