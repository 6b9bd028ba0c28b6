"""Who may call: client authentication by signed token, then a rate limit per client."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from flask import g, request

from cds_service.auth.client_auth import Caller, ClientAuthentication
from cds_service.errors import ServiceError, TooManyRequests
from cds_service.settings import Client, Settings
from cds_service.web.call_rate import CallRate, Share
from cds_service.web.wire import read_body


def make_admit(
    settings: Settings, authentication: ClientAuthentication | None, share: Share | None = None
) -> Callable[[str], Client | None]:
    """A function that names the client behind the current request or raises Unauthorized or TooManyRequests.

    ``auth = hooks`` leaves discovery open, ``all`` guards it too (R27), ``off`` lets everybody in; then the only
    configured client, if there is just one, lends its rules. ``share`` adds the calls of all workers up.
    """
    per_minute = settings.limits.requests_per_minute
    rate = CallRate(per_minute, share) if per_minute else None
    only = settings.clients[0] if len(settings.clients) == 1 else None

    def admit(path: str) -> Client | None:
        client = only
        open_path = path == "/cds-services" and settings.auth_mode != "all"
        if authentication is not None and not open_path:
            client = _authenticate(path, authentication, settings)
        elif authentication is not None and request.headers.get("Authorization"):
            client = _recognise(path, authentication, settings) or only
        if rate is not None and not rate.admits(client.issuer if client else ""):
            raise TooManyRequests("Too many calls in this minute.", headers={"Retry-After": "60"})
        return client

    return admit


def _recognise(
    path: str, authentication: ClientAuthentication, settings: Settings
) -> Client | None:
    """The client that asks where nobody has to say who it is; None for a token that would not be let in."""
    try:
        return _authenticate(path, authentication, settings)
    except ServiceError:
        return None


def _authenticate(path: str, authentication: ClientAuthentication, settings: Settings) -> Client:
    caller: Caller = authentication.admit(
        request.headers.getlist("Authorization"),
        _audiences(path, settings),
        lambda: _hash_request(path, settings),
    )
    g.caller = caller
    return caller.client


def _hash_request(path: str, settings: Settings) -> str:
    """What is asked, as SHA-256 over method, path and body. The body of a caller with a good token is read for it."""
    limits = settings.limits
    limit = limits.feedback_bytes if path.endswith("/feedback") else limits.body_bytes
    body = read_body(limit) if request.method == "POST" else b""
    return hashlib.sha256(f"{request.method} {path}\n".encode() + body).hexdigest()


def _audiences(path: str, settings: Settings) -> list[str]:
    """The URL that was called, from the configured base and never from a header; for feedback also its service (R108)."""
    urls = [settings.base_url + path]
    if path.endswith("/feedback"):
        urls.append(settings.base_url + path.removesuffix("/feedback"))
    return urls
