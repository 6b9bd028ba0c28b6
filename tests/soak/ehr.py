"""The EHR in a process of its own: its FHIR server and its key endpoint over TLS, each told when to be ill."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.bench.fhir import TOKEN
from tests.bench.tokens import Signer
from tests.fhir_server import FhirServer, serve
from tests.tls import make_site_tls

KEYS_PATH = "/jwks.json"
HOST = "localhost"


@dataclass(frozen=True, slots=True)
class Ehr:
    """Our end of the line to it. ``authority`` vouches for both servers."""

    base: str
    keys_url: str
    authority: Path
    line: Connection

    def fhir(self, fault: str = "", delay: float = 0.0) -> None:
        """From now on the FHIR server misbehaves like this (a name of tests.fhir_server), or no more."""
        self._tell("fhir", fault, delay)

    def keys(self, fault: str = "") -> None:
        """The same for the key endpoint."""
        self._tell("keys", fault, 0.0)

    def asked(self) -> int:
        """Requests to the FHIR server since this was last asked; it forgets them, or it would grow for ever."""
        return int(self._tell("count", "", 0.0))

    def _tell(self, whom: str, fault: str, delay: float) -> Any:
        self.line.send((whom, fault, delay))
        return self.line.recv()


@contextmanager
def run_ehr(resources: list[Any], signer: Signer, folder: Path) -> Iterator[Ehr]:
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(resources, signer.jwk, str(folder), theirs), daemon=True
    )
    process.start()
    try:
        base, keys = mine.recv()
        yield Ehr(base, keys + KEYS_PATH, folder / "ca.pem", mine)
    finally:
        mine.send(("end", "", 0.0))
        process.join(10)
        if process.is_alive():
            process.kill()


def _serve(resources: list[Any], jwk: dict[str, str], folder: str, line: Connection) -> None:
    tls, _ = make_site_tls(Path(folder), HOST)
    pages = {KEYS_PATH: {"keys": [jwk]}}
    with (
        serve(resources, tls=tls, name=HOST, token=TOKEN) as fhir,
        serve(tls=tls, name=HOST, path="", pages=pages) as keys,
    ):
        line.send((fhir.base_url, keys.base_url))
        while (told := line.recv())[0] != "end":
            line.send(_obey(fhir, keys, *told))


def _obey(fhir: FhirServer, keys: FhirServer, whom: str, fault: str, delay: float) -> int:
    if whom == "count":
        with fhir.lock:
            asked = len(fhir.seen)
            fhir.seen.clear()
            fhir.searches.clear()
        return asked
    server = fhir if whom == "fhir" else keys
    server.fault, server.delay = fault, delay
    return 0
