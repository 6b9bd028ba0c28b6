"""What the builder writes is valid FHIR of its release, so that a mistake here cannot hide one in the reader."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from importlib import import_module
from typing import Any

import pytest

from tests.vignettes.builder import NOW, TODAY, demonstrations, request, rolled, unsaid, vignettes, written
from tests.vignettes.compare import orders
from tests.vignettes.releases import RELEASES, Json

PACKAGES = {"STU3": "fhir.resources.STU3", "R4": "fhir.resources.R4B", "R5": "fhir.resources"}


def built(release: str) -> Iterator[Json]:
    for case in vignettes():
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
    assert {"dateWritten", "dateEnded", "patient", "reasonCodeableConcept", "wasNotTaken", "wasNotGiven",
            "effectiveTimeDateTime", "prescription"} <= seen
    assert set() == seen & {"authoredOn", "subject", "intent", "category", "reasonCode", "doNotPerform", "taken"}
    assert {"MedicationOrder", "MedicationStatement", "MedicationDispense", "MedicationAdministration", "Condition",
            "Encounter", "Patient"} >= {r["resourceType"] for r in built("DSTU2")}


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_is_told_every_dose_supply_end_and_reason(release: str) -> None:
    """No fact of a vignette is lost on the way into a release."""
    text = written([request(c, release, c["hook"]) for c in vignettes() if c["id"] in {"B01", "B16", "E30", "E45"}])
    facts = {'"value": 4.5,': 3, '"value": 30,': 1, '"numberOfRepeatsAllowed": 3': 1, '"value": 0.5,': 1,
             f'"{"dateEnded" if release == "DSTU2" else "end"}": "2026-11-21"': 1, '"F10.20"': 2, '"G89.29"': 2}
    assert facts == facts | {fact: text.count(fact) for fact in facts}


def test_rolling_moves_every_date_but_the_birth_date() -> None:
    """Rolled by 100 days, a call is the same call 100 days later, for the same patient."""
    later = rolled({"birthDate": "1974-03-14", "authoredOn": "2026-11-21", "end": "2026-11-20T08:00:00Z", "n": "x"},
                   date(2027, 3, 1))
    assert {"birthDate": "1974-03-14", "authoredOn": "2027-03-01", "end": "2027-02-28T08:00:00Z", "n": "x"} == later


def test_the_committed_demonstration_calls_are_what_the_builder_writes() -> None:
    """The files of fhir_fixtures/requests are current: nobody edited one by hand or forgot to write them anew."""
    for path, body in demonstrations(TODAY):
        assert written(body) == path.read_text(encoding="utf-8"), path.name


def test_the_clock_of_the_vignettes_is_the_clock_of_the_harness() -> None:
    assert {NOW.date().isoformat()} == {case["now"] for case in vignettes()}
