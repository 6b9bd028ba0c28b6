"""The titration app in a real browser against a real OAuth and FHIR server: launch, gate, plan, drafts, both widths."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.conftest import guard
from tests.e2e.oauth_server import Ehr
from tests.e2e.smart_site import Site, order, serve_site

pytestmark = pytest.mark.browser
APP_CONTEXT = '{"draft": "d1", "mgPerDay": "4.5", "band": "LDN", "gate": "none"}'
RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
WIDTHS = {400: "panel", 1280: "desktop"}
SCHEMES = ("light", "dark")
AXE = Axe().axe_script
RUN_AXE = "async (rules) => (await axe.run(document, rules)).violations"
SHOTS = os.environ.get("PLANNER_SHOTS", "")
OUTLINES = """[...new Set([document.activeElement, document.activeElement.closest("label")].filter(Boolean)
    .map(each => getComputedStyle(each).outlineStyle))]"""
CLEAR = "Nothing in the record speaks against a start."


def launch(page: Page, site: Site, ehr: Ehr, **context: object) -> None:
    """Press the link of the card inside the EHR."""
    page.goto(f"{site.base}/smart/launch?iss={ehr.iss}&launch={ehr.new_launch('ldn-1', **context)}")


def check_page(page: Page, name: str) -> None:
    """No accessibility violation in either width and scheme, no sideways scrolling from 320 px.

    With ``PLANNER_SHOTS`` set to a folder a screenshot of each is kept there, to be looked at.
    """
    if page.evaluate("typeof axe === 'undefined'"):
        page.evaluate(AXE)
    for width in (320, 400, 1280, 1600):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
        for scheme in SCHEMES if width in WIDTHS else ():
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            if SHOTS:
                file = Path(SHOTS) / f"{name}-{WIDTHS[width]}-{scheme}.png"
                page.screenshot(path=file, full_page=True)
            found = page.evaluate(RUN_AXE, RULES)
            assert [] == [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in found], (
                name,
                scheme,
                width,
            )
    page.set_viewport_size({"width": 1280, "height": 800})
    page.emulate_media(color_scheme="light")


def pass_gate(page: Page) -> None:
    """Answer every question of the gate."""
    for name in ("pregnancy", "consent", "pharmacy"):
        page.locator(f"#confirm-{name}").check()
    page.get_by_label("None in the last 14 days").check()
    page.get_by_label("History taken").check()
    page.locator("#surgery-no").check()


def kinds(ehr: Ehr) -> list[str]:
    return sorted(
        kind for kind in ("MedicationRequest", "Task", "CarePlan") for _ in ehr.of_type(kind)
    )


@pytest.mark.parametrize("app_context", [APP_CONTEXT, None])
def test_a_complete_launch_writes_a_plan_that_is_read_back(
    context: BrowserContext, site: Site, ehr: Ehr, app_context: str | None
) -> None:
    """From the card to five drafts in the EHR, with appContext and without; nothing is loaded from elsewhere."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    launch(page, site, ehr, appContext=app_context)
    expect(page.get_by_role("heading", level=1)).to_have_text(CLEAR)
    expect(page.get_by_role("banner")).to_contain_text("Ada M. Canary-Novak")
    assert ("opened from: naltrexone 4.5 mg a day (draft)" in page.content()) == (
        app_context is not None
    )
    assert page.evaluate("document.documentElement.scrollHeight") <= 2 * 800
    if app_context:
        check_page(page, "plan")

    pass_gate(page)
    page.get_by_text("Change doses, form, supply").click()
    page.get_by_label("Maximum").fill("3")
    expect(page.locator("#live-plan tbody tr")).to_have_count(2)
    expect(page.locator("#status")).to_contain_text("speaks against a start")
    if app_context:
        check_page(page, "answered")
    page.get_by_role("button", name="Write the drafts to the EHR").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("All drafts are in the EHR.")
    if app_context:
        check_page(page, "result")

    assert kinds(ehr) == ["CarePlan", "MedicationRequest", "Task", "Task", "Task"]
    (request,) = ehr.of_type("MedicationRequest")
    assert [1.5, 3] == [
        d["doseAndRate"][0]["doseQuantity"]["value"] for d in request["dosageInstruction"]
    ]
    page.get_by_role("link", name="Patient handout").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your low-dose naltrexone plan")
    if app_context:
        check_page(page, "handout")
    assert [] == complaints


def test_the_page_without_a_launch_is_accessible(context: BrowserContext, site: Site) -> None:
    """What it will do, with the default schedule."""
    page = context.new_page()
    page.goto(f"{site.base}/smart/launch")
    check_page(page, "about")


def test_a_blocked_gate_shows_the_reason_and_offers_no_plan(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """An active opioid: why, from when, and no button that writes."""
    ehr.store["MedicationRequest", "o1"] = order("o1", "Oxycodone 5 mg tablet")
    page = context.new_page()
    launch(page, site, ehr, appContext='{"gate": "opioid-conflict"}')
    expect(page.get_by_role("heading", level=1)).to_contain_text("Not before Tue 1 Dec 2026")
    expect(page.locator("#point-opioids")).to_contain_text("Oxycodone 5 mg tablet")
    expect(page.get_by_role("button", name="Write")).to_have_count(0)
    check_page(page, "blocked")


def test_an_open_gate_is_refused_with_a_list_of_links(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """Pressing write too early writes nothing, focuses the list of what is missing, and keeps the entries."""
    page = context.new_page()
    launch(page, site, ehr)
    page.locator("#confirm-consent").check()
    page.get_by_label("First dose on").fill("2026-11-25")
    page.get_by_role("button", name="Write the drafts").click()
    expect(page.locator("#problem")).to_be_focused()
    expect(page.locator("#problem a")).to_have_count(4)
    expect(page.locator("#confirm-consent")).to_be_checked()
    expect(page.get_by_label("First dose on")).to_have_value("2026-11-25")
    check_page(page, "open")
    assert [] == kinds(ehr)


def test_the_essentials_work_without_javascript(browser: Browser, site: Site, ehr: Ehr) -> None:
    """Gate, another schedule, update and write are plain forms."""
    context = browser.new_context(java_script_enabled=False)
    guard(context)
    page = context.new_page()
    launch(page, site, ehr)
    pass_gate(page)
    page.get_by_label("E slow start").check()
    page.get_by_role("button", name="Update").click()
    expect(page.locator("#start_mg")).to_have_value("0.5")
    expect(page.locator("#live-plan")).to_contain_text("0.5 mg at bedtime")
    page.get_by_role("button", name="Write the drafts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("All drafts are in the EHR.")
    context.close()


def test_the_whole_way_can_be_gone_with_the_keyboard(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """Tab, space and Enter reach and press everything, and the focus is always visible."""
    page = context.new_page()
    launch(page, site, ehr)
    pressed: set[str] = set()
    wanted = {
        "confirm-pregnancy",
        "confirm-consent",
        "confirm-pharmacy",
        "last-none",
        "method-history",
        "surgery-no",
    }
    for _ in range(80):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.id")
        assert page.evaluate(OUTLINES) != ["none"] or not name
        if name in wanted:
            page.keyboard.press("Space")
            pressed.add(name)
        elif page.evaluate("document.activeElement.hasAttribute('data-once')"):
            page.keyboard.press("Enter")
            break
    assert wanted == pressed
    expect(page.get_by_role("heading", level=1)).to_have_text("All drafts are in the EHR.")


def test_another_schedule_brings_its_own_values_at_once(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """Choosing D fills its fixed dose and redraws; no page is loaded."""
    page = context.new_page()
    launch(page, site, ehr)
    page.get_by_label("D neuropathy").check()
    expect(page.locator("#start_mg")).to_have_value("2")
    expect(page.locator("#live-plan")).to_contain_text("Plan D")
    page.get_by_text("Change doses, form, supply").click()
    page.get_by_label("Maximum").fill("4")
    expect(page.locator("#live-plan tbody tr")).to_have_count(2)


def test_an_impossible_value_is_explained_at_once(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """15 instead of 1.5: no plan is drawn, the limit is named."""
    page = context.new_page()
    launch(page, site, ehr)
    page.get_by_text("Change doses, form, supply").click()
    page.get_by_label("Starting dose").fill("15")
    expect(page.locator("#live-plan")).to_contain_text(
        "Starting dose of schedule A must be between 0.5 and 1.5 mg."
    )
    expect(page.get_by_label("Starting dose")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Starting dose").fill("1.5")
    expect(page.get_by_label("Starting dose")).not_to_have_attribute("aria-invalid", "true")


def test_a_double_click_writes_once(context: BrowserContext, site: Site, ehr: Ehr) -> None:
    """Two presses in a hurry, with an EHR that is slow and ignores If-None-Exist."""
    ehr.ignores_condition, ehr.write_delay = True, 0.2
    page = context.new_page()
    launch(page, site, ehr)
    pass_gate(page)
    page.get_by_role("button", name="Write the drafts").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text("All drafts are in the EHR.")
    assert kinds(ehr) == ["CarePlan", "MedicationRequest", "Task", "Task", "Task"]


def test_the_back_button_after_writing_leads_to_the_result(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """A finished plan cannot be written again from history."""
    page = context.new_page()
    launch(page, site, ehr)
    pass_gate(page)
    page.get_by_role("button", name="Write the drafts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("All drafts are in the EHR.")
    page.goto(re.sub("result$", "", page.url))
    expect(page.get_by_role("heading", level=1)).to_have_text("All drafts are in the EHR.")


def test_an_expired_session_is_a_readable_page(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """What happened and what to do."""
    page = context.new_page()
    launch(page, site, ehr)
    site.clock.move(hours=2)
    page.get_by_role("button", name="Write the drafts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your session has ended")
    check_page(page, "expired")


@pytest.mark.parametrize(
    ("bend", "title"),
    [
        ({"authorize_error": "access_denied"}, "Access was not granted"),
        ({"authorize_error": "invalid_scope"}, "The EHR refused the access asked for"),
        ({"token_error": "invalid_grant"}, "The EHR did not issue access"),
        ({"statuses": {"Patient": 403}}, "The EHR refused to show the record"),
        ({"statuses": {"Patient": 500}}, "The record could not be read"),
    ],
)
def test_each_failure_of_the_ehr_is_a_readable_accessible_page(
    context: BrowserContext,
    site: Site,
    ehr: Ehr,
    bend: dict[str, object],
    title: str,
) -> None:
    """Denied, bad scope, token error, FHIR refusal and failure."""
    for name, value in bend.items():
        setattr(ehr, name, value)
    page = context.new_page()
    launch(page, site, ehr)
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.get_by_text("What to do:")).to_be_visible()
    check_page(page, f"trouble-{title[:12]}")


def test_an_unknown_ehr_is_a_readable_page(context: BrowserContext, site: Site, ehr: Ehr) -> None:
    """And nothing is sent there."""
    page = context.new_page()
    page.goto(f"{site.base}/smart/launch?iss=https://evil.example/fhir&launch=1")
    expect(page.get_by_role("heading", level=1)).to_have_text("This EHR is not registered")
    assert [] == ehr.seen


def test_CT09_nothing_of_the_session_is_in_browser_storage_or_addresses(
    context: BrowserContext, site: Site, ehr: Ehr
) -> None:
    """No token in local or session storage, in an address that was visited, or in a script's reach."""
    addresses: list[str] = []
    page = context.new_page()
    page.on(
        "request",
        lambda request: addresses.append(request.url + str(request.headers.get("referer"))),
    )
    launch(page, site, ehr)
    expect(page.get_by_role("heading", level=1)).to_have_text(CLEAR)
    stored = page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert '[{},{},""]' == stored
    assert "CANARY-TOK" not in str(addresses) + page.content()


@pytest.mark.parametrize("listed", [True, False])
def test_CT10_only_a_listed_ehr_can_frame_the_app(
    context: BrowserContext, ehr: Ehr, tmp_path: Path, listed: bool
) -> None:
    """In the frame of a listed EHR on another site the whole launch works, cookie included; elsewhere nothing shows."""
    outside = ehr.root.replace("127.0.0.1", "localhost")
    origins = (outside,) if listed else ("https://another-ehr.example",)
    with serve_site(ehr, tmp_path, frame_ancestors=origins) as site:
        page = context.new_page()
        page.goto(
            f"{outside}/panel?src={site.base}/smart/launch%3Fiss%3D{ehr.iss}%26launch%3D{ehr.new_launch('ldn-1')}"
        )
        frame = page.frame_locator("iframe")
        if listed:
            expect(frame.get_by_role("heading", level=1)).to_have_text(CLEAR)
            frame.locator("#confirm-consent").check()
            expect(frame.locator("#live-mark-consent")).to_have_text("answered")
        else:
            page.wait_for_timeout(1_000)
            assert "naltrexone" not in page.frames[1].content()
