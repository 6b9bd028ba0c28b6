"""Why: the timeline says what the service says on each day, ends that are moved are real FHIR, and nothing is kept."""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from cds_service import pipeline
from cds_service.app import create_app
from cds_service.console.other_end import can_end, with_ends
from cds_service.console.stories import all_stories
from cds_service.console.timeline import Call, Timeline, draw
from cds_service.exposure.supply import start_of
from cds_service.fhir import write
from cds_service.fhir.values import resource_ref
from cds_service.hooks.services import SERVICES
from cds_service.model import Release
from cds_service.pipeline import Engine, Outcome
from cds_service.rules.interaction import TOPIC
from cds_service.settings import Settings
from tests.conftest import AS_OF
from tests.console.test_play import HOSTILE, ODD

STORIES = list(all_stories().values())
TODAY = AS_OF.date()
SERVICE = SERVICES["naltrexone-order-select"]


def body_of(name: str, release: str = "R4") -> dict[str, Any]:
    return all_stories()[name].body(release, "order-select", "2.0", TODAY)


def answered(body: dict[str, Any], engine: Engine, day: date = TODAY) -> Outcome:
    """The answer of the service on that day, as ``try --as-of`` gives it."""
    return pipeline.answer(body, SERVICE, engine, _noon(day))


def _noon(day: date) -> datetime:
    return datetime.combine(day, AS_OF.timetz())


def indicator(outcome: Outcome) -> str:
    said = [c["indicator"] for c in outcome.cards if c["source"]["topic"]["code"] == TOPIC]
    return said[0] if said else "none"


def drawn(body: dict[str, Any], engine: Engine) -> Timeline:
    outcome = answered(body, engine)
    return draw(Call(outcome.request, outcome, engine, AS_OF))


def days_of(timeline: Timeline) -> Iterator[tuple[date, str]]:
    for span in timeline.spans:
        for n in range((span.last - span.first).days + 1):
            yield span.first + timedelta(days=n), span.kind


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    settings = Settings(data_dir=str(tmp_path_factory.mktemp("data")))
    return create_app(settings, now=lambda: AS_OF).test_client()


def live(web: FlaskClient, body: dict[str, Any], **moved: str) -> tuple[str, str]:
    """(severity, whole answer) of one move."""
    answer = web.post("/why/live", json={"body": body, "moved": moved})
    assert 200 == answer.status_code
    return re.search(r'data-severity="(\w+)"', answer.text)[1], answer.text


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.id)
def test_the_page_is_small_whole_and_asks_nobody_else(web: FlaskClient, story) -> None:
    page = web.get(f"/why?story={story.id}")
    assert (200, "text/html") == (page.status_code, page.mimetype)
    assert len(page.data) < 150_000
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert not re.findall(r"<script(?![^>]* src=\"/console/)|<style|style=\"|\son\w+=", page.text)
    assert "{{" not in page.text
    worst = story.expected.get("opioid-interaction", "none")
    assert f'data-severity="{worst}"' in page.text


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.id)
def test_the_lane_says_of_each_day_what_the_service_says_on_it(story, engine: Engine) -> None:
    body = story.body(story.release("R4"), "order-select", "2.0", TODAY)
    timeline = drawn(body, engine)
    told = dict(days_of(timeline))
    assert (timeline.last - timeline.known_from).days + 1 == len(told)
    assert TODAY in told
    assert timeline.severity == indicator(answered(body, engine))
    for day in list(told)[:: max(1, len(told) // 25)]:
        assert told[day] == indicator(answered(body, engine, day)), day


def test_the_indicator_walks_from_critical_over_warning_to_none(web: FlaskClient, engine) -> None:
    """The label's week and its ten days, by the draft's day; the moves and the lane agree on every day."""
    body = body_of("oxycodone-six-days")
    timeline = drawn(body, engine)
    assert ["critical", "warning", "none"] == [span.kind for span in timeline.spans]
    ended = TODAY - timedelta(days=6)
    assert [ended, ended + timedelta(days=7), ended + timedelta(days=10)] == [
        span.first for span in timeline.spans
    ]
    for day, kind in list(days_of(timeline))[:20]:
        assert kind == live(web, body, as_of=day.isoformat())[0]


def test_an_end_that_is_moved_moves_the_answer(web: FlaskClient, engine: Engine) -> None:
    body = body_of("oxycodone-six-days")
    ref = answered(body, engine).snapshot.exposures[0].medication.order.ref
    walked = [
        live(web, body, **{f"end:{ref}": (TODAY - timedelta(days=ago)).isoformat()})[0]
        for ago in (3, 6, 7, 9, 10, 20)
    ]
    assert ["critical", "critical", "warning", "warning", "none", "none"] == walked


@pytest.mark.parametrize("day", ["2017-01-01", "2036-01-01"])
def test_a_day_before_or_after_every_number_of_the_content_is_judged_too(web, day: str) -> None:
    live(web, body_of("ldn-alone"), as_of=day)


@pytest.mark.parametrize("release", list(Release))
def test_a_moved_end_is_evidence_in_every_release_and_breaks_no_fhir(release, engine) -> None:
    tried = 0
    for story, ago in itertools.product(STORIES, (1, 20)):
        if release.value not in story.files:
            continue
        body = story.body(release.value, "order-select", "2.0", TODAY)
        for exposure in filter(can_end, answered(body, engine).snapshot.exposures):
            ref = exposure.medication.order.ref
            start = start_of(exposure.medication.order)  # an end before it is no end
            end = max(TODAY - timedelta(days=ago), start.first if start else date.min)
            moved = with_ends(body, {ref: end}, TODAY)
            (new,) = [
                e
                for e in answered(moved, engine).snapshot.exposures
                if e.medication.order.ref == ref
            ]
            given = [d for d in _given(moved, ref) if d > end.isoformat()]
            ending = new.ending.on if new.ending else None
            assert ending == end or given or "long after" in new.because, (story.id, new.because)
            before, after = (_resource(b, ref) for b in (body, moved))
            assert len(write.faults(after, release)) <= len(write.faults(before, release))
            tried += ending == end
        assert body == story.body(release.value, "order-select", "2.0", TODAY)
    assert tried > 20


def _resource(body: dict[str, Any], ref: str) -> dict[str, Any]:
    entries = [e for a in body["prefetch"].values() if a for e in a.get("entry", ())]
    return next(e["resource"] for e in entries if resource_ref(e["resource"]) == ref)


def _given(body: dict[str, Any], ref: str) -> list[str]:
    """Days of administrations of this order, which speak louder than its end."""
    administered = (body["prefetch"].get("medicationAdministrations") or {}).get("entry", ())
    return re.findall(r"20\d\d-\d\d-\d\d", json.dumps(list(administered))) if ref else []


def test_a_whole_call_can_be_asked_about_and_is_kept_nowhere(web: FlaskClient, caplog) -> None:
    body = body_of("ldn-with-oxycodone")
    body["prefetch"]["patient"]["name"] = [{"family": "Canaryname"}]
    before = _stored(web)
    page = web.post("/why", data={"body": json.dumps(body), "title": "mine"})
    live(web, body, as_of=TODAY.isoformat())
    assert "Do not start naltrexone" in page.text
    assert "Canaryname" not in caplog.text
    assert before == _stored(web)


def _stored(web: FlaskClient) -> dict[str, int]:
    """Rows of every table of the store."""
    store = web.application.extensions["naltrexone_cds"].store
    with store.read() as connection:
        tables = connection.execute(text("select name from sqlite_master where type = 'table'"))
        names = [name for (name,) in tables]
        return {
            name: connection.execute(text(f'select count(*) from "{name}"')).scalar_one()  # noqa: S608
            for name in names
        }


def test_each_rule_is_there_with_its_numbers_and_sources(web: FlaskClient, engine: Engine) -> None:
    page = html.unescape(web.get("/why?story=code-against-name").text)
    for rule in engine.rules:
        assert f'href="/rules/{rule.id}"' in page
    assert "short acting days" in page
    cited = set(re.findall(r'href="(/rules/[\w-]+)#(source-[\w-]+)"', page))
    assert len(cited) > 5
    for path, source in cited:
        assert f'id="{source}"' in web.get(path).text, (path, source)
    unknown = html.unescape(web.get("/why?story=unknown-name").text)
    assert "Names that no table holds</dt><dd>none" not in unknown
    assert "Names that no table holds</dt><dd>none" in page


def test_whatever_is_posted_is_answered_or_refused(web: FlaskClient) -> None:
    real = body_of("ldn-alone")
    bodies = [*ODD, {**real, "prefetch": None}, {**real, "hook": 1}, {**real, "context": []}]
    bodies += [{**real, **odd} for odd in ODD if isinstance(odd, dict)]
    for odd in bodies:
        for moved in ({}, {"as_of": "9999-12-31", "end:x": "0001-01-01"}, {"as_of": odd}):
            data = json.dumps({"body": odd, "moved": moved, "first": odd, "last": "2026-01-01"})
            answer = web.post("/why/live", data=data, content_type="application/json")
            assert answer.status_code in {200, 400, 412}, odd
        assert web.post("/why", data={"body": json.dumps(odd)}).status_code in {200, 400, 412}
    assert 400 == web.post("/why", data={"body": "{"}).status_code
    assert 413 == web.post("/why", data={"body": "x" * 2_000_000}).status_code


def test_text_from_fhir_is_inert(web: FlaskClient) -> None:
    body = body_of("ldn-with-oxycodone")
    for entry in body["prefetch"]["medicationRequests"]["entry"]:
        concept = {"text": f"oxycodone {HOSTILE}", "coding": [{"display": HOSTILE}]}
        entry["resource"]["medicationCodeableConcept"] = concept
        entry["resource"]["status"] = HOSTILE
    for page in (
        web.post("/why", data={"body": json.dumps(body), "title": HOSTILE}).text,
        live(web, body)[1],
    ):
        assert "oxycodone" in page
        assert "<script>" not in page
        assert "<img" not in page
        assert 'href="javascript' not in page


def test_a_long_list_is_looked_at_in_steps_and_keeps_the_day_of_the_draft(engine: Engine) -> None:
    body = body_of("sublocade-35-days")
    filler = [
        {"resource": {"resourceType": "MedicationStatement", "id": f"x{n}", "status": "active"}}
        for n in range(400)
    ]
    body["prefetch"]["medicationStatements"] = {"resourceType": "Bundle", "entry": filler}
    timeline = drawn(body, engine)
    assert TODAY in dict(days_of(timeline))
    assert timeline.severity == indicator(answered(body, engine))


@pytest.mark.parametrize("enabled", [(), ("why",)])
def test_production_has_the_page_only_where_it_is_named(tmp_path, enabled) -> None:
    settings = Settings(
        profile="production",
        data_dir=str(tmp_path),
        auth="off",
        public_base_url="https://cds.example.org",
        console=enabled,
    )
    web = create_app(settings, now=lambda: AS_OF).test_client()
    assert (200 if enabled else 404) == web.get("/why").status_code
    assert (200 if enabled else 404) == web.post(
        "/why/live", json={"body": body_of("ldn-alone")}
    ).status_code
