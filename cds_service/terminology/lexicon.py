"""The names that people write, made ready to be looked up: by first word, by sound, and by first character."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cds_service.terminology.forms import Trait
from cds_service.terminology.others import INN_LIST, Others, others_of
from cds_service.terminology.packs import Pack
from cds_service.terminology.words import is_spaceless, skeleton, split_words


@dataclass(frozen=True, slots=True)
class Name:
    """One name that people write.

    ``match``: phrase, upper (a whole token in capitals), whole (the entire text), ambiguous (needs the form to confirm
    it), coarse (not beside micrograms: T3) or spelling (an international name in any language). ``traits`` are what the
    name alone tells of its form, and ``table`` is where it stands.
    """

    words: tuple[str, ...]
    ingredients: tuple[str, ...]
    match: str
    kind: str
    traits: frozenset[Trait] = frozenset()
    table: str = ""


def names(
    ingredients: Iterable[str], rows: list[dict[str, str]], packs: tuple[Pack, ...]
) -> tuple[Name, ...]:
    """Every relevant name; of one name in two tables the later pack's row holds, and an unclear name holds nowhere."""
    found = {
        (words, "phrase"): Name(words, (name,), "phrase", "generic", table="ingredients")
        for name in ingredients
        for words in [split_words(name)]
    }
    for row in rows:
        if row["match"] != "guard":
            words, match = split_words(row["text"]), row["match"]
            hint = frozenset(Trait(word) for word in row.get("hint", "").split())
            found[words, match] = Name(
                words, tuple(row["ingredients"].split(";")), match, row["kind"], hint, "names"
            )
    for pack in packs:
        for name in pack.names:
            words = split_words(name.name)
            if name.relevant and name.match != "unclear" and (words, "phrase") not in found:
                kind = "generic" if pack.title == "inn" else "brand"
                found[words, name.match] = Name(
                    words, name.ingredients, name.match, kind, name.hint, f"pack {pack.title}"
                )
    unclear = {split_words(n.name) for pack in packs for n in pack.names if n.match == "unclear"}
    return tuple(name for name in found.values() if name.words not in unclear)


def by_first_word(known: tuple[Name, ...]) -> dict[str, tuple[Name, ...]]:
    index = defaultdict(list)
    for name in known:
        index[name.words[0]].append(name)
    return {
        first: tuple(sorted(group, key=lambda n: -len(n.words))) for first, group in index.items()
    }


def sounds(known: tuple[Name, ...]) -> dict[str, Name]:
    """Generic names by skeleton; of two with one skeleton the one that is an ingredient's own name."""
    found: dict[str, Name] = {}
    for name in sorted(known, key=lambda n: (n.table != "ingredients", n.words)):
        if name.kind == "generic" and len(name.words) == 1 and name.match == "phrase":
            sound = skeleton(name.words[0])
            if sound:
                found.setdefault(
                    sound,
                    Name(
                        name.words, name.ingredients, "spelling", "generic", name.traits, name.table
                    ),
                )
    return found


def parts(
    known: tuple[Name, ...], others: Others
) -> dict[str, tuple[tuple[str, Name | None], ...]]:
    index: dict[str, dict[str, Name | None]] = defaultdict(dict)
    for first, group in others.parts.items():
        index[first].update(dict.fromkeys(group))
    for name in known:
        if len(name.words) == 1 and is_spaceless(name.words[0]):
            index[name.words[0][0]][name.words[0]] = name
    return {
        first: tuple(sorted(group.items(), key=lambda item: -len(item[0])))
        for first, group in index.items()
    }


def may_be_misspelt(name: Name) -> bool:
    return len(name.words) == 1 and name.match == "phrase"


def is_well_spelt(name: Name) -> bool:
    """Whether this is surely how the name is written: packs and the other names hold misspellings too."""
    return name.table == "ingredients" or (name.table == "names" and name.kind == "brand")


def other_names(
    known: tuple[Name, ...],
    rows: list[dict[str, str]],
    lists: Mapping[str, list[str]],
    packs: tuple[Pack, ...],
) -> Others:
    """The names of other drugs, without any that is a relevant name too or that a pack calls unclear."""
    relevant = {" ".join(name.words) for name in known}
    relevant |= {
        " ".join(split_words(n.name)) for pack in packs for n in pack.names if n.match == "unclear"
    }
    inns = [n for n in lists[INN_LIST] if n not in relevant]
    stated = [
        *((n, INN_LIST) for n in inns),
        *((n, "other-names") for n in lists["other-names"]),
        *((n, "site-names") for n in lists.get("site-names", ())),
        *((r["text"], "names") for r in rows if r["match"] == "guard"),
        *(
            (n.name, f"pack {pack.title}")
            for pack in packs
            for n in pack.names
            if not n.relevant and n.match != "unclear"
        ),
    ]
    return others_of(
        ((n, at) for n, at in stated if n not in relevant and n.lower() not in relevant), inns
    )
