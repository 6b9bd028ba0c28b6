"""Browser calls as the CDS Hooks sandbox makes them: another origin, a preflight, and every answer readable."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Page
from werkzeug.serving import make_server

from cds_service.app import create_app
from cds_service.settings import Settings
from tests.e2e.oauth_server import Quiet
from tests.e2e.smart_site import NOON

pytestmark = pytest.mark.browser
CAPTURES = Path(__file__).parents[2] / "fhir_fixtures" / "requests" / "captures"
NALTREXONE = (CAPTURES / "03-r4-order-select-naltrexone.json").read_text("utf-8")
BLOCKED = {"blocked": "TypeError"}
FETCH = """async ([url, body]) => {
  const headers = {Authorization: 'Bearer of-the-sandbox'};
  if (body !== null) headers['Content-Type'] = 'application/json';
  try {
    const answer = await fetch(url, {method: body === null ? 'GET' : 'POST', headers, body});
    return {status: answer.status, body: await answer.json()};
  } catch (error) { return {blocked: error.name}; }
}"""


@contextlib.contextmanager
def serve_app(app: Flask, server: Any) -> Iterator[None]:
    """Answer with ``app`` on a port that is already bound."""
    server.app = app
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def bind() -> Any:
    return make_server("127.0.0.1", 0, Flask("none yet"), threaded=True, request_handler=Quiet)


@pytest.fixture(scope="module")
def ehr_port() -> Iterator[int]:
    """An EHR page without content, reachable as localhost and as 127.0.0.1: two origins."""
    page, server = Flask("ehr page"), bind()
    page.add_url_rule("/", view_func=lambda: "<!doctype html><title>EHR</title>")
    with serve_app(page, server):
        yield server.server_port


@pytest.fixture(scope="module")
def service(ehr_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of the whole service, which allows the localhost origin of the EHR page and no other."""
    server = bind()
    base = f"http://127.0.0.1:{server.server_port}"
    app = create_app(
        Settings(
            public_base_url=base,
            data_dir=str(tmp_path_factory.mktemp("sandbox")),
            cors_origins=(f"http://localhost:{ehr_port}",),
        ),
        lambda: NOON,
    )
    with serve_app(app, server):
        yield base
    parts = app.extensions["naltrexone_cds"]
    parts.audit.close()
    parts.store.close()


@pytest.fixture
def page(context: BrowserContext, ehr_port: int) -> Page:
    """A page of the allowed origin."""
    opened = context.new_page()
    opened.goto(f"http://localhost:{ehr_port}/")
    return opened


def call(page: Page, url: str, body: str | None = None) -> dict[str, Any]:
    """What the page's script gets: status and JSON, or that the browser kept the answer from it."""
    answer: dict[str, Any] = page.evaluate(FETCH, [url, body])
    return answer


def test_CR140_a_page_of_an_allowed_origin_reads_discovery(page: Page, service: str) -> None:
    """Discovery with an Authorization header passes its preflight and lists a service per hook."""
    answer = call(page, f"{service}/cds-services")
    assert 200 == answer["status"]
    assert ["medication-prescribe", "order-select", "order-sign", "medication-refill"] == [
        each["hook"] for each in answer["body"]["services"]
    ]


@pytest.mark.parametrize("slashes", ["/", "//"])
def test_CR140_a_page_reads_cards_and_sends_feedback_on_one(
    page: Page, service: str, slashes: str
) -> None:
    """Cards and the answer to an override are readable, also below a discovery URL typed with a trailing slash."""
    url = f"{service}/cds-services{slashes}naltrexone-order-select"
    cards = call(page, url, NALTREXONE)["body"]["cards"]
    assert ["warning", "info"] == [card["indicator"] for card in cards]
    feedback = {
        "card": cards[0]["uuid"],
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-21T12:00:05.000Z",
        "overrideReason": {
            "reason": {key: cards[0]["overrideReasons"][0][key] for key in ("code", "system")}
        },
    }
    assert 200 == call(page, f"{url}/feedback", json.dumps({"feedback": [feedback]}))["status"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("naltrexone-order-select", "{", 400),
        ("naltrexone-order-select", "{}", 400),
        ("no-such-service", "{}", 404),
        ("naltrexone-order-select/feedback", "{}", 400),
    ],
)
def test_CR140_a_page_reads_why_a_call_was_refused(
    page: Page, service: str, path: str, body: str, status: int
) -> None:
    """A refusal without CORS headers would look like "no recommendations" to a prescriber."""
    answer = call(page, f"{service}/cds-services/{path}", body)
    assert (status, "OperationOutcome") == (answer["status"], answer["body"]["resourceType"])


def test_CT11_a_page_of_another_origin_reads_nothing(
    page: Page, service: str, ehr_port: int
) -> None:
    """The same page under its other name is another origin: the browser refuses it every answer."""
    page.goto(f"http://127.0.0.1:{ehr_port}/")
    assert [BLOCKED, BLOCKED] == [
        call(page, f"{service}/cds-services"),
        call(page, f"{service}/cds-services/naltrexone-order-select", NALTREXONE),
    ]
