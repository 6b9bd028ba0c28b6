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
from cds_service.rules.pairs import MOUD, Pair

_OUTPATIENT_ORDERS = frozenset({"community", "outpatient", "discharge"})


def suggest(pairs: tuple[Pair, ...], snapshot: Snapshot) -> tuple[Suggestion, ...]:
    """The suggestions for these pairs, worst first; at most one is recommended."""
    targets = {
        "DEL_NTX": _unique(p.naltrexone for p in pairs if p.direction != "opioid-draft"),
        "DEL_OPI": _unique(p.opioid for p in pairs if p.direction == "both-draft" or _blocks(p)),
        "HOLD_NTX": _unique(p.naltrexone for p in pairs if _can_be_held(p)),
    }
    offered = [code for code, medications in targets.items() if medications]
    best = _recommended(pairs, snapshot, offered)
    return tuple(Suggestion(code, targets[code], recommended=code == best) for code in offered)


def _blocks(pair: Pair) -> bool:
    return pair.direction == "opioid-draft" and pair.listed is not None \
        and (pair.listed.state is State.CURRENT or pair.severity is Severity.CRITICAL)


def _can_be_held(pair: Pair) -> bool:
    """Only oral naltrexone that is an active request with an id: a depot cannot be taken back (2.7)."""
    order, component = pair.naltrexone.order, pair.naltrexone.naltrexone
    return pair.direction == "opioid-draft" and pair.listed is not None and pair.listed.state is State.CURRENT \
        and order.kind == "request" and order.standing is Standing.ACTIVE and bool(order.target) \
        and component is not None and component.role in {Role.NTX_ORAL, Role.NTX_BUP}


def _recommended(pairs: tuple[Pair, ...], snapshot: Snapshot, offered: list[str]) -> str:
    """The one suggestion to recommend, "" for none: specification 2.7, first match wins, only at critical."""
    if pairs[0].severity is not Severity.CRITICAL:
        return ""
    best = _first_match(pairs, snapshot)
    return best if best in offered else ""


def _first_match(pairs: tuple[Pair, ...], snapshot: Snapshot) -> str:
    naltrexone_drafted = any(p.direction != "opioid-draft" for p in pairs)
    opioids_drafted = tuple(p for p in pairs if p.direction != "ntx-draft")
    maintenance = any(p.component.role in MOUD for p in opioids_drafted)
    if snapshot.has(ConditionKind.HOSPICE):
        return "DEL_NTX" if naltrexone_drafted else "HOLD_NTX"
    if opioids_drafted and is_acute(pairs, snapshot):
        return ""
    if any(p.direction == "both-draft" for p in pairs):
        return _choose_of_both(maintenance, snapshot)
    if naltrexone_drafted:
        return "DEL_NTX"
    if maintenance:
        return "HOLD_NTX"
    return "DEL_OPI" if _is_outpatient(opioids_drafted, snapshot) else ""


def _choose_of_both(maintenance: bool, snapshot: Snapshot) -> str:
    current = [e.medication for e in snapshot.exposures if e.state is State.CURRENT]
    if maintenance or any(m.opioids for m in current):
        return "DEL_NTX"
    return "DEL_OPI" if any(m.naltrexone for m in current) else ""


def _is_outpatient(pairs: tuple[Pair, ...], snapshot: Snapshot) -> bool:
    return snapshot.setting.outpatient or any(p.opioid.order.categories & _OUTPATIENT_ORDERS for p in pairs)


def _unique(medications: Iterator[Medication]) -> tuple[Medication, ...]:
    found: list[Medication] = []
    for medication in medications:
        if not any(medication is other for other in found):
            found.append(medication)
    return tuple(found)


def is_acute(pairs: tuple[Pair, ...], snapshot: Snapshot) -> bool:
    """Emergency, inpatient or observation care, by the encounter or by the opioid order's own category."""
    return snapshot.setting.acute or any("inpatient" in p.opioid.order.categories for p in pairs)
