"""The decision diff names what a changed number changes, why, and nothing else."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.decision_diff.__main__ import compare, main, moment
from tests.decision_diff.calls import Call, all_calls, of_folder
from tests.decision_diff.causes import NO_TRACE, causes
from tests.decision_diff.decisions import HTTP, Card, Change, Decision, changes, decision
from tests.decision_diff.generated import generated
from tests.decision_diff.report import Changed, Report, as_markdown, as_text, lines
from tests.decision_diff.versions import ROOT, Version, VersionError, run, version
from tests.retrospective.generate import METHADONE as METHADONE_DRUG
from tests.retrospective.generate import NALTREXONE as NALTREXONE_DRUG
from tests.retrospective.generate import Style
from tests.retrospective.generate import request as export_order
from tests.vignettes.builder import INTERACTION, request
from tests.vignettes.situations import METHADONE, finished, naltrexone, opioid, situation

DAYS = (9, 10, 11, 12, 13, 14)


@pytest.fixture(scope="module")
def here() -> Version:
    return Version("here", ROOT)


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    """A drafted naltrexone meets methadone that ended so many days ago; an opioid drafted alone."""
    met = [situation([naltrexone()], [finished(METHADONE, days)]) for days in DAYS]
    named = [
        Call(f"made/{days}", request(case, "R4", "order-sign"))
        for days, case in zip(DAYS, met, strict=True)
    ]
    return [*named, Call("made/alone", request(situation([opioid()]), "R4", "order-sign"))]


def copied(folder: Path) -> Path:
    """The package as it stands here, in another place."""
    for name in ("cds_service", "cards"):
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
    return folder


@pytest.fixture(scope="module")
def shorter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """This version with 12 days for 14 after a long-acting opioid."""
    folder = copied(tmp_path_factory.mktemp("shorter"))
    file = next(folder.rglob("thresholds.yaml"))
    text = file.read_text(encoding="utf-8")
    before, name, after = text.partition("long_acting_days:")
    assert "value: 14" in after.splitlines()[1]
    file.write_text(before + name + after.replace("value: 14", "value: 12", 1), encoding="utf-8")
    yield folder


def test_one_moved_threshold_changes_exactly_its_decisions(
    here: Version, shorter: Path, calls: list[Call]
) -> None:
    """12 for 14 days: the calls at 12 and 13 days fall silent, each by that number, and no other call changes."""
    report = compare(here, Version("shorter", shorter), calls)
    assert [("made/12", INTERACTION), ("made/13", INTERACTION)] == [
        (c.call, c.topic) for c in report.changed
    ]
    assert {"critical -> none; suggestions -DEL_NTX*"} == {c.what for c in report.changed}
    assert {("threshold long_acting_days: 14 -> 12",)} == {
        tuple(k.kind for k in c.causes) for c in report.changed
    }


def test_a_version_beside_itself_changes_nothing(
    here: Version, tmp_path: Path, calls: list[Call]
) -> None:
    """A copy decides like its original, words and override reasons included."""
    report = compare(here, Version("copy", copied(tmp_path)), calls, words=True)
    assert (len(calls), ()) == (report.calls, report.changed)


def test_a_wheel_stands_beside_a_folder(shorter: Path, tmp_path: Path, calls: list[Call]) -> None:
    """A wheel is unpacked and runs from there, not from the tree that the command is run in."""
    wheel = tmp_path / "naltrexone_cds-0.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in sorted(p for p in shorter.rglob("*") if p.is_file()):
            archive.write(file, file.relative_to(shorter))
    with version(str(wheel)) as old, version(str(ROOT)) as new:
        assert ROOT != old.folder
        report = compare(old, new, calls)
    assert ["made/12", "made/13"] == [c.call for c in report.changed]
    assert not old.folder.exists()


def test_a_version_without_a_trace_is_still_compared(
    here: Version, shorter: Path, tmp_path: Path, calls: list[Call]
) -> None:
    """Where a version cannot explain itself, its decisions count all the same, and the cause says so."""
    mute = tmp_path / "mute"
    shutil.copytree(shorter, mute)
    command = mute / "cds_service" / "__main__.py"
    command.write_text("raise SystemExit('no commands here')\n", encoding="utf-8")
    report = compare(here, Version("mute", mute), calls)
    assert ["made/12", "made/13"] == [c.call for c in report.changed]
    assert {(NO_TRACE,)} == {tuple(k.kind for k in c.causes) for c in report.changed}


@pytest.mark.parametrize("name", ["no-such-revision", "cards-only"])
def test_what_is_no_version_is_said(name: str, tmp_path: Path) -> None:
    """A folder without the package, and a name that git does not know, stop the command with status 2."""
    (tmp_path / "cards-only").mkdir()
    place = str(tmp_path / name) if name == "cards-only" else name
    with pytest.raises(VersionError, match=name), version(place):
        pass
    assert 2 == CliRunner().invoke(main, [place, str(ROOT), "--only", "nothing"]).exit_code


def test_the_command_prints_writes_and_exits_by_what_it_found(
    shorter: Path, tmp_path: Path, calls: list[Call]
) -> None:
    """Any folder of bodies is compared; 1 with changes, 0 without, and both files say what was printed."""
    bodies = tmp_path / "bodies"
    bodies.mkdir()
    (bodies / "all.ndjson").write_text(
        "\n".join(json.dumps(c.body) for c in calls), encoding="utf-8"
    )
    files = [str(tmp_path / "d.json"), str(tmp_path / "d.md")]
    words = [str(ROOT), str(shorter), "--bodies", str(bodies), "--only", "bodies/all"]
    result = CliRunner().invoke(main, [*words, "--json", files[0], "--markdown", files[1]])
    assert 1 == result.exit_code, result.output
    assert "7 calls, 2 decisions changed in 2 calls" in result.stdout
    assert "cause: threshold long_acting_days: 14 -> 12" in result.stdout
    assert ["bodies/all/4", "bodies/all/5"] == [
        c["call"] for c in json.loads(Path(files[0]).read_text())["changed"]
    ]
    assert f"## {INTERACTION}" in Path(files[1]).read_text()
    same = CliRunner().invoke(
        main, [str(ROOT), str(ROOT), "--bodies", str(bodies), "--only", "bodies/all"]
    )
    assert (0, True) == (same.exit_code, "0 decisions changed" in same.stdout)


def test_an_export_is_replayed_by_both_versions_and_told_on_a_page(
    shorter: Path, tmp_path: Path
) -> None:
    """Twelve days for fourteen after methadone: counted by each version's own code, and nobody is named."""
    export = tmp_path / "export"
    export.mkdir()
    drafted = date.fromisoformat("2026-06-01")
    with (export / "MedicationRequest.ndjson").open("w") as orders:
        for number, ago in enumerate((13, 13, 13, 12, 12, 9)):
            for ref, drug, day, status, end in (
                ("opi", METHADONE_DRUG, drafted - timedelta(days=40), "completed", drafted - timedelta(days=ago)),
                ("ntx", NALTREXONE_DRUG, drafted, "active", None),
            ):  # fmt: skip
                who = f"patient-{number}"
                made = export_order(
                    f"{who}-{ref}",
                    who,
                    drug.concept(Style.CLEAN),
                    day,
                    status,
                    Style.CLEAN,
                    end=end,
                )
                orders.write(json.dumps(made) + "\n")
    words = [
        str(ROOT),
        str(shorter),
        "--only",
        "no call",
        "--bulk",
        str(export),
        "--from",
        "2026-05-01",
        "--to",
        "2026-06-30",
    ]
    result = CliRunner().invoke(main, [*words, "--page", str(tmp_path / "page")])
    assert (1, True) == (result.exit_code, "the export: verdicts changed" in result.output), (
        result.output
    )
    found = json.loads((tmp_path / "page/diff.json").read_bytes())
    assert [(INTERACTION, "vanished", "critical", "none", [5, 5])] == [
        tuple(move[name] for name in ("topic", "kind", "was", "now", "sessions"))
        for move in found["moves"]
    ]
    text = (tmp_path / "page/diff.html").read_text(encoding="utf-8")
    assert "The calls of the repository" in text
    assert "patient-" not in text
    assert 2 == CliRunner().invoke(main, [*words[:4], "--bulk", str(export)]).exit_code


def test_every_source_of_calls_is_used() -> None:
    """Vignettes, listed resources, fixtures and captures all bring calls, under names that occur once."""
    names = [call.name for call in all_calls()]
    assert len(names) == len(set(names))
    assert {
        "vignettes",
        "r4",
        "dstu2",
        "captures",
        "examples",
        "order-sign",
        "medication-prescribe",
    } <= {name.split("/")[0] for name in names}
    assert all(
        call.body["hook"]
        for call in of_folder(ROOT / "fhir_fixtures" / "requests", moment("2026-11-25"))
    )


OLD_TRACE = {
    "exposures": [
        {
            "source": "medicationRequests",
            "resource": "MedicationRequest/m-1",
            "label": "oxycodone",
            "state": "RECENT",
            "days_since_end": 20,
            "because": "written",
        }
    ],
    "read": [
        {
            "from": "medicationRequests",
            "resource": "MedicationRequest/m-2",
            "text": "Palexia",
            "identified": True,
            "components": [],
            "standing": "active",
        }
    ],
    "gaps": [],
    "drafts": [{"resource": "MedicationRequest/n", "band": "LDN", "dose": {"daily_mg": "4.5"}}],
    "rules": [{"rule": INTERACTION, "verdict": "says nothing", "because": ["a"], "thresholds": {}}],
}


def changed_trace(**sections: object) -> dict[str, object]:
    return {**OLD_TRACE, **sections}


CAUSES = {
    "exposure of medicationRequests MedicationRequest/m-1 (oxycodone): RECENT(20) -> HELD: no end": changed_trace(
        exposures=[
            {
                **OLD_TRACE["exposures"][0],
                "state": "HELD",
                "days_since_end": None,
                "because": "no end",
            }
        ]
    ),
    "medicationRequests MedicationRequest/m-2 (Palexia): not ours -> tapentadol (DUAL)": changed_trace(
        read=[
            {**OLD_TRACE["read"][0], "components": [{"ingredient": "tapentadol", "role": "DUAL"}]}
        ]
    ),
    "draft MedicationRequest/n: 4.5 -> None mg/day": changed_trace(
        drafts=[{**OLD_TRACE["drafts"][0], "dose": {"daily_mg": None}}]
    ),
    "gap new: medicationRequests: unreadable": changed_trace(
        gaps=[{"about": "medicationRequests", "why": "unreadable"}]
    ),
    "no longer: a; now: b": changed_trace(rules=[{**OLD_TRACE["rules"][0], "because": ["b"]}]),
}


@pytest.mark.parametrize(("detail", "new"), list(CAUSES.items()))
def test_a_cause_is_told_from_the_traces(detail: str, new: dict[str, object]) -> None:
    """States, recognitions, doses and gaps of both sides are named; the rule's own words only for want of these."""
    assert [detail] == [cause.detail for cause in causes(INTERACTION, OLD_TRACE, new)]


def test_every_part_of_a_decision_counts() -> None:
    """Status, presence, indicator, suggestion, recommendation, link and situation are each told; words on demand."""
    base = Card("t", "warning", ("DEL_NTX",), ("absolute",), ("current",), ("words",))
    for said, other in {
        "warning -> none; suggestions -DEL_NTX": (),
        "suggestions -DEL_NTX +DEL_NTX*": (
            Card("t", "warning", ("DEL_NTX*",), ("absolute",), ("current",)),
        ),
        "links -absolute": (Card("t", "warning", ("DEL_NTX",), (), ("current",)),),
        "current -> held": (Card("t", "warning", ("DEL_NTX",), ("absolute",), ("held",)),),
    }.items():
        assert [Change("t", said)] == [*changes(Decision("200", (base,)), Decision("200", other))]
    unsaid = Card("t", "warning", ("DEL_NTX",), ("absolute",), None, ("other words",))
    assert [] == [*changes(Decision("200", (base,)), Decision("200", (unsaid,)))]
    assert [Change("t", "words")] == [
        *changes(Decision("200", (base,)), Decision("200", (unsaid,)), words=True)
    ]
    assert [Change(HTTP, "412 -> 200")] == [*changes(Decision("412"), Decision("200", (base,)))]


def test_a_report_groups_by_rule_and_cause_and_counts_the_forms_of_a_case_once() -> None:
    """One vignette in four releases is one line; cases beyond the examples are named."""
    why = causes(INTERACTION, OLD_TRACE, next(iter(CAUSES.values())))
    changed = [
        Changed(f"vignettes/D{number}/{release}/order-sign", INTERACTION, "none -> warning", why)
        for number in (20, 21, 22)
        for release in ("R4", "R5")
    ]
    report = Report("old", "new", 10, tuple(changed))
    text = lines(as_text(report, 2))
    assert "cause: exposure RECENT -> HELD" in text
    assert "none -> warning  (6 calls)" in text
    assert "vignettes/D20/R4/order-sign and 1 more of vignettes/D20  exposure of" in text
    assert "and  vignettes/D22" in text
    assert "RECENT(20) -> HELD" in lines(as_markdown(report, 2))


def test_generated_calls_are_those_of_their_seed_and_differ() -> None:
    made = [*generated(60, 3)]
    assert [each.line() for each in made] == [each.line() for each in generated(60, 3)]
    assert made[0].line() != next(generated(1, 4)).line()
    assert len({json.dumps(each.body) for each in made}) == len(made)
    assert {"R5", "R4", "STU3", "DSTU2"} == {each.name.split("/")[2] for each in made}


def test_generated_calls_reach_every_kind_of_decision() -> None:
    """A comparison over calls that are all answered alike would compare nothing."""
    made = [*generated(150, 3)]
    answered = run([Version("here", ROOT)], "decide", made)[0]
    decided = [decision(call, line) for call, line in zip(made, answered, strict=True)]
    topics = {card.topic for each in decided for card in each.cards}
    assert {
        INTERACTION,
        "naltrexone-off-label",
        "naltrexone-data-gap",
        "naltrexone-dose-check",
    } <= topics
    assert {"critical", "warning", "info"} <= {c.indicator for each in decided for c in each.cards}
    assert any(each.status == "200" and not each.cards for each in decided)
