"""The tables of the interaction rule as a reader meets them, made by asking the rule itself for every kind of drug, state
and day: a table that is typed in would one day say something else than what runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from cds_service.model import (
    Band,
    Component,
    Concept,
    Drug,
    Exposure,
    Identity,
    Medication,
    Order,
    Recognition,
    Release,
    Role,
    Severity,
    Standing,
    State,
)
from cds_service.rules.tables import both_drafted, table_a, table_b

Limits = Mapping[str, Any]

STATES = (State.CURRENT, State.HELD, State.STALE, State.OLD, State.PLANNED)
_MOST_DAYS = 365


@dataclass(frozen=True, slots=True)
class DecisionTable:
    """``rows`` are a kind of drug and its cells, one for each of ``columns``."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


_OPIOIDS = (
    ("Short-acting opioid", Role.FULL_SA, "oxycodone", ""),
    ("Long-acting opioid, methadone, buprenorphine", Role.METHADONE, "methadone", ""),
    ("Weekly buprenorphine depot", Role.BUP_DEPOT, "buprenorphine", "weekly"),
    ("Monthly buprenorphine depot", Role.BUP_DEPOT, "buprenorphine", "monthly"),
    ("Opioid for cough", Role.ANTITUSSIVE, "codeine", ""),
    ("Kratom, tianeptine", Role.OPIOID_LIKE, "mitragynine", ""),
    ("Gut-acting opioid", Role.PERIPH, "diphenoxylate", ""),
)
_ANTAGONISTS: tuple[tuple[str, Role, str, Band | None], ...] = (
    ("Naltrexone by mouth, labelled dose", Role.NTX_ORAL, "naltrexone", Band.LABELLED),
    ("Naltrexone by mouth, low dose", Role.NTX_ORAL, "naltrexone", Band.LDN),
    ("Naltrexone by mouth, microgram", Role.NTX_ORAL, "naltrexone", Band.MICRO),
    ("Naltrexone injection", Role.NTX_XR, "naltrexone", Band.XR),
    ("Naltrexone implant", Role.NTX_IMPLANT, "naltrexone", Band.XR),
    ("Nalmefene by mouth", Role.OTHER_ANTAG, "nalmefene", None),
    ("Samidorphan", Role.OTHER_ANTAG, "samidorphan", None),
)


def decision_tables(limits: Limits) -> tuple[DecisionTable, DecisionTable]:
    """Table A (an antagonist is drafted) and table B (a short-acting opioid is drafted) by the numbers given."""
    columns = ("current", "held, end unknown", "out of date", "old", "planned")
    days = "days since the last dose"
    return (
        DecisionTable(
            "Naltrexone is drafted and the patient's list holds",
            ("drafted too", *columns, days),
            tuple(_row_a(said, role, name, depot, limits) for said, role, name, depot in _OPIOIDS),
        ),
        DecisionTable(
            "A short-acting opioid is drafted and the patient's list holds",
            (*columns, days),
            tuple(
                _row_b(said, role, name, band, limits) for said, role, name, band in _ANTAGONISTS
            ),
        ),
    )


def _row_a(
    said: str, role: Role, name: str, depot: str, limits: Limits
) -> tuple[str, tuple[str, ...]]:
    medicine, interval = _medication(role, name, None), limits["depot_interval_days"].get(depot)
    component = medicine.recognition.components[0]

    def ask(state: State, **known: Any) -> Severity:
        return table_a(
            component,
            Exposure(medicine, state, depot=depot, interval_days=interval, **known),
            limits,
        )

    return said, (_word(both_drafted(component, medicine, limits)), *_cells(ask))


def _row_b(
    said: str, role: Role, name: str, band: Band | None, limits: Limits
) -> tuple[str, tuple[str, ...]]:
    medicine = _medication(role, name, band)

    def ask(state: State, **known: Any) -> Severity:
        return table_b(Role.FULL_SA, Exposure(medicine, state, **known), limits)[0]

    return said, tuple(_cells(ask))


def _cells(ask: Callable[..., Severity]) -> Iterator[str]:
    yield from (_word(ask(state)) for state in STATES)
    yield _runs(lambda day: ask(State.RECENT, days=day, last_dose_days=day))


def _runs(ask: Callable[[int], Severity]) -> str:
    """Days with the same answer together: "critical to 6, warning 7-9, then none"."""
    told, first = [], 0
    for severity, run in groupby(map(ask, range(_MOST_DAYS + 1))):
        last = first + sum(1 for _ in run) - 1
        if last == _MOST_DAYS:
            told.append(f"then {_word(severity)}" if first else _word(severity))
        else:
            told.append(f"{_word(severity)} {f'{first}-' if first else 'to '}{last}")
        first = last + 1
    return ", ".join(told)


def _word(severity: Severity) -> str:
    return "none" if severity is Severity.NONE else severity.indicator


def _medication(role: Role, name: str, band: Band | None) -> Medication:
    order = Order(
        "", "MedicationRequest", Release.R4, "", Standing.ACTIVE, "active", Drug(Concept()), name
    )
    known = Recognition(Identity.RELEVANT, (Component(name, "", role),))
    return Medication(order, known, band=band)
