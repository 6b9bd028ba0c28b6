"""Say a sig of another language in the English that the grammar of sigs reads, or say that it cannot be read.

A text with a word that only another language has is never read as English. In its own language it is read only where
every word is known: an unknown word may be "except" or "halved".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cds_service.dosing.vocabulary import NUMBER, Book, Node, books, fold, marks, words_of

TOTAL, EACH = "@total", "@each"  # the amount said is that of a day; of one dose
LONGEST_FOREIGN = 600  # characters; a longer text is a leaflet, not a sig
_LETTERS = re.compile(r"[^\W\d_]+")
_LATIN = "\u024f"
_MARKS = marks()  # the tables are read at import, not inside the first call
_TIMES_OF_DAY = frozenset(
    {"morning", "noon", "evening", "bedtime", "morning evening", "morning noon evening", "and"}
)
_COUNT_BY_COUNT = re.compile(
    r"(?<![\w.,/-])([1-8]) ?x ?([1-8])(?![\w.,/-]| ?(?:mg|mcg|g|ng|ml|x|hours|days|weeks|months|times|per|drop)\b)"
    r"(?: tablet\b| capsule\b)?(?: daily\b| per day\b)?"
)
_TIMES_BY_COUNT = re.compile(r"\b([1-8]) times daily ([1-4])(?= ?(?:[;.,]|$))")


def readings(text: str) -> tuple[str, ...]:
    """What a text from ``plain`` may say in English: itself, its translations, or nothing where nobody understands it."""
    return translations(text, marked=True) if _is_foreign(text) else (text,)


def translations(text: str, *, marked: bool = False) -> tuple[str, ...]:
    """What a text says in each language that has all its words; ``marked`` asks only those that it must be one of."""
    if len(text) > LONGEST_FOREIGN:
        return ()
    folded = fold(text)
    present = set(_words(folded))
    found = (
        _translate(folded, book)
        for book in books()
        if not (marked and book.marks.isdisjoint(present))
    )
    return tuple(dict.fromkeys(said for said in found if said is not None))


def _is_foreign(text: str) -> bool:
    if text.isascii():
        return not _MARKS.isdisjoint(_LETTERS.findall(text))
    return any(char > _LATIN and char.isalpha() for char in text) or not _MARKS.isdisjoint(
        _words(fold(text))
    )


def _words(folded: str) -> Iterator[str]:
    return (m[0] for m in words_of(folded))


def _translate(folded: str, book: Book) -> str | None:
    """The whole text in English; None with the first word that this language does not have."""
    tokens = words_of(folded)
    words = [m[0] for m in tokens]
    said: list[str] = []
    at, divided, single = 0, False, False
    while at < len(words):
        length, meaning = _longest(book.phrases, words, at)
        if not length:
            meaning = _compound(words[at], book)
            length = 1
        if meaning is None:
            if words[at][0].isalpha():
                return None
            gap = " " if at and tokens[at].start() > tokens[at - 1].end() else ""
            said.append(gap + words[at])
        elif not (divided and meaning in _TIMES_OF_DAY):
            divided, single = divided or TOTAL in meaning, single or EACH in meaning
            said.append(f" {_in_english(meaning)} ")
        at += length
    if divided and single:  # "1 tablet each time" beside "divided by three" says two doses
        return None
    return _schemes(" ".join("".join(said).split()))


def _longest(node: Node, words: list[str], at: int) -> tuple[int, str | None]:
    """(words taken, meaning) of the longest phrase that begins here; (0, None) where none does."""
    best: tuple[int, str | None] = (0, None)
    paths: list[tuple[Node, tuple[str, ...]]] = [(node, ())]
    taken = 0
    while paths and at + taken < len(words):
        word = words[at + taken]
        literal = [(n.after[word], numbers) for n, numbers in paths if word in n.after]
        counted = (
            [(n.after[NUMBER], (*numbers, word)) for n, numbers in paths if NUMBER in n.after]
            if word[0].isdigit()
            else []
        )
        paths = literal + counted
        taken += 1
        ended = next(((n.meaning, numbers) for n, numbers in paths if n.meaning is not None), None)
        if ended is not None:
            best = (taken, _filled(*ended))
    return best


def _compound(word: str, book: Book) -> str | None:
    return next(
        (
            book.endings[word[cut:]]
            for cut in range(1, min(len(word), 60))
            if word[cut:] in book.endings
        ),
        None,
    )


def _filled(meaning: str, numbers: tuple[str, ...]) -> str:
    """The meaning with the numbers of its phrase."""
    for number in numbers:
        meaning = meaning.replace(NUMBER, number, 1)
    return meaning


def _in_english(meaning: str) -> str:
    """A filler says nothing; a doubt is said by a word that is one."""
    return {"-": "", EACH: "", "?": "except"}.get(meaning, meaning.replace(TOTAL, "daily"))


def _schemes(english: str) -> str:
    """ "1x3" is three units a day whichever of the two is the count; "2 dd 1" is one unit twice a day."""
    english = _COUNT_BY_COUNT.sub(
        lambda m: f"1 tablet {int(m[1]) * int(m[2])} times daily", english
    )
    return _TIMES_BY_COUNT.sub(r"\2 tablet \1 times daily", english)
