"""naltrexone-data-gap: what could not be checked, where silence would read as "nothing found" (specification 2.11).

For a drafted antagonist while no critical or warning pair was found: a warning where nothing can be told, an info where
names can be read by the prescriber. The other direction is an info: naltrexone is rare, opioids are not.
"""

from __future__ import annotations

from collections.abc import Iterator

from cds_service.model import Draft, Finding, Role, Severity, Snapshot, State, Verdict
from cds_service.rules.naltrexone import antagonist_drafts, worst_interaction
from cds_service.rules.pairs import blocks
from cds_service.rules.rule import SHARED, Rule, cited, names

TOPIC = "naltrexone-data-gap"
_RENEWING = "medication-refill"
_AGONISTS = frozenset(
    {Role.FULL_SA, Role.FULL_LA, Role.METHADONE, Role.BUP, Role.BUP_DEPOT, Role.MIXED, Role.DUAL}
)
_MET = frozenset({State.CURRENT, State.HELD, State.RECENT, State.STALE})
_MOST_NAMES = 5


def judge(snapshot: Snapshot, said: tuple[Verdict, ...] = ()) -> Iterator[Finding]:
    """At most one finding; its situation is the most important thing that could not be known."""
    antagonists = tuple(antagonist_drafts(snapshot))
    opioids = tuple(d for d in snapshot.drafts if d.selected and d.medication.opioids)
    found: list[tuple[str, Severity]] = []
    if snapshot.foreign_naltrexone:
        found.append(("other-patient", Severity.WARNING))
    if worst_interaction(said) < Severity.WARNING:
        if antagonists:
            found += [(reason, Severity.WARNING) for reason in _unknown(snapshot, said)]
            found += [(reason, Severity.INFO) for reason in _named(snapshot)]
        elif opioids and any(verdict.error for verdict in said):
            found.append(("rule-opioid", Severity.WARNING))
        elif _is_beyond_the_budget(snapshot):
            found.append(("draft", Severity.WARNING))
        if not antagonists and not snapshot.list_available and _may_be_blocked(opioids, snapshot):
            found.append(("list-opioid", Severity.INFO))
        if _meets_antagonist(snapshot):
            found += [
                (reason, Severity.INFO)
                for reason in _drafts_unknown(snapshot)
                if (reason, Severity.INFO) not in found
            ]
    if found:
        yield _finding(found, antagonists or opioids, snapshot)


def could_not_check(*, naltrexone: bool) -> Finding:
    """For a call in which our own code failed before any rule could speak, with an antagonist or an opioid drafted."""
    reason = "rule" if naltrexone else "rule-opioid"
    return Finding(
        TOPIC,
        Severity.WARNING,
        reason,
        lines=(reason, "sources"),
        overrides="warning",
        trace=(reason,),
    )


def _is_beyond_the_budget(snapshot: Snapshot) -> bool:
    """An order that nobody looked at, because the call asks for more than one call may: it may be anything."""
    unread = any(not draft.name for draft in snapshot.unknown_drafts)
    return unread and any((g.about, g.why) == ("draft", "too-many") for g in snapshot.gaps)


def _unknown(snapshot: Snapshot, said: tuple[Verdict, ...]) -> Iterator[str]:
    """What nobody could tell: a warning."""
    if not snapshot.list_available:
        yield "list"
    if any(not draft.name for draft in snapshot.unknown_drafts):
        yield "draft"
    if any(verdict.error for verdict in said):
        yield "rule"
    if snapshot.unreadable:
        yield "unreadable"


def _named(snapshot: Snapshot) -> Iterator[str]:
    """What the prescriber can read in a second: an info."""
    if snapshot.unknown_names or any(draft.name for draft in snapshot.unknown_drafts):
        yield "names"


def _may_be_blocked(opioids: tuple[Draft, ...], snapshot: Snapshot) -> bool:
    return snapshot.hook != _RENEWING and any(
        c.role in _AGONISTS for draft in opioids for c in draft.medication.opioids
    )


def _meets_antagonist(snapshot: Snapshot) -> bool:
    return any(e.state in _MET and blocks(e.medication) for e in snapshot.exposures)


def _drafts_unknown(snapshot: Snapshot) -> Iterator[str]:
    """A drafted order that nobody knows, where an antagonist is current, held or recent."""
    chosen = [draft for draft in snapshot.unknown_drafts if draft.selected]
    if any(draft.name for draft in chosen):
        yield "names-antagonist"
    if any(not draft.name for draft in chosen):
        yield "draft-antagonist"


def _finding(
    found: list[tuple[str, Severity]], about: tuple[Draft, ...], snapshot: Snapshot
) -> Finding:
    found = sorted(dict.fromkeys(found), key=lambda reason: -reason[1])
    worst = found[0][1]
    shown = {reason for reason, _ in found} | {"sources"}
    unknown = [
        *dict.fromkeys(
            (*(d.name for d in snapshot.unknown_drafts if d.name), *snapshot.unknown_names)
        )
    ]
    more = len(unknown) - _MOST_NAMES
    return Finding(
        TOPIC,
        worst,
        found[0][0],
        lines=tuple(line for line in RULE.lines if line in shown),
        facts={"unreadable": str(snapshot.unreadable), "listed": str(snapshot.listed_count)},
        quotes={
            "names": "; ".join(unknown[:_MOST_NAMES]) + (f" (+{more} more)" if more > 0 else ""),
            "first": unknown[0] if unknown else "",
        },
        overrides="warning" if worst >= Severity.WARNING else "",
        about=about,
        trace=tuple(f"{reason}: {severity.indicator}" for reason, severity in found),
    )


_COUNT = names("unreadable listed")

RULE = Rule(
    id=TOPIC,
    title="What could not be checked",
    judge=judge,
    order=2,
    overrides=names("warning"),
    carries_gaps=True,
    links=names("label-oral"),
    facts=names("unreadable listed names first"),
    situations={
        **dict.fromkeys(
            names("other-patient list draft rule rule-opioid list-opioid draft-antagonist"), ()
        ),
        "unreadable": _COUNT,
        "names": names("first"),
        "names-antagonist": names("first"),
    },
    lines={
        "other-patient": cited("J"),
        "list": cited("label-oral label-vivitrol", "long_acting_days"),
        "draft": cited("J"),
        "rule": cited("label-vivitrol J", "long_acting_days"),
        "rule-opioid": cited("label-vivitrol G2 J", "oral_hold_hours xr_blockade_days"),
        "unreadable": cited("J", "unreadable listed"),
        "names": cited("J", "names"),
        "list-opioid": cited("label-oral J", "oral_hold_hours xr_blockade_days"),
        "names-antagonist": cited("J", "names"),
        "draft-antagonist": cited("J"),
        "sources": SHARED,
    },
)
