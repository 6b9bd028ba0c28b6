"""The rules: Snapshot -> findings worth saying. One registry, one fence around each rule.

A rule's id is its card file in ``cards/`` and its topic on the card. A rule that raises becomes a Verdict with an error,
which the data-gap rule turns into a visible could-not-check card.
"""

from __future__ import annotations

from collections.abc import Iterable

from cds_service.model import Snapshot, Verdict
from cds_service.rules.registry import RULES, TOPICS
from cds_service.rules.rule import Judge, Rule, Said

__all__ = ["RULES", "TOPICS", "Judge", "Rule", "Said", "decide"]


def decide(snapshot: Snapshot, rules: Iterable[Rule] = RULES) -> tuple[Verdict, ...]:
    """Every rule's verdict in the order of the registry; each rule sees what was said before it."""
    said: list[Verdict] = []
    for rule in rules:
        said.append(_run(rule, snapshot, tuple(said)))
    return tuple(said)


def _run(rule: Rule, snapshot: Snapshot, said: Said) -> Verdict:
    try:
        findings = tuple(rule.judge(snapshot, said))
    except Exception as error:  # noqa: BLE001 - the fence: one broken rule never silences the others
        return Verdict(rule.id, error=type(error).__name__)
    return Verdict(rule.id, findings, trace=tuple(line for f in findings for line in f.trace))
