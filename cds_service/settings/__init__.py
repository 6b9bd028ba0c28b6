"""One frozen settings object, read once at start: a TOML file and ``NALTREXONE_CDS_*`` variables.

A bad setting raises ``SettingsError``: one line that says what to change, before any port is bound.
"""

from cds_service.settings.complaints import SettingsError, check, check_topics, complaints
from cds_service.settings.model import (
    SANDBOX_ORIGINS,
    Client,
    ContentReview,
    Limits,
    Reviewer,
    Settings,
    Smart,
    SmartIssuer,
)
from cds_service.settings.sources import (
    ENV_PREFIX,
    FILE_VARIABLE,
    load,
    load_for_worker,
    redacted,
)

__all__ = [
    "ENV_PREFIX",
    "FILE_VARIABLE",
    "SANDBOX_ORIGINS",
    "Client",
    "ContentReview",
    "Limits",
    "Reviewer",
    "Settings",
    "SettingsError",
    "Smart",
    "SmartIssuer",
    "check",
    "check_topics",
    "complaints",
    "load",
    "load_for_worker",
    "redacted",
]
