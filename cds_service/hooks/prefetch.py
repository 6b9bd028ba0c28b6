"""What the EHR sent along, key by key: answered, null, failed, partial or absent. Absent is never "none"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cds_service.fhir.bundle import Entry, unpack
from cds_service.fhir.releases import profile_of
from cds_service.fhir.values import as_dict, as_text, resource_ref
from cds_service.hooks.profiles import MORE_SEARCHES, PROFILES, UNDATED
from cds_service.hooks.services import PREFETCH_KEYS, SEARCH_KEYS
from cds_service.model import Gap, Release


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """One key's data; ``why`` is a stable word where it is no answer.

    ``state`` is answered | null | failed | partial, or unread where no order of the call concerns us.
    """

    key: str
    state: str
    entries: tuple[Entry, ...] = ()
    why: str = ""
    unreadable: int = 0
    fetched: bool = False

    @property
    def complete(self) -> bool:
        return self.state in {"answered", "null"}


@dataclass(frozen=True)
class Record:
    """All that is known of the patient for this call: one SearchAnswer per key that was sent or fetched."""

    answers: Mapping[str, SearchAnswer]

    def answered(self, key: str) -> bool:
        return key in self.answers and self.answers[key].complete

    @cached_property
    def entries(self) -> tuple[tuple[str, Entry], ...]:
        """(key, entry) for every resource once, our keys first: the same resource under several keys counts once.

        Two that share an id and differ are both kept: which of them is right cannot be told.
        """
        seen: dict[str, Entry] = {}
        found = []
        for key in sorted(self.answers, key=lambda k: (k not in PREFETCH_KEYS, k)):
            for entry in self.answers[key].entries:
                ref = resource_ref(entry.resource)
                if ref and ref in seen and _are_equal(seen[ref], entry):
                    continue
                seen.setdefault(ref, entry)
                found.append((key, entry))
        return tuple(found)


def _are_equal(one: Entry, other: Entry) -> bool:
    """True for two copies of one resource; what is nested too deep to compare counts as different."""
    try:
        return one.resource == other.resource
    except RecursionError:
        return False


def read_prefetch(prefetch: Mapping[str, Any], null_is_unknown: bool = False) -> Record:
    """Each key of ``prefetch`` as an SearchAnswer; pre-1.0 ``{response, resource}`` wrappers are opened (R61)."""
    return Record(
        {key: read_answer(key, value, null_is_unknown) for key, value in prefetch.items()}
    )


def leave_unread(prefetch: Mapping[str, Any]) -> Record:
    """The keys that were sent with a call that none of our orders is in: noted, not looked at."""
    return Record({key: SearchAnswer(key, "unread") for key in prefetch})


def read_answer(key: str, value: object, null_is_unknown: bool = False) -> SearchAnswer:
    """One key's value: data, null ("none", unless the client says that null means unknown), or why it failed."""
    if (
        isinstance(value, dict)
        and "resourceType" not in value
        and ("response" in value or "resource" in value)
    ):
        status = as_text(as_dict(value.get("response")).get("status"))
        if not isinstance(value.get("resource"), dict) or status[:1] in {"4", "5"}:
            return SearchAnswer(key, "failed", why="error-status")
        value = value["resource"]
    if value is None:
        return (
            SearchAnswer(key, "failed", why="null-means-unknown")
            if null_is_unknown
            else SearchAnswer(key, "null")
        )
    if not isinstance(value, dict | list):
        return SearchAnswer(key, "failed", why="unreadable")
    return _read_resource(key, value)


def _read_resource(key: str, value: dict[str, Any] | list[Any]) -> SearchAnswer:
    unpacked = unpack(value)
    if unpacked.has_error:
        return SearchAnswer(
            key, "failed", tuple(unpacked.entries), "operation-outcome", unpacked.unreadable
        )
    entries = tuple(unpacked.entries)
    if unpacked.has_more_pages:
        return SearchAnswer(key, "partial", entries, "more-pages", unpacked.unreadable)
    if not _fits(key, value):
        return SearchAnswer(key, "failed", entries, "unexpected-type", unpacked.unreadable)
    return SearchAnswer(key, "answered", entries, unreadable=unpacked.unreadable)


def _fits(key: str, value: object) -> bool:
    """One of our searches must be answered by a Bundle to count as answered (specification 2.11)."""
    if key not in SEARCH_KEYS:
        return True
    return as_dict(value).get("resourceType") == "Bundle"


def missing(
    record: Record, release: Release, has_encounter: bool, profile: str = UNDATED
) -> Iterable[Gap]:
    """A gap per key of ours that was not answered completely, in a fixed order.

    A search that the client's profile narrows shows less than there is, unless we asked for it ourselves; a further
    search is a gap only where it was tried and failed.
    """
    wanted = [
        "patient",
        profile_of(release).order_key,
        "medicationStatements",
        "medicationDispenses",
        "medicationAdministrations",
        "conditions",
        *(["encounter"] if has_encounter else []),
    ]
    for key in wanted:
        answer = record.answers.get(key)
        if answer is None:
            yield Gap(key, "not-sent")
        elif not answer.complete:
            yield Gap(key, answer.why)
        elif answer.unreadable:
            yield Gap(key, "unreadable-entries", answer.unreadable)
        elif key in PROFILES[profile].narrowed and not answer.fetched:
            yield Gap(key, PROFILES[profile].unseen)
    yield from (
        Gap(key, record.answers[key].why)
        for key in MORE_SEARCHES
        if key in record.answers and not record.answers[key].complete
    )
