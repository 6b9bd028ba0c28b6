"""A course that was changed any number of times is read back from its orders exactly, and can be changed again (3.3)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from cds_service.fhir.write_plan import orders
from cds_service.model import Release
from cds_service.planner.answers import Answers
from cds_service.planner.course import DRAFT, read_back, rest
from cds_service.planner.drafts import to_drafts
from cds_service.planner.edition import edition_of
from cds_service.planner.running import running_of
from cds_service.planner.view import Wish, read_wish, wish_fields
from cds_service.titration.plan import (
    Change,
    Choice,
    Kind,
    Plan,
    complaints,
    draw,
    propose,
)
from cds_service.titration.supply import Form
from tests.planner.pages import SHIPPED, TODAY

Json = dict[str, Any]
EDITION = edition_of(SHIPPED, TODAY)
SCHEDULES = EDITION.schedules
RELEASES = (Release.STU3, Release.R4, Release.R5)
EVENTS = st.tuples(
    st.integers(1, 40), st.sampled_from([*Kind, Kind.HOLD]), st.integers(1, 28)
)  # days since the last one, what, how long


def written(plan: Plan, number: int, on: date, form: Form, release: Release) -> list[Json]:
    """The orders of one plan as they are sent, signed by a clinician on the day."""
    drafts = to_drafts(
        plan,
        Wish(plan.choice, form, 28),
        Answers(),
        EDITION.say,
        key=str(uuid.UUID(int=number)),
        patient_id="ldn-1",
        now=datetime.combine(on, time(9), UTC),
    )
    built = orders(replace(drafts, reasons=({"text": "pain"},)), release)
    return [{**b.resource, "status": "active", "id": f"{number}-{n}"} for n, b in enumerate(built)]


def changed(choice: Choice, events: list[tuple[int, Kind, int]]) -> Iterator[tuple[date, Choice]]:
    """Each change that the limits allow, on its day."""
    on = choice.start_on
    for wait, kind, days in events:
        on += timedelta(days=wait)
        change = Change(kind, on, days if kind is Kind.HOLD else 0)
        more = replace(choice, changes=(*choice.changes, change))
        if not complaints(SCHEDULES, more):
            choice = more
            yield on, choice


@settings(max_examples=60, deadline=None)
@given(
    schedule=st.sampled_from(sorted(SCHEDULES.by_id)),
    start=st.dates(date(2026, 2, 20), date(2027, 3, 20)),
    events=st.lists(EVENTS, max_size=4),
    form=st.sampled_from(Form),
    release=st.sampled_from(RELEASES),
)
def test_every_course_is_read_back_through_all_its_changes(
    schedule: str,
    start: date,
    events: list[tuple[int, Kind, int]],
    form: Form,
    release: Release,
) -> None:
    """Over month ends and the change of clocks: doses and days as drawn, and the rest can be drawn again."""
    plan = draw(SCHEDULES, propose(SCHEDULES, schedule, start))
    resources = written(plan, 0, start, form, release)
    for number, (on, choice) in enumerate(changed(plan.choice, events), 1):
        plan = draw(SCHEDULES, choice)
        resources = [*written(rest(plan, on), number, on, form, release), *resources]
        running = running_of(read_back(resources, SCHEDULES, EDITION.say), on)
        assert running is not None
        assert running.choice is not None
        assert plan.steps == running.steps
        assert schedule == running.choice.schedule
        assert {f"MedicationRequest/{number}-0"} <= set(running.refs)
        fields = MultiDict(wish_fields(running.choice))
        again = read_wish(fields, start, None, SCHEDULES).choice
        assert plan.steps == draw(SCHEDULES, again).steps


@settings(max_examples=40, deadline=None)
@given(
    schedule=st.sampled_from(["A", "B", "E"]),
    wait=st.integers(1, 30),
    days=st.integers(1, 28),
    kind=st.sampled_from(Kind),
)
def test_a_plan_that_was_written_with_a_change_from_the_start_is_known(
    schedule: str, wait: int, days: int, kind: Kind
) -> None:
    """One set of orders that holds a hold or a step down already."""
    start = date(2026, 11, 23)
    choice = propose(SCHEDULES, schedule, start)
    for on, changed_choice in changed(choice, [(wait, kind, days)]):
        plan = draw(SCHEDULES, changed_choice)
        (found,) = read_back(
            written(plan, 0, start, Form.ONE_STRENGTH, Release.R4), SCHEDULES, EDITION.say
        )
        assert found.choice is not None, (on, plan.steps)
        assert plan.steps == draw(SCHEDULES, found.choice).steps


def only_order(**dosage: Any) -> list[Json]:
    plan = draw(SCHEDULES, propose(SCHEDULES, "A", date(2026, 11, 23)))
    (order,) = written(plan, 0, date(2026, 11, 23), Form.ONE_STRENGTH, Release.R4)
    order["dosageInstruction"][1] |= dosage
    return [order]


@pytest.mark.parametrize(
    "dosage",
    [
        {"timing": {}},
        {"timing": {"repeat": {"boundsPeriod": {"start": "9999-12-01", "end": "9999-12-31"}}}},
        {"timing": {"repeat": {"boundsPeriod": {"start": "2026-12-09", "end": "2026-12-20"}}}},
        {"doseAndRate": [{"doseQuantity": {"value": "much"}}]},
        {"doseAndRate": [{"doseQuantity": {"value": 1e400}}]},
        {"doseAndRate": []},
    ],
)
def test_an_order_that_cannot_be_read_is_no_course(dosage: Json) -> None:
    """One step that is unreadable, or leaves a gap, makes none of it certain."""
    (found,) = read_back(only_order(**dosage), SCHEDULES, EDITION.say)
    assert ((), None) == (found.steps, found.choice)


def test_a_dose_that_somebody_changed_is_no_choice_of_ours() -> None:
    (found,) = read_back(
        only_order(doseAndRate=[{"doseQuantity": {"value": 3.25, "unit": "mg"}}]),
        SCHEDULES,
        EDITION.say,
    )
    assert (3, None) == (len(found.steps), found.choice)


@pytest.mark.parametrize(("note", "is_known"), [("", True), ("Changed by hand.", False)])
def test_the_first_strengths_alone_are_a_plan_only_where_the_order_names_its_highest_dose(
    note: str, is_known: bool
) -> None:
    """A product for each strength: the orders of the first fill end before the plan does."""
    start = date(2026, 11, 23)
    plan = draw(SCHEDULES, replace(propose(SCHEDULES, "A", start), maximum_mg=Decimal(4)))
    placed = written(plan, 0, start, Form.EACH_STRENGTH, Release.R4)
    found = read_back(
        [{**o, "note": [{"text": note}] if note else o["note"]} for o in placed],
        SCHEDULES,
        EDITION.say,
    )[0]
    assert 2 == len(found.steps)
    assert (plan.steps if is_known else found.steps) == found.course
    assert is_known == found.covers(plan.ends)


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error", "draft"])
def test_what_was_never_signed_continues_nothing(status: str) -> None:
    """A rest can be told only from a plan that was taken."""
    start = date(2026, 11, 23)
    choice = propose(SCHEDULES, "A", start)
    plan = draw(SCHEDULES, choice)
    ((on, held),) = changed(choice, [(21, Kind.HOLD, 14)])
    old = [{**o, "status": status} for o in written(plan, 0, start, Form.ONE_STRENGTH, Release.R4)]
    left = rest(draw(SCHEDULES, held), on)
    found = read_back(
        [*old, *written(left, 1, on, Form.ONE_STRENGTH, Release.R4)], SCHEDULES, EDITION.say
    )
    assert [None] == [plan.choice for plan in found if plan.standing != DRAFT]


@pytest.mark.parametrize("days", range(1, 84))
def test_what_is_left_of_a_plan_has_its_days_and_promises(days: int) -> None:
    """On every day from then on the same dose, the same reviews, the same days for a benefit, the same end."""
    plan = draw(SCHEDULES, propose(SCHEDULES, "A", TODAY))
    on = TODAY + timedelta(days=days)
    left = rest(plan, on)
    later = [on + timedelta(days=n) for n in range((plan.ends - on).days + 2)]
    assert [plan.daily_mg_on(d) for d in later] == [left.daily_mg_on(d) for d in later]
    assert (plan.onset, plan.stop_on) == (left.onset, left.stop_on)
    assert [r for r in plan.reviews if r.on > on] == list(left.reviews)
    assert left.starts == on
