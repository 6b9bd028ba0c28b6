"""One frozen settings object, read once at start from a TOML file and ``NALTREXONE_CDS_*`` variables.

A bad setting raises ``SettingsError`` with one line that says what to change, before any port is bound.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ENV_PREFIX = "NALTREXONE_CDS_"
FILE_VARIABLE = "NALTREXONE_CDS_SETTINGS"
_SMART_MEMBERS = frozenset({"client_id", "auth", "key_file", "secret_file", "scopes"})
SANDBOX_ORIGINS = ("https://sandbox.cds-hooks.org", "http://localhost:8080")
TOPICS = frozenset({
    "naltrexone-opioid-interaction", "naltrexone-off-label", "naltrexone-dose-check",
    "naltrexone-patient-safety", "naltrexone-data-gap",
})


class SettingsError(Exception):
    """One line for a person: which setting, what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Client:
    """An EHR that may call us. ``issuer`` is the ``iss`` of its tokens; keys come from ``jwks_url`` or ``jwks_file``."""

    issuer: str
    name: str = ""
    tenants: tuple[str, ...] = ()              # empty: any, or none
    jwks_url: str = ""
    jwks_file: str = ""
    jku: tuple[str, ...] = ()                  # exact URLs that a token header may name
    fhir_bases: tuple[str, ...] = ()           # exact FHIR base URLs that this client may have us call
    null_means_unknown: bool = False           # a prefetch null is "not fetched", not "none" (conformance R52)
    strict_412: bool = False                   # conformance section 8, decision 1
    topics_off: tuple[str, ...] = ()           # neither evaluated into a card nor recorded as shown
    topics_silent: tuple[str, ...] = ()        # evaluated and recorded, not shown
    feedback_quota: int = 100_000              # stored feedback items before 503


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may cost. Bytes, milliseconds and counts."""

    body_bytes: int = 5_000_000
    feedback_bytes: int = 64_000
    feedback_items: int = 200
    fhir_budget_ms: int = 1_200                # wall clock for all FHIR access of one call, 200 to 4000
    fhir_bytes: int = 2_000_000                # per answer, after inflating
    fhir_pages: int = 10                       # per search
    requests_per_minute: int = 6_000           # per client; 0 = unlimited


@dataclass(frozen=True, slots=True)
class Smart:
    """The titration app at an EHR's authorization server."""

    issuers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # iss -> client_id, auth, key file...
    frame_ancestors: tuple[str, ...] = ()      # EHR origins that may embed the app
    key_file: str = ""                         # key of the sessions, shared by replicas; "" = made once in data_dir


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the service was told. ``public_base_url`` is what EHRs call us by; it never comes from a header."""

    profile: str = "demo"                      # demo | production
    host: str = "127.0.0.1"
    port: int = 8000
    public_base_url: str = ""                  # "" in the demo profile: http://host:port
    data_dir: str = "var"
    database_url: str = ""                     # "" = SQLite in data_dir
    time_zone: str = "UTC"
    auth: str = ""                             # off | hooks | all; "" = off in demo, hooks in production
    audit: str = "best-effort"                 # best-effort | required | off
    audit_key_file: str = ""                   # key of the patient hash; "" = made once in data_dir
    audit_prescribers: bool = False            # keep a keyed hash of who prescribed with each shown card
    audit_retention_days: int = 0              # 0 = keep
    high_water_file: str = ""                  # how much the store has held, apart from it; "" = in data_dir
    log_level: str = "INFO"
    metrics: str = ""                          # on | off: /metrics; "" = on in demo, off in production
    traces_endpoint: str = ""                  # OTLP over HTTP, e.g. http://collector:4318/v1/traces; "" = no traces
    trusted_proxy: bool = False                # believe X-Forwarded-* of exactly one proxy
    cors_origins: tuple[str, ...] = ()
    content_overlay: str = ""                  # a folder of cards/ files that replace ours
    terminology_dir: str = ""                  # drug tables made by ``terminology build``; "" = the packaged ones
    threads: int = 256                         # started when needed; one slow body holds one of them
    workers: int = 1
    clients: tuple[Client, ...] = ()
    limits: Limits = Limits()
    smart: Smart = Smart()

    @property
    def base_url(self) -> str:
        """The public base URL without a trailing slash."""
        return (self.public_base_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def is_demo(self) -> bool:
        return self.profile == "demo"

    @property
    def auth_mode(self) -> str:
        return self.auth or ("off" if self.is_demo else "hooks")

    @property
    def has_metrics(self) -> bool:
        return (self.metrics or ("on" if self.is_demo else "off")) == "on"

    @property
    def high_water(self) -> Path:
        """The file that says how much the store has held."""
        return Path(self.high_water_file) if self.high_water_file else Path(self.data_dir) / "high-water.json"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def fhir_bases(self) -> tuple[str, ...]:
        return tuple(base for client in self.clients for base in client.fhir_bases)

    @property
    def database(self) -> str:
        """SQLAlchemy URL of the store."""
        return self.database_url or f"sqlite:///{Path(self.data_dir).resolve() / 'store.sqlite3'}"


def load(path: str | None = None, environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Settings from file, then environment, then overrides (None = not given); raises SettingsError."""
    environ = os.environ if environ is None else environ
    raw = _read_file(path) if path else {}
    raw = {**raw, **_from_environment(environ), **{k: v for k, v in overrides.items() if v is not None}}
    settings: Settings = _build(Settings, raw, "")
    if settings.is_demo and not settings.cors_origins:
        settings = replace(settings, cors_origins=SANDBOX_ORIGINS)
    check(settings)
    return settings


def load_for_worker() -> Settings:
    """The same settings inside a server worker, which inherits only the environment."""
    return load(os.environ.get(FILE_VARIABLE) or None)


def check(settings: Settings) -> None:
    """Raise SettingsError for the first thing that this service refuses to run with."""
    for complaint in complaints(settings):
        raise SettingsError(complaint)


def complaints(settings: Settings) -> list[str]:
    """Every reason not to start, one line each."""
    found = [*_value_complaints(settings)]
    for client in settings.clients:
        found += _client_complaints(client, settings.is_demo)
    for iss, conf in settings.smart.issuers.items():
        found += _smart_complaints(iss, conf, settings.is_demo)
    if not settings.is_demo:
        found += _production_complaints(settings)
    return found


def _value_complaints(s: Settings) -> list[str]:
    allowed = {
        "profile": ({"demo", "production"}, s.profile), "auth": ({"", "off", "hooks", "all"}, s.auth),
        "audit": ({"best-effort", "required", "off"}, s.audit),
        "metrics": ({"", "on", "off"}, s.metrics),
        "log_level": ({"DEBUG", "INFO", "WARNING", "ERROR"}, s.log_level),
    }
    found = [f"{name}: must be one of {', '.join(sorted(x for x in values if x))}"
             for name, (values, value) in allowed.items() if value not in values]
    numbers = {"audit_retention_days": (0, 36_500, s.audit_retention_days),
               "port": (0, 65535, s.port), "threads": (1, 1024, s.threads), "workers": (1, 64, s.workers),
               "limits.fhir_budget_ms": (200, 4000, s.limits.fhir_budget_ms),
               "limits.body_bytes": (10_000, 100_000_000, s.limits.body_bytes)}
    found += [f"{name}: must be between {low} and {high}" for name, (low, high, value) in numbers.items()
              if not low <= value <= high]
    if s.is_demo and s.auth_mode == "off" and not _is_loopback(s.host):
        found.append("host: without client authentication only a loopback address may be served, such as 127.0.0.1")
    try:
        ZoneInfo(s.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        found.append("time_zone: not a time zone of the IANA database")
    found += [f"{name}: there is no such folder" for name in ("content_overlay", "terminology_dir")
              if getattr(s, name) and not Path(getattr(s, name)).is_dir()]
    if s.traces_endpoint and not _is_http_url(s.traces_endpoint):
        found.append("traces_endpoint: must be an absolute http(s) URL")
    if s.public_base_url and not _is_http_url(s.public_base_url):
        found.append("public_base_url: must be an absolute http(s) URL")
    found += [f"cors_origins: {origin!r} is not an origin (scheme://host[:port])" for origin in s.cors_origins
              if not _is_origin(origin)]
    found += [f"smart.frame_ancestors: {origin!r} is not an origin (scheme://host[:port])"
              for origin in s.smart.frame_ancestors if not _is_origin(origin)]
    return found


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _client_complaints(client: Client, demo: bool) -> list[str]:
    who = f"clients[{client.name or client.issuer}]"
    found = []
    if not client.issuer:
        found.append(f"{who}: issuer is missing")
    if not demo and client.issuer.rstrip("/") == SANDBOX_ORIGINS[0]:
        found.append(f"{who}: the sandbox's private key is public, so the production profile does not take it as a client")
    if client.jwks_url and client.jwks_file:
        found.append(f"{who}: give jwks_url or jwks_file, not both")
    if not demo and not (client.jwks_url or client.jwks_file or client.jku):
        found.append(f"{who}: needs jwks_url, jwks_file or jku, or no token of it can be checked")
    if client.jwks_file and not Path(client.jwks_file).is_file():
        found.append(f"{who}: jwks_file does not exist")
    for url in (*client.jku, *client.fhir_bases, *((client.jwks_url,) if client.jwks_url else ())):
        if not _is_http_url(url):
            found.append(f"{who}: {url!r} is not an absolute http(s) URL")
        elif not demo and not url.startswith("https://"):
            found.append(f"{who}: {url!r} must be https in the production profile")
    found += [f"{who}: {topic!r} is not a topic of this service"
              for topic in (*client.topics_off, *client.topics_silent) if topic not in TOPICS]
    return found


def _smart_complaints(iss: str, conf: Mapping[str, str], demo: bool) -> list[str]:
    """What keeps the titration app from being launched at this EHR."""
    who = f"smart.issuers[{iss}]"
    auth = conf.get("auth", "public")
    secret = {"private_key_jwt": "key_file", "client_secret": "secret_file"}.get(auth)
    found = [f"{who}: {name}: no such setting" for name in sorted(set(conf) - _SMART_MEMBERS)]
    if not _is_http_url(iss):
        found.append(f"{who}: not an absolute http(s) URL")
    elif not demo and not iss.startswith("https://"):
        found.append(f"{who}: must be https in the production profile")
    if not conf.get("client_id"):
        found.append(f"{who}: client_id is missing")
    if auth not in {"public", "private_key_jwt", "client_secret"}:
        found.append(f"{who}: auth must be one of client_secret, private_key_jwt, public")
    if secret and not Path(conf.get(secret, "")).is_file():
        found.append(f"{who}: {secret} does not exist")
    return found


def _production_complaints(s: Settings) -> list[str]:
    found = []
    if not s.clients:
        found.append("clients: the production profile needs at least one [[clients]] entry")
    if not s.public_base_url.startswith("https://"):
        found.append("public_base_url: the production profile needs an https base URL")
    if s.clients and not s.fhir_bases:
        found.append("clients: the production profile needs an allow-list of FHIR servers (fhir_bases)")
    if s.auth_mode == "off":
        found.append("auth: the production profile does not run without client authentication")
    if os.environ.get("FLASK_DEBUG", "") not in ("", "0"):
        found.append("FLASK_DEBUG: must not be set in the production profile")
    return found


def redacted(settings: Settings) -> dict[str, Any]:
    """The effective settings for a person, without secrets (a database URL loses its password)."""
    shown: dict[str, Any] = _plain(settings)
    if settings.database_url:
        parts = urlsplit(settings.database_url)
        host = parts.hostname or ""
        secret = parts.password or "password" in parts.query
        shown["database_url"] = f"{parts.scheme}://***@{host}{parts.path}" if secret else settings.database_url
    shown["smart"]["issuers"] = {iss: {k: ("***" if "secret" in k else v) for k, v in conf.items()}
                                 for iss, conf in settings.smart.issuers.items()}
    return shown


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value


def _read_file(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"settings file: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file: not valid TOML ({error})") from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """``NALTREXONE_CDS_PORT=8080`` sets ``port``; lists are comma-separated; tables stay in the file."""
    simple = {f.name: f for f in fields(Settings) if f.name not in {"clients", "limits", "smart"}}
    found: dict[str, Any] = {}
    for name in simple:
        text = environ.get(ENV_PREFIX + name.upper())
        if text is not None:
            found[name] = _parse(name, text, type(getattr(Settings(), name)))
    return found


def _parse(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in {"true", "false", "1", "0"}:
            raise SettingsError(f"{name}: must be true or false")
        return text.lower() in {"true", "1"}
    if kind is int:
        try:
            return int(text)
        except ValueError:
            raise SettingsError(f"{name}: must be a whole number") from None
    if kind is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _build(kind: Any, raw: Mapping[str, Any], where: str) -> Any:
    known = {f.name: f for f in fields(kind)}
    for name in raw:
        if name not in known:
            raise SettingsError(f"{where}{name}: no such setting")
    defaults = {f.name: getattr(kind, f.name, None) for f in fields(kind)}
    plain = kind() if kind is not Client else Client(issuer="")
    missing = {"issuer": ""} if kind is Client else {}     # a complaint says so later, with the client's name
    return kind(**{**missing, **{name: _coerce(f"{where}{name}", value, getattr(plain, name, defaults.get(name)))
                                 for name, value in raw.items()}})


def _coerce(where: str, value: Any, like: Any) -> Any:
    if where == "clients":
        if not isinstance(value, list | tuple):
            raise SettingsError("clients: must be a list of [[clients]] tables")
        return tuple(v if isinstance(v, Client) else _build(Client, _table(f"clients[{i}]", v), f"clients[{i}].")
                     for i, v in enumerate(value))
    if isinstance(like, Limits | Smart):
        return value if isinstance(value, type(like)) else _build(type(like), _table(where, value), f"{where}.")
    if isinstance(like, bool) != isinstance(value, bool):
        raise SettingsError(f"{where}: must be {'true or false' if isinstance(like, bool) else 'no boolean'}")
    if isinstance(like, int) and not isinstance(value, int):
        raise SettingsError(f"{where}: must be a whole number")
    if isinstance(like, str) and not isinstance(value, str):
        raise SettingsError(f"{where}: must be text")
    if isinstance(like, tuple):
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise SettingsError(f"{where}: must be a list of texts")
        return tuple(value)
    if isinstance(like, Mapping):
        tables = _table(where, value)
        return {name: {k: str(v) for k, v in _table(f"{where}.{name}", conf).items()} for name, conf in tables.items()}
    return value


def _table(where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{where}: must be a table")
    return value


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc


def _is_origin(text: str) -> bool:
    return (_is_http_url(text) and not urlsplit(text).path and not urlsplit(text).query and text == text.lower()
            and "*" not in text)
