"""Reads what a hook call did not bring along from the EHR's FHIR server: in parallel, in time, or not at all.

Whatever goes wrong becomes a ``Fetched`` with a stable word, never an exception and never an empty list.
Whether a resource belongs to the patient of the call is the reader's business: nothing is dropped here.
"""

from __future__ import annotations

import functools
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cds_service.ehr.circuits import NO_SIGN_OF_LIFE, Circuits, Hearing
from cds_service.ehr.fetched import Fetched, failed, judge_bundle
from cds_service.ehr.query import fill, is_id, read_query
from cds_service.ehr.session import FhirSession
from cds_service.fhir.bundle import next_page
from cds_service.fhir.values import as_text
from cds_service.outbound.addresses import Place, Resolver, find_base
from cds_service.outbound.http import CallFailedError, Outbound, OutboundSession
from cds_service.settings import Limits

__all__ = ["FhirAccess", "FhirClient", "fill", "read_access", "read_query"]

REFERENCES = 50  # read by one read_many; more are "too-many"
FAIR_TRIAL = 0.2  # seconds; a server that had less is not blamed for a timeout
SLOTS = 64  # requests at the same time to one listed base

_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")


@dataclass(frozen=True, slots=True)
class FhirAccess:
    """Leave to read one FHIR server, for ``expires_in`` seconds (None = not said).

    ``allowed_bases`` are those of the calling client. The token stays out of repr, and goes to ``base`` only.
    """

    base: str
    token: str | None = field(default=None, repr=False)
    expires_in: int | None = None
    allowed_bases: tuple[str, ...] = ()
    require_https: bool = True


def read_access(
    fhir_server: str,
    authorization: Mapping[str, Any],
    patient_id: str,
    *,
    allowed_bases: tuple[str, ...],
    require_https: bool,
) -> tuple[FhirAccess | None, str]:
    """The access that a hook call grants, or None and why not (R33-R36).

    An open server (no ``fhirAuthorization``) is read without a token.
    """
    if not fhir_server:
        return None, "no-server"
    access = FhirAccess(fhir_server, None, None, allowed_bases, require_https)
    if not authorization:
        return access, "ok"
    objection = _object_to(authorization, patient_id)
    if objection:
        return None, objection
    return replace(
        access, token=authorization["access_token"], expires_in=_lifetime(authorization)
    ), "ok"


def _object_to(authorization: Mapping[str, Any], patient_id: str) -> str:
    if as_text(authorization.get("token_type")).lower() != "bearer":
        return "bad-token"
    if not _TOKEN.fullmatch(as_text(authorization.get("access_token"))):
        return "bad-token"
    seconds = _lifetime(authorization)
    if seconds is not None and seconds <= 0:
        return "expired"
    granted = as_text(authorization.get("patient")).removeprefix("Patient/")
    return "wrong-patient" if granted and granted != patient_id.removeprefix("Patient/") else ""


def _lifetime(authorization: Mapping[str, Any]) -> int | None:
    seconds = authorization.get("expires_in")
    return seconds if isinstance(seconds, int) and not isinstance(seconds, bool) else None


class FhirClient:
    """Reads from the FHIR servers that are listed, and from no others. One per process; safe for threads.

    ``allowed_bases`` are all that the service knows; the base of a call must be one of them (not lie below
    one: that is another tenant), and one of ``access.allowed_bases`` too. Only what shields the service is
    kept between calls (circuit breakers), nothing of a patient. ``monotonic`` is the breaker's clock.
    ``outbound`` says how to get out, in place of ``allow_http``, ``resolver`` and ``trust``.
    """

    def __init__(
        self,
        limits: Limits,
        allowed_bases: Iterable[str],
        *,
        allow_http: bool = False,
        resolver: Resolver = socket.getaddrinfo,
        monotonic: Callable[[], float] = time.monotonic,
        trust: ssl.SSLContext | None = None,
        outbound: Outbound | None = None,
    ) -> None:
        self._limits = limits
        like = outbound or Outbound((), allow_http, resolver=resolver, trust=trust)
        self._outbound = replace(like, listed=tuple(allowed_bases), max_bytes=limits.fhir_bytes)
        self._circuits = Circuits(monotonic)
        self._lock = threading.Lock()
        self._slots: dict[str, threading.Semaphore] = {}

    def fetch(
        self, queries: Mapping[str, str], access: FhirAccess, *, deadline_ms: int | None = None
    ) -> dict[str, Fetched]:
        """Every query's answer, by its name, in parallel.

        A query is a filled template: ``Patient/123`` or ``MedicationRequest?patient=123``. Returns within the
        budget of the limits, ``deadline_ms`` and ``expires_in``, whichever is shortest, and 100 ms.
        """
        plans = {name: read_query(text) for name, text in queries.items()}
        read = self._read(
            {
                name: functools.partial(FhirSession.answer, query=plan)
                for name, plan in plans.items()
                if plan
            },
            access,
            deadline_ms,
        )
        return {name: read.get(name, failed("bad-id")) for name in queries}

    def follow(
        self, bundle: Mapping[str, Any], access: FhirAccess, *, deadline_ms: int | None = None
    ) -> Fetched:
        """A prefetched first page with all the pages that its next links lead to (R55)."""
        first = dict(bundle)
        if next_page(first) is None:
            return judge_bundle(first)
        read = self._read(
            {"": functools.partial(FhirSession.turn_pages, bundle=first)}, access, deadline_ms
        )[""]
        return read if read.resource is not None else Fetched(first, False, "more-pages")

    def read_many(
        self, references: Iterable[str], access: FhirAccess, *, deadline_ms: int | None = None
    ) -> dict[str, Fetched]:
        """Each referenced resource, by its reference as given: ``Medication/x``, or absolute on this base."""
        wanted = list(dict.fromkeys(references))
        queries = {ref: _local(ref, access.base) for ref in wanted[:REFERENCES]}
        foreign = {ref for ref, query in queries.items() if not query}
        local = {ref: query for ref, query in queries.items() if query}
        read = self.fetch(local, access, deadline_ms=deadline_ms)
        return {
            ref: read[ref]
            if ref in read
            else failed("refused-host" if ref in foreign else "too-many")
            for ref in wanted
        }

    def close(self) -> None:
        """Close the connections that are kept for the next call."""
        self._outbound.kept.close()

    def _read(
        self,
        tasks: Mapping[str, Callable[[FhirSession], Iterator[Fetched]]],
        access: FhirAccess,
        deadline_ms: int | None,
    ) -> dict[str, Fetched]:
        if not tasks:
            return {}
        try:
            base = self._admit(access)
            seconds = self._budget(access, deadline_ms)
            return self._visit(tasks, base, access, seconds)
        except CallFailedError as failure:
            return dict.fromkeys(tasks, failed(failure.why))

    def _admit(self, access: FhirAccess) -> Place:
        base = self._outbound.admit(access.base)
        if base.query or "?" in access.base:
            raise CallFailedError("refused-host")
        if not (find_base(base, self._outbound.listed) and find_base(base, access.allowed_bases)):
            raise CallFailedError("refused-host")
        if access.require_https and base.scheme != "https":
            raise CallFailedError("refused-host")
        if access.token is not None and not _TOKEN.fullmatch(access.token):
            raise CallFailedError("bad-token")
        return base

    def _budget(self, access: FhirAccess, deadline_ms: int | None) -> float:
        if access.expires_in is not None and access.expires_in <= 0:
            raise CallFailedError("expired")
        lifetime = None if access.expires_in is None else access.expires_in * 1_000
        bounds = [
            each
            for each in (self._limits.fhir_budget_ms, deadline_ms, lifetime)
            if each is not None
        ]
        if min(bounds) <= 0:
            raise CallFailedError("timeout")
        return min(bounds) / 1_000

    def _visit(
        self,
        tasks: Mapping[str, Callable[[FhirSession], Iterator[Fetched]]],
        base: Place,
        access: FhirAccess,
        seconds: float,
    ) -> dict[str, Fetched]:
        breaker = self._circuits.breaker(base.url)
        if not breaker.admits():
            raise CallFailedError("circuit-open")
        answered: bool | None = None
        try:
            with (
                OutboundSession(self._outbound, base, seconds, slots=self._slots_of(base)) as visit,
                Hearing(self._circuits, base.url) as hearing,
            ):
                pages = self._limits.fhir_pages
                found = _gather(
                    visit, tasks, FhirSession(visit, base, access.token, pages, hearing)
                )
                answered = _tell_life(visit, found, seconds)
            return found
        finally:
            breaker.record(answered)

    def open_circuits(self) -> dict[str, bool]:
        """Which bases were asked so far, and whether any of what is asked of each is left alone now."""
        return self._circuits.open_by_base()

    def _slots_of(self, base: Place) -> threading.Semaphore:
        """One server that hangs may use up its own threads only."""
        with self._lock:
            listed = find_base(base, self._outbound.listed)
            return self._slots.setdefault(listed, threading.Semaphore(SLOTS))


def _gather(
    visit: OutboundSession,
    tasks: Mapping[str, Callable[[FhirSession], Iterator[Fetched]]],
    chart: FhirSession,
) -> dict[str, Fetched]:
    try:
        visit.resolve()
        latest = visit.gather(
            {name: functools.partial(_fence, task, chart) for name, task in tasks.items()}
        )
    except CallFailedError as failure:
        return dict.fromkeys(tasks, failed(failure.why))
    return {name: latest.get(name, failed("timeout")) for name in tasks}


def _fence(
    task: Callable[[FhirSession], Iterator[Fetched]], chart: FhirSession
) -> Iterator[Fetched]:
    try:
        yield from task(chart)
    except CallFailedError as failure:
        yield failed(failure.why)
    except Exception:  # noqa: BLE001 - a fault of ours must not look like a slow server
        yield failed("failed")


def _tell_life(visit: OutboundSession, found: Mapping[str, Fetched], seconds: float) -> bool | None:
    if visit.answered:
        return True
    silent = any(each.why in NO_SIGN_OF_LIFE for each in found.values())
    return False if silent and seconds >= FAIR_TRIAL else None


def _local(reference: str, base: str) -> str:
    """``Type/id`` of a reference on this base, without its version; "" for one on another server."""
    local, _, version = reference.removeprefix(f"{base.rstrip('/')}/").partition("/_history/")
    return "" if "://" in local else local if not version or is_id(version) else reference
