"""Order of data never matters, more data never hides a warning, and less knowledge never lowers one."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.calls import (
    LEVOTHYROXINE,
    RXNORM,
    bundle,
    call,
    cards,
    ldn,
    listed,
    listed_ldn,
    opioid,
    order,
    topics,
    unnamed,
)
from tests.properties.bodies import (
    CASES,
    OPIOIDS,
    UNRELATED,
    Json,
    listed_orders,
    meetings,
    severity,
)
from tests.properties.in_process import InProcess

LISTS = (
    "medicationRequests",
    "medicationStatements",
    "medicationDispenses",
    "medicationAdministrations",
    "medicationOrders",
    "somethingElse",
)


def orders_of(body: Json) -> list[Json]:
    """The entries of the context's orders."""
    context = body["context"]
    return list((context.get("draftOrders") or context["medications"])["entry"])


def with_entries(body: Json, entries: list[Json]) -> Json:
    copy = deepcopy(body)
    context = copy["context"]
    (context.get("draftOrders") or context["medications"])["entry"] = deepcopy(entries)
    return copy


def list_key(body: Json) -> str:
    return "medicationOrders" if "medicationOrders" in body["prefetch"] else "medicationRequests"


@CASES
@given(
    body=meetings(),
    extra=st.lists(
        listed_orders(UNRELATED + OPIOIDS[:3], name="x"), max_size=4, unique_by=lambda r: r["id"]
    ),
    data=st.data(),
)
def test_the_order_of_entries_does_not_change_the_verdict(
    walk: InProcess, body: Json, extra: list[Json], data: Any
) -> None:
    body = deepcopy(body)
    known = [e["resource"] for e in body["prefetch"][list_key(body)].get("entry", [])]
    body["prefetch"][list_key(body)] = bundle(*known, *extra)
    turned = with_entries(body, data.draw(st.permutations(orders_of(body))))
    turned["prefetch"][list_key(body)] = bundle(*data.draw(st.permutations([*known, *extra])))
    assert topics(cards(walk, body)) == topics(cards(walk, turned))


@CASES
@given(body=meetings(), data=st.data())
def test_the_order_of_codings_does_not_change_the_verdict(
    walk: InProcess, body: Json, data: Any
) -> None:
    local = [{"system": "urn:local", "code": "A1", "display": "house code"}, {"code": "B2"}]
    first, second = deepcopy(body), deepcopy(body)
    for copy in (first, second):
        for entry in [*orders_of(copy), *copy["prefetch"][list_key(copy)].get("entry", [])]:
            resource = entry["resource"]
            concept = resource.get("medicationCodeableConcept") or resource["medication"]["concept"]
            codings = [*concept.get("coding", []), *local]
            concept["coding"] = codings if copy is first else data.draw(st.permutations(codings))
    assert topics(cards(walk, first)) == topics(cards(walk, second))


@CASES
@given(body=meetings(), key=st.sampled_from(LISTS), other=st.sampled_from(LISTS))
def test_moving_a_listed_order_to_another_key_loses_no_warning(
    walk: InProcess, body: Json, key: str, other: str
) -> None:
    before = severity(cards(walk, body))
    moved = deepcopy(body)
    home = list_key(body)
    resources = [e["resource"] for e in moved["prefetch"][home].get("entry", [])]
    moved["prefetch"][home] = bundle()
    for place, resource in zip((key, other), resources, strict=False):
        moved["prefetch"][place] = bundle(resource)
    assert before == severity(cards(walk, moved))


@CASES
@given(
    body=meetings(),
    extra=listed_orders(UNRELATED, name="x"),
    place=st.sampled_from(["context", "prefetch"]),
)
def test_an_unrelated_drug_never_removes_a_warning(
    walk: InProcess, body: Json, extra: Json, place: str
) -> None:
    before = cards(walk, body)
    more = deepcopy(body)
    if place == "context":
        draft = order(
            LEVOTHYROXINE,
            id="x-draft",
            release="DSTU2" if "medicationOrders" in body["prefetch"] else "R4",
        )
        more = with_entries(more, [{"resource": draft}, *orders_of(more)])
    else:
        known = [e["resource"] for e in more["prefetch"][list_key(more)].get("entry", [])]
        more["prefetch"][list_key(more)] = bundle(extra, *known)
    assert topics(before) == topics(cards(walk, more))


@CASES
@given(body=meetings(), extra=listed_orders(OPIOIDS, name="x"))
def test_a_further_opioid_never_lowers_the_warning(
    walk: InProcess, body: Json, extra: Json
) -> None:
    more = deepcopy(body)
    known = [e["resource"] for e in more["prefetch"][list_key(more)].get("entry", [])]
    more["prefetch"][list_key(more)] = bundle(*known, extra)
    assert severity(cards(walk, body)) <= severity(cards(walk, more))


def without(body: Json, what: str) -> Json:
    """The call with one kind of knowledge taken out of its drafts and listed orders."""
    copy = deepcopy(body)
    listed_resources = [e["resource"] for e in copy["prefetch"][list_key(copy)].get("entry", [])]
    statements = [e["resource"] for e in copy["prefetch"]["medicationStatements"].get("entry", [])]
    for resource in [*(e["resource"] for e in orders_of(copy)), *listed_resources, *statements]:
        for instruction in [*resource.get("dosageInstruction", []), *resource.get("dosage", [])]:
            if what == "dose":
                instruction.pop("doseAndRate", None)
                instruction.pop("doseQuantity", None)
            if what == "timing":
                instruction.pop("timing", None)
        if what == "dosage":
            resource.pop("dosageInstruction", None)
            resource.pop("dosage", None)
        if what == "intent":
            resource.pop("intent", None)
        if what == "reason":
            for member in ("reasonCode", "reasonCodeableConcept", "reason"):
                resource.pop(member, None)
        if what == "supply" and resource.get("status") == "active":
            resource.pop("dispenseRequest", None)
    if what == "encounter":
        copy["prefetch"].pop("encounter", None)
        copy["context"].pop("encounterId", None)
    return copy


def rich(body: Json) -> Json:
    """The call with a reason on its drafts and an encounter."""
    copy = deepcopy(body)
    for entry in orders_of(copy):
        if entry["resource"]["resourceType"] == "MedicationRequest":
            entry["resource"]["reasonCode"] = [{"text": "Fibromyalgia"}]
    copy["context"]["encounterId"] = "e1"
    copy["prefetch"]["encounter"] = {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "in-progress",
        "class": {"code": "IMP"},
        "subject": {"reference": "Patient/p1"},
    }
    return copy


@pytest.mark.parametrize("what", ["dose", "timing", "dosage", "reason", "encounter", "intent"])
@CASES
@given(body=meetings())
def test_less_knowledge_never_lowers_the_interaction(
    walk: InProcess, what: str, body: Json
) -> None:
    full = rich(body)
    assert severity(cards(walk, full)) <= severity(cards(walk, without(full, what)))


@CASES
@given(
    drug=st.sampled_from(OPIOIDS),
    recent=st.sampled_from(["2026-11-20", "2026-11-01", "2026-10-25"]),
    draft=st.sampled_from(["naltrexone", "opioid"]),
)
def test_an_active_order_without_its_supply_is_no_quieter(
    walk: InProcess, drug: Any, recent: str, draft: str
) -> None:
    met = listed(drug, authored=recent) if draft == "naltrexone" else listed_ldn(authored=recent)
    body = call("order-sign", ldn() if draft == "naltrexone" else opioid(drug), meds=(met,))
    assert severity(cards(walk, body)) <= severity(cards(walk, without(body, "supply")))


@CASES
@given(amount=st.sampled_from([0.5, 1.5, 3, 4.5, 25, 50, 150]), drug=st.sampled_from(OPIOIDS))
def test_a_draft_whose_strength_is_unknown_is_no_quieter(
    walk: InProcess, amount: float, drug: Any
) -> None:
    known = order(f"naltrexone {amount} mg capsule", id="n")
    unknown = order("naltrexone capsule", id="n")
    loud, quiet = (
        cards(walk, call("order-sign", draft, meds=(listed(drug),))) for draft in (known, unknown)
    )
    assert severity(loud) <= severity(quiet)


@CASES
@given(body=meetings())
def test_the_same_call_gets_the_same_answer(walk: InProcess, body: Json) -> None:
    assert unnamed(cards(walk, body)) == unnamed(cards(walk, body))


@CASES
@given(
    opposite=st.sampled_from(OPIOIDS[:5]),
    hook=st.sampled_from(["order-sign", "order-select", "medication-prescribe"]),
)
def test_two_opposites_warn_wherever_each_of_them_is(
    walk: InProcess, opposite: Any, hook: str
) -> None:
    """In the context, listed under our key or under a foreign key: the pair is never missed."""
    both = call(hook, ldn(), opioid(opposite))
    ahead = call(hook, ldn(), meds=(listed(opposite),))
    behind = call(hook, opioid(opposite), meds=(listed_ldn(),))
    foreign = call(hook, ldn(), meds=None)
    foreign["prefetch"] = {"meds": bundle(listed(opposite))}
    assert {3} == {severity(cards(walk, body)) for body in (both, ahead, behind, foreign)}


@CASES
@given(
    codes=st.permutations(
        [("urn:local", "1"), (RXNORM, "1049621"), ("http://hl7.org/fhir/sid/ndc", "0")]
    )
)
def test_one_known_code_among_strangers_is_enough(
    walk: InProcess, codes: list[tuple[str, str]]
) -> None:
    met = listed(("", ""))
    met["medicationCodeableConcept"] = {"coding": [{"system": s, "code": c} for s, c in codes]}
    assert 3 == severity(cards(walk, call("order-sign", ldn(), meds=(met,))))
