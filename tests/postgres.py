"""A PostgreSQL server for tests: the one of TEST_POSTGRES_URL, else one of our own, else a skip that says why.

With CI_STRICT=1 a missing server is a failure. Import the fixtures by name or list this module in pytest_plugins.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A server by URL; ``folder`` is None for one that is not ours, which cannot be stopped."""

    url: str
    binaries: Path | None = None
    folder: Path | None = None
    port: int = 0

    def start(self) -> None:
        options = (
            f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c max_connections=120"
        )
        self._control("-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        """As in a crash: no checkpoint, every connection cut."""
        self._control("-m", "immediate", "stop")

    def _control(self, *arguments: str) -> None:
        _run(
            self.folder,
            str(self.binaries / "pg_ctl"),
            "-w",
            "-D",
            str(self.folder / "data"),
            *arguments,
        )


@cache
def server() -> PostgresServer | str:
    """The one server of this test run, or the reason why there is none."""
    if os.environ.get("TEST_POSTGRES_URL"):
        return PostgresServer(os.environ["TEST_POSTGRES_URL"])
    binaries = _binaries()
    if binaries is None:
        return "no PostgreSQL: set TEST_POSTGRES_URL or install the server (initdb was not found)"
    try:
        return _start(binaries)
    except (OSError, subprocess.SubprocessError, KeyError) as error:
        return f"PostgreSQL is installed but did not start: {type(error).__name__}"


@pytest.fixture
def postgres_server() -> PostgresServer:
    """A running server."""
    found = server()
    if isinstance(found, PostgresServer):
        return found
    if os.environ.get("CI_STRICT") == "1":
        pytest.fail(found)
    pytest.skip(found)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database that is dropped after the test."""
    with new_database(postgres_server) as url:
        yield url


@contextmanager
def new_database(running: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database that is dropped afterwards."""
    name = f"test_{uuid4().hex}"
    admin = create_engine(
        make_url(running.url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(running.url).set(database=name).render_as_string(hide_password=False)
    admin.dispose()
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


def _binaries() -> Path | None:
    on_path = shutil.which("initdb")
    folders = [Path(on_path).parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def _start(binaries: Path) -> PostgresServer:
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    _run(
        folder,
        str(binaries / "initdb"),
        "-A",
        "trust",
        "-U",
        "postgres",
        "--no-sync",
        "-D",
        f"{folder}/data",
    )
    port = _free_port()
    started = PostgresServer(
        f"postgresql://postgres@127.0.0.1:{port}/postgres", binaries, folder, port
    )
    started.start()
    atexit.register(_stop_at_exit, started)
    return started


def _stop_at_exit(started: PostgresServer) -> None:
    try:
        started.stop()
    except subprocess.SubprocessError:
        return  # a test has stopped it already


def _run(folder: Path, *command: str) -> None:
    """PostgreSQL refuses to run as root, so root hands over to the user postgres."""
    user = "postgres" if os.geteuid() == 0 else None
    subprocess.run(
        command,
        check=True,
        cwd=folder,
        user=user,
        timeout=60,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
