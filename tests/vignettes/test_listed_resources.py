"""Listed medicines as real systems write them (``fhir_fixtures/<release>``) meet a drafted order."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest

from tests.vignettes.builder import FIXTURES, INTERACTION, OFF_LABEL, request
from tests.vignettes.compare import told
from tests.vignettes.releases import RELEASES, Json
from tests.vignettes.situations import Answered, naltrexone, opioid, situation
from tests.vignettes.test_builder import PACKAGES

MEETS_NALTREXONE = {
    "dstu2/medicationorder-oxycodone-er-words-only": ("critical", "oxycodone", "14 days"),
    "dstu2/medicationorder-morphine-contained": ("critical", "morphine", "7-10 days"),
    "dstu2/medicationstatement-methadone-not-taken": ("none",),
    "dstu2/medicationadministration-fentanyl-in-theatre": ("warning", "fentanyl", "7-10 days"),
    "dstu2/medicationdispense-hydrocodone": ("critical", "hydrocodone", "7-10 days"),
    "stu3/medicationrequest-buprenorphine-patch-contained": (
        "critical",
        "buprenorphine",
        "14 days",
    ),
    "stu3/medicationstatement-tramadol-taken": ("critical", "tramadol", "7-10 days"),
    "stu3/medicationstatement-tramadol-not-taken": ("none",),
    "stu3/medicationadministration-morphine-this-morning": ("critical", "morphine", "7-10 days"),
    "r4/medicationrequest-percocet-named-by-reference": ("critical", "oxycodone", "7-10 days"),
    "r4/medicationrequest-hydrocodone-ndc-only": ("critical", "hydrocodone", "7-10 days"),
    "r4/medicationadministration-morphine-not-done": ("none",),
    "r4/medicationdispense-buprenorphine-naloxone": ("critical", "buprenorphine", "14 days"),
    "r5/medicationrequest-fentanyl-patch-contained": ("critical", "fentanyl", "14 days"),
    "r5/medicationstatement-oxycodone-taking-as-directed": ("critical", "oxycodone", "7-10 days"),
    "r5/medicationstatement-oxycodone-stopped": ("warning", "oxycodone", "7-10 days"),
    "r5/medicationstatement-oxycodone-not-taking": ("none",),
}
MEETS_OXYCODONE = {
    "r4/medicationrequest-ldn-compounded-by-ingredient": ("critical", "naltrexone"),
    "r5/medicationrequest-naltrexone-ended": ("warning", "naltrexone", "72 hours"),
}
KEYS = {
    "MedicationOrder": "medicationOrders",
    "MedicationRequest": "medicationRequests",
    "MedicationStatement": "medicationStatements",
    "MedicationDispense": "medicationDispenses",
    "MedicationAdministration": "medicationAdministrations",
}


def resource(name: str) -> Json:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def with_listed(name: str, draft: Json) -> Json:
    """An order-sign call of the fixture's release whose list holds this one resource."""
    listed = resource(name)
    body = request(situation([draft]), name.partition("/")[0].upper(), "order-sign")
    body["prefetch"][KEYS[listed["resourceType"]]] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 1,
        "entry": [{"resource": listed}],
    }
    return body


def interaction(body: Json, answered: Answered, words: tuple[str, ...]) -> tuple[str, ...]:
    """The indicator of the interaction card and those of the words that it says; ("none",) without one."""
    found = next((c for c in told(answered(body), body) if c.topic == INTERACTION), None)
    return (found.indicator, *(w for w in words if w in found.words)) if found else ("none",)


@pytest.mark.parametrize(
    ("name", "expected"), list(MEETS_NALTREXONE.items()), ids=list(MEETS_NALTREXONE)
)
def test_a_listed_opioid_meets_drafted_naltrexone(
    name: str, expected: tuple[str, ...], answered: Answered
) -> None:
    """However a system writes it, an opioid on the list is found with its role and its day, or rightly left out."""
    assert expected == interaction(with_listed(name, naltrexone()), answered, expected[1:])


@pytest.mark.parametrize(
    ("name", "expected"), list(MEETS_OXYCODONE.items()), ids=list(MEETS_OXYCODONE)
)
def test_a_listed_naltrexone_meets_a_drafted_opioid(
    name: str, expected: tuple[str, ...], answered: Answered
) -> None:
    """Compounded by ingredient or ended in R5 words, naltrexone on the list is found."""
    assert expected == interaction(with_listed(name, opioid()), answered, expected[1:])


@pytest.mark.parametrize(
    "name", [n for n, expected in MEETS_NALTREXONE.items() if expected == ("none",)]
)
def test_a_listed_opioid_that_does_not_count_leaves_the_other_cards(
    name: str, answered: Answered
) -> None:
    """Silence about the interaction is no failure to answer: the off-label note is there, alone."""
    body = with_listed(name, naltrexone())
    assert [(OFF_LABEL, "info")] == [(c.topic, c.indicator) for c in told(answered(body), body)]


def test_every_listed_resource_is_used_and_valid() -> None:
    """Each file is in a table above, and fhir.resources accepts it in its release (DSTU2 has no model)."""
    names = {
        f"{path.parent.name}/{path.stem}"
        for release in RELEASES
        for path in (FIXTURES / release.lower()).glob("*.json")
    }
    assert {*MEETS_NALTREXONE, *MEETS_OXYCODONE} == names
    for name in names:
        release, listed = name.partition("/")[0].upper(), resource(name)
        if release in PACKAGES:
            kind = listed["resourceType"]
            model: Any = getattr(import_module(f"{PACKAGES[release]}.{kind.lower()}"), kind)
            model.model_validate(listed)
