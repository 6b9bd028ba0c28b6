"""Broken, hostile and merely odd bodies (conformance N1-N20): never a 5xx, never a lost warning."""

from __future__ import annotations

import gzip
import http.client
import json
import re
from collections.abc import Iterator
from copy import deepcopy
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.conformance.calls import (
    LDN,
    LEVOTHYROXINE,
    OXYCODONE,
    T1,
    T2,
    T5,
    actions,
    bundle,
    call,
    card_of,
    cards,
    complaints,
    conflict,
    dosage,
    example,
    ldn,
    leaves,
    listed,
    listed_ldn,
    opioid,
    order,
    path_of,
    refusal,
    topics,
    words,
)

SIGN = "/cds-services/naltrexone-order-sign"
JSON = {"Content-Type": "application/json"}
CRITICAL = {T1: "critical", T2: "info"}
PATIENT = {"context": {"patientId": "p1"}}


def post(service: Any, data: bytes, **headers: str) -> requests.Response:
    answer: requests.Response = service.post(SIGN, data=data, headers={**JSON, **headers})
    return answer


def raw(
    service: Any, method: str, path: str, body: bytes = b"{}"
) -> tuple[int, bytes, dict[str, str]]:
    """A request whose path reaches the server exactly as written."""
    host = urlsplit(service.url)
    link = http.client.HTTPConnection(host.hostname or "", host.port, timeout=10)
    try:
        link.request(method, path, body=body, headers=JSON)
        answer = link.getresponse()
        return answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
    finally:
        link.close()


def refused(answer: requests.Response, status: int = 400) -> None:
    assert status == answer.status_code
    refusal(answer)


@pytest.mark.parametrize("name", ["order-select-01", "order-sign-01", "medication-refill-01"])
def test_CN01_an_official_example_that_strict_parsers_reject_is_read(
    service: Any, name: str
) -> None:
    assert [] == cards(service, example(f"derived__request__library__{name}"))


@pytest.mark.parametrize("name", ["order-select-01", "order-sign-01", "medication-refill-01"])
def test_CN01_the_drug_and_dose_of_such_an_example_are_read(service: Any, name: str) -> None:
    """The example's own dose shape, with naltrexone as the drug, gives the dose back in the card."""
    body = example(f"derived__request__library__{name}")
    orders = body["context"].get("draftOrders") or body["context"]["medications"]
    resource = next(
        e["resource"]
        for e in orders["entry"]
        if e["resource"]["resourceType"] == "MedicationRequest"
    )
    resource["medicationCodeableConcept"] = {"text": LDN}
    resource["subject"] = {"reference": f"Patient/{body['context']['patientId']}"}
    for instruction in resource["dosageInstruction"]:
        instruction.pop("text", None)
        instruction["timing"] = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
        quantity = instruction.get("doseQuantity") or _amount(instruction["doseAndRate"])
        quantity.clear()
        quantity.update({"value": 3, "unit": "mg"})
    body["context"].get("selections", []).append(f"MedicationRequest/{resource['id']}")
    assert "3 mg/day" in card_of(cards(service, body), T2)["summary"]


def _amount(given: Any) -> Any:
    return (given[0] if isinstance(given, list) else given)["doseQuantity"]


@pytest.mark.parametrize("hook", ["select", "sign"])
@pytest.mark.parametrize("release", ["dstu2", "stu3", "r4"])
def test_CN02_a_sandbox_body_is_read_in_every_release(
    service: Any, release: str, hook: str
) -> None:
    assert {T5: "warning"} == topics(cards(service, example(f"sandbox__order-{hook}__{release}")))


@pytest.mark.parametrize("release", ["dstu2", "stu3", "r4"])
def test_CN02_a_sandbox_body_without_a_medication_says_nothing(service: Any, release: str) -> None:
    assert [] == cards(service, example(f"sandbox__order-select__{release}__no-medication-yet"))


@pytest.mark.parametrize("kind", ["Foo", "", None, 5, ["a"], {"a": 1}, True, "absent"])
@pytest.mark.parametrize("place", ["context", "prefetch"])
def test_CN03_an_entry_of_no_known_type_is_skipped_and_the_rest_is_judged(
    service: Any, place: str, kind: Any
) -> None:
    body = conflict()
    odd = {"resourceType": kind, "id": "odd", "status": "active"}
    if kind == "absent":
        del odd["resourceType"]
    target = (
        body["context"]["draftOrders"]
        if place == "context"
        else body["prefetch"]["medicationRequests"]
    )
    target["entry"].insert(0, {"resource": odd})
    assert CRITICAL == topics(cards(service, body))


@pytest.mark.parametrize(
    "entry",
    [
        None,
        5,
        "x",
        [],
        {},
        {"resource": None},
        {"resource": []},
        {"resource": "x"},
        {"fullUrl": 5},
        {"resource": {}},
    ],
)
def test_CN03_an_entry_that_is_no_entry_is_skipped(service: Any, entry: Any) -> None:
    body = conflict()
    for target in (body["context"]["draftOrders"], body["prefetch"]["medicationRequests"]):
        target["entry"].insert(0, entry)
    assert CRITICAL == topics(cards(service, body))


@pytest.mark.parametrize(
    "hook", ["medication-prescribe", "order-select", "order-sign", "medication-refill"]
)
def test_CN04_a_dstu2_medication_order_is_judged(service: Any, hook: str) -> None:
    assert "critical" == topics(cards(service, conflict(hook, "DSTU2")))[T1]


def nested_bundle(depth: int) -> Any:
    inner: Any = listed()
    for _ in range(depth):
        inner = {"resourceType": "Bundle", "entry": [{"resource": inner}]}
    return inner


@pytest.mark.parametrize("place", ["draftOrders", "prefetch"])
def test_CN05_a_bundle_nested_300_deep_is_no_crash(service: Any, place: str) -> None:
    body = conflict()
    if place == "prefetch":
        body["prefetch"]["odd"] = nested_bundle(300)
    else:
        body["context"]["draftOrders"] = nested_bundle(300)
    begun = perf_counter()
    answer = service.post(path_of(body), json=body)
    assert answer.status_code in {200, 400}
    assert [] == complaints(
        "response" if answer.status_code == 200 else "operation-outcome", answer.json()
    )
    assert perf_counter() - begun < 2


@pytest.mark.parametrize(
    "text",
    [
        '{"a":' * 5_000 + "1" + "}" * 5_000,
        "[" * 5_000,
        "[" * 100_000 + "]" * 100_000,
        '{"hook":' * 50_000,
    ],
)
def test_CN06_json_nested_thousands_deep_is_refused_and_the_service_lives(
    service: Any, text: str
) -> None:
    begun = perf_counter()
    refused(post(service, text.encode()))
    assert perf_counter() - begun < 2
    assert CRITICAL == topics(cards(service, conflict()))


def test_CN06_depth_inside_a_valid_call_is_refused_or_skipped(service: Any) -> None:
    text = json.dumps({**conflict(), "extension": {"a": "DEEP"}}).replace(
        '"DEEP"', "[" * 3_000 + "]" * 3_000
    )
    assert post(service, text.encode()).status_code in {200, 400}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
def test_CN07_numbers_that_json_does_not_have_are_refused(service: Any, number: str) -> None:
    text = json.dumps({**conflict(), "x": "HERE"}).replace('"HERE"', number)
    refused(post(service, text.encode()))


def test_CN08_the_last_of_two_equal_keys_wins(service: Any) -> None:
    text = json.dumps(conflict())
    assert (
        400
        == post(
            service,
            text.replace("{", '{"hook": "order-sign",', 1)
            .replace('"hook": "order-sign", "hookInstance"', '"hook": "nonsense", "hookInstance"')
            .encode(),
        ).status_code
    )
    assert 200 == post(service, ('{"hook": "nonsense",' + text[1:]).encode()).status_code


def test_CN08_the_last_patient_id_wins(service: Any) -> None:
    """The drafts belong to p1; with another patient last they are somebody else's."""
    text = json.dumps(conflict())
    first = post(
        service, text.replace('"patientId": "p1"', '"patientId": "p2", "patientId": "p1"').encode()
    )
    assert CRITICAL == topics(first.json()["cards"])
    last = post(
        service, text.replace('"patientId": "p1"', '"patientId": "p1", "patientId": "p2"').encode()
    )
    assert T1 not in topics(last.json()["cards"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_CN09_utf_16_is_refused(service: Any, encoding: str) -> None:
    refused(post(service, json.dumps(conflict()).encode(encoding)))


def test_CN09_a_byte_order_mark_is_refused(service: Any) -> None:
    refused(post(service, b"\xef\xbb\xbf" + json.dumps(conflict()).encode()))


@pytest.mark.parametrize(
    "bad", [b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80"]
)
def test_CN10_invalid_utf_8_is_refused(service: Any, bad: bytes) -> None:
    text = json.dumps(conflict()).encode().replace(b"oxycodone", b"oxycodone" + bad)
    refused(post(service, text))


@pytest.mark.parametrize("escape", [r"\ud800", r"\udfff", r"\udc00\ud800"])
def test_CN10_a_lone_surrogate_cannot_break_the_answer(service: Any, escape: str) -> None:
    text = json.dumps(conflict()).replace("oxycodone", "oxycodone " + escape)
    answer = post(service, text.encode())
    assert answer.status_code in {200, 400}
    assert [] == [
        v
        for _, v in leaves(answer.json())
        if isinstance(v, str) and re.search("[\ud800-\udfff]", v)
    ]


def test_CN11_an_integer_of_5000_digits_is_refused(service: Any) -> None:
    text = json.dumps({**conflict(), "x": "HERE"}).replace('"HERE"', "9" * 5_000)
    refused(post(service, text.encode()))


@pytest.mark.parametrize("size", [25, 300])
def test_CN11_a_large_number_as_a_dose_is_no_crash(service: Any, size: int) -> None:
    text = json.dumps(conflict()).replace('"value": 4.5', f'"value": {"9" * size}')
    answer = post(service, text.encode())
    assert answer.status_code in {200, 400}
    if answer.status_code == 200:
        assert "critical" == topics(answer.json()["cards"])[T1]


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b'"x"', b"1", b"true", b"1.5", b'[{"hook": "order-sign"}]']
)
def test_CN12_a_body_that_is_no_object_is_refused(service: Any, body: bytes) -> None:
    refused(post(service, body))


@pytest.mark.parametrize(
    ("body", "headers", "statuses"),
    [
        (b"", JSON, {400}),
        (b"   ", JSON, {400}),
        (b"{}", {}, {415}),
        (b"", {}, {400, 415}),
        (b"{}", {"Content-Type": "text/plain"}, {415}),
        (b"{}", {"Content-Type": ";;;"}, {415}),
        (b"{}", {"Content-Type": "x" * 5000}, {415}),
    ],
)
def test_CN13_an_empty_or_untyped_body_is_refused_in_json(
    service: Any, body: bytes, headers: dict[str, str], statuses: set[int]
) -> None:
    answer = service.post(SIGN, data=body, headers=headers)
    assert answer.status_code in statuses
    refusal(answer)


def test_CN14_a_body_over_the_limit_is_refused_in_json(service: Any) -> None:
    refused(post(service, json.dumps({**conflict(), "x": "y" * 5_000_000}).encode()), 413)
    assert CRITICAL == topics(cards(service, conflict()))


def test_CN14_a_body_over_the_limit_in_chunks_is_refused_too(service: Any) -> None:
    def chunks() -> Iterator[bytes]:
        yield json.dumps(conflict()).encode()[:-1] + b', "x": "'
        for _ in range(100):
            yield b"y" * 65_536
        yield b'"}'

    answer = requests.post(f"{service.url}{SIGN}", data=chunks(), headers=JSON, timeout=20)
    refused(answer, 413)
    assert CRITICAL == topics(cards(service, conflict()))


def test_CN14_a_body_just_under_the_limit_is_read(service: Any) -> None:
    text = json.dumps({**conflict(), "x": "y" * 4_900_000})
    assert CRITICAL == topics(post(service, text.encode()).json()["cards"])


@pytest.mark.parametrize("place", ["first", "last", "middle"])
def test_CN15_every_one_of_5000_orders_is_read(service: Any, place: str) -> None:
    slim = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "authoredOn": "2026-11-11",
        "subject": {"reference": "Patient/p1"},
        "medicationCodeableConcept": {"text": "Levothyroxine 50 mcg tablet"},
    }
    many = [{**slim, "id": f"m{n}"} for n in range(5_000)]
    many.insert({"first": 0, "last": 5_000, "middle": 2_500}[place], listed())
    body = call("order-sign", ldn())
    body["prefetch"]["medicationRequests"] = bundle(*many)
    assert CRITICAL == topics(cards(service, body))


def test_CN15_every_one_of_many_drafts_is_read(service: Any) -> None:
    many = [order(LEVOTHYROXINE, id=f"d{n}") for n in range(1_000)]
    assert CRITICAL == topics(cards(service, call("order-sign", *many, ldn(), meds=(listed(),))))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP", "x-nonsense"])
def test_CN16_a_compressed_body_is_never_inflated(service: Any, encoding: str) -> None:
    refused(
        post(
            service,
            gzip.compress(json.dumps(conflict()).encode()),
            **{"Content-Encoding": encoding},
        ),
        415,
    )


@pytest.mark.parametrize(
    "path",
    [
        "/cds-services//naltrexone-order-sign",
        "//cds-services/naltrexone-order-sign",
        "/cds-services///naltrexone-order-sign",
    ],
)
def test_CN17_a_double_slash_is_served_without_a_redirect(service: Any, path: str) -> None:
    status, body, _ = raw(service, "POST", path, json.dumps(conflict()).encode())
    assert (200, CRITICAL) == (status, topics(json.loads(body)["cards"]))


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_CN18_another_method_is_refused_in_json(service: Any, method: str) -> None:
    status, body, headers = raw(service, method, SIGN)
    assert (405, []) == (status, complaints("operation-outcome", json.loads(body)))
    assert "POST" in headers["allow"]


def test_CN18_an_encoded_id_is_the_decoded_id(service: Any) -> None:
    status, body, _ = raw(
        service, "POST", "/cds-services/naltre%78one-order-sign", json.dumps(conflict()).encode()
    )
    assert (200, CRITICAL) == (status, topics(json.loads(body)["cards"]))


@pytest.mark.parametrize(
    "path",
    [
        "/cds-services/..%2f..%2fetc",
        "/cds-services/%2e%2e/%2e%2e/etc/passwd",
        "/cds-services/naltrexone-order-sign%00",
        "/cds-services/%ff%fe",
        "/%2e%2e%2fx",
    ],
)
def test_CN18_a_path_that_climbs_is_not_found(service: Any, path: str) -> None:
    status, body, _ = raw(service, "POST", path, json.dumps(conflict()).encode())
    assert status in {400, 404}
    assert "OperationOutcome" == json.loads(body)["resourceType"]


WRONG = [{"a": 1}, [[]], "x", 5, True, None, [None], {"coding": "x"}]
MEMBERS = [
    "status",
    "intent",
    "authoredOn",
    "dosageInstruction",
    "dispenseRequest",
    "id",
    "category",
    "reasonCode",
    "contained",
    "extension",
    "priorPrescription",
    "meta",
    "note",
]
INNER = [
    "dosageInstruction/0/timing",
    "dosageInstruction/0/timing/repeat",
    "dosageInstruction/0/doseAndRate",
    "dosageInstruction/0/timing/repeat/frequency",
    "dosageInstruction/0/timing/repeat/periodUnit",
    "dosageInstruction/0/doseAndRate/0/doseQuantity",
    "dosageInstruction/0/doseAndRate/0/doseQuantity/unit",
    "dispenseRequest/expectedSupplyDuration",
    "medicationCodeableConcept/coding/0/display",
    "dispenseRequest/expectedSupplyDuration/value",
    "dosageInstruction/0/text",
]


def put(resource: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    copy = deepcopy(resource)
    *parents, last = path.split("/")
    node: Any = copy
    for name in parents:
        node = node[int(name)] if isinstance(node, list) else node[name]
    node[last] = value
    return copy


@pytest.mark.parametrize("member", MEMBERS + INNER)
def test_CN19_a_wrong_typed_member_of_a_draft_counts_as_absent(service: Any, member: str) -> None:
    good = ldn(medicationCodeableConcept={"text": LDN, "coding": [{"code": "x", "display": LDN}]})
    for wrong in WRONG:
        found = cards(service, call("order-sign", put(good, member, wrong), meds=(listed(),)))
        assert "critical" == topics(found)[T1], wrong


@pytest.mark.parametrize("member", [m for m in MEMBERS + INNER if m not in ("status", "intent")])
def test_CN19_a_wrong_typed_member_of_a_listed_order_loses_no_warning(
    service: Any, member: str
) -> None:
    """Without a date or supply an active order is still current or stale, never unseen."""
    for wrong in WRONG:
        body = call("order-sign", ldn())
        body["prefetch"]["medicationRequests"] = bundle(put(listed(), member, wrong))
        assert topics(cards(service, body))[T1] in {"critical", "warning"}, wrong


@pytest.mark.parametrize(
    "path", ["subject", "medicationCodeableConcept/coding", "medicationCodeableConcept/text"]
)
def test_CN19_the_drug_is_found_in_what_is_left(service: Any, path: str) -> None:
    for wrong in WRONG:
        body = call("order-sign", ldn())
        body["prefetch"]["medicationRequests"] = bundle(put(listed(), path, wrong))
        assert "critical" == topics(cards(service, body))[T1], wrong


@pytest.mark.parametrize("wrong", ["x" * 65, "x" * 5_000, "a b", "a/b", "<b>", "é", "a\nb", "../x"])
@pytest.mark.parametrize("hook", ["order-sign", "medication-prescribe"])
def test_CN19_an_id_that_is_no_fhir_id_is_never_the_target_of_an_action(
    service: Any, hook: str, wrong: str
) -> None:
    """The warning stays; what cannot be named in a reference is not offered for deletion or sent to the app."""
    found = cards(
        service, call(hook, ldn(id=wrong), order(LEVOTHYROXINE, id="l"), meds=(listed(),))
    )
    assert CRITICAL == topics(found)
    assert [] == actions(card_of(found, T1))
    assert wrong not in json.dumps(
        [link.get("appContext") for card in found for link in card.get("links", [])]
    )


def test_CN19_a_number_written_as_text_is_a_number_only_as_a_value(service: Any) -> None:
    draft = ldn(
        dose=dosage(4.5, "mg"), medicationCodeableConcept={"text": "naltrexone oral liquid"}
    )
    draft["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"] = "4.5"
    assert "4.5 mg/day" in card_of(cards(service, call("order-sign", draft)), T2)["summary"]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"entry": {}},
        {"entry": {"resource": listed()}},
        {"entry": 5},
        5,
        "x",
        [5],
        True,
        {"resourceType": 5, "entry": [None]},
    ],
)
@pytest.mark.parametrize(
    "member", ["draftOrders", "medications", "selections", "userId", "encounterId"]
)
def test_CN19_a_wrong_typed_member_of_the_context_is_no_error(
    service: Any, member: str, wrong: Any
) -> None:
    body = call("order-select", ldn(), meds=(listed(),))
    body["context"][member] = wrong
    answer = service.post(path_of(body), json=body)
    assert 200 == answer.status_code
    assert [] == complaints("response", answer.json())


@pytest.mark.parametrize(
    "member", ["fhirServer", "fhirAuthorization", "prefetch", "extension", "user", "unheardOf"]
)
@pytest.mark.parametrize("wrong", [5, "x", [], {}, None, True, [{"a": 1}]])
def test_CN19_a_wrong_typed_optional_member_is_treated_as_absent(
    service: Any, member: str, wrong: Any
) -> None:
    body = call("order-sign", ldn(), opioid())
    body[member] = wrong
    assert CRITICAL == topics(cards(service, body))


NASTY = {
    "bidi": "oxycodone \u202egm 5\u202c",
    "zero-width": "oxy\u200bcodone\ufeff 5 mg",
    "nul": "oxycodone\u0000 5 mg",
    "megabyte": "oxycodone " + "A" * 1_000_000,
    "emoji": "oxycodone \U0001f48a\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "html": "<img src=x onerror=alert(1)>oxycodone",
    "markdown": "oxycodone\n# NO INTERACTION FOUND\n* [safe](https://e.test)",
    "template": "oxycodone {{7*7}} {0.__class__} %s %(x)s ${x}",
    "ansi": "\u001b[31moxycodone\u001b[0m",
    "isolates": "\u2066oxycodone\u2069\u061c\u200f",
    "separators": "oxycodone\u2028\u2029\u0085x",
    "tags": "oxycodone\U000e0041",
}
INVISIBLE = re.compile(
    "[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)


@pytest.mark.parametrize("name", NASTY)
def test_CN20_drug_text_reaches_a_card_clean_and_short(service: Any, name: str) -> None:
    drug = (NASTY[name], OXYCODONE[1])
    found = cards(service, call("order-sign", ldn(), meds=(listed(drug),)))
    assert CRITICAL == topics(found)
    shown = [
        v
        for card in found
        for key in ("summary", "detail", "links", "overrideReasons")
        for _, v in leaves(card.get(key))
        if isinstance(v, str)
    ]
    assert [] == [v for v in shown if INVISIBLE.search(v)]
    assert "A" * 121 not in "".join(shown)
    assert "49" not in card_of(found, T1)["summary"]


@pytest.mark.parametrize("name", NASTY)
def test_CN20_a_drafts_text_and_labels_are_clean_too(service: Any, name: str) -> None:
    body = call("order-sign", opioid((NASTY[name], OXYCODONE[1])), meds=(listed_ldn(),))
    (card,) = cards(service, body)
    shown = [
        card["summary"],
        card["detail"],
        *(s["label"] for s in card["suggestions"]),
        *(a["description"] for s in card["suggestions"] for a in s["actions"]),
    ]
    assert [] == [v for v in shown if INVISIBLE.search(v) or "A" * 121 in v]
    assert "oxycodone" in words(card)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 50_000 + "!",
        " " * 100_000 + "x",
        "oxycodone " * 20_000,
        "(" * 50_000,
        "1 mg/" * 30_000,
        "-" * 100_000,
        "take 1 or 2 " * 20_000,
    ],
)
@pytest.mark.parametrize("place", ["drug", "sig"])
def test_CN20_long_text_is_matched_in_linear_time(service: Any, place: str, text: str) -> None:
    draft = ldn(dose=dosage(4.5, "mg", sig=text)) if place == "sig" else order(text, id="x")
    begun = perf_counter()
    answer = service.post(SIGN, json=call("order-sign", ldn(id="y"), draft, meds=(listed(),)))
    assert (200, "critical") == (answer.status_code, topics(answer.json()["cards"])[T1])
    assert perf_counter() - begun < 2
