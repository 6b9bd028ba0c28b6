"""What people and old pages send: triples of answers, doubled and missing fields, dates and numbers in other forms."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from cds_service.planner.answers import Answers, Known, faults
from cds_service.planner.phrases import mg
from cds_service.planner.view import read_answers, read_wish
from tests.e2e.oauth_server import Ehr
from tests.e2e.smart_site import Site
from tests.e2e.smart_steps import ANSWERS, PLAN_A, csrf_of, is_refused, is_written, open_app, words
from tests.planner.test_answer_pairs import (
    AFTER_MAINTENANCE,
    PASSING,
    RECORDS,
    VALUES,
    gate_of,
    is_forbidden,
)
from tests.planner.test_course import SCHEDULES

TODAY = date(2026, 11, 21)
KNOWN = Known(TODAY, 14, date(1979, 4, 2))


def forms(seed: str, number: int) -> Iterator[Answers]:
    """Three answers of a passing form changed at random, then whole forms at random."""
    chance = random.Random(seed)
    names = [field.name for field in fields(Answers)]
    for turn in range(number):
        base = PASSING if turn % 2 else AFTER_MAINTENANCE
        changed = chance.sample(names, 3) if turn % 3 else names
        yield replace(base, **{name: chance.choice(VALUES[name]) for name in changed})


@pytest.mark.parametrize("record", RECORDS)
def test_no_triple_and_no_whole_form_passes_what_the_rules_forbid(record: str) -> None:
    wrong = [
        answers
        for answers in forms(record, 4_000)
        if gate_of(record, answers).is_passed and is_forbidden(record, answers)
    ]
    assert [] == wrong


# --- the form


def wish(**changes: Any):
    return read_wish({**PLAN_A, **changes}, TODAY, None, SCHEDULES)


@pytest.mark.parametrize(
    ("text", "dose"),
    [("1.5", "1.5"), ("1,5", "1.5"), (" 1.5 ", "1.5"), ("1.50", "1.5"), (".5", "0.5"), ("1", "1"),
     ("1.5 mg", "1.5"), ("1.5mg", "1.5"),
     *((odd, "") for odd in ("1,500", "1_5", "1e0", "1 .5", "1.5.0", "½", "-1.5", "+1.5", "1.5 g", "١٫٥", "１", "1.",
                             "0x1", "NaN", "Infinity", "1.5000000000009", "one", "", "1.5 1.5"))],
)  # fmt: skip
def test_a_dose_is_read_as_written_or_not_at_all(text: str, dose: str) -> None:
    found = wish(start_mg=text)
    assert mg(found.choice.start_mg) == dose
    assert ("start_mg" in {f.about for f in found.faults}) is not bool(dose)


@pytest.mark.parametrize(
    "text",
    ["11/23/2026", "23.11.2026", "2026-02-29", "2027-13-01", "2569-11-23", "1448-06-02", "0026-11-23", "2999-01-01",
     "1900-01-01", "2026-11-23T00:00", "23 Nov 2026", "today", "2026-11-31", "２０２６-11-23"],
)  # fmt: skip
def test_a_start_in_another_form_or_calendar_is_told(text: str) -> None:
    assert [("start_on", True)] == [(f.about, bool(f.why)) for f in wish(start_on=text).faults]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("2026-11-22", "future"), ("2900-01-01", "future"), ("1979-04-01", "before_birth"), ("1900-01-01", "before_birth"),
     ("1899-12-31", "unreadable"), ("2026-02-29", "unreadable"), ("11/01/2026", "unreadable"), ("2026-10", "unreadable"),
     ("last week", "unreadable"), ("2569-11-01", "future"), ("1448-05-10", "unreadable"), ("2024-02-29", None)],
)  # fmt: skip
def test_a_last_dose_on_an_odd_day_is_an_error_of_its_field(
    text: str, complaint: str | None
) -> None:
    answers = read_answers({"last_opioid": "short", "last_opioid_on": text}, [], [])
    found = [f.why for f in faults(answers, KNOWN) if f.about == "last_opioid_on"]
    assert found == ([complaint] if complaint else [])


@pytest.mark.parametrize(
    "changes",
    [{"change": "hold"}, {"change": "hold", "change_on": "12/07/2026"}, {"change_on": "2026-12-10"},
     {"change": "raise", "change_on": "2026-12-10"}, {"change": "step-down", "change_on": "2999-01-01"},
     {"change": "hold", "change_on": "2026-12-10", "hold_days": "two weeks"},
     {"change": "hold", "change_on": "2026-12-10", "hold_days": "0"}],
)  # fmt: skip
def test_half_a_change_of_course_is_never_dropped_unsaid(changes: dict[str, str]) -> None:
    assert {"changes"} == {f.about for f in wish(**changes).faults}


def test_a_change_that_is_whole_is_drawn() -> None:
    found = wish(change="hold", change_on="2026-12-10", hold_days="")
    assert ((), 14) == (found.faults, found.choice.changes[0].days)


def test_numbers_of_a_form_without_its_hidden_field_are_not_replaced() -> None:
    sent = {k: v for k, v in PLAN_A.items() if k != "drawn"}
    found = read_wish({**sent, "maximum_mg": "3"}, TODAY, None, SCHEDULES)
    assert ((), Decimal(3)) == (found.faults, found.choice.maximum_mg)


def test_a_reason_given_twice_is_asked_about() -> None:
    """The list is filled in beforehand where it leaves no choice: what was typed must not vanish."""
    found = wish(reason_text="Crohn's disease")
    assert [("reason_text", "reason_twice")] == [(f.about, f.why) for f in found.faults]


DOUBLED = [
    ("last_opioid", ["none", "short"]),
    ("last_opioid", ["short", "none"]),
    ("last_opioid_on", ["", "2026-11-20"]),
    ("surgery", ["no", "yes"]),
    ("surgery", ["yes", "no"]),
    ("start_on", ["2026-11-23", "2026-11-24"]),
    ("start_mg", ["1.5", "3"]),
    ("maximum_mg", ["4.5", "3"]),
    ("fill_days", ["28", "56"]),
    ("schedule", ["A", "B"]),
    ("change", ["hold", "step-down"]),
    ("reason", ["Fibromyalgia", "Crohn's disease"]),
]


NEEDED = {*ANSWERS, *PLAN_A} - {
    "drawn",
    "form",
    "last_opioid_on",
    "reason_text",
    "reason_above",
    "change",
    "change_on",
    "hold_days",
}


def drafts(ehr: Ehr) -> list[Any]:
    return [r for r in ehr.of_type("MedicationRequest") if r.get("identifier")]


def filled(client: FlaskClient, url: str) -> dict[str, Any]:
    return {**ANSWERS, **PLAN_A, "csrf": csrf_of(client.get(url))}


def test_a_doubled_or_missing_field_is_never_taken_for_an_answer(
    client: FlaskClient, ehr: Ehr
) -> None:
    """Two values with two meanings, whichever comes first; the same value twice is one answer."""
    url = open_app(client, ehr)
    form = filled(client, url)
    odd = {f"{name} {values}": MultiDict({**form, name: values}) for name, values in DOUBLED}
    odd |= {
        f"no {name}": MultiDict({k: v for k, v in form.items() if k != name}) for name in NEEDED
    }
    passed = [
        name for name, sent in odd.items() if not is_refused(client.post(f"{url}write", data=sent))
    ]
    assert [] == passed == drafts(ehr)
    twice = {k: [v, v] if isinstance(v, str) else v for k, v in form.items()}
    assert is_written(client.post(f"{url}write", data=MultiDict(twice)))


# --- old pages


Press = Callable[[FlaskClient, str, dict[str, Any]], Any]
PRESSES: dict[str, Press] = {
    "update": lambda c, url, form: c.post(url, data=form),
    "preview": lambda c, url, form: c.post(f"{url}preview", data=form),
    "write": lambda c, url, form: c.post(f"{url}write", data=form),
    "diary": lambda c, url, form: c.post(f"{url}diary", data={**form, "change": "hold"}),
    "result": lambda c, url, form: c.post(f"{url}result", data=form),
    "cancel": lambda c, url, form: c.post(f"{url}cancel", data=form),
    "end": lambda c, url, form: c.post(f"{url}end", data=form),
}


def test_an_old_tab_after_the_end_writes_and_keeps_nothing(client: FlaskClient, ehr: Ehr) -> None:
    url = open_app(client, ehr)
    form = {**filled(client, url), "reason_above": "kept?"}
    client.post(f"{url}end", data={"csrf": form["csrf"]})
    for name, press in PRESSES.items():
        assert 401 == press(client, url, form).status_code, name
    assert [] == drafts(ehr)
    assert "kept?" not in client.get(open_app(client, ehr)).text


def test_a_press_that_is_sent_again_after_the_plan_was_written_writes_nothing(
    client: FlaskClient, ehr: Ehr
) -> None:
    url = open_app(client, ehr)
    form = filled(client, url)
    assert is_written(client.post(f"{url}write", data=form))
    held = dict(ehr.store)
    for name, press in PRESSES.items():  # "end" is the last
        assert press(client, url, {**form, "maximum_mg": "3"}).status_code < 400, name
        assert ehr.store == held, name


def test_a_page_from_before_midnight_is_told_that_its_day_is_past(
    client: FlaskClient, ehr: Ehr, site: Site
) -> None:
    """Opened at 23:59 with today as the first day, sent at 00:01."""
    site.clock.now = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)
    url = open_app(client, ehr)
    form = {**ANSWERS, **PLAN_A, "start_on": "2026-11-21", "csrf": csrf_of(client.get(url))}
    site.clock.move(minutes=2)
    answer = client.post(f"{url}write", data=form)
    assert is_refused(answer)
    assert "must not be in the past" in words(client.get(answer.headers["Location"]))
