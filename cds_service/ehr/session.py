"""One visit to a patient's FHIR server: reads, searches and turned pages, each judged before it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import orjson

from cds_service.ehr.circuits import Hearing
from cds_service.ehr.fetched import Fetched, failed, judge_bundle
from cds_service.ehr.query import Query
from cds_service.fhir.bundle import next_page, unpack
from cds_service.fhir.values import as_dict, as_list
from cds_service.outbound.addresses import Place, read_link
from cds_service.outbound.http import CallFailedError, HttpResponse, OutboundSession

_NO_POST_SEARCH = frozenset({404, 405, 415, 501})
_HEADERS = {
    "Accept": "application/fhir+json, application/json+fhir;q=0.9, application/json;q=0.8",
    "Cache-Control": "no-cache",  # HAPI reuses the result of an equal search for a minute
}


@dataclass(frozen=True, slots=True)
class FhirSession:
    """One patient's server while it is visited."""

    visit: OutboundSession
    base: Place
    token: str | None = field(repr=False)
    pages: int
    hearing: Hearing

    def answer(self, query: Query) -> Iterator[Fetched]:
        if query.id:
            yield _understand(self._get(self._at(query.kind, query.id), query.kind), query)
            return
        found = _understand(self._search(query), query)
        if found.resource is None:
            yield found
        else:
            yield from self.turn_pages(found.resource, query.kind)

    def turn_pages(self, bundle: dict[str, Any], kind: str = "") -> Iterator[Fetched]:
        """Ever longer Bundles; the last is complete unless a page failed, was foreign or one too many."""
        whole, page, seen = bundle, bundle, set[str]()
        for _ in range(self.pages - 1):
            if next_page(page) is None or unpack(page).has_error:
                break
            yield Fetched(whole, False, "more-pages")
            place = self._next_place(page)
            if place is None or place.url in seen:
                return
            seen.add(place.url)
            try:
                turned = _understand(self._get(place, f"{kind} pages"), Query(""))
            except CallFailedError:
                return
            if turned.resource is None:
                return
            page = turned.resource
            whole = _join(whole, page)
        yield judge_bundle(whole)

    def _next_place(self, page: Mapping[str, Any]) -> Place | None:
        """The next page's place if it lies on our base."""
        return read_link(next_page(page) or "", self.base)

    def _search(self, query: Query) -> HttpResponse:
        """By POST, which keeps the patient's id out of URLs; by GET where the server knows no POST search."""
        form = urlencode(query.parameters)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self._send(
            "POST", self._at(query.kind, "_search"), query.kind, headers, form.encode()
        )
        if answer.status not in _NO_POST_SEARCH:
            return answer
        return self._get(replace(self._at(query.kind), query=form), query.kind)

    def _get(self, place: Place, what: str) -> HttpResponse:
        return self._send("GET", place, what, {})

    def _send(
        self,
        method: str,
        place: Place,
        what: str,
        headers: Mapping[str, str],
        data: bytes | None = None,
    ) -> HttpResponse:
        granted = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        with self.hearing.ask(what):  # reads and searches change nothing, by POST either
            return self.visit.send(
                method, place, {**_HEADERS, **headers, **granted}, data, safe=True
            )

    def _at(self, *segments: str) -> Place:
        return replace(self.base, segments=self.base.segments + segments)


def _understand(answer: HttpResponse, query: Query) -> Fetched:
    """The resource in an answer to this read or search, if it is one."""
    if not 200 <= answer.status < 300:
        return failed(_name_status(answer.status))
    try:
        resource = orjson.loads(answer.body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        return failed("not-json")
    kind = as_dict(resource).get("resourceType")
    if kind == "OperationOutcome":
        return failed("operation-outcome")
    if kind != (query.kind if query.id else "Bundle"):
        return failed("unexpected-type")
    if query.id and resource.get("id", query.id) != query.id:
        return failed("wrong-patient" if kind == "Patient" else "unexpected-type")
    return Fetched(resource, True, "ok")


def _name_status(status: int) -> str:
    if status in (401, 403):
        return "unauthorized"
    if status in (404, 410):
        return "http-404"
    return "http-5xx" if status >= 500 else "http-4xx"


def _join(whole: Mapping[str, Any], page: Mapping[str, Any]) -> dict[str, Any]:
    """The first page's Bundle with the entries of both, and a next link only if the later page has one."""
    entries = [*as_list(whole.get("entry")), *as_list(page.get("entry"))]
    return {**whole, "link": as_list(page.get("link")), "entry": entries}
