"""Clinical content as data: load ``cards/``, check it against its schemas and against itself.

Loaded once at start. A site overlays single files by name from a folder of its own (the planner's words and the schedules
key by key); code is never edited for a word.
"""

from __future__ import annotations

import hashlib
import json
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from cds_service.content import planner_words, schedules
from cds_service.content.placeholders import Sentence
from cds_service.content.planner_words import WORD_FILES, Contract

CARD_IDS = ("naltrexone-opioid-interaction", "naltrexone-off-label", "naltrexone-dose-check",
            "naltrexone-patient-safety", "naltrexone-data-gap")
_TABLES = ("sources", "shared", "override-reasons", "thresholds", "schedules")
_MERGED = frozenset({"schedules", *WORD_FILES})
_FACTS = {  # what a rule may put into its card's words
    "naltrexone-opioid-interaction": {"opioid", "ago", "last", "all"},
    "naltrexone-off-label": {"mg"},
    "naltrexone-dose-check": {"mg"},
    "naltrexone-patient-safety": set(),
    "naltrexone-data-gap": set(),
}


class ContentError(Exception):
    """The content cannot be used; one line per fault."""


@dataclass(frozen=True, slots=True)
class CardText:
    """The words of one topic."""

    id: str
    title: str
    reviewed_by: str | None
    summaries: Mapping[str, str]
    lines: Mapping[str, str]
    override_reasons: tuple[str, ...]
    links: tuple[str, ...]
    links_for: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Content:
    """All clinical content of one start. ``version`` changes with every byte of it."""

    cards: Mapping[str, CardText]
    sources: Mapping[str, Mapping[str, Any]]
    shared: Mapping[str, Any]
    override_reasons: Mapping[str, Mapping[str, str]]
    threshold_history: Mapping[str, list[Mapping[str, Any]]]
    schedule_history: Mapping[str, Mapping[str, list[Mapping[str, Any]]]]      # "schedules" and "titration"
    words: Mapping[str, Sentence]                  # of the planner's pages, the handout and the chart
    words_reviewed: bool
    version: str

    def thresholds(self, day: date) -> Mapping[str, Any]:
        """The numbers in force on ``day``: of each, the newest entry that has begun (else the oldest).

        Those of titration stand under ``schedules`` and ``titration``.
        """
        return _in_force(self, day)

    @property
    def reviewed(self) -> bool:
        return self.words_reviewed and all(card.reviewed_by for card in self.cards.values())

    def __hash__(self) -> int:
        return hash(self.version)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Content) and other.version == self.version


@lru_cache(maxsize=8)
def _in_force(content: Content, day: date) -> Mapping[str, Any]:
    return numbers_on(day, content.threshold_history, content.schedule_history)


def numbers_on(day: date, thresholds: Mapping[str, Any], titration: Mapping[str, Any]) -> Mapping[str, Any]:
    """Thresholds, schedules and titration numbers in one mapping, as they hold on ``day``."""
    return {**_newest_of(thresholds, day), **{name: _newest_of(group, day) for name, group in titration.items()}}


def _newest_of(histories: Mapping[str, list[Mapping[str, Any]]], day: date) -> dict[str, Any]:
    return {name: _newest(history, day)["value"] for name, history in histories.items()}


def _newest(history: list[Mapping[str, Any]], day: date) -> Mapping[str, Any]:
    begun = [entry for entry in history if entry["from"] <= day]
    return max(begun, key=lambda e: e["from"]) if begun else min(history, key=lambda e: e["from"])


def load(overlay: str = "", page_words: Contract | None = None) -> Content:
    """The content of the package with ``overlay`` on top; raises ContentError with every fault found.

    ``page_words`` is what the planner's pages say; without it their words are not compared with the pages.
    """
    raw = {name: _read(name, overlay) for name in (*CARD_IDS, *_TABLES, *WORD_FILES)}
    parsed = {name: _parse(name, texts) for name, texts in raw.items()}
    faults = [*_schema_faults(parsed)]
    faults = faults or [*_reference_faults(parsed), *_number_faults(parsed, page_words)]
    if faults:
        raise ContentError("\n".join(faults))
    digest = hashlib.sha256(b"\0".join(text for name in sorted(raw) for text in raw[name])).hexdigest()[:12]
    return Content(
        cards={name: _card(parsed[name]) for name in CARD_IDS}, sources=parsed["sources"], shared=parsed["shared"],
        override_reasons=parsed["override-reasons"], threshold_history=parsed["thresholds"],
        schedule_history=parsed["schedules"], words=planner_words.read(parsed),
        words_reviewed=all(parsed[name]["reviewed_by"] for name in WORD_FILES), version=digest)


def _read(name: str, overlay: str) -> tuple[bytes, ...]:
    """The packaged file and a site's own on top of it. For cards and tables the site's file stands alone."""
    own = Path(overlay) / f"{name}.yaml" if overlay else None
    texts = (own.read_bytes(),) if own is not None and own.is_file() else ()
    alone = texts and name not in _MERGED
    return texts if alone else (packaged().joinpath(f"{name}.yaml").read_bytes(), *texts)


def packaged() -> Traversable:
    """The content folder of the package."""
    return resources.files("cards")


def _parse(name: str, texts: tuple[bytes, ...]) -> Any:
    try:
        first, *own = (yaml.safe_load(text) for text in texts)
    except yaml.YAMLError as error:
        raise ContentError(f"{name}.yaml: not valid YAML ({type(error).__name__})") from None
    return _merged(first, own[0]) if own else first


def _merged(base: Any, own: Any) -> Any:
    """``own`` over ``base``, key by key; whatever is no mapping on both sides is replaced whole."""
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    return {**base, **{name: _merged(base.get(name), value) for name, value in own.items()}}


def _card(data: Mapping[str, Any]) -> CardText:
    return CardText(
        data["id"], data["title"], data["reviewed_by"], data["summaries"],
        {name: line["text"] for name, line in data["lines"].items()}, tuple(data["override_reasons"]),
        tuple(data["links"]), {name: tuple(ids) for name, ids in data.get("links_for", {}).items()})


# --- the faults -------------------------------------------------------------------------------------------------------

def _schema(name: str) -> Any:
    return json.loads(packaged().joinpath("schema", f"{name}.schema.json").read_bytes())


def _schema_faults(parsed: Mapping[str, Any]) -> Iterator[str]:
    for name, data in parsed.items():
        schema = _schema("card" if name in CARD_IDS else "words" if name in WORD_FILES else name)
        plain = json.loads(json.dumps(data, default=str))
        for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(plain):
            yield f"{name}.yaml: {'/'.join(map(str, error.instance_path)) or '(top)'}: {error.message}"


def _reference_faults(parsed: Mapping[str, Any]) -> Iterator[str]:
    sources, reasons = set(parsed["sources"]), set(parsed["override-reasons"])
    for name in CARD_IDS:
        card = parsed[name]
        if card["id"] != name:
            yield f"{name}.yaml: id must be {name}"
        yield from (f"{name}.yaml: line {key}: no source {s!r}"
                    for key, line in card["lines"].items() for s in line["sources"] if s not in sources)
        linked = {*card["links"], *(s for ids in card.get("links_for", {}).values() for s in ids)}
        yield from (f"{name}.yaml: links: {s!r} has no URL to link to"
                    for s in sorted(linked) if "url" not in parsed["sources"].get(s, {}))
        yield from (f"{name}.yaml: no override reason {r!r}" for r in card["override_reasons"] if r not in reasons)
        yield from _wording_faults(name, card)
    for name, history in parsed["thresholds"].items():
        yield from (f"thresholds.yaml: {name}: no source {s!r}" for e in history for s in e["sources"] if s not in sources)
    for group, histories in parsed["schedules"].items():
        yield from (f"schedules.yaml: {group}/{name}: no source {s!r}" for name, history in histories.items()
                    for e in history for s in e["sources"] if s not in sources)
    yield from planner_words.reference_faults(parsed, frozenset(sources))


def _number_faults(parsed: Mapping[str, Any], page_words: Contract | None) -> Iterator[str]:
    """Numbers that contradict each other on a day, and words that name a number or a fact that is not there."""
    groups = (parsed["thresholds"], *parsed["schedules"].values())
    begins = sorted({entry["from"] for group in groups for history in group.values() for entry in history})
    days = {day: numbers_on(day, parsed["thresholds"], parsed["schedules"]) for day in begins}
    yield from dict.fromkeys(f"schedules.yaml: {fault}" for numbers in days.values() for fault in schedules.faults(numbers))
    if page_words is not None:
        yield from planner_words.contract_faults(parsed, page_words, days)


_FORBIDDEN = ("no interactions", "guideline-recommended", "bi-weekly", " safe ")


def _wording_faults(name: str, card: Mapping[str, Any]) -> Iterator[str]:
    """Placeholders that no rule fills, and the words that specification 5.3 forbids."""
    words = {**card["summaries"], **{key: line["text"] for key, line in card["lines"].items()}}
    for key, text in words.items():
        unknown = {field for _, field, _, _ in string.Formatter().parse(text) if field is not None} - _FACTS[name]
        yield from (f"{name}.yaml: {key}: nothing fills {{{field}}}" for field in sorted(unknown))
        yield from (f"{name}.yaml: {key}: says {bad.strip()!r}" for bad in _FORBIDDEN if bad in f" {text.lower()} ")
    for key, text in card["summaries"].items():
        if len(text) > 120:
            yield f"{name}.yaml: {key}: summary has {len(text)} characters, at most 120 before names are filled in"
