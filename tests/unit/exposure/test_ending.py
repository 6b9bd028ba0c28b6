"""Finished items: evidence of the end, the latest possible day, housekeeping and bulk updates (specification 2.4)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cds_service.exposure.depot import Doses
from cds_service.exposure.ending import Listed, gather
from cds_service.model import Band, Day, Exposure, Role, State
from tests.unit.clinic import LIMITS, TODAY, ago, naltrexone
from tests.unit.exposure.records import (
    COMPLETED,
    GIVEN,
    STOPPED,
    four_a_day,
    listed,
    met,
    met_as,
    tablets,
)

R, H, C, OLD = State.RECENT, State.HELD, State.CURRENT, State.OLD


def state(
    said: dict[str, Any], role: Role = Role.FULL_SA, others: Listed | None = None
) -> tuple[State, int | None]:
    found = met_as(role, **said) if others is None else met_as(role, others, **said)
    return found.state, found.days


# --- evidence of the end itself ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "days", "what"),
    [
        ({"ended": ago(9), "end": ago(8)}, 9, "dateEnded"),
        (
            {"authored": ago(50), "end": ago(8), "end_of": "effectivePeriod.end"},
            8,
            "effectivePeriod.end",
        ),
        ({"authored": ago(50), "end": ago(8)}, 8, "boundsPeriod.end"),
        ({"authored": ago(50), "end": TODAY}, 0, "boundsPeriod.end"),
        ({"end": ago(8), "updated": ago(2), "status_changed": ago(3)}, 8, "boundsPeriod.end"),
    ],
)
@pytest.mark.parametrize("word", [COMPLETED, STOPPED])
def test_an_end_that_somebody_recorded_is_the_end(
    said: dict[str, Any], days: int, what: str, word: dict[str, Any]
) -> None:
    found = met_as(**word, **said)
    assert (R, days, ago(days)) == (found.state, found.days, found.on)
    assert found.ending is not None
    assert (ago(days), what) == (found.ending.on, found.ending.what)


@pytest.mark.parametrize(
    "said",
    [
        {"authored": ago(50), "end": ago(-1)},
        {"authored": ago(50), "ended": ago(-1)},
        {"authored": ago(5), "end": ago(40)},
        {"authored": ago(90), "start": ago(30), "end": ago(40)},
        {"authored": ago(50), "end": Day(date(2026, 11, 1), date(2026, 11, 30))},
    ],
)
def test_an_end_to_come_or_before_the_beginning_is_no_evidence(said: dict[str, Any]) -> None:
    found = met_as(**STOPPED, **said)
    assert (H, None) == (found.state, found.ending)


def test_the_last_administration_of_an_order_is_its_end() -> None:
    others = Listed(Doses({}), {"MedicationRequest/oxycodone": (ago(30), ago(12))}, {})
    found = met_as(Role.FULL_SA, others, **COMPLETED, authored=ago(40), end=ago(5))
    assert (R, 12, ago(12)) == (found.state, found.days, found.on)
    assert found.ending is not None
    assert "administration" == found.ending.what


@pytest.mark.parametrize(
    ("supply", "end", "expected"),
    [
        ({"supply_days": Decimal(30)}, ago(80), (R, 80)),
        ({"supply_days": Decimal(30)}, ago(79), (H, None)),
        ({"quantity": tablets(120), "dosages": four_a_day()}, ago(80), (R, 80)),
        ({"quantity": tablets(120), "dosages": four_a_day()}, ago(79), (H, None)),
        ({"supply_days": Decimal(30), "repeats": 3}, ago(79), (R, 79)),
        ({}, ago(79), (R, 79)),
        ({"supply_days": Decimal(30), "dosages": four_a_day(as_needed=True)}, ago(79), (R, 79)),
        ({"supply_days": Decimal(30), "dosages": four_a_day(as_needed=True)}, ago(49), (H, None)),
    ],
)
def test_an_end_more_than_90_days_after_the_supply_is_housekeeping(
    supply: dict[str, Any], end: date, expected: tuple[State, int | None]
) -> None:
    """Written 200 days ago for 30 days: the supply ran out 170 days ago."""
    assert expected == state({**COMPLETED, "authored": ago(200), "end": end, **supply})


# --- stopped ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"updated": ago(9)}, (H, None)),
        ({"updated": ago(10)}, (R, 10)),
        ({"status_changed": ago(9), "updated": ago(40)}, (H, None)),
        ({"status_changed": ago(10), "updated": ago(2)}, (R, 10)),
        ({"updated": ago(9), "asserted": ago(40)}, (H, None)),
        ({"asserted": ago(10)}, (R, 10)),
        ({"supply_days": Decimal(191)}, (H, None)),
        ({"supply_days": Decimal(190)}, (R, 10)),
        ({"supply_days": Decimal(300), "updated": ago(10)}, (R, 10)),
        ({"supply_days": Decimal(5), "updated": ago(1)}, (R, 195)),
        ({"supply_days": Decimal(160), "dosages": four_a_day(as_needed=True)}, (R, 10)),
        ({"supply_days": Decimal(161), "dosages": four_a_day(as_needed=True)}, (H, None)),
        ({}, (H, None)),
    ],
)
def test_a_stopped_order_was_over_when_its_supply_was_or_when_the_record_said_so(
    said: dict[str, Any], expected: tuple[State, int | None]
) -> None:
    assert expected == state({**STOPPED, "authored": ago(200), **said})


@pytest.mark.parametrize(("days", "expected"), [(374, (H, None)), (375, (R, 10))])
@pytest.mark.parametrize("word", [STOPPED, COMPLETED])
def test_an_order_of_which_nothing_else_is_known_lives_a_year(
    days: int, expected: tuple[State, int | None], word: dict[str, Any]
) -> None:
    assert expected == state({**word, "authored": ago(days)})


def test_a_statement_that_only_says_since_when_it_is_taken_is_not_bounded() -> None:
    """Taken since six hundred days ago, stopped some time: an order lives a year, a habit does not."""
    said = {**STOPPED, "kind": "statement", "start": ago(500)}
    assert (H, None) == state(said)
    assert (OLD, None) == state({**said, "start": ago(546)})


@pytest.mark.parametrize("word", [STOPPED, COMPLETED])
def test_a_finished_item_without_any_date_is_held_never_ignored(word: dict[str, Any]) -> None:
    found = met_as(**word)
    assert (H, None, None) == (found.state, found.days, found.floor_days)
    assert f"{word['status']} without any date: last dose to be confirmed" == found.because


def test_an_order_cannot_have_been_over_before_it_was_written() -> None:
    """A therapy's first day from years ago on an order of last week: the supply did not run out back then."""
    said = {**STOPPED, "authored": ago(5), "start": ago(900), "supply_days": Decimal(30)}
    assert (H, None) == state(said)


# --- completed --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("supply_days", "expected"),
    [(201, (C, 0)), (200, (C, 0)), (199, (H, None)), (191, (H, None)), (190, (R, 10))],
)
def test_a_completed_order_is_current_while_tablets_are_left(
    supply_days: int, expected: tuple[State, int | None]
) -> None:
    """Completed says that all was dispensed; the last change of the record bounds nothing then."""
    said = {
        **COMPLETED,
        "authored": ago(200),
        "supply_days": Decimal(supply_days),
        "updated": ago(150),
    }
    assert expected == state(said)


@pytest.mark.parametrize(("updated", "expected"), [(ago(99), (H, None)), (ago(100), (R, 10))])
def test_a_completed_order_without_supply_may_have_lasted_90_days_after_its_last_change(
    updated: date, expected: tuple[State, int | None]
) -> None:
    assert expected == state({**COMPLETED, "authored": ago(200), "updated": updated})


def test_only_the_first_fill_and_those_that_dispenses_show_count_for_a_finished_order() -> None:
    said = {**COMPLETED, "authored": ago(100), "supply_days": Decimal(30), "repeats": 11}
    assert (R, 70) == state(said)
    shown = Listed(Doses({}), {}, {"MedicationRequest/oxycodone": (ago(100), ago(70), ago(40))})
    assert (R, 10) == state(said, others=shown)


def test_a_stopped_order_may_have_been_filled_until_it_was_stopped() -> None:
    """Nobody has seen a dispense of it; where some are seen, they count."""
    said = {**STOPPED, "authored": ago(100), "supply_days": Decimal(30), "repeats": 11}
    assert (H, None) == state(said)
    assert (R, 20) == state({**said, "updated": ago(20)})
    shown = Listed(Doses({}), {}, {"MedicationRequest/oxycodone": (ago(100),)})
    assert (R, 70) == state(said, others=shown)


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(1, 1, (R, 70)), (1, 2, (R, 70)), (1, 8, (R, 70))]
)
def test_the_latest_possible_day_is_that_of_the_lowest_dose(
    low: int, high: int, expected: tuple[State, int | None]
) -> None:
    dosed = {"quantity": tablets(120), "dosages": four_a_day(low=low, high=high)}
    assert expected == state({**COMPLETED, "authored": ago(100), **dosed})
    assert C is state({**COMPLETED, "authored": ago(3), **dosed})[0]


# --- the windows of the tables ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "limit"),
    [
        (Role.FULL_SA, 10),
        (Role.DUAL, 10),
        (Role.MIXED, 10),
        (Role.FULL_LA, 14),
        (Role.METHADONE, 14),
        (Role.BUP, 14),
        (Role.ANTITUSSIVE, 10),
        (Role.OPIOID_LIKE, 10),
        (Role.BUP_DEPOT, 181),
        (Role.NTX_XR, 61),
        (Role.NTX_IMPLANT, 241),
        (Role.NTX_BUP, 14),
    ],
)
def test_a_bounded_item_is_held_while_its_table_may_still_say_something(
    role: Role, limit: int
) -> None:
    for days, expected in ((limit - 1, H), (limit, R)):
        assert expected is state({**STOPPED, "authored": ago(600), "updated": ago(days)}, role)[0]


@pytest.mark.parametrize(
    ("band", "limit"),
    [
        (Band.LDN, 3),
        (Band.VLDN, 3),
        (Band.INTERMEDIATE, 3),
        (Band.LABELLED, 14),
        (Band.SUPRA, 14),
        (Band.UNKNOWN, 14),
    ],
)
def test_the_window_of_oral_naltrexone_is_that_of_its_dose(band: Band, limit: int) -> None:
    for days, expected in ((limit - 1, H), (limit, R)):
        meant = naltrexone(band, **STOPPED, authored=Day.on(ago(300)), updated=Day.on(ago(days)))
        assert expected is met(meant).state


@pytest.mark.parametrize(
    ("supply", "days", "expected"),
    [(3, 7, (R, 7)), (3, 6, (H, None)), (4, 9, (H, None)), (4, 10, (R, 10))],
)
def test_a_brief_course_has_the_shorter_window(
    supply: int, days: int, expected: tuple[State, int | None]
) -> None:
    assert expected == state(
        {**COMPLETED, "authored": ago(days + supply), "supply_days": Decimal(supply)}
    )


# --- bulk updates -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("updates", "expected"),
    [
        ([ago(20)] * 3, (R, 20)),
        ([ago(20)] * 4, (H, None)),
        ([ago(20), ago(20), ago(30), ago(31)], (R, 20)),
        ([ago(20), ago(20), ago(20), ago(31)], (H, None)),
        ([ago(20)] * 3 + [ago(30 + n) for n in range(3)], (R, 20)),
        ([ago(20)] * 4 + [ago(30 + n) for n in range(3)], (H, None)),
    ],
)
def test_a_last_update_that_more_than_half_of_four_entries_share_says_nothing(
    updates: list[date], expected: tuple[State, int | None]
) -> None:
    said = {**STOPPED, "authored": ago(200), "updated": ago(20)}
    assert expected == state(said, others=gather([], updates, LIMITS))


def test_a_bulk_update_leaves_the_other_evidence_alone() -> None:
    others = gather([], [ago(20)] * 4, LIMITS)
    assert (R, 30) == state(
        {**STOPPED, "authored": ago(200), "updated": ago(20), "asserted": ago(30)}, others=others
    )
    assert (OLD, None) == state(
        {**STOPPED, "kind": "statement", "start": ago(546), "updated": ago(20)}, others=others
    )


# --- what is carried along --------------------------------------------------------------------------------------------


def test_a_link_counts_only_where_it_was_really_given_or_handed_over() -> None:
    given = [
        listed(kind="administration", **GIVEN, given=ago(n), based_on=("MedicationRequest/a",))
        for n in (9, 4)
    ]
    filled = listed(kind="dispense", **GIVEN, handed_over=ago(7), based_on=("MedicationRequest/a",))
    undated = listed(kind="dispense", **GIVEN, based_on=("MedicationRequest/b",))
    found = gather([*given, filled, undated], [], LIMITS)
    assert ({ago(9), ago(4)}, (ago(7),)) == (
        set(found.given["MedicationRequest/a"]),
        found.handed_over["MedicationRequest/a"],
    )
    assert "MedicationRequest/b" not in found.handed_over


def bounds_of(found: Exposure) -> tuple[int | None, int | None]:
    return found.used_days, found.run_out_days


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            {"authored": ago(20), "asserted": ago(5), "updated": ago(1), "status_changed": ago(1)},
            (5, None),
        ),
        ({"authored": ago(20), "supply_days": Decimal(13)}, (20, 7)),
        ({"authored": ago(5), "supply_days": Decimal(30)}, (5, None)),
    ],
)
def test_the_newest_evidence_of_use_is_no_change_of_the_record(
    said: dict[str, Any], expected: tuple[int | None, int | None]
) -> None:
    found = met_as(**STOPPED, **said)
    assert expected == bounds_of(found)
    assert min(d for d in expected if d is not None) == found.floor_days


@pytest.mark.parametrize(("days", "expected"), [(400, (R, 35)), (300, (H, None))])
def test_a_completed_statement_lives_no_longer_than_an_order_from_when_it_was_asserted(
    days: int, expected: tuple[State, int | None]
) -> None:
    found = met(listed(**COMPLETED, kind="statement", asserted=ago(days)))
    assert expected == (found.state, found.days)


def test_what_is_not_used_up_is_dated_by_what_is_known_of_it() -> None:
    order = met(listed(**COMPLETED, authored=ago(5), supply_days=Decimal(30)))
    fill = met(listed(**COMPLETED, kind="dispense", handed_over=ago(4), supply_days=Decimal(30)))
    assert [("written", ago(5)), ("dispensed", ago(4))] == [(e.dated, e.on) for e in (order, fill)]
