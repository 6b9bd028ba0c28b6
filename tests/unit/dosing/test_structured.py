"""mg per day from structured dosage: every unit, every timing, phases, bands; unknown stays unknown."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.dosing.structured import BandEdges, band, compute, format_mg, same
from cds_service.model import Band, Component, Dosage, Dose, Quantity, Role, Strength

DAY = {"frequency": Decimal(1), "period": Decimal(1), "period_unit": "d"}


def naltrexone(mg: str | None = None, per: str = "1", unit: str = "unit") -> Component:
    strength = Strength(Decimal(mg), Decimal(per), unit) if mg else None
    return Component("naltrexone", "7243", Role.NTX_ORAL, strength)


def dose(value: str | None, unit: str = "mg", high: str | None = None, **timing: object) -> Dosage:
    low = Quantity(Decimal(value) if value else None, unit)
    top = Quantity(Decimal(high), unit) if high else low
    return Dosage(dose_low=low, dose_high=top, **(timing or DAY))  # type: ignore[arg-type]


def shown(mg: Decimal | None) -> str:
    return "unknown" if mg is None else format_mg(mg)


def daily(*dosages: Dosage, of: Component | None = None, drug_text: str = "") -> str:
    return shown(compute(dosages, of, drug_text).daily_mg)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("mg", "2"),
        ("MG", "2"),
        (" {mg} ", "2"),
        ("milligram", "2"),
        ("milligrams", "2"),
        ("g", "2000"),
        ("mcg", "0.002"),
        ("ug", "0.002"),
        ("\u00b5g", "0.002"),
        ("\u03bcg", "0.002"),
        ("Micrograms", "0.002"),
        ("ng", "0.000002"),
        ("kg", "unknown"),
        ("[iU]", "unknown"),
        ("meq", "unknown"),
        ("mg/kg", "unknown"),
    ],
)
def test_a_mass_is_turned_into_mg_and_an_unknown_unit_is_never_guessed(
    unit: str, expected: str
) -> None:
    assert expected == daily(dose("2", unit))


@pytest.mark.parametrize(
    "unit",
    [
        "{pill}",
        "{tbl}",
        "{tablet}",
        "TAB",
        "tab",
        "tablet",
        "Tablets",
        "tablet(s)",
        "CAP",
        "capsule",
        "capsules",
        "film",
        "patch",
        "{patch}",
        "lozenge",
        "suppository",
        "1",
        "each",
        "{dose}",
        "ERTAB",
    ],
)
def test_a_count_of_solid_units_takes_the_strength_of_one(unit: str) -> None:
    assert ("25", "unknown", "unknown") == (
        daily(dose("0.5", unit), of=naltrexone("50")),
        daily(dose("0.5", unit), of=naltrexone()),
        daily(dose("0.5", unit), of=naltrexone("50", unit="mL")),
    )


def test_a_bare_number_without_any_unit_is_unknown() -> None:
    """4.5 may be mg or tablets of 50 mg: a factor of fifty that nobody may guess."""
    assert "unknown" == daily(dose("4.5", ""), of=naltrexone("50"))


@pytest.mark.parametrize(
    ("unit", "per_unit", "expected"),
    [
        ("puff", "unit", "unknown"),
        ("spray", "unit", "unknown"),
        ("drop", "unit", "unknown"),
        ("spray", "spray", "3"),
        ("sprays", "spray", "3"),
        ("spray", "puff", "unknown"),
    ],
)
def test_puffs_sprays_and_drops_count_only_with_a_strength_per_that(
    unit: str, per_unit: str, expected: str
) -> None:
    assert expected == daily(dose("2", unit), of=naltrexone("1.5", unit=per_unit))


def test_a_volume_takes_the_concentration_of_the_component_or_of_the_name() -> None:
    ml = dose("4.5", "mL")
    assert ("9", "4.5", "9", "unknown", "unknown", "unknown", "unknown") == (
        daily(ml, of=naltrexone("10", "5", "mL")),
        daily(ml, of=naltrexone("1", unit="mL"), drug_text="9 mg/mL"),
        daily(ml, of=naltrexone(), drug_text="Naltrexone 10 mg/5 mL oral solution"),
        daily(ml, of=naltrexone("50")),
        daily(ml, of=naltrexone(), drug_text="LDN oral solution"),
        daily(ml, of=naltrexone(), drug_text="drug 2.5 mg / other 108 mg per 5 mL"),
        daily(ml, drug_text="1 mg/mL"),
    )


def test_the_upper_end_of_a_range_counts_and_a_range_without_one_is_unknown() -> None:
    open_ended = Dosage(dose_low=Quantity(Decimal(1), "mg"), **DAY)  # type: ignore[arg-type]
    bare_high = Dosage(dose_low=Quantity(Decimal(1), "mg"), dose_high=Quantity(Decimal(2)), **DAY)  # type: ignore[arg-type]
    assert ("1", "unknown", "2") == (
        daily(dose("0.5", high="1")),
        daily(open_ended),
        daily(bare_high),
    )


def test_a_rate_or_a_missing_number_is_unknown() -> None:
    rated = dataclasses.replace(dose("5"), has_rate=True)
    assert ("unknown", "unknown", "unknown") == (daily(rated), daily(dose(None)), daily(dose("-1")))


@pytest.mark.parametrize(
    ("unit", "period", "expected"),
    [
        ("s", "86400", "6"),
        ("min", "1440", "6"),
        ("h", "6", "24"),
        ("h", "48", "3"),
        ("d", "1", "6"),
        ("d", "3", "2"),
        ("wk", "1", "0.8571"),
        ("wk", "4", "0.2143"),
        ("mo", "1", "0.2"),
        ("a", "1", "0.0164"),
        ("", "1", "unknown"),
        ("d", "0", "unknown"),
        ("d", "-1", "unknown"),
        ("fortnight", "1", "unknown"),
        ("d", "NaN", "unknown"),
    ],
)
def test_a_period_is_in_its_unit_and_a_month_is_30_days(
    unit: str, period: str, expected: str
) -> None:
    assert expected == daily(
        dose("6", frequency=Decimal(1), period=Decimal(period), period_unit=unit)
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("QD", "2"),
        ("BID", "4"),
        ("bid", "4"),
        ("TID", "6"),
        ("QID", "8"),
        ("QOD", "1"),
        ("AM", "2"),
        ("PM", "2"),
        ("BED", "2"),
        ("HS", "2"),
        ("QHS", "2"),
        ("Q4H", "12"),
        ("Q6H", "8"),
        ("Q8H", "6"),
        ("Q12H", "4"),
        ("WK", "0.2857"),
        ("MO", "0.0667"),
        ("Q6H PRN", "unknown"),
        ("999999999", "unknown"),
        ("229797004", "2"),
    ],
)
def test_a_timing_code_alone_tells_how_often(code: str, expected: str) -> None:
    assert expected == daily(dose("2", timing_code=code))


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        ({"frequency": 1, "frequency_max": 3, "period": 1, "period_unit": "d"}, "6"),
        ({"frequency": 3, "frequency_max": 1, "period": 1, "period_unit": "d"}, "6"),
        ({"frequency": 2}, "unknown"),
        ({"frequency": 2, "period_unit": "d"}, "unknown"),
        ({"frequency": 0, "period": 1, "period_unit": "d"}, "unknown"),
        ({"period": 1, "period_unit": "d"}, "2"),
        ({"frequency": 1, "period": 1, "period_unit": "d", "timing_code": "QID"}, "2"),
        ({"frequency": 1, "period": 1, "period_unit": "d", "when": ("MORN", "EVE")}, "2"),
        ({"frequency": 1, "when": ("HS",)}, "unknown"),
        ({"when": ("HS",)}, "2"),
        ({"when": ("MORN", "HS")}, "4"),
        ({"time_of_day": ("08:00:00", "14:00:00", "20:00:00")}, "6"),
        ({"period": 1, "period_unit": "d", "when": ("MORN", "HS")}, "4"),
        (
            {
                "as_needed": True,
                "frequency": 1,
                "frequency_max": 4,
                "period": 1,
                "period_unit": "d",
            },
            "8",
        ),
        ({"as_needed": True}, "unknown"),
    ],
)
def test_the_repeat_wins_over_the_code_and_the_frequency_over_times_of_day(
    timing: dict[str, object], expected: str
) -> None:
    numbers = {k: Decimal(v) if type(v) is int else v for k, v in timing.items()}
    assert expected == daily(dose("2", **numbers))


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        ({"day_of_week": ("mon",)}, "1"),
        ({"day_of_week": ("mon", "wed", "fri")}, "3"),
        ({"day_of_week": ("mon", "MON")}, "1"),
        ({**DAY, "day_of_week": ("mon",)}, "1"),
        (
            {
                "frequency": Decimal(2),
                "period": Decimal(1),
                "period_unit": "d",
                "day_of_week": ("mon", "fri"),
            },
            "4",
        ),
        (
            {
                "frequency": Decimal(1),
                "period": Decimal(1),
                "period_unit": "wk",
                "day_of_week": ("mon",),
            },
            "1",
        ),
        (
            {
                "frequency": Decimal(1),
                "period": Decimal(1),
                "period_unit": "wk",
                "day_of_week": ("mon", "fri"),
            },
            "2",
        ),
        (
            {
                "frequency": Decimal(1),
                "period": Decimal(2),
                "period_unit": "d",
                "day_of_week": ("mon",),
            },
            "unknown",
        ),
        ({"timing_code": "BID", "day_of_week": ("mon",)}, "2"),
        ({"timing_code": "WK", "day_of_week": ("mon",)}, "1"),
        ({"when": ("MORN", "HS"), "day_of_week": ("mon",)}, "2"),
    ],
)
def test_a_dose_on_some_days_of_the_week_is_never_read_as_daily(
    timing: dict[str, object], expected: str
) -> None:
    assert expected == daily(dose("7", **timing))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("take at night", "4.5"),
        ("at bedtime", "4.5"),
        ("before bed", "4.5"),
        ("daily", "4.5"),
        ("HS", "4.5"),
        ("take 1 at bedtime", "4.5"),
        ("twice daily", "9"),
        ("as directed", "unknown"),
        ("", "unknown"),
        ("daily, may repeat", "unknown"),
        ("undaily nightfall", "unknown"),
    ],
)
def test_without_timing_a_dose_is_daily_only_where_the_text_says_so(
    text: str, expected: str
) -> None:
    assert expected == daily(dose("4.5", text=text))


@pytest.mark.parametrize(
    ("amount", "time", "expected"),
    [
        (("9", "mg"), ("1", "d"), "9"),
        (("9", "mg"), ("24", "h"), "9"),
        (("60", "mg"), ("1", "d"), "20"),
        (("3", "tablet"), ("1", "day"), "15"),
        (("7", "mg"), ("1", "wk"), "1"),
        (("9", "mg"), ("1", ""), "20"),
        (("9", "meq"), ("1", "d"), "20"),
        (("9", "mg"), ("0", "d"), "20"),
    ],
)
def test_a_maximum_per_period_caps_the_day_and_an_unreadable_one_bounds_nothing(
    amount: tuple[str, str], time: tuple[str, str], expected: str
) -> None:
    cap = (Quantity(Decimal(amount[0]), amount[1]), Quantity(Decimal(time[0]), time[1]))
    dosage = dataclasses.replace(dose("5", timing_code="QID"), max_per_period=cap)
    assert expected == daily(dosage, of=naltrexone("5"))


@pytest.mark.parametrize(
    ("words", "expected"), [((), "20"), (("at a time that nobody can read",), "unknown")]
)
def test_a_maximum_is_the_rate_of_an_as_needed_dose_only_where_no_timing_is_left_unread(
    words: tuple[str, ...], expected: str
) -> None:
    cap = (Quantity(Decimal(20), "mg"), Quantity(Decimal(1), "d"))
    bare = dataclasses.replace(dose("5"), timing_code="", frequency=None, period=None)
    dosage = dataclasses.replace(bare, as_needed=True, max_per_period=cap, timing_words=words)
    assert expected == daily(dosage, of=naltrexone("5"))


def phase(number: int | None, mg: str | None) -> Dosage:
    return dataclasses.replace(dose(mg), sequence=number)


@pytest.mark.parametrize(
    ("parts", "highest", "first", "phases"),
    [
        (((1, "1.5"), (2, "3"), (3, "4.5")), "4.5", "1.5", 3),
        (((3, "4.5"), (1, "1.5"), (2, "3")), "4.5", "1.5", 3),
        (((1, "1.5"), (1, "3")), "4.5", "4.5", 1),
        (((None, "1.5"), (None, "3")), "4.5", "4.5", 1),
        (((1, "1.5"), (1, "3"), (2, "2")), "4.5", "4.5", 2),
        (((None, "1"), (1, "1.5"), (2, "3")), "4", "2.5", 2),
        (((1, "1.5"), (2, None)), "unknown", "1.5", 2),
        (((1, None), (2, "3")), "unknown", "unknown", 2),
        (((1, "1.5"), (1, None)), "unknown", "unknown", 1),
        ((), "unknown", "unknown", 0),
    ],
)
def test_phases_take_the_highest_and_doses_of_one_phase_add(
    parts: tuple[tuple[int | None, str | None], ...], highest: str, first: str, phases: int
) -> None:
    found = compute(tuple(phase(*p) for p in parts), None)
    assert (highest, first, phases) == (
        shown(found.daily_mg),
        shown(found.first_phase_mg),
        found.phases,
    )


def test_the_known_phases_are_explained_where_another_is_unknown() -> None:
    found = compute((phase(1, "1.5"), phase(2, None)), None)
    assert (None, ("structured: 1.5 mg x 1/d = 1.5 mg/d",)) == (found.daily_mg, found.because)


def test_the_explanation_names_count_strength_and_frequency_and_no_words_of_the_order() -> None:
    dosage = dataclasses.replace(dose("1", "tablet"), text="for Jane: as directed")
    assert Dose(
        Decimal(50),
        Decimal(50),
        Decimal(50),
        Decimal(50),
        None,
        1,
        ("structured: 1 unit x 50 mg x 1/d = 50 mg/d",),
    ) == compute((dosage,), naltrexone("50"))


def test_the_ordered_dose_outranks_the_product_strength() -> None:
    assert "4.5" == daily(dose("4.5"), of=naltrexone("50"))


def test_structured_and_text_are_two_independent_readings_and_structured_wins() -> None:
    found = compute((dataclasses.replace(dose("4.5"), text="Take 45 mg at bedtime"),), naltrexone())
    assert ("4.5", "4.5", "45") == (
        shown(found.daily_mg),
        shown(found.structured_mg),
        shown(found.sig_mg),
    )


def test_the_text_fills_an_unreadable_structured_dose_and_says_so() -> None:
    found = compute(
        (dataclasses.replace(dose("1", "sachet"), text="Take 4.5 mg at bedtime"),), naltrexone()
    )
    assert ("4.5", None, True) == (
        shown(found.daily_mg),
        found.structured_mg,
        "structured: not computable, sig used" in found.because,
    )


def test_a_text_with_steps_is_no_single_phase() -> None:
    sig = Dosage(text="1.5 mg qhs, increase by 1.5 mg every 2 weeks to max 4.5 mg")
    found = compute((sig,), naltrexone())
    assert ("4.5", "1.5", 2) == (shown(found.daily_mg), shown(found.first_phase_mg), found.phases)


def test_a_text_that_repeats_the_structured_dose_adds_no_phase() -> None:
    found = compute(
        (dataclasses.replace(dose("4.5"), text="Take 4.5 mg at bedtime"),), naltrexone()
    )
    assert ("4.5", "4.5", 1) == (shown(found.structured_mg), shown(found.sig_mg), found.phases)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("1.5 mg qam", "3 mg qhs"), "4.5"),
        (("1.5 mg qhs", "1.5 mg qhs"), "unknown"),
        (("1.5 mg qam", ""), "unknown"),
    ],
)
def test_texts_of_concurrent_dosages_add_and_a_copied_or_missing_text_is_a_doubt(
    texts: tuple[str, ...], expected: str
) -> None:
    assert expected == daily(*(Dosage(text=t) for t in texts))


@pytest.mark.parametrize(
    ("mg", "expected"),
    [
        ("0", Band.UNKNOWN),
        ("0.002", Band.MICRO),
        ("0.0999", Band.MICRO),
        ("0.09999999999", Band.VLDN),
        ("0.1", Band.VLDN),
        ("0.999", Band.VLDN),
        ("0.99999999999", Band.LDN),
        ("1", Band.LDN),
        ("5", Band.LDN),
        ("5.00000000001", Band.LDN),
        ("5.0001", Band.INTERMEDIATE),
        ("49.999", Band.INTERMEDIATE),
        ("49.999999999", Band.LABELLED),
        ("50", Band.LABELLED),
        ("100", Band.LABELLED),
        ("100.00000000001", Band.LABELLED),
        ("100.01", Band.SUPRA),
    ],
)
def test_a_band_begins_and_ends_at_its_edges(mg: str, expected: Band) -> None:
    assert expected == band(Decimal(mg))


def test_an_unknown_dose_has_an_unknown_band_and_edges_come_from_the_thresholds() -> None:
    assert (Band.UNKNOWN, Band.LDN) == (band(None), band(Decimal(6), BandEdges.of({"ldn_to": 6.5})))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("4.50", "4.5"),
        (".5", "0.5"),
        ("1E+2", "100"),
        ("100", "100"),
        ("0", "0"),
        ("0.00", "0"),
        ("5E-7", "0.0000005"),
        ("0.0045", "0.0045"),
        ("21.428571428", "21.4286"),
        ("50.0", "50"),
        ("0.000002", "0.000002"),
    ],
)
def test_a_number_is_shown_without_trailing_zero_or_exponent(value: str, expected: str) -> None:
    assert expected == format_mg(Decimal(value))


def test_two_doses_are_the_same_within_a_billionth() -> None:
    one = Decimal(1)
    assert (True, False) == (same(one, Decimal("1.0000000009")), same(one, Decimal("1.00000001")))


NUMBERS = st.one_of(st.none(), st.decimals(), st.decimals(0, 1000, places=2))
UNITS = st.sampled_from(["mg", "mL", "tab", "", "x", "{pill}"])
QUANTITIES = st.one_of(st.none(), st.builds(Quantity, NUMBERS, UNITS))
ANY_DOSAGE = st.builds(
    Dosage,
    sequence=st.one_of(st.none(), st.integers(1, 3)),
    text=st.text(max_size=40),
    dose_low=QUANTITIES,
    dose_high=QUANTITIES,
    has_rate=st.booleans(),
    frequency=NUMBERS,
    frequency_max=NUMBERS,
    period=NUMBERS,
    period_unit=st.sampled_from(["d", "h", "wk", "", "?"]),
    timing_code=st.sampled_from(["", "BID", "?"]),
    when=st.sampled_from([(), ("HS",)]),
    day_of_week=st.sampled_from([(), ("mon",), ("mon", "fri")]),
    max_per_period=st.one_of(
        st.none(), st.tuples(QUANTITIES.filter(bool), QUANTITIES.filter(bool))
    ),
)
STRENGTHS = st.builds(Strength, st.decimals(), st.decimals(), st.sampled_from(["unit", "mL"]))
COMPONENTS = st.one_of(
    st.none(), STRENGTHS.map(lambda s: Component("naltrexone", "7243", Role.NTX_ORAL, s))
)
GOOD_DOSAGE = st.builds(
    lambda mg, n: phase(n, str(mg)),
    st.decimals("0.001", 500, places=3),
    st.one_of(st.none(), st.integers(1, 4)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ANY_DOSAGE, max_size=4), COMPONENTS, st.text(max_size=40))
def test_whatever_an_order_holds_its_dose_is_unknown_or_not_negative(
    dosages: list[Dosage], component: Component | None, drug_text: str
) -> None:
    found = compute(tuple(dosages), component, drug_text)
    every = (found.daily_mg, found.first_phase_mg, found.each_mg, found.structured_mg, found.sig_mg)
    assert all(mg is None or mg >= 0 for mg in every)


@settings(max_examples=60, deadline=None)
@given(st.lists(GOOD_DOSAGE, min_size=1, max_size=4), st.decimals(0, 500, places=2))
def test_another_phase_never_lowers_the_daily_dose(dosages: list[Dosage], mg: Decimal) -> None:
    before, after = (
        compute(tuple(d), None).daily_mg for d in (dosages, [*dosages, phase(9, str(mg))])
    )
    assert before is not None and after is not None and after >= before


@settings(max_examples=60, deadline=None)
@given(GOOD_DOSAGE)
def test_a_dosage_without_dose_or_without_timing_is_unknown(dosage: Dosage) -> None:
    without_dose = dataclasses.replace(dosage, dose_low=None, dose_high=None)
    without_timing = dataclasses.replace(dosage, frequency=None, period=None, period_unit="")
    assert ("unknown", "unknown") == (daily(without_dose), daily(without_timing))


@settings(max_examples=60, deadline=None)
@given(st.lists(GOOD_DOSAGE, min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_dosages_does_not_matter(dosages: list[Dosage], random: Random) -> None:
    shuffled = random.sample(dosages, len(dosages))
    as_written, shuffled_dose = compute(tuple(dosages), None), compute(tuple(shuffled), None)
    assert as_written.daily_mg == shuffled_dose.daily_mg
    assert as_written.first_phase_mg == shuffled_dose.first_phase_mg
