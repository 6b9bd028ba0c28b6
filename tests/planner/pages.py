"""Every page of the planner for one patient, made from any content without an EHR, a store or a network."""

from __future__ import annotations

import copy
import functools
import hashlib
import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Flask, render_template
from werkzeug.datastructures import MultiDict

from cds_service.content.loader import Content
from cds_service.ehr.client import Fetched
from cds_service.fhir.write_plan import care_plan, orders, reviews
from cds_service.hooks.services import SERVICES
from cds_service.model import Release
from cds_service.pipeline import answer
from cds_service.planner import routes
from cds_service.planner.blueprint import make_smart
from cds_service.planner.case import PlanCase, judge_case
from cds_service.planner.finished import FinishedPlan
from cds_service.planner.judge import HookJudge
from cds_service.planner.launch import _about
from cds_service.planner.oauth import AccessToken
from cds_service.planner.services import PlannerDesk, PlannerVisit, SmartServices
from cds_service.planner.sessions import Session
from cds_service.settings import Settings
from tests.e2e.smart_site import FIBROMYALGIA, NOON, PATIENT, engine
from tests.e2e.smart_steps import ANSWERS, PLAN_A
from tests.vignettes.builder import request, vignette

TODAY = NOON.date()
SHIPPED = engine().content
_KEYS = {"MedicationRequest": "medicationRequests", "Condition": "conditions"}


class NoEhrs:
    """No EHR is registered."""

    listed: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Chart:
    """A readable record of one patient."""

    resources: tuple[Mapping[str, Any], ...]

    def release(self, _iss: str) -> Release:
        return Release.R4

    def read(self, _iss: str, _token: str, queries: Mapping[str, str]) -> dict[str, Fetched]:
        found = {
            key: [r for r in self.resources if _KEYS.get(r["resourceType"]) == key]
            for key in queries
        }
        chart = {
            key: Fetched(
                {
                    "resourceType": "Bundle",
                    "type": "searchset",
                    "total": len(entries),
                    "entry": [{"resource": r} for r in entries],
                },
                True,
                "ok",
            )
            for key, entries in found.items()
        }
        patient = next((r for r in self.resources if r["resourceType"] == "Patient"), PATIENT)
        return {**chart, "patient": Fetched(dict(patient), True, "ok")}


@dataclass(frozen=True)
class Planner:
    """The planner with this content for a patient with these resources, and a form that was sent."""

    content: Content
    resources: tuple[Mapping[str, Any], ...] = (FIBROMYALGIA,)
    fields: Mapping[str, Any] | None = None

    @functools.cached_property
    def desk(self) -> PlannerDesk:
        judge = HookJudge(replace(engine(), content=self.content))
        return PlannerDesk(
            Settings(),
            SmartServices(
                content=self.content,
                sessions=None,
                oauth=NoEhrs(),
                ehr=Chart(self.resources),
                judge=judge,
                now=lambda: NOON,
            ),
        )

    @functools.cached_property
    def app(self) -> Flask:
        app = Flask("pages")
        app.register_blueprint(make_smart(Settings(), self.desk.services), url_prefix="/smart")
        return app

    @property
    def form(self) -> MultiDict[str, str] | None:
        return None if self.fields is None else MultiDict({**ANSWERS, **PLAN_A, **self.fields})

    @property
    def visit(self) -> PlannerVisit:
        fields = dict(MultiDict({**ANSWERS, **PLAN_A, **(self.fields or {})}).lists())
        body = {
            "iss": "https://ehr.test",
            "context": {"mgPerDay": "4.5", "gate": "opioid-conflict"},
            "banner": True,
            "key": "0f4dd0e2-4b8f-4d1e-9a3b-0a0b0c0d0e0f",
            "outcome": {
                "fields": fields,
                "today": TODAY.isoformat(),
                "release": "R4",
                "reason": {"text": "Fibromyalgia"},
                "person": {"name": "Ada", "born": "1979-04-02", "sex": "female"},
                "at": NOON.isoformat(),
                "items": [],
                "state": "offered",
                "since": 0.0,
            },
        }
        return PlannerVisit(
            Session("handle", 1, body), "browser", AccessToken("a", 2e9, "", "ldn-1")
        )

    @functools.cached_property
    def case(self) -> PlanCase:
        return judge_case(self.desk, self.visit, self.form)

    def plan(self) -> str:
        with self.app.test_request_context("/smart/launch"):
            return routes._page(self.desk, self.case, tried=self.fields is not None)

    def about(self) -> str:
        with self.app.test_request_context("/smart/launch"):
            return _about(self.desk)

    def preview(self) -> str:
        with self.app.test_request_context("/smart/launch"):
            return render_template("smart/_preview.html", **routes.shown(self.desk, self.case))

    @property
    def finished(self) -> FinishedPlan:
        return FinishedPlan(self.desk, self.visit)

    def result(self) -> str:
        with self.app.test_request_context("/smart/launch"):
            return str(routes._result(self.desk, self.visit))

    def handout(self) -> str:
        done = self.finished
        with self.app.test_request_context("/smart/launch"):
            return render_template("smart/handout.html", handle="h", **routes.finished(done))

    def drafts(self) -> list[dict[str, Any]]:
        """Every resource that a write would send."""
        plan = self.finished.drafts
        return [
            built.resource
            for built in (
                *orders(plan, Release.R4),
                *reviews(plan, Release.R4),
                care_plan(plan, Release.R4),
            )
        ]

    def said(self) -> str:
        """The text of all pages, of the pasted plan and of the drafts, on one line."""
        shown = [self.plan(), self.about(), self.preview()]
        if self.case.wish.is_plan:
            shown += [
                self.result(),
                self.handout(),
                self.finished.text,
                json.dumps(self.drafts(), ensure_ascii=False),
            ]
        return words(" ".join(shown))


def words(page: str) -> str:
    """The text of a page on one line, with what its attributes say."""
    attributes = " ".join(re.findall(r'(?:aria-label|data-[a-z-]+|value)="([^"]*)"', page))
    text = html.unescape(f"{re.sub(r'<[^>]+>', ' ', page)} {attributes}")
    return re.sub(r"\s+([.,;:)%])", r"\1", re.sub(r"\s+", " ", re.sub(r"\(\s+", "(", text)))


def moved(path: str, value: Any, content: Content = SHIPPED) -> Content:
    """The content with one number moved: ``schedules.A.max_mg``, ``short_acting_days.warning_below``."""
    groups = {
        "thresholds": dict(content.threshold_history),
        **{g: dict(h) for g, h in content.titration_history.items()},
    }
    first, *rest = path.split(".")
    group, name, rest = (
        (first, rest[0], rest[1:])
        if first in content.titration_history
        else ("thresholds", first, rest)
    )
    history = copy.deepcopy(groups[group][name])
    _set(history[-1], ["value", *rest], value)
    groups[group][name] = history
    return replace(
        content,
        threshold_history=groups.pop("thresholds"),
        titration_history=groups,
        digest=hashlib.sha256(f"{path}={value}".encode()).hexdigest(),
    )


def _set(entry: Any, path: list[str], value: Any) -> None:
    for part in path[:-1]:
        entry = entry[part]
    entry[path[-1]] = value


def start_low_of(content: Content) -> dict[str, Any]:
    """The suggestion to start low, as the hook sends it for a patient who may start."""
    case = vignette("E01")
    service = SERVICES["naltrexone-order-select"]
    body = request(case, "R4", case["hook"])
    cards = answer(body, service, replace(engine(), content=content), NOON).cards
    (found,) = [s for card in cards for s in card.get("suggestions", ()) if "Start" in s["label"]]
    return found
