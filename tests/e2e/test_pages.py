"""The pages beside the plan in a real browser: accessible in every width and scheme, in forced colours, and on paper."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.oauth_server import Ehr
from tests.e2e.smart_site import Site, order
from tests.e2e.test_smart_browser import CLEAR, check_page, kinds, launch, pass_gate

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("PLANNER_SHOTS", "")
SHEET = {
    "format": "Letter",
    "margin": dict.fromkeys(("top", "bottom", "left", "right"), "15mm"),
}


def opened(context: BrowserContext, site: Site, ehr: Ehr) -> Page:
    page = context.new_page()
    launch(page, site, ehr)
    expect(page.get_by_role("heading", level=1)).to_have_text(CLEAR)
    return page


def head(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def sheets(page: Page, name: str) -> tuple[int, str]:
    """How many sheets of paper a page takes, and the text of the print in the order of the page."""
    pdf = page.pdf(**SHEET)
    if SHOTS:
        (Path(SHOTS) / f"{name}.pdf").write_bytes(pdf)
    return len(re.findall(rb"/Type\s*/Page\b", pdf)), page.inner_text("body")


def test_a_partial_write_is_explained_resumed_and_left(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """The server's reason beside each draft; one press writes what is missing; leaving asks and then ends."""
    ehr.statuses["POST Task"] = 422
    page = opened(context, site, ehr)
    pass_gate(page)
    page.get_by_role("button", name="Write the drafts").click()
    head(page, "Not everything was written.")
    expect(page.get_by_role("table", name="Drafts in the EHR")).to_contain_text("<i>no</i> 422")
    check_page(page, "partial")
    del ehr.statuses["POST Task"]
    page.reload()
    page.get_by_role("button", name="Try again").click()
    head(page, "All drafts are in the EHR.")
    assert kinds(ehr) == ["CarePlan", "MedicationRequest", "Task", "Task", "Task"]
    page.get_by_role("link", name="End").click()
    head(page, "End this session?")
    check_page(page, "leave")
    page.get_by_role("button", name="End the session").click()
    head(page, "Session ended")
    check_page(page, "ended")


def test_what_is_drafted_is_opened_kept_or_replaced(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """From the question to the plan as it was written, and back to the question or out."""
    page = opened(context, site, ehr)
    pass_gate(page)
    page.get_by_role("button", name="Write the drafts").click()
    head(page, "All drafts are in the EHR.")
    theirs = order("theirs", "Naltrexone 50 mg oral tablet", status="draft")
    ehr.store["MedicationRequest", "theirs"] = theirs
    launch(page, site, ehr)
    check_page(page, "second-launch")
    page.get_by_role("link", name="Open what is drafted").click()
    head(page, "Drafted already, not signed")
    expect(page.get_by_role("img")).to_have_count(1)
    check_page(page, "waiting")
    page.get_by_role("link", name="Replace it by a new plan").click()
    expect(page.locator("#point-earlier")).to_be_visible()
    pass_gate(page)
    page.locator("#confirm-earlier").check()
    page.get_by_role("button", name="Write the drafts").click()
    head(page, "All drafts are in the EHR.")
    check_page(page, "replaced")
    page.get_by_role("button", name="Cancel the drafts in the EHR").click()
    expect(page.get_by_text(": cancelled").first).to_be_visible()
    statuses = sorted(r["status"] for r in ehr.of_type("MedicationRequest"))
    assert ["cancelled", "cancelled", "draft"] == statuses


def test_the_visit_for_a_review_explains_a_refused_press(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """Nothing chosen: said on the page, which can be loaded again; an opioid meanwhile means stop."""
    page = opened(context, site, ehr)
    pass_gate(page)
    page.get_by_role("button", name="Write the drafts").click()
    head(page, "All drafts are in the EHR.")
    for signed in ehr.of_type("MedicationRequest"):
        signed["status"] = "active"
    site.clock.move(days=21)
    launch(page, site, ehr)
    page.get_by_role("button", name="Write the rest").click()
    expect(page.get_by_role("alert")).to_have_text("Choose hold or step down.")
    check_page(page, "diary-refused")
    ehr.store["MedicationRequest", "o1"] = order("o1", "Oxycodone 5 mg", authored="2026-12-11")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Stop naltrexone now")
    check_page(page, "diary-stop")


def test_an_older_tab_is_told_on_a_page_of_its_own(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """Two tabs of one session: the older sends, nothing of it is used, and it may send again."""
    page = opened(context, site, ehr)
    newer = context.new_page()
    newer.goto(page.url)
    newer.locator("#confirm-consent").check()
    expect(newer.locator("#live-mark-consent")).to_have_text("answered")
    page.get_by_role("button", name="Write the drafts").click()
    expect(page.get_by_role("alert")).to_contain_text("changed in another tab")
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("changed in another tab")
    check_page(page, "older-tab")


def test_forced_colours_lose_no_meaning(context: BrowserContext, site: Site, ehr: Ehr) -> None:
    """Windows' high contrast: the chart's line and the borders of what is chosen take the system's colours."""
    page = opened(context, site, ehr)
    page.emulate_media(forced_colors="active")
    pass_gate(page)
    expect(page.locator("#live-mark-consent")).to_have_text("answered")
    onset = page.locator("svg .onset").evaluate("e => getComputedStyle(e).stroke")
    line = page.locator("svg .step").evaluate("e => getComputedStyle(e).stroke")
    ink = page.locator("h1").evaluate("e => getComputedStyle(e).color")
    paper = page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor")
    assert paper not in (line, onset)
    assert "none" not in (line, onset)
    assert ink != paper
    width = page.locator(".verdict").evaluate("e => parseFloat(getComputedStyle(e).borderTopWidth)")
    assert width >= 1
    if SHOTS:
        for width_name, pixels in (("panel", 400), ("desktop", 1280)):
            page.set_viewport_size({"width": pixels, "height": 800})
            file = Path(SHOTS) / f"forced-{width_name}.png"
            page.screenshot(path=file, full_page=True)


def test_plan_and_handout_fit_their_sheets(context: BrowserContext, site: Site, ehr: Ehr) -> None:
    """The plan on at most two sheets, the handout on two; the patient's name repeats at the head of each."""
    page = opened(context, site, ehr)
    pass_gate(page)
    expect(page.locator("#live-mark-pharmacy")).to_have_text("answered")
    count, _ = sheets(page, "plan")
    assert count == 2
    page.get_by_role("button", name="Write the drafts").click()
    head(page, "All drafts are in the EHR.")
    count, _ = sheets(page, "result")
    assert count == 1
    page.get_by_role("link", name="Patient handout").click()
    head(page, "Your low-dose naltrexone plan")
    count, text = sheets(page, "handout")
    assert count == 2
    assert "Canary-Novak" in text
    page.emulate_media(media="print")
    assert "table-header-group" == page.locator(".bar").evaluate("e => getComputedStyle(e).display")
