"""Plain words out of what people and systems write: folded letters, separate numbers, one linear pass.

``skeleton`` is what stays of an international drug name when its language is taken away: "oxycodone", "oxicodona",
"ossicodone", "oksykodon" and "оксикодон" have the same skeleton.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

WORD = re.compile(r"[^\W\d_]+|\d+")
SHORTEST_SKELETON = 5
_MOST_EXPANSION = (
    4  # letters that one letter comes apart into; no letter of a name needs more, a few signs 18
)
_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u2060-\u2064\ufeff]")
_KANA_MARKS = "\u3099\u309a"
_LIGATURES = str.maketrans(
    {
        "ß": "ss",
        "ø": "o",
        "Ø": "O",
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "Œ": "OE",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "ı": "i",
        "þ": "th",
        "ð": "d",
        "№": "no ",
    }
)
_LDN_TOKEN = re.compile(
    r"(?<![^\W_])[UV]?LDN(?:(?![^\W_])(?!-\d)"
    r"|-?(?=\d{1,2}(?:[.,]\d{1,3})?\s{0,2}mc?g\b))",
    re.IGNORECASE,
)  # LDN-193189 is a compound
_LDN_WORDS = re.compile(
    r"(?<![^\W\d_])low[\s-]{0,3}dose[\s,:(-]{0,3}(?:[\d.,]{1,8}\s{0,2}mc?g\)?\s{0,2})?(?:naltrexon|ntx\b)"
    r"|(?<![^\W\d_])naltrexone?[\s,:(-]{0,3}low[\s-]{0,3}dose",
    re.IGNORECASE,
)
_SPACELESS = re.compile(
    "[\u0590-\u06ff\u0750-\u077f\u08a0-\u08ff\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
    "\ufb1d-\ufdff\ufe70-\ufeff]"
)
_ALPHABETS = re.compile("[\u0370-\u03ff\u0400-\u052f]")
_GREEK_PAIRS = (("αι", "e"), ("οι", "i"), ("ου", "u"), ("ευ", "eu"), ("μπ", "b"), ("ντ", "nt"))
_LETTERS = str.maketrans(
    {
        **dict(
            zip(
                "абвгдезийклмнопрстуфцыэіїєґѣ",
                (
                    "a",
                    "b",
                    "v",
                    "g",
                    "d",
                    "e",
                    "z",
                    "i",
                    "i",
                    "k",
                    "l",
                    "m",
                    "n",
                    "o",
                    "p",
                    "r",
                    "s",
                    "t",
                    "u",
                    "f",
                    "c",
                    "y",
                    "e",
                    "i",
                    "i",
                    "e",
                    "g",
                    "e",
                ),
                strict=True,
            )
        ),
        "ж": "zh",
        "х": "ch",
        "ч": "ch",
        "ш": "sh",
        "щ": "sh",
        "ю": "iu",
        "я": "ia",
        "ъ": "",
        "ь": "",
        "ё": "e",
        **dict(
            zip(
                "αβγδεζηθικλμνξοπρστυφχψωςϲ",
                (
                    "a",
                    "b",
                    "g",
                    "d",
                    "e",
                    "z",
                    "i",
                    "th",
                    "i",
                    "k",
                    "l",
                    "m",
                    "n",
                    "x",
                    "o",
                    "p",
                    "r",
                    "s",
                    "t",
                    "y",
                    "f",
                    "ch",
                    "ps",
                    "o",
                    "s",
                    "s",
                ),
                strict=True,
            )
        ),
    }
)
_SOUNDS = (
    ("ph", "f"),
    ("th", "t"),
    ("ch", "k"),
    ("qu", "k"),
    ("ck", "k"),
    ("ce", "se"),
    ("ci", "si"),
    ("cy", "si"),
    ("ts", "s"),
    ("tz", "s"),
    ("ae", "e"),
    ("ks", "s"),
    ("x", "s"),
    ("z", "s"),
)
_ONE_SOUND = str.maketrans({"c": "k", "q": "k", "y": "i", "j": "i", "w": "v", "h": None})
_DOUBLE = re.compile(r"(.)\1+")


def fold(text: str) -> str:
    """The text with accents, full-width forms and invisible characters removed; the case stays."""
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKD", _INVISIBLE.sub("", text).translate(_LIGATURES))
    plain = plain[: _MOST_EXPANSION * len(text)]
    plain = "".join(c for c in plain if not unicodedata.combining(c) or c in _KANA_MARKS)
    return unicodedata.normalize("NFC", plain)


def split_words(text: str) -> tuple[str, ...]:
    """Letters and numbers apart: "naltrexone50mg" reads as three words and "methylnaltrexone" as one."""
    return tuple(word.lower() for word in WORD.findall(fold(text)))


def is_spaceless(word: str) -> bool:
    """Whether a word is of a script that joins words or that we only know by whole names (Hebrew, Arabic, kana, Han)."""
    return not word.isascii() and bool(_SPACELESS.search(word))


@lru_cache(maxsize=32_768)
def skeleton(word: str) -> str:
    """The sound of a folded, lower-case word without its language, or "" where too little would stay."""
    if not word.isascii():
        if _ALPHABETS.search(word):
            word = _spelt_out(word)
        if not word.isascii():
            return ""
    for written, sound in _SOUNDS:
        if written in word:
            word = word.replace(written, sound)
    word = _DOUBLE.sub(r"\1", word.translate(_ONE_SOUND))
    bare = word.removesuffix("um")
    bare = bare.rstrip("aeiou")
    return bare if len(bare) >= SHORTEST_SKELETON else ""


def _spelt_out(word: str) -> str:
    for pair, sound in _GREEK_PAIRS:
        word = word.replace(pair, sound)
    spelt = word.translate(_LETTERS)
    return "hydr" + spelt[4:] if spelt.startswith("gidr") else spelt


def says_ldn(text: str) -> bool:
    """Whether the words say low-dose naltrexone: "LDN", "ldn", "low-dose naltrexone"; not "LDN-193189"."""
    folded = fold(text)
    return bool(_LDN_TOKEN.search(folded) or _LDN_WORDS.search(folded))


def ldn_at(folded: str, start: int) -> bool:
    """Whether the token that begins at ``start`` is the abbreviation and no research compound."""
    return bool(_LDN_TOKEN.match(folded, start))
