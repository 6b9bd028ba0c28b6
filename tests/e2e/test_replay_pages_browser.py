"""Report, diff and review of a replay, opened from the disk: no barrier, nothing asked of anybody, and they print."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from cds_service.retrospective import output, report
from cds_service.retrospective.diff import compare, read_replayed
from cds_service.retrospective.diff import write as write_diff
from cds_service.retrospective.run import Plan, finish, replay
from tests.e2e.test_console_pages_browser import AXE, HOSTILE, LOOKS
from tests.retrospective.generate import FIRST, LAST, Style, request, write

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("REPLAY_SHOTS", "")
NOBODY_KNOWS = "zyxolvane"
HEADINGS = {
    "report.html": "What a year of orders would have shown",
    "diff.html": "Verdicts changed",
    "review.html": "Is a card warranted?",
}
PRINTED = {
    "report.html": ("Limits of these numbers", "Cards by topic and colour", NOBODY_KNOWS),
    "diff.html": ("By rule and indicator", "Changed sessions"),
    "review.html": ("reviewer 1", "Session"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One export, with a name that would like to be a script, replayed as it is and with other numbers of a site."""
    place = tmp_path_factory.mktemp("replayed")
    export = place / "export"
    write(export, 3, 240, Style.OVERWRITTEN)
    with (export / "MedicationRequest.ndjson").open("a", encoding="utf-8") as orders:
        for number in range(8):
            text = {"text": f"{NOBODY_KNOWS} {HOSTILE}"}
            made = request(f"h{number}", f"p{number}", text, FIRST, "active", Style.CLEAN)
            orders.write(json.dumps(made) + "\n")
    own = place / "own"
    own.mkdir()
    (own / "thresholds.yaml").write_text(
        "short_acting_days: [{from: 2026-11-21, value: {critical_below: 2, warning_below: 3}, sources: [J]}]"
    )
    sides = []
    for name, overlay in (("out", ""), ("new", str(own))):
        plan = replace(Plan(export, place / name, FIRST, LAST, partitions=2), overlay=overlay,
                       pseudonyms=place / "key")  # fmt: skip
        rows = replay(plan)
        output.write_verdicts(rows, plan.out)
        report.write(rows, plan.out, 2)
        finish(plan)
        sides.append(read_replayed(plan.out))
    write_diff(compare(*sides, small=1), place / "out")
    return place / "out"


@pytest.fixture(scope="module")
def offline(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(accept_downloads=True)
    opened.set_offline(True)
    yield opened
    opened.close()


@pytest.mark.parametrize("name", HEADINGS)
def test_a_page_is_whole_from_the_disk(name: str, folder: Path, offline: BrowserContext) -> None:
    """Axe finds nothing in either scheme, nothing scrolls sideways, one file is asked for, and paper holds it all."""
    page, asked, complaints = watched(offline, folder / name)
    expect(page.get_by_role("heading", level=1)).to_have_text(HEADINGS[name])
    grounds = set()
    for width, scheme in (*LOOKS, (400, "dark"), (1280, "light")):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 900})
        found = Axe().run(page, options=AXE).response["violations"]
        said = [(v["id"], [n["html"][:160] for n in v["nodes"]][:5]) for v in found]
        assert [] == said, (name, width, scheme)
        grounds.add(page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor"))
        shoot(page, f"{name}-{width}-{scheme}")
    assert 2 == len(grounds), "the look of the service, light and dark"
    for width in (320, 400, 1600):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
    assert page.evaluate("window.struck === undefined && !document.querySelector('main img')")
    prints(page, name)
    assert [(folder / name).as_uri()] == asked
    assert [] == complaints
    page.close()


def watched(context: BrowserContext, file: Path) -> tuple[Page, list[str], list[str]]:
    """The page, what it asks for, and what its console complains of: a policy that is broken is told there."""
    page, asked, complaints = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    return page, asked, complaints


def prints(page: Page, name: str) -> None:
    """On A4: light, nothing cut off at the right, and every part on some sheet."""
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 688, "height": 900})  # 210 mm less the margins of the sheet
    assert page.evaluate("document.documentElement.scrollWidth") <= 688
    cut = page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.ariaLabel)"
    )
    assert [] == cut, name
    assert page.locator("body").evaluate("e => getComputedStyle(e).color") == "rgb(16, 33, 43)"
    shown = page.inner_text("body")
    assert [] == [words for words in PRINTED[name] if words not in shown]
    pdf = page.pdf(format="A4")
    assert re.findall(rb"/Type\s*/Page\b", pdf)
    if SHOTS:
        (Path(SHOTS) / f"{name}.pdf").write_bytes(pdf)
    page.emulate_media(media="screen", color_scheme="light")


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def test_a_reviewer_answers_and_saves(
    folder: Path, offline: BrowserContext, tmp_path: Path
) -> None:
    """By keyboard; the file holds every number of the sample, with an answer where one was given."""
    page, _, complaints = watched(offline, folder / "review.html")
    with (folder / "sample.csv").open(encoding="utf-8") as lines:
        papers = [row["number"] for row in csv.DictReader(lines)]
    assert len(papers) > 3
    expect(page.get_by_role("status")).to_have_text(
        f"{len(papers)} of {len(papers)} without an answer"
    )
    page.get_by_role("radio", name="reviewer 2").focus()
    page.keyboard.press("Space")
    first = page.get_by_role("group", name=re.compile(f"^{papers[0]}: "))
    first.get_by_role("radio", name="yes").focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    expect(first.get_by_role("radio", name="no")).to_be_checked()
    expect(page.get_by_role("status")).to_have_text(
        f"{len(papers) - 1} of {len(papers)} without an answer"
    )
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as a file").press("Enter")
    assert "reviewer-2.csv" == saved.value.suggested_filename
    saved.value.save_as(tmp_path / "saved.csv")
    with (tmp_path / "saved.csv").open(encoding="utf-8") as lines:
        answers = {row["number"]: row["answer"] for row in csv.DictReader(lines)}
    assert {**dict.fromkeys(papers, ""), papers[0]: "no"} == answers
    assert [] == complaints
    page.close()
