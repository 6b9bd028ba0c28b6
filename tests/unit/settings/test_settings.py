"""Settings: one line per complaint, nothing guessed, nothing secret printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cds_service.settings import (
    SANDBOX_ORIGINS,
    Settings,
    SettingsError,
    check_topics,
    load,
    redacted,
)

PRODUCTION = """
profile = "production"
public_base_url = "https://cds.example.org"
[[clients]]
issuer = "https://ehr.example.org"
jwks_url = "https://ehr.example.org/jwks.json"
fhir_bases = ["https://ehr.example.org/fhir"]
"""
SMART = """
[smart.issuers."https://ehr.example.org/fhir"]
client_id = "planner"
"""


def read(
    tmp_path: Path, text: str, environ: dict[str, str] | None = None, **overrides: Any
) -> Settings:
    file = tmp_path / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return load(str(file), environ or {}, **overrides)


def test_without_a_file_the_demo_profile_listens_on_loopback_for_the_sandbox() -> None:
    settings = load(None, {})
    assert ("demo", "127.0.0.1", SANDBOX_ORIGINS, "off") == (
        settings.profile,
        settings.host,
        settings.cors_origins,
        settings.auth_mode,
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "cds.example.org", ""])
def test_without_client_authentication_only_loopback_is_served(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsError, match="host: without client authentication"):
        read(tmp_path, f'host = "{host}"')
    assert host == read(tmp_path, PRODUCTION.replace("\n", f'\nhost = "{host}"\n', 1)).host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_every_loopback_address_serves_the_demo(tmp_path: Path, host: str) -> None:
    assert host == read(tmp_path, f'host = "{host}"').host


def test_a_production_file_is_enough_and_authenticates_hooks(tmp_path: Path) -> None:
    settings = read(tmp_path, PRODUCTION + SMART)
    assert ("hooks", (), ("https://ehr.example.org/fhir",)) == (
        settings.auth_mode,
        settings.cors_origins,
        settings.fhir_bases,
    )


def test_the_console_is_whole_in_the_demo_and_what_is_named_in_production(tmp_path: Path) -> None:
    every = {"play", "why", "formulary", "connect", "docs"}
    assert every == Settings().console_pages
    assert set() == Settings(profile="production").console_pages
    assert {"why"} == Settings(profile="production", console=("why",)).console_pages
    assert ("play", "why") == load(None, {"NALTREXONE_CDS_CONSOLE": "play, why"}).console


def test_environment_goes_over_file_and_arguments_over_both(tmp_path: Path) -> None:
    environ = {
        "NALTREXONE_CDS_PORT": "81",
        "NALTREXONE_CDS_CORS_ORIGINS": "https://a.example, https://b.example",
    }
    settings = read(tmp_path, "port = 80\ndata_dir = 'x'", environ, data_dir="y")
    assert (81, "y", ("https://a.example", "https://b.example")) == (
        settings.port,
        settings.data_dir,
        settings.cors_origins,
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("[[clients]]", "[[others]]"), "others: no such setting"),
        (('issuer = "https://ehr.example.org"\n', ""), "issuer is missing"),
        (
            ('jwks_url = "https://ehr.example.org/jwks.json"\n', ""),
            "needs jwks_url, jwks_file or jku",
        ),
        (
            ("https://ehr.example.org/jwks.json", "http://ehr.example.org/jwks.json"),
            "must be https",
        ),
        (('fhir_bases = ["https://ehr.example.org/fhir"]\n', ""), "allow-list of FHIR servers"),
        (("https://cds.example.org", "http://cds.example.org"), "needs an https base URL"),
        (("https://cds.example.org", "cds"), "must be an absolute http"),
        (
            ("[[clients]]", 'auth = "off"\n[[clients]]'),
            "does not run without client authentication",
        ),
        (("[[clients]]", 'auth = "maybe"\n[[clients]]'), "auth: must be one of all, hooks, off"),
        (("[[clients]]", 'port = "80"\n[[clients]]'), "port: must be a whole number"),
        (("[[clients]]", "port = 70000\n[[clients]]"), "port: must be between"),
        (("[[clients]]", "trusted_proxy = 1\n[[clients]]"), "trusted_proxy: must be true or false"),
        (("[[clients]]", 'time_zone = "Mars/Base"\n[[clients]]'), "time_zone: not a time zone"),
        (
            ("[[clients]]", 'cors_origins = ["https://a.example/path"]\n[[clients]]'),
            "is not an origin",
        ),
        (
            ("[[clients]]", "cors_origins = [1]\n[[clients]]"),
            "cors_origins: must be a list of texts",
        ),
        (
            ("[[clients]]", 'console = ["play", "games"]\n[[clients]]'),
            "console: must be one of connect, docs, formulary, play, why",
        ),
        (
            ("[[clients]]", "[limits]\nfhir_budget_ms = 5\n[[clients]]"),
            "limits.fhir_budget_ms: must be between",
        ),
        (("[[clients]]", "[limits]\nbites = 5\n[[clients]]"), "limits.bites: no such setting"),
        (("jwks_url", 'jwks_file = "nowhere.json"\njwks_url'), "jwks_url or jwks_file, not both"),
        (("profile", "profile = ["), "not valid TOML"),
        (("[[clients]]", 'ca_file = "nowhere.pem"\n[[clients]]'), "ca_file: holds no certificate"),
        (("[[clients]]", f'ca_file = "{__file__}"\n[[clients]]'), "ca_file: holds no certificate"),
        *(
            (
                ("[[clients]]", f'outbound_proxy = "{url}"\n[[clients]]'),
                "outbound_proxy: must be http://host:port",
            )
            for url in (
                "proxy",
                "proxy:3128",
                "https://proxy:3128",
                "http://proxy",
                "http://u:p@proxy:3128",
                "http://proxy:3128/x",
                "http://proxy:3128?x=1",
                "http://proxy:99999",
                "http://:3128",
            )
        ),
    ],
)
def test_a_setting_that_cannot_hold_is_refused_by_name(
    tmp_path: Path, change: tuple[str, str], complaint: str
) -> None:
    assert change[0] in PRODUCTION
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, PRODUCTION.replace(change[0], change[1], 1))
    assert complaint in str(refused.value)
    assert 1 == len(str(refused.value).splitlines())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("https://ehr", "http://ehr"), "must be https"),
        (("https://ehr.example.org/fhir", "ehr"), "not an absolute http(s) URL"),
        (('client_id = "planner"', ""), "client_id is missing"),
        (("client_id", 'auth = "none"\nclient_id'), "auth must be one of"),
        (("client_id", 'auth = "private_key_jwt"\nclient_id'), "key_file does not exist"),
        (("client_id", 'auth = "client_secret"\nclient_id'), "secret_file does not exist"),
        (("client_id", 'secret = "s"\nclient_id'), "secret: no such setting"),
    ],
)
def test_an_ehr_that_could_not_launch_the_app_is_refused_by_name(
    tmp_path: Path, change: tuple[str, str], complaint: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, PRODUCTION + SMART.replace(change[0], change[1], 1))
    assert complaint in str(refused.value)


@pytest.mark.parametrize("name", ["topics_off", "topics_silent"])
def test_a_topic_that_no_rule_has_is_refused_by_name(tmp_path: Path, name: str) -> None:
    named = read(tmp_path, PRODUCTION.replace("jwks_url", f'{name} = ["known", "x"]\njwks_url', 1))
    check_topics(named, {"known", "x"})
    with pytest.raises(
        SettingsError,
        match=r"^clients\[https://ehr.example.org\]: 'x' is not a topic of this service$",
    ):
        check_topics(named, {"known"})


def test_a_missing_file_is_one_line() -> None:
    with pytest.raises(SettingsError, match="settings file: cannot be read"):
        load("nowhere/settings.toml", {})


def test_effective_settings_are_shown_without_secrets(tmp_path: Path) -> None:
    shown = redacted(read(tmp_path, 'database_url = "postgresql+psycopg://cds:hunter2@db/cds"'))
    assert "postgresql+psycopg://***@db/cds" == shown["database_url"]
    assert "hunter2" not in str(shown)
