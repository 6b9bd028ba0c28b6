"""A dozen patients in a real browser: what the first screen says of each record, and what may be written."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.oauth_server import Ehr
from tests.e2e.smart_site import PATIENT, Site, order
from tests.e2e.test_smart_browser import CLEAR, check_page, kinds, launch, pass_gate

pytestmark = pytest.mark.browser
Json = dict[str, Any]


def condition(name: str, code: str, text: str) -> Json:
    return {
        "resourceType": "Condition",
        "id": name,
        "subject": {"reference": "Patient/ldn-1"},
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {
            "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}],
            "text": text,
        },
    }


def ended(name: str, text: str, on: str) -> Json:
    bounds = {"timing": {"repeat": {"boundsPeriod": {"start": "2026-10-01", "end": on}}}}
    return order(name, text, status="completed", authored="2026-10-01", dosageInstruction=[bounds])


OXYCODONE = ended("o1", "Oxycodone 5 mg tablet", "2026-11-18")
METHADONE = order("o1", "Methadone 10 mg tablet", status="on-hold", authored="2026-11-18")
DEPOT = ended("o1", "Sublocade 300 mg/1.5 mL injection", "2026-10-02")
STALE = order("o1", "Oxycodone 5 mg tablet", authored="2025-09-10")
RUNNING = order("o1", "Naltrexone 50 mg tablet", authored="2026-11-10")

BLOCKED = {
    "recent short-acting": (
        [OXYCODONE],
        "Not before Sat 28 Nov 2026, because of Oxycodone 5 mg tablet (ended 3 days ago).",
    ),
    "active opioid": (
        [order("o1", "Oxycodone 5 mg tablet")],
        "Not before Tue 1 Dec 2026 at the earliest",
    ),
    "liver": (
        [condition("c2", "K72.00", "Acute liver failure")],
        "Not now: Acute hepatitis, liver failure",
    ),
    "running naltrexone": ([RUNNING], "Not now: Naltrexone 50 mg tablet"),
    "methadone on hold": ([METHADONE], "Not before Sat 5 Dec 2026 at the earliest"),
}
OPEN = {
    "clean": ([], CLEAR),
    "depot buprenorphine": (
        [DEPOT],
        "because of Sublocade 300 mg/1.5 mL injection (ended 50 days ago).",
    ),
    "unknown medicine": (
        [order("o1", "Zorbexil 7 mg")],
        "The record cannot tell what this is: Zorbexil 7 mg.",
    ),
    "stale order": ([STALE], "The record cannot tell: Oxycodone 5 mg tablet"),
    "pregnancy": (
        [condition("c2", "Z33.1", "Pregnant")],
        "The record asks for care: Pregnancy is on the problem list",
    ),
    "age 16": ([{**PATIENT, "birthDate": "2010-03-01"}], "The record asks for care: 16 years"),
    "no birth date": (
        [{k: v for k, v in PATIENT.items() if k != "birthDate"}],
        "Unknown: no birth date",
    ),
    "man": ([{**PATIENT, "gender": "male"}], CLEAR),
}


def opened(context: BrowserContext, site: Site, ehr: Ehr, record: list[Json]) -> Page:
    for resource in record:
        ehr.store[resource["resourceType"], resource["id"]] = resource
    page = context.new_page()
    launch(page, site, ehr)
    return page


@pytest.mark.parametrize(("record", "says"), BLOCKED.values(), ids=list(BLOCKED))
def test_what_the_record_blocks_says_why_and_offers_no_writing(
    context: BrowserContext, site: Site, ehr: Ehr, record: list[Json], says: str
) -> None:
    """The reason and the useful date stand in the headline; the rest of the questions is folded."""
    page = opened(context, site, ehr, record)
    expect(page.get_by_role("heading", level=1)).to_contain_text(says)
    expect(page.get_by_role("button", name="Write")).to_have_count(0)
    expect(page.locator("#confirm-consent")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollHeight") <= 2 * 800
    check_page(page, f"blocked-{says[:24]}")


@pytest.mark.parametrize(("record", "says"), OPEN.values(), ids=list(OPEN))
def test_what_the_record_leaves_open_is_asked_and_nothing_is_answered_before(
    context: BrowserContext, site: Site, ehr: Ehr, record: list[Json], says: str
) -> None:
    """The verdict names what is open; no box is ticked, and pressing write writes nothing."""
    page = opened(context, site, ehr, record)
    expect(page.get_by_role("heading", level=1)).to_contain_text(says)
    answers = page.get_by_role("region", name="Your answers")
    expect(answers.locator(":checked:not(option)")).to_have_count(0)
    expect(page.locator("#confirm-pregnancy")).to_have_count(
        0 if record and record[0].get("gender") == "male" else 1
    )
    if says is not CLEAR or record:
        check_page(page, f"open-{says[-16:]}")
    before = kinds(ehr)
    page.get_by_role("button", name="Write the drafts").click()
    expect(page.locator("#problem")).to_be_focused()
    assert before == kinds(ehr)


@pytest.mark.parametrize(
    ("record", "more", "said"),
    [
        (OPEN["unknown medicine"][0], ["[id^=confirm-unknown]"], OPEN["unknown medicine"][1]),
        (OPEN["pregnancy"][0], [], "Pregnancy is on the problem list"),
        (OPEN["age 16"][0], ["#confirm-age"], "16 years"),
    ],
)
def test_what_was_asked_can_be_answered_and_written(
    context: BrowserContext, site: Site, ehr: Ehr, record: list[Json], more: list[str], said: str
) -> None:
    """Every exception by a tick of its own, named by the verdict after it, too; the drafts are read back."""
    page = opened(context, site, ehr, record)
    pass_gate(page)
    for selector in more:
        page.locator(selector).check()
    headline = page.get_by_role("heading", level=1)
    expect(headline).to_contain_text(f"You answer for this: {said}")
    page.get_by_role("button", name="Write the drafts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("All drafts are in the EHR.")
    assert {"CarePlan", "MedicationRequest", "Task"} <= set(kinds(ehr))


def test_an_answer_turns_verdict_mark_and_plan_at_once_and_back(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """A short-acting opioid of yesterday: not before ten days from then, without a page being loaded."""
    page = opened(context, site, ehr, [])
    loads: list[str] = []
    page.on("load", lambda _: loads.append("load"))
    page.get_by_label("Short-acting", exact=True).check()
    page.get_by_label("Taken last on").fill("2026-11-20")
    headline = page.get_by_role("heading", level=1)
    expect(headline).to_have_text("By your answers, not before Mon 30 Nov 2026.")
    expect(page.locator("#live-mark-opioid-free")).to_contain_text("blocked")
    expect(page.locator("#live-plan")).to_contain_text("Not before 30 Nov 2026")
    expect(page.locator("#status")).to_contain_text("By your answers, not before")
    page.get_by_label("None in the last 14 days").check()
    expect(headline).to_have_text(CLEAR)
    page.locator("#surgery-yes").check()
    expect(headline).to_contain_text("By your answers, not now")
    assert [] == loads


def test_a_second_launch_shows_the_drafts_of_the_first(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """It asks whether they are replaced, and pressing write without that answer writes no twin."""
    page = opened(context, site, ehr, [])
    pass_gate(page)
    page.get_by_role("button", name="Write the drafts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("All drafts are in the EHR.")
    before = kinds(ehr)
    again = opened(context, site, ehr, [])
    expect(again.locator("#point-earlier")).to_contain_text("Drafted already")
    again.get_by_role("button", name="Write the drafts").click()
    expect(again.locator("#problem")).to_be_focused()
    assert kinds(ehr) == before


def test_a_review_visit_shows_where_the_patient_is(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """A signed plan, three weeks on: the dose of today in the headline, today in the chart."""
    page = opened(context, site, ehr, [])
    pass_gate(page)
    page.get_by_role("button", name="Write the drafts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("All drafts are in the EHR.")
    for signed in ehr.of_type("MedicationRequest"):
        signed["status"] = "active"
    site.clock.move(days=21)
    visit = opened(context, site, ehr, [])
    expect(visit.get_by_role("heading", level=1)).to_contain_text(
        "Today, Sat 12 Dec 2026: 3 mg a day"
    )
    expect(visit.locator("svg .today")).to_have_count(1)
    check_page(visit, "diary")


def test_one_minute_from_the_opened_page_to_written_drafts(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """A clean patient: what the browser itself saw of clicks, keys and changes, attestations included, is counted."""
    page = opened(context, site, ehr, [])
    page.evaluate("""() => { let n = 0; sessionStorage.setItem("actions", 0);
        for (const kind of ["click", "keydown"]) addEventListener(kind, (event) => {
            if (event.isTrusted) sessionStorage.setItem("actions", ++n); }, true); }""")
    pass_gate(page)
    page.get_by_role("button", name="Write the drafts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("All drafts are in the EHR.")
    assert 7 <= int(page.evaluate("sessionStorage.getItem('actions')")) <= 12
    assert kinds(ehr) == ["CarePlan", "MedicationRequest", "Task", "Task", "Task"]


def test_print_names_the_patient_on_every_page(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """In print the head of the page repeats, the buttons are gone and the plan stays."""
    page = opened(context, site, ehr, [])
    page.emulate_media(media="print")
    assert "table-header-group" == page.locator(".bar").evaluate("e => getComputedStyle(e).display")
    expect(page.locator("#live-plan svg")).to_be_visible()
    expect(page.get_by_role("button", name="Write the drafts")).to_be_hidden()
    expect(page.get_by_role("button", name="Print")).to_be_hidden()
