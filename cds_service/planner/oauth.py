"""The titration app at an EHR's authorization server: discovery, authorization with PKCE, tokens, refresh.

Authlib speaks OAuth; every call goes through ``outbound.http``: listed server, pinned address, no redirect.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.exceptions import RequestException
from requests.structures import CaseInsensitiveDict

from cds_service.outbound.http import CallFailedError, Outbound
from cds_service.planner.discovery import Discoveries, SilentError
from cds_service.planner.registration import (
    Registration,
    algorithm,
    kid,
    read_secret,
    registrations,
)

__all__ = [
    "AccessToken",
    "Endpoints",
    "OauthFailedError",
    "Registration",
    "SmartOauth",
    "registrations",
    "scopes",
]

SECONDS = 5.0
USER_NAMES = ("fhirUser", "user", "username")  # token response: who signed in, where an EHR says it
DISCOVERY_SECONDS = 2.0
ASSERTION_SECONDS = 240  # SMART App Launch: at most five minutes
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_READ = (
    "MedicationRequest",
    "MedicationStatement",
    "MedicationDispense",
    "MedicationAdministration",
    "Condition",
)
_WRITE = ("MedicationRequest", "Task", "CarePlan")


class OauthFailedError(Exception):
    """No token was had; ``why`` is one stable word, ``said`` what the server wrote: untrusted."""

    def __init__(self, why: str, said: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.said = said


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What the EHR says of its authorization server. ``issuer`` is "" where it does not say."""

    authorize: str
    token: str
    issuer: str = ""
    capabilities: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token with its launch context. ``expires_at`` is in seconds since the epoch."""

    access: str = field(repr=False)
    expires_at: float
    scope: str
    patient: str = ""
    refresh: str = field(default="", repr=False)
    context: Mapping[str, Any] = field(default_factory=dict, repr=False)


class SmartOauth:
    """One redirect URI, the listed EHRs, and the calls to them."""

    def __init__(
        self,
        listed: Mapping[str, Registration],
        redirect_uri: str,
        *,
        allow_http: bool,
        outbound: Callable[[tuple[str, ...]], Outbound] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.listed = listed
        self.redirect_uri = redirect_uri
        self._allow_http = allow_http
        self._clock = clock
        self._outbound = outbound or (lambda urls: Outbound(urls, allow_http=allow_http))
        self._discoveries: Discoveries[Endpoints] = Discoveries()

    def endpoints(self, registration: Registration) -> Endpoints:
        """Where to authorize and to get tokens, from ``smart-configuration`` or else the capability statement."""
        try:
            return self._discoveries.get(registration.iss, lambda: self._discover(registration))
        except SilentError:
            raise OauthFailedError("no-authorization-server") from None

    def _discover(self, registration: Registration) -> Endpoints:
        found = self._read_configuration(registration.iss) or self._read_capability(
            registration.iss
        )
        if found is None or not (self._is_usable(found.authorize) and self._is_usable(found.token)):
            raise OauthFailedError("no-authorization-server")
        return found

    def authorization_url(
        self,
        registration: Registration,
        endpoints: Endpoints,
        *,
        state: str,
        verifier: str,
        launch: str,
    ) -> str:
        """The address to send the browser to; ``launch`` "" is a standalone launch."""
        session = OAuth2Session(
            registration.client_id,
            redirect_uri=self.redirect_uri,
            code_challenge_method="S256",
            scope=scopes(registration, endpoints, launch),
        )
        extra = {"launch": launch} if launch else {}
        url, _ = session.create_authorization_url(
            endpoints.authorize, state=state, code_verifier=verifier, aud=registration.iss, **extra
        )
        return str(url)

    def exchange(
        self, registration: Registration, token_url: str, code: str, verifier: str
    ) -> AccessToken:
        """The token for a code; raises OauthFailedError."""
        return self._ask(
            registration,
            token_url,
            lambda session: session.fetch_token(
                token_url, code=code, code_verifier=verifier, grant_type="authorization_code"
            ),
        )

    def refresh(
        self, registration: Registration, token_url: str, token: AccessToken
    ) -> AccessToken:
        """A fresh token for the same patient and context; raises OauthFailedError."""
        fresh = self._ask(
            registration,
            token_url,
            lambda session: session.refresh_token(token_url, refresh_token=token.refresh),
        )
        if fresh.patient and fresh.patient != token.patient:
            raise OauthFailedError("other-patient")
        return AccessToken(
            fresh.access,
            fresh.expires_at,
            fresh.scope or token.scope,
            token.patient,
            fresh.refresh or token.refresh,
            token.context,
        )

    def _ask(
        self,
        registration: Registration,
        token_url: str,
        ask: Callable[[OAuth2Session], Mapping[str, Any]],
    ) -> AccessToken:
        try:
            return _read_token(ask(self._session(registration, token_url)), self._clock())
        except OAuthError as error:
            said = ": ".join(str(part) for part in (error.error, error.description) if part)
            raise OauthFailedError(_known_error(error.error), said) from None
        except CallFailedError as error:
            raise OauthFailedError(error.why) from None
        except (RequestException, ValueError, TypeError, KeyError, JoseError, OSError):
            raise OauthFailedError("token-error") from None

    def _session(self, registration: Registration, token_url: str) -> OAuth2Session:
        methods = {"client_secret": "client_secret_basic", "private_key_jwt": "private_key_jwt"}
        method = methods.get(registration.auth, "none")
        secret = read_secret(registration)
        session = OAuth2Session(
            registration.client_id,
            secret,
            token_endpoint_auth_method=method,
            redirect_uri=self.redirect_uri,
        )
        if method == "private_key_jwt":
            session.register_client_auth_method(self._assertion(secret, token_url))
        session.trust_env = False
        adapter = _GuardedAdapter(self._outbound((token_url,)))
        session.adapters.clear()
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    def _assertion(self, key: ECKey | RSAKey, token_url: str) -> PrivateKeyJWT:
        now = int(self._clock())
        return PrivateKeyJWT(
            token_url,
            claims={"iat": now, "exp": now + ASSERTION_SECONDS},
            headers={"typ": "JWT", "kid": kid(key)},
            alg=algorithm(key),
        )

    def _read_configuration(self, iss: str) -> Endpoints | None:
        found = self._get(iss, "/.well-known/smart-configuration")
        if found is None:
            return None
        return Endpoints(
            _text(found, "authorization_endpoint"),
            _text(found, "token_endpoint"),
            _text(found, "issuer"),
            _texts(found, "capabilities"),
            _texts(found, "scopes_supported"),
        )

    def _read_capability(self, iss: str) -> Endpoints | None:
        """SMART 1: the oauth-uris extension of the capability statement."""
        found = self._get(iss, "/metadata")
        uris = {}
        for rest in _dicts(found, "rest"):
            for extension in _dicts(rest.get("security"), "extension"):
                if extension.get("url") == _OAUTH_URIS:
                    uris = {
                        _text(e, "url"): _text(e, "valueUri")
                        for e in _dicts(extension, "extension")
                    }
        return Endpoints(uris.get("authorize", ""), uris.get("token", "")) if uris else None

    def _get(self, iss: str, path: str) -> Mapping[str, Any] | None:
        try:
            answer = self._outbound((iss,)).call(
                "GET",
                iss + path,
                seconds=DISCOVERY_SECONDS,
                headers={"Accept": "application/json, application/fhir+json"},
            )
            found = json.loads(answer.body) if answer.status == 200 else None
        except CallFailedError as failure:
            if failure.why == "timeout":  # the next document would be waited for as long
                raise OauthFailedError("no-authorization-server") from None
            return None
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def _is_usable(self, url: str) -> bool:
        """An absolute URL without user, fragment or control characters; https, or http where that is allowed."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        schemes = {"https", "http"} if self._allow_http else {"https"}
        return (
            parts.scheme in schemes
            and bool(parts.hostname)
            and "@" not in parts.netloc
            and not parts.fragment
            and url.isascii()
            and url.isprintable()
            and " " not in url
        )


class _GuardedAdapter(BaseAdapter):
    """Carries the requests of Authlib through the guarded transport."""

    def __init__(self, outbound: Outbound) -> None:
        super().__init__()
        self._outbound = outbound

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        answer = self._outbound.call(
            str(request.method),
            str(request.url),
            seconds=SECONDS,
            headers=dict(request.headers),
            data=body,
        )
        response = Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict(answer.headers)
        response._content = answer.body
        response.request = request
        response.url = str(request.url)
        return response

    def close(self) -> None:
        """Nothing is kept open."""


def scopes(registration: Registration, endpoints: Endpoints, launch: str) -> str:
    """The configured scopes, or the least that the app needs, in the notation the server knows.

    ``launch`` "" asks the EHR for a patient.
    """
    context = "launch" if launch else "launch/patient"
    if registration.scopes:
        asked = [s for s in registration.scopes.split() if s not in {"launch", "launch/patient"}]
        return " ".join([context, *asked])
    read, write = ("rs", "c") if "permission-v2" in endpoints.capabilities else ("read", "write")
    asked = [
        f"patient/Patient.{'r' if read == 'rs' else read}",
        *(f"patient/{kind}.{read}" for kind in _READ),
        *(f"patient/{kind}.{write}" for kind in _WRITE),
    ]
    if "online_access" in endpoints.scopes:
        asked.append("online_access")
    return " ".join([context, *asked])


def _read_token(answer: Mapping[str, Any], now: float) -> AccessToken:
    access = answer.get("access_token")
    kind = str(answer.get("token_type", "")).lower()
    if (
        not isinstance(access, str)
        or not access.isascii()
        or not access.isprintable()
        or kind != "bearer"
    ):
        raise OauthFailedError("token-error")
    lifetime = answer.get("expires_in", 3600)
    seconds = float(lifetime) if isinstance(lifetime, int | float | str) else 3600.0
    patient = answer.get("patient", "")
    refresh = answer.get("refresh_token", "")
    context = {
        name: answer[name]
        for name in ("appContext", "need_patient_banner", *USER_NAMES)
        if name in answer
    }
    return AccessToken(
        access,
        now + max(0.0, min(seconds, 86_400.0)),
        str(answer.get("scope", "")),
        patient if isinstance(patient, str) else "",
        refresh if isinstance(refresh, str) else "",
        context,
    )


def _known_error(word: object) -> str:
    """The error codes of RFC 6749; every other word of a server is not repeated."""
    known = {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "invalid_scope",
        "unsupported_grant_type",
    }
    return str(word) if word in known else "token-error"


def _text(found: Mapping[str, Any] | None, name: str) -> str:
    value = (found or {}).get(name)
    return value if isinstance(value, str) else ""


def _texts(found: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = found.get(name)
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def _dicts(found: object, name: str) -> list[Mapping[str, Any]]:
    value = found.get(name) if isinstance(found, Mapping) else None
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []
