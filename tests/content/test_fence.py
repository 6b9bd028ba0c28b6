"""Whatever the content is like, every card is sent: valid, about the same thing, and as bad as it is."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service import clinical, pipeline, terminology
from cds_service.app import create_app
from cds_service.content import loader
from cds_service.content.loader import CardText, Content
from cds_service.content.render import CardWriter, Written, could_not_check, render
from cds_service.errors import ServiceError
from cds_service.hooks.services import SERVICES, Service
from cds_service.hooks.versions import dialect_of
from cds_service.model import Role
from cds_service.rules import RULES, data_gap, decide
from cds_service.settings import Settings
from tests.conformance.calls import T1, T5, call, complaints, ldn, listed, opioid, topics
from tests.unit.clinic import draft, exposure, medication, naltrexone, snapshot
from tests.vignettes.builder import request, vignettes

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
REQUESTS = Path(__file__).parents[2] / "fhir_fixtures" / "requests"
CONTENT = loader.load()
_BY_HOOK = {service.hook: service for service in SERVICES.values()}
Judged = tuple[str, Service, pipeline.Judgement, list[tuple[str, str]]]


def engine(content: Content) -> pipeline.Engine:
    return pipeline.Engine(
        words(), content, ZoneInfo("UTC"), "http://127.0.0.1:8000", lambda: str(uuid.uuid4())
    )


@cache
def words() -> terminology.Terminology:
    return terminology.load()


def bodies() -> Iterator[tuple[str, Any]]:
    """Every request of the fixtures, and every vignette as it is written."""
    for file in sorted(REQUESTS.rglob("*.json")):
        yield file.name, json.loads(file.read_text(encoding="utf-8"))
    for case in vignettes():
        yield case["id"], request(case, case["fhir_version"], case["hook"])


@cache
def judged() -> tuple[Judged, ...]:
    """Each of them that is answered with a card, judged, with what its cards say."""
    found = []
    for name, body in bodies():
        service = _BY_HOOK.get(body.get("hook")) if isinstance(body, dict) else None
        if service is None:
            continue
        with contextlib.suppress(ServiceError):
            outcome = pipeline.answer(body, service, engine(CONTENT), NOW)
            if outcome.cards:
                found.append((name, service, outcome.judgement, said(outcome.cards)))
    return tuple(found)


def written(content: Content, service: Service, judgement: pipeline.Judgement) -> Written:
    return render(
        judgement.findings, judgement.snapshot, dialect_of(service), engine(content).writer
    )


def said(cards: Any) -> list[tuple[str, str]]:
    return [(card["source"]["topic"]["code"], card["indicator"]) for card in cards]


def damaged(content: Content) -> Iterator[str]:
    """Every fixture whose answer under this content is not valid or says something else."""
    for name, service, judgement, expected in judged():
        cards = written(content, service, judgement).cards
        if said(cards) != expected:
            yield f"{name}: {said(cards)}"
        if found := complaints("response", json.loads(json.dumps({"cards": cards}))):
            yield f"{name}: {found}"


def card_without(card: CardText, part: str, key: str) -> CardText:
    return replace(card, **{part: {k: v for k, v in getattr(card, part).items() if k != key}})


def losses() -> Iterator[Any]:
    """The content without each line, situation, list of links, source, reason and shared word."""
    for name, card in CONTENT.cards.items():
        for part in ("summaries", "lines", "links_for"):
            for key in getattr(card, part):
                cards = {**CONTENT.cards, name: card_without(card, part, key)}
                yield pytest.param(replace(CONTENT, cards=cards), id=f"{name} {part} {key}")
        yield pytest.param(
            replace(CONTENT, cards={**CONTENT.cards, name: replace(card, links=())}),
            id=f"{name} links",
        )
        yield pytest.param(
            replace(CONTENT, cards={k: c for k, c in CONTENT.cards.items() if k != name}), id=name
        )
    for table in ("sources", "override_reasons", "shared", "threshold_history"):
        for key in getattr(CONTENT, table):
            less = {k: v for k, v in getattr(CONTENT, table).items() if k != key}
            yield pytest.param(replace(CONTENT, **{table: less}), id=f"{table} {key}")
    for table, values in CONTENT.shared.items():
        for key in values if isinstance(values, Mapping) else ():
            shared = {**CONTENT.shared, table: {k: v for k, v in values.items() if k != key}}
            yield pytest.param(replace(CONTENT, shared=shared), id=f"shared {table} {key}")


def test_the_fixtures_show_cards_of_every_topic() -> None:
    """Or the tests below say nothing."""
    assert len(judged()) > 150
    assert {rule.id for rule in RULES} == {f.topic for _, _, j, _ in judged() for f in j.findings}
    assert () == sum((written(CONTENT, service, j).broken for _, service, j, _ in judged()), ())


@pytest.mark.parametrize("content", [*losses()])
def test_content_that_lost_a_piece_costs_no_card_and_no_severity(content: Content) -> None:
    assert [] == [*damaged(content)]


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["{x", "{opioid.__class__}", "{adult_age!r}"])
)
JUNK = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=4,
)


@dataclass(frozen=True)
class Broken:
    """A content with something else in one place; only the place is worth printing."""

    where: str
    content: Content = field(repr=False)


@st.composite
def broken_contents(draw: st.DrawFn) -> Broken:
    """The content with something else in one place, at any depth."""
    name = draw(
        st.sampled_from([f.name for f in fields(Content) if f.init and f.name != "version"])
    )
    value: Any = getattr(CONTENT, name)
    path: list[tuple[Any, Any]] = []
    while isinstance(value, Mapping | CardText) and value and (not path or draw(st.integers(0, 4))):
        keys = [f.name for f in fields(value)] if isinstance(value, CardText) else sorted(value)
        path.append((value, key := draw(st.sampled_from(keys))))
        value = getattr(value, key) if isinstance(value, CardText) else value[key]
    changed = draw(JUNK)
    for holder, key in reversed(path):
        changed = (
            replace(holder, **{key: changed})
            if isinstance(holder, CardText)
            else {**holder, key: changed}
        )
    where = "/".join(str(part) for part in (name, *(key for _, key in path)))
    return Broken(where, replace(CONTENT, **{name: changed}))


@settings(max_examples=100, deadline=None)
@given(broken=broken_contents())
def test_content_with_anything_anywhere_costs_no_card_and_no_severity(broken: Broken) -> None:
    assert [] == [*damaged(broken.content)]


# --- the plain form -----------------------------------------------------------------------------------------------------


def test_a_plain_card_names_topic_severity_and_drugs_and_needs_no_content() -> None:
    nothing = replace(
        CONTENT, cards={}, sources={}, shared={}, override_reasons={}, threshold_history={}
    )
    call_ = snapshot(draft(naltrexone()), listed=(exposure(medication(Role.FULL_SA)),))
    findings = [f for verdict in decide(call_) for f in verdict.findings]
    answer = render(findings, call_, dialect_of(_BY_HOOK["order-sign"]), engine(nothing).writer)
    card = answer.cards[0]
    assert ("critical", T1, "Naltrexone safety") == (
        card["indicator"],
        card["source"]["topic"]["code"],
        card["source"]["label"],
    )
    assert (
        "An opioid meets naltrexone or another antagonist (naltrexone, oxycodone): details unavailable."
        in card["summary"]
    )
    assert len(findings) == len(answer.cards) <= len(answer.broken)
    assert [] == complaints("response", {"cards": json.loads(json.dumps(answer.cards))})


def test_a_broken_card_leaves_the_others_in_their_own_words() -> None:
    call_ = snapshot(draft(naltrexone()), listed=(exposure(medication(Role.FULL_SA)),))
    findings = [f for verdict in decide(call_) for f in verdict.findings]
    less = replace(
        CONTENT,
        cards={**CONTENT.cards, T1: card_without(CONTENT.cards[T1], "lines", "why_start_low")},
    )
    whole, broken = (
        render(findings, call_, dialect_of(_BY_HOOK["order-sign"]), engine(c).writer)
        for c in (CONTENT, less)
    )
    assert (f"{T1}:KeyError",) == broken.broken
    assert "details unavailable" in broken.cards[0]["summary"]
    assert [card["detail"] for card in whole.cards[1:]] == [
        card["detail"] for card in broken.cards[1:]
    ]
    assert [s["label"] for s in whole.cards[0]["suggestions"]] == [
        s["label"] for s in broken.cards[0]["suggestions"]
    ]


def test_a_suggestion_that_breaks_is_left_out_and_the_card_stays() -> None:
    shared = {**CONTENT.shared, "labels": {**CONTENT.shared["labels"], "DEL_NTX": "{nothing}"}}
    call_ = snapshot(draft(naltrexone()), listed=(exposure(medication(Role.FULL_SA)),))
    findings = [f for verdict in decide(call_) for f in verdict.findings]
    answer = render(
        findings,
        call_,
        dialect_of(_BY_HOOK["order-sign"]),
        engine(replace(CONTENT, shared=shared)).writer,
    )
    assert (f"{T1}:DEL_NTX:KeyError",) == answer.broken
    assert "suggestions" not in answer.cards[0]
    assert "Do not start naltrexone" in answer.cards[0]["summary"]


@pytest.mark.parametrize("ntx", [True, False])
def test_the_last_card_of_all_is_made_without_content_too(ntx: bool) -> None:
    for content in (CONTENT, replace(CONTENT, cards={}, threshold_history={})):
        card = could_not_check(
            data_gap.could_not_check(naltrexone=ntx),
            CardWriter(content, RULES, "http://127.0.0.1", lambda: str(uuid.uuid4())),
        )
        assert [(T5, "warning")] == said([card])
        assert [] == complaints("response", {"cards": [card]})


# --- over HTTP, with the check bypassed ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field", ["cards", "sources", "shared", "override_reasons", "threshold_history"]
)
@pytest.mark.parametrize(
    ("body", "critical"),
    [(call("order-sign", ldn(), meds=(listed(),)), T1), (call("order-sign", ldn(), opioid()), T1)],
)
def test_an_empty_content_is_answered_with_200(
    field: str, body: Any, critical: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without numbers nothing can be judged, and that is said."""
    bare = clinical.InForce(replace(CONTENT, **{field: {}}))
    monkeypatch.setattr(clinical, "load", lambda *_: bare)
    app = create_app(Settings(data_dir=str(tmp_path)), lambda: NOW)
    answer = app.test_client().post("/cds-services/naltrexone-order-sign", json=body)
    assert 200 == answer.status_code
    expected = (T5, "warning") if field == "threshold_history" else (critical, "critical")
    assert expected in topics(answer.get_json()["cards"]).items()
