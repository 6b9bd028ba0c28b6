"""One row per FHIR release: none is missing, and a new release is a type error until it has one."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cds_service.fhir.releases import (
    ORDER_SEARCHES,
    PROFILES,
    ReleaseProfile,
    only_release,
    profile_of,
    release_of_version,
)
from cds_service.fhir.status import release_of
from cds_service.fhir.write import faults, hold, start_low
from cds_service.model import Release

PACKAGE = Path(__file__).parents[3] / "cds_service"


def test_every_release_has_the_row_of_its_name() -> None:
    assert (
        list(Release)
        == [row.release for row in PROFILES]
        == [profile_of(release).release for release in Release]
    )


def test_every_row_proves_what_it_writes_in_one_way() -> None:
    """By the models of the library or by a schema of ours, never by nothing."""
    assert [True] * len(PROFILES) == [bool(row.models) != bool(row.schema) for row in PROFILES]


def test_no_other_module_branches_on_a_release() -> None:
    """What a release is like stands in its row; nothing else compares one, lists some, or maps from them."""
    rows = {PACKAGE / "fhir" / "releases.py", PACKAGE / "model.py"}
    found = [
        f"{file.relative_to(PACKAGE)}:{node.lineno}"
        for file in sorted({*PACKAGE.rglob("*.py")} - rows)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(
            node, ast.Compare | ast.Dict | ast.Set | ast.Tuple | ast.List | ast.MatchValue
        )
        and any(map(names_release, ast.iter_child_nodes(node)))
    ]
    assert [] == found


def names_release(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return node.value in set(Release)
    return (
        isinstance(node, ast.Attribute)
        and node.attr in Release.__members__
        and isinstance(node.value, ast.Name)
        and node.value.id == "Release"
    )


@pytest.mark.parametrize(
    "branch",
    [
        "release is Release.R5",
        'release == "R5"',
        "release in {Release.R4, Release.R5}",
        '{Release.R5: ""}',
        '{"R5": ""}',
        '"R4", "R5"',
        "Release.R5 != release",
    ],
)
def test_a_branch_would_be_found(branch: str) -> None:
    nodes = [
        n
        for n in ast.walk(ast.parse(branch))
        if isinstance(n, ast.Compare | ast.Dict | ast.Set | ast.Tuple)
    ]
    assert any(names_release(child) for node in nodes for child in ast.iter_child_nodes(node))


@pytest.mark.parametrize("release", Release)
def test_every_release_is_told_by_the_shape_of_its_order(release: Release) -> None:
    """Else its row could never be reached by a hook call."""
    assert release is release_of(order_with_a_dose(profile_of(release)))


def order_with_a_dose(row: ReleaseProfile) -> dict[str, Any]:
    repeat = {"frequency": 1, "period": 1, row.period_unit: "d"}
    return {
        "resourceType": row.order,
        "status": "active",
        row.patient: {"reference": "Patient/p"},
        row.authored: "2026-11-20",
        row.medication: row.coded({"text": "naltrexone 50 mg oral tablet"}),
        **({"intent": "order"} if row.has_intent else {}),
        "dosageInstruction": [
            {"timing": {"repeat": repeat}, **row.dose({"value": 50, "unit": "mg"})}
        ],
    }


@pytest.mark.parametrize("release", Release)
def test_an_order_built_from_its_row_is_valid_and_stays_so_when_it_is_held_or_replaced(
    release: Release,
) -> None:
    """The names in a row are those of the published release: its own models or schema say so."""
    order = order_with_a_dose(profile_of(release))
    low = start_low(
        order,
        release,
        {"medication": "naltrexone 1.5 mg oral capsule", "sig": "1 capsule at bedtime"},
        1.5,
        14,
    )
    assert [[], [], []] == [
        faults(each, release) for each in (order, hold(order, release, "why"), low)
    ]


@pytest.mark.parametrize("release", Release)
def test_an_order_of_another_release_is_not_valid(release: Release) -> None:
    """The proof can fail: what differs in name is refused."""
    row = profile_of(release)
    others = [
        each for each in PROFILES if (each.order, each.medication) != (row.order, row.medication)
    ]
    assert [True] * len(others) == [
        bool(faults(order_with_a_dose(other), release)) for other in others
    ]


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("0.5.0", Release.DSTU2),
        ("1.0.2", Release.DSTU2),
        ("3.0.2", Release.STU3),
        ("4.0.1", Release.R4),
        ("4.3.0", Release.R4),
        ("5.0.0", Release.R5),
        ("6.0.0-ballot2", None),
        ("", None),
        ("40.1", None),
    ],
)
def test_a_server_version_names_its_release(version: str, release: Release | None) -> None:
    assert release is release_of_version(version)


def test_no_version_could_name_two_releases() -> None:
    starts = [start for row in PROFILES for start in row.versions]
    assert [start for start in starts if sum(other.startswith(start) for other in starts) > 1] == []


def test_a_trait_of_several_releases_or_of_none_tells_nothing() -> None:
    assert (None, None, Release.DSTU2) == (
        only_release(lambda row: row.has_intent),
        only_release(lambda row: row.order == "Basic"),
        only_release(lambda row: not row.has_intent),
    )


def test_each_type_of_order_has_one_search() -> None:
    assert {
        "medicationOrders": "MedicationOrder",
        "medicationRequests": "MedicationRequest",
    } == ORDER_SEARCHES


@pytest.mark.parametrize("member", ["", '    R6 = "R6"\n'])
def test_a_new_release_is_a_type_error_until_its_row_exists(tmp_path: Path, member: str) -> None:
    """mypy over a copy: silent as it stands, and naming ``profile_of`` once the enumeration has a fifth member."""
    pytest.importorskip("mypy")
    copy = tmp_path / "cds_service"
    for name in ("__init__.py", "model.py", "fhir/__init__.py", "fhir/releases.py"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE / name, copy / name)
    model = (copy / "model.py").read_text(encoding="utf-8")
    last = '    R5 = "R5"\n'
    assert 1 == model.count(last)
    (copy / "model.py").write_text(model.replace(last, last + member), encoding="utf-8")
    said = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "cds_service"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    ).stdout
    errors = [line for line in said.splitlines() if "error:" in line]
    assert [True] * bool(member) == [
        "fhir/releases.py" in line and "Release.R6" in line for line in errors
    ], said
