"""The planner's pages about what is on record of ours: the visit for a review, and drafts that wait for a signature."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from cds_service.planner.case import Fields, PlanCase, judge_case
from cds_service.planner.course import DRAFT
from cds_service.planner.gate import Gate, Mark
from cds_service.planner.judge import Earlier
from cds_service.planner.kept import NOT_KEPT
from cds_service.planner.routes import claim, outcome_of, posted, shown
from cds_service.planner.services import PlannerDesk, PlannerVisit
from cds_service.planner.view import read_wish, single, wish_fields
from cds_service.planner.write import Item
from cds_service.titration.plan import Plan, draw


def add_diary(blueprint: Blueprint, desk: PlannerDesk) -> None:
    """The routes ``/s/<handle>/diary`` and ``/s/<handle>/earlier``."""

    @blueprint.get("/s/<handle>/diary")
    def diary(handle: str) -> Response | str:
        visit = desk.visit(handle)
        if "outcome" in visit.body:
            return redirect(url_for("smart.result", handle=handle), 303)
        tried = visit.body.get("course") if "tried" in request.args else None
        return _diary(desk, judge_case(desk, visit, None), MultiDict(tried) if tried else None)

    @blueprint.post("/s/<handle>/diary")
    def change_course(handle: str) -> Response:
        return _change_course(desk, posted(desk, handle))

    @blueprint.get("/s/<handle>/earlier")
    def earlier(handle: str) -> Response | str:
        visit = desk.visit(handle)
        case = judge_case(desk, visit, None)
        if not case.earlier:
            return redirect(url_for("smart.plan", handle=handle), 303)
        return render_template(
            "smart/earlier.html",
            waiting=_waiting(desk, case),
            is_over="outcome" in visit.body,
            **shown(desk, case),
        )


# --- a plan under way


def _diary(desk: PlannerDesk, case: PlanCase, tried: Fields | None = None) -> Response | str:
    """Where the patient is in a plan of ours, and what may be changed of the rest."""
    if case.running is None:
        return redirect(url_for("smart.plan", handle=case.visit.handle), 303)
    today, choice = desk.today(), case.running.choice
    course = draw(desk.edition().schedules, choice) if choice else None
    return render_template(
        "smart/diary.html",
        course=course,
        running=case.running,
        now=case.running.step_on(today),
        next=case.running.next_after(today),
        today=today,
        must_stop=must_stop(case.gate),
        tried=tried or {},
        complaint="" if tried is None else _course(desk, case, tried)[1],
        csrf=desk.csrf(case.visit),
        **shown(desk, case),
    )


def must_stop(gate: Gate) -> tuple[str, ...]:
    """Why no change of course helps and naltrexone stops (3.3): an opioid, withdrawal or liver failure on the record."""
    grave = {"opioids", "dependence", "liver"}
    found = [p for p in gate.points if p.mark is Mark.BLOCKED and p.id in grave]
    return tuple(line for point in found for line in (point.because or (point.title,)))


def _course(desk: PlannerDesk, case: PlanCase, sent: Fields) -> tuple[Fields | None, str]:
    """The fields that draw the changed course, or None and what is wrong with what was sent."""
    edition, today = desk.edition(), desk.today()
    if case.running is None or case.running.choice is None or must_stop(case.gate):
        return None, ""
    said = single(sent)
    asked = {name: said.get(name, "") for name in ("change", "hold_days", "form", "fill_days")}
    on = today.isoformat() if asked["change"] else ""
    course: Fields = MultiDict({**wish_fields(case.running.choice), **asked, "change_on": on})
    wish = read_wish(course, today, None, edition.schedules)
    wrong = [f for f in wish.faults if f.about not in {"start_on", "reason"}]
    if wrong:
        return None, edition.phrases.complaint(wrong[0])
    if wish.choice.changes == case.running.choice.changes:
        return None, edition.say("diary.choose")
    if {one.ref for one in case.earlier} - set(said.get("known", "").split()):
        return None, edition.say("diary.drafted_meanwhile")
    return course, ""


def _change_course(desk: PlannerDesk, visit: PlannerVisit) -> Response:
    """Hold or step down from today: the rest is written as new drafts, which replace those that are open."""
    if "outcome" in visit.body:
        return redirect(url_for("smart.result", handle=visit.handle), 303)
    case, today, edition = judge_case(desk, visit, None), desk.today(), desk.edition()
    sent = {name: request.form.getlist(name) for name in request.form if name not in NOT_KEPT}
    course, _ = _course(desk, case, MultiDict(sent))
    if course is None or case.running is None:
        desk.note(visit, "course", sent)
        return redirect(url_for("smart.diary", handle=visit.handle, tried=1), 303)
    running = case.running
    outcome = {
        **outcome_of(desk, case),
        "fields": {n: course.getlist(n) for n in course if n not in NOT_KEPT},
        "rest_from": today.isoformat(),
        "reason": {"text": edition.say("diary.reason")},
    }
    replaced = [asdict(Item(ref, ref.partition("/")[0], "running", ref)) for ref in running.refs]
    others = [item for item in outcome["replaced"] if item["ref"] not in running.refs]
    return claim(desk, case, {**outcome, "replaced": [*replaced, *others]})


# --- drafts that wait


def _waiting(
    desk: PlannerDesk, case: PlanCase
) -> list[tuple[Plan | None, tuple[Earlier, ...], Any]]:
    """Each plan that was drafted, drawn where a schedule of ours draws it, with its orders; then what others drafted."""
    by_ref = {one.ref: one for one in case.earlier}
    found: list[tuple[Plan | None, tuple[Earlier, ...], Any]] = []
    for plan in case.written:
        orders = tuple(by_ref.pop(ref) for ref in plan.refs if ref in by_ref)
        if plan.standing == DRAFT and orders:
            drawn = draw(desk.edition().schedules, plan.choice) if plan.choice else None
            found.append((drawn, orders, plan))
    return [*found, *((None, (one,), None) for one in by_ref.values())]
