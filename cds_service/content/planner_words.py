"""What the planner's pages and their words owe each other: every key that code says, no key that nothing says.

Code names a key, ``cards/*.yaml`` holds its words. Which keys and facts there are is declared beside the pages
(``planner.words.PLANNER_WORDS``) and comes in as data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from cds_service.content.contract import FORBIDDEN, printable
from cds_service.content.loader import PAGE_FILES, Content, PageText
from cds_service.content.words import TemplateError, fill, placeholders

Pages = Mapping[str, Mapping[str, frozenset[str]]]  # file -> key -> facts; "name?" may be left out
_CHART = "drafts"


@dataclass(frozen=True, slots=True)
class Words:
    """What each key says with the numbers of one day; called with a key and facts it gives plain text."""

    templates: Mapping[str, str]
    numbers: Mapping[str, str]

    def __call__(self, key: str, **facts: object) -> str:
        return fill(
            self.templates[key], {name: str(fact) for name, fact in facts.items()}, self.numbers
        )


def words_on(content: Content, day: date) -> Words:
    """The words of all pages, with the numbers in force on ``day``."""
    return Words(
        {key: text for page in content.pages.values() for key, text in page.words.items()},
        content.numbers(day),
    )


def complaints(content: Content, pages: Pages) -> Iterator[str]:
    """Every breach, as file, key and what is wrong."""
    numbers, seen = printable(content), dict[str, str]()
    for name in PAGE_FILES:
        page, said = content.pages[name], pages[name]
        if page.id != name:
            yield f"{name}.yaml: id must be {name}"
        yield from (
            f"{name}.yaml: words/{key}: missing, a page says it"
            for key in said
            if key not in page.words
        )
        yield from (
            f"{name}.yaml: words/{key}: no page says it" for key in page.words if key not in said
        )
        yield from (
            f"{name}.yaml: words/{key}: is in {seen[key]}.yaml, too"
            for key in page.words
            if key in seen
        )
        seen |= dict.fromkeys(page.words, name)
        for key in page.words:
            faults = (
                *_text(name, page.words[key], said.get(key, frozenset()), numbers),
                *_cited(page, key, content),
            )
            yield from (f"{name}.yaml: words/{key}: {fault}" for fault in faults)


def _text(name: str, text: str, facts: frozenset[str], numbers: frozenset[str]) -> Iterator[str]:
    try:
        used = placeholders(text)
    except TemplateError as error:
        yield str(error)
        return
    if not text.strip():
        yield "says nothing"
    known = {fact.removesuffix("?") for fact in facts} | numbers
    yield from (f"nothing fills {{{place}}}" for place in sorted(used - known))
    yield from (f"must print {{{fact}}}" for fact in sorted(facts - used) if not fact.endswith("?"))
    yield from (f"says {bad.strip()!r}" for bad in FORBIDDEN if bad in f" {text.lower()} ")
    if text.count("**") % 2:
        yield "a ** has no partner"
    elif "**" in text and name == _CHART:
        yield "a chart shows plain text, no **"


def _cited(page: PageText, key: str, content: Content) -> Iterator[str]:
    yield from (
        f"no source {source!r}"
        for source in page.cites.get(key, ())
        if source not in content.sources
    )
