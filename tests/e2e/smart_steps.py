"""What a clinician's browser does, step by step, without a browser: for tests of the app's routes."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlsplit

import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.e2e.oauth_server import Ehr

ANSWERS: dict[str, Any] = {
    "confirm": ["pregnancy", "consent", "pharmacy"],
    "last_opioid": "none",
    "last_opioid_on": "",
    "method": ["history", "pdmp"],
    "surgery": "no",
}
PLAN_A: dict[str, Any] = {
    "schedule": "A",
    "drawn": "A",
    "start_on": "2026-11-23",
    "start_mg": "1.5",
    "step_mg": "1.5",
    "interval_days": "14",
    "maximum_mg": "4.5",
    "form": "one-strength",
    "fill_days": "28",
    "reason": "Fibromyalgia",
    "reason_text": "",
    "reason_above": "",
    "change": "",
    "change_on": "",
    "hold_days": "14",
}


def start(client: FlaskClient, ehr: Ehr, launch: str = "", **parameters: str) -> TestResponse:
    """Press the link on the card."""
    query = {"iss": ehr.iss, **({"launch": launch} if launch else {}), **parameters}
    return client.get("/smart/launch", query_string=query)


def sign_in(authorize_url: str) -> str:
    """Let the EHR's sign-in answer; path and query of the callback that it sends the browser to."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(authorize_url, allow_redirects=False, timeout=10)
    assert answer.status_code == 302, answer.text
    parts = urlsplit(answer.headers["Location"])
    return f"{parts.path}?{parts.query}"


def open_app(client: FlaskClient, ehr: Ehr, patient: str = "ldn-1", **context: Any) -> str:
    """Launch for this patient and come back signed in; the address of the planner."""
    begun = start(client, ehr, ehr.new_launch(patient, **context))
    assert begun.status_code == 302, begun.text
    back = client.get(sign_in(begun.headers["Location"]))
    assert back.status_code == 303, back.text
    return str(back.headers["Location"])


def csrf_of(page: TestResponse) -> str:
    """The token of the first form on a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def write_plan(client: FlaskClient, plan_url: str, **changes: Any) -> TestResponse:
    """Answer the gate, keep or change the plan, press the button that writes."""
    page = client.get(plan_url)
    fields = {**ANSWERS, **PLAN_A, **changes, "csrf": csrf_of(page)}
    return client.post(f"{plan_url}write", data=fields)


def is_written(answer: TestResponse) -> bool:
    """The press led to the result of a plan."""
    return answer.status_code == 303 and answer.headers["Location"].endswith("/result")


def is_refused(answer: TestResponse) -> bool:
    """The press led back to the page that says what is missing: a redirect, so that reload and Back are safe."""
    return answer.status_code == 303 and answer.headers["Location"].endswith("?tried=1")


def words(page: TestResponse) -> str:
    """The text of a page on one line."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page.text)))


__all__ = [
    "ANSWERS",
    "PLAN_A",
    "csrf_of",
    "is_refused",
    "is_written",
    "open_app",
    "sign_in",
    "start",
    "words",
    "write_plan",
]
