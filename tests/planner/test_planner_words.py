"""Pages and words: every key that code says is declared with its facts, and every declared key is said."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pytest
from flask import render_template
from markupsafe import Markup

from cds_service import clinical
from cds_service.content.contract import printable
from cds_service.content.loader import ContentError
from cds_service.content.words import placeholders
from cds_service.model import Role, State
from cds_service.planner import answers, edition, ehr_server, gate, trouble, view, write
from cds_service.planner.words import _PRINTED, PLANNER_WORDS, SCHEDULE_IDS
from cds_service.titration import plan
from cds_service.titration.supply import Form
from tests.planner.pages import SHIPPED, TODAY, Planner, words

PLANNER = resources.files("cds_service.planner")
DECLARED = {key: facts for page in PLANNER_WORDS.values() for key, facts in page.items()}
NAMES: set[str] = {  # what may stand where a key is put together
    *edition.GUIDANCE,
    *gate.POINTS,
    *gate.METHODS,
    *gate.LISTS.values(),
    *gate.Mark,
    *ehr_server.OUTCOMES,
    *write.NOT_SENT,
    *trouble.TROUBLES,
    *view.WISH_COMPLAINTS,
    *answers.ANSWER_COMPLAINTS,
    *answers.TESTS,
    *plan.COMPLAINTS,
    *plan.Kind,
    *Form,
    *Role,
    *State,
    *SCHEDULE_IDS,
    "name",
    "source",
    "evidence",
    "standing",
    "short",
    "none",
    "long",
    "no",
    "yes",
    "start_mg",
    "step_mg",
    "interval_days",
    "maximum_mg",
    "mg",
    "days",
    "mg_per_dose",
}


@dataclass(frozen=True)
class Said:
    """One ``say`` in the sources: its key, ``*`` for what is put together, and the facts that it gives."""

    where: str
    key: str
    facts: frozenset[str]
    gives_all: bool = True


def in_python() -> Iterator[Said]:
    for file in sorted(Path(str(PLANNER)).glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", getattr(node.func, "attr", "")) == "say"
            ):
                facts = frozenset(k.arg for k in node.keywords if k.arg)
                for key in keys_of(node.args[0]):
                    yield Said(file.name, key, facts, all(k.arg for k in node.keywords))


def keys_of(node: ast.expr) -> list[str]:
    if isinstance(node, ast.IfExp):
        return [*keys_of(node.body), *keys_of(node.orelse)]
    if isinstance(node, ast.JoinedStr):
        return [
            "".join(
                str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values
            )
        ]
    assert isinstance(node, ast.Constant), ast.dump(node)
    return [str(node.value)]


def in_templates() -> Iterator[Said]:
    for file in sorted(Path(str(PLANNER)).glob("templates/smart/*.html")):
        text = file.read_text(encoding="utf-8")
        for found in re.finditer(r"\bsay\(", text):
            first, *more = arguments(text[found.end() :])
            facts = frozenset(re.match(r"\s*(\w+)=", argument)[1] for argument in more)
            joined = "~" in first
            literals = re.findall(r'"([^"]*)"|~\s*([\w.]+)', first)
            keys = (
                ["".join(text or "*" for text, _ in literals)]
                if joined
                else [text for text, _ in literals]
            )
            yield from (Said(file.name, key, facts) for key in keys)


def arguments(text: str) -> list[str]:
    """The arguments of a call whose opening bracket has been read."""
    depth, quoted, found = 0, False, [""]
    for letter in text:
        quoted ^= letter == '"'
        depth += 0 if quoted else (letter in "([") - (letter in ")]")
        if depth < 0:
            return found
        if letter == "," and not depth and not quoted:
            found.append("")
        else:
            found[-1] += letter
    raise AssertionError(text)


SAID = [*in_python(), *in_templates()]
LITERAL = {said.key for said in SAID if "*" not in said.key}
JOINED = {said.key for said in SAID if "*" in said.key}


def matches(pattern: str, key: str) -> bool:
    """True where the names put into the pattern are names that there are."""
    found = re.fullmatch(re.escape(pattern).replace(r"\*", "([A-Za-z0-9_-]+)"), key)
    return found is not None and set(found.groups()) <= NAMES


def test_the_sources_say_much() -> None:
    """Or the tests below say nothing."""
    assert (len(LITERAL) > 200, len(JOINED) > 15) == (True, True)


def test_every_key_that_code_says_is_declared() -> None:
    assert set() == LITERAL - set(DECLARED)
    assert [] == [
        pattern for pattern in JOINED if not any(matches(pattern, key) for key in DECLARED)
    ]


def test_every_declared_key_is_said() -> None:
    """By its name, or by a key that is put together from names that there are."""
    assert [] == [
        key for key in DECLARED if key not in LITERAL and not any(matches(p, key) for p in JOINED)
    ]


@pytest.mark.parametrize(
    "said", [s for s in SAID if s.gives_all], ids=lambda s: f"{s.where}: {s.key}"
)
def test_code_gives_the_facts_that_are_declared(said: Said) -> None:
    """Neither one too few, which would break the page, nor one that no words may print."""
    for key in [said.key] if "*" not in said.key else [k for k in DECLARED if matches(said.key, k)]:
        facts = {name for name in DECLARED[key] if name not in printable(SHIPPED)}
        assert facts == {*facts} & {*said.facts, *(f"{fact}?" for fact in said.facts)}
        assert said.facts <= {name.removesuffix("?") for name in facts} or "*" in said.key


def test_the_numbers_that_words_must_print_are_those_that_they_print() -> None:
    """A number that is new in a packaged sentence must be required of every site's."""
    printed = {
        key: placeholders(text) & printable(SHIPPED)
        for page in SHIPPED.pages.values()
        for key, text in page.words.items()
    }
    assert {key: set(names.split()) for key, names in _PRINTED.items()} == {
        k: set(p) for k, p in printed.items() if p
    }


def test_no_page_holds_words_of_its_own() -> None:
    """What is left of a template without its tags and expressions has no letters."""
    for file in Path(str(PLANNER)).glob("templates/smart/*.html"):
        text = re.sub(
            r"\{%.*?%\}|\{\{.*?\}\}", "", file.read_text(encoding="utf-8"), flags=re.DOTALL
        )
        assert [] == re.findall(r"[A-Za-z]{2,}", re.sub(r"<[^>]*>", "", text)), file.name
        spoken = re.findall(
            r'(?:aria-label|title|placeholder|alt)="([^"{]+)"', file.read_text(encoding="utf-8")
        )
        assert [] == spoken, file.name


def test_nothing_of_the_record_is_markup_and_only_the_words_are_bold() -> None:
    """Facts are escaped, stars in a fact stay stars."""
    shown = edition.edition_of(SHIPPED, TODAY).say_html("drawn.stop", day="**<i>1 Dec</i>**")
    assert Markup("if it has not helped by <strong>**&lt;i&gt;1 Dec&lt;/i&gt;**</strong>") == shown


def test_a_site_changes_one_sentence(tmp_path: Path) -> None:
    """A file with that key only; every other word and number stays, and the version tells."""
    (tmp_path / "planner.yaml").write_text(
        'words: {gate.head: "Our own planner"}', encoding="utf-8"
    )
    content = clinical.load(str(tmp_path))
    assert ((), True) == (content.refused, content.content.version != SHIPPED.version)
    assert "Our own planner" in words(Planner(content.content).plan())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('words: {gate.head: "On {date}"}', "planner.yaml: words/gate.head: nothing fills {date}"),
        (
            'words: {gate.not_before: "Not yet"}',
            "planner.yaml: words/gate.not_before: must print {day}",
        ),
        (
            'words: {opioid-free.last_none: "None in the last 14 days"}',
            "planner.yaml: words/opioid-free.last_none: must print {long_acting_days}",
        ),
        ("words: {gate.head: null}", "planner.yaml: words/gate.head: "),
        ('words: {page.heading: "x"}', "planner.yaml: words/page.heading: no page says it"),
    ],
)
def test_a_faulty_overlay_is_named_by_check_and_not_used(
    text: str, named: str, tmp_path: Path
) -> None:
    (tmp_path / "planner.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ContentError) as refused:
        clinical.load_checked(str(tmp_path))
    assert [line.startswith(named) for line in refused.value.faults] == [True]
    in_force = clinical.load(str(tmp_path))
    assert (refused.value.faults, SHIPPED.version) == (in_force.refused, in_force.content.version)


@pytest.mark.parametrize("why", trouble.TROUBLES)
def test_every_error_page_has_its_words(why: str) -> None:
    """Title, what happened, what to do."""
    planner = Planner(SHIPPED)
    with planner.app.test_request_context("/smart/launch"):
        page = words(
            render_template(
                "smart/trouble.html", why=why, again="", launch_minutes=10, session_minutes=60
            )
        )
    say = planner.desk.edition().say
    do = say(f"trouble.{why}.do", relaunch=say("trouble.relaunch"), admin=say("trouble.admin"))
    for needed in (
        say(f"trouble.{why}.title"),
        say(f"trouble.{why}.what", launch_minutes=10, session_minutes=60),
        do,
    ):
        assert words(needed).strip() in page
