"""What several rules ask: which drafts are naltrexone, and what the interaction rule has already said."""

from __future__ import annotations

from collections.abc import Iterator

from cds_service.model import ConditionKind, Draft, Finding, Role, Severity, Snapshot, Verdict
from cds_service.rules import interaction

LABELLED_INDICATIONS = frozenset({ConditionKind.ALCOHOL_USE_DISORDER, ConditionKind.OPIOID_USE_DISORDER})


def naltrexone_drafts(snapshot: Snapshot, *, topical: bool = False) -> Iterator[Draft]:
    """Selected drafts that hold naltrexone; topical ones only on request."""
    for draft in snapshot.drafts:
        component = draft.medication.naltrexone
        if draft.selected and component is not None and (topical or component.role is not Role.NTX_TOPICAL):
            yield draft


def interaction_findings(said: tuple[Verdict, ...]) -> tuple[Finding, ...]:
    """What the interaction rule found in this call."""
    return tuple(f for verdict in said if verdict.rule == interaction.RULE.id for f in verdict.findings)


def worst_interaction(said: tuple[Verdict, ...]) -> Severity:
    """The severity of the interaction finding, NONE without one."""
    return max((f.severity for f in interaction_findings(said)), default=Severity.NONE)


def conflicts(draft: Draft, said: tuple[Verdict, ...]) -> bool:
    """True where an interaction of at least a warning concerns this draft."""
    return any(f.severity >= Severity.WARNING and any(d.medication is draft.medication for d in f.about)
               for f in interaction_findings(said))
