"""One patient's export as a timeline: every resource read once, every ordering session as the hook call it would have been.

A session is what one prescriber ordered at one stated moment (or, without clock times, on one day).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Any

from cds_service.fhir.bundle import Entry
from cds_service.fhir.releases import ASSUMED
from cds_service.fhir.values import (
    as_code,
    as_dict,
    as_list,
    as_text,
    first_present,
    local_reference,
    read_reference,
    resource_id,
    resource_ref,
)
from cds_service.hooks.prefetch import Record, SearchAnswer, read_prefetch
from cds_service.hooks.request import HookRequest, decode
from cds_service.hooks.services import SERVICES
from cds_service.model import Json
from cds_service.reading import Reading
from cds_service.retrospective.history import AsThen, Kept, When, as_then, keep, read_when
from cds_service.terminology import Terminology

SERVICE = SERVICES["naltrexone-order-sign"]
ORDERS = ("MedicationRequest", "MedicationOrder")
_NO_EVENT = frozenset({"draft", "entered-in-error"})
_NOT_ORDERED = frozenset({"proposal", "plan", "option"})
_KEYS = {
    template.partition("?")[0]: key
    for key, template in SERVICE.prefetch.items()
    if "?patient=" in template
} | {
    "MedicationUsage": "medicationStatements",
    "Observation": "observations",
    "Procedure": "procedures",
}


@dataclass(frozen=True, slots=True)
class Session:
    """Orders that were signed together."""

    at: When
    requester: str
    encounter: str
    orders: tuple[Json, ...]

    @property
    def refs(self) -> tuple[str, ...]:
        return tuple(resource_ref(order) for order in self.orders)


@dataclass(frozen=True, slots=True)
class Chart:
    """A patient's resources, those that can matter to a verdict, sorted by when they were known."""

    patient_id: str
    patient: Json | None
    kept: tuple[Kept, ...]
    encounters: Mapping[str, Json]
    medications: tuple[Json, ...]
    sessions: tuple[Session, ...]
    zone: tzinfo

    def at(self, session: Session) -> Iterator[AsThen]:
        """What was on the chart when this session was signed, without the session itself."""
        own = set(session.refs)
        for kept in self.kept:
            if kept.known_at(session.at) and resource_ref(kept.latest) not in own:
                yield as_then(kept, session.at, self.zone)


def read_chart(
    patient_id: str, resources: Iterable[Json], zone: tzinfo, terminology: Terminology,
    first: date, last: date,
) -> Chart:  # fmt: skip
    """The chart of one patient; sessions are those of [first, last] with a naltrexone, opioid or unknown order."""
    versions: dict[str, list[Json]] = defaultdict(list)
    changes: dict[str, When] = {}
    for at, resource in enumerate(resources):
        if resource.get("resourceType") == "Provenance":
            _note_changes(resource, changes, zone)
        else:
            known = versions[resource_ref(resource) or f"#{at}"]
            if resource not in known:
                known.append(resource)
    kept = [keep(each, zone, changes, ref) for ref, each in versions.items()]
    of = _by_kind(kept)
    medications = tuple(k.latest for k in of["Medication"])
    listed = [k for k in kept if k.latest.get("resourceType") in _KEYS]
    reading = _reading_of([*(k.latest for k in listed), *medications], terminology)
    return Chart(
        patient_id, next((k.latest for k in of["Patient"]), None),
        tuple(sorted(_relevant(listed, reading), key=_place)),
        {resource_ref(k.latest): k.latest for k in of["Encounter"]}, medications,
        tuple(_sessions([k for kind in ORDERS for k in of[kind]], reading, first, last, zone)), zone,
    )  # fmt: skip


def _place(kept: Kept) -> tuple[date, str]:
    return (kept.since.day if kept.since else date.min, resource_ref(kept.latest))


def _by_kind(kept: Iterable[Kept]) -> dict[str, list[Kept]]:
    found: dict[str, list[Kept]] = defaultdict(list)
    for each in kept:
        found[as_text(each.latest.get("resourceType"))].append(each)
    return found


def _note_changes(provenance: Json, changes: dict[str, When], zone: tzinfo) -> None:
    """The last Provenance about each target dates the state that it shows."""
    when = read_when(first_present(provenance, "recorded", "occurredDateTime"), zone)
    for target in as_list(provenance.get("target")):
        ref = local_reference(read_reference(target)[0])
        if when and (ref not in changes or changes[ref].is_before(when)):
            changes[ref] = when


def _reading_of(resources: Sequence[Json], terminology: Terminology) -> Reading:
    """Everything of this patient, so that each drug is recognised once and every reference can be followed."""
    request = decode({"hook": SERVICE.hook, "hookInstance": "chart", "context": {}}, SERVICE)
    record = Record({"chart": SearchAnswer("chart", "answered", tuple(map(Entry, resources)))})
    return Reading(request, record, terminology)


def _relevant(listed: Iterable[Kept], reading: Reading) -> Iterator[Kept]:
    """Without the medicines that are positively something else: no rule ever hears of them."""
    told_release = False
    for kept in listed:
        resource = kept.latest
        if not _is_medicine(resource) or _can_matter(resource, reading):
            yield kept
        elif not told_release and _tells_release(resource, reading.terminology):
            told_release = True
            yield kept


def _is_medicine(resource: Json) -> bool:
    return as_text(resource.get("resourceType")).startswith("Medication")


def _can_matter(resource: Json, reading: Reading) -> bool:
    recognition = reading.name(resource).recognition
    return bool(
        recognition.components or not recognition.identified or getattr(recognition, "conflict", "")
    )


def _tells_release(resource: Json, terminology: Terminology) -> bool:
    """Whether a chart would be read as another release without this resource (R45: R4 is assumed)."""
    return _reading_of([resource], terminology).release is not ASSUMED


def requester_of(order: Json) -> str:
    """``Practitioner/x`` (or a role) in any release, "" where nobody is named."""
    requester = as_dict(first_present(order, "requester", "prescriber", "orderer"))
    agent = requester.get("agent") or requester
    return local_reference(read_reference(agent)[0])


def is_event(order: Json) -> bool:
    """Whether this resource was ordered here: no draft, plan, mistake or report of another's order."""
    return not (
        as_code(order.get("status")) in _NO_EVENT
        or as_code(order.get("intent")) in _NOT_ORDERED
        or order.get("reportedBoolean") is True
        or order.get("reported") is True
    )


def _sessions(
    orders: Iterable[Kept], reading: Reading, first: date, last: date, zone: tzinfo
) -> Iterator[Session]:
    grouped: dict[tuple[str, str], list[Json]] = defaultdict(list)
    for kept in orders:
        order = kept.versions[0]
        written = as_text(first_present(order, "authoredOn", "dateWritten"))
        when = read_when(written, zone)
        if when and first <= when.day <= last and is_event(kept.latest):
            grouped[written, requester_of(order)].append(order)
    found = []
    for (written, requester), signed in grouped.items():
        if any(_can_matter(order, reading) for order in signed):
            when = read_when(written, zone)
            assert when is not None  # noqa: S101 - it was read above
            found.append(Session(when, requester, _encounter_of(signed), tuple(signed)))
    yield from sorted(found, key=lambda s: (s.at.instant, s.refs))


def _encounter_of(orders: Iterable[Json]) -> str:
    found = (read_reference(first_present(o, "encounter", "context"))[0] for o in orders)
    return next((local_reference(ref) for ref in found if ref), "")


# --- the call ---------------------------------------------------------------------------------------------------------


def hook_call(
    chart: Chart, session: Session, listed: Iterable[Json], without: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The order-sign call of this session; ``without`` are prefetch keys that the EHR would not send."""
    found: dict[str, list[Json]] = {key: [] for key in _KEYS.values()}
    for resource in listed:
        found[_KEYS[resource["resourceType"]]].append(resource)
    used = chart.medications
    context: dict[str, Any] = {
        "userId": session.requester or "Practitioner/unknown",
        "patientId": chart.patient_id,
        "draftOrders": _bundle(
            "collection", [*map(draft_of, session.orders), *_meant(session.orders, used)]
        ),
    }
    prefetch: dict[str, Any] = {"patient": chart.patient}
    if (encounter := chart.encounters.get(session.encounter)) is not None:
        context["encounterId"] = resource_id(encounter)
        prefetch["encounter"] = encounter
    for key, resources in found.items():
        prefetch[key] = _bundle("searchset", [*resources, *_meant(resources, used)])
    return {
        "hook": SERVICE.hook,
        "hookInstance": "replay",
        "context": context,
        "prefetch": {key: value for key, value in prefetch.items() if key not in without},
    }


def _meant(orders: Iterable[Json], medications: Sequence[Json]) -> list[Json]:
    """The Medications of a chart, once, where an order of this Bundle refers to any."""
    refers = any(
        "medicationReference" in o or "reference" in as_dict(o.get("medication")) for o in orders
    )
    return list(medications) if refers else []


def _bundle(kind: str, resources: Sequence[Json]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": [
        {"resource": resource, **({"search": {"mode": "include"}} if resource["resourceType"] == "Medication"
                                  and kind == "searchset" else {})} for resource in resources]}  # fmt: skip


def draft_of(order: Json) -> Json:
    """The order before it was signed: what only came to be known later is left out."""
    later = {"meta", "statusReason", "statusChanged", "dateEnded", "reasonEnded", "text"}
    return {**{k: v for k, v in order.items() if k not in later}, "status": "draft"}


def reading_of(body: Mapping[str, Any], terminology: Terminology) -> Reading:
    """The call as the service reads it."""
    request: HookRequest = decode(body, SERVICE)
    return Reading(request, read_prefetch(request.prefetch), terminology)
