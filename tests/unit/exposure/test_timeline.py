"""Medication -> Exposure: pairs on both sides of every limit in days, and what stays unknown (specification 2.4)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from cds_service.exposure.calendar import Clock, days_between
from cds_service.exposure.depot import Doses
from cds_service.exposure.ending import Listed
from cds_service.exposure.timeline import expose, may_be_current, settle_brief, stopped_today
from cds_service.model import Day, Exposure, Identity, Quantity, Role, Standing, State
from tests.unit.clinic import LIMITS, NOW, TODAY, ago, exposure, medication
from tests.unit.exposure.records import (
    ALONE,
    CLOCK,
    COMPLETED,
    GIVEN,
    ON_HOLD,
    STOPPED,
    four_a_day,
    listed,
    met,
    met_as,
    tablets,
)

C, S, H, R, OLD, P = State.CURRENT, State.STALE, State.HELD, State.RECENT, State.OLD, State.PLANNED


# --- active -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({}, C),
        ({"authored": ago(365)}, C),
        ({"authored": ago(366)}, S),
        ({"start": ago(366)}, S),
        ({"authored": ago(10), "start": ago(366)}, C),
        ({"authored": ago(400), "asserted": ago(365)}, C),
        ({"end": ago(30)}, C),
        ({"end": ago(31)}, S),
        ({"end": ago(-5)}, C),
        ({"authored": ago(900), "end": ago(1)}, C),
        ({"authored": ago(60), "supply_days": Decimal(30)}, C),
        ({"authored": ago(61), "supply_days": Decimal(30)}, S),
        ({"authored": ago(60), "start": ago(61), "supply_days": Decimal(30)}, S),
        ({"authored": ago(120), "supply_days": Decimal(30), "repeats": 2}, C),
        ({"authored": ago(121), "supply_days": Decimal(30), "repeats": 2}, S),
        ({"authored": ago(120), "supply_days": Decimal(90)}, C),
        ({"authored": ago(121), "supply_days": Decimal(90)}, S),
        ({"authored": ago(14), "supply_days": Decimal(7)}, C),
        ({"authored": ago(15), "supply_days": Decimal(7)}, S),
        ({"authored": ago(6), "supply_days": Decimal(3)}, C),
        ({"authored": ago(7), "supply_days": Decimal(3)}, S),
        ({"authored": ago(4), "supply_days": Decimal(1)}, C),
        ({"authored": ago(5), "supply_days": Decimal(1)}, S),
        ({"authored": ago(10), "days": (Decimal(5), Decimal(5))}, C),
        ({"authored": ago(11), "days": (Decimal(5), Decimal(5))}, S),
        ({"authored": ago(12), "days": (Decimal(5), Decimal(5)), "supply_days": Decimal(7)}, C),
        ({"authored": ago(13), "days": (Decimal(5), Decimal(5)), "supply_days": Decimal(7)}, S),
        ({"authored": ago(60), "quantity": tablets(120), "dosages": four_a_day()}, C),
        ({"authored": ago(61), "quantity": tablets(120), "dosages": four_a_day()}, S),
        ({"authored": ago(30), "quantity": tablets(120), "dosages": four_a_day(low=1, high=2)}, C),
        ({"authored": ago(31), "quantity": tablets(120), "dosages": four_a_day(low=1, high=2)}, S),
        (
            {
                "authored": ago(61),
                "supply_days": Decimal(30),
                "dosages": four_a_day(as_needed=True),
            },
            S,
        ),
        (
            {
                "authored": ago(300),
                "supply_days": Decimal(30),
                "repeats": 11,
                "valid_until": ago(60),
            },
            C,
        ),
        (
            {
                "authored": ago(300),
                "supply_days": Decimal(30),
                "repeats": 11,
                "valid_until": ago(61),
            },
            S,
        ),
        ({"authored": ago(300), "valid_until": ago(61)}, S),
        ({"authored": ago(366), "quantity": Quantity(Decimal(2), "bottle")}, S),
        ({"authored": ago(400), "supply_days": Decimal("1e12")}, C),
    ],
)
def test_an_active_order_is_current_for_one_fill_after_its_supply_and_a_year_without_one(
    said: dict[str, Any], state: State
) -> None:
    """The grace is the length of one fill, at least 3 and at most 30 days; of bounds alone, their length."""
    assert state is met_as(**said).state


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"supply_days": Decimal(5), "authored": ago(185)}, S),
        ({"supply_days": Decimal(5), "authored": ago(186)}, OLD),
        ({"authored": ago(545)}, S),
        ({"authored": ago(546)}, OLD),
        (
            {
                "authored": ago(216),
                "supply_days": Decimal(5),
                "dosages": four_a_day(as_needed=True),
            },
            OLD,
        ),
        (
            {
                "authored": ago(215),
                "supply_days": Decimal(5),
                "dosages": four_a_day(as_needed=True),
            },
            S,
        ),
        ({"authored": ago(100), "start": ago(900), "supply_days": Decimal(30)}, S),
    ],
)
def test_a_stale_entry_grows_old_180_days_after_its_latest_run_out(
    said: dict[str, Any], state: State
) -> None:
    """An order of last month is not old, however long the therapy has been running."""
    assert state is met_as(**said).state


@pytest.mark.parametrize(
    ("said", "because"),
    [
        ({}, "on the active list"),
        ({"end": ago(31)}, "supply ended on 2026-10-21 (boundsPeriod.end), more than 30 days ago"),
        (
            {"authored": ago(15), "supply_days": Decimal(7)},
            "supply ended on 2026-11-13 (days of supply), more than 7 days ago",
        ),
        ({"authored": ago(366)}, "written more than 365 days ago, no supply data"),
    ],
)
def test_an_active_order_says_why_it_counts_as_it_does(said: dict[str, Any], because: str) -> None:
    found = met_as(**said)
    assert (because, None, None, None) == (
        found.because,
        found.days,
        found.last_dose_days,
        found.interval_days,
    )


@pytest.mark.parametrize(
    ("said", "on"),
    [({"authored": ago(4), "start": ago(3)}, ago(4)), ({"start": ago(3)}, ago(3)), ({}, None)],
)
def test_an_active_order_prints_the_day_it_was_written(
    said: dict[str, Any], on: date | None
) -> None:
    assert on == met_as(**said).on


# --- planned ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"start": ago(-1)}, P),
        ({"start": TODAY}, C),
        ({**ON_HOLD, "start": ago(-1)}, P),
        ({**STOPPED, "start": ago(-1), "updated": ago(1)}, H),
        ({"authored": ago(-1)}, C),
        ({"start": Day(date(2026, 11, 1), date(2026, 11, 30))}, C),
        ({"start": Day(date(2026, 12, 1), date(2026, 12, 31))}, P),
    ],
)
def test_an_order_that_starts_after_today_is_planned(said: dict[str, Any], state: State) -> None:
    """Only where it says so: a date of writing from a clock ahead of ours is no plan, nor is a month that has begun."""
    assert state is met_as(**{"authored": ago(3), **said}).state


def test_a_planned_order_prints_the_day_it_starts() -> None:
    found = met_as(authored=ago(3), start=ago(-9))
    assert (ago(-9), "starts", "starts on 2026-11-30") == (found.on, found.dated, found.because)


# --- held -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"authored": ago(545)}, H),
        ({"authored": ago(546)}, OLD),
        ({"authored": ago(900), "updated": ago(545)}, H),
        ({"authored": ago(900), "updated": ago(546)}, OLD),
        ({"authored": ago(900), "status_changed": ago(9)}, H),
        ({"authored": ago(900), "end": ago(500)}, H),
        ({}, H),
    ],
)
def test_a_held_item_grows_old_when_every_date_of_it_has(
    said: dict[str, Any], state: State
) -> None:
    assert state is met_as(**ON_HOLD, **said).state


def test_a_held_order_prints_its_last_dose_else_the_day_it_was_written() -> None:
    held = {"standing": Standing.HELD, "status": ""}
    assert (ago(3), ago(9), None) == (
        met_as(**held, given=ago(3), authored=ago(9)).on,
        met_as(**held, authored=ago(9)).on,
        met_as(**held, start=ago(9)).on,
    )
    assert "status missing: last dose to be confirmed" == met_as(**held).because


@pytest.mark.parametrize("kind", ["administration", "dispense", "statement"])
def test_an_unknown_status_is_held_whatever_the_resource(kind: str) -> None:
    found = met_as(
        kind=kind, standing=Standing.HELD, status="unknown", given=TODAY, handed_over=TODAY
    )
    assert (H, "status unknown: last dose to be confirmed") == (found.state, found.because)


@pytest.mark.parametrize(
    ("said", "floor"),
    [
        ({"authored": ago(12)}, 12),
        ({"authored": ago(40), "supply_days": Decimal(30)}, 10),
        ({"authored": ago(40), "supply_days": Decimal(10), "repeats": 2}, 10),
        ({"updated": ago(2)}, None),
    ],
)
def test_a_held_order_is_not_milder_than_one_that_ended_with_its_supply(
    said: dict[str, Any], floor: int | None
) -> None:
    assert floor == met_as(**ON_HOLD, **said).floor_days


# --- administrations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_at", "state", "days"),
    [
        (NOW - timedelta(hours=24) + timedelta(seconds=1), C, 1),
        (NOW - timedelta(hours=24), R, 1),
        (NOW - timedelta(hours=13), C, 1),
        (NOW + timedelta(hours=1), C, 0),
    ],
)
def test_a_given_dose_is_current_for_24_hours_by_the_clock(
    given_at: datetime, state: State, days: int
) -> None:
    found = met_as(kind="administration", **GIVEN, given=given_at.date(), given_at=given_at)
    assert (state, days, days, True) == (found.state, found.days, found.last_dose_days, found.brief)
    assert given_at.date() == found.on


@pytest.mark.parametrize(
    ("days", "state", "because"),
    [
        (0, C, "given less than 24 hours ago"),
        (1, C, "given less than 24 hours ago"),
        (2, R, "given 2 days ago"),
    ],
)
def test_a_given_dose_with_a_date_alone_may_have_been_at_the_end_of_yesterday(
    days: int, state: State, because: str
) -> None:
    found = met_as(kind="administration", **GIVEN, given=ago(days))
    assert (state, because) == (found.state, found.because)


def test_a_given_dose_without_any_time_is_held() -> None:
    found = met_as(kind="administration", **GIVEN)
    assert (H, None, "given, but without a time") == (
        found.state,
        found.last_dose_days,
        found.because,
    )


# --- dispenses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "state", "days"), [(10, C, 0), (11, H, None), (19, H, None), (20, R, 10)]
)
def test_a_dispense_is_judged_like_a_completed_order_of_one_fill(
    since: int, state: State, days: int | None
) -> None:
    """Current through the last day of its supply, held while the last dose may lie in the window, then behind us."""
    found = met_as(
        kind="dispense", **GIVEN, handed_over=ago(since), supply_days=Decimal(10), updated=ago(1)
    )
    assert (state, days, since, max(since - 10, 0)) == (
        found.state,
        found.days,
        found.used_days,
        found.run_out_days or 0,
    )


@pytest.mark.parametrize(("supply", "brief"), [("3", True), ("3.5", False), ("4", False)])
def test_a_dispensed_supply_of_up_to_3_days_is_brief(supply: str, brief: bool) -> None:
    found = met_as(kind="dispense", **GIVEN, handed_over=ago(20), supply_days=Decimal(supply))
    assert (R, brief) == (found.state, found.brief)


@pytest.mark.parametrize(("since", "state"), [(0, C), (30, C), (31, H), (90, H), (91, R)])
def test_a_dispense_without_any_supply_is_current_for_30_days_and_held_to_90(
    since: int, state: State
) -> None:
    found = met_as(kind="dispense", **GIVEN, handed_over=ago(since))
    assert (state, ago(since), False) == (found.state, found.on, found.brief)
    assert f"dispensed {since} days ago, days of supply unknown" == found.because


@pytest.mark.parametrize(
    "said",
    [{"quantity": tablets(360)}, {"dosages": four_a_day()}, {"linked_dosages": four_a_day()}],
)
@pytest.mark.parametrize(("since", "state"), [(30, C), (31, H), (91, H), (365, H), (366, R)])
def test_a_dispense_of_which_half_is_known_may_last_as_long_as_an_order(
    said: dict[str, Any], since: int, state: State
) -> None:
    """360 tablets at an unknown dose, or four a day of an unknown number, are not over after 90 days."""
    assert state is met_as(kind="dispense", **GIVEN, handed_over=ago(since), **said).state


def test_a_dispense_without_a_date_is_held() -> None:
    found = met_as(kind="dispense", **GIVEN, supply_days=Decimal(30))
    assert (H, "dispensed, but without a date") == (found.state, found.because)


def test_a_dispense_divides_its_own_quantity_by_the_dose_of_its_order() -> None:
    found = met_as(
        kind="dispense",
        **GIVEN,
        handed_over=ago(20),
        quantity=tablets(120),
        linked_dosages=four_a_day(),
    )
    assert (C, ago(-10)) == (found.state, found.run_out.earliest if found.run_out else None)


# --- brief courses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "brief"),
    [
        ({"start": ago(9), "end": ago(6)}, True),
        ({"start": ago(10), "end": ago(6)}, False),
        ({"authored": ago(9), "end": ago(6)}, True),
        ({"end": ago(6)}, False),
        ({"start": ago(9)}, False),
        ({"start": ago(9), "supply_days": Decimal(3)}, True),
        ({"start": ago(9), "supply_days": Decimal(4)}, False),
        ({"authored": ago(9), "days": (Decimal(2), Decimal(4))}, False),
        ({"authored": ago(9), "quantity": tablets(12), "dosages": four_a_day()}, True),
        ({"authored": ago(9), "quantity": tablets(12), "dosages": four_a_day(low=1, high=2)}, True),
        (
            {"authored": ago(9), "quantity": tablets(13), "dosages": four_a_day(low=1, high=2)},
            False,
        ),
    ],
)
def test_a_course_is_brief_up_to_3_days_between_two_known_dates_or_by_its_whole_supply(
    said: dict[str, Any], brief: bool
) -> None:
    """A start without an end says nothing about how long it was taken."""
    assert brief is met_as(**COMPLETED, **said).brief


@pytest.mark.parametrize(
    ("said", "brief"),
    [
        ({"supply_days": Decimal(3)}, True),
        ({"supply_days": Decimal(3), "repeats": 1}, False),
        ({}, False),
    ],
)
def test_an_active_course_is_brief_by_all_that_it_may_be_filled_with(
    said: dict[str, Any], brief: bool
) -> None:
    assert brief is met_as(authored=ago(9), **said).brief


def given_dose(role: Role = Role.FULL_SA) -> Exposure:
    return exposure(medication(role, kind="administration"), R, 2, brief=True)


def course(role: Role = Role.FULL_SA, *, brief: bool = False, kind: str = "request") -> Exposure:
    return exposure(medication(role, kind=kind), R, 9, brief=brief)


@pytest.mark.parametrize(
    ("others", "brief"),
    [
        ((), True),
        ((course(),), False),
        ((course(brief=True),), True),
        ((course(Role.METHADONE),), True),
        ((course(kind="administration"),), True),
        ((given_dose(),), True),
        ((course(kind="dispense"),), False),
    ],
)
def test_a_given_dose_is_brief_only_while_no_longer_course_of_the_same_drug_is_listed(
    others: tuple[Exposure, ...], brief: bool
) -> None:
    assert brief is settle_brief([given_dose(), *others])[0].brief


def test_a_brief_course_stays_brief_beside_a_long_one() -> None:
    """Only an administration takes its shortness from standing alone."""
    assert (True, False) == tuple(e.brief for e in settle_brief([course(brief=True), course()]))


# --- stopped in this call, the unknown, days --------------------------------------------------------------------------


def test_an_order_that_this_call_stops_is_at_day_0() -> None:
    found = stopped_today(listed(start=ago(3)), CLOCK, ALONE, LIMITS)
    assert (R, 0, 0, True, TODAY, None) == (
        found.state,
        found.days,
        found.last_dose_days,
        found.brief,
        found.on,
        found.interval_days,
    )
    assert ("being stopped in this call", ago(-7)) == (found.because, found.clear_on)


@pytest.mark.parametrize(
    ("said", "brief"),
    [
        ({"start": ago(4)}, False),
        ({"authored": ago(3)}, True),
        ({"start": ago(4), "authored": ago(1)}, False),
        ({}, False),
    ],
)
def test_an_order_that_this_call_stops_is_brief_if_it_began_3_days_ago(
    said: dict[str, Any], brief: bool
) -> None:
    assert brief is stopped_today(listed(**said), CLOCK, ALONE, LIMITS).brief


def test_a_depot_that_this_call_stops_still_counts_from_its_last_dose() -> None:
    doses = Listed(Doses({("naltrexone", Role.NTX_XR): ago(12)}), {}, {})
    found = stopped_today(listed(Role.NTX_XR), CLOCK, doses, LIMITS)
    assert (0, 12, 28) == (found.days, found.last_dose_days, found.interval_days)


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ({}, True),
        (ON_HOLD, True),
        ({"authored": ago(400)}, True),
        ({"start": ago(-9)}, True),
        ({**STOPPED, "authored": ago(500), "updated": ago(13)}, True),
        ({**STOPPED, "authored": ago(500), "updated": ago(14)}, False),
        ({"authored": ago(700)}, False),
    ],
)
def test_an_unknown_drug_is_asked_about_while_it_may_be_current(
    said: dict[str, Any], asked: bool
) -> None:
    """What it is cannot be told, so it is given the longest window."""
    meant = listed(**said)
    nameless = type(meant)(meant.order, type(meant.recognition)(Identity.UNKNOWN))
    assert asked is may_be_current(met(nameless))


@pytest.mark.parametrize(("earlier", "days"), [(ago(1), 1), (TODAY, 0), (ago(-1), 0)])
def test_a_day_to_come_counts_as_today(earlier: date, days: int) -> None:
    assert days == days_between(earlier, TODAY)


def test_days_are_those_of_the_zone_and_not_of_the_clock() -> None:
    """At 23:30 UTC it is tomorrow in the clinic; an end yesterday there is one day ago."""
    clock = Clock(datetime(2026, 11, 20, 23, 30, tzinfo=UTC), TODAY)
    assert 1 == expose(listed(**COMPLETED, end=ago(1)), clock, ALONE, LIMITS).days
