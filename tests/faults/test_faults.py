"""Every fault once: the answer is true and in time, and the fault is seen in log, metric and readiness (L11-L13)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.calls import listed
from tests.faults import of_store, of_world  # noqa: F401 - they register their faults
from tests.faults.table import FAULTS, RIGHT, Fault
from tests.faults.trial import attempt, name_answer, right
from tests.fhir_server import serve
from tests.postgres import postgres_server

__all__ = ["postgres_server"]


def params() -> list[object]:
    marks = {"postgres": [pytest.mark.postgres]}
    return [
        pytest.param(fault, id=fault.name, marks=marks.get(fault.needs, []))
        for fault in FAULTS.values()
    ]


@pytest.mark.parametrize("fault", params())
def test_CL11_a_fault_leaves_answers_true_in_time_and_is_seen(
    fault: Fault, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if fault.needs and getattr(request.getfixturevalue("postgres_server"), "folder", None) is None:
        pytest.skip("TEST_POSTGRES_URL names a server that is not ours to stop")
    report = attempt(fault, tmp_path / "data", ("order-sign",))
    assert report.ok, "\n".join((*report.wrong, *report.late, *report.unseen))


def test_CL11_the_table_knows_what_is_right() -> None:
    """Critical both ways, nothing for a thyroid hormone; and no fault is let off with "right" for want of trying."""
    assert ("naltrexone-opioid-interaction", "critical") in right("order-sign", "naltrexone")
    assert ("naltrexone-opioid-interaction", "critical") in right("order-sign", "opioid")
    assert () == right("order-sign", "neither")
    assert len(FAULTS) >= 50
    assert any(fault.answers["naltrexone"] != RIGHT for fault in FAULTS.values())


def test_CL11_without_a_fault_the_ehrs_server_gives_what_is_right(tmp_path: Path) -> None:
    """Or "could not check" in the table would mean nothing."""
    with serve([listed()]) as server, of_world.beside(tmp_path, server) as well:
        answer = well.ask("order-sign", "naltrexone")
        assert "right" == name_answer(answer, "order-sign", "naltrexone")
        assert {"ok"} == {*well.ready().values()}
