"""One call's resources, read once: every entry, what references mean, the FHIR release, what each drug is."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property, lru_cache
from typing import NamedTuple

from cds_service.exposure import depot
from cds_service.fhir import read
from cds_service.fhir.bundle import Entry, Resolver, might_be_order
from cds_service.fhir.releases import ASSUMED
from cds_service.fhir.status import order_kind, release_of
from cds_service.fhir.values import read_concept
from cds_service.hooks.prefetch import Record
from cds_service.hooks.profiles import UNDATED
from cds_service.hooks.request import HookRequest
from cds_service.model import Concept, Drug, Identity, Json, Recognition, Release
from cds_service.terminology import Terminology, absence

STEPS = 40_000  # of work on the drugs of one call; a list of 300 medicines takes about 12,000
_EACH, _CHARACTERS = (
    30,
    4,
)  # steps for a way of writing a drug, and characters of an order's words to a step
_SUPPORTIVE = frozenset({"lofexidine"})
_REMEMBERED = 8_192  # drugs by their raw words, of at most read.LONGEST_WORDS characters each


class Named(NamedTuple):
    """The drug that an order names, what it is, and whether it stands for no medicine at all (2.11).

    ``supportive`` are the words in its name that tell of an opioid though it is none: lofexidine treats withdrawal.
    """

    drug: Drug
    recognition: Recognition
    absent: str  # none | unknown | ""
    supportive: frozenset[str] = frozenset()


def billed_procedure(resource: Json) -> str:
    """The depot that a procedure gave, by its billing code; it counts like an administration (specification 2.4)."""
    if resource.get("resourceType") != "Procedure":
        return ""
    return depot.billed_product(read_concept(resource.get("code")))


class Reading:
    """What every step of a call reads from. A drug is recognised when it is first asked for, and never again."""

    def __init__(
        self,
        request: HookRequest,
        record: Record,
        terminology: Terminology,
        profile: str = UNDATED,
    ) -> None:
        self.request = request
        self.profile = profile  # what the client was asked to send along
        self.record = record
        self.terminology = terminology
        self.resolver = Resolver(self.entries)
        self._named: dict[
            int, Named
        ] = {}  # by the identity of a resource, which this reading keeps alive
        self._met: set[read.DrugWords] = set()
        self._left = STEPS

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
            ASSUMED,
        )

    def name(self, resource: Json) -> Named:
        """The drug that this order names, and what it is; remembered by its raw words where it names it itself."""
        if (named := self._named.get(id(resource))) is None:
            named = self._named[id(resource)] = self._name(resource)
        return named

    @property
    def is_exhausted(self) -> bool:
        """True where the call has used its steps up: what is left of it counts as unreadable.

        Steps are counted, never timed, so that one call has one answer whatever else the machine does.
        """
        return self._left <= 0

    def spend(self, texts: Iterable[str]) -> None:
        """Count the steps that reading these texts takes."""
        self._left -= 1 + sum(min(len(text), read.LONGEST_SIG) for text in texts) // _CHARACTERS

    def _name(self, resource: Json) -> Named:
        words = read.drug_words(resource)
        if words is not None and words in self._met:
            self._left -= 1
            return _remembered(words, self.terminology)
        if self.is_exhausted:
            return _TOO_MUCH
        if words is not None:
            self._met.add(words)
            self._left -= _EACH + sum(map(len, words.concept)) // _CHARACTERS
            return _remembered(words, self.terminology)
        drug = self._drug(resource)
        self._left -= _EACH + _size(drug) // _CHARACTERS
        return _name(drug, self.terminology)

    def _drug(self, resource: Json) -> Drug:
        """What is named; a billing code alone, or a procedure with one, stands for the product that it bills."""
        if product := billed_procedure(resource):
            return Drug(Concept(text=product))
        return depot.name_billed(read.read_drug(resource, self.resolver))

    def drafts(self) -> Iterable[Recognition]:
        """What each order of the call names, as far as it names anything."""
        return (
            self.name(entry.resource).recognition
            for entry in self.drafted
            if order_kind(entry.resource) and read.names_medication(entry.resource)
        )

    @property
    def concerns_us(self) -> bool:
        """True where a draft is, or may be, naltrexone or an opioid: only then is more of the record needed (R25)."""
        return any(
            recognition.components or not recognition.identified for recognition in self.drafts()
        )

    @property
    def is_not_ours(self) -> bool:
        """True where every order of the call names, in its own words, what is positively neither opioid nor antagonist.

        Then the record cannot change the answer. An order that refers elsewhere for its drug, one that is unknown,
        unreadable or of another patient, and one whose code and words disagree have the record read.
        """
        orders = self.request.orders
        return (
            bool(orders.entries)
            and not orders.unreadable
            and all(self._is_other(entry.resource) for entry in orders.entries)
        )

    def _is_other(self, resource: Json) -> bool:
        if not order_kind(resource):
            return not might_be_order(resource)
        if read.belongs_to_other(resource, self.request.patient_id):
            return False
        if not read.names_medication(resource):
            return True
        if read.drug_words(resource) is None:
            return False
        recognition = self.name(resource).recognition
        return recognition.kind is Identity.OTHER and not recognition.conflict

    @cached_property
    def unread_medications(self) -> frozenset[str]:
        """``Medication/id`` of every order whose drug is a reference to something that was not sent."""
        return frozenset(ref for entry in self.entries if (ref := self._unread(entry.resource)))

    def with_record(self, record: Record) -> Reading:
        """The same call with more of the record; only what a new resource explains is recognised anew."""
        if record is self.record:
            return self
        more = Reading(self.request, record, self.terminology, self.profile)
        more._met, more._left = self._met, self._left
        more._named = {
            id(entry.resource): self._named[id(entry.resource)]
            for entry in more.entries
            if id(entry.resource) in self._named and not self._unread(entry.resource)
        }
        return more

    def _unread(self, resource: Json) -> str:
        return read.has_unread_reference(resource, self.resolver) if order_kind(resource) else ""


_TOO_MUCH = Named(Drug(), Recognition(Identity.UNREADABLE), "")


def _size(drug: Drug) -> int:
    """Characters of all words of a drug, as far as they are looked at."""
    items = (drug.concept, drug.form, drug.route, *(line.item for line in drug.ingredients))
    texts = (
        text for item in items for text in (item.text, *(c.display + c.code for c in item.codings))
    )
    return sum(min(len(text), read.LONGEST_SIG) for text in texts)


def _name(drug: Drug, terminology: Terminology) -> Named:
    words = " ".join((drug.concept.text, *(c.display for c in drug.concept.codings))).lower()
    supportive = frozenset(name for name in _SUPPORTIVE if name in words)
    return Named(drug, terminology.recognise(drug), absence(drug), supportive)


@lru_cache(maxsize=_REMEMBERED)
def _remembered(words: read.DrugWords, terminology: Terminology) -> Named:
    """What the same words meant before: nearly every order of a list is written as some other order was."""
    return _name(depot.name_billed(read.drug_of(words)), terminology)
