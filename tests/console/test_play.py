"""The playground: every story answers as it says, edits are real FHIR, and nothing that is sent gets into the page."""

from __future__ import annotations

import copy
import html
import itertools
import json
import re
import shlex
from datetime import date, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service import pipeline
from cds_service.app import create_app
from cds_service.console.card_view import cards_of
from cds_service.console.order_form import OrderForm, drafts, read_form, subject, write_form
from cds_service.console.pressing import press
from cds_service.console.stories import HOOKS, VERSIONS, all_stories
from cds_service.fhir import write
from cds_service.hooks.services import SERVICES
from cds_service.model import Release
from cds_service.pipeline import Engine
from cds_service.settings import Settings
from tests.conftest import AS_OF

STORIES = list(all_stories().values())
SERVICE_OF = {service.hook: service for service in SERVICES.values()}
TODAY = AS_OF.date()
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'`[a](javascript:alert(1))"
ODD: list[Any] = [None, 1, "x", [], {}, [[]], {"context": 1}, {"context": {"draftOrders": []}}]
ODD += [
    {"context": {"draftOrders": {"entry": [e]}, "selections": s}, "prefetch": p}
    for e in (None, 1, {}, {"resource": 1}, {"resource": {"dosageInstruction": [1], "id": []}})
    for s in (None, 1, [1], [{}])
    for p in (None, 1, {"patient": {"resourceType": "Patient", "name": [1]}}, {"x": {"entry": 1}})
]


def body_of(name: str, release: str = "R4", hook: str = "order-select") -> dict[str, Any]:
    return all_stories()[name].body(release, hook, "2.0", TODAY)


def answer_to(body: dict[str, Any], engine: Engine) -> list[dict[str, Any]]:
    return list(pipeline.answer(body, SERVICE_OF[body["hook"]], engine, AS_OF).cards)


def said(cards: list[dict[str, Any]]) -> dict[str, str]:
    return {c["source"]["topic"]["code"].removeprefix("naltrexone-"): c["indicator"] for c in cards}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    settings = Settings(data_dir=str(tmp_path_factory.mktemp("data")))
    return create_app(settings, now=lambda: AS_OF).test_client()


def test_there_are_stories_of_every_kind() -> None:
    assert len(STORIES) >= 24
    groups = "Core|Washout dates|Depots|Emergency|Hospice|Treatment of opioid use disorder|Foreign names|Messy records"
    assert {*groups.split("|"), "Traps that must stay silent", "Broken data"} == {
        story.group for story in STORIES
    }
    assert {*SERVICE_OF} == {hook for story in STORIES for hook in story.hooks}
    assert all(5 <= len(story.why.split()) <= 20 for story in STORIES)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.id)
def test_a_story_answers_as_it_says_however_it_is_sent_and_whenever(story, engine: Engine) -> None:
    for later, release, hook, version in itertools.product(
        (0, 200), story.releases, story.hooks, VERSIONS
    ):
        now = AS_OF + timedelta(days=later)
        body = story.body(release, hook, version, now.date())
        outcome = pipeline.answer(body, SERVICE_OF[hook], engine, now)
        assert dict(story.expected) == said(list(outcome.cards)), (release, hook, version)


def test_a_birth_date_stays_and_every_other_day_moves() -> None:
    before, later = (
        body_of("oxycodone-six-days"),
        all_stories()["oxycodone-six-days"].body("R4", "order-select", "2.0", date(2027, 2, 1)),
    )
    assert before["prefetch"]["patient"] == later["prefetch"]["patient"]
    days = [set(re.findall(r"20\d\d-\d\d-\d\d", json.dumps(body))) for body in (before, later)]
    assert len(days[0]) == len(days[1]) > 1
    assert not days[0] & days[1]


@pytest.mark.parametrize("release", list(Release))
def test_an_edited_order_is_real_fhir_and_is_read_as_it_was_filled_in(
    release: Release, engine: Engine
) -> None:
    body = body_of("ldn-alone", release.value)
    wanted = OrderForm("naltrexone hydrochloride 50 MG Oral Tablet", "50", "mg", "1", "")
    edited = write_form(body, wanted)
    assert [] == write.faults(subject(edited), release)
    assert (wanted.drug, "50", "mg", "1") == (
        read_form(edited).drug,
        read_form(edited).dose,
        read_form(edited).unit,
        read_form(edited).times,
    )
    assert body == body_of("ldn-alone", release.value)  # the call that was given is not touched
    outcome = pipeline.answer(edited, SERVICE_OF["order-select"], engine, AS_OF)
    assert "50" == str(outcome.snapshot.drafts[0].medication.dose.daily_mg)


def test_a_new_dose_takes_the_old_instructions_away_and_new_instructions_the_old_dose() -> None:
    body = body_of("ldn-alone")
    assert "" == read_form(write_form(body, OrderForm(dose="3"))).sig
    assert ("mg", "1") == (
        read_form(write_form(body, OrderForm(dose="3"))).unit,
        read_form(write_form(body, OrderForm(dose="3"))).times,
    )
    told = read_form(write_form(body, OrderForm(sig="take two at night")))
    assert ("", "take two at night") == (told.dose, told.sig)
    assert body == write_form(body, read_form(body))


@pytest.mark.parametrize("release", list(Release))
def test_a_pressed_suggestion_does_in_the_draft_what_its_actions_say(release, engine) -> None:
    """Every suggestion of every story, in every hook: a delete leaves no such draft, an update its own."""
    tried = 0
    for story, hook in itertools.product(STORIES, HOOKS):
        if release.value not in story.files:
            continue
        body = story.body(release.value, hook, "2.0", TODAY)
        before = copy.deepcopy(body)
        for card in answer_to(body, engine):
            for suggestion in card.get("suggestions", []):
                for action in suggestion["actions"]:
                    assert _is_done(action, drafts(before), press(body, suggestion)), action
                    tried += 1
        assert before == body
    assert tried > 20


def _is_done(action: dict[str, Any], before: list[Any], pressed: dict[str, Any]) -> bool:
    """DSTU2-era clients name what to delete by a bare id in ``resource``."""
    resource, left = action.get("resource"), drafts(pressed)
    if action["type"] == "delete":
        wanted = action.get("resourceId") or resource
        named = [d for d in before if wanted in {d["id"], f"{d['resourceType']}/{d['id']}"}]
        return 1 == len(named) and named[0] not in left and len(before) - 1 == len(left)
    listed = [e["resource"] for a in pressed["prefetch"].values() if a for e in a.get("entry", ())]
    return resource in [*left, *listed]


def test_the_page_is_small_whole_and_asks_nobody_else(web: FlaskClient) -> None:
    for story in STORIES:
        page = web.get(f"/play?story={story.id}")
        assert (200, "text/html") == (page.status_code, page.mimetype)
        assert len(page.data) < 150_000
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        assert not re.findall(
            r"<script(?![^>]* src=\"/console/)|style=\"|\son\w+=|https?://(?!127)",
            page.text.split("<textarea")[0],
        )
        assert html.escape(story.why) in page.text or story.why in html.unescape(page.text)
    for name in ("play.js", "play.css"):
        with web.get(f"/console/{name}") as file:
            assert 200 == file.status_code


def test_one_press_without_script_sends_edits_and_presses(web: FlaskClient) -> None:
    opened = web.post("/play", data={"story": "ldn-with-oxycodone"})
    assert "Do not start naltrexone" in opened.text
    edited = web.post("/play", data={"story": "ldn-with-oxycodone", "drug": "ibuprofen"})
    assert "No card" in edited.text
    button = re.search(r'name="press" value="([^"]*)"', opened.text)
    pressed = web.post(
        "/play", data={"story": "ldn-with-oxycodone", "press": html.unescape(button[1])}
    )
    assert "No card" in pressed.text


def test_a_request_written_by_hand_is_what_is_sent(web: FlaskClient) -> None:
    written = json.dumps(body_of("everyday-medicines"))
    sent = web.post("/play", data={"story": "ldn-with-oxycodone", "before": "{}", "body": written})
    assert "No card" in sent.text
    for broken in ("{", "[]", "1"):
        assert 400 == web.post("/play", data={"body": broken}).status_code


@pytest.mark.parametrize("path", ["/play/edit", "/play/press", "/play/draw"])
def test_whatever_is_posted_is_answered_or_refused(web: FlaskClient, path: str) -> None:
    for odd in ODD:
        asked = [odd, {"body": odd, "form": odd, "suggestion": odd, "answer": odd, "status": odd}]
        asked += [{"body": odd, "form": {"dose": "3", "drug": "x"}, "status": 500}]
        for given in asked:
            assert web.post(
                path, data=json.dumps(given), content_type="application/json"
            ).status_code in {200, 400}, given


def test_text_from_fhir_and_cards_is_inert(web: FlaskClient, engine: Engine) -> None:
    body = body_of("unknown-name")
    text = json.dumps(body).replace("Nora", json.dumps(HOSTILE)[1:-1])
    body = json.loads(text)
    for entry in body["prefetch"]["medicationRequests"]["entry"]:
        entry["resource"]["medicationCodeableConcept"] = {"text": HOSTILE}
    card = {
        "uuid": HOSTILE,
        "summary": HOSTILE,
        "indicator": HOSTILE,
        "detail": HOSTILE,
        "source": {"label": HOSTILE, "url": "javascript:alert(1)"},
        "links": [{"label": HOSTILE, "url": "javascript:alert(1)"}],
        "suggestions": [{"label": HOSTILE, "uuid": HOSTILE}],
        "overrideReasons": [{"display": HOSTILE, "code": HOSTILE}],
    }
    pages = [
        web.post("/play", data={"story": "ldn-alone", "body": json.dumps(body)}).text,
        web.post("/play/draw", json={"answer": {"cards": [card]}, "status": 200}).text,
        web.post(
            "/play/draw", json={"answer": {"issue": [{"diagnostics": HOSTILE}]}, "status": 400}
        ).text,
        web.post("/play/edit", json={"body": body}).json["chart"],
        web.get("/play", query_string={"drug": HOSTILE, "story": HOSTILE}).text,
    ]
    for page in pages:
        assert "<script>" not in page
        assert "<img" not in page
        assert 'href="javascript' not in page
        assert not re.search(r'="[^"]*"\'', page)


def test_the_link_to_share_holds_the_story_and_the_edits_and_nothing_of_the_patient(web) -> None:
    page = web.get("/play?story=ldn-alone&dose=3&hook=order-sign&release=R5").text
    link = html.unescape(re.search(r'id="share" href="([^"]+)"', page)[1])
    assert "/play?story=ldn-alone&release=R5&hook=order-sign&version=2.0&dose=3" == link
    assert 'name="dose" value="3"' in web.get(link).text
    assert '"value": 3' in html.unescape(page)


def test_drug_search_finds_products_by_the_beginnings_of_words(web: FlaskClient) -> None:
    found = web.get("/play/drugs.json?q=oxyc 5 tab").json["names"]
    assert "oxycodone hydrochloride 5 MG Oral Tablet" in found
    assert len(found) <= 12
    assert [] == web.get("/play/drugs.json?q=o").json["names"]
    assert [] == web.get("/play/drugs.json").json["names"]


def test_what_a_card_lacks_is_left_out() -> None:
    assert [] == cards_of({"cards": [1, None, "x"]})
    assert "info" == cards_of({"cards": [{}]})[0]["indicator"]


@pytest.mark.parametrize("enabled", [(), ("play",)])
def test_production_has_the_page_only_where_it_is_named(tmp_path, enabled) -> None:
    settings = Settings(
        profile="production",
        data_dir=str(tmp_path),
        auth="off",
        public_base_url="https://cds.example.org",
        console=enabled,
    )
    web = create_app(settings, now=lambda: AS_OF).test_client()
    there = 200 if enabled else 404
    assert there == web.get("/play").status_code == web.get("/play/request.json").status_code
    assert {200 if enabled else 404} == {
        web.post(path, json={}).status_code for path in ("/play/edit", "/play/press", "/play/draw")
    }
    assert ("/play" in web.get("/").text) is bool(enabled)


def test_a_card_opens_the_planner_from_the_ehr_of_the_story(tmp_path) -> None:
    """Only in the demo on this machine; there it reads one invented record, keeps nothing and sends nobody elsewhere."""
    answer = {
        "cards": [{"links": [{"url": "http://127.0.0.1:8000/smart/launch", "type": "smart"}]}]
    }
    asked = {"answer": answer, "status": 200, "story": "ldn-alone"}
    root = "/play/ehr/ldn-alone"
    places = {
        "http://127.0.0.1:8000": 200,
        "https://cds.example.org": 404,
        "http://127.0.0.1.evil.example": 404,
    }
    for base, there in places.items():
        data = str(tmp_path / str(len(base)))
        web = create_app(
            Settings(data_dir=data, public_base_url=base), now=lambda: AS_OF
        ).test_client()
        assert there == web.get(f"{root}/fhir/metadata").status_code, base
        drawn = web.post("/play/draw", json=asked).text
        assert (200 == there) is ("launch?iss=" in drawn)
        elsewhere = {"redirect_uri": "https://evil.example/", "state": "s", "launch": "x"}
        refused = web.get(f"{root}/authorize", query_string=elsewhere)
        assert refused.status_code in {400, 404}
        if there == 200:
            assert 1 == len(web.get(f"{root}/fhir/Condition").json["entry"])
            assert "entry" not in web.post(f"{root}/fhir/MedicationRequest/_search").json
            assert "pat-1" == web.post(f"{root}/token", data={"code": "%%%"}).json["patient"]
            assert 405 == web.post(f"{root}/fhir/MedicationRequest", json={}).status_code
            assert 404 == web.get("/play/ehr/list-unavailable/fhir/MedicationRequest").status_code
            assert 404 == web.get("/play/ehr/none/fhir/Patient/pat-1").status_code


def test_the_curl_is_ready_for_a_shell(web: FlaskClient) -> None:
    body = body_of("ldn-alone")
    body["prefetch"]["patient"]["name"] = [{"family": "O'Brien $(id) `id`"}]
    words = shlex.split(web.post("/play/edit", json={"body": body}).json["curl"])
    assert body == json.loads(words[-1])
    assert words[2].endswith("/cds-services/naltrexone-order-select")


def test_every_draft_of_a_call_is_on_the_page(web: FlaskClient) -> None:
    page = web.get("/play?story=both-in-one-signing").text
    assert "Also ordered:</span> oxycodone" in page
