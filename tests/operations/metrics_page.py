"""``python -m tests.operations.metrics_page`` writes docs/operations/metrics.md from the table in journal/metrics.py."""

from __future__ import annotations

from cds_service.journal.metrics import SPECS, Kind
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "operations" / "metrics.md"
HEAD = """# Metrics

`GET /metrics` where the setting `metrics` is on: the default of the demo profile. In production it is off until it is
switched on: client names and volumes stand in it, so let only Prometheus reach the path. No label holds anything of a
patient or anything that a caller made up. With several workers any of them answers for all: `serve` gives them a folder
in memory for it.
What a call costs for it: 11 microseconds with one worker, 21 with several (0.5 ms a call beside it, in the same run).

The dashboard is `deploy/grafana/dashboard.json`, the alerts are `deploy/prometheus/alerts.yml`, each with a
[runbook](runbooks/README.md).
This page is made from the code.

| Metric | Kind | Labels | Means |
|---|---|---|---|
"""
_KINDS = {
    Kind.COUNTER: "counter",
    Kind.HISTOGRAM: "histogram",
    Kind.HIGHEST: "gauge, highest worker",
    Kind.LOWEST: "gauge, lowest worker",
    Kind.SUM: "gauge, sum of workers",
}


def text() -> str:
    return HEAD + "".join(
        f"| `{spec.exposed}` | {_KINDS[spec.kind]} | {', '.join(spec.labels)} | {spec.means} |\n"
        for spec in SPECS
    )


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
