"""Start the WSGI server: granian with buffered threads, header time-out and worker respawn (figures in design notes)."""

from __future__ import annotations

import os
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings

from cds_service.settings import Settings

_SLOW_HEADER_MS = 5_000


def run(settings: Settings, target: str = "cds_service.app:worker") -> None:
    """Serve until SIGTERM; running calls finish first."""
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    options: dict[str, Any] = {
        "address": settings.host, "port": settings.port, "interface": Interfaces.WSGI, "factory": True,
        "workers": settings.workers, "blocking_threads": settings.threads, "respawn_failed_workers": True,
        "log_access": False, "log_level": "error", "websockets": False,
        "http1_settings": HTTP1Settings(header_read_timeout=_SLOW_HEADER_MS),
        "workers_kill_timeout": 10,
    }
    Granian(target, **options).serve()
