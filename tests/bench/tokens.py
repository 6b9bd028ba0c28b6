"""A production site for the benchmark: settings, one client with a key set, and tokens signed ahead of time."""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.conftest import ROOT

BASE = "https://cds.example.org"
ISSUER = "https://ehr.example.org/fhir"
LIFE = 3_000  # seconds; below the hour that the service allows


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int, size: int = 0) -> str:
    return _part(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


@dataclass(frozen=True)
class Signer:
    """One client key: RS384 (2048 bit) or ES384. ``tokens`` are fresh ones, each usable once."""

    algorithm: str
    life: int = LIFE
    base: str = BASE
    issuer: str = ISSUER

    @cached_property
    def _key(self) -> Any:
        if self.algorithm == "RS384":
            return rsa.generate_private_key(65_537, 2_048)
        return ec.generate_private_key(ec.SECP384R1())

    @property
    def jwk(self) -> dict[str, str]:
        public = self._key.public_key().public_numbers()
        own = {"kid": "bench", "use": "sig", "alg": self.algorithm}
        if self.algorithm == "RS384":
            return {**own, "kty": "RSA", "n": _number(public.n), "e": _number(public.e)}
        return {
            **own,
            "kty": "EC",
            "crv": "P-384",
            "x": _number(public.x, 48),
            "y": _number(public.y, 48),
        }

    def token(self, path: str) -> str:
        head = {"alg": self.algorithm, "typ": "JWT", "kid": "bench"}
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.base + path,
            "iat": now,
            "exp": now + self.life,
            "jti": str(uuid.uuid4()),
        }
        signed = f"{_part(json.dumps(head).encode())}.{_part(json.dumps(claims).encode())}"
        return f"{signed}.{_part(self._sign(signed.encode()))}"

    def _sign(self, data: bytes) -> bytes:
        if self.algorithm == "RS384":
            return bytes(self._key.sign(data, padding.PKCS1v15(), hashes.SHA384()))
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA384())))
        return r.to_bytes(48, "big") + s.to_bytes(48, "big")


ACKNOWLEDGED = "content_acknowledged_by"


def write_site(
    folder: Path,
    signer: Signer,
    database_url: str = "",
    fhir_base: str = ISSUER,
    version: Path = ROOT,
) -> Path:
    """The TOML file of a production service with this client; its rate limit is above any benchmark.

    ``version`` is the checkout that will read it: older ones know fewer settings.
    """
    settings = (version / "cds_service").glob("settings*/**/*.py")
    knows = any(ACKNOWLEDGED in file.read_text("utf-8") for file in settings)
    keys = folder / "jwks.json"
    keys.write_text(json.dumps({"keys": [signer.jwk]}), encoding="utf-8")
    file = folder / "settings.toml"
    file.write_text(
        "\n".join(
            [
                'profile = "production"',
                f'{ACKNOWLEDGED} = "Nobody, benchmark"' if knows else "",
                f'public_base_url = "{BASE}"',
                f'database_url = "{database_url}"',
                "[limits]",
                "requests_per_minute = 0",
                "[[clients]]",
                'name = "Bench"',
                f'issuer = "{ISSUER}"',
                f'jwks_file = "{keys}"',
                f'fhir_bases = ["{fhir_base}"]',
                "",
            ]
        ),
        encoding="utf-8",
    )
    return file
