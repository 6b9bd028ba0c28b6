"""The gate of the titration app: what must be known and agreed before a plan may be written (3.4). Pure.

The verdict on opioids is that of the rules, on the same snapshot as in a hook call; what could not be read is
never "none": it is asked, and blocks until a clinician confirms it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from cds_service.content.planner_words import Words
from cds_service.exposure.washout import Earliest, earliest_start, stated_wait
from cds_service.model import ConditionKind, Exposure, Role, Severity, Snapshot, State, Verdict
from cds_service.planner import maintenance
from cds_service.planner.answers import METHODS, AnswerFault, Answers, Known, faults
from cds_service.planner.maintenance import Maintenance
from cds_service.rules import interaction

__all__ = ["METHODS", "Answers", "Gate", "Mark", "Met", "Point", "check"]

POINTS = (
    "opioids",
    "unknown",
    "opioid-free",
    "maintenance",
    "dependence",
    "liver",
    "pregnancy",
    "kidney",
    "age",
    "surgery",
    "duplicate",
    "earlier",
    "consent",
    "pharmacy",
)
_FORMS = frozenset(
    {"opioid-free", "maintenance", "unknown", "surgery"}
)  # asked by more than one tick box
ASKED = tuple(point for point in POINTS if point not in _FORMS)
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
class Item:
    """One of several things that a point asks about, each attested by itself."""

    id: str
    label: str
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the gate: how it stands, why, and what the clinician may confirm ("" = nothing)."""

    id: str
    title: str
    mark: Mark
    because: tuple[str, ...] = ()
    ask: str = ""
    until: date | None = None
    items: tuple[Item, ...] = ()
    is_exception: bool = False  # the record itself made it a question


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
    """All points together.

    ``earliest`` is the first day a plan may start, None while nobody can tell; ``not_before`` is the latest day that
    is shown anywhere: no plan starts before it. ``faults`` are the answers that cannot be true.
    """

    points: tuple[Point, ...]
    history: tuple[Met, ...]
    earliest: date | None
    not_before: date
    faults: tuple[AnswerFault, ...] = ()

    @property
    def is_blocked(self) -> bool:
        return any(p.mark is Mark.BLOCKED for p in self.points)

    @property
    def is_passed(self) -> bool:
        return not self.faults and all(p.mark in {Mark.PASSED, Mark.CONFIRMED} for p in self.points)

    @property
    def attested(self) -> tuple[Point, ...]:
        """What the record speaks against or cannot tell, and the clinician answers for."""
        return tuple(p for p in self.points if p.mark is Mark.CONFIRMED and p.is_exception)

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


def check(
    snapshot: Snapshot,
    verdicts: Sequence[Verdict],
    answers: Answers,
    say: Words,
    born: date | None = None,
    sex: str = "",
    earlier: Sequence[str] = (),
) -> Gate:
    """Every point of the gate for this record and these answers."""
    treatment = maintenance.of_record(snapshot)
    known = maintenance.known_of(snapshot, treatment, born)
    wrong = faults(answers, known)
    stated = _stated_earliest(answers, known, snapshot.thresholds)
    history = tuple(
        _met(e, snapshot, answers, not wrong, say)
        for e in snapshot.exposures
        if e.medication.opioids
    )
    points = (
        _opioids(snapshot, verdicts, answers, history, say),
        _unknown(snapshot, answers, say),
        _opioid_free(snapshot, answers, stated, wrong, say),
        *_maintenance(snapshot, treatment, answers, known, wrong, say),
        *_conditions(snapshot, answers, sex, say),
        _age(snapshot, answers, say),
        _surgery(answers, say),
        _duplicate(snapshot, answers, say),
        *_earlier(earlier, answers, say),
        _ask("consent", answers, (say("consent.because"), say("consent.cautions")), say),
        _ask("pharmacy", answers, (say("pharmacy.because"),), say),
    )
    shown = [
        *(m.earliest.on for m in history if m.earliest),
        *(p.until for p in points if p.until),
        *([stated] if stated else []),
    ]
    not_before = max([*shown, snapshot.today])
    is_open_ended = any(m.earliest and not m.earliest.is_known for m in history)
    return Gate(points, history, None if is_open_ended else not_before, not_before, wrong)


def _met(
    exposure: Exposure, snapshot: Snapshot, answers: Answers, may_settle: bool, say: Words
) -> Met:
    roles = dict.fromkeys(say(f"role.{c.role}") for c in exposure.medication.opioids)
    state = say(f"state.{exposure.state}")
    if exposure.state is State.RECENT and exposure.days is not None:
        state = say(
            "history.ended_one" if exposure.days == 1 else "history.ended_many", days=exposure.days
        )
    earliest = earliest_start(exposure, snapshot.today, snapshot.thresholds)
    if earliest and not earliest.is_known and may_settle:
        earliest = _settled(earliest, snapshot, answers)
    return Met(
        exposure.medication.order.label or say("history.unnamed"),
        ", ".join(roles),
        state,
        exposure.on,
        earliest,
    )


def _settled(earliest: Earliest, snapshot: Snapshot, answers: Answers) -> Earliest:
    """The wait counted from the clinician's own answer, once the list was reconciled; else as the record leaves it."""
    is_maintenance = maintenance.is_maintenance(earliest.exposure)
    if "opioids" not in answers.confirmed or earliest.exposure.state is State.CURRENT:
        return earliest
    last = answers.maintenance_on if is_maintenance else answers.last_known
    if last is None and not is_maintenance and answers.last_opioid == "none":
        last = snapshot.today - timedelta(days=int(snapshot.thresholds["long_acting_days"]))
    if last is None:
        return earliest
    return replace(earliest, on=last + timedelta(days=earliest.days), is_known=True)


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
        because = (*known, *unread, *_moud_advice(snapshot, say))
        return replace(_ask("opioids", answers, because, say), is_exception=True)
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
    if roles & maintenance.ROLES:
        yield say("opioids.moud")


def unknown_medicines(snapshot: Snapshot) -> tuple[str, ...]:
    """What stands on the list and nobody here can name: a name each, "" where there is none to show.

    Each may be an opioid, so each is attested by itself.
    """
    return (*snapshot.unknown_names, *("",) * snapshot.unreadable)


def _unknown(snapshot: Snapshot, answers: Answers, say: Words) -> Point:
    items = tuple(
        Item(
            id_ := f"unknown-{_tag(n, label)}",
            say("unknown.named", label=label) if label else say("unknown.nameless", number=n),
            id_ in answers.confirmed,
        )
        for n, label in enumerate(unknown_medicines(snapshot), 1)
    )
    title = say("unknown.title")
    if not items:
        return Point("unknown", title, Mark.PASSED)
    mark = Mark.CONFIRMED if all(item.is_confirmed for item in items) else Mark.ASK
    return Point("unknown", title, mark, (say("unknown.because"),), items=items, is_exception=True)


def _tag(number: int, label: str) -> str:
    """A tick stays with the medicine that it was set for, also where the list has changed since."""
    return hashlib.sha256(label.encode()).hexdigest()[:12] if label else str(number)


def _opioid_free(
    snapshot: Snapshot,
    answers: Answers,
    stated: date | None,
    wrong: Sequence[AnswerFault],
    say: Words,
) -> Point:
    """The clinician's own confirmation: when the last opioid was, and by which methods that is known."""
    title = say("opioid-free.title")
    because = (say("opioid-free.intervals"), say("opioid-free.screens"))
    if stated and stated > snapshot.today:
        return Point("opioid-free", title, Mark.BLOCKED, because, until=stated)
    about = {"last_opioid", "last_opioid_on", "method"}
    answered = answers.last_opioid == "none" or (
        answers.last_opioid in {"short", "long"} and answers.last_opioid_on is not None
    )
    done = answered and bool(answers.methods) and not any(f.about in about for f in wrong)
    return Point("opioid-free", title, Mark.CONFIRMED if done else Mark.ASK, because)


def _stated_earliest(answers: Answers, known: Known, thresholds: Mapping[str, Any]) -> date | None:
    """The first day after the washouts of all that was stated; a day in the future states nothing."""
    waits: list[date] = []
    on, dose = answers.last_opioid_on, answers.maintenance_on
    if answers.last_opioid in {"short", "long"} and on and on <= known.today:
        days = stated_wait(answers.last_opioid, thresholds)
        waits.append(on + timedelta(days=days))
    if dose and dose <= known.today:
        days = max(known.maintenance_days, stated_wait("long", thresholds))
        waits.append(dose + timedelta(days=days))
    return max(waits, default=None)


def _maintenance(
    snapshot: Snapshot,
    treatment: Maintenance,
    answers: Answers,
    known: Known,
    wrong: Sequence[AnswerFault],
    say: Words,
) -> Iterator[Point]:
    """Passed by who, when and a test that can see it; never before the washout; silent where the list is unread."""
    title = say("maintenance.title")
    if not treatment:
        if snapshot.list_available:
            yield Point("maintenance", title, Mark.PASSED)
        return
    listed = tuple(
        say("maintenance.listed", label=e.medication.order.label or say("history.unnamed"))
        for e in treatment.exposures
    )
    because = (*listed, say("maintenance.wait", days=known.maintenance_days), say("opioids.moud"))
    clear = known.maintenance_clear_on(answers)
    if clear and clear > snapshot.today:
        yield Point("maintenance", title, Mark.BLOCKED, because, until=clear)
        return
    is_wrong = any(f.about.startswith("maintenance") for f in wrong)
    done = maintenance.is_answered(answers, known) and not is_wrong
    mark = Mark.CONFIRMED if done else Mark.ASK
    yield Point("maintenance", title, mark, because, is_exception=True)


def _conditions(snapshot: Snapshot, answers: Answers, sex: str, say: Words) -> Iterator[Point]:
    """Withdrawal, dependence, liver, pregnancy and kidney from the problem list."""
    unread = () if snapshot.conditions_read else (say("unread.problems"),)
    yield _dependence(snapshot, answers, unread, say)
    if snapshot.has(ConditionKind.LIVER_ACUTE):
        yield Point("liver", say("liver.title"), Mark.BLOCKED, (say("liver.blocked"),))
    else:
        yield _asked_if(unread, "liver", answers, say)
    pregnant = (say("pregnancy.listed"),) if snapshot.has(ConditionKind.PREGNANCY) else ()
    if sex == "male" and not pregnant:
        yield Point("pregnancy", say("pregnancy.title"), Mark.PASSED, (say("pregnancy.male"),))
    else:
        asked = _ask("pregnancy", answers, (*pregnant, *unread), say)
        yield replace(asked, is_exception=bool(pregnant))
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


def _earlier(drafts: Sequence[str], answers: Answers, say: Words) -> Iterator[Point]:
    """Drafts that wait for a signature: a second set is written only to replace them."""
    if drafts:
        because = (
            *(say("earlier.listed", label=label) for label in drafts),
            say("earlier.because"),
        )
        yield _asked_if(because, "earlier", answers, say)


def _still_releases(exposure: Exposure, snapshot: Snapshot) -> bool:
    """A depot of the last days, whatever became of its order (specification 2.10, duplicate)."""
    component, since = exposure.medication.naltrexone, exposure.last_dose_days
    if since is None:
        since = exposure.used_days
    return (
        component is not None
        and component.role in {Role.NTX_XR, Role.NTX_IMPLANT}
        and since is not None
        and since <= snapshot.thresholds["dose_check"]["duplicate_depot_days"]
    )


def _asked_if(because: tuple[str, ...], point: str, answers: Answers, say: Words) -> Point:
    return (
        replace(_ask(point, answers, because, say), is_exception=True)
        if because
        else Point(point, say(f"{point}.title"), Mark.PASSED)
    )


def _ask(point: str, answers: Answers, because: tuple[str, ...], say: Words) -> Point:
    mark = Mark.CONFIRMED if point in answers.confirmed else Mark.ASK
    return Point(point, say(f"{point}.title"), mark, because, say(f"{point}.ask"))
