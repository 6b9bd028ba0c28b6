"""The key of a replay's pseudonyms: a new one each time, or one that the site keeps so that two replays can be compared."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from pathlib import Path

_LEAST = 32  # bytes


def lay_key(work: Path, own: Path | None) -> None:
    """Put the key into the working folder: that of the file ``own``, which is made if it is not there, or a new one."""
    key = _read_or_make(own) if own else secrets.token_bytes(_LEAST)
    (work / "key").touch(0o600)
    (work / "key").write_bytes(key)


def key_of(work: Path) -> bytes:
    """The key of this replay's pseudonyms."""
    return (work / "key").read_bytes()


def mark_of(key: bytes) -> str:
    """What tells two keys apart and says nothing of either."""
    return hmac.new(key, b"naltrexone-cds replay", hashlib.sha256).hexdigest()[:16]


def pseudonyms(key: bytes) -> Callable[[str], str]:
    """Keyed hashes: the same reference has the same name under one key and no meaning outside it."""

    def name(ref: str) -> str:
        return hmac.new(key, ref.encode(), hashlib.sha256).hexdigest()[:16] if ref else ""

    return name


def _read_or_make(file: Path) -> bytes:
    if not file.exists():
        file.touch(0o600)
        file.write_text(secrets.token_hex(_LEAST), encoding="ascii")
    if len(key := file.read_bytes().strip()) < _LEAST:
        raise ValueError(f"{file.name}: holds no key of at least {_LEAST} characters")
    return key
