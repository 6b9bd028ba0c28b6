"""The planner's pages for one patient: gate and plan, drafts written once, result, handout, file."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from cds_service.model import Coding, ConditionKind, Json
from cds_service.planner.case import PlanCase, judge_case
from cds_service.planner.edition import Edition, page_context
from cds_service.planner.ehr_server import Created
from cds_service.planner.finished import FinishedPlan
from cds_service.planner.kept import NOT_KEPT, find_kept, forget, keep, new_tab
from cds_service.planner.phrases import Phrases
from cds_service.planner.services import PlannerDesk, PlannerVisit
from cds_service.planner.verdict import headline, questions
from cds_service.planner.view import FIELDS, LONGEST_FIELD, Wish
from cds_service.planner.write import Item, write_drafts
from cds_service.titration.plan import draw


def add_planner(blueprint: Blueprint, desk: PlannerDesk) -> None:
    """The routes below ``/s/<handle>/``."""

    @blueprint.get("/s/<handle>/")
    def plan(handle: str) -> Response | str:
        visit = desk.visit(handle)
        if "outcome" in visit.body:
            return redirect(url_for("smart.result", handle=handle), 303)
        kept = find_kept(desk, visit)
        aside = visit.body.get("aside") if "aside" in request.args else None
        case = judge_case(desk, visit, MultiDict(aside) if aside else kept.form)
        asked = bool({"new", "tried", "aside"} & set(request.args))
        if case.running and not asked:
            return redirect(url_for("smart.diary", handle=handle), 303)
        tried = "tried" in request.args and not _may_write(case)
        return _page(desk, case, tried=tried, is_stale=bool(aside), revision=kept.revision)

    @blueprint.post("/s/<handle>/")
    def update(handle: str) -> Response:
        visit, is_kept = _entered(desk, handle)
        if not is_kept:
            return _stale(desk, visit)
        return redirect(url_for("smart.plan", handle=handle), 303)

    @blueprint.post("/s/<handle>/preview")
    def preview(handle: str) -> str | tuple[str, int]:
        visit, is_kept = _entered(desk, handle)
        if not is_kept:
            return "", 409
        return render_template(
            "smart/_preview.html", **shown(desk, judge_case(desk, visit, request.form, again=True))
        )

    @blueprint.post("/s/<handle>/write")
    def write(handle: str) -> Response:
        visit, is_kept = _entered(desk, handle)
        if not is_kept and "outcome" not in visit.body:
            return _stale(desk, visit)
        return _write(desk, visit)

    @blueprint.get("/s/<handle>/result")
    def result(handle: str) -> Response | str:
        return _result(desk, desk.visit(handle))

    @blueprint.post("/s/<handle>/result")
    def retry(handle: str) -> Response:
        return _retry(desk, posted(desk, handle))

    @blueprint.post("/s/<handle>/cancel")
    def cancel(handle: str) -> Response:
        return _cancel(desk, posted(desk, handle))

    @blueprint.get("/s/<handle>/handout")
    def handout(handle: str) -> str:
        done = FinishedPlan(desk, desk.visit(handle))
        return render_template("smart/handout.html", handle=handle, **finished(done))

    @blueprint.get("/s/<handle>/plan.json")
    def file(handle: str) -> Response:
        return _download(FinishedPlan(desk, desk.visit(handle)))

    @blueprint.get("/s/<handle>/end")
    def leave(handle: str) -> str:
        visit = desk.opened(handle)
        return render_template("smart/leave.html", handle=handle, csrf=desk.csrf(visit))

    @blueprint.post("/s/<handle>/end")
    def end(handle: str) -> str:
        visit = desk.opened(handle)
        desk.require_csrf(visit)
        forget(desk, visit)
        desk.services.sessions.end(visit.session)
        return render_template("smart/ended.html")


def posted(desk: PlannerDesk, handle: str) -> PlannerVisit:
    visit = desk.visit(handle)
    desk.require_csrf(visit)
    return visit


def _entered(desk: PlannerDesk, handle: str) -> tuple[PlannerVisit, bool]:
    """The visit with what was sent kept first, so that no ended sign-in loses it; False where another tab was faster."""
    visit = desk.opened(handle)
    desk.require_csrf(visit)
    kept = "outcome" in visit.body or keep(desk, visit, request.form) is not None
    return desk.signed_in(visit), kept


# --- gate and plan ----------------------------------------------------------------------------------------------------


def _page(
    desk: PlannerDesk,
    case: PlanCase,
    tried: bool = False,
    is_stale: bool = False,
    revision: int = 0,
) -> str:
    return render_template(
        "smart/plan.html",
        tried=tried,
        is_stale=is_stale,
        revision=revision,
        tab=new_tab(),
        csrf=desk.csrf(case.visit),
        **shown(desk, case),
    )


def _stale(desk: PlannerDesk, visit: PlannerVisit) -> Response:
    """What this tab sent is laid aside, none of it used; its page says that another tab was faster."""
    fields = {name: request.form.getlist(name) for name in request.form if name not in NOT_KEPT}
    desk.note(visit, "aside", fields)
    return redirect(url_for("smart.plan", handle=visit.handle, aside=1), 303)


def _may_write(case: PlanCase) -> bool:
    """Every answer is given, a plan can be drawn, and what it is for is said."""
    return case.gate.is_passed and case.wish.is_plan and bool(case.wish.reason)


def shown(desk: PlannerDesk, case: PlanCase) -> dict[str, Any]:
    """What the plan's page and what is redrawn of it show: the verdict, the open questions, the plan."""
    edition = desk.edition()
    return {
        "case": case,
        "gate": case.gate,
        "answers": case.answers,
        "handle": case.visit.handle,
        "verdict": headline(case.record, case.gate, desk.today(), edition.say),
        "questions": questions(case.record, case.gate),
        "complaints": _complaints(case, edition.phrases),
        "context": case.visit.body["context"],
        "banner": case.visit.body["banner"],
        **drawn(case.wish, edition),
    }


def _complaints(case: PlanCase, phrases: Phrases) -> dict[str, str]:
    """What is wrong with each field, "" where nothing is: a fault that was mended must go from the page as well."""
    wrong = {f.about: phrases.answer_fault(f) for f in reversed(case.gate.faults)}
    return {
        **dict.fromkeys(FIELDS, ""),
        **wrong,
        **{f.about: phrases.complaint(f) for f in reversed(case.wish.faults)},
    }


def drawn(wish: Wish, edition: Edition) -> dict[str, Any]:
    """What the plan's part of a page needs: the drawn plan, or only what is wrong with the wish, and its edition."""
    plan = draw(edition.schedules, wish.choice) if wish.is_plan else None
    return {"wish": wish, "plan": plan, **page_context(edition)}


# --- writing ----------------------------------------------------------------------------------------------------------


def _write(desk: PlannerDesk, visit: PlannerVisit) -> Response:
    """Judge the record again; if everything is passed, write each draft once, whatever is clicked how often.

    What was sent is kept already, so that a page that says what is missing can be asked for by itself.
    """
    if "outcome" in visit.body:
        return redirect(url_for("smart.result", handle=visit.handle), 303)
    case = judge_case(desk, visit, request.form)
    if not _may_write(case):
        return redirect(url_for("smart.plan", handle=visit.handle, tried=1), 303)
    fields = {name: request.form.getlist(name) for name in request.form if name not in NOT_KEPT}
    return claim(desk, case, {**outcome_of(desk, case), "fields": fields, "reason": _reason(case)})


def outcome_of(desk: PlannerDesk, case: PlanCase) -> dict[str, Any]:
    """What the session keeps of a plan that is finished, before anything was sent."""
    return {
        "today": desk.today().isoformat(),
        "release": case.release,
        "person": asdict(case.person),
        "attested": _attested(case),
        "pregnant": case.judgement.snapshot.has(ConditionKind.PREGNANCY),
        "at": desk.services.now().isoformat(),
        "items": [],
        "replaced": [
            asdict(Item(d.label[:LONGEST_FIELD], d.ref.partition("/")[0], "not-tried", d.ref))
            for d in case.earlier
        ],
        "state": "writing" if case.can_write else "offered",
        "since": desk.services.now().timestamp(),
    }


def claim(desk: PlannerDesk, case: PlanCase, outcome: dict[str, Any]) -> Response:
    """Write once: of several presses one wins, and all come to the same result."""
    visit = case.visit
    claimed = desk.services.sessions.change(visit.session, {**visit.body, "outcome": outcome})
    if not claimed and "outcome" not in (seen := desk.opened(visit.handle)).body:
        visit = seen  # another tab was told something meanwhile, nothing was written
        claimed = desk.services.sessions.change(visit.session, {**visit.body, "outcome": outcome})
    if claimed:  # the answers were given for this plan: a later one asks again
        forget(desk, visit)
    if claimed and case.can_write:
        _write_all(desk, replace(visit, session=claimed))
    return redirect(url_for("smart.result", handle=visit.handle), 303)


def _reason(case: PlanCase) -> dict[str, Any]:
    """The reason for use as a concept: the problem's own codes where it was picked from the list."""
    picked = next((c for c in case.reasons if c.label == case.wish.reason), None)
    coding = (
        [{"system": c.system, "code": c.code} for c in picked.codings if _is_clean(c)]
        if picked
        else []
    )
    return {"text": case.wish.reason[:LONGEST_FIELD], **({"coding": coding} if coding else {})}


def _attested(case: PlanCase) -> list[str]:
    """What the clinician answered for against or beyond the record, in the words of the gate."""
    return [" ".join((p.title + ":", *p.because))[:LONGEST_FIELD] for p in case.gate.attested]


def _is_clean(coding: Coding) -> bool:
    """True for a coding that a strict server takes; the record may hold others."""
    return bool(coding.system and coding.code) and not any(
        c.isspace() for c in coding.system + coding.code
    )


def _write_all(desk: PlannerDesk, visit: PlannerVisit) -> None:
    """Write what is not written yet and keep what became of it. The caller holds the claim."""
    done = FinishedPlan(desk, visit)
    token = visit.token

    def create(resource: Json, identifier: str, *, before: str) -> Created:
        return desk.services.ehr.create(
            visit.iss, token.access, resource, identifier, before=before
        )

    items = write_drafts(done.drafts, done.release, token.scope, create, done.items)
    outcome = {**visit.body["outcome"], "state": "done", "items": [asdict(item) for item in items]}
    desk.note(visit, "outcome", outcome)


def _retry(desk: PlannerDesk, visit: PlannerVisit) -> Response:
    """Try again what failed. A write that never reported back is looked for first."""
    done = FinishedPlan(desk, visit)
    if done.can_retry or done.is_lost(desk.services.now()):
        items = done.items or tuple(Item(name, kind, "unknown") for name, kind in done.names)
        outcome = {
            **visit.body["outcome"],
            "state": "writing",
            "since": desk.services.now().timestamp(),
            "items": [asdict(item) for item in items],
        }
        claimed = desk.services.sessions.change(visit.session, {**visit.body, "outcome": outcome})
        if claimed:
            _write_all(desk, replace(visit, session=claimed))
    return redirect(url_for("smart.result", handle=visit.handle), 303)


def _cancel(desk: PlannerDesk, visit: PlannerVisit) -> Response:
    """Cancel the drafts that the plan replaces, on the clinician's press and where the EHR lets us change orders."""
    done = FinishedPlan(desk, visit)
    if done.may_cancel and done.to_cancel:
        items = []
        for item in done.replaced:
            if item in done.to_cancel:
                end = desk.services.ehr.cancel(
                    visit.iss, visit.token.access, item.ref, visit.token.patient
                )
                item = replace(item, outcome=end.outcome, reason=end.reason)  # noqa: PLW2901
            items.append(asdict(item))
        desk.note(visit, "outcome", {**visit.body["outcome"], "replaced": items})
    return redirect(url_for("smart.result", handle=visit.handle), 303)


# --- afterwards ------------------------------------------------------------------------------------------------------


def _result(desk: PlannerDesk, visit: PlannerVisit) -> Response | str:
    if "outcome" not in visit.body:
        return redirect(url_for("smart.plan", handle=visit.handle), 303)
    done = FinishedPlan(desk, visit)
    return render_template(
        "smart/result.html",
        is_lost=done.is_lost(desk.services.now()),
        handle=visit.handle,
        csrf=desk.csrf(visit),
        banner=visit.body["banner"],
        context=visit.body["context"],
        **finished(done),
    )


def finished(done: FinishedPlan) -> dict[str, Any]:
    """What a page needs that shows a finished plan: of one under way, what is left of it."""
    return {"done": done, "wish": done.wish, "plan": done.plan, **page_context(done.edition)}


def _download(done: FinishedPlan) -> Response:
    response = Response(json.dumps(done.bundle, indent=2), mimetype="application/fhir+json")
    response.headers["Content-Disposition"] = 'attachment; filename="titration-plan.json"'
    return response
