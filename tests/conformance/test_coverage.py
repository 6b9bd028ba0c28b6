"""Every conformance id that is demanded has a test that bears its name."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.coverage import AT_THE_PROXY, DEMANDED, LATER, collect, missing, table
from tests.conformance.pages import text_of


def test_every_demanded_id_has_a_test_but_what_only_the_proxy_can_show() -> None:
    assert AT_THE_PROXY == missing(collect())


def test_every_name_is_an_id_of_the_conformance_page() -> None:
    assert set() == set(collect()) - {*DEMANDED, *LATER}


def test_no_id_is_listed_twice() -> None:
    assert len({*DEMANDED, *LATER}) == len([*DEMANDED, *LATER])


def test_an_id_without_a_test_is_shown(tmp_path: Path) -> None:
    """The check can fail: a folder with one test lacks all the other ids."""
    (tmp_path / "test_one.py").write_text(
        "def test_CR01_x():\n    pass\n# def test_CR02_y(): pass\n", encoding="utf-8"
    )
    assert [name for name in DEMANDED if name != "CR01"] == missing(collect(tmp_path))
    row = next(
        line for line in table(collect(tmp_path)).splitlines() if line.startswith("| CR02 |")
    )
    assert row.endswith("| 0 | **none** |")
    assert "No `null` members" in row


def test_every_id_has_its_text() -> None:
    assert [] == [name for name in [*DEMANDED, *LATER] if not text_of(name)]
