"""naltrexone-data-gap: say that the check could not run, where silence would read as "no opioids" (specification 2.11).

Only for drafted systemic naltrexone, and only while no critical or warning pair was found: a draft opioid alone stays
silent and its gaps are recorded.
"""

from __future__ import annotations

from collections.abc import Iterator

from cds_service.model import Finding, Severity, Snapshot, Verdict
from cds_service.rules.naltrexone import naltrexone_drafts, worst_interaction

TOPIC = "naltrexone-data-gap"


def judge(snapshot: Snapshot, said: tuple[Verdict, ...] = ()) -> Iterator[Finding]:
    """At most one finding; its situation is the most important thing that could not be known."""
    drafts = tuple(naltrexone_drafts(snapshot))
    if not (drafts or snapshot.foreign_naltrexone) or worst_interaction(said) >= Severity.WARNING:
        return
    reasons = list(_find_reasons(snapshot, said, drafted=bool(drafts)))
    if reasons:
        yield Finding(TOPIC, Severity.WARNING, reasons[0], lines=tuple(reasons), about=drafts, trace=tuple(reasons))


def _find_reasons(snapshot: Snapshot, said: tuple[Verdict, ...], *, drafted: bool) -> Iterator[str]:
    if drafted and not snapshot.list_available:
        yield "list"
    if drafted and snapshot.unidentified_draft:
        yield "draft"
    if drafted and any(verdict.error for verdict in said):
        yield "rule"
    if snapshot.foreign_naltrexone:
        yield "other-patient"
