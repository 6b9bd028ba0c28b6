"""Dates in whatever shape records write them: read where they can mean one thing, else a gap (specification 2.4)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.fhir.dates import is_unreadable, read_date, read_day, read_instant
from cds_service.model import Day

NEW_YORK = ZoneInfo("America/New_York")
THE_20TH = date(2026, 11, 20)


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-20",
        " 2026-11-20 ",
        "20261120",
        20261120,
        "2026-11-20T08:00:00-05:00",
        "2026-11-20T08:00:00Z",
        "2026-11-20 08:00:00",
        "2026-11-20 08:00:00.123+00:00",
        "2026-11-20T08:00",
        "2026-11-20t08:00:00z",
        "2026-11-20T08:00:00.1234567Z",
        "2026-11-20T08:00:60Z",
        "20261120080000",
        "202611200800-0500",
        "20261120T080000Z",
        "2026-11-20T08:00:00+0100",
        "2026-11-21T01:00:00Z",
        "2026/11/20",
        "20.11.2026",
        "20/11/2026",
        "11/20/2026",
        "20-11-2026",
        "20 Nov 2026",
        "20-NOV-2026",
        "Nov 20, 2026",
        "November 20 2026",
    ],
)
def test_a_date_that_can_mean_one_day_only_is_read(written: object) -> None:
    assert Day.on(THE_20TH) == read_day(written, NEW_YORK)
    assert not is_unreadable(written, NEW_YORK)


@pytest.mark.parametrize(
    "written",
    [
        "03/04/2026",
        "03.04.2026",
        "3-4-2026",
        "20/11/26",
        "2026-13-01",
        "2026-02-30",
        "20261340",
        "Invalid date",
        "yesterday",
        "0001-01-01",
        "0001-01-01T00:00:00Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T25:00:00Z",
        "2026-11-200800",
        "Foo 20, 2026",
        "2026-11-20T08:00:00+99:00",
        "2026-11-20T08:00:00Zulu",
        1763625600000,
        20261120.5,
        True,
        {"value": "2026"},
    ],
)
def test_a_date_that_can_mean_two_days_or_none_is_unreadable(written: object) -> None:
    assert None is read_day(written, UTC)
    assert is_unreadable(written, UTC)


@pytest.mark.parametrize("absent", [None, "", {}, []])
def test_what_is_not_written_is_absent_and_no_gap(absent: object) -> None:
    assert (None, False) == (read_day(absent, UTC), is_unreadable(absent, UTC))


@pytest.mark.parametrize(
    ("written", "first", "last"),
    [
        ("2026", date(2026, 1, 1), date(2026, 12, 31)),
        ("2026-02", date(2026, 2, 1), date(2026, 2, 28)),
        ("2028-02", date(2028, 2, 1), date(2028, 2, 29)),
        ("2026-12", date(2026, 12, 1), date(2026, 12, 31)),
    ],
)
def test_a_partial_date_is_every_day_that_it_can_mean(
    written: str, first: date, last: date
) -> None:
    assert Day(first, last) == read_day(written, UTC)
    assert last == read_date(written, UTC)


def test_both_readings_of_the_same_day_are_one() -> None:
    assert Day.on(date(2026, 4, 4)) == read_day("04/04/2026", UTC)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-11-20 08:00:00", datetime(2026, 11, 20, 8, tzinfo=NEW_YORK)),
        ("2026-11-20T08:00:00-08:00", datetime(2026, 11, 20, 16, tzinfo=UTC)),
        ("2026-11-20", None),
        ("2026-11", None),
    ],
)
def test_a_moment_without_an_offset_is_one_of_the_clinic(
    written: str, moment: datetime | None
) -> None:
    assert moment == read_instant(written, NEW_YORK)


MOMENTS = st.integers(-600_000_000, 4_000_000_000).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)


@given(MOMENTS, st.sampled_from(["T", " "]), st.sampled_from(["", "Z", "+05:30", "-0800"]))
def test_every_moment_has_the_day_that_the_clinic_had(
    moment: datetime, gap: str, offset: str
) -> None:
    day = read_day(f"{moment:%Y-%m-%d}{gap}{moment:%H:%M:%S}{offset}", UTC)
    assert day is not None
    assert day.is_exact
    assert abs((day.last - moment.date()).days) <= 1


@given(st.text(max_size=40) | st.integers() | st.floats() | st.none() | st.binary(max_size=5))
def test_nothing_that_is_written_breaks_the_reading(value: object) -> None:
    day = read_day(value, UTC)
    assert day is None or day.first <= day.last
