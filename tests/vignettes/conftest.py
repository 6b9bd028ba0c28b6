"""``answered``: the cards of one hook call, judged in-process by the whole pipeline."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from zoneinfo import ZoneInfo

import pytest

from cds_service import terminology
from cds_service.content import loader as content
from cds_service.hooks.services import SERVICES
from cds_service.pipeline import Engine, answer
from tests.vignettes.builder import NOW, service_of
from tests.vignettes.releases import Json


@pytest.fixture(scope="session")
def answered() -> Callable[[Json], list[Json]]:
    """A hook call body in, its cards out, both as JSON would carry them; a rule that broke fails the test."""
    ids = (f"00000000-0000-4000-8000-{number:012d}" for number in count())
    engine = Engine(
        terminology.load(),
        content.load(),
        ZoneInfo("UTC"),
        "https://cds.example.org",
        lambda: next(ids),
    )

    def cards(body: Json) -> list[Json]:
        sent = json.loads(json.dumps(body))
        outcome = answer(sent, SERVICES[service_of(body["hook"])], engine, NOW)
        assert [] == [
            (verdict.rule, verdict.error) for verdict in outcome.verdicts if verdict.error
        ]
        return json.loads(json.dumps(outcome.response["cards"]))  # type: ignore[no-any-return]

    return cards
