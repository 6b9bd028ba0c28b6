"""naltrexone-opioid-interaction: an antagonist and an opioid drafted together, or one drafted against the other's exposure.

One card for all pairs: the worst is named, every other opioid is listed, and only the worst pair sets the indicator.
The lines speak of the pairs of that indicator alone: what concerns another patient, or another drug, is not printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from cds_service.model import (
    Band,
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
from cds_service.rules.pairs import BLOCK, BOTH, MOUD, START, Pair, find_pairs
from cds_service.rules.rule import SHARED, Rule, cited, names
from cds_service.rules.tables import LONG_ACTING

TOPIC = "naltrexone-opioid-interaction"
_NO_WITHDRAWAL = frozenset({Role.PERIPH, Role.ANTITUSSIVE})
_BY_ROLE = frozenset({Role.PERIPH, Role.ANTITUSSIVE, Role.OPIOID_LIKE})
_MOST_EXPLAINED = 200
_REASONS = {START: "start", BLOCK: "block", BOTH: "both"}


def judge(snapshot: Snapshot, _said: tuple[Verdict, ...] = ()) -> Iterator[Finding]:
    """At most one finding; nothing without a drafted (selected) antagonist or opioid."""
    pairs = find_pairs(snapshot)
    if not pairs:
        return
    worst = pairs[0]
    leading = tuple(p for p in pairs if p.severity is worst.severity)
    serious = tuple(p for p in pairs if p.severity >= Severity.WARNING)
    yield Finding(
        TOPIC,
        worst.severity,
        situation(worst),
        lines=_lines(leading, pairs, snapshot),
        facts=_facts(worst, pairs),
        quotes={"written": worst.uncertain.order.label} if worst.uncertain else {},
        suggestions=suggest(serious, snapshot) if serious else (),
        overrides=_reasons(serious),
        links=_links(worst),
        found=_found(pairs),
        about=_drafts(serious or pairs, snapshot),
        trace=tuple(map(_explain, pairs[:_MOST_EXPLAINED])),
    )


# --- the summary ------------------------------------------------------------------------------------------------------


def situation(pair: Pair) -> str:
    """The key of the summary: direction and what decided the severity."""
    return f"{pair.direction}/{_kind(pair)}"


def _kind(pair: Pair) -> str:
    role, listed = pair.component.role, pair.listed
    if pair.conflicting:
        return "CONFLICT"
    if pair.uncertain:
        return "UNCERTAIN"
    if role is Role.PERIPH:
        return "PERIPH" if pair.severity is Severity.INFO else "PERIPH-HIGH"
    if role in _BY_ROLE:
        return str(role)
    if pair.micro:
        return "MICRO"
    if listed is None:
        return "TOGETHER"
    if pair.direction == BLOCK and (kind := _kind_of_block(pair, listed)):
        return kind
    if role is Role.BUP_DEPOT and _given_and_left(listed):
        return "DEPOT"
    return str(listed.state)


def _given_and_left(listed: Exposure) -> bool:
    """A depot that was given on a known day and not taken out: it did not end on that day."""
    known = listed.last_dose_days is not None and listed.removed_days is None
    return known and listed.state is State.RECENT


def _kind_of_block(pair: Pair, listed: Exposure) -> str:
    role = pair.blocker.role
    if role is Role.NTX_IMPLANT and listed.state is not State.PLANNED:
        return "IMPLANT-FADING" if pair.tolerance else "IMPLANT"
    if role is Role.NTX_XR and pair.tolerance:
        return "XR-FADING"
    if (
        role is Role.NTX_XR
        and pair.severity is Severity.CRITICAL
        and listed.last_dose_days is not None
    ):
        return "XR"
    if pair.tolerance:
        return "TOLERANCE"
    return "RECENT-OTHER" if role is Role.OTHER_ANTAG and listed.state is State.RECENT else ""


def _facts(worst: Pair, pairs: tuple[Pair, ...]) -> dict[str, str]:
    opioids = _ingredients(pairs)
    more = f" (+{len(opioids) - 1} more)" if len(opioids) > 1 else ""
    listed, doubt = worst.listed, worst.uncertain
    clear = _earliest(pairs)
    dose = worst.opioid.dose.daily_mg
    return {
        "opioid": worst.component.ingredient + more,
        "blocker": blocker_name(worst.antagonist),
        "ago": _ago(listed.days if listed else None),
        "last": _ago(listed.last_dose_days if listed else None),
        "starts": listed.on.isoformat() if listed and listed.on else "a later day",
        "all": ", ".join(opioids),
        "guess": doubt.recognition.did_you_mean if doubt else "",
        "conflict": worst.conflicting.recognition.conflict if worst.conflicting else "",
        "opioid_mg": f"{dose:f}" if dose is not None else "",
        **({"ended": clear[0].isoformat(), "clear": clear[1].isoformat()} if clear else {}),
    }


def blocker_name(medication: Medication) -> str:
    """The antagonist by the name that a prescriber knows it by."""
    component = medication.antagonist
    if component is None:
        return "naltrexone"
    match component.role:
        case Role.NTX_BUP:
            return "naltrexone/bupropion"
        case Role.NTX_IMPLANT:
            return "naltrexone implant"
        case Role.NTX_XR:
            return "naltrexone injection"
    return component.ingredient


def _ago(days: int | None) -> str:
    named = {None: "on an unknown date", 0: "today", 1: "1 day ago"}
    return named.get(days) or f"{days} days ago"


def _ingredients(pairs: tuple[Pair, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pair.component.ingredient for pair in pairs))


# --- the detail -------------------------------------------------------------------------------------------------------


def _lines(
    leading: tuple[Pair, ...], everything: tuple[Pair, ...], snapshot: Snapshot
) -> tuple[str, ...]:
    wanted = {line for pair in leading for line in _lines_of(pair)} | {"sources"}
    if any(pair.listed for pair in everything):
        wanted.add("found")
    if len(_ingredients(everything)) > 1:
        wanted.add("all_opioids")
    if _several_drafts(snapshot):
        wanted.add("which_draft")
    if leading[0].direction == START and _earliest(everything):
        wanted.add("earliest")
    if leading[0].severity >= Severity.WARNING:
        wanted |= _modifiers(leading, snapshot)
    wanted = _settle(wanted, moud=any(p.component.role in MOUD for p in everything))
    return tuple(line for line in RULE.lines if line in wanted)


def _settle(wanted: set[str], *, moud: bool) -> set[str]:
    """Take away what another line of the same answer contradicts or covers."""
    if moud:
        wanted = {_WITHOUT_ADVICE.get(line, line) for line in wanted - _NOT_BESIDE_MOUD} | {"moud"}
    if "hospice" in wanted:
        wanted = {_WITHOUT_ADVICE.get(line, line) for line in wanted - {"do_block", "earliest"}}
    if "acute" in wanted:
        wanted = wanted - {"do_block", "hold"}
    if wanted & {"why_both", "why_both_other"}:  # one advice and one reason for what is ordered
        if "do_start_la" in wanted and "do_both_sa" in wanted:
            wanted = wanted | {"do_both_la"}
        wanted = wanted - _COVERED_BY_BOTH
    if wanted & {"do_start_la", "wait_la"}:
        wanted = wanted - {"do_start_sa", "wait_sa"}  # the longer interval covers both
    if "do_both_la" in wanted:
        wanted = wanted - {"do_both_sa"}
    return wanted - _NOT_BESIDE_DOUBT if wanted & {"uncertain", "conflict"} else wanted


def _lines_of(pair: Pair) -> Iterator[str]:
    if pair.conflicting:
        yield "conflict"
    elif pair.uncertain:
        yield "uncertain"
    match pair.component.role:
        case Role.PERIPH:
            yield "periph" if pair.severity is Severity.INFO else "periph_high"
        case Role.ANTITUSSIVE:
            yield "cough"
        case Role.OPIOID_LIKE:
            yield "opioid_like"
        case _:
            yield from _agonist_lines(pair)


def _agonist_lines(pair: Pair) -> Iterator[str]:
    state = pair.listed.state if pair.listed else None
    if state is not None and (line := _STATE_LINES.get(state)):
        yield line
    if pair.direction == BLOCK:
        yield from _block_lines(pair)
        return
    other = pair.blocker.role is Role.OTHER_ANTAG
    both = "why_both" if pair.direction == BOTH else "why_start"
    yield (
        f"{both}_other"
        if other
        else f"{both}_low"
        if both == "why_start" and _is_low(pair)
        else both
    )
    if pair.micro:
        yield "micro"
    elif state is not State.OLD:
        long = pair.component.role in LONG_ACTING | {Role.BUP_DEPOT}
        yield f"do_{'both' if pair.direction == BOTH else 'start'}_{'la' if long else 'sa'}"


def _block_lines(pair: Pair) -> Iterator[str]:
    if pair.tolerance:
        yield "tolerance"
        return
    if pair.micro:
        yield "micro"
    yield "why_block_other" if pair.blocker.role is Role.OTHER_ANTAG else "why_block"
    if pair.severity >= Severity.WARNING:
        yield "do_block"
        yield from _hold_lines(pair)


def _hold_lines(pair: Pair) -> Iterator[str]:
    """What becomes of the antagonist that blocks."""
    current = pair.listed is not None and pair.listed.state is State.CURRENT
    match pair.blocker.role:
        case Role.NTX_XR:
            yield "injection"
        case Role.NTX_IMPLANT:
            yield "implant"
        case Role.NTX_BUP:
            yield "hold_contrave"
        case Role.OTHER_ANTAG:
            yield "hold_nalmefene" if pair.blocker.ingredient == "nalmefene" else "hold_samidorphan"
        case _ if current:
            yield "hold"


def _is_low(pair: Pair) -> bool:
    return pair.antagonist.band in {Band.VLDN, Band.LDN}


def _modifiers(leading: tuple[Pair, ...], snapshot: Snapshot) -> set[str]:
    """The emergency paragraph where pain is to be treated, comfort care where it comes first (specification 2.6)."""
    if snapshot.has(ConditionKind.HOSPICE):
        return {"hospice"}
    drafted = [
        p for p in leading if p.direction != START and p.component.role not in _NO_WITHDRAWAL | MOUD
    ]
    return {"acute"} if drafted and is_acute(leading, snapshot) else set()


def _earliest(pairs: tuple[Pair, ...]) -> tuple[date, date] | None:
    """(documented last dose, first day without a word from table A), where that is known of every listed opioid."""
    ends: list[tuple[date, date]] = []
    for pair in pairs:
        if pair.direction != START or pair.listed is None or pair.component.role is Role.PERIPH:
            continue
        if pair.listed.ending is None or pair.listed.clear_on is None:
            return None
        ends.append((pair.listed.ending.on, pair.listed.clear_on))
    return max(ends, key=lambda e: e[1], default=None)


def _found(pairs: tuple[Pair, ...]) -> tuple[Exposure, ...]:
    """The listed medicines behind the pairs, the worst entry of each drug once."""
    found: dict[str, Exposure] = {}
    for pair in pairs:
        if pair.listed:
            name = (
                pair.component.ingredient
                if pair.direction == START
                else blocker_name(pair.antagonist)
            )
            found.setdefault(name, pair.listed)
    return tuple(found.values())


def _links(worst: Pair) -> tuple[str, ...]:
    """The label of the antagonist that the card is about."""
    role = worst.blocker.role
    if role is Role.OTHER_ANTAG:
        return (
            ("label-selincro",) if worst.blocker.ingredient == "nalmefene" else ("label-lybalvi",)
        )
    return {Role.NTX_XR: ("label-vivitrol",), Role.NTX_BUP: ("label-contrave",)}.get(
        role, ("label-oral",)
    )


def _reasons(serious: tuple[Pair, ...]) -> str:
    """The group of override reasons that can be true of these pairs; "" below a warning."""
    groups = {_REASONS[p.direction] for p in serious}
    return "both" if len(groups) > 1 else next(iter(groups), "")


def _drafts(pairs: tuple[Pair, ...], snapshot: Snapshot) -> tuple[Draft, ...]:
    meant = {id(m) for pair in pairs for m in (pair.antagonist, pair.opioid)}
    return tuple(d for d in snapshot.drafts if id(d.medication) in meant)


def _several_drafts(snapshot: Snapshot) -> bool:
    antagonists = sum(d.medication.antagonist is not None for d in snapshot.drafts)
    opioids = sum(bool(d.medication.opioids) for d in snapshot.drafts)
    return antagonists > 1 or opioids > 1


def _explain(pair: Pair) -> str:
    table = "A" if pair.direction != BLOCK else "B"
    state = (
        "drafted together"
        if pair.listed is None
        else f"{pair.listed.state} ({pair.listed.because})"
    )
    band = f", band {pair.antagonist.band}" if pair.antagonist.band else ""
    caps = "".join(
        f", {name}"
        for name, side in (
            ("uncertain match", pair.uncertain),
            ("code and name disagree", pair.conflicting),
        )
        if side
    )
    return (
        f"table {table}: {pair.component.ingredient} {pair.component.role}, {state}{band}{caps} "
        f"-> {pair.severity.indicator}"
    )


# --- the declaration --------------------------------------------------------------------------------------------------

_STATE_LINES = {
    State.STALE: "stale",
    State.OLD: "stale",
    State.HELD: "held",
    State.PLANNED: "planned",
}
# No sentence beside methadone or buprenorphine tells anyone to taper or stop it, or to prefer something else to it (2.6).
_NOT_BESIDE_MOUD = frozenset({"do_both_sa", "do_both_la", "do_block", "acute"})
_COVERED_BY_BOTH = frozenset(
    {"do_start_sa", "do_start_la", "why_start", "why_start_low", "why_start_other"}
)
_WITHOUT_ADVICE = {"do_start_sa": "wait_sa", "do_start_la": "wait_la"}
# Nothing is advised about a drug that is not certain.
_NOT_BESIDE_DOUBT = frozenset(
    {
        "do_start_sa",
        "do_start_la",
        "wait_sa",
        "wait_la",
        "do_both_sa",
        "do_both_la",
        "do_block",
        "hold",
        "earliest",
    }
)

_DRUGS = names("opioid blocker")
_KINDS = names("CONFLICT UNCERTAIN PERIPH PERIPH-HIGH ANTITUSSIVE OPIOID_LIKE MICRO")
_STATES = names("CURRENT HELD STALE OLD PLANNED RECENT")
_BLOCKED = names("XR XR-FADING IMPLANT IMPLANT-FADING TOLERANCE RECENT-OTHER")
_SITUATIONS: dict[str, Any] = dict.fromkeys(
    (
        *(f"{START}/{kind}" for kind in (*_KINDS, *_STATES)),
        *(f"{BOTH}/{kind}" for kind in (*_KINDS, "TOGETHER")),
        *(
            f"{BLOCK}/{kind}"
            for kind in (*(k for k in _KINDS if k != "PERIPH-HIGH"), *_STATES, *_BLOCKED)
        ),
    ),
    _DRUGS,
)

RULE = Rule(
    id=TOPIC,
    title="An opioid meets naltrexone or another antagonist",
    judge=judge,
    order=1,
    overrides=names("start block both"),
    carries_gaps=True,
    facts=names("opioid blocker ago last starts all written guess conflict opioid_mg ended clear"),
    suggestions=names("DEL_NTX DEL_OPI HOLD_NTX"),
    links=names("label-oral label-vivitrol label-contrave label-selincro label-lybalvi"),
    thresholds=names("""
        short_acting_days.critical_below short_acting_days.warning_below long_acting_days brief_course_days
        depot_opioid_days.critical_below depot_tail_days.weekly depot_tail_days.monthly depot_tail_days.implant
        oral_hold_days xr_blockade_days naltrexone_tail_days.xr naltrexone_tail_days.implant
        tolerance_notice_days.labelled_below antitussive_days.warning_below
        antitussive_days.info_below opioid_like_days loperamide_mg other_antagonist_days.nalmefene
        other_antagonist_days.samidorphan depot_interval_days.implant"""),
    situations={
        **_SITUATIONS,
        f"{START}/RECENT": names("opioid blocker ago"),
        f"{START}/DEPOT": names("opioid blocker last"),
        f"{START}/PLANNED": names("opioid blocker starts"),
        f"{BLOCK}/PLANNED": names("opioid blocker starts"),
        f"{BLOCK}/RECENT": names("opioid blocker ago oral_hold_hours"),
        f"{BLOCK}/RECENT-OTHER": names("opioid blocker ago"),
        f"{BLOCK}/XR": names("opioid last xr_blockade_label_days"),
        f"{BLOCK}/XR-FADING": names("opioid last"),
        f"{BLOCK}/IMPLANT": names("opioid last"),
        f"{BLOCK}/IMPLANT-FADING": names("opioid last"),
        f"{START}/PERIPH-HIGH": names("opioid blocker opioid_mg"),
        f"{BOTH}/PERIPH-HIGH": names("opioid blocker opioid_mg"),
        **{f"{direction}/CONFLICT": names("conflict blocker") for direction in (START, BOTH)},
        f"{BLOCK}/CONFLICT": names("conflict opioid"),
        f"{START}/UNCERTAIN": names("guess blocker"),
        **{f"{direction}/UNCERTAIN": names("guess") for direction in (BOTH, BLOCK)},
    },
    lines={
        "found": SHARED,
        "all_opioids": cited("J", "all"),
        "which_draft": SHARED,
        "conflict": cited("J", "conflict"),
        "uncertain": cited("J", "written guess"),
        "acute": cited("label-oral P15 J"),
        "hospice": cited("G1 J"),
        "stale": cited("J"),
        "held": cited("J"),
        "planned": cited("J"),
        "do_start_sa": cited(
            "label-oral G1", "short_acting_days.critical_below short_acting_days.warning_below"
        ),
        "do_start_la": cited("label-vivitrol J", "long_acting_days"),
        "wait_sa": cited(
            "label-oral", "short_acting_days.critical_below short_acting_days.warning_below"
        ),
        "wait_la": cited("label-vivitrol J", "long_acting_days"),
        "earliest": cited("label-oral J", "ended clear"),
        "do_both_sa": cited(
            "label-oral J", "short_acting_days.critical_below short_acting_days.warning_below"
        ),
        "do_both_la": cited("label-vivitrol J", "long_acting_days"),
        "do_block": cited("G1"),
        "hold": cited("G1 G2 G5", "oral_hold_hours oral_hold_range_hours.from"),
        "injection": cited("label-vivitrol G3", "xr_elective_days.from xr_blockade_days"),
        "implant": cited("J"),
        "hold_contrave": cited("label-contrave J", "oral_hold_hours"),
        "hold_nalmefene": cited("label-selincro", "other_antagonist_days.nalmefene"),
        "hold_samidorphan": cited("label-lybalvi"),
        "moud": cited("J"),
        "tolerance": cited("label-oral label-vivitrol"),
        "micro": cited("P7 P3", "dose_bands.ldn_from dose_bands.ldn_to"),
        "why_start": cited("label-oral"),
        "why_start_low": cited("label-oral J"),
        "why_start_other": cited("label-selincro label-lybalvi"),
        "why_both": cited("label-oral"),
        "why_both_other": cited("label-selincro label-lybalvi"),
        "why_block": cited("label-oral"),
        "why_block_other": cited("label-selincro label-lybalvi"),
        "opioid_like": cited("P17 P18 J", "opioid_like_days"),
        "cough": cited("label-vivitrol"),
        "periph": cited("label-vivitrol"),
        "periph_high": cited("J", "loperamide_mg"),
        "sources": SHARED,
    },
)
