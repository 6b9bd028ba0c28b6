"""Reads a Bulk FHIR export with DuckDB: counts every order, recognises every distinct drug once, keeps who concerns us.

Nothing is held in memory beyond ``memory``: what does not fit goes to the working folder.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import orjson

from cds_service.fhir.bundle import Entry
from cds_service.hooks.prefetch import Record, SearchAnswer
from cds_service.hooks.request import decode
from cds_service.reading import Reading
from cds_service.retrospective.chart import SERVICE
from cds_service.terminology import Terminology

LONGEST_LINE = 16_000_000
MOST_NAMES = 500
_LISTED = (
    "Patient", "MedicationRequest", "MedicationOrder", "MedicationStatement", "MedicationUsage",
    "MedicationDispense", "MedicationAdministration", "Condition", "Observation", "Encounter", "Procedure",
)  # fmt: skip


class ExportError(Exception):
    """The folder holds no export that can be read."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the export holds: the denominators of every rate, and what could not be used."""

    orders: int
    patients: int
    judged_patients: int
    unreadable_lines: int
    undated: int
    duplicates: int
    by: tuple[tuple[str, str, str, str, int], ...]  # month, department, role, what: orders
    names: tuple[
        tuple[str, str, int, int], ...
    ]  # unknown or unreadable: name, kind, orders, patients
    rare_names: int = 0  # left out because too few patients have them


def together(parts: Iterable[Counted]) -> Counted:
    """The whole of parts that share no patient."""
    by: Counter[tuple[str, str, str, str]] = Counter()
    names: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    totals: Counter[str] = Counter()
    for part in parts:
        totals.update({name: getattr(part, name) for name in _TOTALS})
        for *key, count in part.by:
            by[key[0], key[1], key[2], key[3]] += count
        for label, kind, orders, patients in part.names:
            names[label, kind][0] += orders
            names[label, kind][1] += patients
    found = [(label, kind, orders, patients) for (label, kind), (orders, patients) in names.items()]
    found.sort(key=lambda name: (-name[2], name[0], name[1]))
    return Counted(**{name: totals[name] for name in _TOTALS},
                   by=tuple((*key, count) for key, count in sorted(by.items())), names=tuple(found[:MOST_NAMES]))  # fmt: skip


_TOTALS = ("orders", "patients", "judged_patients", "unreadable_lines", "undated", "duplicates")


def files_of(folder: Path) -> list[str]:
    """The NDJSON files of an export, plain or gzip."""
    found = [
        *folder.rglob("*.ndjson"),
        *folder.rglob("*.ndjson.gz"),
        *folder.rglob("*.jsonl"),
        *folder.rglob("*.jsonl.gz"),
    ]
    if not found:
        raise ExportError(f"{folder.name}: no .ndjson or .ndjson.gz file")
    return sorted(map(str, found))


def open_work(file: Path, memory: str, threads: int, *, read_only: bool = False) -> Any:
    """The working database; it spills beside itself."""
    db = duckdb.connect(
        str(file), read_only=read_only, config={"memory_limit": memory, "threads": threads}
    )
    if not read_only:
        db.execute("SET preserve_insertion_order = false")
    return db


_MACROS = """
CREATE OR REPLACE MACRO local_ref(ref) AS regexp_replace(
  regexp_extract(ref, '(?:[A-Za-z]+/[^/#?]+(?:/_history/.*)?|urn:uuid:.*)$'), '/_history/.*$', '');
CREATE OR REPLACE MACRO med_ref(ref) AS replace(local_ref(ref), 'urn:uuid:', 'Medication/');
"""


def load(db: Any, files: list[str]) -> None:
    """The slim tables: one row a resource, with what decides whom it concerns."""
    db.execute(_MACROS)
    db.execute("DROP VIEW IF EXISTS line")
    quoted = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    db.execute(f"""CREATE VIEW line AS SELECT json AS j FROM read_ndjson_objects([{quoted}],
        ignore_errors=true, maximum_object_size={LONGEST_LINE})""")  # noqa: S608 - our own quoting of file names
    db.execute("""CREATE OR REPLACE TABLE ordered AS WITH o AS (SELECT j, json_extract_string(j, [
        '$.resourceType', '$.id', '$.subject.reference', '$.patient.reference', '$.authoredOn', '$.dateWritten',
        '$.status', '$.intent', '$.reportedBoolean', '$.requester.reference', '$.requester.agent.reference',
        '$.prescriber.reference', '$.encounter.reference', '$.context.reference', '$.meta.lastUpdated']) AS t,
      json_extract(j, ['$.medicationCodeableConcept', '$.medicationReference', '$.medication', '$.contained',
        '$.dosageInstruction[0].route']) AS d,
      coalesce(json_extract_string(j, '$.medicationReference.reference'),
        json_extract_string(j, '$.medication.reference.reference')) AS m
      FROM line WHERE json_extract_string(j, '$.resourceType') IN ('MedicationRequest', 'MedicationOrder'))
      SELECT t[1] || '/' || t[2] AS ref, local_ref(coalesce(t[3], t[4])) AS patient, coalesce(t[5], t[6]) AS authored,
        t[7] AS status, t[8] AS intent, t[9] = 'true' AS reported, local_ref(coalesce(t[10], t[11], t[12])) AS requester,
        local_ref(coalesce(t[13], t[14])) AS encounter, t[15] AS updated, med_ref(m) AS meant,
        CASE WHEN m IS NULL THEN CAST(d AS VARCHAR[])
             ELSE [d[1]::VARCHAR, NULL, NULL, d[4]::VARCHAR, d[5]::VARCHAR, coalesce(json_extract_string(j, '$.medicationReference.display'), '')]
        END AS named FROM o""")
    db.execute("""CREATE OR REPLACE TABLE medication AS SELECT 'Medication/' || json_extract_string(j, '$.id') AS ref,
        CAST(json_extract(j, ['$.code', '$.ingredient', '$.form', '$.product', '$.doseForm', '$.contained'])
        AS VARCHAR[]) AS body, j FROM line WHERE json_extract_string(j, '$.resourceType') = 'Medication'""")
    db.execute("""CREATE OR REPLACE TABLE place AS WITH e AS (SELECT json_extract_string(j, ['$.id',
        '$.serviceType.text', '$.serviceType.coding[0].display', '$.serviceType[0].concept.text',
        '$.serviceType[0].concept.coding[0].display', '$.serviceProvider.display',
        '$.location[0].location.display', '$.class.display', '$.class.code']) AS t
      FROM line WHERE json_extract_string(j, '$.resourceType') = 'Encounter')
      SELECT 'Encounter/' || t[1] AS ref,
        any_value(coalesce(t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], 'not stated')) AS department FROM e GROUP BY 1""")
    db.execute("""CREATE OR REPLACE TABLE person AS WITH p AS (SELECT json_extract_string(j, ['$.resourceType', '$.id',
        '$.practitioner.reference', '$.code[0].text', '$.code[0].coding[0].display',
        '$.qualification[0].code.text', '$.qualification[0].code.coding[0].display']) AS t
      FROM line WHERE json_extract_string(j, '$.resourceType') IN ('Practitioner', 'PractitionerRole')),
      named AS (SELECT t[1] || '/' || t[2] AS ref, coalesce(t[4], t[5], t[6], t[7]) AS role FROM p
        UNION ALL SELECT local_ref(t[3]), coalesce(t[4], t[5]) FROM p WHERE t[3] IS NOT NULL)
      SELECT ref, any_value(role) AS role FROM named WHERE role IS NOT NULL GROUP BY 1""")


def select(
    db: Any,
    terminology: Terminology,
    first: date,
    last: date,
    partitions: int,
    most_names: int = MOST_NAMES,
) -> Counted:
    """Recognise each distinct drug, keep the resources of the patients whom an order of the window concerns."""
    rows = db.execute("SELECT count(*), count(DISTINCT ref) FROM ordered").fetchone()
    duplicates = rows[0] - rows[1]
    if duplicates:
        db.execute("""CREATE OR REPLACE TABLE ordered AS SELECT * FROM ordered
            QUALIFY row_number() OVER (PARTITION BY ref ORDER BY updated DESC NULLS LAST) = 1""")
    db.execute("""CREATE OR REPLACE TABLE event AS SELECT o.* EXCLUDE (named),
        hash(o.named, m.body) AS drug, o.named, m.body FROM ordered o LEFT JOIN
        (SELECT ref, any_value(body) AS body FROM medication GROUP BY ref) m ON o.meant = m.ref""")
    known = [
        (drug, kind, label)
        for drug, named, body in db.execute(
            "SELECT drug, any_value(named), any_value(body) FROM event GROUP BY drug ORDER BY drug"
        ).fetchall()
        for kind, label in [recognise(named, body, terminology)]
    ]
    db.execute("CREATE OR REPLACE TABLE drug (drug UBIGINT, kind VARCHAR, label VARCHAR)")
    for start in range(0, len(known), 5000):
        part = known[start : start + 5000]
        db.execute(
            "INSERT INTO drug SELECT unnest(?), unnest(?), unnest(?)",
            [*map(list, zip(*part, strict=True))],
        )
    db.execute(
        """CREATE OR REPLACE TABLE windowed AS SELECT e.patient, e.ref, e.requester, e.encounter, d.kind, d.label,
        e.authored, coalesce(p.department, 'not stated') AS department, coalesce(r.role, 'not stated') AS role
        FROM event e JOIN drug d USING (drug) LEFT JOIN place p ON e.encounter = p.ref LEFT JOIN person r ON e.requester = r.ref
        WHERE coalesce(status, '') NOT IN ('draft', 'entered-in-error') AND coalesce(intent, '') NOT IN ('proposal', 'plan', 'option')
          AND NOT coalesce(reported, false) AND length(authored) >= 10 AND patient IS NOT NULL
          AND substr(authored, 1, 10) BETWEEN ? AND ?""",
        [first.isoformat(), last.isoformat()],
    )
    _keep(db, partitions)
    return _counted(db, duplicates, most_names)


def _keep(db: Any, partitions: int) -> None:
    db.execute(
        """CREATE OR REPLACE TABLE concerned AS SELECT DISTINCT patient FROM windowed WHERE kind <> 'other'"""
    )
    kinds = ", ".join(f"'{kind}'" for kind in _LISTED)
    db.execute(f"""CREATE OR REPLACE TABLE chosen AS WITH r AS (SELECT j, json_extract_string(j, ['$.resourceType', '$.id',
        '$.subject.reference', '$.patient.reference']) AS t FROM line),
      mine AS (SELECT CASE WHEN t[1] = 'Patient' THEN 'Patient/' || t[2] ELSE local_ref(coalesce(t[3], t[4])) END AS patient,
        t[1] || '/' || t[2] AS ref, j FROM r WHERE t[1] IN ({kinds}))
      SELECT (hash(patient) % {partitions})::INTEGER AS part, patient, ref, j FROM mine SEMI JOIN concerned USING (patient)""")  # noqa: S608
    db.execute("""INSERT INTO chosen SELECT DISTINCT c.part, c.patient, m.ref, m.j FROM chosen c JOIN medication m ON m.ref IN (
        med_ref(json_extract_string(c.j, '$.medicationReference.reference')))""")
    db.execute("""INSERT INTO chosen SELECT DISTINCT c.part, c.patient, m.ref, m.j FROM chosen c JOIN medication m ON m.ref =
        med_ref(json_extract_string(c.j, '$.medication.reference.reference'))""")
    db.execute("""INSERT INTO chosen WITH p AS (SELECT j, local_ref(json_extract_string(j, '$.target[0].reference')) AS target
        FROM line WHERE json_extract_string(j, '$.resourceType') = 'Provenance')
        SELECT DISTINCT c.part, c.patient, NULL, p.j FROM p JOIN chosen c ON c.ref = p.target""")
    db.execute("CREATE OR REPLACE TABLE chosen AS SELECT * FROM chosen ORDER BY part, patient")


def _counted(db: Any, duplicates: int, most_names: int) -> Counted:
    def one(query: str) -> int:
        return int(db.execute(query).fetchone()[0])

    by = db.execute("""SELECT substr(authored, 1, 7), department, role, kind, count(*) FROM windowed
        GROUP BY ALL ORDER BY ALL""").fetchall()
    names = db.execute(
        """SELECT label, kind, count(*), count(DISTINCT patient) FROM windowed
        WHERE kind IN ('unknown', 'unreadable') GROUP BY ALL ORDER BY 3 DESC, 1, 2 LIMIT ?""",
        [most_names],
    ).fetchall()
    return Counted(
        one("SELECT count(*) FROM windowed"), one("SELECT count(DISTINCT patient) FROM windowed"),
        one("SELECT count(*) FROM concerned"), one("SELECT count(*) FROM line WHERE j IS NULL"),
        one("SELECT count(*) FROM ordered WHERE coalesce(length(authored), 0) < 10"), duplicates,
        tuple(by), tuple(names),
    )  # fmt: skip


def recognise(
    named: list[str | None], body: list[str | None] | None, terminology: Terminology
) -> tuple[str, str]:
    """(antagonist | opioid | unknown | unreadable | other, how it is called) of a drug as orders name it."""
    concept, reference, medication, contained, route, *_ = [
        each and orjson.loads(each) if n < 5 else each for n, each in enumerate(named)
    ]
    order: dict[str, Any] = {
        "resourceType": "MedicationRequest",
        "id": "o",
        "status": "draft",
        "intent": "order",
    }
    members = {"medicationCodeableConcept": concept, "medicationReference": reference, "medication": medication,
               "contained": contained}  # fmt: skip
    order |= {name: value for name, value in members.items() if value}
    if route:
        order["dosageInstruction"] = [{"route": route}]
    entries: list[Entry] = []
    if len(named) > 5:
        order["medicationReference"] = {"reference": "Medication/m", "display": named[5]}
    if body is not None:
        names = ("code", "ingredient", "form", "product", "doseForm", "contained")
        meant = {name: orjson.loads(text) for name, text in zip(names, body, strict=True) if text}
        entries = [Entry({"resourceType": "Medication", "id": "m", **meant})]
    request = decode(
        {"hook": SERVICE.hook, "hookInstance": "drug", "context": {"draftOrders": [order]}}, SERVICE
    )
    reading = Reading(
        request,
        Record({"medications": SearchAnswer("medications", "answered", tuple(entries))}),
        terminology,
    )
    if not reading.concerns_us:
        return "other", ""
    drug, recognition, *_ = reading.name(request.orders.entries[0].resource)
    label = drug.concept.label or next((line.item.label for line in drug.ingredients), "")
    if not recognition.identified:
        return "unknown" if label else "unreadable", label
    naltrexone = any(c.role.is_naltrexone for c in recognition.components)
    return "naltrexone" if naltrexone else "opioid", label


def partition(db: Any, number: int) -> Iterator[tuple[str, list[bytes]]]:
    """The patients of one partition with their resources as text."""
    rows = db.execute(
        "SELECT patient, list(j::VARCHAR) FROM chosen WHERE part = ? GROUP BY patient ORDER BY patient",
        [number],
    )
    while found := rows.fetchmany(200):
        yield from ((patient, sorted(texts)) for patient, texts in found)


def people(db: Any) -> tuple[dict[str, str], dict[str, str]]:
    """(department by encounter, role by prescriber) of the sessions that are judged."""
    departments = db.execute(
        "SELECT DISTINCT encounter, department FROM windowed SEMI JOIN concerned USING (patient) WHERE encounter IS NOT NULL"
    ).fetchall()
    return dict(departments), dict(
        db.execute(
            "SELECT DISTINCT requester, role FROM windowed WHERE requester IS NOT NULL"
        ).fetchall()
    )
