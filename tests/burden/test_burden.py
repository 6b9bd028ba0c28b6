"""The invented patients are what they say they are, and the service treats them as the specification wants."""

from __future__ import annotations

import re
from datetime import date, datetime
from importlib import import_module
from typing import Any

import pytest

from cds_service.pipeline import Engine
from tests.burden import medicines, tally
from tests.burden.__main__ import measure
from tests.burden.drafts import KINDS, Purpose, drafted
from tests.burden.patients import (
    DANGER_DAYS,
    STARTERS,
    YEAR,
    Record,
    Starter,
    Style,
    looks_like_a_user,
    oxycodone,
    possible,
    record,
    runs_out,
    starter_call,
    starters,
)
from tests.burden.tally import Burden, burden
from tests.decision_diff.calls import Call
from tests.decision_diff.decisions import Card, Decision, decision
from tests.decision_diff.versions import ROOT, Version
from tests.properties.in_process import InProcess
from tests.vignettes.builder import INTERACTION, TODAY

SEED = 7
FALSELY_CRITICAL = 30  # of about 365 clear patients, in every style
GAP_SHARE = 0.10
every_style = pytest.mark.parametrize("style", list(Style))


@pytest.fixture(scope="module")
def cohort() -> tuple[Starter, ...]:
    return starters(SEED)


def test_the_cohort_has_the_shares_of_the_measurement(cohort: tuple[Starter, ...]) -> None:
    """400 patients within a year; 70, 20 and 10 % of the courses; about a tenth in danger; the seed decides all."""
    assert (STARTERS, cohort) == (len(cohort), starters(SEED))
    assert cohort != starters(SEED + 1)
    assert all(1 <= who.written <= YEAR for who in cohort)
    many = starters(SEED, 20_000)
    shares = [
        sum(test(who) for who in many) / len(many)
        for test in (
            lambda w: 3 <= w.days <= 7,
            lambda w: w.days == 30 and not w.refills,
            lambda w: w.refills == 11,
            lambda w: w.endangered,
        )
    ]
    assert [0.70, 0.20, 0.10, 0.09] == [pytest.approx(share, abs=0.015) for share in shares]
    refilled = [who for who in many if who.refills and who.written > 120]
    assert 0.6 == pytest.approx(sum(who.stopped for who in refilled) / len(refilled), abs=0.05)
    assert all(1 <= who.last_dose <= 120 for who in refilled if who.stopped)


def test_nobody_takes_what_is_not_there(cohort: tuple[Starter, ...]) -> None:
    """The last dose lies between the day of writing and the last tablet; who is taking it took it today."""
    for who in cohort:
        assert max(0, runs_out(who)) <= who.last_dose <= who.written, who
        assert who.stopped or who.last_dose == max(0, runs_out(who)), who
        assert not who.taking or who.last_dose == 0, who
        assert who.endangered is (who.last_dose < DANGER_DAYS)


@every_style
def test_a_record_says_only_what_its_style_says(cohort: tuple[Starter, ...], style: Style) -> None:
    """Supply or quantity, never both; an end only in the first style, and then the day of the last dose; status."""
    for who in cohort:
        said = record(who, style)
        has_supply = style in {Style.TIDY, Style.SUPPLY_ACTIVE}
        assert (has_supply, not has_supply) == (
            said.supply_days is not None,
            said.quantity is not None,
        )
        assert (who.days if has_supply else 4 * who.days) == (
            said.supply_days if has_supply else said.quantity
        )
        assert (who.written, who.refills) == (said.written, said.refills)
        if style in {Style.SUPPLY_ACTIVE, Style.QUANTITY_ACTIVE}:
            assert ("active", None) == (said.status, said.ended)
        else:
            assert who.taking is (said.status == "active")
            assert (said.ended == who.last_dose) is (style is Style.TIDY and not who.taking)


def test_a_record_that_somebody_in_danger_may_have_is_told_by_trying_everybody() -> None:
    """Against a large cohort: whoever shares a record with an endangered patient is said to look like a user."""
    many = starters(SEED, 30_000)
    for style in Style:
        users = {record(who, style) for who in many if who.endangered}
        assert [] == [
            who for who in many if record(who, style) in users and not looks_like_a_user(who, style)
        ]
    clear = [who for who in many if not who.endangered]
    assert not any(looks_like_a_user(who, Style.TIDY) for who in clear)
    alike = [who for who in clear if looks_like_a_user(who, Style.SUPPLY_ACTIVE)]
    assert alike
    assert all(who.refills and who.stopped for who in alike)
    assert all(who in possible(who) for who in many[:2_000])


def test_a_short_course_and_a_single_month_have_one_truth() -> None:
    """Without refills the record tells the last dose, so nobody clear is excused."""
    who = Starter(1, 100, 5, 0, 96)
    assert [who] == [*possible(who)]
    assert not any(looks_like_a_user(who, style) for style in Style)


@every_style
def test_the_orders_are_valid_fhir_that_says_the_record(style: Style) -> None:
    model: Any = import_module("fhir.resources.R4B.medicationrequest").MedicationRequest
    for who in starters(SEED, 40):
        said, order = record(who, style), oxycodone(record(who, style), TODAY)
        model.model_validate(order)
        wanted = order["dispenseRequest"]
        assert (said.supply_days, said.quantity, said.refills, said.status) == (
            wanted.get("expectedSupplyDuration", {}).get("value"),
            wanted.get("quantity", {}).get("value"),
            wanted["numberOfRepeatsAllowed"],
            order["status"],
        )
        assert said.written == (TODAY - date.fromisoformat(order["authoredOn"])).days
        bounds = order["dosageInstruction"][0]["timing"]["repeat"].get("boundsPeriod", {})
        assert said.ended == ((TODAY - date.fromisoformat(bounds["end"])).days if bounds else None)


def test_the_drafts_are_a_plausible_hundred() -> None:
    """65, 20 and 15 by purpose, each with a list; some meet an opioid, and no other name on a list is one."""
    drafts = drafted(SEED)
    assert (drafted(SEED), 100) == (drafts, len(drafts))
    assert {Purpose.ALCOHOL: 65, Purpose.PAIN: 20, Purpose.OPIOID_USE: 15} == {
        purpose: sum(who.purpose is purpose for who in drafts) for purpose in Purpose
    }
    assert all(2 <= len(who.listed) <= 10 for who in drafts)
    assert 5 <= sum(who.meets_an_opioid for who in drafts) <= 30
    tables = (medicines.EVERYBODY, medicines.ALCOHOL, medicines.PAIN, medicines.OPIOID_USE)
    names = [name for table in tables for each in table for name in each.names]
    opioid = re.compile(
        r"codone|codeine|morph|fentan|methadone|buprenor|tramadol|tapentadol|naltrex", re.IGNORECASE
    )
    assert [] == [name for name in names if opioid.search(name)]
    assert {name for kind in KINDS.values() for name, _ in kind.opioids} >= {
        each.name for who in drafts for each in who.listed if each.is_opioid
    }


def test_the_drafts_are_valid_fhir() -> None:
    for call in tally.draft_calls(drafted(SEED)):
        resources = [call.body["context"]["draftOrders"]["entry"][0]["resource"]]
        resources += [
            e["resource"]
            for bundle in call.body["prefetch"].values()
            for e in bundle.get("entry", ())
        ]
        for resource in resources:
            kind = resource["resourceType"]
            model: Any = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
            model.model_validate(resource)


def told(indicator: str, *suggestions: str) -> Decision:
    return Decision("200", (Card(INTERACTION, indicator, suggestions, ()),))


def test_decisions_are_counted_against_the_truth() -> None:
    """Clear and endangered apart, a record like a user's apart, and what the specification lets pass apart."""
    clear, user_like = Starter(1, 100, 5, 0, 96), Starter(2, 100, 30, 11, 50, stopped=True)
    danger, brief = Starter(3, 5, 7, 0, 0), Starter(4, 10, 3, 0, 8)
    silent, critical = Decision("200"), told("critical")
    style = Style.SUPPLY_ACTIVE
    found = burden(
        [clear, clear, user_like, danger, danger, danger],
        style,
        [critical, silent, critical, silent, critical, told("info", "START_1_5")],
    )
    assert (
        Burden(
            style, {"critical": 1, "silent": 1}, 1, {"silent": 1, "critical": 1, "info": 1}, 0, 1
        )
        == found
    )
    assert (1, 1) == (found.falsely_critical, found.missed)
    assert Burden(Style.TIDY, {}, 0, {"warning": 1}, 1) == burden(
        [brief, brief], Style.TIDY, [silent, told("warning")]
    )
    assert Burden(style, {}, 0, {"silent": 1}, 0) == burden([brief], style, [silent])
    assert ["422"] == [*burden([clear], Style.TIDY, [Decision("422")]).clear]
    assert Record(100, "active", 11, supply_days=30) == record(user_like, Style.SUPPLY_ACTIVE)


def decided(calls: list[Call], engine: Engine, as_of: datetime) -> list[Decision]:
    walk = InProcess(engine, as_of)
    said = [(call, walk.post(call.path, call.body)) for call in calls]
    return [
        decision(call, {"status": answer.status_code, "answer": answer.json()})
        for call, answer in said
    ]


def test_the_command_counts_what_the_service_answers(engine: Engine, as_of: datetime) -> None:
    """In a process of its own, a version gets the same count as this one here."""
    few = starters(SEED, 12)
    here = [
        burden(few, style, decided(tally.calls_of(few, style), engine, as_of)) for style in Style
    ]
    measured = measure([Version("here", ROOT)], SEED, 12)
    assert [tuple(here)] == [each.styles for each in measured]
    assert 100 <= sum(counts.total() for counts in measured[0].cards.values())


def test_no_style_of_record_hides_a_danger_or_cries_wolf(
    cohort: tuple[Starter, ...], engine: Engine, as_of: datetime
) -> None:
    """Specification section 8: nobody in danger silent or offered a start, at most 30 clear patients called critical."""
    found = [
        burden(cohort, style, decided(tally.calls_of(cohort, style), engine, as_of))
        for style in Style
    ]
    assert dict.fromkeys(Style, (0, 0)) == {
        each.style: (each.missed, each.started) for each in found
    }
    assert [] == [
        (each.style, each.falsely_critical)
        for each in found
        if each.falsely_critical > FALSELY_CRITICAL
    ]


def test_few_plausible_drafts_are_told_of_names_that_nobody_knows(
    engine: Engine, as_of: datetime
) -> None:
    """At most 10 % of the drafts get a card about what could not be read."""
    drafts = drafted(SEED)
    assert tally.gap_share(drafts, decided(tally.draft_calls(drafts), engine, as_of)) <= GAP_SHARE


def test_only_the_order_differs_between_styles(cohort: tuple[Starter, ...]) -> None:
    """The same patient in two styles is the same call but for the one order."""
    who = cohort[0]
    first, second = (
        starter_call(who, style, TODAY) for style in (Style.TIDY, Style.QUANTITY_ACTIVE)
    )
    assert first["context"] == second["context"]
    assert first["prefetch"]["patient"] == second["prefetch"]["patient"]
