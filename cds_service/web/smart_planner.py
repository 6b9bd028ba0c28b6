"""The planner's pages for one patient: gate and plan, drafts written once, result, handout, file."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from cds_service.edge.fhir_client import Fetched
from cds_service.edge.smart_record import Created
from cds_service.fhir.values import as_dict, as_list, as_text
from cds_service.fhir.write_plan import WRITABLE, PlanDraft, collection, orders
from cds_service.model import Concept, ConditionKind, Json, Release
from cds_service.titration import Plan, draw
from cds_service.web.smart_desk import Desk, HaltError, Judgement, Visit
from cds_service.web.smart_gate import Answers, Gate, check
from cds_service.web.smart_plan import paste_text, to_drafts
from cds_service.web.smart_view import (
    LONGEST_FIELD,
    Wish,
    first_wish,
    read_answers,
    read_wish,
)
from cds_service.web.smart_write import Item, may_create, write_drafts

WRITING_SECONDS = 60                           # after this a write that never reported back may be taken up again
Fields = MultiDict[str, str]


@dataclass(frozen=True, slots=True)
class Person:
    """The patient as the banner shows them: from the record, never from a parameter."""

    name: str
    born: str
    sex: str


@dataclass(frozen=True, slots=True)
class Case:
    """One patient's record, judged now."""

    visit: Visit
    person: Person
    judgement: Judgement
    gate: Gate
    wish: Wish
    answers: Answers
    release: Release | None

    @property
    def reasons(self) -> tuple[Concept, ...]:
        """Problems on the list for which low-dose naltrexone is tried."""
        return tuple(c.concept for c in self.judgement.snapshot.conditions if ConditionKind.LDN_TYPE in c.kinds)

    @property
    def can_write(self) -> bool:
        return self.release in WRITABLE and may_create(self.visit.token.scope, "MedicationRequest")


def add_planner(blueprint: Blueprint, desk: Desk) -> None:
    """The routes below ``/s/<handle>/``."""

    @blueprint.get("/s/<handle>/")
    def plan(handle: str) -> Response | str:
        visit = desk.visit(handle)
        if "outcome" in visit.body:
            return redirect(url_for("smart.result", handle=handle), 303)
        return _page(desk, _case(desk, visit, None))

    @blueprint.post("/s/<handle>/")
    def update(handle: str) -> Response | str:
        visit = _posted(desk, handle)
        return _page(desk, _case(desk, visit, request.form))

    @blueprint.post("/s/<handle>/preview")
    def preview(handle: str) -> str:
        _posted(desk, handle)
        earliest = request.form.get("earliest", "")
        wish = read_wish(request.form, desk.today(), date.fromisoformat(earliest) if _is_day(earliest) else None)
        return render_template("smart/_plan.html", **_drawn(wish))

    @blueprint.post("/s/<handle>/write")
    def write(handle: str) -> Response | tuple[str, int]:
        return _write(desk, _posted(desk, handle))

    @blueprint.get("/s/<handle>/result")
    def result(handle: str) -> Response | str:
        return _result(desk, desk.visit(handle))

    @blueprint.post("/s/<handle>/result")
    def retry(handle: str) -> Response:
        return _retry(desk, _posted(desk, handle))

    @blueprint.get("/s/<handle>/handout")
    def handout(handle: str) -> str:
        done = _Done(desk.visit(handle))
        return render_template("smart/handout.html", done=done, **_drawn(done.wish))

    @blueprint.get("/s/<handle>/plan.json")
    def file(handle: str) -> Response:
        return _download(_Done(desk.visit(handle)))

    @blueprint.post("/s/<handle>/end")
    def end(handle: str) -> str:
        desk.services.sessions.end(_posted(desk, handle).session)
        return render_template("smart/ended.html")


def _posted(desk: Desk, handle: str) -> Visit:
    visit = desk.visit(handle)
    desk.require_csrf(visit)
    return visit


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


# --- the record, judged -----------------------------------------------------------------------------------------------

def _case(desk: Desk, visit: Visit, fields: Fields | None) -> Case:
    """Read the live record and judge it as a hook call would; HaltError where the patient cannot be read."""
    release = desk.services.record.release(visit.iss)
    chart, medications = _read(desk, visit, release)
    person = _person(chart.get("patient"))
    today = desk.today()
    answers = _answers(fields)
    drafted = _drafted(desk, visit, fields, release)
    judgement = desk.services.judge(chart, medications, drafted, visit.token.patient, desk.services.now())
    gate = check(judgement.snapshot, judgement.verdicts, answers)
    wish = first_wish(today, gate.earliest) if fields is None else read_wish(fields, today, gate.earliest)
    return Case(visit, person, judgement, gate, wish, answers, release)


def _read(desk: Desk, visit: Visit, release: Release | None) -> tuple[dict[str, Fetched], dict[str, Fetched]]:
    record, judge, patient = desk.services.record, desk.services.judge, visit.token.patient
    queries = {key: template.replace("{{context.patientId}}", patient)
               for key, template in judge.queries(release).items()}
    chart = record.read(visit.iss, visit.token.access, queries)
    references = judge.references(chart, patient)
    return chart, record.read_many(visit.iss, visit.token.access, references) if references else {}


def _person(fetched: Fetched | None) -> Person:
    if fetched is None or fetched.resource is None:
        raise HaltError("fhir-refused" if fetched and fetched.why == "unauthorized" else "fhir-away")
    patient = fetched.resource
    name = next((as_dict(n) for n in as_list(patient.get("name")) if as_dict(n).get("use") == "official"),
                as_dict(next(iter(as_list(patient.get("name"))), None)))
    given = " ".join(as_text(g) for g in as_list(name.get("given")))
    family = name.get("family")
    family = " ".join(map(as_text, family)) if isinstance(family, list) else as_text(family)
    shown = as_text(name.get("text")) or f"{given} {family}".strip() or "Name not on record"
    return Person(shown[:100], as_text(patient.get("birthDate"))[:10] or "unknown",
                  as_text(patient.get("gender"))[:10] or "unknown")


def _drafted(desk: Desk, visit: Visit, fields: Fields | None, release: Release | None) -> Json:
    """The order that the rules judge: the first one of the wished plan, or of schedule A while there is none."""
    today = desk.today()
    wish = first_wish(today, None) if fields is None else read_wish(fields, today, None)
    if not wish.is_plan:
        wish = first_wish(today, None)
    built = orders(_to_drafts(desk, visit, wish, Answers()), release if release in WRITABLE else Release.R4)
    draft = {**built[0].resource, "id": "titration-draft"}
    return _as_dstu2(draft) if release is Release.DSTU2 else draft


def _as_dstu2(draft: Json) -> Json:
    """Enough of a MedicationOrder to be judged beside a DSTU2 record; none is ever written."""
    return {"resourceType": "MedicationOrder", "id": draft["id"], "status": "draft", "patient": draft["subject"],
            "dateWritten": draft["authoredOn"], "medicationCodeableConcept": draft["medicationCodeableConcept"]}


def _to_drafts(desk: Desk, visit: Visit, wish: Wish, answers: Answers) -> PlanDraft:
    return to_drafts(draw(wish.choice), wish, answers, key=str(visit.body["key"]), patient_id=visit.token.patient,
                     now=desk.services.now())


def _answers(fields: Fields | None) -> Answers:
    if fields is None:
        return Answers()
    return read_answers(fields, fields.getlist("confirm"), fields.getlist("method"))


# --- gate and plan ----------------------------------------------------------------------------------------------------

def _page(desk: Desk, case: Case, tried: bool = False) -> str:
    return render_template(
        "smart/plan.html", case=case, gate=case.gate, answers=case.answers, tried=tried,
        csrf=desk.csrf(case.visit), handle=case.visit.handle, context=case.visit.body["context"],
        banner=case.visit.body["banner"], **_drawn(case.wish))


def _drawn(wish: Wish) -> dict[str, Any]:
    """What the plan's part of a page needs: the drawn plan, or only what is wrong with the wish."""
    plan = draw(wish.choice) if wish.is_plan else None
    return {"wish": wish, "plan": plan}


# --- writing ----------------------------------------------------------------------------------------------------------

def _write(desk: Desk, visit: Visit) -> Response | tuple[str, int]:
    """Judge the record again; if everything is passed, write each draft once, whatever is clicked how often."""
    if "outcome" in visit.body:
        return redirect(url_for("smart.result", handle=visit.handle), 303)
    case = _case(desk, visit, request.form)
    if not case.gate.is_passed or not case.wish.is_plan or not case.wish.reason:
        return _page(desk, case, tried=True), 422
    outcome: dict[str, Any] = {
        "fields": {name: request.form.getlist(name) for name in request.form if name != "csrf"},
        "today": desk.today().isoformat(), "release": case.release, "person": asdict(case.person),
        "reason": _reason(case), "at": desk.services.now().isoformat(), "items": [],
        "state": "writing" if case.can_write else "offered", "since": desk.services.now().timestamp(),
    }
    claimed = desk.services.sessions.change(visit.session, {**visit.body, "outcome": outcome})
    if claimed and case.can_write:
        _write_all(desk, replace(visit, session=claimed))
    return redirect(url_for("smart.result", handle=visit.handle), 303)


def _reason(case: Case) -> dict[str, Any]:
    """The reason for use as a concept: the problem's own codes where it was picked from the list."""
    picked = next((c for c in case.reasons if c.label == case.wish.reason), None)
    coding = [{"system": c.system, "code": c.code} for c in picked.codings if c.system and c.code] if picked else []
    return {"text": case.wish.reason[:LONGEST_FIELD], **({"coding": coding} if coding else {})}


def _write_all(desk: Desk, visit: Visit) -> None:
    """Write what is not written yet and keep what became of it. The caller holds the claim."""
    done = _Done(visit)
    token = visit.token

    def create(resource: Json, identifier: str, *, maybe_there: bool) -> Created:
        return desk.services.record.create(visit.iss, token.access, resource, identifier, maybe_there=maybe_there)

    items = write_drafts(done.drafts, done.release, token.scope, create, done.items)
    outcome = {**visit.body["outcome"], "state": "done", "items": [asdict(item) for item in items]}
    desk.services.sessions.change(visit.session, {**visit.body, "outcome": outcome})


def _retry(desk: Desk, visit: Visit) -> Response:
    """Try again what failed. A write that never reported back is looked for first."""
    done = _Done(visit)
    is_lost = done.state == "writing" and desk.services.now().timestamp() - done.since > WRITING_SECONDS
    if done.can_retry or is_lost:
        items = done.items or tuple(Item(name, kind, "unknown") for name, kind in done.names)
        outcome = {**visit.body["outcome"], "state": "writing", "since": desk.services.now().timestamp(),
                   "items": [asdict(item) for item in items]}
        claimed = desk.services.sessions.change(visit.session, {**visit.body, "outcome": outcome})
        if claimed:
            _write_all(desk, replace(visit, session=claimed))
    return redirect(url_for("smart.result", handle=visit.handle), 303)


# --- afterwards -------------------------------------------------------------------------------------------------------

class _Done:
    """A finished plan as the session keeps it, drawn again from the same fields. HaltError where there is none."""

    def __init__(self, visit: Visit) -> None:
        outcome: Mapping[str, Any] | None = visit.body.get("outcome")
        if outcome is None:
            raise HaltError("not-found")
        fields: Fields = MultiDict(outcome["fields"])
        self.answers = _answers(fields)
        self.wish = read_wish(fields, date.fromisoformat(outcome["today"]), None)
        self.plan: Plan = draw(self.wish.choice)
        self.state = str(outcome["state"])
        self.since = float(outcome["since"])
        self.is_known_release = outcome["release"] in set(WRITABLE)
        self.release = Release(outcome["release"]) if self.is_known_release else Release.R4
        self.person = Person(**outcome["person"])
        self.items = tuple(Item(**item) for item in outcome["items"])
        self.drafts = self._drafts(visit, outcome)

    def _drafts(self, visit: Visit, outcome: Mapping[str, Any]) -> PlanDraft:
        drafts = to_drafts(self.plan, self.wish, self.answers, key=str(visit.body["key"]),
                           patient_id=visit.token.patient, now=datetime.fromisoformat(outcome["at"]))
        return replace(drafts, reasons=(outcome["reason"],))

    @property
    def names(self) -> list[tuple[str, str]]:
        """Every draft of the plan that a write would have sent, by name and kind."""
        found = [(f"order-{n}", "MedicationRequest") for n in range(1, len(self.drafts.products) + 1)]
        found += [(f"review-{v.week}", "Task") for v in self.drafts.visits]
        return [*found, ("care-plan", "CarePlan")]

    @property
    def can_retry(self) -> bool:
        again = {"refused", "unknown", "not-tried", "unauthorized"}
        return self.state == "done" and any(item.outcome in again for item in self.items)

    @property
    def is_complete(self) -> bool:
        return self.state == "done" and all(item.is_written for item in self.items)

    @property
    def text(self) -> str:
        return paste_text(self.plan, self.wish, self.answers)


def _result(desk: Desk, visit: Visit) -> Response | str:
    if "outcome" not in visit.body:
        return redirect(url_for("smart.plan", handle=visit.handle), 303)
    done = _Done(visit)
    is_lost = done.state == "writing" and desk.services.now().timestamp() - done.since > WRITING_SECONDS
    return render_template("smart/result.html", done=done, is_lost=is_lost, handle=visit.handle,
                           csrf=desk.csrf(visit), banner=visit.body["banner"], **_drawn(done.wish))


def _download(done: _Done) -> Response:
    key = uuid.UUID(done.drafts.key)
    bundle = collection(done.drafts, done.release, lambda name: f"urn:uuid:{uuid.uuid5(key, name)}")
    response = Response(json.dumps(bundle, indent=2), mimetype="application/fhir+json")
    response.headers["Content-Disposition"] = 'attachment; filename="titration-plan.json"'
    return response
