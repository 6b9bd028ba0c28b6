"""Writing a plan's drafts to the EHR, one by one: what was granted, what was written, what was not and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cds_service.fhir.write_plan import Built, PlanDraft, care_plan, identifier_of, orders, reviews
from cds_service.model import Json, Release
from cds_service.planner.ehr_server import Created

NOT_SENT = ("not-granted", "not-tried", "running")  # beside the outcomes of a create


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one draft. ``outcome`` as in ``Created``, or one of ``NOT_SENT``.

    ``running``: an order that is signed and under way, to be ended in the EHR.
    """

    name: str
    kind: str
    outcome: str
    ref: str = ""
    reason: str = ""  # the server's own words, to be escaped

    @property
    def is_written(self) -> bool:
        return self.outcome in {"created", "exists"}


class Create(Protocol):
    """Create one resource at the EHR; ``before`` is what an earlier try came to, "" for the first."""

    def __call__(self, resource: Json, identifier: str, *, before: str) -> Created: ...


def may_create(scope: str, kind: str) -> bool:
    """True if a granted scope of SMART 1 or 2 lets this session create such a resource for its patient."""
    return any(_allows(one, kind, "c") for one in scope.split())


def may_update(scope: str, kind: str) -> bool:
    """The same for changing one."""
    return any(_allows(one, kind, "u") for one in scope.split())


def _allows(scope: str, kind: str, letter: str) -> bool:
    who, _, rest = scope.partition("/")
    what, _, how = rest.partition(".")
    how, _, narrowed = how.partition("?")
    if who not in {"patient", "user"} or what not in {kind, "*"} or narrowed:
        return False
    return how in {"write", "*"} or (bool(how) and set(how) <= set("cruds") and letter in how)


def write_drafts(
    plan: PlanDraft, release: Release, scope: str, create: Create, before: Sequence[Item] = ()
) -> tuple[Item, ...]:
    """Orders first, then reviews, then the care plan that names them; what is already there is not sent again."""
    known = {item.name: item for item in before}
    items = _send(orders(plan, release), scope, create, known)
    written = [item.ref for item in items if item.is_written and item.ref]
    as_request = not may_create(scope, "Task") and may_create(scope, "ServiceRequest")
    rest = reviews(plan, release, written, as_request=as_request)
    if not any(item.is_written for item in items):
        return (
            *items,
            *(Item(b.name, b.kind, "not-tried") for b in (*rest, care_plan(plan, release))),
        )
    items += _send(rest, scope, create, known)
    refs = [item.ref for item in items if item.is_written and item.ref]
    return items + _send((care_plan(plan, release, refs),), scope, create, known)


def _send(
    built: Iterable[Built], scope: str, create: Create, known: Mapping[str, Item]
) -> tuple[Item, ...]:
    return tuple(_send_one(one, scope, create, known.get(one.name)) for one in built)


def _send_one(one: Built, scope: str, create: Create, before: Item | None) -> Item:
    if before and before.outcome in {"created", "exists", "changed", "several"}:
        return before
    if not may_create(scope, one.kind):
        return Item(one.name, one.kind, "not-granted")
    created = create(
        one.resource,
        identifier_of(one.resource),
        before=before.outcome if before and before.outcome not in NOT_SENT else "",
    )
    return Item(one.name, one.kind, created.outcome, created.ref, created.reason)
