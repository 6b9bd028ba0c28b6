"""What rules declare is what they do: over every vignette, nothing is said and no number read that is not declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from cds_service import pipeline
from cds_service.errors import ServiceError
from cds_service.hooks.services import SERVICES
from cds_service.model import Finding, Snapshot
from cds_service.rules import RULES, TOPICS, Rule, decide
from cds_service.rules.registry import rule_table
from tests.vignettes.builder import NOW, request, service_of, vignettes


class Watched(Mapping[str, Any]):
    """The thresholds, remembering what is read of them."""

    def __init__(self, values: Mapping[str, Any], seen: set[str], within: str = "") -> None:
        self.values_, self.seen, self.within = values, seen, within

    def __getitem__(self, key: str) -> Any:
        value = self.values_[key]
        if isinstance(value, Mapping):
            return Watched(value, self.seen, f"{self.within}{key}.")
        self.seen.add(f"{self.within}{key}")
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


@pytest.fixture(scope="module")
def snapshots(engine: pipeline.Engine) -> list[Snapshot]:
    found = []
    for case in vignettes():
        body = request(case, case["fhir_version"], case["hook"])
        try:
            found.append(
                pipeline.answer(body, SERVICES[service_of(case["hook"])], engine, NOW).snapshot
            )
        except ServiceError:
            continue
    return found


def findings_of(rule: Rule, snapshots: list[Snapshot]) -> list[Finding]:
    verdicts = [
        verdict for snapshot in snapshots for verdict in decide(snapshot) if verdict.rule == rule.id
    ]
    return [finding for verdict in verdicts for finding in verdict.findings]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_says_only_what_it_declares(rule: Rule, snapshots: list[Snapshot]) -> None:
    said = findings_of(rule, snapshots)
    assert said
    order = [*rule.lines]
    for f in said:
        filled = {*f.facts, *f.quotes}
        printed = {
            *rule.situations[f.situation],
            *(p for n in f.lines for p in rule.lines[n].prints),
        }
        assert rule.id == f.topic
        assert printed & set(rule.facts) <= filled <= set(rule.facts)
        assert [*f.lines] == sorted(f.lines, key=order.index)
        assert {s.code for s in f.suggestions} <= set(rule.suggestions)
        assert rule.overrides or not f.overrides
        assert rule.offers_planner or f.link is None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_reads_only_the_numbers_that_it_declares(
    rule: Rule, snapshots: list[Snapshot]
) -> None:
    seen: set[str] = set()
    for snapshot in snapshots:
        said = decide(snapshot)
        [
            *rule.judge(
                replace(snapshot, thresholds=Watched(snapshot.thresholds, seen)),
                said[: RULES.index(rule)],
            )
        ]
    assert seen <= set(rule.thresholds)


def test_ids_and_places_in_reading_order_are_unique() -> None:
    assert len(RULES) == len(TOPICS) == len({rule.order for rule in RULES})


def test_the_table_lists_every_rule_with_what_it_may_offer() -> None:
    rows = rule_table().splitlines()
    assert len(RULES) + 2 == len(rows)
    assert [f"| `{rule.id}` |" for rule in RULES] == [
        row[: row.index("|", 1) + 1] for row in rows[2:]
    ]
    assert {row.count(" | ") for row in rows} == {4}
