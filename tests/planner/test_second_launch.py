"""Drafts that wait already: found, asked about, never doubled; what a plan replaces is cancelled or named."""

from __future__ import annotations

import html
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.e2e.oauth_server import Ehr
from tests.e2e.smart_site import order
from tests.e2e.smart_steps import (
    ANSWERS,
    csrf_of,
    is_refused,
    is_written,
    open_app,
    words,
    write_plan,
)

TICKED = {"confirm": [*ANSWERS["confirm"], "earlier"]}


def written(ehr: Ehr) -> list[dict[str, Any]]:
    return [r for r in ehr.of_type("MedicationRequest") if r.get("identifier")]


def put(ehr: Ehr, resource: dict[str, Any]) -> None:
    ehr.store[resource["resourceType"], resource["id"]] = resource


def test_a_second_launch_finds_the_first_and_writes_no_twin(client: FlaskClient, ehr: Ehr) -> None:
    """It asks; without an answer nothing is written, and with "replace" both are known for what they are."""
    write_plan(client, open_app(client, ehr))
    again = open_app(client, ehr)
    page = client.get(again)
    assert "Naltrexone is drafted already and not signed." in words(page)
    assert "Drafted already: naltrexone 1.5 mg oral capsule (compounded)" in words(page)
    assert 'type="checkbox" id="confirm-consent" name="confirm" value="consent">' in page.text
    assert "0 of 6 given" in words(page)
    assert page.text.index('id="point-earlier"') < page.text.index('id="point-opioid-free"')
    assert is_refused(write_plan(client, again))
    assert 1 == len(written(ehr))
    done = client.get(write_plan(client, again, **TICKED).headers["Location"])
    assert "Earlier orders that this plan replaces" in words(done)
    client.post(f"{again}cancel", data={"csrf": csrf_of(done)})
    assert ["cancelled", "draft"] == sorted(r["status"] for r in written(ehr))


def test_opening_reads_the_drafted_plan_back(client: FlaskClient, ehr: Ehr) -> None:
    """The plan as it was written, whatever this launch would propose; what others drafted beside it."""
    write_plan(client, open_app(client, ehr), schedule="E", drawn="A")
    put(ehr, order("theirs", "Naltrexone 50 mg oral tablet", status="draft", authored="2026-11-19",
                   dosageInstruction=[{"text": "<b>one</b> tablet daily"}]))  # fmt: skip
    again = open_app(client, ehr)
    assert f'href="{again}earlier"' in client.get(again).text
    page = client.get(f"{again}earlier")
    assert (200, 1) == (page.status_code, page.text.count("<svg"))
    assert "Plan E of this planner" in words(page)
    assert "naltrexone 0.5 mg oral capsule (compounded) , written 2026-11-21" in words(page)
    assert all(d["text"] in words(page) for d in written(ehr)[0]["dosageInstruction"])
    assert "Naltrexone 50 mg oral tablet , written 2026-11-19" in words(page)
    assert "<b>one</b> tablet daily" in words(page)
    assert "<b>one" not in page.text
    assert f'href="{again}end"' in page.text


def test_a_draft_that_was_changed_is_shown_as_it_stands_and_not_drawn(
    client: FlaskClient, ehr: Ehr
) -> None:
    write_plan(client, open_app(client, ehr))
    written(ehr)[0]["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"] = 1.25
    page = client.get(f"{open_app(client, ehr)}earlier")
    assert "changed since" in words(page)
    assert "<svg" not in page.text


def test_with_nothing_drafted_there_is_nothing_to_open(client: FlaskClient, ehr: Ehr) -> None:
    url = open_app(client, ehr)
    assert url == client.get(f"{url}earlier").headers["Location"]


@pytest.mark.parametrize("text", ["Naltrexone 50 mg oral tablet", "LDN 4.5 mg capsule"])
def test_a_draft_of_somebody_else_is_asked_about_as_well(
    client: FlaskClient, ehr: Ehr, text: str
) -> None:
    put(ehr, order("theirs", text, status="draft"))
    url = open_app(client, ehr)
    assert is_refused(write_plan(client, url))
    assert is_written(write_plan(client, url, **TICKED))


def test_the_order_that_opened_the_planner_is_named_and_can_be_cancelled(
    client: FlaskClient, ehr: Ehr
) -> None:
    """It is no question of the gate: it is why we are here."""
    put(ehr, order("mine", "Naltrexone 50 mg oral tablet", status="draft"))
    url = open_app(client, ehr, appContext={"draft": "MedicationRequest/mine", "mgPerDay": "50"})
    done = client.get(write_plan(client, url).headers["Location"])
    assert "Naltrexone 50 mg oral tablet MedicationRequest/mine" in words(done)
    client.post(f"{url}cancel", data={"csrf": csrf_of(done)})
    assert "cancelled" == ehr.store["MedicationRequest", "mine"]["status"]
    assert ": cancelled" in words(client.get(f"{url}result"))


def test_an_order_that_was_signed_meanwhile_is_left_alone(client: FlaskClient, ehr: Ehr) -> None:
    put(ehr, order("mine", "Naltrexone 50 mg oral tablet", status="draft"))
    url = open_app(client, ehr, appContext={"draft": "mine"})
    done = client.get(write_plan(client, url).headers["Location"])
    ehr.store["MedicationRequest", "mine"]["status"] = "active"
    client.post(f"{url}cancel", data={"csrf": csrf_of(done)})
    assert "active" == ehr.store["MedicationRequest", "mine"]["status"]


def test_an_order_that_is_signed_while_it_is_cancelled_is_left_alone_and_named(
    client: FlaskClient, ehr: Ehr
) -> None:
    """412 on the conditional change: what the EHR holds then is looked at again."""
    put(ehr, order("mine", "Naltrexone 50 mg oral tablet", status="draft"))
    url = open_app(client, ehr, appContext={"draft": "mine"})
    done = client.get(write_plan(client, url).headers["Location"])
    ehr.signs_before_change = True
    client.post(f"{url}cancel", data={"csrf": csrf_of(done)})
    assert "active" == ehr.store["MedicationRequest", "mine"]["status"]
    assert "no longer a draft: it was signed or changed" in words(client.get(f"{url}result"))


def test_without_permission_to_change_orders_it_says_how(client: FlaskClient, ehr: Ehr) -> None:
    """SMART 2: create was granted, update was not."""
    ehr.version_two = True
    put(ehr, order("mine", "Naltrexone 50 mg oral tablet", status="draft"))
    url = open_app(client, ehr, appContext={"draft": "mine"})
    done = client.get(write_plan(client, url).headers["Location"])
    assert "did not grant changing orders" in words(done)
    client.post(f"{url}cancel", data={"csrf": csrf_of(client.get(f"{url}end"))})
    assert "draft" == ehr.store["MedicationRequest", "mine"]["status"]


def test_a_write_that_was_refused_says_why_in_the_words_of_the_server(
    client: FlaskClient, ehr: Ehr
) -> None:
    """As text: nothing of it is markup."""
    ehr.statuses["POST Task"] = 422
    done = client.get(write_plan(client, open_app(client, ehr)).headers["Location"])
    assert "<i>no</i> 422" in html.unescape(done.text)
    assert "<i>no" not in done.text
