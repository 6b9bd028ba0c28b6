"""Who is calling: a signed token of a configured client is accepted once; anything else gets one refusal.

The rules are those of ``token_rules``. A call stops at the first that fails; an explanation shows them all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cds_service.auth.jwks import KEY_OF_ALGORITHM, PAUSE_AFTER_FAILURE, KeySource
from cds_service.auth.token_rules import (
    KEYS_UNAVAILABLE,
    LEEWAY,
    RULES,
    CannotTellError,
    RefusedError,
    Terms,
    TokenCheck,
    known,
    refuse,
)
from cds_service.auth.used_tokens import Use, UsedTokens
from cds_service.errors import Unauthorized, Unavailable
from cds_service.settings import Client, Settings

REFUSAL = (
    "This service answers clients that it knows and that sign each call. The call was not accepted."
)
NO_KEYS = "The keys of the calling client cannot be had now. Please try again."
ALGORITHMS = ("ES384", "RS384")
SANDBOX_ISSUER = (
    "https://sandbox.cds-hooks.org"  # its private key is public: never a client outside demos
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called, and by which token. ``tenant`` is "" where the token names none; ``retry``: the same call came before."""

    client: Client
    tenant: str
    jti: str
    retry: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """What one rule says about a token, for a person. ``verdict`` is pass, fail or not checked."""

    name: str
    verdict: str
    why: str


class ClientAuthentication:
    """Lets configured clients in.

    ``clock`` gives Unix seconds, ``algorithms`` may be any of ``KEY_OF_ALGORITHM``. The ``reason`` of what is raised
    is one stable word for each kind of refusal.
    """

    def __init__(
        self,
        settings: Settings,
        keys: KeySource,
        used: UsedTokens,
        clock: Callable[[], float] = time.time,
        *,
        algorithms: Sequence[str] = ALGORITHMS,
    ) -> None:
        if unknown := set(algorithms) - KEY_OF_ALGORITHM.keys():
            raise ValueError(
                f"not a signature algorithm of this service: {', '.join(sorted(unknown))}"
            )
        self._clients = known_clients(settings)
        self._keys = keys
        self._used = used
        self._clock = clock
        self._algorithms = tuple(algorithms)

    def admit(
        self,
        authorization_headers: Sequence[str],
        endpoint_urls: Sequence[str],
        request: Callable[[], str] = lambda: "",
    ) -> Caller:
        """The caller, whose token is used up by this; the one same Unauthorized for every fault of a token.

        ``request`` gives a hash of what is asked, and is called only for a token that is otherwise good: the same
        token with the same request is let in again for a moment (``used_tokens``).

        ``authorization_headers`` are all values of that header, ``endpoint_urls`` the public URLs of what is
        called, built from the configured base URL. Unavailable where the client's keys cannot be had.
        """
        terms = Terms(
            self._clients, self._keys, self._algorithms, tuple(endpoint_urls), self._clock()
        )
        try:
            case = TokenCheck(bearer_token(authorization_headers), terms)
            for _, check in RULES:
                check(case)
            return self._remember(case, request())
        except RefusedError as refused:
            reason = refused.reason
        except CannotTellError:
            reason = "undecided"
        if reason == KEYS_UNAVAILABLE:
            again = {"Retry-After": str(PAUSE_AFTER_FAILURE)}
            raise Unavailable(NO_KEYS, headers=again, reason=reason)
        raise Unauthorized(REFUSAL, headers={"WWW-Authenticate": "Bearer"}, reason=reason)

    def _remember(self, case: TokenCheck, request: str) -> Caller:
        client, jti, tenant = known(case.client), case.claim("jti"), case.claim("tenant")
        use = self._used.remember(client.issuer, jti, case.claim("exp") + LEEWAY, request)
        if use is Use.AGAIN:
            refuse("replayed", "the token was used before")
        return Caller(client, tenant if isinstance(tenant, str) else "", jti, use is Use.RETRY)


def known_clients(settings: Settings) -> tuple[Client, ...]:
    """The configured clients; outside the demo profile without the sandbox, whose private key anybody has."""
    return tuple(
        c for c in settings.clients if settings.is_demo or c.issuer.rstrip("/") != SANDBOX_ISSUER
    )


def bearer_token(authorization_headers: Sequence[str]) -> str:
    """The token of exactly one ``Bearer`` header (RFC 6750 2.1), not yet looked into; else RefusedError."""
    if not authorization_headers:
        refuse("no-token", "there is no Authorization header")
    if len(authorization_headers) > 1:
        refuse("many-tokens", "there is more than one Authorization header")
    scheme, _, token = authorization_headers[0].partition(" ")
    if scheme.lower() != "bearer":
        refuse("no-token", "the Authorization header is not of the Bearer scheme")
    return token


def explain_token(
    token: str,
    settings: Settings,
    keys: KeySource,
    now: float,
    endpoint_urls: Sequence[str] = (),
    *,
    algorithms: Sequence[str] = ALGORITHMS,
) -> list[Rule]:
    """Every rule's verdict on a token, in the order in which they apply; for the eyes of its owner only.

    ``now`` is in Unix seconds. The audience is judged against ``endpoint_urls``, if given.
    The token is not used up.
    """
    terms = Terms(known_clients(settings), keys, tuple(algorithms), tuple(endpoint_urls), now)
    return [
        *_verdicts(TokenCheck(token.strip(), terms)),
        Rule("replay", "not checked", "only the running service knows which tokens were used"),
    ]


def _verdicts(case: TokenCheck) -> Iterator[Rule]:
    for name, check in RULES:
        try:
            yield Rule(name, "pass", check(case))
        except RefusedError as refused:
            yield Rule(name, "fail", refused.why)
        except CannotTellError as unknown:
            yield Rule(name, "not checked", str(unknown) or "an earlier rule failed")
