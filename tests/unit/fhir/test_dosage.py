"""One dosage of any release and country, from FHIR to mg per day."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal
from typing import Any

import pytest

from cds_service.dosing.structured import compute, format_mg
from cds_service.fhir.dates import read_days
from cds_service.fhir.dosage import read_dosages
from cds_service.fhir.values import as_decimal
from cds_service.model import Component, Role, Strength

DAILY = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
UCUM = "http://unitsofmeasure.org"
JAMI = "urn:oid:1.2.392.200250.2.2.20.20"


def mg(value: float, **more: object) -> dict[str, Any]:
    return {"doseQuantity": {"value": value, "unit": "mg"}, **more}


def kind(code: str) -> dict[str, Any]:
    return {
        "type": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/dose-rate-type", "code": code}
            ]
        }
    }


def daily(*items: dict[str, Any], strength: str = "4.5", ingredient: str = "naltrexone") -> str:
    component = Component(ingredient, "", Role.NTX_ORAL, Strength(Decimal(strength)))
    found = compute(read_dosages({"dosageInstruction": list(items)}, UTC), component).daily_mg
    return "unknown" if found is None else format_mg(found)


def coded(*codings: dict[str, str], text: str = "") -> dict[str, Any]:
    return {"code": {"coding": list(codings), "text": text}}


@pytest.mark.parametrize(
    ("doses", "expected"),
    [
        ([mg(4.5)], "4.5"),
        (mg(4.5), "4.5"),
        ([mg(9, **kind("calculated")), mg(4.5, **kind("ordered"))], "4.5"),
        ([mg(4.5, **kind("ordered")), mg(9, **kind("calculated"))], "4.5"),
        ([mg(4.5), mg(9)], "4.5"),
        ([{"rateQuantity": {"value": 5, "unit": "mL/h"}}, mg(4.5)], "4.5"),
        ([kind("ordered"), mg(4.5)], "4.5"),
        ([mg(9, **kind("calculated"))], "9"),
        ([{"doseQuantity": {"value": "4,5", "unit": "mg"}}], "4.5"),
        ([{"doseQuantity": {"value": "1,500", "unit": "mg"}}], "unknown"),
        (
            [{"doseQuantity": {"value": 4.5, "unit": "Milligramm", "system": UCUM, "code": "mg"}}],
            "4.5",
        ),
        ([{"doseQuantity": {"value": 50, "unit": "units"}}], "unknown"),
        ([{"doseQuantity": {"value": 2, "unit": "Kapsel(n)"}}], "9"),
        ([mg(4.5, rateQuantity={"value": 5, "unit": "mL/h"})], "unknown"),
        ([{"rateQuantity": {"value": 4.5, "unit": "mg/d", "system": UCUM, "code": "mg/d"}}], "4.5"),
        ([{"rateQuantity": {"value": 0.2, "code": "mg/h"}}], "unknown"),
        (
            [
                {
                    "rateRatio": {
                        "numerator": {"value": 3, "unit": "錠"},
                        "denominator": {"value": 1, "unit": "日"},
                    }
                }
            ],
            "13.5",
        ),
        (
            [
                {
                    "rateRatio": {
                        "numerator": {"value": 7, "unit": "mg"},
                        "denominator": {"value": 1, "unit": "wk"},
                    }
                }
            ],
            "1",
        ),
        (
            [
                {
                    "rateRatio": {
                        "numerator": {"value": 3, "unit": "mL"},
                        "denominator": {"value": 1, "unit": "h"},
                    }
                }
            ],
            "unknown",
        ),
        (
            [
                mg(
                    4.5,
                    rateRatio={
                        "numerator": {"value": 9, "unit": "mg"},
                        "denominator": {"value": 1, "unit": "d"},
                    },
                )
            ],
            "unknown",
        ),
    ],
)
def test_the_ordered_dose_counts_and_only_a_rate_of_days_is_a_dose(
    doses: object, expected: str
) -> None:
    assert expected == daily({"timing": DAILY, "doseAndRate": doses})


@pytest.mark.parametrize(
    "item",
    [
        {"timing": DAILY, "doseQuantity": {"value": 4.5, "unit": "mg"}},
        {
            "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnits": "d"}},
            "doseQuantity": {"value": 4.5, "unit": "mg"},
        },
        {"timing": {"repeat": {"when": "HS"}}, "doseAndRate": [mg(4.5)]},
        {"timing": {"code": "QD"}, "doseAndRate": [mg(4.5)]},
        {
            "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "Tag"}},
            "doseAndRate": [mg(4.5)],
        },
        {"timing": DAILY, "doseSimpleQuantity": {"value": 4.5, "unit": "mg"}},
    ],
)
def test_every_release_and_shape_says_the_same(item: dict[str, Any]) -> None:
    assert "4.5" == daily(item)


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        (coded({"code": "BID"}), "9"),
        (coded(text="zweimal täglich"), "9"),
        (coded(text="BID"), "9"),
        (coded({"code": "x1", "display": "twice daily"}), "9"),
        (coded({"code": "x1"}, {"code": "TID"}), "13.5"),
        (
            coded(
                {"system": "http://snomed.info/sct", "code": "229799001", "display": "Twice a day"}
            ),
            "9",
        ),
        (coded({"code": "BID", "display": "three times daily"}), "unknown"),
        (coded({"code": "x1"}), "unknown"),
        (
            coded(
                {
                    "system": JAMI,
                    "code": "1013044400000000",
                    "display": "内服・経口・１日３回朝昼夕食後",
                }
            ),
            "13.5",
        ),
        (coded({"system": JAMI, "code": "1012040400000000"}), "9"),
        (coded({"system": JAMI, "code": "1011100000000000"}), "4.5"),
        (coded({"system": JAMI, "code": "1013044000000000"}), "unknown"),
        (coded({"system": JAMI, "code": "1050110000000000"}), "unknown"),
        (
            coded({"system": JAMI, "code": "1013044400000000", "display": "１日２回朝夕食後"}),
            "unknown",
        ),
        ({"repeat": {"when": ["AC"]}}, "unknown"),
        ({"repeat": {"when": ["ACM", "ACV"]}}, "9"),
        ({"repeat": {"frequency": 1, "period": 4, "periodMax": 6, "periodUnit": "h"}}, "27"),
        ({"repeat": {"frequency": 1, "period": 6, "periodMax": 4, "periodUnit": "h"}}, "27"),
    ],
)
def test_codes_and_words_of_the_timing_are_read_and_must_agree(
    timing: dict[str, Any], expected: str
) -> None:
    assert expected == daily({"timing": timing, "doseAndRate": [mg(4.5)]})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abends", "4.5"),
        ("le soir", "4.5"),
        ("por la noche", "4.5"),
        ("la sera", "4.5"),
        ("2x tgl.", "9"),
        ("wie besprochen", "unknown"),
        ("as directed", "unknown"),
        ("täglich außer sonntags", "unknown"),
    ],
)
def test_a_dose_without_timing_takes_it_from_the_words_of_any_language(
    text: str, expected: str
) -> None:
    assert expected == daily({"text": text, "doseAndRate": [mg(4.5)]})


def test_maxima_bound_a_dose_and_stand_for_a_missing_frequency() -> None:
    per_day = {"numerator": {"value": 9, "unit": "mg"}, "denominator": {"value": 24, "unit": "h"}}
    often = {"repeat": {"frequency": 4, "period": 1, "periodUnit": "d"}}
    found = [
        daily({"timing": often, "doseAndRate": [mg(4.5)], "maxDosePerPeriod": per_day}),
        daily({"timing": often, "doseAndRate": [mg(4.5)], "maxDosePerPeriod": [per_day]}),
        daily(
            {
                "timing": often,
                "doseAndRate": [mg(4.5)],
                "maxDosePerAdministration": {"value": 1.5, "unit": "mg"},
            }
        ),
        daily({"asNeededBoolean": True, "doseAndRate": [mg(4.5)], "maxDosePerPeriod": per_day}),
        daily({"doseAndRate": [mg(4.5)], "maxDosePerPeriod": per_day}),
    ]
    assert ["9", "9", "6", "9", "unknown"] == found


def test_times_of_the_day_with_different_doses_add_and_phases_do_not() -> None:
    def part(dose: float, when: str, **more: object) -> dict[str, Any]:
        return {"timing": {"repeat": {"when": [when]}}, "doseAndRate": [mg(dose)], **more}

    found = [
        daily(part(1, "MORN"), part(2, "EVE")),
        daily(part(1, "MORN", sequence=1), part(2, "EVE", sequence=1)),
        daily(part(1, "MORN", sequence=1), part(2, "EVE", sequence=2)),
    ]
    assert ["3", "3", "2"] == found


def test_any_component_has_a_dose() -> None:
    capsules = {
        "text": "30 capsules daily",
        "timing": DAILY,
        "doseAndRate": [{"doseQuantity": {"value": 30, "unit": "Kapseln"}}],
    }
    assert "60" == daily(capsules, strength="2", ingredient="loperamide")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"value": 72, "code": "h"}, 3),
        ({"value": 3, "unit": "Woche(n)"}, 21),
        ({"value": "2,5", "unit": "Tage"}, Decimal("2.5")),
        ({"value": 30, "unit": "日", "system": UCUM, "code": "d"}, 30),
        ({"value": 7}, 7),
        ({"value": 7, "unit": "tablet"}, None),
        ({"unit": "d"}, None),
        ({}, None),
        ("7 d", None),
        (7, None),
        ({"value": -7, "unit": "d"}, None),
    ],
)
def test_a_supply_duration_is_days_in_any_unit_of_time(value: object, expected: object) -> None:
    assert expected == read_days(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("4.5", "4.5"),
        ("4,5", "4.5"),
        (",5", "0.5"),
        (".5", "0.5"),
        ("0,500", "0.5"),
        ("-4,5", "-4.5"),
        ("1,500", None),
        ("1.5.0", None),
        ("4,5,1", None),
        ("4.5 mg", None),
        ("", None),
        (True, None),
        (float("nan"), None),
    ],
)
def test_a_number_may_be_text_with_a_point_or_a_comma_but_never_two_things(
    value: object, expected: str | None
) -> None:
    assert (None if expected is None else Decimal(expected)) == as_decimal(value)
