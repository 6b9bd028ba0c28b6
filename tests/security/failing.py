"""The real server with faults that a request may ask for, and every library at its most talkative.

``X-Test-Fault: clock`` makes the clock fail (a fault outside the rules), ``rule`` makes one rule fail; both
messages quote what the caller sent. ``python -m tests.security.failing`` reads NALTREXONE_CDS_* variables.
"""

from __future__ import annotations

import http.client
import logging
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import Flask

from cds_service import settings
from cds_service.app import create_app
from cds_service.model import Finding, Snapshot
from cds_service.rules import RULES, Said, off_label
from tests.serving import AS_OF

ASKED: ContextVar[dict[str, Any]] = ContextVar("asked", default={})  # noqa: B039 - never written to


def wanted_fault() -> str:
    return str(ASKED.get().get("HTTP_X_TEST_FAULT", ""))


def clock() -> datetime:
    if wanted_fault() == "clock":
        raise RuntimeError(f"{ASKED.get()}")
    return AS_OF


def noting(serve: Any) -> Any:
    """The same application; the faults know what it was asked."""

    def noted(environ: dict[str, Any], start_response: Any) -> Any:
        ASKED.set(environ)
        return serve(environ, start_response)

    return noted


def application() -> Flask:
    logging.basicConfig(level=logging.DEBUG)
    http.client.HTTPConnection.debuglevel = 1

    def judge_or_fail(snapshot: Snapshot, said: Said) -> Iterator[Finding]:
        if wanted_fault() == "rule":
            raise RuntimeError(f"{snapshot}")
        yield from off_label.judge(snapshot, said)

    rules = tuple(
        replace(rule, judge=judge_or_fail) if rule is off_label.RULE else rule for rule in RULES
    )
    app = create_app(settings.load_for_worker(), now=clock, rules=rules)
    app.wsgi_app = noting(app.wsgi_app)  # type: ignore[method-assign]
    return app


if __name__ == "__main__":
    from cds_service.serving import run

    run(settings.load_for_worker(), target="tests.security.failing:application")
