"""The words of the planner's pages, the handout and the chart as content: read, checked against what code says, filled.

Code names a key, ``cards/*.yaml`` holds its words. Which keys and facts there are is declared beside the pages
(``planner.words.PLANNER_WORDS``); every file is compared with it, in both directions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.content import placeholders
from cds_service.content.placeholders import Sentence

WORD_FILES = ("planner", "handout", "drafts", "troubles")
Contract = Mapping[str, Mapping[str, frozenset[str]]]    # file -> key -> facts; "name?" may be left out
_FORBIDDEN = ("no interactions", "guideline-recommended", "bi-weekly", " safe ")


@dataclass(frozen=True, slots=True)
class Words:
    """What each key says with the numbers of one day; called with a key and facts it gives plain text."""

    sentences: Mapping[str, Sentence]
    numbers: Mapping[str, Any]

    def __call__(self, key: str, **facts: object) -> str:
        return self.sentences[key].fill(self.numbers, facts)


def read(files: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Sentence]:
    """key -> sentence of all word files together. Raises ValueError for a text that cannot be taken apart."""
    return {key: placeholders.parse(text_of(said)) for name in WORD_FILES for key, said in files[name]["words"].items()}


def text_of(said: str | Mapping[str, Any]) -> str:
    """The text of an entry, cited or not."""
    return said if isinstance(said, str) else str(said["text"])


def reference_faults(files: Mapping[str, Mapping[str, Any]], sources: frozenset[str]) -> Iterator[str]:
    """Keys in two files, citations that do not resolve, and wording that is never printed."""
    seen: dict[str, str] = {}
    for name in WORD_FILES:
        if files[name]["id"] != name:
            yield f"{name}.yaml: id must be {name}"
        for key, said in files[name]["words"].items():
            if key in seen:
                yield f"{name}.yaml: {key}: is in {seen[key]}.yaml, too"
            seen[key] = name
            yield from (f"{name}.yaml: {key}: {fault}" for fault in _entry_faults(name, said, sources))


def _entry_faults(name: str, said: str | Mapping[str, Any], sources: frozenset[str]) -> Iterator[str]:
    text = text_of(said)
    cited = [] if isinstance(said, str) else said["sources"]
    yield from (f"no source {source!r}" for source in cited if source not in sources)
    yield from (f"says {bad.strip()!r}" for bad in _FORBIDDEN if bad in f" {text.lower()} ")
    if text.count("**") % 2:
        yield "a ** has no partner"
    elif "**" in text and name == "drafts":
        yield "a chart shows plain text: no **"


def contract_faults(files: Mapping[str, Mapping[str, Any]], contract: Contract,
                    days: Mapping[object, Mapping[str, Any]]) -> Iterator[str]:
    """Every key that code says exists, nothing exists that no code says, and every place is filled."""
    for name in WORD_FILES:
        words, said = files[name]["words"], contract[name]
        yield from (f"{name}.yaml: {key}: is missing" for key in said if key not in words)
        yield from (f"{name}.yaml: {key}: nothing says it" for key in words if key not in said)
        for key in words:
            facts = said.get(key, frozenset())
            yield from (f"{name}.yaml: {key}: {fault}"
                        for fault in placeholders.faults(text_of(words[key]), facts, days))
