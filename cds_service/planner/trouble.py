"""The titration app's error pages: HTTP status and whether trying again helps. Their words are ``cards/troubles.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Trouble:
    """One reason why the app cannot go on. ``again`` offers to try the same page once more."""

    status: int = 400
    again: bool = False


TROUBLES: Mapping[str, Trouble] = MappingProxyType(
    {
        "unknown-iss": Trouble(403),
        "bad-launch": Trouble(),
        "no-authorization-server": Trouble(502, again=True),
        "no-cookie": Trouble(),
        "bad-state": Trouble(),
        "mix-up": Trouble(),
        "access_denied": Trouble(403),
        "invalid_scope": Trouble(403),
        "sign-in-error": Trouble(403),
        "token-error": Trouble(502),
        "invalid_client": Trouble(502),
        "timeout": Trouble(504),
        "no-patient": Trouble(409),
        "other-patient": Trouble(409),
        "expired": Trouble(401),
        "fhir-refused": Trouble(403),
        "fhir-away": Trouble(504, again=True),
        "csrf": Trouble(),
        "too-large": Trouble(413),
        "not-found": Trouble(404),
        "busy": Trouble(503, again=True),
        "crowded": Trouble(503, again=True),
        "hurried": Trouble(429),
        "fault": Trouble(500),
    }
)
