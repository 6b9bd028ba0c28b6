"""How the titration app is known at each EHR: client id, way of authentication, keys and secrets from files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, KeySet, RSAKey

from cds_service.settings import Settings


@dataclass(frozen=True, slots=True)
class Registration:
    """How this app is known at one EHR (settings ``smart.issuers``)."""

    iss: str
    client_id: str
    auth: str = "public"  # public | client_secret | private_key_jwt
    key_file: str = ""
    secret_file: str = ""
    scopes: str = ""


DEMO_CLIENT = "naltrexone-titration-demo"
_DEMO_LAUNCHER = re.compile(
    r"https://launch\.smarthealthit\.org/v/r[234]/(sim/[A-Za-z0-9_=-]{1,1500}/)?fhir"
)
_LOOPBACK_LAUNCHER = re.compile(
    r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?(/[A-Za-z0-9_=.-]{1,1500}){0,6}/fhir"
)


class DemoRegistrations(dict[str, Registration]):
    """In the demo, where no EHR was set: the public SMART launcher and any launcher on this machine, as they come.

    A launcher writes its options into the path of its ``iss``, so none could be listed beforehand.
    """

    def get(self, iss: str, default: Any = None) -> Any:
        if _DEMO_LAUNCHER.fullmatch(iss) or _LOOPBACK_LAUNCHER.fullmatch(iss):
            return Registration(iss, DEMO_CLIENT)
        return default


def registrations(settings: Settings) -> dict[str, Registration]:
    """Every EHR that may launch the app, by its ``iss`` without a trailing slash."""
    if settings.is_demo and not settings.smart.issuers:
        return DemoRegistrations()
    return {
        iss.rstrip("/"): Registration(iss.rstrip("/"), **asdict(issuer))
        for iss, issuer in settings.smart.issuers.items()
    }


def registration_toml(iss: str) -> str:
    """What to add to the settings file so that this EHR may launch the app."""
    return f'[smart.issuers.{json.dumps(iss)}]\nclient_id = "the app\'s id at this EHR"'


def read_secret(registration: Registration) -> Any:
    """What proves the app: a key, a client secret, or None for a public client. Raises like ``read_key``."""
    if registration.auth == "private_key_jwt":
        return read_key(registration)
    if registration.auth == "client_secret":
        return Path(registration.secret_file).read_text(encoding="utf-8").strip()
    return None


def read_key(registration: Registration) -> ECKey | RSAKey:
    """The private key: a JWK, the first of a JWKS, or PEM. Raises OSError, ValueError or JoseError."""
    text = Path(registration.key_file).read_text(encoding="utf-8")
    if text.lstrip().startswith("{"):
        found = json.loads(text)
        key = (
            KeySet.import_key_set(found).keys[0]
            if "keys" in found
            else JWKRegistry.import_key(found)
        )
    else:
        key = _import_pem(text)
    if not isinstance(key, ECKey | RSAKey) or not key.is_private:
        raise ValueError("the key must be a private EC or RSA key")
    return key


def _import_pem(text: str) -> ECKey | RSAKey:
    try:
        return RSAKey.import_key(text)
    except (JoseError, ValueError, TypeError):
        return ECKey.import_key(text)


def kid(key: ECKey | RSAKey) -> str:
    """The key's own id, else its thumbprint (RFC 7638)."""
    return str(key.kid or key.thumbprint())


def algorithm(key: ECKey | RSAKey) -> str:
    """RS384, or the one of the key's curve: ES384 for P-384."""
    curves = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
    return (
        "RS384"
        if isinstance(key, RSAKey)
        else curves.get(str(key.as_dict(private=False)["crv"]), "ES384")
    )


def public_keys(listed: Iterable[Registration]) -> dict[str, Any]:
    """The JWKS to register at EHRs with private_key_jwt: public halves; unreadable keys are left out."""
    keys: list[ECKey | RSAKey] = []
    for registration in listed:
        if registration.auth == "private_key_jwt":
            with suppress(OSError, ValueError, JoseError):
                keys.append(read_key(registration))
    return {
        "keys": [
            {**key.as_dict(private=False), "kid": kid(key), "use": "sig", "alg": algorithm(key)}
            for key in keys
        ]
    }
