"""The CDS Hooks surface: discovery, hook calls and feedback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, Response, g

from cds_service import pipeline
from cds_service.errors import NotFound, ServiceError, TooManyRequests
from cds_service.hooks.profiles import UNDATED
from cds_service.hooks.repeats import Recall, nothing_recalled
from cds_service.hooks.services import SERVICES, Service, discovery
from cds_service.settings import Client, Settings
from cds_service.web.wire import answer_json, name_fault, read_json


@dataclass(frozen=True, slots=True)
class HookPorts:
    """What the hook surface needs of the outside; each may be absent in a test or in the demo profile.

    ``admit`` names the calling client or raises Unauthorized; ``watch`` sees every answered call and never fails it.
    """

    now: Callable[[], datetime]
    admit: Callable[[str], Client | None] = lambda _path: None
    fetch_for: Callable[[Client | None], pipeline.Fetch | None] = lambda _client: None
    recall_for: Callable[[Client | None], Recall] = lambda _client: nothing_recalled
    watch: Callable[[pipeline.Outcome], None] = lambda _outcome: None
    record_feedback: Callable[[Service, object, Client | None], None] | None = None


def make_hooks(engine: pipeline.Engine, settings: Settings, ports: HookPorts) -> Blueprint:
    """The blueprint that serves ``/cds-services``."""
    hooks = Blueprint("hooks", __name__)

    @hooks.get("/cds-services")
    def discover() -> Response:
        client = ports.admit("/cds-services")
        return answer_json(discovery(profile=client.prefetch_profile if client else UNDATED))

    @hooks.post("/cds-services/<service_id>")
    def call(service_id: str) -> Response:
        service = _service(service_id)
        try:
            client = ports.admit(f"/cds-services/{service_id}")
        except TooManyRequests as limited:
            return _answer_unchecked(service, limited)
        g.client = client
        return answer_json(_judge(read_json(settings.limits.body_bytes), service, client))

    def _answer_unchecked(service: Service, limited: TooManyRequests) -> Response:
        """A call that is not worked on: said on a card where silence would read as "all clear", else refused."""
        said = pipeline.unchecked(read_json(settings.limits.body_bytes), service, engine)
        if said is None:
            raise limited
        g.limited = True
        return answer_json(said)

    @hooks.post("/cds-services/<service_id>/feedback")
    def feedback(service_id: str) -> Response:
        service = _service(service_id)
        client = ports.admit(f"/cds-services/{service_id}/feedback")
        if ports.record_feedback is None:
            raise NotFound("Feedback is not stored here.")
        ports.record_feedback(service, read_json(settings.limits.feedback_bytes), client)
        return answer_json({})

    def _judge(body: object, service: Service, client: Client | None) -> dict[str, object]:
        try:
            outcome = pipeline.answer(
                body,
                service,
                engine,
                ports.now(),
                client=client,
                fetch=ports.fetch_for(client),
                recall=ports.recall_for(client),
            )
        except ServiceError:
            raise
        except Exception as error:
            g.fault = name_fault(error)
            if (said := pipeline.salvage(body, service, engine)) is None:
                raise
            return said
        ports.watch(outcome)
        return outcome.response

    return hooks


def _service(service_id: str) -> Service:
    if service_id not in SERVICES:
        raise NotFound("There is no such service; see /cds-services.")
    g.service = service_id
    return SERVICES[service_id]
