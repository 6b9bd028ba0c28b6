"""No import leads back to where it came from, and every room has its floor."""

from __future__ import annotations

import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def circle(graph: grimp.ImportGraph) -> list[str]:
    """The modules of one import cycle, [] where there is none; imports inside functions count too."""
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.fixture
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("cds_service", cache_dir=None)


def test_no_module_imports_itself_over_others(graph: grimp.ImportGraph) -> None:
    assert [] == circle(graph)


def test_a_circle_would_be_found(graph: grimp.ImportGraph) -> None:
    graph.add_import(importer="cds_service.model", imported="cds_service.fhir.write_plan")
    assert {"cds_service.model", "cds_service.fhir.write_plan"} <= {*circle(graph)}


def test_every_room_and_every_top_module_has_its_floor(graph: grimp.ImportGraph) -> None:
    """A new one is placed in the contract before it is used."""
    contracts = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (floors,) = [each["layers"] for each in contracts if each["name"] == "Imports go down only"]
    placed = {name.strip() for floor in floors for name in floor.split("|")}
    assert placed == graph.find_children("cds_service")
