"""For an integration engineer: why a client's token would be refused, or a FHIR server could not be used, rule by rule."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import click

from cds_service.auth.client_auth import Rule, explain_token
from cds_service.auth.jwks import JwksCache
from cds_service.cli.options import load_settings, with_settings
from cds_service.ehr.missing_data import DEMO_BASES
from cds_service.hooks.services import SERVICES
from cds_service.outbound.addresses import Place, Resolver, find_base, pin, read_place
from cds_service.outbound.http import CallFailedError, HttpResponse
from cds_service.settings import Settings

_CALL_SECONDS = 5.0
_BEARER = "bearer "
_COLOURS = {"pass": "green", "fail": "red", "not checked": "yellow"}


@click.group()
def doctor() -> None:
    """Explain why a token or a FHIR server would be refused, rule by rule."""


@doctor.command(name="jwt")
@click.argument("file", type=click.File("r", errors="replace"))
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    help="URL that was called; default: every URL of this service.",
)
@with_settings
def explain_jwt(file: Iterable[str], endpoints: Sequence[str], settings_file: str | None) -> None:
    """Explain the client token in FILE (or -); exit 1 if a rule fails."""
    _show(doctor_jwt("".join(file), load_settings(settings_file), time.time(), endpoints))


@doctor.command(name="fhir")
@click.argument("url")
@click.option("--offline", is_flag=True, help="Resolve the name, but do not call the server.")
@with_settings
def explain_fhir(url: str, offline: bool, settings_file: str | None) -> None:
    """Explain whether the FHIR server at URL could be used; exit 1 if a rule fails."""
    _show(doctor_fhir(url, load_settings(settings_file), call=not offline))


def _show(rules: Sequence[Rule]) -> None:
    for rule in rules:
        click.echo(
            f"{click.style(rule.verdict.ljust(11), fg=_COLOURS[rule.verdict])} {rule.name:<10} {rule.why}"
        )
    sys.exit(1 if any(rule.verdict == "fail" for rule in rules) else 0)


def doctor_jwt(
    token_text: str, settings: Settings, now: float, endpoints: Sequence[str] = ()
) -> list[Rule]:
    """What each rule says of a token at ``now`` (Unix seconds); its keys are fetched as the service would fetch them.

    The text may begin with "Bearer ". Without ``endpoints`` the token may be meant for any URL of this service.
    The result quotes the token: it is for the eyes of its owner.
    """
    from cds_service.app import jwks_getter  # noqa: PLC0415 - the app takes half a second, for --help too

    keys = JwksCache(jwks_getter(settings), patience=settings.limits.jwks_timeout_ms / 1_000)
    token = token_text.strip()
    if token[: len(_BEARER)].lower() == _BEARER:
        token = token[len(_BEARER) :]
    return explain_token(token, settings, keys, now, tuple(endpoints) or _own_urls(settings))


def doctor_fhir(
    url: str,
    settings: Settings,
    *,
    call: bool = True,
    resolver: Resolver = socket.getaddrinfo,
    trust: ssl.SSLContext | None = None,
) -> list[Rule]:
    """What each rule says of a FHIR base URL; with ``call``, and only if no rule fails, its /metadata is read.

    ``resolver`` and ``trust`` are those of ``Outbound``. No token is ever sent.
    """
    place = read_place(url)
    if place is None or place.query or "?" in url:
        later = ("listed", "https", "address", "answer")
        return [
            Rule(
                "url",
                "fail",
                "not an absolute http(s) URL in the usual form, or one with a query or userinfo",
            ),
            *(Rule(name, "not checked", "the URL could not be read") for name in later),
        ]
    rules = [
        Rule(
            "url",
            "pass",
            f"scheme {place.scheme}, host {place.host}, port {place.port}, "
            f"path /{'/'.join(place.segments)}",
        ),
        _listed(place, settings),
        _https(place, settings),
        _address(place, resolver),
    ]
    if not call or any(rule.verdict == "fail" for rule in rules):
        why = "not asked to call it" if not call else "an earlier rule failed"
        return [*rules, Rule("answer", "not checked", why)]
    return [*rules, _answer(place, settings, resolver, trust)]


def _own_urls(settings: Settings) -> tuple[str, ...]:
    services = [f"{settings.base_url}/cds-services/{name}" for name in SERVICES]
    return (*services, *(f"{service}/feedback" for service in services))


def _listed(place: Place, settings: Settings) -> Rule:
    found = list(_who_lists(place, settings))
    if not found:
        return Rule(
            "listed",
            "fail",
            "no client's fhir_bases names it: scheme, host, port and whole path must be the same",
        )
    return Rule("listed", "pass", "; ".join(found))


def _who_lists(place: Place, settings: Settings) -> Iterator[str]:
    for client in settings.clients:
        if entry := find_base(place, client.fhir_bases):
            yield f"client {client.name or client.issuer} lists {entry}"
    if settings.is_demo and (entry := find_base(place, DEMO_BASES)):
        yield f"the demo profile lists {entry}"


def _https(place: Place, settings: Settings) -> Rule:
    if place.scheme == "https":
        return Rule("https", "pass", "the connection is encrypted")
    if settings.is_demo:
        return Rule("https", "pass", "http is let through in the demo profile only")
    return Rule("https", "fail", "the production profile calls https servers only")


def _address(place: Place, resolver: Resolver) -> Rule:
    try:
        addresses = pin(place, resolver)
    except (OSError, ValueError):
        return Rule("address", "fail", f"the name {place.host} has no address here")
    if not addresses:
        return Rule(
            "address",
            "fail",
            f"the name {place.host} leads to an address that no listed name may lead to "
            "(loopback, link-local, metadata, multicast or reserved)",
        )
    return Rule("address", "pass", f"{', '.join(addresses)} may be called")


def _answer(
    place: Place, settings: Settings, resolver: Resolver, trust: ssl.SSLContext | None
) -> Rule:
    from cds_service.app import make_outbound  # noqa: PLC0415 - as above

    outbound = make_outbound(settings)
    outbound = replace(
        outbound,
        listed=(place.url,),
        max_bytes=settings.limits.fhir_bytes * 5,
        resolver=resolver,
        trust=trust or outbound.trust,
    )
    try:
        answer = outbound.call(
            "GET",
            f"{place.url}/metadata",
            seconds=_CALL_SECONDS,
            headers={"Accept": "application/fhir+json"},
        )
    except CallFailedError as failure:
        return Rule(
            "answer", "fail", f"GET /metadata failed: {_MEANING.get(failure.why, failure.why)}"
        )
    return _read_metadata(answer)


_MEANING = {
    "timeout": f"no whole answer within {_CALL_SECONDS:.0f} s",
    "unreachable": "nothing accepts connections there",
    "tls": "TLS failed: an old version, or a certificate that is not trusted here or is for another name",
    "redirect": "it answers with a redirect, which is never followed",
    "too-large": "the answer is larger than accepted",
    "broken": "the connection broke or did not speak HTTP",
}


def _read_metadata(answer: HttpResponse) -> Rule:
    if answer.status != 200:
        return Rule("answer", "fail", f"GET /metadata answered {answer.status}")
    try:
        statement = json.loads(answer.body)
    except (ValueError, RecursionError):
        return Rule("answer", "fail", "GET /metadata answered something that is not JSON")
    if not isinstance(statement, dict) or statement.get("resourceType") not in (
        "CapabilityStatement",
        "Conformance",
    ):
        return Rule("answer", "fail", "GET /metadata answered JSON that is no CapabilityStatement")
    return Rule(
        "answer",
        "pass",
        f"reachable, FHIR version {str(statement.get('fhirVersion', 'not stated'))[:20]}",
    )
