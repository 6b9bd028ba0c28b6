"""A site's own list of unknown names: opt-in, ten patients, a name and nothing else, for its owner only."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cds_service import settings as configuration
from cds_service.__main__ import main
from cds_service.app import create_app
from cds_service.journal import unknown_names
from cds_service.journal.pseudonyms import Pseudonyms
from cds_service.journal.unknown_names import UnknownNames, normalised, read_names
from tests.conformance.calls import call, listed, naltrexone_50
from tests.conftest import AS_OF

SIGN = "/cds-services/naltrexone-order-sign"
BRAND = "Zorblaxin"


@pytest.fixture
def names(tmp_path: Path) -> UnknownNames:
    return UnknownNames(tmp_path / "unknown.txt", Pseudonyms(tmp_path / "audit.key"))


def see(names: UnknownNames, patients: int, *said: str, issuer: str = "i") -> None:
    for number in range(patients):
        names.see(issuer, f"p{number}", said)


def test_the_tenth_patient_writes_the_name_and_nothing_else(
    names: UnknownNames, tmp_path: Path
) -> None:
    file = tmp_path / "unknown.txt"
    see(names, 9, BRAND)
    assert not file.exists()
    see(names, 10, f"{BRAND.upper()}  20 mg")
    assert f"{BRAND.lower()}\n" == file.read_text(encoding="utf-8")
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)


def test_one_patient_counts_once_however_often_and_whatever_the_strength(
    names: UnknownNames, tmp_path: Path
) -> None:
    for strength in range(40):
        names.see("i", "p", [f"{BRAND} {strength} mg"])
    names.see("i", "", [BRAND])
    assert () == read_names(tmp_path / "unknown.txt")


def test_a_patient_id_of_another_issuer_is_another_patient(
    names: UnknownNames, tmp_path: Path
) -> None:
    see(names, 5, BRAND)
    see(names, 5, BRAND, issuer="j")
    assert (BRAND.lower(),) == read_names(tmp_path / "unknown.txt")


@pytest.mark.parametrize(
    "said",
    [
        "Zorblaxin call 555 0199",
        "Zorblaxin 2026-11-25",
        "Zorblaxin 25.11.26",
        "ask jane@example.org",
        "see https://example.org/x",
        "Patient: Smith",
        "Mr Smith's tablets",
        "MRN 12",
        "one two three four five six seven",
        "x" * 61,
        "x " * 400,
        "Zorb\x00laxin",
        "1234",
        " - ",
        "",
    ],
)
def test_what_may_be_more_than_a_name_is_never_kept(
    names: UnknownNames, tmp_path: Path, said: str
) -> None:
    see(names, 12, said)
    assert () == read_names(tmp_path / "unknown.txt")
    assert not names._seen


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Zorblaxin 12,5 mg/5 ml", "zorblaxin"),
        ("ZORBLAXIN\u00a0500MG", "zorblaxin"),
        ("Zorblaxin B12", "zorblaxin b12"),
        ("Zorblaxin-Plus 10 %", "zorblaxin-plus"),
        ("x" * 60, "x" * 60),
        ("one two three four five six", "one two three four five six"),
        ("ゾルブラ錠5mg", "ゾルブラ錠5mg"),
        ("Zorb 123", "zorb 123"),
    ],
)
def test_letter_case_spaces_and_strengths_are_put_aside(said: str, kept: str) -> None:
    assert kept == normalised(said)


def test_the_number_of_candidates_is_bounded_and_the_oldest_makes_room(
    names: UnknownNames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown_names, "MOST_CANDIDATES", 3)
    see(names, 9, BRAND)
    for other in ("alpha", "beta", "gamma"):
        names.see("i", "p1", [other])
    names.see("i", "p-new", [BRAND])
    assert ((), 3) == (read_names(tmp_path / "unknown.txt"), len(names._seen))


def test_the_file_is_bounded_and_holds_a_name_once_over_all_workers(
    names: UnknownNames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown_names, "MOST_NAMES", 2)
    file = tmp_path / "unknown.txt"
    other_worker = UnknownNames(file, Pseudonyms(tmp_path / "audit.key"))
    see(names, 10, "alpha")
    see(other_worker, 10, "alpha", "beta", "gamma")
    assert 2 == len(file.read_text(encoding="utf-8").splitlines()) == len(read_names(file))
    assert "alpha" in read_names(file)


def test_a_file_that_cannot_be_written_is_a_fault_and_the_next_patient_tries_again(
    names: UnknownNames, tmp_path: Path
) -> None:
    file = tmp_path / "unknown.txt"
    file.symlink_to(tmp_path / "elsewhere.txt")
    see(names, 10, BRAND)
    assert ("OSError", False) == (names.fault, (tmp_path / "elsewhere.txt").exists())
    file.unlink()
    names.see("i", "p-late", [BRAND])
    assert ("", (BRAND.lower(),)) == (names.fault, read_names(file))


def test_a_file_that_others_may_read_is_narrowed(names: UnknownNames, tmp_path: Path) -> None:
    file = tmp_path / "unknown.txt"
    file.write_text("older\n", encoding="utf-8")
    file.chmod(0o644)
    see(names, 10, BRAND)
    assert (0o600, ("older", BRAND.lower())) == (
        stat.S_IMODE(file.stat().st_mode),
        read_names(file),
    )


def test_without_a_key_nothing_is_counted(tmp_path: Path) -> None:
    names = UnknownNames(
        tmp_path / "unknown.txt", Pseudonyms(tmp_path / "none" / "audit.key", make=False)
    )
    see(names, 12, BRAND)
    assert () == read_names(tmp_path / "unknown.txt")


def chart(patient: str) -> dict[str, Any]:
    sent = call(
        "order-sign",
        naltrexone_50(patient=patient),
        meds=(listed(BRAND, patient=patient), listed("Quexipram", id="m-2", patient=patient)),
    )
    sent["context"]["patientId"] = patient
    return sent


def test_calls_of_ten_patients_list_the_name_only_where_the_site_asked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "unknown.txt"
    for asked in ("", str(file)):
        data = tmp_path / f"data{bool(asked)}"
        made = configuration.load(None, {}, data_dir=str(data), unknown_names_file=asked)
        web = create_app(made, now=lambda: AS_OF).test_client()
        for number in range(10):
            assert 200 == web.post(SIGN, json=chart(f"pat-{number}")).status_code
        assert (bool(asked), BRAND in web.get("/metrics").text) == (file.exists(), False)
    assert ("quexipram", "zorblaxin") == read_names(file)
    said = capfd.readouterr()
    assert BRAND.lower() not in (said.out + said.err).lower()


def test_the_command_prints_the_list_and_says_where_there_is_none(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(f'unknown_names_file = "{tmp_path}/unknown.txt"\n', encoding="utf-8")
    (tmp_path / "unknown.txt").write_text("beta\nalpha\nbeta\n", encoding="utf-8")
    words = ["terminology", "unknown", "--settings", str(settings)]
    listed_names = CliRunner().invoke(main, words)
    assert (0, "alpha\nbeta\n") == (listed_names.exit_code, listed_names.stdout)
    refused = CliRunner().invoke(main, words[:2])
    assert (2, True) == (refused.exit_code, "unknown_names_file is not set" in refused.stderr)


def test_a_folder_that_is_not_there_is_refused_before_a_port_is_bound(tmp_path: Path) -> None:
    with pytest.raises(configuration.SettingsError, match="unknown_names_file"):
        configuration.load(None, {}, unknown_names_file=str(tmp_path / "none" / "unknown.txt"))
