"""The planner: gate before plan, drafts written once and never active, honest about everything that failed."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.fhir.write_plan import validate
from cds_service.model import Release
from cds_service.planner.sessions import OPEN, SmartSessions, read_or_make_key
from cds_service.planner.write import may_create
from tests.e2e.oauth_server import Ehr
from tests.e2e.smart_site import PATIENT, Site, order
from tests.e2e.smart_steps import (
    ANSWERS,
    PLAN_A,
    csrf_of,
    is_refused,
    is_written,
    open_app,
    words,
    write_plan,
)


def put(ehr: Ehr, *resources: dict[str, Any]) -> None:
    for resource in resources:
        ehr.store[resource["resourceType"], resource["id"]] = resource


def condition(code: str, text: str) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": code,
        "subject": {"reference": "Patient/ldn-1"},
        "code": {
            "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}],
            "text": text,
        },
    }


def written(ehr: Ehr) -> list[str]:
    """Types of all that was created by the app."""
    return sorted(
        kind
        for kind in ("MedicationRequest", "Task", "ServiceRequest", "CarePlan")
        for r in ehr.of_type(kind)
        if r.get("identifier")
    )


WHOLE_PLAN = ["CarePlan", "MedicationRequest", "Task", "Task", "Task"]


def test_a_passed_gate_and_plan_a_are_written_as_valid_drafts(
    client: FlaskClient, ehr: Ehr
) -> None:
    """The whole of 3.4: one order with its sequence, three reviews, a care plan that names them; all drafts."""
    assert is_written(write_plan(client, open_app(client, ehr)))
    assert written(ehr) == WHOLE_PLAN
    (request,) = ehr.of_type("MedicationRequest")
    (plan,) = ehr.of_type("CarePlan")
    assert {"draft"} == {r["status"] for r in [request, plan, *ehr.of_type("Task")]}
    assert [1.5, 3, 4.5] == [
        d["doseAndRate"][0]["doseQuantity"]["value"] for d in request["dosageInstruction"]
    ]
    assert {
        "text": "Fibromyalgia",
        "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "M79.7"}],
    } == request["reasonCode"][0]
    refs = [f"MedicationRequest/{request['id']}", *(f"Task/{t['id']}" for t in ehr.of_type("Task"))]
    assert refs == [a["reference"]["reference"] for a in plan["activity"]]
    for resource in [request, plan, *ehr.of_type("Task")]:
        validate({k: v for k, v in resource.items() if k != "meta"}, Release.R4)


@pytest.mark.parametrize(
    ("system", "code"), [("not a uri", "M79.7"), ("http://hl7.org/fhir/sid/icd-10-cm", "M 79")]
)
def test_an_untidy_problem_still_gives_a_valid_order(
    client: FlaskClient, ehr: Ehr, system: str, code: str
) -> None:
    """A coding that a strict server would refuse is left out; its words stay."""
    put(
        ehr,
        {
            **condition("c1", "Fibromyalgia"),
            "code": {
                "coding": [{"system": system, "code": code}, {"code": "x"}],
                "text": "Fibromyalgia",
            },
        },
    )
    assert is_written(write_plan(client, open_app(client, ehr)))
    (request,) = ehr.of_type("MedicationRequest")
    assert [{"text": "Fibromyalgia"}] == request["reasonCode"]


def test_the_result_page_says_what_was_written(client: FlaskClient, ehr: Ehr) -> None:
    """Each draft with its reference, the text to paste, handout and file."""
    done = client.get(write_plan(client, open_app(client, ehr)).headers["Location"])
    assert "All drafts are in the EHR" in words(done)
    for needed in (
        f"MedicationRequest/{ehr.of_type('MedicationRequest')[0]['id']}",
        "written as a draft",
        "Dispense for 28 days: 42 × 1.5 mg. No repeats.",
        "four point five milligrams",
        "Off-label LDN, schedule A",
    ):
        assert needed in words(done)


def test_the_handout_has_calendar_warnings_and_side_effects(client: FlaskClient, ehr: Ehr) -> None:
    """Plain language, the dates of the plan, no opioids, tell every clinician."""
    plan_url = open_app(client, ehr)
    write_plan(client, plan_url)
    page = words(client.get(f"{plan_url}handout"))
    for needed in (
        "No opioids.",
        "Tell every clinician, dentist and emergency room that you take naltrexone",
        "Mon 23 Nov 2026",
        "Mon 7 Dec 2026",
        "vivid dreams",
        "Ada M. Canary-Novak",
        "off-label",
    ):
        assert needed in page


def test_the_file_is_a_valid_bundle_of_drafts(client: FlaskClient, ehr: Ehr) -> None:
    """What is offered for download holds the same five drafts."""
    plan_url = open_app(client, ehr)
    write_plan(client, plan_url)
    answer = client.get(f"{plan_url}plan.json")
    bundle = json.loads(answer.data)
    validate(bundle, Release.R4)
    assert ("application/fhir+json", WHOLE_PLAN) == (
        answer.mimetype,
        sorted(e["resource"]["resourceType"] for e in bundle["entry"]),
    )


@pytest.mark.parametrize(
    "missing",
    [
        {"confirm": ["consent", "pharmacy"]},
        {"confirm": ["pregnancy", "pharmacy"]},
        {"confirm": ["pregnancy", "consent"]},
        {"confirm": []},
        {"last_opioid": ""},
        {"method": []},
        {"surgery": ""},
        {"surgery": "yes"},
        {"last_opioid": "short", "last_opioid_on": "2026-11-15"},
        {"last_opioid": "long", "last_opioid_on": "2026-11-08"},
        {"last_opioid": "short", "last_opioid_on": ""},
        {"last_opioid": "none", "last_opioid_on": "2026-12-01"},
        {"reason": ""},
        {"maximum_mg": "5"},
        {"maximum_mg": "50"},
        {"start_mg": "15"},
        {"start_on": "2026-11-20"},
        {"start_on": "2027-11-20"},
        {"start_on": "soon"},
        {"interval_days": "2"},
        {"step_mg": "x"},
        {"schedule": "Z"},
        {"fill_days": "29"},
    ],
)
def test_nothing_is_written_while_a_point_is_open_or_the_plan_is_outside_its_limits(
    client: FlaskClient, ehr: Ehr, missing: dict[str, Any]
) -> None:
    """Every gate and every limit holds on the server, whatever the page allowed; the page says what is missing."""
    answer = write_plan(client, open_app(client, ehr), **missing)
    assert (True, []) == (is_refused(answer), written(ehr))
    assert "Nothing was written yet" in words(client.get(answer.headers["Location"]))


@pytest.mark.parametrize(
    "allowed",
    [
        {"last_opioid": "short", "last_opioid_on": "2026-11-11"},
        {"last_opioid": "long", "last_opioid_on": "2026-11-07"},
        {"maximum_mg": "5", "reason_above": "partial response"},
        {"start_on": "2026-11-21"},
        {"start_mg": "1,5"},
        {"reason": "", "reason_text": "chronic pain"},
        {"form": "solution"},
        {"form": "each-strength", "fill_days": "42"},
        {"schedule": "C", "drawn": "C", "start_mg": "4.5", "step_mg": "0"},
        {"schedule": "B", "drawn": "A"},
        {"schedule": "D", "drawn": "A"},
        {"schedule": "E", "drawn": "A"},
        {"change": "hold", "change_on": "2026-12-02"},
    ],
)
def test_what_the_limits_allow_is_written(
    client: FlaskClient, ehr: Ehr, allowed: dict[str, Any]
) -> None:
    """The other side of each limit: ten and fourteen days ago, 5 mg with a reason, every schedule and form."""
    assert is_written(write_plan(client, open_app(client, ehr), **allowed))
    assert "MedicationRequest" in written(ehr)


def test_capsules_of_each_strength_are_orders_of_their_own(client: FlaskClient, ehr: Ehr) -> None:
    """A pharmacy dispenses one product per order."""
    write_plan(client, open_app(client, ehr), form="each-strength", fill_days="42")
    assert [
        "naltrexone 1.5 mg oral capsule (compounded)",
        "naltrexone 3 mg oral capsule (compounded)",
        "naltrexone 4.5 mg oral capsule (compounded)",
    ] == [r["medicationCodeableConcept"]["text"] for r in ehr.of_type("MedicationRequest")]


def test_a_script_in_the_record_is_only_text(client: FlaskClient, ehr: Ehr) -> None:
    """Names and drug texts of the record are escaped on every page."""
    put(ehr, order("o1", "<script>alert('drug')</script> oxycodone 5 mg tablet"))
    ehr.store["Patient", "ldn-1"]["name"] = [{"text": "<img src=x onerror=alert(1)>"}]
    page = client.get(open_app(client, ehr))
    assert "<script>alert" not in page.text
    assert "<img" not in page.text


BLOCKING = [
    (order("o1", "Oxycodone 5 mg tablet"), "not before 1 Dec 2026"),
    (order("o1", "Methadone 10 mg tablet"), "Do not stop methadone or buprenorphine"),
    (order("o1", "Naltrexone 4.5 mg oral capsule"), "This planner draws a new course"),
    (condition("K72.00", "Acute hepatic failure"), "liver failure"),
    (condition("F11.23", "Opioid withdrawal"), "Acute opioid withdrawal"),
]


@pytest.mark.parametrize(("resource", "why"), BLOCKING)
def test_a_blocked_gate_shows_why_and_writes_nothing(
    client: FlaskClient, ehr: Ehr, resource: dict[str, Any], why: str
) -> None:
    """No tick box overrides an active opioid, MOUD, other naltrexone, liver failure or withdrawal."""
    put(ehr, resource)
    plan_url = open_app(client, ehr)
    assert why in words(client.get(plan_url))
    everything = [
        "opioids",
        "opioid-free",
        "dependence",
        "liver",
        "duplicate",
        "pregnancy",
        "consent",
        "pharmacy",
    ]
    answer = write_plan(client, plan_url, confirm=everything)
    assert (True, []) == (is_refused(answer), written(ehr))


def test_an_opioid_that_ended_blocks_until_its_interval_is_over(
    client: FlaskClient, ehr: Ehr, site: Site
) -> None:
    """Oxycodone ended on 18 November: earliest start 28 November, and then the gate opens."""
    put(
        ehr,
        order(
            "o1",
            "Oxycodone 5 mg tablet",
            status="completed",
            authored="2026-11-01",
            dosageInstruction=[
                {
                    "timing": {
                        "repeat": {"boundsPeriod": {"start": "2026-11-01", "end": "2026-11-18"}}
                    }
                }
            ],
        ),
    )
    assert "Not before Sat 28 Nov 2026, because of Oxycodone 5 mg tablet" in words(
        client.get(open_app(client, ehr))
    )
    site.clock.move(days=7)
    assert is_written(write_plan(client, open_app(client, ehr), start_on="2026-11-28"))


def test_a_start_before_the_earliest_day_is_refused(client: FlaskClient, ehr: Ehr) -> None:
    """Ended 13 November (day 8, a warning): confirmed by the clinician, but the first dose waits until the 23rd."""
    put(
        ehr,
        order(
            "o1",
            "Oxycodone 5 mg tablet",
            status="completed",
            authored="2026-11-01",
            dosageInstruction=[
                {
                    "timing": {
                        "repeat": {"boundsPeriod": {"start": "2026-11-01", "end": "2026-11-13"}}
                    }
                }
            ],
        ),
    )
    plan_url = open_app(client, ehr)
    confirmed = {"confirm": [*ANSWERS["confirm"], "opioids"]}
    refused = write_plan(client, plan_url, **confirmed, start_on="2026-11-22")
    assert "Not before 23 Nov 2026" in words(client.get(refused.headers["Location"]))
    assert is_written(write_plan(client, plan_url, **confirmed, start_on="2026-11-23"))


@pytest.mark.parametrize(
    "kind",
    ["MedicationRequest", "MedicationStatement", "MedicationDispense", "MedicationAdministration"],
)
def test_a_list_that_could_not_be_read_is_unknown_and_blocks_until_confirmed(
    client: FlaskClient, ehr: Ehr, kind: str
) -> None:
    """Silence of the record is never "no opioid"."""
    ehr.statuses[f"GET {kind}"] = 500
    ehr.statuses[kind] = 500
    plan_url = open_app(client, ehr)
    assert "Unknown: medication" in words(client.get(plan_url)) or "Unknown: " in words(
        client.get(plan_url)
    )
    assert is_refused(write_plan(client, plan_url))
    del ehr.statuses[kind]
    ehr.statuses[f"GET {kind}"] = 500
    confirmed = [*ANSWERS["confirm"], "opioids", "duplicate"]
    assert is_written(write_plan(client, plan_url, confirm=confirmed))


def test_an_unread_problem_list_and_age_are_asked(client: FlaskClient, ehr: Ehr) -> None:
    """Liver, kidney, pregnancy and dependence are unknown then, and so is an age without birth date."""
    ehr.statuses["Condition"] = 403
    del ehr.store["Patient", "ldn-1"]["birthDate"]
    plan_url = open_app(client, ehr)
    answer = write_plan(client, plan_url, reason="", reason_text="pain")
    assert is_refused(answer)
    for title in (
        "No acute hepatitis or liver failure on the problem list",
        "No kidney disease of stage 4-5",
        "Age 18 or over",
    ):
        assert title in words(client.get(answer.headers["Location"]))
    confirmed = [*ANSWERS["confirm"], "dependence", "liver", "kidney", "age"]
    assert is_written(
        write_plan(client, plan_url, reason="", reason_text="pain", confirm=confirmed)
    )


@pytest.mark.parametrize(
    ("status", "title"),
    [
        (401, "The EHR refused to show the record"),
        (403, "The EHR refused to show the record"),
        (500, "The record could not be read"),
        (404, "The record could not be read"),
    ],
)
def test_a_patient_that_cannot_be_read_stops_the_planner(
    client: FlaskClient, ehr: Ehr, status: int, title: str
) -> None:
    """Without the patient nobody knows whose plan it would be."""
    ehr.statuses["Patient"] = status
    assert title in words(client.get(open_app(client, ehr)))


def test_a_record_that_hangs_is_a_readable_page_in_time(client: FlaskClient, ehr: Ehr) -> None:
    """The wait is bounded; the page offers to try again."""
    ehr.hang.add("Patient")
    page = client.get(open_app(client, ehr))
    assert (504, True) == (page.status_code, "Try again" in words(page))


# --- writing ----------------------------------------------------------------------------------------------------------


def test_a_second_press_writes_nothing_twice(client: FlaskClient, ehr: Ehr) -> None:
    """The same form sent again, from the same page, leads to the first one's result."""
    plan_url = open_app(client, ehr)
    fields = {**ANSWERS, **PLAN_A, "csrf": csrf_of(client.get(plan_url))}
    answers = [client.post(f"{plan_url}write", data=fields) for _ in range(2)]
    assert all(map(is_written, answers))
    assert written(ehr) == WHOLE_PLAN


def test_two_presses_at_the_same_moment_write_once(
    client: FlaskClient, ehr: Ehr, site: Site
) -> None:
    """The server takes one of them, even where the EHR ignores If-None-Exist."""
    ehr.ignores_condition, ehr.write_delay = True, 0.1
    plan_url = open_app(client, ehr)
    fields = {**ANSWERS, **PLAN_A, "csrf": csrf_of(client.get(plan_url))}
    cookie = client.get_cookie("__Host-titration", "localhost")
    assert cookie is not None

    def press() -> None:
        other = site.app.test_client()
        other.set_cookie("__Host-titration", cookie.value)
        other.post(f"{plan_url}write", data=fields)

    presses = [threading.Thread(target=press) for _ in range(6)]
    for thread in presses:
        thread.start()
    for thread in presses:
        thread.join()
    assert written(ehr) == WHOLE_PLAN


def test_without_write_permission_the_plan_is_offered(client: FlaskClient, ehr: Ehr) -> None:
    """Nothing is sent; the file, the text and the handout are there."""
    ehr.drop_scopes = ("patient/MedicationRequest.write",)
    plan_url = open_app(client, ehr)
    assert "did not grant writing" in words(client.get(plan_url))
    done = client.get(write_plan(client, plan_url).headers["Location"])
    assert ([], True) == (written(ehr), "Nothing was written to the EHR" in words(done))
    assert 200 == client.get(f"{plan_url}plan.json").status_code


def test_a_permission_that_is_missing_for_one_type_is_told(client: FlaskClient, ehr: Ehr) -> None:
    """Orders are written, the rest is named as not granted."""
    ehr.drop_scopes = ("patient/Task.write",)
    done = client.get(write_plan(client, open_app(client, ehr)).headers["Location"])
    assert written(ehr) == ["CarePlan", "MedicationRequest"]
    assert "Not everything was written" in words(done)
    assert 3 == words(done).count("the permission was not granted")


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (400, "the EHR refused it"),
        (401, "the EHR refused the permission"),
        (403, "the EHR refused the permission"),
        (409, "the EHR reported a conflict, and holds no such draft It said: <i>no</i> 409"),
        (412, "the EHR reported a conflict, and holds no such draft It said: <i>no</i> 412"),
        (422, "the EHR refused it It said: <i>no</i> 422"),
        (500, "it may have been written"),
        (503, "it may have been written"),
    ],
)
def test_a_partial_failure_is_reported_and_mended_without_writing_twice(
    client: FlaskClient, ehr: Ehr, status: int, told: str
) -> None:
    """Reviews fail, in the server's own words where it has any; then it is well again: only they are sent."""
    ehr.statuses["POST Task"] = status
    result_url = write_plan(client, open_app(client, ehr)).headers["Location"]
    page = client.get(result_url)
    assert told in words(page)
    assert written(ehr) == ["CarePlan", "MedicationRequest"]
    del ehr.statuses["POST Task"]
    orders_before = ehr.of_type("MedicationRequest")
    again = client.post(result_url, data={"csrf": csrf_of(page)})
    assert (303, WHOLE_PLAN) == (again.status_code, written(ehr))
    assert "All drafts are in the EHR" in words(client.get(result_url))
    assert orders_before == ehr.of_type("MedicationRequest")


@pytest.mark.parametrize("status", [409, 412])
def test_a_conflict_that_is_our_own_draft_is_taken_as_written(
    client: FlaskClient, ehr: Ehr, status: int
) -> None:
    """The server stored it and answered with a conflict: what it holds is looked at, and the plan goes on."""
    ehr.conflicts = dict.fromkeys(("MedicationRequest", "Task", "CarePlan"), status)
    done = client.get(write_plan(client, open_app(client, ehr)).headers["Location"])
    assert written(ehr) == WHOLE_PLAN
    assert "All drafts are in the EHR" in words(done)


def test_a_conflict_with_a_draft_of_somebody_else_is_not_taken_for_ours(
    client: FlaskClient, ehr: Ehr
) -> None:
    """A server that ignores the search parameter lists every order: only our identifier counts."""
    put(ehr, order("theirs", "Ibuprofen 400 mg tablet", status="draft"))
    ehr.ignores_search, ehr.statuses["POST MedicationRequest"] = True, 409
    done = client.get(write_plan(client, open_app(client, ehr)).headers["Location"])
    assert "holds no such draft" in words(done)
    assert "MedicationRequest/theirs" not in words(done)


def test_several_of_one_draft_are_named_and_no_more_is_written(
    client: FlaskClient, ehr: Ehr
) -> None:
    """412 because the condition matches more than one: said, and a retry adds none."""
    ehr.doubles, ehr.conflicts["MedicationRequest"] = True, 412
    result_url = write_plan(client, open_app(client, ehr)).headers["Location"]
    page = client.get(result_url)
    assert "in the EHR more than once" in words(page)
    client.post(result_url, data={"csrf": csrf_of(page)})
    assert 2 == len(ehr.of_type("MedicationRequest"))


def test_a_draft_that_was_signed_before_the_conflict_is_not_called_a_draft(
    client: FlaskClient, ehr: Ehr
) -> None:
    ehr.keeps_status, ehr.conflicts["MedicationRequest"] = False, 409
    done = client.get(write_plan(client, open_app(client, ehr)).headers["Location"])
    assert "did not keep it as a draft" in words(done)


def test_a_refused_press_survives_reload_and_back(client: FlaskClient, ehr: Ehr) -> None:
    """Its page is asked for by itself; what was entered stands in it, and mended it says nothing of a refusal."""
    plan_url = open_app(client, ehr)
    answer = write_plan(client, plan_url, reason="", reason_text="", method=[])
    pages = [client.get(answer.headers["Location"]) for _ in range(2)]
    assert all("Nothing was written yet" in words(page) for page in pages)
    assert all('id="last-none" name="last_opioid" value="none" checked' in p.text for p in pages)
    client.post(plan_url, data={**ANSWERS, **PLAN_A, "csrf": csrf_of(pages[0])})
    assert "Nothing was written yet" not in words(client.get(answer.headers["Location"]))


def test_an_order_that_is_refused_leaves_no_reviews_without_it(
    client: FlaskClient, ehr: Ehr
) -> None:
    """A care plan for an order that is not there would mislead."""
    ehr.statuses["POST MedicationRequest"] = 422
    page = client.get(write_plan(client, open_app(client, ehr)).headers["Location"])
    assert ([], 4) == (written(ehr), words(page).count("not tried"))


def test_an_unclear_end_is_looked_up_before_it_is_tried_again(
    client: FlaskClient, ehr: Ehr
) -> None:
    """The order was stored but the answer got lost: the second try finds it, though If-None-Exist is ignored."""
    ehr.ignores_condition = True
    ehr.after_writing["MedicationRequest"] = 502
    result_url = write_plan(client, open_app(client, ehr)).headers["Location"]
    page = client.get(result_url)
    assert written(ehr) == ["MedicationRequest"]
    ehr.after_writing.clear()
    client.post(result_url, data={"csrf": csrf_of(page)})
    again = client.get(result_url)
    assert written(ehr) == WHOLE_PLAN
    assert "All drafts are in the EHR" in words(again)


def abandon_write(client: FlaskClient, site: Site, plan_url: str, seconds_ago: float) -> None:
    """Leave the session as a worker leaves it that dies while it writes."""
    now = site.clock.now
    store = site.app.extensions["naltrexone_cds"].store
    sessions = SmartSessions(
        store, read_or_make_key(Path(site.settings.data_dir) / "smart.key"), now.timestamp
    )
    cookie = client.get_cookie("__Host-titration", "localhost")
    assert cookie is not None
    session = sessions.find(OPEN, plan_url.split("/")[3], cookie.value)
    assert session is not None
    fields = {
        name: value if isinstance(value, list) else [value]
        for name, value in {**ANSWERS, **PLAN_A}.items()
    }
    sessions.change(
        session,
        {
            **session.body,
            "outcome": {
                "fields": fields,
                "today": "2026-11-21",
                "release": "R4",
                "reason": {"text": "Fibromyalgia"},
                "items": [],
                "person": {"name": "Ada", "born": "1979-04-02", "sex": "female"},
                "at": now.isoformat(),
                "state": "writing",
                "since": now.timestamp() - seconds_ago,
            },
        },
    )


@pytest.mark.parametrize(
    ("seconds_ago", "words_shown", "kinds"),
    [(61, "did not report back", WHOLE_PLAN), (30, "The drafts are being written", [])],
)
def test_a_write_whose_worker_died_can_be_taken_up_after_a_minute(
    client: FlaskClient,
    ehr: Ehr,
    site: Site,
    seconds_ago: float,
    words_shown: str,
    kinds: list[str],
) -> None:
    """Until then it counts as under way, and nobody else writes."""
    plan_url = open_app(client, ehr)
    token = csrf_of(client.get(plan_url))
    abandon_write(client, site, plan_url, seconds_ago)
    assert words_shown in words(client.get(f"{plan_url}result"))
    client.post(f"{plan_url}result", data={"csrf": token})
    assert written(ehr) == kinds


def test_a_draft_that_the_ehr_made_active_is_told_at_once(client: FlaskClient, ehr: Ehr) -> None:
    """Some servers ignore the status: that must not pass silently."""
    ehr.keeps_status = False
    page = client.get(write_plan(client, open_app(client, ehr)).headers["Location"])
    assert "did not keep it as a draft" in words(page)
    assert "All drafts are in the EHR" not in words(page)


def test_a_scope_that_is_not_repeated_is_the_one_asked_for(client: FlaskClient, ehr: Ehr) -> None:
    """RFC 6749 5.1: the token response may leave it out where nothing was taken away."""
    ehr.tells_scope = False
    write_plan(client, open_app(client, ehr))
    assert written(ehr) == WHOLE_PLAN


def test_the_orders_of_a_dstu2_server_are_judged(client: FlaskClient, ehr: Ehr) -> None:
    """MedicationOrder is the medication list there: an active opioid blocks, an empty list is known to be empty."""
    ehr.fhir_version = "1.0.2"
    assert "No opioid found on the lists that were read" in words(client.get(open_app(client, ehr)))
    put(
        ehr,
        {
            "resourceType": "MedicationOrder",
            "id": "o1",
            "status": "active",
            "dateWritten": "2026-11-15",
            "patient": {"reference": "Patient/ldn-1"},
            "medicationCodeableConcept": {"text": "Oxycodone 5 mg tablet"},
        },
    )
    assert "Oxycodone 5 mg tablet: short-acting opioid, active." in words(
        client.get(open_app(client, ehr))
    )


@pytest.mark.parametrize("version", ["1.0.2", "", "6.0.0"])
def test_an_unknown_or_old_release_is_not_written_to(
    client: FlaskClient, ehr: Ehr, version: str
) -> None:
    """DSTU2 and what nobody knows get the file and the text."""
    ehr.fhir_version = version
    plan_url = open_app(client, ehr)
    confirmed = [*ANSWERS["confirm"], "opioids", "duplicate"]
    assert is_written(write_plan(client, plan_url, confirm=confirmed))
    assert written(ehr) == []
    assert "Nothing was written to the EHR" in words(client.get(f"{plan_url}result"))


def test_a_dstu2_record_is_judged_and_the_whole_plan_offered_as_file_and_text(
    client: FlaskClient, ehr: Ehr
) -> None:
    """Clean: no question more than on R4, and the reason named. The file is a plan in R4, the text says each step."""
    ehr.fhir_version = "1.0.2"
    plan_url = open_app(client, ehr)
    page = words(client.get(plan_url))
    assert "Nothing in the record speaks against a start" in page
    assert "The EHR speaks FHIR DSTU2, for which no drafts are written" in page
    assert "Finish the plan" in page
    result = client.get(write_plan(client, plan_url).headers["Location"])
    assert ([], False) == (written(ehr), "Cancel the drafts" in words(result))
    bundle = client.get(f"{plan_url}plan.json").get_json()
    held = [entry["resource"] for entry in bundle["entry"]]
    assert ["CarePlan", "MedicationRequest", "Task", "Task", "Task"] == sorted(
        r["resourceType"] for r in held
    )
    for resource in held:
        assert "draft" == resource["status"]
        validate(resource, Release.R4)
    steps = [d["text"] for r in held for d in r.get("dosageInstruction", ())]
    assert 3 == len(steps)
    assert all(step in words(result) for step in steps)
    assert all(f"week {week}" in words(result).lower() for week in (2, 4, 12))


def test_a_dstu2_draft_of_naltrexone_is_found_before_a_second_is_offered(
    client: FlaskClient, ehr: Ehr
) -> None:
    put(
        ehr,
        {
            "resourceType": "MedicationOrder",
            "id": "o1",
            "status": "draft",
            "dateWritten": "2026-11-20",
            "patient": {"reference": "Patient/ldn-1"},
            "medicationCodeableConcept": {"text": "Naltrexone 50 mg tablet"},
            "dosageInstruction": [{"text": "one daily"}],
        },
    )
    ehr.fhir_version = "1.0.2"
    plan_url = open_app(client, ehr)
    assert "Drafted already: Naltrexone 50 mg tablet" in words(client.get(plan_url))
    assert is_refused(write_plan(client, plan_url))
    opened = words(client.get(f"{plan_url}earlier"))
    assert "written 2026-11-20" in opened
    assert "one daily" in opened


@pytest.mark.parametrize(
    ("version", "member"), [("3.0.2", "medicationCodeableConcept"), ("5.0.0", "medication")]
)
def test_drafts_follow_the_release_of_the_server(
    client: FlaskClient, ehr: Ehr, version: str, member: str
) -> None:
    """STU3 and R5 get their own shapes."""
    ehr.fhir_version = version
    assert is_written(write_plan(client, open_app(client, ehr)))
    (request,) = ehr.of_type("MedicationRequest")
    assert member in request
    validate(request, Release.STU3 if version.startswith("3") else Release.R5)


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("patient/MedicationRequest.write", True),
        ("user/MedicationRequest.*", True),
        ("patient/*.write", True),
        ("patient/*.*", True),
        ("patient/MedicationRequest.c", True),
        ("patient/MedicationRequest.cruds", True),
        ("patient/MedicationRequest.cu", True),
        ("patient/MedicationRequest.rs", False),
        ("patient/Task.write", False),
        ("patient/MedicationRequest.read", False),
        ("system/MedicationRequest.write", False),
        ("", False),
        ("patient/MedicationRequest", False),
        ("patient/MedicationRequest.c?status=draft", False),
        ("launch", False),
        ("patient/MedicationRequest.create", False),
    ],
)
def test_only_a_granted_create_lets_the_app_write(scope: str, allowed: bool) -> None:
    """Scopes of SMART 1 and 2; a narrowed scope is not taken for the whole."""
    assert allowed == may_create(scope, "MedicationRequest")


# --- sessions and forms -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "preview", "write", "result", "end"])
@pytest.mark.parametrize("csrf", ["", "wrong", "x" * 5_000])
def test_CT09_a_form_without_our_token_does_nothing(
    client: FlaskClient, ehr: Ehr, path: str, csrf: str
) -> None:
    """Cross-site request forgery: every POST needs the token of this session."""
    plan_url = open_app(client, ehr)
    answer = client.post(f"{plan_url}{path}", data={**ANSWERS, **PLAN_A, "csrf": csrf})
    assert (400, []) == (answer.status_code, written(ehr))
    assert 200 == client.get(plan_url).status_code


def test_CT09_a_form_token_of_another_session_is_refused(client: FlaskClient, ehr: Ehr) -> None:
    """Two charts open in one browser: the form of one cannot write for the other."""
    first, second = open_app(client, ehr), open_app(client, ehr)
    fields = {**ANSWERS, **PLAN_A, "csrf": csrf_of(client.get(first))}
    assert (400, []) == (client.post(f"{second}write", data=fields).status_code, written(ehr))


def test_CT09_two_patients_in_one_browser_never_mix(client: FlaskClient, ehr: Ehr) -> None:
    """Each launch keeps its own patient, whichever came last."""
    put(ehr, {"resourceType": "Patient", "id": "other-2", "name": [{"text": "Other Person"}]})
    first, second = open_app(client, ehr), open_app(client, ehr, patient="other-2")
    assert "Ada M. Canary-Novak" in client.get(first).text
    assert "Other Person" in client.get(second).text
    write_plan(client, first)
    assert {"Patient/ldn-1"} == {r["subject"]["reference"] for r in ehr.of_type("CarePlan")}


def test_CT09_a_session_opens_only_in_its_own_browser(
    client: FlaskClient, ehr: Ehr, site: Site
) -> None:
    """The address alone, or with another browser's cookie, is worth nothing."""
    plan_url = open_app(client, ehr)
    stranger = site.app.test_client()
    assert 401 == stranger.get(plan_url).status_code
    open_app(stranger, ehr)
    pages = ("", "result", "handout", "plan.json")
    assert [401] * 4 == [stranger.get(f"{plan_url}{path}").status_code for path in pages]


def test_a_session_can_be_ended(client: FlaskClient, ehr: Ehr) -> None:
    """Afterwards the address shows that the session has ended."""
    plan_url = open_app(client, ehr)
    assert "Session ended" in words(
        client.post(f"{plan_url}end", data={"csrf": csrf_of(client.get(plan_url))})
    )
    assert 401 == client.get(plan_url).status_code


def test_an_expired_token_without_refresh_ends_the_session(
    client: FlaskClient, ehr: Ehr, site: Site
) -> None:
    """The page says that the session has ended and how to open it again."""
    ehr.expires_in = 300
    plan_url = open_app(client, ehr)
    site.clock.move(seconds=271)
    page = client.get(plan_url)
    assert (401, True) == (page.status_code, "Your session has ended" in words(page))


def test_an_expiring_token_is_refreshed_where_the_ehr_offers_it(
    client: FlaskClient, ehr: Ehr, site: Site
) -> None:
    """The work goes on; the refresh token is used once and replaced."""
    ehr.expires_in, ehr.offers_refresh = 300, True
    plan_url = open_app(client, ehr)
    for _ in range(2):
        site.clock.move(seconds=290)
        assert 200 == client.get(plan_url).status_code
    assert 2 == sum(seen.form.get("grant_type") == "refresh_token" for seen in ehr.seen)


def test_a_refused_refresh_ends_the_session(client: FlaskClient, ehr: Ehr, site: Site) -> None:
    """A revoked permission is the end, with a readable page."""
    ehr.expires_in, ehr.offers_refresh = 300, True
    plan_url = open_app(client, ehr)
    ehr.refreshes.clear()
    site.clock.move(seconds=290)
    assert "Your session has ended" in words(client.get(plan_url))


def test_a_refreshed_token_for_another_patient_ends_the_session(
    client: FlaskClient, ehr: Ehr, site: Site
) -> None:
    """The chart of a session never changes."""
    ehr.expires_in, ehr.offers_refresh, ehr.refresh_patient = 300, True, "other-2"
    plan_url = open_app(client, ehr)
    site.clock.move(seconds=290)
    assert "Your session has ended" in words(client.get(plan_url))


def test_a_session_ends_after_an_hour(client: FlaskClient, ehr: Ehr, site: Site) -> None:
    """However long the EHR's token lives."""
    ehr.expires_in = 80_000
    plan_url = open_app(client, ehr)
    site.clock.now += timedelta(seconds=3_601)
    assert 401 == client.get(plan_url).status_code


def test_the_preview_judges_the_record_as_it_was_just_read(client: FlaskClient, ehr: Ehr) -> None:
    """A tick or a changed field asks the EHR for nothing; verdict and plan come back together."""
    plan_url = open_app(client, ehr)
    page = client.get(plan_url)
    before = len(ehr.seen)
    answer = client.post(
        f"{plan_url}preview", data={**PLAN_A, "maximum_mg": "3", "csrf": csrf_of(page)}
    )
    assert (200, before) == (answer.status_code, len(ehr.seen))
    assert ("3 mg" in words(answer), "4.5 mg at bedtime" in words(answer)) == (True, False)
    assert "5 answers are yours" in words(answer)


@pytest.mark.parametrize(
    "fields",
    [
        {"start_on": "9999-99-99"},
        {"start_on": "0001-01-01"},
        {"start_mg": "1e400"},
        {"start_mg": "NaN"},
        {"step_mg": "-0"},
        {"interval_days": "9" * 5_000},
        {"maximum_mg": "∞"},
        {"schedule": "<script>"},
        {"form": "x"},
        {"fill_days": "-1"},
        {"change": "hold", "change_on": "2026-11-23"},
        {"change": "step-down", "change_on": "2026-11-30"},
        {"reason_above": "<script>alert(1)</script>" * 100},
        {"earliest": "x"},
        {"start_mg": "٣"},
        {"start_mg": ""},
    ],
)
def test_no_field_can_break_the_planner(
    client: FlaskClient, ehr: Ehr, fields: dict[str, str]
) -> None:
    """Hostile input gives a page with words, never a fault and never live markup."""
    plan_url = open_app(client, ehr)
    token = csrf_of(client.get(plan_url))
    for path in ("", "preview", "write"):
        answer = client.post(
            f"{plan_url}{path}", data={**ANSWERS, **PLAN_A, **fields, "csrf": token}
        )
        assert answer.status_code in {200, 303}
        shown = client.get(answer.headers["Location"]) if answer.status_code == 303 else answer
        assert (200, False) == (shown.status_code, "<script>alert" in shown.text)


def test_an_overlong_form_is_refused_with_words(client: FlaskClient, ehr: Ehr) -> None:
    """413 as a page."""
    plan_url = open_app(client, ehr)
    answer = client.post(plan_url, data={"csrf": csrf_of(client.get(plan_url)), "x": "y" * 100_000})
    assert (413, True) == (answer.status_code, "The form is too large" in words(answer))


def test_the_first_page_with_its_style_and_script_is_under_100_kb(
    client: FlaskClient, ehr: Ehr
) -> None:
    """Light enough for a side panel on a slow line."""
    page = client.get(open_app(client, ehr))
    size = len(page.data)
    for name in ("look.css", "static/smart.js"):
        with client.get(f"/smart/{name}") as answer:
            size += len(answer.data)
    assert size < 100_000
    assert "http://" not in page.text.replace(ehr.root, "").replace("http://www.w3.org", "")


@pytest.mark.parametrize("banner", [True, None])
def test_the_patient_banner_is_shown_unless_the_ehr_shows_it(
    client: FlaskClient, ehr: Ehr, banner: bool | None
) -> None:
    """need_patient_banner true or not said: on the screen; false: the EHR has it, and only the print names them."""
    shown, printed = "<strong>Ada M. Canary-Novak", '<strong class="print-only">Ada M. Canary-Novak'
    page = client.get(open_app(client, ehr, need_patient_banner=banner)).text
    assert (shown in page, printed in page) == (True, False)
    page = client.get(open_app(client, ehr, need_patient_banner=False)).text
    assert (shown in page, printed in page) == (False, True)


def test_the_order_that_opened_the_planner_is_named(client: FlaskClient, ehr: Ehr) -> None:
    """On the plan, and on the result with what to do about it."""
    plan_url = open_app(
        client, ehr, appContext='{"gate": "none", "mgPerDay": "4.5", "draft": "d1"}'
    )
    assert "opened from: naltrexone 4.5 mg a day (draft)" in words(client.get(plan_url))
    result = words(client.get(write_plan(client, plan_url).headers["Location"]))
    assert "naltrexone 4.5 mg a day" in result
    assert "This plan does not change it. Cancel it in the EHR" in result


def test_a_man_is_not_asked_about_pregnancy_unless_the_record_is(
    client: FlaskClient, ehr: Ehr
) -> None:
    put(ehr, {**PATIENT, "gender": "male"})
    page = client.get(open_app(client, ehr))
    assert ('id="confirm-pregnancy"' in page.text, "Recorded as male" in words(page)) == (
        False,
        True,
    )


def test_ending_asks_first(client: FlaskClient, ehr: Ehr) -> None:
    """The link asks; only the form of that page ends, and the session lives until then."""
    plan_url = open_app(client, ehr)
    asked = client.get(f"{plan_url}end")
    assert "End this session?" in words(asked)
    assert 200 == client.get(plan_url).status_code
    client.post(f"{plan_url}end", data={"csrf": csrf_of(asked)})
    assert 401 == client.get(plan_url).status_code


def test_what_the_record_warns_of_stays_said_after_it_was_answered_for(
    client: FlaskClient, ehr: Ehr
) -> None:
    """The headline of a passed gate never says that nothing speaks against a start where something did."""
    ehr.store["Patient", "ldn-1"]["birthDate"] = "2010-05-05"
    plan_url = open_app(client, ehr)
    confirmed = [*ANSWERS["confirm"], "age"]
    fields = {**ANSWERS, **PLAN_A, "confirm": confirmed, "csrf": csrf_of(client.get(plan_url))}
    page = words(client.post(f"{plan_url}preview", data=fields))
    assert "You answer for this: 16 years: naltrexone is not recommended below 18." in page
    assert "Nothing in the record or in your answers" not in page
    assert 'class="verdict warning"' in client.get(plan_url).text
