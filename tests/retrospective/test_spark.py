"""One process, two and Apache Spark give the same rows and counts, also where a run on Spark was stopped.

``pip install "naltrexone-cds[spark]"`` (400 MB, Java 17); SPARK_MASTER names a cluster, else it is ``local[2]``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cds_service.retrospective.run import Stopped, replay
from tests.retrospective.generate import Style, write
from tests.retrospective.test_replay import SEED, plan

pytest.importorskip("pyspark", reason="slow: pyspark is not installed (docs/replay.md)")
spark = pytest.importorskip("cds_service.retrospective.spark")

MASTER = os.environ.get("SPARK_MASTER", "local[2]")
PATIENTS = int(os.environ.get("REPLAY_PATIENTS", "400"))


def counted(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return found["counted"]


def spoil(export: Path) -> None:
    """A copy of an order, a line that is no JSON, a drug by reference, and a Provenance."""
    orders = export / "MedicationRequest.ndjson"
    lines = orders.read_text(encoding="utf-8").splitlines()
    by_ref = json.loads(lines[0])
    by_ref |= {"id": "by-ref", "medicationReference": {"reference": "Medication/m1"}}
    by_ref.pop("medicationCodeableConcept")
    naltrexone = {"resourceType": "Medication", "id": "m1", "code": {"text": "naltrexone 50 mg tablet"}}  # fmt: skip
    done = {"resourceType": "Provenance", "recorded": "2026-11-01T10:00:00Z",
            "target": [{"reference": "MedicationRequest/by-ref"}]}  # fmt: skip
    more = [lines[0], "not json", json.dumps(by_ref), json.dumps(naltrexone), json.dumps(done)]
    orders.write_text("\n".join([*lines, *more, ""]), encoding="utf-8")


@pytest.mark.parametrize("style", [Style.CLEAN, Style.OVERWRITTEN])
def test_spark_says_what_one_machine_says(tmp_path: Path, style: Style) -> None:
    write(tmp_path / "in", SEED, PATIENTS, style)
    spoil(tmp_path / "in")
    alone = replay(plan(tmp_path / "in", tmp_path / "one"))
    both = replay(plan(tmp_path / "in", tmp_path / "two", processes=2))
    with pytest.raises(Stopped):
        spark.replay_on_spark(plan(tmp_path / "in", tmp_path / "spark", most=2), MASTER)
    kept = {f: f.stat().st_mtime_ns for f in (tmp_path / "spark/work").glob("verdicts-*.ndjson")}
    spread = spark.replay_on_spark(plan(tmp_path / "in", tmp_path / "spark"), MASTER)
    assert len(kept) == 2
    assert all(f.stat().st_mtime_ns == at for f, at in kept.items())
    assert alone == both == spread
    assert len(alone) > 20
    assert counted(tmp_path / "one") == counted(tmp_path / "two") == counted(tmp_path / "spark")
    found = counted(tmp_path / "spark")
    assert (1, 1) == (found["duplicates"], found["unreadable_lines"])
