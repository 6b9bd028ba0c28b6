"""What a laboratory code measures: opioid screens by analyte, and transaminases (LOINC only)."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from cds_service.model import Concept, LabGroup

_LOINC = re.compile(
    r"(?:https?://)?(?:www\.)?loinc\.org/?|urn:oid:2\.16\.840\.1\.113883\.6\.1", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class LabTest:
    """One laboratory code. ``analyte`` tells results apart of which a later one replaces an earlier."""

    loinc: str
    group: LabGroup
    analyte: str
    confirmed: bool


def read_labs(directory: Path | None = None) -> Mapping[str, LabTest]:
    """The table of ``directory``, or the packaged one where it has none. Raises OSError or ValueError."""
    own = directory / "labs.csv" if directory else None
    packaged = files("cds_service.terminology") / "data" / "labs.csv"
    with (own if own is not None and own.is_file() else packaged).open(encoding="utf-8") as handle:
        return {
            r["loinc"]: LabTest(
                r["loinc"], LabGroup(r["group"]), r["analyte"], r["confirmed"] == "1"
            )
            for r in csv.DictReader(handle)
        }


def find_test(concept: Concept, table: Mapping[str, LabTest]) -> LabTest | None:
    """The test that a coded observation is; None where no code of it is in the table."""
    for coding in concept.codings:
        if _LOINC.fullmatch(coding.system.strip()) and (test := table.get(coding.code)):
            return test
    return None
