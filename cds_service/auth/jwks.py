"""The public keys of our clients: read from a URL or a file, checked, and kept; no call waits for known ones."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cachetools import TTLCache
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import base64_to_int

MAX_BYTES = 256_000  # of one JWK Set
MAX_KEYS = 100  # of one JWK Set; the rest is not looked at
MAX_RSA_BITS = 8_192  # larger ones cost more time to verify than a call may take
CALL_SECONDS = 0.8  # how long a call waits for keys that it cannot do without
LOOK_SECONDS = 5.0  # how often the age of the keys is looked at
FRESH_SECONDS = 600  # keys younger than this are used without asking again
LAST_GOOD_SECONDS = 86_400  # keys older than this are not used, whatever the reason
FETCHES_PER_MINUTE = 2  # of one URL, unknown kids included
PAUSE_AFTER_FAILURE = 30  # seconds
ABSENT_SECONDS = 60  # how long a kid that was asked for and not found is not asked for again

KEY_OF_ALGORITHM: Mapping[str, str] = {
    "ES256": "EC P-256",
    "ES384": "EC P-384",
    "ES512": "EC P-521",
    "RS256": "RSA",
    "RS384": "RSA",
    "PS384": "RSA",
}
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class KeysUnavailableError(Exception):
    """No key set can be had from there now. The message is a fixed word of ours."""


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """One key of a JWK Set. ``kind`` is "EC P-384" or "RSA"; ``fault`` says why it is of no use, or is ""."""

    kid: str
    kind: str
    alg: str = ""
    fault: str = ""
    key: ECKey | RSAKey | None = None

    def objection(self, algorithm: str) -> str:
        """Why this key cannot verify a token of ``algorithm``; "" if it can."""
        if self.fault:
            return self.fault
        if KEY_OF_ALGORITHM.get(algorithm) != self.kind:
            return f"a key of kind {self.kind} does not fit {algorithm}"
        if self.alg not in ("", algorithm):
            return "the key is published for another algorithm"
        return ""


class KeySource(Protocol):
    """Where published keys come from."""

    def find(self, where: str, kid: str) -> tuple[PublishedKey, ...]:
        """The keys published at ``where`` (URL or file) under ``kid``; KeysUnavailableError without a set."""


def read_keys(document: bytes) -> tuple[PublishedKey, ...]:
    """The keys of a JWK Set (RFC 7517) with a kid, faulty ones too; KeysUnavailableError if it is none."""
    if len(document) > MAX_BYTES:
        raise KeysUnavailableError("too-large")
    try:
        content = json.loads(document)
    except (ValueError, RecursionError):
        raise KeysUnavailableError("not-json") from None
    keys = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(keys, list):
        raise KeysUnavailableError("not-a-key-set")
    return tuple(
        _read_key(key)
        for key in keys[:MAX_KEYS]
        if isinstance(key, dict) and isinstance(key.get("kid"), str)
    )


def _read_key(jwk: Mapping[str, Any]) -> PublishedKey:
    kind = f"EC {jwk.get('crv')}" if jwk.get("kty") == "EC" else str(jwk.get("kty"))
    try:
        fault = _declared_fault(jwk, kind)
        if fault:
            return PublishedKey(jwk["kid"], kind, fault=fault)
        key = (RSAKey if kind == "RSA" else ECKey).import_key(dict(jwk))
        key.check_use("sig")
        key.check_key_op("verify")
    except (JoseError, ValueError, TypeError, KeyError) as error:
        said = error.error if isinstance(error, JoseError) else type(error).__name__
        return PublishedKey(jwk["kid"], kind, fault=f"the key cannot be used to verify ({said})")
    return PublishedKey(jwk["kid"], kind, key.alg or "", key=key)


def _declared_fault(jwk: Mapping[str, Any], kind: str) -> str:
    """What we refuse before the key is built; joserfc judges its members, use and operations."""
    if kind not in KEY_OF_ALGORITHM.values():
        return "not a kind of key that we accept"
    if _PRIVATE_MEMBERS & jwk.keys():
        return "its private part is published"
    if kind == "RSA" and not 2_048 <= base64_to_int(jwk["n"]).bit_length() <= MAX_RSA_BITS:
        return f"RSA keys need 2048 to {MAX_RSA_BITS} bits"
    return ""


class _Fetch:
    """One fetch under way, in a thread of its own: ``done`` is set when it has ended, well or not."""

    def __init__(self, now: float) -> None:
        self.done = threading.Event()
        self._begun = now

    def wait(self, now: float, seconds: float) -> None:
        """Until it has ended, but not beyond ``seconds`` after its begin: of one that hangs, few callers know."""
        self.done.wait(max(0.0, self._begun + seconds - now))


class _KeySet:
    """What is known of one source. ``fetching`` is the last fetch; it and what limits it change under ``lock``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.published: tuple[float, tuple[PublishedKey, ...]] | None = None
        self.lock = threading.Lock()
        self.fetching: _Fetch | None = None
        self._asked: deque[float] = deque(maxlen=FETCHES_PER_MINUTE)
        self._failed_at: float | None = None
        self._absent: TTLCache[str, bool] = TTLCache(1_024, ABSENT_SECONDS, timer=clock)
        self._absent_lock = threading.Lock()

    @property
    def age(self) -> float:
        return self.clock() - self.published[0] if self.published else float("inf")

    @property
    def is_out_of_reach(self) -> bool:
        """Nobody knows what is published there now: the last fetch failed, or has not ended."""
        return self._failed_at is not None or (
            self.fetching is not None and not self.fetching.done.is_set()
        )

    @property
    def was_asked(self) -> bool:
        """A fetch has ended, well or not."""
        return self.published is not None or self._failed_at is not None

    def with_kid(self, kid: str) -> tuple[PublishedKey, ...]:
        published = self.published
        if published is None or self.clock() - published[0] > LAST_GOOD_SECONDS:
            return ()
        return tuple(key for key in published[1] if key.kid == kid)

    def may_ask(self) -> bool:
        now = self.clock()
        if self._failed_at is not None and now - self._failed_at < PAUSE_AFTER_FAILURE:
            return False
        return len(self._asked) < FETCHES_PER_MINUTE or now - self._asked[0] >= 60

    def ask(self, read: Callable[[], bytes], fetch: _Fetch) -> None:
        self._asked.append(self.clock())
        try:
            keys = read_keys(read())
        except Exception:  # noqa: BLE001 - whatever a transport raises, the last good keys stay
            self._failed_at = self.clock()
        else:
            self._failed_at = None
            self.published = (self.clock(), keys)
        finally:
            fetch.done.set()

    def is_absent(self, kid: str) -> bool:
        with self._absent_lock:
            return kid in self._absent

    def note_absent(self, kid: str) -> None:
        with self._absent_lock:
            self._absent[kid] = True


class JwksCache:
    """The KeySource of this service: it asks a URL at most twice a minute; the last good keys serve a day.

    ``get`` brings the bytes of a URL and may raise anything and take its time: it runs in a thread of its own, and a
    call waits for it only where no key of the wanted kid is at hand, ``patience`` seconds at most. ``clock`` counts
    seconds and never jumps. An unknown kid leads to one more fetch, and is then known to be absent for a minute.
    """

    def __init__(
        self,
        get: Callable[[str], bytes],
        clock: Callable[[], float] = time.monotonic,
        *,
        patience: float = CALL_SECONDS,
    ) -> None:
        self._get = get
        self._clock = clock
        self._patience = patience
        self._shelves: dict[str, _KeySet] = {}
        self._lock = threading.Lock()

    def find(self, where: str, kid: str) -> tuple[PublishedKey, ...]:
        """Every key that ``where`` publishes under ``kid``; KeysUnavailableError where nobody can tell."""
        shelf = self._shelf(where)
        if found := shelf.with_kid(kid):
            if shelf.age > FRESH_SECONDS:
                self._refresh(where, shelf)
            return found
        if not shelf.is_absent(kid):
            self._ask_for(where, shelf, kid)
        found = shelf.with_kid(kid)
        if not found and (shelf.age > LAST_GOOD_SECONDS or shelf.is_out_of_reach):
            raise KeysUnavailableError("no-keys")
        return found

    def keep_fresh(self, sources: Iterable[str]) -> None:
        """Fetch these now and before they are old, from a thread that lives as long as the process."""
        wanted = tuple(dict.fromkeys(sources))
        threading.Thread(target=self._keep_fresh, args=(wanted,), name="keys", daemon=True).start()

    def at_hand(self, where: str) -> bool:
        """Are there keys of ``where`` that can be used without asking anybody?"""
        return self._shelf(where).age <= LAST_GOOD_SECONDS

    def _keep_fresh(self, sources: tuple[str, ...]) -> None:
        while sources:
            for where in sources:
                if (shelf := self._shelf(where)).age > FRESH_SECONDS:
                    self._refresh(where, shelf)
            time.sleep(LOOK_SECONDS)

    def _ask_for(self, where: str, shelf: _KeySet, kid: str) -> None:
        before = shelf.published
        if (fetch := self._refresh(where, shelf)) is None:
            return
        fetch.wait(self._clock(), self._patience)
        if shelf.published is not before and not shelf.with_kid(kid):
            shelf.note_absent(kid)

    def warm(self, where: str) -> None:
        """Have the keys of ``where`` at hand before they are needed, if they can be had within ``patience``."""
        shelf = self._shelf(where)
        if shelf.age > FRESH_SECONDS and (fetch := self._refresh(where, shelf)) is not None:
            fetch.wait(self._clock(), self._patience)

    def asked(self, where: str) -> bool:
        """Were the keys of ``where`` asked for at least once, with whatever end?"""
        return self._shelf(where).was_asked

    def age(self, where: str) -> float:
        """Seconds since the keys of ``where`` were had; infinite for never."""
        return self._shelf(where).age

    def _shelf(self, where: str) -> _KeySet:
        with self._lock:
            if (shelf := self._shelves.get(where)) is None:
                shelf = self._shelves[where] = _KeySet(self._clock)
            return shelf

    def _refresh(self, where: str, shelf: _KeySet) -> _Fetch | None:
        """The fetch that is under way, or was begun by this; None where the source may not be asked now."""
        with shelf.lock:
            if shelf.fetching is not None and not shelf.fetching.done.is_set():
                return shelf.fetching
            if not shelf.may_ask():
                return None
            shelf.fetching = fetch = _Fetch(self._clock())
            threading.Thread(
                target=shelf.ask,
                args=(lambda: self._read(where), fetch),
                name="keys-fetch",
                daemon=True,
            ).start()
            return fetch

    def _read(self, where: str) -> bytes:
        if where.startswith(("http://", "https://")):
            return self._get(where)
        with Path(where).open("rb") as file:
            return file.read(MAX_BYTES + 1)
