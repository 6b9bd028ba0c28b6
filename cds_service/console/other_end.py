"""The same call with another end of one listed medicine, as the EHR would have recorded it: for "what if" on ``/why``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from cds_service.fhir.releases import ASSUMED, profile_of
from cds_service.fhir.status import order_kind, release_of
from cds_service.fhir.values import as_dict, as_list, resource_ref
from cds_service.model import Exposure, Json

_ADHERENCE = "http://hl7.org/fhir/CodeSystem/medication-statement-adherence"
_BOUNDS = ("boundsDuration", "boundsRange", "boundsQuantity")


def can_end(exposure: Exposure) -> bool:
    """An order or a statement that is no depot: what was dispensed or given happened on its day and stays there."""
    order = exposure.medication.order
    kinds = {"request", "statement"}
    return bool(order.ref) and order.kind in kinds and exposure.interval_days is None


def with_ends(body: Json, ends: Mapping[str, date], today: date) -> dict[str, Any]:
    """The call in which every listed medicine of ``ends`` (``Type/id``) was last taken on that day."""
    prefetch = {
        key: _with_ends(answer, ends, today)
        for key, answer in as_dict(body.get("prefetch")).items()
    }
    return {**body, "prefetch": prefetch} if ends and prefetch else dict(body)


def _with_ends(answer: Any, ends: Mapping[str, date], today: date) -> Any:
    if as_dict(answer).get("resourceType") != "Bundle":
        return answer
    entries = [_ended(as_dict(entry), ends, today) for entry in as_list(answer.get("entry"))]
    return {**answer, "entry": entries} if entries else answer


def _ended(entry: Json, ends: Mapping[str, date], today: date) -> Json:
    resource = as_dict(entry.get("resource"))
    end, kind = ends.get(resource_ref(resource)), order_kind(resource)
    if end is None or kind not in {"request", "statement"}:
        return entry
    change = _order if kind == "request" else _statement
    return {**entry, "resource": change(resource, end.isoformat(), end <= today)}


def _order(resource: Json, end: str, over: bool) -> dict[str, Any]:
    """An end that is still to come leaves the order active; DSTU2 has a member of its own for it."""
    member = profile_of(release_of(resource) or ASSUMED).ended
    own: dict[str, Any] = {member: end} if member else {}
    dosages = [as_dict(d) for d in as_list(resource.get("dosageInstruction"))] or [{}]
    return {
        **resource,
        **own,
        "status": "stopped" if over else "active",
        "dosageInstruction": [_bounded(dosage, end) for dosage in dosages],
    }


def _bounded(dosage: Json, end: str) -> dict[str, Any]:
    timing = as_dict(dosage.get("timing"))
    former = as_dict(timing.get("repeat"))
    repeat = {name: value for name, value in former.items() if name not in _BOUNDS}
    repeat["boundsPeriod"] = _period(as_dict(former.get("boundsPeriod")), end)
    return {**dosage, "timing": {**timing, "repeat": repeat}}


def _statement(resource: Json, end: str, over: bool) -> dict[str, Any]:
    new = {name: value for name, value in resource.items() if name != "effectiveDateTime"}
    start = resource.get("effectiveDateTime")
    former = as_dict(resource.get("effectivePeriod")) or ({"start": start} if start else {})
    new["effectivePeriod"] = _period(former, end)
    if profile_of(release_of(resource) or ASSUMED).taken_in == "adherence":
        code = "stopped" if over else "taking"
        new["adherence"] = {"code": {"coding": [{"system": _ADHERENCE, "code": code}]}}
    else:
        new["status"] = "completed" if over else "active"
    return new


def _period(former: Json, end: str) -> dict[str, Any]:
    """The period up to ``end``; a start that lies behind it would make no period, and goes."""
    start = former.get("start")
    sound = isinstance(start, str) and start[: len(end)] <= end
    return {**({"start": start} if sound else {}), "end": end}
