"""Free text becomes mg per day only where it says one thing clearly."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from cds_service.dosing.sig import SigReading, format_mg, read_rate, read_sig
from cds_service.model import Strength


def each(mg: str) -> Strength:
    return Strength(Decimal(mg))


def per_ml(mg: str, ml: str = "1") -> Strength:
    return Strength(Decimal(mg), Decimal(ml), "mL")


def shown(mg: Decimal | None) -> str:
    return "unknown" if mg is None else format_mg(mg)


NUMBERS = [
    ("4.5 mg nightly", None, "4.5"),
    ("take .5mg qhs", None, "0.5"),
    ("take .5mg.", None, "unknown"),
    ("4,5 mg qd", None, "4.5"),
    ("1,000 mcg daily", None, "1"),
    ("0,500 mg daily", None, "0.5"),
    ("Take 4.5 µg at bedtime", None, "0.0045"),
    ("Take 4.5 μg at bedtime", None, "0.0045"),
    ("4.5 milligrams nightly", None, "4.5"),
    ("0.05 g daily", None, "50"),
    ("500 ng daily", None, "0.0005"),
    ("500 micrograms twice daily", None, "1"),
    ("half tablet daily", each("50"), "25"),
    ("take one-half of a tablet daily", each("50"), "25"),
    ("1/2 tab qd", each("50"), "25"),
    ("½ tablet daily", each("50"), "25"),
    ("1 1/2 tablets daily", each("50"), "75"),
    ("1½ tabs qd", each("50"), "75"),
    ("1-1/2 tabs bid", each("1"), "3"),
    ("one and a half tablets daily", each("50"), "75"),
    ("Take one (1) tablet by mouth daily", each("50"), "50"),
    ("two capsules nightly", each("1.5"), "3"),
    ("1/2 to 1 tablet daily", each("50"), "50"),
    ("4.5.5 mg nightly", None, "unknown"),
]

TIMES = [
    ("2 mg daily", "2"),
    ("2 mg qd", "2"),
    ("2 mg once daily", "2"),
    ("2 mg every day", "2"),
    ("2 mg per day", "2"),
    ("2 mg/day", "2"),
    ("2 mg q.h.s.", "2"),
    ("2 mg hs", "2"),
    ("2 mg at bedtime", "2"),
    ("2 mg nightly", "2"),
    ("2 mg at night", "2"),
    ("2 mg in the morning", "2"),
    ("2 mg each evening", "2"),
    ("2 mg daily at bedtime", "2"),
    ("2 mg bid", "4"),
    ("2 mg b.i.d.", "4"),
    ("2 mg twice daily", "4"),
    ("2 mg twice a day", "4"),
    ("2 mg 2x/day", "4"),
    ("2 mg x2 daily", "4"),
    ("2 mg 2 time(s) a day", "4"),
    ("2 mg 2 (two) times daily", "4"),
    ("2 mg in the morning and at bedtime", "4"),
    ("2 mg twice daily in the morning and at bedtime", "4"),
    ("2 mg tid", "6"),
    ("2 mg three times daily", "6"),
    ("2 mg 2-3 times daily", "6"),
    ("2 mg up to 3 times daily", "6"),
    ("2 mg qid", "8"),
    ("2 mg q6h", "8"),
    ("2 mg every 6 hours", "8"),
    ("2 mg every 6 (six) hours", "8"),
    ("2 mg every 4-6 hours", "12"),
    ("2 mg q4-6h prn", "12"),
    ("2 mg every 4 to 6 hours as needed", "12"),
    ("2 mg qod", "1"),
    ("2 mg every other day", "1"),
    ("3 mg every third day", "1"),
    ("3 mg q3d", "1"),
    ("3 mg every 72 hours", "1"),
    ("7 mg weekly", "1"),
    ("7 mg once a week", "1"),
    ("28 mg every 4 weeks", "1"),
    ("30 mg monthly", "1"),
    ("twice a day take 2 mg", "4"),
    ("2 mg nightly at 9 pm", "2"),
    ("2 mg in the evening at bedtime", "2"),
    ("2 mg with dinner", "2"),
]

DOSES = [
    ("1 tablet or 2 tablets nightly", each("5"), "10"),
    ("0.5 to 1 mg twice daily", None, "2"),
    ("0.5 mg or 1 mg nightly", None, "1"),
    ("1-2 caps qhs", each("1.5"), "3"),
    ("one to two tablets at bedtime", each("1.5"), "3"),
    ("1 or 2 tablets nightly", each("5"), "10"),
    ("LDN protocol: take 50 mg at bedtime", None, "50"),
    ("150 mg every third day", None, "50"),
    ("Take 4.5 mL at bedtime", per_ml("1"), "4.5"),
    ("10 mL q6h PRN cough", per_ml("10", "5"), "80"),
    ("Take 4.5 mL at bedtime", None, "unknown"),
    ("Take 4.5 mL at bedtime", each("1"), "unknown"),
    ("Take 3 capsules at bedtime", per_ml("1"), "unknown"),
    ("Take 3 capsules at bedtime", None, "unknown"),
    ("4.5 mL of 1 mg/mL solution nightly", None, "4.5"),
    ("Take 4.5 mL (1 mg/mL) nightly", per_ml("2"), "unknown"),
    ("Take 1 tablet by mouth every 6 hours as needed for pain", each("5"), "20"),
    ("Take 1 tablet (50 mg total) by mouth daily.", each("50"), "50"),
    ("1 tablet (50 mg) daily", None, "50"),
    ("Take 2 capsules (1.5 mg) at bedtime", each("1.5"), "3"),
    ("Take 2 capsules (1.5 mg) qhs", None, "unknown"),
    ("Take 2 capsules (4 mg) qhs", each("1.5"), "unknown"),
    ("Take 4.5 mg (4.5 mL) nightly", per_ml("1"), "4.5"),
    ("take three 1.5 mg capsules at bedtime", None, "4.5"),
    ("Naltrexone 50 mg tablet daily", None, "50"),
    ("1.5 mg capsule, take 3 capsules at bedtime", None, "4.5"),
    ("2 x 1.5 mg nightly", None, "3"),
    ("4.5 mg from 50 mg tablet nightly", each("50"), "4.5"),
    ("1.5 mg capsules at bedtime", None, "unknown"),
    ("take 2 of the 1.5 mg capsules nightly", None, "unknown"),
    ("apply 1 patch every 72 hours", each("3"), "1"),
    ("1.5 mg in the morning and 3 mg at bedtime", None, "4.5"),
    ("1.5 mg qam and 3 mg qhs", None, "4.5"),
    ("1.5 mg in the morning, 3 mg at bedtime", None, "unknown"),
    ("4.5 mg in the morning and tylenol 500 mg at bedtime", None, "unknown"),
    ("4.5 mg in the morning and 500 mg of tylenol at bedtime", None, "unknown"),
]

LIMITS = [
    ("1.5 mg q4h prn max 4.5 mg", None, "4.5"),
    ("5 mg q4h, max 20 mg in 24 hours", None, "20"),
    ("max daily dose 4.5 mg; 1.5 mg q4h", None, "4.5"),
    ("5 mg q6h prn, max 60 mg per day", None, "20"),
    ("1-2 tablets q4h prn, do not exceed 3 tablets per day", each("5"), "15"),
    ("up to 4.5 mg nightly", None, "4.5"),
    ("5 mg q6h up to 15 mg per day", None, "15"),
    ("1.5 mg nightly, max 4.5 mg", None, "1.5"),
]

NO_DOSE = [
    "1.5 mg in the morning, 1.5 mg at bedtime",
    "1.5 mg qam for 14 days and 3 mg qhs",
    "1 mg, 2 mg nightly",
    "for 7 days",
    "x 14 days",
    "#30",
    "refill 2",
    "take with 8 oz water",
    "in 24 hours",
    "take 4.5 mg in 24 hours",
    "take 4.5 mg for 7 days",
    "take 4.5 mg x 14 days",
    "take 4.5 mg #30",
    "take 4.5 mg, refill 2",
    "4.5 mg",
    "daily",
    "",
    "take 1",
    "take 1 with water",
    "refill 1 daily",
    "take as directed",
    "4.5 mg as needed",
    "take 2 sprays daily",
    "0.1 mg/kg daily",
    "7 day course 4.5 mg",
    "take for a 30 day course 4.5 mg",
    "25 mcg/hr patch every 72 hours",
    "3 mg Mon Wed Fri",
    "4.5 mg 5 days a week",
    "5-325 mg q6h",
    "take 9 mg daily in 2 divided doses",
    "1 tablet daily, may repeat once",
    "4.5 mg bid or q8h",
    "Do not take 50 mg daily",
    "stop oxycodone 5 mg bid",
    "take with tylenol 500 mg twice daily",
    "max 4.5 mg nightly",
    "4.5 mg nightly 50 mg weekly",
    "take 4.5 mg for sleep",
    "4.5 mg twice daily every 4 hours",
    "1 mg0 daily",
]

HARMLESS = [
    "take 4.5 mg nightly for 7 days",
    "take 4.5 mg nightly x 14 days #30 refill 2",
    "4.5 mg with 8 oz water at bedtime",
    "4.5 mg nightly, dispense 30 capsules, 2 refills",
    "Do not take opioids. Take 4.5 mg nightly",
    "4.5 MG PO QHS PRN",
    "Take 4.5 mg 30 minutes before bedtime",
    "4.5 mg nightly for pain 7-10",
    "4.5 mg nightly to reduce cravings",
    "Take 4.5 mg nightly for a 30 day course",
    "4.5 mg qhs for 3 months then stop",
]

PHASES = [
    ("1.5 mg qhs, increase by 1.5 mg every 2 weeks to max 4.5 mg", None, "4.5", "1.5"),
    ("Titrate: 1.5 mg qhs, increase by 1.5 mg q2wk to max 4.5 mg", None, "4.5", "1.5"),
    (
        "1.5 mg nightly. Increase by 1.5 mg every 14 days as tolerated up to 4.5 mg nightly",
        None,
        "4.5",
        "1.5",
    ),
    ("start 1.5 mg nightly, max 4.5 mg", None, "4.5", "1.5"),
    ("1.5 mg qhs, target 4.5 mg", None, "4.5", "1.5"),
    ("1.5 mg nightly, increase to 3 mg after 2 weeks", None, "3", "1.5"),
    ("1.5 mg qhs for 14 days, then 3 mg qhs for 14 days, then 4.5 mg qhs", None, "4.5", "1.5"),
    ("1.5 mg x 2 weeks then 3 mg x 2 weeks then 4.5 mg at bedtime", None, "4.5", "1.5"),
    ("1.5 mg for 2 weeks, 3 mg for 2 weeks, 4.5 mg thereafter nightly", None, "4.5", "1.5"),
    ("Week 1: 1.5 mg nightly; Week 2: 3 mg nightly; Weeks 3-4: 4.5 mg nightly", None, "4.5", "1.5"),
    (
        "1 capsule nightly for 2 weeks, then increase to 2 capsules nightly, then 3 capsules nightly",
        each("1.5"),
        "4.5",
        "1.5",
    ),
    ("50 mg daily for 7 days then decrease to 25 mg daily", None, "50", "50"),
    ("1.5 mg nightly, titrate as tolerated", None, "unknown", "1.5"),
    ("1.5 mg nightly, increase by 1.5 mg weekly", None, "unknown", "1.5"),
    ("0.5 mg bid, increase by 0.5 mg weekly to max 2 mg", None, "unknown", "1"),
    ("1.5 mg nightly, increase to 4.5 mg every 2 weeks", None, "unknown", "1.5"),
]


@pytest.mark.parametrize(("text", "strength", "expected"), NUMBERS)
def test_a_number_is_read_as_people_write_it(
    text: str, strength: Strength | None, expected: str
) -> None:
    assert expected == shown(read_sig(text, strength).daily_mg)


@pytest.mark.parametrize(("text", "expected"), TIMES)
def test_a_frequency_is_read_as_people_write_it_and_a_range_gives_the_most_doses(
    text: str, expected: str
) -> None:
    assert expected == shown(read_sig(text, None).daily_mg)


@pytest.mark.parametrize(("text", "strength", "expected"), DOSES)
def test_a_dose_is_a_mass_or_a_count_times_a_strength_that_fits_it(
    text: str, strength: Strength | None, expected: str
) -> None:
    assert expected == shown(read_sig(text, strength).daily_mg)


COUNTS = [
    ("1 po qhs", each("4.5"), "4.5"),
    ("take 1 daily", each("50"), "50"),
    ("one at night", each("4.5"), "4.5"),
    ("1/2 po daily", each("50"), "25"),
    ("1-2 po q6h prn", each("5"), "40"),
    ("Take 1 in the morning and 2 at bedtime", each("1.5"), "4.5"),
    ("1 nightly x 14 days, then 2 nightly", each("1.5"), "3"),
    ("3 qhs", each("1.5"), "4.5"),
    ("3 qhs", each("3"), "unknown"),  # 3 mg or three capsules
    ("2 daily", None, "unknown"),
    ("1 po qhs", None, "unknown"),
    ("1 daily", Strength(Decimal(1), Decimal(1), "mL"), "unknown"),
    ("45 daily", each("4.5"), "unknown"),
]


@pytest.mark.parametrize(("text", "strength", "expected"), COUNTS)
def test_a_number_alone_counts_what_is_dispensed_where_a_route_or_frequency_follows(
    text: str, strength: Strength | None, expected: str
) -> None:
    assert expected == shown(read_sig(text, strength).daily_mg)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dissolve 1 tablet in 50 mL water, take 4.5 mL (4.5 mg) at bedtime", "4.5"),
        ("Dissolve 50 mg in 50 mL of distilled water; take 3 mL nightly", "3"),
        ("crush and mix 50 mg tablet in 100 mL water, take 2 mL at bedtime", "1"),
        ("dissolve 1 tablet in 50 mL water, take 3 mL at bedtime", "unknown"),
    ],
)
def test_what_is_made_up_with_water_is_no_dose(text: str, expected: str) -> None:
    assert expected == shown(read_sig(text, None).daily_mg)


@pytest.mark.parametrize(("text", "strength", "expected"), LIMITS)
def test_a_stated_maximum_caps_the_day(text: str, strength: Strength | None, expected: str) -> None:
    assert expected == shown(read_sig(text, strength).daily_mg)


@pytest.mark.parametrize("text", NO_DOSE)
def test_what_leaves_a_doubt_is_unknown(text: str) -> None:
    assert None is read_sig(text, Strength(Decimal(50))).daily_mg


@pytest.mark.parametrize("text", HARMLESS)
def test_durations_quantities_and_drinks_change_no_dose(text: str) -> None:
    assert "4.5" == shown(read_sig(text, None).daily_mg)


@pytest.mark.parametrize(("text", "strength", "highest", "first"), PHASES)
def test_a_schedule_counts_its_highest_phase_and_tells_the_first(
    text: str, strength: Strength | None, highest: str, first: str
) -> None:
    reading = read_sig(text, strength)
    assert (highest, first) == (shown(reading.daily_mg), shown(reading.first_phase_mg))


def test_one_dose_is_told_even_where_its_frequency_is_missing() -> None:
    assert SigReading(each_mg=Decimal("4.5")) == read_sig("take 4.5 mg", None)


def test_the_explanation_holds_numbers_and_no_words_of_the_order() -> None:
    assert ("sig: 4.5 mg x 2/d = 9 mg/d",) == read_sig(
        "Jane takes 4.5 mg twice daily", None
    ).because


def test_a_frequency_alone_can_be_read() -> None:
    texts = (
        "at bedtime",
        "one tablet twice daily",
        "morning and at bedtime",
        "as directed",
        "bid or q4h",
    )
    rates = [read_rate(text) for text in texts]
    assert ["1/d", "2/d", "2/d", "None", "None"] == [str(rate) for rate in rates]


@pytest.mark.parametrize(
    "hostile",
    [
        "1",
        "1,",
        "a.",
        "every 1-",
        "1 to ",
        "1 mg ",
        "(",
        " ",
        "max ",
        "1/2 ",
        ".5",
        "half ",
        "1 (1) ",
        "½",
        "ﷺ",
        "\u0000",
        "'",
        "q1-1",
        "１",
        "٤ mg ",
        "²",
    ],
)
def test_a_megabyte_of_hostile_text_is_read_in_a_moment(hostile: str) -> None:
    began = time.perf_counter()
    read_sig(hostile * (1_000_000 // len(hostile)), Strength(Decimal(1)))
    assert time.perf_counter() - began < 1.0


def test_text_behind_the_first_2000_characters_is_not_read() -> None:
    assert "4.5" == shown(read_sig("4.5 mg nightly." + " " * 2000 + "50 mg weekly", None).daily_mg)
