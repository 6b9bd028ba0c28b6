"""Sheets, use, formulary, connect and documents in a real browser: no barrier, no script, nothing from elsewhere."""

from __future__ import annotations

import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from tests.conftest import Running

pytestmark = pytest.mark.browser
AXE = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
LOOKS = ((400, "light"), (1280, "dark"))  # each width and each scheme once
HOSTILE = "<img src=x onerror='window.struck=1'><script>window.struck=1</script>"


def look_up(page: Page, url: str) -> None:
    page.goto(f"{url}/formulary")
    page.get_by_label("Name or code").fill("oxycodoen")
    page.get_by_role("button", name="Look it up").click()
    expect(page.locator("main")).to_contain_text("Only a guess")


def sign(page: Page, url: str) -> None:
    page.goto(f"{url}/connect")
    page.get_by_role("button", name="Sign a test call").click()
    expect(page.locator("main")).to_contain_text("signed with the published key")


def build(page: Page, url: str) -> None:
    page.goto(f"{url}/connect")
    page.get_by_label("Issuer").fill(HOSTILE)
    page.get_by_role("button", name="Make the TOML").click()
    expect(page.locator("main")).to_contain_text("Cure:")
    assert page.evaluate("window.struck === undefined && !document.querySelector('main img')")


def opened(path: str):
    return lambda page, url: page.goto(f"{url}{path}")


PAGES = {
    "sheet": opened("/rules/naltrexone-off-label"),
    "use": opened("/use"),
    "events": opened("/use/events"),
    "formulary": look_up,
    "connect, a call": sign,
    "connect, settings": build,
    "documents": opened("/docs?q=depot"),
    "document": opened("/docs/operations/README"),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_barrier(name: str, context: BrowserContext, service: Running) -> None:
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    PAGES[name](page, service.url)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    for width, scheme in LOOKS:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 900})
        found = Axe().run(page, options=AXE).response["violations"]
        said = [(v["id"], [n["html"][:160] for n in v["nodes"]]) for v in found]
        assert [] == said, (name, width, scheme)
    for width in (320, 1600):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
    assert [] == complaints


def test_what_was_overridden_is_counted(context: BrowserContext, service: Running) -> None:
    """From a press in the playground to the page that counts it."""
    page = context.new_page()
    page.goto(f"{service.url}/play?story=both-in-one-signing")
    with page.expect_response("**/feedback"):
        page.get_by_role("button", name="Override").first.click()
    page.goto(f"{service.url}/use/events")
    deadline = time.monotonic() + 15  # the audit of the call is written a moment after its answer
    while "overridden" not in page.locator("tbody").inner_text() and time.monotonic() < deadline:
        page.reload()
    expect(page.locator("tbody")).to_contain_text("overridden")
