"""The playground and why in a real browser: stories, edits, suggestions, feedback, the drag, widths and schemes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from cds_service import pipeline
from cds_service.console.stories import all_stories
from cds_service.hooks.services import SERVICES
from cds_service.pipeline import Engine
from cds_service.rules.interaction import TOPIC
from tests.conftest import AS_OF, Running
from tests.e2e.conftest import guard

pytestmark = pytest.mark.browser
STORIES = all_stories()
TODAY = AS_OF.date()
AXE = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
HOSTILE = "<img src=x onerror='window.struck=1'><script>window.struck=1</script>"


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page whose console stays empty."""
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    assert [] == complaints


def open_story(page: Page, service: Running, query: str) -> None:
    page.goto(f"{service.url}/play?story={query}")
    expect(page.locator("#cards")).to_have_attribute("data-answered", re.compile(r"\d"))


def after(page: Page, act) -> None:
    """Do it, and wait for the answer that it brings."""
    before = page.locator("#cards").get_attribute("data-answered")
    act()
    expect(page.locator("#cards")).not_to_have_attribute("data-answered", before or "")


def shown(page: Page) -> list[str]:
    """The indicators of the cards on the page."""
    return page.locator("#cards [data-card] h3 .chip").all_inner_texts()


def served(story: str, day: date, engine: Engine) -> str:
    """What the interaction rule of the service says of this story on another day."""
    body = STORIES[story].body("R4", "order-select", "2.0", TODAY)
    moment = datetime.combine(day, AS_OF.timetz())
    cards = pipeline.answer(body, SERVICES["naltrexone-order-select"], engine, moment).cards
    said = [c["indicator"] for c in cards if c["source"]["topic"]["code"] == TOPIC]
    return said[0] if said else "none"


def test_every_story_opens_sends_renders_and_explains(page: Page, service: Running) -> None:
    for story in STORIES.values():
        open_story(page, service, story.id)
        assert sorted(story.expected.values()) == sorted(shown(page)), story.id
        page.get_by_role("button", name="See why").click()
        expect(page.locator("#live-verdict")).to_have_attribute(
            "data-severity", story.expected.get("opioid-interaction", "none")
        )


def test_from_the_first_page_to_an_edited_card_in_four_actions(page: Page, service) -> None:
    """README's command prints the address; from there: open it, press a story, type a dose, press Send."""
    page.goto(f"{service.url}/")
    page.get_by_role("link", name="Low-dose naltrexone, oxycodone on the list").click()
    expect(page.locator("#cards")).to_contain_text("Low-dose naltrexone 4.5 mg/day")
    page.get_by_label("Dose", exact=True).fill("50")
    after(page, page.get_by_role("button", name="Send").click)
    expect(page.locator("#cards")).not_to_contain_text("Low-dose naltrexone 4.5 mg/day")
    expect(page.locator("#body")).to_have_value(re.compile(r'"value": 50'))


def test_edits_suggestions_feedback_and_the_planner(page: Page, service: Running) -> None:
    open_story(page, service, "ldn-with-oxycodone")
    after(
        page,
        lambda: (
            page.get_by_label("Medicine").fill("ibuprofen 400 MG") or page.keyboard.press("Tab")
        ),
    )
    expect(page.locator("#cards")).to_contain_text("No card")
    link = page.get_by_role("link", name="Link to this").get_attribute("href")
    assert "drug=ibuprofen" in link
    assert not re.search(
        r"Nora|Testpatient|1974|oxycodone\+|pat-1", link.replace("ldn-with-oxycodone", "")
    )
    page.goto(service.url + link)
    expect(page.locator("#cards")).to_contain_text("No card")
    expect(page.get_by_label("Medicine")).to_have_value("ibuprofen 400 MG")

    open_story(page, service, "ldn-alone")  # the suggestion writes another order, and is fed back
    with page.expect_response(re.compile("/feedback$")) as fed:
        after(page, page.get_by_role("button", name=re.compile("1.5 mg")).click)
    assert 200 == fed.value.status
    assert "accepted" == json.loads(fed.value.request.post_data)["feedback"][0]["outcome"]
    expect(page.get_by_label("Medicine")).to_have_value(re.compile("1.5 mg"))
    expect(page.locator("#state")).to_contain_text("Feedback sent")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name=re.compile("planner")).click()
    expect(opened.value.get_by_role("heading", level=1)).to_contain_text("Nothing in the record")
    expect(opened.value.get_by_role("banner")).to_contain_text("Nora Testpatient")
    opened.value.close()

    open_story(page, service, "both-in-one-signing")
    with page.expect_response(re.compile("/feedback$")) as fed:
        page.get_by_role("button", name="Override").first.click()
    assert 200 == fed.value.status
    assert "overridden" == json.loads(fed.value.request.post_data)["feedback"][0]["outcome"]
    expect(page.locator(".fed").first).to_contain_text("Feedback sent")
    after(page, page.get_by_role("button", name="Cancel the oxycodone order").click)
    assert ["info"] == shown(page)  # only the naltrexone is left on screen
    page.locator(".how summary").click()
    after(page, lambda: page.get_by_label("FHIR release").select_option("DSTU2"))
    expect(page.locator("#body")).to_have_value(re.compile("MedicationOrder"))
    after(page, lambda: page.get_by_label("Hook", exact=True).select_option("medication-prescribe"))
    expect(page.locator("#path")).to_have_text("POST /cds-services/naltrexone-medication-prescribe")
    assert ["critical", "info"] == shown(page)


def test_a_request_written_by_hand_is_sent_and_what_it_says_is_inert(page, service) -> None:
    open_story(page, service, "unknown-name")
    body = json.loads(page.locator("#body").input_value())
    for entry in body["prefetch"]["medicationRequests"]["entry"]:
        entry["resource"]["medicationCodeableConcept"] = {"text": f"Zzyx {HOSTILE}"}
    page.locator(".wire summary").click()
    page.locator("#body").fill(json.dumps(body))
    after(page, page.get_by_role("button", name="Send").click)
    expect(page.locator("#chart")).to_contain_text("window.struck")
    page.get_by_role("button", name="See why").click()
    expect(page.locator("#live-verdict")).to_be_visible()
    assert page.evaluate("window.struck === undefined && !document.querySelector('main img')")


def test_the_drag_by_mouse_and_keyboard_says_what_the_service_says(page, service, engine) -> None:
    story = "oxycodone-six-days"
    page.goto(f"{service.url}/why?story={story}")
    verdict = page.locator("#live-verdict")
    walked = []
    slider = page.get_by_role("slider", name="Day of the draft")
    slider.focus()
    for _ in range(5):  # keyboard: a day at a press
        day = date.fromisoformat(verdict.get_attribute("data-day")) + timedelta(days=1)
        slider.press("ArrowRight")
        expect(verdict).to_have_attribute("data-day", day.isoformat())
        expect(verdict).to_have_attribute("data-severity", served(story, day, engine))
        walked.append(verdict.get_attribute("data-severity"))
    assert ["warning", "warning", "warning", "none", "none"] == walked
    assert f"{day.day} {day:%b} {day.year}" == slider.get_attribute("aria-valuetext")

    chart = page.locator(".timeline.for-wide")  # mouse: take the line and pull it back
    box, knob = chart.bounding_box(), chart.locator(".draft circle").bounding_box()
    page.mouse.move(knob["x"] + knob["width"] / 2, knob["y"] + knob["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 5, knob["y"], steps=8)
    page.mouse.up()
    ended = TODAY - timedelta(days=6)
    expect(verdict).to_have_attribute(
        "data-day", ended.isoformat()
    )  # not before the record can have been there
    expect(verdict).to_have_attribute("data-severity", served(story, ended, engine))
    expect(page.locator("#as-of")).to_have_value(ended.isoformat())

    end = page.get_by_role(
        "slider", name=re.compile("^Last day of")
    )  # the end of the medicine, by keyboard
    end.focus()
    page.get_by_role("button", name="As it was sent").click()
    expect(verdict).to_have_attribute("data-day", TODAY.isoformat())
    for _ in range(4):
        end.press("ArrowLeft")
    expect(verdict).to_have_attribute("data-severity", "none")
    expect(page.locator("#live-table")).to_contain_text("ended 10 days ago")


def test_a_finger_takes_the_draft_along(browser: Browser, service: Running, engine) -> None:
    phone = browser.new_context(viewport={"width": 400, "height": 800}, has_touch=True)
    guard(phone)
    page = phone.new_page()
    page.goto(f"{service.url}/why?story=oxycodone-six-days")
    chart = page.locator(".timeline.for-narrow")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    knob = chart.locator(".draft circle").bounding_box()
    finger = phone.new_cdp_session(page)
    start, middle = knob["x"] + knob["width"] / 2, knob["y"] + knob["height"] / 2

    def touch(kind: str, x: float) -> None:
        points = [{"x": x, "y": middle}] if kind != "touchEnd" else []
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    verdict = page.locator("#live-verdict")
    far = box["x"] + box["width"] - 15
    touch("touchStart", start)
    for step in range(1, 9):
        touch("touchMove", start + (far - start) * step / 8)
    expect(verdict).to_have_attribute("data-severity", "none")  # while the finger is still down
    touch("touchMove", start + (far - start) / 4)
    touch("touchEnd", 0)
    page.wait_for_function(
        """far => document.getElementById('live-verdict').dataset.day < far
        && document.getElementById('live-verdict').dataset.day === document.getElementById('as-of').value""",
        arg=(TODAY + timedelta(days=15)).isoformat(),
    )
    day = date.fromisoformat(verdict.get_attribute("data-day"))
    assert TODAY < day
    expect(verdict).to_have_attribute("data-severity", served("oxycodone-six-days", day, engine))
    expect(chart.locator(".draft")).to_contain_text(f"{day.day} {day:%b}")
    phone.close()


def test_one_press_does_it_without_script(browser: Browser, service: Running) -> None:
    plain = browser.new_context(java_script_enabled=False)
    guard(plain)
    page = plain.new_page()
    page.goto(f"{service.url}/play?story=oxycodone-six-days")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#cards")).to_contain_text("oxycodone ended 6 days ago")
    page.get_by_role("button", name="See why").click()
    page.locator("#as-of").fill((TODAY + timedelta(days=2)).isoformat())
    page.get_by_role("button", name="Judge again").click()
    expect(page.locator("#live-verdict")).to_have_attribute("data-severity", "warning")
    plain.close()


def test_no_barrier_in_any_width_and_scheme(page: Page, service: Running) -> None:
    for path in ("/", "/play?story=both-in-one-signing", "/why?story=sublocade-35-days"):
        page.goto(service.url + path)
        if path.startswith("/play"):
            expect(page.locator("#cards")).to_have_attribute("data-answered", re.compile(r"\d"))
        page.evaluate(
            "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
        )
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            for width in (400, 1280):
                page.set_viewport_size({"width": width, "height": 900})
                found = Axe().run(page, options=AXE).response["violations"]
                said = [(v["id"], [n["html"][:160] for n in v["nodes"]]) for v in found]
                assert [] == said, (path, scheme, width)
        for width in (320, 400, 768, 1280, 1600):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
