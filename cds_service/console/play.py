"""``/play``: a story is opened, its order edited, sent to the public hook, and answered as an EHR would draw it.

The browser sends the call itself. Without script one press does the same: the server then makes the call through its
own public route, so that what stands on the page is always what an EHR gets. Only a story's id and the edited order are
ever in an address, never a call.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextvars import Context
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from flask import Blueprint, Response, current_app, render_template, request, url_for
from markupsafe import Markup
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Response as Answered

from cds_service.console.card_view import cards_of
from cds_service.console.demo_ehr import add_demo_ehr, launch_query
from cds_service.console.drug_names import find_names
from cds_service.console.order_form import UNITS, OrderForm, read_form, write_form
from cds_service.console.pages import Desk, Page
from cds_service.console.patient_view import chart_of
from cds_service.console.pressing import acceptance, press
from cds_service.console.stories import HOOKS, VERSIONS, Story, all_stories
from cds_service.errors import BadRequest, NotFound
from cds_service.fhir.values import as_dict, as_text
from cds_service.hooks.services import SERVICES
from cds_service.web.wire import answer_json, read_json

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SERVICE_OF = {service.hook: service.id for service in SERVICES.values()}


@dataclass(frozen=True, slots=True)
class Choice:
    """What is on the page: a story, and how it is said. Everything that is not offered falls back to what is."""

    story: Story
    release: str
    hook: str
    version: str

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Choice:
        stories = all_stories()
        if not stories:
            raise NotFound("The stories are not installed here.")
        story = stories.get(given.get("story", ""), next(iter(stories.values())))
        hook, version = given.get("hook", ""), given.get("version", "")
        return cls(
            story,
            story.release(given.get("release", "")),
            hook if hook in story.hooks else HOOKS[1],
            version if version in VERSIONS else next(iter(VERSIONS)),
        )

    def body(self, desk: Desk) -> dict[str, Any]:
        return self.story.body(self.release, self.hook, self.version, desk.today)


def add_play(console: Blueprint, desk: Desk) -> None:
    """The page and the four small helpers that its script asks: none of them judges anything."""
    limit = desk.settings.limits.body_bytes
    add_demo_ehr(console, desk)

    @console.get("/play")
    def play() -> Response:
        choice = Choice.of(request.args)
        body = choice.body(desk)
        return _page(choice, write_form(body, OrderForm.of(request.args)), desk)

    @console.post("/play")
    def send() -> Response:
        request.max_content_length = request.max_form_memory_size = limit
        choice = Choice.of(request.form)
        body = _edited(choice, desk)
        sent = body
        if "press" in request.form:
            pressed = as_dict(_parsed(request.form["press"]))
            sent = press(body, pressed.get("suggestion"))
            _call(f"{_path(body)}/feedback", _accepted(pressed, desk))
        status, answer = _call(_path(sent), sent)
        return _page(choice, sent, desk, answer, status)

    @console.get("/play/request.json")
    def story_request() -> Response:
        choice = Choice.of(request.args)
        return _as_request(write_form(choice.body(desk), OrderForm.of(request.args)), desk)

    @console.post("/play/draw")
    def draw() -> str:
        given = as_dict(read_json(limit))
        story = as_text(given.get("story"))
        return _cards(given.get("answer"), _whole(given.get("status")), story, desk)

    @console.post("/play/edit")
    def edit() -> Response:
        given = as_dict(read_json(limit))
        return _as_request(
            write_form(_call_of(given), OrderForm.of(as_dict(given.get("form")))), desk
        )

    @console.post("/play/press")
    def pressed_suggestion() -> Response:
        given = as_dict(read_json(limit))
        return _as_request(press(_call_of(given), given.get("suggestion")), desk)

    @console.get("/play/drugs.json")
    def drugs() -> Response:
        return answer_json({"names": find_names(request.args.get("q", ""), desk.engine)})


def _edited(choice: Choice, desk: Desk) -> dict[str, Any]:
    """The call of a form: as it was edited by hand, else the story's with the order as it was filled in."""
    story = write_form(choice.body(desk), OrderForm.of(request.form))
    written = request.form.get("body", "").strip()
    if not written or request.form.get("before", "").strip() == written:
        return story
    body = _parsed(written)
    if not isinstance(body, dict):
        raise BadRequest("The request must be a JSON object.")
    return body


def _parsed(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadRequest("The request is not valid JSON.") from None


def _accepted(pressed: Mapping[str, Any], desk: Desk) -> dict[str, Any]:
    suggestion = as_text(as_dict(pressed.get("suggestion")).get("uuid"))
    return {"feedback": [acceptance(as_text(pressed.get("card")), suggestion, desk.now())]}


def _call(path: str, body: Mapping[str, Any]) -> tuple[int, object]:
    """Call this service by its public route, with everything that stands before it.

    In a context of its own: what Flask keeps for one request must not be seen by another.
    """
    environ = EnvironBuilder(
        path,
        method="POST",
        data=orjson.dumps(body),
        content_type="application/json",
        environ_base={"REMOTE_ADDR": request.remote_addr or "127.0.0.1"},
    ).get_environ()
    served = Context().run(run_wsgi_app, current_app.wsgi_app, environ, buffered=True)
    answer = Answered(*served)
    return answer.status_code, _parsed(answer.get_data(as_text=True))


def _path(body: Mapping[str, Any]) -> str:
    return f"/cds-services/{_SERVICE_OF.get(as_text(body.get('hook')), _SERVICE_OF[HOOKS[1]])}"


def _as_request(body: dict[str, Any], desk: Desk) -> Response:
    return answer_json(
        {
            "body": body,
            "path": _path(body),
            "form": asdict(read_form(body)),
            "chart": _chart(body),
            "curl": curl_of(body, desk),
        }
    )


def curl_of(body: Mapping[str, Any], desk: Desk) -> str:
    """The same call for a shell, as it stands."""
    said = shlex.quote(orjson.dumps(body).decode())
    url = f"{desk.settings.base_url}{_path(body)}"
    return f"curl -sS {url} -H 'Content-Type: application/json' --data-binary {said}"


def _chart(body: object) -> str:
    return render_template("console/_chart.html", chart=chart_of(body))


def _cards(answer: object, status: int, story: str, desk: Desk) -> str:
    """The cards; a link to a SMART app opens from the EHR of the story, where there is one."""
    return render_template(
        "console/_cards.html",
        cards=cards_of(answer),
        status=status,
        answer=answer,
        launch=lambda link: launch_query(story, link["context"], desk),
    )


def _page(
    choice: Choice, body: dict[str, Any], desk: Desk, answer: object = None, status: int = 0
) -> Response:
    page = render_template(
        "console/play.html",
        choice=choice,
        stories=all_stories(),
        following=following(choice.story),
        versions=VERSIONS,
        units=UNITS,
        form=read_form(body),
        story=asdict(read_form(choice.body(desk))),
        chart=chart_of(body),
        body=pretty(body),
        path=_path(body),
        curl=curl_of(body, desk),
        answer=pretty(answer) if answer is not None else "",
        cards=Markup(_cards(answer, status, choice.story.id, desk)) if answer is not None else "",  # noqa: S704 - our own template
        share=share_link(choice, request.values),
    )
    response = Response(page)
    response.headers["Content-Security-Policy"] = POLICY
    return response


def following(story: Story) -> Story | None:
    """The story after this one; None after the last."""
    told = list(all_stories().values())
    return next(iter(told[told.index(story) + 1 :]), None)


def share_link(choice: Choice, given: Mapping[str, str]) -> str:
    """The address of this page: the story and what was changed in its order, nothing else of a call."""
    edits = {name: text for name, text in asdict(OrderForm.of(given)).items() if text}
    return url_for(
        "console.play",
        story=choice.story.id,
        release=choice.release,
        hook=choice.hook,
        version=choice.version,
        **edits,
    )


def pretty(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _call_of(given: Mapping[str, Any]) -> dict[str, Any]:
    return dict(as_dict(given.get("body")))


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


PLAY = Page("play", "Playground", add_play)
