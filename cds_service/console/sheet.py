"""The transparency sheet of one rule, all of it taken from the rule, the content and the build that run: nothing is
written twice. What is not known is said in words; no member of a sheet is empty but where nothing is offered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from cds_service.console.attributes import source_attributes
from cds_service.console.decision_table import DecisionTable, decision_tables
from cds_service.console.figures import build_figures
from cds_service.content.loader import CardText, Content
from cds_service.content.words import fill, parts
from cds_service.rules import interaction
from cds_service.rules.rule import Rule

_OF_THE_FILE = frozenset({"id", "title", "reviewed_by", "reviewed_on", "changes"})
JUDGEMENT = "J"  # the mark of a number that is a choice of ours, in thresholds.yaml


@dataclass(frozen=True, slots=True)
class Wording:
    """A summary or a line: ``parts`` are (kind, text), a kind being words, number or fact (filled in for each patient)."""

    key: str
    parts: tuple[tuple[str, str], ...]
    cites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Number:
    """A threshold: its value in force and everything that it was and will be, oldest first."""

    name: str
    value: str
    is_judgement: bool
    history: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A source that a card of the rule may cite."""

    id: str
    title: str
    publisher: str
    url: str
    cited_for: str
    read_as: str


@dataclass(frozen=True, slots=True)
class Decision:
    """A situation, the indicators that it got in the vignettes of this build, and one of them."""

    situation: str
    indicators: tuple[str, ...]
    vignettes: int
    example: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """One rule. ``said`` is its own part of the card file with the numbers in force, ``service`` what holds for all rules,
    ``measured`` the figures of this build."""

    id: str
    title: str
    reviewed_by: str
    reviewed_on: str
    versions: Mapping[str, str]
    said: Mapping[str, str | tuple[str, ...]]
    service: Mapping[str, Any]
    decisions: tuple[Decision, ...]
    tables: tuple[DecisionTable, ...]
    examples: Mapping[str, tuple[str, ...]]
    measured: Mapping[str, Any]
    attributes: tuple[tuple[str, str], ...]
    changes: tuple[Mapping[str, str], ...]
    summaries: tuple[Wording, ...]
    lines: tuple[Wording, ...]
    numbers: tuple[Number, ...]
    offers: tuple[str, ...]
    override_reasons: tuple[str, ...]
    sources: tuple[Source, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def sheet(rule: Rule, content: Content, day: date, versions: Mapping[str, str]) -> Sheet:
    """The sheet of this rule with the numbers in force on ``day``; ``versions`` are those that run."""
    card, figures = content.cards[rule.id], build_figures()
    printed = content.numbers(day)
    lines = tuple(
        Wording(key, _split(text, printed), card.cites.get(key, ()))
        for key, text in card.lines.items()
    )
    numbers = tuple(
        _number(name, content, day)
        for name in dict.fromkeys(n.split(".")[0] for n in rule.thresholds)
        if name in content.threshold_history
    )
    sources = tuple(_sources(rule, lines, numbers, content))
    return Sheet(
        id=rule.id,
        title=rule.title,
        reviewed_by=card.reviewed_by or "not reviewed",
        reviewed_on=card.reviewed_on or "not reviewed",
        versions=versions,
        said={key: _filled(text, printed) for key, text in card.sheet.items()},
        service={name: said for name, said in content.sheet.items() if name not in _OF_THE_FILE},
        decisions=tuple(_decision(key, figures.of(rule.id)) for key in card.summaries),
        tables=decision_tables(content.thresholds(day)) if rule is interaction.RULE else (),
        examples={kind: tuple(said) for kind, said in figures.of(rule.id)["examples"].items()},
        measured=figures.measured(rule.id),
        attributes=source_attributes(card, content, [source.title for source in sources]),
        changes=card.changes[::-1],
        summaries=tuple(
            Wording(key, _split(text, printed)) for key, text in card.summaries.items()
        ),
        lines=lines,
        numbers=numbers,
        offers=rule.suggestions,
        override_reasons=_reasons(card, content),
        sources=sources,
    )


def _filled(said: str | Sequence[str], printed: Mapping[str, str]) -> str | tuple[str, ...]:
    if isinstance(said, str):
        return fill(said, {}, printed)
    return tuple(fill(text, {}, printed) for text in said)


def _decision(situation: str, measured: Mapping[str, Any]) -> Decision:
    seen = measured["situations"].get(situation)
    if seen is None:
        return Decision(situation, (), 0, "no vignette shows it; its unit tests do")
    return Decision(situation, tuple(seen["indicators"]), seen["vignettes"], seen["example"])


def _reasons(card: CardText, content: Content) -> tuple[str, ...]:
    codes = dict.fromkeys(code for group in card.override_reasons.values() for code in group)
    return tuple(content.override_reasons[code]["display"] for code in codes)


def _split(text: str, printed: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for words, name in parts(text):
        if words:
            found.append(("words", words))
        if name:
            found.append(
                ("number", printed[name]) if name in printed else ("fact", name.replace("_", " "))
            )
    return tuple(found)


def _number(name: str, content: Content, day: date) -> Number:
    in_force = content.threshold(name, day)
    history = sorted(content.threshold_history[name], key=lambda entry: entry["from"])
    return Number(
        name,
        _value(in_force["value"]),
        JUDGEMENT in in_force["sources"],
        tuple(
            {
                "from": str(entry["from"]),
                "value": _value(entry["value"]),
                "sources": ", ".join(entry["sources"]),
                "note": entry.get("note", ""),
            }
            for entry in history
        ),
    )


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_value(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_value(part) for part in value)
    return str(value)


def _sources(
    rule: Rule, lines: Sequence[Wording], numbers: Sequence[Number], content: Content
) -> Iterator[Source]:
    ids = [*rule.links, *(i for ids in rule.links_for.values() for i in ids)]
    ids += [cited for line in lines for cited in line.cites]
    ids += [
        i for number in numbers for entry in number.history for i in entry["sources"].split(", ")
    ]
    for source_id in dict.fromkeys(ids):
        if (source := content.sources.get(source_id)) is not None:
            yield Source(
                source_id,
                source["title"],
                source["publisher"],
                source.get("url") or "no public address",
                source["cited_for"],
                source["seen"],
            )
