"""What a page says of one rule, all of it taken from the rule and the content that run: nothing is written twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from cds_service.content.loader import Content
from cds_service.content.words import parts
from cds_service.rules.rule import Rule

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


@dataclass(frozen=True, slots=True)
class Sheet:
    """One rule. ``reviewed_by`` is None as long as no clinician has answered for its words."""

    id: str
    title: str
    reviewed_by: str | None
    content_version: str
    summaries: tuple[Wording, ...]
    lines: tuple[Wording, ...]
    numbers: tuple[Number, ...]
    offers: tuple[str, ...]
    override_reasons: tuple[str, ...]
    sources: tuple[Source, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def sheet(rule: Rule, content: Content, day: date) -> Sheet:
    """The sheet of this rule with the numbers in force on ``day``."""
    card = content.cards[rule.id]
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
    return Sheet(
        id=rule.id,
        title=rule.title,
        reviewed_by=card.reviewed_by,
        content_version=content.version,
        summaries=tuple(
            Wording(key, _split(text, printed)) for key, text in card.summaries.items()
        ),
        lines=lines,
        numbers=numbers,
        offers=rule.suggestions,
        override_reasons=tuple(
            content.override_reasons[reason]["display"]
            for reason in dict.fromkeys(
                r for group in card.override_reasons.values() for r in group
            )
        ),
        sources=tuple(_sources(rule, lines, numbers, content)),
    )


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
                source.get("publisher", ""),
                source.get("url", ""),
                source["cited_for"],
            )
