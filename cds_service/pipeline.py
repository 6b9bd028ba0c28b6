"""The walk of one hook call, on one screen: decode -> gather -> read -> decide -> render.

Pure but for what is handed in: the clock, fresh ids and, where allowed, a way to fetch what the EHR did not send.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from cds_service.content.loader import Content
from cds_service.content.render import CardWriter, could_not_check, render
from cds_service.errors import PreconditionFailed
from cds_service.fhir.bundle import Resolver
from cds_service.fhir.read import read_drug
from cds_service.hooks.prefetch import Record, read_prefetch
from cds_service.hooks.request import HookRequest, decode
from cds_service.hooks.services import Service
from cds_service.model import Finding, Snapshot, Verdict
from cds_service.rules import Rule, decide
from cds_service.settings import Client
from cds_service.snapshot import ReadingAids, concerns_us, read_snapshot
from cds_service.terminology import Terminology

Fetch = Callable[[HookRequest, Record], Record]


@dataclass(frozen=True, slots=True)
class Engine:
    """What every call is answered with, made once at start."""

    terminology: Terminology
    content: Content
    zone: tzinfo
    base_url: str
    new_id: Callable[[], str]
    rules: Mapping[str, Rule] | None = None    # None = the table of cds_service.rules

    @property
    def writer(self) -> CardWriter:
        return CardWriter(self.content, self.base_url, self.new_id)

    def aids(self, now: datetime) -> ReadingAids:
        """The reading aids with the thresholds in force at ``now``."""
        return ReadingAids(self.terminology, self.content.thresholds(now.astimezone(self.zone).date()), self.zone)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answered call: what the EHR gets and what the observers (audit, telemetry, explain) may record."""

    request: HookRequest
    record: Record
    snapshot: Snapshot
    verdicts: tuple[Verdict, ...]
    cards: tuple[dict[str, Any], ...]
    silenced: tuple[Finding, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)   # seconds per step

    @property
    def response(self) -> dict[str, Any]:
        return {"cards": list(self.cards)}


def answer(body: object, service: Service, engine: Engine, now: datetime, *, client: Client | None = None,
           fetch: Fetch | None = None, stopwatch: Callable[[], float] = time.perf_counter) -> Outcome:
    """Judge one hook call to ``service`` at ``now`` (with an offset).

    Raises BadRequest (400) for a body that is no hook call and PreconditionFailed (412) where no order can be identified.
    """
    marks = [stopwatch()]
    request = decode(body, service)
    record = read_prefetch(request.prefetch, client.null_means_unknown if client else False)
    marks.append(stopwatch())
    if fetch is not None and concerns_us(request, record, engine.terminology):
        record = fetch(request, record)
    marks.append(stopwatch())
    snapshot = read_snapshot(request, record, engine.aids(now), now)
    _require_orders(snapshot, client)
    marks.append(stopwatch())
    verdicts = decide(snapshot, engine.rules)
    shown, silenced = _sort_by_client(verdicts, client)
    marks.append(stopwatch())
    cards = render(shown, snapshot, service, engine.writer)
    marks.append(stopwatch())
    steps = ("decode", "fetch", "read", "decide", "render")
    return Outcome(request, record, snapshot, verdicts, tuple(cards), silenced,
                   {name: marks[i + 1] - marks[i] for i, name in enumerate(steps)})


def _require_orders(snapshot: Snapshot, client: Client | None) -> None:
    """412 only when nothing at all can be said; a site may ask for the literal reading of the specification (R51)."""
    if snapshot.unidentifiable:
        raise PreconditionFailed("No order in this call can be identified: what it refers to was not sent.",
                                 expression=("context",))
    if client is not None and client.strict_412 and snapshot.drafts and not snapshot.list_available:
        raise PreconditionFailed("The patient's medication list was neither sent nor could it be fetched.",
                                 expression=("prefetch",))


def _sort_by_client(verdicts: tuple[Verdict, ...], client: Client | None) -> tuple[list[Finding], tuple[Finding, ...]]:
    """(shown, silenced): topics that a client switched off vanish, silent ones are judged and recorded only."""
    off = frozenset(client.topics_off) if client else frozenset()
    silent = frozenset(client.topics_silent) if client else frozenset()
    findings = [f for verdict in verdicts for f in verdict.findings if f.topic not in off]
    return [f for f in findings if f.topic not in silent], tuple(f for f in findings if f.topic in silent)


def salvage(body: object, service: Service, engine: Engine) -> dict[str, Any] | None:
    """After a fault of our own: the could-not-check answer where naltrexone is (or may be) drafted, else None.

    An EHR shows "all clear" on a 5xx, so a broken check is said on a card wherever that card would be meant.
    """
    try:
        request = decode(body, service)
        resolver = Resolver(request.orders.entries)
        drafted = any(c.role.is_naltrexone for entry in request.orders.entries
                      for c in engine.terminology.recognise(read_drug(entry.resource, resolver)).components)
    except Exception:  # noqa: BLE001 - the second fault of one call: what was drafted is unknown, so it is said
        drafted = True
    return {"cards": [could_not_check(engine.writer)]} if drafted else None
