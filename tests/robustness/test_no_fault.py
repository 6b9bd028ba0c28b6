"""The same hostile bodies in process: none of them is a fault of ours, which the server would hide behind a card."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
import pytest

from cds_service.pipeline import Engine
from tests.conformance.calls import (
    HOOKS,
    LDN,
    OXYCODONE,
    bundle,
    call,
    complaints,
    conflict,
    example,
    example_names,
    ldn,
    listed,
    opioid,
    path_of,
)
from tests.properties.in_process import InProcess
from tests.robustness.test_bodies import INNER, MEMBERS, NASTY, WRONG, nested_bundle, put
from tests.security.payloads import PAYLOADS
from tests.security.test_CT05_card_content import FIELDS, filled

ODD = (
    None,
    5,
    "x",
    [],
    {},
    True,
    1.5,
    [None],
    [[]],
    {"resource": None},
    {"entry": {}},
    {"resourceType": 5},
)


@pytest.fixture(scope="module")
def walk(engine: Engine, as_of: datetime) -> InProcess:
    return InProcess(engine, as_of)


def judged(walk: InProcess, body: Any, hook: str = "") -> int:
    """The status, after the answer met its schema; a fault of ours raises."""
    answer = walk.post(path_of(body, hook), json=body)
    assert [] == complaints(
        "response" if answer.status_code == 200 else "operation-outcome", answer.json()
    )
    return answer.status_code


@pytest.mark.parametrize(
    "member", [*MEMBERS, *INNER, "subject", "medicationCodeableConcept", "resourceType"]
)
def test_CN19_no_wrong_type_anywhere_in_an_order_is_a_fault(walk: InProcess, member: str) -> None:
    coded = {"text": LDN, "coding": [{"system": "urn:x", "code": "x", "display": LDN}]}
    for wrong in WRONG:
        draft = put(ldn(medicationCodeableConcept=coded), member, wrong)
        body = call("order-sign", draft)
        body["prefetch"]["medicationRequests"] = bundle(put(listed(), member, wrong))
        assert judged(walk, body) in {200, 412}, wrong


@pytest.mark.parametrize("hook", HOOKS)
def test_CN19_no_wrong_type_around_the_orders_is_a_fault(walk: InProcess, hook: str) -> None:
    for odd in ODD:
        for member in (
            "draftOrders",
            "medications",
            "orders",
            "selections",
            "userId",
            "encounterId",
        ):
            body = conflict(hook)
            body["context"][member] = odd
            assert judged(walk, body) in {200, 400}, (member, odd)
        for key in (*conflict()["prefetch"], "encounter", "unheardOf"):
            body = conflict(hook)
            body["prefetch"][key] = odd
            assert 200 == judged(walk, body), (key, odd)


@pytest.mark.parametrize("depth", [1, 10, 100, 300])
def test_CN05_no_depth_of_bundles_is_a_fault(walk: InProcess, depth: int) -> None:
    body = conflict()
    body["prefetch"]["medicationRequests"] = nested_bundle(depth)
    assert 200 == judged(walk, body)
    body["context"]["draftOrders"] = nested_bundle(depth)
    assert judged(walk, body) in {200, 400}


@pytest.mark.parametrize("name", NASTY)
def test_CN20_no_drug_text_is_a_fault(walk: InProcess, name: str) -> None:
    drug = (NASTY[name], OXYCODONE[1])
    assert 200 == judged(walk, call("order-sign", ldn(), meds=(listed(drug),)))
    assert 200 == judged(walk, call("order-sign", opioid(drug), ldn()))
    assert 200 == judged(
        walk, call("order-sign", ldn(medicationCodeableConcept={"text": NASTY[name]}))
    )


@pytest.mark.parametrize("field", FIELDS)
def test_CN20_no_payload_is_a_fault(walk: InProcess, field: str) -> None:
    for payload in PAYLOADS:
        assert 200 == judged(walk, filled(field, payload)), payload


@pytest.mark.parametrize("name", example_names())
def test_CN01_no_published_file_is_a_fault(walk: InProcess, name: str) -> None:
    assert judged(walk, example(name), "order-select") in {200, 400}


@pytest.mark.parametrize("value", [1e308, -1e308, 10**300, -1, 0, 1e-308, 10**25, float(2**63)])
def test_CN11_no_number_is_a_fault(walk: InProcess, value: float) -> None:
    for member in (
        "dosageInstruction/0/doseAndRate/0/doseQuantity/value",
        "dosageInstruction/0/timing/repeat/frequency",
        "dosageInstruction/0/timing/repeat/period",
        "dispenseRequest/expectedSupplyDuration/value",
    ):
        body = call("order-sign", put(ldn(), member, value), opioid())
        body["prefetch"]["medicationRequests"] = bundle(put(listed(), member, value))
        assert 200 == judged(walk, body), member


@pytest.mark.parametrize(
    "day",
    [
        "0001-01-01",
        "9999-12-31",
        "2026-02-30",
        "2026",
        "2026-11",
        "2026-11-21T25:00:00Z",
        "2026-11-21T12:00:00+99:00",
        "9999-12-31T23:59:59-14:00",
        "0000-00-00",
        "21.11.2026",
    ],
)
def test_CN19_no_date_is_a_fault(walk: InProcess, day: str) -> None:
    for status in ("active", "completed"):
        body = conflict()
        body["prefetch"]["medicationRequests"] = bundle(
            listed(
                authored=day,
                status=status,
                dosageInstruction=[
                    {"timing": {"repeat": {"boundsPeriod": {"start": day, "end": day}}}}
                ],
            )
        )
        body["prefetch"]["patient"]["birthDate"] = day
        assert 200 == judged(walk, body)


@pytest.mark.parametrize("levels", [50, 116, *range(119, 130), 300, 500])
def test_CN05_a_draft_nested_deep_keeps_its_card_and_loses_only_the_update(
    walk: InProcess, levels: int
) -> None:
    """What JSON writers cannot write any more is not offered; the card itself stays, and the answer can be written."""
    nested: dict[str, Any] = {"url": "http://example.org"}
    for _ in range(levels):
        nested = {"url": "http://example.org", "extension": [nested]}
    body = call("order-sign", ldn(extension=[nested]))
    answer = walk.post(path_of(body), json=body).json()
    assert ["naltrexone-off-label"] == [card["source"]["topic"]["code"] for card in answer["cards"]]
    assert orjson.dumps(answer)


def test_CN06_two_copies_nested_to_the_limit_of_json_are_both_judged(walk: InProcess) -> None:
    """The deepest body that can be parsed is compared, judged and answered like any other."""
    text = '{"a":' * 1_000 + "1" + "}" * 1_000
    body = call("order-sign", ldn())
    body["prefetch"]["medicationRequests"] = bundle(listed(extension=[orjson.loads(text)]))
    body["prefetch"]["others"] = bundle(listed(extension=[orjson.loads(text)]))
    answer = walk.post(path_of(body), json=body).json()
    assert "critical" == answer["cards"][0]["indicator"]
