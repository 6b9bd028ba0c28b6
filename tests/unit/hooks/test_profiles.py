"""What each client is asked to send along, and what its answer then cannot show (specification 2.4, 2.11)."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from cds_service.hooks.prefetch import Record, SearchAnswer, missing, read_answer
from cds_service.hooks.profiles import PROFILES
from cds_service.hooks.services import SERVICES, discovery
from cds_service.model import GAP_ABOUT, GAP_WHY, Gap, Release
from cds_service.pipeline import Engine, answer
from cds_service.settings import Client
from cds_service.web.admission import make_admit
from cds_service.web.hooks import HookDesk, HookPorts, make_hooks
from tests.security.keys import BASE, Entrance, ehr, settings, token

TOKEN = re.compile(r"\{\{(.*?)\}\}")
LISTS = (
    "medicationRequests",
    "medicationStatements",
    "medicationDispenses",
    "medicationAdministrations",
)


def asked(profile: str, hook: str = "order-sign") -> dict[str, str]:
    return SERVICES[f"naltrexone-{hook}"].prefetch_for(profile)


def test_the_default_asks_for_everything_in_tokens_of_every_version() -> None:
    assert asked("undated") == SERVICES["naltrexone-order-sign"].prefetch
    assert discovery() == discovery(profile="undated")


@pytest.mark.parametrize(
    ("profile", "tokens"),
    [("undated", set()), ("status", set()), ("full", set()), ("dated", {"today() - 545 days"})],
)
@pytest.mark.parametrize("hook", ["order-sign", "medication-refill"])
def test_only_the_dated_profile_needs_tokens_that_old_clients_cannot_fill(
    profile: str, tokens: set[str], hook: str
) -> None:
    used = {token for query in asked(profile, hook).values() for token in TOKEN.findall(query)}
    assert tokens == used - {"context.patientId", "context.encounterId"}


def test_a_profile_asks_for_the_same_lists_and_narrows_some() -> None:
    for profile in PROFILES.values():
        queries = asked(profile.name)
        assert {*asked("undated"), *profile.more} == {*queries}
        narrowed = {key for key in asked("undated") if queries[key] != asked("undated")[key]}
        assert {*profile.narrowed} == narrowed
        assert all(queries[key].startswith(asked("undated")[key] + "&") for key in narrowed)


def test_only_the_full_profile_asks_for_laboratory_results_and_procedures() -> None:
    assert {"observations", "procedures"} == {*asked("full")} - {*asked("undated")}
    assert asked("full")["procedures"] == "Procedure?patient={{context.patientId}}"


def answers(**states: str) -> Record:
    found = {key: SearchAnswer(key, "answered") for key in ("patient", "conditions", *LISTS)}
    return Record(
        {**found, **{key: SearchAnswer(key, state, why="timeout") for key, state in states.items()}}
    )


@pytest.mark.parametrize(
    ("profile", "unseen"),
    [
        ("undated", []),
        ("full", []),
        (
            "status",
            [
                ("medicationRequests", "finished-not-asked"),
                ("medicationStatements", "finished-not-asked"),
            ],
        ),
        ("dated", [(key, "older-not-asked") for key in LISTS if key != "medicationStatements"]),
    ],
)
def test_what_a_profile_cannot_see_is_a_gap(profile: str, unseen: list[tuple[str, str]]) -> None:
    assert [Gap(*gap) for gap in unseen] == [*missing(answers(), Release.R4, False, profile)]
    assert all(about in GAP_ABOUT and why in GAP_WHY for about, why in unseen)


def test_what_we_asked_for_ourselves_is_whole() -> None:
    fetched = Record(
        {key: SearchAnswer(key, "answered", fetched=True) for key in answers().answers}
    )
    assert [] == [*missing(fetched, Release.R4, False, "status")]


def test_laboratory_results_are_a_gap_only_where_they_were_tried() -> None:
    assert [] == [*missing(answers(), Release.R4, False, "full")]
    tried = answers(observations="failed", procedures="answered")
    assert [Gap("observations", "timeout")] == [*missing(tried, Release.R4, False)]


def test_a_search_that_is_answered_by_something_else_failed() -> None:
    """Also one of the further searches."""
    assert "failed" == read_answer("procedures", {"resourceType": "Procedure"}).state


def test_the_gap_of_a_profile_reaches_the_answer(engine: Engine) -> None:
    body = {
        "hook": "order-sign",
        "hookInstance": "i",
        "context": {
            "patientId": "p",
            "draftOrders": {
                "resourceType": "Bundle",
                "entry": [
                    {
                        "resource": {
                            "resourceType": "MedicationRequest",
                            "id": "n",
                            "status": "draft",
                            "medicationCodeableConcept": {"text": "naltrexone 50 mg tablet"},
                        }
                    }
                ],
            },
        },
        "prefetch": {
            key: {"resourceType": "Bundle", "entry": []} for key in (*LISTS, "conditions")
        },
    }
    client = Client(issuer="https://ehr.example.org", prefetch_profile="status")
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    service = SERVICES["naltrexone-order-sign"]
    found = [
        answer(json.loads(json.dumps(body)), service, engine, now, client=who).snapshot.gaps
        for who in (None, client)
    ]
    assert Gap("medicationRequests", "finished-not-asked") not in found[0]
    assert Gap("medicationRequests", "finished-not-asked") in found[1]


@pytest.mark.parametrize(
    ("said", "profile"),
    [
        ({}, "undated"),
        ({"aud": f"{BASE}/cds-services"}, "full"),
        ({"aud": f"{BASE}/cds-services", "iss": "https://x"}, "undated"),
        ({"aud": "https://elsewhere"}, "undated"),
        ({"aud": f"{BASE}/cds-services", "exp": 1}, "undated"),
    ],
)
def test_discovery_answers_by_the_profile_of_the_client_that_asks(
    tmp_path: Path, engine: Engine, said: dict[str, Any], profile: str
) -> None:
    """Discovery stays open: a token that would not be let in elsewhere gets the default."""
    clients = (
        ehr(prefetch_profile="full"),
        ehr(issuer="https://other.example.com", name="another"),
    )
    mine = settings(*clients)
    admit = make_admit(mine, Entrance(tmp_path, *clients).authentication)
    app = Flask("test")
    app.register_blueprint(
        make_hooks(HookDesk(engine, mine, HookPorts(now=lambda: datetime.now(UTC), admit=admit)))
    )
    headers = {"Authorization": f"Bearer {token(**said)}"} if said else {}
    told = app.test_client().get("/cds-services", headers=headers)
    assert (200, discovery(profile=profile)) == (told.status_code, told.get_json())
