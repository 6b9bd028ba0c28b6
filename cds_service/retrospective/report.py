"""The report of a replay: one page that prints, its numbers as JSON and CSV, and a blinded sample for two reviewers."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from cds_service.retrospective.page import render
from cds_service.retrospective.summary import INDICATORS, summarise

SAMPLE = 100  # sessions per topic
LIMITS = (
    (
        "An export shows the status of the day it was made. Where nothing proves what it was on the day of the order, "
        "every count is given twice: with the status as exported, and as if the order had still been active."
    ),
    (
        "authoredOn is not the moment of signing; orders of one prescriber with the same time (or, without clock times, "
        "the same day) are judged as one session."
    ),
    "Drafts that were never signed do not appear, nor does what a prescriber changed before signing.",
    "Medicines that nobody recorded are not seen. A resource without any date is taken as known all along.",
    "Numbers (thresholds) and words are those in force today, whatever the day of the order.",
)


def write(rows: Sequence[Mapping[str, Any]], out: Path, small: int) -> dict[str, Any]:
    """``report.html``, ``report.json``, ``report.csv``, ``sample.csv``, ``review.html`` in ``out``; the numbers."""
    manifest = orjson.loads((out / "manifest.json").read_bytes())
    found = summarise(rows, manifest, small)
    (out / "report.json").write_bytes(
        orjson.dumps({**found, "limits": LIMITS}, option=orjson.OPT_INDENT_2)
    )
    html = render("report.html", r=found, limits=LIMITS)
    (out / "report.html").write_text(html, encoding="utf-8")
    _write_table(found, out / "report.csv")
    _write_sample(rows, out, manifest["variants"][0])
    with (out / "sample.csv").open(encoding="utf-8") as lines:
        papers = [*csv.DictReader(lines)]
    html = render("review.html", "review.js", papers=papers)
    (out / "review.html").write_text(html, encoding="utf-8")
    return found


def _write_table(found: Mapping[str, Any], file: Path) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(("table", "name", "indicator", "cards_least", "cards_most", "per_1000_least", "per_1000_most",
                         "interval_low", "interval_high"))  # fmt: skip
        for row in found["firing"]:
            writer.writerow(("topic", row["topic"], row["indicator"], *_cells(row)))
        for row in found["cross"]:
            for indicator in INDICATORS:
                pair = row[indicator] or ("few", "few")
                table = f"department: {row['department']}"
                writer.writerow((table, row["topic"], indicator, *pair, "", "", "", ""))
        for axis, lines in found["by"].items():
            for row in lines:
                writer.writerow((axis, row["name"], "interrupting", *_cells(row)))


def _cells(row: Mapping[str, Any]) -> Iterable[Any]:
    for name in ("cards", "per_1000", "interval"):
        yield from row[name] or ("few", "few")


# --- for two reviewers ----------------------------------------------------------------------------------------------------

_COLUMNS = (
    "number",
    "session",
    "topic",
    "month",
    "department",
    "drafted",
    "reviewer_1",
    "reviewer_2",
)


def _write_sample(rows: Sequence[Mapping[str, Any]], out: Path, variant: str) -> None:
    """Up to 100 sessions a topic in mixed order; what the rules said stays in ``sample-key.csv``."""
    chance = random.Random(20261125)  # noqa: S311 - a sample that anyone can draw again
    topics = sorted({topic for row in rows for topic in row["verdicts"][variant]})
    drawn = []
    for topic in topics:
        fired = [row for row in rows if topic in row["verdicts"][variant]]
        quiet = [row for row in rows if topic not in row["verdicts"][variant]]
        for some, size in ((fired, SAMPLE), (quiet, SAMPLE // 5)):
            drawn += [(topic, row) for row in chance.sample(some, min(size, len(some)))]
    chance.shuffle(drawn)
    with (
        (out / "sample.csv").open("w", newline="", encoding="utf-8") as blind,
        (out / "sample-key.csv").open("w", newline="", encoding="utf-8") as key,
    ):
        papers, keys = csv.writer(blind), csv.writer(key)
        papers.writerow(_COLUMNS)
        keys.writerow(("number", "topic", "fired"))
        for number, (topic, row) in enumerate(drawn, 1):
            papers.writerow(
                (
                    number,
                    row["session"],
                    topic,
                    row["month"],
                    row["department"],
                    " ".join(row["drafted"]),
                    "",
                    "",
                )
            )
            keys.writerow((number, topic, "yes" if topic in row["verdicts"][variant] else "no"))
