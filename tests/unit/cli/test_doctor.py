"""An integration engineer asks why a token or a FHIR server would be refused, and feedback and audit leave as files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.__main__ import main
from cds_service.auth.client_auth import Rule
from cds_service.cli.doctor import doctor_fhir, doctor_jwt
from cds_service.settings import Client, Settings
from tests.conftest import ROOT
from tests.fhir_server import count_connections, refuse, serve
from tests.security.keys import BASE, ENDPOINT, ISSUER, NOW, key_set, token
from tests.tls import make_server_tls
from tests.unit.journal.samples import event, item, keep


def production(tmp_path: Path, *bases: str) -> Settings:
    file = tmp_path / "jwks.json"
    file.write_bytes(key_set())
    return Settings(
        profile="production",
        public_base_url=BASE,
        clients=(Client(issuer=ISSUER, name="North EHR", jwks_file=str(file), fhir_bases=bases),),
    )


def verdicts(rules: list[Rule]) -> dict[str, str]:
    return {rule.name: rule.verdict for rule in rules}


def failing(rules: list[Rule]) -> list[str]:
    return [rule.name for rule in rules if rule.verdict == "fail"]


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dress", ["{}", "{}\n", "Bearer {}", "bearer {}\n"])
def test_a_good_token_passes_with_the_keys_that_the_service_would_use(
    tmp_path: Path, dress: str
) -> None:
    rules = doctor_jwt(dress.format(token()), production(tmp_path), NOW)
    assert ([], "North EHR") == (
        failing(rules),
        next(r.why for r in rules if r.name == "issuer").removeprefix("client "),
    )


def test_a_token_may_be_meant_for_any_url_of_ours_unless_one_is_named(tmp_path: Path) -> None:
    settings, feedback = production(tmp_path), token(aud=f"{ENDPOINT}/feedback")
    assert [[], ["audience"]] == [
        failing(doctor_jwt(feedback, settings, NOW)),
        failing(doctor_jwt(feedback, settings, NOW, [ENDPOINT])),
    ]


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        ({"iss": "https://stranger.example"}, "issuer"),
        ({"aud": "https://other.example"}, "audience"),
        ({"exp": NOW + 90_000}, "times"),
        ({"jti": ""}, "jti"),
        ({"number": 1}, "signature"),
    ],
)
def test_the_rule_that_refuses_a_token_is_named(tmp_path: Path, bad: Any, rule: str) -> None:
    assert [rule] == failing(doctor_jwt(token(**bad), production(tmp_path), NOW))


def test_what_is_no_token_is_said_to_be_none(tmp_path: Path) -> None:
    assert ["form"] == failing(doctor_jwt("hello", production(tmp_path), NOW))


def test_keys_behind_a_url_that_nobody_serves_are_named_as_the_fault() -> None:
    """They are asked for through the guarded door, so nothing but a refusal can come of a forbidden address."""
    client = Client(issuer=ISSUER, jwks_url="https://169.254.169.254/jwks.json")
    rules = doctor_jwt(
        token(), Settings(profile="production", public_base_url=BASE, clients=(client,)), NOW
    )
    assert "keys" in failing(rules)


# --- FHIR servers -----------------------------------------------------------------------------------------------------


def test_a_listed_server_passes_every_rule_and_says_its_version(tmp_path: Path) -> None:
    tls, trust = make_server_tls(tmp_path, "localhost")
    with serve(tls=tls, name="localhost", fhir_version="4.0.1") as fhir:
        rules = doctor_fhir(fhir.base_url, production(tmp_path, fhir.base_url), trust=trust)
        assert (dict.fromkeys(["url", "listed", "https", "address", "answer"], "pass")) == verdicts(
            rules
        )
        assert "FHIR version 4.0.1" in rules[-1].why
        assert "North EHR" in rules[1].why
        assert [("GET", "/fhir/metadata", None)] == [
            (s.method, s.path, s.headers.get("authorization")) for s in fhir.seen
        ]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "//x/fhir",
        "https://user@ehr.example.org/fhir",
        "https://ehr.example.org/fhir?x=1",
        "http://0x7f.1/fhir",
        "https://ehr.example.org/a/../b",
        "",
    ],
)
def test_a_url_in_an_unusual_form_is_not_looked_into_any_further(tmp_path: Path, url: str) -> None:
    rules = verdicts(doctor_fhir(url, production(tmp_path, "https://ehr.example.org")))
    assert {
        "url": "fail",
        **dict.fromkeys(["listed", "https", "address", "answer"], "not checked"),
    } == rules


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost:{port}/fhir-evil",
        "https://localhost:{port}/",
        "http://localhost:{port}/fhir",
        "https://127.0.0.1:{port}/fhir",
    ],
)
def test_a_server_that_is_not_listed_is_not_called(tmp_path: Path, url: str) -> None:
    with count_connections() as count:
        settings = production(tmp_path, f"https://localhost:{count.port}/fhir")
        rules = doctor_fhir(url.format(port=count.port), settings)
        assert ("fail", "not checked", 0) == (
            verdicts(rules)["listed"],
            verdicts(rules)["answer"],
            count(),
        )


def test_http_is_refused_in_production_and_let_through_in_a_demo(tmp_path: Path) -> None:
    with serve() as fhir:
        live = production(tmp_path, fhir.base_url)
        demo = Settings(clients=live.clients)
        found = [verdicts(doctor_fhir(fhir.base_url, each)) for each in (live, demo)]
    assert [("fail", "not checked"), ("pass", "pass")] == [
        (each["https"], each["answer"]) for each in found
    ]


def test_a_name_that_leads_to_this_machine_is_refused(tmp_path: Path) -> None:
    def resolver(*_: Any, **__: Any) -> list[Any]:
        return [(2, 1, 6, "", ("127.0.0.1", 443))]

    rules = doctor_fhir(
        "https://ehr.example.org/fhir",
        production(tmp_path, "https://ehr.example.org/fhir"),
        resolver=resolver,
    )
    assert ["address"] == failing(rules)


def test_a_name_without_an_address_is_said_to_have_none(tmp_path: Path) -> None:
    def resolver(*_: Any, **__: Any) -> list[Any]:
        raise OSError

    rules = doctor_fhir(
        "https://ehr.example.org/fhir",
        production(tmp_path, "https://ehr.example.org/fhir"),
        resolver=resolver,
    )
    assert (["address"], "not checked") == (failing(rules), verdicts(rules)["answer"])


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("html", "not JSON"),
        ("404", "answered 404"),
        ("redirect", "never followed"),
        ("wrong-type", "no CapabilityStatement"),
        ("reset", "broke"),
        ("list", "no CapabilityStatement"),
        ("deep", "not JSON"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said_in_words(fault: str, words: str) -> None:
    with serve(fault=fault) as fhir:
        rules = doctor_fhir(
            fhir.base_url, Settings(clients=(Client(issuer="x", fhir_bases=(fhir.base_url,)),))
        )
    assert (["answer"], True) == (failing(rules), words in rules[-1].why), rules[-1].why


def test_a_server_that_is_down_is_said_to_be_down() -> None:
    with refuse() as base:
        rules = doctor_fhir(base, Settings(clients=(Client(issuer="x", fhir_bases=(base,)),)))
    assert "nothing accepts connections there" in rules[-1].why


def test_a_certificate_that_is_not_trusted_is_said_to_be_the_fault(tmp_path: Path) -> None:
    tls, _ = make_server_tls(tmp_path, "localhost")
    with serve(tls=tls, name="localhost") as fhir:
        rules = doctor_fhir(fhir.base_url, production(tmp_path, fhir.base_url))
    assert (["answer"], True) == (failing(rules), "certificate" in rules[-1].why)


def test_offline_the_server_is_not_called(tmp_path: Path) -> None:
    with count_connections() as count:
        base = f"https://localhost:{count.port}/fhir"
        rules = doctor_fhir(base, production(tmp_path, base), call=False)
        assert ("pass", "not checked", 0) == (
            verdicts(rules)["address"],
            verdicts(rules)["answer"],
            count(),
        )


# --- on the command line ----------------------------------------------------------------------------------------------


def run(*words: str, text: str | None = None) -> Result:
    return CliRunner().invoke(main, list(words), input=text)


def test_doctor_jwt_prints_a_line_for_each_rule_and_exits_1(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        f'[[clients]]\nissuer = "{ISSUER}"\njku = ["https://ehr.example.com/jwks.json"]\n'
    )
    result = run(
        "doctor", "jwt", "-", "--settings", str(file), text=token(iss="https://stranger.example")
    )
    assert (1, 11) == (result.exit_code, len(result.stdout.splitlines()))
    assert re.search(r"^fail +issuer +.*stranger", result.stdout, re.MULTILINE)


def test_doctor_jwt_takes_any_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xff\xfe\x00")
    result = run("doctor", "jwt", str(file))
    assert (1, True) == (result.exit_code, result.stdout.startswith("fail        form"))


def test_doctor_fhir_prints_a_line_for_each_rule_and_exits_by_the_verdict() -> None:
    results = [
        run("doctor", "fhir", url, "--offline")
        for url in ("https://ehr.example.org/fhir", "https://launch.smarthealthit.org/v/r4/fhir")
    ]
    assert (1, 5) == (results[0].exit_code, len(results[0].stdout.splitlines()))
    assert "the demo profile lists" in results[1].stdout


def stocked(folder: Path) -> Path:
    from cds_service.journal.audit import AuditLog
    from cds_service.store.store import open_store

    store = open_store(f"sqlite:///{folder / 'store.sqlite3'}")
    keep(store, item(), item(user_comment="=1+1"))
    AuditLog(store, "required").append(event())
    store.close()
    return folder


def test_feedback_export_is_one_json_list_with_card_and_outcome(tmp_path: Path) -> None:
    result = run("feedback", "export", "--data-dir", str(stocked(tmp_path)), "--format", "json")
    items = json.loads(result.stdout)
    assert (0, 2) == (result.exit_code, len(items))
    assert ["overridden", "overridden"] == [
        each["outcome"] for each in items if uuid.UUID(each["card"])
    ]


def test_feedback_export_as_csv_has_a_head_and_no_formula(tmp_path: Path) -> None:
    lines = run(
        "feedback", "export", "--data-dir", str(stocked(tmp_path)), "--format", "csv"
    ).stdout.splitlines()
    assert (3, True, True) == (
        len(lines),
        lines[0].startswith('"service","card","outcome"'),
        '"\'=1+1"' in lines[2],
    )


def test_audit_export_and_verify(tmp_path: Path) -> None:
    folder = str(stocked(tmp_path))
    events = json.loads(run("audit", "export", "--data-dir", folder).stdout)
    verified = run("audit", "verify", "--data-dir", folder)
    assert (1, 0) == (len(events), verified.exit_code)
    assert f"1 events from number 1; head: 1 {events[0]['hash']}\n" == verified.stdout


def test_audit_verify_finds_a_changed_event_and_a_head_that_is_not_the_anchor(
    tmp_path: Path,
) -> None:
    import sqlite3
    from contextlib import closing

    folder = stocked(tmp_path)
    anchored = run("audit", "verify", "--data-dir", str(folder), "--anchor", "1", "0" * 64)
    with closing(sqlite3.connect(folder / "store.sqlite3")) as connection, connection:
        connection.execute("UPDATE audit_event SET body = replace(body, '200', '500')")
    changed = run("audit", "verify", "--data-dir", str(folder))
    assert (1, 1) == (anchored.exit_code, changed.exit_code)
    assert "FAULT event 1 was changed" in changed.stdout


@pytest.mark.parametrize(
    "words", [("feedback", "export"), ("audit", "export"), ("audit", "verify")]
)
@pytest.mark.parametrize("what", ["missing", "empty", "noise"])
def test_a_store_that_cannot_be_read_is_one_line_and_exit_2(
    tmp_path: Path, words: tuple[str, str], what: str
) -> None:
    folder = tmp_path / "data"
    if what != "missing":
        folder.mkdir()
    if what == "noise":
        (folder / "store.sqlite3").write_bytes(b"noise" * 5_000)
    result = run(*words, "--data-dir", str(folder))
    assert (2, "", 1) == (result.exit_code, result.stdout, len(result.stderr.splitlines())), (
        result.output
    )


def test_feedback_export_works_from_a_folder_that_takes_no_writes(tmp_path: Path) -> None:
    """As another user, because root may write everywhere."""
    with tempfile.TemporaryDirectory() as name:
        stocked(Path(name))
        for file in Path(name).iterdir():
            file.chmod(0o444)
        Path(name).chmod(0o555)
        script = (
            "import os, sys; import cds_service.cli.feedback;"
            "import cds_service.__main__ as m;"
            "os.geteuid() == 0 and os.setuid(65534); sys.argv[1:] = ['feedback', 'export', '--data-dir', "
            f"{name!r}, '--format', 'json']; m.main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            capture_output=True,
            check=False,
            timeout=60,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        Path(name).chmod(0o755)
    assert (0, b"") == (done.returncode, done.stderr)
    assert 2 == len(json.loads(done.stdout))
