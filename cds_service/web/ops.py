"""For those who run the service: is it alive, is it ready, and why not. No authentication, no patient, no outbound call."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import Blueprint, Response

from cds_service.web.wire import answer_json


def make_ops(checks: Mapping[str, Callable[[], str]]) -> Blueprint:
    """``/livez`` while the process serves; ``/readyz`` 200 or 503 with the word each check gives.

    A check says "ok", "degraded" (hooks still answer: stays 200) or why it is "not ready: ...".
    """
    ops = Blueprint("ops", __name__)

    @ops.get("/livez")
    def alive() -> Response:
        return answer_json({"status": "alive"})

    @ops.get("/readyz")
    def ready() -> Response:
        found = {name: _run(check) for name, check in checks.items()}
        down = any(word.startswith("not ready") for word in found.values())
        status = "not ready" if down else "degraded" if any(w != "ok" for w in found.values()) else "ready"
        return answer_json({"status": status, "checks": found}, 503 if down else 200)

    return ops


def _run(check: Callable[[], str]) -> str:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a broken check is an answer, not a fault of the page
        return f"not ready: {type(error).__name__}"
