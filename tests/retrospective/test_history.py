"""What a chart said then: proven by versions, dates and Provenance, else both readings."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from cds_service.retrospective.history import as_then, keep, known_since, read_when
from cds_service.retrospective.review import review
from cds_service.retrospective.statistics import kappa, wilson

EVENT = read_when("2026-03-10T09:00:00Z", UTC)
assert EVENT is not None
ORDER = {
    "resourceType": "MedicationRequest",
    "id": "a",
    "status": "completed",
    "authoredOn": "2026-02-01",
}


def then(*versions: dict[str, Any], changed: str = "") -> tuple[str, str]:
    when = read_when(changed, UTC)
    found = as_then(keep(versions, UTC, {"r": when} if when else {}, "r"), EVENT, UTC)
    return found.exported["status"], found.active["status"]


def test_a_status_without_proof_is_given_both_ways() -> None:
    assert ("completed", "active") == then(ORDER)


@pytest.mark.parametrize(
    ("day", "status"), [("2026-03-01T00:00:00Z", "completed"), ("2026-04-01T00:00:00Z", "active")]
)
def test_a_dated_change_decides(day: str, status: str) -> None:
    assert (status, status) == then({**ORDER, "statusChanged": day})
    assert (status, status) == then(ORDER, changed=day)


def test_an_update_before_the_event_proves_the_status() -> None:
    assert ("completed", "completed") == then(
        {**ORDER, "meta": {"lastUpdated": "2026-03-01T00:00:00Z"}}
    )
    assert ("completed", "active") == then(
        {**ORDER, "meta": {"lastUpdated": "2026-11-20T00:00:00Z"}}
    )


def test_the_version_of_that_day_is_read() -> None:
    first = {
        **ORDER,
        "status": "active",
        "meta": {"versionId": "1", "lastUpdated": "2026-02-01T00:00:00Z"},
    }
    later = {**ORDER, "meta": {"versionId": "2", "lastUpdated": "2026-05-01T00:00:00Z"}}
    assert ("active", "active") == then(later, first)


@pytest.mark.parametrize(("end", "status"), [("2026-03-01", "completed"), ("2026-04-01", "active")])
def test_an_end_date_decides(end: str, status: str) -> None:
    period = {"timing": {"repeat": {"boundsPeriod": {"start": "2026-02-01", "end": end}}}}
    assert (status, status) == then({**ORDER, "dosageInstruction": [period]})


def test_a_month_is_no_day() -> None:
    assert read_when("2026-03", UTC) is None
    assert known_since({"resourceType": "Condition", "onsetDateTime": "2026"}, UTC) is None


def test_wilson_and_kappa_as_published() -> None:
    """Wilson for 10 of 100; Cohen's kappa of the 2x2 table 20, 5, 10, 15 is 0.4."""
    share = wilson(10, 100)
    assert (0.0552, 0.1744) == (round(share.low, 4), round(share.high, 4))
    assert (0.0, 1.0) == (wilson(0, 0).low, wilson(0, 0).high)
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    agreed = kappa(pairs)
    assert agreed is not None
    assert round(agreed, 6) == 0.4


def test_two_reviewers_make_a_predictive_value(tmp_path: Any) -> None:
    rows = ["number,session,topic,month,department,drafted,reviewer_1,reviewer_2"]
    rows += [
        f"{n},s{n},t,2026-01,d,naltrexone,{'yes' if n < 8 else 'no'},{'yes' if n < 9 else 'no'}"
        for n in range(12)
    ]
    (tmp_path / "sample.csv").write_text("\n".join(rows), encoding="utf-8")
    keys = ["number,topic,fired", *(f"{n},t,{'yes' if n < 10 else 'no'}" for n in range(12))]
    (tmp_path / "key.csv").write_text("\n".join(keys), encoding="utf-8")
    [found] = review(tmp_path / "sample.csv", tmp_path / "key.csv")
    assert (12, 1, 9, 8 / 9, 0, 2) == tuple(
        found[k] for k in ("reviewed", "disagreed", "of", "predictive_value", "missed", "of_quiet"))  # fmt: skip
    (tmp_path / "reviewer-2.csv").write_text("number,answer\n8,no\n9,\n", encoding="utf-8")
    [found] = review(tmp_path / "sample.csv", tmp_path / "key.csv")
    assert (0, 10, 8 / 10) == (found["disagreed"], found["of"], found["predictive_value"])
