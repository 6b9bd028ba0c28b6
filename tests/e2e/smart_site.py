"""The whole service, for tests of the titration app: real routes, store, rules and terminology, a movable clock."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flask import Flask
from werkzeug.serving import make_server

from cds_service import app, clinical, terminology
from cds_service.content import loader as content
from cds_service.pipeline import Engine
from cds_service.settings import Settings, Smart, SmartIssuer
from tests.e2e.oauth_server import Ehr, Quiet

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PATIENT = {
    "resourceType": "Patient",
    "id": "ldn-1",
    "gender": "female",
    "birthDate": "1979-04-02",
    "name": [{"use": "official", "family": "Canary-Novak", "given": ["Ada", "M."]}],
}
FIBROMYALGIA = {
    "resourceType": "Condition",
    "id": "c1",
    "subject": {"reference": "Patient/ldn-1"},
    "clinicalStatus": {"coding": [{"code": "active"}]},
    "code": {
        "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "M79.7"}],
        "text": "Fibromyalgia",
    },
}


def order(
    name: str, text: str, *, status: str = "active", authored: str = "2026-11-15", **more: Any
) -> dict[str, Any]:
    """A listed order of the test patient."""
    return {
        "resourceType": "MedicationRequest",
        "id": name,
        "status": status,
        "intent": "order",
        "subject": {"reference": "Patient/ldn-1"},
        "authoredOn": authored,
        "medicationCodeableConcept": {"text": text},
        **more,
    }


@dataclass
class Clock:
    """A clock that a test moves."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@functools.cache
def engine() -> Engine:
    """The hooks' engine, with the shipped terminology and content; loaded once."""
    return Engine(terminology.load(), content.load(""), UTC, "http://127.0.0.1:1", lambda: "id")


_tables = functools.cache(terminology.load)  # half a second that every site would pay again


_shipped = functools.cache(functools.partial(clinical.load, ""))


@dataclass
class Site:
    """The running app."""

    app: Flask
    clock: Clock
    settings: Settings

    @property
    def base(self) -> str:
        return self.settings.base_url

    def close(self) -> None:
        """Give back what the worker opened."""
        parts = self.app.extensions["naltrexone_cds"]
        parts.audit.close()
        parts.store.close()


def make_site(
    ehr: Ehr | None,
    folder: Path,
    *,
    base: str = "http://127.0.0.1:1",
    clock: Clock | None = None,
    frame_ancestors: tuple[str, ...] = (),
    **registration: str,
) -> Site:
    """The app registered at ``ehr`` (None = at none), with its store in ``folder``."""
    issuers = {ehr.iss: SmartIssuer(**{"client_id": ehr.client_id, **registration})} if ehr else {}
    settings = Settings(
        public_base_url=base, data_dir=str(folder), smart=Smart(issuers, frame_ancestors)
    )
    clock = clock or Clock()
    with (
        patch.object(app.terminology, "load", _tables),
        patch.object(app.signing, "in_force", lambda *_: _shipped()),
    ):
        return Site(app.create_app(settings, clock), clock, settings)


@contextlib.contextmanager
def serve_site(ehr: Ehr | None, folder: Path, **options: Any) -> Iterator[Site]:
    """The app on a free loopback port, for a browser."""
    probe = make_server("127.0.0.1", 0, lambda environ, start: [], threaded=True)
    port = probe.server_port
    probe.server_close()
    site = make_site(ehr, folder, base=f"http://127.0.0.1:{port}", **options)
    server = make_server("127.0.0.1", port, site.app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        site.close()
