"""The words of dosing in every language: tables in ``words/``, read once, and the text made comparable with them."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from io import StringIO

NUMBER = "{n}"
LANGUAGES = (
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "nl",
    "sv",
    "da",
    "fi",
    "pl",
    "cs",
    "ru",
    "el",
    "ja",
    "zh",
    "ko",
    "ar",
    "he",
)
_CJK = "\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_TOKEN = re.compile(rf"\d+(?:[.,/]\d+)*|[{_CJK}]|(?:(?![{_CJK}])[^\W\d_])+|\S")
_SAID = str.maketrans(
    {
        "ß": "ss",
        "ø": "o",
        "æ": "ae",
        "œ": "oe",
        "ı": "i",
        "ł": "l",
        "’": "'",
        "´": "'",
        "»": " ",
        "«": " ",
        "一": "1",
        "二": "2",
        "两": "2",
        "三": "3",
        "四": "4",
        "五": "5",
        "六": "6",
        "八": "8",
    }
)
_LAST_ALPHABET_WITH_ACCENTS = (
    "\u052f"  # Latin, Greek and Cyrillic; kana and Hangul keep their marks
)


@dataclass(slots=True)
class Node:
    """Where a phrase may go on: by the next word, and what it means if it ends here."""

    after: dict[str, Node] = field(default_factory=dict)
    meaning: str | None = None


@dataclass(frozen=True, slots=True)
class Book:
    """The phrases of one language; ``marks`` are words by which a text is known not to be English."""

    language: str
    phrases: Node
    endings: Mapping[str, str]
    marks: frozenset[str]


def fold(text: str) -> str:
    """Lower case without accents, as the tables are compared; scripts without accents stay as they are."""
    text = unicodedata.normalize("NFKC", text).lower().translate(_SAID)
    if text.isascii():
        return text
    return "".join(
        base
        if (base := unicodedata.normalize("NFD", char)[0]) <= _LAST_ALPHABET_WITH_ACCENTS
        else char
        for char in text
        if unicodedata.category(char) != "Mn"
    )


def words_of(folded: str) -> list[re.Match[str]]:
    """Numbers, words, single signs and single characters of scripts without spaces, with their places."""
    return list(_TOKEN.finditer(folded))


@cache
def rows(language: str) -> tuple[tuple[str, str], ...]:
    """(meaning, folded phrase) of one table, as written."""
    return tuple(
        (row["meaning"], fold(phrase))
        for row in _table(language)
        for phrase in row["phrases"].split("|")
    )


@cache
def books() -> tuple[Book, ...]:
    """Every language's phrases with those that all share; a language's own come first."""
    return tuple(_book(language) for language in LANGUAGES)


@cache
def english() -> frozenset[str]:
    """Words of the tables that an English sig may hold too: they show nothing about its language."""
    return frozenset(_read("en.txt").split())


@cache
def marks() -> frozenset[str]:
    """Every word that shows that a text is not English."""
    return frozenset[str]().union(*(book.marks for book in books()))


@cache
def meanings() -> Mapping[str, frozenset[str]]:
    """What a phrase means in any language, for units and times that stand alone."""
    found: dict[str, set[str]] = {}
    for language in ("xx", *LANGUAGES):
        for meaning, phrase in rows(language):
            found.setdefault(phrase.removeprefix("*").removesuffix("."), set()).add(meaning)
    return {phrase: frozenset(several) for phrase, several in found.items()}


@cache
def endings() -> Mapping[str, str]:
    """Ends of compound words in any language (Hart-kapsel, Film-tabletten) with their meaning."""
    return {ending: meaning for book in books() for ending, meaning in book.endings.items()}


@cache
def codes() -> tuple[tuple[tuple[str, ...], str, str], ...]:
    """(parts of the system's address, code, meaning) of unit codes that are not UCUM."""
    return tuple(
        (tuple(row["system"].split("|")), row["code"], row["meaning"]) for row in _table("codes")
    )


def _table(name: str) -> Iterator[dict[str, str]]:
    yield from csv.DictReader(StringIO(_read(f"{name}.csv")))


def _read(name: str) -> str:
    return (files("cds_service.dosing") / "words" / name).read_text(encoding="utf-8")


def _book(language: str) -> Book:
    root, endings_of, seen = Node(), dict[str, str](), set[str]()
    for meaning, phrase in (*rows("xx"), *rows(language), *_ranges(language)):
        if phrase.startswith("*"):
            endings_of[phrase[1:]] = meaning
        tokens = [m[0] for m in words_of(phrase.removeprefix("*").replace(NUMBER, "\ue000"))]
        _plant(root, [NUMBER if t == "\ue000" else t for t in tokens], meaning)
    for _, phrase in rows(language):
        seen.update(m[0] for m in words_of(phrase.replace(NUMBER, " ").removeprefix("*")))
    return Book(language, root, endings_of, frozenset(w for w in seen if _is_mark(w)))


def _ranges(language: str) -> Iterator[tuple[str, str]]:
    """ "Every 4 to 6 hours" from "every {n} hours" and this language's words between two numbers."""
    between = [
        "-",
        *(
            phrase.replace(NUMBER, "").strip()
            for meaning, phrase in rows(language)
            if meaning in {"to", f"{NUMBER} to {NUMBER}"}
        ),
    ]
    for meaning, phrase in rows(language):
        if meaning == f"every {NUMBER} hours":
            for word in between:
                yield (
                    f"every {NUMBER}-{NUMBER} hours",
                    phrase.replace(NUMBER, f"{NUMBER} {word} {NUMBER}", 1),
                )


def _plant(root: Node, tokens: list[str], meaning: str) -> None:
    node = root
    for token in tokens:
        node = node.after.setdefault(token, Node())
    node.meaning = meaning
    if len(tokens) > 1 and tokens[-1] == ".":
        _plant(root, tokens[:-1], meaning)


def _is_mark(word: str) -> bool:
    return word.isalpha() and word not in english() and (len(word) > 2 or not word.isascii())
