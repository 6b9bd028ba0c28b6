"""What is counted is what happened, over all workers, and never names a patient (T14)."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import requests

from cds_service import settings as configuration
from cds_service.app import create_app
from cds_service.auth.jwks import JwksCache
from cds_service.journal import metrics
from cds_service.journal.metrics import Metrics
from cds_service.journal.traces import Traces
from cds_service.web.health import Health
from tests.conformance.calls import conflict
from tests.conftest import AS_OF, Running
from tests.reliability.server import serving
from tests.security.ehr import client, run_production, worker_pids

SIGN = "/cds-services/naltrexone-order-sign"
CALLS = "naltrexone_cds_calls_total"


def samples(service: Running) -> dict[str, float]:
    lines = service.get("/metrics").text.splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def total(found: dict[str, float], name: str, **labels: str) -> float:
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(
        value
        for sample, value in found.items()
        if sample.partition("{")[0] == name and all(each in sample for each in wanted)
    )


def eventually(service: Running, seconds: float = 20) -> dict[str, float]:
    """Once the dead worker's place is taken: its connections may be cut until then."""
    deadline, found = time.monotonic() + seconds, {}
    while total(found, "naltrexone_cds_workers") != 2 and time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException):
            found = samples(service)
        time.sleep(0.3)
    return found


@pytest.mark.parametrize("workers", ["1", "3"])
def test_CT14_every_call_is_counted_once_whichever_worker_answered_it(
    tmp_path: Path, workers: str
) -> None:
    with serving(tmp_path, NALTREXONE_CDS_WORKERS=workers) as service:
        for _ in range(12):
            assert 200 == service.post(SIGN, json=conflict()).status_code
        for _ in range(5):
            assert 400 == service.post(SIGN, json={}).status_code
        seen = [samples(service) for _ in range(4)]
    assert [12] * 4 == [total(each, CALLS, hook="order-sign", outcome="cards") for each in seen]
    assert 5 == total(seen[0], CALLS, outcome="bad-request")
    assert 12 == total(seen[0], "naltrexone_cds_cards_total", indicator="critical", shown="yes")
    for stage in ("decode", "fetch", "read", "decide", "render", "total"):
        assert 12 == total(seen[0], "naltrexone_cds_stage_seconds_count", stage=stage)


def test_CT14_the_counts_of_a_worker_that_died_stay_and_its_gauges_go(tmp_path: Path) -> None:
    with serving(tmp_path, NALTREXONE_CDS_WORKERS="2") as service:
        for _ in range(20):
            service.post(SIGN, json=conflict())
        os.kill(worker_pids(service)[0], signal.SIGKILL)
        time.sleep(1)  # granian starts another one
        found = eventually(service)
        assert (2, 20) == (
            total(found, "naltrexone_cds_workers"),
            total(found, CALLS, outcome="cards"),
        )


def test_CT14_no_metric_of_a_call_holds_what_the_call_held(tmp_path: Path) -> None:
    body = conflict()
    body["hookInstance"] = "CANARY-instance"
    body["context"]["patientId"] = "CANARY-patient"
    body["prefetch"]["CANARY-key"] = None
    with serving(tmp_path) as service:
        service.post(SIGN, json=body, headers={"X-Request-Id": "CANARY-request"})
        service.post("/cds-services/CANARY-service", json=body)
        said = service.get("/metrics").text
    assert "CANARY" not in said
    assert 1 == len(
        re.findall(r'calls_total\{client="none",hook="none",outcome="not-found"\} 1\.0', said)
    )


def test_metrics_are_off_in_production_until_they_are_switched_on(tmp_path: Path) -> None:
    with run_production(tmp_path) as ehr:
        assert 404 == ehr.service.get("/metrics").status_code
    (tmp_path / "on").mkdir()
    with run_production(tmp_path / "on", client(tmp_path, name="North"), metrics="on") as ehr:
        assert 200 == ehr.call(conflict()).status_code
        assert 401 == ehr.service.post(SIGN, json=conflict()).status_code
        found = samples(ehr.service)
    assert (1, 1) == (
        total(found, CALLS, client="North", outcome="cards"),
        total(found, CALLS, outcome="unauthorized"),
    )
    assert 1 == total(found, "naltrexone_cds_refused_tokens_total", reason="no-token")


def test_a_broken_number_costs_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(configuration.load(None, {}, data_dir=str(tmp_path)), now=lambda: AS_OF)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Metrics, "count", broken)
    monkeypatch.setattr(Metrics, "observe", broken)
    assert 200 == app.test_client().post(SIGN, json=conflict()).status_code


def test_the_labels_of_a_metric_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MOST_LABELS", 3)
    numbers = Metrics()
    for number in range(10):
        numbers.count(metrics.GAPS, f"cause-{number}")
    said = numbers.expose().decode()
    assert (3, True) == (
        said.count('gaps_total{cause="cause-'),
        'gaps_total{cause="other"} 7.0' in said,
    )


def test_where_memory_has_no_room_each_worker_keeps_its_own_numbers(tmp_path: Path) -> None:
    """And no file with holes is left that could kill it later."""
    script = (
        "import os; os.posix_fallocate = lambda *_: (_ for _ in ()).throw(OSError(28, 'full'))\n"
        "from cds_service.journal.metrics import Metrics, CALLS\n"
        "m = Metrics(); m.count(CALLS, 'h', 'c', 'o'); print(m.shared, 'calls_total' in m.expose().decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, metrics.FOLDER_VARIABLE: str(tmp_path)},
    )
    assert ("False True\n", "") == (done.stdout, done.stderr)


# --- probes and changes -----------------------------------------------------------------------------------------------


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **members: Any) -> None:
        self.lines.append((event, members))

    error = info = warning


def test_CL13_a_change_is_said_once_and_its_end_too() -> None:
    word, log = ["ok"], Log()
    health = Health({"store": lambda: word[0]}, log, lambda: datetime.now(UTC))
    for said in ("ok", "ok", "degraded: full", "degraded: full", "ok", "ok"):
        word[0] = said
        assert {"store": said} == health.look()
    assert [("ok", "degraded: full"), ("degraded: full", "ok")] == [
        (members["before"], members["now"]) for _, members in log.lines
    ]


def test_CL13_a_check_or_a_gauge_that_breaks_is_an_answer() -> None:
    def broken(*_: object) -> str:
        raise RuntimeError

    health = Health({"store": broken}, Log(), lambda: datetime.now(UTC), gauges=broken)
    assert {"store": "not ready: RuntimeError"} == health.look()


def test_CL17_a_clock_that_was_set_is_said() -> None:
    moment, log, jumps = [datetime.now(UTC)], Log(), []
    health = Health({}, log, lambda: moment[0], on_jump=lambda: jumps.append(1))
    health.look()
    moment[0] += timedelta(hours=4)
    health.look()
    health.look()
    assert (["clock-jumped"], 1) == ([event for event, _ in log.lines], len(jumps))


def test_CL13_the_three_probes_mean_three_things(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not started while keys were never asked for; started once they were, also in vain; alive all the while."""
    file = tmp_path / "s.toml"
    file.write_text("""
profile = "production"
public_base_url = "https://cds.example.org"
[[clients]]
issuer = "https://ehr.example.org"
jwks_url = "https://ehr.example.org/jwks.json"
fhir_bases = ["https://ehr.example.org/fhir"]
""")
    may_end = threading.Event()

    def fail(_url: str) -> bytes:
        may_end.wait(10)
        raise OSError

    monkeypatch.setattr("cds_service.app.jwks_getter", lambda *_: fail)
    app = create_app(configuration.load(str(file), {}, data_dir=str(tmp_path)), now=lambda: AS_OF)
    web = app.test_client()
    probes = ("/livez", "/startupz", "/readyz")
    assert [200, 503, 200] == [web.get(path).status_code for path in probes]
    may_end.set()
    app.extensions["watched"].ask_for_keys()
    assert [200, 200, 200] == [web.get(path).status_code for path in probes]
    assert "degraded: keys not fetched yet" == web.get("/readyz").get_json()["checks"]["keys"]


def test_keys_are_had_before_the_first_call_needs_them() -> None:
    asked: list[str] = []

    def get(url: str) -> bytes:
        asked.append(url)
        return b'{"keys": []}'

    keys = JwksCache(get)
    assert (False, float("inf")) == (keys.asked("https://x"), keys.age("https://x"))
    keys.warm("https://x")
    keys.warm("https://x")
    assert (["https://x"], True, True) == (
        asked,
        keys.asked("https://x"),
        keys.age("https://x") < 60,
    )


def test_version_names_all_that_decides(service: Running) -> None:
    said = service.get("/version").json()
    assert {"package", "content", "terminology", "rules"} == said.keys()
    assert all(said.values())


# --- traces -----------------------------------------------------------------------------------------------------------


def test_CT14_a_traced_call_is_a_span_with_its_stages_and_without_its_patient(
    tmp_path: Path,
) -> None:
    exporters = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    memory = exporters.InMemorySpanExporter()
    traces = Traces("", "1", memory)
    wanted = {"data_dir": str(tmp_path), "traces_endpoint": "http://127.0.0.1:4318/v1/traces"}
    with mock.patch("cds_service.app.Traces", return_value=traces):
        app = create_app(configuration.load(None, {}, **wanted), now=lambda: AS_OF)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = conflict()
    body["context"]["patientId"] = "CANARY"
    assert (
        200 == app.test_client().post(SIGN, json=body, headers={"traceparent": parent}).status_code
    )
    traces.flush()
    spans = {span.name: span for span in memory.get_finished_spans()}
    assert {"hook order-sign", "decode", "fetch", "read", "decide", "render"} == spans.keys()
    call = spans["hook order-sign"]
    assert 0x0AF7651916CD43DD8448EB211C80319C == call.context.trace_id
    for name in spans.keys() - {"hook order-sign"}:
        assert call.context.span_id == spans[name].parent.span_id
        assert call.start_time <= spans[name].start_time <= spans[name].end_time <= call.end_time
    assert ("cards", "order-sign") == (call.attributes["outcome"], call.attributes["hook"])
    assert not any("CANARY" in span.to_json() for span in spans.values())
