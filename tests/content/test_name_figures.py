"""The figures of issue 8: names from the field by country, and common names of other drugs.

``data/names-field.csv`` is the published list of names by country with what they are; ``data/common-other-names.csv`` was
written by hand after the tables: the medicines most used in twelve countries in the form in which records name them,
weighted by rank and country.
"""

from __future__ import annotations

import csv
from pathlib import Path

from cds_service.terminology import load
from cds_service.terminology.figures import Figures, Sample, measure, read_samples

DATA = Path(__file__).parent / "data"
OUR_NAME = {
    "pethidine": "meperidine",
    "diamorphine": "heroin",
    "morphine": "morphin",
    "methadone": "methad",
    "foreign-other": "other",
}


def field() -> tuple[Sample, ...]:
    with (DATA / "names-field.csv").open(encoding="utf-8") as handle:
        return tuple(
            Sample(r["name"], OUR_NAME.get(r["expected"], r["expected"]))
            for r in csv.DictReader(handle)
        )


def test_no_name_from_the_field_is_silent_and_nearly_all_are_known() -> None:
    found = measure(load(), field())
    assert ((), ()) == (found.silent, found.mistaken)
    assert found.recognised >= 97


def test_common_names_of_other_drugs_are_known_and_never_mistaken() -> None:
    found: Figures = measure(load(), read_samples(DATA / "common-other-names.csv"))
    assert ((), (), True) == (found.mistaken, found.guessed, found.names >= 1_000)
    assert (True, True) == (found.unknown <= 3, found.unknown_by_use <= 1)
