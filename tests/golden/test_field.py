"""Bodies from the field get the right answer of their README, as of the day they were written for.

``field_expected.yaml`` holds the README's third column as data; the last test holds the two together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from cds_service.pipeline import Engine
from tests.properties.in_process import InProcess
from tests.vignettes.compare import Told, plain, says, told
from tests.vignettes.releases import Json

FIELD = Path(__file__).parents[2] / "fhir_fixtures" / "requests" / "field"
EXPECTED: dict[str, list[list[Json]]] = yaml.safe_load(
    Path(__file__).with_name("field_expected.yaml").read_text(encoding="utf-8")
)
AS_OF = datetime(2026, 11, 25, 12, tzinfo=UTC)


def body_of(name: str) -> Json:
    return json.loads((FIELD / f"{name}.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def faults(answer: list[Json], cards: tuple[Told, ...]) -> Iterator[str]:
    """How the cards differ from one right answer; nothing if they are it."""
    topics = [card.topic.removeprefix("naltrexone-") for card in cards]
    wanted = [card["topic"] for card in answer]
    if sorted(topics) != sorted(wanted):
        yield f"cards should be {sorted(wanted)}, are {sorted(topics)}"
        return
    for expected in answer:
        yield from card_faults(expected, cards[topics.index(expected["topic"])])


def card_faults(expected: Json, card: Told) -> Iterator[str]:
    topic = expected["topic"]
    if expected["indicator"] != card.indicator:
        yield f"{topic} should be {expected['indicator']}, is {card.indicator}"
    for words in expected.get("says", ()):
        if not any(plain(each) in card.words for each in words.split("|")):
            yield f"{topic} does not name {words!r}"
    yield from (
        f"{topic} says {words!r}" for words in expected.get("never", ()) if says(card.words, words)
    )
    if "recommended" in expected and (expected["recommended"],) != card.recommended:
        yield f"{topic} should recommend {expected['recommended']}, recommends {card.recommended}"
    changes = [
        code for code in card.suggestions if code == "START_1_5" or code.startswith("update(")
    ]
    if "start" in expected and changes != (["START_1_5"] if expected["start"] else []):
        yield f"{topic} should {'' if expected['start'] else 'not '}offer START_1_5, offers {card.suggestions}"


@pytest.mark.parametrize("name", EXPECTED)
def test_a_body_from_the_field_gets_the_right_answer(name: str, engine: Engine) -> None:
    """Status 200, exactly the cards of one of its right answers, naming and offering what it says."""
    body = body_of(name)
    response = InProcess(engine, AS_OF).post(f"/cds-services/naltrexone-{body['hook']}", json=body)
    assert 200 == response.status_code, response.text
    cards = told(response.json()["cards"], body)
    found = [[*faults(answer, cards)] for answer in EXPECTED[name]]
    assert [] in found, found


ROW = re.compile(r"\| `(?P<name>[^`]+)\.json` \| [^|]+ \| (?P<answer>[^|]+) \|")


def in_words(card: Json) -> list[str]:
    """What the README must say where the data say this card."""
    words = [
        f"{card['topic']} {card['indicator']}",
        *card.get("says", ()),
        *(f"'{each}'" for each in card.get("never", ())),
    ]
    if "recommended" in card:
        words.append(f"recommending {card['recommended']}")
    if "start" in card:
        words.append("offering START_1_5" if card["start"] else "(no START)")
    return words


def test_the_data_say_what_the_readme_says() -> None:
    """Every file has a row, every row its data, with the same cards and words, and nothing is expected beside them."""
    rows = {
        m["name"]: m["answer"]
        for m in ROW.finditer((FIELD / "README.md").read_text(encoding="utf-8"))
    }
    assert sorted(rows) == sorted(EXPECTED) == sorted(path.stem for path in FIELD.glob("*.json"))
    for name, answers in EXPECTED.items():
        cards = [card for answer in answers for card in answer]
        assert [] == [w for card in cards for w in in_words(card) if w not in rows[name]], name
        assert len(re.findall(r"\b(?:critical|warning|info)\b", rows[name])) == len(cards), name
        assert ([[]] == answers) == (rows[name] == "200 and no card"), name


def card(**more: Any) -> Told:
    facts = {
        "topic": "naltrexone-off-label",
        "indicator": "info",
        "words": "naltrexone is not for you. an nsaid.",
        "suggestions": (),
        "recommended": (),
        "link": False,
        **more,
    }
    return Told(**facts)


@pytest.mark.parametrize(
    ("expected", "cards", "count"),
    [
        (
            [{"topic": "off-label", "indicator": "info", "says": ["x|naltrexone"], "start": False}],
            (card(),),
            0,
        ),
        ([], (card(),), 1),
        ([{"topic": "off-label", "indicator": "info"}], (card(), card()), 1),
        ([{"topic": "off-label", "indicator": "warning"}], (card(),), 1),
        ([{"topic": "off-label", "indicator": "info", "says": ["oxycodone"]}], (card(),), 1),
        (
            [{"topic": "off-label", "indicator": "info", "never": ["for you", "nsaid"]}],
            (card(),),
            1,
        ),
        ([{"topic": "off-label", "indicator": "info", "start": True}], (card(),), 1),
        (
            [{"topic": "off-label", "indicator": "info", "start": False}],
            (card(suggestions=("START_1_5",)),),
            1,
        ),
        (
            [{"topic": "off-label", "indicator": "info", "start": False}],
            (card(suggestions=("update(X/1)",)),),
            1,
        ),
        ([{"topic": "off-label", "indicator": "info", "recommended": "HOLD_NTX"}], (card(),), 1),
    ],
)
def test_a_wrong_answer_has_faults(
    expected: list[Json], cards: tuple[Told, ...], count: int
) -> None:
    """Each kind of departure is found, and the right answer has none."""
    assert count == len([*faults(expected, cards)])
