"""The work of one call is bounded by counted steps, never by a clock; what is not looked at is said."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service import pipeline, reading
from cds_service.content.suggestions import LARGEST_ORDER
from cds_service.fhir.bundle import Entry
from cds_service.fhir.values import MOST
from cds_service.hooks.services import SERVICES
from cds_service.rules import pairs
from cds_service.terminology.words import fold
from tests.conformance.calls import RXNORM, bundle, call, ldn, listed, opioid, order
from tests.conftest import AS_OF

SIGN = SERVICES["naltrexone-order-sign"]


def answered(engine: pipeline.Engine, body: dict[str, Any]) -> pipeline.Outcome:
    return pipeline.answer(body, SIGN, engine, AS_OF)


def gaps(outcome: pipeline.Outcome) -> dict[tuple[str, str], int]:
    return {(gap.about, gap.why): gap.count for gap in outcome.snapshot.gaps}


def indicators(outcome: pipeline.Outcome) -> dict[str, str]:
    return {card["source"]["topic"]["code"]: card["indicator"] for card in outcome.cards}


def many(number: int) -> dict[str, Any]:
    """As many naltrexone drafts as opioid drafts and listed opioids."""
    return call(
        "order-sign",
        *(ldn(id=f"n{i}") for i in range(number)),
        *(opioid(id=f"o{i}") for i in range(number)),
        meds=[listed(id=f"l{i}") for i in range(number)],
    )


def nonsense(number: int) -> list[dict[str, Any]]:
    return [
        {**listed(id=f"m{i}"), "medicationCodeableConcept": {"text": f"zzqx{i:b} vvkj{i:o} " * 9}}
        for i in range(number)
    ]


def test_pairs_grow_no_faster_than_the_drafts(engine: pipeline.Engine) -> None:
    few, more = (len(pairs.find_pairs(answered(engine, many(n)).snapshot)) for n in (200, 400))
    assert few == more <= 3 * pairs.MOST_COMPARED**2


def test_drafts_that_are_not_all_compared_are_a_gap_and_the_warning_stands(
    engine: pipeline.Engine,
) -> None:
    outcome = answered(engine, many(100))
    assert gaps(outcome)["draft", "too-many"] == 200 - pairs.MOST_COMPARED
    assert indicators(outcome)["naltrexone-opioid-interaction"] == "critical"


def test_one_of_each_product_is_compared_before_the_second_of_any(engine: pipeline.Engine) -> None:
    drafts = [*(opioid(id=f"o{i}") for i in range(200)), ldn(id="n")]
    late = order("Methadone 10 mg tablet", id="late")
    found = pairs.find_pairs(answered(engine, call("order-sign", *drafts, late)).snapshot)
    assert "methadone" in {pair.component.ingredient for pair in found}


def test_selected_drafts_are_found_without_comparing_charts(
    engine: pipeline.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compare(_one: Entry, _other: object) -> bool:
        raise AssertionError("one chart is compared with another")

    monkeypatch.setattr(Entry, "__eq__", compare)
    body = call("order-sign", *(order("", id="") for _ in range(50)), ldn())
    assert answered(engine, body).snapshot.drafts[0].selected


def test_a_list_beyond_the_steps_is_said_to_be_unread(engine: pipeline.Engine) -> None:
    outcome = answered(engine, call("order-sign", ldn(), meds=nonsense(2_000)))
    unread = gaps(outcome)["medicine", "too-many"]
    assert 0 < unread < 2_000
    assert outcome.snapshot.unreadable >= unread
    assert indicators(outcome)["naltrexone-data-gap"] == "warning"


def test_the_same_call_is_cut_at_the_same_place_whatever_is_remembered(
    engine: pipeline.Engine,
) -> None:
    body = call("order-sign", ldn(), meds=nonsense(2_000))
    warm = answered(engine, body)
    reading._remembered.cache_clear()
    assert gaps(answered(engine, body)) == gaps(warm)


def test_steps_are_counted_by_the_words_and_once_for_words_met_before(
    engine: pipeline.Engine,
) -> None:
    def spent(meds: list[dict[str, Any]]) -> int:
        return reading.STEPS - answered(engine, call("order-sign", ldn(), meds=meds)).reading._left

    nothing, one, two = (spent(nonsense(n)) for n in (0, 100, 200))
    assert (two - one) == pytest.approx(one - nothing, rel=0.1)
    alike = [replace_id(nonsense(1)[0], i) for i in range(200)]
    assert spent(alike) < one


def replace_id(resource: dict[str, Any], number: int) -> dict[str, Any]:
    return {**resource, "id": f"same{number}"}


def test_a_long_list_of_few_drugs_is_read_whole(engine: pipeline.Engine) -> None:
    """An inpatient's administrations: thousands of entries, the same drugs over and over."""
    meds = [
        order("Lisinopril 10 mg oral tablet", id=f"a{i}", status="active") for i in range(5_000)
    ]
    outcome = answered(engine, call("order-sign", ldn(), meds=[*meds, listed()]))
    assert ("medicine", "too-many") not in gaps(outcome)
    assert indicators(outcome)["naltrexone-opioid-interaction"] == "critical"


def test_signs_that_come_apart_into_many_letters_stay_short() -> None:
    assert len(fold("\ufdfa" * 1_000)) <= 4_000
    assert fold("옥시코돈") == "옥시코돈"


# --- one order that says too much ----------------------------------------------------------------------------------------

SIG = {
    "text": "Take 4.5 mg at bedtime",
    "doseAndRate": [{"doseQuantity": {"value": 4.5, "unit": "mg"}}],
}
TOO_MUCH: dict[str, Any] = {
    "dosageInstruction": [{**SIG, "sequence": n} for n in range(MOST + 1)],
    "note": [{"text": f"note {n}"} for n in range(MOST + 1)],
    "reasonCode": [{"text": f"reason {n}"} for n in range(MOST + 1)],
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_an_order_that_says_more_than_is_looked_at_is_judged_and_the_rest_is_a_gap(
    engine: pipeline.Engine, name: str
) -> None:
    draft = {**ldn(), name: TOO_MUCH[name]}
    outcome = answered(engine, call("order-sign", draft, meds=[listed()]))
    assert 1 == gaps(outcome)["draft", "too-many"]
    assert "critical" == indicators(outcome)["naltrexone-opioid-interaction"]
    assert "more than is looked at" in outcome.cards[0]["detail"]
    fits = {**ldn(), name: _less(TOO_MUCH[name])}
    assert {} == gaps(answered(engine, call("order-sign", fits, meds=[listed()])))


def _less(value: Any) -> Any:
    if isinstance(value, list):
        return value[:-1]
    return {k: _less(v) if isinstance(v, list) else v for k, v in value.items()}


def test_a_dose_that_only_a_part_of_the_instructions_states_is_not_the_dose(
    engine: pipeline.Engine,
) -> None:
    draft = {**ldn(), "dosageInstruction": TOO_MUCH["dosageInstruction"]}
    (drafted,) = answered(engine, call("order-sign", draft, meds=[])).snapshot.drafts
    assert drafted.medication.dose.daily_mg is None


@pytest.mark.parametrize("number", [1_000, 40_000])
def test_a_drug_with_codes_without_end_is_still_the_drug(
    engine: pipeline.Engine, number: int
) -> None:
    coding = [
        {"system": "urn:x", "code": str(n), "display": f"naltrexone {n}"} for n in range(number)
    ]
    draft = {**ldn(), "medicationCodeableConcept": {"coding": coding}}
    assert (
        "info"
        == indicators(answered(engine, call("order-sign", draft, meds=[])))["naltrexone-off-label"]
    )


def test_an_order_that_nobody_looked_at_may_be_anything_and_is_said(
    engine: pipeline.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "STEPS", 100)
    drafts = [order(f"Zzqx{n} vvkj tablet", id=f"d{n}") for n in range(20)]
    outcome = answered(engine, call("order-sign", *drafts, meds=[]))
    assert {"naltrexone-data-gap": "warning"} == indicators(outcome)


def test_a_draft_too_large_to_be_proved_legal_gets_no_changed_copy(engine: pipeline.Engine) -> None:
    small, large = (
        {**ldn(), "extension": [{"url": "urn:x", "valueString": "y" * size}]}
        for size in (10, LARGEST_ORDER)
    )
    offered = [
        [
            s["label"]
            for card in answered(engine, call("order-sign", d, meds=[])).cards
            for s in card.get("suggestions", [])
        ]
        for d in (small, large)
    ]
    assert [["Start at 1.5 mg at bedtime"], []] == offered


@pytest.mark.parametrize(
    "first", [{"system": "urn:x", "code": "0"}, {"display": "Levothyroxine 50 mcg"}]
)
def test_the_code_that_tells_may_be_the_last_of_many(
    engine: pipeline.Engine, first: dict[str, str]
) -> None:
    """A drug and a problem are read whole: what is cut may never make another drug, or no problem, of them."""
    many = [first, *({"system": "urn:x", "code": str(n)} for n in range(3 * MOST))]
    opioid_last = [*many, {"system": RXNORM, "code": "1049621"}]
    listed_ = {**listed(), "medicationCodeableConcept": {"coding": opioid_last}}
    said = indicators(answered(engine, call("order-sign", ldn(), meds=[listed_])))
    assert said["naltrexone-opioid-interaction"] in {"warning", "critical"}
    body = call("order-sign", ldn(), meds=[])
    problem = {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/p1"},
        "code": {
            "coding": [*many, {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F11.20"}]
        },
    }
    body["prefetch"]["conditions"] = bundle(problem)
    assert "warning" == indicators(answered(engine, body))["naltrexone-patient-safety"]


@pytest.mark.parametrize("name", ["reasonCode", "note"])
def test_no_start_is_offered_where_a_part_was_not_looked_at(
    engine: pipeline.Engine, name: str
) -> None:
    cards = answered(engine, call("order-sign", {**ldn(), name: TOO_MUCH[name]}, meds=[])).cards
    assert [] == [card["suggestions"] for card in cards if "suggestions" in card]
