"""Adding a rule is one rule file, one card file and one line: shown on a copy of the package.

The copy runs in a process of its own, so that its ``cds_service`` and its ``cards`` are the ones imported.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.calls import T1, call, ldn, listed

ROOT = Path(__file__).parents[2]
ID = "naltrexone-weekend"
RULE = f'''"""{ID}: say on a weekend that the pharmacy is closed. Made up, to show what a rule needs."""

from collections.abc import Iterator

from cds_service.model import Finding, Severity, Snapshot, Verdict
from cds_service.rules.naltrexone import naltrexone_drafts
from cds_service.rules.rule import Rule, cited, names


def judge(snapshot: Snapshot, _said: tuple[Verdict, ...] = ()) -> Iterator[Finding]:
    if snapshot.today.weekday() >= 5 and any(naltrexone_drafts(snapshot)):
        day = snapshot.today.strftime("%A")
        yield Finding(RULE.id, Severity.INFO, "closed", lines=("hours",), facts={{"day": day}},
                      trace=(f"{{day}}, age limit {{snapshot.thresholds['adult_age']}}",))


RULE = Rule(id="{ID}", title="A weekend", judge=judge, order=6, facts=names("day"), links=names("label-oral"),
            thresholds=names("adult_age"), situations={{"closed": names("day")}},
            lines={{"hours": cited("J", "long_acting_days")}})
'''
CARD = f"""id: {ID}
title: Weekend
reviewed_by: null
reviewed_on: null
summaries:
  closed: "It is {{day}}: the compounding pharmacy is closed."
lines:
  hours: {{text: "Open again in {{long_acting_days}} days.", sources: [J]}}
override_reasons: {{}}
links: [label-oral]
sheet:
  use: "Say that the pharmacy is closed."
  logic: ["Saturday and Sunday."]
  inputs: ["The day."]
  limits: ["Holidays are not known."]
  risks: ["None known."]
  does_not: ["It does not know the pharmacy."]
changes:
  - {{date: 2026-11-25, what: "First wording."}}
"""
SERVE = """
import json, sys
from datetime import UTC, datetime
from cds_service import settings
from cds_service.app import create_app
app = create_app(settings.load(environ={}, data_dir=sys.argv[1], **json.loads(sys.argv[2])),
                 lambda: datetime(2026, 11, 21, 12, tzinfo=UTC))
answer = app.test_client().post("/cds-services/naltrexone-order-sign", json=json.load(sys.stdin))
print(json.dumps([answer.status_code, answer.get_json()]))
"""

SILENCED = f"""
import json, sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo
from cds_service import clinical, pipeline, terminology
from cds_service.hooks.services import SERVICES
from cds_service.settings import Client
engine = pipeline.Engine(terminology.load(), clinical.load().content, ZoneInfo("UTC"), "http://127.0.0.1", lambda: "x")
outcome = pipeline.answer(json.load(sys.stdin), SERVICES["naltrexone-order-sign"], engine,
                          datetime(2026, 11, 21, 12, tzinfo=UTC),
                          client=Client("x", topics_silent=("{ID}",), topics_off=("naltrexone-off-label",)))
print(json.dumps([[c["source"]["topic"]["code"] for c in outcome.cards], [f.topic for f in outcome.silenced]]))
"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with a sixth rule: two new files and one line."""
    folder = tmp_path_factory.mktemp("sixth")
    for name in ("cds_service", "cards"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "cds_service" / "rules" / "weekend.py").write_text(RULE, encoding="utf-8")
    (folder / "cards" / f"{ID}.yaml").write_text(CARD, encoding="utf-8")
    registry = folder / "cds_service" / "rules" / "registry.py"
    lines = registry.read_text(encoding="utf-8").splitlines()
    lines.insert(
        next(n for n, text in enumerate(lines) if text.strip().startswith('"data_gap",')),
        '    "weekend",',
    )
    registry.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def run(folder: Path, *words: str, sent: Any = None) -> subprocess.CompletedProcess[str]:
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("NALTREXONE_CDS_")},
        "PYTHONPATH": str(folder),
    }
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=env,
        input=json.dumps(sent),
        text=True,
        timeout=120,
        capture_output=True,
        check=False,
    )


def answered(folder: Path, body: Any) -> dict[str, str]:
    """Topic -> summary of the cards of an answer over HTTP."""
    done = run(folder, "-c", SERVE, str(folder / "var"), "{}", sent=body)
    assert 0 == done.returncode, done.stderr
    status, answer = json.loads(done.stdout.splitlines()[-1])
    assert 200 == status
    return {card["source"]["topic"]["code"]: card["summary"] for card in answer["cards"]}


def body() -> Any:
    return call("order-sign", ldn(), meds=(listed(),))


def client(topic: str) -> str:
    """The settings of a client that silences this topic."""
    return json.dumps(
        {"clients": [{"issuer": "https://ehr.example.org", "topics_silent": [topic]}]}
    )


def test_its_card_is_served_after_those_that_are_read_first(copied: Path) -> None:
    found = answered(copied, body())
    first, *_, last = found
    assert (T1, ID) == (first, last)
    assert "It is Saturday: the compounding pharmacy is closed." == found[ID]


def test_settings_know_its_topic_and_can_silence_it(copied: Path) -> None:
    taken = [
        run(copied, "-c", SERVE, str(copied / "var"), client(topic), sent=body())
        for topic in (ID, "naltrexone-none")
    ]
    assert [0, 1] == [done.returncode for done in taken]
    assert "'naltrexone-none' is not a topic of this service" in taken[1].stderr
    judged = run(copied, "-c", SILENCED, sent=body())
    assert [[T1], [ID]] == json.loads(judged.stdout), judged.stderr


def test_explain_traces_it_with_its_numbers(copied: Path) -> None:
    done = run(
        copied, "-m", "cds_service", "explain", "-", "--as-of", "2026-11-21", "--json", sent=body()
    )
    (traced,) = [rule for rule in json.loads(done.stdout)["rules"] if rule["rule"] == ID]
    assert ("info (closed)", ["Saturday, age limit 18"]) == (traced["verdict"], traced["because"])
    assert {"adult_age": {"value": 18, "sources": ["label-oral"]}} == traced["thresholds"]


def test_check_knows_it_and_holds_it_to_its_words(copied: Path) -> None:
    done = run(copied, "-m", "cds_service", "check")
    assert (0, True) == (done.returncode, ID in done.stdout), done.stdout
    card = copied / "cards" / f"{ID}.yaml"
    card.write_text(CARD.replace("{day}", "closed"), encoding="utf-8")
    broken = run(copied, "-m", "cds_service", "check")
    card.write_text(CARD, encoding="utf-8")
    assert 1 == broken.returncode
    assert f"FAULT {ID}.yaml: summaries/closed: must print {{day}}" in broken.stdout


def test_the_table_of_the_documents_lists_it(copied: Path) -> None:
    table = run(copied, "-m", "cds_service.rules").stdout
    assert f"| `{ID}` | A weekend | `closed` | `adult_age` | - |" in table.splitlines()
