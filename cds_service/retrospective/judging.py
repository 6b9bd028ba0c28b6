"""What the rules say of each session of a chart, in plain JSON rows: no words, no names, no dates unless asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Protocol

from cds_service.content.loader import Content
from cds_service.fhir.status import order_kind
from cds_service.fhir.values import as_code, resource_ref
from cds_service.model import Finding, Json
from cds_service.pipeline import Engine, Judgement, judge
from cds_service.retrospective.chart import Chart, Session, hook_call, reading_of
from cds_service.retrospective.history import When, within
from cds_service.rules.interaction import TOPIC as INTERACTION

RANK = ("none", "info", "warning", "critical")
_OVERLAP_DAYS = 60
_REPEAT_HOURS = 24


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to set the service up: what-if. The first of a replay is the service as it is."""

    name: str = "as it is"
    thresholds: Mapping[str, Any] = field(default_factory=dict)  # name or name.part -> value
    topics_off: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()  # prefetch keys that the EHR does not send


@dataclass(frozen=True, slots=True)
class Court:
    """All that judges a chart."""

    engine: Engine
    variants: tuple[Variant, ...]
    engines: tuple[Engine, ...]
    pseudonym: Callable[[str], str]
    with_days: bool
    departments: Mapping[str, str]
    roles: Mapping[str, str]


def engine_for(engine: Engine, variant: Variant, today: date) -> Engine:
    """The engine with the numbers in force ``today``, whatever the day of the order, and those of the variant."""
    return replace(engine, content=_content_for(engine.content, variant, today))


def _content_for(content: Content, variant: Variant, today: date) -> Content:
    history: dict[str, list[Mapping[str, Any]]] = {}
    for name in content.threshold_history:
        entry = dict(content.threshold(name, today))
        for path, value in variant.thresholds.items():
            own, _, part = path.partition(".")
            if own == name:
                entry["value"] = {**entry["value"], part: value} if part else value
        history[name] = [entry]
    if unknown := {path.partition(".")[0] for path in variant.thresholds} - set(history):
        raise ValueError(f"no such threshold: {', '.join(sorted(unknown))}")
    return replace(content, threshold_history=history)


Shown = dict[tuple[str, str, tuple[str, ...]], When]  # (prescriber, topic, pair) -> last said
Readings = Sequence[tuple[Judgement, Judgement]]  # a variant each: as exported, if still active


class Signed(Protocol):
    """What a row says of a session, wherever it was read."""

    @property
    def at(self) -> When: ...
    @property
    def requester(self) -> str: ...
    @property
    def encounter(self) -> str: ...
    @property
    def refs(self) -> tuple[str, ...]: ...


def judge_chart(chart: Chart, court: Court) -> Iterator[dict[str, Any]]:
    """One row per session, oldest first."""
    shown: Shown = {}
    for session in chart.sessions:
        yield _row(chart, session, court, shown)


def _row(chart: Chart, session: Session, court: Court, shown: Shown) -> dict[str, Any]:
    then = [*chart.at(session)]
    exported = [each.exported for each in then]
    certain = all(each.is_certain for each in then)
    active = exported if certain else [each.active for each in then]
    readings = []
    for variant, engine in zip(court.variants, court.engines, strict=True):
        one = _judge(chart, session, exported, variant, engine)
        other = one if certain else _judge(chart, session, active, variant, engine)
        readings.append((one, other))
    row = row_of(session, chart.patient_id, court, readings, shown)
    said = row["verdicts"][court.variants[0].name]
    return {**row, "silent": _silent(readings[0][0], chart, session, exported, said, court)}


def row_of(
    session: Signed, patient_id: str, court: Court, readings: Readings, shown: Shown
) -> dict[str, Any]:
    """What is kept of a judged session; ``readings`` has one pair for each variant."""
    first, day, number = readings[0][0], session.at.day, court.pseudonym
    return {
        "session": number("|".join((patient_id, session.requester, *session.refs))),
        "patient": number(patient_id),
        "prescriber": number(session.requester),
        "orders": [number(ref) for ref in session.refs],
        **({"day": day.isoformat()} if court.with_days else {}),
        "month": day.strftime("%Y-%m"),
        "week": (day - timedelta(days=day.weekday())).isoformat(),
        "department": court.departments.get(session.encounter, "not stated"),
        "role": court.roles.get(session.requester, "not stated"),
        "drafted": drafted(first),
        "certain": all(one is other for one, other in readings),
        "verdicts": {
            variant.name: _merge(one, other, variant.topics_off)
            for variant, (one, other) in zip(court.variants, readings, strict=True)
        },
        "repeats": _repeats(first.findings, session, shown),
        "gaps": sorted([g.about, g.why, g.count] for g in first.snapshot.gaps),
        "silent": "",
    }


def _judge(
    chart: Chart, session: Session, listed: Iterable[Json], variant: Variant, engine: Engine
) -> Judgement:
    body = hook_call(chart, session, listed, variant.without)
    return judge(reading_of(body, engine.terminology), engine, session.at.instant)


def drafted(judgement: Judgement) -> list[str]:
    """What was ordered: antagonist, opioid; unknown where neither."""
    roles = {c.role for d in judgement.snapshot.drafts for c in d.medication.recognition.components}
    found = {
        "naltrexone" if role.is_naltrexone else "opioid"
        for role in roles
        if role.is_naltrexone or role.is_opioid
    }
    return sorted(found) or ["unknown"]


def _merge(one: Judgement, other: Judgement, off: frozenset[str]) -> dict[str, list[str]]:
    """topic -> [indicator as exported, indicator if still active, situation]."""
    here, there = _loudest(one.findings), _loudest(other.findings)
    found = {}
    for topic in sorted({*here, *there} - off):
        left, right = here.get(topic), there.get(topic)
        said = left or right
        assert said is not None  # noqa: S101 - one of them holds the topic
        found[topic] = [_indicator(left), _indicator(right), said.situation]
    return found


def _loudest(findings: Iterable[Finding]) -> dict[str, Finding]:
    found: dict[str, Finding] = {}
    for finding in findings:
        if finding.topic not in found or finding.severity > found[finding.topic].severity:
            found[finding.topic] = finding
    return found


def _indicator(finding: Finding | None) -> str:
    return finding.severity.indicator if finding else "none"


def bounds(said: Iterable[str]) -> tuple[str, str]:
    """(least, most) of two readings."""
    ordered = sorted(said, key=RANK.index)
    return ordered[0], ordered[-1]


def _repeats(
    findings: Iterable[Finding], session: Signed, shown: Shown
) -> list[str]:  # fmt: skip
    """Topics said to the same prescriber about the same pair within 24 hours before."""
    again = []
    for topic, finding in _loudest(findings).items():
        pair = tuple(
            sorted(
                {c.ingredient for e in finding.found for c in e.medication.recognition.components}
            )
        )
        key = (session.requester, topic, pair)
        if key in shown and within(shown[key], session.at, _REPEAT_HOURS):
            again.append(topic)
        shown[key] = session.at
    return sorted(again)


# --- missed cases -----------------------------------------------------------------------------------------------------


def _silent(
    judgement: Judgement, chart: Chart, session: Session, listed: Iterable[Json],
    said: Mapping[str, list[str]], court: Court,
) -> str:  # fmt: skip
    """Why an overlap in the data got no interaction card; "" where there is a card, or nothing overlaps."""
    if INTERACTION in said:
        return ""
    ordered = set(drafted(judgement))
    opposite = {"naltrexone": "opioid", "opioid": "naltrexone"}
    wanted = {opposite[each] for each in ordered if each in opposite}
    if not wanted:
        return ""
    found = [r for r in listed if order_kind(r) and _is_recent(r, chart, session)]
    if not found:
        return ""
    body = hook_call(chart, session, found)
    reading = reading_of(body, court.engine.terminology)
    for resource in found:
        roles = {c.role for c in reading.name(resource)[1].components}
        if any(
            ("naltrexone" if role.is_naltrexone else "opioid" if role.is_opioid else "") in wanted
            for role in roles
        ):
            return (
                f"{resource['resourceType']} {as_code(resource.get('status')) or 'without status'}"
            )
    return ""


def _is_recent(resource: Json, chart: Chart, session: Session) -> bool:
    ref = resource_ref(resource)
    since = next((k.since for k in chart.kept if resource_ref(k.latest) == ref), None)
    return since is None or (session.at.day - since.day).days <= _OVERLAP_DAYS
