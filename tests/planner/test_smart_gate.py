"""The gate (specification 3.4): the hook's verdict on the same record, unknown never "no", and every point once."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from cds_service.ehr.fetched import Fetched
from cds_service.fhir.write_plan import orders
from cds_service.model import Finding, Release
from cds_service.planner.drafts import to_drafts
from cds_service.planner.edition import edition_of
from cds_service.planner.gate import Answers, Gate, Mark, check
from cds_service.planner.judge import HookJudge
from cds_service.planner.view import first_wish
from cds_service.rules import RULES
from cds_service.titration.plan import draw
from tests.e2e.smart_site import NOON, engine
from tests.vignettes.builder import INTERACTION, prefetch, vignettes

JUDGE = HookJudge(engine())
TODAY = NOON.date()
EDITION = edition_of(engine().content, TODAY)
READ = (
    "patient",
    "medicationRequests",
    "medicationStatements",
    "medicationDispenses",
    "medicationAdministrations",
    "conditions",
)
NAMES = (
    "opioids",
    "unknown",
    "opioid-free",
    "maintenance",
    "dependence",
    "liver",
    "pregnancy",
    "kidney",
    "age",
    "surgery",
    "duplicate",
    "consent",
    "pharmacy",
)


def drafted(release: Release = Release.R4) -> dict[str, Any]:
    """The order that the app itself would write."""
    wish = first_wish(TODAY, None, EDITION.schedules)
    plan = to_drafts(
        draw(EDITION.schedules, wish.choice),
        wish,
        Answers(),
        EDITION.say,
        key="0f4dd0e2-4b8f-4d1e-9a3b-0a0b0c0d0e0f",
        patient_id="pat-1",
        now=NOON,
    )
    return {**orders(plan, release)[0].resource, "id": "titration-draft"}


def fetched(answers: dict[str, Any]) -> dict[str, Fetched]:
    """What the app reads where the hook was sent this prefetch; null is an empty search."""
    empty = {"resourceType": "Bundle", "type": "searchset", "total": 0}
    found = {key: value for key, value in answers.items() if key in READ}
    return {
        key: Fetched(copy.deepcopy(found.get(key) or empty), True, "ok")
        for key in READ
        if key != "patient" or found.get(key)
    }


def gate_of(chart: dict[str, Fetched], answers: Answers | None = None) -> Gate:
    judgement = JUDGE(chart, {}, drafted(), "pat-1", NOON)
    return check(judgement.snapshot, judgement.verdicts, answers or Answers(), EDITION.say)


def mark_of(gate: Gate, name: str) -> Mark:
    return next(point.mark for point in gate.points if point.id == name)


def is_comparable(case: dict[str, Any]) -> bool:
    """Systemic naltrexone alone is drafted by itself, and the record could be read: what the app does, too."""
    (draft, *more) = case["draft_orders"]
    text = draft["drug_text"].lower()
    return (
        not more
        and ("naltrexone" in text or "ldn" in text)
        and "methyl" not in text
        and "/" not in text
        and not any(
            word in text
            for word in ("cream", "mcg", "microgram", "morphine", "topical", "evaluation")
        )
        and not case.get("prefetch_unavailable")
        and draft.get("status") in {None, "draft"}
        and case.get("meds")
        and draft.get("intent") in {None, "order"}
    )


COMPARABLE = [case for case in vignettes() if is_comparable(case)]


def test_there_are_enough_vignettes_to_compare() -> None:
    """The comparison below must not become empty unnoticed."""
    assert len(COMPARABLE) >= 40


@pytest.mark.parametrize("case", COMPARABLE, ids=lambda case: case["id"])
def test_the_app_gives_the_verdict_of_the_hook_for_the_same_patient(case: dict[str, Any]) -> None:
    """Critical on the card is blocked in the app, warning is asked, nothing is passed."""
    shown = {card["topic"]: card["indicator"] for card in case["expected_cards"]}
    unread = "warning" if shown.get("naltrexone-data-gap") == "warning" else "none"
    worst = shown.get(INTERACTION, unread)
    expected = {"critical": Mark.BLOCKED, "warning": Mark.ASK}.get(worst, Mark.PASSED)
    assert expected == mark_of(gate_of(fetched(prefetch(case, "R4"))), "opioids")


def chart_of(
    *resources: dict[str, Any], without: str = "", patient: dict[str, Any] | None = None
) -> dict[str, Fetched]:
    """A readable record with these resources; ``without`` names a key that could not be read."""
    kinds = {"MedicationRequest": "medicationRequests", "Condition": "conditions"}
    chart = fetched(
        {
            "patient": patient
            or {"resourceType": "Patient", "id": "pat-1", "birthDate": "1970-01-01"}
        }
    )
    for resource in resources:
        key = kinds[resource["resourceType"]]
        bundle = chart[key].resource or {}
        entries = [*bundle.get("entry", []), {"resource": resource}]
        chart[key] = Fetched({**bundle, "total": len(entries), "entry": entries}, True, "ok")
    if without:
        chart[without] = Fetched(None, False, "timeout")
    return chart


def condition(code: str) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/pat-1"},
        "code": {
            "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}],
            "text": code,
        },
    }


def order(text: str, status: str = "active", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": status,
        "intent": "order",
        "subject": {"reference": "Patient/pat-1"},
        "authoredOn": "2026-11-10",
        "medicationCodeableConcept": {"text": text},
        **more,
    }


def ended_on(day: str) -> dict[str, Any]:
    return {
        "authoredOn": day,
        "dosageInstruction": [{"timing": {"repeat": {"boundsPeriod": {"end": day}}}}],
    }


def test_the_gate_has_every_point_of_the_specification_once() -> None:
    """In the order of the page."""
    assert tuple(point.id for point in gate_of(chart_of()).points) == NAMES


@pytest.mark.parametrize(
    ("chart", "point", "mark"),
    [
        (chart_of(), "opioids", Mark.PASSED),
        (chart_of(), "liver", Mark.PASSED),
        (chart_of(), "age", Mark.PASSED),
        (chart_of(), "kidney", Mark.PASSED),
        (chart_of(), "duplicate", Mark.PASSED),
        (chart_of(), "dependence", Mark.PASSED),
        (chart_of(), "pregnancy", Mark.ASK),
        (chart_of(), "consent", Mark.ASK),
        (chart_of(), "surgery", Mark.ASK),
        (chart_of(), "opioid-free", Mark.ASK),
        (chart_of(), "pharmacy", Mark.ASK),
        (chart_of(condition("K72.00")), "liver", Mark.BLOCKED),
        (chart_of(condition("K74.60")), "liver", Mark.PASSED),
        (chart_of(condition("F11.23")), "dependence", Mark.BLOCKED),
        (chart_of(condition("F11.20")), "dependence", Mark.ASK),
        (chart_of(condition("F11.21")), "dependence", Mark.ASK),
        (chart_of(condition("N18.5")), "kidney", Mark.ASK),
        (chart_of(condition("N18.30")), "kidney", Mark.PASSED),
        (chart_of(condition("Z33.1")), "pregnancy", Mark.ASK),
        (chart_of(order("Naltrexone 50 mg tablet")), "duplicate", Mark.BLOCKED),
        (chart_of(order("Naltrexone 50 mg tablet", "on-hold")), "duplicate", Mark.ASK),
        (chart_of(order("Naltrexone 50 mg tablet", "cancelled")), "duplicate", Mark.PASSED),
        (chart_of(order("Oxycodone 5 mg tablet")), "opioids", Mark.BLOCKED),
        (chart_of(order("Oxycodone 5 mg tablet", "on-hold")), "opioids", Mark.ASK),
        (chart_of(order("Loperamide 2 mg capsule")), "opioids", Mark.PASSED),
        (chart_of(without="medicationRequests"), "opioids", Mark.ASK),
        (
            chart_of(order("naltrexone 380 MG Injection", "completed", **ended_on("2026-10-24"))),
            "duplicate",
            Mark.BLOCKED,
        ),
        (
            chart_of(order("naltrexone 380 MG Injection", "completed", **ended_on("2026-10-23"))),
            "duplicate",
            Mark.PASSED,
        ),
        (
            chart_of(order("naltrexone 380 MG Injection", "completed", authoredOn="2026-10-23")),
            "duplicate",
            Mark.ASK,
        ),
        (chart_of(without="medicationRequests"), "duplicate", Mark.ASK),
        (chart_of(without="medicationStatements"), "opioids", Mark.ASK),
        (chart_of(without="medicationDispenses"), "opioids", Mark.ASK),
        (chart_of(without="medicationAdministrations"), "opioids", Mark.ASK),
        (chart_of(without="conditions"), "liver", Mark.ASK),
        (chart_of(without="conditions"), "kidney", Mark.ASK),
        (chart_of(without="conditions"), "dependence", Mark.ASK),
        (chart_of(without="patient"), "age", Mark.ASK),
        (
            chart_of(patient={"resourceType": "Patient", "id": "pat-1", "birthDate": "2008-11-22"}),
            "age",
            Mark.ASK,
        ),
        (
            chart_of(patient={"resourceType": "Patient", "id": "pat-1", "birthDate": "2008-11-21"}),
            "age",
            Mark.PASSED,
        ),
    ],
)
def test_each_point_follows_the_record(chart: dict[str, Fetched], point: str, mark: Mark) -> None:
    """Passed only where it was read and is fine; unread is asked; what may not be overridden is blocked."""
    assert mark == mark_of(gate_of(chart), point)


def test_a_search_that_returned_another_patient_was_not_read() -> None:
    """It says nothing of this patient: neither that there is no opioid nor that the liver is well."""
    theirs = {"subject": {"reference": "Patient/pat-2"}}
    gate = gate_of(
        chart_of({**order("Lisinopril 10 mg tablet"), **theirs}, {**condition("I10"), **theirs})
    )
    assert {Mark.ASK} == {
        mark_of(gate, name) for name in ("opioids", "duplicate", "liver", "kidney", "dependence")
    }
    gate = gate_of(chart_of(order("Lisinopril 10 mg tablet"), condition("I10")))
    assert {Mark.PASSED} == {
        mark_of(gate, name) for name in ("opioids", "duplicate", "liver", "kidney", "dependence")
    }


@pytest.mark.parametrize(
    "resource",
    [
        order("Oxycodone 5 mg tablet"),
        condition("K72.00"),
        condition("F11.23"),
        order("Naltrexone 50 mg tablet"),
    ],
)
def test_no_confirmation_opens_a_blocked_point(resource: dict[str, Any]) -> None:
    """Ticking everything does not pass a gate with an active opioid, liver failure, withdrawal or a duplicate."""
    answers = Answers(frozenset(NAMES), ("history",), "none", None, "no")
    assert gate_of(chart_of(resource), answers).is_blocked
    assert not gate_of(chart_of(resource), answers).is_passed


@pytest.mark.parametrize("name", ["pregnancy", "consent", "pharmacy"])
def test_every_question_must_be_answered(name: str) -> None:
    """All but one confirmed is not passed."""
    everything = Answers(frozenset(NAMES), ("history",), "none", None, "no")
    assert gate_of(chart_of(), everything).is_passed
    assert not gate_of(
        chart_of(), Answers(frozenset(NAMES) - {name}, ("history",), "none", None, "no")
    ).is_passed


@pytest.mark.parametrize(
    ("kind", "last", "mark", "until"),
    [
        ("short", date(2026, 11, 11), Mark.CONFIRMED, None),
        ("short", date(2026, 11, 12), Mark.BLOCKED, date(2026, 11, 22)),
        ("long", date(2026, 11, 7), Mark.CONFIRMED, None),
        ("long", date(2026, 11, 8), Mark.BLOCKED, date(2026, 11, 22)),
        ("none", None, Mark.CONFIRMED, None),
        ("", None, Mark.ASK, None),
        ("short", None, Mark.ASK, None),
    ],
)
def test_the_stated_last_opioid_counts_like_a_listed_one(
    kind: str, last: date | None, mark: Mark, until: date | None
) -> None:
    """10 days after short-acting, 14 after long-acting, counted from what the clinician entered."""
    gate = gate_of(chart_of(), Answers(methods=("pdmp",), last_opioid=kind, last_opioid_on=last))
    point = next(p for p in gate.points if p.id == "opioid-free")
    assert (mark, until) == (point.mark, point.until)


def test_the_earliest_start_is_the_latest_of_all_waits() -> None:
    """Listed oxycodone until 15 November and a stated long-acting opioid on the 14th: the 28th."""
    chart = chart_of(
        order(
            "Oxycodone 5 mg tablet",
            "completed",
            dosageInstruction=[
                {
                    "timing": {
                        "repeat": {"boundsPeriod": {"start": "2026-11-01", "end": "2026-11-15"}}
                    }
                }
            ],
        )
    )
    gate = gate_of(chart, Answers(last_opioid="long", last_opioid_on=date(2026, 11, 14)))
    assert date(2026, 11, 28) == gate.earliest


def test_an_opioid_that_goes_on_has_no_earliest_start() -> None:
    """The wait has not begun: no date is promised."""
    assert gate_of(chart_of(order("Methadone 10 mg tablet"))).earliest is None


def test_a_drug_by_reference_is_read_before_it_is_judged() -> None:
    """The app asks for the Medication of an order that only refers to one."""
    chart = chart_of(
        {
            **order(""),
            "medicationCodeableConcept": None,
            "medicationReference": {"reference": "Medication/oxy"},
        }
    )
    assert frozenset({"Medication/oxy"}) == JUDGE.references(chart, "pat-1")
    medication = {
        "resourceType": "Medication",
        "id": "oxy",
        "code": {"text": "Oxycodone 5 mg tablet"},
    }
    read = {"Medication/oxy": Fetched(medication, True, "ok")}
    judgement = JUDGE(chart, read, drafted(), "pat-1", NOON)
    assert Mark.BLOCKED == mark_of(
        check(judgement.snapshot, judgement.verdicts, Answers(), EDITION.say), "opioids"
    )


def test_a_rule_that_breaks_makes_the_verdict_unknown() -> None:
    """A check that could not run is asked about, not passed."""

    def broken(*_: object) -> Iterator[Finding]:
        raise RuntimeError
        yield

    rules = tuple(replace(rule, judge=broken) if rule.id == INTERACTION else rule for rule in RULES)
    judge = HookJudge(replace(engine(), rules=rules))
    judgement = judge(chart_of(), {}, drafted(), "pat-1", NOON)
    gate = check(judgement.snapshot, judgement.verdicts, Answers(), EDITION.say)
    assert Mark.ASK == mark_of(gate, "opioids")
    assert "Unknown: a safety rule could not run." in gate.points[0].because


def test_a_drug_that_cannot_be_identified_is_unknown() -> None:
    """An order that only refers to something unreadable is asked about, not passed."""
    chart = chart_of(
        {
            **order(""),
            "medicationCodeableConcept": None,
            "medicationReference": {"reference": "Medication/gone"},
        }
    )
    assert Mark.ASK == mark_of(gate_of(chart), "opioids")


def test_the_cautions_of_the_sources_are_shown_to_everybody() -> None:
    """No reason to switch where opioids relieve well; little to expect in degenerative or compressive pain (3.4)."""
    judged = JUDGE(chart_of(), {}, drafted(), "pat-1", NOON)
    gate = check(judged.snapshot, judged.verdicts, Answers(), EDITION.say, date(1970, 1, 1))
    (consent,) = (p for p in gate.points if p.id == "consent")
    said = " ".join(consent.because)
    assert "no reason to switch" in said
    assert "degenerative or compressive" in said
