"""The hooks' own judgement, asked by the titration app: the same reading and the same rules on the same record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cds_service.ehr.fetched import Fetched, to_answer
from cds_service.fhir.bundle import Entry, Unpacked
from cds_service.fhir.read import belongs_to_other
from cds_service.fhir.status import order_kind
from cds_service.fhir.values import as_dict, as_list, as_text, resource_ref
from cds_service.hooks.prefetch import Record, read_answer
from cds_service.hooks.request import HookRequest
from cds_service.hooks.services import SERVICES
from cds_service.model import Json, Release
from cds_service.pipeline import Engine, Judgement, judge
from cds_service.reading import Reading

LONGEST_SIG, MOST_SIGS = 300, 12  # of an order that is shown
_OURS = re.compile(r"urn:uuid:[0-9a-f-]{36}#(order-\d+|care-plan|review-\d+)")


@dataclass(frozen=True, slots=True)
class Earlier:
    """A naltrexone order that is drafted already. ``is_ours``: this planner wrote it."""

    ref: str
    label: str
    is_ours: bool
    authored: str = ""  # the day, as the record writes it
    sigs: tuple[str, ...] = ()  # what it tells the patient to take


def is_ours(resource: Json) -> bool:
    """True for what this planner wrote, by its identifier."""
    identifiers = map(as_dict, as_list(resource.get("identifier")))
    return any(_OURS.fullmatch(as_text(identifier.get("value"))) for identifier in identifiers)


_SERVICE = SERVICES["naltrexone-order-sign"]
_INSTANCE = "titration-app"


class HookJudge:
    """What an order-sign call with the drafted naltrexone would be judged as."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def queries(self, release: Release | None) -> Mapping[str, str]:
        """The hooks' prefetch templates that this release knows; the app has no encounter of its own."""
        queries = _SERVICE.queries(release) if release else _SERVICE.prefetch
        return {key: query for key, query in queries.items() if key != "encounter"}

    def references(self, chart: Mapping[str, Fetched], patient_id: str) -> frozenset[str]:
        """``Medication/id`` of orders whose drug is a reference to something not read yet."""
        return self._read((), _record(chart, {}), patient_id).unread_medications

    def drafts(
        self, chart: Mapping[str, Fetched], medications: Mapping[str, Fetched], patient_id: str
    ) -> tuple[Earlier, ...]:
        """Naltrexone that is drafted already: orders of this planner and of others that nobody signed yet."""
        reading = self._read((), _record(chart, medications), patient_id)
        found = []
        for _, entry in reading.record.entries:
            resource = entry.resource
            if (
                not order_kind(resource)
                or resource.get("status") != "draft"
                or belongs_to_other(resource, patient_id)
            ):
                continue
            named = reading.name(resource)
            if any(c.role.is_naltrexone for c in named.recognition.components):
                found.append(_earlier(resource, named.drug.concept.label))
        return tuple(found)

    def __call__(
        self,
        chart: Mapping[str, Fetched],
        medications: Mapping[str, Fetched],
        draft_order: Json,
        patient_id: str,
        now: datetime,
    ) -> Judgement:
        """The snapshot with ``draft_order`` as the only draft, and every rule's verdict on it."""
        return judge(
            self._read((draft_order,), _record(chart, medications), patient_id), self._engine, now
        )

    def _read(self, drafts: tuple[Json, ...], record: Record, patient_id: str) -> Reading:
        request = HookRequest(
            service=_SERVICE,
            hook=_SERVICE.hook,
            hook_instance=_INSTANCE,
            patient_id=patient_id.removeprefix("Patient/"),
            encounter_id="",
            orders=Unpacked([Entry(draft) for draft in drafts]),
            selections=None,
            prefetch={},
        )
        return Reading(request, record, self._engine.terminology)


def _earlier(resource: Json, label: str) -> Earlier:
    dosages = map(as_dict, as_list(resource.get("dosageInstruction")))
    sigs = (as_text(dosage.get("text"))[:LONGEST_SIG] for dosage in dosages)
    return Earlier(
        resource_ref(resource),
        label,
        is_ours(resource),
        as_text(resource.get("authoredOn") or resource.get("dateWritten"))[:10],
        tuple(filter(None, sigs))[:MOST_SIGS],
    )


def _record(chart: Mapping[str, Fetched], medications: Mapping[str, Fetched]) -> Record:
    answers = {key: to_answer(key, fetched) for key, fetched in chart.items()}
    read = [{"resource": f.resource} for f in medications.values() if f.resource is not None]
    if read:
        answers["medications"] = read_answer(
            "medications", {"resourceType": "Bundle", "entry": read}
        )
    return Record(answers)
