"""What an answer, a journal and a worker's memory are worth: pure, so that a test can make each of them fail."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

GAP_TOPIC = "naltrexone-data-gap"
GAP_LINE = "- **Not checked:**"  # of cards/shared.yaml
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
Card = Mapping[str, Any]


class Said(StrEnum):
    """What an answer is. Only RIGHT is so whatever happens; the other two are true while a fault excuses them."""

    RIGHT = "right"
    UNCHECKED = "could not check"
    REFUSED = "refused"
    WRONG = "wrong"


def written(cards: Sequence[Card]) -> str:
    """The cards letter for letter, but for ids that are new in every answer: those are numbered as they appear."""
    numbers: dict[str, str] = {}
    text = json.dumps(cards, sort_keys=True, ensure_ascii=False)
    return _UUID.sub(lambda found: numbers.setdefault(found[0], f"id-{len(numbers)}"), text)


@dataclass(frozen=True, slots=True)
class Due:
    """What is due to one body: each text that is right at some moment of the run, and the topics that it is about."""

    texts: frozenset[str]
    topics: frozenset[str]

    @classmethod
    def of(cls, answers: Iterable[Sequence[Card]]) -> Due:
        held = [*answers]
        return cls(
            frozenset(written(cards) for cards in held),
            frozenset(topic(card) for cards in held for card in cards),
        )


def topic(card: Card) -> str:
    return str(card["source"]["topic"]["code"])


def judge(due: Due, status: int, cards: Sequence[Card]) -> Said:
    """A could-not-check card may stand beside cards that are due, never beside others and never for them in silence.

    Where medicines were read and something else was not, the cards that are due say so in a line of their own.
    """
    if status != 200:
        return Said.REFUSED
    if written(cards) in due.texts:
        return Said.RIGHT
    if written([_without_gap_line(card) for card in cards]) in due.texts:
        return Said.UNCHECKED
    topics = {topic(card) for card in cards}
    if GAP_TOPIC in topics - due.topics and topics - {GAP_TOPIC} <= due.topics:
        return Said.UNCHECKED
    return Said.WRONG


def _without_gap_line(card: Card) -> Card:
    lines = str(card.get("detail", "")).splitlines()
    kept = "\n".join(line for line in lines if not line.startswith(GAP_LINE))
    return {**card, "detail": kept} if "detail" in card else card


@dataclass(slots=True)
class Window:
    """From when to when (monotonic seconds) a fault is in, and how long it is felt afterwards; ``end`` None = still."""

    fault: str
    excuses: frozenset[Said]
    begin: float
    grace: float
    end: float | None = None

    def covers(self, begun: float, ended: float) -> bool:
        return self.begin <= ended and (self.end is None or begun <= self.end + self.grace)


def excused(said: Said, begun: float, ended: float, windows: Iterable[Window]) -> bool:
    """Whether a fault that was in while the call ran allows this answer; nothing ever allows a wrong one."""
    if said is Said.RIGHT:
        return True
    return said is not Said.WRONG and any(
        said in window.excuses and window.covers(begun, ended) for window in windows
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """Acknowledged feedback against what the store holds."""

    lost: frozenset[str]
    double: frozenset[str]
    strange: frozenset[str]  # nobody sent it

    @property
    def ok(self) -> bool:
        return not (self.lost or self.double or self.strange)


def compare_feedback(sent: set[str], acknowledged: set[str], stored: Iterable[str]) -> Kept:
    held = Counter(stored)
    return Kept(
        frozenset(acknowledged - held.keys()),
        frozenset(card for card, times in held.items() if times > 1),
        frozenset(held.keys() - sent),
    )


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Rise of the second number for each unit of the first, by least squares; 0 for fewer than three points."""
    if len(points) < 3:
        return 0.0
    middle = sum(x for x, _ in points) / len(points)
    level = sum(y for _, y in points) / len(points)
    spread = sum((x - middle) ** 2 for x, _ in points)
    return sum((x - middle) * (y - level) for x, y in points) / spread if spread else 0.0
