"""naltrexone-opioid-interaction: naltrexone and an opioid drafted together, or one drafted against the other's exposure.

One card for all pairs: the worst is named, every other opioid is listed, and only the worst pair sets the indicator.
"""

from __future__ import annotations

from collections.abc import Iterator

from cds_service.model import (
    ConditionKind,
    Draft,
    Exposure,
    Finding,
    Medication,
    Role,
    Severity,
    Snapshot,
    Standing,
    State,
    Suggestion,
    Verdict,
)
from cds_service.rules.pairs import LONG_ACTING, MOUD, Pair, find_pairs

TOPIC = "naltrexone-opioid-interaction"
_OUTPATIENT_ORDERS = frozenset({"community", "outpatient", "discharge"})
_LINES = ("acute", "hospice", "found", "all_opioids", "which_draft", "micro", "why_start", "why_block", "wait_sa",
          "wait_la", "xr", "stale", "held", "do_start", "do_block", "moud", "tol", "cough", "periph", "src")


def judge(snapshot: Snapshot, _said: tuple[Verdict, ...] = ()) -> Iterator[Finding]:
    """At most one finding; nothing without a drafted (selected) naltrexone or opioid."""
    pairs = find_pairs(snapshot)
    if not pairs:
        return
    worst = pairs[0]
    serious = tuple(p for p in pairs if p.severity >= Severity.WARNING)
    yield Finding(
        TOPIC, worst.severity, situation(worst), lines=_lines(serious or pairs, pairs, snapshot),
        facts=_facts(worst, pairs),
        suggestions=_suggestions(serious, snapshot) if serious else (), overrides=worst.severity >= Severity.WARNING,
        found=_found(pairs), about=_drafts(serious or pairs, snapshot), trace=tuple(map(_explain, pairs)))


# --- what is said -----------------------------------------------------------------------------------------------------

def situation(pair: Pair) -> str:
    """The key of the summary: direction and what decided the severity."""
    if pair.component.role in {Role.PERIPH, Role.ANTITUSSIVE}:
        return f"{pair.direction}/{pair.component.role}"
    if pair.tolerance:
        return f"{pair.direction}/TOL"
    if pair.micro:
        return f"{pair.direction}/MICRO"
    if pair.listed is None:
        return f"{pair.direction}/"
    if pair.direction == "opioid-draft" and _is_depot(pair) and pair.severity is Severity.CRITICAL \
            and pair.listed.last_dose_days is not None:
        return f"{pair.direction}/XR"
    return f"{pair.direction}/{pair.listed.state}"


def _is_depot(pair: Pair) -> bool:
    return pair.naltrexone.naltrexone is not None and pair.naltrexone.naltrexone.role is Role.NTX_XR


def _lines(pairs: tuple[Pair, ...], everything: tuple[Pair, ...], snapshot: Snapshot) -> tuple[str, ...]:
    wanted = {line for pair in pairs for line in _lines_of(pair)} | {"src"}
    if any(pair.listed for pair in everything):
        wanted.add("found")
    if len(_ingredients(everything)) > 1:
        wanted.add("all_opioids")
    if _several_drafts(snapshot):
        wanted.add("which_draft")
    if any(p.severity >= Severity.WARNING for p in pairs):
        wanted |= _modifiers(pairs, snapshot)
    return tuple(line for line in _LINES if line in wanted)


def _lines_of(pair: Pair) -> set[str]:
    if pair.component.role is Role.PERIPH:
        return {"periph"}
    if pair.component.role is Role.ANTITUSSIVE:
        return {"cough"}
    if pair.tolerance:
        return {"tol"}
    lines = {"micro"} if pair.micro else set()
    if pair.direction != "opioid-draft":
        lines.add("why_start")
    if pair.direction != "ntx-draft":
        lines |= {"why_block", "do_block"}
    if pair.direction == "ntx-draft":
        lines |= {"do_start", "wait_la" if pair.component.role in LONG_ACTING | {Role.BUP_DEPOT} else "wait_sa"}
    if pair.listed and pair.listed.state is State.STALE:
        lines.add("stale")
    if pair.listed and pair.listed.state is State.HELD:
        lines.add("held")
    if pair.direction == "opioid-draft" and _is_depot(pair):
        lines.add("xr")
    if pair.component.role in MOUD:
        lines.add("moud")
    return lines


def _modifiers(pairs: tuple[Pair, ...], snapshot: Snapshot) -> set[str]:
    agonists = any(p.component.role not in {Role.PERIPH, Role.ANTITUSSIVE} for p in pairs)
    found = {"acute"} if agonists and is_acute(pairs, snapshot) else set()
    return found | ({"hospice"} if snapshot.has(ConditionKind.HOSPICE) else set())


def is_acute(pairs: tuple[Pair, ...], snapshot: Snapshot) -> bool:
    """Emergency, inpatient or observation care, by the encounter or by the opioid order's own category."""
    return snapshot.setting.acute or any("inpatient" in p.opioid.order.categories for p in pairs)


def _facts(worst: Pair, pairs: tuple[Pair, ...]) -> dict[str, str]:
    names = _ingredients(pairs)
    more = f" (+{len(names) - 1} more)" if len(names) > 1 else ""
    listed = worst.listed
    return {
        "opioid": worst.component.ingredient + more,
        "ago": _ago(listed.days if listed else None),
        "last": _ago(listed.last_dose_days if listed else None),
        "all": ", ".join(names),
    }


def _ago(days: int | None) -> str:
    named = {None: "on an unknown date", 0: "today", 1: "1 day ago"}
    return named.get(days) or f"{days} days ago"


def _ingredients(pairs: tuple[Pair, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pair.component.ingredient for pair in pairs))


def _found(pairs: tuple[Pair, ...]) -> tuple[Exposure, ...]:
    """The listed medicines behind the pairs, the worst entry of each drug once."""
    found: dict[str, Exposure] = {}
    for pair in pairs:
        if pair.listed:
            name = pair.component.ingredient if pair.direction == "ntx-draft" else _product_name(pair.naltrexone)
            found.setdefault(name, pair.listed)
    return tuple(found.values())


def _product_name(medication: Medication) -> str:
    return f"naltrexone {medication.naltrexone.role if medication.naltrexone else ''}"


def _drafts(pairs: tuple[Pair, ...], snapshot: Snapshot) -> tuple[Draft, ...]:
    meant = [m for pair in pairs for m in (pair.naltrexone, pair.opioid)]
    return tuple(d for d in snapshot.drafts if any(d.medication is m for m in meant))


def _several_drafts(snapshot: Snapshot) -> bool:
    naltrexone = sum(d.medication.naltrexone is not None for d in snapshot.drafts)
    opioids = sum(bool(d.medication.opioids) for d in snapshot.drafts)
    return naltrexone > 1 or opioids > 1


def _explain(pair: Pair) -> str:
    table = "A" if pair.direction != "opioid-draft" else "B"
    state = "drafted together" if pair.listed is None else f"{pair.listed.state} ({pair.listed.because})"
    band = f", band {pair.naltrexone.band}" if pair.naltrexone.band else ""
    return f"table {table}: {pair.component.ingredient} {pair.component.role}, {state}{band} -> {pair.severity.indicator}"


# --- what one press does ----------------------------------------------------------------------------------------------

def _suggestions(pairs: tuple[Pair, ...], snapshot: Snapshot) -> tuple[Suggestion, ...]:
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
