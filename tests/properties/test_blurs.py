"""The blurs themselves: each takes away one fact of one medicine, and between them they reach every kind of fact."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from typing import Any

import pytest

from tests.properties.blurs import BLURS, KINDS, blurred, is_identified, listed
from tests.properties.test_blur import broken_promises
from tests.vignettes.builder import SECOND_EDITION, request, unsaid, vignette, vignettes
from tests.vignettes.releases import RELEASES, Json

OXYCODONE = {
    "resourceType": "MedicationRequest",
    "id": "m",
    "status": "active",
    "medicationCodeableConcept": {
        "text": "oxycodone",
        "coding": [{"system": "s", "code": "c", "display": "d"}],
    },
}


@pytest.mark.parametrize("release", RELEASES)
def test_every_kind_of_fact_is_blurred_in_every_release(release: str) -> None:
    """Over all vignettes each blur finds something to take away, in the words of the release."""
    cases = [case for case in vignettes(SECOND_EDITION) if not unsaid(case, release, case["hook"])]
    tried = Counter(
        each.kind for case in cases for each in blurred(request(case, release, case["hook"]))
    )
    assert set(KINDS) == set(tried)
    assert all(count >= 4 for count in tried.values()), tried


def test_every_blur_is_used_somewhere() -> None:
    bodies = [
        request(case, release, case["hook"])
        for case in vignettes(SECOND_EDITION)
        for release in RELEASES
        if not unsaid(case, release, case["hook"])
    ]
    names = {each.name.split(" ", 1)[1] for body in bodies for each in blurred(body)}
    assert {str(blur) for blur in BLURS} == names


def test_a_blur_touches_one_resource_and_leaves_the_call_as_it_was() -> None:
    """The original body is not changed, and in the blurred one a single listed resource differs."""
    body = request(vignette("A01"), "R4", "order-sign")
    before, found = deepcopy(body), list(blurred(body))
    assert before == body
    assert found
    for each in found:
        assert body["context"] == each.body["context"]
        pairs = zip(listed(body), listed(each.body), strict=True)
        assert 1 == sum(first != second for first, second in pairs), each.name


@pytest.mark.parametrize(
    ("drug", "identified"),
    [
        ({"text": "oxycodone"}, True),
        ({"coding": [{"system": "s", "code": "c"}]}, True),
        ({}, False),
        ({"coding": [{"code": "c"}]}, False),
        ({"coding": [{"code": "c", "display": "oxycodone"}]}, True),
        ({"coding": [{"system": "urn:x-lost", "code": "c"}]}, False),
        ({"coding": [{"system": "s"}]}, False),
    ],
)
def test_an_identity_is_a_word_or_a_code_of_a_named_system(drug: Json, identified: bool) -> None:
    assert identified is is_identified({"medicationCodeableConcept": drug})


def call(drug: str, **facts: Any) -> Json:
    """Naltrexone or an opioid is drafted while a medicine known by its text alone is listed."""
    body = request(vignette("A01"), "R4", "order-sign")
    body["context"]["draftOrders"]["entry"][0]["resource"]["medicationCodeableConcept"] = {
        "text": drug
    }
    body["prefetch"]["medicationRequests"]["entry"] = [
        {"resource": {**OXYCODONE, "medicationCodeableConcept": {"text": "oxycodone"}, **facts}}
    ]
    return body


@pytest.mark.parametrize(
    ("body", "tried"),
    [
        (call("naltrexone"), True),
        (call("oxycodone"), False),
        (call("naltrexone", status="stopped"), False),
    ],
)
def test_an_identity_is_lost_only_where_somebody_must_say_so(body: Json, tried: bool) -> None:
    """What no longer has a name is said for a drafted naltrexone and an entry that may be current (2.11)."""
    assert tried is any(each.name.endswith("name: no text") for each in blurred(body))


class Answering:
    """A service that warns while the word oxycodone is in the call, and says what it is told to otherwise."""

    def __init__(self, otherwise: list[Json]) -> None:
        self.otherwise = otherwise

    def post(self, path: str, json: Json) -> Any:
        cards = (
            [card("naltrexone-opioid-interaction", "critical")]
            if '"oxycodone' in repr(json).replace("'", '"')
            else self.otherwise
        )
        return type("Response", (), {"status_code": 200, "json": lambda self: {"cards": cards}})()


def card(topic: str, indicator: str, *actions: Json) -> Json:
    suggestions = [{"label": "x", "actions": [action]} for action in actions]
    return {
        "source": {"topic": {"code": topic}},
        "indicator": indicator,
        "summary": "s",
        "suggestions": suggestions,
    }


@pytest.mark.parametrize(
    ("otherwise", "faults"),
    [
        ([], ["silent"]),
        ([card("naltrexone-off-label", "info")], ["silent"]),
        ([card("naltrexone-data-gap", "info")], []),
        (
            [card("naltrexone-data-gap", "info", {"type": "update", "resource": {"id": "x"}})],
            ["offers the start"],
        ),
    ],
)
def test_a_broken_promise_is_noticed(otherwise: list[Json], faults: list[str]) -> None:
    """Silence after a lost name is a fault, an off-label note does not mend it, a start is one; being named is none."""
    found = [
        line
        for line in broken_promises(Answering(otherwise), call("naltrexone"))
        if "name: no text" in line
    ]
    assert faults == [line.rsplit(": ", 1)[1] for line in found]
