"""Doses, dates, counts, refills and reviews of a plan agree: every schedule, any choice, holds and steps down."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.titration.plan import Change, Choice, Kind, Plan, complaints, draw, propose
from cds_service.titration.schedules import Schedules
from cds_service.titration.supply import Form, dispense, fills
from tests.planner.pages import SHIPPED

ALL = Schedules.of(SHIPPED.thresholds(date(2026, 11, 21)))
STARTS = st.dates(date(2026, 1, 1), date(2029, 12, 31)) | st.sampled_from(
    [
        date(2027, 1, 30),
        date(2028, 2, 28),
        date(2026, 10, 24),
        date(2027, 3, 27),
        date(2026, 12, 31),
    ]
)


@st.composite
def choices(pick: st.DrawFn) -> Choice:
    """A choice that can be drawn, with up to two changes of course."""
    proposed = propose(ALL, pick(st.sampled_from(sorted(ALL.by_id))), pick(STARTS))
    schedule = ALL.by_id[proposed.schedule]
    days = pick(st.integers(int(schedule.interval.low), int(schedule.interval.high)))
    choice = replace(proposed, interval_days=days)
    for _ in range(pick(st.integers(0, 2))):
        plan = draw(ALL, choice)
        on = plan.starts + timedelta(days=pick(st.integers(1, plan.days - 1)))
        hold = Change(Kind.HOLD, on, pick(st.integers(1, 28)))
        change = pick(st.sampled_from([hold, Change(Kind.STEP_DOWN, on)]))
        longer = replace(choice, changes=(*choice.changes, change))
        choice = choice if complaints(ALL, longer) else longer
    return choice


PLANS = choices().map(lambda choice: draw(ALL, choice))


@given(PLANS)
@settings(max_examples=300, deadline=None)
def test_steps_follow_each_other_without_gap(plan: Plan) -> None:
    assert plan.choice.start_on == plan.starts
    assert all(a.ends + timedelta(days=1) == b.starts for a, b in pairwise(plan.steps))
    assert all(s.days >= 1 for s in plan.steps)


@given(PLANS, st.sampled_from(Form), st.sampled_from(ALL.limits.fill_days))
@settings(max_examples=300, deadline=None)
def test_fills_cover_every_dose_to_the_last_and_no_more(plan: Plan, form: Form, days: int) -> None:
    """Milligrams dispensed are milligrams taken, day by day; each refill begins the day after the last fill ends."""
    found = fills(plan, form, days)
    assert (plan.starts, plan.ends) == (found[0].starts, found[-1].ends)
    assert all(a.ends + timedelta(days=1) == b.starts for a, b in pairwise(found))
    for fill in found:
        length = (fill.ends - fill.starts).days + 1
        taken = sum(
            (plan.daily_mg_on(fill.starts + timedelta(days=n)) for n in range(length)), Decimal(0)
        )
        assert taken == sum((s.quantity * s.strength_mg for s in fill.supplies), Decimal(0))
    assert dispense(plan, form, days) == found[0].supplies


@given(PLANS)
@settings(max_examples=300, deadline=None)
def test_reviews_are_in_order_and_end_with_the_decision_to_stop(plan: Plan) -> None:
    """One a week at most; the first within the early weeks; the last on the day after the last dose."""
    days = [review.on for review in plan.reviews]
    assert days == sorted(set(days))
    assert len({review.week for review in plan.reviews}) == len(days)
    assert plan.stop_on == days[-1]
    assert all((r.on - plan.starts).days // 7 == r.week for r in plan.reviews)


@given(PLANS)
@settings(max_examples=300, deadline=None)
def test_every_hold_has_a_review_in_the_week_in_which_it_ends(plan: Plan) -> None:
    changes = plan.choice.changes
    if changes and changes[-1].kind is Kind.HOLD:
        ends = changes[-1].on + timedelta(days=changes[-1].days)
        assert any(
            timedelta(0) <= r.on - ends < timedelta(days=7) or r.on == plan.stop_on
            for r in plan.reviews
        )


@given(choices(), st.integers(1, 28))
@settings(max_examples=200, deadline=None)
def test_a_hold_moves_what_lies_behind_it_by_its_days_and_nothing_else(
    choice: Choice, days: int
) -> None:
    plain = draw(ALL, replace(choice, changes=()))
    on = plain.starts + timedelta(days=1)
    held = draw(ALL, replace(choice, changes=(Change(Kind.HOLD, on, days),)))
    moved = [s.starts + timedelta(days=days) for s in plain.steps[1:]]
    assert [plain.starts, *moved] == [s.starts for s in held.steps]
    assert plain.stop_on + timedelta(days=days) >= held.stop_on >= plain.stop_on


@given(PLANS, st.sampled_from(["America/New_York", "Europe/Berlin", "Australia/Lord_Howe"]))
@settings(max_examples=100, deadline=None)
def test_daylight_saving_moves_no_day(plan: Plan, zone: str) -> None:
    """Noon of each step's first day is that day in every zone that changes its clock."""
    for step in plan.steps:
        noon = datetime(
            step.starts.year, step.starts.month, step.starts.day, 12, tzinfo=ZoneInfo(zone)
        )
        assert step.starts == noon.date()
        assert noon.astimezone(UTC).astimezone(ZoneInfo(zone)).date() == step.starts
