"""The table of conformance ids against the tests named after them: ``python -m tests.conformance.coverage``.

Names are read from the source with ``ast``, so a comment does not count. Ids demanded by the present issue
are listed in full; the others of the conformance page are "later" until a test bears their name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.pages import text_of

TESTS = Path(__file__).parents[1]
NAME = re.compile(r"test_(C[RNTLI])(\d+)_")


def numbered(prefix: str, *spans: tuple[int, int]) -> list[str]:
    """Ids of one letter, with both ends of each span."""
    return [f"{prefix}{n:02d}" for first, last in spans for n in range(first, last + 1)]


DEMANDED = [
    *numbered(
        "CR", (1, 7), (10, 28), (30, 45), (50, 61), (70, 97), (100, 110), (120, 130), (140, 140)
    ),
    *numbered("CN", (1, 20)),
    *numbered("CI", (1, 18)),
    *numbered("CT", (1, 16)),
    *numbered("CL", (3, 7), (10, 14), (18, 19)),
]
AT_THE_PROXY = ["CI01"]  # demanded, and no test here can show it: TLS ends in front of this service
LATER = [  # load, overload, shutdown, chaos, soak and fuzzing of a deployed service; CI19-CI22 are documented deviations
    *numbered("CL", (1, 2), (8, 9), (15, 17), (20, 20)),
    *numbered("CI", (19, 22)),
]


def names_in(path: Path) -> Iterator[str]:
    """Names of the test functions in one file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from (
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def collect(folder: Path = TESTS) -> dict[str, list[str]]:
    """Conformance id to the tests that bear it, as file::name."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        for name in names_in(path):
            if match := NAME.match(name):
                identifier = f"{match.group(1)}{int(match.group(2)):02d}"
                found.setdefault(identifier, []).append(
                    f"{path.relative_to(folder).as_posix()}::{name}"
                )
    return found


def missing(found: dict[str, list[str]]) -> list[str]:
    """Demanded ids without a test."""
    return [name for name in DEMANDED if name not in found]


def table(found: dict[str, list[str]]) -> str:
    """The ids against their tests, in Markdown."""
    rows = ["| id | what it demands | tests | named |", "|---|---|---|---|"]
    for name in [*DEMANDED, *LATER]:
        tests = found.get(name, [])
        gap = "**none**" if name in DEMANDED else "later"
        named = ", ".join(t.split("::")[1] for t in tests) or gap
        rows.append(f"| {name} | {_short(text_of(name))} | {len(tests)} | {named} |")
    covered = sum(name in found for name in DEMANDED)
    return "\n".join([*rows, "", f"{covered} of {len(DEMANDED)} demanded ids have a test."])


def _short(text: str, most: int = 100) -> str:
    escaped = text.replace("|", "/")
    return escaped if len(escaped) <= most else escaped[: most - 3] + "..."


if __name__ == "__main__":
    print(table(collect()))  # noqa: T201
