"""Which names of the tables stand in a text, and whether the text names anything at all."""

from __future__ import annotations

import re

from cds_service.terminology.strengths import Mention
from cds_service.terminology.tables import Name, Tables
from cds_service.terminology.words import WORD, ldn_at

_LETTERS = re.compile(r"[^\W\d_]+")
_NOISE = re.compile(r"\b\w{1,20}://\S{1,200}|\burn:\S{1,200}"
                    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_GLUED = 7                  # "naltrexonehcl": a generic name of this length or more may open a longer word
_ENOUGH = 100               # mentions; from then on each name is noted once more and no longer sought
_NAMELESS = frozenset({
    "and", "brand", "buccal", "cap", "caps", "capsule", "capsules", "code", "comment", "comments",
    "compound", "compounded", "compounding", "cream", "daily", "delayed", "display", "dosage", "dose",
    "drops", "drug", "drugs", "dummy", "entered", "example", "extended", "film", "for", "free", "from",
    "gel", "generic", "gram", "grams", "home", "immediate", "injectable", "injection", "intramuscular",
    "intranasal", "intravenous", "item", "ldn", "liquid", "lozenge", "mcg", "medicament", "medication",
    "medications", "medicine", "medicines", "microgram", "micrograms", "milligram", "milligrams",
    "milliliter", "misc", "miscellaneous", "mouth", "name", "nan", "nasal", "nil", "none", "not", "note",
    "notes", "null", "ointment", "ophthalmic", "oral", "orally", "order", "ordered", "other", "outside",
    "patch", "patient", "per", "placeholder", "powder", "prescribed", "prescription", "product", "protocol",
    "rectal", "release", "reported", "see", "solution", "specified", "spray", "strength", "subcutaneous",
    "sublingual", "supplied", "suppository", "suspension", "syringe", "syrup", "tab", "tablet", "tablets",
    "tabs", "take", "taking", "tbd", "test", "text", "the", "topical", "transdermal", "uldn", "undefined", "unit",
    "units", "unknown", "unspecified", "vial", "with",
})


def names_in(folded: str, tables: Tables) -> list[tuple[Name, Mention]]:
    """Every name of the tables in the text: whole words only, at each place the longest, never by likeness."""
    places = list(WORD.finditer(folded))
    words = [place.group().lower() for place in places]
    starts = _possible(frozenset(words), tables)
    found: list[tuple[Name, Mention]] = []
    for at, word in enumerate(words):
        for name in starts.get(word, ()):
            if _stands_at(name, folded, words, at, places[at]):
                start, end = places[at].start(), places[at + len(name.words) - 1].end()
                found += [(name, Mention(ingredient, start, end)) for ingredient in name.ingredients]
                if len(found) > _ENOUGH:
                    starts[word] = tuple(other for other in starts[word] if other is not name)
                break
    return found


def _possible(words: frozenset[str], tables: Tables) -> dict[str, tuple[Name, ...]]:
    """The names whose words all occur, by the word that they begin with."""
    possible = {}
    for word in words:
        names = tuple(n for n in tables.names.get(word, ()) if all(w in words for w in n.words))
        if not names and len(word) > _GLUED:
            names = _opening(word, tables)
        if names:
            possible[word] = names
    return possible


def _stands_at(name: Name, folded: str, words: list[str], at: int, place: re.Match[str]) -> bool:
    size = len(name.words)
    if size > 1 and tuple(words[at:at + size]) != name.words:
        return False
    if name.match == "upper":
        written = place.group()
        return written.isupper() and (not written.endswith("LDN") or ldn_at(folded, place.start()))
    return name.match != "whole" or (at == 0 and size == len(words))


def _opening(word: str, tables: Tables) -> tuple[Name, ...]:
    """The generic name that a longer word begins with ("oxycodonehcl"); nothing may stand before it."""
    for size in range(min(len(word) - 1, 20), _GLUED - 1, -1):
        for name in tables.names.get(word[:size], ()):
            if name.kind == "generic" and len(name.words) == 1 and name.match == "phrase":
                return (name,)
    return ()


def says_something(folded: str, unsure: list[tuple[Name, Mention]]) -> bool:
    """Whether the words name anything: not an identifier, a placeholder, a form and a dose, or a foreign script."""
    skip = {word for name, _ in unsure for word in name.words}
    plain = _NOISE.sub(" ", folded) if ":" in folded or "-" in folded else folded
    return any(len(word) > 2 and word.isascii() and word not in _NAMELESS and word not in skip
               for word in _LETTERS.findall(plain.lower()))
