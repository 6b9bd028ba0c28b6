"""The command line as a person uses it: cards that read aloud, traces that name their sources, faults in one line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from cds_service.__main__ import main
from tests.conformance.calls import OXYCODONE, call, listed, naltrexone_50, taken

ROOT = Path(__file__).parents[3]
REQUESTS = ROOT / "fhir_fixtures" / "requests"
CRITICAL = str(REQUESTS / "order-select" / "ldn-with-recent-oxycodone.json")


def run(*words: str, text: str | None = None) -> Result:
    return CliRunner().invoke(main, list(words), input=text)


def trace_of(file: str) -> dict[str, Any]:
    result = run("explain", file, "--as-of", "2026-11-21", "--json")
    assert 0 == result.exit_code, result.output
    return json.loads(result.stdout)


def test_try_prints_card_buttons_links_and_reasons() -> None:
    shown = run("try", CRITICAL, "--as-of", "2026-11-21").stdout
    for words in (
        "CRITICAL",
        "Do not start naltrexone",
        "Cancel the naltrexone order",
        "(recommended)",
        "Open the LDN titration planner",
        "Benefit judged to",
        "Evidence against",
    ):
        assert words in shown


def test_try_gives_machines_the_answer_itself() -> None:
    answer = json.loads(run("try", CRITICAL, "--as-of", "2026-11-21", "--json").stdout)
    assert ["critical", "info"] == [card["indicator"] for card in answer["cards"]]


def test_try_reads_standard_input_and_judges_at_the_given_day() -> None:
    """30 days of supply and 30 of grace after 2026-11-11: on the 62nd day the entry is out of date."""
    text = Path(CRITICAL).read_text(encoding="utf-8")
    days = {
        day: json.loads(run("try", "-", "--as-of", day, "--json", text=text).stdout)["cards"][0][
            "indicator"
        ]
        for day in ("2027-01-10", "2027-01-11")
    }
    assert {"2027-01-10": "critical", "2027-01-11": "warning"} == days


def test_try_says_when_there_is_no_card() -> None:
    shown = run("try", str(REQUESTS / "captures" / "02-r4-order-select-no-medication.json")).stdout
    assert "No cards." in shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "none of ours"),
        ('{"hook": "patient-view"}', "none of ours"),
        ('{"hook": "order-sign"}', "400"),
    ],
)
def test_a_request_that_cannot_be_judged_ends_with_one_line(text: str, words: str) -> None:
    result = run("try", "-", text=text)
    assert 2 == result.exit_code
    assert words in result.stderr
    assert 1 == len(result.stderr.strip().splitlines())


def test_explain_names_drug_role_dose_window_rule_threshold_and_source() -> None:
    trace = trace_of(CRITICAL)
    oxycodone = next(r for r in trace["read"] if r["from"] == "medicationRequests")
    assert ["FULL_SA"] == [c["role"] for c in oxycodone["components"]]
    assert any("1049621" in how for how in oxycodone["recognised_by"])
    assert ("LDN", "4.5") == (trace["drafts"][0]["band"], trace["drafts"][0]["dose"]["daily_mg"])
    assert any("4.5 mg" in line for line in trace["drafts"][0]["dose"]["because"])
    assert "CURRENT" == trace["exposures"][0]["state"]
    interaction = trace["rules"][0]
    assert "naltrexone-opioid-interaction" == interaction["rule"]
    assert "critical (ntx-draft/CURRENT)" == interaction["verdict"]
    assert ["label-oral", "G1"] == interaction["thresholds"]["short_acting_days"]["sources"]
    assert {"decode", "fetch", "read", "decide", "render"} == set(trace["timings_ms"])


def test_explain_names_what_could_not_be_known() -> None:
    trace = trace_of(str(REQUESTS / "captures" / "04-r4-order-select-naltrexone-no-prefetch.json"))
    assert not trace["medication_list_available"]
    assert {"about": "medicationRequests", "why": "not-sent", "count": 1} in trace["gaps"]


def test_explain_shows_where_the_order_departs_from_fhir() -> None:
    """The sandbox sends category and reasonCode as objects and an invalid date; they are read all the same."""
    trace = trace_of(str(REQUESTS / "captures" / "06-r4-order-select-invalid-date.json"))
    faults = next(d["faults"] for d in trace["departures_from_fhir"] if d["from"] == "context")
    assert any(fault.startswith("category") for fault in faults)
    assert any("boundsPeriod" in fault for fault in faults)


def test_explain_prints_every_section_in_a_terminal() -> None:
    shown = run("explain", CRITICAL, "--as-of", "2026-11-21").stdout
    for section in (
        "Prefetch",
        "Read",
        "Drafts",
        "Exposures",
        "Conditions",
        "Gaps",
        "Departures",
        "Timings",
        "Cards",
    ):
        assert section in shown


def test_check_passes_and_prints_what_it_counted() -> None:
    result = run("check")
    assert 0 == result.exit_code, result.output
    assert "guards matched 0" in result.stdout
    for figure in ("0 silent", "0 mistaken for an opioid", "% weighted by use", "readability: "):
        assert figure in result.stdout
    assert '"profile": "demo"' in result.stdout


def test_check_fails_with_a_line_per_fault(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    (tmp_path / "empty.json").write_text("{}", encoding="utf-8")
    result = run("check", "--fixtures", str(tmp_path))
    assert 1 == result.exit_code
    assert 2 == result.stdout.count("FAULT")


def test_a_setting_that_does_not_exist_is_named(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("prot = 1\n", encoding="utf-8")
    result = run("serve", "--settings", str(file))
    assert (2, "naltrexone-cds: prot: no such setting\n") == (result.exit_code, result.stderr)


def test_a_topic_that_no_rule_has_is_named_before_a_port_is_bound(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        '[[clients]]\nissuer = "https://ehr.example.org"\ntopics_off = ["x"]\n', encoding="utf-8"
    )
    result = run("serve", "--settings", str(file))
    assert (
        2,
        "naltrexone-cds: clients[https://ehr.example.org]: 'x' is not a topic of this service\n",
    ) == (result.exit_code, result.stderr)


def test_terminology_build_refuses_a_folder_that_is_no_release(tmp_path: Path) -> None:
    result = run("terminology", "build", "--rxnorm", str(tmp_path), "--out", str(tmp_path / "out"))
    assert 2 == result.exit_code
    assert "the old tables stay" in result.stderr
    assert not (tmp_path / "out").exists()


def test_every_command_that_help_names_is_there_and_says_what_help_says() -> None:
    shown = run("--help").stdout
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        said = next(
            line.split(name, 1)[1].strip()
            for line in shown.splitlines()
            if line.startswith(f"  {name} ")
        )
        assert (name, True) == (command.name, command.help.startswith(said.removesuffix("."))), said


def test_a_command_that_is_not_there_is_named() -> None:
    result = run("sevre")
    assert (2, True) == (result.exit_code, "No such command 'sevre'" in result.stderr)


def test_help_waits_for_no_server_and_no_database() -> None:
    script = (
        "import sys; sys.argv[1:] = ['--help']\nfrom cds_service.cli.main import main\n"
        "try: main()\nexcept SystemExit: print(sorted({'flask', 'sqlalchemy', 'pydantic'} & sys.modules.keys()))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "[]" == shown.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", ["13-unit-code-ignored", "03-draft-brand-unknown", "25-kratom"])
def test_explain_says_class_evidence_bounds_and_names_not_known(name: str) -> None:
    """Of every medicine what it was taken for and why, and of every exposure how its end is known."""
    folder = Path(__file__).parents[3] / "fhir_fixtures" / "requests" / "field"
    file = str(folder / f"{name}.json")
    done = CliRunner().invoke(main, ["explain", file, "--as-of", "2026-11-25", "--json"])
    assert 0 == done.exit_code, done.output
    told = json.loads(done.stdout)
    assert isinstance(told["names_not_known"], list)
    for each in told["exposures"]:
        assert {"end_known_by", "latest_possible_day", "run_out", "clear_from"} <= set(each)


def written(*medicines: dict[str, Any]) -> str:
    return json.dumps(call("order-sign", naltrexone_50(), meds=medicines))


def read_aloud(*medicines: dict[str, Any]) -> str:
    """The trace in one line, without the frames and the folds of the tables."""
    shown = run("explain", "-", "--as-of", "2026-11-21", text=written(*medicines)).stdout
    return " ".join(re.sub(r"[^\x00-\x7f]", " ", shown).split())


SAID_OF = {
    OXYCODONE: "class: relevant identified: True recognised_by: rxnorm 1049621",
    "Palladon": "text hydromorphone; text in pack de-at-ch",
    "oxikodon": "text in table names; text oxycodone",
    "ramipril": "class: other identified: True recognised_by: text ramipril (another drug, table other-inn)",
    "pen needle": "recognised_by: text pen needle (another drug, pack supplies)",
    "hydrocodnoe": "text like hydrocodone",
    "Zorblaxin": "class: unknown unknown_name: Zorblaxin",
}


def test_explain_reads_aloud_class_evidence_and_table() -> None:
    shown = read_aloud(*(listed(drug, id=f"m-{at}") for at, drug in enumerate(SAID_OF)))
    assert [] == [words for words in SAID_OF.values() if words not in shown]


def test_explain_reads_aloud_how_an_end_is_known_and_its_bounds() -> None:
    shown = read_aloud(
        taken(OXYCODONE, end="2026-11-01"), listed("Palladon", status="stopped", id="m-2")
    )
    for words in (
        "end: 2026-11-01, by effectivePeriod.end",
        "taken at the latest on: 2026-11-01",
        "end: no evidence of it",
        "supply runs out: between 2026-12-11 and 2026-12-11, by days of supply (one fill 30 d",
    ):
        assert words in shown


def test_explain_reads_aloud_the_names_that_it_does_not_know() -> None:
    shown = read_aloud(listed("Zorblaxin"), listed(("", "999"), id="m-2"))
    assert "Names not known: Zorblaxin" in shown
    assert "Medicines without a readable name: 1 of 2" in shown
