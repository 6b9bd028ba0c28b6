"""What a chart said on an earlier day: which resources were there, and what their status was.

An export shows the status of the day it was made. Where versions, ``meta.lastUpdated``, ``statusChanged``, Provenance or
an end date prove what it was on the day of the order, that is used; where nothing does, both readings are given: the
status as exported, and "still active".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from cds_service.fhir.dates import read_date, read_instant
from cds_service.fhir.values import as_code, as_dict, as_list, as_text
from cds_service.model import Json

_OVER = frozenset({"completed", "stopped", "ended", "cancelled", "on-hold"})
_PROBLEM_OVER = frozenset({"inactive", "remission", "resolved"})
_LISTED = frozenset(
    {"MedicationRequest", "MedicationOrder", "MedicationStatement", "MedicationUsage"}
)
_DATED = (
    "authoredOn", "dateWritten", "effectiveDateTime", "effectiveTimeDateTime", "occurrenceDateTime",
    "occurenceDateTime", "performedDateTime", "whenHandedOver", "whenPrepared", "recordedDate",
    "assertedDate", "dateAsserted", "dateRecorded", "issued", "onsetDateTime", "recorded",
)  # fmt: skip
_PERIODS = (
    "effectivePeriod", "effectiveTimePeriod", "occurrencePeriod", "occurencePeriod",
    "performedPeriod", "period", "onsetPeriod", "actualPeriod",
)  # fmt: skip
_LIFE_LONG = frozenset({"Patient", "Medication", "Practitioner", "PractitionerRole", "Location"})


@dataclass(frozen=True, slots=True)
class When:
    """A day, and the moment in it where one was stated."""

    day: date
    moment: datetime | None = None

    def is_before(self, other: When) -> bool:
        """Whether this can have been known at ``other``; of one day without clock times that is assumed."""
        if self.moment is not None and other.moment is not None:
            return self.moment < other.moment
        return self.day <= other.day

    @property
    def instant(self) -> datetime:
        """The moment to judge at: noon UTC of a day without one."""
        return self.moment or datetime(self.day.year, self.day.month, self.day.day, 12, tzinfo=UTC)


def read_when(value: object, zone: tzinfo) -> When | None:
    """A FHIR date or dateTime; None for what is neither, a month or a year alone included."""
    if not isinstance(value, str) or len(value) < len("2026-01-01"):
        return None
    day = read_date(value, zone)
    return When(day, read_instant(value, zone)) if day else None


def known_since(resource: Json, zone: tzinfo) -> When | None:
    """When this resource entered the chart by its own dates; None where it states none."""
    for name in _DATED:
        if found := read_when(resource.get(name), zone):
            return found
    for name in _PERIODS:
        if found := read_when(as_dict(resource.get(name)).get("start"), zone):
            return found
    return None


def last_updated(resource: Json, zone: tzinfo) -> When | None:
    return read_when(as_dict(resource.get("meta")).get("lastUpdated"), zone)


@dataclass(frozen=True, slots=True)
class Kept:
    """One resource of the chart with every version that the export holds, oldest first."""

    since: When | None
    versions: tuple[Json, ...]
    updated: tuple[When | None, ...]
    changed: When | None = None  # the last Provenance about it

    @property
    def latest(self) -> Json:
        return self.versions[-1]

    @property
    def is_undated(self) -> bool:
        return self.since is None and self.latest.get("resourceType") not in _LIFE_LONG

    def known_at(self, event: When) -> bool:
        return self.since is None or self.since.is_before(event)


@dataclass(frozen=True, slots=True)
class AsThen:
    """One resource as it may have stood at an event: as exported, and as if it had still been active."""

    exported: Json
    active: Json

    @property
    def is_certain(self) -> bool:
        return self.exported is self.active


def keep(
    versions: Sequence[Json], zone: tzinfo, changes: Mapping[str, When] | None = None, ref: str = ""
) -> Kept:
    """The versions of one resource in their order."""
    updated = [last_updated(version, zone) for version in versions]
    order = sorted(
        range(len(versions)), key=lambda at: (_instant(updated[at]), _version(versions[at]), at)
    )
    ordered = tuple(versions[at] for at in order)
    return Kept(known_since(ordered[-1], zone), ordered, tuple(updated[at] for at in order),
                (changes or {}).get(ref))  # fmt: skip


def _instant(when: When | None) -> datetime:
    return when.instant if when else datetime.min.replace(tzinfo=UTC)


def _version(resource: Json) -> tuple[int, str]:
    text = as_text(as_dict(resource.get("meta")).get("versionId"))
    return (int(text) if text.isdecimal() else 0, text)


def as_then(kept: Kept, event: When, zone: tzinfo) -> AsThen:
    """Both readings of this resource at ``event``; one object twice where its status then is certain."""
    version, proven = _version_at(kept, event)
    over = _is_over(version)
    if proven or not over:
        return AsThen(version, version)
    held = _was_over(version, kept.changed, event, zone)
    if held:
        return AsThen(version, version)
    active = reactivated(version)
    return AsThen(active if held is False else version, active)


def _version_at(kept: Kept, event: When) -> tuple[Json, bool]:
    """The version in force at ``event`` and whether that is proven."""
    found: tuple[Json, bool] = kept.versions[0], False
    for version, updated in zip(kept.versions, kept.updated, strict=True):
        if updated is not None and updated.is_before(event):
            found = version, True
    return found


def _is_over(resource: Json) -> bool:
    if resource.get("resourceType") == "Condition":
        return as_code(resource.get("clinicalStatus")) in _PROBLEM_OVER
    return resource.get("resourceType") in _LISTED and as_code(resource.get("status")) in _OVER


def _was_over(resource: Json, changed: When | None, event: When, zone: tzinfo) -> bool | None:
    """Whether the status of today was already so at ``event``; None where nothing tells."""
    stated = read_when(resource.get("statusChanged"), zone) or changed
    if stated is not None:
        return stated.is_before(event)
    if ends := [*_ends(resource, zone)]:
        return max(ends) <= event.day
    return None


def _ends(resource: Json, zone: tzinfo) -> Iterator[date]:
    """Days that the resource itself names as the end of what it is about."""
    for name in ("abatementDateTime", "dateEnded"):
        if found := read_date(resource.get(name), zone):
            yield found
    periods: list[Any] = [resource.get(name) for name in ("effectivePeriod", "abatementPeriod")]
    for dosage in as_list(resource.get("dosageInstruction")):
        repeat = as_dict(as_dict(as_dict(dosage).get("timing")).get("repeat"))
        periods.append(repeat.get("boundsPeriod"))
    for period in periods:
        if found := read_date(as_dict(period).get("end"), zone):
            yield found


def reactivated(resource: Json) -> Json:
    """The same resource while it was still active."""
    kept = {k: v for k, v in resource.items() if k not in {"statusReason", "statusChanged"}}
    if resource.get("resourceType") == "Condition":
        was = resource.get("clinicalStatus")
        code: Any = "active" if isinstance(was, str) else {"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}  # fmt: skip
        return {**kept, "clinicalStatus": code}
    return {**kept, "status": "active"}


def within(one: When, other: When, hours: int) -> bool:
    """Whether two events lie at most so many hours apart."""
    return abs(one.instant - other.instant) <= timedelta(hours=hours)
