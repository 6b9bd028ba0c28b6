"""naltrexone-patient-safety: the patient's own conditions that speak against naltrexone or ask for care (2.11)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from cds_service.model import (
    Band,
    ConditionKind,
    Draft,
    Finding,
    Severity,
    Snapshot,
    Suggestion,
    Verdict,
)
from cds_service.rules.naltrexone import LABELLED_INDICATIONS, naltrexone_drafts, worst_interaction
from cds_service.rules.rule import Rule, cited, names

TOPIC = "naltrexone-patient-safety"
_LABELLED = frozenset({Band.LABELLED, Band.SUPRA, Band.XR, Band.BUPROPION})


def judge(snapshot: Snapshot, said: tuple[Verdict, ...] = ()) -> Iterator[Finding]:
    """At most one finding: the worst hit gives indicator and summary, every hit a line."""
    drafts = tuple(naltrexone_drafts(snapshot))
    if not drafts:
        return
    hits = dict(_find_hits(drafts, snapshot, worst_interaction(said)))
    if not hits:
        return
    worst = max(hits, key=lambda name: hits[name])  # the first of equals: the order of _find_hits
    critical = hits[worst] is Severity.CRITICAL
    remove = Suggestion("DEL_NTX", tuple(d.medication for d in drafts), recommended=True)
    yield Finding(TOPIC, hits[worst], worst, lines=tuple(hits), suggestions=(remove,) if critical else (),
                  overrides=critical, about=drafts, trace=tuple(f"{n}: {s.indicator}" for n, s in hits.items()))


def _find_hits(drafts: tuple[Draft, ...], snapshot: Snapshot, interaction: Severity) -> Iterator[tuple[str, Severity]]:
    if snapshot.has(ConditionKind.OPIOID_WITHDRAWAL):
        yield "withdrawal", Severity.CRITICAL
    if snapshot.has(ConditionKind.LIVER_ACUTE):
        yield "liver", Severity.WARNING
    if snapshot.has(ConditionKind.OPIOID_DEPENDENCE_ACTIVE) and interaction < Severity.WARNING:
        labelled = all(_is_labelled_use(draft, snapshot) for draft in drafts)
        yield "opioid-free", Severity.INFO if labelled else Severity.WARNING
    if snapshot.has(ConditionKind.PREGNANCY):
        yield "pregnan", Severity.INFO
    depot = any(draft.medication.band is Band.XR for draft in drafts)
    if snapshot.has(ConditionKind.CKD_4_5) or (depot and snapshot.has(ConditionKind.CKD_3)):
        yield "renal", Severity.INFO
    if snapshot.age is not None and snapshot.age < snapshot.thresholds["adult_age"]:
        yield "minor", Severity.INFO


def _is_labelled_use(draft: Draft, snapshot: Snapshot) -> bool:
    """A labelled dose that is not meant for pain; a dose that could not be read is not taken for a labelled one."""
    if draft.means_low_dose:
        return False
    if draft.medication.band in _LABELLED:
        return True
    dose = draft.medication.dose.daily_mg
    kinds = draft.reason_kinds if draft.has_reason else frozenset().union(*(c.kinds for c in snapshot.conditions))
    return draft.medication.band is Band.INTERMEDIATE and bool(kinds & LABELLED_INDICATIONS) \
        and dose is not None and dose >= Decimal(str(snapshot.thresholds["labelled_start_mg"]))


_HITS = {
    "withdrawal": cited("label-oral"),
    "liver": cited("label-oral label-vivitrol J"),
    "opioid-free": cited("label-vivitrol", """
        short_acting_days.critical_below short_acting_days.warning_below long_acting_days"""),
    "pregnan": cited("G1"),
    "renal": cited("label-vivitrol"),
    "minor": cited("label-oral", "adult_age"),
}

RULE = Rule(
    id=TOPIC, title="Conditions of this patient that speak against naltrexone", judge=judge, order=3, overrides=True,
    suggestions=names("DEL_NTX"), links=names("label-oral"), thresholds=names("adult_age labelled_start_mg"),
    situations={**dict.fromkeys(_HITS, ()), "minor": names("adult_age")}, lines=_HITS)
