"""Who may call: client authentication by signed token, then a rate limit per client."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress

from cds_service.auth.client_auth import ClientAuthentication
from cds_service.errors import ServiceError, TooManyRequests
from cds_service.settings import Client, Settings
from cds_service.web.call import Call
from cds_service.web.call_rate import CallRate, Share

OnRefusal = Callable[[str, str], None]  # why, request id


def make_admit(
    settings: Settings,
    authentication: ClientAuthentication | None,
    share: Share | None = None,
    on_refusal: OnRefusal = lambda _why, _request_id: None,
) -> Callable[[Call, str], Client | None]:
    """A function that names the client behind a call of a path, or raises Unauthorized, TooManyRequests or Unavailable.

    ``auth = hooks`` leaves discovery open, ``all`` guards it too (R27), ``off`` lets everybody in; then the only
    configured client, if there is just one, lends its rules. ``share`` adds the calls of all workers up;
    ``on_refusal`` hears one stable word for each refused token.
    """
    per_minute = settings.limits.requests_per_minute
    rate = CallRate(per_minute, share) if per_minute else None
    only = settings.clients[0] if len(settings.clients) == 1 else None

    def admit(call: Call, path: str) -> Client | None:
        client = only
        open_path = path == "/cds-services" and settings.auth_mode != "all"
        if authentication is not None and not open_path:
            client = authenticate(call, path)
        elif authentication is not None and call.header("authorization"):
            with suppress(ServiceError):  # a token that would not be let in: nobody has to show one
                client = authenticate(call, path)
        if rate is not None and not rate.admits(client.issuer if client else ""):
            raise TooManyRequests("Too many calls in this minute.", headers={"Retry-After": "60"})
        return client

    def authenticate(call: Call, path: str) -> Client:
        assert authentication is not None  # noqa: S101 - asked by those who looked; this tells the type checker
        shown = call.header("authorization")
        try:
            call.caller = authentication.admit(
                [shown] if shown else [],
                _audiences(path, settings),
                lambda: _hash_request(call, path, settings),
            )
        except ServiceError as refused:
            if refused.reason:
                on_refusal(refused.reason, call.request_id)
            raise
        return call.caller.client

    return admit


def _hash_request(call: Call, path: str, settings: Settings) -> str:
    """What is asked, as SHA-256 over method, path and body. The body of a caller with a good token is read for it."""
    limits = settings.limits
    limit = limits.feedback_bytes if path.endswith("/feedback") else limits.body_bytes
    body = call.read_body(limit) if call.method == "POST" else b""
    return hashlib.sha256(f"{call.method} {path}\n".encode() + body).hexdigest()


def _audiences(path: str, settings: Settings) -> list[str]:
    """The URL that was called, from the configured base and never from a header; for feedback also its service (R108)."""
    urls = [settings.base_url + path]
    if path.endswith("/feedback"):
        urls.append(settings.base_url + path.removesuffix("/feedback"))
    return urls
