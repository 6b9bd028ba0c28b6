"""A service in this process, an EHR's FHIR server beside it, and everything that it says: where faults are tried."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from flask.testing import FlaskClient

from cds_service import settings as configuration
from cds_service.app import create_app
from cds_service.journal.telemetry import LogSink, open_log
from cds_service.rules import RULES, Rule
from tests.conformance.calls import (
    LDN,
    LEVOTHYROXINE,
    ORDERS_IN,
    OXYCODONE,
    call,
    listed,
    listed_ldn,
    order,
)
from tests.conftest import AS_OF
from tests.fhir_server import FhirServer
from tests.security.ehr import bearer

Json = dict[str, Any]
DRAFTS = ("naltrexone", "opioid", "neither")
HOOKS = tuple(ORDERS_IN)
BUDGET_SECONDS = 1.5


@dataclass(slots=True)
class Clock:
    """The wall clock, which a fault may set or break."""

    ahead: timedelta = timedelta()
    broken: bool = False
    _began: float = field(default_factory=time.monotonic)

    def __call__(self) -> datetime:
        if self.broken:
            raise OSError("the clock cannot be read")
        return AS_OF + timedelta(seconds=time.monotonic() - self._began) + self.ahead


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, the cards as topic -> indicator, and how long it took."""

    status: int
    cards: dict[str, str]
    seconds: float


@dataclass(slots=True)
class Site:
    """A running service; ``fhir`` is its EHR's server, where the fault needs one."""

    folder: Path
    clock: Clock
    stream: io.StringIO
    options: Json
    signed: bool = False
    fhir: FhirServer | None = None
    rules: tuple[Rule, ...] = RULES
    parts: Any = None
    web: FlaskClient = None  # type: ignore[assignment]
    sink: LogSink = None  # type: ignore[assignment]

    def start(self) -> None:
        """Make the application; again, for a restart."""
        made = configuration.load(None, {}, data_dir=str(self.folder), metrics="on", **self.options)
        self.sink = LogSink(self.stream)
        with mock.patch("cds_service.app.open_log", lambda level: open_log(level, self.sink)):
            app = create_app(made, now=self.clock, rules=self.rules)
        self.parts, self.web = app.extensions["naltrexone_cds"], app.test_client()

    def stop(self) -> None:
        self.parts.audit.close(2)
        self.parts.store.close()
        self.sink.close(0.2)

    def flush(self) -> None:
        self.parts.audit.flush(2)
        self.parts.water.save(at_once=True)

    def ask(self, hook: str, drafted: str, **options: Any) -> Answer:
        path = f"/cds-services/naltrexone-{hook}"
        headers = bearer(path) if self.signed else {}
        begun = time.monotonic()
        said = self.web.post(path, json=self.body(hook, drafted), headers=headers, **options)
        seconds = time.monotonic() - begun
        cards = said.get_json().get("cards", []) if said.status_code == 200 else []
        return Answer(
            said.status_code, {c["source"]["topic"]["code"]: c["indicator"] for c in cards}, seconds
        )

    def body(self, hook: str, drafted: str) -> Json:
        """Naltrexone drafted while oxycodone is current, the reverse, or a thyroid hormone beside both."""
        order_of = {
            "naltrexone": order(LDN, id="d"),
            "opioid": order(OXYCODONE, id="d"),
            "neither": order(LEVOTHYROXINE, id="d"),
        }
        meds = {"naltrexone": (listed(),), "opioid": (listed_ldn(),), "neither": (listed(),)}
        if self.fhir is None:
            return call(hook, order_of[drafted], meds=meds[drafted])
        return call(hook, order_of[drafted], meds=None, fhirServer=self.fhir.base_url)

    def ready(self) -> dict[str, str]:
        return dict(self.web.get("/readyz").get_json()["checks"])

    def metrics(self) -> dict[str, float]:
        text = self.web.get("/metrics").get_data(as_text=True)
        pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def events(self) -> list[Json]:
        time.sleep(0.15)  # lines go out a few times a second
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@contextmanager
def site(
    folder: Path,
    *,
    signed: bool = False,
    fhir: FhirServer | None = None,
    rules: tuple[Rule, ...] = RULES,
    prepare: Callable[[Path], None] = lambda _folder: None,
    **options: Any,
) -> Iterator[Site]:
    """A service until the block ends. ``prepare`` may spoil the folder first."""
    folder.mkdir(parents=True, exist_ok=True)
    prepare(folder)
    made = Site(folder, Clock(), io.StringIO(), options, signed, fhir, rules)
    made.start()
    try:
        yield made
    finally:
        made.stop()
