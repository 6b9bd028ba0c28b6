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

from cds_service.exposure.washout import Earliest, Washout, earliest_start
from cds_service.model import ConditionKind, Exposure, Role, Severity, Snapshot, State, Verdict

INTERACTION = "naltrexone-opioid-interaction"
METHODS = {
    "history": "History taken", "pdmp": "Prescription monitoring (PDMP) checked",
    "urine": "Urine drug screen, with fentanyl and buprenorphine", "challenge": "Naloxone challenge negative",
}
_MOUD = frozenset({Role.METHADONE, Role.BUP, Role.BUP_DEPOT})
_LISTS = {
    "medicationRequests": "medication orders", "medicationOrders": "medication orders",
    "medicationStatements": "medication statements", "medicationDispenses": "pharmacy dispenses",
    "medicationAdministrations": "administrations", "medicine": "an entry of the medication list",
}
_ROLES = {
    Role.FULL_SA: "short-acting opioid", Role.FULL_LA: "long-acting opioid", Role.METHADONE: "methadone",
    Role.BUP: "buprenorphine", Role.BUP_DEPOT: "depot buprenorphine", Role.MIXED: "mixed agonist-antagonist",
    Role.DUAL: "tramadol or tapentadol", Role.ANTITUSSIVE: "opioid cough or cold medicine",
    Role.PERIPH: "antidiarrheal or peripheral opioid", Role.NTX_ORAL: "oral naltrexone",
    Role.NTX_XR: "naltrexone injection or implant", Role.NTX_BUP: "bupropion/naltrexone",
    Role.NTX_TOPICAL: "topical naltrexone",
}
_STATES = {
    State.CURRENT: "active", State.RECENT: "ended", State.HELD: "on hold or unclear",
    State.STALE: "listed as active, but out of date",
}
_INTERVALS = ("7-10 days after short-acting opioids (tramadol included), 14 days after methadone, buprenorphine or "
              "long-acting opioids. A negative naloxone challenge can be falsely reassuring.")
_LIVER = ("Acute hepatitis, liver failure or decompensated cirrhosis is on the problem list. If it is over, change the "
          "problem list first.")
_SURGERY = ("Naltrexone blocks opioid analgesia: start afterwards, opioid-free. Elective surgery later: last dose at "
            "least 72 hours before (24-72 hour range) and tell anesthesia.")


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
    last_opioid: str = ""                      # none | short | long
    last_opioid_on: date | None = None
    surgery: str = ""                          # no | yes


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


def read_washout(thresholds: Mapping[str, Any]) -> Washout:
    """The opioid-free days from the dated thresholds that the rules use."""
    short = thresholds["short_acting_days"]
    return Washout(int(short["warning_below"]), int(short["critical_below"]), int(thresholds["long_acting_days"]),
                   thresholds["depot_interval_days"])


def check(snapshot: Snapshot, verdicts: Sequence[Verdict], answers: Answers) -> Gate:
    """Every point of the gate for this record and these answers."""
    washout = read_washout(snapshot.thresholds)
    history = tuple(_met(e, snapshot.today, washout) for e in snapshot.exposures if e.medication.opioids)
    stated = _stated_earliest(answers, washout)
    known = [m.earliest.on for m in history if m.earliest]
    wait = max([d for d in (*known, stated) if d], default=snapshot.today)
    points = (
        _opioids(snapshot, verdicts, answers, history),
        _opioid_free(snapshot, answers, stated),
        *_conditions(snapshot, answers),
        _age(snapshot, answers),
        _surgery(answers),
        _duplicate(snapshot, answers),
        _ask("consent", "Off-label consent", answers, (
            "Naltrexone at this dose is not FDA-approved; the evidence is mixed.",),
            "Off-label use, mixed evidence and alternatives discussed; consent documented"),
        _ask("pharmacy", "Compounding pharmacy", answers, (
            "Low doses are compounded. A 50 mg tablet is never split or dissolved for this plan.",),
            "A compounding pharmacy and its strengths are agreed"),
    )
    is_open_ended = any(m.earliest and not m.earliest.is_known for m in history)
    return Gate(points, history, None if is_open_ended else max(wait, snapshot.today))


def _met(exposure: Exposure, today: date, washout: Washout) -> Met:
    roles = dict.fromkeys(_ROLES[c.role] for c in exposure.medication.opioids)
    state = _STATES[exposure.state]
    if exposure.state is State.RECENT and exposure.days is not None:
        state = f"ended {_days(exposure.days)} ago"
    return Met(exposure.medication.order.label or "unnamed", ", ".join(roles), state, exposure.on,
               earliest_start(exposure, today, washout))


def _opioids(snapshot: Snapshot, verdicts: Sequence[Verdict], answers: Answers, history: tuple[Met, ...]) -> Point:
    """The verdict of the interaction rule: critical blocks, warning and everything unread is asked."""
    title = "No opioid on the record that would meet naltrexone"
    worst = _worst(verdicts, INTERACTION)
    known = tuple(f"{m.label}: {m.role}, {m.state}." for m in history)
    if worst is Severity.CRITICAL:
        return Point("opioids", title, Mark.BLOCKED, (*known, *_moud_advice(snapshot)), until=_until(history))
    unread = tuple(_unread(snapshot, verdicts))
    if worst is Severity.WARNING or unread:
        return _ask("opioids", title, answers, (*known, *unread, *_moud_advice(snapshot)),
                    "I have reconciled the medication list with the patient: no opioid is taken")
    return Point("opioids", title, Mark.PASSED, known or ("No opioid found on the lists that were read.",))


def _worst(verdicts: Sequence[Verdict], topic: str) -> Severity:
    return max((f.severity for v in verdicts for f in v.findings if f.topic == topic), default=Severity.NONE)


def _until(history: tuple[Met, ...]) -> date | None:
    """The day on which the last known wait is over; None where one has not begun to count."""
    waits = [m.earliest for m in history if m.earliest]
    return max((w.on for w in waits), default=None) if all(w.is_known for w in waits) else None


def _unread(snapshot: Snapshot, verdicts: Sequence[Verdict]) -> Iterator[str]:
    if not snapshot.list_available:
        yield "Unknown: the medication list could not be read completely."
    for gap in snapshot.gaps:
        if gap.about in _LISTS and (gap.why != "not-sent" or gap.about != "medicationOrders"):
            yield f"Unknown: {_LISTS[gap.about]} could not be read ({gap.why.replace('-', ' ')})."
    if any(v.error for v in verdicts):
        yield "Unknown: a safety rule could not run."


def _moud_advice(snapshot: Snapshot) -> Iterator[str]:
    roles = {c.role for e in snapshot.exposures for c in e.medication.opioids if e.state is not State.RECENT}
    if roles & _MOUD:
        yield ("Do not stop methadone or buprenorphine to make room for naltrexone without the treating program.")


def _opioid_free(snapshot: Snapshot, answers: Answers, stated: date | None) -> Point:
    """The clinician's own confirmation: when the last opioid was, and by which methods that is known."""
    title = "Opioid-free interval confirmed"
    because = (_INTERVALS,)
    if stated and stated > snapshot.today:
        return Point("opioid-free", title, Mark.BLOCKED, because, until=stated)
    answered = answers.last_opioid == "none" or (answers.last_opioid in {"short", "long"} and stated is not None)
    in_future = answers.last_opioid_on is not None and answers.last_opioid_on > snapshot.today
    done = answered and not in_future and bool(answers.methods)
    return Point("opioid-free", title, Mark.CONFIRMED if done else Mark.ASK, because)


def _stated_earliest(answers: Answers, washout: Washout) -> date | None:
    if answers.last_opioid not in {"short", "long"} or answers.last_opioid_on is None:
        return None
    days = washout.long_acting if answers.last_opioid == "long" else washout.short_acting
    return answers.last_opioid_on + timedelta(days=days)


def _conditions(snapshot: Snapshot, answers: Answers) -> Iterator[Point]:
    """Withdrawal, dependence, liver, pregnancy and kidney from the problem list."""
    unread = () if snapshot.conditions_read else ("Unknown: the problem list could not be read.",)
    yield _dependence(snapshot, answers, unread)
    liver = "No acute hepatitis or liver failure on the problem list"
    if snapshot.has(ConditionKind.LIVER_ACUTE):
        yield Point("liver", liver, Mark.BLOCKED, (_LIVER,))
    else:
        yield _asked_if(unread, "liver", liver, answers, "No acute hepatitis, liver failure or jaundice")
    pregnant = ("Pregnancy is on the problem list: limited data.",) if snapshot.has(ConditionKind.PREGNANCY) else ()
    yield _ask("pregnancy", "Pregnancy and breastfeeding", answers, (*pregnant, *unread),
               "Pregnancy and breastfeeding discussed, or not applicable")
    kidney = ("Kidney disease stage 4-5 is on the problem list: not studied.",) \
        if snapshot.has(ConditionKind.CKD_4_5) else ()
    yield _asked_if((*kidney, *unread), "kidney", "No kidney disease of stage 4-5 on the problem list", answers,
                    "Kidney function considered for naltrexone, which is mostly renally excreted")


def _dependence(snapshot: Snapshot, answers: Answers, unread: tuple[str, ...]) -> Point:
    title = "No opioid withdrawal; opioid use disorder considered"
    if snapshot.has(ConditionKind.OPIOID_WITHDRAWAL):
        return Point("dependence", title, Mark.BLOCKED, ("Acute opioid withdrawal is on the problem list.",))
    known = snapshot.has(ConditionKind.OPIOID_DEPENDENCE_ACTIVE) or snapshot.has(ConditionKind.OPIOID_USE_DISORDER)
    because = ("Opioid use disorder is on the problem list, now or in remission.",) if known else ()
    return _asked_if((*because, *unread), "dependence", title, answers,
                     "Not dependent on opioids now; overdose reversal agent and medical-alert card offered")


def _age(snapshot: Snapshot, answers: Answers) -> Point:
    if snapshot.age is None:
        because: tuple[str, ...] = ("Unknown: no birth date could be read.",)
    else:
        because = (f"{snapshot.age} years: naltrexone is not recommended below 18.",) if snapshot.age < 18 else ()
    return _asked_if(because, "age", "Age 18 or over", answers,
                     "Age considered: 18 or over, or a specialist agrees")


def _surgery(answers: Answers) -> Point:
    title = "Surgery or procedures with opioids in the next 4 weeks"
    mark = {"no": Mark.CONFIRMED, "yes": Mark.BLOCKED}.get(answers.surgery, Mark.ASK)
    return Point("surgery", title, mark, (_SURGERY,))


def _duplicate(snapshot: Snapshot, answers: Answers) -> Point:
    title = "No other naltrexone"
    others = [e for e in snapshot.exposures
              if e.medication.naltrexone and (e.state is not State.RECENT or _still_releases(e, snapshot))]
    because = tuple(f"{e.medication.order.label}: {_STATES[e.state]}." for e in others)
    if any(e.state is State.CURRENT or _still_releases(e, snapshot) for e in others):
        return Point("duplicate", title, Mark.BLOCKED, (
            *because, "This planner draws a new course: end or change the present order first.",))
    unread = () if snapshot.list_available else ("Unknown: the medication list could not be read completely.",)
    return _asked_if((*because, *unread), "duplicate", title, answers, "The patient takes no other naltrexone")


def _still_releases(exposure: Exposure, snapshot: Snapshot) -> bool:
    """A depot of the last 28 days, whatever became of its order (specification 2.10, duplicate)."""
    component, since = exposure.medication.naltrexone, exposure.last_dose_days
    return component is not None and component.role is Role.NTX_XR and since is not None \
        and since <= snapshot.thresholds["dose_check"]["duplicate_depot_days"]


def _asked_if(because: tuple[str, ...], point: str, title: str, answers: Answers, ask: str) -> Point:
    return _ask(point, title, answers, because, ask) if because else Point(point, title, Mark.PASSED)


def _ask(point: str, title: str, answers: Answers, because: tuple[str, ...], ask: str) -> Point:
    return Point(point, title, Mark.CONFIRMED if point in answers.confirmed else Mark.ASK, because, ask)


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"
