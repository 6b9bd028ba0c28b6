"""The few numbers that a committee reads: shares with their intervals, and how far two reviewers agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_Z = 1.959964  # 95 %


@dataclass(frozen=True, slots=True)
class Share:
    """``hits`` of ``total`` with the 95 % interval of Wilson; all in [0, 1]."""

    hits: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.hits / self.total if self.total else 0.0


def wilson(hits: int, total: int) -> Share:
    """The score interval: it holds for small counts and for none at all."""
    if total <= 0:
        return Share(hits, total, 0.0, 1.0)
    share = hits / total
    spread = _Z * math.sqrt(share * (1 - share) / total + _Z * _Z / (4 * total * total))
    middle, scale = share + _Z * _Z / (2 * total), 1 + _Z * _Z / total
    return Share(
        hits, total, max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)
    )


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two reviewers; None where chance alone would have them agree, or nothing was reviewed."""
    total = len(pairs)
    if not total:
        return None
    agreed = sum(one == other for one, other in pairs) / total
    words = {word for pair in pairs for word in pair}
    chance = sum(
        (sum(one == word for one, _ in pairs) / total)
        * (sum(other == word for _, other in pairs) / total)
        for word in words
    )
    return None if chance == 1 else (agreed - chance) / (1 - chance)


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share does not exceed (nearest rank); 0 of nothing."""
    ordered = sorted(values)
    return (
        ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]
        if ordered
        else 0.0
    )
