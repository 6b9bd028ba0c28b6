"""The door and Flask's own routes are one desk: whichever of the two takes a request, its answer is the same."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import Client, EnvironBuilder

from cds_service import settings as configuration
from cds_service.app import create_app
from cds_service.web.hooks import HookDoor
from tests.conformance.calls import conflict
from tests.conftest import AS_OF

SIGN = "/cds-services/naltrexone-order-sign"
PATHS = (
    SIGN,
    f"{SIGN}/",
    f"{SIGN}/feedback",
    "/cds-services/none",
    f"{SIGN}/x",
    f"{SIGN}/feedback/x",
)
TYPES = ("application/json", "Application/FHIR+json; charset=utf-8", "text/plain", "")
ORIGINS = ("", "https://listed.example.org", "https://other.example.org")
FEEDBACK = {
    "feedback": [
        {
            "card": "5c5a5a5e-9f4b-4a25-a0b8-0a0f1f9e3c11",
            "outcome": "accepted",
            "outcomeTimestamp": "2026-11-21T12:00:00Z",
        }
    ]
}
BODIES = (
    json.dumps(conflict()).encode(),
    json.dumps(FEEDBACK).encode(),
    b"{}",
    b"[",
    b"",
    b"\xff",
    b" " * 70_000,
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    wanted: dict[str, Any] = {
        "data_dir": str(tmp_path_factory.mktemp("data")),
        "cors_origins": (ORIGINS[1],),
    }
    return create_app(configuration.load(None, {}, **wanted), now=lambda: AS_OF)


def requests() -> Iterator[dict[str, Any]]:
    for path, mime, origin, body, length in product(PATHS, TYPES, ORIGINS, BODIES, (True, False)):
        yield {
            "path": path,
            "content_type": mime,
            "headers": {"Origin": origin} if origin else {},
            "data": body,
            "length": length,
        }


def ask(application: Any, given: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body, without the ids that are new each time."""
    given = dict(given)
    announced = given.pop("length")
    builder = EnvironBuilder(method="POST", input_stream=io.BytesIO(given.pop("data")), **given)
    environ = builder.get_environ()
    data = builder.input_stream
    assert data is not None
    if announced:
        environ["CONTENT_LENGTH"] = str(len(data.getvalue()))  # type: ignore[attr-defined]
    else:
        environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    answered = Client(application).open(environ)
    headers = {name: value for name, value in answered.headers.items() if name != "X-Request-Id"}
    body = answered.get_json()
    for card in body.get("cards", ()):
        card.pop("uuid")
        for suggestion in card.get("suggestions", ()):
            suggestion.pop("uuid")
    if body.get("cards"):
        headers.pop(
            "Content-Length"
        )  # the ids in links are as long as ever, but let no test rest on it
    return answered.status_code, headers, body


def test_the_door_and_the_routes_answer_alike(app: Flask) -> None:
    """Every path, type, origin, body and way to announce its length, in one seeded order."""
    door = app.wsgi_app._application  # type: ignore[attr-defined]
    assert isinstance(door, HookDoor)
    asked = [*requests()]
    random.Random(5).shuffle(asked)
    statuses = set()
    for given in asked[:250]:
        at_the_door = ask(door, given)
        if (
            "/x" in given["path"]
        ):  # no route of Flask's: its own "nothing here" is the same sentence
            assert 404 == at_the_door[0]
        assert at_the_door == ask(door.application, given), given["path"]
        statuses.add(at_the_door[0])
    assert {200, 400, 404, 415} <= statuses


def test_a_fault_of_a_page_is_in_the_log_without_what_it_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = create_app(configuration.load(None, {}, data_dir=str(tmp_path)), now=lambda: AS_OF)
    client: FlaskClient = app.test_client()
    with mock.patch("cds_service.web.hooks.discovery", side_effect=RuntimeError("CANARY")):
        answered = client.get("/cds-services", headers={"X-Request-Id": "one-of-mine"})
    assert (500, "one-of-mine") == (answered.status_code, answered.headers["X-Request-Id"])
    app.extensions["naltrexone_cds"].reporter.sink.close()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    said = [line for line in lines if line["event"] == "page-failed"]
    assert [("one-of-mine", True)] == [
        (line["request_id"], line["fault"].startswith("RuntimeError at ")) for line in said
    ]
    assert "CANARY" not in json.dumps(lines) + answered.text
