"""Write the knowledge into a folder: FHIR resources that their models accept, CQL, the formulary, a build sheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime, time
from pathlib import Path
from typing import Any

import orjson
from fhir.resources import get_fhir_model_class as r5_model
from fhir.resources.R4B import get_fhir_model_class as r4_model

from cds_service.knowledge import resources
from cds_service.knowledge.cql import LIBRARY, cql
from cds_service.knowledge.medicines import Pair, Product, pairs, products, representatives
from cds_service.pipeline import Engine

R5_ONLY = frozenset({"Citation"})


def export(engine: Engine, base: str, out: Path, now: datetime) -> list[Path]:
    """Every file, written; raises ValueError (of the models) where a resource is not valid."""
    today = now.astimezone(engine.zone).date()
    noon = datetime.combine(today, time(12), engine.zone)
    version, release = engine.content.version, engine.terminology.tables.release
    found = products(engine.terminology)
    met = tuple(pairs(engine, found, noon))
    text = cql(
        met,
        lambda role: resources.value_set_url(base, role),
        version,
        engine.content.thresholds(today),
    )
    written = [
        *resources.value_sets(base, found, release, today),
        resources.library(base, text, version, today),
        resources.plan_definition(base, engine.content, version, today),
        *resources.schedules(base, engine.content, version, today),
        *resources.citations(base, engine.content, version, today),
        resources.capability_statement(base, version, today),
    ]
    out.mkdir(parents=True, exist_ok=True)
    files = [_write_resource(resource, out) for resource in written]
    (out / f"{LIBRARY}.cql").write_text(text, encoding="utf-8")
    _write_formulary(found, out / "formulary.csv")
    _write_build_sheet(met, found, release, version, out / "build-sheet.csv")
    return [
        *files,
        out / f"{LIBRARY}.cql",
        out / "formulary.csv",
        out / "build-sheet.csv",
    ]


def validate(resource: dict[str, Any]) -> None:
    """Raises ValueError where the published model of its release refuses this resource."""
    kind = resource["resourceType"]
    model = (r5_model if kind in R5_ONLY else r4_model)(kind)
    model.model_validate(resource)


def _write_resource(resource: dict[str, Any], out: Path) -> Path:
    validate(resource)
    file = out / f"{resource['resourceType']}-{resource['id']}.json"
    file.write_bytes(orjson.dumps(resource, option=orjson.OPT_INDENT_2))
    return file


def _write_formulary(found: Iterable[Product], file: Path) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(
            ("rxcui", "tty", "name", "brand", "dose_form", "ingredients", "roles", "active")
        )
        for p in found:
            writer.writerow((p.rxcui, p.tty, p.name, p.brand, p.dose_form, " / ".join(p.ingredients), " ".join(p.roles),
                             "yes" if p.active else "no"))  # fmt: skip


def _write_build_sheet(
    met: Iterable[Pair], found: tuple[Product, ...], release: str, version: str, file: Path
) -> None:
    """For an EHR's own alert: which role against which, how loud, with a product to test each line with."""
    chosen = representatives(found)
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(
            (
                "ordered_role",
                "listed_role",
                "severity",
                "critical_days_after_stop",
                "critical_days_after_dose",
                "test_order",
                "test_listed",
                "tables",
                "content",
            )
        )
        for pair in met:
            days = (pair.stopped_below, pair.given_below) if pair.severity == "critical" else (0, 0)
            writer.writerow((pair.ordered, pair.listed, pair.severity, *days, chosen[pair.ordered].name,
                             chosen[pair.listed].name, release, version))  # fmt: skip
