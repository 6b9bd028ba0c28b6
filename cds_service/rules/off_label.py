"""naltrexone-off-label: the passive note that this dose or use is not what the label says (specification 2.9).

Info only, one card for all drafts, with the link to the titration planner where a schedule applies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cds_service.model import (
    Band,
    ConditionKind,
    Draft,
    Finding,
    Severity,
    Snapshot,
    State,
    Suggestion,
    Verdict,
)
from cds_service.rules.naltrexone import (
    LABELLED_INDICATIONS,
    conflicts,
    interaction_findings,
    naltrexone_drafts,
)
from cds_service.rules.rule import SHARED, Rule, cited, names

TOPIC = "naltrexone-off-label"
_BY_DOSE = frozenset({Band.VLDN, Band.LDN})
_NO_SCHEDULE = frozenset({"MICRO", "TOPICAL", "COMBO"})
_COMPOUNDED = frozenset({"VLDN", "LDN", "UNKNOWN", "MICRO", "TOPICAL", "COMBO"})


@dataclass(frozen=True, slots=True)
class Note:
    """Why one draft gets the note, whether the titration planner applies, and the evidence for both."""

    draft: Draft
    situation: str
    link: bool
    because: str


def judge(snapshot: Snapshot, said: tuple[Verdict, ...] = ()) -> Iterator[Finding]:
    """At most one finding for the selected naltrexone drafts of this call."""
    notes = [
        note
        for draft in naltrexone_drafts(snapshot, topical=True)
        if (note := weigh(draft, snapshot))
    ]
    if not notes:
        return
    first = min(
        notes, key=lambda note: (not note.link, note.situation, note.draft.medication.order.ref)
    )
    conflict = conflicts(first.draft, said)
    wanted = {
        "sources",
        *_lines(first, conflict, snapshot, waits=_waits(said)),
        *(("which_draft",) if len(notes) > 1 else ()),
    }
    yield Finding(
        TOPIC,
        Severity.INFO,
        first.situation,
        lines=tuple(line for line in RULE.lines if line in wanted),
        facts={"mg": _mg(first.draft)},
        suggestions=tuple(_start_low(first, said, snapshot)),
        link=_app_context(first.draft, conflict) if first.link else None,
        about=tuple(n.draft for n in notes),
        trace=tuple(f"{n.situation}: {n.because}" for n in notes),
    )


def weigh(draft: Draft, snapshot: Snapshot) -> Note | None:
    """The row of the off-label table that this draft falls into; None where nothing is to be said."""
    band = draft.medication.band
    if draft.medication.recognition.combined:
        return Note(draft, "COMBO", False, "compounded opioid with ultra-low-dose naltrexone")
    if band is Band.MICRO:
        return Note(draft, "MICRO", False, "microgram dose")
    if band is Band.TOPICAL:
        return Note(draft, "TOPICAL", False, "topical naltrexone is compounded")
    if band in _BY_DOSE:
        return Note(draft, str(band), True, "the dose itself is not labelled")
    if band is Band.INTERMEDIATE:
        return _intermediate(draft, snapshot)
    if band is Band.BUPROPION:
        other = draft.has_reason and ConditionKind.OBESITY not in draft.reason_kinds
        return Note(draft, "BUPROPION", False, "a reason other than weight") if other else None
    if band is Band.UNKNOWN:
        return (
            Note(draft, "UNKNOWN", True, "dose unknown, low-dose use likely")
            if _looks_low(draft, snapshot)
            else None
        )
    if band is Band.LABELLED and draft.says_ldn:
        return Note(draft, "LABELLED", True, "the order says low-dose naltrexone")
    return _labelled_dose(draft, snapshot)


def _intermediate(draft: Draft, snapshot: Snapshot) -> Note | None:
    labelled_start = Decimal(str(snapshot.thresholds["labelled_start_mg"]))
    dose = draft.medication.dose.daily_mg
    if (
        _indications(draft, snapshot) & LABELLED_INDICATIONS
        and dose is not None
        and dose >= labelled_start
    ):
        return None
    return Note(
        draft,
        "INTERMEDIATE",
        draft.means_low_dose,
        "between low dose and 50 mg without a labelled reason",
    )


def _labelled_dose(draft: Draft, snapshot: Snapshot) -> Note | None:
    """Labelled dose or depot: an explicit other reason, or only an LDN-type problem where no reason was given."""
    band = str(draft.medication.band)
    if draft.has_reason:
        if draft.reason_kinds & LABELLED_INDICATIONS:
            return None
        return Note(draft, band, draft.means_low_dose, "the order's reason is not a labelled one")
    problems = _problems(snapshot)
    if problems & LABELLED_INDICATIONS or ConditionKind.LDN_TYPE not in problems:
        return None
    return Note(
        draft,
        "NO-INDICATION",
        True,
        "no reason given; only an LDN-type condition on the problem list",
    )


def _looks_low(draft: Draft, snapshot: Snapshot) -> bool:
    component = draft.medication.naltrexone
    strength = component.strength if component else None
    most = Decimal(str(snapshot.thresholds["dose_bands"]["ldn_to"]))
    weak = (
        strength is not None
        and strength.per_unit == "unit"
        and strength.mg / strength.per_amount <= most
    )
    return draft.says_ldn or weak or ConditionKind.LDN_TYPE in _indications(draft, snapshot)


def _indications(draft: Draft, snapshot: Snapshot) -> frozenset[ConditionKind]:
    """The order's own reasons; the problem list only where it states none (2.9)."""
    return draft.reason_kinds if draft.has_reason else _problems(snapshot)


def _problems(snapshot: Snapshot) -> frozenset[ConditionKind]:
    return frozenset[ConditionKind]().union(*(c.kinds for c in snapshot.conditions))


# --- what is said and offered -----------------------------------------------------------------------------------------


def _waits(said: tuple[Verdict, ...]) -> bool:
    """Whether a check before this one says stop: no step is named beside it."""
    return any(f.severity is Severity.CRITICAL for verdict in said for f in verdict.findings)


def _lines(note: Note, conflict: bool, snapshot: Snapshot, *, waits: bool) -> Iterator[str]:
    """The evidence for this dose, what comes next, and what the record asks to watch; never more than fits."""
    if note.situation in _NO_SCHEDULE:
        yield "no_schedule"
    elif _is_about_low_dose(note):
        yield "evidence"
    else:
        yield "approved"
    if conflict:
        yield "conflict" if note.link else "conflict_no_planner"
    elif waits:
        yield "conflict_no_planner"
    elif note.link and _is_about_low_dose(note):
        yield _next_step(note, snapshot)
    watch = tuple(_watch(snapshot)) if note.situation not in {"TOPICAL", "MICRO", "COMBO"} else ()
    yield from watch
    if not watch and note.situation in _COMPOUNDED:
        yield "practical"


def _is_about_low_dose(note: Note) -> bool:
    """A low dose, or a higher one that is meant for what low doses are tried for."""
    return note.situation in {"VLDN", "LDN", "UNKNOWN"} or (note.link and note.draft.means_low_dose)


def _next_step(note: Note, snapshot: Snapshot) -> str:
    """What follows the ordered dose: it is never told to triple a careful one."""
    dose, first = note.draft.medication.dose.daily_mg, note.draft.medication.dose.first_phase_mg
    start = _number(snapshot, "schedules", "A", "start_mg")
    if note.situation not in {"VLDN", "LDN"} or dose is None or first is None:
        return "usual_course"
    if dose > _number(snapshot, "ldn_usual_max_mg"):
        return "above_max"
    if ConditionKind.DIABETIC_NEUROPATHY in _indications(note.draft, snapshot) and dose <= _number(
        snapshot, "schedules", "D", "limits", "max_mg", "high"
    ):
        return "next_neuropathy"
    if dose == _number(snapshot, "ldn_usual_max_mg"):
        return "usual_course" if first > start else "stop_rule"
    return "next_below" if dose < start else "next" if dose == start else "usual_course"


def _number(snapshot: Snapshot, *path: str) -> Decimal:
    value: Any = snapshot.thresholds
    for part in path:
        value = value[part]
    return Decimal(str(value))


def _watch(snapshot: Snapshot) -> Iterator[str]:
    """What opens no card of its own but belongs on a note that is shown anyway (specification 2.11)."""
    undated = any(ConditionKind.SUICIDAL in c.kinds and c.day is None for c in snapshot.conditions)
    if snapshot.has(ConditionKind.DEPRESSION) or undated:
        yield "watch_mood"
    if (
        snapshot.has(ConditionKind.CIRRHOSIS)
        or snapshot.has(ConditionKind.HEPATITIS_CHRONIC)
        or _raised_transaminases(snapshot)
    ):
        yield "watch_liver"


def _raised_transaminases(snapshot: Snapshot) -> bool:
    limit = snapshot.thresholds["transaminases"]
    return any(
        lab.times_limit is not None
        and limit["raised_times"] <= lab.times_limit <= limit["high_times"]
        and 0 <= (snapshot.today - lab.day).days <= limit["days"]
        for lab in snapshot.labs
    )


def _mg(draft: Draft) -> str:
    dose = draft.medication.dose.daily_mg
    return f"{dose:f}" if dose is not None else ""


def _start_low(note: Note, said: tuple[Verdict, ...], snapshot: Snapshot) -> Iterator[Suggestion]:
    """START_1_5: a low dose that starts above the first step, where nothing in the call speaks against it (2.7)."""
    first = note.draft.medication.dose.first_phase_mg
    if (
        note.situation != "LDN"
        or first is None
        or first <= _number(snapshot, "start_low", "first_phase_above_mg")
    ):
        return
    if (
        note.draft.renewal
        or _follows_neuropathy_trial(note.draft, snapshot)
        or _is_spoken_against(said, snapshot)
    ):
        return
    yield Suggestion("START_1_5", (note.draft.medication,))


def _follows_neuropathy_trial(draft: Draft, snapshot: Snapshot) -> bool:
    dose = draft.medication.dose.daily_mg
    return (
        ConditionKind.DIABETIC_NEUROPATHY in draft.reason_kinds
        and dose is not None
        and dose <= _number(snapshot, "schedules", "D", "limits", "max_mg", "high")
    )


def _is_spoken_against(said: tuple[Verdict, ...], snapshot: Snapshot) -> bool:
    """Anything found or not known in this call that a fresh start should wait for."""
    unknown = (
        not snapshot.list_available
        or not snapshot.conditions_read
        or snapshot.unreadable
        or snapshot.unknown_names
        or snapshot.unknown_drafts
        or snapshot.foreign_naltrexone
        or any(gap.why == "too-many" for gap in snapshot.gaps)
    )
    care = snapshot.has(ConditionKind.PREGNANCY) or snapshot.has(ConditionKind.LACTATION)
    young = snapshot.age is not None and snapshot.age < snapshot.thresholds["adult_age"]
    found = (
        bool(interaction_findings(said))
        or any(v.error for v in said)
        or any(f.severity >= Severity.WARNING for v in said for f in v.findings)
    )
    return bool(unknown or care or young or found or _recent_naltrexone(snapshot))


def _recent_naltrexone(snapshot: Snapshot) -> bool:
    limit = snapshot.thresholds["start_low"]["naltrexone_free_days"]
    return any(
        e.medication.antagonist is not None
        and (e.state is not State.RECENT or (e.days or 0) <= limit)
        for e in snapshot.exposures
    )


def _app_context(draft: Draft, conflict: bool) -> dict[str, str]:
    """What the titration planner is told: the draft, its dose and the gate; nothing about the patient's history."""
    context = {
        "draft": draft.medication.order.target.partition("/")[2],
        "mgPerDay": _mg(draft),
        "band": str(draft.medication.band),
        "gate": "opioid-conflict" if conflict else "none",
    }
    return {name: value for name, value in context.items() if value}


# --- the declaration --------------------------------------------------------------------------------------------------

_MG = names("mg")
_LABEL = names("label-oral")
_STEP = "schedules.A.step_days ldn_usual_max_mg"

RULE = Rule(
    id=TOPIC,
    title="A dose or use that is off-label",
    judge=judge,
    order=5,
    carries_gaps=True,
    offers_planner=True,
    facts=_MG,
    suggestions=names("START_1_5"),
    links=names("P4 P6 P1"),
    links_for={
        "BUPROPION": names("label-contrave"),
        "TOPICAL": _LABEL,
        **dict.fromkeys(("MICRO", "COMBO"), names("P7 label-oral")),
    },
    thresholds=names("""
        dose_bands.ldn_to labelled_start_mg ldn_usual_max_mg start_low.first_phase_above_mg
        start_low.naltrexone_free_days adult_age schedules.A.start_mg schedules.D.limits.max_mg.high transaminases.days
        transaminases.raised_times transaminases.high_times"""),
    situations={
        **dict.fromkeys(names("LDN VLDN LABELLED SUPRA"), _MG),
        **dict.fromkeys(names("MICRO UNKNOWN XR BUPROPION TOPICAL COMBO NO-INDICATION"), ()),
        "INTERMEDIATE": names("mg dose_bands.labelled_from"),
    },
    lines={
        "which_draft": SHARED,
        "evidence": cited("P1 P5 P6 P4"),
        "approved": cited("label-oral label-vivitrol"),
        "no_schedule": cited("P3 P7"),
        "conflict": cited("label-oral J"),
        "conflict_no_planner": cited("label-oral J"),
        "above_max": cited("S P9", "ldn_usual_max_mg"),
        "next": cited("S P1", f"schedules.A.step_mg {_STEP}"),
        "next_below": cited("P9 J", "schedules.E.step_mg schedules.E.step_days ldn_usual_max_mg"),
        "next_neuropathy": cited(
            "P5", "schedules.D.start_mg schedules.D.limits.max_mg.high schedules.D.step_days"
        ),
        "usual_course": cited("S P1", f"schedules.A.start_mg schedules.A.step_mg {_STEP}"),
        "stop_rule": cited("S", "titration.weeks_at_top"),
        "watch_mood": cited("label-vivitrol"),
        "watch_liver": cited("label-vivitrol"),
        "practical": cited("S", "titration.monthly_cost_usd"),
        "sources": SHARED,
    },
)
