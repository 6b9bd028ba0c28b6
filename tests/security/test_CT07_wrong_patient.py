"""What belongs to another patient is never used for this one, sent or fetched (T7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.calls import (
    PATIENT,
    T1,
    T5,
    bundle,
    call,
    cards,
    listed,
    naltrexone_50,
    opioid,
    topics,
)
from tests.conftest import Running
from tests.fhir_server import FhirServer, serve
from tests.security.ehr import Ehr, client, run_production
from tests.tls import make_server_tls

OTHER = "p2"
KINDS = {
    "medicationRequests": "MedicationRequest",
    "medicationStatements": "MedicationStatement",
    "medicationDispenses": "MedicationDispense",
}


def of(patient: str, kind: str = "MedicationRequest", **members: Any) -> dict[str, Any]:
    """An active oxycodone of this patient as a resource of this kind."""
    dates = {
        "MedicationStatement": {"effectiveDateTime": "2026-11-20"},
        "MedicationDispense": {
            "whenHandedOver": "2026-11-20",
            "status": "completed",
            "daysSupply": {"value": 30, "unit": "days"},
        },
    }
    return {**listed(patient=patient), "resourceType": kind, **dates.get(kind, {}), **members}


def sent(key: str, *resources: Any) -> Any:
    body = call("order-sign", naltrexone_50())
    body["prefetch"][key] = bundle(*resources)
    return body


@pytest.mark.parametrize("key", KINDS)
def test_CT07_an_opioid_of_this_patient_counts(service: Running, key: str) -> None:
    """Or the next test would show nothing."""
    assert T1 in topics(cards(service, sent(key, of(PATIENT, KINDS[key]))))


@pytest.mark.parametrize("key", KINDS)
def test_CT07_an_opioid_of_another_patient_does_not_count(service: Running, key: str) -> None:
    assert T1 not in topics(cards(service, sent(key, of(OTHER, KINDS[key]))))


def test_CT07_an_order_list_that_is_all_another_patients_was_not_answered(service: Running) -> None:
    """A search that returned the wrong patient says nothing of this one, so silence would look like "no opioid"."""
    found = topics(cards(service, sent("medicationRequests", of(OTHER))))
    assert T5 in found
    assert T5 not in topics(cards(service, sent("medicationRequests")))


def test_CT07_a_list_of_two_patients_is_read_for_the_right_one_alone(service: Running) -> None:
    theirs = listed("Morphine 10 MG Oral Tablet", patient=OTHER, id="m-theirs")
    found = cards(service, sent("medicationRequests", theirs, of(PATIENT)))
    assert {T1: "critical"} == topics(found)
    assert ["oxycodone"] == [
        drug for drug in ("oxycodone", "morphine") if drug in str(found).lower()
    ]


@pytest.mark.parametrize(
    "reference", [f"Patient/{PATIENT}", f"https://ehr.example.org/fhir/Patient/{PATIENT}", PATIENT]
)
def test_CT07_every_way_to_name_this_patient_is_understood(
    service: Running, reference: str
) -> None:
    assert T1 in topics(
        cards(service, sent("medicationRequests", of(PATIENT, subject={"reference": reference})))
    )


@pytest.mark.parametrize(
    "reference", [f"Patient/{PATIENT}0", f"Patient/x{PATIENT}", f"Patient/{OTHER}"]
)
def test_CT07_a_name_that_only_looks_alike_is_another_patient(
    service: Running, reference: str
) -> None:
    assert T1 not in topics(
        cards(service, sent("medicationRequests", of(PATIENT, subject={"reference": reference})))
    )


def test_CT07_a_draft_for_another_patient_is_not_judged_as_this_ones(service: Running) -> None:
    """Nothing is offered for it, and that it could not be checked is said."""
    found = cards(service, call("order-sign", naltrexone_50(patient=OTHER), meds=(listed(),)))
    assert {T5: "warning"} == topics(found)
    assert [] == [card for card in found if card.get("suggestions")]


def test_CT07_an_opioid_drafted_for_another_patient_meets_nobodys_naltrexone(
    service: Running,
) -> None:
    ours = listed("Naltrexone 50 MG Oral Tablet")
    assert T1 not in topics(cards(service, call("order-sign", opioid(patient=OTHER), meds=(ours,))))


@pytest.fixture(scope="module")
def fetching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FhirServer, Ehr]]:
    folder = tmp_path_factory.mktemp("two-patients")
    tls, _ = make_server_tls(folder, "localhost")
    with serve(
        [{"resourceType": "Patient", "id": PATIENT, "birthDate": "1972-03-04"}],
        tls=tls,
        name="localhost",
    ) as fhir:
        known = client(folder, fhir_bases=[fhir.base_url])
        with run_production(
            folder, known, environ={"SSL_CERT_FILE": str(folder / "cert.pem")}
        ) as ehr:
            yield fhir, ehr


@pytest.mark.parametrize(("owner", "expected"), [(PATIENT, {T1: "critical"}), (OTHER, {})])
def test_CT07_a_fetched_list_is_checked_the_same_way(
    fetching: tuple[FhirServer, Ehr], owner: str, expected: dict[str, str]
) -> None:
    """A server that ignores the patient of a search, or a proxy that mixes answers up."""
    fhir, ehr = fetching
    fhir.pages["/MedicationRequest/_search"] = bundle(of(owner))
    found = ehr.call(
        {**call("order-sign", naltrexone_50(), meds=None), "fhirServer": fhir.base_url}
    ).json()["cards"]
    assert expected == {
        topic: indicator for topic, indicator in topics(found).items() if topic == T1
    }


def test_CT07_a_fetched_patient_of_another_id_lends_no_age(
    fetching: tuple[FhirServer, Ehr],
) -> None:
    fhir, ehr = fetching
    fhir.pages[f"/Patient/{PATIENT}"] = {
        "resourceType": "Patient",
        "id": OTHER,
        "birthDate": "2020-01-01",
    }
    fhir.pages["/MedicationRequest/_search"] = bundle()
    found = ehr.call(
        {**call("order-sign", naltrexone_50(), meds=None), "fhirServer": fhir.base_url}
    ).json()["cards"]
    del fhir.pages[f"/Patient/{PATIENT}"]
    plain = ehr.call(
        {**call("order-sign", naltrexone_50(), meds=None), "fhirServer": fhir.base_url}
    ).json()["cards"]
    assert topics(plain) == topics(found)
