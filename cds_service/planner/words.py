"""Every key that the planner says, with its facts: the contract of ``cards/planner.yaml`` and its neighbours.

A key that a page or a draft uses stands here, and nothing else does; a test reads the sources and holds it
to that. ``name?`` may be left out of the words, every other fact must be said, and so must the numbers of
``_PRINTED``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from cds_service.model import Role, State
from cds_service.planner.answers import ANSWER_COMPLAINTS, METHODS
from cds_service.planner.edition import GUIDANCE
from cds_service.planner.ehr_server import OUTCOMES
from cds_service.planner.gate import ASKED, LISTS, POINTS, Mark
from cds_service.planner.trouble import TROUBLES
from cds_service.planner.view import WISH_COMPLAINTS
from cds_service.planner.write import NOT_SENT
from cds_service.titration.plan import COMPLAINTS, Kind
from cds_service.titration.supply import Form

Facts = dict[str, frozenset[str]]
SCHEDULE_IDS = ("A", "B", "C", "D", "E")
_PARTS = ("name", "short", "source", "evidence", "standing")


def _spell(table: Mapping[str, str]) -> Facts:
    """``{"a: b c": "x y"}`` -> ``a.b`` and ``a.c`` with the facts x and y."""
    spelled: Facts = {}
    for keys, facts in table.items():
        prefix, _, names = keys.partition(": ")
        spelled |= {f"{prefix}.{name}": frozenset(facts.split()) for name in names.split()}
    return spelled


def _family(pattern: str, names: Iterable[str], facts: str = "") -> Facts:
    """One key for each name, put for the ``*`` of the pattern."""
    return {pattern.replace("*", name): frozenset(facts.split()) for name in names}


_PLAN = (
    _spell(
        {
            "layout: title skip footer": "",
            "person: region no_name unknown": "",
            "layout: clinic": "name? phone?",
            "person: born": "born",
            "person: age": "age sex",
            "person: number": "number",
            "person: opened": "dose",
            "chart: title onset caption": "",
            "chart: step": "dose day",
            "chart: reviews": "days",
            "chart: review": "week",
            "steps: caption region from to dose take": "",
            "steps: amount": "dose when",
            "counts: head caption region made_up": "",
            "counts: fill": "days",
            "drawn: summary": "schedule name",
            "drawn: summary_changed": "schedule doses",
            "drawn: none reviews_label stop_label": "",
            "drawn: review": "week day",
            "drawn: stop": "day",
            "drawn: fill_label": "days",
            "drawn: refills_label": "",
            "drawn: refill": "day supplies",
            "drawn: fill": "supplies until",
            "drawn: many_capsules": "count",
            "compare: head": "",
            "compare: name": "schedule name",
            "compare: evidence": "evidence source",
            "guidance: head region caption event do stop": "",
            "evidence: head for against mechanism effects cost": "",
            "about: head lead what gate result open default": "",
            "about: plan": "count",
            "about: default_schedule": "schedule name evidence source",
            "ended: head text": "",
            "leave: head text stay end": "",
        }
    )
    | _family("counts.*", Form, "strength?")
    | _family("guidance.*.event", GUIDANCE)
    | _family("guidance.*.do", GUIDANCE)
    | _family("schedule.*", (f"{id_}.{part}" for id_ in SCHEDULE_IDS for part in _PARTS))
)

_GATE = (
    _spell(
        {
            "page: stale stale_other not_written no_reason print back end": "",
            "verdict: clear drafted answered no_write yours": "",
            "verdict: not_before counting": "day medicines",
            "verdict: not_now_medicine unrecognized": "medicines",
            "verdict: medicine": "label state",
            "verdict: not_now unknown unread care": "reason",
            "verdict: attested": "reasons",
            "verdict: yours_not_before": "day",
            "verdict: yours_not_now": "title",
            "verdict: answers_one answers_many": "count given",
            "gate: head folded later": "",
            "gate: not_before": "day",
            "gate: settled_one settled_many": "count",
            "history: head region caption medicine role state earliest no_wait unread unnamed": "",
            "history: wait_unknown": "days day",
            "history: ended_one ended_many": "days",
            "unread: rule problems birth_date": "",
            "opioids: listed": "label role state",
            "opioids: none moud": "",
            "opioid-free: intervals screens last last_none last_short last_long last_on methods": "",
            "unknown: because ask": "",
            "unknown: named": "label",
            "unknown: nameless": "number",
            "maintenance: by on test test_none test_urine test_challenge tested_on": "",
            "maintenance: listed": "label",
            "maintenance: wait": "days",
            "dependence: withdrawal disorder": "",
            "liver: blocked": "",
            "pregnancy: listed male": "",
            "kidney: listed": "",
            "age: below": "age",
            "surgery: because no yes": "",
            "duplicate: listed": "label state",
            "duplicate: blocked": "",
            "diary: drafted_meanwhile": "",
            "diary: head drafted must_stop must_stop_because unknown change write new choose reason": "",
            "diary: today": "day dose since",
            "diary: taken": "taken",
            "diary: next": "dose day",
            "diary: last": "day",
            "diary: changed_hold": "day days",
            "diary: changed_step-down": "day days?",
            "earlier: listed": "label",
            "earlier: because open keep": "",
            "waiting: head next changed other no_sig choose keep replace explain": "",
            "waiting: plan": "schedule",
            "waiting: written": "day",
            "consent: because cautions": "",
            "pharmacy: because": "",
        }
    )
    | _family("*.title", POINTS)
    | _family("*.ask", ASKED)
    | _family("mark.*", Mark)
    | _family("role.*", (role for role in Role if role.is_opioid))
    | _family("state.*", State)
    | _family("unread.*", LISTS.values(), "why")
    | {f"answer.{why}": facts for why, facts in ANSWER_COMPLAINTS.items()}
)

_FORM = (
    _spell(
        {
            "form: head schedule start_on made_up fill_days more": "",
            "form: reason reason_choose reason_text reason_above": "",
            "form: change change_none change_on hold_days update not_redrawn": "",
            "field: start_mg step_mg interval_days maximum_mg": "",
            "unit: mg days mg_per_dose": "",
            "hint: fixed": "unit",
            "hint: span": "unit low high",
        }
    )
    | _family("form.*", Form)
    | _family("form.change_*", Kind)
    | {f"complaint.{why}": facts for why, facts in {**COMPLAINTS, **WISH_COMPLAINTS}.items()}
)

_RESULT = _spell(
    {
        "finish: writes write not_granted no_release offer blocked": "",
        "finish: missing_one missing_many": "count",
        "finish: old_release": "release",
        "result: title offered offered_next lost lost_next writing look_again": "",
        "result: complete complete_next incomplete incomplete_next": "",
        "result: opened": "dose",
        "result: said": "reason",
        "result: opened_unnamed written not_written unclear take_along copy copied": "",
        "result: replaced cancel cancel_there region caption draft outcome retry handout file paste": "",
    }
) | _family("outcome.*", (*OUTCOMES, *NOT_SENT))

_HANDOUT = _spell(
    {
        "handout: head important no_opioids tell surgery tolerance take steps_region how reviews": "",
        "handout: effects common heart stop stop_pregnant good_to_know off_label": "",
        "handout: clinic phone prescriber": "",
        "handout: diary diary_caption week_of pain sleep side_effects": "",
        "handout: for": "name born day",
        "handout: review": "day week",
        "handout: refills": "day refills",
        "handout: benefit": "soonest latest stop",
    }
)

_DRAFTS = _spell(
    {
        "draft: title": "schedule",
        "draft: capsule solution": "strength",
        "draft: sig": "start end dose dose_words amount when",
        "draft: review_title": "week",
        "draft: review": "",
        "draft: review_raise": "dose relief",
        "take: one many": "count strength",
        "take: solution": "volume strength",
        "when: bedtime twice": "",
        "supply: capsules": "count strength",
        "supply: solution": "volume strength",
        "note: off_label": "schedule standing",
        "note: highest": "dose dose_words",
        "note: reason_above": "reason",
        "note: fill": "days until",
        "note: refills": "refills",
        "note: attested": "points",
        "note: changed_hold changed_step-down": "day",
        "note: maintenance": "day who test tested",
        "note: test_urine test_challenge": "",
        "paste: refill": "day supplies",
        "note: no_opioids consent last_none last_not_stated": "",
        "note: opioid_free": "last methods",
        "note: last_short last_long stop": "day",
        "paste: head": "schedule",
        "paste: dispense": "days supplies",
        "paste: review": "week day",
        "spoken: digits point": "",
        "spoken: one many": "number",
    }
) | _family("method.*", METHODS)

_TROUBLES = (
    _spell(
        {
            "trouble: again relaunch admin said issuer": "",
            "trouble: do": "do",
        }
    )
    | _family("trouble.*.title", TROUBLES)
    | _family("trouble.*.what", TROUBLES, "launch_minutes? session_minutes?")
    | _family("trouble.*.do", TROUBLES, "relaunch? admin?")
)

_WAIT = "short_acting_days.critical_below short_acting_days.warning_below long_acting_days"
_HOLD = "oral_hold_range_hours.from oral_hold_hours"
_PRINTED: Mapping[str, str] = {  # numbers that the words of a key must print, not write out
    "schedule.A.name": "schedules.A.start_mg schedules.A.step_mg schedules.A.step_days schedules.A.max_mg",
    "schedule.B.name": "schedules.B.start_mg schedules.B.max_mg",
    "schedule.D.name": "schedules.D.start_mg schedules.D.limits.max_mg.high schedules.D.step_days"
    " schedules.D.raise_below_relief_percent",
    "schedule.E.name": "schedules.E.start_mg schedules.E.step_mg schedules.E.step_days schedules.E.max_mg",
    "chart.caption": "titration.onset_weeks.low titration.onset_weeks.high",
    "counts.solution": "titration.solution_mg_per_ml",
    "form.solution": "titration.solution_mg_per_ml",
    "form.reason_above": "ldn_usual_max_mg",
    "complaint.start_far": "titration.furthest_start_days",
    "guidance.opioid.do": _WAIT,
    "guidance.surgery.do": _HOLD,
    "guidance.sleep.do": "titration.hold_days.usual schedules.A.step_mg",
    "guidance.common.do": "titration.hold_days.usual",
    "guidance.intolerable.event": "schedules.A.start_mg",
    "guidance.intolerable.do": "titration.intolerable_mg.low titration.intolerable_mg.high",
    "guidance.missed.do": "start_low.naltrexone_free_days schedules.A.start_mg",
    "guidance.stop": "titration.weeks_at_top",
    "evidence.cost": "titration.monthly_cost_usd",
    "about.result": "dose_bands.labelled_from",
    "opioid-free.intervals": _WAIT,
    "opioid-free.last_none": "long_acting_days",
    "maintenance.title": "titration.maintenance_ended_days",
    "age.title": "adult_age",
    "age.below": "adult_age",
    "age.ask": "adult_age",
    "surgery.title": "titration.surgery_ask_weeks",
    "surgery.because": _HOLD,
    "pharmacy.because": "dose_bands.labelled_from",
    "handout.surgery": "oral_hold_days oral_hold_hours",
    "handout.how": "dose_bands.labelled_from",
    "handout.off_label": "titration.monthly_cost_usd",
    "note.reason_above": "ldn_usual_max_mg",
    "note.last_none": "long_acting_days",
}


def _printing(words: Facts) -> Facts:
    return {key: facts.union(_PRINTED.get(key, "").split()) for key, facts in words.items()}


PLANNER_WORDS: Mapping[str, Facts] = MappingProxyType(
    {
        "planner": _printing({**_PLAN, **_GATE, **_FORM, **_RESULT}),
        "handout": _printing(_HANDOUT),
        "drafts": _printing(_DRAFTS),
        "troubles": _TROUBLES,
    }
)
