"""Which tokens were used already: each (issuer, jti) is let in once, across threads, workers and restarts.

A proxy may send a call again that a replica did not answer: the same token with the same request, within RETRY_WINDOW
seconds of the first, is a retry and is answered. With any other request, or later, the token is used up.

A full, broken or hanging store must not silence the hooks (conformance L11): while it does not take a token in time,
each worker goes by what it remembers itself, counts that, and tells ``on_failure`` once; a token could then be used
once per worker, until the store has caught up. A site that would rather answer 503 asks for ``durable`` (L12).
"""

from __future__ import annotations

import hashlib
import hmac
import math
import struct
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from cds_service.errors import Unavailable
from cds_service.store.database import Run
from cds_service.store.group_commit import LOOK, GroupCommit

RETRY_WINDOW = 10  # seconds
RETRY_SECONDS = 2  # said to a caller that may come again
KEEP_SECONDS = 7_200  # more than any token lives: its hour, and what two clocks may differ
JUMP_SECONDS = 60  # a clock on the wall that leaves the steady one by more has jumped
PURGE_SECONDS = 2  # how often old rows are swept, a few at a time
PURGE_ROWS = 2_000
_INSERT = (
    "INSERT INTO jwt_seen (token_hash, expires, request, used_at) VALUES {} "
    "ON CONFLICT (token_hash) DO NOTHING RETURNING token_hash"
)
_SELECT = "SELECT token_hash, request, used_at FROM jwt_seen WHERE token_hash IN ({})"
_DELETE = (
    "DELETE FROM jwt_seen WHERE token_hash IN "
    "(SELECT token_hash FROM jwt_seen WHERE expires < ? LIMIT ?)"
)
_TIME = struct.Struct("d")
RECENT_TOKENS = 50_000  # what one worker remembers by itself, about 11 MB


class Use(StrEnum):
    """What a token is to the one who remembers it."""

    FIRST = "first"
    RETRY = "retry"
    AGAIN = "again"


class UsedTokens(Protocol):
    """Memory of used tokens."""

    def remember(self, iss: str, jti: str, expires: float, request: str = "") -> Use:
        """FIRST exactly once per (iss, jti) up to ``expires`` (Unix time); Unavailable if it cannot tell.

        ``request`` is a hash of what was asked; "" is never the same as anything.
        """


class SeenTokens:
    """The UsedTokens of this service: the table ``jwt_seen``, and behind it what this worker saw itself.

    ``clock`` gives Unix seconds and may be set by anybody, ``steady`` only ever counts on. ``by_memory`` counts the
    tokens that were let in without the store. A token is safe from the end of the process when it is let in, and
    with ``durable`` also from a loss of power; that raises Unavailable where the store cannot tell.
    """

    def __init__(
        self,
        writer: GroupCommit,
        clock: Callable[[], float] = time.time,
        *,
        durable: bool = False,
        on_failure: Callable[[], None] = lambda: None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._lane = writer.lane(self._write, synced=durable, plain=True)
        self._durable = durable
        self._on_failure = on_failure
        self._purge = _Purge(clock, steady)
        self._clock = clock
        self._steady = steady
        self._recent = _Recent(RECENT_TOKENS)
        self._lock = threading.Lock()
        self._told = False
        self.by_memory = 0

    def remember(self, iss: str, jti: str, expires: float, request: str = "") -> Use:
        """FIRST exactly once per (iss, jti) until ``expires`` (Unix seconds)."""
        token = _Token(hash_token(iss, jti), math.ceil(expires), request, round(self._clock()))
        if (here := self._seen_here(token)) is not Use.FIRST:
            return here
        try:
            use = self._seen_anywhere(token)
        except (TimeoutError, Unavailable):
            self._note_failure(token.hash)
            return Use.FIRST
        self._told = False
        return use

    def _seen_here(self, token: _Token) -> Use:
        now = self._steady()
        with self._lock:
            if (known := self._recent.get(token.hash, now)) is None:
                self._recent.add(token, now)
                return Use.FIRST
            return _compare(token.request, known.request, now - known.at)

    def _seen_anywhere(self, token: _Token) -> Use:
        """What the store says, if it does so in time. A token that was not waited for is still written once it can."""
        future = self._writer.put(self._lane, token)
        try:
            return future.result(
                max(LOOK, self._writer.patience) if self._durable else self._writer.patience
            )
        except TimeoutError:
            if self._durable:
                future.cancel()
            raise

    def _note_failure(self, token_hash: str) -> None:
        with self._lock:
            told, self._told = self._told, True
            self.by_memory += not self._durable
            if self._durable:
                self._recent.forget(token_hash)
        if not told:
            self._on_failure()
        if self._durable:
            raise Unavailable(
                "The service cannot check this request now. Please try again.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            ) from None

    def _write(self, run: Run, tokens: Sequence[_Token]) -> list[Use]:
        """What each of them is. Sorted, so that replicas wait for each other in one order."""
        values = [value for token in sorted(tokens) for value in token]
        new = {row[0] for row in run(_INSERT.format(_marks(tokens, "(?, ?, ?, ?)")), values)}
        self._purge.run(run)
        known = _look_up(run, {t.hash for t in tokens} - new)
        return [Use.FIRST if t.hash in new else _among(t, known) for t in tokens]


class _Token(NamedTuple):
    """One use of a token; ``at`` in Unix seconds, ``request`` a hash."""

    hash: str
    expires: int
    request: str
    at: int


class _Memory(NamedTuple):
    """The first use that this worker saw, ``at`` on the steady clock."""

    request: str
    at: float


class _Recent:
    """The newest uses of at most ``room`` tokens, none older than KEEP_SECONDS; packed, for there are many."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._uses: dict[bytes, bytes] = {}  # the oldest first

    def get(self, token_hash: str, now: float) -> _Memory | None:
        if (packed := self._uses.get(bytes.fromhex(token_hash))) is None:
            return None
        known = _Memory(packed[_TIME.size :].decode(), *_TIME.unpack_from(packed))
        return known if now - known.at <= KEEP_SECONDS else None

    def add(self, token: _Token, now: float) -> None:
        key = bytes.fromhex(token.hash)
        self._uses.pop(key, None)
        self._uses[key] = _TIME.pack(now) + token.request.encode()
        if len(self._uses) > self._room:
            del self._uses[next(iter(self._uses))]

    def forget(self, token_hash: str) -> None:
        self._uses.pop(bytes.fromhex(token_hash), None)


def _look_up(run: Run, hashes: set[str]) -> dict[str, tuple[str, int]]:
    if not hashes:
        return {}
    rows = run(_SELECT.format(_marks(hashes, "?")), [*hashes])
    return {token: (request or "", at or 0) for token, request, at in rows}


def _marks(values: Collection[object], each: str) -> str:
    return ", ".join([each] * len(values))


def _among(token: _Token, known: Mapping[str, tuple[str, int]]) -> Use:
    request, at = known.get(token.hash, ("", 0))
    return _compare(token.request, request, abs(token.at - at))


def _compare(request: str, first: str, seconds: float) -> Use:
    same = bool(request) and hmac.compare_digest(request, first)
    return Use.RETRY if same and seconds <= RETRY_WINDOW else Use.AGAIN


class _Purge:
    """Removes rows of tokens that are refused by their own ``exp``, whatever the clock on the wall has been told.

    A row may go once its token has expired by the clock, unless that jumped within the life of a token: then it may
    jump back, and a token whose row is gone would be new again. A start counts as a jump.
    """

    def __init__(self, clock: Callable[[], float], steady: Callable[[], float]) -> None:
        self._clock = clock
        self._steady = steady
        self._offset = clock() - steady()
        self._trusted_from = steady() + KEEP_SECONDS
        self._next = -math.inf

    def run(self, run: Run) -> None:
        steady, now = self._steady(), self._clock()
        if abs(now - steady - self._offset) > JUMP_SECONDS:
            self._offset, self._trusted_from = now - steady, steady + KEEP_SECONDS
        if steady < max(self._next, self._trusted_from):
            return
        self._next = steady + PURGE_SECONDS
        run(_DELETE, (now - KEEP_SECONDS, PURGE_ROWS))


def hash_token(iss: str, jti: str) -> str:
    """SHA-256, hexadecimal, of an issuer and its jti: what is stored in their place."""
    return hashlib.sha256(f"{len(iss)} {iss} {jti}".encode("utf-8", "surrogatepass")).hexdigest()
