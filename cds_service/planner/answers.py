"""What the clinician answers at the gate, and every answer that cannot be true (specification 3.4). Pure.

An answer that contradicts another one, the calendar or the record is an error of its field: it never counts as given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType

METHODS = ("history", "pdmp", "urine", "challenge")
CLASSES = ("none", "short", "long")
TESTS = ("urine", "challenge")  # what can see methadone or buprenorphine
DATES = ("last_opioid_on", "maintenance_on", "maintenance_tested_on")
LONGEST_NAME = 120
ANSWER_COMPLAINTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "unreadable": frozenset(),
        "future": frozenset(),
        "before_birth": frozenset(),
        "none_but_dated": frozenset({"day"}),
        "none_but_maintenance": frozenset({"day"}),
        "class_missing": frozenset(),
        "date_missing": frozenset(),
        "later_dose": frozenset({"day"}),
        "challenge_alone": frozenset(),
        "history_alone": frozenset(),
        "record_later": frozenset({"day"}),
        "test_early": frozenset({"day"}),
    }
)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the clinician ticked and entered. "" and None = not answered; ``unread`` = dates that are none."""

    confirmed: frozenset[str] = frozenset()
    methods: tuple[str, ...] = ()
    last_opioid: str = ""  # one of CLASSES
    last_opioid_on: date | None = None
    surgery: str = ""  # no | yes
    maintenance_by: str = ""  # who confirmed the last dose of methadone or buprenorphine
    maintenance_on: date | None = None
    maintenance_test: str = ""  # one of TESTS, negative
    maintenance_tested_on: date | None = None
    unread: frozenset[str] = frozenset()

    @property
    def last_known(self) -> date | None:
        """The latest day on which an opioid was taken, as far as it was stated."""
        stated = self.last_opioid_on if self.last_opioid in {"short", "long"} else None
        return max((d for d in (stated, self.maintenance_on) if d), default=None)


@dataclass(frozen=True, slots=True)
class AnswerFault:
    """Why an answer cannot stand: its field, a key of ``ANSWER_COMPLAINTS``, and the day that its sentence names."""

    about: str
    why: str
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What answers are held against: the calendar, the patient's birth, the record."""

    today: date
    none_days: int  # "none in the last ... days"
    born: date | None = None
    needs_proof: bool = (
        False  # use disorder or maintenance treatment: history alone confirms nothing
    )
    maintenance_days: int = (
        0  # opioid-free days after the last maintenance dose; 0 = none on record
    )
    maintenance_seen: date | None = None  # newest day on which the record shows it in use

    def maintenance_clear_on(self, answers: Answers) -> date | None:
        """The first day after the washout, counted from the later of the stated and the recorded last dose."""
        stated = answers.maintenance_on
        if stated is None or stated > self.today:
            return None
        return max(stated, self.maintenance_seen or stated) + timedelta(days=self.maintenance_days)


def faults(answers: Answers, known: Known) -> tuple[AnswerFault, ...]:
    """Everything that cannot be true, in the order of the page."""
    found = (*_dates(answers, known), *_last_opioid(answers, known), *_maintenance(answers, known))
    return tuple({(f.about, f.why): f for f in found}.values())


def _dates(answers: Answers, known: Known) -> Iterator[AnswerFault]:
    for about in DATES:
        day: date | None = getattr(answers, about)
        if about in answers.unread:
            yield AnswerFault(about, "unreadable")
        elif day and day > known.today:
            yield AnswerFault(about, "future")
        elif day and known.born and day < known.born:
            yield AnswerFault(about, "before_birth")


def _last_opioid(answers: Answers, known: Known) -> Iterator[AnswerFault]:
    on, since = answers.last_opioid_on, known.today - timedelta(days=known.none_days)
    dose = answers.maintenance_on
    if answers.last_opioid == "none":
        if on and on > since:
            yield AnswerFault("last_opioid_on", "none_but_dated", on)
        if dose and dose > since:
            yield AnswerFault("last_opioid", "none_but_maintenance", dose)
        if answers.methods == ("challenge",):
            yield AnswerFault("method", "challenge_alone")
    elif answers.last_opioid:
        if on is None and "last_opioid_on" not in answers.unread:
            yield AnswerFault("last_opioid_on", "date_missing")
        if on and dose and on < dose:
            yield AnswerFault("last_opioid_on", "later_dose", dose)
    elif on:
        yield AnswerFault("last_opioid", "class_missing")
    if known.needs_proof and answers.methods == ("history",):
        yield AnswerFault("method", "history_alone")


def _maintenance(answers: Answers, known: Known) -> Iterator[AnswerFault]:
    dose, tested, seen = (
        answers.maintenance_on,
        answers.maintenance_tested_on,
        known.maintenance_seen,
    )
    if dose and seen and dose < seen:
        yield AnswerFault("maintenance_on", "record_later", seen)
    if not (dose and tested and known.maintenance_days):
        return
    is_challenge = answers.maintenance_test == "challenge"
    first = known.maintenance_clear_on(answers) if is_challenge else dose + timedelta(days=1)
    if first and tested < first:
        yield AnswerFault("maintenance_tested_on", "test_early", first)
