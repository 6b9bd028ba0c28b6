"""The same replay on Apache Spark: it brings each patient's lines together, and every task reads and judges its own.

A task gives its lines to the very reader of one machine (``bulk``) and the very judge (``judging``). Its verdicts come
back to the driver, which keeps them partition by partition, so a run that was stopped goes on there too.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pyspark import RDD
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from cds_service import terminology
from cds_service.retrospective import bulk
from cds_service.retrospective.bulk import Counted
from cds_service.retrospective.keys import key_of, lay_key
from cds_service.retrospective.run import (
    Plan,
    Stopped,
    Told,
    fingerprint_of,
    judged_rows,
    keep,
    make_court,
    part_of,
    rows_of,
    without_rare,
    write_manifest,
)

_ALL_NAMES = 2**31
_EVERYWHERE = ("Practitioner", "PractitionerRole")  # the staff: small, and any order may name them
_LOCAL = r"(?:[A-Za-z]+/[^/#?]+(?:/_history/.*)?|urn:uuid:.*)$"
_REFERS = ("$.medicationReference.reference", "$.medication.reference.reference", "$.encounter.reference",
           "$.context.reference")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Task:
    """What every task needs, sent with it."""

    plan: Plan
    key: bytes
    staff: Any  # Broadcast[list[str]]

    def run(self, lines: Iterable[tuple[int, str]]) -> Iterator[bytes]:
        """One line for what was counted, then one for each judged session."""
        drugs = terminology.load(self.plan.terminology_dir or None)
        with tempfile.TemporaryDirectory(prefix="replay-") as folder:
            export = Path(folder) / "lines.ndjson"
            with export.open("w", encoding="utf-8") as out:
                out.writelines(f"{text}\n" for text in self.staff.value)
                out.writelines(f"{text}\n" for _, text in lines)
            db = bulk.open_work(Path(folder) / "export.duckdb", self.plan.memory, 1)
            try:
                bulk.load(db, [str(export)])
                counted = bulk.select(db, drugs, self.plan.first, self.plan.last, 1, _ALL_NAMES)
                yield orjson.dumps(counted)
                court = make_court(self.plan, self.key, *bulk.people(db))
                yield from judged_rows(db, 0, court, self.plan)
            finally:
                db.close()


def replay_on_spark(plan: Plan, master: str, tell: Told = lambda *_: None) -> list[dict[str, Any]]:
    """As ``run.replay``: the same rows and counts, judged by the tasks of this master."""
    _begin(plan, fingerprint := f"spark {fingerprint_of(plan)}")
    left = [n for n in range(plan.partitions) if not part_of(plan, n).exists()]
    todo = left[: plan.most] if plan.most else left
    done = plan.partitions - len(left)
    tell("judge", done, plan.partitions)
    if todo:
        spark = session(master)
        lines, staff = spread(spark, bulk.files_of(plan.bulk), plan.partitions)
        task = Task(plan, key_of(plan.work), spark.sparkContext.broadcast(staff))
        for number, counted, rows in run(spark, lines, task, todo):
            keep(_count_of(plan, number), [counted])
            keep(part_of(plan, number), rows)
            tell("judge", done := done + 1, plan.partitions)
    if done < plan.partitions:
        raise Stopped
    parts = [_counted(_count_of(plan, n).read_bytes()) for n in range(plan.partitions)]
    write_manifest(plan, fingerprint, without_rare(bulk.together(parts), plan))
    return rows_of(plan)


def _begin(plan: Plan, fingerprint: str) -> None:
    """The working folder of this replay; that of another is emptied."""
    plan.work.mkdir(parents=True, exist_ok=True, mode=0o700)
    said = plan.work / "fingerprint"
    if not said.exists() or said.read_text(encoding="utf-8") != fingerprint:
        shutil.rmtree(plan.work)
        plan.work.mkdir(mode=0o700)
        lay_key(plan.work, plan.pseudonyms)
        said.write_text(fingerprint, encoding="utf-8")


def _count_of(plan: Plan, number: int) -> Path:
    return plan.work / f"counted-{number:05}.json"


def session(master: str) -> SparkSession:
    """A session on this master; the workers use the interpreter of the driver unless PYSPARK_PYTHON says otherwise."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    return SparkSession.builder.master(master).appName("naltrexone-cds replay").getOrCreate()


def spread(spark: SparkSession, files: list[str], partitions: int) -> tuple[RDD[Any], list[str]]:
    """(lines by partition, all of one patient in one; the lines about staff)."""
    lines = spark.read.text(files, lineSep="\n").where(f.trim("value") != "")

    def said(path: str) -> Any:
        return f.get_json_object("value", path)

    told = lines.select("value", said("$.resourceType").alias("kind"), said("$.id").alias("id"),
                        _local(f.coalesce(said("$.subject.reference"), said("$.patient.reference")))
                        .alias("owner"))  # fmt: skip
    owner = f.when(f.col("kind") == "Patient", f.concat(f.lit("Patient/"), "id")).otherwise(
        f.when(~f.col("kind").isin("Medication", "Provenance", *_EVERYWHERE), f.col("owner"))
    )
    told = told.withColumn("owner", owner).withColumn("ref", f.concat_ws("/", "kind", "id")).cache()
    staff = [row.value for row in told.where(f.col("kind").isin(*_EVERYWHERE)).collect()]
    rest = told.where(f.col("kind").isNull() | ~f.col("kind").isin(*_EVERYWHERE))
    owned = rest.where(f.col("owner").isNotNull()).select("owner", "value")
    parted = owned.unionByName(_through_others(rest)).select(
        f.pmod(f.xxhash64("owner"), f.lit(partitions)).cast("int").alias("part"), "value"
    )
    return parted.rdd.map(tuple).partitionBy(partitions, int), staff


def _local(ref: Any) -> Any:
    return f.regexp_replace(f.regexp_extract(ref, _LOCAL, 0), "/_history/.*$", "")


def _through_others(rest: DataFrame) -> DataFrame:
    """(owner, line) of what names no patient: with everyone who refers to it, else by itself."""
    loose = rest.where(f.col("owner").isNull())
    owned = rest.where(f.col("owner").isNotNull())
    refers = owned.select("owner", f.explode(f.array(*(
        f.regexp_replace(_local(f.get_json_object("value", path)), "urn:uuid:",
                         "Medication/" if "edication" in path else "urn:uuid:")
        for path in _REFERS))).alias("ref")).where("ref <> ''").distinct()  # fmt: skip
    target = _local(f.get_json_object("value", "$.target[0].reference"))
    about = loose.where("kind = 'Provenance'").withColumn("ref", target)
    found = loose.where("kind IN ('Medication', 'Encounter')").drop("owner").join(refers, "ref")
    noted = about.drop("owner").join(owned.select("owner", "ref").distinct(), "ref")
    alone = loose.where(
        "kind IS NULL OR kind NOT IN ('Medication', 'Encounter', 'Provenance')"
    ).select(f.col("value").alias("owner"), "value")
    return found.select("owner", "value").unionByName(noted.select("owner", "value")).unionByName(alone)  # fmt: skip


def run(
    spark: SparkSession, lines: RDD[Any], task: Task, todo: list[int]
) -> Iterator[tuple[int, bytes, list[bytes]]]:
    """Each partition as it was judged; waves of a few per core, so that what is done is kept."""
    wave = 2 * spark.sparkContext.defaultParallelism
    for start in range(0, len(todo), wave):
        numbers = todo[start : start + wave]
        found = spark.sparkContext.runJob(lines, lambda part: [[*task.run(part)]], numbers)
        for number, (counted, *rows) in zip(numbers, found, strict=True):
            yield number, counted, rows


def _counted(text: bytes) -> Counted:
    said = orjson.loads(text)
    return Counted(**{**said, "by": tuple(map(tuple, said["by"])), "names": tuple(map(tuple, said["names"]))})  # fmt: skip
