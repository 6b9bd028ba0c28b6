"""The walk of one hook call, on one screen: decode -> gather -> read -> decide -> render.

Pure but for what is handed in: the clock, fresh ids and, where allowed, a way to fetch what the EHR did not send.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from cds_service.content.loader import Content
from cds_service.content.render import CardWriter, could_not_check, render
from cds_service.errors import PreconditionFailed
from cds_service.hooks.prefetch import Record, leave_unread, read_prefetch
from cds_service.hooks.profiles import UNDATED
from cds_service.hooks.repeats import (
    Bases,
    Overridden,
    Recall,
    bases_of,
    is_kept,
    is_shortened,
    nothing_recalled,
)
from cds_service.hooks.request import HookRequest, decode
from cds_service.hooks.services import Service
from cds_service.hooks.versions import dialect_of
from cds_service.model import Finding, Snapshot, Verdict
from cds_service.reading import Reading
from cds_service.rules import RULES, Rule, data_gap, decide
from cds_service.settings import Client
from cds_service.snapshot import ReadingAids, read_orders_alone, read_snapshot
from cds_service.terminology import Terminology

Fetch = Callable[[Reading], Record]
NOT_OURS = Verdict(
    "not-ours",
    trace=(
        "not ours, list not read: every order of this call is surely neither naltrexone nor an opioid",
    ),
)


@dataclass(frozen=True, slots=True)
class Engine:
    """What every call is answered with, made once at start."""

    terminology: Terminology
    content: Content
    zone: tzinfo
    base_url: str
    new_id: Callable[[], str]
    rules: tuple[Rule, ...] = RULES

    @property
    def writer(self) -> CardWriter:
        return CardWriter(self.content, self.rules, self.base_url, self.new_id)

    def aids(self, now: datetime) -> ReadingAids:
        """The reading aids with the thresholds in force at ``now``."""
        return ReadingAids(self.content.thresholds(now.astimezone(self.zone).date()), self.zone)


class Laps:
    """Seconds per step of a call."""

    def __init__(self, stopwatch: Callable[[], float] = time.perf_counter) -> None:
        self._stopwatch, self._last = stopwatch, stopwatch()
        self.seconds: dict[str, float] = {}

    def end(self, step: str) -> None:
        now = self._stopwatch()
        self.seconds[step], self._last = now - self._last, now


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules make of one reading, in no words."""

    snapshot: Snapshot
    verdicts: tuple[Verdict, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for verdict in self.verdicts for finding in verdict.findings)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answered call: what the EHR gets and what the observers (audit, telemetry, explain) may record."""

    reading: Reading
    judgement: Judgement
    cards: tuple[dict[str, Any], ...]
    silenced: tuple[Finding, ...] = ()
    broken_cards: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)  # seconds per step
    bases: Bases = field(default_factory=dict)  # of alerts that a later answer may say in one line
    overridden: Mapping[str, Overridden] = field(default_factory=dict)  # said in one line, by topic

    @property
    def request(self) -> HookRequest:
        return self.reading.request

    @property
    def record(self) -> Record:
        return self.reading.record

    @property
    def snapshot(self) -> Snapshot:
        return self.judgement.snapshot

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return self.judgement.verdicts

    @property
    def response(self) -> dict[str, Any]:
        return {"cards": list(self.cards)}


def answer(
    body: object,
    service: Service,
    engine: Engine,
    now: datetime,
    *,
    client: Client | None = None,
    fetch: Fetch | None = None,
    recall: Recall = nothing_recalled,
    stopwatch: Callable[[], float] = time.perf_counter,
) -> Outcome:
    """Answer one hook call to ``service`` at ``now`` (with an offset).

    Raises BadRequest (400) for a body that is no hook call and PreconditionFailed (412) where no order can be identified.
    """
    laps = Laps(stopwatch)
    request = decode(body, service)
    profile = client.prefetch_profile if client else UNDATED
    alone = Reading(request, leave_unread(request.prefetch), engine.terminology, profile)
    if alone.is_not_ours:
        laps.end("decode")
        return Outcome(
            alone,
            Judgement(read_orders_alone(alone, engine.aids(now), now), (NOT_OURS,)),
            (),
            timings=laps.seconds,
        )
    reading = alone.with_record(
        read_prefetch(request.prefetch, client.null_means_unknown if client else False)
    )
    laps.end("decode")
    if fetch is not None and reading.concerns_us:
        reading = reading.with_record(fetch(reading))
    laps.end("fetch")
    judgement = judge(reading, engine, now, laps)
    _require_orders(judgement.snapshot, client)
    shown, silenced = _sort_by_client(judgement.findings, client)
    bases, overridden = _repeats(shown, judgement.snapshot, request, client, recall, engine)
    said = client.cds_hooks_version if client else ""
    dialect = dialect_of(service, said, profile, shown=request.speaks_2)
    written = render(shown, judgement.snapshot, dialect, engine.writer, overridden)
    laps.end("render")
    return Outcome(
        reading, judgement, written.cards, silenced, written.broken, laps.seconds, bases, overridden
    )


def judge(reading: Reading, engine: Engine, now: datetime, laps: Laps | None = None) -> Judgement:
    """What every rule says of this reading at ``now``; no card is made."""
    laps = laps or Laps()
    snapshot = read_snapshot(reading, engine.aids(now), now)
    laps.end("read")
    verdicts = decide(snapshot, engine.rules)
    laps.end("decide")
    return Judgement(snapshot, verdicts)


def _require_orders(snapshot: Snapshot, client: Client | None) -> None:
    """412 only when nothing at all can be said; a site may ask for the literal reading of the specification (R51)."""
    if snapshot.unidentifiable:
        raise PreconditionFailed(
            "No order in this call can be identified: what it refers to was not sent.",
            expression=("context",),
        )
    if client is not None and client.strict_412 and snapshot.drafts and not snapshot.list_available:
        raise PreconditionFailed(
            "The patient's medication list was neither sent nor could it be fetched.",
            expression=("prefetch",),
        )


def _repeats(
    shown: Sequence[Finding],
    snapshot: Snapshot,
    request: HookRequest,
    client: Client | None,
    recall: Recall,
    engine: Engine,
) -> tuple[Bases, Mapping[str, Overridden]]:
    """What may shorten a later answer, and what shortens this one; both empty unless the client asks."""
    kept, shortened = is_kept(request, client), is_shortened(request, client)
    if not shown or not (kept or shortened):
        return {}, {}
    bases = bases_of(shown, snapshot, engine.content.version)
    return (bases if kept else {}), (recall(request, bases) if shortened else {})


def _sort_by_client(
    findings: tuple[Finding, ...], client: Client | None
) -> tuple[list[Finding], tuple[Finding, ...]]:
    """(shown, silenced): topics that a client switched off vanish, silent ones are judged and recorded only."""
    off = frozenset(client.topics_off) if client else frozenset()
    silent = frozenset(client.topics_silent) if client else frozenset()
    kept = [f for f in findings if f.topic not in off]
    return [f for f in kept if f.topic not in silent], tuple(f for f in kept if f.topic in silent)


def unchecked(body: object, service: Service, engine: Engine) -> dict[str, Any] | None:
    """The could-not-check answer to a call that is not worked on, where naltrexone, an opioid or something unknown is
    drafted; else None. Raises BadRequest for a body that is no hook call.
    """
    if not Reading(decode(body, service), Record({}), engine.terminology).concerns_us:
        return None
    finding = data_gap.could_not_check(naltrexone=True)
    return salvage(body, service, engine) or {"cards": [could_not_check(finding, engine.writer)]}


def salvage(body: object, service: Service, engine: Engine) -> dict[str, Any] | None:
    """After a fault of our own: the could-not-check answer where naltrexone or an opioid is (or may be) drafted, else None.

    An EHR shows "all clear" on a 5xx, so a broken check is said on a card wherever that card would be meant.
    """
    try:
        drafts = [*Reading(decode(body, service), Record({}), engine.terminology).drafts()]
        roles = {component.role for recognition in drafts for component in recognition.components}
    except Exception:  # noqa: BLE001 - the second fault of one call: what was drafted is unknown, so it is said
        roles = None
    if roles is not None and not roles:
        return None
    naltrexone = roles is None or any(role.is_naltrexone for role in roles)
    return {
        "cards": [could_not_check(data_gap.could_not_check(naltrexone=naltrexone), engine.writer)]
    }
