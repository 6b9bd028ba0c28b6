"""The diff of two replays counts every changed verdict, shows no small cell, names nobody, and compares like with like."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service import signing
from cds_service.__main__ import main
from cds_service.retrospective import output
from cds_service.retrospective.diff import DiffError, compare, kind, read_replayed
from cds_service.retrospective.run import Plan, finish, replay
from cds_service.settings import ContentReview, Reviewer, Settings
from tests.retrospective.generate import FIRST, LAST, Style, write

LEVELS = ("none", "info", "warning", "critical")
TOPICS = ("naltrexone-opioid-interaction", "naltrexone-off-label")
OTHER_NUMBERS = """
long_acting_days: [{from: 2026-11-21, value: 12, sources: [J]}]
brief_course_days: [{from: 2026-11-21, value: 9, sources: [J]}]
short_acting_days: [{from: 2026-11-21, value: {critical_below: 2, warning_below: 3}, sources: [J]}]
"""
Row = dict[str, Any]


def made(folder: Path, export: Path, **changes: Any) -> Path:
    plan = replace(Plan(export, folder, FIRST, LAST, partitions=2), **changes)
    output.write_verdicts(replay(plan), folder)
    finish(plan)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One export replayed: as it is, with other numbers of a site, under another key, and with ids."""
    place = tmp_path_factory.mktemp("diff")
    write(place / "export", 5, 360, Style.OVERWRITTEN)
    (place / "own").mkdir()
    (place / "own/thresholds.yaml").write_text(OTHER_NUMBERS, encoding="utf-8")
    kept = {"pseudonyms": place / "key", "export": place / "export"}
    return {
        "export": place / "export",
        "old": made(place / "old", **kept),
        "new": made(place / "new", **kept, overlay=str(place / "own")),
        "other key": made(place / "strange", place / "export"),
        "old ids": made(place / "old-ids", place / "export", with_ids=True),
        "new ids": made(place / "new-ids", place / "export", with_ids=True, overlay=str(place / "own")),
    }  # fmt: skip


def command(*words: object) -> Result:
    return CliRunner().invoke(main, ["diff", *map(str, words)])


def lines_of(folder: Path) -> dict[tuple[str, str], Row]:
    said = map(json.loads, (folder / "verdicts.json").read_text(encoding="utf-8").splitlines())
    return {(line["session"], line["topic"]): line for line in said if line["topic"]}


def recount(old: Path, new: Path) -> Iterator[Counter[tuple[str, str, str]]]:
    """The moves of each reading, counted from the lines of JSON by other code."""
    was, now = lines_of(old), lines_of(new)
    for reading in ("as_exported", "if_still_active"):
        pairs = [(key[1], was.get(key, {}).get(reading, "none"), now.get(key, {}).get(reading, "none"))
                 for key in {*was, *now}]  # fmt: skip
        yield Counter(each for each in pairs if each[1] != each[2])


def counted(found: Row) -> dict[tuple[str, str, str], list[int] | None]:
    return {(m["topic"], m["was"], m["now"]): m["sessions"] for m in found["moves"]}


def test_other_numbers_of_a_site_are_counted_by_rule_and_indicator(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    found = compare(*(read_replayed(folders[n]) for n in ("old", "new")), small=1, most=10_000)
    both = [*recount(folders["old"], folders["new"])]
    expected = {key: sorted(one[key] for one in both) for key in {*both[0], *both[1]}}
    assert expected
    assert expected == counted(found)
    versions = [found[side]["versions"] for side in ("old", "new")]
    assert versions[0]["content"] != versions[1]["content"]
    assert versions[0]["rules"] == versions[1]["rules"]
    assert 1 == command(folders["old"], folders["new"], "--out", tmp_path).exit_code
    assert "Verdicts changed" in (tmp_path / "diff.html").read_text(encoding="utf-8")


def test_a_site_runs_the_content_whose_diff_is_signed(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """From two replays over the page and the reviewer's signature to the content in force."""
    command(folders["old"], folders["new"], "--out", tmp_path)
    key = (
        CliRunner().invoke(main, ["sign", "key", "--out", str(tmp_path / "ada.jwk")]).output.strip()
    )
    review = ContentReview(True, str(tmp_path / "content.jws"), (Reviewer("Ada, pharmacist", key),))
    settings = Settings(content_overlay=str(folders["new"].parent / "own"), content_review=review)
    assert signing.in_force(settings).refused
    words = ["--reviewer", "Ada, pharmacist", "--key", str(tmp_path / "ada.jwk"), "--yes"]
    given = ["sign", "diff", str(tmp_path / "diff.json"), *words, "--out", review.signatures]
    assert 0 == CliRunner().invoke(main, given).exit_code
    found = signing.in_force(settings)
    assert () == found.refused
    assert found.content.digest == read_replayed(folders["new"]).manifest["digests"]["content"]


def test_a_faulty_overlay_is_not_replayed(folders: dict[str, Path], tmp_path: Path) -> None:
    """Its verdicts would be those of the packaged content."""
    (tmp_path / "shared.yaml").write_text("a: [", encoding="utf-8")
    words = [
        "--bulk",
        str(folders["export"]),
        "--from",
        str(FIRST),
        "--to",
        str(LAST),
        "--out",
        str(tmp_path / "out"),
    ]
    environ = {"NALTREXONE_CDS_CONTENT_OVERLAY": str(tmp_path)}
    result = CliRunner().invoke(main, ["replay", *words], env=environ)
    assert (2, True) == (result.exit_code, "content overlay: shared.yaml" in result.output)


def test_a_replay_beside_itself_changes_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    result = command(folders["old"], folders["old"], "--out", tmp_path)
    assert (0, True) == (result.exit_code, "no verdict changed" in result.output)
    assert not json.loads((tmp_path / "diff.json").read_bytes())["changed"]
    assert "No verdict changed" in (tmp_path / "diff.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("ids", ["old", "old ids"])
def test_nobody_is_named_unless_asked(ids: str, folders: dict[str, Path], tmp_path: Path) -> None:
    """People, days and places of the changed sessions; a session is named only by its pseudonym."""
    new = ids.replace("old", "new")
    words = [folders[ids], folders[new], "--small-cells", 1, "--most", 1_000]
    command(*words, "--out", tmp_path / "quiet")
    command(*words, "--out", tmp_path / "loud", "--with-ids")
    quiet, loud = (
        "".join((tmp_path / n / f"diff.{kind}").read_text(encoding="utf-8") for kind in ("json", "html"))
        for n in ("quiet", "loud")
    )  # fmt: skip
    listed = json.loads((tmp_path / "loud/diff.json").read_bytes())["listed"]
    assert listed
    for row in listed:
        named = [
            row[name]
            for name in ("patient", "prescriber", "day", "department", "month")
            if row[name]
        ]
        assert [] == [name for name in named if f'"{name}"' in quiet or f">{name}<" in quiet]
        assert [] == [name for name in named if f'"{name}"' not in loud]
        assert (row["session"] in quiet) == (ids == "old")


class Seen(HTMLParser):
    """Every address that a page would ask for, and every inline handler or style."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.asked += [f"{tag} {name}={value}" for name, value in attrs
                       if name in {"src", "href", "style", "action"} or name.startswith("on")]  # fmt: skip


def test_the_page_is_one_file(folders: dict[str, Path], tmp_path: Path) -> None:
    command(folders["old"], folders["new"], "--out", tmp_path)
    text = (tmp_path / "diff.html").read_text(encoding="utf-8")
    seen = Seen()
    seen.feed(text)
    assert [] == seen.asked
    assert "url(" not in text
    assert "@import" not in text


def test_what_is_not_alike_is_not_compared(folders: dict[str, Path], tmp_path: Path) -> None:
    """Another key, ids on one side, another window, another export, no replay at all: one line and status 2."""
    changed = {"another export": {"counted": {"orders": 1, "patients": 1}}, "last day": {"to": "2026-09-30"},
               "no finished replay": {"variants": []}, "no finished replay (": {"counted": None}}  # fmt: skip
    cases = {
        "--pseudonyms FILE": folders["other key"],
        "--with-ids": folders["new ids"],
        "no finished": folders["export"],
    }
    manifest = json.loads((folders["old"] / "manifest.json").read_bytes())
    for number, (why, change) in enumerate(changed.items()):
        cases[why.replace("another export", "other exports")] = tmp_path / f"case-{number}"
        (tmp_path / f"case-{number}").mkdir()
        (tmp_path / f"case-{number}/verdicts.json").write_text("")
        (tmp_path / f"case-{number}/manifest.json").write_text(json.dumps({**manifest, **change}))
    for why, folder in cases.items():
        result = command(folders["old"], folder, "--out", tmp_path / "out")
        assert (2, True, 1) == (
            result.exit_code,
            why in result.output,
            len(result.output.splitlines()),
        ), result.output
        assert not (tmp_path / "out").exists()


# --- invented verdicts: every kind of change, in any number ------------------------------------------------------------


def invented(chance: Random, sessions: int) -> list[Row]:
    def said() -> list[str]:
        one = chance.choice(LEVELS)
        return [one, chance.choice((one, one, chance.choice(LEVELS))), chance.choice(("a", "b"))]

    def verdicts() -> dict[str, list[str]]:
        return {t: each for t in TOPICS if chance.random() < 0.6 if set((each := said())[:2]) != {"none"}}  # fmt: skip

    return [{"session": f"s{n}", "patient": f"p{n % 7}", "prescriber": f"d{n % 3}", "month": "2026-01",
             "week": "2025-12-29",
             "department": "Ward", "role": "Physician", "drafted": ["naltrexone"], "certain": True, "repeats": [],
             "silent": "", "verdicts": {"as it is": verdicts()}} for n in range(sessions)]  # fmt: skip


def laid(folder: Path, rows: list[Row]) -> Path:
    folder.mkdir()
    output.write_verdicts(rows, folder)
    manifest = {"from": "2026-01-01", "to": "2026-01-31", "variants": ["as it is"], "with_ids": False, "pseudonyms": "k",
                "made": "then", "counted": {"orders": 99, "patients": 7}}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize("seed", range(8))
def test_any_change_is_counted_and_no_small_cell_is_shown(seed: int, tmp_path: Path) -> None:
    chance = Random(seed)
    old = laid(tmp_path / "old", invented(chance, sessions := chance.choice((0, 3, 40, 300))))
    new = laid(tmp_path / "new", invented(chance, sessions))
    sides = read_replayed(old), read_replayed(new)
    both = [*recount(old, new)]
    expected = {key: sorted(one[key] for one in both) for key in {*both[0], *both[1]}}
    assert expected == counted(compare(*sides, small=1))
    hidden = compare(*sides, small=5, most=10_000)
    assert {
        key: None if any(0 < n < 5 for n in pair) else pair for key, pair in expected.items()
    } == counted(hidden)
    assert compare(*sides, small=1)["changed"] == (lines_of(old) != lines_of(new))
    few = {key for key, pair in counted(hidden).items() if pair is None}
    alike = Counter(
        (row["topic"], *row["was"], *row["now"], *row["situation"]) for row in hidden["listed"]
    )
    assert all(count >= 5 for count in alike.values())
    for row in hidden["listed"]:
        assert not few & {
            (row["topic"], was, now) for was, now in zip(row["was"], row["now"], strict=True)
        }
    for word, total in hidden["totals"].items():
        rows = [m for m in hidden["moves"] if m["kind"] == word]
        assert (total is None) == (sum(m["sessions"] is None for m in rows) == 1)


def test_a_replay_of_a_version_that_knew_no_key_is_compared_by_ids(tmp_path: Path) -> None:
    """Its manifest has no mark of a key; without ids its sessions could not be found again."""
    rows = invented(Random(3), 30)
    sides = [laid(tmp_path / name, rows) for name in ("old", "new")]
    for ids, refused in ((True, False), (False, True)):
        for folder, key in zip(sides, ({}, {"pseudonyms": "" if ids else "k"}), strict=True):
            manifest = json.loads((folder / "manifest.json").read_bytes())
            manifest.pop("pseudonyms", None)
            (folder / "manifest.json").write_text(json.dumps({**manifest, **key, "with_ids": ids}))
        assert (2 if refused else 0) == command(*sides, "--out", tmp_path / "out").exit_code


def test_the_kinds_of_move_are_four() -> None:
    found = {pair: kind(*pair) for pair in product(LEVELS, LEVELS) if pair[0] != pair[1]}
    assert {"appeared": 3, "vanished": 3, "moved up": 3, "moved down": 3} == Counter(found.values())
    assert "appeared" == found["none", "info"]
    assert "vanished" == found["critical", "none"]
    assert "moved up" == found["info", "critical"]
    assert "moved down" == found["warning", "info"]


def test_the_list_is_bounded_and_begins_with_the_loudest(tmp_path: Path) -> None:
    rows = invented(Random(1), 200)
    sides = [
        read_replayed(laid(tmp_path / n, each))
        for n, each in (("old", rows), ("new", invented(Random(2), 200)))
    ]
    listed = compare(*sides, small=1, most=7)["listed"]
    loudness = [max(LEVELS.index(w) for w in (*row["was"], *row["now"])) for row in listed]
    assert 7 == len(listed)
    assert sorted(loudness, reverse=True) == loudness


def test_a_parquet_that_is_none_is_said(tmp_path: Path) -> None:
    old = laid(tmp_path / "old", invented(Random(1), 5))
    (old / "verdicts.parquet").write_bytes(b"no parquet")
    with pytest.raises(DiffError, match=r"verdicts\.parquet cannot be read"):
        compare(read_replayed(old), read_replayed(old))
