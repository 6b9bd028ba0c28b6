"""What is handed over is valid FHIR, holds what the tables and rules hold, and nothing that they do not."""

from __future__ import annotations

import base64
import csv
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cds_service.knowledge.export import export, validate
from cds_service.model import Coding, Concept, Drug
from cds_service.pipeline import Engine

BASE = "https://hospital.example.org/fhir"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


@pytest.fixture(scope="module")
def folder(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("knowledge")
    export(engine, BASE, out, NOW)
    return out


def resources(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(file.read_bytes()) for file in sorted(folder.glob(f"{kind}-*.json"))]


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8") as lines:
        return [*csv.DictReader(lines)]


def test_every_kind_is_there_and_valid(folder: Path) -> None:
    kinds = (
        "ValueSet",
        "Library",
        "PlanDefinition",
        "ActivityDefinition",
        "Citation",
        "CapabilityStatement",
    )
    for kind in kinds:
        found = resources(folder, kind)
        assert found, kind
        for resource in found:
            validate(resource)


def test_a_wrong_resource_is_refused() -> None:
    with pytest.raises(ValueError, match="status"):
        validate({"resourceType": "ValueSet", "status": 7})


def test_each_code_of_a_value_set_is_recognised_in_that_role(folder: Path, engine: Engine) -> None:
    found = resources(folder, "ValueSet")
    for value_set in found:
        role = value_set["title"].rpartition(" ")[2]
        assert value_set["version"] == engine.terminology.tables.release
        assert value_set["expansion"]["total"] == len(value_set["expansion"]["contains"]) > 0
        for code in value_set["expansion"]["contains"]:
            drug = Drug(Concept((Coding(RXNORM, code["code"], code["display"]),)))
            assert role in {str(c.role) for c in engine.terminology.recognise(drug).components}


def test_the_formulary_holds_every_relevant_product_once(folder: Path) -> None:
    rows = table(folder, "formulary.csv")
    codes = {c["code"] for v in resources(folder, "ValueSet") for c in v["expansion"]["contains"]}
    assert len(rows) == len({row["rxcui"] for row in rows}) == len(codes)


def test_the_cql_names_only_value_sets_that_exist_and_is_in_the_library(folder: Path) -> None:
    text = (folder / "NaltrexoneOpioidCriticals.cql").read_text(encoding="utf-8")
    urls = set(re.findall(r"valueset \"\w+\": '([^']+)'", text))
    assert urls
    assert urls <= {v["url"] for v in resources(folder, "ValueSet")}
    [library] = resources(folder, "Library")
    assert base64.b64decode(library["content"][0]["data"]).decode() == text
    declared = set(re.findall(r'valueset "(\w+)"', text))
    used = set(re.findall(r' in "(\w+)"', text))
    assert declared == used


def test_the_build_sheet_knows_the_criticals(folder: Path) -> None:
    """Specification table A and B: naltrexone and a current opioid, either way round; a gut-bound opioid is less."""
    said = {
        (row["ordered_role"], row["listed_role"]): row["severity"]
        for row in table(folder, "build-sheet.csv")
    }
    for opioid in ("FULL_SA", "FULL_LA", "METHADONE", "BUP"):
        assert said["NTX_ORAL", opioid] == "critical"
        assert said[opioid, "NTX_ORAL"] == "critical"
    assert said.get(("NTX_ORAL", "PERIPH")) != "critical"
    assert ("FULL_SA", "METHADONE") not in said


def test_the_days_of_a_pair_are_those_of_the_thresholds(folder: Path, engine: Engine) -> None:
    """Asked of the rules, not written down: as many days as tables A and B name, counted from the last dose."""
    numbers = engine.content.thresholds(NOW.date())
    said = {(row["ordered_role"], row["listed_role"]): row for row in table(folder, "build-sheet.csv")}  # fmt: skip
    stopped = {pair: int(row["critical_days_after_stop"]) for pair, row in said.items()}
    given = {pair: int(row["critical_days_after_dose"]) for pair, row in said.items()}
    assert stopped["NTX_ORAL", "FULL_SA"] == numbers["short_acting_days"]["critical_below"]
    assert stopped["NTX_ORAL", "METHADONE"] == numbers["long_acting_days"]
    assert given["FULL_SA", "NTX_XR"] == numbers["xr_blockade_days"] + 1
    assert stopped["FULL_SA", "NTX_ORAL"] == 0
    text = (folder / "NaltrexoneOpioidCriticals.cql").read_text(encoding="utf-8")
    assert f'"Was Given Within"(A, {given["FULL_SA", "NTX_XR"]})' in text


def test_a_schedule_rises_to_its_maximum(folder: Path, engine: Engine) -> None:
    numbers = engine.content.thresholds(NOW.date())["schedules"]
    found = resources(folder, "ActivityDefinition")
    assert len(found) == len(numbers)
    for resource in found:
        own = numbers[resource["id"].rpartition("-")[2].upper()]
        doses = [d["doseAndRate"][0]["doseQuantity"]["value"] for d in resource["dosage"]]
        assert (float(own["start_mg"]), float(own["max_mg"])) == (doses[0], doses[-1])
        assert doses == sorted(set(doses))
        assert "boundsDuration" not in resource["dosage"][-1]["timing"]["repeat"]
