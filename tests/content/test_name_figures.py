"""The figures that ``check`` prints: names from the field by country, and common names of other drugs.

``samples/names-field.csv`` is the published list of names by country with what they are; ``samples/common-other-names.csv``
was written by hand after the tables: the medicines most used in twelve countries in the form in which records name them,
weighted by rank and country.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from cds_service.terminology import load
from cds_service.terminology.figures import (
    Figures,
    Sample,
    faults,
    from_the_field,
    measure,
    of_other_drugs,
)

GOOD = Figures(100, 97.0, 3.0, 1.0, (), (), ())


def test_no_name_from_the_field_is_silent_and_nearly_all_are_known() -> None:
    found = from_the_field(load())
    assert ((), ()) == (found.silent, found.mistaken)
    assert found.recognised >= 97


def test_common_names_of_other_drugs_are_known_and_never_mistaken() -> None:
    found = of_other_drugs(load())
    assert ((), (), True) == (found.mistaken, found.guessed, found.names >= 1_000)
    assert (True, True) == (found.unknown <= 3, found.unknown_by_use <= 1)


def test_the_tables_keep_every_bound() -> None:
    terminology = load()
    assert [] == [*faults(from_the_field(terminology), of_other_drugs(terminology))]


@pytest.mark.parametrize(
    ("field", "others"),
    [
        ({"silent": ("Temgesic",)}, {}),
        ({"recognised": 96.9}, {}),
        ({}, {"mistaken": ("aspirin",)}),
        ({}, {"guessed": ("Morphea cream",)}),
        ({}, {"unknown": 3.1}),
        ({}, {"unknown_by_use": 1.1}),
    ],
)
def test_each_bound_that_is_left_is_one_fault(
    field: dict[str, object], others: dict[str, object]
) -> None:
    assert [] == [*faults(GOOD, GOOD)]
    assert 1 == len([*faults(replace(GOOD, **field), replace(GOOD, **others))])  # type: ignore[arg-type]


def test_the_figures_tell_silent_mistaken_and_unknown_apart() -> None:
    found = measure(
        load(),
        (
            Sample("Temgesic", "buprenorphine"),
            Sample("aspirin", "buprenorphine"),
            Sample("oxycodone", "other"),
            Sample("oxycodome", "other"),
            Sample("Qwzplk", "other", 3.0),
        ),
    )
    assert (("aspirin",), ("oxycodone",), ("oxycodome",)) == (
        found.silent,
        found.mistaken,
        found.guessed,
    )
    assert (20.0, 20.0, 300 / 7) == (found.recognised, found.unknown, found.unknown_by_use)
