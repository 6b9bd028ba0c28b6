"""One call is read once: nothing is recognised twice, whoever asks, and a fetched Medication is looked at anew."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cds_service import pipeline
from cds_service.errors import ServiceError
from cds_service.explaining import explain
from cds_service.fhir import read
from cds_service.fhir.bundle import Resolver
from cds_service.fhir.status import order_kind
from cds_service.hooks.prefetch import Record, read_answer, read_prefetch
from cds_service.hooks.request import decode
from cds_service.hooks.services import SERVICES
from cds_service.model import Drug, Recognition
from cds_service.reading import Reading
from cds_service.web.call_journal import sources_of
from tests.conformance.calls import (
    OXYCODONE,
    RXNORM,
    bundle,
    call,
    ldn,
    listed,
    opioid,
    order,
    topics,
)
from tests.conftest import AS_OF

SIGN = SERVICES["naltrexone-order-sign"]
BY_HOOK = {service.hook: service for service in SERVICES.values()}
REQUESTS = Path(__file__).parents[2] / "fhir_fixtures" / "requests"
BODIES = {
    file.name: body
    for file in sorted(REQUESTS.rglob("*.json"))
    if isinstance(body := json.loads(file.read_text(encoding="utf-8")), dict)
    and body.get("hook") in BY_HOOK
}


class Counting:
    """The terminology, counting each drug that it is asked about."""

    def __init__(self, terminology: Any) -> None:
        self.terminology = terminology
        self.asked: Counter[Drug] = Counter()

    def recognise(self, drug: Drug) -> Recognition:
        self.asked[drug] += 1
        found: Recognition = self.terminology.recognise(drug)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.terminology, name)


@pytest.fixture
def counting(engine: pipeline.Engine) -> pipeline.Engine:
    return replace(engine, terminology=Counting(engine.terminology))  # type: ignore[arg-type]


def asked(engine: pipeline.Engine) -> int:
    return engine.terminology.asked.total()  # type: ignore[attr-defined, no-any-return]


def fetch_nothing(reading: Reading) -> Record:
    return Record({**reading.record.answers})


def refused(body: Any, engine: pipeline.Engine) -> bool:
    try:
        pipeline.answer(body, BY_HOOK[body["hook"]], engine, AS_OF)
    except ServiceError:
        return True
    return False


@pytest.mark.parametrize("name", BODIES)
def test_no_order_of_a_call_is_recognised_twice(
    name: str, engine: pipeline.Engine, counting: pipeline.Engine
) -> None:
    """Gate of the fetch, unread references, snapshot and explanation together ask once for each way of writing."""
    body = BODIES[name]
    if refused(body, engine):
        pytest.skip("specification section 4: this body is refused")
    outcome = pipeline.answer(body, BY_HOOK[body["hook"]], counting, AS_OF, fetch=fetch_nothing)
    orders = [entry for entry in outcome.reading.entries if order_kind(entry.resource)]
    words = [read.drug_words(entry.resource) for entry in orders]
    explain(outcome, counting)
    assert len({*words} - {None}) + words.count(None) == asked(counting)


def test_what_was_recognised_before_a_fetch_is_not_recognised_again(
    counting: pipeline.Engine,
) -> None:
    drafts = (ldn(), opioid(), order("Amoxicillin 500 MG Oral Capsule", id="amox"))

    def fetch(reading: Reading) -> Record:
        return Record(
            {
                **reading.record.answers,
                "medicationRequests": read_answer(
                    "medicationRequests", bundle(listed(), listed(id="second"))
                ),
            }
        )

    outcome = pipeline.answer(
        call("order-sign", *drafts, meds=None), SIGN, counting, AS_OF, fetch=fetch
    )
    assert len(drafts) + 2 == len(outcome.reading.entries) - len(bare(outcome))
    assert asked(counting) == 3  # the opioid and the two on the list are written alike


def bare(outcome: pipeline.Outcome) -> list[Any]:
    """Entries of the record that are no order."""
    return [entry for entry in outcome.reading.entries if not order_kind(entry.resource)]


def test_a_medication_that_a_fetch_brings_makes_its_order_known(counting: pipeline.Engine) -> None:
    """The order is asked about again, for it says something else now."""
    unknown = listed(
        medicationCodeableConcept=None, medicationReference={"reference": "Medication/oxy"}
    )
    body = call("order-sign", ldn(), meds=(unknown,))
    drug = {
        "resourceType": "Medication",
        "id": "oxy",
        "code": {"coding": [{"system": RXNORM, "code": OXYCODONE[1]}]},
    }

    def fetch(reading: Reading) -> Record:
        assert frozenset({"Medication/oxy"}) == reading.unread_medications
        return Record({**reading.record.answers, "more": read_answer("more", bundle(drug))})

    outcome = pipeline.answer(body, SIGN, counting, AS_OF, fetch=fetch)
    assert "critical" in topics(list(outcome.cards)).values()
    assert frozenset() == outcome.reading.unread_medications


def test_judging_makes_the_same_findings_as_answering_and_no_card(
    counting: pipeline.Engine,
) -> None:
    body = call("order-sign", ldn(), meds=(listed(),))
    outcome = pipeline.answer(body, SIGN, counting, AS_OF)
    judgement = pipeline.judge(
        outcome.reading, replace(counting, new_id=lambda: pytest.fail("a card was made")), AS_OF
    )
    assert outcome.judgement.verdicts == judgement.verdicts
    assert len(outcome.cards) == len(judgement.findings)


# --- not ours ---------------------------------------------------------------------------------------------------------

AMOXICILLIN = "Amoxicillin 500 MG Oral Capsule"


def answered(engine: pipeline.Engine, *drafts: dict[str, Any], **more: Any) -> pipeline.Outcome:
    return pipeline.answer(call("order-sign", *drafts, **more), SIGN, engine, AS_OF)


def test_a_call_of_other_drugs_alone_leaves_the_list_unread_and_says_so(
    engine: pipeline.Engine,
) -> None:
    outcome = answered(engine, order(AMOXICILLIN, id="a"), order("Lisinopril 10 mg", id="b"))
    assert outcome.response == {"cards": []}
    assert {a.state for a in outcome.record.answers.values()} == {"unread"}
    trace = explain(outcome, engine)
    assert "not ours, list not read" in trace["rules"][0]["because"][0]
    assert set(sources_of(outcome.record).values()) <= {"unread", "absent"}


@pytest.mark.parametrize(
    "draft",
    [
        ldn(),
        opioid(),
        order("Zzyzxumab 10 mg", id="x"),
        order("", id="x", medicationCodeableConcept={"coding": [{"code": "99"}]}),
        order(AMOXICILLIN, id="x", subject={"reference": "Patient/somebody-else"}),
        order(
            "",
            id="x",
            medicationCodeableConcept=None,
            medicationReference={"reference": "Medication/m", "display": AMOXICILLIN},
        ),
        order(
            AMOXICILLIN,
            id="x",
            medicationCodeableConcept={
                "text": AMOXICILLIN,
                "coding": [{"system": RXNORM, "code": OXYCODONE[1], "display": AMOXICILLIN}],
            },
        ),
        {
            "resourceType": "DrugOrder",
            "id": "x",
            "medicationCodeableConcept": {"text": AMOXICILLIN},
        },
        {"no": "resource"},
    ],
    ids=[
        "naltrexone",
        "opioid",
        "unknown",
        "code alone",
        "other patient",
        "reference",
        "conflict",
        "odd type",
        "unreadable",
    ],
)
def test_any_other_draft_has_the_list_read(engine: pipeline.Engine, draft: dict[str, Any]) -> None:
    outcome = answered(engine, order(AMOXICILLIN, id="a"), draft)
    assert not any(a.state == "unread" for a in outcome.record.answers.values())
    assert [v.rule for v in outcome.verdicts] == [rule.id for rule in engine.rules]


@pytest.mark.parametrize("name", BODIES)
def test_leaving_the_list_unread_changes_no_answer(name: str, engine: pipeline.Engine) -> None:
    """Judged over the whole record, a call that is not ours is answered with the same silence."""
    body = BODIES[name]
    service = BY_HOOK[body["hook"]]
    if refused(body, engine):
        pytest.skip("specification section 4: this body is refused")
    request = decode(body, service)
    if Reading(request, Record({}), engine.terminology).is_not_ours:
        whole = Reading(request, read_prefetch(request.prefetch), engine.terminology)
        assert not pipeline.judge(whole, engine, AS_OF).findings


@pytest.mark.parametrize(
    "resource",
    [
        listed(),
        ldn(),
        order("Amoxicillin", dosageInstruction=[{"route": {"text": "oral"}}]),
        order(
            "Amoxicillin", dosageInstruction=[{"route": {"coding": []}}, {"route": {"text": "im"}}]
        ),
        order("", medicationCodeableConcept={"coding": [{"display": " x "}, {"code": " 7 "}]}),
        order("", medicationCodeableConcept={"text": ""}),
        order("", medicationCodeableConcept={"coding": [{"system": "s"}], "text": "y"}),
    ],
)
def test_the_remembered_words_are_the_drug(resource: dict[str, Any]) -> None:
    words = read.drug_words(resource)
    if words is not None:
        assert read.drug_of(words) == read.read_drug(resource, Resolver(()))


@pytest.mark.parametrize(
    "resource",
    [
        order("", medicationCodeableConcept={"text": "x" * 501}),
        order("", medicationCodeableConcept={"coding": [{"code": 7}]}),
        order("", medicationCodeableConcept=None, medicationReference={"reference": "#m"}),
        order("", medicationCodeableConcept={"code": "1049621"}),
    ],
)
def test_long_odd_and_pointing_words_are_not_remembered(resource: dict[str, Any]) -> None:
    assert read.drug_words(resource) is None
