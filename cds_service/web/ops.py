"""For those who run the service: three probes, versions and metrics. No authentication, no patient, no outbound call."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import Blueprint, Response

from cds_service.journal.metrics import CONTENT_TYPE, Metrics
from cds_service.web.health import Health
from cds_service.web.wire import answer_json


def make_ops(
    health: Health,
    started: Callable[[], Mapping[str, str]],
    versions: Mapping[str, str],
    numbers: Metrics | None = None,
) -> Blueprint:
    """The probes, each with a meaning of its own:

    ``/livez``: the process answers; nothing else is looked at, or a sick database would have every replica killed.
    ``/startupz``: 200 once rules and content are loaded and each client's keys were asked for once; it never turns back.
    ``/readyz``: may calls be sent here? 200 or 503 with the word of each check; degraded (hooks still answer) stays 200.
    ``/metrics`` is there only with ``numbers``.
    """
    ops = Blueprint("ops", __name__)

    @ops.get("/livez")
    def alive() -> Response:
        return answer_json({"status": "alive"})

    @ops.get("/startupz")
    def start_up() -> Response:
        found = dict(started())
        done = all(word == "ok" for word in found.values())
        return answer_json(
            {"status": "started" if done else "starting", "checks": found}, 200 if done else 503
        )

    @ops.get("/readyz")
    def ready() -> Response:
        found = health.look()
        down = any(word.startswith("not ready") for word in found.values())
        status = (
            "not ready"
            if down
            else "degraded"
            if any(w != "ok" for w in found.values())
            else "ready"
        )
        return answer_json({"status": status, "checks": found}, 503 if down else 200)

    @ops.get("/version")
    def version() -> Response:
        return answer_json(dict(versions))

    if numbers is not None:

        @ops.get("/metrics")
        def scrape() -> Response:
            health.look()
            return Response(numbers.expose(), content_type=CONTENT_TYPE)

    return ops
