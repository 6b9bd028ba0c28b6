"""Clinical content as data: load ``cards/``, check it against its schemas and against itself.

Loaded once at start. A site overlays single files by name from a folder of its own; code is never edited for a word.
"""

from __future__ import annotations

import hashlib
import json
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

CARD_IDS = ("naltrexone-opioid-interaction", "naltrexone-off-label", "naltrexone-dose-check",
            "naltrexone-patient-safety", "naltrexone-data-gap")
_TABLES = ("sources", "shared", "override-reasons", "thresholds")
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
    version: str

    def thresholds(self, day: date) -> Mapping[str, Any]:
        """The numbers in force on ``day``: of each, the newest entry that has begun (else the oldest)."""
        return _in_force(self, day)

    @property
    def reviewed(self) -> bool:
        return all(card.reviewed_by for card in self.cards.values())

    def __hash__(self) -> int:
        return hash(self.version)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Content) and other.version == self.version


@lru_cache(maxsize=8)
def _in_force(content: Content, day: date) -> Mapping[str, Any]:
    return {name: _newest(history, day)["value"] for name, history in content.threshold_history.items()}


def _newest(history: list[Mapping[str, Any]], day: date) -> Mapping[str, Any]:
    begun = [entry for entry in history if entry["from"] <= day]
    return max(begun, key=lambda e: e["from"]) if begun else min(history, key=lambda e: e["from"])


def content_folder() -> Path:
    """The packaged content: inside the package where it is installed, at the top level in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "cards"
    return installed if installed.is_dir() else package.parent / "cards"


def load(overlay: str = "") -> Content:
    """The content of the package with ``overlay`` files on top; raises ContentError with every fault found."""
    raw = {name: _read(name, overlay) for name in (*CARD_IDS, *_TABLES)}
    parsed: dict[str, Any] = {}
    for name, data in raw.items():
        try:
            parsed[name] = yaml.safe_load(data)
        except yaml.YAMLError as error:
            raise ContentError(f"{name}.yaml: not valid YAML ({type(error).__name__})") from None
    faults = [*_schema_faults(parsed)]
    faults = faults or [*_reference_faults(parsed)]
    if faults:
        raise ContentError("\n".join(faults))
    digest = hashlib.sha256(b"\0".join(raw[name] for name in sorted(raw))).hexdigest()[:12]
    return Content(
        cards={name: _card(parsed[name]) for name in CARD_IDS}, sources=parsed["sources"], shared=parsed["shared"],
        override_reasons=parsed["override-reasons"], threshold_history=parsed["thresholds"], version=digest)


def _read(name: str, overlay: str) -> bytes:
    own = Path(overlay) / f"{name}.yaml" if overlay else None
    if own is not None and own.is_file():
        return own.read_bytes()
    return (content_folder() / f"{name}.yaml").read_bytes()


def _card(data: Mapping[str, Any]) -> CardText:
    return CardText(
        data["id"], data["title"], data["reviewed_by"], data["summaries"],
        {name: line["text"] for name, line in data["lines"].items()}, tuple(data["override_reasons"]),
        tuple(data["links"]), {name: tuple(ids) for name, ids in data.get("links_for", {}).items()})


# --- the faults -------------------------------------------------------------------------------------------------------

def _schema(name: str) -> Any:
    return json.loads((content_folder() / "schema" / f"{name}.schema.json").read_bytes())


def _schema_faults(parsed: Mapping[str, Any]) -> Iterator[str]:
    for name, data in parsed.items():
        schema = _schema("card" if name in CARD_IDS else name)
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
