"""Nothing in the documents, the README or the code's own references points nowhere."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from cds_service.__main__ import main
from tests.conformance.pages import CONFORMANCE, SPECIFICATION, bare, defined

ROOT = Path(__file__).parents[2]
TOP = ("cds_service", "cards", "tests", "docs", "fhir_fixtures", "deploy", ".ci")
COPIED = {SPECIFICATION, CONFORMANCE}  # their code spans name files of other repositories
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`\n]+)`")
_ID = re.compile(r"(?<![\w.#/-])([RDNTLIJKPG]\d{1,3}b?)(?![\w-]|\.\d)")
_SECTION = re.compile(r"\b(specification|conformance) (\d+(?:\.\d+)*)")
RELEASES = {"R4", "R4B", "R5"}


def pages() -> list[Path]:
    found = [ROOT / "README.md", *sorted(p for top in TOP for p in (ROOT / top).rglob("*.md"))]
    return [p for p in found if "node_modules" not in p.parts and "examples" not in p.parts]


def prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def commands(page: Path) -> str:
    """Code spans and code blocks: where commands stand."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, flags=re.DOTALL)
    return "\n".join([*blocks, *_SPAN.findall(text)])


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+\s+(.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def dead_links(page: Path) -> Iterator[str]:
    for target in _LINK.findall(re.sub(r"`[^`\n]*`", "", prose(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            yield target
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            yield f"{target}: no such heading"


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [] == [link for link in dead_links(page) if page not in COPIED or link.endswith(".md")]


def missing_paths(page: Path) -> Iterator[str]:
    for span in _SPAN.findall(prose(page)):
        path = span.split("::")[0].rstrip(".,")
        if not path.startswith(tuple(f"{top}/" for top in TOP)) or re.search(r"[<>{}\s]", path):
            continue
        if not (any(ROOT.glob(path)) if "*" in path else (ROOT / path).exists()):
            yield path


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_path_of_the_repository_exists(page: Path) -> None:
    found = list(missing_paths(page))
    assert [] == [p for p in found if page not in COPIED or not p.startswith("docs/")]


def unknown_commands(page: Path) -> Iterator[str]:
    text = commands(page)
    for module in re.findall(r"python3? -m (tests\.[\w.]+|cds_service[\w.]*)", text):
        base = ROOT / module.rstrip(".").replace(".", "/")
        if not (base.with_suffix(".py").exists() or (base / "__main__.py").exists()):
            yield module
    for command in re.findall(r"(?:naltrexone-cds|-m cds_service) ([a-z][a-z-]+)", text):
        if command not in main.list_commands(click.Context(main)):
            yield f"naltrexone-cds {command}"
    for target in re.findall(r"^make ([a-z]+)|`make ([a-z]+)", text, flags=re.MULTILINE):
        name = target[0] or target[1]
        if not re.search(
            rf"^{name}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE
        ):
            yield f"make {name}"


@pytest.mark.parametrize(
    "page", [p for p in pages() if p not in COPIED], ids=lambda p: str(p.relative_to(ROOT))
)
def test_every_command_exists(page: Path) -> None:
    assert [] == list(unknown_commands(page))


# --- the ids in code ---------------------------------------------------------------------------------------------------


@cache
def known_ids() -> frozenset[str]:
    vignettes = (ROOT / "tests" / "vignettes" / "data").glob("*.jsonl")
    cases = {
        json.loads(line)["id"]
        for file in vignettes
        for line in file.read_text(encoding="utf-8").splitlines()
    }
    return frozenset(map(bare, {*defined(CONFORMANCE), *defined(SPECIFICATION), *cases, *RELEASES}))


def sentences(file: Path) -> Iterator[str]:
    """Comments and docstrings of one module."""
    source = file.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and "noqa" not in token.string:
            yield token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def modules() -> list[Path]:
    return sorted([*(ROOT / "cds_service").rglob("*.py"), *(ROOT / "tests").rglob("*.py")])


def unknown_references(text: str) -> set[str]:
    ids = set(map(bare, _ID.findall(text))) - known_ids()
    sections = {
        f"{page} {number}"
        for page, number in _SECTION.findall(text)
        if number not in defined(SPECIFICATION if page == "specification" else CONFORMANCE)
        and number.rpartition(".")[0] not in defined(SPECIFICATION)
    }
    return ids | sections


def test_every_id_and_section_that_the_code_names_is_in_the_documents() -> None:
    found = {
        str(file.relative_to(ROOT)): sorted(unknown)
        for file in modules()
        if (unknown := unknown_references("\n".join(sentences(file))))
    }
    assert {} == found


def test_the_checks_can_fail(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "[a](nowhere.md) [b](#no) `tests/none.py` `python -m tests.none` `naltrexone-cds none`\n# Yes\n",
        encoding="utf-8",
    )
    assert ["nowhere.md", "#no: no such heading"] == list(dead_links(page))
    assert ["tests/none.py"] == list(missing_paths(page))
    assert ["tests.none", "naltrexone-cds none"] == list(unknown_commands(page))
    assert {"R999", "specification 9.9"} == unknown_references(
        "as R999 and specification 9.9 say; R51 and 2.4 too"
    )
