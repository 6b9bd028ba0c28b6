"""``/why``: what the body meets, on which day the answer turns, and what each rule said by which numbers and sources.

A call comes in the body of a POST and is forgotten with the answer; only a story can be named in an address. Another day
of the draft, or another end of a medicine, is judged anew by the engine that answers the hooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import orjson
from flask import Blueprint, Response, render_template, request

from cds_service import pipeline
from cds_service.console.card_view import cards_of
from cds_service.console.order_form import OrderForm, write_form
from cds_service.console.other_end import can_end, with_ends
from cds_service.console.pages import Desk, Page
from cds_service.console.play import POLICY, Choice
from cds_service.console.timeline import Call, Timeline, draw
from cds_service.console.tracks import Track
from cds_service.errors import BadRequest, ServiceError
from cds_service.explaining import explain
from cds_service.fhir.values import as_dict, as_text
from cds_service.hooks.services import SERVICES
from cds_service.rules.interaction import TOPIC
from cds_service.web.wire import read_json

LARGEST = 1_000_000  # bytes of a call that is judged once for every day
FARTHEST = timedelta(days=3_650)  # of a day from today
_SERVICE_OF = {service.hook: service for service in SERVICES.values()}
_END = "end:"  # what the field of an end begins with, before ``Type/id``


@dataclass(frozen=True, slots=True)
class Scene:
    """One call on one day, explained. ``endings`` are the medicines whose end can be moved, with the day it stands on."""

    trace: Mapping[str, Any]
    cards: list[dict[str, Any]]
    timeline: Timeline
    endings: tuple[tuple[Track, date], ...]

    @property
    def summary(self) -> str:
        """The first card of the rule that the timeline is about, in its own words."""
        return next((c["summary"] for c in self.cards if c["topic"] == TOPIC), "")


def add_why(console: Blueprint, desk: Desk) -> None:
    """The page, and the parts of it that move with the draft."""
    limit = min(desk.settings.limits.body_bytes, LARGEST)

    @console.app_template_filter("said_day")
    def said_day(day: date | None) -> str:
        return f"{day.day} {day:%b} {day.year}" if day else ""

    @console.get("/why")
    def why() -> Response:
        choice = Choice.of(request.args)
        body = write_form(choice.body(desk), OrderForm.of(request.args))
        return _page(body, choice.story.title, {}, desk)

    @console.post("/why")
    def ask() -> Response:
        request.max_content_length = request.max_form_memory_size = limit
        given = request.form
        return _page(_parsed(given.get("body", "")), given.get("title", ""), given, desk)

    @console.post("/why/live")
    def live() -> str:
        given = as_dict(read_json(limit))
        frame = _day(given.get("first"), desk), _day(given.get("last"), desk)
        moved = as_dict(given.get("moved"))
        scene = look(as_dict(given.get("body")), moved, desk, frame=frame, advise=False)
        return render_template("console/_why_live.html", scene=scene, tl=scene.timeline)


def look(
    body: Mapping[str, Any],
    moved: Mapping[str, Any],
    desk: Desk,
    *,
    frame: tuple[date | None, date | None] = (None, None),
    advise: bool = True,
) -> Scene:
    """The call as if its draft were made on ``moved["as_of"]``, with the ends that ``moved`` names."""
    today = _day(moved.get("as_of"), desk) or desk.today
    ends = {
        name.removeprefix(_END): day
        for name, text in moved.items()
        if name.startswith(_END) and (day := _day(text, desk))
    }
    now = datetime.combine(today, desk.now().astimezone(desk.engine.zone).timetz())
    service = _SERVICE_OF.get(as_text(body.get("hook")), _SERVICE_OF["order-sign"])
    outcome = pipeline.answer(with_ends(body, ends, today), service, desk.engine, now)
    timeline = draw(Call(outcome.request, outcome, desk.engine, now), *frame)
    return Scene(
        explain(outcome, desk.engine, advise=advise),
        cards_of(outcome.response),
        timeline,
        tuple(_endings(timeline, outcome)),
    )


def _endings(timeline: Timeline, outcome: pipeline.Outcome) -> list[tuple[Track, date]]:
    movable = {e.medication.order.ref for e in outcome.snapshot.exposures if can_end(e)}
    return [
        (track, min(max(track.sure_to or timeline.draft, timeline.first), timeline.last))
        for track in timeline.tracks
        if track.ref in movable
    ]


def _page(body: Mapping[str, Any], title: str, moved: Mapping[str, Any], desk: Desk) -> Response:
    try:
        scene = look(body, moved, desk)
    except ServiceError as error:
        page = render_template("console/why_refused.html", error=error, title=title)
        return _with_policy(Response(page, status=error.status))
    page = render_template(
        "console/why.html",
        scene=scene,
        tl=scene.timeline,
        title=title,
        body=orjson.dumps(body).decode(),
        titles={rule.id: rule.title for rule in desk.engine.rules},
    )
    return _with_policy(Response(page))


def _with_policy(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    return response


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        return as_dict(orjson.loads(text))
    except orjson.JSONDecodeError:
        raise BadRequest("The request is not valid JSON.") from None


def _day(text: object, desk: Desk) -> date | None:
    """A day within ten years of today; None for anything else."""
    try:
        day = date.fromisoformat(as_text(text))
    except ValueError:
        return None
    return day if abs(day - desk.today) <= FARTHEST else None


WHY = Page("why", "Why", add_why)
