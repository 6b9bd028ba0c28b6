"""Where settings come from: a TOML file, environment variables over it, arguments over both."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cds_service.settings.complaints import SettingsError, check
from cds_service.settings.model import SANDBOX_ORIGINS, Settings
from cds_service.settings.shape import NotSettingsError, shaped

ENV_PREFIX = "NALTREXONE_CDS_"
FILE_VARIABLE = "NALTREXONE_CDS_SETTINGS"
_TABLES = frozenset({"clients", "content_review", "limits", "smart"})  # these stay in the file


def load(
    path: str | None = None, environ: Mapping[str, str] | None = None, **overrides: Any
) -> Settings:
    """Settings from file, environment, overrides (None = not given); raises SettingsError."""
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = shaped(
            {**(_read_file(path) if path else {}), **_from_environment(environ), **given}
        )
    except NotSettingsError as error:
        raise SettingsError(error.lines[0]) from None
    if settings.is_demo and not settings.cors_origins:
        settings = replace(settings, cors_origins=SANDBOX_ORIGINS)
    check(settings)
    return settings


def load_for_worker() -> Settings:
    """The same settings inside a server worker, which inherits only the environment."""
    return load(os.environ.get(FILE_VARIABLE) or None)


def redacted(settings: Settings) -> dict[str, Any]:
    """The effective settings for a person, without secrets (a database URL loses its password)."""
    shown = asdict(settings)
    if settings.database_url:
        parts = urlsplit(settings.database_url)
        secret = parts.password or "password" in parts.query
        hidden = f"{parts.scheme}://***@{parts.hostname or ''}{parts.path}"
        shown["database_url"] = hidden if secret else settings.database_url
    return shown


def _read_file(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"settings file: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file: not valid TOML ({error})") from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """``NALTREXONE_CDS_PORT=8080`` sets ``port``; lists are comma-separated."""
    given = {
        f.name: (environ[ENV_PREFIX + f.name.upper()], type(f.default))
        for f in fields(Settings)
        if f.name not in _TABLES and ENV_PREFIX + f.name.upper() in environ
    }
    return {name: _parse(name, text, kind) for name, (text, kind) in given.items()}


def _parse(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in {"true", "false", "1", "0"}:
            raise SettingsError(f"{name}: must be true or false")
        return text.lower() in {"true", "1"}
    if kind is int:
        try:
            return int(text)
        except ValueError:
            raise SettingsError(f"{name}: must be a whole number") from None
    if kind is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text
