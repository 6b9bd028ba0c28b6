"""A FHIR server that takes its time costs its time once, because everything is asked for at the same moment (L4)."""

from __future__ import annotations

import time
from pathlib import Path

from tests.conformance.calls import T1, T5, call, ldn, listed, topics
from tests.fhir_server import serve
from tests.security.ehr import Ehr, client, run_production
from tests.tls import make_server_tls

PATIENT = {"resourceType": "Patient", "id": "p1", "birthDate": "1972-03-04"}
DELAY = 0.2
QUERIES = 6


def timed(ehr: Ehr, base: str) -> tuple[float, dict[str, str]]:
    body = {**call("order-sign", ldn(), meds=None), "fhirServer": base}
    begun = time.monotonic()
    answer = ehr.call(body)
    return time.monotonic() - begun, topics(answer.json()["cards"])


def test_CL04_six_slow_queries_cost_the_time_of_one(tmp_path: Path) -> None:
    """One after the other they would take 1.2 s and end in a could-not-check card."""
    tls, _ = make_server_tls(tmp_path, "localhost")
    with serve([PATIENT, listed()], tls=tls, name="localhost", delay=DELAY) as fhir:
        known = client(tmp_path, fhir_bases=[fhir.base_url])
        with run_production(
            tmp_path, known, environ={"SSL_CERT_FILE": str(tmp_path / "cert.pem")}
        ) as ehr:
            calls = [timed(ehr, fhir.base_url) for _ in range(5)]
    assert ["critical"] * 5 == [found[T1] for _, found in calls]
    assert (5 * QUERIES, True) == (
        len(fhir.seen),
        min(seconds for seconds, _ in calls) < QUERIES * DELAY * 0.75,
    )


def test_CL04_a_server_slower_than_the_budget_ends_in_a_card_in_time(tmp_path: Path) -> None:
    tls, _ = make_server_tls(tmp_path, "localhost")
    with serve([PATIENT, listed()], tls=tls, name="localhost", delay=5) as fhir:
        known = client(tmp_path, fhir_bases=[fhir.base_url])
        environ = {"SSL_CERT_FILE": str(tmp_path / "cert.pem")}
        with run_production(
            tmp_path, known, environ=environ, limits={"fhir_budget_ms": 300}
        ) as ehr:
            calls = [timed(ehr, fhir.base_url) for _ in range(3)]
    assert ["warning"] * 3 == [found[T5] for _, found in calls]
    assert min(seconds for seconds, _ in calls) < 1.2
