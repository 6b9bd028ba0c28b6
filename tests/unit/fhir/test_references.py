"""A reference finds its resource however it is written, and guesses nothing (specification 2.13)."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.fhir.bundle import Entry, Resolver
from cds_service.fhir.read import has_unread_reference, read_drug, refers_to_nothing_sent

UUID = "0E9B7C1A-1111-4222-8333-444455556666"
NUMBER = {"system": "http://hospital.example.org/drugs", "value": "4711"}
DRUG = {
    "resourceType": "Medication",
    "id": "med0302",
    "identifier": [NUMBER],
    "code": {"text": "Oxycodone 5 mg tablet"},
}
SAME_ID = {"resourceType": "Practitioner", "id": "med0302"}
FORMS = [
    {"reference": "Medication/med0302"},
    {"reference": "Medication/med0302/_history/2"},
    {"reference": "med0302"},
    {"reference": "https://ehr.example.org/fhir/Medication/med0302"},
    {"reference": f"urn:uuid:{UUID}"},
    {"reference": f"urn:uuid:{UUID.lower()}"},
    {"reference": "urn:uuid:med0302"},
    "Medication/med0302",
    "med0302",
    {"identifier": NUMBER},
    {"type": "Medication", "identifier": NUMBER},
    {"identifier": [NUMBER]},
    {"reference": "Medication/gone", "identifier": NUMBER},
]


def order(pointer: object, **members: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "medicationReference": pointer,
        **members,
    }


def resolver(*others: dict[str, Any]) -> Resolver:
    return Resolver([Entry(SAME_ID), Entry(DRUG, f"urn:uuid:{UUID}"), *map(Entry, others)])


@pytest.mark.parametrize("pointer", FORMS)
def test_every_form_of_a_reference_finds_the_drug(pointer: object) -> None:
    assert "Oxycodone 5 mg tablet" == read_drug(order(pointer), resolver()).concept.text
    assert not refers_to_nothing_sent(order(pointer), resolver())


@pytest.mark.parametrize("pointer", FORMS)
def test_every_form_finds_it_in_the_shape_of_r5_too(pointer: object) -> None:
    resource = {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "medication": {"reference": pointer},
    }
    assert "Oxycodone 5 mg tablet" == read_drug(resource, resolver()).concept.text


@pytest.mark.parametrize(
    ("pointer", "missing"),
    [
        ({"reference": "Medication/gone"}, "Medication/gone"),
        ({"reference": "gone"}, "Medication/gone"),
        ({"reference": "https://ehr.example.org/fhir/Medication/gone"}, "Medication/gone"),
        ({"reference": "#gone"}, ""),
        ({"reference": "urn:uuid:gone"}, ""),
        ({"identifier": {"value": "4711"}}, ""),
        ({"identifier": {"system": "http://other.example.org", "value": "4711"}}, ""),
    ],
)
def test_what_was_not_sent_is_missed_and_fetched_where_it_has_an_address(
    pointer: object, missing: str
) -> None:
    assert missing == has_unread_reference(order(pointer), resolver())
    assert refers_to_nothing_sent(order(pointer), resolver())
    assert not read_drug(order(pointer), resolver()).concept.label


@pytest.mark.parametrize(
    "pointer", [{"reference": "twin"}, {"identifier": {"system": "urn:x", "value": "1"}}]
)
def test_an_id_or_identifier_of_two_medications_is_not_guessed(pointer: object) -> None:
    twins = [
        {
            "resourceType": "Medication",
            "id": name,
            "identifier": [{"system": "urn:x", "value": "1"}],
            "code": {"text": text},
        }
        for name, text in (("twin", "morphine"), ("other", "ibuprofen"))
    ]
    more = [*twins, {"resourceType": "Medication", "id": "twin ", "code": {"text": "aspirin"}}]
    found = read_drug(
        order(pointer), resolver(*(more if "identifier" in pointer else twins))
    ).concept.text
    assert ("morphine" if "reference" in pointer else "") == found


def test_a_contained_drug_is_found_with_and_without_its_mark() -> None:
    contained = [{"resourceType": "Medication", "id": "d", "code": {"text": "fentanyl patch"}}]
    for reference in ("#d", "d"):
        found = read_drug(order({"reference": reference}, contained=contained), resolver())
        assert "fentanyl patch" == found.concept.text


def test_a_contained_drug_may_name_ingredients_beside_it() -> None:
    """The parts of a compound stand in the order, not in the drug that refers to them."""
    contained = [
        {
            "resourceType": "Medication",
            "id": "d",
            "ingredient": [{"itemReference": {"reference": "#n"}}],
        },
        {"resourceType": "Substance", "id": "n", "code": {"text": "naltrexone"}},
    ]
    found = read_drug(order({"reference": "#d"}, contained=contained), resolver())
    assert ["naltrexone"] == [line.item.text for line in found.ingredients]


def test_words_beside_a_reference_that_leads_nowhere_still_name_the_drug() -> None:
    assert (
        "morphine"
        == read_drug(
            order({"reference": "Medication/gone", "display": "morphine"}), resolver()
        ).concept.text
    )
