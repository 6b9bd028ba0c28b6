"""The ids that the documents define, with their text: conformance R D N T L I, specification L P G J K and sections."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
CONFORMANCE = DOCS / "protocol" / "conformance.md"
SPECIFICATION = DOCS / "clinical" / "specification.md"
_ROW = re.compile(r"^\|\s*\**([A-Z]\d+b?)\**(?:\s*\([^)|]*\))?([^|]*)\|(.*)$")
_CODES = 12  # cells of versions and levels are shorter than any sentence
_HEADING = re.compile(r"^#+\s+([A-Z]\d+|\d+(?:\.\d+)*)\.?\s+(.*)$")


@cache
def defined(page: Path) -> dict[str, str]:
    """Id -> its text, of every table row and numbered heading of one page; the first definition counts."""
    found: dict[str, str] = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        for name, text in _definitions(line):
            found.setdefault(bare(name), text)
    return found


def bare(name: str) -> str:
    """R01 and R1 are one id."""
    return re.sub(r"(?<=[A-Z])0+(?=\d)", "", name)


def _definitions(line: str) -> Iterator[tuple[str, str]]:
    if row := _ROW.match(line):
        cells = [cell.strip() for cell in [row[2], *row[3].split("|")] if cell.strip()]
        yield row[1], _plain(next((c for c in cells if len(c) > _CODES), " ".join(cells)))
    elif heading := _HEADING.match(line):
        yield heading[1], _plain(heading[2])


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("**", "")).strip()


def text_of(test_id: str) -> str:
    """The text of an id as test names write it (``CR37`` = R37 of the conformance page); KeyError where there is none."""
    return defined(CONFORMANCE)[f"{test_id[1]}{int(test_id[2:])}"]
