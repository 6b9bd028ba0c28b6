"""How well names are recognised: figures over a list of names with what they are, as ``check`` prints them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cds_service.model import Concept, Drug, Identity
from cds_service.terminology import Terminology

OTHER = "other"


@dataclass(frozen=True, slots=True)
class Sample:
    """A name with the ingredient it stands for, or "other"; ``weight`` is how often it is written."""

    name: str
    expected: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares are per cent. ``silent`` are relevant names called another drug or unreadable, ``mistaken`` other drugs
    taken for an opioid or antagonist, ``guessed`` those of them that are only guesses."""

    names: int
    recognised: float
    unknown: float
    unknown_by_use: float
    silent: tuple[str, ...]
    mistaken: tuple[str, ...]
    guessed: tuple[str, ...]


def read_samples(file: Path) -> tuple[Sample, ...]:
    """The samples of a CSV with the columns name, expected and, where known, weight."""
    with file.open(encoding="utf-8") as handle:
        return tuple(
            Sample(row["name"], row["expected"], float(row.get("weight") or 1))
            for row in csv.DictReader(handle)
        )


def measure(terminology: Terminology, samples: Iterable[Sample]) -> Figures:
    """Recognise every sample by its text alone and count."""
    right = unknown = total = by_use = use = 0.0
    silent: list[str] = []
    mistaken: list[str] = []
    guessed: list[str] = []
    for sample in samples:
        found = terminology.recognise(Drug(Concept(text=sample.name)))
        is_unknown = found.kind in {Identity.UNKNOWN, Identity.UNREADABLE}
        total, use = total + 1, use + sample.weight
        unknown, by_use = unknown + is_unknown, by_use + is_unknown * sample.weight
        if sample.expected == OTHER:
            right += found.kind is Identity.OTHER
            if found.components:
                (guessed if found.uncertain else mistaken).append(sample.name)
            continue
        right += any(sample.expected in c.ingredient for c in found.components)
        if found.kind in {Identity.OTHER, Identity.UNREADABLE}:
            silent.append(sample.name)
    return Figures(
        int(total),
        100 * right / max(total, 1),
        100 * unknown / max(total, 1),
        100 * by_use / max(use, 1),
        tuple(silent),
        tuple(mistaken),
        tuple(guessed),
    )
