"""The committee's table out of the rows of a replay: counts with bounds, rates with intervals, small cells left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cds_service.retrospective.judging import bounds
from cds_service.retrospective.statistics import quantile, wilson

Rows = Sequence[Mapping[str, Any]]
INDICATORS = ("critical", "warning", "info")
INTERRUPTING = frozenset({"critical", "warning"})
_AXES = ("department", "role", "month")
_AT_AXIS = {"month": 0, "department": 1, "role": 2}


def summarise(rows: Rows, manifest: Mapping[str, Any], small: int) -> dict[str, Any]:
    """Everything that the report prints, as plain JSON."""
    counted, names = manifest["counted"], manifest["variants"]
    base = names[0]
    naltrexone = sum(n for _, _, _, kind, n in counted["by"] if kind == "naltrexone")
    return {
        "window": [manifest["from"], manifest["to"]], "versions": manifest["versions"], "small_cells": small,
        "orders": counted["orders"], "patients": counted["patients"], "naltrexone_orders": naltrexone,
        "sessions": len(rows), "uncertain_sessions": sum(not row["certain"] for row in rows),
        "firing": [_firing(rows, base, topic, indicator, counted["orders"], naltrexone, small)
                   for topic in _topics(rows, base) for indicator in INDICATORS],
        "by": {axis: _by(rows, base, axis, counted["by"], small) for axis in _AXES},
        "cross": _cross(rows, base, small), "burden": _burden(rows, base, small), "repeats": _repeats(rows, base, small),
        "silent": _shown(Counter(row["silent"] for row in rows if row["silent"]), small),
        "gaps": _shown(Counter(f"{about}: {why}" for row in rows for about, why, _ in row["gaps"]), small),
        "names": [list(name[:3]) for name in counted["names"] if name[3] >= small][:50],
        "rare_names": counted["rare_names"],
        "what_if": [{"variant": name, **_totals(rows, name, small)} for name in names],
        "left_out": {k: counted[k] for k in ("unreadable_lines", "undated", "duplicates")},
    }  # fmt: skip


def cell(count: int, small: int) -> int | None:
    """A count that may be shown; None for one that so few people make up that it might name them."""
    return None if 0 < count < small else count


def _topics(rows: Rows, variant: str) -> list[str]:
    return sorted({topic for row in rows for topic in row["verdicts"][variant]})


def _levels(row: Mapping[str, Any], variant: str) -> dict[str, tuple[str, str]]:
    """topic -> (least, most) indicator of the two readings."""
    return {topic: bounds(said[:2]) for topic, said in row["verdicts"][variant].items()}


def _between(rows: Rows, variant: str, topic: str, indicator: str) -> tuple[int, int]:
    """(fewest, most) cards of this topic at this indicator."""
    said = [row["verdicts"][variant].get(topic, ["none", "none"])[:2] for row in rows]
    both = [sum(one[n] == indicator for one in said) for n in (0, 1)]
    return min(both), max(both)


def _firing(
    rows: Rows, variant: str, topic: str, indicator: str, orders: int, naltrexone: int, small: int
) -> dict[str, Any]:
    least, most = _between(rows, variant, topic, indicator)
    low, high = wilson(least, orders), wilson(most, orders)
    if cell(most, small) is None or cell(least, small) is None:
        return {"topic": topic, "indicator": indicator, "cards": None, "per_1000": None, "interval": None,
                "per_100_naltrexone": None}  # fmt: skip
    return {
        "topic": topic, "indicator": indicator, "cards": [least, most],
        "per_1000": [1000 * low.value, 1000 * high.value], "interval": [1000 * low.low, 1000 * high.high],
        "per_100_naltrexone": [100 * n / naltrexone for n in (least, most)] if naltrexone else None,
    }  # fmt: skip


def _interrupts(row: Mapping[str, Any], variant: str) -> tuple[int, int]:
    levels = _levels(row, variant).values()
    return sum(low in INTERRUPTING for low, _ in levels), sum(
        high in INTERRUPTING for _, high in levels
    )


def _by(
    rows: Rows, variant: str, axis: str, orders: Iterable[Sequence[Any]], small: int
) -> list[dict[str, Any]]:
    total: Counter[str] = Counter()
    for line in orders:
        total[line[_AT_AXIS[axis]]] += line[4]
    cards: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        for n, count in enumerate(_interrupts(row, variant)):
            cards[row[axis]][n] += count
    found = []
    for name in sorted(total):
        least, most = cards[name]
        hidden = cell(most, small) is None or cell(least, small) is None or total[name] < small
        share = None if hidden else [wilson(least, total[name]).low, wilson(most, total[name]).high]
        found.append({"name": name, "orders": cell(total[name], small), "cards": None if hidden else [least, most],
                      "per_1000": None if hidden else [1000 * n / total[name] for n in (least, most)],
                      "interval": share and [1000 * s for s in share]})  # fmt: skip
    return found


def _cross(rows: Rows, variant: str, small: int) -> list[dict[str, Any]]:
    """Cards of each topic and department by indicator, [fewest, most] of the two readings."""
    counts: dict[tuple[str, str], list[Counter[str]]] = defaultdict(lambda: [Counter(), Counter()])
    for row in rows:
        for topic, said in row["verdicts"][variant].items():
            for n, counter in enumerate(counts[topic, row["department"]]):
                counter[said[n]] += 1
    return [
        {"topic": topic, "department": department,
         **{name: both(one[name], other[name], small) for name in INDICATORS}}
        for (topic, department), (one, other) in sorted(counts.items())
    ]  # fmt: skip


def both(one: int, other: int, small: int) -> list[int] | None:
    shown = cell(one, small) is not None and cell(other, small) is not None
    return sorted((one, other)) if shown else None


def _burden(rows: Rows, variant: str, small: int) -> dict[str, Any]:
    """Interrupting cards (upper bound) per prescriber and week: a distribution, nobody's name."""
    weeks: Counter[tuple[str, str]] = Counter()
    people: Counter[str] = Counter()
    for row in rows:
        weeks[row["prescriber"], row["week"]] += _interrupts(row, variant)[1]
        people[row["prescriber"]] += _interrupts(row, variant)[1]
    if len(people) < small:
        return {"prescribers": None}
    counts = sorted(people.values(), reverse=True)
    top = sum(counts[: max(1, len(counts) // 10)])
    return {"prescribers": len(people), "prescriber_weeks": len(weeks),
            "per_week": {f"p{int(share * 100)}": quantile([*weeks.values()], share) for share in (0.5, 0.9, 0.99)},
            "share_of_top_tenth": top / sum(counts) if sum(counts) else 0.0,
            "histogram": _shown(Counter(_bin(n) for n in counts), small)}  # fmt: skip


def _bin(count: int) -> str:
    for low, high in ((0, 0), (1, 1), (2, 4), (5, 9), (10, 19)):
        if low <= count <= high:
            return f"{low}" if low == high else f"{low} to {high}"
    return "20 and more"


def _repeats(rows: Rows, variant: str, small: int) -> list[dict[str, Any]]:
    found = []
    for topic in _topics(rows, variant):
        total = sum(topic in row["verdicts"][variant] for row in rows)
        hits = sum(topic in row["repeats"] for row in rows)
        share = wilson(hits, total)
        shown = cell(hits, small) is not None
        found.append({"topic": topic, "repeated": cell(hits, small), "cards": cell(total, small),
                      "interval": [share.low, share.high] if shown else None})  # fmt: skip
    return found


def _shown(counts: Counter[str], small: int) -> list[list[Any]]:
    return [
        [name, cell(count, small)]
        for name, count in sorted(counts.items(), key=lambda p: (-p[1], p[0]))
    ]


def _totals(rows: Rows, variant: str, small: int) -> dict[str, Any]:
    found = {}
    for indicator in INDICATORS:
        both = [
            sum(said[n] == indicator for row in rows for said in row["verdicts"][variant].values())
            for n in (0, 1)
        ]
        least, most = min(both), max(both)
        found[indicator] = (
            None if cell(least, small) is None or cell(most, small) is None else [least, most]
        )
    return found
