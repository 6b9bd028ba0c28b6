"""What the titration pages ask: forms read into answers and choices. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from cds_service.planner.answers import CLASSES, DATES, LONGEST_NAME, METHODS, TESTS, Answers
from cds_service.planner.phrases import day, mg
from cds_service.titration.plan import Change, Choice, Complaint, Kind, complaints, propose
from cds_service.titration.schedules import DEFAULT, Schedules
from cds_service.titration.supply import Form

LONGEST_FIELD = 400
FIELDS = (  # of the form, as far as an answer or a wish can be wrong in them
    *DATES,
    "last_opioid",
    "method",
    "schedule",
    "start_on",
    "start_mg",
    "step_mg",
    "interval_days",
    "maximum_mg",
    "reason_above",
    "fill_days",
    "changes",
    "reason_text",
)
WISH_COMPLAINTS: Mapping[str, frozenset[str]] = {
    "fill_days": frozenset(),
    "start_missing": frozenset(),
    "start_past": frozenset(),
    "start_far": frozenset(),
    "start_early": frozenset({"day"}),
    "change_half": frozenset(),
    "reason_twice": frozenset(),
}
_TEXTS = frozenset({"reason", "reason_text", "reason_above", "maintenance_by"})
_CONTRADICTORY = "?"  # no word, number or date of any field
_MG = re.compile(r"(\d{1,4}(?:[.,]\d{1,2})?|[.,]\d{1,2})(?: ?mg)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wish:
    """The plan that a form asks for, with what is wrong with it. ``choice`` may hold NaN for an unreadable number."""

    choice: Choice
    form: Form
    fill_days: int
    faults: tuple[Complaint, ...] = ()
    reason: str = ""  # what it is for, in the words of the record or the clinician
    reason_text: str = ""  # the clinician's, as entered

    @property
    def is_plan(self) -> bool:
        return not self.faults


def first_wish(
    today: date, earliest: date | None, schedules: Schedules, reasons: Sequence[str] = ()
) -> Wish:
    """What to propose before anything was entered: the default schedule from the first safe day.

    What it is for is filled in where the problem list leaves no choice.
    """
    return Wish(
        propose(schedules, DEFAULT, max(today, earliest or today)),
        Form.ONE_STRENGTH,
        schedules.limits.first_fill_days,
        reason=reasons[0] if len(reasons) == 1 else "",
    )


def single(fields: Mapping[str, str]) -> dict[str, str]:
    """One value for each field. Two that differ contradict each other: the field then holds nothing that it could mean."""
    getlist = getattr(fields, "getlist", None)
    found: dict[str, str] = {}
    for name in fields:
        values = {v.strip() for v in (getlist(name) if getlist else [fields[name]])}
        found[name] = values.pop() if len(values) == 1 else _CONTRADICTORY
        if name in _TEXTS and found[name] == _CONTRADICTORY:
            found[name] = ""
    return found


def read_answers(
    fields: Mapping[str, str], confirmed: Iterable[str], methods: Iterable[str]
) -> Answers:
    """What was ticked and entered at the gate; unknown words count as not answered."""
    fields = single(fields)
    days = {name: _read_past_day(fields.get(name)) for name in DATES}
    written = {name for name in DATES if (fields.get(name) or "").strip()}
    return Answers(
        frozenset(confirmed),
        tuple(m for m in METHODS if m in set(methods)),
        _one_of(fields.get("last_opioid"), CLASSES),
        days["last_opioid_on"],
        _one_of(fields.get("surgery"), ("no", "yes")),
        " ".join((fields.get("maintenance_by") or "").split())[:LONGEST_NAME],
        days["maintenance_on"],
        _one_of(fields.get("maintenance_test"), TESTS),
        days["maintenance_tested_on"],
        frozenset(name for name in written if days[name] is None),
    )


def _read_past_day(text: str | None) -> date | None:
    """A day of anybody's life; a day that is no day is told, not dropped."""
    with suppress(ValueError):
        found = date.fromisoformat((text or "").strip())
        return found if found.year >= 1900 else None
    return None


def _one_of(text: str | None, words: tuple[str, ...]) -> str:
    return text if text in words else ""


def read_wish(
    fields: Mapping[str, str], today: date, earliest: date | None, schedules: Schedules
) -> Wish:
    """The form's wish; a newly picked schedule comes with its own defaults. Never raises."""
    fields = single(fields)
    limits = schedules.limits
    start = _read_date(fields.get("start_on"))
    schedule = (fields.get("schedule") or "")[:1]
    form = _read_form(fields.get("form"))
    fill = _read_int(fields.get("fill_days"))
    drawn = fields.get("drawn", schedule if "start_mg" in fields else "")
    if schedule in schedules.by_id and schedule != drawn:
        choice = propose(schedules, schedule, start or today)
    else:
        choice = _read_choice(fields, schedule, start or today, schedules)
    faults = [
        *_date_faults(start, today, earliest, limits.furthest_start_days),
        *complaints(schedules, choice),
    ]
    if fill not in limits.fill_days:
        faults.append(Complaint("fill_days", "fill_days"))
    if _is_half(fields):
        faults.append(Complaint("changes", "change_half"))
    if fields.get("reason") and fields.get("reason_text"):
        faults.append(Complaint("reason_text", "reason_twice"))
    reason = (fields.get("reason") or fields.get("reason_text") or "")[:LONGEST_FIELD].strip()
    return Wish(
        choice,
        form,
        fill if fill in limits.fill_days else limits.first_fill_days,
        tuple(faults),
        reason,
        (fields.get("reason_text") or "")[:LONGEST_FIELD],
    )


def wish_fields(choice: Choice) -> dict[str, str]:
    """The fields of the form that ask for this choice."""
    return {
        "schedule": choice.schedule,
        "drawn": choice.schedule,
        "start_on": choice.start_on.isoformat(),
        "start_mg": mg(choice.start_mg),
        "step_mg": mg(choice.step_mg),
        "interval_days": str(choice.interval_days),
        "maximum_mg": mg(choice.maximum_mg),
        "reason_above": choice.reason_above,
        "changed": " ".join(f"{c.kind}:{c.on.isoformat()}:{c.days}" for c in choice.changes),
    }


def _read_choice(
    fields: Mapping[str, str], schedule: str, start: date, schedules: Schedules
) -> Choice:
    first = _read_mg(fields.get("start_mg"))
    has_steps = schedule not in schedules.by_id or bool(schedules.by_id[schedule].step.high)
    return Choice(
        schedule,
        start,
        first,
        _read_mg(fields.get("step_mg")),
        _read_int(fields.get("interval_days")),
        _read_mg(fields.get("maximum_mg")) if has_steps else first,
        (fields.get("reason_above") or "")[:LONGEST_FIELD].strip(),
        _read_changes(fields, int(schedules.limits.hold_days.default)),
    )


def _read_changes(fields: Mapping[str, str], usual_hold: int) -> tuple[Change, ...]:
    """Those of the course so far, then one of the "hold or step down" part of the form where it was filled in."""
    before = tuple(_read_changed(fields.get("changed") or ""))
    on = _read_date(fields.get("change_on"))
    kind = fields.get("change")
    if kind not in {"hold", "step-down"} or on is None:
        return before
    days = _read_int(fields["hold_days"]) if fields.get("hold_days") else usual_hold
    return (*before, Change(Kind(kind), on, days if kind == "hold" else 0))


def _is_half(fields: Mapping[str, str]) -> bool:
    """A kind of change without a day that can be read, or a day without a kind."""
    kind, on = fields.get("change") or "", fields.get("change_on") or ""
    return bool(kind or on) and (kind not in set(Kind) or _read_date(on) is None)


def _read_changed(text: str) -> Iterator[Change]:
    """What ``wish_fields`` wrote of earlier changes."""
    for kind, on, days in (part.split(":") for part in text.split() if part.count(":") == 2):
        if kind in set(Kind) and (read := _read_date(on)):
            yield Change(Kind(kind), read, _read_int(days))


def _date_faults(
    start: date | None, today: date, earliest: date | None, furthest: int
) -> list[Complaint]:
    if start is None:
        return [Complaint("start_on", "start_missing")]
    if start < today:
        return [Complaint("start_on", "start_past")]
    if start > today + timedelta(days=furthest):
        return [Complaint("start_on", "start_far")]
    if earliest and start < earliest:
        return [Complaint("start_on", "start_early", {"day": day(earliest)})]
    return []


def _read_mg(text: str | None) -> Decimal:
    """A dose as people write it. Three digits after a comma might be thousands, so they are no dose."""
    read = _MG.fullmatch((text or "").strip())
    return Decimal(read[1].replace(",", ".")) if read else Decimal("NaN")


def _read_int(text: str | None) -> int:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0


def _read_form(text: str | None) -> Form:
    return Form(text) if text in set(Form) else Form.ONE_STRENGTH


def _read_date(text: str | None) -> date | None:
    with suppress(ValueError):
        found = date.fromisoformat((text or "").strip())
        return found if 2000 <= found.year <= 2100 else None
    return None
