"""What the first screen says: the verdict of the record alone, then what the answers make of it. Pure.

It never permits: the most it says is that nothing speaks against a start, and whose decision that is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from cds_service.content.planner_words import Words
from cds_service.planner.gate import Gate, Mark, Met, Point
from cds_service.planner.phrases import weekday

_CARE = frozenset({"dependence", "liver", "pregnancy", "kidney", "age"})


@dataclass(frozen=True, slots=True)
class Headline:
    """The answer: its tone (ok, info, warning, critical), its sentence, and how many answers were given."""

    tone: str
    head: str
    given: int
    asked: int

    @property
    def missing(self) -> int:
        return self.asked - self.given


def headline(record: Gate, gate: Gate, today: date, say: Words) -> Headline:
    """``record`` is the gate without any answer, ``gate`` the same with those given."""
    asked = [p for p in gate.points if p.mark is not Mark.PASSED]
    given = sum(p.mark is Mark.CONFIRMED for p in asked)
    tone, head = _of_record(record, today, say)
    if not record.is_blocked and gate.is_blocked:
        tone, head = "critical", _by_answers(gate, today, say)
    elif gate.is_passed:
        tone, head = _answered(gate, say)
    return Headline(tone, head, given, len(asked))


def _answered(gate: Gate, say: Words) -> tuple[str, str]:
    """What the record warns of, or cannot tell, stays said after somebody has answered for it."""
    if reasons := " ".join(_reason(point, say) for point in gate.attested):
        return "warning", say("verdict.attested", reasons=reasons)
    return "ok", say("verdict.answered")


def _reason(point: Point, say: Words) -> str:
    if point.items:
        return _unrecognized(point, say)
    return next(iter(point.because), point.title)


def _unrecognized(point: Point, say: Words) -> str:
    return say("verdict.unrecognized", medicines="; ".join(item.label for item in point.items))


def _of_record(record: Gate, today: date, say: Words) -> tuple[str, str]:
    if record.is_blocked:
        return "critical", _blocked(record, today, say)
    if record.earliest and record.earliest > today:
        return "warning", _waits(record, today, say)
    flagged = [p for p in record.points if p.mark is Mark.ASK and p.is_exception and p.because]
    unread = {say("unread.problems"), say("unread.birth_date")}
    unclear = [p for p in flagged if p.id not in _CARE or p.because[0] in unread]
    if unclear and unclear[0].items:
        return "warning", _unrecognized(unclear[0], say)
    if unclear and unclear[0].id == "earlier":
        return "warning", say("verdict.drafted")
    if unclear:
        reason = unclear[0].because[0]
        return "warning", say(
            "verdict.unread" if reason in unread else "verdict.unknown", reason=reason
        )
    if flagged:
        return "warning", say("verdict.care", reason=flagged[0].because[0])
    return "info", say("verdict.clear")


def _blocked(record: Gate, today: date, say: Words) -> str:
    first = next(p for p in record.points if p.mark is Mark.BLOCKED)
    if first.id == "opioids" and any(_waiting(record.history, today, say)):
        return _waits(record, today, say)
    return say("verdict.not_now", reason=next(iter(first.because), first.title))


def _waits(record: Gate, today: date, say: Words) -> str:
    """The first day that the record allows, with the medicines that ask for the wait."""
    medicines = "; ".join(_waiting(record.history, today, say))
    if record.earliest and record.earliest > today:
        return say("verdict.not_before", day=weekday(record.earliest), medicines=medicines)
    if record.not_before > today:
        return say("verdict.counting", day=weekday(record.not_before), medicines=medicines)
    return say("verdict.not_now_medicine", medicines=medicines)


def _waiting(history: tuple[Met, ...], today: date, say: Words) -> Iterator[str]:
    for met in history:
        if met.earliest and (not met.earliest.is_known or met.earliest.on > today):
            yield say("verdict.medicine", label=met.label, state=met.state)


def _by_answers(gate: Gate, today: date, say: Words) -> str:
    first = next(p for p in gate.points if p.mark is Mark.BLOCKED)
    if first.until and first.until > today:
        return say("verdict.yours_not_before", day=weekday(first.until))
    return say("verdict.yours_not_now", title=first.title)


def questions(record: Gate, gate: Gate) -> tuple[Point, ...]:
    """What a person has to answer, as it stands: what the record blocks, then earlier drafts, then the rest.

    Answers never move a question.
    """
    blocked = {p.id for p in record.points if p.mark is Mark.BLOCKED}
    waiting = [p for p in gate.points if p.mark is not Mark.PASSED]
    return tuple(sorted(waiting, key=lambda p: (p.id not in blocked, p.id != "earlier")))
