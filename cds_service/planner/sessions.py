"""Launches and sessions of the titration app: encrypted rows on the server, bound to one browser, short-lived.

A row is found by two secrets together: the handle (in the page's address, no credential by itself) and
the browser's cookie. Both are stored as hashes; all else, tokens first, is encrypted with a key that is not
in the database. Several launches of one browser, for different patients, never mix.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cachetools import TTLCache
from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Connection, delete, func, insert, select, update

from cds_service.store.database import insert_once
from cds_service.store.schema import smart_session
from cds_service.store.store import Store

PENDING, OPEN, KEPT = "pending", "open", "kept"
PENDING_SECONDS = 600
OPEN_SECONDS = 3600
KEPT_SECONDS = 8 * 3600  # answers outlive the sign-in, for one working day
MOST_PENDING = 5_000
MOST_OF_PLACE = 500  # an address may be a whole hospital's
MOST_OF_BROWSER = 20


@dataclass(frozen=True, slots=True)
class Session:
    """One row, opened. ``version`` changes with every change, so that two clicks cannot both win."""

    handle: str = field(repr=False)
    version: int
    body: Mapping[str, Any] = field(repr=False)


def read_or_make_key(path: Path) -> bytes:
    """The key in this file, made once with owner-only access; safe where several workers start at once.

    One that is there is only read: a cluster mounts it in a folder that cannot be written.
    """
    if path.exists():
        return path.read_bytes().strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with suppress(FileExistsError):
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
        path.hardlink_to(fresh)  # whole or not at all, and only for the first
    fresh.unlink(missing_ok=True)
    return path.read_bytes().strip()


def new_secret() -> str:
    """A secret for a cookie, a state or a handle: 256 bits."""
    return secrets.token_urlsafe(32)


class SmartSessions:
    """The rows. Every method raises Unavailable where the store is away."""

    def __init__(self, store: Store, key: bytes, clock: Callable[[], float]) -> None:
        self._store = store
        self._fernet = Fernet(key)
        self._clock = clock
        self._lock = threading.Lock()
        self._places: TTLCache[str, deque[str]] = TTLCache(1_000, PENDING_SECONDS)

    def begin(
        self, stage: str, browser: str, body: Mapping[str, Any], seconds: int, place: str = ""
    ) -> str:
        """A new row for this browser; its handle.

        A launch is never refused for those of others: where one browser or one address (``place``) has too many under
        way, its own oldest go.
        """
        handle = new_secret()
        now = int(self._clock())
        with self._store.write() as connection:
            connection.execute(delete(smart_session).where(smart_session.c.expires <= now))
            if stage == PENDING:
                self._make_room(connection, _hash(browser), self._crowd(place, _hash(handle)))
            row = self._row(stage, handle, browser, now + seconds, body)
            connection.execute(insert(smart_session).values(row))
        return handle

    def _row(
        self, stage: str, handle: str, browser: str, expires: int, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {
            "handle_hash": _hash(handle),
            "browser_hash": _hash(browser),
            "stage": stage,
            "version": 1,
            "expires": expires,
            "body": self._seal(handle, body),
        }

    def _crowd(self, place: str, handle_hash: str) -> list[str]:
        """Note this launch of the address; those that are one too many. Kept in this process only."""
        with self._lock:
            waiting = self._places.setdefault(place, deque())
            waiting.append(handle_hash)
            return [waiting.popleft() for _ in range(len(waiting) - MOST_OF_PLACE)]

    @staticmethod
    def _make_room(connection: Connection, browser_hash: str, crowded: list[str]) -> None:
        pending = smart_session.c.stage == PENDING
        own = (
            select(smart_session.c.handle_hash)
            .where(pending, smart_session.c.browser_hash == browser_hash)
            .order_by(smart_session.c.expires.desc())
            .offset(MOST_OF_BROWSER - 1)
        )
        crowded = [*crowded, *connection.execute(own).scalars()]
        waiting = connection.execute(
            select(func.count()).select_from(smart_session).where(pending)
        ).scalar_one()
        if waiting >= MOST_PENDING:
            oldest = (
                select(smart_session.c.handle_hash).where(pending).order_by(smart_session.c.expires)
            )
            crowded += connection.execute(
                oldest.limit(max(1, waiting - MOST_PENDING + 1))
            ).scalars()
        if crowded:
            connection.execute(
                delete(smart_session).where(pending, smart_session.c.handle_hash.in_(crowded))
            )

    def put(
        self, stage: str, handle: str, browser: str, body: Mapping[str, Any], seconds: int
    ) -> bool:
        """A new row under a name of ours; False where somebody put one there first."""
        now = int(self._clock())
        with self._store.write() as connection:
            connection.execute(delete(smart_session).where(smart_session.c.expires <= now))
            put = connection.execute(
                insert_once(connection, smart_session, "handle_hash", returning=True),
                [self._row(stage, handle, browser, now + seconds, body)],
            ).scalar()
        return put is not None

    def find(self, stage: str, handle: str, browser: str) -> Session | None:
        """The row of this handle and this browser; None where there is none, or no longer."""
        with self._store.read() as connection:
            row = connection.execute(
                select(smart_session).where(
                    smart_session.c.handle_hash == _hash(handle),
                    smart_session.c.browser_hash == _hash(browser),
                    smart_session.c.stage == stage,
                    smart_session.c.expires > int(self._clock()),
                )
            ).one_or_none()
        body = None if row is None else self._unseal(handle, row.body)
        return None if row is None or body is None else Session(handle, row.version, body)

    def change(self, session: Session, body: Mapping[str, Any]) -> Session | None:
        """The row with a new body; None where somebody changed or ended it since ``session`` was found."""
        with self._store.write() as connection:
            changed = connection.execute(
                update(smart_session)
                .where(
                    smart_session.c.handle_hash == _hash(session.handle),
                    smart_session.c.version == session.version,
                )
                .values(version=session.version + 1, body=self._seal(session.handle, body))
            )
        return Session(session.handle, session.version + 1, body) if changed.rowcount == 1 else None

    def take(self, stage: str, handle: str, browser: str) -> Mapping[str, Any] | None:
        """The body of the row, which is gone afterwards: exactly one of several takers gets it."""
        session = self.find(stage, handle, browser)
        return session.body if session and self.end(session) else None

    def end(self, session: Session) -> bool:
        """Remove the row; False where it was gone or changed."""
        with self._store.write() as connection:
            gone = connection.execute(
                delete(smart_session).where(
                    smart_session.c.handle_hash == _hash(session.handle),
                    smart_session.c.version == session.version,
                )
            )
        return gone.rowcount == 1

    def _seal(self, handle: str, body: Mapping[str, Any]) -> bytes:
        return self._fernet.encrypt(json.dumps({"handle": handle, "body": body}).encode())

    def _unseal(self, handle: str, sealed: bytes) -> Mapping[str, Any] | None:
        """None for a row that was sealed with another key, or moved here from another handle."""
        try:
            opened = json.loads(self._fernet.decrypt(sealed))
        except (InvalidToken, ValueError):
            return None
        body = opened.get("body")
        return body if opened.get("handle") == handle and isinstance(body, dict) else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
