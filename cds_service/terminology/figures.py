"""How well names are recognised: figures over a list of names with what they are, as ``check`` prints them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cds_service.model import Concept, Drug, Identity
from cds_service.terminology import Terminology

OTHER = "other"
SAMPLES = Path(__file__).parent / "samples"
_LEAST_RECOGNISED = 97  # per cent of the names of the field
_MOST_UNKNOWN, _MOST_UNKNOWN_BY_USE = 3, 1  # per cent of the common names of other drugs
# What the field's list calls a drug, where another name, or every spelling of the beginning, is ours.
_OUR_NAME = {
    "pethidine": "meperidine",
    "diamorphine": "heroin",
    "morphine": "morphin",
    "methadone": "methad",
    "foreign-other": OTHER,
}


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
            Sample(
                row["name"],
                _OUR_NAME.get(row["expected"], row["expected"]),
                float(row.get("weight") or 1),
            )
            for row in csv.DictReader(handle)
        )


def from_the_field(terminology: Terminology) -> Figures:
    """The figures over names of relevant drugs (and a few others) as records of many countries write them."""
    return measure(terminology, read_samples(SAMPLES / "names-field.csv"))


def of_other_drugs(terminology: Terminology) -> Figures:
    """The figures over the names of the medicines that are used most, none of them an opioid."""
    return measure(terminology, read_samples(SAMPLES / "common-other-names.csv"))


def faults(field: Figures, others: Figures) -> Iterator[str]:
    """What lies outside the bounds that are promised, a line each."""
    for what, names in (
        ("relevant names are silent", field.silent),
        ("other drugs are taken for an opioid", (*field.mistaken, *others.mistaken)),
        ("other drugs are guessed to be an opioid", (*field.guessed, *others.guessed)),
    ):
        if names:
            yield f"terminology: {what}: {', '.join(names)}"
    if field.recognised < _LEAST_RECOGNISED:
        yield f"terminology: {field.recognised:.1f} % of names recognised, not {_LEAST_RECOGNISED}"
    if others.unknown > _MOST_UNKNOWN or others.unknown_by_use > _MOST_UNKNOWN_BY_USE:
        yield (
            f"terminology: {others.unknown:.1f} % ({others.unknown_by_use:.1f} % by use) of common "
            f"names unknown, not {_MOST_UNKNOWN} ({_MOST_UNKNOWN_BY_USE})"
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
