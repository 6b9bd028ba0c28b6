"""What the interaction card offers: which orders a press cancels or holds, and which one press is recommended (2.7)."""

from __future__ import annotations

from collections.abc import Iterator

from cds_service.model import (
    ConditionKind,
    Medication,
    Role,
    Severity,
    Snapshot,
    Standing,
    State,
    Suggestion,
)
from cds_service.rules.pairs import BLOCK, BOTH, MOUD, START, Pair

_OUTPATIENT_ORDERS = frozenset({"community", "outpatient", "discharge"})


def suggest(pairs: tuple[Pair, ...], snapshot: Snapshot) -> tuple[Suggestion, ...]:
    """The suggestions for these pairs, worst first; at most one is recommended."""
    targets = {
        "DEL_NTX": _unique(p.antagonist for p in pairs if p.direction != BLOCK),
        "DEL_OPI": _unique(p.opioid for p in pairs if p.direction == BOTH or _blocks(p)),
        "HOLD_NTX": _unique(p.antagonist for p in pairs if _can_be_held(p)),
    }
    offered = [code for code, medications in targets.items() if medications]
    best = _recommended(pairs, snapshot, offered)
    return tuple(Suggestion(code, targets[code], recommended=code == best) for code in offered)


def _blocks(pair: Pair) -> bool:
    """An opioid that will not work: not where the block is fading and only tolerance is lost (specification 2.5)."""
    return (
        pair.direction == BLOCK
        and pair.listed is not None
        and not pair.tolerance
        and (pair.listed.state is State.CURRENT or pair.severity is Severity.CRITICAL)
    )


def _can_be_held(pair: Pair) -> bool:
    """Only what is taken by mouth and stands as an active request with an id of its own (2.7).

    A depot cannot be taken back, samidorphan comes with an antipsychotic, and a reported medicine is nobody's order.
    """
    order, blocker = pair.antagonist.order, pair.blocker
    by_mouth = blocker.role in {Role.NTX_ORAL, Role.NTX_BUP} or blocker.ingredient == "nalmefene"
    return (
        pair.direction == BLOCK
        and pair.listed is not None
        and pair.listed.state is State.CURRENT
        and by_mouth
        and order.kind == "request"
        and order.standing is Standing.ACTIVE
        and not order.reported
        and bool(order.target)
    )


def _recommended(pairs: tuple[Pair, ...], snapshot: Snapshot, offered: list[str]) -> str:
    """The one suggestion to recommend, "" for none: specification 2.7, first match wins, only at critical."""
    if pairs[0].severity is not Severity.CRITICAL:
        return ""
    best = _first_match(pairs, snapshot)
    return best if best in offered else ""


def _first_match(pairs: tuple[Pair, ...], snapshot: Snapshot) -> str:
    antagonist_drafted = any(p.direction != BLOCK for p in pairs)
    opioids_drafted = tuple(p for p in pairs if p.direction != START)
    maintenance = any(p.component.role in MOUD for p in opioids_drafted)
    if snapshot.has(ConditionKind.HOSPICE):
        return "DEL_NTX" if antagonist_drafted else "HOLD_NTX"
    if opioids_drafted and is_acute(pairs, snapshot):
        return ""
    if any(p.direction == BOTH for p in pairs):
        return _choose_of_both(maintenance, snapshot)
    if antagonist_drafted:
        return "DEL_NTX"
    if maintenance:
        return "HOLD_NTX"
    return "DEL_OPI" if _is_outpatient(opioids_drafted, snapshot) else ""


def _choose_of_both(maintenance: bool, snapshot: Snapshot) -> str:
    current = [e.medication for e in snapshot.exposures if e.state is State.CURRENT]
    if maintenance or any(m.opioids for m in current):
        return "DEL_NTX"
    return "DEL_OPI" if any(m.antagonist for m in current) else ""


def _is_outpatient(pairs: tuple[Pair, ...], snapshot: Snapshot) -> bool:
    return snapshot.setting.outpatient or any(
        p.opioid.order.categories & _OUTPATIENT_ORDERS for p in pairs
    )


def _unique(medications: Iterator[Medication]) -> tuple[Medication, ...]:
    return tuple({id(medication): medication for medication in medications}.values())


def is_acute(pairs: tuple[Pair, ...], snapshot: Snapshot) -> bool:
    """Emergency, inpatient or observation care, by the encounter or by the opioid order's own category."""
    return snapshot.setting.acute or any("inpatient" in p.opioid.order.categories for p in pairs)
