"""Answers that cannot be true never pass: every pair of answers of the gate, for each of several records (3.4)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import date, timedelta
from typing import Any

import pytest

from cds_service.planner.answers import ANSWER_COMPLAINTS, Answers
from cds_service.planner.gate import POINTS, Gate, Mark, check
from tests.planner.test_smart_gate import (
    EDITION,
    JUDGE,
    NOON,
    TODAY,
    chart_of,
    condition,
    drafted,
    order,
)

BORN = date(1970, 1, 1)


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


TICKS = frozenset(POINTS) | {f"unknown-{n}" for n in range(1, 4)}
DAYS = (None, ago(-1), ago(0), ago(1), ago(9), ago(10), ago(13), ago(14), ago(40), date(1950, 1, 1))
VALUES: dict[str, tuple[Any, ...]] = {
    "confirmed": (frozenset(), TICKS, TICKS - {"opioids"}, TICKS - {"consent"}),
    "methods": ((), ("history",), ("challenge",), ("history", "pdmp"), ("urine", "challenge")),
    "last_opioid": ("", "none", "short", "long"),
    "last_opioid_on": DAYS,
    "surgery": ("", "no", "yes"),
    "maintenance_by": ("", "Dr. Who, clinic"),
    "maintenance_on": DAYS,
    "maintenance_test": ("", "urine", "challenge"),
    "maintenance_tested_on": DAYS,
    "unread": (frozenset(), frozenset({"last_opioid_on"}), frozenset({"maintenance_on"})),
}
PASSING = Answers(TICKS, ("history", "pdmp"), "none", None, "no")
AFTER_MAINTENANCE = replace(
    PASSING,
    last_opioid="long",
    last_opioid_on=ago(40),
    maintenance_by="Dr. Who, clinic",
    maintenance_on=ago(40),
    maintenance_test="urine",
    maintenance_tested_on=ago(2),
)


def ended(text: str, days: int) -> dict[str, Any]:
    bounds = {"boundsPeriod": {"start": "2026-09-01", "end": ago(days).isoformat()}}
    return order(
        text,
        "stopped",
        authoredOn="2026-09-01",
        dosageInstruction=[{"timing": {"repeat": bounds}}],
    )


RECORDS = {
    "clean": (),
    "oxycodone active": (order("Oxycodone 5 mg tablet"),),
    "oxycodone ended 8 days ago": (ended("Oxycodone 5 mg tablet", 8),),
    "methadone ended 40 days ago": (ended("Methadone 10 mg tablet", 40),),
    "methadone on hold, ordered 3 days ago": (
        order("Methadone 10 mg tablet", "on-hold", authoredOn=ago(3).isoformat()),
    ),
    "use disorder": (condition("F11.20"),),
    "liver failure": (condition("K72.00"),),
}
GATES = {
    name: JUDGE(chart_of(*listed), {}, drafted(), "pat-1", NOON) for name, listed in RECORDS.items()
}


def gate_of(record: str, answers: Answers) -> Gate:
    judged = GATES[record]
    return check(judged.snapshot, judged.verdicts, answers, EDITION.say, BORN)


def pairs(base: Answers) -> Iterator[Answers]:
    names = [field.name for field in fields(Answers)]
    assert set(names) == set(VALUES)
    for one, other in itertools.combinations(names, 2):
        for this, that in itertools.product(VALUES[one], VALUES[other]):
            yield replace(base, **{one: this, other: that})


def is_forbidden(record: str, a: Answers) -> bool:
    """What the specification forbids, written down again without the code under test."""
    days = (a.last_opioid_on, a.maintenance_on, a.maintenance_tested_on)
    impossible = any(day and not BORN <= day <= TODAY for day in days) or bool(a.unread)
    unanswered = (
        not a.methods or not a.last_opioid or a.surgery != "no" or "consent" not in a.confirmed
    )
    wait = {"none": 0, "short": 10, "long": 14}.get(a.last_opioid, 0)
    untimely = bool(wait) and (a.last_opioid_on is None or a.last_opioid_on > ago(wait))
    recent_dose = a.maintenance_on is not None and a.maintenance_on > ago(14)
    none_but = a.last_opioid == "none" and bool(a.last_opioid_on) and a.last_opioid_on > ago(14)
    treated = "methadone" in record
    unproven = treated and not (
        a.maintenance_by
        and a.maintenance_on
        and a.maintenance_test
        and a.maintenance_tested_on
        and a.maintenance_tested_on > a.maintenance_on
    )
    before_record = record == "methadone ended 40 days ago" and (a.maintenance_on or TODAY) < ago(
        40
    )
    early_challenge = (
        treated
        and a.maintenance_test == "challenge"
        and (a.maintenance_tested_on or TODAY) < (a.maintenance_on or TODAY) + timedelta(days=14)
    )
    alone = (treated or record == "use disorder") and a.methods == ("history",)
    open_list = record == "oxycodone ended 8 days ago" and "opioids" not in a.confirmed
    blocked = record in {
        "oxycodone active",
        "liver failure",
        "methadone on hold, ordered 3 days ago",
    }
    return any((impossible, unanswered, untimely, recent_dose, none_but, unproven, before_record,
                early_challenge, alone, open_list, blocked))  # fmt: skip


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("base", [PASSING, AFTER_MAINTENANCE], ids=["none", "maintenance"])
def test_no_pair_of_answers_passes_what_the_rules_forbid(record: str, base: Answers) -> None:
    """Some tens of thousands of forms; what is allowed passes, so the test can fail in both directions."""
    passed = [a for a in pairs(base) if gate_of(record, a).is_passed]
    assert [] == [a for a in passed if is_forbidden(record, a)]


@pytest.mark.parametrize(
    ("record", "answers", "passes"),
    [
        ("clean", PASSING, True),
        ("use disorder", PASSING, True),
        ("use disorder", replace(PASSING, methods=("history",)), False),
        ("oxycodone ended 8 days ago", PASSING, True),
        ("methadone ended 40 days ago", PASSING, False),
        ("methadone ended 40 days ago", AFTER_MAINTENANCE, True),
        ("methadone on hold, ordered 3 days ago", AFTER_MAINTENANCE, False),
    ],
)
def test_what_the_rules_allow_passes(record: str, answers: Answers, passes: bool) -> None:
    assert passes is gate_of(record, answers).is_passed


@pytest.mark.parametrize("record", RECORDS)
def test_no_plan_may_start_before_a_day_that_is_shown(record: str) -> None:
    """Neither before a wait of the history nor before one of a point, whatever was answered."""
    for answers in pairs(AFTER_MAINTENANCE):
        gate = gate_of(record, answers)
        shown = [m.earliest.on for m in gate.history if m.earliest]
        shown += [p.until for p in gate.points if p.until]
        assert gate.not_before == max([*shown, gate.not_before])


def test_every_complaint_is_reached() -> None:
    """No sentence about an answer that no answer earns."""
    seen = {
        fault.why
        for record in ("clean", "use disorder", "methadone ended 40 days ago")
        for base in (PASSING, AFTER_MAINTENANCE)
        for answers in pairs(base)
        for fault in gate_of(record, answers).faults
    }
    assert set(ANSWER_COMPLAINTS) == seen


def test_a_date_of_the_future_is_an_error_of_its_field_and_no_dose() -> None:
    gate = gate_of("clean", replace(PASSING, last_opioid="short", last_opioid_on=ago(-1)))
    assert [("last_opioid_on", "future")] == [(f.about, f.why) for f in gate.faults]
    assert TODAY == gate.not_before


def test_unknown_medicines_are_attested_one_by_one() -> None:
    """Two names that nobody knows: each tick counts for its own."""
    judged = JUDGE(
        chart_of(order("Zzyzxomab 5 mg", id="a"), order("Qwertolone 2 mg", id="b")),
        {}, drafted(), "pat-1", NOON,
    )  # fmt: skip

    def point(ticks: frozenset[str]):
        gate = check(judged.snapshot, judged.verdicts, Answers(ticks), EDITION.say)
        return next(p for p in gate.points if p.id == "unknown")

    first, second = point(frozenset()).items
    assert Mark.ASK == point(frozenset({first.id})).mark
    assert Mark.CONFIRMED == point(frozenset({first.id, second.id})).mark
