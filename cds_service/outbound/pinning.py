"""Connections to one checked address, whatever a URL's host would resolve to now."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from cds_service.outbound.addresses import Place

CREW = 8                        # requests at the same time within one visit

# urllib3 writes whole URLs (patient ids) at level DEBUG and some at WARNING.
logging.getLogger("urllib3.connectionpool").addFilter(lambda _: False)


class PinnedAdapter(HTTPAdapter):
    """Connects to one address, whatever the request's URL says; the URL's host is what TLS must prove."""

    def __init__(self, place: Place, address: str, watch: Callable[[socket.socket], None],
                 trust: ssl.SSLContext | None) -> None:
        super().__init__()
        wanted: dict[str, Any] = {"host": address, "port": place.port, "maxsize": CREW, "watch": watch}
        self._pool: HTTPConnectionPool = (
            _HttpPool(**wanted) if trust is None else
            _HttpsPool(**wanted, ssl_context=trust, server_hostname=place.host))

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        return self._pool

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Nothing to do: the pool has its trust; requests would read certifi's file for every connection."""

    def close(self) -> None:
        self._pool.close()
        super().close()


class _HttpConnection(HTTPConnection):
    debuglevel = 0        # where somebody sets it on http.client's class, that prints headers: tokens

    def __init__(self, *args: Any, watch: Callable[[socket.socket], None], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._watch = watch

    def connect(self) -> None:
        super().connect()
        self._watch(self.sock)


class _HttpsConnection(_HttpConnection, HTTPSConnection):
    """The same over TLS: whatever ``_HttpConnection`` leaves alone is ``HTTPSConnection``'s."""


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection
