"""``/use``: its numbers are those of the export, small ones are hidden, and it is shut without an identity."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cds_service import clinical
from cds_service import settings as configuration
from cds_service.app import create_app
from cds_service.cli.use import fill
from cds_service.console.use_demo import invent
from cds_service.console.use_report import FEW, HIDDEN, Chosen, Row, hide, override_rate, report
from cds_service.console.use_report import rows as rows_of
from cds_service.journal.export import export_audit, export_feedback
from cds_service.journal.use import Fact, UseTally
from cds_service.rules import RULES
from cds_service.settings import Client, Settings
from cds_service.settings.model import Use
from cds_service.store.read_only import open_to_read
from tests.conftest import AS_OF

CALLS = 1_500


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A demo store with invented use."""
    settings = Settings(data_dir=str(tmp_path_factory.mktemp("use")))
    content = clinical.load().content
    fill(settings, list(invent(RULES, content, AS_OF, calls=CALLS, weeks=12, seed=7)))
    return settings


@pytest.fixture(scope="module")
def web(filled: Settings) -> FlaskClient:
    return create_app(filled, now=lambda: AS_OF).test_client()


def facts_of(settings: Settings) -> dict[Fact, int]:
    with open_to_read(settings.database) as store:
        return dict(UseTally(store, lambda issuer, _tenant: issuer).facts())


def total(facts: dict[Fact, int], kind: str, **members: str) -> int:
    return sum(
        n
        for fact, n in facts.items()
        if fact.kind == kind and all(getattr(fact, k) == v for k, v in members.items())
    )


def test_the_counts_are_those_of_the_exports(filled: Settings) -> None:
    facts = facts_of(filled)
    with open_to_read(filled.database) as store:
        feedback = json.loads("".join(export_feedback(store, "json")))
        events = json.loads("".join(export_audit(store, "json")))
    calls = [event for event in events if event["kind"] == "call"]
    cards = [card for event in calls for card in event["cards"]]
    assert len(calls) == total(facts, "call") >= CALLS
    assert sum(c["shown"] for c in cards) == total(facts, "shown")
    assert sum(not c["shown"] for c in cards) == total(facts, "silenced")
    assert sum(len(event["gaps"]) for event in calls) == total(facts, "gap")
    assert sum(event.get("unknown_names", 0) for event in calls) == total(facts, "unknown") > 0
    told = Counter((item["outcome"], item["shown"]["rule"]) for item in feedback)
    for rule in RULES:
        for outcome in ("accepted", "overridden"):
            assert told[outcome, rule.id] == total(facts, outcome, rule=rule.id), (outcome, rule.id)
    reasons = Counter(
        item.get("overrideReason", {}).get("reason", {}).get("code", "no reason given")
        for item in feedback
        if item["outcome"] == "overridden"
    )
    assert reasons == {word: total(facts, "overridden", word=word) for word in reasons}
    assert total(facts, "repeat") > 0


def test_a_second_look_counts_only_what_is_new(filled: Settings, tmp_path: Path) -> None:
    settings = replace(filled, data_dir=str(tmp_path))
    content = clinical.load().content
    early = list(invent(RULES, content, AS_OF - timedelta(weeks=20), calls=200, weeks=4, seed=1))
    late = list(invent(RULES, content, AS_OF, calls=200, weeks=4, seed=2))
    fill(settings, early)
    with open_to_read(settings.database) as store:
        tally = UseTally(store, lambda issuer, _tenant: issuer)
        before = dict(tally.facts())
        assert before == dict(tally.facts())
        fill(settings, late)
        assert len(early) < total(dict(tally.facts()), "call") == len(early) + len(late)
        assert dict(tally.facts()) == facts_of(settings)


def test_the_page_shows_these_numbers(web: FlaskClient, filled: Settings) -> None:
    facts = facts_of(filled)
    page = web.get("/use?weeks=13").text
    assert f"<dd>{total(facts, 'shown'):,}</dd>" in page
    assert f"<dd>{total(facts, 'overridden'):,}</dd>" in page
    assert len(page) < 150_000
    assert page.count("<svg") == 2


def test_a_choice_leaves_only_what_was_chosen(web: FlaskClient, filled: Settings) -> None:
    rule, facts = RULES[0].id, facts_of(filled)
    answer = web.get(f"/use.csv?rule={rule}&weeks=26")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert {rule, ""} == {line["rule"] for line in lines}
    shown = [line["count"] for line in lines if line["kind"] == "shown"]
    assert len(shown) == sum(fact.kind == "shown" and fact.rule == rule for fact in facts)
    assert not {"1", "2", "3", "4"} & {line["count"] for line in lines}


@pytest.mark.parametrize("query", ["weeks=-1", "weeks=9e9", "rule=%3Cscript%3E", "client=%00"])
def test_whatever_is_asked_for_is_answered(web: FlaskClient, query: str) -> None:
    for path in ("/use", "/use/events", "/use.csv"):
        answer = web.get(f"{path}?{query}")
        assert 200 == answer.status_code
        assert b"<script" not in answer.data


def test_single_events_name_no_person(web: FlaskClient) -> None:
    page = web.get("/use/events?weeks=26").text
    assert page.count("<tr>") > 50
    assert "demo-patient" not in page
    assert "demo-prescriber" not in page


def test_small_numbers_are_hidden_and_so_is_what_would_give_them_away() -> None:
    assert ["100", HIDDEN, FEW] == hide([100, 50, 3])
    assert ["100", FEW, FEW, "0"] == hide([100, 2, 3, 0])
    assert ["7", "5", "0"] == hide([7, 5, 0])
    assert [FEW] == hide([1])
    assert None is override_rate({"accepted": 1, "overridden": 50})
    assert 80 == override_rate({"accepted": 10, "overridden": 40})


def test_a_chart_draws_no_number_that_its_table_hides() -> None:
    monday = date(2026, 11, 16)
    counts = {"r1": (9, 3, 9), "r2": (40, 20, 20), "r3": (50, 20, 20)}
    facts = {
        Fact(monday, kind, "c", "order-sign", rule, "critical", "v", "x"): n
        for rule, numbers in counts.items()
        for kind, n in zip(("shown", "accepted", "overridden"), numbers, strict=True)
    }
    made = report(facts, Chosen(), AS_OF.date(), {}, {})
    by_rule = next(table for table in made.tables if table.title == "By rule")
    assert ("r1", "9", "0", FEW, "9", "0", "–") == by_rule.rows[2]
    assert HIDDEN in {row[3] for row in by_rule.rows}
    drawn = {bar.name: bar.part for bar in made.rates}
    assert {"–" if n is None else f"{n} %" for n in drawn.values()} == {r[6] for r in by_rule.rows}
    assert None is drawn["r1"]
    assert [Row("r3", {"shown": 50, "accepted": 20, "overridden": 20})] == rows_of(
        facts, lambda f: f.rule
    )[:1]


# --- who may look -------------------------------------------------------------------------------------------------------

HEADER = "X-Forwarded-User"


def production(filled: Settings, use: Use, **more: object) -> FlaskClient:
    settings = replace(
        filled,
        profile="production",
        auth="hooks",
        public_base_url="https://cds.example.org",
        clients=(Client("https://ehr.example.org"),),
        use=use,
        **more,
    )
    return create_app(settings, now=lambda: AS_OF).test_client()


def test_production_has_no_such_page_unless_it_is_set_up(filled: Settings) -> None:
    web = production(filled, Use())
    assert [404] * 3 == [web.get(path).status_code for path in ("/use", "/use/events", "/use.csv")]


@pytest.mark.parametrize("behind_proxy", [False, True])
def test_production_shows_it_to_whom_the_proxy_names(filled: Settings, behind_proxy: bool) -> None:
    use = Use(HEADER, ("10.0.0.0/8",), viewers=("ada",), analysts=("ben",))
    web = production(filled, use, trusted_proxy=behind_proxy)
    paths = ("/use", "/use/events", "/use.csv")

    def seen(peer: str, **headers: str) -> list[int]:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        return [
            web.get(path, headers=said, environ_base={"REMOTE_ADDR": peer}).status_code
            for path in paths
        ]

    assert [200, 403, 403] == seen("10.1.1.1", X_Forwarded_User="ada")
    assert [200, 200, 200] == seen("10.1.1.1", X_Forwarded_User="ben")
    assert [403] * 3 == seen("10.1.1.1", X_Forwarded_User="eve")
    assert [403] * 3 == seen("10.1.1.1", X_Forwarded_User="eve,ben")
    assert [401] * 3 == seen("10.1.1.1")
    assert [401] * 3 == seen("192.0.2.7", X_Forwarded_User="ben")
    assert [401] * 3 == seen("192.0.2.7", X_Forwarded_User="ben", X_Forwarded_For="10.1.1.1")
    assert [200] * 3 == seen("10.1.1.1", X_Forwarded_User="ben", X_Forwarded_For="192.0.2.7")


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (Use(viewers=("a",)), "mean nothing without identity_header"),
        (Use("X User", viewers=("a",)), "not the name of a header"),
        (Use(HEADER), "needs viewers or analysts"),
        (Use(HEADER, (), viewers=("a",)), "needs the address of the proxy"),
        (Use(HEADER, ("0.0.0.0/0",), viewers=("a",)), "is everywhere"),
        (Use(HEADER, ("proxy",), viewers=("a",)), "is no address or network"),
    ],
)
def test_settings_that_would_open_or_shut_it_are_refused(use: Use, said: str) -> None:
    assert any(said in line for line in configuration.complaints(Settings(use=use)))
