"""Medication -> Exposure: pairs on both sides of every limit in days, and what stays unknown (specification 2.4)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from cds_service.exposure.timeline import (
    Clock,
    Doses,
    days_between,
    depot_interval,
    expose,
    gather_doses,
    settle_brief,
    stopped_today,
)
from cds_service.model import Coding, Concept, Drug, Exposure, Medication, Role, Standing, State
from tests.unit.clinic import LIMITS, NOW, TODAY, ago, exposure, medication

CLOCK = Clock(NOW, TODAY)
NONE_GIVEN = Doses({})
ENDED = {"standing": Standing.ENDED, "status": "completed"}
GIVEN = {"standing": Standing.GIVEN, "status": "completed"}


def oxycodone(**order: Any) -> Medication:
    return medication(Role.FULL_SA, **order)


def vivitrol(**order: Any) -> Medication:
    return medication(Role.NTX_XR, **order)


def met(meant: Medication, doses: Doses = NONE_GIVEN) -> Exposure:
    return expose(meant, CLOCK, doses, LIMITS)


def doses_of(meant: Medication, day: date) -> Doses:
    component = meant.recognition.components[0]
    return Doses({(component.ingredient, component.role): day})


# --- active orders ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("order", "state"), [
    ({}, State.CURRENT),
    ({"authored": ago(365)}, State.CURRENT), ({"authored": ago(366)}, State.STALE),
    ({"start": ago(366)}, State.STALE), ({"authored": ago(10), "start": ago(366)}, State.CURRENT),
    ({"end": ago(30)}, State.CURRENT), ({"end": ago(31)}, State.STALE), ({"end": ago(-5)}, State.CURRENT),
    ({"authored": ago(60), "supply_days": Decimal(30)}, State.CURRENT),
    ({"authored": ago(61), "supply_days": Decimal(30)}, State.STALE),
    ({"authored": ago(60), "start": ago(61), "supply_days": Decimal(30)}, State.STALE),
    ({"authored": ago(120), "supply_days": Decimal(30), "refills": 2}, State.CURRENT),
    ({"authored": ago(121), "supply_days": Decimal(30), "refills": 2}, State.STALE),
    ({"authored": ago(400), "supply_days": Decimal(365)}, State.STALE),
    ({"authored": ago(400), "supply_days": Decimal(380)}, State.CURRENT),
    ({"authored": ago(900), "end": ago(1)}, State.CURRENT),
    ({"authored": ago(400), "supply_days": Decimal("1e12")}, State.CURRENT),
])
def test_an_active_order_goes_stale_30_days_after_its_supply_or_a_year_after_it_was_written(
        order: dict[str, Any], state: State) -> None:
    assert state is met(oxycodone(**order)).state


@pytest.mark.parametrize(("order", "because"), [
    ({}, "on the active list"), ({"end": ago(31)}, "supply ended more than 30 days ago"),
    ({"authored": ago(366)}, "ordered more than a year ago, no supply data")])
def test_an_active_order_says_why_it_counts_as_it_does(order: dict[str, Any], because: str) -> None:
    found = met(oxycodone(**order))
    assert (because, None, None, None, False) == (
        found.because, found.days, found.last_dose_days, found.interval_days, found.brief)


@pytest.mark.parametrize(("order", "day"), [
    ({"authored": ago(4), "start": ago(3)}, ago(4)), ({"start": ago(3)}, ago(3)), ({}, None)])
def test_an_active_order_prints_the_day_it_was_written(order: dict[str, Any], day: date | None) -> None:
    assert day == met(oxycodone(**order)).on


@pytest.mark.parametrize(("days", "state"), [(58, State.CURRENT), (59, State.STALE)])
def test_an_active_depot_goes_stale_by_its_last_dose_30_days_after_the_interval(days: int, state: State) -> None:
    """28 + 30 days, whatever the supply says."""
    meant = vivitrol(authored=ago(200), end=ago(100))
    found = met(meant, doses_of(meant, ago(days)))
    assert (state, days, 28, ago(days)) == (found.state, found.last_dose_days, found.interval_days, found.on)
    assert ("last dose more than 58 days ago" if state is State.STALE else "on the active list") == found.because


# --- finished orders --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("order", "days"), [
    ({"end": ago(9), "start": ago(50)}, 9), ({"end": ago(-9)}, 0),
    ({"start": ago(50), "supply_days": Decimal(30)}, 20), ({"authored": ago(50), "supply_days": Decimal(30)}, 20),
    ({"start": ago(50), "supply_days": Decimal(30), "refills": 1}, 0),
    ({"start": ago(50), "supply_days": Decimal("29.5")}, 20),
    ({"start": ago(50), "authored": ago(60)}, 50), ({"authored": ago(60)}, 60),
])
def test_a_finished_order_ends_at_its_end_else_its_supply_capped_at_today_else_its_start(
        order: dict[str, Any], days: int) -> None:
    found = met(oxycodone(**ENDED, **order))
    assert (State.RECENT, days, days, ago(days)) == (found.state, found.days, found.last_dose_days, found.on)
    assert f"completed, ended {days} days ago" == found.because


def test_a_finished_order_without_any_date_is_held_never_ignored() -> None:
    found = met(oxycodone(**ENDED))
    assert (State.HELD, None, None, "completed without any date: last dose to be confirmed") == (
        found.state, found.days, found.last_dose_days, found.because)


@pytest.mark.parametrize(("order", "brief"), [
    ({"start": ago(9), "end": ago(6)}, True), ({"start": ago(10), "end": ago(6)}, False),
    ({"authored": ago(9), "end": ago(6)}, True), ({"end": ago(6)}, False),
    ({"start": ago(9)}, False), ({"start": ago(9), "supply_days": Decimal(3)}, True),
    ({"start": ago(9), "supply_days": Decimal(4)}, False),
    ({"start": ago(3), "end": ago(-5)}, True), ({"start": ago(4), "end": ago(-5)}, False),
])
def test_a_course_is_brief_up_to_3_days_between_two_known_dates(order: dict[str, Any], brief: bool) -> None:
    """A start without an end says nothing about how long it was taken; an end to come counts as today."""
    assert brief is met(oxycodone(**ENDED, **order)).brief


def test_a_recorded_dose_of_a_depot_outranks_the_dates_of_its_finished_order() -> None:
    meant = vivitrol(**ENDED, start=ago(90), end=ago(88))
    found = met(meant, doses_of(meant, ago(20)))
    assert (State.RECENT, 20, 20, False, ago(20)) == (
        found.state, found.days, found.last_dose_days, found.brief, found.on)


def test_a_finished_order_of_a_depot_is_no_brief_course_however_short() -> None:
    meant = vivitrol(**ENDED, start=ago(20), end=ago(20))
    assert (False, True) == (met(meant, doses_of(meant, ago(20))).brief, met(meant).brief)


# --- held -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("order", "days"), [
    ({"end": ago(5), "start": ago(9), "authored": ago(12)}, 5), ({"start": ago(9), "authored": ago(12)}, 9),
    ({"authored": ago(12)}, 12), ({}, None), ({"handed_over": ago(7), "end": ago(5)}, 7),
    ({"given_on": ago(8), "handed_over": ago(7)}, 8), ({"end": ago(-3)}, 0)])
def test_a_held_order_guesses_its_last_dose_from_what_is_known(order: dict[str, Any], days: int | None) -> None:
    found = met(oxycodone(standing=Standing.HELD, status="on-hold", **order))
    assert (State.HELD, days, None) == (found.state, found.last_dose_days, found.days)


def test_a_held_order_prints_its_last_dose_else_the_day_it_was_written() -> None:
    held = {"standing": Standing.HELD, "status": ""}
    assert (ago(3), ago(9), None) == (
        met(oxycodone(**held, given_on=ago(3), authored=ago(9))).on, met(oxycodone(**held, authored=ago(9))).on,
        met(oxycodone(**held, start=ago(9))).on)
    assert "status missing: last dose to be confirmed" == met(oxycodone(**held)).because


@pytest.mark.parametrize("kind", ["administration", "dispense", "statement"])
def test_an_unknown_status_is_held_whatever_the_resource(kind: str) -> None:
    found = met(oxycodone(kind=kind, standing=Standing.HELD, status="unknown", given_on=TODAY, handed_over=TODAY))
    assert (State.HELD, "status unknown: last dose to be confirmed") == (found.state, found.because)


# --- administrations --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("given_at", "state", "days"), [
    (NOW - timedelta(hours=24) + timedelta(seconds=1), State.CURRENT, 1),
    (NOW - timedelta(hours=24), State.RECENT, 1), (NOW - timedelta(hours=13), State.CURRENT, 1),
    (NOW + timedelta(hours=1), State.CURRENT, 0)])
def test_a_given_dose_is_current_for_24_hours_by_the_clock(given_at: datetime, state: State, days: int) -> None:
    found = met(oxycodone(kind="administration", **GIVEN, given_on=given_at.date(), given_at=given_at))
    assert (state, days, days, True) == (found.state, found.days, found.last_dose_days, found.brief)
    assert given_at.date() == found.on


@pytest.mark.parametrize(("days", "state", "because"), [
    (0, State.CURRENT, "given less than 24 hours ago"), (1, State.CURRENT, "given less than 24 hours ago"),
    (2, State.RECENT, "given 2 days ago")])
def test_a_given_dose_with_a_date_alone_may_have_been_at_the_end_of_yesterday(
        days: int, state: State, because: str) -> None:
    found = met(oxycodone(kind="administration", **GIVEN, given_on=ago(days)))
    assert (state, because) == (found.state, found.because)


def test_a_given_dose_without_any_time_is_held() -> None:
    found = met(oxycodone(kind="administration", **GIVEN))
    assert (State.HELD, None, "given, but without a time") == (found.state, found.last_dose_days, found.because)


# --- dispenses --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("since", "state", "days", "on"), [
    (10, State.CURRENT, 0, ago(10)), (11, State.RECENT, 1, ago(1))])
def test_a_dispense_is_current_through_the_last_day_of_its_supply(
        since: int, state: State, days: int, on: date) -> None:
    found = met(oxycodone(kind="dispense", **GIVEN, handed_over=ago(since), supply_days=Decimal(10)))
    assert (state, days, since, on, False) == (found.state, found.days, found.last_dose_days, found.on, found.brief)
    assert ("dispensed supply lasts" if not days else "dispensed supply ended 1 days ago") == found.because


@pytest.mark.parametrize(("supply", "brief"), [("3", True), ("3.5", False), ("4", False)])
def test_a_dispensed_supply_of_up_to_3_days_is_brief(supply: str, brief: bool) -> None:
    found = met(oxycodone(kind="dispense", **GIVEN, handed_over=ago(20), supply_days=Decimal(supply)))
    assert (State.RECENT, brief) == (found.state, found.brief)


@pytest.mark.parametrize(("since", "state", "days"), [
    (0, State.CURRENT, 0), (30, State.CURRENT, 0), (31, State.HELD, 1), (90, State.HELD, 60), (91, State.RECENT, 61)])
def test_a_dispense_without_days_of_supply_is_current_for_30_days_and_held_to_90(
        since: int, state: State, days: int) -> None:
    found = met(oxycodone(kind="dispense", **GIVEN, handed_over=ago(since)))
    assert (state, days, since, ago(since), False) == (
        found.state, found.days, found.last_dose_days, found.on, found.brief)
    assert f"dispensed {since} days ago, days of supply unknown" == found.because


def test_a_dispense_without_a_date_is_held() -> None:
    found = met(oxycodone(kind="dispense", **GIVEN, supply_days=Decimal(30)))
    assert (State.HELD, "dispensed, but without a date") == (found.state, found.because)


# --- depots -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("label", "days"), [
    ("buprenorphine 300 MG prefilled syringe [Sublocade]", 28), ("Brixadi weekly", 7), ("Brixadi Monthly", 28),
    ("Brixadi weekly or monthly", 28), ("buprenorphine 50 MG/ML injection", 7), ("buprenorphine 50mg/ ml", 7),
    ("buprenorphine 150 MG/ML", 28), ("buprenorphine 356 MG/ML", 28), ("Probuphine", 180),
    ("buprenorphine IMPLANT weekly", 180), ("naltrexone pellet", 180)])
def test_a_depot_lasts_7_28_or_180_days_by_its_words(label: str, days: int) -> None:
    assert days == depot_interval(medication(Role.BUP_DEPOT, label=label), LIMITS)


@pytest.mark.parametrize("drug", [
    Drug(Concept(text="Brixadi weekly")), Drug(form=Concept(text="weekly injection")),
    Drug(Concept((Coding("", "1"), Coding("", "2", "Brixadi Weekly"))))])
def test_a_depot_is_known_by_its_text_its_form_or_any_display(drug: Drug) -> None:
    assert 7 == depot_interval(medication(Role.BUP_DEPOT, label="buprenorphine", drug=drug), LIMITS)


def test_the_interval_is_told_of_depots_only() -> None:
    assert (28, None) == (met(vivitrol()).interval_days, met(oxycodone(label="weekly implant")).interval_days)


@pytest.mark.parametrize(("order", "counts"), [
    ({"kind": "administration", "given_on": ago(5)}, True), ({"kind": "dispense", "handed_over": ago(5)}, True),
    ({"kind": "administration", "handed_over": ago(5)}, False), ({"kind": "dispense", "given_on": ago(5)}, False),
    ({"kind": "administration", "given_on": ago(5), "standing": Standing.HELD}, False)])
def test_a_depot_dose_counts_where_it_was_really_given_or_handed_over(order: dict[str, Any], counts: bool) -> None:
    meant = vivitrol(**{**GIVEN, **order})
    assert (ago(5) if counts else None) == gather_doses([meant]).last_for(vivitrol())


def test_the_latest_dose_counts_and_only_for_the_same_ingredient_and_role() -> None:
    doses = gather_doses([vivitrol(**GIVEN, kind="administration", given_on=ago(n)) for n in (40, 12, 70)]
                         + [oxycodone(**GIVEN, kind="administration", given_on=ago(1))])
    assert (ago(12), None, None) == (
        doses.last_for(vivitrol()), doses.last_for(medication(Role.BUP_DEPOT)), doses.last_for(oxycodone()))


# --- stopped in this call, brief courses, days ------------------------------------------------------------------------

def test_an_order_that_this_call_stops_is_at_day_0() -> None:
    found = stopped_today(oxycodone(start=ago(3)), CLOCK, NONE_GIVEN, LIMITS)
    assert (State.RECENT, 0, 0, True, TODAY, None) == (
        found.state, found.days, found.last_dose_days, found.brief, found.on, found.interval_days)
    assert "being stopped in this call" == found.because


@pytest.mark.parametrize(("order", "brief"), [
    ({"start": ago(4)}, False), ({"authored": ago(3)}, True), ({"start": ago(4), "authored": ago(1)}, False), ({}, False)])
def test_an_order_that_this_call_stops_is_brief_if_it_began_3_days_ago(order: dict[str, Any], brief: bool) -> None:
    assert brief is stopped_today(oxycodone(**order), CLOCK, NONE_GIVEN, LIMITS).brief


def test_a_depot_that_this_call_stops_still_counts_from_its_last_dose() -> None:
    found = stopped_today(vivitrol(), CLOCK, doses_of(vivitrol(), ago(12)), LIMITS)
    assert (0, 12, 28) == (found.days, found.last_dose_days, found.interval_days)


def given(role: Role = Role.FULL_SA) -> Exposure:
    return exposure(medication(role, kind="administration"), State.RECENT, 2, brief=True)


def course(role: Role = Role.FULL_SA, *, brief: bool = False, kind: str = "request") -> Exposure:
    return exposure(medication(role, kind=kind), State.RECENT, 9, brief=brief)


@pytest.mark.parametrize(("others", "brief"), [
    ((), True), ((course(),), False), ((course(brief=True),), True), ((course(Role.METHADONE),), True),
    ((course(kind="administration"),), True), ((given(),), True), ((course(kind="dispense"),), False)])
def test_a_given_dose_is_brief_only_while_no_longer_course_of_the_same_drug_is_listed(
        others: tuple[Exposure, ...], brief: bool) -> None:
    assert brief is settle_brief([given(), *others])[0].brief


def test_a_brief_course_stays_brief_beside_a_long_one() -> None:
    """Only an administration takes its shortness from standing alone."""
    assert (True, False) == tuple(e.brief for e in settle_brief([course(brief=True), course()]))


@pytest.mark.parametrize(("earlier", "days"), [(ago(1), 1), (TODAY, 0), (ago(-1), 0)])
def test_a_day_to_come_counts_as_today(earlier: date, days: int) -> None:
    assert days == days_between(earlier, TODAY)


def test_days_are_those_of_the_zone_and_not_of_the_clock() -> None:
    """At 23:30 UTC it is tomorrow in the clinic; an end yesterday there is one day ago."""
    clock = Clock(datetime(2026, 11, 20, 23, 30, tzinfo=UTC), TODAY)
    assert 1 == expose(oxycodone(**ENDED, end=ago(1)), clock, NONE_GIVEN, LIMITS).days
