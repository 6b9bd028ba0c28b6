"""Days, moments and lengths of time as records write them, read without a guess (specification 2.4).

A date in another shape is read where it can mean one day only; one that can mean two days, or none, is unreadable: it
counts as missing and is a gap. A partial date is every day that it can mean.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal

from cds_service.dosing.units import days_in
from cds_service.fhir.values import as_text, read_quantity
from cds_service.model import Day

_PARTIAL = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_MOMENT = re.compile(
    r"(\d{4})(-?)(\d{2})\2(\d{2})(?:[Tt]|\s{1,2}|(?<=\d{8}))(\d{2}):?(\d{2})(?::?(\d{2})(?:[.,]\d{1,12})?)?"
    r"\s?(?:[Zz]|([+-])(\d{2}):?(\d{2})?)?"
)
_SLASHED = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})")
_NAMED = re.compile(
    r"(?:(\d{1,2})[. -]{1,2}([A-Za-z]{3,9})|([A-Za-z]{3,9})\.? (\d{1,2}))[., -]{1,2}(\d{4})"
)
_MONTHS = {name[:3].lower(): number for number, name in enumerate(calendar.month_name) if name}
_FIRST_YEAR = 1900  # years before are placeholders (0001-01-01), never a day of treatment
_LAST_YEAR = 2999


# --- days -------------------------------------------------------------------------------------------------------------


def read_day(value: object, zone: tzinfo) -> Day | None:
    """The calendar day in ``zone``, or the days that a partial date can mean; None where it cannot be read."""
    if value is None or not (text := _text(value)):
        return None
    try:
        return _fhir_day(text) or _day_of_moment(text, zone) or _day_in_words(text)
    except (ValueError, OverflowError):
        return None


def is_unreadable(value: object, zone: tzinfo) -> bool:
    """True where something is written in the place of a date and no day can be made of it."""
    return value is not None and value not in ("", [], {}) and read_day(value, zone) is None


def read_date(value: object, zone: tzinfo) -> date | None:
    """The calendar day in ``zone``; a partial date is its last day."""
    day = read_day(value, zone)
    return day.last if day else None


def read_instant(value: object, zone: tzinfo) -> datetime | None:
    """A moment that states a clock time; one without an offset is read in ``zone``. None for a date alone."""
    text = _text(value)
    match = _MOMENT.fullmatch(text)
    if not match:
        return None
    year, _, month, day, hour, minute, second, sign, hours, minutes = match.groups()
    try:
        offset = (
            _offset(sign, int(hours), int(minutes or 0))
            if sign
            else UTC
            if text[-1] in "Zz"
            else zone
        )
        # A leap second is read as the second before it.
        return datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            min(int(second or 0), 59),
            tzinfo=offset,
        )
    except ValueError:
        return None


def _offset(sign: str, hours: int, minutes: int) -> tzinfo:
    ahead = timedelta(hours=hours, minutes=minutes)
    return timezone(-ahead if sign == "-" else ahead)


def _text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # 20261120, written as a number
    return as_text(value).strip()


def _fhir_day(text: str) -> Day | None:
    """A FHIR date, whole or partial, or its eight digits."""
    match = _PARTIAL.fullmatch(text) or _COMPACT.fullmatch(text)
    if not match:
        return None
    year, month, day = (int(part) if part else 0 for part in match.groups())
    _require_year(year)
    if day:
        return Day.on(date(year, month, day))
    last = month or 12
    return Day(date(year, month or 1, 1), date(year, last, calendar.monthrange(year, last)[1]))


def _day_of_moment(text: str, zone: tzinfo) -> Day | None:
    moment = read_instant(text, zone)
    if moment is None:
        return None
    _require_year(moment.year)
    return Day.on(moment.astimezone(zone).date())


def _day_in_words(text: str) -> Day | None:
    """20 Nov 2026, Nov 20, 2026, 20.11.2026, 11/20/2026: only where there is one day that it can mean."""
    days = set(_readings(text))
    return Day.on(days.pop()) if len(days) == 1 else None


def _readings(text: str) -> Iterator[date]:
    if match := _NAMED.fullmatch(text):
        month = _MONTHS.get((match[2] or match[3])[:3].lower(), 0)
        yield from _exists(int(match[5]), month, int(match[1] or match[4]))
    elif match := _SLASHED.fullmatch(text):
        first, middle, last = match[1], int(match[3]), match[4]
        if len(first) == 4:
            yield from _exists(int(first), middle, int(last))
        elif len(last) == 4:
            yield from _exists(int(last), middle, int(first))
            yield from _exists(int(last), int(first), middle)


def _exists(year: int, month: int, day: int) -> Iterator[date]:
    try:
        _require_year(year)
        yield date(year, month, day)
    except ValueError:
        return


def _require_year(year: int) -> None:
    if not _FIRST_YEAR <= year <= _LAST_YEAR and year != 9999:
        raise ValueError("not a year of treatment")


# --- lengths of time --------------------------------------------------------------------------------------------------


def read_days(value: object) -> Decimal | None:
    """A Duration in days, in any unit of time; without a unit the number is days. None where it is no length."""
    duration = read_quantity(value)
    return (days_in(duration) or None) if duration else None
