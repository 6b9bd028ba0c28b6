"""A production service over real HTTP, and an EHR that signs its calls, for the tests of the wall."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from cds_service.journal.export import export_feedback
from cds_service.store.read_only import open_to_read
from tests.conformance.calls import path_of
from tests.conftest import AS_OF, ROOT, Running, free_port, run_service
from tests.security.keys import ISSUER, jwk, key_set, token

BASE = "https://cds.example.org"
NOW = int(AS_OF.timestamp())
UNUSED_FHIR = "https://fhir.example.org/r4"


def write_settings(
    folder: Path, *clients: dict[str, Any], profile: str = "production", **settings: Any
) -> Path:
    """A settings file; JSON texts, numbers and lists are TOML too. ``settings`` may hold one level of tables."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {
        "profile": profile,
        "public_base_url": BASE,
        "workers": 1,
        "content_acknowledged_by": "A. Tester, test pharmacist",
        **settings,
    }
    lines = [
        f"{name} = {json.dumps(value)}"
        for name, value in plain.items()
        if not isinstance(value, dict)
    ]
    for name, table in plain.items():
        if isinstance(table, dict):
            lines += [
                f"[{name}]",
                *(f"{key} = {json.dumps(value)}" for key, value in table.items()),
            ]
    for client in clients:
        lines += ["[[clients]]", *(f"{key} = {json.dumps(value)}" for key, value in client.items())]
    file = folder / "settings.toml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def client(folder: Path, issuer: str = ISSUER, number: int = 0, **members: Any) -> dict[str, Any]:
    """A configured client whose key set is a file; ``number`` is its key."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = folder / f"jwks-{uuid.uuid4().hex}.json"
    keys.write_bytes(key_set(jwk(number=number)))
    return {"issuer": issuer, "jwks_file": str(keys), "fhir_bases": [UNUSED_FHIR], **members}


def bearer(path: str, *, issuer: str = ISSUER, number: int = 0, **claims: Any) -> dict[str, str]:
    """The Authorization header of a fresh token for ``path``; claims may be replaced."""
    fresh = {
        "iss": issuer,
        "aud": BASE + path,
        "iat": NOW,
        "exp": NOW + 300,
        "jti": uuid.uuid4().hex,
        **claims,
    }
    return {"Authorization": f"Bearer {token(number=number, **fresh)}"}


@dataclass(frozen=True, slots=True)
class Ehr:
    """An EHR that calls a running service with a fresh token for each call."""

    service: Running
    issuer: str = ISSUER
    number: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def post(self, path: str, **options: Any) -> requests.Response:
        signed = {
            **self.headers,
            **bearer(path, issuer=self.issuer, number=self.number),
            **options.pop("headers", {}),
        }
        return self.service.post(path, headers=signed, **options)

    def call(self, body: Any, hook: str = "", **options: Any) -> requests.Response:
        return self.post(path_of(body, hook), json=body, **options)


@contextlib.contextmanager
def run_production(
    folder: Path, *clients: dict[str, Any], environ: dict[str, str] | None = None, **settings: Any
) -> Iterator[Ehr]:
    """A production service that knows ``clients`` (one of ISSUER unless given) and the EHR that calls it."""
    file = write_settings(folder / "etc", *(clients or (client(folder / "etc"),)), **settings)
    data = folder / "data"
    data.mkdir(exist_ok=True)
    with run_service(data, NALTREXONE_CDS_SETTINGS=str(file), **(environ or {})) as running:
        yield Ehr(running)


def feedback_item(**changes: Any) -> dict[str, Any]:
    """A valid feedback item as an EHR sends it; a change to None takes the member away."""
    item = {
        "card": str(uuid.uuid4()),
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-21T11:59:00Z",
        "overrideReason": {
            "reason": {"code": "benefit-outweighs", "system": "urn:x:override"},
            "userComment": "taper is done",
        },
        **changes,
    }
    return {name: value for name, value in item.items() if value is not None}


def exported(data: Path) -> list[dict[str, Any]]:
    """Every stored feedback item of this data directory, also while the service runs."""
    with open_to_read(f"sqlite:///{data / 'store.sqlite3'}") as store:
        return list(json.loads("".join(export_feedback(store, "json"))))


@contextlib.contextmanager
def run_failing(folder: Path, **environ: str) -> Iterator[Running]:
    """The server of ``tests.security.failing``; everything it and its libraries print is in ``log.txt``."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    env = {
        **os.environ,
        "NALTREXONE_CDS_PORT": str(port),
        "NALTREXONE_CDS_DATA_DIR": str(folder),
        "NALTREXONE_CDS_LOG_LEVEL": "DEBUG",
        **environ,
    }
    with (folder / "log.txt").open("wb") as log:
        command = [sys.executable, "-m", "tests.security.failing"]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    running = Running(f"http://127.0.0.1:{port}", process)
    try:
        wait_until_alive(running)
        yield running
    finally:
        process.terminate()
        process.wait(timeout=15)


def wait_until_alive(running: Running, seconds: float = 20) -> None:
    """Return once /livez answers."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException):
            if requests.get(running.url + "/livez", timeout=2).status_code == 200:
                return
        assert running.process.poll() is None, "the service did not start"
        time.sleep(0.05)
    raise AssertionError("the service did not start in time")


def worker_pids(running: Running) -> list[int]:
    """The processes that the server's first process has started."""
    pid = running.process.pid
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
