"""Start the WSGI server: granian with buffered threads, header time-out and worker respawn (docs/operations/limits.md)."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings

from cds_service.settings import Settings

SLOW_HEADER_MS = 5_000  # a connection that has not sent a whole header by then is cut
CONNECTIONS = 8_192  # of one worker, idle ones included
MOST_WORKERS = 8
_OTHER_FILES = 256  # descriptors that a worker needs for all else
_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it


def run(settings: Settings, target: str = "cds_service.app:worker") -> None:
    """Serve until SIGTERM; running calls finish first."""
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    connections = room_for_connections()
    options: dict[str, Any] = {
        "address": settings.host,
        "port": settings.port,
        "interface": Interfaces.WSGI,
        "factory": True,
        "workers": worker_count(settings),
        "blocking_threads": settings.threads,
        "respawn_failed_workers": True,
        "log_access": False,
        "log_level": "error",
        "websockets": False,
        # Not "auto": that waits for the first bytes without a time-out, to tell HTTP/2 from HTTP/1.
        "http": HTTPModes.http1,
        "http1_settings": HTTP1Settings(header_read_timeout=SLOW_HEADER_MS),
        "backlog": connections,
        "backpressure": connections,
        "workers_kill_timeout": 10,
    }
    with _shared_metrics(settings):
        Granian(target, **options).serve()


def room_for_connections() -> int:
    """Connections that one worker may hold: as many as its descriptors allow, which are raised as far as they go."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + _OTHER_FILES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(128, min(CONNECTIONS, soft - _OTHER_FILES))


def worker_count(settings: Settings) -> int:
    """Processes that these settings ask for on this machine."""
    return settings.workers or workers_for(processors())


def workers_for(cores: float) -> int:
    """One worker for each core that this machine, or container, lets us use; at least one, at most MOST_WORKERS."""
    return max(1, min(MOST_WORKERS, int(cores)))


def processors(quota: Path = _CPU_QUOTA) -> float:
    """Cores that this process may use, by its affinity and its control group."""
    cores = float(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        allowed, period = quota.read_text(encoding="ascii").split()
        return cores if allowed == "max" else min(cores, int(allowed) / int(period))
    except (OSError, ValueError):
        return cores


@contextmanager
def _shared_metrics(settings: Settings) -> Iterator[None]:
    """Where several workers add up their metrics: in memory, because a full disk must not cost a worker."""
    if not settings.has_metrics or worker_count(settings) == 1 or _METRICS_FOLDER in os.environ:
        yield
        return
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    for left in where.glob("naltrexone-cds-metrics-*"):  # of a server that was killed
        if not Path(f"/proc/{left.name.split('-')[3]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=f"naltrexone-cds-metrics-{os.getpid()}-", dir=where)
    os.environ[_METRICS_FOLDER] = folder
    try:
        yield
    finally:
        del os.environ[_METRICS_FOLDER]
        shutil.rmtree(folder, ignore_errors=True)
