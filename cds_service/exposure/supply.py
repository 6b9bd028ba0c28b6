"""When the supply of an order or a dispense has run out: earliest and latest (specification 2.4).

The first of these that can be read counts: the bounds of the course, days of supply, quantity divided by the daily
dose. The earliest run-out is that of the highest dose that the sig allows, the latest that of the lowest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from math import ceil
from typing import Any

from cds_service.dosing.daily import Lasting, daily_amounts, days_supplied
from cds_service.exposure.calendar import add_days
from cds_service.model import Day, Dosage, Order, Quantity, RunOut, Standing, Strength, Supply

_AS_NEEDED = re.compile(
    r"\bp\.?r\.?n\b|\bas (?:needed|required)\b|\bif (?:needed|required)\b|\bwhen needed\b|bei bedarf"
    r"|si besoin|si necesario|al bisogno|zo nodig|vid behov|ved behov|tarvittaessa",
    re.IGNORECASE,
)
_LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class _Length:
    """Days of the whole course at the highest and at the lowest dose, and of one fill of it."""

    shortest: Decimal
    longest: Decimal
    fill: Decimal
    by: str


def start_of(order: Order) -> Day | None:
    """The day from which the supply is used: the first that is written. A dispense is not used before its hand-over."""
    if (
        order.handed_over
        and order.course.start
        and order.course.start.last < order.handed_over.last
    ):
        return order.handed_over
    return order.course.start or order.handed_over or order.authored or order.asserted


def is_as_needed(order: Order) -> bool:
    """True where some instruction is taken only as needed, by its element or by its words."""
    dosages = _dosages(order)
    if any(d.as_needed or _AS_NEEDED.search(d.text[:_LONGEST_TEXT]) for d in dosages):
        return True
    daily = daily_amounts(dosages, None, order.label)
    return daily is not None and daily.as_needed


def is_half_known(order: Order) -> bool:
    """True where a quantity or a dose is written, and not both of them can be read: it may last long."""
    return bool(_dosages(order) or order.supply.quantity)


def _dosages(order: Order) -> tuple[Dosage, ...]:
    """The order's own instructions; a dispense without any follows those of its order."""
    return order.dosages or order.linked_dosages


def sound_end(order: Order) -> Day | None:
    """The end of the course as written; None where it lies before the order was begun, written or handed over."""
    end = order.course.end
    begun = (order.course.start, order.handed_over, order.authored)
    return None if end is None or any(day and end.last < day.first for day in begun) else end


@dataclass(frozen=True, slots=True)
class Fills:
    """How often an order was filled: at least, and at most."""

    known: int = 1
    possible: int = 1


def run_out(
    order: Order,
    fills: Fills,
    strength: Strength | None,
    today: date,
    thresholds: Mapping[str, Any],
) -> RunOut | None:
    """The run-outs by everything that is written; None where nothing bounds the supply."""
    length = _by_supply(order, fills, strength)
    found = _by_end(order, length) or _by_length(order, length)
    return _prolonged(_after_validity(found, order, today, thresholds), order, thresholds)


def supply_run_out(
    order: Order, strength: Strength | None, thresholds: Mapping[str, Any]
) -> RunOut | None:
    """The run-outs of all fills that the order allows, by days of supply or quantity and by no date that was entered.

    What an end is measured against: of a partial start date the first day counts, so that doubt makes no evidence.
    """
    every = 1 + order.supply.repeats
    length, start = _by_supply(order, Fills(every, every), strength), start_of(order)
    if length is None or start is None:
        return None
    return _prolonged(_after(Day.on(start.first), length), order, thresholds)


# --- the dates --------------------------------------------------------------------------------------------------------


def _by_end(order: Order, length: _Length | None) -> RunOut | None:
    end = sound_end(order)
    if end is None:
        return None
    start = start_of(order)
    course = (end.last - start.first).days if start else None
    return RunOut(
        end.first, end.last, order.course.end_of, ceil(length.fill) if length else course, course
    )


def _by_length(order: Order, length: _Length | None) -> RunOut | None:
    """A stated length of the course, else the supply."""
    start = start_of(order)
    if order.course.days is not None:
        shortest, longest = order.course.days
        length = _Length(shortest, longest, length.fill if length else shortest, "boundsDuration")
    return _after(start, length) if start and length else None


def _after(start: Day, length: _Length) -> RunOut:
    return RunOut(
        add_days(start.first, length.shortest),
        add_days(start.last, length.longest),
        length.by,
        ceil(length.fill),
        ceil(length.longest),
    )


def _after_validity(
    found: RunOut | None, order: Order, today: date, thresholds: Mapping[str, Any]
) -> RunOut | None:
    """An order whose validity has ended can be filled once more at most. A validity alone ends no finished item."""
    until = order.supply.valid_until
    if (
        until is None
        or until.last >= today
        or (order.authored and until.last < order.authored.first)
    ):
        return found
    fill = (
        found.fill_days
        if found and found.fill_days is not None
        else thresholds["expired_fill_days"]
    )
    last = add_days(until.last, fill)
    if found is None:
        return (
            None if order.standing is Standing.ENDED else RunOut(last, last, "validityPeriod", fill)
        )
    if found.latest <= last:
        return found
    return replace(
        found, earliest=min(found.earliest, last), latest=last, by=f"{found.by}, validityPeriod"
    )


def _prolonged(found: RunOut | None, order: Order, thresholds: Mapping[str, Any]) -> RunOut | None:
    if found is None or not is_as_needed(order):
        return found
    return replace(found, latest=add_days(found.latest, thresholds["as_needed_days"]))


# --- the lengths ------------------------------------------------------------------------------------------------------


def _by_supply(order: Order, fills: Fills, strength: Strength | None) -> _Length | None:
    """By the order's own supply; a dispense that states none borrows one fill of its order."""
    own = _by_days(order.supply, fills) or _by_quantity(order.supply, fills, order, strength)
    if own is not None or order.linked_supply is None:
        return own
    return _by_days(order.linked_supply, Fills()) or _by_quantity(
        order.linked_supply, Fills(), order, strength
    )


def _by_days(supply: Supply, fills: Fills) -> _Length | None:
    first = supply.first_days or supply.days
    later = supply.days or (Decimal(0) if fills.possible == 1 else None)
    if first is None or later is None:
        return None
    return _Length(
        first + later * (fills.known - 1),
        first + later * (fills.possible - 1),
        supply.days or first,
        "days of supply",
    )


def _by_quantity(
    supply: Supply, fills: Fills, order: Order, strength: Strength | None
) -> _Length | None:
    """Quantity through daily dose, both in one unit."""
    quantity = supply.quantity or (supply.first_quantity if fills.possible == 1 else None)
    later = _lasting(quantity, order, strength)
    first = _lasting(supply.first_quantity, order, strength) if supply.first_quantity else later
    if first is None or later is None:
        return None
    return _Length(
        first.least + later.least * (fills.known - 1),
        first.most + later.most * (fills.possible - 1),
        later.least,
        "quantity and daily dose",
    )


def _lasting(quantity: Quantity | None, order: Order, strength: Strength | None) -> Lasting | None:
    return days_supplied(quantity, _dosages(order), strength, order.label) if quantity else None
