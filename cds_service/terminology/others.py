"""Names of medicines and supplies that are neither opioid nor antagonist: only what stands here is "another drug".

A word matches as written, or by its skeleton where it is an international name in another language's spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cds_service.terminology.words import is_spaceless, skeleton, split_words

_SHORTEST_INN = 7  # letters; shorter names are too easily another word in another language
_FOLDED = re.compile(r"[a-z]+(?: [a-z]+)*")
INN_LIST = "other-inn"
_SHORTEST_PART = 2  # characters of a name in a script without spaces


@dataclass(frozen=True, slots=True, eq=False)
class Others:
    """``names`` are folded words joined by spaces, each with the table it stands in; ``longest`` the most words of a
    name by its first word.

    ``sounds`` are skeletons of single names; ``parts`` names in scripts that join words, by their first character;
    ``initials`` single names by their first letter.
    """

    names: Mapping[str, str]
    longest: Mapping[str, int]
    sounds: frozenset[str]
    parts: Mapping[str, tuple[str, ...]]
    initials: Mapping[str, tuple[str, ...]]

    def __contains__(self, word: str) -> bool:
        return word in self.names

    def table_of(self, name: str) -> str:
        """The table that a name found by ``at`` stands in; a spelling of an international name is of their list."""
        parts = (part for first in name for part in self.parts.get(first, ()) if part in name)
        found = self.names.get(name) or next((self.names[part] for part in parts), INN_LIST)
        return found if found.startswith("pack ") else f"table {found}"

    def is_substance(self, name: str) -> bool:
        """Whether a name is an international one, so that it says what is in a product whoever makes it."""
        return " " not in name and self._sounds_known(name)

    def starting_with(self, word: str) -> tuple[str, ...]:
        """The single names that begin with the letter that ``word`` begins with."""
        return self.initials.get(word[:1], ())

    def phrase_at(self, words: Sequence[str], start: int) -> int:
        """How many words from ``start`` on are a known name of several words, 0 for none."""
        for size in range(min(self.longest.get(words[start], 0), len(words) - start), 1, -1):
            if " ".join(words[start : start + size]) in self.names:
                return size
        return 0

    def at(self, words: Sequence[str], start: int) -> int:
        """How many words from ``start`` on are a known other name: the longest, 0 for none."""
        first = words[start]
        if size := self.phrase_at(words, start):
            return size
        if first in self.names:
            return 1
        return int(self._sounds_known(first) or self._part_known(first))

    def _sounds_known(self, word: str) -> bool:
        sound = skeleton(word) if len(word) >= _SHORTEST_INN - 1 else ""
        return bool(sound) and (sound in self.sounds or _joined(sound, self.sounds))

    def _part_known(self, word: str) -> bool:
        if not is_spaceless(word):
            return False
        return any(
            word.startswith(name, at)
            for at, first in enumerate(word)
            for name in self.parts.get(first, ())
        )


_SALTS = (
    "idroklorid",
    "klorid",
    "sulfat",
    "fosfat",
    "natrium",
    "kalium",
    "kalsium",
    "sitrat",
    "tartrat",
    "maleat",
    "fumarat",
    "asetat",
    "bromid",
    "mesilat",
    "besilat",
    "suksinat",
    "idrobromid",
    "nitrat",
    "tablet",
    "kapsel",
    "kapsul",
    "tropfen",
    "salb",
    "krem",
    "gel",
    "idrat",
    "hemidrat",
    "kalsik",
    "sodik",
)


def _joined(sound: str, sounds: frozenset[str]) -> bool:
    """Whether a known name and a salt or form are written as one word: "Metoprololtartrat"."""
    for salt in _SALTS:
        at = sound.find(salt, 5)
        if at > 0 and (sound[:at] in sounds or sound[:at].rstrip("aeious") in sounds):
            return True
    return False


def others_of(names: Iterable[tuple[str, str]], inns: Iterable[str]) -> Others:
    """The table of names as people write them, each with where it stands; the ``inns`` among them are known in every
    spelling.
    """
    single: dict[str, str] = {}
    longest: dict[str, int] = {}
    parts: dict[str, list[str]] = {}
    for name, table in names:
        words = tuple(name.split()) if _FOLDED.fullmatch(name) else split_words(name)
        if not words:
            continue
        if len(words) == 1 and is_spaceless(words[0]) and len(words[0]) >= _SHORTEST_PART:
            parts.setdefault(words[0][0], []).append(words[0])
        single.setdefault(" ".join(words), table)
        longest[words[0]] = max(longest.get(words[0], 0), len(words))
    sounds = {skeleton(inn) for inn in inns if len(inn) >= _SHORTEST_INN and inn.isalpha()}
    initials: dict[str, list[str]] = {}
    for name in single:
        if " " not in name:
            initials.setdefault(name[0], []).append(name)
    return Others(
        single,
        longest,
        frozenset(sounds - {""}),
        {first: tuple(group) for first, group in parts.items()},
        {first: tuple(group) for first, group in initials.items()},
    )
