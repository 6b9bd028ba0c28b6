"""The first safe day after an opioid (specification 2.5, 3.4)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from cds_service import model
from cds_service.content import loader as content
from cds_service.exposure.washout import earliest_start
from cds_service.model import Exposure, Role, State

MONDAY = date(2026, 11, 23)
THRESHOLDS = content.load().thresholds(MONDAY)


def opioid(role: Role, state: State, label: str = "", **when: Any) -> Exposure:
    order = model.Order("MedicationRequest/1", "request", model.Release.R4, "meds", model.Standing.ENDED,
                        "completed", model.Drug(model.Concept(text=label)), label)
    recognition = model.Recognition(True, (model.Component("opioid", "1", role),))
    return Exposure(model.Medication(order, recognition), state, **when)


@pytest.mark.parametrize(("exposure", "in_days", "is_known"), [
    (opioid(Role.FULL_SA, State.RECENT, days=3), 7, True),
    (opioid(Role.FULL_SA, State.RECENT, days=10), 0, True),
    (opioid(Role.DUAL, State.RECENT, days=0), 10, True),
    (opioid(Role.MIXED, State.RECENT, days=9), 1, True),
    (opioid(Role.FULL_SA, State.RECENT, days=2, brief=True), 5, True),
    (opioid(Role.FULL_LA, State.RECENT, days=3), 11, True),
    (opioid(Role.FULL_LA, State.RECENT, days=3, brief=True), 11, True),
    (opioid(Role.METHADONE, State.RECENT, days=13), 1, True),
    (opioid(Role.BUP, State.RECENT, days=1), 13, True),
    (opioid(Role.FULL_SA, State.CURRENT), 10, False),
    (opioid(Role.METHADONE, State.HELD), 14, False),
    (opioid(Role.FULL_LA, State.STALE), 14, False),
    (opioid(Role.ANTITUSSIVE, State.CURRENT), 7, False),
    (opioid(Role.BUP_DEPOT, State.CURRENT, label="Sublocade monthly", last_dose_days=20, interval_days=28), 22, True),
    (opioid(Role.BUP_DEPOT, State.RECENT, label="Brixadi weekly", last_dose_days=5, days=0, interval_days=7), 16, True),
    (opioid(Role.BUP_DEPOT, State.RECENT, label="Probuphine implant", last_dose_days=100, days=0,
            interval_days=180), 94, True),
    (opioid(Role.BUP_DEPOT, State.CURRENT, label="depot", interval_days=28), 42, False),
])
def test_the_earliest_start_is_the_washout_after_the_last_opioid_day(
        exposure: Exposure, in_days: int, is_known: bool) -> None:
    """10 days short-acting, 7 brief, 14 long-acting or MOUD, depot interval + 14 from its last dose."""
    found = earliest_start(exposure, MONDAY, THRESHOLDS)
    assert (MONDAY + timedelta(days=in_days), is_known) == (found.on, found.is_known)


@pytest.mark.parametrize("exposure", [
    opioid(Role.PERIPH, State.CURRENT), opioid(Role.PERIPH, State.RECENT, days=1),
    opioid(Role.ANTITUSSIVE, State.RECENT, days=0),
])
def test_an_antidiarrheal_and_a_finished_cough_medicine_ask_for_no_wait(exposure: Exposure) -> None:
    """The table of 2.5 has nothing to say there, so neither has the calendar."""
    assert earliest_start(exposure, MONDAY, THRESHOLDS) is None
