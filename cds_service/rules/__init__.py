"""The rules: Snapshot -> findings worth saying. One table, one fence around each rule.

A rule's id is its card file in ``cards/``, its topic on the card and its section in the README. A rule that raises
becomes a Verdict with an error, which the data-gap rule turns into a visible could-not-check card.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from cds_service.model import Finding, Snapshot, Verdict
from cds_service.rules import data_gap, dose_check, interaction, off_label, patient_safety

Said = tuple[Verdict, ...]
Rule = Callable[[Snapshot, Said], Iterator[Finding]]

RULES: dict[str, Rule] = {
    "naltrexone-opioid-interaction": interaction.judge,
    "naltrexone-off-label": off_label.judge,
    "naltrexone-dose-check": dose_check.judge,
    "naltrexone-patient-safety": patient_safety.judge,
    "naltrexone-data-gap": data_gap.judge,
}


def decide(snapshot: Snapshot, rules: Mapping[str, Rule] | None = None) -> tuple[Verdict, ...]:
    """Every rule's verdict in the order of the table; each rule sees what was said before it."""
    said: list[Verdict] = []
    for name, rule in (RULES if rules is None else rules).items():
        said.append(_run(name, rule, snapshot, tuple(said)))
    return tuple(said)


def _run(name: str, rule: Rule, snapshot: Snapshot, said: Said) -> Verdict:
    try:
        findings = tuple(rule(snapshot, said))
    except Exception as error:  # noqa: BLE001 - the fence: one broken rule never silences the others
        return Verdict(name, error=type(error).__name__)
    return Verdict(name, findings, trace=tuple(line for f in findings for line in f.trace))
