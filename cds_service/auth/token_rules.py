"""What makes a token acceptable, rule by rule: its form, its claims, its key and its signature.

joserfc reads the token and checks its signature; the rules around it say what else a token must be (conformance
T3). They are applied in the order of ``RULES``: nobody unknown makes us use the network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.util import json_b64decode

from cds_service.auth.jwks import KeySource, KeysUnavailableError, PublishedKey
from cds_service.settings import Client

KEYS_UNAVAILABLE = "keys-unavailable"  # the one reason that is no fault of the token
MAX_TOKEN = 8_192  # characters
MAX_JTI = 255  # characters
MAX_LIFETIME = 3_600  # seconds from iat to exp
LEEWAY = 60  # seconds that two clocks may differ
MAX_KEYS_TRIED = 4  # of one kid
_END_OF_TIME = 253_402_300_799  # 9999-12-31, the largest number read as a time
_FORBIDDEN_HEADERS = ("crit", "b64", "jwk", "x5u", "x5c", "zip", "enc")
T = TypeVar("T")

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class _Registry(jws.JWSRegistry):
    """joserfc's rules for one algorithm; members of a header that nobody knows are ignored (RFC 7515 4)."""

    max_header_length = max_signature_length = MAX_TOKEN

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithms=[algorithm], strict_check_header=False)


class RefusedError(Exception):
    """A rule fails: ``reason`` is a stable word that quotes nothing; ``why`` a sentence that may quote it."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.why = why


class CannotTellError(Exception):
    """A rule that needs what an earlier one did not find."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a token is held against. ``audiences`` are the URLs called, ``now`` is in Unix seconds."""

    clients: tuple[Client, ...]
    keys: KeySource
    algorithms: Sequence[str]
    audiences: tuple[str, ...]
    now: float


@dataclass(slots=True)
class TokenCheck:
    """One token under examination, and what the rules found so far."""

    token: str
    terms: Terms
    header: Mapping[str, Any] | None = None
    claims: Mapping[str, Any] | None = None
    clients: tuple[Client, ...] = ()
    client: Client | None = None
    kid: str | None = None
    algorithm: str | None = None
    candidates: tuple[PublishedKey, ...] = ()

    def head(self, name: str) -> Any:
        return known(self.header).get(name)

    def claim(self, name: str) -> Any:
        return known(self.claims).get(name)


def _check_form(case: TokenCheck) -> str:
    if len(case.token) > MAX_TOKEN:
        refuse("form", f"the token is longer than {MAX_TOKEN} characters")
    if not _COMPACT.fullmatch(case.token):
        refuse("form", "a token is three base64url parts with two dots, and nothing else")
    try:
        header, claims = (json_b64decode(part) for part in case.token.encode().split(b".")[:2])
    except (ValueError, RecursionError) as error:
        refuse("form", f"the token cannot be read ({type(error).__name__})")
    if not isinstance(header, dict) or not isinstance(claims, dict):
        refuse("form", "header and claims must be JSON objects")
    case.header, case.claims = header, claims
    return f"three parts, {len(case.token)} characters"


def _check_header(case: TokenCheck) -> str:
    header, typ, kid = known(case.header), case.head("typ"), case.head("kid")
    if forbidden := [name for name in _FORBIDDEN_HEADERS if name in header]:
        refuse("header", f"the header may not have {', '.join(forbidden)}")
    if "typ" in header and (not isinstance(typ, str) or typ.lower() != "jwt"):
        refuse("header", f"typ is {_quote(typ)}, not JWT")
    if not isinstance(kid, str) or not kid:
        refuse("header", "kid is missing: it names the key")
    case.kid = kid
    return f"kid {_quote(kid)}"


def _check_algorithm(case: TokenCheck) -> str:
    alg = case.head("alg")
    if not isinstance(alg, str) or alg not in case.terms.algorithms:
        refuse(
            "algorithm", f"alg is {_quote(alg)}, accepted are {', '.join(case.terms.algorithms)}"
        )
    case.algorithm = alg
    return alg


def _check_issuer(case: TokenCheck) -> str:
    iss = case.claim("iss")
    case.clients = tuple(c for c in case.terms.clients if c.issuer == iss)
    if not case.clients:
        refuse("issuer", f"iss is {_quote(iss)}, which is the issuer of no configured client")
    return f"client {case.clients[0].name or case.clients[0].issuer}"


def _check_audience(case: TokenCheck) -> str:
    aud = case.claim("aud")
    if not case.terms.audiences:
        raise CannotTellError(f"aud is {_quote(aud)}; say which URL is called to have it judged")
    named = aud if isinstance(aud, list) else [aud]
    wanted = {_without_slash(url) for url in case.terms.audiences}
    if not all(isinstance(url, str) for url in named) or not wanted & {
        _without_slash(url) for url in named
    }:
        refuse("audience", f"aud is {_quote(aud)}, the URL called is {' or '.join(sorted(wanted))}")
    return "aud is the URL called"


def _check_times(case: TokenCheck) -> str:
    now, issued, expires = case.terms.now, _time_claim(case, "iat"), _time_claim(case, "exp")
    if not 0 < expires - issued <= MAX_LIFETIME:
        refuse(
            "lifetime",
            f"exp is {expires - issued:.0f} s after iat, accepted are up to {MAX_LIFETIME} s",
        )
    if expires + LEEWAY <= now:
        refuse("expired", f"exp was {now - expires:.0f} s ago")
    if issued > now + LEEWAY:
        refuse("too-early", f"iat is {issued - now:.0f} s ahead of our clock")
    if "nbf" in known(case.claims) and _time_claim(case, "nbf") > now + LEEWAY:
        refuse("too-early", "nbf is ahead of our clock")
    return f"expires in {expires - now:.0f} s, lifetime {expires - issued:.0f} s"


def _check_tenant(case: TokenCheck) -> str:
    tenant = case.claim("tenant")
    if not case.clients:
        raise CannotTellError
    case.client = next((c for c in case.clients if not c.tenants or tenant in c.tenants), None)
    if case.client is None:
        refuse("tenant", f"tenant is {_quote(tenant)}, which this client may not name")
    return "any tenant" if not case.client.tenants else f"tenant {tenant}"


def _check_keys(case: TokenCheck) -> str:
    client, kid, alg = known(case.client), known(case.kid), known(case.algorithm)
    where = _place_of_keys(client, case)
    try:
        found = case.terms.keys.find(where, kid)
    except KeysUnavailableError as error:
        refuse(KEYS_UNAVAILABLE, f"the keys at {where} cannot be had ({error})")
    if not found:
        refuse("unknown-key", f"there is no key {_quote(kid)} at {where}")
    case.candidates = tuple(key for key in found if not key.objection(alg))[:MAX_KEYS_TRIED]
    if not case.candidates:
        refuse("unfit-key", f"the key at {where} cannot be used: {found[0].objection(alg)}")
    return f"found at {where}"


def _check_signature(case: TokenCheck) -> str:
    if not case.candidates:
        raise CannotTellError
    if not any(_signed_by(key, case) for key in case.candidates):
        refuse("signature", "the signature is not that of the published key")
    return f"signed with the published key ({case.candidates[0].kind})"


def _check_jti(case: TokenCheck) -> str:
    jti = case.claim("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI:
        refuse("jti", f"jti must be a text of 1 to {MAX_JTI} characters")
    return f"jti {_quote(jti)}"


RULES: tuple[tuple[str, Callable[[TokenCheck], str]], ...] = (
    ("form", _check_form),
    ("header", _check_header),
    ("algorithm", _check_algorithm),
    ("issuer", _check_issuer),
    ("audience", _check_audience),
    ("times", _check_times),
    ("tenant", _check_tenant),
    ("keys", _check_keys),
    ("signature", _check_signature),
    ("jti", _check_jti),
)


def _place_of_keys(client: Client, case: TokenCheck) -> str:
    """The URL or file with this client's keys: a pinned file before a jku, and only a jku that is listed."""
    jku = case.head("jku")
    if "jku" in known(case.header) and (not jku or jku not in (*client.jku, client.jwks_url)):
        refuse("jku", f"jku is {_quote(jku)}, which is not listed for this client")
    where = client.jwks_file or jku or client.jwks_url
    if not where:
        refuse(
            "no-keys", "the token names no jku, and neither jwks_url nor jwks_file is configured"
        )
    return str(where)


def _signed_by(key: PublishedKey, case: TokenCheck) -> bool:
    try:
        jws.deserialize_compact(case.token, key.key, registry=_Registry(known(case.algorithm)))
    except (JoseError, ValueError):
        return False
    return True


def _time_claim(case: TokenCheck, name: str) -> float:
    value = case.claim(name)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value <= _END_OF_TIME
    ):
        refuse("time-claim", f"{name} is {_quote(value)}, not a time in seconds")
    return value


def known(value: T | None) -> T:
    if value is None:
        raise CannotTellError
    return value


def _without_slash(url: str) -> str:
    return url.removesuffix("/")


def _quote(value: Any) -> str:
    return "missing" if value is None else repr(value)[:200]


def refuse(reason: str, why: str) -> NoReturn:
    raise RefusedError(reason, why)
