"""Every reason not to start with some settings, one line each."""

from __future__ import annotations

import os
import ssl
from collections.abc import Collection, Iterator
from ipaddress import ip_address
from itertools import combinations
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cds_service.settings.model import SANDBOX_ORIGINS, Client, Settings, SmartIssuer
from cds_service.settings.shape import NotSettingsError, shaped

_POSTGRES = frozenset({"postgres", "postgresql", "postgresql+psycopg"})


class SettingsError(Exception):
    """One line for a person: which setting, what is wrong with it."""


def check(settings: Settings) -> None:
    """Raise SettingsError for the first thing that this service refuses to run with."""
    for complaint in complaints(settings):
        raise SettingsError(complaint)


def complaints(settings: Settings) -> list[str]:
    """Every reason not to start: values out of their range, then values that do not go together."""
    try:
        shaped(settings)
    except NotSettingsError as error:
        return [*error.lines]
    found = [*_place_complaints(settings), *_origin_complaints(settings)]
    for client in settings.clients:
        found += _client_complaints(client, settings.is_demo)
    found += _twin_complaints(settings.clients)
    for iss, issuer in settings.smart.issuers.items():
        found += _smart_complaints(iss, issuer, settings.is_demo)
    if not settings.is_demo:
        found += _production_complaints(settings)
    return found


def _place_complaints(s: Settings) -> Iterator[str]:
    """Where we listen, count days, store and read."""
    if s.is_demo and s.auth_mode == "off" and not _is_loopback(s.host):
        yield (
            "host: without client authentication only a loopback address may be served, "
            "such as 127.0.0.1"
        )
    try:
        ZoneInfo(s.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield "time_zone: not a time zone of the IANA database"
    for name in ("content_overlay", "terminology_dir"):
        if getattr(s, name) and not Path(getattr(s, name)).is_dir():
            yield f"{name}: there is no such folder"
    if s.unknown_names_file and not Path(s.unknown_names_file).parent.is_dir():
        yield "unknown_names_file: there is no such folder to write it in"
    if s.content_acknowledged_by and not _is_name_and_role(s.content_acknowledged_by):
        yield "content_acknowledged_by: must be a name and a role: 'Name, role'"
    if s.audit_key_file and not Path(s.audit_key_file).is_file():
        yield "audit_key_file: does not exist"
    if s.database_url and not _is_database(s.database_url):
        yield "database_url: must be sqlite:///file or postgresql://user@host/database"
    if s.ca_file and not _holds_certificates(s.ca_file):
        yield "ca_file: holds no certificate in PEM form, or cannot be read"
    if s.outbound_proxy and not _is_proxy(s.outbound_proxy):
        yield "outbound_proxy: must be http://host:port, without user, path or query"
    if s.traces_endpoint and not _is_http_url(s.traces_endpoint):
        yield "traces_endpoint: must be an absolute http(s) URL"
    if s.public_base_url and not _is_http_url(s.public_base_url):
        yield "public_base_url: must be an absolute http(s) URL"


def _is_name_and_role(text: str) -> bool:
    name, _, role = text.partition(",")
    return all(any(map(str.isalpha, part)) for part in (name, role))


def _origin_complaints(s: Settings) -> Iterator[str]:
    listed = {"cors_origins": s.cors_origins, "smart.frame_ancestors": s.smart.frame_ancestors}
    for name, origins in listed.items():
        for origin in origins:
            if not _is_origin(origin):
                yield f"{name}: {origin!r} is not an origin (scheme://host[:port])"


def _client_complaints(client: Client, demo: bool) -> Iterator[str]:
    who = _called(client)
    if not demo and client.issuer.rstrip("/") == SANDBOX_ORIGINS[0]:
        yield (
            f"{who}: the sandbox's private key is public, so the production profile does not "
            "take it as a client"
        )
    if client.jwks_url and client.jwks_file:
        yield f"{who}: give jwks_url or jwks_file, not both"
    if not demo and not (client.jwks_url or client.jwks_file or client.jku):
        yield f"{who}: needs jwks_url, jwks_file or jku, or no token of it can be checked"
    if client.jwks_file and not Path(client.jwks_file).is_file():
        yield f"{who}: jwks_file does not exist"
    for url in (*client.jku, *client.fhir_bases, *((client.jwks_url,) if client.jwks_url else ())):
        if not _is_http_url(url):
            yield f"{who}: {url!r} is not an absolute http(s) URL"
        elif not demo and not url.startswith("https://"):
            yield f"{who}: {url!r} must be https in the production profile"


def check_topics(settings: Settings, topics: Collection[str]) -> None:
    """Raise SettingsError for a client's topic that is none of ``topics``, those of the rules above this room."""
    for client in settings.clients:
        for topic in (*client.topics_off, *client.topics_silent):
            if topic not in topics:
                raise SettingsError(f"{_called(client)}: {topic!r} is not a topic of this service")


def _twin_complaints(clients: tuple[Client, ...]) -> Iterator[str]:
    """Two clients that one token could mean: its rights would hang on their order in the file."""
    for one, other in combinations(clients, 2):
        overlap = {*one.tenants} & {*other.tenants} or not (one.tenants and other.tenants)
        if one.issuer == other.issuer and overlap:
            yield f"{_called(other)}: shares issuer and tenant with {_called(one)}"


def _called(client: Client) -> str:
    return f"clients[{client.name or client.issuer}]"


def _smart_complaints(iss: str, issuer: SmartIssuer, demo: bool) -> Iterator[str]:
    """What keeps the titration app from being launched at this EHR."""
    who = f"smart.issuers[{iss}]"
    if not _is_http_url(iss):
        yield f"{who}: not an absolute http(s) URL"
    elif not demo and not iss.startswith("https://"):
        yield f"{who}: must be https in the production profile"
    needed = {"private_key_jwt": "key_file", "client_secret": "secret_file"}.get(issuer.auth)
    if needed and not Path(getattr(issuer, needed)).is_file():
        yield f"{who}: {needed} does not exist"


def _production_complaints(s: Settings) -> Iterator[str]:
    if not s.clients:
        yield "clients: the production profile needs at least one [[clients]] entry"
    if not s.public_base_url.startswith("https://"):
        yield "public_base_url: the production profile needs an https base URL"
    if s.clients and not s.fhir_bases:
        yield "clients: the production profile needs an allow-list of FHIR servers (fhir_bases)"
    if s.auth_mode == "off":
        yield "auth: the production profile does not run without client authentication"
    if os.environ.get("FLASK_DEBUG", "") not in ("", "0"):
        yield "FLASK_DEBUG: must not be set in the production profile"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc


def _holds_certificates(file: str) -> bool:
    try:
        return bool(ssl.create_default_context(cafile=file).get_ca_certs())
    except (OSError, ValueError):  # ssl's own errors are OSErrors
        return False


def _is_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        plain = url.rstrip("/") == f"http://{parts.netloc}" and "@" not in parts.netloc
        return plain and bool(parts.hostname) and parts.port is not None
    except ValueError:
        return False


def _is_origin(text: str) -> bool:
    return (
        _is_http_url(text)
        and not urlsplit(text).path
        and not urlsplit(text).query
        and text == text.lower()
        and "*" not in text
    )


def _is_database(url: str) -> bool:
    """A file of SQLite, or a PostgreSQL database by the driver that we bring."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.scheme == "sqlite":
        return not parts.netloc and parts.path.strip("/") not in ("", ":memory:")
    return parts.scheme in _POSTGRES
