"""RxNorm's release files as rows: pipe-separated, one fixed number of columns, nothing guessed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

COLUMNS = {"RXNCONSO.RRF": 18, "RXNREL.RRF": 16, "RXNSAT.RRF": 13}


class BuildError(Exception):
    """A release that must not replace the tables in use; the message says what is wrong with it."""


class Concept(NamedTuple):
    """One RxNorm concept under its normalised name."""

    rxcui: str
    tty: str
    name: str
    active: bool


class Relation(NamedTuple):
    """``subject`` stands in relation ``rela`` to ``target``: an SCD consists_of an SCDC."""

    subject: str
    rela: str
    target: str


def rows(directory: Path, name: str) -> Iterator[list[str]]:
    """The rows of one file; raises BuildError for a missing, empty, unreadable or ragged file."""
    wanted, line = COLUMNS[name], 0
    try:
        with (directory / name).open(encoding="utf-8", newline="\n") as handle:
            for line, text in enumerate(handle, 1):
                fields = text.rstrip("\r\n").split("|")
                if len(fields) != wanted + 1 or fields[-1]:
                    raise BuildError(
                        f"{name}: line {line} has {len(fields) - 1} columns instead of {wanted}"
                    )
                yield fields
    except OSError as error:
        raise BuildError(f"{name}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise BuildError(f"{name}: is not UTF-8 after line {line}") from None
    if not line:
        raise BuildError(f"{name}: is empty")


def concepts(directory: Path, ttys: frozenset[str]) -> dict[str, Concept]:
    """The RXNORM concepts of these term types; raises BuildError where one rxcui is two things."""
    found: dict[str, Concept] = {}
    for row in rows(directory, "RXNCONSO.RRF"):
        if row[11] != "RXNORM" or row[12] not in ttys:
            continue
        concept = Concept(row[0], row[12], row[14], row[16] == "N")
        if not concept.rxcui.isdigit() or not concept.name:
            raise BuildError(f"RXNCONSO.RRF: a {concept.tty} has no number or no name")
        if found.setdefault(concept.rxcui, concept) != concept:
            raise BuildError(f"RXNCONSO.RRF: rxcui {concept.rxcui} stands for two concepts")
    return found


def relations(directory: Path, relas: frozenset[str]) -> Iterator[Relation]:
    """The RXNORM relations between concepts. In RRF the second concept is the subject of RELA."""
    for row in rows(directory, "RXNREL.RRF"):
        if row[10] == "RXNORM" and row[7] in relas and row[0] and row[4] and row[14] in {"", "N"}:
            yield Relation(row[4], row[7], row[0])


def package_codes(directory: Path) -> Iterator[tuple[str, str]]:
    """(11-digit NDC, rxcui) as RxNorm states them; other spellings of an NDC are left out."""
    for row in rows(directory, "RXNSAT.RRF"):
        if (
            row[8] == "NDC"
            and row[9] == "RXNORM"
            and row[11] in {"", "N"}
            and len(row[10]) == 11
            and row[10].isdigit()
        ):
            yield row[10], row[0]
