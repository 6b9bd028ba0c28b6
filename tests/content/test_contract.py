"""Words and rules cannot drift apart: whatever one side loses is named by ``check``, and costs no card meanwhile."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cds_service import clinical
from cds_service.__main__ import main
from cds_service.content import contract, loader
from cds_service.content.loader import ContentError
from cds_service.planner.words import PLANNER_WORDS
from cds_service.rules import RULES
from cds_service.snapshot import THRESHOLDS

CARDS = [rule.id for rule in RULES]
FILES = {
    file.name.removesuffix(".yaml"): file.read_bytes()
    for file in loader.content_folder().iterdir()
    if file.name.endswith(".yaml")
}
PARSED: dict[str, Any] = {name: loader._parse(data) for name, data in FILES.items()}
LAST_ONE = "[] has less than 1 item"
PLACEHOLDER = re.compile(r"\{[A-Za-z_.]+\}")


@dataclass(frozen=True)
class Removal:
    """One thing taken out of one file, and the words with which ``check`` must name it."""

    file: str
    key: str
    named: str
    take: Callable[[Any], object]

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.named}"


def removals() -> Iterator[Removal]:
    for name in CARDS:
        yield from removals_from_a_card(name, PARSED[name])
    yield from removals_from_tables()
    for key in PARSED["sheet"]:
        yield Removal("sheet", "", key, lambda c, k=key: c.pop(k))
    for name in loader.PAGE_FILES:
        yield from removals_from_a_page(name, PARSED[name]["words"])
    for group, histories in PARSED["schedules"].items():
        for key in histories:
            yield Removal("schedules", group, key, lambda c, g=group, k=key: c[g].pop(k))


def removals_from_a_page(name: str, words: Any) -> Iterator[Removal]:
    """Each key, and each place that its words may not leave out."""
    for key, said in words.items():
        yield Removal(name, f"words/{key}", "missing", lambda c, k=key: c["words"].pop(k))
        text = said if isinstance(said, str) else said["text"]
        for found in PLACEHOLDER.findall(text):
            if f"{found[1:-1]}?" not in PLANNER_WORDS[name][key]:
                yield Removal(
                    name,
                    f"words/{key}",
                    f"must print {found}",
                    lambda c, k=key, f=found, t=text: c["words"].update({k: t.replace(f, "-")}),
                )


def removals_from_a_card(name: str, card: Any) -> Iterator[Removal]:
    for part in ("summaries", "lines"):
        for key in card[part]:
            yield Removal(name, f"{part}/{key}", "missing", lambda c, p=part, k=key: c[p].pop(k))
    yield from texts_without_a_placeholder(name, card)
    for key in card["sheet"]:
        yield Removal(name, "sheet", key, lambda c, k=key: c["sheet"].pop(k))
    for key, line in card["lines"].items():
        for source in line["sources"]:
            yield Removal(
                name,
                f"lines/{key}",
                source,
                lambda c, k=key, s=source: c["lines"][k]["sources"].remove(s),
            )
    for source in card["links"]:
        yield Removal(name, "links", source, lambda c, s=source: c["links"].remove(s))
    for key, ids in card.get("links_for", {}).items():
        for source in ids:
            yield Removal(
                name,
                f"links_for/{key}",
                source,
                lambda c, k=key, s=source: c["links_for"][k].remove(s),
            )


def removals_from_tables() -> Iterator[Removal]:
    for name in PARSED["sources"]:
        yield Removal("sources", "", name, lambda c, s=name: c.pop(s))
    for code in PARSED["override-reasons"]:
        yield Removal("override-reasons", "", code, lambda c, s=code: c.pop(s))
    for table in (
        "standing",
        "dated",
        "kinds",
        "labels",
        "actions",
        "gap_what",
        "gap_why",
        "start_low",
    ):
        for key in PARSED["shared"][table]:
            if not key.endswith("_several"):
                yield Removal(
                    "shared", f"{table}/{key}", "missing", lambda c, t=table, k=key: c[t].pop(k)
                )
    for name in PARSED["thresholds"]:
        yield Removal("thresholds", "", name, lambda c, s=name: c.pop(s))


def texts_without_a_placeholder(name: str, card: Any) -> Iterator[Removal]:
    for key, text in card["summaries"].items():
        for found in PLACEHOLDER.findall(text):
            yield Removal(
                name,
                f"summaries/{key}",
                f"must print {found}",
                lambda c, k=key, f=found: c["summaries"].update(
                    {k: c["summaries"][k].replace(f, "")}
                ),
            )
    for key, line in card["lines"].items():
        for found in PLACEHOLDER.findall(line["text"]):
            yield Removal(
                name,
                f"lines/{key}",
                f"must print {found}",
                lambda c, k=key, f=found: c["lines"][k].update(
                    text=c["lines"][k]["text"].replace(f, "")
                ),
            )


REMOVALS = [*removals()]


def without(removal: Removal) -> dict[str, Any]:
    changed = {**PARSED, removal.file: deepcopy(PARSED[removal.file])}
    removal.take(changed[removal.file])
    return changed


def faults_of(parsed: dict[str, Any]) -> list[str]:
    """What ``check`` would say of these files."""
    try:
        if found := [*loader._schema_faults(parsed)]:
            return found
        return clinical.complaints(loader._content(parsed, "x"))
    except ContentError as error:
        return [*error.faults]


def test_there_is_much_to_remove() -> None:
    """Each kind, from each card: or the test below says nothing."""
    assert len(REMOVALS) > 300
    assert set(FILES) == {removal.file for removal in REMOVALS}


def test_nothing_is_complained_of_while_nothing_is_removed() -> None:
    assert [] == faults_of(PARSED)


@pytest.mark.parametrize("removal", REMOVALS, ids=str)
def test_whatever_is_removed_is_named_with_its_file_and_key(removal: Removal) -> None:
    """A placeholder, a source or a link that a file loses, and a source or number that others still use."""
    found = faults_of(without(removal))
    where = (
        f"{removal.file}.yaml: {removal.key}" if removal.key else ""
    )  # what a table loses is named by its users
    assert [] != [
        line
        for line in found
        if line.startswith(where) and (removal.named in line or LAST_ONE in line)
    ], found


@pytest.mark.parametrize(
    ("name", "add", "named"),
    [
        (CARDS[0], lambda c: c["summaries"].update(other="x"), "summaries/other: no rule says it"),
        (
            CARDS[0],
            lambda c: c["lines"].update(other={"text": "x", "sources": ["J"]}),
            "lines/other: no rule says it",
        ),
        (
            CARDS[1],
            lambda c: c.update(links_for={"other": ["P4"]}),
            "links_for/other: no rule says it",
        ),
        (
            CARDS[-1],
            lambda c: c["override_reasons"].update(other=["list-outdated"]),
            "override_reasons/other: no rule says it",
        ),
        ("shared", lambda c: c["labels"].update(other="x"), "labels/other: no rule says it"),
        ("shared", lambda c: c["gap_why"].update(other="x"), "gap_why/other: no rule says it"),
        ("shared", lambda c: c.update(hold_reason="{x}"), "hold_reason: nothing fills {x}"),
        ("sources", lambda c: c.update(other=c["J"]), "other: nothing cites it"),
        (
            "override-reasons",
            lambda c: c.update(other=c["list-outdated"]),
            "other: no card offers it",
        ),
        (
            "thresholds",
            lambda c: c.update(other=c["adult_age"]),
            "other: nothing reads or prints it",
        ),
        (
            "thresholds",
            lambda c: c["short_acting_days"][0]["value"].update(other=1),
            "other: nothing reads or prints it",
        ),
        (
            "thresholds",
            lambda c: c.update(short_acting_days=c["adult_age"]),
            "short_acting_days.critical_below: missing",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.other": "x"}),
            "words/gate.other: no page says it",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.head": "{day}"}),
            "words/gate.head: nothing fills {day}",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.head": "{schedules.F.max_mg}"}),
            "nothing fills {schedules.F.max_mg}",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.head": "{schedules.A.review_weeks}"}),
            "nothing fills",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.head": "{0}"}),
            "words/gate.head: {0} is not a plain placeholder",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.head": "{day"}),
            "words/gate.head: expected '}'",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.head": "a safe start"}),
            "words/gate.head: says 'safe'",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.head": "**May it"}),
            "words/gate.head: a ** has no partner",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.head": "<b>May it</b>"}),
            "words/gate.head: ",
        ),
        (
            "planner",
            lambda c: c["words"]["liver.blocked"].update(sources=["Z"]),
            "words/liver.blocked: no source 'Z'",
        ),
        (
            "drafts",
            lambda c: c["words"].update({"note.consent": "**Done**"}),
            "words/note.consent: a chart shows plain text",
        ),
        (
            "handout",
            lambda c: c["words"].update({"gate.head": "x"}),
            "words/gate.head: no page says it",
        ),
        ("handout", lambda c: c.update(id="planner"), "id must be handout"),
        (
            "troubles",
            lambda c: c["words"].update({"trouble.fault.do": "{patient}"}),
            "nothing fills {patient}",
        ),
        (
            CARDS[0],
            lambda c: c["summaries"].update({"both-draft/": " "}),
            "summaries/both-draft/: says nothing",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.other": "x"}),
            "words/gate.other: no page says it",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.head": "{day}"}),
            "words/gate.head: nothing fills {day}",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.head": "{schedules.F.max_mg}"}),
            "nothing fills {schedules.F.max_mg}",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.head": "{schedules.A.review_weeks}"}),
            "nothing fills",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.head": "{0}"}),
            "words/gate.head: {0} is not a plain placeholder",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.head": "{day"}),
            "words/gate.head: expected '}'",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.head": "a safe start"}),
            "words/gate.head: says 'safe'",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.head": "**May it"}),
            "words/gate.head: a ** has no partner",
        ),
        (
            "planner",
            lambda c: c["words"].update({"gate.head": "<b>May it</b>"}),
            "words/gate.head: ",
        ),
        (
            "planner",
            lambda c: c["words"]["liver.blocked"].update(sources=["Z"]),
            "words/liver.blocked: no source 'Z'",
        ),
        (
            "drafts",
            lambda c: c["words"].update({"note.consent": "**Done**"}),
            "words/note.consent: a chart shows plain text",
        ),
        (
            "handout",
            lambda c: c["words"].update({"gate.head": "x"}),
            "words/gate.head: no page says it",
        ),
        ("handout", lambda c: c.update(id="planner"), "id must be handout"),
        (
            "troubles",
            lambda c: c["words"].update({"trouble.fault.do": "{patient}"}),
            "nothing fills {patient}",
        ),
        (
            CARDS[0],
            lambda c: c["summaries"].update({"both-draft/": "{opioid"}),
            "summaries/both-draft/: expected '}'",
        ),
        (
            CARDS[0],
            lambda c: c["summaries"].update({"both-draft/": "{opioid!r}"}),
            "is not a plain placeholder",
        ),
        (
            CARDS[0],
            lambda c: c["summaries"].update({"both-draft/": "{opioid.__class__}"}),
            "is not a plain placeholder",
        ),
    ],
)
def test_whatever_no_rule_can_say_is_named(
    name: str, add: Callable[[Any], object], named: str
) -> None:
    changed = {**PARSED, name: deepcopy(PARSED[name])}
    add(changed[name])
    (found, *_) = [line for line in faults_of(changed) if named in line]
    assert found.startswith(f"{name}.yaml: ")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_without_a_card_and_a_card_without_a_rule_are_named(rule: Any) -> None:
    content = loader.load()
    others = [other for other in RULES if other is not rule]
    assert f"{rule.id}.yaml: there is no rule of this id" in contract.complaints(
        content, others, THRESHOLDS
    )
    less = {**PARSED}
    del less[rule.id]
    assert f"{rule.id}.yaml: the rule has no card file" in faults_of(less)


@cache
def one_of_each_kind() -> tuple[Removal, ...]:
    kinds = {
        (
            removal.file in CARDS and removal.key.partition("/")[0],
            removal.file,
            removal.named.partition("{")[0]
            if "must" in removal.named
            else "missing"
            if removal.named == "missing"
            else "cited",
        ): removal
        for removal in REMOVALS
    }
    return tuple(kinds.values())


@pytest.mark.parametrize("removal", one_of_each_kind(), ids=str)
def test_check_exits_with_one_and_a_line_for_each_fault(
    removal: Removal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of each kind through the command itself; the others differ only in the key."""
    shutil.copytree(str(loader.content_folder()), tmp_path / "cards")
    changed = without(removal)[removal.file]
    (tmp_path / "cards" / f"{removal.file}.yaml").write_text(
        yaml.safe_dump(changed), encoding="utf-8"
    )
    monkeypatch.setattr(loader, "content_folder", lambda: tmp_path / "cards")
    monkeypatch.setattr("cds_service.cli.check._check_terminology", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["check"])
    assert (1, True) == (result.exit_code, "FAULT" in result.output), result.output
    assert removal.named in result.output or LAST_ONE in result.output
