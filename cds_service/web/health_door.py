"""A door of its own for health: what operators ask is answered whatever waits at the door of the hooks.

Every worker listens on the same port, and the kernel picks one; a small crew answers, and a silent caller is cut.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

PATHS = frozenset({"/livez", "/readyz", "/startupz", "/metrics"})
CREW = 16
SECONDS = 2  # that a caller may keep one of the crew

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]


class _Door(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._crew = threading.BoundedSemaphore(CREW)
        super().__init__(address, _Request)

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Callers beyond the crew wait in the kernel's queue."""
        self._crew.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            request.settimeout(SECONDS)
            super().process_request_thread(request, client_address)
        finally:
            self._crew.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who goes away or says nothing is no fault of ours."""


class _Request(WSGIRequestHandler):
    timeout = SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Health checks are not logged."""


def open_door(application: Application, host: str, port: int) -> threading.Thread:
    """Serve PATHS of ``application`` on a port of their own until the process ends; OSError if it is taken."""
    ServerHandler.server_software = ""  # nobody needs to know our version of Python
    door = _Door((host, port))
    door.set_app(_only_health(application))
    thread = threading.Thread(target=door.serve_forever, name="health-door", daemon=True)
    thread.start()
    return thread


def _only_health(application: Application) -> Application:
    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ.get("PATH_INFO") in PATHS and environ.get("REQUEST_METHOD") in ("GET", "HEAD"):
            return application(environ, start_response)
        start_response("404 Not Found", [("Content-Length", "0")])
        return [b""]

    return serve
