"""What two reviewers made of the blinded sample: predictive value, missed cases, and how far they agree."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from cds_service.retrospective.statistics import kappa, wilson


def review(sample: Path, key: Path) -> list[dict[str, Any]]:
    """Per topic: predictive value with its interval, missed in the quiet part, kappa; answers are yes or no.

    They are read from the sample's columns and, where they lie beside it, from the files that ``review.html`` saves.

    Sessions on which the reviewers disagree are counted as disagreed and left out of the predictive value.
    """
    with key.open(encoding="utf-8") as lines:
        fired = {row["number"]: row["fired"] == "yes" for row in csv.DictReader(lines)}
    with sample.open(encoding="utf-8") as lines:
        answers = [*csv.DictReader(lines)]
    for column in ("reviewer_1", "reviewer_2"):
        saved = _saved(sample.with_name(f"{column.replace('_', '-')}.csv"))
        answers = [{**row, column: saved.get(row["number"]) or row[column]} for row in answers]
    found = []
    for topic in sorted({row["topic"] for row in answers}):
        pairs = [(row["number"], _answer(row["reviewer_1"]), _answer(row["reviewer_2"])) for row in answers
                 if row["topic"] == topic]  # fmt: skip
        both = [(number, one, other) for number, one, other in pairs if one and other]
        agreed = [(number, one) for number, one, other in both if one == other]
        right = [one == "yes" for number, one in agreed if fired[number]]
        quiet = [one == "yes" for number, one in agreed if not fired[number]]
        value, missed = wilson(sum(right), len(right)), wilson(sum(quiet), len(quiet))
        found.append({"topic": topic, "reviewed": len(both), "disagreed": len(both) - len(agreed),
                      "kappa": kappa([(one, other) for _, one, other in both]),
                      "predictive_value": value.value if right else None, "interval": [value.low, value.high],
                      "of": len(right), "missed": missed.hits, "of_quiet": missed.total})  # fmt: skip
    return found


def _saved(file: Path) -> dict[str, str]:
    """What a reviewer saved from ``review.html``, where that lies beside the sample."""
    if not file.exists():
        return {}
    with file.open(encoding="utf-8") as lines:
        return {row["number"]: row["answer"] for row in csv.DictReader(lines)}


def _answer(text: str) -> str:
    said = text.strip().lower()
    return {"y": "yes", "n": "no"}.get(said, said if said in {"yes", "no"} else "")
