"""Name packs: what medicines are called in one country or script, as a folder with ``names.csv`` and ``README.md``.

A pack is data, so that a pharmacist can write one: ``check_pack`` says line by line what is wrong with it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from cds_service.terminology.forms import Trait
from cds_service.terminology.words import split_words

COLUMNS = ("name", "ingredients", "hint", "match", "class")
CLASSES = frozenset({"relevant", "other"})
MATCHES = frozenset({"", "phrase", "upper", "whole", "unclear"})
HINTS = frozenset(trait.value for trait in Trait)
_SHORTEST = 3
_VERSION = re.compile(r"^Version:\s*(\S.*)$", re.MULTILINE)
_ANYTHING = frozenset(
    {"tablet", "tablets", "capsule", "oral", "pain", "drug", "medicine", "cough", "cold", "strong"}
)


@dataclass(frozen=True, slots=True)
class PackName:
    """One row: ``hint`` are traits that the name alone tells ("er", "depot"); ``match`` "unclear" decides nothing."""

    name: str
    ingredients: tuple[str, ...]
    hint: frozenset[Trait]
    match: str
    relevant: bool


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack with the version that its README states."""

    title: str
    version: str
    names: tuple[PackName, ...]


def packaged_packs() -> tuple[Pack, ...]:
    """The packs that travel with the service, by name."""
    return _packs_in(files("cds_service.terminology") / "packs")


def site_packs(folder: Path | None) -> tuple[Pack, ...]:
    """The packs of a site's folder, by name; none where there is no such folder."""
    return _packs_in(folder) if folder is not None and folder.is_dir() else ()


def _packs_in(folder: Traversable) -> tuple[Pack, ...]:
    if not folder.is_dir():
        return ()
    found = sorted(
        (f for f in folder.iterdir() if f.is_dir() and (f / "names.csv").is_file()),
        key=lambda f: f.name,
    )
    return tuple(read_pack(f) for f in found)


def read_pack(folder: Traversable) -> Pack:
    """The pack in ``folder``; raises ValueError with the first complaint where it is not sound."""
    complaints = check_pack(folder)
    if complaints:
        raise ValueError(complaints[0])
    stated = _VERSION.search((folder / "README.md").read_text(encoding="utf-8"))
    names = tuple(_name(row) for _, row in _rows(folder / "names.csv"))
    return Pack(folder.name, stated[1].strip() if stated else "", names)


def _rows(file: Traversable) -> Iterator[tuple[int, dict[str, str]]]:
    with file.open(encoding="utf-8") as handle:
        reader = csv.DictReader(handle)
        for row in reader:
            yield reader.line_num, {key: value or "" for key, value in row.items() if key}


def _name(row: dict[str, str]) -> PackName:
    return PackName(
        row["name"],
        tuple(filter(None, row["ingredients"].split(";"))),
        frozenset(Trait(word) for word in row["hint"].split()),
        row["match"] or "phrase",
        row["class"] == "relevant",
    )


def check_pack(folder: Traversable, ingredients: frozenset[str] | None = None) -> list[str]:
    """Everything that is wrong with a pack, each as "file:line: what"; an empty list is a sound pack.

    ``ingredients`` are the generic names of the tables, where they are to be checked too.
    """
    readme, table = folder / "README.md", folder / "names.csv"
    if not table.is_file():
        return [f"{folder.name}/names.csv: is missing"]
    complaints = [] if readme.is_file() else [f"{folder.name}/README.md: is missing"]
    if readme.is_file() and not _VERSION.search(readme.read_text(encoding="utf-8")):
        complaints.append(f'{folder.name}/README.md: states no version (a line "Version: ...")')
    try:
        with table.open(encoding="utf-8") as handle:
            head = next(csv.reader(handle), [])
        if tuple(head[: len(COLUMNS)]) != COLUMNS:
            return [
                *complaints,
                f"{folder.name}/names.csv:1: the columns must be {','.join(COLUMNS)}",
            ]
        seen: dict[str, str] = {}
        for line, row in _rows(table):
            complaints += [
                f"{folder.name}/names.csv:{line}: {what}"
                for what in _wrong_with(row, seen, ingredients)
            ]
    except UnicodeDecodeError:
        complaints.append(f"{folder.name}/names.csv: is not UTF-8")
    return complaints


def _wrong_with(
    row: dict[str, str], seen: dict[str, str], ingredients: frozenset[str] | None
) -> Iterator[str]:
    name = " ".join(split_words(row.get("name", "")))
    kind = row.get("class", "")
    if not name or name.replace(" ", "").isdigit():
        yield "the name is empty"
    elif name in _ANYTHING:
        yield f'"{name}" is no name of a medicine'
    elif (
        name.isascii()
        and len(name) < _SHORTEST
        and row.get("match") not in {"upper", "whole", "unclear"}
    ):
        yield f'"{name}" is too short for match phrase: use upper or whole'
    if kind not in CLASSES:
        yield f'class must be relevant or other, not "{kind}"'
    if row.get("match", "") not in MATCHES:
        yield f'match must be phrase, upper, whole or unclear, not "{row["match"]}"'
    if unknown := set(row.get("hint", "").split()) - HINTS:
        yield f"unknown hint {', '.join(sorted(unknown))}"
    held = set(filter(None, row.get("ingredients", "").split(";")))
    if kind == "relevant" and not held:
        yield "a relevant name needs its ingredients"
    if ingredients is not None and kind == "relevant" and (strangers := held - ingredients):
        yield f"unknown ingredient {', '.join(sorted(strangers))}"
    if seen.setdefault(name, kind) != kind:
        yield f'"{name}" stands for two things'
