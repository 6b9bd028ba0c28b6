"""Name packs: what ships is sound, and what is wrong with a site's own is said by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds_service.model import Concept, Drug, Identity
from cds_service.terminology import load
from cds_service.terminology.packs import check_pack, packaged_packs

PACKS = Path(__file__).parents[3] / "cds_service" / "terminology" / "packs"
HEAD = "name,ingredients,hint,match,class\n"


def pack(folder: Path, *lines: str, readme: str = "Version: 1\n") -> Path:
    folder.mkdir()
    (folder / "names.csv").write_text(
        HEAD + "".join(f"{line}\n" for line in lines), encoding="utf-8"
    )
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "folder",
    sorted(p for p in PACKS.iterdir() if p.is_dir() and p.name[0] != "_"),
    ids=lambda p: p.name,
)
def test_a_shipped_pack_is_sound(folder: Path) -> None:
    assert [] == check_pack(folder, frozenset(load().tables.ingredients))


def test_every_relevant_name_of_the_packs_is_found_as_written() -> None:
    terminology = load()
    wrong = []
    for shipped in packaged_packs():
        for row in shipped.names:
            want = set(row.ingredients) - terminology.tables.never - {"nalmefene"}
            found = terminology.recognise(Drug(Concept(text=row.name)))
            if row.relevant and want and not want & {c.ingredient for c in found.components}:
                wrong.append((shipped.title, row.name, found.kind))
    assert [] == wrong


def test_no_other_name_of_the_packs_is_relevant() -> None:
    terminology = load()
    wrong = [
        (p.title, row.name)
        for p in packaged_packs()
        for row in p.names
        if not row.relevant
        and row.match != "unclear"
        and terminology.recognise(Drug(Concept(text=row.name))).components
    ]
    assert [] == wrong


def test_no_other_name_of_the_tables_holds_a_relevant_one() -> None:
    """A listed name of another drug must never hide an opioid: none of them reads as one."""
    terminology = load()
    never = terminology.tables.never | {"nalmefene"}
    names = sorted(terminology.tables.others.names)[::7]
    wrong = [
        n
        for n in names
        if {c.ingredient for c in terminology.recognise(Drug(Concept(text=n))).components} - never
    ]
    assert ([], True) == (wrong, len(names) > 5_000)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("Foobarol,morphine,er,,maybe", "class must be"),
        ("Foobarol,,,,relevant", "needs its ingredients"),
        ("Foobarol,morfin,,,relevant", "unknown ingredient morfin"),
        ("Foobarol,morphine,slowly,,relevant", "unknown hint"),
        ("Foobarol,morphine,,regex,relevant", "match must be"),
        ("xy,morphine,,,relevant", "too short"),
        (",morphine,,,relevant", "empty"),
        ("tablet,,,,other", "no name of a medicine"),
    ],
)
def test_a_fault_is_said_with_its_line(tmp_path: Path, line: str, what: str) -> None:
    complaints = check_pack(pack(tmp_path / "xx", "Bazol,,,,other", line), frozenset({"morphine"}))
    assert ["xx/names.csv:3:"] == [c[:15] for c in complaints]
    assert what in complaints[0]


def test_a_pack_without_a_version_or_with_other_columns_is_refused(tmp_path: Path) -> None:
    assert [
        "states no version" in c for c in check_pack(pack(tmp_path / "a", readme="none\n"))
    ] == [True]
    other = pack(tmp_path / "b")
    (other / "names.csv").write_text("name;class\n", encoding="utf-8")
    assert ["the columns must be" in c for c in check_pack(other)] == [True]
    assert ["is missing" in c for c in check_pack(tmp_path / "nowhere")] == [True]


def test_a_site_adds_its_own_pack_and_calls_a_name_unclear(tmp_path: Path) -> None:
    folder = tmp_path / "packs"
    folder.mkdir()
    pack(
        folder / "pl", "Foobarol,morphine,er,,relevant", "Bazolek,,,,other", "Zydol,,,unclear,other"
    )
    terminology = load(packs=folder)
    kinds = [
        terminology.recognise(Drug(Concept(text=t))).kind
        for t in ("Foobarol 10", "Bazolek", "Zydol 50 mg")
    ]
    assert [Identity.RELEVANT, Identity.OTHER, Identity.UNKNOWN] == kinds
    assert ("pl", "1") in terminology.packs
    assert "text in pack pl" in terminology.recognise(Drug(Concept(text="Foobarol"))).matched_by
