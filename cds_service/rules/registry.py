"""Every rule, one line each, in the order in which they judge; what is known of them is derived from here.

Adding a rule: its file beside this one (exporting ``RULE``), its card file of the same id, its line below, its vignettes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module

from cds_service.rules.rule import Rule

_FILES = (
    "interaction",
    "off_label",
    "dose_check",
    "patient_safety",
    "data_gap",
)
RULES: tuple[Rule, ...] = tuple(import_module(f"cds_service.rules.{name}").RULE for name in _FILES)
TOPICS = frozenset(rule.id for rule in RULES)


def rule_table(rules: Sequence[Rule] = RULES) -> str:
    """The rules as a table in Markdown, for the documents: what each may say, decide by and offer."""
    head = ("Rule", "About", "Situations", "Decided by", "Offers")
    return "\n".join(
        (_row(head), _row(["---"] * len(head)), *(_row([*_cells(rule)]) for rule in rules), "")
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(rule: Rule) -> Iterator[str]:
    yield f"`{rule.id}`"
    yield rule.title
    yield _listed(rule.situations)
    yield _listed(dict.fromkeys(name.partition(".")[0] for name in rule.thresholds))
    planner = ("titration planner",) if rule.offers_planner else ()
    reasons = ("override reasons",) if rule.overrides else ()
    yield ", ".join((*(f"`{code}`" for code in rule.suggestions), *reasons, *planner)) or "-"


def _listed(found: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in found) or "-"
