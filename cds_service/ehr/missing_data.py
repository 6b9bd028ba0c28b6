"""Fetch what the EHR did not send along: absent keys, further pages and referenced Medications, within one budget.

A key that failed on the EHR's side (an OperationOutcome) is not asked again: that is what the outcome is for (R53).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cds_service.ehr.client import FhirAccess, FhirClient, fill, read_access
from cds_service.ehr.fetched import to_answer
from cds_service.fhir.bundle import unpack
from cds_service.hooks.prefetch import Record, SearchAnswer
from cds_service.hooks.request import HookRequest
from cds_service.model import Release
from cds_service.reading import Reading
from cds_service.settings import Client, Settings

DEMO_BASES = tuple(f"https://launch.smarthealthit.org/v/{r}/fhir" for r in ("r2", "r3", "r4"))
_MEDICATIONS = "referencedMedications"


@dataclass(frozen=True, slots=True)
class MissingData:
    """One client's way to the rest of the record. ``monotonic`` measures the budget."""

    fhir: FhirClient
    settings: Settings
    client: Client | None
    monotonic: Callable[[], float] = time.monotonic

    def fetch(self, reading: Reading) -> Record:
        """The record with everything that could be read in time; what could not stays absent or says why."""
        request, record = reading.request, reading.record
        if not request.fhir_server:
            return record
        wanted = _wanted(request, record, reading.release)
        partial = [key for key, answer in record.answers.items() if answer.why == "more-pages"]
        if not wanted and not partial and not reading.unread_medications:
            return record
        access, why = self._access(request)
        if access is None:
            return record if why == "no-server" else _with_reason(record, wanted, why)
        return self._fetch(reading, wanted, partial, access)

    def _access(self, request: HookRequest) -> tuple[FhirAccess | None, str]:
        bases = self.client.fhir_bases if self.client else self.settings.fhir_bases
        if self.settings.is_demo:
            bases = (*bases, *DEMO_BASES)
        return read_access(
            request.fhir_server,
            request.fhir_authorization,
            request.patient_id,
            allowed_bases=bases,
            require_https=not self.settings.is_demo,
        )

    def _fetch(
        self, reading: Reading, wanted: Mapping[str, str], partial: list[str], access: FhirAccess
    ) -> Record:
        deadline = self.monotonic() + self.settings.limits.fhir_budget_ms / 1_000
        answers = dict(reading.record.answers)
        for key, fetched in self.fhir.fetch(
            wanted, access, deadline_ms=self._left(deadline)
        ).items():
            answers[key] = to_answer(key, fetched)
        for key in partial:
            bundle = reading.request.prefetch.get(key)
            if isinstance(bundle, dict):
                answers[key] = to_answer(
                    key, self.fhir.follow(bundle, access, deadline_ms=self._left(deadline))
                )
        return self._with_medications(reading.with_record(Record(answers)), access, deadline)

    def _with_medications(self, reading: Reading, access: FhirAccess, deadline: float) -> Record:
        references = sorted(reading.unread_medications)
        if not references:
            return reading.record
        read = self.fhir.read_many(references, access, deadline_ms=self._left(deadline))
        found = tuple(
            entry
            for fetched in read.values()
            if fetched.resource
            for entry in unpack(fetched.resource).entries
        )
        return Record(
            {
                **reading.record.answers,
                _MEDICATIONS: SearchAnswer(_MEDICATIONS, "answered", found, fetched=True),
            }
        )

    def _left(self, deadline: float) -> int:
        return max(0, int((deadline - self.monotonic()) * 1_000))


def _wanted(request: HookRequest, record: Record, release: Release) -> dict[str, str]:
    """Filled queries for the keys of this service that were not sent, but for what this release does not have."""
    tokens = {"context.patientId": request.patient_id, "context.encounterId": request.encounter_id}
    filled = {
        key: fill(template, tokens)
        for key, template in request.service.queries(release).items()
        if key not in record.answers
    }
    return {key: query for key, query in filled.items() if query}


def _with_reason(record: Record, wanted: Mapping[str, str], why: str) -> Record:
    return Record(
        {**record.answers, **{key: SearchAnswer(key, "failed", why=why) for key in wanted}}
    )
