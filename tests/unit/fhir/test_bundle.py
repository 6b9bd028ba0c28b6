"""Does a Bundle hold all that was found? One answer for what the EHR sent and for what was fetched (R53-R55)."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.ehr.fetched import Fetched, judge_bundle, to_answer
from cds_service.fhir.bundle import Resolver, next_page, unpack
from cds_service.hooks.prefetch import read_answer

MATCH = {"resource": {"resourceType": "MedicationRequest", "id": "m"}, "search": {"mode": "match"}}
PLAIN = {"resource": {"resourceType": "MedicationRequest", "id": "p"}}
INCLUDED = {"resource": {"resourceType": "Medication", "id": "d"}, "search": {"mode": "include"}}
REMARK = {
    "resource": {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "warning", "code": "processing"}],
    }
}
ERROR = {
    "resource": {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "incomplete"}],
    }
}
UNREADABLE = "not an entry"


def bundle(*entries: Any, **members: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "searchset", "entry": list(entries), **members}


def states(value: dict[str, Any]) -> tuple[str, str]:
    """(state of a key that was sent, state of a key that was fetched)."""
    return (
        read_answer("medicationRequests", value).state,
        to_answer("medicationRequests", judge_bundle(value)).state,
    )


@pytest.mark.parametrize(
    "entries", [(), (PLAIN,), (MATCH, PLAIN), (MATCH, INCLUDED, REMARK), (PLAIN, UNREADABLE)]
)
@pytest.mark.parametrize(
    ("above", "state"), [(-1, "answered"), (0, "answered"), (1, "partial"), (2, "partial")]
)
def test_a_bundle_that_is_short_of_its_total_by_one_is_incomplete(
    entries: tuple[Any, ...], above: int, state: str
) -> None:
    """``total`` counts matches: neither an included resource nor a remark makes up for one that is missing."""
    matches = len([e for e in entries if e not in (INCLUDED, REMARK)])
    assert (state, state) == states(bundle(*entries, total=matches + above))


def test_a_bundle_short_by_one_is_no_empty_list_of_medicines() -> None:
    """What came is kept, and proves no absence."""
    answer = read_answer("medicationRequests", bundle(PLAIN, total=2))
    assert (False, "more-pages", 1) == (answer.complete, answer.why, len(answer.entries))


@pytest.mark.parametrize("total", [None, "", "many", True, {}])
def test_a_total_that_is_no_number_says_nothing(total: Any) -> None:
    assert ("answered", "answered") == states(bundle(PLAIN, total=total))


def test_a_total_written_as_text_is_a_total() -> None:
    assert ("partial", "partial") == states(bundle(PLAIN, total="2"))


@pytest.mark.parametrize(
    "link",
    [
        {"relation": "next", "url": "https://ehr.example.org/fhir?page=2"},
        {"relation": "next", "url": "?page=2"},
        {"relation": "next"},
        {"relation": "next", "url": None},
        {"relation": "next", "url": ""},
        {"relation": "next", "url": 2},
        {"relation": "next", "url": {"value": "?page=2"}},
    ],
)
@pytest.mark.parametrize("as_list", [True, False])
def test_a_next_link_means_more_pages_whether_its_url_can_be_read_or_not(
    link: dict[str, Any], as_list: bool
) -> None:
    assert ("partial", "partial") == states(
        bundle(PLAIN, link=[{"relation": "self", "url": "?"}, link] if as_list else link)
    )


@pytest.mark.parametrize(
    "link",
    [
        None,
        [],
        [{}],
        [{"relation": "self", "url": "?"}],
        [{"relation": "previous"}],
        ["next"],
        "next",
    ],
)
def test_other_links_mean_nothing(link: Any) -> None:
    assert ("answered", "answered") == states(bundle(PLAIN, link=link))


def test_the_next_page_is_the_first_url_that_can_be_read() -> None:
    links = [
        {"relation": "next"},
        {"relation": "next", "url": "?page=2"},
        {"relation": "next", "url": "?page=3"},
    ]
    assert ("?page=2", "", None) == tuple(
        next_page(bundle(link=each)) for each in (links, links[:1], [])
    )


@pytest.mark.parametrize(
    "holder",
    [
        lambda inner: [inner],
        lambda inner: bundle({"resource": inner}),
        lambda inner: {"entry": [{"resource": inner}]},
        lambda inner: bundle({"resource": bundle({"resource": inner})}),
    ],
)
def test_a_page_inside_a_container_is_a_page(holder: Any) -> None:
    """An answer to a batch holds one Bundle for each search."""
    assert (True, False) == (
        unpack(holder(bundle(PLAIN, total=2))).has_more_pages,
        unpack(holder(bundle(PLAIN, total=1))).has_more_pages,
    )


def test_an_error_comes_before_missing_pages() -> None:
    assert (("failed", "partial"), "operation-outcome") == (
        states(bundle(ERROR, total=5)),
        judge_bundle(bundle(ERROR, total=5)).why,
    )


def test_what_was_fetched_in_part_or_not_at_all_is_never_an_answer() -> None:
    part = to_answer("conditions", Fetched(bundle(PLAIN), False, "more-pages"))
    none = to_answer("conditions", Fetched(None, False, "timeout"))
    whole = to_answer("conditions", Fetched(bundle(PLAIN), True, "ok"))
    assert [
        ("partial", "more-pages", 1, False),
        ("failed", "timeout", 0, False),
        ("answered", "", 1, True),
    ] == [(a.state, a.why, len(a.entries), a.complete) for a in (part, none, whole)]
    assert [True] * 3 == [a.fetched for a in (part, none, whole)]


@pytest.mark.parametrize("reference", ["Medication/d", "Medication/d/_history/2", "urn:uuid:d"])
def test_a_reference_finds_a_resource_by_its_type_and_id_or_as_a_urn_of_its_id(
    reference: str,
) -> None:
    assert INCLUDED["resource"] == Resolver(unpack(bundle(INCLUDED)).entries).resolve(reference, {})


@pytest.mark.parametrize(
    "reference", ["https://ehr.example.org/fhir/Medication/d", "urn:uuid:0f7e1a52"]
)
def test_a_reference_finds_a_resource_by_its_full_url(reference: str) -> None:
    entry = {**INCLUDED, "fullUrl": reference}
    assert INCLUDED["resource"] == Resolver(unpack(bundle(entry)).entries).resolve(reference, {})
