"""One replay from an export to verdicts: read, judge in worker processes, write; it can be stopped and taken up again."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from cds_service import clinical, terminology
from cds_service.journal.versions import digests, package_version, rules_version
from cds_service.pipeline import Engine
from cds_service.retrospective import bulk, calls
from cds_service.retrospective.bulk import Counted
from cds_service.retrospective.chart import read_chart
from cds_service.retrospective.judging import Court, Variant, engine_for, judge_chart
from cds_service.retrospective.keys import key_of, lay_key, mark_of, pseudonyms

Told = Callable[[str, int, int], None]  # stage, done, of


@dataclass(frozen=True, slots=True)
class Plan:
    """What to replay, and with what: a plan that is the same continues a replay that was stopped."""

    bulk: Path
    out: Path
    first: date
    last: date
    zone: str = "UTC"
    overlay: str = ""
    terminology_dir: str = ""
    variants: tuple[Variant, ...] = (Variant(),)
    with_ids: bool = False
    processes: int = 1
    partitions: int = 64
    memory: str = "1GB"
    small: int = 5  # counts of fewer patients are not shown
    most: int = 0  # partitions to judge in this run; 0 = all
    pseudonyms: Path | None = None  # key of the pseudonyms, made there; None: one of this replay

    @property
    def work(self) -> Path:
        return self.out / "work"

    @property
    def database(self) -> Path:
        return self.work / "export.duckdb"


class Stopped(Exception):
    """The replay was told to stop before its end; the same command continues it."""


def replay(plan: Plan, tell: Told = lambda *_: None) -> list[dict[str, Any]]:
    """Every judged session, in a fixed order; the counts and the plan lie in ``manifest.json`` beside the verdicts."""
    plan.work.mkdir(parents=True, exist_ok=True, mode=0o700)
    fingerprint = fingerprint_of(plan)
    manifest = _manifest(plan)
    if manifest.get("fingerprint") != fingerprint:
        shutil.rmtree(plan.work)
        plan.work.mkdir(mode=0o700)
        counted = _read(plan, tell)
        write_manifest(plan, fingerprint, counted)
    _judge_all(plan, tell)
    return rows_of(plan)


def write_manifest(plan: Plan, fingerprint: str, counted: Counted) -> None:
    said = {"fingerprint": fingerprint, "partitions": plan.partitions, "counted": asdict(counted)}
    _write_json(plan.out / "manifest.json", {**_said_of(plan), **said})


def _said_of(plan: Plan) -> dict[str, Any]:
    """What a manifest says of a replay before anything is counted; two replays are compared by it."""
    content = clinical.load(plan.overlay).content
    return {"made": datetime.now(UTC).isoformat(timespec="seconds"), "from": plan.first.isoformat(),
            "to": plan.last.isoformat(), "variants": [v.name for v in plan.variants], "with_ids": plan.with_ids,
            "pseudonyms": "" if plan.with_ids else mark_of(key_of(plan.work)), "versions": _versions(plan),
            "digests": digests(content, plan.terminology_dir)}  # fmt: skip


def _manifest(plan: Plan) -> dict[str, Any]:
    file = plan.out / "manifest.json"
    if not file.exists() or not plan.database.exists():
        return {}
    found: dict[str, Any] = orjson.loads(file.read_bytes())
    return found


def finish(plan: Plan) -> None:
    """Remove the working folder: it holds the export's own texts and the key of the pseudonyms."""
    shutil.rmtree(plan.work, ignore_errors=True)


def fingerprint_of(plan: Plan) -> str:
    files = [
        (name, stat.st_size, stat.st_mtime_ns)
        for name in bulk.files_of(plan.bulk)
        for stat in [Path(name).stat()]
    ]
    said = [files, plan.first, plan.last, plan.zone, plan.with_ids, plan.partitions, _versions(plan),
            [repr(variant) for variant in plan.variants], str(plan.pseudonyms or "")]  # fmt: skip
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()


def _versions(plan: Plan) -> dict[str, str]:
    return {"content": clinical.load(plan.overlay).content.version,
            "terminology": terminology.load(plan.terminology_dir or None).version,
            "rules": rules_version(), "package": package_version()}  # fmt: skip


def _read(plan: Plan, tell: Told) -> Counted:
    tell("read", 0, 2)
    lay_key(plan.work, plan.pseudonyms)
    db = bulk.open_work(plan.database, plan.memory, max(1, plan.processes))
    try:
        bulk.load(db, bulk.files_of(plan.bulk))
        tell("read", 1, 2)
        counted = bulk.select(
            db,
            terminology.load(plan.terminology_dir or None),
            plan.first,
            plan.last,
            plan.partitions,
        )
        db.execute("DROP VIEW line; DROP TABLE event; DROP TABLE ordered; DROP TABLE medication")
        tell("read", 2, 2)
    finally:
        db.close()
    return without_rare(counted, plan)


def without_rare(counted: Counted, plan: Plan) -> Counted:
    """Names that so few patients have that they might name them are only counted, but for ``with_ids``."""
    if plan.with_ids:
        return counted
    shown = tuple(n for n in counted.names if n[3] >= plan.small)
    return replace(counted, names=shown, rare_names=len(counted.names) - len(shown))


def _judge_all(plan: Plan, tell: Told) -> None:
    left = [n for n in range(plan.partitions) if not part_of(plan, n).exists()]
    todo = left[: plan.most] if plan.most else left
    done = plan.partitions - len(left)
    tell("judge", done, plan.partitions)
    for number in _judged(plan, todo):
        done += 1
        tell("judge", done, plan.partitions)
        del number
    if done < plan.partitions:
        raise Stopped


def _judged(plan: Plan, todo: Sequence[int]) -> Iterator[int]:
    if plan.processes <= 1:
        _start(plan)
        try:
            yield from map(_judge_partition, todo)
        finally:
            _HERE.pop("db").close()
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(plan.processes, context, _start, (plan,)) as pool:
        for future in as_completed([pool.submit(_judge_partition, number) for number in todo]):
            yield future.result()


def part_of(plan: Plan, number: int) -> Path:
    return plan.work / f"verdicts-{number:05}.ndjson"


_HERE: dict[str, Any] = {}  # of this worker process


def _start(plan: Plan) -> None:
    _HERE.clear()
    db = bulk.open_work(plan.database, plan.memory, 1, read_only=True)
    _HERE.update(plan=plan, db=db, court=make_court(plan, key_of(plan.work), *bulk.people(db)))


def make_court(plan: Plan, key: bytes, departments: dict[str, str], roles: dict[str, str]) -> Court:
    engine = Engine(terminology.load(plan.terminology_dir or None), clinical.load(plan.overlay).content,
                    ZoneInfo(plan.zone), "http://localhost", lambda: "")  # fmt: skip
    today = datetime.now(engine.zone).date()
    name = str if plan.with_ids else pseudonyms(key)
    return Court(engine, plan.variants, tuple(engine_for(engine, v, today) for v in plan.variants), name, plan.with_ids,
                 departments, roles)  # fmt: skip


def _judge_partition(number: int) -> int:
    plan, db, court = _HERE["plan"], _HERE["db"], _HERE["court"]
    keep(part_of(plan, number), judged_rows(db, number, court, plan))
    return number


def judged_rows(db: Any, number: int, court: Court, plan: Plan) -> Iterator[bytes]:
    """Every session of one partition, as a line of JSON."""
    for patient, texts in bulk.partition(db, number):
        resources = [orjson.loads(text) for text in texts]
        chart = read_chart(patient.partition("/")[2], resources, court.engine.zone, court.engine.terminology,
                           plan.first, plan.last)  # fmt: skip
        yield from map(orjson.dumps, judge_chart(chart, court))


def keep(file: Path, lines: Iterable[bytes]) -> None:
    """The whole file or none."""
    unfinished = file.with_suffix(".part")
    with unfinished.open("wb") as out:
        out.writelines(line + b"\n" for line in lines)
    unfinished.replace(file)


def replay_recorded(plan: Plan) -> list[dict[str, Any]]:
    """The recorded hook calls of ``plan.bulk``: rows and a manifest like those of an export."""
    plan.work.mkdir(parents=True, exist_ok=True, mode=0o700)
    lay_key(plan.work, plan.pseudonyms)
    found = calls.replay_calls(plan.bulk, make_court(plan, key_of(plan.work), {}, {}))
    _write_json(plan.out / "manifest.json", {
        **_said_of(plan), "counted": calls.counted(found), "left_out": found.left_out})  # fmt: skip
    return found.rows


def rows_of(plan: Plan) -> list[dict[str, Any]]:
    """Every row, patient by patient, so that the order does not tell the engine."""
    rows: list[dict[str, Any]] = []
    for number in range(plan.partitions):
        with part_of(plan, number).open("rb") as lines:
            rows += map(orjson.loads, lines)
    return sorted(rows, key=lambda row: str(row["patient"]))


def _write_json(file: Path, value: object) -> None:
    file.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2))
