"""Listed medicines in few words: dates as days ago, supplies as numbers, and the exposure that comes of them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from cds_service.exposure.calendar import Clock
from cds_service.exposure.depot import Doses
from cds_service.exposure.ending import Listed
from cds_service.exposure.timeline import expose
from cds_service.model import (
    Course,
    Day,
    Dosage,
    Exposure,
    Medication,
    Quantity,
    Role,
    Standing,
    Strength,
    Supply,
)
from tests.unit.clinic import LIMITS, NOW, TODAY, medication

CLOCK = Clock(NOW, TODAY)
ALONE = Listed(Doses({}), {}, {})
COMPLETED = {"standing": Standing.ENDED, "status": "completed"}
STOPPED = {"standing": Standing.ENDED, "status": "stopped"}
GIVEN = {"standing": Standing.GIVEN, "status": "completed"}
ON_HOLD = {"standing": Standing.HELD, "status": "on-hold"}
_DAYS = frozenset(
    {"authored", "asserted", "ended", "status_changed", "updated", "given", "handed_over"}
)
_COURSE = frozenset({"start", "end", "end_of", "days"})
_SUPPLY = frozenset(
    {"supply_days", "quantity", "repeats", "first_days", "first_quantity", "valid_until"}
)


def day(value: date | Day | None) -> Day | None:
    return Day.on(value) if isinstance(value, date) else value


def listed(role: Role = Role.FULL_SA, *, strength: str = "5", **said: Any) -> Medication:
    """One listed product; ``said`` are members of its Order, Course or Supply, with plain dates and numbers."""
    order = {
        name: day(value) if name in _DAYS else value
        for name, value in said.items()
        if name not in _COURSE | _SUPPLY
    }
    end = day(said.get("end"))
    course = Course(
        day(said.get("start")),
        end,
        said.get("end_of", "boundsPeriod.end") if end else "",
        said.get("days"),
    )
    supply = Supply(
        said.get("supply_days"),
        said.get("quantity"),
        said.get("repeats", 0),
        said.get("first_days"),
        said.get("first_quantity"),
        day(said.get("valid_until")),
    )
    return medication(
        role,
        strength=Strength(Decimal(strength)) if strength else None,
        course=course,
        supply=supply,
        **order,
    )


def four_a_day(
    *, low: int = 1, high: int = 1, as_needed: bool = False, text: str = ""
) -> tuple[Dosage, ...]:
    """One dosage of ``low`` to ``high`` tablets every six hours."""
    return (
        Dosage(
            dose_low=Quantity(Decimal(low), "tablet"),
            dose_high=Quantity(Decimal(high), "tablet"),
            text=text,
            frequency=Decimal(1),
            period=Decimal(6),
            period_unit="h",
            as_needed=as_needed,
        ),
    )


def tablets(number: int) -> Quantity:
    return Quantity(Decimal(number), "tablet")


def met(meant: Medication, others: Listed = ALONE) -> Exposure:
    return expose(meant, CLOCK, others, LIMITS)


def met_as(role: Role = Role.FULL_SA, others: Listed = ALONE, **said: Any) -> Exposure:
    return met(listed(role, **said), others)
