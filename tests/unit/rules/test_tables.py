"""Tables A and B of specification 2.5, transcribed by hand and tried cell by cell, on both sides of every limit.

A cell is written as in the specification: ``0-6 critical; 7-9 warning; 10- none`` are days, a lone word holds always.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from cds_service.model import (
    Band,
    Component,
    Dose,
    Exposure,
    Medication,
    Role,
    Severity,
    State,
    Strength,
)
from cds_service.rules.pairs import find_pairs
from tests.unit.clinic import draft, exposure, medication, naltrexone, snapshot

SHORT = (Role.FULL_SA, Role.DUAL, Role.MIXED)
LONG = (Role.FULL_LA, Role.METHADONE, Role.BUP)
FAR = 400  # beyond every limit

# role: (both drafted, CURRENT, HELD, STALE, OLD, PLANNED, RECENT(d))
TABLE_A = {
    **dict.fromkeys(SHORT, "critical|critical|warning|warning|info|warning|0-6 critical; 7-9 warning; 10- none"),
    **dict.fromkeys(LONG, "critical|critical|warning|warning|info|warning|0-13 critical; 14- none"),
    Role.OPIOID_LIKE: "warning|warning|warning|warning|none|warning|0-9 warning; 10- none",
    Role.ANTITUSSIVE: "warning|warning|warning|info|none|info|0-6 warning; 7-9 info; 10- none",
    Role.PERIPH: "info|info|none|none|none|none|none",
}  # fmt: skip
BRIEF = dict.fromkeys(SHORT, "0-6 warning; 7- none")
# by days since the last dose, whatever the state; an implant by days since its removal, then since the interval
DEPOT_A = {
    "monthly": (28, "0-41 critical; 42-180 warning; 181- none"),
    "weekly": (7, "0-20 critical; 21-60 warning; 61- none"),
    "implant": (180, "0-193 critical; 194-360 warning; 361- none"),
}
# product: (CURRENT, HELD, STALE, OLD, PLANNED, RECENT(d))
ORAL = "critical|warning|warning|info|warning|"
TABLE_B = {
    **dict.fromkeys((Band.VLDN, Band.LDN, Band.INTERMEDIATE), ORAL + "0-2 warning; 3- none"),
    **dict.fromkeys((Band.LABELLED, Band.SUPRA, Band.UNKNOWN, Band.BUPROPION), ORAL + "0-2 warning; 3-13 info; 14- none"),
    Band.MICRO: "warning|none|none|none|none|none",
    Band.TOPICAL: "none|none|none|none|none|none",
    "nalmefene": ORAL + "0-6 warning; 7- none",
    "samidorphan": ORAL + "0-4 warning; 5- none",
}  # fmt: skip
# by days since the last dose: (CURRENT, HELD, RECENT)
DEPOT_B = {
    Role.NTX_XR: (
        "0-30 critical; 31-60 warning; 61- warning",
        "0-30 critical; 31-60 warning; 61- warning",
        "0-30 critical; 31-60 warning; 61- none",
    ),
    Role.NTX_IMPLANT: (
        "critical",
        "0-180 critical; 181- warning",
        "0-180 critical; 181-240 info; 241- none",
    ),
}
LISTED_STATES = (State.CURRENT, State.HELD, State.STALE, State.OLD, State.PLANNED, State.RECENT)
WORD = {severity.indicator: severity for severity in Severity if severity} | {"none": Severity.NONE}


def cells(text: str) -> Iterator[tuple[int, Severity]]:
    """Both ends of every range of a cell; a lone word is tried today and long ago."""
    for clause in text.split("; "):
        days, _, word = clause.rpartition(" ")
        first, _, last = (days or "0-").partition("-")
        yield from ((day, WORD[word]) for day in dict.fromkeys((int(first), int(last or FAR))))


def opioid(role: Role) -> Medication:
    return medication(role, dose=Dose(Decimal(16), Decimal(16)))


def antagonist(row: Band | str) -> Medication:
    if isinstance(row, Band):
        role = {Band.BUPROPION: Role.NTX_BUP, Band.TOPICAL: Role.NTX_TOPICAL}.get(row)
        return naltrexone(row, role=role or Role.NTX_ORAL)
    plain = medication(Role.OTHER_ANTAG)
    component = Component(row, "9", Role.OTHER_ANTAG)
    return replace(plain, recognition=replace(plain.recognition, components=(component,)))


def worst(drafted: Medication, *others: Medication, listed: Exposure | None = None) -> Severity:
    drafts = [draft(drafted), *map(draft, others)]
    pairs = find_pairs(snapshot(*drafts, listed=(listed,) if listed else ()))
    return max((pair.severity for pair in pairs), default=Severity.NONE)


# --- table A ----------------------------------------------------------------------------------------------------------


def rows_of_a() -> Iterator[tuple[Role, State, int, bool, Severity]]:
    for role, row in TABLE_A.items():
        for state, cell in zip(LISTED_STATES, row.split("|")[1:], strict=True):
            for brief in (False, True):
                text = BRIEF.get(role, cell) if brief and state is State.RECENT else cell
                yield from ((role, state, day, brief, severity) for day, severity in cells(text))


@pytest.mark.parametrize(("role", "state", "days", "brief", "severity"), list(rows_of_a()))
@pytest.mark.parametrize(
    "drafted", [naltrexone(), naltrexone(Band.UNKNOWN), antagonist("nalmefene")]
)
def test_table_a(
    drafted: Medication, role: Role, state: State, days: int, brief: bool, severity: Severity
) -> None:
    recent = days if state is State.RECENT else None
    listed = exposure(opioid(role), state, recent, brief=brief)
    assert severity is worst(drafted, listed=listed)


@pytest.mark.parametrize(
    ("role", "severity"), [(r, WORD[t.split("|")[0]]) for r, t in TABLE_A.items()]
)
def test_table_a_both_drafted(role: Role, severity: Severity) -> None:
    assert severity is worst(naltrexone(), opioid(role))
    assert min(severity, Severity.WARNING) is worst(naltrexone(Band.MICRO), opioid(role))


def test_a_recent_end_without_a_day_counts_as_today() -> None:
    assert Severity.CRITICAL is worst(
        naltrexone(), listed=exposure(opioid(Role.BUP), State.RECENT, None)
    )


@pytest.mark.parametrize("evidence", ["used_days", "run_out_days"])
@pytest.mark.parametrize("state", [State.HELD, State.STALE])
@pytest.mark.parametrize("role", [r for r in TABLE_A if r is not Role.PERIPH])
def test_held_and_stale_are_never_milder_than_stopped_that_day(
    role: Role, state: State, evidence: str
) -> None:
    columns = dict(zip(LISTED_STATES, TABLE_A[role].split("|")[1:], strict=True))
    for day, recent in cells(columns[State.RECENT]):
        listed = exposure(opioid(role), state, **{evidence: day})
        assert max(recent, WORD[columns[state]]) is worst(naltrexone(), listed=listed)


@pytest.mark.parametrize("state", [State.CURRENT, State.HELD, State.STALE, State.RECENT, State.OLD])
@pytest.mark.parametrize(
    ("kind", "interval", "days", "severity"),
    [
        (kind, interval, day, s)
        for kind, (interval, text) in DEPOT_A.items()
        for day, s in cells(text)
    ],
)
def test_table_a_depot_buprenorphine_by_its_last_dose(
    kind: str, interval: int, days: int, severity: Severity, state: State
) -> None:
    listed = exposure(
        medication(Role.BUP_DEPOT), state, 0, last_dose_days=days, interval_days=interval, depot=kind
    )  # fmt: skip
    last = Severity.INFO if state is State.OLD else Severity.NONE
    assert max(severity, last) is worst(naltrexone(), listed=listed)


@pytest.mark.parametrize(
    ("inserted", "removed", "word"),
    [(100, 0, "critical"), (193, 20, "critical"), (194, 0, "warning"), (400, 180, "warning"), (400, 181, "none")],
)  # fmt: skip
def test_table_a_an_implant_counts_from_its_removal(inserted: int, removed: int, word: str) -> None:
    listed = exposure(
        medication(Role.BUP_DEPOT), State.RECENT, removed,
        last_dose_days=inserted, interval_days=180, depot="implant", removed_days=removed,
    )  # fmt: skip
    assert WORD[word] is worst(naltrexone(), listed=listed)


@pytest.mark.parametrize(
    ("state", "word"),
    [(State.CURRENT, "critical"), (State.HELD, "warning"), (State.STALE, "warning"), (State.RECENT, "warning"),
     (State.PLANNED, "warning"), (State.OLD, "info")],
)  # fmt: skip
def test_table_a_depot_without_a_known_dose(state: State, word: str) -> None:
    listed = exposure(medication(Role.BUP_DEPOT), state, 0, interval_days=28, depot="monthly")
    assert WORD[word] is worst(naltrexone(), listed=listed)


@pytest.mark.parametrize(("mg", "word"), [("16", "info"), ("16.1", "warning"), (None, "info")])
def test_loperamide_above_16_mg_acts_on_the_brain(mg: str | None, word: str) -> None:
    dose = Dose(Decimal(mg), Decimal(mg)) if mg else Dose()
    taken = medication(Role.PERIPH, dose=dose)
    assert {WORD[word]} == {
        worst(naltrexone(), taken),
        worst(naltrexone(), listed=exposure(taken)),
    }
    assert Severity.NONE is worst(naltrexone(), listed=exposure(taken, State.HELD))


def test_topical_naltrexone_meets_nothing() -> None:
    topical = antagonist(Band.TOPICAL)
    assert {Severity.NONE} == {
        worst(topical, opioid(Role.METHADONE)),
        worst(topical, listed=exposure(opioid(Role.METHADONE))),
    }


# --- table B ----------------------------------------------------------------------------------------------------------


def rows_of_b() -> Iterator[tuple[Band | str, State, int, Severity]]:
    for row, text in TABLE_B.items():
        for state, cell in zip(LISTED_STATES, text.split("|"), strict=True):
            yield from ((row, state, day, severity) for day, severity in cells(cell))


@pytest.mark.parametrize("role", [*SHORT, *LONG, Role.BUP_DEPOT, Role.ANTITUSSIVE, Role.PERIPH])
@pytest.mark.parametrize(("row", "state", "days", "severity"), list(rows_of_b()))
def test_table_b(row: Band | str, state: State, days: int, severity: Severity, role: Role) -> None:
    recent = days if state is State.RECENT else None
    if role is Role.ANTITUSSIVE:
        severity = min(severity, Severity.WARNING)
        if state is State.RECENT and severity is Severity.INFO:
            severity = Severity.NONE  # no notice of lost tolerance
    if role is Role.PERIPH:
        met = state is State.CURRENT and row is not Band.TOPICAL
        severity = Severity.INFO if met else Severity.NONE
    assert severity is worst(opioid(role), listed=exposure(antagonist(row), state, recent))


@pytest.mark.parametrize("mg", ["4.5", "50"])
def test_table_b_an_unread_dose_is_not_taken_for_a_low_one(mg: str) -> None:
    unread = naltrexone(Band.UNKNOWN, strength=Strength(Decimal(mg)))
    assert Severity.INFO is worst(opioid(Role.FULL_SA), listed=exposure(unread, State.RECENT, 13))


@pytest.mark.parametrize("role", [Role.FULL_SA, Role.METHADONE, Role.ANTITUSSIVE])
@pytest.mark.parametrize(
    ("product", "state", "days", "severity"),
    [
        (product, state, day, severity)
        for product, texts in DEPOT_B.items()
        for state, text in zip((State.CURRENT, State.HELD, State.RECENT), texts, strict=True)
        for day, severity in cells(text)
    ],
)
def test_table_b_depots_by_their_last_dose(
    product: Role, state: State, days: int, severity: Severity, role: Role
) -> None:
    if role is Role.ANTITUSSIVE:
        severity = min(severity, Severity.WARNING)
        if severity is Severity.INFO:
            severity = Severity.NONE
    assert severity is worst(
        opioid(role), listed=exposure(depot(product), state, 0, last_dose_days=days)
    )


@pytest.mark.parametrize("product", DEPOT_B)
@pytest.mark.parametrize(
    ("state", "word"),
    [(State.CURRENT, "critical"), (State.HELD, "warning"), (State.STALE, "warning"), (State.OLD, "info"),
     (State.PLANNED, "warning"), (State.RECENT, "none")],
)  # fmt: skip
def test_table_b_depots_without_a_known_dose(product: Role, state: State, word: str) -> None:
    assert WORD[word] is worst(opioid(Role.FULL_SA), listed=exposure(depot(product), state, 0))


@pytest.mark.parametrize("row", [Band.LDN, Band.LABELLED, "nalmefene"])
@pytest.mark.parametrize("state", LISTED_STATES)
def test_table_b_kratom_and_tianeptine(state: State, row: Band | str) -> None:
    speaks = state in {State.CURRENT, State.HELD, State.STALE}
    expected = Severity.WARNING if speaks else Severity.NONE
    assert expected is worst(opioid(Role.OPIOID_LIKE), listed=exposure(antagonist(row), state, 0))


@pytest.mark.parametrize("days", [31, 60])
def test_the_injection_that_fades_is_only_said(days: int) -> None:
    """Lost tolerance and a fading block: no delete is offered, and it is not said that the opioid will be blocked."""
    listed = exposure(depot(Role.NTX_XR), State.RECENT, 0, last_dose_days=days)
    (pair,) = find_pairs(snapshot(draft(opioid(Role.FULL_SA)), listed=(listed,)))
    assert pair.tolerance


def depot(product: Role) -> Medication:
    return naltrexone(Band.XR if product is Role.NTX_XR else Band.UNKNOWN, role=product)


# --- what caps a verdict ----------------------------------------------------------------------------------------------


def doubted(meant: Medication, **doubt: Any) -> Medication:
    return replace(meant, recognition=replace(meant.recognition, **doubt))


@pytest.mark.parametrize(
    "doubt",
    [
        {"conflict": "code captopril, name hydrocodone"},
        {"uncertain": True, "did_you_mean": "methadone"},
    ],
)
def test_what_is_not_certain_is_capped_at_warning(doubt: dict[str, Any]) -> None:
    methadone = opioid(Role.METHADONE)
    assert {Severity.WARNING} == {
        worst(naltrexone(), doubted(methadone, **doubt)),
        worst(doubted(naltrexone(), **doubt), methadone),
        worst(naltrexone(), listed=exposure(doubted(methadone, **doubt))),
        worst(methadone, listed=exposure(doubted(naltrexone(), **doubt))),
    }
    info = exposure(doubted(opioid(Role.PERIPH), **doubt))
    assert Severity.INFO is worst(naltrexone(), listed=info)


@pytest.mark.parametrize(("role", "row"), list(TABLE_A.items()))
def test_a_microgram_is_capped_at_warning(role: Role, row: str) -> None:
    current = WORD[row.split("|")[1]]
    listed = exposure(opioid(role))
    assert min(current, Severity.WARNING) is worst(naltrexone(Band.MICRO), listed=listed)
