"""Whatever an EHR answers to a create that it stored, and whenever: no retry writes a second draft of the same thing."""

from __future__ import annotations

from collections import Counter

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.planner import ehr_server
from tests.e2e.oauth_server import Ehr
from tests.e2e.smart_site import Site
from tests.e2e.smart_steps import csrf_of, open_app, words, write_plan

KINDS = ("MedicationRequest", "Task", "CarePlan")
TRIES = 4


def names(ehr: Ehr) -> Counter[str]:
    """Every draft that the EHR holds, by the name that we gave it."""
    ours = (r for kind in KINDS for r in ehr.of_type(kind) if r.get("identifier"))
    return Counter(r["identifier"][0]["value"] for r in ours)


def try_again(client: FlaskClient, url: str, times: int = TRIES) -> TestResponse:
    """Press "Try again" for as long as it is offered."""
    page = client.get(url)
    for _ in range(times):
        if "Try again" not in words(page):
            break
        client.post(url, data={"csrf": csrf_of(page)})
        page = client.get(url)
    return page


def forget_drafts(ehr: Ehr) -> None:
    """So that the next launch meets the record as it was."""
    for key in [key for key, held in ehr.store.items() if held.get("identifier")]:
        del ehr.store[key]


@pytest.mark.parametrize("ignores_condition", [False, True])
def test_a_stored_create_with_any_answer_is_found_and_not_doubled(
    client: FlaskClient, ehr: Ehr, ignores_condition: bool
) -> None:
    ehr.ignores_condition = ignores_condition
    for status in (400, 401, 409, 412, 422, 500, 504) if ignores_condition else (409, 422, 500):
        ehr.after_writing = dict.fromkeys(KINDS, status)
        page = try_again(client, write_plan(client, open_app(client, ehr)).headers["Location"])
        assert "All drafts are in the EHR" in words(page), status
        assert [1] * 5 == list(names(ehr).values()), status
        forget_drafts(ehr)


def test_a_create_that_is_never_answered_is_found(
    client: FlaskClient, ehr: Ehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ehr_server, "SECONDS", 2.0)
    ehr.ignores_condition, ehr.after_writing = True, {"MedicationRequest": 0}
    url = write_plan(client, open_app(client, ehr)).headers["Location"]
    assert "it may have been written" in words(client.get(url))
    monkeypatch.setattr(ehr_server, "SECONDS", 30.0)
    ehr.after_writing = {}
    assert "All drafts are in the EHR" in words(try_again(client, url))
    assert {1} == set(names(ehr).values())


def test_where_nobody_can_look_only_what_was_refused_is_sent_again(
    client: FlaskClient, ehr: Ehr
) -> None:
    """Conditionally, as ever: a server that keeps the condition holds one."""
    for status, search in ((422, 400), (500, 400), (409, 500)):
        url = open_app(client, ehr)
        ehr.after_writing = dict.fromkeys(KINDS, status)
        ehr.statuses = {"GET Task": search, "GET CarePlan": search}
        url = write_plan(client, url).headers["Location"]
        try_again(client, url)
        assert {1} == set(names(ehr).values())
        ehr.after_writing, ehr.statuses = {}, {}
        assert "All drafts are in the EHR" in words(try_again(client, url))
        assert {1} == set(names(ehr).values())
        forget_drafts(ehr)


@pytest.mark.parametrize("status", [422, 500])
def test_the_rest_of_a_plan_under_way_is_written_once_too(
    client: FlaskClient, ehr: Ehr, site: Site, status: int
) -> None:
    """The visit for a review, on a server that ignores the condition; the press itself is sent twice."""
    write_plan(client, open_app(client, ehr))
    for old in ehr.of_type("MedicationRequest"):
        old["status"] = "active"
    site.clock.move(days=23)
    url = open_app(client, ehr)
    page = client.get(f"{url}diary")
    ehr.ignores_condition, ehr.after_writing = True, dict.fromkeys(KINDS, status)
    fields = {"csrf": csrf_of(page), "fill_days": "28", "form": "one-strength", "change": "hold"}
    fields["hold_days"] = "14"
    pressed = [client.post(f"{url}diary", data=fields) for _ in range(2)]
    assert [303, 303] == [each.status_code for each in pressed]
    done = try_again(client, f"{url}result")
    assert "All drafts are in the EHR" in words(done)
    assert {1} == set(names(ehr).values())
    assert 2 == len([r for r in ehr.of_type("MedicationRequest") if r.get("identifier")])
