"""Key pairs, key sets and tokens of a test EHR, made here; nothing in this file is a key of anybody."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cds_service.auth.client_auth import ALGORITHMS, ClientAuthentication
from cds_service.auth.jwks import JwksCache, KeySource
from cds_service.auth.used_tokens import SeenTokens
from cds_service.errors import Unauthorized, Unavailable
from cds_service.settings import Client, Settings
from cds_service.store.store import open_store

NOW = 1_800_000_000.0
BASE = "https://cds.example.org"
ENDPOINT = f"{BASE}/cds-services/naltrexone-order-select"
ISSUER = "https://ehr.example.com"
JWKS_URL = "https://ehr.example.com/jwks.json"
KID = "ehr-key-1"
CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


@cache
def private_key(name: str = "P-384", number: int = 0) -> Any:
    """A private key: "P-384" and the like, or "RSA-2048"; another ``number`` is another key."""
    if name.startswith("RSA-"):
        return rsa.generate_private_key(65_537, int(name.removeprefix("RSA-")))
    return ec.generate_private_key(CURVES[name])


def jwk(name: str = "P-384", number: int = 0, **members: Any) -> dict[str, Any]:
    """The public JWK of that key; ``members`` are added, None takes one away."""
    algorithm = (
        jwt.algorithms.RSAAlgorithm if name.startswith("RSA-") else jwt.algorithms.ECAlgorithm
    )
    public = algorithm.to_jwk(private_key(name, number).public_key(), as_dict=True)
    public.pop("key_ops", None)
    return {
        k: v for k, v in {**public, "kid": KID, "use": "sig", **members}.items() if v is not None
    }


def private_jwk(name: str = "P-384") -> dict[str, Any]:
    """The JWK of that key with its private members, as nobody should publish it."""
    algorithm = (
        jwt.algorithms.RSAAlgorithm if name.startswith("RSA-") else jwt.algorithms.ECAlgorithm
    )
    return {**algorithm.to_jwk(private_key(name), as_dict=True), "kid": KID, "use": "sig"}


def public_pem(name: str = "P-384") -> bytes:
    return (
        private_key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )


def key_set(*keys: Mapping[str, Any]) -> bytes:
    return json.dumps({"keys": keys or [jwk()]}).encode()


def claims(**members: Any) -> dict[str, Any]:
    """The claims of an acceptable token at NOW; ``members`` replace or add some, None takes one away."""
    plain = {"iss": ISSUER, "aud": ENDPOINT, "iat": NOW, "exp": NOW + 300, "jti": "jti-1"}
    return {name: value for name, value in {**plain, **members}.items() if value is not None}


def token(
    key: str = "P-384",
    *,
    alg: str = "ES384",
    number: int = 0,
    header: Mapping[str, Any] | None = None,
    **members: Any,
) -> str:
    """A signed token; ``header`` replaces or adds header members (None takes it away), ``members`` claims."""
    head = {"alg": alg, "typ": "JWT", "kid": KID, **(header or {})}
    head = {name: value for name, value in head.items() if value is not None}
    return sign(head, json.dumps(claims(**members)).encode(), key, alg, number)


def sign(
    head: Mapping[str, Any], payload: bytes, key: str = "P-384", alg: str = "ES384", number: int = 0
) -> str:
    """A compact token with exactly this header and payload: PyJWT would refuse to write the bad ones."""
    signed = b".".join((part(json.dumps(head).encode()), part(payload)))
    signature = jwt.get_algorithm_by_name(alg).sign(signed, private_key(key, number))
    return b".".join((signed, part(signature))).decode()


def part(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


class PublishedAt:
    """A web of key sets: URL -> document, or an exception to raise; ``fetched`` are the URLs asked for."""

    def __init__(self, documents: Mapping[str, bytes | Exception] | None = None) -> None:
        self.documents = {JWKS_URL: key_set()} if documents is None else dict(documents)
        self.fetched: list[str] = []

    def __call__(self, url: str) -> bytes:
        self.fetched.append(url)
        document = self.documents[url]
        if isinstance(document, Exception):
            raise document
        return document


def publishing(*keys: Mapping[str, Any]) -> KeySource:
    """A key source where the EHR publishes these keys."""
    return JwksCache(PublishedAt({JWKS_URL: key_set(*keys)}))


def settings(*clients: Client, profile: str = "production") -> Settings:
    return Settings(profile=profile, public_base_url=BASE, clients=clients or (ehr(),))


def ehr(**members: Any) -> Client:
    return Client(**{"issuer": ISSUER, "name": "test EHR", "jwks_url": JWKS_URL, **members})


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


class Entrance:
    """Client authentication with a clock and a web of its own; ``reasons`` are the refusals so far."""

    def __init__(
        self,
        store: Path,
        *clients: Client,
        web: PublishedAt | None = None,
        profile: str = "production",
        algorithms: Sequence[str] = ALGORITHMS,
    ) -> None:
        self.clock = Clock()
        self.web = web or PublishedAt()
        self.reasons: list[str] = []
        self.store = open_store(f"sqlite:///{store / 'store.sqlite3'}")
        self.authentication = ClientAuthentication(
            settings(*clients, profile=profile),
            JwksCache(self.web, self.clock),
            SeenTokens(self.store.writer, self.clock),
            self.clock,
            algorithms=algorithms,
        )

    def says(self, token: str, *endpoints: str) -> str:
        """ "admitted" or the reason of the refusal of ``Authorization: Bearer {token}``."""
        return self.answers([f"Bearer {token}"], *endpoints)

    def answers(self, headers: Sequence[str], *endpoints: str) -> str:
        """ "admitted" or the reason of the refusal of these Authorization headers."""
        try:
            self.authentication.admit(headers, endpoints or (ENDPOINT,))
        except (Unauthorized, Unavailable) as refused:
            self.reasons.append(refused.reason)
            return refused.reason
        return "admitted"
