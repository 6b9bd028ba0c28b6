"""The visit for a review: where the patient is in a plan of ours; hold or step down rewrites the rest (3.3)."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.planner.phrases import day
from tests.e2e.oauth_server import Ehr
from tests.e2e.smart_site import Site, order
from tests.e2e.smart_steps import csrf_of, is_refused, is_written, open_app, words, write_plan


def orders(ehr: Ehr) -> list[dict[str, Any]]:
    return [r for r in ehr.of_type("MedicationRequest") if r.get("identifier")]


def sig(resource: dict[str, Any]) -> list[tuple[str, str, float]]:
    return [
        (d["timing"]["repeat"]["boundsPeriod"]["start"], d["timing"]["repeat"]["boundsPeriod"]["end"],
         d["doseAndRate"][0]["doseQuantity"]["value"])
        for d in resource["dosageInstruction"]
    ]  # fmt: skip


@pytest.fixture
def url(client: FlaskClient, ehr: Ehr, site: Site) -> str:
    """Plan A from 23 November, signed; today is 14 December, day 22: the second week on 3 mg."""
    write_plan(client, open_app(client, ehr))
    orders(ehr)[0]["status"] = "active"
    site.clock.move(days=23)
    return open_app(client, ehr)


def test_opening_shows_where_the_patient_is(client: FlaskClient, url: str) -> None:
    page = client.get(url, follow_redirects=True)
    assert "Today, Mon 14 Dec 2026: 3 mg a day since 7 Dec 2026." in words(page)
    assert "45 mg of the plan taken" in words(page)
    assert "Next step: 4.5 mg a day on Mon 21 Dec 2026" in words(page)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"change": "hold", "hold_days": "14"},
         [("2026-12-14", "2027-01-03", 3), ("2027-01-04", "2027-02-28", 4.5)]),
        ({"change": "step-down"}, [("2026-12-14", "2027-02-07", 1.5)]),
    ],
)  # fmt: skip
def test_a_change_rewrites_the_rest_as_new_drafts(
    client: FlaskClient,
    ehr: Ehr,
    url: str,
    change: dict[str, str],
    expected: list[tuple[str, str, float]],
) -> None:
    """The old order stays as history and is named; the new one begins today."""
    page = client.get(f"{url}diary")
    fields = {"csrf": csrf_of(page), "fill_days": "28", "form": "one-strength", **change}
    done = client.post(f"{url}diary", data=fields)
    assert 303 == done.status_code
    old, new = orders(ehr)
    assert ("active", "draft") == (old["status"], new["status"])
    assert expected == sig(new)
    assert "not stated" not in new["note"][0]["text"]
    result = words(client.get(done.headers["Location"]))
    assert f"MedicationRequest/{old['id']}" in result
    assert "signed and under way: end it in the EHR" in result
    assert "Cancel the drafts" not in result
    handout = words(client.get(f"{url}handout"))
    for page in (result, handout):  # both show what is left, not the plan from its first day
        for start, _, dose in expected:
            assert re.search(rf"{day(date.fromisoformat(start))} .{{0,40}}\b{dose:g} mg", page)
        assert "23 Nov 2026" not in page.replace("Starts", "")
    doses = ", ".join(f"{dose:g}" for *_, dose in expected)
    assert f"Plan A, changed: {doses} mg a day" in result
    assert client.get(f"{url}plan.json").get_json()["resourceType"] == "Bundle"


def test_a_plan_that_was_held_can_be_changed_again(
    client: FlaskClient, ehr: Ehr, site: Site, url: str
) -> None:
    """Held on 14 December, signed; two weeks later a step down: the course is known from its first day."""
    fields = {"csrf": csrf_of(client.get(f"{url}diary")), "fill_days": "28", "form": "one-strength"}
    client.post(f"{url}diary", data={**fields, "change": "hold", "hold_days": "14"})
    orders(ehr)[1]["status"] = "active"
    site.clock.move(days=14)
    again = open_app(client, ehr)
    page = client.get(again, follow_redirects=True)
    assert "3 mg a day since 7 Dec 2026" in words(page)
    assert "Held from Mon 14 Dec 2026 for 14 days" in words(page)
    done = client.post(
        f"{again}diary", data={**fields, "csrf": csrf_of(page), "change": "step-down"}
    )
    assert is_written(done)
    assert [("2026-12-28", "2027-02-21", 1.5)] == sig(orders(ehr)[2])
    (note,) = orders(ehr)[2]["note"]
    assert "14 Dec 2026" in note["text"]
    assert "28 Dec 2026" in note["text"]


def test_what_was_drafted_while_the_page_was_open_is_asked_about_first(
    client: FlaskClient, ehr: Ehr, url: str
) -> None:
    """A second press of another session: told once, and then the drafts that the page names may be replaced."""
    other = open_app(client, ehr)
    fields = {"fill_days": "28", "form": "one-strength", "change": "hold", "hold_days": "14"}
    first, second = (
        {**fields, "csrf": csrf_of(client.get(f"{each}diary"))} for each in (url, other)
    )
    assert is_written(client.post(f"{url}diary", data=first))
    told = client.post(f"{other}diary", data={**second, "known": ""})
    assert is_refused(told)
    assert 2 == len(orders(ehr))
    page = client.get(told.headers["Location"])
    assert "was drafted while this page was open" in words(page)
    (known,) = re.findall(r'name="known" value="([^"]+)"', page.text)
    assert known == f"MedicationRequest/{orders(ehr)[1]['id']}"
    assert is_written(client.post(f"{other}diary", data={**second, "known": known}))
    assert known in words(client.get(f"{other}result"))


@pytest.mark.parametrize("change", [{}, {"change": "hold", "hold_days": "99"}, {"change": "raise"}])
def test_no_other_change_is_written(
    client: FlaskClient, ehr: Ehr, url: str, change: dict[str, str]
) -> None:
    page = client.get(f"{url}diary")
    fields = {"csrf": csrf_of(page), "fill_days": "28", "form": "one-strength", **change}
    assert is_refused(client.post(f"{url}diary", data=fields))
    assert 1 == len(orders(ehr))


def test_an_opioid_on_the_record_means_stop(client: FlaskClient, ehr: Ehr, url: str) -> None:
    ehr.store["MedicationRequest", "o1"] = order(
        "o1", "Oxycodone 5 mg tablet", authored="2026-12-13"
    )
    page = client.get(f"{url}diary")
    assert "Stop naltrexone now" in words(page)
    assert "Oxycodone 5 mg tablet: short-acting opioid, active." in words(page)
    assert "Next step" not in words(page)
    fields = {
        "csrf": csrf_of(client.get(f"{url}end")),
        "change": "hold",
        "hold_days": "14",
        "fill_days": "28",
    }
    assert is_refused(client.post(f"{url}diary", data=fields))
