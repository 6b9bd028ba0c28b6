"""What a rule is: declared once, in its own file, and read by everything that must know of it.

The card file of the same id holds the words. What they must hold is declared here, so that neither side can change
alone: ``content.contract`` compares both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from cds_service.model import Finding, Snapshot, Verdict

Said = tuple[Verdict, ...]
Judge = Callable[[Snapshot, Said], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Line:
    """What a line of the detail must cite and print; its words may cite more. Without sources it is a shared line."""

    cites: tuple[str, ...] = ()
    prints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``judge`` is a generator over the Snapshot and over what the rules before it said.

    ``situations`` give the placeholders that each summary must print, ``lines`` stand in the order in which they are
    read. ``facts`` are the placeholders that the rule fills, ``thresholds`` the numbers that decide its verdict, here or
    in the exposures that it rests on (``name`` or ``name.part``). ``links`` are the sources that every card of the topic
    links to, ``links_for`` those of single situations. ``order`` places the card among those of one indicator.
    """

    id: str
    title: str
    judge: Judge
    order: int
    situations: Mapping[str, tuple[str, ...]]
    lines: Mapping[str, Line]
    links: tuple[str, ...]
    links_for: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    facts: tuple[str, ...] = ()
    thresholds: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()  # codes
    overrides: bool = False  # a card of it may ask why it is dismissed
    carries_gaps: bool = False  # its card may say what could not be read
    offers_planner: bool = False  # its card may link to the titration planner


SHARED = Line()


def names(text: str) -> tuple[str, ...]:
    """Names that stand in one text, for short declarations."""
    return tuple(text.split())


def cited(sources: str, prints: str = "") -> Line:
    """A line of the card file, for short declarations."""
    return Line(names(sources), names(prints))
