"""How long and how hard a text is: its words, and its Flesch-Kincaid grade."""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Za-z0-9][\w.,/%'’-]*")
_VOWELS = re.compile(r"[aeiouy]+")
_SENTENCE = re.compile(r"[.!?;:]+(?:\s|$)|\n")


def words(text: str) -> int:
    """Words as a reader counts them, between spaces: a number and its unit are two, a hyphenated word is one."""
    return sum(any(map(str.isalnum, word)) for word in text.split())


def grade(text: str) -> float:
    """The school year for which a text is easy; drug names make every medical text look hard."""
    found = _WORD.findall(_plain(text))
    if not found:
        return 0.0
    sentences = max(1, sum(1 for part in _SENTENCE.split(_plain(text)) if _WORD.search(part)))
    syllables = sum(map(_syllables, found))
    return 0.39 * len(found) / sentences + 11.8 * syllables / len(found) - 15.59


def _plain(text: str) -> str:
    return text.replace("**", "").replace("\\", "")


def _syllables(word: str) -> int:
    low = word.lower()
    return max(1, len(_VOWELS.findall(low)) - (low.endswith("e") and not low.endswith("le")))
