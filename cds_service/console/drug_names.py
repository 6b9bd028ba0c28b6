"""Names of medicines that begin like what was typed: products first, then the names that people write."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nsmallest

from cds_service.pipeline import Engine
from cds_service.terminology.tables import CLINICAL_DRUG, Tables
from cds_service.terminology.words import split_words

MOST = 12
LONGEST = 80


def find_names(typed: str, engine: Engine) -> list[str]:
    """At most a dozen names that hold every word that was typed, shortest first; [] for fewer than two letters."""
    words = split_words(typed[:LONGEST])
    if sum(map(len, words)) < 2:
        return []
    matching = {name for name in _names(engine.terminology.tables) if _holds(name, words)}
    return nsmallest(MOST, matching, key=lambda name: (len(name), name))


def _names(tables: Tables) -> Iterator[str]:
    yield from (p.name for p in tables.products.values() if p.active and p.tty in CLINICAL_DRUG)
    yield from (" ".join(name.words) for names in tables.names.values() for name in names)


def _holds(name: str, words: tuple[str, ...]) -> bool:
    inside = name.lower().split()
    return all(any(part.startswith(word) for part in inside) for word in words)
