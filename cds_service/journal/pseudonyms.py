"""Stand-ins for identifiers in the audit: the same patient, the same one; without the key no way back."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import tempfile
from pathlib import Path
from uuid import UUID

SHORTEST_KEY = 32


class Pseudonyms:
    """Keyed hashes (HMAC-SHA256); the key is in ``path``, made there once if ``make``, for its owner only.

    While no key can be had a hash is "": not known. ``fault`` then says why, "" otherwise.
    """

    def __init__(self, path: Path, *, make: bool = True) -> None:
        self._path = path
        self._make = make
        self._key = b""
        self.fault = ""
        self._load()

    def patient(self, issuer: str, patient_id: str) -> str:
        """64 hex digits for this patient of this issuer; ids of two issuers never meet. "" for no id."""
        return self._hash("patient", issuer, patient_id) if patient_id else ""

    def prescriber(self, issuer: str, user_id: str) -> str:
        """64 hex digits for this user of this issuer. "" for no id."""
        return self._hash("prescriber", issuer, user_id) if user_id else ""

    def alert(self, issuer: str, user_id: str, patient_id: str, basis: str) -> str:
        """64 hex digits for this alert of this user about this patient. "" where nobody can tell who or about whom."""
        known = user_id and patient_id
        return self._hash("alert", issuer, user_id, patient_id, basis) if known else ""

    def hook_instance(self, value: str) -> str:
        """The UUID in its usual form; a keyed hash of anything else, because it may hold anything."""
        try:
            return str(UUID(value))
        except ValueError:
            return self._hash("hookInstance", value)

    def _hash(self, *parts: str) -> str:
        key = self._key or self._load()
        return hmac.new(key, json.dumps(parts).encode(), hashlib.sha256).hexdigest() if key else ""

    def _load(self) -> bytes:
        try:
            if self._make and not self._path.exists():
                _make_key(self._path)
            key = self._path.read_bytes().strip()
        except OSError as error:
            self.fault = type(error).__name__
            return b""
        self.fault = "" if len(key) >= SHORTEST_KEY else "key too short"
        self._key = b"" if self.fault else key
        return self._key


def _make_key(path: Path) -> None:
    """Write the key whole under another name first; of several workers one wins and all read the same key."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    try:
        os.write(descriptor, secrets.token_hex(32).encode() + b"\n")
        os.fsync(descriptor)
        os.link(name, path)
    except FileExistsError:
        return
    finally:
        os.close(descriptor)
        Path(name).unlink()
