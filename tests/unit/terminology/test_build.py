"""A hospital rebuilds the drug tables from an RxNorm release: what is new is found, what is broken is refused."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from cds_service.model import Coding, Concept, Drug, Identity, Role
from cds_service.terminology import load
from cds_service.terminology.build import BuildError, Report, build

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
DATA = files("cds_service.terminology") / "data"
NEW = "9000001"


def table(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def conso(rxcui: str, tty: str, name: str, suppress: str = "N", sab: str = "RXNORM") -> str:
    return "|".join(
        [
            rxcui,
            "ENG",
            "",
            "",
            "",
            "",
            "",
            f"A{rxcui}",
            "",
            rxcui,
            "",
            sab,
            tty,
            rxcui,
            name,
            "",
            suppress,
            "4096",
            "",
        ]
    )


def rel(subject: str, rela: str, target: str) -> str:
    """RRF puts the target first: the second concept is what RELA speaks of."""
    kind = ["CUI", rela, "1", "", "RXNORM", "RXNORM", "", "", "N", "4096", ""]
    return "|".join([target, "", "CUI", "RN", subject, "", *kind])


def ndc(code: str, rxcui: str, atn: str = "NDC", sab: str = "RXNORM") -> str:
    return "|".join([rxcui, "", "", "A1", "AUI", rxcui, "", "", atn, sab, code, "N", "4096", ""])


class Release:
    """The lines of a small release that lists what the packaged tables list as active, in RxNorm's own structure."""

    def __init__(self) -> None:
        by_name = {
            row["ingredient"]: row["rxcui"]
            for row in table("ingredients.csv")
            if row["tty"] == "IN"
        }
        self.conso = [
            conso(row["rxcui"], row["tty"], row["name"])
            for row in table("ingredients.csv")
            if row["rxcui"]
        ]
        self.conso += [
            conso("316", "DF", "Oral Capsule"),
            conso("1000", "SCD", "amoxicillin 500 MG Oral Capsule"),
        ]
        self.rel = []
        for row in table("products.csv"):
            if row["active"]:
                self.conso.append(conso(row["rxcui"], row["tty"], row["name"]))
                self.rel += [
                    rel(row["rxcui"], "has_ingredient", by_name[i])
                    for i in row["ingredients"].split(";")
                ]
        self.sat = [ndc("00406055201", "1049621")]

    def add(self) -> Release:
        """A 4.5 mg capsule, its parts, its salt, its brand and its packs: none of them in the tables."""
        self.conso += [
            conso("9000000", "SCDC", "naltrexone besylate 4.5 MG"),
            conso("9000002", "PIN", "naltrexone besylate"),
            conso(NEW, "SCD", "naltrexone besylate 4.5 MG Oral Capsule"),
            conso("9000003", "BN", "Lowtrex"),
            conso("9000004", "SBD", "naltrexone besylate 4.5 MG Oral Capsule [Lowtrex]"),
            conso("9000005", "GPCK", "{30 (naltrexone besylate 4.5 MG Oral Capsule) } Pack"),
            conso("9000006", "SCDG", "naltrexone Pill"),
            conso("9000007", "SBDG", "Lowtrex Pill"),
            conso(NEW, "PSN", "naltrexone 4.5 MG Oral Capsule"),
            conso(NEW, "SCD", "another name", sab="MTHSPL"),
        ]
        self.rel += [
            rel("9000002", "form_of", "7243"),
            rel("9000000", "has_precise_ingredient", "9000002"),
            rel(NEW, "consists_of", "9000000"),
            rel(NEW, "has_dose_form", "316"),
            rel("9000003", "tradename_of", "7243"),
            rel("9000004", "tradename_of", NEW),
            rel("9000004", "has_ingredient", "9000003"),
            rel("9000005", "contains", NEW),
            rel(NEW, "isa", "9000006"),
            rel("9000006", "has_ingredient", "7243"),
            rel("9000007", "has_ingredient", "9000003"),
            rel("7243", "ingredient_of", "1000"),
        ]
        self.sat += [
            ndc("99999000101", NEW),
            ndc("0999-9000-1", NEW),
            ndc("x", NEW, atn="RXN_STRENGTH"),
            ndc("99999000102", NEW, sab="MTHSPL"),
            ndc("11111111111", "1000"),
        ]
        return self

    def write(self, directory: Path) -> Path:
        directory.mkdir()
        for name, lines in (("RXNCONSO", self.conso), ("RXNREL", self.rel), ("RXNSAT", self.sat)):
            (directory / f"{name}.RRF").write_text(
                "".join(f"{line}\n" for line in lines), encoding="utf-8"
            )
        (directory / "RXNSAB.RRF").write_text(
            "C1|C2|RXNORM_26AA_261102F|RXNORM|RxNorm|RXNORM|26AA_261102F|\n"
        )
        return directory


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Report, Path]]:
    home = tmp_path_factory.mktemp("build")
    yield build(Release().add().write(home / "rrf"), home / "tables"), home / "tables"


def recognised(directory: Path, code: str, system: str = RXNORM) -> tuple[tuple[str, Role], ...]:
    found = load(directory).recognise(Drug(Concept((Coding(system, code),))))
    return tuple((c.ingredient, c.role) for c in found.components)


def test_everything_new_is_reported_and_recognised(built: tuple[Report, Path]) -> None:
    """Through parts, salts, brands, packs and groups, every new code leads to naltrexone."""
    report, tables = built
    new = ["9000000", NEW, "9000003", "9000004", "9000005", "9000006", "9000007"]
    assert new == [line.split()[0] for line in report.added]
    assert [(("naltrexone", Role.NTX_ORAL),)] * 8 == [
        recognised(tables, code) for code in [*new, "9000002"]
    ]


def test_unrelated_products_and_inverse_relations_stay_out(built: tuple[Report, Path]) -> None:
    """Amoxicillin is no naltrexone, whatever "ingredient_of" says the other way round."""
    assert () == recognised(built[1], "1000")


def test_strength_and_form_of_a_new_product_are_read(built: tuple[Report, Path]) -> None:
    with (built[1] / "products.csv").open(encoding="utf-8") as handle:
        row = next(row for row in csv.DictReader(handle) if row["rxcui"] == NEW)
    assert {
        "rxcui": NEW,
        "tty": "SCD",
        "name": "naltrexone besylate 4.5 MG Oral Capsule",
        "ingredients": "naltrexone",
        "dose_form": "Oral Capsule",
        "brand": "",
        "extended_release": "",
        "active": "1",
    } == row


def test_package_codes_of_the_release_are_added(built: tuple[Report, Path]) -> None:
    """Only RxNorm's own eleven digits, and only for our products."""
    report, tables = built
    assert (1, 0) == (report.ndc_added, report.ndc_changed)
    assert (("naltrexone", Role.NTX_ORAL),) == recognised(
        tables, "99999-0001-01", "http://hl7.org/fhir/sid/ndc"
    )


def test_nothing_else_changes(built: tuple[Report, Path]) -> None:
    report, _ = built
    assert ((), (), "RxNorm 26AA_261102F") == (report.removed, report.changed, report.release)


def test_the_new_release_is_the_version(built: tuple[Report, Path]) -> None:
    assert load(built[1]).version.startswith("RxNorm 26AA_261102F; ")


def test_a_release_that_says_what_the_tables_say_changes_no_product(tmp_path: Path) -> None:
    """What only we know of a product (its form, its slow release) survives a release that does not say it."""
    build(Release().write(tmp_path / "rrf"), tmp_path / "tables")
    with (tmp_path / "tables" / "products.csv").open(encoding="utf-8") as handle:
        assert table("products.csv") == list(csv.DictReader(handle))


def test_the_same_release_twice_changes_nothing(tmp_path: Path) -> None:
    release = Release().add().write(tmp_path / "rrf")
    build(release, tmp_path / "tables")
    before = contents(tmp_path / "tables")
    again = build(release, tmp_path / "tables")
    assert (before, (), (), ()) == (
        contents(tmp_path / "tables"),
        again.added,
        again.removed,
        again.changed,
    )


def test_retired_and_renamed_products_are_reported_and_kept(tmp_path: Path) -> None:
    """A code that a release drops is inactive and still recognised; a new name is a change."""
    release = Release()
    release.conso = [line for line in release.conso if not line.startswith("1049621|")]
    release.conso = [
        line.replace("naltrexone hydrochloride 50 MG Oral", "naltrexone HCl 50 MG Oral")
        if line.startswith("1483744|")
        else line
        for line in release.conso
    ]
    report = build(release.write(tmp_path / "rrf"), tmp_path / "tables")
    assert ("1049621 oxycodone hydrochloride 5 MG Oral Tablet",) == report.removed
    assert ("1483744 naltrexone HCl 50 MG Oral Tablet",) == report.changed
    assert (("oxycodone", Role.FULL_SA),) == recognised(tmp_path / "tables", "1049621")


def test_a_suppressed_product_is_not_active(tmp_path: Path) -> None:
    release = Release()
    release.conso = [
        line.replace("|N|4096|", "|O|4096|") if line.startswith("1049621|") else line
        for line in release.conso
    ]
    assert 1 == len(build(release.write(tmp_path / "rrf"), tmp_path / "tables").removed)


def test_files_that_the_release_does_not_make_are_kept(tmp_path: Path) -> None:
    """A site's own names or conditions beside the tables survive a rebuild."""
    release = Release().write(tmp_path / "rrf")
    build(release, tmp_path / "tables")
    (tmp_path / "tables" / "names.csv").write_text(
        "text,match,ingredients,kind\nFoobarol,phrase,morphine,brand\n"
    )
    build(release, tmp_path / "tables")
    found = load(tmp_path / "tables").recognise(Drug(Concept(text="Foobarol 10 mg")))
    assert ["morphine"] == [c.ingredient for c in found.components]


def contents(directory: Path) -> dict[str, str]:
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(directory.iterdir())}


def without(name: str) -> Release:
    release = Release()
    release.conso = [line for line in release.conso if not line.startswith(name)]
    return release


def extended(attribute: str, *lines: str) -> Release:
    release = Release()
    setattr(release, attribute, [*getattr(release, attribute), *lines])
    return release


def half() -> Release:
    release = Release()
    release.conso = [line for line in release.conso if "|SCD|" not in line]
    return release


def empty(attribute: str) -> Release:
    release = Release()
    setattr(release, attribute, [])
    return release


@pytest.mark.parametrize(
    ("release", "complaint"),
    [
        (without("7243|"), "naltrexone (7243) is missing"),
        (half(), "opioid clinical drugs, the tables in use have"),
        (empty("rel"), "RXNREL.RRF: is empty"),
        (empty("sat"), "RXNSAT.RRF: is empty"),
        (extended("conso", "1|2|3"), "columns instead of 18"),
        (extended("rel", "1|2|3|"), "columns instead of 16"),
        (extended("sat", ndc("1", "1") + "x|"), "columns instead of 13"),
        (extended("conso", ""), "has 0 columns"),
        (
            extended("conso", conso("7243", "IN", "something else")),
            "rxcui 7243 stands for two concepts",
        ),
        (
            extended("conso", conso("7243", "SCD", "naltrexone")),
            "rxcui 7243 stands for two concepts",
        ),
        (extended("conso", conso("abc", "SCD", "naltrexone")), "no number or no name"),
        (
            extended("sat", ndc("00406055201", "1483744")),
            "NDC 00406055201 belongs to 1049621 and to 1483744",
        ),
    ],
)
def test_a_broken_release_is_refused_and_the_old_tables_stay(
    built: tuple[Report, Path], tmp_path: Path, release: Release, complaint: str
) -> None:
    shutil.copytree(built[1], tmp_path / "tables")
    before = contents(tmp_path / "tables")
    with pytest.raises(BuildError) as refused:
        build(release.write(tmp_path / "bad"), tmp_path / "tables")
    assert complaint in str(refused.value)
    assert before == contents(tmp_path / "tables")
    assert ["bad", "tables"] == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize("name", ["RXNCONSO.RRF", "RXNREL.RRF", "RXNSAT.RRF"])
def test_a_missing_file_is_named_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    release = Release().write(tmp_path / "rrf")
    (release / name).unlink()
    with pytest.raises(BuildError) as refused:
        build(release, tmp_path / "tables")
    assert str(refused.value).startswith(f"{name}: cannot be read")
    assert not (tmp_path / "tables").exists()


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    release = Release().write(tmp_path / "rrf")
    (release / "RXNREL.RRF").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BuildError, match=r"RXNREL\.RRF: is not UTF-8"):
        build(release, tmp_path / "tables")


def test_tables_that_name_an_unknown_substance_cannot_be_loaded(
    built: tuple[Report, Path], tmp_path: Path
) -> None:
    shutil.copytree(built[1], tmp_path / "tables")
    (tmp_path / "tables" / "names.csv").write_text(
        "text,match,ingredients,kind\nFoobarol,phrase,foobar,brand\n"
    )
    with pytest.raises(ValueError, match="foobar"):
        load(tmp_path / "tables")


def test_a_directory_without_tables_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path)


def test_every_other_name_and_number_of_the_release_is_another_drugs(tmp_path: Path) -> None:
    """An IN, PIN, BN or MIN name counts as other because the site's release says so, unless an opioid is in it."""
    release = Release()
    release.conso += [
        conso("9100000", "IN", "blorptexin"),
        conso("9100001", "BN", "Zyxolor"),
        conso("9100002", "MIN", "blorptexin / zyxolamide"),
        conso("9100003", "IN", "furanyl morphine"),
        conso("9100004", "SCD", "blorptexin 5 MG Oral Capsule"),
        conso("9100005", "DF", "Oral Foam"),
    ]
    build(release.write(tmp_path / "rrf"), tmp_path / "tables")
    site, packaged = load(tmp_path / "tables"), load()
    named = [
        Drug(Concept(text=t)) for t in ("Blorptexin 5 mg", "ZYXOLOR", "blorptexin / zyxolamide")
    ]
    coded = [
        Drug(Concept((Coding(RXNORM, code),)))
        for code in ("9100000", "9100004", "1000", "9100003", "9100006")
    ]
    assert [Identity.UNKNOWN] * 3 == [packaged.recognise(d).kind for d in named]
    assert [Identity.OTHER] * 3 == [site.recognise(d).kind for d in named]
    assert [Identity.OTHER] * 3 + [Identity.UNREADABLE] * 2 == [
        site.recognise(d).kind for d in coded
    ]
    assert Identity.RELEVANT is site.recognise(Drug(Concept(text="furanyl morphine"))).kind
