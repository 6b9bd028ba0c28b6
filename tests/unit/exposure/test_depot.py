"""Depots and implants: intervals, last doses, billing codes (specification 2.4, 2.5)."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.exposure.depot import (
    Doses,
    billed_product,
    depot_interval,
    depot_kind,
    gather_doses,
    name_billed,
)
from cds_service.exposure.ending import Listed
from cds_service.model import Coding, Concept, Drug, Exposure, Medication, Role, State
from tests.unit.clinic import LIMITS, ago, medication
from tests.unit.exposure.records import COMPLETED, GIVEN, ON_HOLD, STOPPED, listed, met

HCPCS = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"


def vivitrol(**said: Any) -> Medication:
    return listed(Role.NTX_XR, **said)


def met_after(days: int | None, meant: Medication) -> Exposure:
    """The exposure beside a recorded dose so many days ago."""
    component = meant.recognition.components[0]
    known = {} if days is None else {(component.ingredient, component.role): ago(days)}
    return met(meant, Listed(Doses(known), {}, {}))


@pytest.mark.parametrize(
    ("label", "days"),
    [
        ("buprenorphine 300 MG prefilled syringe [Sublocade]", 28),
        ("Brixadi weekly", 7),
        ("Brixadi Monthly", 28),
        ("Brixadi weekly or monthly", 28),
        ("buprenorphine 50 MG/ML injection", 7),
        ("buprenorphine 50mg/ ml", 7),
        ("buprenorphine 150 MG/ML", 28),
        ("buprenorphine 356 MG/ML", 28),
        ("Probuphine", 180),
        ("Sixmo", 180),
        ("buprenorphine IMPLANT weekly", 180),
        ("naltrexone pellet", 180),
    ],
)
def test_a_depot_lasts_7_28_or_180_days_by_its_words(label: str, days: int) -> None:
    assert days == depot_interval(medication(Role.BUP_DEPOT, label=label), LIMITS)


@pytest.mark.parametrize(
    "drug",
    [
        Drug(Concept(text="Brixadi weekly")),
        Drug(form=Concept(text="weekly injection")),
        Drug(Concept((Coding("", "1"), Coding("", "2", "Brixadi Weekly")))),
    ],
)
def test_a_depot_is_known_by_its_text_its_form_or_any_display(drug: Drug) -> None:
    assert "weekly" == depot_kind(medication(Role.BUP_DEPOT, label="buprenorphine", drug=drug))


def test_the_interval_is_told_of_depots_only() -> None:
    assert (28, "monthly") == (met(vivitrol()).interval_days, met(vivitrol()).depot)
    assert (180, "implant") == (
        met(listed(Role.NTX_IMPLANT)).interval_days,
        met(listed(Role.NTX_IMPLANT)).depot,
    )
    assert (None, "") == (met(listed(label="weekly implant")).interval_days, met(listed()).depot)


@pytest.mark.parametrize(
    ("days", "state"),
    [(58, State.CURRENT), (59, State.STALE), (208, State.STALE), (209, State.OLD)],
)
def test_an_active_depot_is_judged_by_its_last_dose_whatever_its_supply_says(
    days: int, state: State
) -> None:
    """28 + 30 days; old 180 days after the interval."""
    found = met_after(days, vivitrol(authored=ago(400), end=ago(300)))
    assert (state, days, 28, ago(days)) == (
        found.state,
        found.last_dose_days,
        found.interval_days,
        found.on,
    )


@pytest.mark.parametrize("word", [COMPLETED, STOPPED])
def test_a_recorded_dose_outranks_the_dates_of_a_finished_order(word: dict[str, Any]) -> None:
    found = met_after(20, vivitrol(**word, start=ago(90), end=ago(88)))
    assert (State.RECENT, 20, 20, False, ago(20), "dose") == (
        found.state,
        found.days,
        found.last_dose_days,
        found.brief,
        found.on,
        found.dated,
    )


def test_a_held_depot_keeps_its_last_dose() -> None:
    found = met_after(20, vivitrol(**ON_HOLD, authored=ago(90)))
    assert (State.HELD, 20, 20) == (found.state, found.last_dose_days, found.used_days)


def test_without_a_recorded_dose_a_finished_depot_order_knows_none() -> None:
    found = met(listed(Role.BUP_DEPOT, **COMPLETED, authored=ago(45)))
    assert (State.HELD, None, 45) == (found.state, found.last_dose_days, found.used_days)


@pytest.mark.parametrize(("days", "state"), [(180, State.HELD), (181, State.RECENT)])
def test_a_finished_depot_order_is_behind_us_when_its_tail_is(days: int, state: State) -> None:
    found = met(listed(Role.BUP_DEPOT, **STOPPED, authored=ago(600), updated=ago(days)))
    assert (state, None if state is State.HELD else days) == (found.state, found.last_dose_days)


def test_a_dispensed_depot_counts_from_its_hand_over() -> None:
    found = met_after(45, vivitrol(kind="dispense", **GIVEN, handed_over=ago(45)))
    assert (State.RECENT, 45) == (found.state, found.last_dose_days)


def test_no_depot_is_a_brief_course() -> None:
    assert not met(vivitrol(**STOPPED, start=ago(20), end=ago(20))).brief
    assert not met(vivitrol(kind="administration", **GIVEN, given=ago(5))).brief


@pytest.mark.parametrize(
    ("end_of", "removed"), [("effectivePeriod.end", 9), ("boundsPeriod.end", None)]
)
def test_the_recorded_end_of_an_implant_is_its_removal(end_of: str, removed: int | None) -> None:
    meant = listed(
        Role.BUP_DEPOT,
        label="Probuphine implant",
        **COMPLETED,
        start=ago(90),
        end=ago(9),
        end_of=end_of,
    )
    found = met_after(88, meant)
    assert (removed, 88) == (found.removed_days, found.last_dose_days)


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ({"kind": "administration", "given": ago(5)}, True),
        ({"kind": "dispense", "handed_over": ago(5)}, True),
        ({"kind": "administration", "handed_over": ago(5)}, False),
        ({"kind": "dispense", "given": ago(5)}, False),
        ({"kind": "administration", "given": ago(5), **ON_HOLD}, False),
    ],
)
def test_a_depot_dose_counts_where_it_was_really_given_or_handed_over(
    said: dict[str, Any], counts: bool
) -> None:
    meant = vivitrol(**{**GIVEN, **said})
    assert (ago(5) if counts else None) == gather_doses([meant]).last_for(vivitrol())


def test_the_latest_dose_counts_and_only_for_the_same_ingredient_and_role() -> None:
    given = [vivitrol(**GIVEN, kind="administration", given=ago(n)) for n in (40, 12, 70)]
    doses = gather_doses([*given, listed(**GIVEN, kind="administration", given=ago(1))])
    assert (ago(12), None, None) == (
        doses.last_for(vivitrol()),
        doses.last_for(listed(Role.BUP_DEPOT)),
        doses.last_for(listed()),
    )


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("J2315", "naltrexone"),
        ("j2315", "naltrexone"),
        ("Q9991", "Sublocade"),
        ("Q9992", "Sublocade"),
        ("J0577", "weekly"),
        ("J0578", "monthly"),
        ("J0570", "implant"),
        ("J3490", ""),
        ("", ""),
    ],
)
def test_a_billing_code_stands_for_the_product_that_it_bills(code: str, word: str) -> None:
    found = billed_product(Concept((Coding("http://snomed.info/sct", "1"), Coding(HCPCS, code))))
    assert word in found if word else not found


@pytest.mark.parametrize(
    ("concept", "text"),
    [
        (Concept((Coding(HCPCS, "Q9991"),)), "Sublocade"),
        (Concept((Coding(HCPCS, "Q9991", "Own words"),)), ""),
        (Concept((Coding(HCPCS, "Q9991"),), "own words"), "own words"),
        (Concept((Coding(HCPCS, "Q9999"),)), ""),
    ],
)
def test_only_a_billing_code_alone_is_given_words(concept: Concept, text: str) -> None:
    assert text in name_billed(Drug(concept)).concept.text
    assert concept.codings == name_billed(Drug(concept)).concept.codings
