"""Which tokens were used already: each (issuer, jti) is let in once, across threads, workers and restarts.

A full or broken disk must not silence the hooks (conformance L11): while the store cannot be written, each
worker goes by what it remembers itself, tells ``on_failure`` and tries the store again after two seconds;
a token could then be used once per worker. A site that would rather answer 503 asks for ``durable`` (L12).
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from cachetools import TLRUCache
from sqlalchemy import Connection, Engine, insert
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from cds_service.errors import Unavailable
from cds_service.store.schema import jwt_seen

BUSY_SECONDS = 1                # how long a writer waits for another one
RETRY_SECONDS = 2               # how long a store that failed is left alone; L11 wants it back within 5 s
PURGE_SECONDS = 60              # how often old rows are swept
KEEP_SECONDS = 7_200            # rows outlive their token, so that a clock that jumps opens no window (L17)
RECENT_TOKENS = 50_000          # what one worker remembers by itself, about 10 MB


class UsedTokens(Protocol):
    """Memory of used tokens."""

    def remember(self, iss: str, jti: str, expires: float) -> bool:
        """True exactly once per (iss, jti) up to ``expires`` (Unix time); Unavailable if it cannot tell."""


def _expiry(_token_hash: str, expires: float, _now: float) -> float:
    return expires


class SeenTokens:
    """The UsedTokens of this service: the table ``jwt_seen``, and behind it what this worker saw itself.

    ``clock`` gives Unix seconds. ``on_failure`` is called each time the store could not be written;
    ``durable`` raises Unavailable then instead of going by this worker's own memory.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time, *, durable: bool = False,
                 on_failure: Callable[[], None] = lambda: None) -> None:
        self._engine = engine
        self._clock = clock
        self._durable = durable
        self._on_failure = on_failure
        self._recent: TLRUCache[str, float] = TLRUCache(RECENT_TOKENS, ttu=_expiry, timer=clock)
        self._lock = threading.Lock()
        self._store_rests_until = -math.inf
        self._next_purge = -math.inf

    def remember(self, iss: str, jti: str, expires: float) -> bool:
        """True exactly once per (iss, jti) until ``expires`` (Unix seconds)."""
        token_hash = hash_token(iss, jti)
        if not self._first_seen_here(token_hash, expires):
            return False
        first = self._first_seen_anywhere(token_hash, expires)
        if first is None and self._durable:
            self._forget(token_hash)
            raise Unavailable("The service cannot check this request now. Please try again.",
                              headers={"Retry-After": str(RETRY_SECONDS)})
        return first is not False

    def _first_seen_here(self, token_hash: str, expires: float) -> bool:
        with self._lock:
            if token_hash in self._recent:
                return False
            self._recent[token_hash] = expires
            return True

    def _forget(self, token_hash: str) -> None:
        with self._lock:
            self._recent.pop(token_hash, None)

    def _first_seen_anywhere(self, token_hash: str, expires: float) -> bool | None:
        """True or False from the store; None = the store cannot tell now."""
        if time.monotonic() < self._store_rests_until:
            return None
        try:
            with self._engine.begin() as connection, _impatient(connection):
                connection.execute(insert(jwt_seen).values(token_hash=token_hash, expires=math.ceil(expires)))
        except IntegrityError:
            return False
        except SQLAlchemyError:
            self._store_rests_until = time.monotonic() + RETRY_SECONDS
            self._on_failure()
            return None
        with suppress(SQLAlchemyError):
            self._purge()
        return True

    def _purge(self) -> None:
        now = self._clock()
        with self._lock:
            if now < self._next_purge <= now + PURGE_SECONDS:
                return
            self._next_purge = now + PURGE_SECONDS
        with self._engine.begin() as connection:
            connection.execute(jwt_seen.delete().where(jwt_seen.c.expires < now - KEEP_SECONDS))


@contextmanager
def _impatient(connection: Connection) -> Iterator[None]:
    """Wait for another writer for BUSY_SECONDS, however long this store's connections wait otherwise: a card is due."""
    if connection.dialect.name != "sqlite":
        yield
        return
    usual = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_SECONDS * 1_000}")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={usual}")


def hash_token(iss: str, jti: str) -> str:
    """SHA-256, hexadecimal, of an issuer and its jti: what is stored in their place."""
    return hashlib.sha256(f"{len(iss)} {iss} {jti}".encode("utf-8", "surrogatepass")).hexdigest()
