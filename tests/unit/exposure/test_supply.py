"""Run-outs: what is read first, how many fills, both ends of a dose range, validity (specification 2.4)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.exposure.supply import Fills, run_out, supply_run_out
from cds_service.model import Day, Dosage, Order, Quantity, RunOut, Strength
from tests.unit.clinic import LIMITS, TODAY, ago
from tests.unit.exposure.records import COMPLETED, four_a_day, listed, tablets

FIVE_MG = Strength(Decimal(5))


def order(**said: Any) -> Order:
    return listed(**said).order


def out(fills: int = 1, possible: int | None = None, **said: Any) -> RunOut | None:
    return run_out(order(**said), Fills(fills, possible or fills), FIVE_MG, TODAY, LIMITS)


def days(found: RunOut | None) -> tuple[int, int] | None:
    """Earliest and latest in days ago."""
    return None if found is None else ((TODAY - found.earliest).days, (TODAY - found.latest).days)


@pytest.mark.parametrize(
    ("said", "expected", "by"),
    [
        (
            {
                "authored": ago(50),
                "end": ago(20),
                "days": (Decimal(5), Decimal(5)),
                "supply_days": Decimal(3),
            },
            20,
            "boundsPeriod.end",
        ),
        (
            {"authored": ago(50), "days": (Decimal(5), Decimal(5)), "supply_days": Decimal(3)},
            45,
            "boundsDuration",
        ),
        (
            {"authored": ago(50), "supply_days": Decimal(3), "quantity": tablets(40)},
            47,
            "days of supply",
        ),
        ({"authored": ago(50), "quantity": tablets(40)}, 40, "quantity and daily dose"),
        ({"authored": ago(50)}, None, ""),
        ({"supply_days": Decimal(3)}, None, ""),
    ],
)
def test_the_first_that_can_be_read_bounds_the_supply(
    said: dict[str, Any], expected: int | None, by: str
) -> None:
    found = out(dosages=four_a_day(), **said)
    assert (expected, by) == (
        (TODAY - found.earliest).days if found else None,
        found.by if found else "",
    )


@pytest.mark.parametrize(
    ("said", "start"),
    [
        ({"authored": ago(50), "start": ago(40)}, 40),
        ({"authored": ago(50)}, 50),
        ({"kind": "dispense", "handed_over": ago(30)}, 30),
        ({"kind": "dispense", "handed_over": ago(30), "start": ago(300)}, 30),
        ({"kind": "dispense", "handed_over": ago(30), "start": ago(28)}, 28),
        ({"kind": "statement", "asserted": ago(20)}, 20),
        ({"kind": "statement", "asserted": ago(20), "start": ago(60)}, 60),
    ],
)
def test_a_supply_is_used_from_its_start_and_a_dispense_not_before_its_hand_over(
    said: dict[str, Any], start: int
) -> None:
    assert (start - 10, start - 10) == days(out(supply_days=Decimal(10), **said))


@pytest.mark.parametrize(
    ("fills", "first", "expected"), [(1, None, 40), (3, None, 20), (1, 5, 45), (3, 5, 25)]
)
def test_every_fill_counts_and_an_initial_fill_is_the_first_of_them(
    fills: int, first: int | None, expected: int
) -> None:
    found = out(
        fills,
        authored=ago(50),
        supply_days=Decimal(10),
        first_days=Decimal(first) if first else None,
    )
    assert (expected, expected) == days(found)


def test_fills_that_nobody_has_seen_prolong_only_the_latest_run_out() -> None:
    found = out(1, 3, authored=ago(50), supply_days=Decimal(10))
    assert (40, 20) == days(found)


def test_a_dose_range_gives_an_earliest_and_a_latest_run_out() -> None:
    """120 tablets, one or two every six hours: 15 days at the most, 30 at the least."""
    found = out(authored=ago(50), quantity=tablets(120), dosages=four_a_day(low=1, high=2))
    assert (35, 20) == days(found)
    assert (15, 30) == (found.fill_days, found.course_days) if found else False


def test_a_range_of_bounds_gives_both_ends_too() -> None:
    assert (45, 43) == days(out(authored=ago(50), days=(Decimal(5), Decimal(7))))


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"as_needed": True}, ""),
        ({}, "1 tab q6h PRN pain"),
        ({}, "one as needed"),
        ({}, "bei Bedarf 1 Tablette"),
    ],
)
def test_a_bottle_taken_as_needed_lasts_30_days_more(said: dict[str, Any], text: str) -> None:
    found = out(authored=ago(50), supply_days=Decimal(10), dosages=four_a_day(text=text, **said))
    assert (40, 10) == days(found)


def test_a_course_as_needed_is_as_long_as_its_supply() -> None:
    """30 more days of a three-day bottle do not make it a long course."""
    found = out(authored=ago(50), supply_days=Decimal(3), dosages=four_a_day(as_needed=True))
    assert found is not None
    assert 3 == found.course_days


@pytest.mark.parametrize(
    ("until", "expected", "by"),
    [
        (ago(60), (30, 30), "days of supply, validityPeriod"),
        (ago(1), (-29, -29), "days of supply, validityPeriod"),
        (TODAY, (-60, -60), "days of supply"),
    ],
)
def test_after_its_validity_an_order_has_one_more_fill(
    until: date, expected: tuple[int, int], by: str
) -> None:
    found = out(12, authored=ago(300), supply_days=Decimal(30), valid_until=until)
    assert (expected, by) == (days(found), found.by if found else "")


def test_a_fill_of_unknown_length_lasts_30_days_after_the_validity_of_an_active_order() -> None:
    """What is finished is not bounded by it, and a validity from before the order was written says nothing."""
    assert (10, 10) == days(out(authored=ago(300), valid_until=ago(40)))
    assert None is out(authored=ago(300), valid_until=ago(40), **COMPLETED)
    assert None is out(authored=ago(30), valid_until=ago(40))


@pytest.mark.parametrize("end", [ago(60), ago(400)])
def test_an_end_before_the_order_was_written_is_no_end(end: date) -> None:
    assert None is out(authored=ago(50), end=end)


def dosed(value: int, unit: str) -> tuple[Dosage, ...]:
    amount = Quantity(Decimal(value), unit)
    return (
        Dosage(
            dose_low=amount,
            dose_high=amount,
            frequency=Decimal(4),
            period=Decimal(1),
            period_unit="d",
        ),
    )


@pytest.mark.parametrize(
    ("quantity", "dosages", "shortest"),
    [
        (Quantity(Decimal(120), "tablet"), dosed(1, "tablet"), 30),
        (Quantity(Decimal(120), "{tbl}"), dosed(1, "tablet"), 30),
        (Quantity(Decimal(120), "TAB"), dosed(5, "mg"), 30),
        (Quantity(Decimal(600), "mg"), dosed(1, "tablet"), 30),
        (Quantity(Decimal(300), "mL"), dosed(5, "mL"), 15),
        (Quantity(Decimal(300), "mL"), dosed(1, "tablet"), None),
        (Quantity(Decimal(2), "bottle"), dosed(1, "tablet"), None),
        (Quantity(Decimal(120), "tablet"), (), None),
    ],
)
def test_quantity_and_dose_are_read_in_one_unit_or_not_at_all(
    quantity: Quantity, dosages: tuple[Dosage, ...], shortest: int | None
) -> None:
    found = out(authored=ago(100), quantity=quantity, dosages=dosages)
    assert shortest == (100 - (TODAY - found.earliest).days if found else None)


def test_an_initial_quantity_is_the_first_fill() -> None:
    said = {"quantity": tablets(120), "first_quantity": tablets(40), "dosages": four_a_day()}
    assert (90, 90) == days(out(1, authored=ago(100), **said))
    assert (60, 60) == days(out(2, authored=ago(100), **said))


def test_an_initial_quantity_alone_says_nothing_of_further_fills() -> None:
    said = {"first_quantity": tablets(40), "dosages": four_a_day()}
    assert (90, 90) == days(out(1, authored=ago(100), **said))
    assert out(2, authored=ago(100), **said) is None


def test_after_its_validity_an_order_lasts_one_fill_of_its_own_length() -> None:
    said = {"authored": ago(60), "supply_days": Decimal(10), "valid_until": ago(40)}
    assert (30, 30) == days(out(6, **said))


def test_after_its_validity_an_order_of_unknown_fills_lasts_as_long_as_is_usual() -> None:
    usual = LIMITS["expired_fill_days"]
    assert (50 - usual, 50 - usual) == days(out(end=ago(5), valid_until=ago(50)))


def test_a_partial_start_date_widens_the_run_out() -> None:
    found = out(authored=Day(date(2026, 10, 1), date(2026, 10, 31)), supply_days=Decimal(10))
    assert (date(2026, 10, 11), date(2026, 11, 10)) == (
        (found.earliest, found.latest) if found else None
    )


def test_a_dispense_that_states_no_supply_borrows_one_fill_of_its_order() -> None:
    linked = order(supply_days=Decimal(7), repeats=5).supply
    assert (23, 23) == days(out(kind="dispense", handed_over=ago(30), linked_supply=linked))
    assert (27, 27) == days(
        out(kind="dispense", handed_over=ago(30), supply_days=Decimal(3), linked_supply=linked)
    )


def test_all_fills_that_an_order_allows_count_against_an_end_that_was_entered() -> None:
    found = supply_run_out(
        order(authored=ago(300), supply_days=Decimal(30), repeats=5, end=ago(5)), None, LIMITS
    )
    assert (120, 120) == days(found)


AMOUNTS = st.decimals(min_value="0.01", max_value="1000", places=2)


RECORD = st.fixed_dictionaries(
    {"quantity": AMOUNTS.map(lambda n: Quantity(n, "tablet"))},
    optional={
        "supply_days": AMOUNTS,
        "days": AMOUNTS.map(lambda n: (n, n + 1)),
        "valid_until": st.integers(-50, 500).map(ago),
        "end": st.integers(-50, 900).map(ago),
    },
)
DOSES = st.builds(four_a_day, low=st.just(1), high=st.integers(1, 4), as_needed=st.booleans())


@given(
    dosages=DOSES,
    fills=st.integers(1, 13),
    said=RECORD,
    start=st.integers(0, 900),
    spread=st.integers(0, 60),
)
def test_the_earliest_run_out_is_never_after_the_latest(
    dosages: tuple[Dosage, ...], fills: int, said: dict[str, Any], start: int, spread: int
) -> None:
    found = out(fills, dosages=dosages, authored=Day(ago(start + spread), ago(start)), **said)
    assert found is not None
    assert found.earliest <= found.latest


def test_the_length_of_a_fill_is_that_of_the_usual_ones_not_of_the_first() -> None:
    found = out(2, authored=ago(100), first_days=Decimal(5), supply_days=Decimal(30))
    assert (35, 30) == ((found.course_days, found.fill_days) if found else None)


def test_days_of_a_first_fill_alone_say_nothing_of_further_fills() -> None:
    assert (95, 95) == days(out(1, authored=ago(100), first_days=Decimal(5)))
    assert out(2, authored=ago(100), first_days=Decimal(5)) is None
