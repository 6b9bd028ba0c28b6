"""What one query to the EHR came to, and what it counts as beside the keys that the EHR sent by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from cds_service.fhir.bundle import unpack
from cds_service.hooks.prefetch import SearchAnswer, read_answer


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one query came to. ``complete`` only where all of it was read: then ``why`` is "ok".

    A resource that is not complete (``why`` more-pages or operation-outcome) holds what was read and proves
    no absence. Other words: bad-id, refused-host, bad-token, expired, wrong-patient, circuit-open, busy,
    timeout, unreachable, tls, redirect, too-large, broken, unauthorized, http-404, http-4xx, http-5xx,
    not-json, unexpected-type, operation-outcome, too-many, failed.
    """

    resource: dict[str, Any] | None
    complete: bool
    why: str


def failed(why: str) -> Fetched:
    """Nothing was read, for this reason."""
    return Fetched(None, False, why)


def judge_bundle(bundle: dict[str, Any]) -> Fetched:
    """A Bundle with all the pages that could be read: complete unless it says itself that something is missing."""
    found = unpack(bundle)
    if found.has_error:
        return Fetched(bundle, False, "operation-outcome")
    return (
        Fetched(bundle, False, "more-pages")
        if found.has_more_pages
        else Fetched(bundle, True, "ok")
    )


def to_answer(key: str, fetched: Fetched) -> SearchAnswer:
    """What was fetched under this key; an incomplete or failed answer never stands for "none"."""
    if fetched.resource is None:
        return SearchAnswer(key, "failed", why=fetched.why, fetched=True)
    read = replace(read_answer(key, fetched.resource), fetched=True)
    return read if fetched.complete else replace(read, state="partial", why=fetched.why)
