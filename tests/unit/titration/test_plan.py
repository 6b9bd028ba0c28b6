"""Schedule mathematics (specification 3.1, 3.2): doses, dates and counts."""

from __future__ import annotations

import functools
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.content import loader as content
from cds_service.titration import plan as titration
from cds_service.titration.plan import Change, Choice, ChoiceRefusedError, Kind, Plan
from cds_service.titration.schedules import Schedules
from cds_service.titration.supply import Form, dispense

MONDAY = date(2026, 11, 23)
IN_FORCE = Schedules.of(content.load().thresholds(MONDAY))
SCHEDULES = IN_FORCE.by_id
CEILING_WITH_REASON_MG = IN_FORCE.limits.with_reason_max_mg
propose = functools.partial(titration.propose, IN_FORCE)
complaints = functools.partial(titration.complaints, IN_FORCE)
draw = functools.partial(titration.draw, IN_FORCE)
mg = Decimal


def steps_of(plan: Plan) -> list[tuple[int, int, Decimal]]:
    """(first day number, days, mg per day) of each step."""
    return [((s.starts - plan.starts).days + 1, s.days, s.daily_mg) for s in plan.steps]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (propose("A", MONDAY), [(1, 14, mg("1.5")), (15, 14, mg(3)), (29, 56, mg("4.5"))]),
        (propose("B", MONDAY), [(1, 14, mg(1)), (15, 56, mg(2))]),
        (propose("C", MONDAY), [(1, 56, mg("1.5"))]),
        (propose("D", MONDAY), [(1, 42, mg(2))]),
        (replace(propose("D", MONDAY), maximum_mg=mg(4)), [(1, 14, mg(2)), (15, 28, mg(4))]),
        (
            propose("E", MONDAY),
            [*((1 + 14 * n, 14, mg("0.5") * (n + 1)) for n in range(8)), (113, 56, mg("4.5"))],
        ),
        (
            replace(propose("A", MONDAY), start_mg=mg(1), maximum_mg=mg(3)),
            [(1, 14, 1), (15, 14, mg("2.5")), (29, 56, 3)],
        ),
    ],
)
def test_each_schedule_is_drawn_as_section_3_1_says(
    choice: Choice, expected: list[tuple[int, int, Decimal]]
) -> None:
    """Doses, lengths and the 8 weeks at the highest dose (6 weeks in all for the trial of D)."""
    assert expected == steps_of(draw(choice))


DISPENSE_TABLE = [
    (
        "A",
        Form.ONE_STRENGTH,
        {28: ["42x1.5"], 30: ["48x1.5"], 42: ["84x1.5"], 56: ["126x1.5"], 84: ["210x1.5"]},
    ),
    (
        "A",
        Form.EACH_STRENGTH,
        {
            28: ["14x1.5", "14x3"],
            30: ["14x1.5", "14x3", "2x4.5"],
            42: ["14x1.5", "14x3", "14x4.5"],
            56: ["14x1.5", "14x3", "28x4.5"],
            84: ["14x1.5", "14x3", "56x4.5"],
        },
    ),
    ("A", Form.SOLUTION, {28: ["63x1"], 30: ["72x1"], 42: ["126x1"], 56: ["189x1"], 84: ["315x1"]}),
    ("B", Form.ONE_STRENGTH, {14: ["28x0.5"], 42: ["140x0.5"]}),
    ("B", Form.EACH_STRENGTH, {14: ["28x0.5"], 42: ["28x0.5", "56x1"]}),
    ("D", Form.ONE_STRENGTH, {42: ["42x2"]}),
    ("D4", Form.ONE_STRENGTH, {42: ["70x2"]}),
]


@pytest.mark.parametrize(
    ("schedule", "form", "days", "expected"),
    [
        (schedule, form, days, expected)
        for schedule, form, row in DISPENSE_TABLE
        for days, expected in row.items()
    ],
)
def test_the_dispense_table_of_3_2_is_reproduced(
    schedule: str, form: Form, days: int, expected: list[str]
) -> None:
    """Capsules or mL per fill, product by product."""
    choice = propose(schedule[0], MONDAY)
    plan = draw(replace(choice, maximum_mg=mg(4)) if schedule == "D4" else choice)
    supplies = dispense(plan, form, days)
    assert expected == [
        f"{s.quantity.normalize():f}x{s.strength_mg.normalize():f}" for s in supplies
    ]


def test_reviews_follow_the_schedule() -> None:
    """Weeks 2 and 4, every 4 weeks while the dose rises, 8 weeks after the top dose; D as its trial."""
    expected = {
        "A": (2, 4, 12),
        "B": (2, 4, 10),
        "C": (2, 4, 8),
        "D": (2, 4, 6),
        "E": (2, 4, 8, 12, 16, 24),
    }
    drawn = {s: draw(propose(s, MONDAY)).reviews for s in SCHEDULES}
    assert expected == {s: tuple(r.week for r in reviews) for s, reviews in drawn.items()}
    assert all(
        r.on == MONDAY + timedelta(weeks=r.week) for reviews in drawn.values() for r in reviews
    )


@pytest.mark.parametrize(
    ("start", "starts_of_steps"),
    [
        (date(2027, 2, 1), [date(2027, 2, 1), date(2027, 2, 15), date(2027, 3, 1)]),
        (date(2028, 2, 16), [date(2028, 2, 16), date(2028, 3, 1), date(2028, 3, 15)]),
        (date(2026, 12, 20), [date(2026, 12, 20), date(2027, 1, 3), date(2027, 1, 17)]),
        (date(2027, 3, 1), [date(2027, 3, 1), date(2027, 3, 15), date(2027, 3, 29)]),
        (date(2026, 10, 18), [date(2026, 10, 18), date(2026, 11, 1), date(2026, 11, 15)]),
    ],
)
def test_steps_start_on_the_right_calendar_day(start: date, starts_of_steps: list[date]) -> None:
    """Over month ends, a leap day, new year and both changes of the clock a step stays 14 calendar days."""
    assert starts_of_steps == [s.starts for s in draw(propose("A", start)).steps]


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"schedule": "F"}, "schedule"),
        ({"start_mg": mg("0.4")}, "start_mg"),
        ({"start_mg": mg("1.6")}, "start_mg"),
        ({"start_mg": mg("NaN")}, "start_mg"),
        ({"start_mg": mg("0.55")}, "start_mg"),
        ({"step_mg": mg(0)}, "step_mg"),
        ({"step_mg": mg("-1.5")}, "step_mg"),
        ({"step_mg": mg(3)}, "step_mg"),
        ({"interval_days": 13}, "interval_days"),
        ({"interval_days": 29}, "interval_days"),
        ({"maximum_mg": mg("5.1"), "reason_above": "asked"}, "maximum_mg"),
        ({"maximum_mg": mg(50), "reason_above": "asked"}, "maximum_mg"),
        ({"maximum_mg": mg("Infinity")}, "maximum_mg"),
        ({"maximum_mg": mg("4.6")}, "reason_above"),
        ({"maximum_mg": mg(5), "reason_above": "  "}, "reason_above"),
        ({"changes": (Change(Kind.HOLD, MONDAY, 14),)}, "changes"),
        ({"changes": (Change(Kind.STEP_DOWN, MONDAY + timedelta(days=3)),)}, "changes"),
        ({"changes": (Change(Kind.HOLD, MONDAY + timedelta(days=84), 14),)}, "changes"),
        ({"changes": (Change(Kind.HOLD, MONDAY + timedelta(days=3), 29),)}, "changes"),
        ({"changes": (Change(Kind.HOLD, MONDAY + timedelta(days=9), 14),) * 2}, "changes"),
    ],
)
def test_a_choice_outside_the_safe_limits_gives_no_plan(
    change: dict[str, object], about: str
) -> None:
    """The field at fault is named, and drawing is refused."""
    choice = replace(propose("A", MONDAY), **change)
    assert [about] == sorted({c.about for c in complaints(choice)})
    with pytest.raises(ChoiceRefusedError):
        draw(choice)


@pytest.mark.parametrize(
    ("schedule", "change", "allowed"),
    [
        ("A", {"maximum_mg": mg("4.5")}, True),
        ("A", {"maximum_mg": mg(5), "reason_above": "partial response at 4.5 mg"}, True),
        ("B", {"maximum_mg": mg(1)}, True),
        ("B", {"maximum_mg": mg("0.7")}, False),
        ("C", {"start_mg": mg("4.5"), "maximum_mg": mg("4.5")}, True),
        ("C", {"start_mg": mg("4.6"), "maximum_mg": mg("4.6")}, False),
        ("C", {"start_mg": mg("0.9"), "maximum_mg": mg("0.9")}, False),
        ("C", {"start_mg": mg(2), "maximum_mg": mg(3)}, False),
        ("D", {"maximum_mg": mg(3)}, False),
        ("D", {"interval_days": 7}, False),
        ("E", {"interval_days": 7}, True),
        ("E", {"interval_days": 6}, False),
        ("E", {"maximum_mg": mg(5), "reason_above": "asked"}, False),
    ],
)
def test_each_schedule_keeps_its_own_limits(
    schedule: str, change: dict[str, object], allowed: bool
) -> None:
    """Pairs at the edges of 3.1; above 4.5 mg a day only with a reason, above 5 mg never."""
    assert allowed == (complaints(replace(propose(schedule, MONDAY), **change)) == ())


def test_a_hold_moves_every_later_step_by_its_length() -> None:
    """Held on day 10 for 14 days, the second dose comes on day 29, and nothing is lowered."""
    held = draw(
        replace(propose("A", MONDAY), changes=(Change(Kind.HOLD, MONDAY + timedelta(days=9), 14),))
    )
    assert [(1, 28, mg("1.5")), (29, 14, mg(3)), (43, 56, mg("4.5"))] == steps_of(held)


def test_a_hold_on_the_day_of_a_step_puts_that_step_off() -> None:
    """A hold that begins with the second dose keeps the first one."""
    held = draw(
        replace(propose("A", MONDAY), changes=(Change(Kind.HOLD, MONDAY + timedelta(days=14), 7),))
    )
    assert [(1, 21, mg("1.5")), (22, 14, mg(3)), (36, 56, mg("4.5"))] == steps_of(held)


def test_a_step_down_goes_one_dose_back_and_stays_there() -> None:
    """The lower dose is then the highest tolerated one: 8 weeks on it, no further rise."""
    down = draw(
        replace(
            propose("A", MONDAY), changes=(Change(Kind.STEP_DOWN, MONDAY + timedelta(days=30)),)
        )
    )
    assert [(1, 14, mg("1.5")), (15, 14, mg(3)), (29, 2, mg("4.5")), (31, 56, mg(3))] == steps_of(
        down
    )


STARTS = st.dates(date(2024, 1, 1), date(2030, 12, 31))


def tenths(low: str, high: str) -> st.SearchStrategy[Decimal]:
    return st.integers(int(mg(low) * 10), int(mg(high) * 10)).map(lambda n: mg(n) / 10)


@st.composite
def choices(draw_value: st.DrawFn) -> Choice:
    """Any choice within the widest limits; those of its own schedule may still refuse it."""
    return Choice(
        draw_value(st.sampled_from(sorted(SCHEDULES))),
        draw_value(STARTS),
        draw_value(tenths("0.1", "5")),
        draw_value(tenths("0", "2")),
        draw_value(st.integers(7, 28)),
        draw_value(tenths("0.1", "5")),
        draw_value(st.sampled_from(["", "a reason"])),
    )


@st.composite
def plans(draw_value: st.DrawFn) -> Plan:
    """Any plan that the limits allow, with up to two changes of course that do."""
    s = SCHEDULES[draw_value(st.sampled_from(sorted(SCHEDULES)))]
    start = draw_value(tenths(str(s.start.low), str(s.start.high)))
    highest = (
        start
        if not s.step.high
        else draw_value(
            st.sampled_from([s.maximum.low, s.maximum.high])
            if s.step.is_fixed
            else tenths(str(max(s.maximum.low, start)), str(s.maximum.high))
        )
    )
    choice = Choice(
        s.id,
        draw_value(STARTS),
        start,
        draw_value(tenths(str(s.step.low), str(s.step.high))),
        draw_value(st.integers(int(s.interval.low), int(s.interval.high))),
        highest,
        "a reason",
    )
    plan = draw(choice)
    for offset in sorted(draw_value(st.lists(st.integers(1, 200), max_size=2, unique=True))):
        change = Change(
            draw_value(st.sampled_from(Kind)),
            choice.start_on + timedelta(days=offset),
            draw_value(st.integers(1, 28)),
        )
        changed = replace(plan.choice, changes=(*plan.choice.changes, change))
        plan = plan if complaints(changed) else draw(changed)
    return plan


def calendar(plan: Plan) -> list[Decimal]:
    return [plan.daily_mg_on(plan.starts + timedelta(days=n)) for n in range(plan.days)]


@given(choices())
def test_any_choice_is_either_refused_with_a_reason_or_drawn(choice: Choice) -> None:
    """There is no third way: a plan exists exactly where nothing is complained about."""
    if found := complaints(choice):
        assert all(titration.COMPLAINTS[c.why] == set(c.facts) for c in found)
        with pytest.raises(ChoiceRefusedError):
            draw(choice)
    else:
        assert draw(choice).highest_daily_mg <= CEILING_WITH_REASON_MG


@given(plans())
def test_no_day_is_above_the_maximum_or_without_a_dose(plan: Plan) -> None:
    """Every day of the plan has a dose, none above the chosen maximum nor above 5 mg."""
    top = plan.choice.maximum_mg * plan.schedule.times_per_day
    assert all(0 < dose <= min(top, CEILING_WITH_REASON_MG) for dose in calendar(plan))


@given(plans())
def test_a_dose_falls_only_on_the_day_of_a_step_down(plan: Plan) -> None:
    """Without a change of course the dose never decreases."""
    lowered = {c.on for c in plan.choice.changes if c.kind is Kind.STEP_DOWN}
    falls = {
        plan.starts + timedelta(days=n)
        for n, (a, b) in enumerate(pairwise(calendar(plan)), 1)
        if b < a
    }
    assert falls <= lowered


@given(plans())
def test_a_dose_rises_by_one_step_at_most_and_never_before_the_interval(plan: Plan) -> None:
    """Each rise is at most one step, and the dose before it was taken for the whole interval."""
    rises = [(a, b) for a, b in pairwise(plan.steps) if b.each_mg > a.each_mg]
    assert all(b.each_mg - a.each_mg <= plan.choice.step_mg for a, b in rises)
    assert all(a.days >= plan.choice.interval_days for a, _ in rises)


@given(plans())
def test_steps_follow_each_other_without_gap_or_overlap(plan: Plan) -> None:
    """The first step starts on the start day and each next one on the day after the last."""
    assert plan.choice.start_on == plan.starts
    assert all(b.starts == a.ends + timedelta(days=1) for a, b in pairwise(plan.steps))
    assert sum(s.days for s in plan.steps) == plan.days


@given(plans(), st.sampled_from(Form), st.integers(1, 200))
@settings(max_examples=60)
def test_what_is_dispensed_is_what_the_calendar_says_is_taken(
    plan: Plan, form: Form, days: int
) -> None:
    """Milligrams handed out equal milligrams taken in those days, in whole capsules."""
    supplies = dispense(plan, form, days)
    taken = sum((plan.daily_mg_on(plan.starts + timedelta(days=n)) for n in range(days)), mg(0))
    assert taken == sum(s.quantity * s.strength_mg for s in supplies)
    assert all(s.quantity == int(s.quantity) for s in supplies if form is not Form.SOLUTION)
    assert all(s.strength_mg <= CEILING_WITH_REASON_MG for s in supplies)


@given(plans())
def test_every_dose_is_a_whole_number_of_capsules(plan: Plan) -> None:
    """Compounded capsules are not split."""
    strength = dispense(plan, Form.ONE_STRENGTH, plan.days)[0].strength_mg
    assert all(step.each_mg % strength == 0 for step in plan.steps)
