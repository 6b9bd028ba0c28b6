"""A folder of recorded hook calls as a replay: each judged at the moment of its order, in the same rows.

A file holds one call, or ``{"received": moment, "request": call}``. Without a moment, the latest ``authoredOn`` of its
drafts is taken; a call that states neither is left out and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any

import orjson

from cds_service.errors import ServiceError
from cds_service.fhir.values import as_dict, as_text, first_present, resource_ref
from cds_service.hooks.prefetch import read_prefetch
from cds_service.hooks.request import HookRequest, decode
from cds_service.hooks.services import SERVICES
from cds_service.pipeline import judge
from cds_service.reading import Reading
from cds_service.retrospective.history import When, read_when
from cds_service.retrospective.judging import Court, Shown, row_of

_BY_HOOK = {service.hook: service for service in SERVICES.values()}


@dataclass(slots=True)
class Recorded:
    """What was in the folder: rows like those of an export, and how many files could not be judged, by cause."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)


def replay_calls(folder: Path, court: Court) -> Recorded:
    """Every call of the folder, in the order of the file names."""
    found = Recorded()
    shown: Shown = {}
    for file in sorted(folder.rglob("*.json")):
        why = _judge_file(file, court, found.rows, shown)
        if why:
            found.left_out[why] = found.left_out.get(why, 0) + 1
    return found


def _judge_file(file: Path, court: Court, rows: list[dict[str, Any]], shown: Shown) -> str:
    try:
        recorded = as_dict(orjson.loads(file.read_bytes()))
    except (orjson.JSONDecodeError, OSError):
        return "no JSON"
    body = as_dict(recorded.get("request")) or recorded
    service = _BY_HOOK.get(as_text(body.get("hook")))
    if service is None:
        return "no hook of ours"
    try:
        request = decode(dict(body), service)
    except ServiceError:
        return "refused"
    when = _moment(recorded, request, court.engine.zone)
    if when is None:
        return "no moment"
    if not _reading(request, frozenset(), court).concerns_us:
        return "of no concern"
    judged = [
        judge(_reading(request, variant.without, court), engine, when.instant)
        for variant, engine in zip(court.variants, court.engines, strict=True)
    ]
    pairs = [(each, each) for each in judged]
    rows.append(
        row_of(
            _Call(request, when, as_text(body["context"].get("userId"))),
            request.patient_id,
            court,
            pairs,
            shown,
        )
    )
    return ""


def _reading(request: HookRequest, without: frozenset[str], court: Court) -> Reading:
    sent = {key: value for key, value in request.prefetch.items() if key not in without}
    return Reading(request, read_prefetch(sent), court.engine.terminology)


@dataclass(frozen=True, slots=True)
class _Call:
    """One recorded call as a session."""

    request: HookRequest
    at: When
    requester: str

    @property
    def encounter(self) -> str:
        return self.request.encounter_id

    @property
    def refs(self) -> tuple[str, ...]:
        return (
            self.request.hook_instance,
            *(resource_ref(e.resource) for e in self.request.orders.entries),
        )


def _moment(recorded: Mapping[str, Any], request: HookRequest, zone: tzinfo) -> When | None:
    if stated := read_when(recorded.get("received"), zone):
        return stated
    found: Iterator[When | None] = (
        read_when(first_present(entry.resource, "authoredOn", "dateWritten"), zone)
        for entry in request.orders.entries
    )
    return max((when for when in found if when), key=lambda when: when.instant, default=None)


def counted(found: Recorded) -> dict[str, Any]:
    """The denominators of a report over recorded calls: the calls themselves."""
    by: dict[tuple[str, str, str, str], int] = {}
    for row in found.rows:
        what = "naltrexone" if "naltrexone" in row["drafted"] else row["drafted"][0]
        key = (row["month"], row["department"], row["role"], what)
        by[key] = by.get(key, 0) + 1
    silent = found.left_out.get("of no concern", 0)
    return {
        "orders": len(found.rows) + silent, "patients": len({row["patient"] for row in found.rows}),
        "judged_patients": len({row["patient"] for row in found.rows}),
        "unreadable_lines": found.left_out.get("no JSON", 0), "undated": found.left_out.get("no moment", 0),
        "duplicates": 0, "by": [[*key, number] for key, number in sorted(by.items())], "names": [], "rare_names": 0,
    }  # fmt: skip
