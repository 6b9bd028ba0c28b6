"""Plain words out of what people and systems write: folded letters, separate numbers, one linear pass."""

from __future__ import annotations

import re
import unicodedata

WORD = re.compile(r"[^\W\d_]+|\d+")
_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u2060-\u2064\ufeff]")
_LDN_TOKEN = re.compile(
    r"(?<![^\W_])[UV]?LDN(?:(?![^\W_])(?!-\d)"
    r"|-?(?=\d{1,2}(?:[.,]\d{1,3})?\s{0,2}mc?g\b))")          # "LDN-4.5mg" is a dose, LDN-193189 a compound
_LDN_WORDS = re.compile(
    r"(?<![^\W\d_])low[\s-]{0,3}dose[\s,:(-]{0,3}(?:[\d.,]{1,8}\s{0,2}mc?g\)?\s{0,2})?(?:naltrexon|ntx\b)"
    r"|(?<![^\W\d_])naltrexone?[\s,:(-]{0,3}low[\s-]{0,3}dose", re.IGNORECASE)


def fold(text: str) -> str:
    """The text with accents, full-width forms and invisible characters removed; the case stays."""
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKD", _INVISIBLE.sub("", text))
    return "".join(c for c in plain if not unicodedata.combining(c))


def split_words(text: str) -> tuple[str, ...]:
    """Letters and numbers apart: "naltrexone50mg" reads as three words and "methylnaltrexone" as one."""
    return tuple(word.lower() for word in WORD.findall(fold(text)))


def says_ldn(text: str) -> bool:
    """Whether the words say low-dose naltrexone: "LDN", "low-dose naltrexone"; not "LDN-193189" or "ldn"."""
    folded = fold(text)
    return bool(_LDN_TOKEN.search(folded) or _LDN_WORDS.search(folded))


def ldn_at(folded: str, start: int) -> bool:
    """Whether the token that begins at ``start`` is the abbreviation and no research compound."""
    return bool(_LDN_TOKEN.match(folded, start))
