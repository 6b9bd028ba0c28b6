"""Maintenance treatment with methadone or buprenorphine as the record shows it: a gate of its own (3.4). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from cds_service.exposure.washout import earliest_start
from cds_service.model import ConditionKind, Exposure, Role, Snapshot, State
from cds_service.planner.answers import Answers, Known

ROLES = frozenset({Role.METHADONE, Role.BUP, Role.BUP_DEPOT})


@dataclass(frozen=True, slots=True)
class Maintenance:
    """What the record holds of it. ``days`` is the longest washout, by the function that the rules use."""

    exposures: tuple[Exposure, ...]
    days: int
    seen: date | None  # the newest day on which the record shows it in use

    def __bool__(self) -> bool:
        return bool(self.exposures)


def of_record(snapshot: Snapshot) -> Maintenance:
    """Methadone, buprenorphine or a depot that did not end longer ago than the threshold says."""
    since = snapshot.thresholds["titration"]["maintenance_ended_days"]
    found = tuple(
        e
        for e in snapshot.exposures
        if is_maintenance(e)
        and not (e.state is State.RECENT and e.days is not None and e.days > since)
    )
    waits = [earliest_start(e, snapshot.today, snapshot.thresholds) for e in found]
    days = max((wait.days for wait in waits if wait), default=0)
    return Maintenance(found, days, newest_use(found, snapshot.today))


def is_maintenance(exposure: Exposure) -> bool:
    return any(c.role in ROLES for c in exposure.medication.opioids)


def newest_use(exposures: Iterable[Exposure], today: date) -> date | None:
    """The newest day, not in the future, on which one was ordered, handed over, given or documented as taken."""
    days = {day for exposure in exposures for day in _evidence(exposure, today) if day <= today}
    return max(days, default=None)


def _evidence(exposure: Exposure, today: date) -> Iterator[date]:
    for days in (exposure.used_days, exposure.last_dose_days):
        if days is not None:
            yield today - timedelta(days=days)
    if exposure.ending is not None:
        yield exposure.ending.on


def known_of(snapshot: Snapshot, maintenance: Maintenance, born: date | None) -> Known:
    """What the answers are held against."""
    disorder = any(
        snapshot.has(kind)
        for kind in (ConditionKind.OPIOID_USE_DISORDER, ConditionKind.OPIOID_DEPENDENCE_ACTIVE)
    )
    return Known(
        snapshot.today,
        int(snapshot.thresholds["long_acting_days"]),
        born,
        needs_proof=disorder or bool(maintenance),
        maintenance_days=maintenance.days,
        maintenance_seen=maintenance.seen,
    )


def is_answered(answers: Answers, known: Known) -> bool:
    """Who confirmed the last dose, its date, a negative test that can see it, and the washout is over."""
    clear = known.maintenance_clear_on(answers)
    return bool(
        answers.maintenance_by
        and answers.maintenance_test
        and answers.maintenance_tested_on
        and clear
        and clear <= known.today
    )
