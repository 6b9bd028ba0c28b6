"""Laboratory results: what says positive, what says negative, and what is not read."""

from __future__ import annotations

from datetime import UTC, date
from decimal import Decimal
from typing import Any

import pytest

from cds_service import terminology
from cds_service.fhir import observations
from cds_service.model import Coding, Concept, LabGroup

SNOMED = "http://snomed.info/sct"


def coded(code: str, system: str = SNOMED, text: str = "") -> dict[str, Any]:
    return {"valueCodeableConcept": {"coding": [{"system": system, "code": code}], "text": text}}


def flagged(code: str) -> dict[str, Any]:
    return {"interpretation": [{"coding": [{"code": code}]}]}


def number(value: object, high: object = None, **more: object) -> dict[str, Any]:
    limits = [{"high": {"value": high}}] if high is not None else []
    return {"valueQuantity": {"value": value, **more}, "referenceRange": limits}


@pytest.mark.parametrize(
    ("result", "positive"),
    [
        (flagged("POS"), True),
        (flagged("NEG"), False),
        (flagged("ND"), False),
        (flagged("H"), True),
        (flagged("IND"), None),
        ({"interpretation": {"coding": [{"code": "POS"}]}}, True),  # DSTU2: one concept
        (coded("10828004"), True),
        (coded("260385009"), False),
        (coded("260415000"), False),
        (coded("1"), None),
        (coded("LA6576-8", "http://loinc.org"), True),
        (coded("LA6577-6", "http://loinc.org"), False),
        (coded("x", "local", "Positive"), True),
        (coded("x", "local", "Not detected"), False),
        ({"valueString": "Presumptive positive"}, True),
        ({"valueString": "None Detected"}, False),
        ({"valueString": "negative"}, False),
        ({"valueString": "+"}, True),
        ({"valueString": "inconclusive"}, None),
        ({"valueString": "not tested"}, None),
        ({"valueString": "see note"}, None),
        ({"valueString": ""}, None),
        ({"valueString": "non-reactive"}, False),
        ({"valueString": "No opiates detected"}, False),
        ({"valueBoolean": True}, True),
        ({"valueBoolean": False}, False),
        (number(450, 300), True),
        (number(299, 300), False),
        (number(300, 300), False),
        (number(450), None),
        (number(10, 300, comparator="<"), False),
        (number(500, 300, comparator="<"), None),
        (number("450", "300"), True),
        (
            {
                **number(450, 300),
                "referenceRange": [{"high": {"value": 300}}, {"high": {"value": 2000}}],
            },
            None,
        ),
        ({}, None),
        ({"valueString": 5, "interpretation": "x", "referenceRange": 7}, None),
    ],
)
def test_a_screen_is_positive_only_where_the_result_says_so(
    result: dict[str, Any], positive: bool | None
) -> None:
    assert positive is observations.is_positive(result)


def test_of_a_contradiction_within_one_result_the_positive_part_counts() -> None:
    assert observations.is_positive({**flagged("NEG"), "valueString": "positive"}) is True


def test_a_transaminase_is_a_multiple_of_its_own_limit() -> None:
    assert Decimal(6) == observations.times_upper_limit(number(240, 40))
    assert observations.times_upper_limit(number(240)) is None
    assert observations.times_upper_limit({}) is None


@pytest.mark.parametrize(
    ("resource", "day"),
    [
        ({"effectiveDateTime": "2026-11-15"}, date(2026, 11, 15)),
        (
            {
                "effectivePeriod": {"start": "2026-11-14", "end": "2026-11-15"},
                "issued": "2026-11-20T08:00:00Z",
            },
            date(2026, 11, 15),
        ),
        ({"issued": "2026-11-20T08:00:00Z"}, date(2026, 11, 20)),
        ({}, None),
    ],
)
def test_the_day_is_that_of_the_specimen(resource: dict[str, Any], day: date | None) -> None:
    assert day == observations.taken_on(resource, UTC)


@pytest.mark.parametrize(
    ("loinc", "group"),
    [
        ("3879-4", LabGroup.OPIATES),
        ("10998-3", LabGroup.OXYCODONE),
        ("3773-9", LabGroup.METHADONE),
        ("3414-0", LabGroup.BUPRENORPHINE),
        ("1742-6", LabGroup.ALT),
        ("1920-8", LabGroup.AST),
        ("19609-7", None),  # naltrexone itself is no opioid
        ("19552-9", None),
    ],
)  # a cut-off is no result
def test_the_table_tells_opioid_screens_from_antagonists_and_cut_offs(
    loinc: str, group: LabGroup | None
) -> None:
    found = terminology.load().lab_test(Concept((Coding("http://loinc.org", loinc),)))
    assert group == (found.group if found else None)
