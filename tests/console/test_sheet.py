"""The transparency sheet: nothing on it is empty, its figures are those of this build, and facts are found by headings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.console.decision_table import decision_tables
from cds_service.content.loader import load
from cds_service.rules import RULES
from cds_service.settings import Settings
from tests import sheet_figures
from tests.conformance.calls import call, ldn, listed
from tests.conftest import AS_OF

# Where nothing is offered or noted, that is the fact.
MAY_BE_EMPTY = {"offers", "override_reasons", "note", "tables", "indicators", "cites", "numbers"}
FACTS = {  # what a committee looks for, and the headings that lead there
    "Intended user": "prescribe",
    "Inputs": "MedicationRequest",
    "Logic": "7 days",
    "What it does not do": "does not",
    "Known misses": "known gap",
    "Vignettes": r"\d+ of \d+",
    "CE mark": "No CE mark",
    "FDA criterion 4": "independently|basis|sheet",
    "Reviewer": "not reviewed",
    "Funding": "None known",
    "Versions": "content",
    "Risks": "Missed",
}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    settings = Settings(
        data_dir=str(tmp_path_factory.mktemp("data")), public_base_url="https://cds.example.org"
    )
    return create_app(settings, now=lambda: AS_OF).test_client()


def empty(found: Any, where: str = "") -> Iterator[str]:
    """Every member of a sheet that says nothing."""
    if isinstance(found, dict):
        for name, said in found.items():
            value = "".join(text for _, text in said) if name == "parts" else said
            if name not in MAY_BE_EMPTY or value:
                yield from empty(value, f"{where}/{name}")
        if not found:
            yield where
    elif isinstance(found, list):
        for number, value in enumerate(found):
            yield from empty(value, f"{where}/{number}")
        if not found:
            yield where
    elif found is None or (isinstance(found, str) and not found.strip()):
        yield where


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_no_field_of_a_sheet_is_empty(web: FlaskClient, rule) -> None:
    sheet = web.get(f"/rules/{rule.id}.json").json
    assert [] == list(empty(sheet))
    assert all(line["cites"] for line in sheet["lines"])
    assert (4, 13) == (len(sheet["service"]["fda"]), len(sheet["attributes"]))
    assert {d["situation"] for d in sheet["decisions"]} == set(rule.situations)


def test_an_empty_field_would_be_seen() -> None:
    assert ["/a/0", "/b", "/c/d"] == list(
        empty({"a": [" "], "b": [], "c": {"d": None}, "note": ""})
    )


def test_the_figures_are_those_of_this_build() -> None:
    """``python -m tests.sheet_figures`` writes them anew."""
    assert json.loads(sheet_figures.FILE.read_text(encoding="utf-8")) == sheet_figures.figures()


def test_the_tables_say_what_the_clinical_specification_says() -> None:
    """Cells of specification 2.5 by the days in force."""
    a, b = (dict(table.rows) for table in decision_tables(load().thresholds(AS_OF.date())))
    assert "critical to 6, warning 7-9, then none" == a["Short-acting opioid"][-1]
    assert "critical to 13, then none" == a["Long-acting opioid, methadone, buprenorphine"][-1]
    assert "critical to 41, warning 42-180, then none" == a["Monthly buprenorphine depot"][-1]
    assert "warning to 2, info 3-13, then none" == b["Naltrexone by mouth, labelled dose"][-1]
    assert "critical to 30, warning 31-60, then none" == b["Naltrexone injection"][-1]
    assert ("critical", "warning", "warning", "info", "warning") == b["Naltrexone implant"][:5]


def test_a_table_follows_its_numbers() -> None:
    limits = dict(load().thresholds(AS_OF.date()))
    limits["long_acting_days"] = 21
    rows = dict(decision_tables(limits)[0].rows)
    assert "critical to 20, then none" == rows["Long-acting opioid, methadone, buprenorphine"][-1]


class Headings(HTMLParser):
    """The text below each heading, up to the next one: all that a reader who follows headings sees."""

    def __init__(self) -> None:
        super().__init__()
        self.below: dict[str, str] = {}
        self._title, self._inside = "", False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if re.fullmatch("h[1-6]", tag):
            self._title, self._inside = "", True

    def handle_endtag(self, tag: str) -> None:
        if re.fullmatch("h[1-6]", tag):
            self._inside = False
            self.below[self._title] = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self._title += data
        elif self._title:
            self.below[self._title] += data


def test_a_committee_finds_its_facts_by_headings_alone(web: FlaskClient) -> None:
    reader = Headings()
    reader.feed(web.get("/rules/naltrexone-opioid-interaction").text)
    found = {
        fact: next((text for title, text in reader.below.items() if title.startswith(fact)), "")
        for fact in FACTS
    }
    assert [] == [fact for fact, words in FACTS.items() if not re.search(words, found[fact])]


def test_the_source_of_every_card_leads_to_its_sheet(web: FlaskClient) -> None:
    body = call("order-sign", ldn(), meds=(listed(),))
    cards = web.post("/cds-services/naltrexone-order-sign", json=body).json["cards"]
    assert cards
    for card in cards:
        topic = card["source"]["topic"]["code"]
        assert f"https://cds.example.org/rules/{topic}" == card["source"]["url"]
        assert 200 == web.get(f"/rules/{topic}").status_code


def test_words_of_a_site_are_inert_on_its_sheets(tmp_path) -> None:
    """An overlay's words may hold anything that the schema lets through."""
    evil = "&lt;{{7*7}} <script>alert(1)</script>"
    said = {
        "title": evil,
        "reviewed_by": evil,
        "reviewed_on": evil,
        "changes": [{"date": evil, "what": evil}],
    }
    (tmp_path / "naltrexone-dose-check.yaml").write_text(json.dumps(said), encoding="utf-8")
    (tmp_path / "sources.yaml").write_text(json.dumps({"label-oral": {"title": evil}}))
    settings = Settings(data_dir=str(tmp_path / "var"), content_overlay=str(tmp_path))
    app = create_app(settings, now=lambda: AS_OF)
    assert () == app.extensions["naltrexone_cds"].overlay_refused
    for path in ("/rules/naltrexone-dose-check", "/rules/", "/"):
        page = app.test_client().get(path).text
        assert "<script>alert" not in page
        assert "&lt;49" not in page
    assert "&lt;script&gt;alert(1)" in app.test_client().get("/rules/naltrexone-dose-check").text
