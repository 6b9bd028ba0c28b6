"""Each clinical vignette gets its cards, over HTTP as written and in-process in every release at every hook."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.vignettes import builder
from tests.vignettes.builder import HOOKS, expected, request, unsaid, vignette, vignettes
from tests.vignettes.compare import differences, orders, says, suggestion_code
from tests.vignettes.releases import RELEASES, Json

AS_WRITTEN = [pytest.param(case, id=case["id"]) for case in vignettes()]
EVERYWHERE = [
    pytest.param(case, release, hook, id=f"{case['id']}-{release}-{hook}")
    for case in vignettes()
    for release in RELEASES
    for hook in HOOKS
    if not unsaid(case, release, hook)
]


def compared(case: Json, hook: str, cards: list[Json], body: Json) -> list[str]:
    return differences(expected(case, hook), builder.comparable(cards, hook), body)


@pytest.mark.parametrize("case", AS_WRITTEN)
def test_a_vignette_gets_its_cards_over_http(case: Json, service: Any) -> None:
    """In its own release and at its own hook, a vignette gets exactly the cards, words and suggestions written down."""
    body = request(case, case["fhir_version"], case["hook"])
    response = service.post(f"/cds-services/{builder.service_of(case['hook'])}", json=body)
    assert 200 == response.status_code
    assert [] == compared(case, case["hook"], response.json()["cards"], body)


@pytest.mark.parametrize(("case", "release", "hook"), EVERYWHERE)
def test_a_vignette_gets_the_same_cards_everywhere(
    case: Json, release: str, hook: str, answered: Any
) -> None:
    """The decision does not depend on the FHIR release or the hook that carries the facts."""
    body = request(case, release, hook)
    assert [] == compared(case, hook, answered(body), body)


CONTAINED = [
    pytest.param(case, release, id=f"{case['id']}-{release}")
    for case in vignettes()
    for release in RELEASES
    if not unsaid(case, release, case["hook"])
]


def contained(resource: Json) -> None:
    """Move the drug of a medication resource into a contained Medication, as many servers send it."""
    concept = resource.get("medicationCodeableConcept") or resource.get("medication", {}).get(
        "concept"
    )
    if not concept:
        return
    resource["contained"] = [{"resourceType": "Medication", "id": "drug", "code": concept}]
    if resource.pop("medicationCodeableConcept", None):
        resource["medicationReference"] = {"reference": "#drug"}
    else:
        resource["medication"] = {"reference": {"reference": "#drug"}}


@pytest.mark.parametrize(("case", "release"), CONTAINED)
def test_a_contained_medication_gets_the_same_cards(
    case: Json, release: str, answered: Any
) -> None:
    """It makes no difference whether a resource names its drug itself or in a contained Medication."""
    body = request(case, release, case["hook"])
    written = deepcopy(body)
    for resource in (*orders(body["context"]), *orders(body["prefetch"])):
        contained(resource)
    assert [] == compared(case, case["hook"], answered(body), written)


EDITIONS = pytest.mark.parametrize("edition", [builder.FIRST_EDITION, builder.SECOND_EDITION])
COUNTED = {builder.FIRST_EDITION: 153, builder.SECOND_EDITION: 244}
RECOMMENDED_DEL_OPI = {
    builder.FIRST_EDITION: {"B01", "B03", "B30", "B31"},
    builder.SECOND_EDITION: {"B01", "B03", "B30", "B31", "B40", "B41"},
}


@EDITIONS
def test_every_vignette_is_compared_somewhere(edition: str) -> None:
    """No vignette is skipped in every release, and the file holds the cases of the specification."""
    cases = vignettes(edition)
    assert COUNTED[edition] == len(cases)
    said = {
        case["id"]
        for case in cases
        for release in RELEASES
        if not unsaid(case, release, case["hook"])
    }
    assert {case["id"] for case in cases} == said


@EDITIONS
def test_only_what_the_specification_names_is_skipped(edition: str) -> None:
    """The skips are those of section 4: by name, plus the recommended DEL_OPI in DSTU2 and C02 off order-select."""
    cases = vignettes(edition)
    skipped = {
        release: {c["id"] for c in cases if unsaid(c, release, "order-select")}
        for release in RELEASES
    }
    by_name = {
        release: builder.CANNOT_SAY[release] & {c["id"] for c in cases} for release in RELEASES
    }
    by_name["DSTU2"] |= RECOMMENDED_DEL_OPI[edition]
    assert by_name == skipped
    unselected = vignette("C02", edition)
    assert [hook for hook in HOOKS if unsaid(unselected, "R4", hook)] == [
        h for h in HOOKS if h != "order-select"
    ]


def test_a_fact_that_a_release_lacks_is_skipped_under_any_name() -> None:
    """A case with statusChanged, a reported order or US Core adherence exists where there is a place for the fact."""
    for fact, said_in in {
        "status_changed": {"R5"},
        "reported": {"R4", "R5"},
        "adherence": {"R4"},
    }.items():
        case = {"id": "X01", "meds": [{fact: "x"}], "expected_cards": []}
        assert said_in == {
            release for release in RELEASES if not unsaid(case, release, "order-sign")
        }


def tampered(wanted: str, **changes: Any) -> list[Json]:
    """The expectation of a vignette with the first card changed."""
    cards: list[Json] = deepcopy(vignette(wanted)["expected_cards"])
    cards[0] |= changes
    return cards


WRONG = {
    "other indicator": (
        tampered("A01", indicator="warning"),
        "indicator should be 'warning', is 'critical'",
    ),
    "extra card expected": (
        [*tampered("A01"), *tampered("E10")],
        "naltrexone-dose-check: card missing",
    ),
    "card not expected": (tampered("A01")[1:], "naltrexone-opioid-interaction: card not expected"),
    "wrong suggestion": (
        tampered("A01", suggestions=["DEL_OPI"]),
        "suggestions should be ('DEL_OPI',), is ('DEL_NTX',)",
    ),
    "missing suggestion": (
        tampered("A01", suggestions=[]),
        "suggestions should be (), is ('DEL_NTX',)",
    ),
    "other recommendation": (
        tampered("A01", recommended_suggestion=None),
        "recommended should be (), is ('DEL_NTX',)",
    ),
    "wrong link": (tampered("A01", titration_link=True), "titration link should be True, is False"),
    "unmentioned word": (tampered("A01", must_mention=["aspirin"]), "does not mention 'aspirin'"),
    "unmentioned alternatives": (
        tampered("A01", must_mention=["aspirin|ibuprofen"]),
        "does not mention 'aspirin|ibuprofen'",
    ),
    "unwanted words": (tampered("A01", must_not_mention=["patient is on"]), "says 'patient is on'"),
    "other override reasons": (
        tampered("A01", override_reasons=["list-outdated"]),
        "override reasons should be ('list-outdated',), is",
    ),
}


def right_answer() -> list[Json]:
    """Cards as the specification wants them for A01, written by hand: a red comparison needs no service."""
    return [
        {
            "source": {"topic": {"code": "naltrexone-opioid-interaction"}},
            "indicator": "critical",
            "summary": "Do not start naltrexone: patient is on oxycodone. Risk of precipitated opioid withdrawal.",
            "detail": "opioid\\-free 7\u201310 days",
            "suggestions": [
                {
                    "isRecommended": True,
                    "actions": [{"type": "delete", "resourceId": "MedicationRequest/ntx-1"}],
                }
            ],
        },
        {
            "source": {"topic": {"code": "naltrexone-off-label"}},
            "indicator": "info",
            "summary": "Low-dose naltrexone 4.5 mg/day is off-label: not FDA-approved; evidence is mixed.",
            "links": [{"type": "smart", "url": "https://cds.example.org/smart/launch"}],
        },
    ]


def test_the_right_answer_has_no_differences() -> None:
    """The comparison is green on what the specification wants: its redness below says something."""
    assert [] == differences(
        tampered("A01"), right_answer(), request(vignette("A01"), "R4", "order-sign")
    )


@pytest.mark.parametrize(("wrong", "line"), list(WRONG.values()), ids=list(WRONG))
def test_a_wrong_vignette_is_red(wrong: list[Json], line: str) -> None:
    """A vignette that expects something else than what was answered is reported, and by the right name."""
    found = differences(wrong, right_answer(), request(vignette("A01"), "R4", "order-sign"))
    assert 1 == len(found)
    assert line in found[0]


@pytest.mark.parametrize(("wrong", "line"), list(WRONG.values()), ids=list(WRONG))
def test_a_wrong_vignette_is_red_against_the_service(
    wrong: list[Json], line: str, answered: Any
) -> None:
    """The same tampered expectations are red on the answer of the service itself."""
    body = request(vignette("A01"), "R4", "order-sign")
    assert any(line in found for found in differences(wrong, answered(body), body))


def test_a_twin_card_and_a_wrong_order_are_red() -> None:
    """Two cards of one topic, or an info card before a critical one, are reported."""
    body = request(vignette("A01"), "R4", "order-sign")
    first, second = right_answer()
    assert ["naltrexone-off-label: more than one card"] == differences(
        tampered("A01"), [first, second, second], body
    )
    assert ["cards are not sorted critical, warning, info"] == differences(
        tampered("A01"), [second, first], body
    )


@pytest.mark.parametrize(
    "action",
    [
        {"type": "delete", "resourceId": "MedicationRequest/m-1"},
        {"type": "create", "resource": {"resourceType": "MedicationRequest", "status": "draft"}},
        {
            "type": "update",
            "resource": {
                "resourceType": "MedicationRequest",
                "id": "m-1",
                "status": "on-hold",
                "medicationCodeableConcept": {"text": "oxycodone"},
            },
        },
        {
            "type": "update",
            "resource": {"resourceType": "MedicationRequest", "id": "ntx-1", "status": "draft"},
        },
    ],
)
def test_a_suggestion_beyond_the_four_is_red(action: Json) -> None:
    """Deleting or holding a listed opioid, or any other change, is none of the four suggestions and is reported."""
    first, second = right_answer()
    first["suggestions"][0]["actions"] = [action]
    found = differences(
        tampered("A01"), [first, second], request(vignette("A01"), "R4", "order-sign")
    )
    assert [f"{action['type']}(" in line for line in found] == [True, True]


@pytest.mark.parametrize(
    ("text", "asserts"),
    [
        ("Use an NSAID.", True),
        ("Do not use an NSAID.", False),
        ("Never stop it; use an NSAID.", True),
        ("Do not stop, but use an NSAID.", True),
        ("nothing of the kind", False),
    ],
)
def test_a_negated_phrase_is_not_said(text: str, asserts: bool) -> None:
    """A phrase that must not be mentioned is said only in a clause without a negation before it."""
    assert asserts is says(text.lower(), "NSAID")


def test_a_missing_member_is_not_compared() -> None:
    """An expectation of topic and indicator alone is met by any suggestion and link; one of two words is enough."""
    wanted = [
        {"topic": c["topic"], "indicator": c["indicator"], "must_mention": ["nothing|naltrexone"]}
        for c in vignette("A01")["expected_cards"]
    ]
    assert [] == differences(wanted, right_answer(), request(vignette("A01"), "R4", "order-sign"))


START = {
    "resourceType": "MedicationRequest",
    "id": "ntx-1",
    "status": "draft",
    "medicationCodeableConcept": {"text": "naltrexone 1.5 mg oral capsule (compounded)"},
    "dosageInstruction": [
        {
            "timing": {"repeat": {"when": ["HS"]}},
            "doseAndRate": [{"doseQuantity": {"value": 1.5, "unit": "mg"}}],
        }
    ],
    "dispenseRequest": {"quantity": {"value": 14}, "expectedSupplyDuration": {"value": 14}},
}


@pytest.mark.parametrize(
    ("left_over", "right"),
    [
        ({}, True),
        ({"numberOfRepeatsAllowed": 0}, True),
        ({"numberOfRepeatsAllowed": 11}, False),
        ({"initialFill": {"duration": {"value": 30}}}, False),
        ({"validityPeriod": {"end": "2027-11-21"}}, False),
        ({"quantity": {"value": 30}}, False),
    ],
)
def test_a_start_is_fourteen_capsules_and_nothing_more(left_over: Json, right: bool) -> None:
    """START_1_5 is right only without repeats, initial fill and validity period left over from the draft."""
    body = request(vignette("E01"), "R4", "order-sign")
    resource = {**START, "dispenseRequest": {**START["dispenseRequest"], **left_over}}
    code = suggestion_code({"actions": [{"type": "update", "resource": resource}]}, body)
    assert right is (code == "START_1_5")
