"""Which relevant names of the tables stand in a text: whole words, in any language, at each place the longest."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cds_service.terminology.strengths import Mention
from cds_service.terminology.tables import OPENING, Name, Tables
from cds_service.terminology.words import WORD, is_spaceless, ldn_at, skeleton

_LONGEST_WORD = 60
_MICROGRAMS = re.compile(r"\d\s{0,2}(?:mcg|ug|\u03bcg|microg|mikrog)", re.IGNORECASE)
_ENOUGH = 100  # mentions; from then on each name is noted once more and no longer sought


def names_in(folded: str, tables: Tables) -> list[tuple[Name, Mention]]:
    """Every name of the tables in the text, never by likeness; one row per ingredient of a name."""
    places = list(WORD.finditer(folded))
    words = [place.group().lower() for place in places]
    starts = _possible(frozenset(words), tables)
    found: list[tuple[Name, Mention]] = []
    covered = 0
    for at, word in enumerate(words):
        if at < covered:
            continue
        other = tables.others.phrase_at(words, at)
        for name in starts.get(word, ()):
            if _stands_at(name, folded, words, at, places[at]) and len(name.words) >= other:
                start, end = places[at].start(), places[at + len(name.words) - 1].end()
                if name.match == "spelling":
                    end = start + min(len(word), len(name.words[0]))
                found += [
                    (name, Mention(ingredient, start, end)) for ingredient in name.ingredients
                ]
                if len(found) > _ENOUGH:
                    starts[word] = tuple(
                        other_name for other_name in starts[word] if other_name is not name
                    )
                break
        else:
            if other:
                covered = at + other
            elif is_spaceless(word) and len(found) <= _ENOUGH:
                found += _inside(word, places[at].start(), tables)
    return found


def _possible(words: frozenset[str], tables: Tables) -> dict[str, tuple[Name, ...]]:
    """The names whose words all occur, by the word that they begin with."""
    possible = {}
    for word in words:
        names = tuple(n for n in tables.names.get(word, ()) if all(w in words for w in n.words))
        if all(len(n.words) > 1 for n in names) and (name := _spelt(word, tables)):
            names = (*names, name)
        if names:
            possible[word] = names
    return possible


def _stands_at(name: Name, folded: str, words: list[str], at: int, place: re.Match[str]) -> bool:
    size = len(name.words)
    if size > 1 and tuple(words[at : at + size]) != name.words:
        return False
    if name.words[0] in {"ldn", "uldn"}:
        return ldn_at(folded, place.start())
    if name.match == "upper":
        return place.group().isupper()
    if name.match == "coarse":
        return _MICROGRAMS.search(folded) is None
    return name.match != "whole" or (at == 0 and size == len(words))


def _spelt(word: str, tables: Tables) -> Name | None:
    """The generic name that a word spells in another language, or that it begins with; nothing may stand before it."""
    if len(word) > _LONGEST_WORD or word in tables.others:
        return None
    sound = skeleton(word)
    if not sound:
        return None
    if name := tables.sounds.get(sound):
        return name
    if sound[:OPENING] not in tables.openings:
        return None
    for size in range(min(len(sound) - 1, 20), OPENING - 1, -1):
        if name := tables.sounds.get(sound[:size]):
            return name
    return None


def _inside(word: str, offset: int, tables: Tables) -> Iterator[tuple[Name, Mention]]:
    """The names inside a word of a script without spaces; a longer name of another drug hides those it holds."""
    at = 0
    while at < len(word):
        hit = next(
            (
                (text, name)
                for text, name in tables.parts.get(word[at], ())
                if word.startswith(text, at)
            ),
            None,
        )
        if hit is None:
            at += 1
            continue
        text, name = hit
        if name is not None:
            yield from (
                (name, Mention(i, offset + at, offset + at + len(text))) for i in name.ingredients
            )
        at += len(text)
