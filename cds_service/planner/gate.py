"""The gate of the titration app: what must be known and agreed before a plan may be written (3.4). Pure.

The verdict on opioids is that of the rules, on the same snapshot as in a hook call; what could not be read is
never "none": it is asked, and blocks until a clinician confirms it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from cds_service.content.planner_words import Words
from cds_service.exposure.washout import Earliest, earliest_start, stated_wait
from cds_service.model import ConditionKind, Exposure, Role, Severity, Snapshot, State, Verdict
from cds_service.rules import interaction

METHODS = ("history", "pdmp", "urine", "challenge")
POINTS = (
    "opioids",
    "opioid-free",
    "dependence",
    "liver",
    "pregnancy",
    "kidney",
    "age",
    "surgery",
    "duplicate",
    "consent",
    "pharmacy",
)
ASKED = tuple(point for point in POINTS if point != "opioid-free")  # that one has a form of its own
_MOUD = frozenset({Role.METHADONE, Role.BUP, Role.BUP_DEPOT})
LISTS = {  # what could not be read -> how it is called
    "medicationRequests": "orders",
    "medicationOrders": "orders",
    "medicationStatements": "statements",
    "medicationDispenses": "dispenses",
    "medicationAdministrations": "administrations",
    "medicine": "medicine",
}


class Mark(StrEnum):
    """How a point of the gate stands. Only the first two let a plan be written."""

    PASSED = "passed"
    CONFIRMED = "confirmed"
    ASK = "ask"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Answers:
    """What the clinician ticked and entered. "" and None = not answered."""

    confirmed: frozenset[str] = frozenset()
    methods: tuple[str, ...] = ()
    last_opioid: str = ""  # none | short | long
    last_opioid_on: date | None = None
    surgery: str = ""  # no | yes


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the gate: how it stands, why, and what the clinician may confirm ("" = nothing)."""

    id: str
    title: str
    mark: Mark
    because: tuple[str, ...] = ()
    ask: str = ""
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Met:
    """An opioid or naltrexone of the record for the history table; ``earliest`` None = asks for no wait."""

    label: str
    role: str
    state: str
    on: date | None
    earliest: Earliest | None


@dataclass(frozen=True, slots=True)
class Gate:
    """All points together. ``earliest`` is the first day a plan may start, None while nobody can tell."""

    points: tuple[Point, ...]
    history: tuple[Met, ...]
    earliest: date | None

    @property
    def is_blocked(self) -> bool:
        return any(p.mark is Mark.BLOCKED for p in self.points)

    @property
    def is_passed(self) -> bool:
        return all(p.mark in {Mark.PASSED, Mark.CONFIRMED} for p in self.points)

    @property
    def passed_points(self) -> tuple[Point, ...]:
        """What the record itself answered."""
        return tuple(p for p in self.points if p.mark is Mark.PASSED)

    @property
    def in_reading_order(self) -> tuple[Point, ...]:
        """What needs a person: blocked points first, then the questions, answered or not."""
        waiting = [p for p in self.points if p.mark is not Mark.PASSED]
        return tuple(sorted(waiting, key=lambda p: p.mark is not Mark.BLOCKED))

    @property
    def open_points(self) -> tuple[Point, ...]:
        return tuple(p for p in self.points if p.mark in {Mark.ASK, Mark.BLOCKED})


def check(snapshot: Snapshot, verdicts: Sequence[Verdict], answers: Answers, say: Words) -> Gate:
    """Every point of the gate for this record and these answers."""
    history = tuple(_met(e, snapshot, say) for e in snapshot.exposures if e.medication.opioids)
    stated = _stated_earliest(answers, snapshot.thresholds)
    known = [m.earliest.on for m in history if m.earliest]
    wait = max([d for d in (*known, stated) if d], default=snapshot.today)
    points = (
        _opioids(snapshot, verdicts, answers, history, say),
        _opioid_free(snapshot, answers, stated, say),
        *_conditions(snapshot, answers, say),
        _age(snapshot, answers, say),
        _surgery(answers, say),
        _duplicate(snapshot, answers, say),
        _ask("consent", answers, (say("consent.because"),), say),
        _ask("pharmacy", answers, (say("pharmacy.because"),), say),
    )
    is_open_ended = any(m.earliest and not m.earliest.is_known for m in history)
    return Gate(points, history, None if is_open_ended else max(wait, snapshot.today))


def _met(exposure: Exposure, snapshot: Snapshot, say: Words) -> Met:
    roles = dict.fromkeys(say(f"role.{c.role}") for c in exposure.medication.opioids)
    state = say(f"state.{exposure.state}")
    if exposure.state is State.RECENT and exposure.days is not None:
        state = say(
            "history.ended_one" if exposure.days == 1 else "history.ended_many", days=exposure.days
        )
    return Met(
        exposure.medication.order.label or say("history.unnamed"),
        ", ".join(roles),
        state,
        exposure.on,
        earliest_start(exposure, snapshot.today, snapshot.thresholds),
    )


def _opioids(
    snapshot: Snapshot,
    verdicts: Sequence[Verdict],
    answers: Answers,
    history: tuple[Met, ...],
    say: Words,
) -> Point:
    """The verdict of the interaction rule: critical blocks, warning and everything unread is asked."""
    worst = _worst(verdicts, interaction.RULE.id)
    known = tuple(say("opioids.listed", label=m.label, role=m.role, state=m.state) for m in history)
    if worst is Severity.CRITICAL:
        return Point(
            "opioids",
            say("opioids.title"),
            Mark.BLOCKED,
            (*known, *_moud_advice(snapshot, say)),
            until=_until(history),
        )
    unread = tuple(_unread(snapshot, verdicts, say))
    if worst is Severity.WARNING or unread:
        return _ask("opioids", answers, (*known, *unread, *_moud_advice(snapshot, say)), say)
    return Point("opioids", say("opioids.title"), Mark.PASSED, known or (say("opioids.none"),))


def _worst(verdicts: Sequence[Verdict], topic: str) -> Severity:
    return max(
        (f.severity for v in verdicts for f in v.findings if f.topic == topic),
        default=Severity.NONE,
    )


def _until(history: tuple[Met, ...]) -> date | None:
    """The day on which the last known wait is over; None where one has not begun to count."""
    waits = [m.earliest for m in history if m.earliest]
    return max((w.on for w in waits), default=None) if all(w.is_known for w in waits) else None


def _unread(snapshot: Snapshot, verdicts: Sequence[Verdict], say: Words) -> Iterator[str]:
    if not snapshot.list_available:
        yield say("history.unread")
    for gap in snapshot.gaps:
        if gap.about in LISTS and (gap.why != "not-sent" or gap.about != "medicationOrders"):
            yield say(f"unread.{LISTS[gap.about]}", why=gap.why.replace("-", " "))
    if any(v.error for v in verdicts):
        yield say("unread.rule")


def _moud_advice(snapshot: Snapshot, say: Words) -> Iterator[str]:
    roles = {
        c.role
        for e in snapshot.exposures
        for c in e.medication.opioids
        if e.state is not State.RECENT
    }
    if roles & _MOUD:
        yield say("opioids.moud")


def _opioid_free(snapshot: Snapshot, answers: Answers, stated: date | None, say: Words) -> Point:
    """The clinician's own confirmation: when the last opioid was, and by which methods that is known."""
    title, because = say("opioid-free.title"), (say("opioid-free.intervals"),)
    if stated and stated > snapshot.today:
        return Point("opioid-free", title, Mark.BLOCKED, because, until=stated)
    answered = answers.last_opioid == "none" or (
        answers.last_opioid in {"short", "long"} and stated is not None
    )
    in_future = answers.last_opioid_on is not None and answers.last_opioid_on > snapshot.today
    done = answered and not in_future and bool(answers.methods)
    return Point("opioid-free", title, Mark.CONFIRMED if done else Mark.ASK, because)


def _stated_earliest(answers: Answers, thresholds: Mapping[str, Any]) -> date | None:
    if answers.last_opioid not in {"short", "long"} or answers.last_opioid_on is None:
        return None
    return answers.last_opioid_on + timedelta(days=stated_wait(answers.last_opioid, thresholds))


def _conditions(snapshot: Snapshot, answers: Answers, say: Words) -> Iterator[Point]:
    """Withdrawal, dependence, liver, pregnancy and kidney from the problem list."""
    unread = () if snapshot.conditions_read else (say("unread.problems"),)
    yield _dependence(snapshot, answers, unread, say)
    if snapshot.has(ConditionKind.LIVER_ACUTE):
        yield Point("liver", say("liver.title"), Mark.BLOCKED, (say("liver.blocked"),))
    else:
        yield _asked_if(unread, "liver", answers, say)
    pregnant = (say("pregnancy.listed"),) if snapshot.has(ConditionKind.PREGNANCY) else ()
    yield _ask("pregnancy", answers, (*pregnant, *unread), say)
    kidney = (say("kidney.listed"),) if snapshot.has(ConditionKind.CKD_4_5) else ()
    yield _asked_if((*kidney, *unread), "kidney", answers, say)


def _dependence(snapshot: Snapshot, answers: Answers, unread: tuple[str, ...], say: Words) -> Point:
    if snapshot.has(ConditionKind.OPIOID_WITHDRAWAL):
        return Point(
            "dependence", say("dependence.title"), Mark.BLOCKED, (say("dependence.withdrawal"),)
        )
    known = snapshot.has(ConditionKind.OPIOID_DEPENDENCE_ACTIVE) or snapshot.has(
        ConditionKind.OPIOID_USE_DISORDER
    )
    because = (say("dependence.disorder"),) if known else ()
    return _asked_if((*because, *unread), "dependence", answers, say)


def _age(snapshot: Snapshot, answers: Answers, say: Words) -> Point:
    because: tuple[str, ...] = ()
    if snapshot.age is None:
        because = (say("unread.birth_date"),)
    elif snapshot.age < snapshot.thresholds["adult_age"]:
        because = (say("age.below", age=snapshot.age),)
    return _asked_if(because, "age", answers, say)


def _surgery(answers: Answers, say: Words) -> Point:
    mark = {"no": Mark.CONFIRMED, "yes": Mark.BLOCKED}.get(answers.surgery, Mark.ASK)
    return Point("surgery", say("surgery.title"), mark, (say("surgery.because"),))


def _duplicate(snapshot: Snapshot, answers: Answers, say: Words) -> Point:
    others = [
        e
        for e in snapshot.exposures
        if e.medication.naltrexone and (e.state is not State.RECENT or _still_releases(e, snapshot))
    ]
    because = tuple(
        say("duplicate.listed", label=e.medication.order.label, state=say(f"state.{e.state}"))
        for e in others
    )
    if any(e.state is State.CURRENT or _still_releases(e, snapshot) for e in others):
        return Point(
            "duplicate", say("duplicate.title"), Mark.BLOCKED, (*because, say("duplicate.blocked"))
        )
    unread = () if snapshot.list_available else (say("history.unread"),)
    return _asked_if((*because, *unread), "duplicate", answers, say)


def _still_releases(exposure: Exposure, snapshot: Snapshot) -> bool:
    """A depot of the last days, whatever became of its order (specification 2.10, duplicate)."""
    component, since = exposure.medication.naltrexone, exposure.last_dose_days
    return (
        component is not None
        and component.role is Role.NTX_XR
        and since is not None
        and since <= snapshot.thresholds["dose_check"]["duplicate_depot_days"]
    )


def _asked_if(because: tuple[str, ...], point: str, answers: Answers, say: Words) -> Point:
    return (
        _ask(point, answers, because, say)
        if because
        else Point(point, say(f"{point}.title"), Mark.PASSED)
    )


def _ask(point: str, answers: Answers, because: tuple[str, ...], say: Words) -> Point:
    mark = Mark.CONFIRMED if point in answers.confirmed else Mark.ASK
    return Point(point, say(f"{point}.title"), mark, because, say(f"{point}.ask"))
