"""What is soaked: two replicas, production profile, real clock, on one PostgreSQL behind the shipped proxy."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.bench.tokens import BASE, ISSUER, Signer
from tests.operations.proxy import Replica, behind_proxy, wait_until_ready
from tests.postgres import PostgresServer
from tests.security.ehr import write_settings
from tests.soak.ehr import Ehr

WORKERS = 2
START_SECONDS = 120.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class LoggingReplica(Replica):
    """A replica whose log goes through a pipe to a reader that can be made to stand still."""

    command = ("-m", "tests.soak.serving")

    def __init__(self, folder: Path, settings: Path, database: str) -> None:
        super().__init__(folder, settings, database)
        self._read, self._write = os.pipe()
        self._reads = threading.Event()
        self._reads.set()
        self._file = (folder / "log.txt").open("wb")
        threading.Thread(target=self._drain, daemon=True).start()

    @contextlib.contextmanager
    def output(self) -> Iterator[IO[bytes]]:
        with os.fdopen(os.dup(self._write), "wb") as end:
            yield end

    def start(self) -> None:
        super().start()
        wait_until_ready(self.url, seconds=START_SECONDS)

    def stand_still(self, *, still: bool) -> None:
        """Nobody reads the log while ``still``; the pipe is soon full."""
        if still:
            self._reads.clear()
        else:
            self._reads.set()

    def workers(self) -> list[int]:
        return children(self.pid)

    def _drain(self) -> None:
        while piece := os.read(self._read, 65_536):
            self._file.write(piece)
            self._file.flush()
            self._reads.wait()


@dataclass(frozen=True, slots=True)
class House:
    """Everything that a fault can be put into, and the URL that the EHR calls."""

    url: str
    replicas: list[LoggingReplica]
    postgres: PostgresServer
    database: str
    settings: Path
    ehr: Ehr
    signer: Signer


def settings_file(folder: Path, ehr: Ehr, audit: str) -> Path:
    """Production, with the limits as shipped."""
    client: dict[str, Any] = {
        "name": "Soak",
        "issuer": ISSUER,
        "jwks_url": ehr.keys_url,
        "fhir_bases": [ehr.base],
        "feedback_quota": 10_000_000,
    }
    file = write_settings(
        folder,
        client,
        public_base_url=BASE,
        trusted_proxy=True,
        workers=WORKERS,
        audit=audit,
        metrics="on",
        ca_file=str(ehr.authority),
        audit_key_file=str(folder / "audit.key"),
    )
    (folder / "audit.key").write_text("k" * 40)
    return file


@contextlib.contextmanager
def run_house(
    folder: Path, settings: Path, postgres: PostgresServer, database: str, ehr: Ehr, signer: Signer
) -> Iterator[House]:
    replicas = [LoggingReplica(folder / f"replica-{n}", settings, database) for n in (1, 2)]
    with behind_proxy(folder, replicas) as url:
        yield House(url, replicas, postgres, database, settings, ehr, signer)


def children(pid: int) -> list[int]:
    """The processes that this one has started and that still run."""
    with contextlib.suppress(OSError):
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def resident_mb(pid: int) -> float:
    """0 for a process that is gone."""
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6
    return 0.0


def freeze(server: PostgresServer, *, frozen: bool) -> None:
    """Stop every process of the database where it stands, or let them go on: a host that hangs, not one that is gone."""
    if server.folder is None:
        raise RuntimeError("a server that is not ours is left alone")
    first = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
    for pid in (first, *children(first)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP if frozen else signal.SIGCONT)
