"""Pairs on both sides of every threshold of time (specification 2.4, 2.5) that no vignette pins.

Each expectation is worked out by hand from the text of the specification, on 2026-11-21, in whole calendar days.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.vignettes.builder import INTERACTION
from tests.vignettes.releases import Json
from tests.vignettes.situations import (
    BARE_NALTREXONE,
    BRIXADI_MONTHLY,
    BRIXADI_WEEKLY,
    BUPRENORPHINE,
    BUTORPHANOL,
    CONTRAVE,
    COUGH_SYRUP,
    EMBEDA,
    FENTANYL,
    FENTANYL_PATCH,
    IMPLANT,
    LEVORPHANOL,
    LOPERAMIDE,
    METHADONE,
    MORPHINE,
    MORPHINE_ER,
    NALTREXONE,
    OXYCODONE,
    SUBLOCADE,
    TRAMADOL,
    TRAMADOL_ER,
    VIVITROL,
    Answered,
    Product,
    active,
    ago,
    capsule,
    card,
    dispensed,
    everywhere,
    finished,
    given,
    indicator,
    injected,
    listed,
    naltrexone,
    opioid,
    oral,
    situation,
)

# 2.5 table A: naltrexone is drafted and an opioid has ended -------------------------------------------------------

Row = tuple[str, Product, int, str]


def by_name(rows: list[Row]) -> list[Any]:
    """Rows of name, product, days and severity as parameters with readable ids."""
    return [pytest.param(*row[1:], id=f"{row[0]}-{row[2]}") for row in rows]


WASHOUT: list[Row] = [
    (name, product, days, severity)
    for name, product in {"FULL_SA": OXYCODONE, "DUAL": TRAMADOL, "MIXED": BUTORPHANOL}.items()
    for days, severity in {
        0: "critical",
        6: "critical",
        7: "warning",
        9: "warning",
        10: "none",
    }.items()
]
WASHOUT += [
    (name, product, days, severity)
    for name, product in {
        "ER": MORPHINE_ER,
        "dual ER": TRAMADOL_ER,
        "patch": FENTANYL_PATCH,
        "Embeda": EMBEDA,
        "levorphanol": LEVORPHANOL,
        "METHADONE": METHADONE,
        "BUP": BUPRENORPHINE,
    }.items()
    for days, severity in {10: "critical", 13: "critical", 14: "none"}.items()
]
WASHOUT += [
    ("ANTITUSSIVE", COUGH_SYRUP, days, severity)
    for days, severity in {0: "warning", 6: "warning", 7: "info", 9: "info", 10: "none"}.items()
]
WASHOUT += [("PERIPH", LOPERAMIDE, 0, "none")]


@everywhere
@pytest.mark.parametrize(("product", "days", "severity"), by_name(WASHOUT))
def test_opioid_free_days_before_naltrexone(
    product: Product, days: int, severity: str, release: str, answered: Answered
) -> None:
    """Short-acting: under 7 days critical, 7-9 warning, 10 silent; long-acting: under 14 critical, 14 silent."""
    case = situation([naltrexone()], [finished(product, days)])
    assert severity == indicator(answered, case, INTERACTION, release)


@everywhere
@pytest.mark.parametrize(
    ("med", "severity"),
    [
        (finished(OXYCODONE, 6, course=3), "warning"),
        (finished(OXYCODONE, 7, course=3), "none"),
        (finished(OXYCODONE, 6, course=4), "critical"),
        (finished(OXYCODONE, 7, course=4), "warning"),
        (finished(TRAMADOL, 6, course=3), "warning"),
        (finished(BUTORPHANOL, 6, course=3), "warning"),
        (finished(MORPHINE_ER, 13, course=3), "critical"),
    ],
)
def test_a_course_is_brief_up_to_three_days(
    med: Json, severity: str, release: str, answered: Answered
) -> None:
    """A course of 3 days warns for under 7 days, one of 4 days is no longer brief, and long-acting never is."""
    assert severity == indicator(answered, situation([naltrexone()], [med]), INTERACTION, release)


@everywhere
@pytest.mark.parametrize(
    ("facts", "severity"),
    [
        ({"hours_ago": 23.9}, "critical"),
        ({"hours_ago": 24}, "warning"),
        ({"given_at": "2026-11-15T00:01:00Z"}, "warning"),
        ({"given_at": "2026-11-14T23:59:00Z"}, "none"),
    ],
)
def test_an_administered_opioid_is_current_for_24_hours_then_brief(
    facts: Json, severity: str, release: str, answered: Answered
) -> None:
    """Under 24 h by the clock critical; warning on calendar days 1-6; silent on day 7 after 6.5 x 24 h."""
    case = situation([naltrexone()], [given(FENTANYL, **facts)])
    assert severity == indicator(answered, case, INTERACTION, release)


def test_an_administration_within_a_long_course_is_not_brief(answered: Answered) -> None:
    """Brief means administrations alone: given 6 days ago at the end of a 100-day course, oxycodone is critical."""
    course, dose = finished(OXYCODONE, 9), given(OXYCODONE, given_at="2026-11-15T09:00:00Z")
    assert "warning" == indicator(answered, situation([naltrexone()], [dose]), INTERACTION)
    assert "warning" == indicator(answered, situation([naltrexone()], [course]), INTERACTION)
    assert "critical" == indicator(answered, situation([naltrexone()], [course, dose]), INTERACTION)


@pytest.mark.parametrize(
    ("others", "more"),
    [
        ([], ""),
        ([{**listed(OXYCODONE), "id": "m-2"}], ""),
        ([{**listed(MORPHINE), "id": "m-2"}], "(+1 more)"),
        ([{**listed(MORPHINE), "id": "m-2"}, {**listed(METHADONE), "id": "m-3"}], "(+2 more)"),
    ],
)
def test_several_opioids_are_counted_by_ingredient_and_all_listed(
    others: list[Json], more: str, answered: Answered
) -> None:
    """2.6: the worst is named with (+N more), N further distinct ingredients; the detail lists every one."""
    found = card(answered, situation([naltrexone()], [listed(OXYCODONE), *others]), INTERACTION)
    assert found is not None
    names = {med["drug_text"].split()[0] for med in (listed(OXYCODONE), *others)}
    assert (more != "", True) == ("more)" in found.words, more in found.words)
    assert names == {name for name in names if name in found.words}


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (situation([naltrexone()], [finished(OXYCODONE, 7)]), "oxycodone ended 7 days ago"),
        (
            situation([opioid()], [finished(NALTREXONE, 2, **oral(50))]),
            "naltrexone stopped 2 days ago",
        ),
    ],
)
def test_the_number_of_days_is_told(case: Json, words: str, answered: Answered) -> None:
    """5.3: the day counts behind a card stand in its summary."""
    found = card(answered, case, INTERACTION)
    assert found is not None
    assert words in found.words


DEPOTS: list[Row] = [
    ("monthly", SUBLOCADE, 41, "critical"),
    ("monthly", SUBLOCADE, 42, "warning"),
    ("monthly", SUBLOCADE, 180, "warning"),
    ("monthly", SUBLOCADE, 181, "none"),
    ("Brixadi monthly", BRIXADI_MONTHLY, 41, "critical"),
    ("Brixadi monthly", BRIXADI_MONTHLY, 42, "warning"),
    ("weekly", BRIXADI_WEEKLY, 20, "critical"),
    ("weekly", BRIXADI_WEEKLY, 21, "warning"),
    ("weekly", BRIXADI_WEEKLY, 60, "warning"),
    ("weekly", BRIXADI_WEEKLY, 61, "none"),
    ("implant", IMPLANT, 193, "critical"),
    ("implant", IMPLANT, 194, "warning"),
    ("implant", IMPLANT, 360, "warning"),
    ("implant", IMPLANT, 361, "none"),
]


@everywhere
@pytest.mark.parametrize(("product", "days", "severity"), by_name(DEPOTS))
def test_depot_buprenorphine_counts_from_the_end_of_its_interval(
    product: Product, days: int, severity: str, release: str, answered: Answered
) -> None:
    """Interval (28, 7 or 180 d) + 13 d critical, then a warning: monthly to 180 d, weekly to 60 d since the last dose,
    an implant without a recorded removal to 180 d after its interval."""
    case = situation([naltrexone()], [injected(product, days, status="stopped")])
    assert severity == indicator(answered, case, INTERACTION, release)


@pytest.mark.parametrize(
    ("days", "severity"), [(41, "critical"), (42, "warning"), (180, "warning"), (181, "none")]
)
def test_a_held_depot_counts_too(days: int, severity: str, answered: Answered) -> None:
    """On hold, a depot is judged by its last dose like any other."""
    case = situation([naltrexone()], [injected(SUBLOCADE, days, status="on-hold")])
    assert severity == indicator(answered, case, INTERACTION)


ON_HOLD, OUT_OF_DATE = (
    {"status": "on-hold", "supply_days": 30},
    {"status": "active", "authoredOn": ago(400)},
)


@pytest.mark.parametrize(
    ("product", "facts", "severity"),
    [
        (OXYCODONE, {**ON_HOLD, "authoredOn": ago(6)}, "critical"),
        (OXYCODONE, {**ON_HOLD, "authoredOn": ago(7)}, "warning"),
        (METHADONE, {**ON_HOLD, "authoredOn": ago(13)}, "critical"),
        (METHADONE, {**ON_HOLD, "authoredOn": ago(14)}, "warning"),
        (COUGH_SYRUP, {**ON_HOLD, "authoredOn": ago(40)}, "warning"),
        (LOPERAMIDE, {**ON_HOLD, "authoredOn": ago(1)}, "none"),
        (OXYCODONE, OUT_OF_DATE, "warning"),
        (METHADONE, OUT_OF_DATE, "warning"),
        (COUGH_SYRUP, OUT_OF_DATE, "info"),
        (LOPERAMIDE, OUT_OF_DATE, "none"),
    ],
)
def test_held_is_never_milder_than_stopped_and_stale_still_warns(
    product: Product, facts: Json, severity: str, answered: Answered
) -> None:
    """Table A, columns HELD and STALE: by the newest evidence of use, at least a warning for systemic opioids."""
    assert severity == indicator(
        answered, situation([naltrexone()], [listed(product, **facts)]), INTERACTION
    )


@pytest.mark.parametrize(("days", "severity"), [(6, "warning"), (7, "warning"), (10, "none")])
def test_microgram_naltrexone_caps_critical_at_warning(
    days: int, severity: str, answered: Answered
) -> None:
    """2.5: the MICRO band never raises a critical interaction and is never silent where LDN would warn."""
    assert severity == indicator(
        answered, situation([naltrexone(0.0999)], [finished(OXYCODONE, days)]), INTERACTION
    )


@pytest.mark.parametrize(("mg", "severity"), [(0.0999, "warning"), (0.1, "critical")])
def test_microgram_ends_below_a_tenth_of_a_milligram(
    mg: float, severity: str, answered: Answered
) -> None:
    """2.3: 0.1 mg/day is already VLDN, so oxycodone on the list is critical."""
    assert severity == indicator(
        answered, situation([naltrexone(mg)], [listed(OXYCODONE)]), INTERACTION
    )


# 2.5 table B: an opioid is drafted and naltrexone is listed -------------------------------------------------------

AFTER = [
    (mg, days, severity)
    for mg in (0.5, 4.5, 25, 49.99)
    for days, severity in {0: "warning", 2: "warning", 3: "none"}.items()
]
AFTER += [
    (mg, days, severity)
    for mg in (50, 100, 100.1)
    for days, severity in {2: "warning", 3: "info", 13: "info", 14: "none"}.items()
]
AFTER += [(0.0999, 0, "none")]


@everywhere
@pytest.mark.parametrize(("mg", "days", "severity"), AFTER)
def test_days_after_oral_naltrexone_before_an_opioid(
    mg: float, days: int, severity: str, release: str, answered: Answered
) -> None:
    """Under 3 days warning; from 3 to 13 days a tolerance notice for 50 mg/day and more only; microgram never."""
    product = capsule(mg) if mg < 50 else NALTREXONE
    case = situation([opioid()], [finished(product, days, **oral(mg))])
    assert severity == indicator(answered, case, INTERACTION, release)


@pytest.mark.parametrize(
    ("product", "days", "severity"),
    [
        (CONTRAVE, 2, "warning"),
        (CONTRAVE, 3, "info"),
        (CONTRAVE, 13, "info"),
        (CONTRAVE, 14, "none"),
        (BARE_NALTREXONE, 2, "warning"),
        (BARE_NALTREXONE, 3, "info"),
        (BARE_NALTREXONE, 14, "none"),
    ],
)
def test_contrave_and_an_unknown_dose_get_the_tolerance_notice(
    product: Product, days: int, severity: str, answered: Answered
) -> None:
    """Table B: the 3-13 day notice of LABELLED and SUPRA holds for Contrave and an unread dose too."""
    assert severity == indicator(
        answered, situation([opioid()], [finished(product, days)]), INTERACTION
    )


XR = [
    ("completed", 30, "critical"),
    ("completed", 31, "warning"),
    ("completed", 60, "warning"),
    ("completed", 61, "none"),
    ("on-hold", 30, "critical"),
    ("on-hold", 31, "warning"),
    ("active", 30, "critical"),
    ("active", 31, "warning"),
    ("active", 60, "warning"),
    ("active", 61, "warning"),
]


@everywhere
@pytest.mark.parametrize(("status", "days", "severity"), XR)
def test_days_after_injected_naltrexone_before_an_opioid(
    status: str, days: int, severity: str, release: str, answered: Answered
) -> None:
    """Whatever the status, the last dose decides: 30 d critical, 31-60 d warning; later silent only if finished."""
    case = situation([opioid()], [injected(VIVITROL, days, status=status)])
    assert severity == indicator(answered, case, INTERACTION, release)


@pytest.mark.parametrize(
    ("draft", "med", "severity"),
    [
        (COUGH_SYRUP, finished(NALTREXONE, 2, **oral(50)), "warning"),
        (COUGH_SYRUP, finished(NALTREXONE, 3, **oral(50)), "none"),
        (COUGH_SYRUP, injected(VIVITROL, 30), "warning"),
        (COUGH_SYRUP, injected(VIVITROL, 31), "warning"),
        (COUGH_SYRUP, injected(VIVITROL, 61), "none"),
        (LOPERAMIDE, listed(NALTREXONE, **oral(50)), "info"),
        (LOPERAMIDE, listed(NALTREXONE, status="on-hold", authoredOn=ago(10), **oral(50)), "none"),
        (LOPERAMIDE, injected(VIVITROL, 30), "none"),
        (LOPERAMIDE, active(NALTREXONE, 366, **oral(50)), "none"),
    ],
)
def test_cough_syrup_warns_at_most_and_loperamide_informs_only_now(
    draft: Product, med: Json, severity: str, answered: Answered
) -> None:
    """ANTITUSSIVE: capped at warning, no tolerance notice. PERIPH: info, only beside current naltrexone."""
    assert severity == indicator(answered, situation([opioid(draft)], [med]), INTERACTION)


@pytest.mark.parametrize(("mg", "severity"), [(0.0999, "none"), (0.1, "warning")])
def test_held_microgram_naltrexone_is_silent(mg: float, severity: str, answered: Answered) -> None:
    """Table B, MICRO, HELD: none; from 0.1 mg/day on a warning."""
    med = listed(capsule(mg), status="on-hold", authoredOn=ago(10), **oral(mg))
    assert severity == indicator(answered, situation([opioid()], [med]), INTERACTION)


@everywhere
@pytest.mark.parametrize(("hours", "severity"), [(23.9, "critical"), (24, "warning")])
def test_administered_naltrexone_is_current_for_24_hours(
    hours: float, severity: str, release: str, answered: Answered
) -> None:
    """2.4: given under 24 h ago is CURRENT, then it ended yesterday."""
    case = situation([opioid()], [given(NALTREXONE, hours_ago=hours)])
    assert severity == indicator(answered, case, INTERACTION, release)


# 2.4: stale entries, dispenses, undated ones ----------------------------------------------------------------------

STALE = {
    "supply ended 30 d ago": ({"authored": 60, "supply_days": 30}, "critical"),
    "supply ended 31 d ago": ({"authored": 61, "supply_days": 30}, "warning"),
    "refills ended 30 d ago": ({"authored": 120, "supply_days": 30, "refills": 2}, "critical"),
    "refills ended 31 d ago": ({"authored": 121, "supply_days": 30, "refills": 2}, "warning"),
    "no end, 365 d": ({"authored": 365}, "critical"),
    "no end, 366 d": ({"authored": 366}, "warning"),
}


@everywhere
@pytest.mark.parametrize(("facts", "severity"), list(STALE.values()), ids=list(STALE))
def test_an_active_entry_goes_stale(
    facts: Json, severity: str, release: str, answered: Answered
) -> None:
    """Active is CURRENT up to 30 d after the supply ended, or 365 d after it was written without an end; then STALE."""
    case = situation([naltrexone()], [active(OXYCODONE, **facts)])
    assert severity == indicator(answered, case, INTERACTION, release)
    case = situation([opioid()], [active(NALTREXONE, **facts, **oral(50))])
    assert severity == indicator(answered, case, INTERACTION, release)


@pytest.mark.parametrize("release", ["STU3", "R4", "R5"])
@pytest.mark.parametrize(("days", "severity"), [(30, "critical"), (31, "warning")])
def test_an_active_entry_whose_period_ended_goes_stale(
    days: int, severity: str, release: str, answered: Answered
) -> None:
    """The end of ``boundsPeriod`` counts before any supply: active, but ended 31 d ago, is STALE."""
    med = active(OXYCODONE, 100, end=ago(days), supply_days=90)
    assert severity == indicator(answered, situation([naltrexone()], [med]), INTERACTION, release)


@everywhere
@pytest.mark.parametrize(
    ("days", "facts", "severity"),
    [
        (30, {}, "critical"),
        (31, {}, "warning"),
        (90, {}, "warning"),
        (91, {}, "none"),
        (13, {"supply_days": 7}, "critical"),
        (16, {"supply_days": 7}, "warning"),
        (17, {"supply_days": 7}, "none"),
    ],
)
def test_a_dispense_lasts_as_long_as_its_supply(
    days: int, facts: Json, severity: str, release: str, answered: Answered
) -> None:
    """Hand-over + days supply is the end; without days supply CURRENT for 30 d and HELD to 90 d."""
    case = situation([naltrexone()], [dispensed(OXYCODONE, days, **facts)])
    assert severity == indicator(answered, case, INTERACTION, release)


BORROWED = [(14, "warning"), (15, "none")]


@everywhere
@pytest.mark.parametrize(("days", "severity"), BORROWED)
def test_a_dispense_borrows_the_supply_of_its_order(
    days: int, severity: str, release: str, answered: Answered
) -> None:
    """A 5-day order, completed: its dispense without days of supply ended 9 d ago (warning) or 10 d ago (silent)."""
    order = listed(OXYCODONE, status="completed", authoredOn=ago(days), supply_days=5)
    case = situation([naltrexone()], [order, dispensed(OXYCODONE, days)])
    assert severity == indicator(answered, case, INTERACTION, release)


@pytest.mark.parametrize("release", ["STU3", "R4", "R5"])
@pytest.mark.parametrize(("days", "severity"), BORROWED)
def test_a_dispense_borrows_the_supply_of_its_cancelled_order(
    days: int, severity: str, release: str, answered: Answered
) -> None:
    """Cancelled after hand-over, the order is no exposure, but still says how long the dispense lasts."""
    order = listed(OXYCODONE, status="cancelled", authoredOn=ago(days), supply_days=5)
    case = situation([naltrexone()], [order, dispensed(OXYCODONE, days)])
    assert severity == indicator(answered, case, INTERACTION, release)


@everywhere
@pytest.mark.parametrize("status", ["stopped", "completed"])
def test_a_finished_order_without_any_date_is_held(
    status: str, release: str, answered: Answered
) -> None:
    """Never ignored: the last dose is to be confirmed."""
    found = card(
        answered,
        situation([naltrexone()], [listed(OXYCODONE, status=status)]),
        INTERACTION,
        release,
    )
    assert found is not None
    assert ("warning", True) == (found.indicator, "last dose" in found.words)


@everywhere
@pytest.mark.parametrize(("days", "severity"), [(6, "critical"), (9, "warning"), (10, "none")])
def test_a_completed_statement_counts_from_its_effective_period(
    days: int, severity: str, release: str, answered: Answered
) -> None:
    """Patient-reported use that ended counts like an order; R5 says it by adherence."""
    med = {**finished(OXYCODONE, days), "source": "MedicationStatement", "status": "completed"}
    assert severity == indicator(answered, situation([naltrexone()], [med]), INTERACTION, release)


def test_a_labelled_product_without_a_dose_keeps_the_tolerance_notice(answered: Answered) -> None:
    """Removing the dose from an order never lowers the indicator: a 50 mg tablet may have been a labelled dose."""
    assert "info" == indicator(
        answered, situation([opioid()], [finished(NALTREXONE, 3)]), INTERACTION
    )
