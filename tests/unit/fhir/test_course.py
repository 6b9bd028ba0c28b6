"""Dates, bounds and fills of an order in the shapes of four releases (specification 2.4)."""

from __future__ import annotations

from datetime import UTC, date
from decimal import Decimal
from typing import Any

import pytest

from cds_service.fhir.bundle import Entry, Resolver
from cds_service.fhir.course import read_course, read_supply, unread_dates
from cds_service.fhir.read import read_order
from cds_service.model import Day, Drug, Order, Quantity, Release

DAYS = {"unit": "days", "code": "d"}


def order(resource: dict[str, Any], *others: dict[str, Any]) -> Order:
    entries = [Entry(one) for one in (resource, *others)]
    return read_order(resource, Drug(), "meds", Release.R4, UTC, Resolver(entries))


def timed(*bounds: dict[str, Any], **more: Any) -> dict[str, Any]:
    lines = [{"sequence": n, "timing": {"repeat": bound}} for n, bound in enumerate(bounds, 1)]
    return {"resourceType": "MedicationRequest", "dosageInstruction": lines, **more}


@pytest.mark.parametrize(
    ("member", "name"),
    [
        ("authoredOn", "authored"),
        ("dateWritten", "authored"),
        ("dateAsserted", "asserted"),
        ("dateEnded", "ended"),
        ("statusChanged", "status_changed"),
    ],
)
def test_each_date_of_an_order_has_a_place_of_its_own(member: str, name: str) -> None:
    found = order({"resourceType": "MedicationRequest", member: "2026-11-02"})
    assert Day.on(date(2026, 11, 2)) == getattr(found, name)
    others = {"authored", "asserted", "ended", "status_changed", "updated"} - {name}
    assert [None] * 4 == [getattr(found, other) for other in others]


def test_the_last_change_is_that_of_the_record() -> None:
    found = order(
        {"resourceType": "MedicationRequest", "meta": {"lastUpdated": "2026-11-02T10:00:00Z"}}
    )
    assert Day.on(date(2026, 11, 2)) == found.updated


@pytest.mark.parametrize(
    ("resource", "start", "end", "end_of"),
    [
        (
            timed({"boundsPeriod": {"start": "2026-11-02", "end": "2026-11-09"}}),
            2,
            9,
            "boundsPeriod.end",
        ),
        (
            timed(
                {"boundsPeriod": {"start": "2026-11-05"}},
                {"boundsPeriod": {"start": "2026-11-02", "end": "2026-11-09"}},
            ),
            2,
            None,
            "",
        ),
        (
            timed({"boundsPeriod": {"end": "2026-11-07"}}, {"boundsPeriod": {"end": "2026-11-09"}}),
            None,
            9,
            "boundsPeriod.end",
        ),
        (
            {"effectivePeriod": {"start": "2026-11-02", "end": "2026-11-09"}},
            2,
            9,
            "effectivePeriod.end",
        ),
        ({"effectiveDateTime": "2026-11-02"}, 2, None, ""),
        (
            timed(
                {"boundsPeriod": {"start": "2026-11-05", "end": "2026-11-06"}},
                effectivePeriod={"start": "2026-11-02", "end": "2026-11-09"},
            ),
            2,
            9,
            "effectivePeriod.end",
        ),
        ({}, None, None, ""),
    ],
)
def test_a_course_has_an_end_only_where_every_line_has(
    resource: dict[str, Any], start: int | None, end: int | None, end_of: str
) -> None:
    found = read_course(resource, UTC)
    days = tuple(Day.on(date(2026, 11, n)) if n else None for n in (start, end))
    assert (*days, end_of) == (found.start, found.end, found.end_of)


@pytest.mark.parametrize(
    ("repeats", "days"),
    [
        ([{"boundsDuration": {"value": 5, **DAYS}}], (5, 5)),
        ([{"boundsQuantity": {"value": 5, **DAYS}}], (5, 5)),
        ([{"boundsDuration": {"value": 120, "unit": "Stunden", "code": "h"}}], (5, 5)),
        ([{"boundsRange": {"low": {"value": 5, **DAYS}, "high": {"value": 7, **DAYS}}}], (5, 7)),
        ([{"boundsRange": {"high": {"value": 1, "unit": "week"}}}], (7, 7)),
        (
            [{"boundsDuration": {"value": 5, **DAYS}}, {"boundsDuration": {"value": 3, **DAYS}}],
            (8, 8),
        ),
        ([{"boundsDuration": {"value": 5, **DAYS}}, {}], None),
        ([{}], None),
        ([], None),
    ],
)
def test_phases_follow_each_other_and_a_line_without_bounds_has_no_end(
    repeats: list[dict[str, Any]], days: tuple[int, int] | None
) -> None:
    assert days == read_course(timed(*repeats), UTC).days


def test_lines_of_one_phase_run_side_by_side() -> None:
    resource = timed(
        {"boundsDuration": {"value": 5, **DAYS}}, {"boundsDuration": {"value": 3, **DAYS}}
    )
    for line in resource["dosageInstruction"]:
        del line["sequence"]
    assert (5, 5) == read_course(resource, UTC).days


@pytest.mark.parametrize(
    ("resource", "days"),
    [
        ({"dispenseRequest": {"expectedSupplyDuration": {"value": 30, **DAYS}}}, 30),
        ({"dispenseRequest": {"expectedSupplyDuration": {"value": 72, "unit": "hours"}}}, 3),
        ({"daysSupply": {"value": 2, "unit": "wk"}}, 14),
        ({"daysSupply": 30}, 30),
        ({"daysSupply": "30"}, 30),
        ({"daysSupply": {"value": 0, **DAYS}}, None),
        ({"daysSupply": {"value": 3, "unit": "bottles"}}, None),
        ({}, None),
    ],
)
def test_days_of_supply_are_read_in_any_unit_of_time(
    resource: dict[str, Any], days: int | None
) -> None:
    assert days == read_supply(resource, UTC).days


@pytest.mark.parametrize(
    ("resource", "quantity"),
    [
        (
            {"dispenseRequest": {"quantity": {"value": 120, "unit": "tablet"}}},
            Quantity(Decimal(120), "tablet"),
        ),
        ({"quantity": {"value": 120, "unit": "tablet"}}, Quantity(Decimal(120), "tablet")),
        ({"quantity": 120}, Quantity(Decimal(120))),
        ({"quantity": {"value": 0, "unit": "tablet"}}, None),
        ({}, None),
    ],
)
def test_a_quantity_is_that_of_the_request_or_of_the_dispense(
    resource: dict[str, Any], quantity: Quantity | None
) -> None:
    assert quantity == read_supply(resource, UTC).quantity


@pytest.mark.parametrize(
    ("written", "repeats"), [(2, 2), ("2", 2), (-1, 0), (None, 0), (10**9, 1000), ({}, 0)]
)
def test_repeats_are_a_number_between_none_and_a_thousand(written: object, repeats: int) -> None:
    assert (
        repeats
        == read_supply({"dispenseRequest": {"numberOfRepeatsAllowed": written}}, UTC).repeats
    )


def test_an_initial_fill_and_a_validity_are_read() -> None:
    found = read_supply(
        {
            "dispenseRequest": {
                "initialFill": {
                    "duration": {"value": 7, **DAYS},
                    "quantity": {"value": 28, "unit": "tablet"},
                },
                "validityPeriod": {"start": "2026-10-01", "end": "2026-12-01"},
            }
        },
        UTC,
    )
    assert (7, Quantity(Decimal(28), "tablet"), Day.on(date(2026, 12, 1))) == (
        found.first_days,
        found.first_quantity,
        found.valid_until,
    )


@pytest.mark.parametrize(
    "pointer",
    [
        {"reference": "MedicationRequest/1"},
        {"reference": "https://ehr.example.org/fhir/MedicationRequest/1"},
        {"reference": "1"},
        {"identifier": {"system": "urn:x", "value": "7"}},
    ],
)
def test_a_dispense_knows_the_supply_and_the_instructions_of_its_order(
    pointer: dict[str, Any],
) -> None:
    prescription = {
        "resourceType": "MedicationRequest",
        "id": "1",
        "status": "cancelled",
        "identifier": [{"system": "urn:x", "value": "7"}],
        "dispenseRequest": {"quantity": {"value": 120, "unit": "tablet"}},
        "dosageInstruction": [{"text": "1 tablet every 6 hours"}],
    }
    found = order(
        {"resourceType": "MedicationDispense", "id": "d", "authorizingPrescription": [pointer]},
        prescription,
    )
    assert ("MedicationRequest/1",) == found.based_on
    assert found.linked_supply is not None
    assert (Quantity(Decimal(120), "tablet"), "1 tablet every 6 hours") == (
        found.linked_supply.quantity,
        found.linked_dosages[0].text,
    )


@pytest.mark.parametrize(
    ("resource", "names"),
    [
        ({"authoredOn": "03/04/2026"}, ("authoredOn",)),
        ({"authoredOn": "2026-11-20 08:00:00"}, ()),
        (
            {"effectivePeriod": {"start": "2026-11-01", "end": "Invalid date"}},
            ("effectivePeriod.end",),
        ),
        (
            timed({"boundsPeriod": {"start": "x"}}, {"boundsPeriod": {"start": "y"}}),
            ("boundsPeriod.start",),
        ),
        ({"dispenseRequest": {"validityPeriod": {"end": "soon"}}}, ("validityPeriod.end",)),
        ({"whenHandedOver": 5}, ("whenHandedOver",)),
        ({"meta": {"lastUpdated": "x"}}, ()),
        ({}, ()),
    ],
)
def test_a_date_that_cannot_be_read_is_named(
    resource: dict[str, Any], names: tuple[str, ...]
) -> None:
    assert names == unread_dates(resource, UTC)
