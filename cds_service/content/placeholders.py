"""Words with places to fill: ``{name}`` is a fact that code gives, ``{a.dotted.path}`` a number in force.

A plain name that is no fact is looked up among the numbers, too (``{adult_age}``). Strict on purpose: what nothing
fills is a fault at ``check`` and at start, never an empty place on a page.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text taken apart: literal words, each followed by the name of a place ("" at the end)."""

    pieces: tuple[tuple[str, str], ...]

    @property
    def names(self) -> frozenset[str]:
        """The names of all places."""
        return frozenset(name for _, name in self.pieces if name)

    def fill(self, numbers: Mapping[str, Any], facts: Mapping[str, object]) -> str:
        """The whole text. KeyError for a place that nothing fills."""
        return "".join(words + str(fill_place(name, numbers, facts)) if name else words for words, name in self.pieces)


@lru_cache(maxsize=4096)
def parse(text: str) -> Sentence:
    """Raises ValueError for a stray brace, an empty place, a conversion or a format."""
    pieces = []
    for words, name, spec, conversion in string.Formatter().parse(text):
        if name is not None and (not name or spec or conversion):
            raise ValueError("a place is a name in braces")
        pieces.append((words, name or ""))
    return Sentence(tuple(pieces))


def fill_place(name: str, numbers: Mapping[str, Any], facts: Mapping[str, object]) -> object:
    """What stands in one place. KeyError where nothing does."""
    return facts[name] if name in facts else look_up(name, numbers)


def look_up(path: str, numbers: Mapping[str, Any]) -> str:
    """The number at a dotted path, without trailing zeros. KeyError where there is none."""
    found: Any = numbers
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise KeyError(path)
        found = found[part]
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise KeyError(path)
    return f"{Decimal(str(found)).normalize():f}"


def faults(text: str, facts: frozenset[str], days: Mapping[object, Mapping[str, Any]]) -> Iterator[str]:
    """What is wrong with the places of a text: ``facts`` are given by code ("name?" may be left out), ``days`` are
    the numbers in force on each day on which one of them changes."""
    try:
        sentence = parse(text)
    except ValueError:
        yield "braces do not name a place"
        return
    known = {name.removesuffix("?") for name in facts}
    yield from (f"leaves out {{{name}}}" for name in sorted(facts - sentence.names) if not name.endswith("?"))
    for name in sorted(sentence.names - known):
        without = [str(day) for day, numbers in days.items() if not _is_number(name, numbers)]
        if without:
            yield f"nothing fills {{{name}}} on {without[0]}"


def _is_number(path: str, numbers: Mapping[str, Any]) -> bool:
    try:
        look_up(path, numbers)
    except KeyError:
        return False
    return True
