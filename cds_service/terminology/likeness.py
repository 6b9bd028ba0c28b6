"""What an unknown word may be a misspelling of, and what its ending gives away: both are guesses and said to be.

Likeness is asked only of words that no table knows, and only against relevant names; a known other name that is as
near wins. Naltrexone and naloxone are two edits apart and are never guessed into each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import OSA

from cds_service.terminology.words import skeleton

_SHORTEST, _LONG, _LONGEST = 6, 9, 30
_STEMS = (
    (re.compile(r"naltre?[xk]s?on|naltrex"), "naltrexone"),
    (re.compile(r"buprenorph|buprenorf"), "buprenorphine"),
    (re.compile(r"fentan[iy]l"), "fentanyl"),
    (re.compile(r"nitazen"), "nitazene opioid"),
    (re.compile(r"(?:morph(?:in|on)|morf(?:in|on))[aeou]?\w{0,2}$"), "morphine"),
    (re.compile(r"codon[ea]?$|kodon[ei]?$"), "hydrocodone"),
    (re.compile(r"orphanol[eao]?$|orfanol[eao]?$"), "levorphanol"),
    (re.compile(r"orphine?$|orfina?$"), "buprenorphine"),
    (re.compile(r"azocine?$|azocina$"), "pentazocine"),
    (re.compile(r"(?:pethid|petid)ina?e?$|(?:mep|pip)eridine$"), "meperidine"),
    (re.compile(r"^\w{0,8}methadon[ea]?$|^\w{0,8}metadon[ea]?$"), "methadone"),
    (re.compile(r"tramadol|tapentadol"), "tramadol"),
    (re.compile(r"codein|kodein"), "codeine"),
    (re.compile(r"mitragyn|kratom"), "kratom"),
    (re.compile(r"tianeptin"), "tianeptine"),
    (re.compile(r"samidorph"), "samidorphan"),
)
_GUARDS = re.compile(r"apomorph|apomorf|dextrometh?or|dextrorph|levometh?orph|dimemorf|papaver|naloxon|nalmef|methylnalt"
                     r"|metilnalt|glucodon|morpholin")


@dataclass(frozen=True, slots=True, eq=False)
class Lookalikes:
    """The relevant single-word names by length, and the generic name that stands behind each."""

    by_length: Mapping[int, tuple[str, ...]]
    means: Mapping[str, tuple[str, ...]]

    def near(self, word: str, others: Iterable[str], never: frozenset[str]) -> str:
        """The relevant name that ``word`` may be a misspelling of, or ""; ``others`` are known other names."""
        if not _SHORTEST <= len(word) <= _LONGEST or not word.isascii():
            return ""
        limit = 1 if len(word) < _LONG else 2
        best = self._nearest(word, limit)
        if not best:
            return ""
        name, distance = best
        rivals = [other for other in others if abs(len(other) - len(word)) <= distance]
        rival = process.extractOne(word, rivals, scorer=OSA.distance, score_cutoff=distance) if rivals else None
        own = set(self.means[name])
        if rival or own <= never or _between_antagonists(word, own):
            return ""
        return name

    def _nearest(self, word: str, limit: int) -> tuple[str, int] | None:
        found: tuple[str, int] | None = None
        for length in range(len(word) - limit, len(word) + limit + 1):
            hit = process.extractOne(word, self.by_length.get(length, ()), scorer=OSA.distance, score_cutoff=limit)
            if hit and (found is None or (hit[1], hit[0]) < (found[1], found[0])):
                found = (hit[0], int(hit[1]))
        return found

    def list_near(self, word: str, limit: int = 3, most: int = 5) -> tuple[str, ...]:
        """The relevant names within ``limit`` edits of a word, nearest first."""
        pool = [name for length in range(len(word) - limit, len(word) + limit + 1)
                for name in self.by_length.get(length, ())]
        return tuple(name for name, _, _ in process.extract(word, pool, scorer=OSA.distance, score_cutoff=limit, limit=most))


def _between_antagonists(word: str, own: set[str]) -> bool:
    """Whether a spelling lies between naltrexone and naloxone, so that neither may be guessed."""
    if "naltrexone" not in own:
        return False
    return OSA.distance(word, "naloxone") <= OSA.distance(word, "naltrexone") + 1


def lookalikes_of(names: Mapping[str, tuple[str, ...]]) -> Lookalikes:
    """The names that may be misspelt: single words, long enough that one slip does not make another word."""
    by_length: dict[int, list[str]] = {}
    for name in sorted(names):
        if name.isascii() and name.isalpha() and len(name) >= _SHORTEST:
            by_length.setdefault(len(name), []).append(name)
    return Lookalikes({n: tuple(group) for n, group in by_length.items()}, names)


def stem_of(word: str) -> str:
    """The drug of the family that an international name's stem belongs to, or "": "furanylfentanyl" is fentanyl's."""
    if len(word) < _SHORTEST or len(word) > _LONGEST * 2 or not word.isascii() or _GUARDS.search(word):
        return ""
    return next((family for stem, family in _STEMS if stem.search(word)), "")


def same_sound(one: str, other: str) -> bool:
    """Whether two spellings are one name in two languages."""
    return bool(skeleton(one)) and skeleton(one) == skeleton(other)
