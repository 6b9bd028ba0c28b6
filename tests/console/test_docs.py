"""``/docs`` and ``/openapi.json``: every document and every endpoint is there, links lead on, and nothing is markup."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from cds_service.app import create_app
from cds_service.console.documents import documents, folder, search
from cds_service.console.openapi import SUMMARIES
from cds_service.settings import Settings
from tests.conformance.calls import call, ldn, listed
from tests.conftest import AS_OF

ROOT = Path(__file__).parents[2]
NAMES = sorted(f.relative_to(folder()).with_suffix("").as_posix() for f in folder().rglob("*.md"))


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    settings = Settings(data_dir=str(tmp_path_factory.mktemp("data")), metrics="on")
    return create_app(settings, now=lambda: AS_OF).test_client()


@pytest.fixture(scope="module")
def described(web: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = web.get("/openapi.json").json
    return found


# --- documents ----------------------------------------------------------------------------------------------------------


def test_every_document_is_a_page_of_bounded_size(web: FlaskClient) -> None:
    assert NAMES == sorted(documents())
    assert ROOT / "docs" == folder()
    page = web.get("/docs").text
    for name, document in documents().items():
        assert f'href="/docs/{name}"' in page
        for part in range(1, len(document.parts) + 1):
            answer = web.get(f"/docs/{name}?part={part}")
            assert (200, True) == (answer.status_code, len(answer.data) < 150_000), name


def test_every_link_between_documents_leads_to_its_heading(web: FlaskClient) -> None:
    followed = 0
    for document in documents().values():
        for part in document.parts:
            for href in re.findall(r'href="(/docs/[^"]+)"', part):
                path, _, anchor = href.partition("#")
                page = web.get(path)
                assert 200 == page.status_code, href
                assert not anchor or f'id="{anchor}"' in page.text, href
                followed += 1
    assert followed > 50


def test_a_document_has_no_markup_of_its_own() -> None:
    for document in documents().values():
        for part in document.parts:
            assert not re.search(r"<(?:script|img|iframe|style|object|form)", part)
            assert {"http", "https"} >= {
                href.partition(":")[0]
                for href in re.findall(r'href="([^"]*)"', part)
                if not href.startswith(("/docs/", "#"))
            }


def test_a_search_finds_sections_that_hold_every_word(web: FlaskClient) -> None:
    found = list(search("depot interval", list(documents().values())))
    assert found
    for hit in found:
        said = f"{hit.section.title} {hit.section.text}".lower()
        assert "depot" in said
        assert "interval" in said
        page = web.get(f"/docs/{hit.document.name}?part={hit.section.part + 1}").text
        assert f'id="{hit.section.anchor}"' in page
    assert [] == list(search("xyzzy depot", list(documents().values())))
    assert "Nothing found" in web.get("/docs?q=xyzzy").text


@pytest.mark.parametrize("query", ["%3Cscript%3E", "%00", "%ff", "x" * 5_000, "{{7*7}}"])
def test_whatever_is_searched_for_is_answered_and_inert(web: FlaskClient, query: str) -> None:
    answer = web.get(f"/docs?q={query}")
    assert 200 == answer.status_code
    assert "<script" not in answer.text


@pytest.mark.parametrize(
    "path", ["/docs/none", "/docs/../README", "/docs/settings?part=9", "/docs/%2e%2e/pyproject"]
)
def test_what_is_no_document_is_not_there(web: FlaskClient, path: str) -> None:
    assert 404 == web.get(path).status_code


# --- endpoints ----------------------------------------------------------------------------------------------------------


def test_every_endpoint_is_described_and_nothing_else(
    web: FlaskClient, described: dict[str, Any]
) -> None:
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in web.application.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    told = {(path, method) for path, found in described["paths"].items() for method in found}
    assert served == told
    assert set() == set(SUMMARIES) - {r.endpoint for r in web.application.url_map.iter_rules()}
    assert all(each["summary"] for path in described["paths"].values() for each in path.values())


def test_every_reference_resolves_and_every_schema_is_one(described: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, list):
            return [ref for one in node for ref in references(one)]
        if not isinstance(node, dict):
            return []
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return [*own, *(ref for value in node.values() for ref in references(value))]

    found = references(described)
    assert found
    for ref in found:
        node: Any = described
        for part in ref.removeprefix("#/").split("/"):
            node = node[part]
    for schema in described["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_what_is_answered_is_what_is_described(web: FlaskClient, described: dict[str, Any]) -> None:
    def check(name: str, answered: Any) -> None:
        whole = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
        assert [] == [error.message for error in Draft202012Validator(whole).iter_errors(answered)]

    body = call("order-sign", ldn(), meds=(listed(),))
    check("Request", body)
    check("Discovery", web.get("/cds-services").json)
    answer = web.post("/cds-services/naltrexone-order-sign", json=body).json
    check("Response", answer)
    card = answer["cards"][0]["uuid"]
    said = {"card": card, "outcome": "overridden", "outcomeTimestamp": "2026-11-21T12:00:00Z"}
    check("Feedback", {"feedback": [said]})
    check("OperationOutcome", web.post("/cds-services/none", json={}).json)
    with pytest.raises(AssertionError):
        check("Response", {"cards": [{}]})


def test_production_describes_only_what_it_serves(tmp_path: Path) -> None:
    settings = Settings(
        profile="production",
        data_dir=str(tmp_path),
        auth="off",
        public_base_url="https://cds.example.org",
        console=("docs",),
    )
    web = create_app(settings).test_client()
    found = web.get("/openapi.json").json
    assert "/play" not in found["paths"]
    assert [{"url": "https://cds.example.org"}] == found["servers"]


def test_production_has_neither_unless_it_is_named(tmp_path: Path) -> None:
    settings = Settings(
        profile="production",
        data_dir=str(tmp_path),
        auth="off",
        public_base_url="https://cds.example.org",
    )
    web = create_app(settings).test_client()
    assert [404] * 3 == [
        web.get(path).status_code for path in ("/docs", "/docs/settings", "/openapi.json")
    ]
