"""What a hook call did not bring along is read from its FHIR server, whole or with a word for what is missing."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from cds_service.ehr.client import FhirAccess, FhirClient, fill, read_access, read_query
from cds_service.ehr.fetched import Fetched
from cds_service.settings import Limits
from tests.fhir_server import FhirServer, serve

TOKEN = "t"
DEFAULT = Limits()
LOCAL = ("http://127.0.0.1:*",)
PATIENT = {"resourceType": "Patient", "id": "123"}
OTHER = {
    "resourceType": "MedicationRequest",
    "id": "other",
    "subject": {"reference": "Patient/999"},
}
MEDICATIONS = [{"resourceType": "Medication", "id": f"d{number}"} for number in range(3)]
ORDERS = [
    {
        "resourceType": "MedicationRequest",
        "id": f"m{number}",
        "status": "active",
        "medicationReference": {"reference": f"Medication/d{number % 3}"},
        "subject": {"reference": "Patient/123"},
    }
    for number in range(5)
]
RECORD = [PATIENT, OTHER, *ORDERS, *MEDICATIONS]
SEARCH = {"orders": "MedicationRequest?patient=123"}
COMPLETE_EMPTY = {"resourceType": "Bundle", "type": "searchset", "total": 0}


def client(limits: Limits = DEFAULT, **options: object) -> FhirClient:
    return FhirClient(limits, LOCAL, allow_http=True, **options)


def access_to(server: FhirServer, token: str | None = TOKEN) -> FhirAccess:
    return FhirAccess(server.base_url, token, 300, LOCAL, require_https=False)


def ids(fetched: Fetched) -> list[str]:
    return [entry["resource"]["id"] for entry in (fetched.resource or {}).get("entry", [])]


def seen_in_short(fetched: dict[str, Fetched]) -> dict[str, tuple[bool, str]]:
    return {name: (each.complete, each.why) for name, each in fetched.items()}


# --- reads and searches -----------------------------------------------------------------------------------


def test_CR050_exactly_the_queries_asked_for_reach_the_server() -> None:
    with serve(RECORD, token="t") as server:
        found = client().fetch({"patient": "Patient/123", **SEARCH}, access_to(server))
    assert {"patient": (True, "ok"), "orders": (True, "ok")} == seen_in_short(found)
    assert PATIENT == found["patient"].resource
    assert ["m0", "m1", "m2", "m3", "m4"] == ids(found["orders"])
    assert ["GET /fhir/Patient/123", "POST /fhir/MedicationRequest/_search"] == sorted(
        server.paths()
    )


def test_CR058_every_call_carries_the_bearer_token_and_asks_for_fhir_json() -> None:
    with serve(RECORD, token="t", page_size=2) as server:
        client().fetch({"patient": "Patient/123", **SEARCH}, access_to(server))
    assert 4 == len(server.seen)
    assert {"Bearer t"} == {each.headers["authorization"] for each in server.seen}
    assert all(each.headers["accept"].startswith("application/fhir+json") for each in server.seen)


def test_an_open_server_is_read_without_an_authorization_header() -> None:
    with serve(RECORD) as server:
        found = client().fetch(SEARCH, access_to(server, token=None))
    assert {"orders": (True, "ok")} == seen_in_short(found)
    assert "authorization" not in server.seen[0].headers


def test_CT02_a_search_keeps_the_patient_id_out_of_the_url() -> None:
    with serve(RECORD, page_size=2) as server:
        client().fetch(
            {"orders": "MedicationRequest?patient=123&status=active,on-hold"}, access_to(server)
        )
    assert not any("123" in path for path in server.paths())
    assert {"patient": ["123"], "status": ["active,on-hold"]} == parse_qs(
        server.seen[0].body.decode()
    )
    assert "application/x-www-form-urlencoded" == server.seen[0].headers["content-type"]


@pytest.mark.parametrize("status", [404, 405, 415, 501])
def test_a_server_without_post_search_is_searched_by_get(status: int) -> None:
    with serve(RECORD, post_search=status) as server:
        found = client().fetch(SEARCH, access_to(server))["orders"]
    assert (True, "ok", 5) == (found.complete, found.why, len(ids(found)))
    assert "GET /fhir/MedicationRequest?patient=123" == server.paths()[-1]


def test_a_refused_token_is_not_tried_again_by_get() -> None:
    with serve(RECORD, token="other") as server:
        found = client().fetch(SEARCH, access_to(server))
    assert {"orders": (False, "unauthorized")} == seen_in_short(found)
    assert 1 == len(server.seen)


def test_a_search_without_hits_is_complete_and_empty() -> None:
    with serve([PATIENT]) as server:
        found = client().fetch(SEARCH, access_to(server))["orders"]
    assert (True, "ok", []) == (found.complete, found.why, ids(found))


def test_included_medications_come_along() -> None:
    with serve(RECORD) as server:
        found = client().fetch(
            {"orders": f"{SEARCH['orders']}&_include=MedicationRequest:medication"},
            access_to(server),
        )["orders"]
    assert (True, 8) == (found.complete, len(ids(found)))


def test_CT07_resources_of_another_patient_are_left_to_the_reader() -> None:
    with serve(RECORD) as server:
        found = client().fetch({"orders": "MedicationRequest?_count=50"}, access_to(server))[
            "orders"
        ]
    assert ["other", "m0", "m1", "m2", "m3", "m4"] == ids(found)


def test_CT07_a_read_that_returns_another_patient_is_no_answer() -> None:
    with serve([{**PATIENT, "id": "123"}]) as server:
        server.store["Patient", "123"]["id"] = "999"
        found = client().fetch({"patient": "Patient/123"}, access_to(server))
    assert {"patient": (False, "wrong-patient")} == seen_in_short(found)


def test_queries_run_side_by_side() -> None:
    """CL04: four queries of 100 ms take about one."""
    queries = {str(number): f"MedicationRequest?patient={number}" for number in range(4)}
    with serve(RECORD, delay=0.1) as server:
        start = time.monotonic()
        found = client().fetch(queries, access_to(server))
    assert {(True, "ok")} == set(seen_in_short(found).values())
    assert time.monotonic() - start < 0.35


def test_CL06_parallel_calls_for_different_patients_never_mix() -> None:
    from concurrent.futures import ThreadPoolExecutor

    record = [{"resourceType": "Patient", "id": f"p{number}"} for number in range(40)]
    with serve(record) as server, ThreadPoolExecutor(8) as pool:
        one = client()
        found = pool.map(
            lambda each: one.fetch({"p": f"Patient/{each['id']}"}, access_to(server)), record
        )
        assert record == [each["p"].resource for each in found]


# --- pages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relative", [False, True])
def test_CR055_next_links_are_followed_with_the_token_into_one_bundle(relative: bool) -> None:
    with serve(RECORD, token="t", page_size=2, relative_links=relative) as server:
        found = client().fetch(SEARCH, access_to(server))["orders"]
    assert (True, ["m0", "m1", "m2", "m3", "m4"]) == (found.complete, ids(found))
    assert found.resource is not None
    assert ["self"] == [link["relation"] for link in found.resource["link"]]


def test_CR055_a_prefetched_first_page_is_continued() -> None:
    with serve(RECORD, token="t", page_size=2) as server:
        one = client()
        first = json.loads(json.dumps(fetch_first_page(server)))
        found = one.follow(first, access_to(server))
    assert (True, "ok", ["m0", "m1", "m2", "m3", "m4"]) == (found.complete, found.why, ids(found))


def fetch_first_page(server: FhirServer) -> dict[str, object]:
    found = client(Limits(fhir_pages=1)).fetch(SEARCH, access_to(server))["orders"].resource
    assert found is not None
    return found


def test_CR055_a_bundle_without_next_link_is_complete_without_a_call() -> None:
    with serve() as server:
        assert Fetched(COMPLETE_EMPTY, True, "ok") == client().follow(
            COMPLETE_EMPTY, access_to(server)
        )
        assert 0 == server.connections


def test_CR055_without_access_a_prefetched_page_stays_and_is_incomplete() -> None:
    with serve(RECORD, token="t", page_size=2) as server:
        first = fetch_first_page(server)
        found = client().follow(first, access_to(server, token="wrong"))
    assert (False, "more-pages", ["m0", "m1"]) == (found.complete, found.why, ids(found))


@pytest.mark.parametrize(("pages", "complete", "count"), [(2, False, 4), (3, True, 5)])
def test_CR055_the_page_cap_leaves_the_list_incomplete(
    pages: int, complete: bool, count: int
) -> None:
    with serve(RECORD, page_size=2) as server:
        found = client(Limits(fhir_pages=pages)).fetch(SEARCH, access_to(server))["orders"]
    assert (complete, count, pages) == (found.complete, len(ids(found)), len(server.seen))
    assert found.resource is not None
    assert complete is not any(link["relation"] == "next" for link in found.resource["link"])


@pytest.mark.parametrize("fault", ["500", "not found", "outcome", "html", "reset", "redirect"])
def test_CR055_a_page_that_fails_keeps_the_pages_before_it_and_is_incomplete(fault: str) -> None:
    fault = "404" if fault == "not found" else fault
    with serve(RECORD, page_size=2, fault=fault, fault_on="page") as server:
        found = client().fetch(SEARCH, access_to(server))["orders"]
    assert (False, "more-pages", ["m0", "m1"]) == (found.complete, found.why, ids(found))


def test_CR055_a_loop_of_next_links_ends_and_is_incomplete() -> None:
    with serve(fault="next-loop") as server:
        found = client().fetch(SEARCH, access_to(server))["orders"]
    assert (False, "more-pages", 2) == (found.complete, found.why, len(server.seen))


def test_a_total_above_the_entries_received_is_incomplete() -> None:
    with serve(RECORD, total=6) as server:
        found = client().fetch(SEARCH, access_to(server))["orders"]
    assert (False, "more-pages", 5) == (found.complete, found.why, len(ids(found)))


def test_CR053_an_error_inside_a_bundle_makes_it_incomplete_and_a_warning_does_not() -> None:
    def bundle(severity: str) -> dict[str, object]:
        issue = {"severity": severity, "code": "incomplete"}
        return {
            "resourceType": "Bundle",
            "entry": [{"resource": {"resourceType": "OperationOutcome", "issue": [issue]}}],
        }

    with serve() as server:
        found = [
            client().follow(bundle(severity), access_to(server))
            for severity in ("fatal", "error", "warning", "information")
        ]
    assert [(False, "operation-outcome")] * 2 + [(True, "ok")] * 2 == [
        (each.complete, each.why) for each in found
    ]


# --- references -------------------------------------------------------------------------------------------


def test_referenced_medications_are_read_once_each_under_the_reference_as_given() -> None:
    with serve(RECORD) as server:
        absolute = f"{server.base_url}/Medication/d1"
        found = client().read_many(
            [
                "Medication/d0",
                "Medication/d0",
                absolute,
                "Medication/d2/_history/3",
                "https://other.test/fhir/Medication/d0",
                "#inside",
                "urn:uuid:1",
                "Medication/none",
            ],
            access_to(server),
        )
    assert {
        "Medication/d0": (True, "ok"),
        absolute: (True, "ok"),
        "Medication/d2/_history/3": (True, "ok"),
        "https://other.test/fhir/Medication/d0": (False, "refused-host"),
        "#inside": (False, "bad-id"),
        "urn:uuid:1": (False, "bad-id"),
        "Medication/none": (False, "http-404"),
    } == seen_in_short(found)
    assert 4 == len(server.seen)


def test_more_references_than_the_cap_are_not_read() -> None:
    with serve(RECORD) as server:
        found = client().read_many(
            [f"Medication/x{number}" for number in range(52)], access_to(server)
        )
    assert (50, 2) == (
        len(server.seen),
        list(seen_in_short(found).values()).count((False, "too-many")),
    )


# --- leave to read ----------------------------------------------------------------------------------------

GRANT = {
    "access_token": "CANARY-TOK",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "patient/*.read",
    "subject": "cds",
}


def grant(
    server: str = "https://ehr.test/fhir", **changes: object
) -> tuple[FhirAccess | None, str]:
    authorization = {
        name: value for name, value in {**GRANT, **changes}.items() if value is not ...
    }
    return read_access(
        server, authorization, "123", allowed_bases=("https://ehr.test",), require_https=True
    )


def test_CR033_a_token_without_a_server_is_no_access() -> None:
    assert (None, "no-server") == grant(server="")


def test_a_server_without_authorization_may_be_open() -> None:
    assert (FhirAccess("https://ehr.test", None, None, (), True), "ok") == read_access(
        "https://ehr.test", {}, "123", allowed_bases=(), require_https=True
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "ok"),
        ({"token_type": "bearer"}, "ok"),
        ({"expires_in": "300"}, "ok"),
        ({"expires_in": ...}, "ok"),
        ({"expires_in": True}, "ok"),
        ({"expires_in": 1.5}, "ok"),
        ({"scope": ..., "subject": ...}, "ok"),
        ({"expires_in": 0}, "expired"),
        ({"expires_in": -5}, "expired"),
        ({"token_type": "mac"}, "bad-token"),
        ({"token_type": ...}, "bad-token"),
        ({"token_type": ["Bearer"]}, "bad-token"),
        ({"access_token": ...}, "bad-token"),
        ({"access_token": ""}, "bad-token"),
        ({"access_token": 7}, "bad-token"),
        ({"access_token": "a b"}, "bad-token"),
        ({"access_token": "a\r\nX: y"}, "bad-token"),
        ({"access_token": "ä"}, "bad-token"),
        ({"access_token": "a" * 20_000}, "bad-token"),
    ],
)
def test_CR035_an_odd_authorization_is_no_access_and_no_crash(
    changes: dict[str, object], why: str
) -> None:
    access, said = grant(**changes)
    assert (why == "ok", why) == (access is not None, said)


@pytest.mark.parametrize(
    ("patient", "why"),
    [
        ("123", "ok"),
        ("Patient/123", "ok"),
        ("", "ok"),
        (None, "ok"),
        ("124", "wrong-patient"),
        ("Patient/124", "wrong-patient"),
    ],
)
def test_CR036_a_token_for_another_patient_is_not_used(patient: str | None, why: str) -> None:
    assert why == grant(patient=patient)[1]


def test_CR034_http_is_never_called_where_https_is_required() -> None:
    with serve(RECORD) as server:
        strict = FhirAccess(server.base_url, "t", 300, LOCAL, require_https=True)
        production = FhirClient(Limits(), LOCAL, allow_http=False)
        assert {"orders": (False, "refused-host")} == seen_in_short(client().fetch(SEARCH, strict))
        assert {"orders": (False, "refused-host")} == seen_in_short(
            production.fetch(SEARCH, access_to(server))
        )
        assert 0 == server.connections


def test_a_base_that_this_client_may_not_name_is_refused() -> None:
    with serve(RECORD) as server:
        foreign = FhirAccess(server.base_url, "t", 300, ("https://ehr.test",), require_https=False)
        assert {"orders": (False, "refused-host")} == seen_in_short(client().fetch(SEARCH, foreign))
        assert 0 == server.connections


def test_an_expired_token_is_not_sent() -> None:
    with serve(RECORD) as server:
        late = FhirAccess(server.base_url, "t", 0, LOCAL, require_https=False)
        assert {"orders": (False, "expired")} == seen_in_short(client().fetch(SEARCH, late))
        assert 0 == server.connections


def test_no_time_left_means_no_call() -> None:
    with serve(RECORD) as server:
        assert {"orders": (False, "timeout")} == seen_in_short(
            client().fetch(SEARCH, access_to(server), deadline_ms=0)
        )
        assert 0 == server.connections


# --- templates and queries --------------------------------------------------------------------------------


@pytest.mark.parametrize("patient", ["123", "a-B.9", "a" * 64])
def test_a_template_is_filled_with_fhir_ids(patient: str) -> None:
    assert f"MedicationRequest?patient={patient}&x=y" == fill(
        "MedicationRequest?patient={{ context.patientId }}&x=y", {"context.patientId": patient}
    )


@pytest.mark.parametrize(
    "patient",
    [
        "",
        ".",
        "..",
        "1&_include=*",
        "1/../../Practitioner/2",
        "1?x=y",
        "1#",
        "%2e%2e",
        "a" * 65,
        "1\n",
        "ä",
        "1,2",
        "Patient/1",
        "{{context.userId}}",
    ],
)
def test_CT01_a_template_is_never_filled_with_anything_else(patient: str) -> None:
    assert "" == fill(
        "Patient/{{context.patientId}}", {"context.patientId": patient, "context.userId": "u"}
    )


def test_a_template_with_an_unknown_token_stays_empty() -> None:
    assert "" == fill("Encounter/{{context.encounterId}}", {"context.patientId": "1"})


@pytest.mark.parametrize(
    "query",
    [
        "",
        "Patient",
        "Patient/",
        "patient/1",
        "Patient/..",
        "Patient/.",
        "Patient/1/..",
        "Patient/1/../2",
        "Patient/%2e%2e",
        "Patient/1#",
        "Patient/1?x=y",
        "Patient/1&x=y",
        "/Patient/1",
        "https://evil.test/Patient/1",
        "../Patient/1",
        "MedicationRequest?",
        "MedicationRequest?patient",
        "MedicationRequest?patient=",
        "MedicationRequest?patient=1&patient=2",
        "MedicationRequest?patient=1,2",
        "MedicationRequest?patient=1&_include=*",
        "MedicationRequest?patient=1?x=y",
        "MedicationRequest?patient=1#",
        "MedicationRequest?patient=%31",
        "MedicationRequest?subject=Group/1",
        "MedicationRequest?patient=1&=2",
        "MedicationRequest?patient=1&x=a%0d%0ab",
        "MedicationRequest?_include=a b",
        "MedicationRequest?status=act ive",
    ],
)
def test_CT01_a_query_that_an_id_could_have_bent_is_never_sent(query: str) -> None:
    with serve(RECORD) as server:
        assert {"q": (False, "bad-id")} == seen_in_short(
            client().fetch({"q": query}, access_to(server))
        )
        assert 0 == server.connections


def test_an_encoded_bar_is_sent_as_one_bar() -> None:
    query = read_query(
        "Condition?patient=Patient/1&code=http://snomed.info/sct%7C123,http://hl7.org%7C5"
    )
    assert query is not None
    assert (
        ("patient", "Patient/1"),
        ("code", "http://snomed.info/sct|123,http://hl7.org|5"),
    ) == query.parameters


# --- nothing leaks ----------------------------------------------------------------------------------------


def test_CT02_no_repr_shows_the_token() -> None:
    access, _ = grant()
    assert access is not None
    assert "CANARY-TOK" == access.token
    assert "CANARY" not in repr(access) + str(access) + f"{access!r}"


@pytest.mark.parametrize(
    "fault", ["", "hang", "reset", "500", "401", "html", "truncated", "redirect"]
)
def test_CT02_nothing_about_the_patient_or_the_token_is_logged_or_printed(
    fault: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with serve(
        [{"resourceType": "Patient", "id": "CANARY-ID"}], fault=fault, post_search=405
    ) as server:
        client(Limits(fhir_budget_ms=200)).fetch(
            {"p": "Patient/CANARY-ID", "o": "MedicationRequest?patient=CANARY-ID"},
            access_to(server, "CANARY-TOK"),
        )
    assert ("", "", "") == (caplog.text, *capsys.readouterr())
    assert server.seen


def test_a_fault_of_ours_is_one_failed_query_and_not_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The innermost library call is made to break: the answer is a word, not an exception and not a timeout."""
    with serve(RECORD) as server:
        monkeypatch.setattr("orjson.loads", lambda _: sys.maxsize.missing)  # type: ignore[attr-defined]
        start = time.monotonic()
        assert {"orders": (False, "failed")} == seen_in_short(
            client().fetch(SEARCH, access_to(server))
        )
        assert time.monotonic() - start < 0.5


# --- the test server itself -------------------------------------------------------------------------------


def test_the_server_of_these_tests_reads_a_folder_and_keeps_writes(tmp_path: Path) -> None:
    import requests

    (tmp_path / "r4").mkdir()
    bundle = {"resourceType": "Bundle", "entry": [{"resource": PATIENT}]}
    (tmp_path / "r4" / "a.json").write_text(json.dumps(bundle))
    (tmp_path / "b.json").write_text(json.dumps(ORDERS))
    with serve(tmp_path) as server, requests.Session() as session:
        base = server.base_url
        made = session.post(f"{base}/Basic", json={"resourceType": "Basic", "status": "x"})
        again = session.post(
            f"{base}/Basic", json={"resourceType": "Basic"}, headers={"If-None-Exist": "status=x"}
        )
        place, first = made.headers["Location"].split("/_history")[0], {"If-Match": 'W/"1"'}
        put = session.put(place, json=made.json(), headers=first)
        stale = session.put(place, json=made.json(), headers=first)
    assert [201, 200, 200, 412] == [each.status_code for each in (made, again, put, stale)]
    assert (made.json()["id"], "2") == (again.json()["id"], put.json()["meta"]["versionId"])
    assert 7 == len(server.store)
