"""A number is written once: moved in its table, it is moved on every card, label and suggestion."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from cds_service import pipeline
from cds_service.content import loader
from cds_service.content.loader import Content
from cds_service.content.words import TemplateError, fill, numbers, placeholders
from cds_service.hooks.services import SERVICES
from tests.conformance.calls import call, dosage, ldn
from tests.conftest import AS_OF

CONTENT = loader.load()
NUMBER = re.compile(r"(?<![A-Za-z0-9.])\d+(?:[.,]\d+)*")
# What a cited study found or a cited article says, word for word: it does not move with a number that decides.
CITED = {
    "naltrexone-off-label: lines/evidence": {"31", "67", "6", "99", "7", "406"},
    "naltrexone-opioid-interaction: lines/micro": {"2", "4", "1,000"},
}


def leaves(values: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The placeholder of every number."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{name}.")
        elif not isinstance(value, list):
            yield f"{path}{name}"


LEAVES = [*leaves(CONTENT.thresholds(AS_OF.date()))]


def moved(to: Mapping[str, float]) -> Content:
    """The content with some numbers changed."""
    titration = {
        group: changed(histories, to, f"{group}.")
        for group, histories in CONTENT.titration_history.items()
    }
    return replace(
        CONTENT,
        threshold_history=changed(CONTENT.threshold_history, to),
        titration_history=titration,
    )


def changed(
    histories: Mapping[str, Any], to: Mapping[str, float], path: str = ""
) -> dict[str, Any]:
    return {
        name: [{**entries[-1], "value": put(entries[-1]["value"], to, f"{path}{name}")}]
        for name, entries in histories.items()
    }


def put(value: Any, to: Mapping[str, float], path: str) -> Any:
    if isinstance(value, Mapping):
        return {name: put(part, to, f"{path}.{name}") for name, part in value.items()}
    return to.get(path, value)


def texts(content: Content) -> Iterator[tuple[str, str]]:
    """Every text that may reach a card, with its place."""
    for name, card in content.cards.items():
        yield from ((f"{name}: summaries/{key}", text) for key, text in card.summaries.items())
        yield from ((f"{name}: lines/{key}", text) for key, text in card.lines.items())
    for key, value in content.shared.items():
        parts = value.items() if isinstance(value, Mapping) else [("", value)]
        yield from ((f"shared: {key}/{part}", text) for part, text in parts)


def printed(content: Content) -> dict[str, str]:
    """Every text as a card prints it, its facts aside."""
    filled = content.numbers(AS_OF.date())
    return {
        place: fill(text, dict.fromkeys(placeholders(text) - set(filled), "..."), filled)
        for place, text in texts(content)
    }


BEFORE = printed(CONTENT)


def test_every_number_on_a_card_is_a_placeholder_or_cited() -> None:
    """With all numbers moved at once, no text shows one that is neither new nor a study's own."""
    fresh = count(70_001)
    after = moved({leaf: next(fresh) for leaf in LEAVES})
    new = set(after.numbers(AS_OF.date()).values())
    left = {
        place: shown
        for place, text in printed(after).items()
        if (shown := set(NUMBER.findall(text)) - new - CITED.get(place, set()))
    }
    assert {} == left


def test_what_is_cited_is_still_said() -> None:
    """The list of exceptions holds no more than it must."""
    assert CITED == {
        place: {n for n in NUMBER.findall(BEFORE[place]) if n in found}
        for place, found in CITED.items()
    }


@pytest.mark.parametrize("name", LEAVES)
def test_a_number_that_is_moved_is_moved_wherever_it_is_printed(name: str) -> None:
    """Each text that prints it says the new number as often as it said the old one; all others stay as they are."""
    after = printed(other := moved({name: 70_001}))
    for place, text in texts(CONTENT):
        uses = {n for n in placeholders(text) if n in {name, name.replace("_days", "_hours")}}
        assert (BEFORE[place] == after[place]) is not bool(uses)
        assert all(other.numbers(AS_OF.date())[use] in after[place] for use in uses)


def test_numbers_are_printed_without_trailing_zeros_and_days_in_hours_too() -> None:
    shown = numbers({"a_days": 3, "b": {"x_days": 1.5, "y": 10.0, "z": Decimal("0.10")}, "c": 100})
    assert {
        "a_days": "3",
        "a_hours": "72",
        "b.x_days": "1.5",
        "b.x_hours": "36",
        "b.y": "10",
        "b.z": "0.1",
        "c": "100",
    } == shown


@pytest.mark.parametrize(
    "template",
    ["{", "}", "{}", "{0}", "{a!r}", "{a:>5}", "{a.}", "{a..b}", "{a.0}", "{a[0]}", "{A}", "{a b}"],
)
def test_a_template_holds_plain_placeholders_only(template: str) -> None:
    with pytest.raises(TemplateError):
        placeholders(template)


def test_a_value_with_braces_is_only_text() -> None:
    assert "{b} and 2" == fill("{a} and {b}", {"a": "{b}", "b": "2"})


# --- what a press writes ------------------------------------------------------------------------------------------------


def started(content: Content, engine: pipeline.Engine) -> Any:
    """The suggestion to start low, for 4.5 mg from the first day."""
    body = call("order-sign", ldn(dose=dosage(4.5, "mg")))
    body["prefetch"]["medicationRequests"] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 0,
    }
    outcome = pipeline.answer(
        body, SERVICES["naltrexone-order-sign"], replace(engine, content=content), AS_OF
    )
    (card,) = [card for card in outcome.cards if "suggestions" in card]
    return card["suggestions"][0]


def test_a_start_dose_that_is_moved_is_written_into_the_order_and_its_words(
    engine: pipeline.Engine,
) -> None:
    suggestion = started(moved({"schedules.A.start_mg": 0.75, "schedules.A.step_days": 10}), engine)
    resource = suggestion["actions"][0]["resource"]
    (sig,) = resource["dosageInstruction"]
    dose, bounds = sig["doseAndRate"][0]["doseQuantity"], sig["timing"]["repeat"]["boundsDuration"]
    assert (0.75, 10, 10) == (
        dose["value"],
        bounds["value"],
        resource["dispenseRequest"]["quantity"]["value"],
    )
    said = json.dumps(
        [
            suggestion["label"],
            suggestion["actions"][0]["description"],
            sig["text"],
            resource["medicationCodeableConcept"]["text"],
        ]
    )
    assert (4, 0, 0) == (said.count("0.75 mg"), said.count("1.5 mg"), said.count("14 days"))
    assert "1.5 mg" in started(CONTENT, engine)["label"]
