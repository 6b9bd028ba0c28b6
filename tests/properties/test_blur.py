"""Knowing one fact less never silences a warning about opioids and never adds the 1.5 mg start (specification section 8).

Every listed medicine of every vignette, in every release, loses one fact at a time (``blurs``): status, end, supply,
quantity, dose, name, code, display, system, date. Silence is neither an interaction card nor one about what could not be
read; an off-label note beside it says nothing about the opioid.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.properties.blurs import QUIET_KINDS, blurred
from tests.vignettes.builder import (
    GAP,
    INTERACTION,
    SECOND_EDITION,
    request,
    service_of,
    unsaid,
    vignettes,
)
from tests.vignettes.compare import Told, told
from tests.vignettes.releases import RELEASES, Json

RANK = {"info": 1, "warning": 2, "critical": 3}
CASES = [pytest.param(case, id=case["id"]) for case in vignettes(SECOND_EDITION) if case["meds"]]
OVER_HTTP = CASES[::12]


def asked(caller: Any, body: Json) -> tuple[Told, ...]:
    response = caller.post(f"/cds-services/{service_of(body['hook'])}", json=body)
    return told(response.json()["cards"], body) if response.status_code == 200 else ()


def loudness(cards: tuple[Told, ...], *topics: str) -> int:
    return max((RANK[card.indicator] for card in cards if card.topic in topics), default=0)


def starts(cards: tuple[Told, ...]) -> bool:
    return any(
        code == "START_1_5" or code.startswith("update(")
        for card in cards
        for code in card.suggestions
    )


def broken_promises(caller: Any, body: Json) -> Iterator[str]:
    """Each blur of this call that silences, quietens or starts what the whole call does not."""
    whole = asked(caller, body)
    was_warned = loudness(whole, INTERACTION) >= RANK["warning"]
    for less in blurred(body):
        cards = asked(caller, less.body)
        said = loudness(cards, INTERACTION, GAP)
        if was_warned and said == 0:
            yield f"{less.name}: silent"
        elif was_warned and less.kind in QUIET_KINDS and said < RANK["warning"]:
            yield f"{less.name}: below warning"
        if starts(cards) and not starts(whole):
            yield f"{less.name}: offers the start"


@pytest.mark.parametrize("case", CASES)
def test_less_knowledge_is_never_silence(case: Json, walk: Any) -> None:
    bodies = [
        (release, request(case, release, case["hook"]))
        for release in RELEASES
        if not unsaid(case, release, case["hook"])
    ]
    assert [] == [
        f"{release} {fault}" for release, body in bodies for fault in broken_promises(walk, body)
    ]


@pytest.mark.parametrize("case", OVER_HTTP)
def test_less_knowledge_is_never_silence_over_http(case: Json, service: Any) -> None:
    """A sample, as written, before the real server."""
    assert [] == [*broken_promises(service, request(case, case["fhir_version"], case["hook"]))]
