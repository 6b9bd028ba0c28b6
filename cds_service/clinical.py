"""The clinical content in force: the words of ``cards/`` and of a site's overlay, held against the rules and pages.

An overlay that breaks the contract is not used: a card in the packaged words is better than no card in the site's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cds_service.content import contract, loader, planner_words, schedules
from cds_service.content.loader import Content, ContentError
from cds_service.planner.words import PLANNER_WORDS
from cds_service.rules import RULES, Rule
from cds_service.snapshot import THRESHOLDS


@dataclass(frozen=True, slots=True)
class InForce:
    """The content to serve, and why the overlay was left out (empty where there is none, or it is in use)."""

    content: Content
    refused: tuple[str, ...] = ()


def load(overlay: str = "", rules: Sequence[Rule] = RULES) -> InForce:
    """The content to serve; raises ContentError only where the packaged content itself is at fault."""
    try:
        return InForce(load_checked(overlay, rules))
    except (ContentError, OSError) as error:
        if not overlay:
            raise
        faults = (
            error.faults
            if isinstance(error, ContentError)
            else (f"overlay: {type(error).__name__}",)
        )
    return InForce(load_checked("", rules), faults)


def load_checked(overlay: str = "", rules: Sequence[Rule] = RULES) -> Content:
    """The content as it stands; raises ContentError with every fault, the breaches of the contract included."""
    content = loader.load(overlay)
    if found := complaints(content, rules, leftovers=not overlay):
        raise ContentError(found)
    return content


def complaints(
    content: Content, rules: Sequence[Rule] = RULES, *, leftovers: bool = True
) -> list[str]:
    """Whatever rules, pages, words and numbers owe each other and do not give."""
    return [
        *contract.complaints(content, rules, THRESHOLDS, leftovers=leftovers),
        *schedules.complaints(content),
        *planner_words.complaints(content, PLANNER_WORDS),
    ]
