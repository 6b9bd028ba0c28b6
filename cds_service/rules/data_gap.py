"""naltrexone-data-gap: say that the check could not run, where silence would read as "no opioids" (specification 2.11).

For drafted systemic naltrexone, and only while no critical or warning pair was found. A draft opioid alone is answered
where our own check broke; a list that could not be read is recorded for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from cds_service.model import Draft, Finding, Severity, Snapshot, Verdict
from cds_service.rules.naltrexone import naltrexone_drafts, worst_interaction
from cds_service.rules.rule import Rule, cited, names

TOPIC = "naltrexone-data-gap"
_BROKEN, _BROKEN_FOR_OPIOID = "rule", "rule-opioid"


def judge(snapshot: Snapshot, said: tuple[Verdict, ...] = ()) -> Iterator[Finding]:
    """At most one finding; its situation is the most important thing that could not be known."""
    if worst_interaction(said) >= Severity.WARNING:
        return
    drafts, broken = tuple(naltrexone_drafts(snapshot)), any(verdict.error for verdict in said)
    opioids = () if drafts or not broken else tuple(_opioid_drafts(snapshot))
    reasons = (
        tuple(_naltrexone_reasons(snapshot, broken))
        if drafts
        else (_BROKEN_FOR_OPIOID,)
        if opioids
        else ()
    )
    if snapshot.foreign_naltrexone:
        reasons = (*reasons, "other-patient")
    if reasons:
        yield _finding(reasons, drafts or opioids)


def could_not_check(*, naltrexone: bool) -> Finding:
    """For a call in which our own code failed before any rule could speak, with naltrexone or an opioid drafted."""
    return _finding((_BROKEN if naltrexone else _BROKEN_FOR_OPIOID,), ())


def _naltrexone_reasons(snapshot: Snapshot, broken: bool) -> Iterator[str]:
    if not snapshot.list_available:
        yield "list"
    if snapshot.unidentified_draft:
        yield "draft"
    if broken:
        yield _BROKEN


def _opioid_drafts(snapshot: Snapshot) -> Iterator[Draft]:
    return (draft for draft in snapshot.drafts if draft.selected and draft.medication.opioids)


def _finding(reasons: tuple[str, ...], about: tuple[Draft, ...]) -> Finding:
    return Finding(TOPIC, Severity.WARNING, reasons[0], lines=reasons, about=about, trace=reasons)


RULE = Rule(
    id=TOPIC,
    title="What could not be checked",
    judge=judge,
    order=2,
    carries_gaps=True,
    links=names("label-oral"),
    situations=dict.fromkeys(("list", "draft", _BROKEN, _BROKEN_FOR_OPIOID, "other-patient"), ()),
    lines={
        "list": cited("label-oral label-vivitrol", "long_acting_days"),
        "draft": cited("J"),
        _BROKEN: cited("label-vivitrol J", "long_acting_days"),
        _BROKEN_FOR_OPIOID: cited("label-vivitrol G2 J", "oral_hold_hours xr_blockade_days"),
        "other-patient": cited("J"),
    },
)
