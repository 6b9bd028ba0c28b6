"""A key file that is none, an empty secret, a damaged store: said by ``check`` and by ``serve``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cds_service import clinical
from cds_service.__main__ import main
from cds_service.cli.preflight import review_faults
from cds_service.settings import Settings
from cds_service.store.store import open_store
from tests.security.keys import jwk, key_set, private_jwk, private_key, public_pem

APP = '[smart.issuers."https://ehr.example.org/fhir"]\nclient_id = "planner"\n'


@pytest.fixture(autouse=True)
def nothing_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes the checks must fail here, not listen."""
    monkeypatch.setattr(
        "cds_service.serving.run", lambda _: (_ for _ in ()).throw(AssertionError("it was served"))
    )


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def pem() -> bytes:
    return private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


TEXT = {
    "jwks_file": '[[clients]]\nissuer = "https://ehr.example.org"\njwks_file = "{file}"\n',
    "audit_key_file": 'audit_key_file = "{file}"\n',
    "smart.key_file": '[smart]\nkey_file = "{file}"\n',
    "key_file": APP + 'auth = "private_key_jwt"\nkey_file = "{file}"\n',
    "secret_file": APP + 'auth = "client_secret"\nsecret_file = "{file}"\n',
}
GOOD: dict[str, list[Callable[[], bytes]]] = {
    "jwks_file": [key_set, lambda: key_set(jwk(), {"kid": "b", "kty": "oct"})],
    "audit_key_file": [lambda: b"k" * 32],
    "smart.key_file": [Fernet.generate_key],
    "key_file": [
        pem,
        lambda: json.dumps(private_jwk()).encode(),
        lambda: json.dumps({"keys": [private_jwk()]}).encode(),
    ],
    "secret_file": [lambda: b"s3cr3t\n"],
}
NO_KEY = [
    b"",
    b"hunter2",
    b"\xff\xfe",
    b"{",
    b"[]",
    b'{"keys": []}',
    b'{"keys": [{}]}',
    b'{"kty": "oct", "k": "AA"}',
    b"-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
]
BAD: dict[str, list[bytes]] = {
    "jwks_file": [*NO_KEY, key_set(private_jwk())],
    "audit_key_file": [b"", b"short", b"short" + b" " * 40],
    "smart.key_file": [b"", b"hunter2", b"k" * 44],
    "key_file": [*NO_KEY, public_pem(), json.dumps(jwk()).encode()],
    "secret_file": [b"", b" \n", b"\xff\xfe"],
}


def settings(tmp_path: Path, name: str, content: bytes) -> str:
    (tmp_path / "key").write_bytes(content)
    file = tmp_path / "settings.toml"
    file.write_text(
        f'data_dir = "{tmp_path / "data"}"\n' + TEXT[name].format(file=tmp_path / "key"),
        encoding="utf-8",
    )
    return str(file)


@pytest.mark.parametrize(
    ("name", "content"), [(name, make) for name, all_of in GOOD.items() for make in all_of]
)
def test_keys_that_can_be_used_pass(
    tmp_path: Path, name: str, content: Callable[[], bytes]
) -> None:
    done = run("check", "--settings", settings(tmp_path, name, content()))
    assert 0 == done.exit_code, done.output


@pytest.mark.parametrize(
    ("name", "content"), [(name, content) for name, all_of in BAD.items() for content in all_of]
)
def test_a_key_file_that_is_none_is_named_and_not_quoted(
    tmp_path: Path, name: str, content: bytes
) -> None:
    file = settings(tmp_path, name, content)
    checked, served = (
        run("check", "--settings", file),
        run("serve", "--settings", file, "--port", "0"),
    )
    [fault] = [line for line in checked.stdout.splitlines() if line.startswith("FAULT")]
    assert (1, 2, 1) == (checked.exit_code, served.exit_code, len(served.stderr.splitlines()))
    assert f"{name} holds no" in fault
    assert f"{name} holds no" in served.stderr
    assert "hunter2" not in checked.output + served.output


def test_check_opens_the_store_and_makes_none(tmp_path: Path) -> None:
    done = run("check", "--settings", settings(tmp_path, "audit_key_file", b"k" * 32))
    assert (0, False) == (done.exit_code, (tmp_path / "data").exists())
    (tmp_path / "data").mkdir()
    open_store(f"sqlite:///{tmp_path / 'data' / 'store.sqlite3'}").close()
    assert 0 == run("check", "--settings", str(tmp_path / "settings.toml")).exit_code


def test_check_says_that_a_store_is_damaged_or_out_of_reach(tmp_path: Path) -> None:
    file = settings(tmp_path, "audit_key_file", b"k" * 32)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "store.sqlite3").write_bytes(b"noise" * 5_000)
    away = tmp_path / "away.toml"
    away.write_text('database_url = "postgresql://cds@127.0.0.1:1/cds"\n', encoding="utf-8")
    for done in (run("check", "--settings", file), run("check", "--settings", str(away))):
        assert (1, True) == (
            done.exit_code,
            "FAULT database_url: the store cannot be opened" in done.stdout,
        )


# --- content that nobody has signed -------------------------------------------------------------------------------------

PRODUCTION = 'profile = "production"\npublic_base_url = "https://cds.example.org"\n'
WHO = 'content_acknowledged_by = "Dr. Ada Example, medication safety lead"\n'


def production(folder: Path, more: str = "") -> str:
    keys = folder / "keys.json"
    keys.write_bytes(key_set())
    file = folder / "settings.toml"
    client = f'[[clients]]\nissuer = "https://ehr.example.org"\njwks_file = "{keys}"\nfhir_bases = ["https://ehr.example.org/fhir"]\n'
    file.write_text(
        f'{PRODUCTION}data_dir = "{folder / "var"}"\nport = 0\n{more}{client}', encoding="utf-8"
    )
    return str(file)


def test_production_does_not_start_with_content_that_nobody_signed_or_answers_for(
    tmp_path: Path,
) -> None:
    for command in ("serve", "check"):
        done = run(command, "--settings", production(tmp_path))
        assert 0 != done.exit_code
        assert "content_acknowledged_by" in done.output
        assert "reviewed_by: null" in done.output


def test_production_starts_when_a_named_person_answers_for_it(tmp_path: Path) -> None:
    file = production(tmp_path, WHO)
    assert 0 == run("check", "--settings", file).exit_code
    done = run("serve", "--settings", file)
    assert "it was served" == str(done.exception)
    assert "acknowledged by Dr. Ada Example, medication safety lead" in done.output


@pytest.mark.parametrize("who", ["yes", "Dr. Ada Example", ", lead", "Dr. Ada Example, ", " , "])
def test_the_person_has_a_name_and_a_role(who: str, tmp_path: Path) -> None:
    done = run("check", "--settings", production(tmp_path, f'content_acknowledged_by = "{who}"\n'))
    assert 0 != done.exit_code
    assert "content_acknowledged_by: must be a name and a role" in done.output


def test_signed_content_needs_nobody_else(tmp_path: Path) -> None:
    settings = replace(Settings(), profile="production")
    content = clinical.load().content
    assert 1 == len([*review_faults(settings, content)])
    sign = {n: replace(c, reviewed_by="A clinician") for n, c in content.cards.items()}
    pages = {n: replace(p, reviewed_by="A clinician") for n, p in content.pages.items()}
    sheet = {**content.sheet, "reviewed_by": "A clinician"}
    assert [] == [*review_faults(settings, replace(content, cards=sign, pages=pages, sheet=sheet))]
