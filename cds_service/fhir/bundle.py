"""Take resources out of whatever holds them: Bundles, arrays, single resources, wrappers; and resolve references."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cds_service.fhir.values import (
    as_decimal,
    as_dict,
    as_list,
    as_text,
    local_reference,
    read_reference,
    resource_id,
    resource_ref,
)
from cds_service.model import Json

MAX_DEPTH = 4  # Bundles inside Bundles; deeper ones are a gap, never a recursion


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource as it was sent, with the fullUrl it came under ("" without one)."""

    resource: Json
    full_url: str = ""


@dataclass(slots=True)
class Unpacked:
    """What came out of one container. ``unreadable`` counts entries that hold no resource that can be read.

    ``has_more_pages`` is True where a Bundle, or one inside it, says that it does not hold all that was found.
    """

    entries: list[Entry] = field(default_factory=list)
    outcomes: list[Json] = field(default_factory=list)
    unreadable: int = 0
    has_more_pages: bool = False

    @property
    def has_error(self) -> bool:
        """True where an OperationOutcome among what came says that the search failed, if only in part."""
        return any(map(has_error, self.outcomes))


def unpack(value: object) -> Unpacked:
    """All resources in a Bundle, an array, an entry, or a resource alone; OperationOutcomes are kept apart."""
    found = Unpacked()
    _unpack(value, "", 0, found)
    return found


def _unpack(value: object, full_url: str, depth: int, found: Unpacked) -> None:
    if isinstance(value, list):
        for item in value:
            _unpack(item, full_url, depth + 1, found)
        return
    if not isinstance(value, dict) or depth > MAX_DEPTH:
        found.unreadable += 1
        return
    kind = value.get("resourceType")
    if kind == "Bundle" or (kind is None and "entry" in value):
        found.has_more_pages |= next_page(value) is not None or _is_short(value)
        for item in as_list(value.get("entry")):
            _unpack(item, "", depth + 1, found)
    elif kind is None and isinstance(value.get("resource"), dict):
        _unpack(value["resource"], as_text(value.get("fullUrl")), depth, found)
    elif kind == "OperationOutcome":
        found.outcomes.append(value)
    elif kind is None and not _looks_like_order(value):
        found.unreadable += bool(value)
    else:
        found.entries.append(Entry(value, full_url))


def next_page(bundle: Mapping[str, Any]) -> str | None:
    """The URL of the following page: "" where one is named that cannot be read, None where there is none."""
    urls = [
        as_text(link.get("url"))
        for link in map(as_dict, as_list(bundle.get("link")))
        if as_text(link.get("relation")) == "next"
    ]
    return next(filter(None, urls), "") if urls else None


def _is_short(bundle: Mapping[str, Any]) -> bool:
    """True where ``total`` counts more matches than came; resources sent along with matches are none (FHIR search)."""
    total = as_decimal(bundle.get("total"))
    if not total:
        return False
    came = as_list(bundle.get("entry"))
    return total > len(came) or total > sum(_is_match(as_dict(entry)) for entry in came)


def _is_match(entry: Json) -> bool:
    search, resource = entry.get("search"), entry.get("resource")
    return (
        not isinstance(search, dict) or as_text(search.get("mode")) not in {"include", "outcome"}
    ) and (not isinstance(resource, dict) or resource.get("resourceType") != "OperationOutcome")


def _looks_like_order(value: Mapping[str, Any]) -> bool:
    return any(
        name in value
        for name in ("medicationCodeableConcept", "medicationReference", "dosageInstruction")
    )


def might_be_order(resource: Json) -> bool:
    """True for a resource of no known type that carries a medication: it may be an order that we cannot read."""
    return _looks_like_order(resource)


def has_error(outcome: Json) -> bool:
    """True for an OperationOutcome with an error or fatal issue; one without a readable severity counts as error."""
    issues = as_list(outcome.get("issue"))
    return not issues or any(
        as_text(as_dict(i).get("severity")) not in {"warning", "information", "success"}
        for i in issues
    )


class Resolver:
    """Finds the resource that a reference means, however it is written (specification 2.13).

    Contained, by fullUrl, by ``Type/id`` (relative, absolute, versioned), by ``urn:uuid``, by the id alone, or by a
    business identifier.
    """

    def __init__(self, entries: Iterable[Entry]):
        self._entries = tuple(entries)

    @cached_property
    def _known(self) -> Mapping[str, Json]:
        """Every name of every entry; many calls hold no reference to a drug and never ask for it."""
        known: dict[str, Json] = {}
        for entry in self._entries:
            for name in _names(entry):
                known.setdefault(name, entry.resource)
        return known

    @cached_property
    def _alike(self) -> Mapping[str, tuple[Json, ...]]:
        """Entries by what several of them may share: the bare id, a business identifier."""
        found: dict[str, dict[str, Json]] = {}
        for entry in self._entries:
            for name in (
                resource_id(entry.resource),
                *_identifiers(entry.resource.get("identifier")),
            ):
                if name:
                    found.setdefault(name, {}).setdefault(
                        resource_ref(entry.resource), entry.resource
                    )
        return {name: tuple(resources.values()) for name, resources in found.items()}

    def resolve(self, reference: object, *within: Json, kinds: Collection[str] = ()) -> Json | None:
        """The resource meant by a Reference (or its literal text); None where it is not among what was sent.

        ``within`` are the resources whose ``contained`` it may mean, the nearest first. ``kinds`` decide where an id
        or an identifier alone fits several resources; where it still does, nothing is guessed.
        """
        literal, _ = read_reference(reference)
        found = self._literal(literal, within, kinds) if literal else None
        if found is not None or not isinstance(reference, dict):
            return found
        return next(
            (
                one
                for name in _identifiers(reference.get("identifier"))
                if (one := self._only(name, kinds))
            ),
            None,
        )

    def _literal(
        self, reference: str, within: Iterable[Json], kinds: Collection[str]
    ) -> Json | None:
        bare = reference.removeprefix("#")
        if "/" not in bare and not bare.startswith("urn:"):
            contained = (
                c
                for holder in within
                for c in as_list(holder.get("contained"))
                if isinstance(c, dict)
            )
            inside = next((c for c in contained if resource_id(c) in {bare, f"#{bare}"}), None)
            if inside is not None or reference.startswith("#"):
                return inside
        known = self._known.get(_same_urn(reference)) or self._known.get(local_reference(reference))
        if known is not None and (not kinds or known.get("resourceType") in kinds):
            return known
        return self._only(reference.removeprefix("urn:uuid:"), kinds)

    def _only(self, name: str, kinds: Collection[str]) -> Json | None:
        """The one entry of these kinds with this bare id or identifier; None where there are several."""
        alike = self._alike.get(name, ())
        fitting = [one for one in alike if not kinds or one.get("resourceType") in kinds]
        return fitting[0] if len(fitting) == 1 else None


def _names(entry: Entry) -> Iterator[str]:
    if entry.full_url:
        yield _same_urn(entry.full_url)
        yield local_reference(entry.full_url)
    if ref := resource_ref(entry.resource):
        yield ref
    if own := resource_id(entry.resource):
        yield _same_urn(f"urn:uuid:{own}")


def _same_urn(name: str) -> str:
    """A UUID in other letter case is the same UUID; every other name counts as written."""
    return name.lower() if name[:4].lower() == "urn:" else name


def _identifiers(value: object) -> Iterator[str]:
    """``system|value`` of every Identifier that has a value."""
    for item in as_list(value):
        if text := as_text(as_dict(item).get("value")).strip():
            yield f"{as_text(as_dict(item).get('system')).strip()}|{text}"
