"""What a day takes and how long a supply lasts: both ends, in one unit, or nothing."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.dosing.amounts import DailyAmount
from cds_service.dosing.daily import daily_amounts, days_supplied
from cds_service.model import Dosage, Quantity, Strength

DAY = {"frequency": Decimal(1), "period": Decimal(1), "period_unit": "d"}
TABLET = "Oxycodone 5 mg tablet"
FIVE = Strength(Decimal(5))


def units(low: str, high: str | None = None, unit: str = "tablet", **more: object) -> Dosage:
    ends = Quantity(Decimal(low), unit), Quantity(Decimal(high or low), unit)
    return Dosage(dose_low=ends[0], dose_high=ends[1], **{**DAY, **more})  # type: ignore[arg-type]


def shown(amount: DailyAmount | None) -> str:
    if amount is None:
        return "unknown"
    return f"{amount.low.normalize():f}-{amount.high.normalize():f} {amount.unit}{' prn' if amount.as_needed else ''}"


def lasts(
    quantity: str, unit: str, *dosages: Dosage, name: str = TABLET, strength: Strength | None = None
) -> str:
    span = days_supplied(Quantity(Decimal(quantity), unit), dosages, strength, name)
    return "unknown" if span is None else f"{span.least.normalize():f}-{span.most.normalize():f}"


CAP = (Quantity(Decimal(6), "tablet"), Quantity(Decimal(1), "d"))


@pytest.mark.parametrize(
    ("dosages", "expected"),
    [
        ((units("1"),), "1-1 unit"),
        ((units("1", "2", frequency=Decimal(4)),), "4-8 unit"),
        (
            (units("1", "2", period=Decimal(4), period_max=Decimal(6), period_unit="h"),),
            "4-12 unit",
        ),
        ((units("1", frequency=Decimal(1), frequency_max=Decimal(4)),), "1-4 unit"),
        ((units("1", "2", frequency=Decimal(4), max_per_period=CAP),), "4-6 unit"),
        ((units("1", "4", max_each=Quantity(Decimal(2), "tablet")),), "1-2 unit"),
        ((units("5", unit="mg"),), "5-5 mg"),
        ((units("5", unit="mL"),), "5-5 mL"),
        ((units("2", unit="puff"),), "2-2 puff"),
        ((units("1", as_needed=True, frequency=Decimal(4)),), "4-4 unit prn"),
        ((units("1", unit="units"),), "unknown"),
        (
            (units("1", as_needed=True, frequency=None, period=None, max_per_period=CAP),),
            "1-6 unit prn",
        ),
        (
            (
                units(
                    "1",
                    as_needed=True,
                    frequency=None,
                    period=None,
                    max_per_period=CAP,
                    timing_words=("at a time that nobody can read",),
                ),
            ),
            "unknown",
        ),
        (
            (units("1", max_per_period=(Quantity(Decimal(0), "tablet"), CAP[1])),),
            "1-1 unit",
        ),
        ((units("1", sequence=1), units("3", sequence=2)), "1-3 unit"),
        ((units("1"), units("3")), "4-4 unit"),
        ((units("1", sequence=1), units("2", sequence=1), units("1", sequence=2)), "1-3 unit"),
        ((units("1"), Dosage(text="as directed")), "unknown"),
        ((), "unknown"),
        ((units("0"),), "unknown"),
        ((Dosage(text="1-2 tabs q4-6h prn pain, max 8/day"),), "4-8 unit prn"),
        ((Dosage(text="take 1 tablet up to 3 times daily"),), "1-3 unit prn"),
        ((Dosage(text="5 mg q6h"),), "20-20 mg"),
        (
            (Dosage(text="1 à 2 comprimés toutes les 4 à 6 heures si besoin, max 8 par jour"),),
            "4-8 unit prn",
        ),
        ((Dosage(text="1 Tbl. bei Bedarf, max. 4 am Tag"),), "1-4 unit prn"),
        ((Dosage(text="2 sprays daily"),), "2-2 spray"),
        ((Dosage(text="1 tablet daily for 7 days then 2 tablets daily"),), "1-2 unit"),
        ((Dosage(text="1-0-1"),), "2-2 unit"),
        ((Dosage(text="4.5 mL nightly"),), "4.5-4.5 mL"),
        ((Dosage(text="1 tablet (5 mg) twice daily"),), "2-2 unit"),
        ((Dosage(text="1 tablet daily, increase weekly"),), "unknown"),
    ],
)
def test_a_day_takes_from_the_lowest_to_the_highest_that_the_instructions_allow(
    dosages: tuple[Dosage, ...], expected: str
) -> None:
    assert expected == shown(daily_amounts(dosages))


def test_an_amount_per_day_counts_unless_the_dose_beside_it_says_another() -> None:
    per_day = (Quantity(Decimal(3), "錠"), Quantity(Decimal(1), "日"))
    alone = Dosage(has_rate=True, day_amount=per_day)
    agreeing = dataclasses.replace(
        units("1", frequency=Decimal(3)), has_rate=True, day_amount=per_day
    )
    disagreeing = dataclasses.replace(
        units("2", frequency=Decimal(3)), has_rate=True, day_amount=per_day
    )
    found = [
        shown(daily_amounts((d,))) for d in (alone, agreeing, disagreeing, Dosage(has_rate=True))
    ]
    assert ["3-3 unit", "3-3 unit", "unknown", "unknown"] == found


def test_doses_in_two_units_are_brought_together_by_the_strength() -> None:
    both = (units("1"), units("10", unit="mg"))
    assert ("3-3 unit", "unknown") == (shown(daily_amounts(both, FIVE)), shown(daily_amounts(both)))


@pytest.mark.parametrize(
    ("quantity", "unit", "dosage", "expected"),
    [
        ("120", "tablet", units("1", frequency=Decimal(4)), "30-30"),
        ("120", "TAB", units("1"), "120-120"),
        (
            "60",
            "tablets",
            units("1", "2", period=Decimal(4), period_max=Decimal(6), period_unit="h"),
            "5-15",
        ),
        ("120", "", units("1"), "120-120"),
        ("120", "each", units("1"), "120-120"),
        ("1", "each", units("4"), "unknown"),
        ("1", "tablet", units("4"), "0.25-0.25"),
        ("30", "tablet", units("10", unit="mg"), "15-15"),
        ("300", "mg", units("1"), "60-60"),
        ("5", "Pflaster", units("1", unit="patch", period=Decimal(72), period_unit="h"), "15-15"),
        ("20", "mL", units("1"), "unknown"),
        ("2", "Packung", units("1"), "unknown"),
        ("30", "units", units("1"), "unknown"),
        ("0", "tablet", units("1"), "unknown"),
        ("-3", "tablet", units("1"), "unknown"),
        ("30", "tablet", Dosage(text="1 Tablette alle 8 Stunden"), "10-10"),
        ("30", "tablet", Dosage(text="as directed"), "unknown"),
    ],
)
def test_a_supply_lasts_least_at_the_highest_dose_and_only_in_one_unit(
    quantity: str, unit: str, dosage: Dosage, expected: str
) -> None:
    assert expected == lasts(quantity, unit, dosage)


def test_a_bottle_is_divided_by_mL_and_a_bare_number_is_no_count_of_bottles() -> None:
    solution = "Morphine 10 mg/5 mL oral solution"
    found = [
        lasts("200", "mL", units("10", unit="mg", frequency=Decimal(4)), name=solution),
        lasts("200", "mL", units("5", unit="mL"), name=solution),
        lasts("200", "", units("5", unit="mL"), name=solution),
    ]
    assert ["10-10", "40-40", "unknown"] == found


AMOUNTS = st.integers(1, 8)


@settings(max_examples=200, deadline=None)
@given(
    AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, st.sampled_from([("h", 24), ("d", 1)]), st.integers(1, 500)
)
def test_both_ends_agree_with_a_plain_calculation(
    one: int, other: int, often: int, more: int, period: tuple[str, int], quantity: int
) -> None:
    low, high, fewest, most = *sorted((one, other)), *sorted((often, more))
    dosage = units(
        str(low),
        str(high),
        frequency=Decimal(fewest),
        frequency_max=Decimal(most),
        period_unit=period[0],
    )
    daily = daily_amounts((dosage,))
    assert daily is not None
    assert (low * fewest * period[1], high * most * period[1]) == (daily.low, daily.high)
    span = days_supplied(Quantity(Decimal(quantity), "tablet"), (dosage,))
    assert span is not None
    assert (round(Decimal(quantity) / daily.high, 9), round(Decimal(quantity) / daily.low, 9)) == (
        span.least,
        span.most,
    )


ANY = st.one_of(
    st.none(),
    st.builds(
        Quantity,
        st.one_of(st.none(), st.decimals()),
        st.sampled_from(["mg", "mL", "tab", "", "dose", "drop", "x"]),
    ),
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.builds(
            Dosage,
            sequence=st.one_of(st.none(), st.integers(1, 3)),
            text=st.text(max_size=30),
            dose_low=ANY,
            dose_high=ANY,
            has_rate=st.booleans(),
            as_needed=st.booleans(),
            max_each=ANY,
            frequency=st.one_of(st.none(), st.decimals()),
            period=st.one_of(st.none(), st.decimals()),
            period_max=st.one_of(st.none(), st.decimals()),
            period_unit=st.sampled_from(["d", "h", ""]),
            max_per_period=st.one_of(st.none(), st.just(CAP)),
            day_amount=st.one_of(st.none(), st.just(CAP)),
        ),
        max_size=3,
    ),
    ANY.filter(bool),
    st.text(max_size=30),
)
def test_whatever_an_order_holds_both_ends_are_above_zero_and_in_order(
    dosages: list[Dosage], quantity: Quantity, name: str
) -> None:
    daily = daily_amounts(tuple(dosages), FIVE, name)
    span = days_supplied(quantity, tuple(dosages), FIVE, name)
    assert daily is None or 0 < daily.low <= daily.high
    assert span is None or 0 <= span.least <= span.most
