"""Every published, derived and captured request gets the right answer (conformance L19).

The verdicts are those of the clinical specification for 2026-11-21: an order of 2025-10-01 without supply
data is stale, amoxicillin and its kind are nobody's business, and a service for another hook is not ours.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.calls import (
    EXAMPLES,
    T1,
    T2,
    T3,
    T5,
    actions,
    card_of,
    cards,
    complaints,
    example,
    example_names,
    refusal,
    topics,
    words,
)

STALE = {T1: "warning"}
STALE_AND_NOTE = {T1: "warning", T2: "info"}
ALL_THREE = {T1: "warning", T2: "info", T3: "warning"}
GAP = {T5: "warning"}
NOTHING: dict[str, str] = {}
NOT_EXCLUDED = {T5: "info"}  # 2.11: an opioid alone, and no list to look for naltrexone in
LOW_DOSE = "ldn is 1-5 mg/day"  # the line of that hit; the summary names the worst

# captured request -> (service called, topics and indicators)
CAPTURED = {
    "02-r4-order-select-no-medication": ("order-select", NOTHING),
    "03-r4-order-select-naltrexone": ("order-select", STALE_AND_NOTE),
    "04-r4-order-select-naltrexone-no-prefetch": ("order-select", GAP),
    "05-r4-order-select-naltrexone-reason": ("order-select", ALL_THREE),
    "06-r4-order-select-invalid-date": ("order-select", ALL_THREE),
    "07-r4-order-select-full": ("order-select", ALL_THREE),
    "08-r4-order-select-tab-reclicked": ("order-select", NOTHING),
    "09-r4-order-select-after-suggestion": ("order-select", ALL_THREE),
    "10-r4-order-select-after-delete-suggestion": ("order-select", NOTHING),
    "11-r4-order-sign-naltrexone": ("order-sign", ALL_THREE),
    "12-r4-order-sign-no-medication": ("order-sign", NOTHING),
    "13-r4-order-select-pama-empty": ("order-select", NOTHING),
    "14-r4-order-select-pama-study": ("order-select", NOTHING),
    "15-r4-order-select-oxycodone-patient-on-naltrexone": ("order-select", STALE),
    "16-r4-order-sign-oxycodone-patient-on-naltrexone": ("order-sign", STALE),
    "17-r4-order-select-ldn-capsule": ("order-select", STALE_AND_NOTE),
    "22-hook-mismatch-order-select-service-gets-medication-prescribe": ("order-select", NOTHING),
    "23-stu3-order-select-naltrexone": ("order-select", STALE_AND_NOTE),
    "24-dstu2-order-select-naltrexone": ("order-select", STALE_AND_NOTE),
    "25-r5-order-select-naltrexone": ("order-select", STALE_AND_NOTE),
    "26-r4-order-select-fhirAuthorization": ("order-select", STALE_AND_NOTE),
    "27-r4-order-sign-fhirAuthorization": ("order-sign", STALE_AND_NOTE),
    "28-2019-medication-prescribe-stu3": ("medication-prescribe", STALE_AND_NOTE),
    "29-2019-medication-prescribe-dstu2": ("medication-prescribe", STALE_AND_NOTE),
    "30-2019-medication-prescribe-r4server": ("medication-prescribe", STALE_AND_NOTE),
}
NOT_OURS = {
    "01-r4-patient-view": "/cds-services/pv",
    "32-2019-patient-view": "/cds-services/pv",
    "21-hook-mismatch-patient-view-service-gets-order-select": "/cds-services/pv",
    "31-2019-suggestion-analytics": "/cds-services/mp/analytics/22222222-aaaa-4222-8222-222222222222",
    "33-fhir-server-smart-launch-context": "/fhir/_services/smart/Launch",
}
# 2.9: pain on the problem list and no stated reason, a reason of that type, or low-dose words: each opens the planner
WITH_LINK = {"03", "05", "06", "07", "09", "11", "17", *map(str, range(23, 31))}

# published request -> topics and indicators, sent to the service of its own hook
PUBLISHED = {
    "3.0-draft__spec__request-01": NOTHING,
    "docs-site__examples__request-01": NOTHING,
    "docs-site__examples__request-02": NOTHING,
    **{f"derived__request__1.0__medication-prescribe-0{n}": NOTHING for n in (1, 2)},
    "derived__request__pre1.0-2018May__medication-prescribe-01": NOTHING,
    **{f"derived__request__library__medication-refill-0{n}": NOTHING for n in (1, 2)},
    **{
        f"derived__request__library__order-{hook}-0{n}": NOTHING
        for hook in ("select", "sign")
        for n in (1, 2, 3)
    },
    **{
        f"fhir-validator-tests__cdshooks-request-order-select-{kind}": NOTHING
        for kind in ("good", "bad", "extensions")
    },
    **{
        f"fhir-validator-tests__cdshooks-request-order-sign-{kind}": NOT_EXCLUDED
        for kind in ("good", "bad-1", "bad-2")
    },
    **{
        f"sandbox__order-{hook}__{release}": GAP
        for hook in ("select", "sign")
        for release in ("dstu2", "stu3", "r4")
    },
    **{
        f"sandbox__order-select__{release}__no-medication-yet": NOTHING
        for release in ("dstu2", "stu3", "r4")
    },
}
OTHER_HOOKS = sorted(
    path.stem
    for path in EXAMPLES.glob("*request*.json")
    if "feedback" not in path.stem
    and not path.stem.startswith("captured")
    and path.stem not in PUBLISHED
)


def captured(number: str) -> tuple[dict[str, Any], str]:
    (name,) = [n for n in CAPTURED if n.startswith(number)]
    return example(f"captured__{name}"), CAPTURED[name][0]


@pytest.mark.parametrize(("name", "expected"), CAPTURED.items())
def test_CL19_a_captured_request_gets_its_cards(
    service: Any, name: str, expected: tuple[str, dict[str, str]]
) -> None:
    hook, verdict = expected
    assert verdict == topics(cards(service, example(f"captured__{name}"), hook))


@pytest.mark.parametrize(("name", "path"), NOT_OURS.items())
def test_CL19_a_captured_request_to_another_service_is_not_found(
    service: Any, name: str, path: str
) -> None:
    answer = service.post(path, json=example(f"captured__{name}"))
    assert 404 == answer.status_code
    refusal(answer)


@pytest.mark.parametrize("number", sorted(WITH_LINK))
def test_CL19_the_titration_link_is_offered_where_the_specification_says_so(
    service: Any, number: str
) -> None:
    body, hook = captured(number)
    links = card_of(cards(service, body, hook), T2).get("links", [])
    assert "smart" in {link["type"] for link in links}


@pytest.mark.parametrize("number", ["03", "05", "11", "17", "24", "28"])
def test_CL19_a_stale_opioid_offers_to_cancel_naltrexone_and_recommends_nothing(
    service: Any, number: str
) -> None:
    body, hook = captured(number)
    card = card_of(cards(service, body, hook), T1)
    assert ["delete"] == [a["type"] for a in actions(card)]
    assert [] == [s for s in card["suggestions"] if s.get("isRecommended")]
    assert "oxycodone" in words(card)


@pytest.mark.parametrize("number", ["28", "29", "30"])
def test_CL19_a_draft_without_id_is_deleted_without_a_name(service: Any, number: str) -> None:
    body, hook = captured(number)
    (delete,) = actions(card_of(cards(service, body, hook), T1))
    assert {"type", "description"} == set(delete)


@pytest.mark.parametrize("number", ["15", "16"])
def test_CL19_stale_naltrexone_is_to_be_reconciled_without_suggestions(
    service: Any, number: str
) -> None:
    body, hook = captured(number)
    (card,) = cards(service, body, hook)
    assert [] == actions(card)
    assert "reconcile" in words(card)


@pytest.mark.parametrize(
    ("number", "parts"),
    [
        ("05", [LOW_DOSE, "low-dose range"]),
        ("06", [LOW_DOSE, "hepatotoxicity"]),
        ("07", [LOW_DOSE, "hepatotoxicity"]),
        ("09", [LOW_DOSE, "hepatotoxicity"]),
        ("11", ["hepatotoxicity"]),
    ],
)
def test_CL19_the_dose_check_names_what_is_wrong(
    service: Any, number: str, parts: list[str]
) -> None:
    body, hook = captured(number)
    text = words(card_of(cards(service, body, hook), T3))
    assert parts == [part for part in parts if part in text]
    assert (LOW_DOSE in parts) == (LOW_DOSE in text)


def test_CL19_the_low_start_is_withheld_beside_a_conflict(service: Any) -> None:
    body, hook = captured("17")
    assert [] == actions(card_of(cards(service, body, hook), T2))


@pytest.mark.parametrize(("name", "verdict"), PUBLISHED.items())
def test_CL19_a_published_request_gets_its_cards(
    service: Any, name: str, verdict: dict[str, str]
) -> None:
    assert verdict == topics(cards(service, example(name)))


@pytest.mark.parametrize("name", OTHER_HOOKS)
def test_CL19_a_published_request_for_another_hook_is_refused(service: Any, name: str) -> None:
    answer = service.post("/cds-services/naltrexone-order-sign", json=example(name))
    assert 400 == answer.status_code
    refusal(answer)


def test_CL19_no_example_was_left_out() -> None:
    used = {*PUBLISHED, *OTHER_HOOKS, *(f"captured__{name}" for name in (*CAPTURED, *NOT_OURS))}
    others = set(example_names()) - used
    assert set() == {
        name
        for name in others
        if not any(
            part in name for part in ("response", "feedback", "discovery", "operationoutcome")
        )
    }


@pytest.mark.parametrize("name", example_names())
def test_CL19_whatever_file_is_posted_the_answer_is_clean_json(service: Any, name: str) -> None:
    answer = service.post("/cds-services/naltrexone-order-select", json=example(name))
    assert answer.status_code in {200, 400}
    assert [] == complaints(
        "response" if answer.status_code == 200 else "operation-outcome", answer.json()
    )
