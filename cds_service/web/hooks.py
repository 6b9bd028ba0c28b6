"""The CDS Hooks surface: discovery, hook calls and feedback.

A call is answered at the door, before Flask has looked for a route: what a framework does for pages costs more than
the whole decision. Flask has the same routes and hands them to the same desk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from flask import Blueprint, Response, request

from cds_service import pipeline
from cds_service.errors import NotFound, ServiceError, TooManyRequests
from cds_service.hooks.profiles import UNDATED
from cds_service.hooks.repeats import Recall, nothing_recalled
from cds_service.hooks.services import SERVICES, Service, discovery
from cds_service.model import Json
from cds_service.settings import Client, Settings
from cds_service.web.call import Call
from cds_service.web.wire import Reply, answer_json, name_fault, reply_error, reply_json

PREFIX = "/cds-services/"


class Observer(Protocol):
    """Sees how every call ended, in a fence of its own: it fails none."""

    def end(self, call: Call, status: int) -> None: ...


@dataclass(frozen=True, slots=True)
class HookPorts:
    """What the hook surface needs of the outside; each may be absent in a test or in the demo profile.

    ``admit`` names the calling client or raises Unauthorized; ``begin`` and ``watch`` see a call before and after it was
    judged, and may refuse it.
    """

    now: Callable[[], datetime]
    admit: Callable[[Call, str], Client | None] = lambda _call, _path: None
    fetch_for: Callable[[Call], pipeline.Fetch | None] = lambda _call: None
    recall_for: Callable[[Client | None], Recall] = lambda _client: nothing_recalled
    record_feedback: Callable[[Service, object, Client | None], None] | None = None
    begin: Callable[[Call], None] = lambda _call: None
    watch: Callable[[Call], None] = lambda _call: None
    observers: Sequence[Observer] = ()


@dataclass(frozen=True, slots=True)
class HookDesk:
    """Answers one call: admit, read, judge, watch; whatever happens on the way has a reply, and is written down."""

    engine: pipeline.Engine
    settings: Settings
    ports: HookPorts

    def take(self, environ: dict[str, Any]) -> Call:
        """The call of a WSGI environment, with an id of its own."""
        return Call.of(environ, self.engine.new_id)

    def reply(self, call: Call, path: str) -> Reply:
        """The reply to a POST to this path; raises nothing."""
        try:
            self.ports.begin(call)
            answered = reply_json(self._work(call, path))
        except ServiceError as error:
            answered = reply_error(error)
        except Exception as error:  # noqa: BLE001 - a fault is an answer too, and never a page of HTML
            call.fault = name_fault(error)
            answered = reply_error(
                ServiceError("The service failed to answer. Nothing was checked.")
            )
        for observer in self.ports.observers:
            observer.end(call, answered.status)
        return answered

    def _work(self, call: Call, path: str) -> Json:
        service = _find(call, path)
        try:
            call.client = self.ports.admit(call, path)
        except TooManyRequests as limited:
            if call.is_feedback:
                raise
            return self._answer_unchecked(call, service, limited)
        if call.is_feedback:
            return self._take_feedback(call, service)
        return self._judge(call, call.read_json(self.settings.limits.body_bytes), service)

    def _answer_unchecked(self, call: Call, service: Service, limited: TooManyRequests) -> Json:
        """A call that is not worked on: said on a card where silence would read as "all clear", else refused."""
        body = call.read_json(self.settings.limits.body_bytes)
        if (said := pipeline.unchecked(body, service, self.engine)) is None:
            raise limited
        call.limited = True
        return said

    def _take_feedback(self, call: Call, service: Service) -> Json:
        if self.ports.record_feedback is None:
            raise NotFound("Feedback is not stored here.")
        body = call.read_json(self.settings.limits.feedback_bytes)
        self.ports.record_feedback(service, body, call.client)
        return {}

    def _judge(self, call: Call, body: object, service: Service) -> Json:
        try:
            outcome = pipeline.answer(
                body,
                service,
                self.engine,
                self.ports.now(),
                client=call.client,
                fetch=self.ports.fetch_for(call),
                recall=self.ports.recall_for(call.client),
            )
        except ServiceError:
            raise
        except Exception as error:
            call.fault = name_fault(error)
            if (said := pipeline.salvage(body, service, self.engine)) is None:
                raise
            return said
        call.outcome = outcome
        self.ports.watch(call)
        return outcome.response


def _find(call: Call, path: str) -> Service:
    """The service that the path names, noted on the call with whether it is its feedback that is sent."""
    name, _, rest = path.removeprefix(PREFIX).partition("/")
    if rest not in {"", "feedback"}:
        raise NotFound("There is nothing at this address.")
    if name not in SERVICES:
        raise NotFound("There is no such service; see /cds-services.")
    call.service, call.is_feedback = SERVICES[name], rest == "feedback"
    return call.service


@dataclass(frozen=True, slots=True)
class HookDoor:
    """WSGI middleware that answers every POST below ``/cds-services/`` itself; all else goes to ``application``."""

    application: Any
    desk: HookDesk

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = environ.get("PATH_INFO", "").rstrip("/")
        if environ["REQUEST_METHOD"] != "POST" or not path.startswith(PREFIX):
            return self.application(environ, start_response)
        call = self.desk.take(environ)
        reply = self.desk.reply(call, path)
        start_response(reply.line, reply.headers(call, self.desk.settings))
        return [reply.body]


def make_hooks(desk: HookDesk) -> Blueprint:
    """The blueprint that serves ``/cds-services``."""
    hooks = Blueprint("hooks", __name__)

    @hooks.get("/cds-services")
    def discover() -> Response:
        client = desk.ports.admit(desk.take(request.environ), "/cds-services")
        return answer_json(discovery(profile=client.prefetch_profile if client else UNDATED))

    @hooks.post("/cds-services/<service_id>")
    @hooks.post("/cds-services/<service_id>/feedback", endpoint="feedback")
    def call(service_id: str) -> Response:  # noqa: ARG001 - the desk reads the path
        taken = desk.take(request.environ)
        reply = desk.reply(taken, request.path.rstrip("/"))
        return Response(reply.body, reply.status, reply.headers(taken, desk.settings))

    return hooks
