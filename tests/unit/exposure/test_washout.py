"""The first day on which table A says none, after a documented end (specification 2.5, 3.4, 8)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cds_service.exposure.calendar import Clock
from cds_service.exposure.depot import Doses
from cds_service.exposure.ending import Listed
from cds_service.exposure.timeline import expose
from cds_service.exposure.washout import earliest_start, opioid_free_days, silent_from, stated_wait
from cds_service.model import Band, Exposure, Medication, Role, Severity, State
from tests.unit.clinic import LIMITS, NOW, TODAY, ago, exposure, medication, naltrexone
from tests.unit.exposure.records import COMPLETED, ON_HOLD, STOPPED, listed, met
from tests.unit.exposure.tables import table_a

OPIOIDS = [
    Role.FULL_SA,
    Role.DUAL,
    Role.MIXED,
    Role.FULL_LA,
    Role.METHADONE,
    Role.BUP,
    Role.ANTITUSSIVE,
    Role.OPIOID_LIKE,
]
DEPOTS = ["Sublocade monthly", "Brixadi weekly", "Probuphine implant"]


def ended(role: Role, days: int, brief: bool = False, **said: Any) -> Exposure:
    """An exposure that is documented to have ended so many days ago."""
    return met(
        listed(role, **STOPPED, start=ago(days + (3 if brief else 200)), end=ago(days), **said)
    )


def on_day(role: Role, days: int, label: str, *, brief: bool = False) -> Exposure:
    """The same record seen so many days after its end or its last dose."""
    shift = timedelta(days=days)
    clock, start = Clock(NOW + shift, TODAY + shift), ago(3 if brief else 200)
    doses = Doses({("buprenorphine", role): TODAY}) if role is Role.BUP_DEPOT else Doses({})
    meant = listed(role, label=label, **STOPPED, start=start, end=TODAY)
    return expose(meant, clock, Listed(doses, {}, {}), LIMITS)


@pytest.mark.parametrize(
    ("role", "label", "brief"),
    [
        *((role, "", brief) for role in OPIOIDS for brief in (False, True)),
        *((Role.BUP_DEPOT, label, False) for label in DEPOTS),
    ],
)
def test_the_day_that_is_printed_is_the_first_on_which_table_a_says_none(
    role: Role, label: str, brief: bool
) -> None:
    """Cards, planner and gate ask one function, and the table agrees with it on both sides of the day."""
    clear = on_day(role, 1, label, brief=brief).clear_on
    assert clear is not None
    days = (clear - TODAY).days
    said = [table_a(on_day(role, n, label, brief=brief)) for n in range(1, days + 3)]
    assert Severity.NONE not in said[: days - 1]
    assert {Severity.NONE} == set(said[days - 1 :])


@pytest.mark.parametrize(
    ("role", "brief", "days"),
    [
        (Role.FULL_SA, False, 10),
        (Role.FULL_SA, True, 7),
        (Role.DUAL, False, 10),
        (Role.MIXED, True, 7),
        (Role.FULL_LA, False, 14),
        (Role.FULL_LA, True, 14),
        (Role.METHADONE, False, 14),
        (Role.BUP, True, 14),
        (Role.ANTITUSSIVE, False, 10),
        (Role.OPIOID_LIKE, False, 10),
    ],
)
def test_the_wait_counts_from_the_documented_end(role: Role, brief: bool, days: int) -> None:
    found = ended(role, 4, brief)
    assert ago(4 - days) == found.clear_on
    earliest = earliest_start(found, TODAY, LIMITS)
    assert earliest is not None
    assert (ago(4 - days), days, True) == (earliest.on, earliest.days, earliest.is_known)


@pytest.mark.parametrize(
    ("label", "days"),
    [("Sublocade monthly", 181), ("Brixadi weekly", 61), ("Probuphine implant", 361)],
)
def test_a_depot_counts_from_its_last_dose(label: str, days: int) -> None:
    assert TODAY + timedelta(days=days) == on_day(Role.BUP_DEPOT, 30, label).clear_on


def test_an_implant_that_was_taken_out_counts_from_there() -> None:
    meant = listed(
        Role.BUP_DEPOT,
        label="Probuphine implant",
        **COMPLETED,
        start=ago(200),
        end=ago(5),
        end_of="effectivePeriod.end",
    )
    doses = Listed(Doses({("buprenorphine", Role.BUP_DEPOT): ago(200)}), {}, {})
    assert ago(5 - 181) == met(meant, doses).clear_on


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"authored": ago(400)},
        ON_HOLD,
        {**STOPPED, "authored": ago(90), "updated": ago(20)},
        {**COMPLETED, "authored": ago(90)},
        {"start": ago(-9)},
    ],
)
def test_without_a_documented_end_there_is_no_date(said: dict[str, Any]) -> None:
    """A bound on the last dose is no last dose: what would be printed is the wait from today, as not known."""
    found = met(listed(**said))
    assert found.clear_on is None
    earliest = earliest_start(found, TODAY, LIMITS)
    assert earliest is not None
    assert (TODAY + timedelta(days=10), False) == (earliest.on, earliest.is_known)


@pytest.mark.parametrize("role", [Role.PERIPH, Role.NTX_ORAL, Role.NTX_XR])
def test_an_antidiarrheal_and_naltrexone_itself_ask_for_no_wait(role: Role) -> None:
    found = ended(role, 4)
    assert (None, None) == (found.clear_on, earliest_start(found, TODAY, LIMITS))


def test_of_two_opioids_in_one_product_the_longer_wait_counts() -> None:
    mixed = listed(Role.FULL_SA, also=listed(Role.METHADONE).recognition.components)
    assert 14 == opioid_free_days(mixed, brief=False, thresholds=LIMITS)


@pytest.mark.parametrize(
    ("meant", "days"),
    [
        (naltrexone(Band.MICRO), 0),
        (naltrexone(role=Role.NTX_TOPICAL), 0),
        (naltrexone(Band.LDN), 3),
        (naltrexone(Band.LABELLED), 14),
        (naltrexone(Band.UNKNOWN), 14),
        (naltrexone(role=Role.NTX_BUP), 14),
        (naltrexone(role=Role.NTX_XR), 61),
        (naltrexone(role=Role.NTX_IMPLANT), 241),
        (medication(Role.OTHER_ANTAG), 7),
        (medication(Role.PERIPH), 0),
        (medication(Role.FULL_SA), 10),
        (medication(Role.FULL_LA, also=naltrexone().recognition.components), 14),
    ],
)
def test_both_tables_say_from_which_day_a_finished_product_is_silent(
    meant: Medication, days: int
) -> None:
    assert days == silent_from(meant, False, LIMITS)


def test_a_drug_that_is_not_known_is_given_the_longest_wait() -> None:
    meant = medication(Role.FULL_SA)
    unknown = replace(meant, recognition=replace(meant.recognition, components=()))
    assert 14 == silent_from(unknown, False, LIMITS)


def test_a_depot_is_never_silent_while_it_would_be_critical_whatever_its_tail() -> None:
    """Numbers of a site: a tail that ends before interval and critical days are over does not shorten the wait."""
    short = {**LIMITS, "depot_tail_days": {"weekly": 10, "monthly": 10, "implant": 1}}
    waits = [opioid_free_days(listed(Role.BUP_DEPOT, label=n), False, short) for n in DEPOTS]
    assert [28 + 14, 7 + 14, 180 + 14] == waits


def test_the_wait_after_a_dose_that_somebody_names_is_that_of_its_class() -> None:
    assert (10, 14) == (stated_wait("short", LIMITS), stated_wait("long", LIMITS))


def test_a_finished_exposure_without_a_day_asks_for_the_wait_from_today() -> None:
    bare = replace(exposure(listed(), State.RECENT, 3))
    earliest = earliest_start(bare, TODAY, LIMITS)
    assert earliest is not None
    assert not earliest.is_known
