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

_SHORTEST, _BRAND, _LONG, _LONGEST = 6, 8, 9, 30
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
_GUARDS = re.compile(
    r"apomorph|apomorf|dextrometh?or|dextrorph|levometh?orph|dimemorf|papaver|naloxon|nalmef|methylnalt"
    r"|metilnalt|glucodon|platycod|porphin|morpholin"
)


@dataclass(frozen=True, slots=True, eq=False)
class Lookalikes:
    """The relevant single-word names by length, and the generic names that stand behind each.

    ``generic`` names may be two slips away where they are long, brands one; short brands are never guessed.
    ``spelt`` are names that stand in a table as they are rightly written: a person is asked whether that is meant.
    """

    by_length: Mapping[int, tuple[str, ...]]
    means: Mapping[str, tuple[str, ...]]
    generic: frozenset[str]
    spelt: frozenset[str]

    def near(self, word: str, others: Iterable[str], never: frozenset[str]) -> str:
        """The relevant name that ``word`` may be a misspelling of, or ""; ``others`` are known other names."""
        if not _SHORTEST <= len(word) <= _LONGEST or not word.isascii():
            return ""
        best = self._nearest(word)
        if not best:
            return ""
        name, distance = best
        rivals = [other for other in others if abs(len(other) - len(word)) <= distance]
        rival = (
            process.extractOne(word, rivals, scorer=OSA.distance, score_cutoff=distance)
            if rivals
            else None
        )
        own = set(self.means[name])
        if rival or own <= never or _between_antagonists(word, own):
            return ""
        return name

    def meant_by(self, name: str) -> str:
        """What to ask a person for: the name itself, or its ingredients where it is a common misspelling."""
        return name if name in self.spelt else " and ".join(sorted(self.means[name]))

    def _nearest(self, word: str) -> tuple[str, int] | None:
        limit = 1 if len(word) < _LONG else 2
        pool = [
            n
            for length in range(len(word) - limit, len(word) + limit + 1)
            for n in self.by_length.get(length, ())
        ]
        hits = process.extract(word, pool, scorer=OSA.distance, score_cutoff=limit, limit=20)
        fitting = [(int(d), name) for name, d, _ in hits if self._fits(word, name, int(d))]
        return min(fitting)[::-1] if fitting else None

    def _fits(self, word: str, name: str, distance: int) -> bool:
        if name in self.generic:
            return True
        return distance == 1 and len(name) >= _BRAND and word[0] == name[0]

    def list_near(self, word: str, limit: int = 3, most: int = 5) -> tuple[str, ...]:
        """The relevant names within ``limit`` edits of a word, nearest first."""
        pool = [
            name
            for length in range(len(word) - limit, len(word) + limit + 1)
            for name in self.by_length.get(length, ())
        ]
        hits = process.extract(word, pool, scorer=OSA.distance, score_cutoff=limit, limit=most)
        return tuple(name for name, _, _ in hits)


def _between_antagonists(word: str, own: set[str]) -> bool:
    """Whether a spelling lies between naltrexone and naloxone, so that neither may be guessed."""
    if "naltrexone" not in own:
        return False
    return OSA.distance(word, "naloxone") <= OSA.distance(word, "naltrexone") + 1


def lookalikes_of(
    names: Mapping[str, tuple[str, ...]], generic: frozenset[str], spelt: frozenset[str]
) -> Lookalikes:
    """The names that may be misspelt: single words, long enough that one slip does not make another word."""
    by_length: dict[int, list[str]] = {}
    for name in sorted(names):
        if name.isascii() and name.isalpha() and len(name) >= _SHORTEST:
            by_length.setdefault(len(name), []).append(name)
    return Lookalikes({n: tuple(group) for n, group in by_length.items()}, names, generic, spelt)


def stem_of(word: str) -> str:
    """The drug of the family that an international name's stem belongs to, or "": "furanylfentanyl" is fentanyl's."""
    if (
        len(word) < _SHORTEST
        or len(word) > _LONGEST * 2
        or not word.isascii()
        or _GUARDS.search(word)
    ):
        return ""
    return next((family for stem, family in _STEMS if stem.search(word)), "")
