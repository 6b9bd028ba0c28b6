"""The open pages: what stands on them is what runs, nothing of a caller's gets in, and they can be read by anybody."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.content.loader import load
from cds_service.rules import RULES
from cds_service.settings import Settings
from tests.conftest import AS_OF

RULE_PAGES = [f"/rules/{rule.id}" for rule in RULES]
PAGES = ["/", "/rules/", *RULE_PAGES]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return create_app(
        Settings(data_dir=str(tmp_path_factory.mktemp("data"))), now=lambda: AS_OF
    ).test_client()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_small_whole_and_asks_nobody_else(web: FlaskClient, path: str) -> None:
    answer = web.get(path)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert len(answer.data) < 150_000
    assert "script" not in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert not re.findall(r"<(?:script|iframe|img|link [^>]*href=\"https?:)", answer.text)
    assert "{{" not in answer.text
    assert "{%" not in answer.text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_page_holds_every_wording_number_and_source(web: FlaskClient, rule) -> None:
    content, sheet, page = (
        load(),
        web.get(f"/rules/{rule.id}.json").json,
        web.get(f"/rules/{rule.id}").text,
    )
    card = content.cards[rule.id]
    assert [w["key"] for w in sheet["summaries"]] == list(card.summaries)
    assert [w["key"] for w in sheet["lines"]] == list(card.lines)
    assert {n["name"] for n in sheet["numbers"]} == {
        name.split(".")[0] for name in rule.thresholds
    } & set(content.threshold_history)
    cited = {source for ids in card.cites.values() for source in ids}
    assert cited & set(content.sources) <= {source["id"] for source in sheet["sources"]}
    assert all(f'id="source-{source["id"]}"' in page for source in sheet["sources"])
    assert all(f"<code>{key}</code>" in page for key in map(_escaped, card.summaries))


def test_every_link_of_every_page_leads_somewhere(web: FlaskClient) -> None:
    for path in PAGES:
        text = web.get(path).text
        for href in re.findall(r'href="([^"]+)"', text):
            if href.startswith("#"):
                assert f'id="{href[1:]}"' in text, (path, href)
            elif href.startswith("/"):
                assert web.get(href).status_code in {200, 503}, (path, href)


@pytest.mark.parametrize("path", ["/rules/x", "/rules/%3Cscript%3E", "/rules/.json", "/rules/a/b"])
def test_what_is_not_there_is_said_in_words_of_ours(web: FlaskClient, path: str) -> None:
    answer = web.get(path)
    assert answer.status_code == 404
    assert b"<script" not in answer.data


def test_the_production_profile_has_them_too(tmp_path) -> None:
    settings = Settings(
        profile="production",
        data_dir=str(tmp_path),
        auth="off",
        public_base_url="https://cds.example.org",
    )
    web = create_app(settings, now=lambda: AS_OF).test_client()
    assert web.get("/").status_code == 200
    assert "Demo profile" not in web.get("/").text


def _escaped(key: str) -> str:
    return key.replace("&", "&amp;").replace("<", "&lt;")
