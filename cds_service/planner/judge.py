"""The hooks' own walk, asked by the titration app: the same reading and the same rules on the same record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cds_service.ehr.fetched import Fetched, to_answer
from cds_service.hooks.prefetch import Record, read_answer
from cds_service.hooks.request import HookRequest, decode
from cds_service.hooks.services import SERVICES
from cds_service.model import Json, Release
from cds_service.pipeline import Engine, answer
from cds_service.planner.services import Judgement
from cds_service.snapshot import unread_medications

_SERVICE = SERVICES["naltrexone-order-sign"]
_INSTANCE = "titration-app"


class HookJudge:
    """An order-sign call with the drafted naltrexone, made inside this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def queries(self, release: Release | None) -> Mapping[str, str]:
        """The hooks' prefetch templates that this release knows; the app has no encounter of its own."""
        queries = _SERVICE.queries(release) if release else _SERVICE.prefetch
        return {key: query for key, query in queries.items() if key != "encounter"}

    def references(self, chart: Mapping[str, Fetched], patient_id: str) -> frozenset[str]:
        """``Medication/id`` of orders whose drug is a reference to something not read yet."""
        return unread_medications(_decode(_body(None, patient_id)), _record(chart, {}))

    def __call__(self, chart: Mapping[str, Fetched], medications: Mapping[str, Fetched], draft_order: Json,
                 patient_id: str, now: datetime) -> Judgement:
        """The snapshot with ``draft_order`` as the only draft, and every rule's verdict on it."""
        record = _record(chart, medications)
        outcome = answer(_body(draft_order, patient_id), _SERVICE, self._engine, now, fetch=lambda *_: record)
        return Judgement(outcome.snapshot, outcome.verdicts)


def _decode(body: Mapping[str, Any]) -> HookRequest:
    return decode(body, _SERVICE)


def _body(draft_order: Json | None, patient_id: str) -> dict[str, Any]:
    entry = [] if draft_order is None else [{"resource": draft_order}]
    return {"hook": _SERVICE.hook, "hookInstance": _INSTANCE, "context": {
        "patientId": patient_id, "draftOrders": {"resourceType": "Bundle", "type": "collection", "entry": entry}}}


def _record(chart: Mapping[str, Fetched], medications: Mapping[str, Fetched]) -> Record:
    answers = {key: to_answer(key, fetched) for key, fetched in chart.items()}
    read = [{"resource": f.resource} for f in medications.values() if f.resource is not None]
    if read:
        answers["medications"] = read_answer("medications", {"resourceType": "Bundle", "entry": read})
    return Record(answers)
