"""A site's own content: merged key by key, refused as a whole where it breaks the contract, and never at a card's cost."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from cds_service import clinical
from cds_service.__main__ import main
from cds_service.app import create_app
from cds_service.content import loader
from cds_service.settings import Settings
from tests.conformance.calls import T1, call, card_of, ldn, listed

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PACKAGED = loader.load()
HELD = "Confirm the last dose of {opioid} with the clinic before {blocker}."
OWN_WORDS = f"summaries: {{'ntx-draft/HELD': '{HELD}'}}\n"
FAULTY = {
    "a line without its number": (
        f"{T1}.yaml",
        "lines: {wait_sa: {text: 'Wait 7-10 days.'}}",
        "must print",
    ),
    "a summary that no rule says": (
        f"{T1}.yaml",
        "summaries: {other: 'x'}",
        "summaries/other: no rule says it",
    ),
    "a file with another name": (
        "naltrexone-interaction.yaml",
        "title: x",
        "no content file of this name",
    ),
    "a file of another kind": ("notes.txt", "x", "no content file of this name"),
    "a folder": ("cards/x.yaml", "x", "cards: the service has no content file of this name"),
    "no YAML": ("shared.yaml", "a: [", "not valid YAML"),
    "a file without anything": ("shared.yaml", "", "null is not of type"),
    "a number that is text": (
        "thresholds.yaml",
        "adult_age: [{from: 2026-01-01, value: soon, sources: [J]}]",
        "adult_age",
    ),
    "a day that is none": (
        "thresholds.yaml",
        "adult_age: [{from: '2026-02-30', value: 18, sources: [J]}]",
        "is no day",
    ),
    "a key that is no text": ("shared.yaml", "? [a, b]\n: c", "not valid YAML"),
    "a link to nowhere": (f"{T1}.yaml", "links: [label-oral, J]", "'J' has no URL"),
    "an unknown reason": (
        f"{T1}.yaml",
        "override_reasons: {start: [mine]}",
        "no override reason 'mine'",
    ),
}


def overlay(folder: Path, name: str, text: str) -> str:
    file = folder / "own" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return str(folder / "own")


def test_an_overlay_of_one_key_changes_one_key(tmp_path: Path) -> None:
    """All other words, and the sources of a line whose text is changed, stay those of the package."""
    changed = clinical.load(
        overlay(
            tmp_path, f"{T1}.yaml", OWN_WORDS + "lines: {moud: {text: 'Decide with the program.'}}"
        )
    )
    own, packaged = changed.content.cards[T1], PACKAGED.cards[T1]
    assert () == changed.refused
    assert HELD == own.summaries["ntx-draft/HELD"]
    assert {**packaged.summaries, "ntx-draft/HELD": HELD} == own.summaries
    assert {**packaged.lines, "moud": "Decide with the program."} == own.lines
    assert packaged.cites == own.cites
    assert PACKAGED.shared == changed.content.shared
    assert PACKAGED.version != changed.content.version


def test_a_list_replaces_the_whole_list(tmp_path: Path) -> None:
    changed = clinical.load(
        overlay(tmp_path, f"{T1}.yaml", "override_reasons: {start: [list-outdated]}")
    )
    own, packaged = (c.cards[T1].override_reasons for c in (changed.content, PACKAGED))
    assert {**packaged, "start": ("list-outdated",)} == own


def test_a_site_may_add_what_it_cites_and_links(tmp_path: Path) -> None:
    folder = overlay(
        tmp_path,
        "sources.yaml",
        "own: {short: our guideline, title: Own guideline, publisher: us, cited_for: all, seen: own, "
        "url: 'https://intranet.example.org/x'}",
    )
    usual = ", ".join(clinical.load("").content.cards[T1].links)
    overlay(tmp_path, f"{T1}.yaml", f"links: [{usual}, own]")
    overlay(tmp_path, "README.md", "what we changed")
    assert () == clinical.load(folder).refused


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_overlay_is_named_by_check_and_left_out_by_serve(
    fault: str, tmp_path: Path
) -> None:
    name, text, complaint = FAULTY[fault]
    folder = overlay(tmp_path, name, text)
    in_force = clinical.load(folder)
    assert PACKAGED == in_force.content
    assert [] != [line for line in in_force.refused if complaint in line]
    result = CliRunner().invoke(main, ["check"], env={"NALTREXONE_CDS_CONTENT_OVERLAY": folder})
    assert 1 == result.exit_code
    assert [] != [
        line
        for line in result.output.splitlines()
        if line.startswith("FAULT") and complaint in line
    ]


def test_serve_with_a_faulty_overlay_answers_in_the_packaged_words_and_says_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = overlay(tmp_path, f"{T1}.yaml", OWN_WORDS + "lines: {moud: {text: '{nothing}'}}")
    client = create_app(
        Settings(data_dir=str(tmp_path / "var"), content_overlay=folder), lambda: NOW
    ).test_client()
    held = listed(status="on-hold")
    answer = client.post(
        "/cds-services/naltrexone-order-sign", json=call("order-sign", ldn(), meds=(held,))
    )
    assert (
        "Confirm the last dose of oxycodone before naltrexone"
        in card_of(answer.get_json()["cards"], T1)["summary"]
    )
    ready = client.get("/readyz")
    assert (200, "degraded") == (ready.status_code, ready.get_json()["status"])
    assert (
        "degraded: content overlay refused (1 complaints), packaged content in use"
        == (ready.get_json()["checks"]["content"])
    )
    written = [
        json.loads(line)
        for line in "".join(capfd.readouterr()).splitlines()
        if "content-overlay-refused" in line
    ]
    assert [("error", 1, f"{T1}.yaml: lines/moud: nothing fills {{nothing}}")] == [
        (line["level"], line["complaints"], line["first"]) for line in written
    ]


def test_serve_with_a_sound_overlay_is_ready_and_speaks_the_site_s_words(tmp_path: Path) -> None:
    folder = overlay(tmp_path, f"{T1}.yaml", OWN_WORDS)
    client = create_app(
        Settings(data_dir=str(tmp_path / "var"), content_overlay=folder), lambda: NOW
    ).test_client()
    answer = client.post(
        "/cds-services/naltrexone-order-sign",
        json=call("order-sign", ldn(), meds=(listed(status="on-hold"),)),
    )
    assert (
        "Confirm the last dose of oxycodone with the clinic"
        in card_of(answer.get_json()["cards"], T1)["summary"]
    )
    assert "ok" == client.get("/readyz").get_json()["checks"]["content"]
