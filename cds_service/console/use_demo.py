"""Invented use of the service, to show ``/use`` with: the same seed, the same calls, cards and feedback."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cds_service.content.loader import Content
from cds_service.hooks.feedback import FeedbackItem
from cds_service.hooks.services import SERVICES
from cds_service.journal.audit import AuditedCard, AuditEvent
from cds_service.model import Coding, Gap
from cds_service.rules.rule import Rule

ISSUERS = ("https://clinic.demo.example.org", "https://hospital.demo.example.org")
_GAPS = (
    ("medicationStatements", "not-sent"),
    ("medicationDispenses", "not-sent"),
    ("conditions", "http-4xx"),
    ("medicationRequests", "timeout"),
)
_SHARES = {"critical": (0.35, 0.45), "warning": (0.12, 0.6), "info": (0.03, 0.1)}  # accepted, over


@dataclass(frozen=True, slots=True)
class Invented:
    """One call, and the feedback that came after it."""

    event: AuditEvent
    feedback: tuple[FeedbackItem, ...]
    received: datetime


def invent(
    rules: Sequence[Rule], content: Content, now: datetime, *, calls: int, weeks: int, seed: int
) -> Iterator[Invented]:
    """Calls of the last ``weeks``, the oldest first; half way the rules get a new version."""
    chance = random.Random(seed)  # noqa: S311 - invented, not secret
    span = timedelta(weeks=weeks).total_seconds()
    for seconds in sorted(chance.uniform(0, span) for _ in range(calls)):
        time = now - timedelta(seconds=span - seconds)
        version = "demo-rules-2" if seconds > span / 2 else "demo-rules-1"
        call = _call(chance, time, version, rules, content)
        yield call
        if any(item.outcome == "overridden" for item in call.feedback) and chance.random() < 0.2:
            yield _again(chance, call)


def _call(
    chance: random.Random, time: datetime, version: str, rules: Sequence[Rule], content: Content
) -> Invented:
    service = chance.choice([s for s in SERVICES.values() if s.hook.startswith("order-")])
    patient, prescriber = chance.randrange(400), chance.randrange(40)
    issuer = chance.choice(ISSUERS)
    cards = tuple(_cards(chance, rules)) if chance.random() < 0.3 else ()
    gaps = tuple(Gap(*gap) for gap in _GAPS if chance.random() < 0.04)
    event = AuditEvent(
        time=time,
        request_id=_id(chance),
        issuer=issuer,
        client=issuer,  # what a client without a name in the settings is called
        hook=service.hook,
        service=service.id,
        hook_instance=_id(chance),
        patient_hash=f"demo-patient-{patient}",
        prescriber=f"demo-prescriber-{prescriber}",
        release="R4",
        rules=[rule.id for rule in rules],
        rules_version=version,
        content_version=content.version,
        cards=cards,
        gaps=gaps,
        unknown_names=int(chance.random() < 0.05),
        status=200 if chance.random() < 0.998 else 400,
        ms=chance.randint(3, 40),
    )
    received = time + timedelta(minutes=chance.randint(1, 30))
    items = tuple(_feedback(chance, event, content, received))
    return Invented(event, items, received)


def _again(chance: random.Random, call: Invented) -> Invented:
    """The same cards at sign, a little later, overridden again as before."""
    service = next(s for s in SERVICES.values() if s.hook == "order-sign")
    new = {card.uuid: _id(chance) if card.shown else "" for card in call.event.cards}
    later = call.received + timedelta(minutes=chance.randint(1, 60))
    event = replace(
        call.event,
        time=later,
        request_id=_id(chance),
        hook=service.hook,
        service=service.id,
        hook_instance=_id(chance),
        cards=tuple(replace(card, uuid=new[card.uuid]) for card in call.event.cards),
    )
    answered = later + timedelta(minutes=1)
    items = tuple(
        replace(item, card=new[item.card], service=service.id, outcome_timestamp=answered)
        for item in call.feedback
        if item.outcome == "overridden"
    )
    return Invented(event, items, answered)


def _cards(chance: random.Random, rules: Sequence[Rule]) -> Iterator[AuditedCard]:
    for rule in rules:
        if chance.random() < 0.35:
            severe = rule.order < 3 and chance.random() < 0.5
            indicator = "critical" if severe else chance.choice(("warning", "info"))
            shown = chance.random() < 0.9
            situation = chance.choice([*rule.situations])
            card = _id(chance) if shown else ""
            yield AuditedCard(card, rule.id, indicator, shown, situation)


def _feedback(
    chance: random.Random, event: AuditEvent, content: Content, at: datetime
) -> Iterator[FeedbackItem]:
    for card in event.cards:
        accepted, overridden = _SHARES[card.indicator]
        drawn = chance.random()
        if not card.shown or drawn > accepted + overridden:
            continue
        if drawn < accepted:
            yield _item(event, card, "accepted", at, None)
        else:
            reasons = [r for g in content.cards[card.topic].override_reasons.values() for r in g]
            code = chance.choice([*reasons, ""]) if reasons else ""
            yield _item(event, card, "overridden", at, code)


def _item(
    event: AuditEvent, card: AuditedCard, outcome: str, at: datetime, code: str | None
) -> FeedbackItem:
    return FeedbackItem(
        service=event.service,
        card=card.uuid,
        outcome=outcome,
        outcome_timestamp=at,
        reason=Coding("", code, "") if code else None,
    )


def _id(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
