"""The console: ``/``, ``/rules/`` and ``/rules/<id>``, the last as JSON too, which take nothing from a caller and show no
patient, so they are there in every profile; and the pages that ``settings.console_pages`` switches on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, Response, render_template

from cds_service.console.connect import CONNECT
from cds_service.console.docs import DOCS
from cds_service.console.formulary import FORMULARY
from cds_service.console.pages import Desk, Page
from cds_service.console.play import PLAY
from cds_service.console.sheet import sheet
from cds_service.console.stories import Story, all_stories
from cds_service.console.use import USE
from cds_service.console.why import WHY
from cds_service.errors import NotFound
from cds_service.hooks.services import SERVICES
from cds_service.pipeline import Engine
from cds_service.settings import Settings
from cds_service.store.store import Store
from cds_service.web.look import add_look
from cds_service.web.wire import answer_json

PAGES: tuple[Page, ...] = (
    PLAY,
    WHY,
    FORMULARY,
    CONNECT,
    DOCS,
    USE,
)  # those that can be switched off, in the order of the navigation
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


FIRST_STORIES = ("ldn-with-oxycodone", "oxycodone-nine-days", "everyday-medicines")


def make_console(
    engine: Engine, settings: Settings, now: Callable[[], datetime], version: str, store: Store
) -> Blueprint:
    """The pages of what runs here; ``version`` is the program's."""
    console = Blueprint(
        "console",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/console",
    )
    add_look(console)
    by_id = {rule.id: rule for rule in engine.rules}
    desk = Desk(engine, settings, now, version, store)
    names = settings.console_pages | ({USE.name} if settings.shows_use else set())
    there = [page for page in PAGES if page.name in names]
    for page in there:
        page.add(console, desk)

    @console.context_processor
    def common() -> dict[str, object]:
        return {
            "version": version,
            "content": engine.content,
            "is_demo": settings.is_demo,
            "pages": there,
            "page_names": {page.name for page in there},
            "base_url": settings.base_url,
        }

    @console.get("/")
    def home() -> str:
        return render_template(
            "console/home.html",
            services=SERVICES.values(),
            rules=engine.rules,
            stories=_first_stories() if PLAY in there else (),
        )

    @console.get("/rules/")
    def rules() -> str:
        return render_template("console/rules.html", rules=engine.rules)

    @console.get("/rules/<rule_id>")
    def rule(rule_id: str) -> str | Response:
        name, as_json = rule_id.removesuffix(".json"), rule_id.endswith(".json")
        if name not in by_id:
            raise NotFound("There is no such rule; see /rules/.")
        found = sheet(by_id[name], engine.content, desk.today, desk.versions)
        return (
            answer_json(found.as_json())
            if as_json
            else render_template("console/rule.html", sheet=found)
        )

    @console.after_request
    def allow_own_pages(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return console


def _first_stories() -> list[Story]:
    """Something that stops, something that fades with the days, and something that must stay silent."""
    told = all_stories()
    return [told[name] for name in FIRST_STORIES if name in told]
