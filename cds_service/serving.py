"""Start the WSGI server: granian with buffered threads, header time-out and worker respawn (figures in design notes)."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings

from cds_service.settings import Settings

_SLOW_HEADER_MS = 5_000
_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it


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
    with _shared_metrics(settings):
        Granian(target, **options).serve()


@contextmanager
def _shared_metrics(settings: Settings) -> Iterator[None]:
    """Where several workers add up their metrics: in memory, because a full disk must not cost a worker."""
    if not settings.has_metrics or settings.workers == 1 or _METRICS_FOLDER in os.environ:
        yield
        return
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    for left in where.glob("naltrexone-cds-metrics-*"):   # of a server that was killed
        if not Path(f"/proc/{left.name.split('-')[3]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=f"naltrexone-cds-metrics-{os.getpid()}-", dir=where)
    os.environ[_METRICS_FOLDER] = folder
    try:
        yield
    finally:
        del os.environ[_METRICS_FOLDER]
        shutil.rmtree(folder, ignore_errors=True)
