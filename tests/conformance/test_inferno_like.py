"""The checks of the Inferno Da Vinci CRD server suite, written anew (I2-I5, I9-I18).

Read at inferno-framework/davinci-crd-test-kit@1d1f2c4. Known deviations, by design: no systemActions (I20),
no coverage information (I21), and the off-label card mixes link types (I22).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conformance.calls import actions, cards, path_of
from tests.conformance.test_answer import SITUATIONS

OPTIONAL = {"uuid": str, "detail": str, "suggestions": list, "overrideReasons": list, "links": list}


@pytest.fixture(scope="module")
def services(service: Any) -> Any:
    """What discovery answers to a client that asks for JSON."""
    return service.get("/cds-services", headers={"Accept": "application/json"}).json()["services"]


@pytest.fixture(scope="module")
def every(service: Any) -> list[dict[str, Any]]:
    """The cards of all situations."""
    return [card for body in SITUATIONS.values() for card in cards(service, body)]


def text(value: Any) -> bool:
    """A String that is not blank."""
    return isinstance(value, str) and bool(value.strip())


def test_CI02_discovery_answers_200_and_json_without_a_token(service: Any) -> None:
    answer = service.get("/cds-services", headers={"Accept": "application/json"})
    assert 200 == answer.status_code
    assert isinstance(answer.json(), dict)


def test_CI03_services_is_a_list_with_something_in_it(services: Any) -> None:
    assert isinstance(services, list)
    assert 4 == len(services)


def test_CI04_hook_description_and_id_are_texts(services: Any) -> None:
    assert [] == [
        s for s in services if not all(text(s.get(name)) for name in ("hook", "description", "id"))
    ]


def test_CI05_the_first_service_per_hook_is_the_only_one_and_its_id_survives_joining(
    services: Any,
) -> None:
    assert len(services) == len({s["hook"] for s in services})
    assert [] == [s["id"] for s in services if ", " in s["id"]]


@pytest.mark.parametrize("name", SITUATIONS)
def test_CI09_cards_is_a_list(service: Any, name: str) -> None:
    answer = service.post(path_of(SITUATIONS[name]), json=SITUATIONS[name])
    assert 200 == answer.status_code
    assert isinstance(answer.json()["cards"], list)


def test_CI10_summary_indicator_and_source_are_there(every: list[dict[str, Any]]) -> None:
    assert [] == [
        c for c in every if not (text(c["summary"]) and text(c["indicator"]) and c["source"])
    ]
    assert all(isinstance(c["source"], dict) for c in every)


def test_CI11_a_summary_is_shorter_than_140(every: list[dict[str, Any]]) -> None:
    assert [] == [c["summary"] for c in every if len(c["summary"]) >= 140]


def test_CI12_the_indicator_is_info_warning_or_critical(every: list[dict[str, Any]]) -> None:
    assert [] == [
        c["indicator"] for c in every if c["indicator"] not in ("info", "warning", "critical")
    ]


def test_CI13_the_source_has_a_label_and_a_coded_topic(every: list[dict[str, Any]]) -> None:
    for card in every:
        source = card["source"]
        assert (
            text(source["label"])
            and text(source["topic"]["code"])
            and text(source["topic"]["system"])
        )


def test_CI14_optional_members_have_their_type_and_are_not_blank(
    every: list[dict[str, Any]],
) -> None:
    for card in every:
        for name, kind in OPTIONAL.items():
            assert name not in card or (isinstance(card[name], kind) and card[name])


def test_CI15_suggestions_name_their_selection_behaviour(every: list[dict[str, Any]]) -> None:
    with_suggestions = [c for c in every if "suggestions" in c]
    assert with_suggestions
    assert [] == [
        c for c in with_suggestions if c["selectionBehavior"] not in ("at-most-one", "any")
    ]


def test_CI16_override_reasons_are_whole_codings(every: list[dict[str, Any]]) -> None:
    reasons = [r for c in every for r in c.get("overrideReasons", [])]
    assert reasons
    assert [] == [
        r for r in reasons if not all(text(r.get(name)) for name in ("code", "system", "display"))
    ]


def test_CI17_links_have_a_host_and_context_only_for_an_app(every: list[dict[str, Any]]) -> None:
    links = [link for c in every for link in c.get("links", [])]
    assert links
    for link in links:
        url = urlsplit(link["url"])
        assert text(link["label"]) and url.scheme in ("http", "https") and url.hostname
        assert link["type"] in ("absolute", "smart")
        assert link["type"] == "smart" or "appContext" not in link


@pytest.mark.parametrize(
    "name", [n for n, body in SITUATIONS.items() if body["hook"].startswith("order-")]
)
def test_CI18_actions_are_whole(service: Any, name: str) -> None:
    for card in cards(service, SITUATIONS[name]):
        for suggestion in card.get("suggestions", []):
            assert text(suggestion["label"]) and suggestion["actions"]
        for action in actions(card):
            assert text(action["description"])
            if action["type"] == "delete":
                assert re.fullmatch(r"[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}", action["resourceId"])
            else:
                assert action["type"] in ("create", "update")
                assert text(action["resource"]["resourceType"])


def test_CI18_there_are_actions_to_check(every: list[dict[str, Any]]) -> None:
    assert 10 < sum(len(actions(card)) for card in every)
