"""The EHR's FHIR server as the titration app meets it: reads like a hook call, its release, and creating drafts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from cachetools import TTLCache

from cds_service.ehr.client import FhirAccess, FhirClient
from cds_service.ehr.fetched import Fetched
from cds_service.fhir.read import belongs_to_other
from cds_service.fhir.releases import release_of_version
from cds_service.fhir.values import as_dict, as_list, as_text
from cds_service.model import Release
from cds_service.outbound.http import CallFailedError, HttpResponse, Outbound
from cds_service.settings import Limits

_UNCLEAR = frozenset({"unknown", "conflict"})
READ_MS = 4_000
SECONDS = 5.0
CAPABILITY_BYTES = 16_000_000  # HAPI's capability statement is several megabytes
LONGEST_REASON = 300
OUTCOMES = (
    "created",
    "exists",
    "changed",
    "unauthorized",
    "conflict",
    "refused",
    "unknown",
    "several",
    "cancelled",
    "not-draft",
)


@dataclass(frozen=True, slots=True)
class Created:
    """What became of one create. ``outcome`` is a stable word; ``ref`` is ``Type/id`` where the server told it.

    created | exists (an earlier try had written it) | changed (written, but not as a draft) | unauthorized |
    conflict (and it is not there) | several (written more than once) | refused | unknown (no whole answer: it may
    have been written). Of a cancellation: cancelled | not-draft (signed or changed meanwhile) | those of a create.
    """

    outcome: str
    ref: str = ""
    reason: str = ""  # in the server's own words; untrusted

    @property
    def is_written(self) -> bool:
        return self.outcome in {"created", "exists"}


class EhrServer:
    """Reads and drafts for one patient at a time, at the listed EHRs only. Keeps nothing of a patient."""

    def __init__(
        self,
        listed: Mapping[str, object],
        *,
        allow_http: bool,
        limits: Limits | None = None,
        outbound: Callable[[tuple[str, ...], int], Outbound] | None = None,
    ) -> None:
        self._listed = listed
        self._allow_http = allow_http
        budget = replace(limits or Limits(), fhir_budget_ms=READ_MS)
        self._budget = budget
        self._outbound = outbound or (lambda urls, cap: Outbound(urls, allow_http, cap))
        self._client = self._client_of(tuple(listed))
        self._clients: TTLCache[str, FhirClient] = TTLCache(16, 3600)
        self._releases: TTLCache[str, Release] = TTLCache(64, 3600)

    def read(self, iss: str, token: str, queries: Mapping[str, str]) -> dict[str, Fetched]:
        """Every query's answer by its name; what could not be read says why."""
        return self._client_for(iss).fetch(queries, self._access(iss, token))

    def read_many(self, iss: str, token: str, references: Iterable[str]) -> dict[str, Fetched]:
        """Resources that others refer to, by reference."""
        return self._client_for(iss).read_many(references, self._access(iss, token))

    def release(self, iss: str) -> Release | None:
        """The FHIR release that the server says it speaks; None where it does not say or cannot be asked."""
        if known := self._releases.get(iss):
            return known
        try:
            answer = self._outbound(self._bases(iss), CAPABILITY_BYTES).call(
                "GET",
                f"{iss}/metadata?{urlencode({'_elements': 'fhirVersion'})}",
                seconds=SECONDS,
                headers={"Accept": "application/fhir+json, application/json"},
            )
            version = json.loads(answer.body).get("fhirVersion", "") if answer.status == 200 else ""
        except (CallFailedError, ValueError, AttributeError, RecursionError):
            return None
        found = release_of_version(str(version))
        if found:
            self._releases[iss] = found
        return found

    def create(
        self,
        iss: str,
        token: str,
        resource: Mapping[str, Any],
        identifier: str,
        *,
        before: str = "",
    ) -> Created:
        """Create the resource once. After an earlier try (``before``: its outcome) it is looked for first.

        A refusal may have been written all the same; where nobody can tell, a refused one is sent again.
        """
        kind = str(resource["resourceType"])
        found = self._find(iss, token, kind, identifier) if before else None
        if found and (found.outcome != "unknown" or before in _UNCLEAR):
            return found
        headers = {
            **_headers(token),
            "Content-Type": "application/fhir+json",
            "Prefer": "return=representation",
            "If-None-Exist": f"identifier={quote(identifier, safe='')}",
        }
        try:
            answer = self._outbound(self._bases(iss), 2_000_000).call(
                "POST",
                f"{iss}/{kind}",
                seconds=SECONDS,
                headers=headers,
                data=json.dumps(resource).encode(),
            )
        except CallFailedError as failure:
            never_sent = failure.why in {"refused-host", "unreachable", "tls", "busy"}
            return Created("refused" if never_sent else "unknown")
        created = _understand(answer, kind)
        return self._after_conflict(created, iss, token, kind, identifier)

    def _after_conflict(
        self, created: Created, iss: str, token: str, kind: str, identifier: str
    ) -> Created:
        """A conflict (409, 412) may be our own earlier draft: what the server holds decides."""
        if created.outcome != "conflict":
            return created
        found = self._find(iss, token, kind, identifier)
        return replace(found, reason=created.reason) if found else created

    def cancel(self, iss: str, token: str, ref: str, patient_id: str) -> Created:
        """Cancel a draft order of this patient, if it still is one and nobody changed it since it was read."""
        kind = ref.partition("/")[0]
        call = self._outbound(self._bases(iss), 2_000_000).call
        try:
            draft, standing = _standing(
                call("GET", f"{iss}/{ref}", seconds=SECONDS, headers=_headers(token)), patient_id
            )
            if standing:
                return replace(standing, ref=ref)
            version = as_text(as_dict(draft.get("meta")).get("versionId"))
            headers = {
                **_headers(token),
                "Content-Type": "application/fhir+json",
                **({"If-Match": f'W/"{version}"'} if version else {}),
            }
            answer = call(
                "PUT",
                f"{iss}/{ref}",
                seconds=SECONDS,
                headers=headers,
                data=json.dumps({**draft, "status": "cancelled"}).encode(),
            )
            if answer.status in (200, 201):
                return Created("cancelled", ref)
            failed = _understand(answer, kind)
            if failed.outcome == "conflict":  # changed meanwhile: perhaps signed, perhaps cancelled
                again = call("GET", f"{iss}/{ref}", seconds=SECONDS, headers=_headers(token))
                failed = replace(_standing(again, patient_id)[1] or failed, reason=failed.reason)
        except CallFailedError:
            return Created("unknown", ref)
        return replace(failed, ref=ref)

    def _find(self, iss: str, token: str, kind: str, identifier: str) -> Created | None:
        """What an earlier try left behind; None = nothing. An unreadable search stays unknown: nothing is sent."""
        try:
            answer = self._outbound(self._bases(iss), 2_000_000).call(
                "GET",
                f"{iss}/{kind}?{urlencode({'identifier': identifier})}",
                seconds=SECONDS,
                headers=_headers(token),
            )
        except CallFailedError:
            return Created("unknown")
        bundle = _body(answer)
        if answer.status != 200 or bundle.get("resourceType") != "Bundle":
            return Created("unknown", reason=_reason(bundle))
        listed = (as_dict(as_dict(e).get("resource")) for e in as_list(bundle.get("entry")))
        ours = [r for r in listed if r.get("resourceType") == kind and _is_named(r, identifier)]
        return _held(ours, kind)

    def _access(self, iss: str, token: str) -> FhirAccess:
        return FhirAccess(iss, token, None, self._bases(iss), not self._allow_http)

    def _bases(self, iss: str) -> tuple[str, ...]:
        """Where calls for this EHR may go: to those that are listed, or to one that is admitted as it comes."""
        return (iss,) if iss not in self._listed and self._listed.get(iss) else tuple(self._listed)

    def _client_for(self, iss: str) -> FhirClient:
        if iss in self._listed or not self._listed.get(iss):
            return self._client
        if iss not in self._clients:
            self._clients[iss] = self._client_of((iss,))
        return self._clients[iss]

    def _client_of(self, bases: tuple[str, ...]) -> FhirClient:
        return FhirClient(
            self._budget, bases, outbound=self._outbound(bases, self._budget.fhir_bytes)
        )


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Accept": "application/fhir+json, application/json"}


def _is_named(resource: Mapping[str, Any], identifier: str) -> bool:
    """True for the resource with this ``system|value``: a server may ignore what it was asked for."""
    system, _, value = identifier.partition("|")
    named = resource.get("identifier")
    return any(
        (one.get("system"), one.get("value")) == (system, value)
        for one in map(as_dict, named if isinstance(named, list) else [named])
    )


def _held(ours: Sequence[Mapping[str, Any]], kind: str) -> Created | None:
    """What the server holds of one draft; None where that is nothing that could still be acted on."""
    gone = {"cancelled", "entered-in-error", "revoked"}
    live = [r for r in ours if r.get("status") not in gone]
    if not live:
        return None
    outcome = "changed" if any(r.get("status") != "draft" for r in live) else "exists"
    return Created("several" if len(live) > 1 else outcome, f"{kind}/{as_text(live[0].get('id'))}")


def _standing(read: HttpResponse, patient_id: str) -> tuple[Mapping[str, Any], Created | None]:
    """A draft as it was read, and why it cannot be cancelled; None where it can."""
    draft = _body(read)
    if read.status != 200:
        return draft, _understand(read, as_text(draft.get("resourceType")))
    if belongs_to_other(draft, patient_id):
        return draft, Created("refused")
    if draft.get("status") != "draft":
        return draft, Created(
            "cancelled" if draft.get("status") in ("cancelled", "entered-in-error") else "not-draft"
        )
    return draft, None


def _understand(answer: HttpResponse, kind: str) -> Created:
    body = _body(answer)
    if answer.status in (401, 403):
        return Created("unauthorized", reason=_reason(body))
    if answer.status in (409, 412):
        return Created("conflict", reason=_reason(body))
    if answer.status >= 500:
        return Created("unknown", reason=_reason(body))
    if answer.status not in (200, 201, 202):
        return Created("refused", reason=_reason(body))
    if body.get("resourceType") == kind and body.get("status") != "draft":
        return Created("changed", _ref(answer, body, kind))
    return Created("created" if answer.status == 201 else "exists", _ref(answer, body, kind))


def _body(answer: HttpResponse) -> Mapping[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _reason(outcome: Mapping[str, Any]) -> str:
    """What an OperationOutcome says, on one line; "" where it says nothing."""
    issues = map(as_dict, as_list(outcome.get("issue")))
    said = (
        as_text(i.get("diagnostics")) or as_text(as_dict(i.get("details")).get("text"))
        for i in issues
    )
    words = " ".join("; ".join(dict.fromkeys(filter(None, said))).split())
    return "".join(c for c in words if c.isprintable())[:LONGEST_REASON]


def _ref(answer: HttpResponse, body: Mapping[str, Any], kind: str) -> str:
    """``Type/id`` from the body or the Location header; "" where neither tells."""
    if body.get("resourceType") == kind and isinstance(body.get("id"), str):
        return f"{kind}/{body['id']}"
    parts = answer.headers.get("location", "").split("/_history/")[0].rstrip("/").split("/")
    return f"{kind}/{parts[-1]}" if len(parts) > 1 and parts[-2] == kind else ""
