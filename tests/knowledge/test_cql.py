"""The exported CQL as a second opinion on the vignettes, in JavaScript.

``npm install @cqframework/cql cql-execution cql-exec-fhir`` somewhere and name that folder in CQL_MODULES; without it
this is skipped. An engine that reads no words cannot decide a vignette in which a medicine has no code: those are
counted by cause. All others count, whatever else they need (dates, administrations, orders that the call ends).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cds_service.knowledge.export import export
from cds_service.pipeline import Engine
from tests.knowledge.test_export import BASE, NOW
from tests.vignettes.builder import expected, request, unsaid, vignettes

HOOK = "order-sign"
INTERACTION = "naltrexone-opioid-interaction"
LISTED = ("medicationRequests", "medicationStatements", "medicationAdministrations")
HERE = Path(__file__).parent / "cql"
AGREE = 0.97

pytestmark = pytest.mark.skipif(
    "CQL_MODULES" not in os.environ,
    reason="slow: set CQL_MODULES to a folder where npm installed the engine (docs/replay.md)",
)


def undecided(case: dict[str, Any]) -> str:
    """Why no engine that reads codes can decide this vignette; "" where every medicine of it has its code."""
    if not all(order.get("rxnorm") for order in case["draft_orders"]):
        return "a draft without code"
    if not all(medicine.get("rxnorm") for medicine in case["meds"]):
        return "a listed medicine without code"
    return ""


def test_the_cql_agrees_where_codes_decide(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(engine, BASE, tmp_path, NOW)
    cases = [case for case in vignettes() if not unsaid(case, "R4", HOOK)]
    answered = ask(cases, tmp_path)
    critical = {case["id"]: (INTERACTION, "critical") in
                {(c["topic"], c["indicator"]) for c in expected(case, HOOK)} for case in cases}  # fmt: skip
    decided = [case for case in cases if not undecided(case)]
    wrong = {
        case["id"]: case["title"]
        for case in decided
        if answered[case["id"]] != critical[case["id"]]
    }
    causes = Counter(
        undecided(c) for c in cases if undecided(c) and answered[c["id"]] != critical[c["id"]]
    )
    said = [
        f"{len(cases)} vignettes, {len(decided)} decided by codes, {len(wrong)} of them otherwise: {wrong}"
    ]
    said.append(f"otherwise where codes do not decide: {dict(causes)}")
    with capsys.disabled():
        sys.stdout.write("\n".join(["", *said, ""]))
    assert any(critical[case["id"]] for case in decided)
    assert len(wrong) <= (1 - AGREE) * len(decided), wrong


def ask(cases: list[dict[str, Any]], folder: Path) -> dict[str, bool]:
    lines = []
    for case in cases:
        body = request(case, "R4", HOOK)
        listed = [entry["resource"] for key in LISTED
                  for entry in (body["prefetch"].get(key) or {}).get("entry", [])]  # fmt: skip
        drafts = [
            entry["resource"]
            for entry in body["context"]["draftOrders"]["entry"]
            if entry["resource"]["resourceType"] == "MedicationRequest"
        ]
        lines.append(
            json.dumps(
                {
                    "id": case["id"],
                    "now": f"{case['now']}T12:00:00Z",
                    "drafts": drafts,
                    "listed": listed,
                }
            )
        )
    told = subprocess.run(["node", str(HERE / "run.mjs"), str(folder)], input="\n".join(lines), text=True,
                          capture_output=True, timeout=900, check=False)  # fmt: skip
    assert told.returncode == 0, told.stderr[-2000:]
    found = [json.loads(line) for line in told.stdout.splitlines() if line.startswith("{")]
    return {each["id"]: bool(each["critical"]) for each in found}
