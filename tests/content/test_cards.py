"""The content is data that checks itself: faults are named, numbers are dated, forbidden words stay out."""

from __future__ import annotations

import re
import shutil
from datetime import date
from pathlib import Path

import pytest

from cds_service import clinical
from cds_service.cli import check
from cds_service.content import loader as content


def overlay(folder: Path, name: str, before: str, after: str) -> str:
    """A folder with one changed content file."""
    text = (content.content_folder() / f"{name}.yaml").read_text(encoding="utf-8")
    assert before in text
    (folder / f"{name}.yaml").write_text(text.replace(before, after, 1), encoding="utf-8")
    return str(folder)


def test_the_packaged_content_has_no_fault() -> None:
    assert [] == check.run().faults


@pytest.mark.parametrize(
    ("name", "before", "after", "fault"),
    [
        ("naltrexone-data-gap", "sources: [J]", "sources: [nowhere]", "no source 'nowhere'"),
        ("naltrexone-off-label", "{mg}", "{milligrams}", "nothing fills {milligrams}"),
        (
            "naltrexone-opioid-interaction",
            "opposing drugs",
            "guideline-recommended drugs",
            "says 'guideline-recommended'",
        ),
        ("naltrexone-opioid-interaction", "opposing drugs.", "safe drugs.", "says 'safe'"),
        ("naltrexone-dose-check", "links: [label-oral]", "links: [J]", "'J' has no URL"),
        ("naltrexone-dose-check", "list-outdated,", "made-up,", "no override reason 'made-up'"),
        (
            "naltrexone-dose-check",
            "id: naltrexone-dose-check",
            "id: naltrexone-other",
            "id must be",
        ),
        ("naltrexone-patient-safety", "title: Naltrexone and this patient", "titel: x", "titel"),
        (
            "thresholds",
            "value: 14, sources: [label-vivitrol, J]",
            "value: soon, sources: [J]",
            "thresholds.yaml",
        ),
        ("thresholds", "sources: [S, J]", "sources: [S, Z]", "start_low: no source 'Z'"),
        ("shared", "{found}", "nothing", "shared.yaml"),
        (
            "naltrexone-off-label",
            "Microgram naltrexone is off-label",
            "Microgram naltrexone " + "very " * 20 + "off-label",
            "characters",
        ),
    ],
)
def test_a_fault_in_the_content_is_refused_and_named(
    tmp_path: Path, name: str, before: str, after: str, fault: str
) -> None:
    with pytest.raises(content.ContentError, match=re.escape(fault)) as refused:
        clinical.load_checked(overlay(tmp_path, name, before, after))
    assert all(line.startswith(f"{name}.yaml: ") for line in refused.value.faults)


def test_a_site_overlays_one_word_without_code(tmp_path: Path) -> None:
    changed = content.load(overlay(tmp_path, "shared", "Naltrexone safety", "Example Hospital"))
    assert "Example Hospital" == changed.shared["source_label"]
    assert content.load().version != changed.version


def test_a_threshold_changes_on_its_day_and_history_stays(tmp_path: Path) -> None:
    before = "  - {from: 2026-11-21, value: 18, sources: [label-oral]}"
    changed = content.load(
        overlay(
            tmp_path,
            "thresholds",
            before,
            before + "\n  - {from: 2027-01-01, value: 12, sources: [label-oral]}",
        )
    )
    assert (18, 12, 12) == tuple(
        changed.thresholds(day)["adult_age"]
        for day in (date(2026, 12, 31), date(2027, 1, 1), date(2030, 1, 1))
    )


def test_a_broken_yaml_file_is_one_line(tmp_path: Path) -> None:
    shutil.copy(content.content_folder() / "shared.yaml", tmp_path / "shared.yaml")
    (tmp_path / "shared.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(content.ContentError, match=r"shared\.yaml: not valid YAML"):
        content.load(str(tmp_path))


def test_no_clinician_has_signed_and_the_content_says_so() -> None:
    loaded = content.load()
    assert not loaded.reviewed
    assert {None} == {card.reviewed_by for card in loaded.cards.values()}
