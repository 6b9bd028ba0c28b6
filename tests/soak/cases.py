"""The bodies of the soak and what is due to each, worked out by the pipeline in this process before anything is served."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cds_service import clinical, terminology
from cds_service.app import make_outbound
from cds_service.ehr.client import FhirClient
from cds_service.ehr.missing_data import MissingData
from cds_service.hooks.services import SERVICES
from cds_service.pipeline import Engine, Fetch, answer
from cds_service.settings import Settings
from tests.bench import bodies
from tests.bench.fhir import without_prefetch
from tests.soak.verdict import Due
from tests.vignettes import builder
from tests.vignettes.releases import RELEASES

Json = dict[str, Any]
PATIENTS = 16
LOOKS = 4  # moments of the run at which a body is judged: an answer may change with the hour


@dataclass(frozen=True, slots=True)
class Case:
    """One body of a hook call. ``fetched`` = the service has to ask the EHR's server for the list."""

    name: str
    service: str
    body: Json
    due: Due
    fetched: bool = False

    @property
    def path(self) -> str:
        return f"/cds-services/{self.service}"

    def fresh(self) -> Json:
        """The body as a call of its own."""
        return {**self.body, "hookInstance": str(uuid.uuid4())}


def record(now: datetime) -> tuple[list[Json], list[Json]]:
    """Calls without a list whose EHR's server has it, and what it has. Every second patient has no opioid."""
    calls, held = [], []
    for number in range(1, PATIENTS + 1):
        texts = [*bodies.COMMON[number % 5 : number % 5 + 12]]
        texts = [(name, str(900_000_000 + i), bodies.SIGS[i % 5]) for i, name in enumerate(texts)]
        if number % 2:
            texts.insert(0, bodies.OXYCODONE)
        call = bodies.call(number, texts, now.date())
        calls.append(call)
        for sent in call["prefetch"].values():
            entries = (
                sent.get("entry", []) if sent["resourceType"] == "Bundle" else [{"resource": sent}]
            )
            held += [entry["resource"] for entry in entries]
    return calls, held


def make(
    settings: Settings,
    now: datetime,
    length: timedelta,
    calls: Sequence[Json],
    base: str,
    number: int,
) -> list[Case]:
    """``number`` vignettes in all hooks and releases, orders that are none of ours, and calls that have to fetch."""
    engine = Engine(
        terminology.load(settings.terminology_dir),
        clinical.load(settings.content_overlay).content,
        ZoneInfo(settings.time_zone),
        settings.base_url,
        lambda: str(uuid.uuid4()),
    )
    moments = [now + length * turn / (LOOKS - 1) for turn in range(LOOKS)]
    client = settings.clients[0]
    fhir = FhirClient(settings.limits, settings.fhir_bases, outbound=make_outbound(settings))
    fetch = MissingData(fhir, settings, client).fetch

    def due(body: Json, service: str, how: Fetch | None = None) -> Due:
        return Due.of(
            answer(body, SERVICES[service], engine, at, client=client, fetch=how).cards
            for at in (moments if how is None else moments[:: LOOKS - 1])
        )

    made = [
        Case(name, service, body, due(body, service))
        for name, service, body in [*_vignettes(now, number), *_not_ours(now)]
    ]
    for call in calls:
        body = json.loads(without_prefetch(json.dumps(call).encode(), base))
        service = "naltrexone-order-select"
        made.append(
            Case(
                f"fetched {call['context']['patientId']}",
                service,
                body,
                due(body, service, fetch),
                True,
            )
        )
    return made


def _vignettes(now: datetime, number: int) -> Iterator[tuple[str, str, Json]]:
    possible = [
        (case, release, hook)
        for case in builder.vignettes()
        for release in RELEASES
        for hook in builder.HOOKS
        if not builder.unsaid(case, release, hook)
    ]
    for case, release, hook in random.Random(11).sample(possible, min(number, len(possible))):
        body = builder.rolled(builder.request(case, release, hook), now.date())
        yield f"{case['id']} {release} {hook}", builder.service_of(hook), body


def _not_ours(now: datetime) -> Iterator[tuple[str, str, Json]]:
    for number, body in enumerate(bodies.calls(20, now.date(), ours=False, number=PATIENTS)):
        yield f"not ours {number}", "naltrexone-order-select", json.loads(body)
