"""Connections to one checked address, whatever a URL's host would resolve to now; kept for the next request.

urllib3 keeps them, checks that one is still open before it is used again, and speaks TLS. Ours is who uses a
connection at the moment (so that a visit that is over cuts its own and no other's), how long one may idle,
and the tunnel through a configured proxy.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from queue import LifoQueue
from time import monotonic
from typing import Any, Protocol

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from cds_service.outbound.addresses import Place

IDLE_SECONDS = 30.0  # below what firewalls and load balancers forget in silence
KEPT = 64  # idle connections to one address

# urllib3 writes whole URLs (patient ids) at level DEBUG and some at WARNING.
logging.getLogger("urllib3.connectionpool").addFilter(lambda _: False)


class Owner(Protocol):
    """Who may cut a connection while it is used."""

    def joined(self, connection: PinnedConnection) -> None:
        """This connection is used for the owner from now on; raises where the owner is over."""


@dataclass(slots=True)
class Use:
    """One request of one thread: for whom, and over which connection. ``fresh`` wants one just opened."""

    owner: Owner
    fresh: bool = False
    connection: PinnedConnection | None = None
    reused: bool = False


_here = threading.local()


@contextlib.contextmanager
def using(owner: Owner, *, fresh: bool) -> Iterator[Use]:
    """What this thread sends meanwhile is sent for ``owner``."""
    _here.use = use = Use(owner, fresh)
    try:
        yield use
    finally:
        _here.use = None
        if use.connection is not None:
            use.connection.leave(owner)


class PinnedConnection(HTTPConnection):
    """``behind`` is the address and port to reach through the proxy that this connection is made to."""

    debuglevel = 0  # where somebody sets it on http.client's class, that prints headers: tokens

    def __init__(self, *args: Any, behind: tuple[str, int] | None = None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.used_at = monotonic()
        self._behind = behind
        self._served = False
        self._unsent: list[bytes] | None = None
        self._guard = threading.Lock()
        self._owner: Owner | None = None
        self._wire: socket.socket | None = None

    @property
    def is_connected(self) -> bool:
        """Fit for another request: open, idle for no longer than it may, and nobody wants a fresh one."""
        rested = monotonic() - self.used_at
        return rested < IDLE_SECONDS and not _here.use.fresh and super().is_connected

    def connect(self) -> None:
        self._served = False
        if self._behind:
            self.set_tunnel(*self._behind)
        try:
            super().connect()
        except OSError as error:
            if type(error) is OSError and self._behind:  # http.client: the proxy said no
                raise NewConnectionError(self, "the proxy refuses") from None
            raise
        self._join()

    def request(self, *args: Any, **settings: Any) -> None:
        """Head and body in one write: apart they are two TLS records, two packets and two wake-ups."""
        if self.sock is not None:
            self._join()
        self._unsent = []
        try:
            super().request(*args, **settings)
            whole = b"".join(self._unsent)
        finally:
            self._unsent = None
        self.send(whole)

    def send(self, data: Any) -> None:
        if self._unsent is None:
            super().send(data)
        else:
            self._unsent.append(data)

    def _join(self) -> None:
        use: Use = _here.use
        with self._guard:
            self._owner, self._wire = use.owner, self.sock
        use.connection, use.reused = self, self._served
        use.owner.joined(self)

    def leave(self, owner: Owner) -> None:
        """The owner's request is over. Somebody else may have taken the connection already."""
        with self._guard:
            if self._owner is owner:
                self._owner = self._wire = None
                self._served, self.used_at = True, monotonic()

    def cut(self, owner: Owner) -> None:
        """Wake the thread that waits for the server, if it still does so for this owner."""
        with self._guard:
            if self._owner is owner and self._wire is not None:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._wire, socket.SHUT_RDWR)


class _SecureConnection(PinnedConnection, HTTPSConnection):
    """The same over TLS: whatever ``PinnedConnection`` leaves alone is ``HTTPSConnection``'s."""


class _Idle(LifoQueue[PinnedConnection | None]):
    """The connections that wait for the next request; the one used last is taken first."""

    def sweep(self, before: float) -> int:
        """Close those not used since ``before``; how many open ones are left."""
        with self.mutex:
            held = [each for each in self.queue if each is not None and each.sock is not None]
            tired = [each for each in held if each.used_at < before]
            self.queue[:] = [None if each in tired else each for each in self.queue]
        for each in tired:
            each.close()
        return len(held) - len(tired)


class HttpPool(HTTPConnectionPool):
    ConnectionCls = PinnedConnection
    QueueCls = _Idle  # type: ignore[assignment]


class HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
    QueueCls = _Idle  # type: ignore[assignment]


def make_pool(
    place: Place, address: str, trust: ssl.SSLContext | None, proxy: Place | None
) -> HTTPConnectionPool:
    """The connections to one address of a place; with ``trust`` the place's host is what TLS must prove."""
    wanted: dict[str, Any] = {"host": address, "port": place.port, "maxsize": KEPT}
    if proxy is not None:
        wanted = {**wanted, "host": proxy.host, "port": proxy.port, "behind": (address, place.port)}
    if trust is None:
        return HttpPool(**wanted)
    return HttpsPool(**wanted, ssl_context=trust, server_hostname=place.host)
