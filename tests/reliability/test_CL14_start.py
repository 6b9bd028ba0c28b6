"""A bad configuration ends the start with one line that says what to change, before a port is bound (L14)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.calls import call, conflict, ldn
from tests.conftest import ROOT, free_port
from tests.reliability.server import serving, start
from tests.security.ehr import UNUSED_FHIR, client, wait_until_alive, worker_pids, write_settings

HTTPS = "https://cds.example.org"
KEYS = "https://ehr.example.com/jwks.json"
GOOD: dict[str, Any] = {
    "issuer": "https://ehr.example.com",
    "jwks_url": KEYS,
    "fhir_bases": [UNUSED_FHIR],
}


Ended = tuple["subprocess.CompletedProcess[bytes]", int]


def serve(folder: Path, *words: str, text: str | None = None, **environ: str) -> Ended:
    """How ``serve`` with this settings text ended, and the port that it was told to use."""
    port, extra = free_port(), list(words)
    if text is not None:
        (folder / "settings.toml").write_text(text)
        extra += ["--settings", str(folder / "settings.toml")]
    env = {
        **os.environ,
        "NALTREXONE_CDS_PORT": str(port),
        "NALTREXONE_CDS_DATA_DIR": str(folder / "data"),
        **environ,
    }
    command = [sys.executable, "-m", "cds_service", "serve", *extra]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, out, err), port


BAD_DEMOS = {
    "no-such-setting": ("colour = 1", "colour"),
    "no-such-limit": ("[limits]\nfeet = 1", "limits.feet"),
    "not-toml": ("port = ", "not valid TOML"),
    "wrong-profile": ('profile = "staging"', "profile"),
    "wrong-auth": ('auth = "maybe"', "auth"),
    "wrong-audit": ('audit = "sometimes"', "audit"),
    "wrong-level": ('log_level = "LOUD"', "log_level"),
    "no-threads": ("threads = 0", "threads"),
    "text-for-a-number": ('threads = "many"', "threads"),
    "number-for-a-text": ("time_zone = 5", "time_zone"),
    "number-for-a-switch": ("trusted_proxy = 1", "trusted_proxy"),
    "no-such-zone": ('time_zone = "Mars/Olympus"', "time_zone"),
    "budget-too-long": ("[limits]\nfhir_budget_ms = 60000", "fhir_budget_ms"),
    "origin-with-path": ('cors_origins = ["https://x.example.org/app"]', "cors_origins"),
    "any-origin": ('cors_origins = ["*"]', "cors_origins"),
    "base-url-without-scheme": ('public_base_url = "cds.example.org"', "public_base_url"),
    "client-without-issuer": ('[[clients]]\nname = "North"', "issuer"),
    "no-such-topic": ('[[clients]]\nissuer = "x"\ntopics_off = ["weather"]', "topic"),
    "key-file-missing": ('[[clients]]\nissuer = "x"\njwks_file = "/no/such/file"', "jwks_file"),
    "other-database": ('database_url = "mysql://x/y"', "database_url"),
    "no-database-url": ('database_url = "here"', "database_url"),
    "no-such-overlay": ('content_overlay = "/no/such/folder"', "content"),
}


@pytest.mark.parametrize("name", BAD_DEMOS)
def test_CL14_a_bad_setting_ends_the_start_with_one_line(tmp_path: Path, name: str) -> None:
    text, word = BAD_DEMOS[name]
    done, port = serve(tmp_path, text=text)
    assert_refused(done, port, word)


def assert_refused(done: subprocess.CompletedProcess[bytes], port: int, word: str) -> None:
    said = done.stderr.decode()
    assert done.returncode != 0
    assert (b"", 1, True) == (done.stdout, len(said.splitlines()), word in said), said
    with socket.socket() as probe:
        assert 0 != probe.connect_ex(("127.0.0.1", port))


BAD_PRODUCTIONS: dict[str, tuple[dict[str, Any], list[dict[str, Any]], str]] = {
    "no-clients": ({}, [], "clients"),
    "no-https": ({"public_base_url": "http://cds.example.org"}, [GOOD], "https"),
    "no-base-url": ({"public_base_url": ""}, [GOOD], "public_base_url"),
    "no-authentication": ({"auth": "off"}, [GOOD], "auth"),
    "no-fhir-servers": ({}, [{**GOOD, "fhir_bases": []}], "fhir_bases"),
    "fhir-without-https": ({}, [{**GOOD, "fhir_bases": ["http://fhir.example.org"]}], "https"),
    "keys-without-https": ({}, [{**GOOD, "jwks_url": "http://ehr.example.com/jwks.json"}], "https"),
    "no-keys": ({}, [{"issuer": "x", "fhir_bases": [UNUSED_FHIR]}], "jwks"),
    "two-places-of-keys": ({}, [{**GOOD, "jwks_file": __file__}], "not both"),
    "the-sandbox": ({}, [{**GOOD, "issuer": "https://sandbox.cds-hooks.org"}], "sandbox"),
}


@pytest.mark.parametrize("name", BAD_PRODUCTIONS)
def test_CL14_production_refuses_what_a_demo_may_do(tmp_path: Path, name: str) -> None:
    settings, clients, word = BAD_PRODUCTIONS[name]
    file = write_settings(tmp_path / "etc", *clients, **settings)
    done, port = serve(tmp_path, "--settings", str(file))
    assert_refused(done, port, word)


def test_CL14_the_debug_switch_of_flask_ends_a_production_start(tmp_path: Path) -> None:
    done, port = serve(
        tmp_path, "--settings", str(write_settings(tmp_path / "etc", GOOD)), FLASK_DEBUG="1"
    )
    assert_refused(done, port, "FLASK_DEBUG")


def test_CL14_a_settings_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    done, port = serve(tmp_path, "--settings", str(tmp_path / "none.toml"))
    assert_refused(done, port, "settings file")


def test_CL14_a_variable_that_is_no_number_is_said_to_be_none(tmp_path: Path) -> None:
    done, port = serve(tmp_path, NALTREXONE_CDS_THREADS="many")
    assert_refused(done, port, "threads")


def test_CL14_a_taken_port_is_said_to_be_taken(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        done, _ = serve(tmp_path, "--port", str(holder.getsockname()[1]))
    assert (True, 1) == (done.returncode != 0, len(done.stderr.decode().splitlines())), done.stderr


def test_CL14_a_data_dir_that_is_a_file_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    done, port = serve(tmp_path)
    assert_refused(done, port, "data")


def test_CL14_a_broken_overlay_does_not_cost_the_cards(tmp_path: Path) -> None:
    """The packaged words are served; the log and readiness say so."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "naltrexone-off-label.yaml").write_text("id: [")
    with (tmp_path / "log").open("wb") as log:
        running = start(
            tmp_path,
            "serve",
            command=("cds_service",),
            stderr=log,
            NALTREXONE_CDS_CONTENT_OVERLAY=str(own),
        )
        wait_until_alive(running)
        ready = running.get("/readyz")
        running.process.terminate()
        assert 0 == running.process.wait(timeout=15)
    assert (200, "degraded") == (ready.status_code, ready.json()["status"])
    assert "content-overlay-refused" in (tmp_path / "log").read_text()


def test_CL14_the_command_that_people_use_starts_and_warns_in_the_demo_profile(
    tmp_path: Path,
) -> None:
    with (tmp_path / "log").open("wb") as log:
        running = start(tmp_path, "serve", command=("cds_service",), stderr=log)
        wait_until_alive(running)
        running.process.terminate()
        assert 0 == running.process.wait(timeout=15)
    assert "DEMO PROFILE, NOT FOR PATIENTS" in (tmp_path / "log").read_text()


def test_CL14_a_start_is_quick_and_a_worker_small(tmp_path: Path) -> None:
    """Goals are 2 s and 120 MiB on an idle machine; here with slack, so that only a leap is seen."""
    begun = time.monotonic()
    file = write_settings(
        tmp_path / "etc", client(tmp_path / "etc"), profile="demo", public_base_url=HTTPS
    )
    with serving(tmp_path, NALTREXONE_CDS_SETTINGS=str(file)) as service:
        seconds = time.monotonic() - begun
        for _ in range(50):
            service.post("/cds-services/naltrexone-order-sign", json=conflict())
            service.post("/cds-services/naltrexone-order-sign", json=call("order-sign", ldn()))
        status = Path(f"/proc/{worker_pids(service)[0]}/status").read_text()
        resident = int(status.split("VmRSS:")[1].split()[0]) / 1_024
    assert seconds < 15
    assert resident < 240
