"""Dashboard, alerts, runbooks and pages name metrics, labels and pages that exist (issue of operations, item 4)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cds_service.journal.metrics import SPECS, Kind
from tests.conftest import ROOT
from tests.operations import metrics_page

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
OPERATIONS = ROOT / "docs" / "operations"
RUNBOOKS = OPERATIONS / "runbooks"
HEADINGS = ["What it means", "What prescribers see", "Look at", "Do", "Over when"]
_METRIC = re.compile(r"\bnaltrexone_cds_\w+")
_SELECTOR = re.compile(r"\b(naltrexone_cds_\w+)\{([^}]*)\}")
_BY = re.compile(r"\bby \(([\w, ]+)\)")
SCRAPED = {"instance", "job", "le"}


def series() -> dict[str, set[str]]:
    """Every name that is scraped, with its labels."""
    found = {}
    for spec in SPECS:
        for ending in ("_bucket", "_sum", "_count") if spec.kind is Kind.HISTOGRAM else ("",):
            found[spec.exposed + ending] = set(spec.labels)
    return found


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [
        p for p in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"] if p["type"] != "row"
    ]


def expressions() -> Iterator[tuple[str, str]]:
    """(where, PromQL) of everything that asks Prometheus."""
    for rule in alerts():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for page in RUNBOOKS.glob("*.md"):
        for span in re.findall(
            r"`([^`\n]*naltrexone_cds_[^`\n]*)`", page.read_text(encoding="utf-8")
        ):
            yield page.name, span


EXPRESSIONS = [
    pytest.param(expr, id=f"{number}-{where}") for number, (where, expr) in enumerate(expressions())
]


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_every_metric_that_is_asked_for_exists_with_its_labels(expr: str) -> None:
    known, named = series(), set(_METRIC.findall(expr))
    assert set() == named - known.keys()
    for name, selector in _SELECTOR.findall(expr):
        assert set() == set(re.findall(r"(\w+)\s*[=!]", selector)) - known[name] - SCRAPED
    labels = SCRAPED.union(*(known[name] for name in named))
    for group in _BY.findall(expr):
        assert set() == {each.strip() for each in group.split(",")} - labels


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    asked = {name for _, expr in expressions() for name in _METRIC.findall(expr)}
    exposed = {spec.exposed for spec in SPECS}
    unseen = {name for name in exposed if not any(each.startswith(name) for each in asked)}
    assert set() == unseen


def test_every_page_names_metrics_that_exist() -> None:
    endings = series().keys() | {spec.exposed for spec in SPECS}
    for page in (ROOT / "docs").rglob("*.md"):
        assert set() == set(_METRIC.findall(page.read_text(encoding="utf-8"))) - endings, page.name


def test_the_page_of_metrics_is_the_table_of_the_code() -> None:
    assert metrics_page.text() == metrics_page.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_every_alert_has_its_runbook_and_the_runbook_all_its_parts(rule: dict[str, Any]) -> None:
    page = ROOT / rule["annotations"]["runbook_url"]
    text = page.read_text(encoding="utf-8")
    assert (rule["alert"], f"# {rule['alert']}") == (page.stem, text.splitlines()[0])
    assert HEADINGS == re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert f"Severity: {rule['labels']['severity']}." in text
    assert rule["labels"]["severity"] in {"critical", "warning"}


def test_every_runbook_belongs_to_an_alert_and_stands_in_the_list() -> None:
    names = {rule["alert"] for rule in alerts()}
    assert len(names) == len(alerts())
    assert names | {"README"} == {page.stem for page in RUNBOOKS.glob("*.md")}
    assert names == set(
        re.findall(r"\]\((\w+)\.md\)", (RUNBOOKS / "README.md").read_text(encoding="utf-8"))
    )


def test_panels_have_ids_places_and_titles_of_their_own() -> None:
    found = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert len(found) == len({p["id"] for p in found}) == len({p["title"] for p in found})
    places = {
        (x, y)
        for p in found
        for x in range(p["gridPos"]["x"], p["gridPos"]["x"] + p["gridPos"]["w"])
        for y in range(p["gridPos"]["y"], p["gridPos"]["y"] + p["gridPos"]["h"])
    }
    assert len(places) == sum(p["gridPos"]["w"] * p["gridPos"]["h"] for p in found)
    assert max(x for x, _ in places) < 24


@pytest.mark.slow  # not for its time: it needs Debian's package prometheus, which brings a server along
def test_prometheus_itself_reads_every_expression(tmp_path: Path) -> None:
    promtool = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool (Debian's prometheus) is not installed")
    rules = [
        {
            "record": f"x:{number}",
            "expr": param.values[0].replace('client=~"$client"', 'client=~".*"'),
        }
        for number, param in enumerate(EXPRESSIONS)
        if " " in param.values[0] or "(" in param.values[0]
    ]
    (tmp_path / "all.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    for file in (ALERTS, tmp_path / "all.yml"):
        command = [promtool, "check", "rules", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (0, "") == (done.returncode, done.stderr)
