"""One browser for the folder; pages in both widths; nothing but loopback is reached."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Route, sync_playwright

from tests.e2e.oauth_server import Ehr, serve_ehr
from tests.e2e.smart_site import FIBROMYALGIA, PATIENT, Site, serve_site

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("needs Debian's chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def ehr() -> Iterator[Ehr]:
    with serve_ehr([PATIENT, FIBROMYALGIA]) as server:
        yield server


@pytest.fixture
def site(ehr: Ehr, tmp_path: Path) -> Iterator[Site]:
    with serve_site(ehr, tmp_path) as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1200, "height": 900})
    guard(opened)
    yield opened
    opened.close()


def guard(context: BrowserContext) -> None:
    """No request of a page may leave this machine."""

    def only_loopback(route: Route) -> None:
        if urlsplit(route.request.url).hostname in {"127.0.0.1", "localhost"}:
            route.continue_()
        else:
            route.abort()

    context.route("http://**", only_loopback)
    context.route("https://**", only_loopback)
