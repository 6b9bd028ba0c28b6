"""One call's resources, read once: every entry, what references mean, the FHIR release, what each drug is."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from cds_service.fhir import read
from cds_service.fhir.bundle import Entry, Resolver
from cds_service.fhir.status import order_kind, release_of
from cds_service.hooks.prefetch import Record
from cds_service.hooks.request import HookRequest
from cds_service.model import Drug, Json, Recognition, Release
from cds_service.terminology import Terminology

Named = tuple[Drug, Recognition]


class Reading:
    """What every step of a call reads from. A drug is recognised when it is first asked for, and never again."""

    def __init__(self, request: HookRequest, record: Record, terminology: Terminology) -> None:
        self.request = request
        self.record = record
        self.terminology = terminology
        self.resolver = Resolver(self.entries)
        self._named: dict[
            int, Named
        ] = {}  # by the identity of a resource, which this reading keeps alive

    @property
    def drafted(self) -> list[Entry]:
        """The orders of the call."""
        return self.request.orders.entries

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The orders of the call, then the record."""
        return (*self.drafted, *(entry for _, entry in self.record.entries))

    @cached_property
    def release(self) -> Release:
        """What a draft's shape gives away, else any resource's; R4 where nothing does (R45)."""
        return next(
            (release for entry in self.entries if (release := release_of(entry.resource))),
            Release.R4,
        )

    def name(self, resource: Json) -> Named:
        """The drug that this order names, and what it is."""
        if (named := self._named.get(id(resource))) is None:
            drug = read.read_drug(resource, self.resolver)
            named = self._named[id(resource)] = drug, self.terminology.recognise(drug)
        return named

    def drafts(self) -> Iterable[Recognition]:
        """What each order of the call names, as far as it names anything."""
        return (
            self.name(entry.resource)[1]
            for entry in self.drafted
            if order_kind(entry.resource) and read.names_medication(entry.resource)
        )

    @property
    def concerns_us(self) -> bool:
        """True where a draft is, or may be, naltrexone or an opioid: only then is more of the record needed (R25)."""
        return any(
            recognition.components or not recognition.identified for recognition in self.drafts()
        )

    @cached_property
    def unread_medications(self) -> frozenset[str]:
        """``Medication/id`` of every order whose drug is a reference to something that was not sent."""
        return frozenset(ref for entry in self.entries if (ref := self._unread(entry.resource)))

    def with_record(self, record: Record) -> Reading:
        """The same call with more of the record; only what a new resource explains is recognised anew."""
        if record is self.record:
            return self
        more = Reading(self.request, record, self.terminology)
        more._named = {
            id(entry.resource): self._named[id(entry.resource)]
            for entry in more.entries
            if id(entry.resource) in self._named and not self._unread(entry.resource)
        }
        return more

    def _unread(self, resource: Json) -> str:
        return read.has_unread_reference(resource, self.resolver) if order_kind(resource) else ""
