"""What the builder writes is valid FHIR of its release, so that a mistake here cannot hide one in the reader."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from importlib import import_module
from typing import Any

import pytest

from tests.vignettes.builder import (
    FIRST_EDITION,
    NOW,
    SECOND_EDITION,
    TODAY,
    demonstrations,
    request,
    rolled,
    stories,
    unsaid,
    vignette,
    vignettes,
    written,
)
from tests.vignettes.compare import orders
from tests.vignettes.releases import RELEASES, Json

UNSEEN: Json = {  # facts of the format that no vignette of the file holds
    "id": "X01",
    "hook": "order-sign",
    "expected_cards": [],
    "draft_orders": [{"id": "op-1", "drug_text": "morphine", "status": "draft", "intent": "order"}],
    "meds": [
        {
            "id": "m-1",
            "source": "MedicationRequest",
            "drug_text": "",
            "unresolved_reference": "Medication/m-77",
            "status": "stopped",
            "intent": "order",
            "authoredOn": "2026-11-01",
        },
        {
            "id": "m-2",
            "source": "MedicationDispense",
            "drug_text": "naltrexone",
            "status": "completed",
            "authoredOn": "2026-11-02",
            "order": "m-1",
            "quantity": {"value": 4, "unit": "film"},
            "last_updated": "2026-11-03",
        },
    ],
    "conditions": [
        {
            "code": "F11.20",
            "text": "Opioid dependence",
            "onset": "2020-01-01",
            "recorded": "2026-10-01",
        }
    ],
    "labs": [
        {
            "loinc": "1742-6",
            "text": "ALT",
            "value": 240,
            "unit": "U/L",
            "high": 40,
            "date": "2026-11-01",
        },
        {"loinc": "3879-4", "text": "Opiates", "value": "negative", "status": "preliminary"},
        {"loinc": "3879-4", "text": "Opiates", "value": "not detected"},
    ],
    "procedures": [
        {"code": "J2315", "text": "Naltrexone depot, 1 mg", "date": "2026-11-10"},
        {"code": "310653000", "text": "Drug addiction therapy using methadone"},
    ],
}

PACKAGES = {"STU3": "fhir.resources.STU3", "R4": "fhir.resources.R4B", "R5": "fhir.resources"}


def built(release: str) -> Iterator[Json]:
    for case in (*vignettes(FIRST_EDITION), *vignettes(SECOND_EDITION), UNSEEN):
        if not unsaid(case, release, case["hook"]):
            body = request(case, release, case["hook"])
            yield from orders(body["context"])
            yield from orders(body["prefetch"])
            yield from (r for r in body["prefetch"].values() if r and r["resourceType"] != "Bundle")


@pytest.mark.parametrize("release", list(PACKAGES))
def test_every_resource_is_valid_in_its_release(release: str) -> None:
    """The strict models of fhir.resources (R4B for R4) accept every resource of every vignette."""
    checked = 0
    for resource in built(release):
        kind = resource["resourceType"]
        model: Any = getattr(import_module(f"{PACKAGES[release]}.{kind.lower()}"), kind)
        model.model_validate(resource)
        checked += 1
    assert checked > 400


def test_dstu2_speaks_the_words_of_dstu2() -> None:
    """No strict DSTU2 model exists in Python: its own member names are checked by hand."""
    seen = {key for resource in built("DSTU2") for key in resource}
    assert {
        "dateWritten",
        "dateEnded",
        "patient",
        "reasonCodeableConcept",
        "wasNotTaken",
        "wasNotGiven",
        "effectiveTimeDateTime",
        "prescription",
        "dateRecorded",
    } <= seen
    ours = {
        key
        for r in built("DSTU2")
        if r["resourceType"] not in {"Observation", "Procedure"}
        for key in r
    }
    assert set() == ours & {
        "authoredOn",
        "subject",
        "intent",
        "category",
        "reasonCode",
        "doNotPerform",
        "taken",
    }
    assert set() == seen & {
        "recordedDate",
        "assertedDate",
        "reportedBoolean",
        "statusChanged",
        "extension",
    }
    assert {
        "MedicationOrder",
        "MedicationStatement",
        "MedicationDispense",
        "MedicationAdministration",
        "Condition",
        "Encounter",
        "Patient",
        "Observation",
        "Procedure",
    } >= {r["resourceType"] for r in built("DSTU2")}


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_is_told_every_dose_supply_end_and_reason(release: str) -> None:
    """No fact of a vignette is lost on the way into a release."""
    text = written(
        [
            request(c, release, c["hook"])
            for c in vignettes()
            if c["id"] in {"B01", "B16", "E30", "E45"}
        ]
    )
    facts = {
        '"value": 4.5,': 3,
        '"value": 30,': 1,
        '"numberOfRepeatsAllowed": 3': 1,
        '"value": 0.5,': 1,
        f'"{"dateEnded" if release == "DSTU2" else "end"}": "2026-11-21"': 1,
        '"F10.20"': 2,
        '"G89.29"': 2,
    }
    assert facts == facts | {fact: text.count(fact) for fact in facts}


NAMED = {
    "DSTU2": {
        "boundsDuration": "boundsQuantity",
        "recordedDate": "dateRecorded",
        "performedDateTime": "performedDateTime",
    },
    "STU3": {"recordedDate": "assertedDate"},
    "R5": {"performedDateTime": "occurrenceDateTime"},
}


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_is_told_the_facts_of_the_second_edition(release: str) -> None:
    """Quantities, bounds, starts, validity, last changes, code-only drugs and results arrive in the release's words."""
    wanted = {"A36", "A41", "A42", "A52", "A61", "A62", "D33", "E84", "E97", "X01"}
    cases = [*(vignette(each, SECOND_EDITION) for each in sorted(wanted - {"X01"})), UNSEEN]
    text = written([request(case, release, "order-sign") for case in cases])
    names = NAMED.get(release, {})
    facts = {
        '"value": 120': 1,
        f'"{names.get("boundsDuration", "boundsDuration")}"': 1,
        '"start": "2026-12-11"': 1,
        '"validityPeriod"': 1,
        '"lastUpdated"': 2,
        '"N02AA05"': 1,
        '"Medication/med-77"': 1,
        '"code": "3879-4"': 3,
        '"10828004"': 1,
        '"260385009"': 1,
        '"valueString": "not detected"': 1,
        '"high"': 1,
        f'"{names.get("recordedDate", "recordedDate")}": "2026-10-01"': 1,
        '"onsetDateTime"': 1,
        f'"{names.get("performedDateTime", "performedDateTime")}": "2026-11-10"': 1,
        '"unit": "film"': 1,
        '"text": ""': 0,
        f'"{"MedicationOrder" if release == "DSTU2" else "MedicationRequest"}/m-1"': 1,
    }
    assert facts == {fact: text.count(fact) for fact in facts}


def test_facts_that_few_releases_know_are_said_there() -> None:
    """statusChanged in R5, reported in R4 and R5, US Core adherence in R4, an initial fill from R4 on."""
    said = {
        (wanted, release): written(request(vignette(wanted, SECOND_EDITION), release, "order-sign"))
        for wanted in ("A53", "D40", "N56", "E91")
        for release in ("STU3", "R4", "R5")
    }
    facts = {
        ("A53", "R4"): '"reportedBoolean": true',
        ("A53", "R5"): '"reported": true',
        ("D40", "R5"): '"statusChanged": "2026-11-18"',
        ("N56", "R4"): '"715036001"',
        ("E91", "R4"): '"initialFill"',
        ("E91", "R5"): '"initialFill"',
    }
    for where, fact in facts.items():
        assert fact in said[where], where
    assert "initialFill" not in said["E91", "STU3"]


def test_rolling_moves_every_date_but_the_birth_date() -> None:
    """Rolled by 100 days, a call is the same call 100 days later, for the same patient."""
    later = rolled(
        {
            "birthDate": "1974-03-14",
            "authoredOn": "2026-11-21",
            "end": "2026-11-20T08:00:00Z",
            "n": "x",
        },
        date(2027, 3, 1),
    )
    assert {
        "birthDate": "1974-03-14",
        "authoredOn": "2027-03-01",
        "end": "2027-02-28T08:00:00Z",
        "n": "x",
    } == later


def test_the_committed_demonstration_calls_are_what_the_builder_writes() -> None:
    """The files of fhir_fixtures/requests are current: nobody edited one by hand or forgot to write them anew."""
    for path, body in (*demonstrations(TODAY), *stories(TODAY)):
        assert written(body) == path.read_text(encoding="utf-8"), path.name


def test_the_clock_of_the_vignettes_is_the_clock_of_the_harness() -> None:
    assert {NOW.date().isoformat()} == {case["now"] for case in vignettes()}
