"""A synthetic Bulk FHIR export with planted truths: who was in danger on which order, and who only looked it.

``python -m tests.retrospective.generate --patients 1000 --style messy --out DIR`` writes NDJSON by resource type and
``truth.json`` beside it. Pure but for the files; the same seed gives the same export.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import IO, Any

import click

from tests.burden.medicines import EVERYBODY

Json = dict[str, Any]
FIRST, LAST = date(2025, 11, 1), date(2026, 10, 31)
EXPORTED = "2026-11-20T02:00:00Z"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
DEPARTMENTS = ("Family Medicine", "Pain Clinic", "Emergency", "Psychiatry", "Orthopaedics")
ROLES = ("Physician", "Nurse practitioner", "Resident")


class Style(StrEnum):
    CLEAN = "clean"
    MESSY = "messy"
    FOREIGN = "foreign"
    OVERWRITTEN = "status-overwritten"


class Kind(StrEnum):
    """What is planted; the first five are dangers, the rest are nuisances if a critical card appears."""

    NTX_ON_OPIOID = "naltrexone while on an opioid"
    NTX_ON_METHADONE = "naltrexone while on methadone"
    OPIOID_ON_NTX = "an opioid while on naltrexone"
    OPIOID_AFTER_DEPOT = "an opioid two weeks after depot naltrexone"
    STOPPED_DAYS_AGO = "naltrexone three days after the last opioid"
    LONG_OVER = "naltrexone long after a finished opioid"
    OPIOID_ALONE = "an opioid and nothing to meet it"
    LDN_ALONE = "low-dose naltrexone and nothing to meet it"


DANGERS = tuple(Kind)[:5]


@dataclass(frozen=True, slots=True)
class Planted:
    patient: str
    order: str
    kind: Kind
    style: Style

    @property
    def dangerous(self) -> bool:
        return self.kind in DANGERS


@dataclass(frozen=True, slots=True)
class Name:
    """One drug, as each style writes it: text, RxNorm code."""

    rxnorm: str
    clean: str
    messy: str
    foreign: str

    def concept(self, style: Style) -> Json:
        if style is Style.MESSY:
            return {"text": self.messy}
        if style is Style.FOREIGN:
            return {"text": self.foreign}
        return {
            "coding": [{"system": RXNORM, "code": self.rxnorm, "display": self.clean}],
            "text": self.clean,
        }


OXYCODONE = Name(
    "1049621",
    "oxycodone hydrochloride 5 MG Oral Tablet",
    "OXYCODONE HCL 5MG TABS",
    "Oxycodon 5 mg Tabletten",
)
METHADONE = Name(
    "864706", "methadone hydrochloride 10 MG Oral Tablet", "methadone 10mg tab", "Méthadone 10 mg"
)
NALTREXONE = Name(
    "1483744",
    "naltrexone hydrochloride 50 MG Oral Tablet",
    "NALTREXONE 50MG TABS",
    "Naltrexon 50 mg Filmtabletten",
)
DEPOT = Name(
    "637213", "naltrexone 380 MG Injection", "VIVITROL 380MG IM", "naltrexone 380 mg injectable"
)
LDN = Name(
    "", "Naltrexone 4.5 mg oral capsule (compounded)", "LDN 4.5 mg cap", "Naltrexon 4,5 mg Kapseln"
)


def truths(seed: int, patients: int, style: Style) -> Iterator[tuple[list[Json], Planted | None]]:
    """Each patient's resources, and what was planted in them; about one in twenty has something planted."""
    chance = Random(f"{seed}-{style}")
    for number in range(patients):
        name = f"p{number}"
        days = sorted(chance.randint(0, (LAST - FIRST).days) for _ in range(10))
        resources = [_patient(name, chance)]
        resources += [
            _other(name, at, FIRST + timedelta(days=day), style, chance)
            for at, day in enumerate(days)
        ]
        planted = None
        if number % 20 == 0:
            kind = chance.choice(tuple(Kind))
            found, order = _plant(
                kind, name, FIRST + timedelta(days=chance.randint(120, 330)), style
            )
            resources += found
            planted = Planted(name, order, kind, style)
        yield resources, planted


def _patient(name: str, chance: Random) -> Json:
    return {
        "resourceType": "Patient",
        "id": name,
        "birthDate": f"{chance.randint(1940, 2000)}-05-12",
    }


def _other(name: str, at: int, on: date, style: Style, chance: Random) -> Json:
    medicine = chance.choices(EVERYBODY, [each.weight for each in EVERYBODY])[0]
    coded = medicine.rxnorm and style is Style.CLEAN
    concept: Json = {"text": medicine.names[0]}
    if coded:
        concept["coding"] = [{"system": RXNORM, "code": medicine.rxnorm}]
    return request(f"{name}-o{at}", name, concept, on, "active", style)


def request(  # noqa: PLR0913, PLR0917 - an order has that many parts
    ref: str, patient: str, concept: Json, on: date, status: str, style: Style,
    supply: int = 30, end: date | None = None, text: str = "1 tablet by mouth daily",
) -> Json:  # fmt: skip
    repeat: Json = {"frequency": 1, "period": 1, "periodUnit": "d"}
    if end is not None:
        repeat["boundsPeriod"] = {"start": on.isoformat(), "end": end.isoformat()}
    digits = sum(map(ord, ref))
    order: Json = {
        "resourceType": "MedicationRequest", "id": ref, "status": status, "intent": "order",
        "subject": {"reference": f"Patient/{patient}"}, "encounter": {"reference": f"Encounter/e{digits % 5}"},
        "authoredOn": on.isoformat() if style is Style.MESSY else f"{on}T{8 + digits % 9:02}:{digits % 60:02}:00Z",
        "requester": {"reference": f"Practitioner/d{digits % 40}"},
        "medicationCodeableConcept": concept,
        "dosageInstruction": [{"text": text, "timing": {"repeat": repeat}}],
        "dispenseRequest": {"expectedSupplyDuration": {"value": supply, "unit": "days", "code": "d",
                                                       "system": "http://unitsofmeasure.org"}},
    }  # fmt: skip
    if style is Style.FOREIGN:  # R5
        order["medication"] = {"concept": order.pop("medicationCodeableConcept")}
    if style is Style.OVERWRITTEN:
        order["meta"] = {"lastUpdated": EXPORTED}
        order["dosageInstruction"][0]["timing"]["repeat"].pop("boundsPeriod", None)
    return order


def _plant(kind: Kind, name: str, on: date, style: Style) -> tuple[list[Json], str]:
    """The resources of one truth; the status is that of the day of the export."""

    def order(
        ref: str,
        drug: Name,
        ago: int,
        supply: int = 30,
        end: int | None = None,
        text: str = "1 tablet daily",
    ) -> Json:
        over = on - timedelta(days=ago) + timedelta(days=supply) < date.fromisoformat(EXPORTED[:10])
        status = "completed" if over else "active"
        return request(f"{name}-{ref}", name, drug.concept(style), on - timedelta(days=ago), status, style,
                       supply, None if end is None else on - timedelta(days=end), text)  # fmt: skip

    opioid, draft = f"{name}-opi", f"{name}-ntx"
    match kind:
        case Kind.NTX_ON_OPIOID:
            return [
                order("opi", OXYCODONE, 10, 30, -20, "1 tablet four times daily"),
                order("ntx", NALTREXONE, 0),
            ], draft
        case Kind.NTX_ON_METHADONE:
            return [order("opi", METHADONE, 40, 90, -50), order("ntx", NALTREXONE, 0)], draft
        case Kind.OPIOID_ON_NTX:
            return [
                order("ntx", NALTREXONE, 14, 30, -16),
                order("opi", OXYCODONE, 0, 5, -5),
            ], opioid
        case Kind.OPIOID_AFTER_DEPOT:
            return [
                _given(name, on - timedelta(days=14), style),
                order("opi", OXYCODONE, 0, 5, -5),
            ], opioid
        case Kind.STOPPED_DAYS_AGO:
            return [order("opi", OXYCODONE, 33, 30, 3), order("ntx", NALTREXONE, 0)], draft
        case Kind.LONG_OVER:
            return [order("opi", OXYCODONE, 110, 5, 105), order("ntx", NALTREXONE, 0)], draft
        case Kind.OPIOID_ALONE:
            return [order("opi", OXYCODONE, 0, 5)], opioid
        case Kind.LDN_ALONE:
            return [order("ntx", LDN, 0, 30, None, "4.5 mg by mouth at bedtime")], draft


def _given(name: str, on: date, style: Style) -> Json:
    drug = {"medication": {"concept": DEPOT.concept(style)}} if style is Style.FOREIGN else {
        "medicationCodeableConcept": DEPOT.concept(style)}  # fmt: skip
    given = (
        {"occurenceDateTime": on.isoformat()}
        if style is Style.FOREIGN
        else {"effectiveDateTime": on.isoformat()}
    )
    return {"resourceType": "MedicationAdministration", "id": f"{name}-dep", "status": "completed",
            "subject": {"reference": f"Patient/{name}"}, **drug, **given}  # fmt: skip


def shared() -> Iterator[Json]:
    """The departments and people of the hospital."""
    for number, department in enumerate(DEPARTMENTS):
        yield {"resourceType": "Encounter", "id": f"e{number}", "status": "completed", "serviceType": {"text": department},
               "class": {"code": "AMB"}}  # fmt: skip
    for number in range(40):
        yield {"resourceType": "Practitioner", "id": f"d{number}",
               "qualification": [{"code": {"text": ROLES[number % len(ROLES)]}}]}  # fmt: skip


def write(
    out: Path, seed: int, patients: int, style: Style, *, zipped: bool = False
) -> list[Planted]:
    """The export in ``out``; what was planted, also as ``truth.json``."""
    out.mkdir(parents=True, exist_ok=True)
    files: dict[str, IO[str]] = {}
    planted = []

    def put(resource: Json) -> None:
        kind = resource["resourceType"]
        if kind not in files:
            name = out / f"{kind}.ndjson{'.gz' if zipped else ''}"
            files[kind] = (
                gzip.open(name, "wt", encoding="utf-8")  # noqa: SIM115 - closed below
                if zipped
                else name.open("w", encoding="utf-8")
            )
        files[kind].write(json.dumps(resource, ensure_ascii=False) + "\n")

    for resource in shared():
        put(resource)
    for resources, truth in truths(seed, patients, style):
        for resource in resources:
            put(resource)
        planted += [truth] if truth else []
    for file in files.values():
        file.close()
    (out / "truth.json").write_text(
        json.dumps([asdict(p) for p in planted], indent=1), encoding="utf-8"
    )
    return planted


@click.command(help=__doc__)
@click.option("--patients", default=1000, show_default=True)
@click.option("--seed", default=7, show_default=True)
@click.option(
    "--style", type=click.Choice([str(s) for s in Style]), default="clean", show_default=True
)
@click.option("--gzip", "zipped", is_flag=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
def main(patients: int, seed: int, style: str, zipped: bool, out: Path) -> None:
    planted = write(out, seed, patients, Style(style), zipped=zipped)
    click.echo(
        f"{patients} patients, {len(planted)} planted, {sum(p.dangerous for p in planted)} of them in danger"
    )


if __name__ == "__main__":
    main()
