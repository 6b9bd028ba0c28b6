"""What a prescriber reads: short, nothing against itself, every card with a next step (section 8, wording).

Over every vignette in every hook, every field body and every captured call: the words as they are sent.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from cds_service import clinical, pipeline, terminology
from cds_service.content.readability import grade, words
from cds_service.errors import ServiceError
from cds_service.hooks.services import SERVICES
from cds_service.model import Finding, Severity
from tests.conftest import AS_OF
from tests.vignettes.builder import SECOND_EDITION, request, vignettes

HERE = Path(__file__).parent
REQUESTS = Path(__file__).parents[2] / "fhir_fixtures" / "requests"
CONTENT = clinical.load().content
CONTRADICTIONS = yaml.safe_load((HERE / "contradictions.yaml").read_text(encoding="utf-8"))
BUDGET = {
    "opioid-interaction": 60,
    "off-label": 60,
    "dose-check": 45,
    "patient-safety": 45,
    "data-gap": 45,
}
MORE = {"acute": 30, "hospice": 30, "moud": 15}
NOT_COUNTED = ("**Found:**", "**Not checked:**", "**Order:**", "**All opioids:**", "Sources:")
# a sentence that asks for something, or says that nothing is asked for
STEP = re.compile(
    r"\b(ask|check|cancel|choose|clarify|confirm|correct|decide|do not|look|offer|plan|read|reconcile|settle|sign|"
    r"start|state|stop|treat|verify|wait|watch|weigh|find|document|last dose|next step|not now|trial course|"
    r"usual course|review|opioid-free|no action|not before|elective|cannot|takes priority|specialist)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Answer:
    """The cards of one call with the findings behind them."""

    name: str
    cards: tuple[dict[str, Any], ...]
    findings: tuple[Finding, ...]

    def of(self, card: dict[str, Any]) -> Finding:
        topic = card["source"]["topic"]["code"]
        return next(f for f in self.findings if f.topic == topic)


def bodies() -> Iterator[tuple[str, Any]]:
    for case in vignettes(SECOND_EDITION):
        for hook in ("order-select", "order-sign"):
            yield f"{case['id']} {hook}", request(case, "R4", hook)
    for file in sorted(REQUESTS.rglob("*.json")):
        yield file.name, json.loads(file.read_text(encoding="utf-8"))


@cache
def answers() -> tuple[Answer, ...]:
    engine = pipeline.Engine(
        terminology.load(), CONTENT, ZoneInfo("UTC"), "http://127.0.0.1", lambda: str(uuid.uuid4())
    )
    by_hook = {service.hook: service for service in SERVICES.values()}
    found = []
    for name, body in bodies():
        service = by_hook.get(body.get("hook")) if isinstance(body, dict) else None
        if service is None:
            continue
        with suppress(ServiceError):
            outcome = pipeline.answer(body, service, engine, AS_OF)
            if outcome.cards:
                findings = tuple(outcome.judgement.findings)
                found.append(Answer(name, tuple(outcome.cards), findings))
    return tuple(found)


def cards() -> Iterator[tuple[str, dict[str, Any], Finding]]:
    for answer in answers():
        yield from ((answer.name, card, answer.of(card)) for card in answer.cards)


def counted(card: dict[str, Any]) -> str:
    """The detail without the names of products, the gaps and the sources."""
    lines = [line.removeprefix("- ") for line in card["detail"].splitlines()]
    return "\n".join(line for line in lines if not line.startswith(NOT_COUNTED))


def budget(finding: Finding) -> int:
    allowed = BUDGET[finding.topic.removeprefix("naltrexone-")]
    paragraph = max(
        (MORE[line] for line in ("acute", "hospice") if line in finding.lines), default=0
    )
    return allowed + paragraph + (MORE["moud"] if "moud" in finding.lines else 0)


def test_there_is_much_to_read() -> None:
    found = [finding.topic for _, _, finding in cards()]
    assert {*CONTENT.cards} == {*found}
    assert len(found) > 400


def test_every_card_is_within_its_budget() -> None:
    long = {
        f"{name} {f.topic}/{f.situation} {f.lines}: {words(counted(card))} of {budget(f)}"
        for name, card, f in cards()
        if words(counted(card)) > budget(f)
    }
    assert set() == long


def test_every_summary_fits() -> None:
    assert [] == [c["summary"] for _, c, _ in cards() if len(c["summary"]) > 140]


def test_every_card_has_a_next_step() -> None:
    assert [] == [
        f"{name}: {card['summary']} {counted(card)}"
        for name, card, _ in cards()
        if not STEP.search(counted(card) + card["summary"])
    ]


def test_every_line_rests_on_sources_that_resolve() -> None:
    for name, card, finding in cards():
        cites = CONTENT.cards[finding.topic].cites
        sources = {s for line in finding.lines for s in cites.get(line, ())}
        assert sources, name
        assert sources <= set(CONTENT.sources), name
        assert all(CONTENT.sources[s]["short"] in card["detail"] for s in sources), name


def short(finding: Finding, line: str) -> str:
    topic = finding.topic.removeprefix("naltrexone-").removeprefix("opioid-")
    return f"{topic}/{line}"


def test_no_line_of_an_answer_contradicts_another() -> None:
    found = set()
    for answer in answers():
        said = {short(f, line) for f in answer.findings for line in f.lines}
        for pair in CONTRADICTIONS:
            if pair["these"] in said and (against := said & {*pair["not"]}):
                found.add(f"{answer.name}: {pair['these']} beside {sorted(against)}: {pair['why']}")
    assert set() == found


def test_the_list_names_lines_that_exist() -> None:
    """A contradiction with a line that was renamed would never be found again."""
    topics = {
        t.removeprefix("naltrexone-").removeprefix("opioid-"): c for t, c in CONTENT.cards.items()
    }
    for pair in CONTRADICTIONS:
        for name in (pair["these"], *pair["not"]):
            topic, _, line = name.partition("/")
            assert line in topics[topic].lines, name


def test_nothing_above_the_usual_maximum_is_proposed() -> None:
    for name, card, _ in cards():
        proposed = re.findall(r"(?:maximum|, after \d+ days|, then) ([\d.]+) mg", counted(card))
        assert all(float(mg) <= 4.5 for mg in proposed), name


def test_info_is_never_recommended_anything() -> None:
    for name, card, finding in cards():
        pressed = [s for s in card.get("suggestions", ()) if s.get("isRecommended")]
        assert not pressed or finding.severity is Severity.CRITICAL, name


@pytest.mark.parametrize(
    ("text", "expected", "school"),
    [
        ("The cat sat.", 3, -2.62),
        ("Precipitated withdrawal can necessitate hospitalization.", 5, 31.2),
    ],
)
def test_words_and_grade_are_those_of_the_formula(text: str, expected: int, school: float) -> None:
    assert expected == words(text)
    assert school == pytest.approx(grade(text), abs=0.01)
