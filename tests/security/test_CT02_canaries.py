"""Nothing of a patient, of a token or of what a caller sent is found anywhere after the call (T2).

Canaries go through every status, a fault, a slow and a broken FHIR server and a crash, at level DEBUG and with every
library talking; then standard output and error, files, processes and answers are searched.
"""

from __future__ import annotations

import base64
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conformance.calls import call, ldn, listed, naltrexone_50, opioid, order
from tests.conftest import Running
from tests.fhir_server import FhirServer, serve
from tests.security.ehr import (
    bearer,
    client,
    exported,
    feedback_item,
    run_failing,
    wait_until_alive,
    worker_pids,
    write_settings,
)
from tests.tls import make_server_tls

SIGN = "/cds-services/naltrexone-order-sign"
PATIENT = "canary-pat-7f3a"
SECRETS = {
    "FHIR token": "CANARY-TOK-51d0c2",
    "patient id": PATIENT,
    "encounter id": "canary-enc-91",
    "user id": "canary-usr-17",
    "name": "Canarywitz",
    "birth date": "1931-07-09",
    "drug text": "Canarymycin",
    "order id": "canary-ord-5",
    "reason": "Canaryitis",
    "prefetch key": "canaryKey",
    "extension": "canary-extension",
    "query": "canary-query",
    "service id": "canary-service",
    "hook instance": "canary-instance",
    "agent": "canary-agent",
    "header": "canary-header",
    "diagnostics": "canary-diagnostics",
    "bad json": "canary-json",
    "huge": "canary-huge",
}
COMMENT = "canary-comment"
SILENT_FAULTS = (
    "500",
    "html",
    "truncated",
    "outcome",
    "401",
    "drip-body",
    "reset",
    "redirect",
    "hang",
    "",
)


@dataclass
class Haystack:
    """A service that has been through everything, and what it said: answers with their bodies."""

    service: Running
    data: Path
    fhir: FhirServer
    answers: list[requests.Response] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def send(
        self,
        body: Any = None,
        path: str = SIGN,
        signed: bool = True,
        fault: str = "",
        **options: Any,
    ) -> None:
        headers = {
            "User-Agent": SECRETS["agent"],
            "X-Patient": SECRETS["header"],
            "X-Test-Fault": fault,
            **(bearer(path) if signed else {}),
            **options.pop("headers", {}),
        }
        self.tokens.append(headers.get("Authorization", "Bearer ").removeprefix("Bearer "))
        sent = {"json": body} if body is not None else {}
        self.answers.append(
            self.service.post(
                f"{path}?patient={SECRETS['query']}", headers=headers, **sent, **options
            )
        )

    def statuses(self) -> set[int]:
        return {answer.status_code for answer in self.answers}

    def log(self) -> str:
        return (self.data / "log.txt").read_text(encoding="utf-8", errors="replace")


def chart_call(fhir: FhirServer, *orders: Any, **members: Any) -> Any:
    """A call that is full of canaries, with leave to read the FHIR server."""
    body = call("order-sign", *orders, meds=None, hookInstance=SECRETS["hook instance"], **members)
    body["context"] |= {
        "patientId": PATIENT,
        "encounterId": SECRETS["encounter id"],
        "userId": f"Practitioner/{SECRETS['user id']}",
    }
    body["extension"] = {"org.example": {"x": SECRETS["extension"]}}
    body["prefetch"] = {
        "patient": {
            "resourceType": "Patient",
            "id": PATIENT,
            "birthDate": SECRETS["birth date"],
            "name": [{"family": SECRETS["name"]}],
        },
        SECRETS["prefetch key"]: {
            "resourceType": "OperationOutcome",
            "issue": [
                {"severity": "error", "code": "exception", "diagnostics": SECRETS["diagnostics"]}
            ],
        },
    }
    return {
        **body,
        "fhirServer": fhir.base_url,
        "fhirAuthorization": {
            "access_token": SECRETS["FHIR token"],
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "patient/*.read",
            "subject": "cds",
        },
    }


def draft(**members: Any) -> Any:
    return ldn(
        id=SECRETS["order id"], patient=PATIENT, reason={"text": SECRETS["reason"]}, **members
    )


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Haystack]:
    folder = tmp_path_factory.mktemp("canaries")
    tls, _ = make_server_tls(folder, "localhost")
    chart = [
        {
            "resourceType": "Patient",
            "id": PATIENT,
            "birthDate": SECRETS["birth date"],
            "name": [{"family": SECRETS["name"]}],
        },
        listed(patient=PATIENT),
        listed(SECRETS["drug text"], patient=PATIENT, id="m-2"),
    ]
    with serve(chart, tls=tls, name="localhost", token=SECRETS["FHIR token"]) as fhir:
        file = write_settings(
            folder / "etc",
            client(folder / "etc", fhir_bases=[fhir.base_url]),
            limits={"fhir_budget_ms": 400},
        )
        environ = {"NALTREXONE_CDS_SETTINGS": str(file), "SSL_CERT_FILE": str(folder / "cert.pem")}
        with run_failing(folder / "data", **environ) as running:
            haystack = Haystack(running, folder / "data", fhir)
            send_everything(haystack)
            os.kill(worker_pids(running)[0], signal.SIGABRT)
            time.sleep(1)
            wait_until_alive(running)
            yield haystack


def send_everything(stack: Haystack) -> None:
    fhir, plain = stack.fhir, {"Content-Type": "application/json"}
    for fault in SILENT_FAULTS:
        fhir.fault = fault
        stack.send(chart_call(fhir, draft()))
    for fault in ("clock", "rule"):
        stack.send(chart_call(fhir, draft()), fault=fault)
        stack.send(chart_call(fhir, opioid(patient=PATIENT)), fault=fault)
    stack.send(chart_call(fhir, naltrexone_50(patient=PATIENT), prefetch={}))
    stack.send(chart_call(fhir, order(SECRETS["drug text"], patient=PATIENT)))
    nowhere = {
        "medicationCodeableConcept": None,
        "medicationReference": {"reference": f"Medication/{SECRETS['order id']}"},
    }
    stack.send(
        {
            **chart_call(fhir, order("", patient=PATIENT, **nowhere)),
            "fhirServer": f"https://{SECRETS['query']}.example.org",
        }
    )
    stack.send({**chart_call(fhir, draft()), "hook": SECRETS["hook instance"]})
    stack.send(chart_call(fhir, draft()), signed=False)
    stack.send(chart_call(fhir, draft()), headers=bearer(SIGN, number=1, aud=SECRETS["query"]))
    stack.send(chart_call(fhir, draft()), path=f"/cds-services/{SECRETS['service id']}")
    stack.send(data=f'{{"hook": "{SECRETS["bad json"]}'.encode(), headers=plain)
    stack.send(data=SECRETS["huge"].encode() * 500_000, headers=plain)
    stack.send(
        data=SECRETS["bad json"].encode(), headers={"Content-Type": f"text/{SECRETS['header']}"}
    )
    reason = {"reason": {"code": "x", "display": SECRETS["reason"]}, "userComment": COMMENT}
    feedback = f"{SIGN}/feedback"
    stack.send({"feedback": [feedback_item(overrideReason=reason)]}, path=feedback)
    stack.send(
        {"feedback": [feedback_item(card=SECRETS["drug text"], overrideReason=reason)]},
        path=feedback,
    )


def test_CT02_the_canaries_went_through_every_kind_of_answer(searched: Haystack) -> None:
    """Or finding none of them would say nothing."""
    assert {200, 400, 401, 404, 412, 413, 415, 500} == searched.statuses()
    assert any(
        SECRETS["FHIR token"] in seen.headers.get("authorization", "")
        for seen in searched.fhir.seen
    )


def test_CT02_the_log_speaks_and_no_canary_is_in_it(searched: Haystack) -> None:
    """Standard output and error, of every library, at level DEBUG, over a crash of the worker."""
    log = searched.log()
    assert [] == [
        words for words in ('"event":"call"', '"status":500', "RuntimeError") if words not in log
    ]
    assert [] == [
        name
        for name, secret in {**SECRETS, "comment": COMMENT}.items()
        if secret.lower() in log.lower()
    ]


def test_CT02_no_token_of_a_client_is_in_the_log_nor_a_part_of_one(searched: Haystack) -> None:
    log = searched.log()
    parts = {part for token in searched.tokens for part in token.split(".") if part}
    assert len(parts) > 20
    assert [] == [part[:20] for part in parts if part in log]


def test_CT02_no_file_holds_a_canary_but_feedback_its_comment(searched: Haystack) -> None:
    files = [file for file in searched.data.rglob("*") if file.is_file() and file.name != "log.txt"]
    content = {file.name: file.read_bytes().lower() for file in files}
    not_feedback = {name: secret for name, secret in SECRETS.items() if name != "reason"}
    wanted = {
        **not_feedback,
        **{f"token {n}": t.rpartition(".")[2] for n, t in enumerate(searched.tokens) if t},
    }
    assert [] == [
        (file, name)
        for file, data in content.items()
        for name, secret in wanted.items()
        if secret.lower().encode() in data or base64.b64encode(secret.encode()) in data
    ]
    assert COMMENT == exported(searched.data)[0]["overrideReason"]["userComment"]


def test_CT02_no_error_answer_quotes_the_caller(searched: Haystack) -> None:
    errors = [answer for answer in searched.answers if answer.status_code != 200]
    said = "".join(f"{answer.headers} {answer.text}" for answer in errors).lower()
    assert len(errors) > 8
    assert [] == [
        name for name, secret in {**SECRETS, "comment": COMMENT}.items() if secret.lower() in said
    ]


def test_CT02_no_card_names_the_patient_or_shows_a_token(searched: Haystack) -> None:
    """A suggestion holds the order as it was sent, patient reference included; the words of a card do not.

    The link to the planner names the draft by its id.
    """
    cards = [
        card
        for answer in searched.answers
        if answer.status_code == 200
        for card in answer.json().get("cards", [])
    ]
    words = " ".join(
        f"{c['summary']} {c.get('detail')} {c['source']} {c.get('links')}" for c in cards
    ).lower()
    hidden = {
        name: secret for name, secret in SECRETS.items() if name not in {"drug text", "order id"}
    }
    assert len(cards) > 10
    assert [] == [name for name, secret in hidden.items() if secret.lower() in words]


def test_CT02_no_process_shows_a_canary_to_its_neighbours(searched: Haystack) -> None:
    pids = [searched.service.process.pid, *worker_pids(searched.service)]
    shown = b"".join(
        Path(f"/proc/{pid}/{name}").read_bytes()
        for pid in pids
        for name in ("cmdline", "environ", "comm")
    )
    assert b"python" in shown
    assert [] == [name for name, secret in SECRETS.items() if secret.encode() in shown]


def test_CT02_health_says_nothing_of_anybody(searched: Haystack) -> None:
    said = searched.service.get("/livez").text + searched.service.get("/readyz").text
    assert [] == [name for name, secret in SECRETS.items() if secret in said]
