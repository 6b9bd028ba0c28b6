"""What holds of every record: a fact that is lost or blurred never makes an opioid vanish (specification 8)."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.exposure.ending import gather
from cds_service.exposure.timeline import expose
from cds_service.model import Day, Exposure, Medication, Role, Severity, Standing, State
from tests.unit.clinic import LIMITS, TODAY, ago
from tests.unit.exposure.records import CLOCK, four_a_day, listed, met, tablets
from tests.unit.exposure.tables import table_a

ROLES = st.sampled_from(
    [Role.FULL_SA, Role.FULL_LA, Role.METHADONE, Role.BUP, Role.DUAL, Role.MIXED]
)
RECENTLY = st.integers(0, 400).map(ago)
WORDS = st.sampled_from(
    [
        {"standing": Standing.ACTIVE, "status": "active"},
        {"standing": Standing.ENDED, "status": "completed"},
        {"standing": Standing.ENDED, "status": "stopped"},
        {"standing": Standing.HELD, "status": "on-hold"},
    ]
)
MAYBE = {
    "supply_days": st.integers(1, 90).map(Decimal),
    "repeats": st.integers(0, 11),
    "quantity": st.integers(1, 240).map(tablets),
    "start": RECENTLY,
    "end": RECENTLY,
    "valid_until": RECENTLY,
}
RECORD = st.fixed_dictionaries(
    {"authored": RECENTLY},
    optional={
        **MAYBE,
        "updated": RECENTLY,
        "status_changed": RECENTLY,
        "asserted": RECENTLY,
        "dosages": st.builds(
            four_a_day, low=st.just(1), high=st.integers(1, 3), as_needed=st.booleans()
        ),
    },
)
LOST = {
    "status": {"standing": Standing.HELD, "status": ""},
    "end": {"end": None, "ended": None},
    "supply": {"supply_days": None, "repeats": 0},
    "quantity": {"quantity": None},
    "dose": {"dosages": ()},
}


def month_of(day: date) -> Day:
    """A date of which only the month is known."""
    first = day.replace(day=1)
    return Day(first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1))


def year_of(day: date) -> Day:
    return Day(date(day.year, 1, 1), date(day.year, 12, 31))


def is_contradictory(said: dict[str, Any]) -> bool:
    """A record that nobody could have kept: something happened before the order was written, or after it was over."""
    later = ("start", "end", "valid_until", "updated", "status_changed", "asserted")
    over = [said[name] for name in ("updated", "status_changed", "asserted") if name in said]
    return (
        any(said[name] < said["authored"] for name in later if name in said)
        or ("end" in said and any(day < said["end"] for day in over))
        or ("end" in said and "start" in said and said["end"] < said["start"])
    )


@given(role=ROLES, word=WORDS, said=RECORD, lost=st.sampled_from(sorted(LOST)))
def test_a_fact_that_is_lost_never_turns_a_warning_into_nothing(
    role: Role, word: dict[str, Any], said: dict[str, Any], lost: str
) -> None:
    """Where the warning rests on that very fact, it goes with it.

    An end or a second supply that contradicts the first, and an as-needed sig: without them the record says in one
    voice that the order was over long ago.
    """
    before = met(listed(role, **{**word, **said}))
    if is_contradictory(said) or before.state is State.OLD or table_a(before) < Severity.WARNING:
        return
    if len({"end", "supply_days", "quantity"} & set(said)) > 1:
        return
    if lost == "dose" and any(d.as_needed for d in said.get("dosages", ())):
        return
    after = met(listed(role, **{**word, **said, **LOST[lost]}))
    assert table_a(after) >= Severity.WARNING, (before.because, after.because)


@given(
    role=ROLES,
    word=WORDS,
    said=RECORD,
    name=st.sampled_from(["authored", "start", "end", "updated", "asserted"]),
    blur=st.sampled_from([month_of, year_of]),
)
def test_a_date_that_is_blurred_never_turns_a_warning_into_nothing(
    role: Role, word: dict[str, Any], said: dict[str, Any], name: str, blur: Any
) -> None:
    before = met(listed(role, **{**word, **said}))
    if (
        name not in said
        or is_contradictory(said)
        or before.state is State.OLD
        or table_a(before) < Severity.WARNING
    ):
        return
    after = met(listed(role, **{**word, **said, name: blur(said[name])}))
    assert table_a(after) >= Severity.WARNING, (before.because, after.because)


@given(
    role=ROLES,
    word=WORDS.filter(lambda w: w["standing"] is Standing.ENDED),
    start=st.integers(0, 364),
    has_start=st.booleans(),
)
def test_a_start_date_is_never_an_end_date(
    role: Role, word: dict[str, Any], start: int, has_start: bool
) -> None:
    """Whatever it is called: nothing but the year that an order lives bounds the last dose."""
    name = "start" if has_start else "authored"
    assert met(listed(role, **word, **{name: ago(start)})).state is State.HELD


@given(role=ROLES, word=WORDS, said=RECORD)
def test_an_exposure_is_consistent(role: Role, word: dict[str, Any], said: dict[str, Any]) -> None:
    found = met(listed(role, **{**word, **said}))
    assert (found.state is State.RECENT) == (
        found.days is not None and found.state is not State.CURRENT
    )
    assert found.clear_on is None or found.ending is not None
    assert found.latest_day is None or found.latest_day <= TODAY
    assert all(
        days is None or days >= 0 for days in (found.days, found.used_days, found.run_out_days)
    )
    assert found.run_out is None or found.run_out.earliest <= found.run_out.latest


@given(said=st.lists(st.tuples(WORDS, RECORD), min_size=2, max_size=6), seed=st.integers(0, 999))
def test_the_order_of_resources_makes_no_difference(
    said: list[tuple[dict[str, Any], dict[str, Any]]], seed: int
) -> None:
    meant = [
        listed(ref=f"MedicationRequest/{n}", **{**word, **record})
        for n, (word, record) in enumerate(said)
    ]
    shuffled = random.Random(seed).sample(meant, len(meant))
    assert exposures(meant) == exposures(shuffled)


def exposures(meant: list[Medication]) -> dict[str, Exposure]:
    known = gather(meant, [m.order.updated.last for m in meant if m.order.updated], LIMITS)
    return {m.order.ref: expose(m, CLOCK, known, LIMITS) for m in meant}


@pytest.mark.parametrize("word", ["completed", "stopped"])
@pytest.mark.parametrize("days", [0, 1, 7, 30])
def test_an_opioid_that_ended_some_day_of_the_last_month_is_asked_about(
    word: str, days: int
) -> None:
    """The first build read the day of writing as the last day; an opioid stopped yesterday was silent."""
    found = met(listed(standing=Standing.ENDED, status=word, authored=ago(days)))
    assert Severity.WARNING <= table_a(found)
