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
    State,
    Verdict,
)
from cds_service.rules.offers import is_acute, suggest
from cds_service.rules.pairs import LONG_ACTING, MOUD, Pair, find_pairs
from cds_service.rules.rule import SHARED, Rule, cited, names

TOPIC = "naltrexone-opioid-interaction"


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
        suggestions=suggest(serious, snapshot) if serious else (), overrides=worst.severity >= Severity.WARNING,
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
    return tuple(line for line in RULE.lines if line in wanted)


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


# --- the declaration --------------------------------------------------------------------------------------------------

_OPIOID = names("opioid")

RULE = Rule(
    id=TOPIC, title="Naltrexone meets an opioid", judge=judge, order=1, overrides=True, carries_gaps=True,
    facts=names("opioid ago last all"),
    suggestions=names("DEL_NTX DEL_OPI HOLD_NTX"),
    links=names("label-oral"), links_for={"opioid-draft/XR": names("label-vivitrol")},
    thresholds=names("""
        short_acting_days.critical_below short_acting_days.warning_below long_acting_days brief_course_days
        depot_opioid_days.critical_below depot_opioid_days.warning_to oral_hold_days xr_blockade_days
        tolerance_notice_days.labelled_below tolerance_notice_days.xr_to dose_bands.labelled_from"""),
    situations={
        **dict.fromkeys(names("""
            ntx-draft/CURRENT ntx-draft/HELD ntx-draft/STALE ntx-draft/PERIPH ntx-draft/ANTITUSSIVE ntx-draft/MICRO
            both-draft/ both-draft/PERIPH both-draft/ANTITUSSIVE both-draft/MICRO
            opioid-draft/CURRENT opioid-draft/HELD opioid-draft/STALE opioid-draft/TOL opioid-draft/PERIPH
            opioid-draft/ANTITUSSIVE opioid-draft/MICRO"""), _OPIOID),
        "ntx-draft/RECENT": names("opioid ago"),
        "opioid-draft/RECENT": names("opioid ago oral_hold_hours"),
        "opioid-draft/XR": names("opioid last xr_blockade_label_days"),
    },
    lines={
        "acute": cited("label-oral P15 J"),
        "hospice": cited("G1 J"),
        "found": SHARED,
        "all_opioids": cited("label-oral", "all"),
        "which_draft": SHARED,
        "micro": cited("P7 P3", "dose_bands.ldn_from dose_bands.ldn_to"),
        "why_start": cited("label-oral label-vivitrol"),
        "why_block": cited("label-oral label-vivitrol"),
        "wait_sa": cited("label-oral G1", "short_acting_days.critical_below short_acting_days.warning_below"),
        "wait_la": cited("label-vivitrol label-sublocade J", "long_acting_days"),
        "xr": cited("label-vivitrol G2 G3", "xr_blockade_label_days xr_elective_days.from xr_blockade_days"),
        "stale": cited("J"),
        "held": cited("J"),
        "do_start": cited("label-oral G1"),
        "do_block": cited("G1 G2 G5", "oral_hold_hours oral_hold_range_hours.from"),
        "moud": cited("J"),
        "tol": cited("label-oral label-vivitrol"),
        "cough": cited("label-vivitrol"),
        "periph": cited("label-vivitrol"),
        "src": cited("label-oral label-vivitrol G1 G2"),
    })
