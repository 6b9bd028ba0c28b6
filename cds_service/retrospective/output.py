"""The verdicts of a replay as files: one row per judged session and topic, in JSON, CSV and Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import orjson

COLUMNS = (
    "session", "patient", "prescriber", "day", "month", "week", "department", "role", "drafted", "variant", "topic",
    "as_exported", "if_still_active", "situation", "repeat", "certain", "silent_overlap",
)  # fmt: skip


def flat(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """One line per session, variant and topic; a session without a finding is one line with topic ""."""
    for row in rows:
        for variant, verdicts in row["verdicts"].items():
            for topic, said in sorted(verdicts.items()) or [("", ["none", "none", ""])]:
                yield {
                    **{name: row.get(name, "") for name in COLUMNS[:8]},
                    "drafted": " ".join(row["drafted"]), "variant": variant, "topic": topic,
                    "as_exported": said[0], "if_still_active": said[1], "situation": said[2],
                    "repeat": topic in row["repeats"], "certain": row["certain"], "silent_overlap": row["silent"],
                }  # fmt: skip


def write_verdicts(rows: Iterable[Mapping[str, Any]], out: Path) -> int:
    """``verdicts.json`` (by line), ``.csv`` and ``.parquet`` in ``out``; the number of lines."""
    count = 0
    with (
        (out / "verdicts.json").open("wb") as lines,
        (out / "verdicts.csv").open("w", newline="", encoding="utf-8") as table,
    ):
        writer = csv.DictWriter(table, COLUMNS)
        writer.writeheader()
        for line in flat(rows):
            lines.write(orjson.dumps(line) + b"\n")
            writer.writerow(line)
            count += 1
    (out / "verdicts.parquet").unlink(missing_ok=True)
    if count:
        db = duckdb.connect()
        target = str(out / "verdicts.parquet").replace("'", "''")
        db.read_json(str(out / "verdicts.json"), format="newline_delimited").write_parquet(target)
        db.close()
    return count
