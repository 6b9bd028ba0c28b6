"""naltrexone-off-label: the passive note that this dose or use is not what the label says (specification 2.9).

Info only, one card for all drafts, with the link to the titration planner where a schedule applies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

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
from cds_service.rules.naltrexone import LABELLED_INDICATIONS, conflicts, naltrexone_drafts
from cds_service.rules.rule import SHARED, Rule, cited, names

TOPIC = "naltrexone-off-label"
_BY_DOSE = frozenset({Band.VLDN, Band.LDN})
_NO_SCHEDULE = frozenset({"MICRO", "TOPICAL", "COMBO", "BUPROPION"})


@dataclass(frozen=True, slots=True)
class Note:
    """Why one draft gets the note, whether the titration planner applies, and the evidence for both."""

    draft: Draft
    situation: str
    link: bool
    because: str


def judge(snapshot: Snapshot, said: tuple[Verdict, ...] = ()) -> Iterator[Finding]:
    """At most one finding for the selected naltrexone drafts of this call."""
    notes = [note for draft in naltrexone_drafts(snapshot, topical=True) if (note := weigh(draft, snapshot))]
    if not notes:
        return
    first = min(notes, key=lambda note: (not note.link, note.situation, note.draft.medication.order.ref))
    conflict = conflicts(first.draft, said)
    usual_maximum = Decimal(str(snapshot.thresholds["ldn_usual_max_mg"]))
    yield Finding(
        TOPIC, Severity.INFO, first.situation, lines=tuple(_lines(first, conflict, usual_maximum, several=len(notes) > 1)),
        facts={"mg": _mg(first.draft)}, suggestions=tuple(_start_low(first, conflict, snapshot)),
        link=_app_context(first.draft, conflict) if first.link else None, about=tuple(n.draft for n in notes),
        trace=tuple(f"{n.situation}: {n.because}" for n in notes))


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
        return Note(draft, "UNKNOWN", True, "dose unknown, low-dose use likely") if _looks_low(draft, snapshot) else None
    if band is Band.LABELLED and draft.says_ldn:
        return Note(draft, "LABELLED", True, "the order says low-dose naltrexone")
    return _labelled_dose(draft, snapshot)


def _intermediate(draft: Draft, snapshot: Snapshot) -> Note | None:
    labelled_start = Decimal(str(snapshot.thresholds["labelled_start_mg"]))
    dose = draft.medication.dose.daily_mg
    if _indications(draft, snapshot) & LABELLED_INDICATIONS and dose is not None and dose >= labelled_start:
        return None
    return Note(draft, "INTERMEDIATE", draft.means_low_dose, "between low dose and 50 mg without a labelled reason")


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
    return Note(draft, band, False, "no reason given; only an LDN-type condition on the problem list")


def _looks_low(draft: Draft, snapshot: Snapshot) -> bool:
    component = draft.medication.naltrexone
    strength = component.strength if component else None
    most = Decimal(str(snapshot.thresholds["dose_bands"]["ldn_to"]))
    weak = strength is not None and strength.per_unit == "unit" and strength.mg / strength.per_amount <= most
    return draft.says_ldn or weak or ConditionKind.LDN_TYPE in _indications(draft, snapshot)


def _indications(draft: Draft, snapshot: Snapshot) -> frozenset[ConditionKind]:
    """The order's own reasons; the problem list only where it states none (2.9)."""
    return draft.reason_kinds if draft.has_reason else _problems(snapshot)


def _problems(snapshot: Snapshot) -> frozenset[ConditionKind]:
    return frozenset[ConditionKind]().union(*(c.kinds for c in snapshot.conditions))


# --- what is said and offered -----------------------------------------------------------------------------------------

def _lines(note: Note, conflict: bool, usual_maximum: Decimal, *, several: bool) -> Iterator[str]:
    low = note.situation in {"VLDN", "LDN", "UNKNOWN"}
    if several:
        yield "which_draft"
    yield "approved"
    yield "no_schedule" if note.situation in _NO_SCHEDULE else "evidence"
    dose = note.draft.medication.dose.daily_mg
    if note.situation == "LDN" and dose is not None and dose > usual_maximum:
        yield "above_max"
    if conflict:
        yield "conflict" if note.link else "conflict_no_planner"
    elif note.situation not in _NO_SCHEDULE and note.link:
        yield "if_used"
    yield "practical" if low or note.situation in _NO_SCHEDULE - {"BUPROPION"} else "labelled_dose_practical"


def _mg(draft: Draft) -> str:
    dose = draft.medication.dose.daily_mg
    return f"{dose:f}" if dose is not None else ""


def _start_low(note: Note, conflict: bool, snapshot: Snapshot) -> Iterator[Suggestion]:
    """START_1_5: a low dose that starts above the first step, in somebody who is known to be off naltrexone (2.7)."""
    first = note.draft.medication.dose.first_phase_mg
    highest = Decimal(str(snapshot.thresholds["start_low"]["first_phase_above_mg"]))
    if note.situation == "LDN" and first is not None and first > highest and not conflict \
            and not note.draft.renewal and snapshot.list_available and not _recent_naltrexone(snapshot):
        yield Suggestion("START_1_5", (note.draft.medication,))


def _recent_naltrexone(snapshot: Snapshot) -> bool:
    limit = snapshot.thresholds["start_low"]["naltrexone_free_days"]
    return any(e.medication.naltrexone is not None
               and (e.state is not State.RECENT or (e.days or 0) <= limit) for e in snapshot.exposures)


def _app_context(draft: Draft, conflict: bool) -> dict[str, str]:
    """What the titration planner is told: the draft, its dose and the gate; nothing about the patient's history."""
    context = {"draft": draft.medication.order.target.partition("/")[2], "mgPerDay": _mg(draft),
               "band": str(draft.medication.band), "gate": "opioid-conflict" if conflict else "none"}
    return {name: value for name, value in context.items() if value}


# --- the declaration --------------------------------------------------------------------------------------------------

_MG = names("mg")
_LABEL = names("label-oral")

RULE = Rule(
    id=TOPIC, title="A dose or use that is off-label", judge=judge, order=5, carries_gaps=True, offers_planner=True,
    facts=_MG, suggestions=names("START_1_5"),
    links=names("P4 P6 P1"),
    links_for={"BUPROPION": names("label-contrave"), "TOPICAL": _LABEL,
               **dict.fromkeys(("MICRO", "COMBO"), names("P7 label-oral"))},
    thresholds=names("""
        dose_bands.ldn_to labelled_start_mg ldn_usual_max_mg start_low.first_phase_above_mg
        start_low.naltrexone_free_days"""),
    situations={
        **dict.fromkeys(names("LDN VLDN LABELLED SUPRA"), _MG),
        **dict.fromkeys(names("MICRO UNKNOWN XR BUPROPION TOPICAL COMBO"), ()),
        "INTERMEDIATE": names("mg dose_bands.labelled_from"),
    },
    lines={
        "which_draft": SHARED,
        "approved": cited("label-oral label-vivitrol", "dose_bands.labelled_from depot_dose_mg"),
        "evidence": cited("P1 P5 P6 P4"),
        "no_schedule": cited("P3 P7"),
        "above_max": cited("S P9", "ldn_usual_max_mg"),
        "conflict": cited("label-oral J", "ldn_usual_max_mg"),
        "conflict_no_planner": cited("label-oral J"),
        "if_used": cited("S P1 P12", """
            schedules.A.start_mg schedules.A.step_mg schedules.A.step_days ldn_usual_max_mg
            titration.onset_weeks.low titration.onset_weeks.high"""),
        "practical": cited("S label-oral", "titration.monthly_cost_usd"),
        "labelled_dose_practical": cited("label-oral"),
    })
