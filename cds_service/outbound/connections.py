"""What is kept between calls to other servers: open connections, names looked up, and threads.

Nothing of a call is kept with them: headers, tokens and cookies belong to one request. A connection is used
again only for the same scheme, host, port, checked address, trust and proxy.
"""

from __future__ import annotations

import ssl
import threading
import weakref
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from cachetools import LRUCache, TTLCache
from urllib3 import HTTPConnectionPool

from cds_service.outbound.addresses import Place, Resolver, is_address, pin
from cds_service.outbound.crew import Crew
from cds_service.outbound.pinning import IDLE_SECONDS, make_pool

THREADS = 512  # of the whole crew; one server may use far fewer (``slots`` of a visit)
_ADDRESSES = 256  # that connections are kept to; those of the one used longest ago are closed
_NAME_SECONDS = 5.0  # a name that changes is followed within this time

_Pools = LRUCache[tuple[object, ...], HTTPConnectionPool]


class Connections:
    """Kept by whoever makes calls, for as long as it makes them; safe for threads."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._lock = threading.Lock()
        self._pools: _Pools = LRUCache(_ADDRESSES)
        self._names: TTLCache[tuple[object, ...], Sequence[tuple[Any, ...]]] = TTLCache(
            1_000, _NAME_SECONDS, timer=clock
        )
        # The crew must not keep us alive: with us, our connections are closed.
        sweep = weakref.WeakMethod(self.sweep)
        self.crew = Crew(THREADS, tend=lambda: bool((mine := sweep()) and mine()))

    def recall(self, place: Place, resolver: Resolver) -> tuple[str, ...] | None:
        """The addresses to call, checked anew, without asking anybody; None where the name must be looked up."""
        with self._lock:
            answers = self._names.get((resolver, place.host, place.port))
        if answers is None and not is_address(place.host):
            return None
        return pin(place, lambda *_, **__: answers or ())

    def look_up(self, place: Place, resolver: Resolver) -> tuple[str, ...]:
        """The addresses to call, from the name server; remembered a short time. Raises OSError."""

        def ask(host: str, port: int, **options: Any) -> Sequence[tuple[Any, ...]]:
            answers = resolver(host, port, **options)
            with self._lock:
                self._names[resolver, host, port] = answers
            return answers

        return pin(place, ask)

    def forget(self, place: Place, resolver: Resolver) -> None:
        """Look this name up again next time: what it led to did not answer."""
        with self._lock:
            self._names.pop((resolver, place.host, place.port), None)

    def pool(
        self, place: Place, address: str, trust: ssl.SSLContext | None, proxy: Place | None
    ) -> HTTPConnectionPool:
        """The kept connections to this address of this place, under this trust, through this proxy."""
        key = (place.scheme, place.host, place.port, address, trust, proxy)
        with self._lock:
            found = self._pools.get(key)
            if found is None:
                found = self._pools[key] = make_pool(place, address, trust, proxy)
            return found

    def sweep(self) -> bool:
        """Close what idles for too long; True while something is left to look after."""
        with self._lock:
            pools = list(self._pools.values())
        before = monotonic() - IDLE_SECONDS
        waiting = [pool.pool for pool in pools if pool.pool is not None]
        return sum(idle.sweep(before) for idle in waiting) > 0  # type: ignore[attr-defined]

    def close(self) -> None:
        """Close every connection that idles. Who calls again opens new ones."""
        with self._lock:
            pools = list(self._pools.values())
            self._pools.clear()
        for pool in pools:
            pool.close()
