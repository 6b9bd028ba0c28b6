"""What the words of a text are that no relevant name covers: another drug's name, an unknown one, or no name at all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from cds_service.terminology.forms import PARTNERS, traits_of
from cds_service.terminology.tables import Tables
from cds_service.terminology.words import WORD

_NOISE = re.compile(
    r"\b\w{1,20}://\S{1,200}|\burn:\S{1,200}"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    re.IGNORECASE,
)
_FORMISH = re.compile(
    r"tabl|kaps|^caps|^gelul|comprim|compres|^dragee|pilul|inje[ck]|inyec|iniez|losung|losning|oplosn|liuos|solu[tcz]|susp"
    r"|emuls|salb|salva|pomad|pommad|unguent|^crem|^krem|^kram|kramp?$|gel$|spray|spruh|tropf|drypp|draber|droppar|druppel"
    r"|gout|^gotas|gocc|plast|pflast|parche|cerott|patch|pul[vb]|powder|poudre|polvo|polver|granul|grane|sirup|syrup|sirop"
    r"|jarab|scirop|siroop|saft$|infu[sz]|ampul|ampol|ampoul|flac|frasc|flak|flask|retard|depot|film|enter[oi]|gastro"
    r"|resist|suppos|zapf|stikpil|stolpil|inhal|aerosol|einzeldos|dosis|dosett|einheit|enhet|unidad|unita|blister|penna$"
    r"|^pens?$|sprut|spritz|sproyte|seringu|jering|siring|sublingu|oro?dispers|transderm|intramus|intraven|subcut|subkut"
    r"|prolong|mikrog|microg|mikrol|milil|millil|millig|miligr|brause|lutsch|schmelz|kau[dt]|tugg|tyggetab|munn|augen"
    r"|ogon|ojen|oftalm|ophtalm|ophthalm|colir|collir|collyr|nasal|nasen|nesesp|naese|vaginal|vagit|rektal|rectal|concentr"
    r"|konzentr|konsentr|lyophil|liofil|effervesc|gastror|flavou?r|sugarf|zuckerfr|release|relse$|freisetz|frisett|frisatt"
    r"|herstell|bereid|prepar|vaske$|vatska$|vaeske$|hartkap|weichkap|magensaft|modif|konserv|preserv|conserv|revestid"
    r"|recubiert|pelicul|pellicul|suposit|perfus|injet|injekc|kattega|kaetud|ohukese|polumeer|cutane|kutan|oromuc|parenter"
    r"|dispersi|dilution|degre|verdunn|flavou?r|sabor|gusto|geschmack|smak$|masticab|bucodis|orodis|libert|liberac|rilasc"
)
_JOINERS = frozenset(
    {
        "with",
        "and",
        "und",
        "mit",
        "et",
        "avec",
        "y",
        "con",
        "e",
        "ed",
        "og",
        "och",
        "med",
        "en",
        "met",
        "ja",
        "plus",
        "w",
        "i",
    }
)
_JOINING = re.compile(r"[+&/]")
_SHORT = 2
_MOST = 60  # words of a text that are looked at one by one
_COMPANIONS = re.compile(r"^(?:comp|compositum|compuesto|compose|composta|plus|cod|combi|duo|co)$")


@dataclass(frozen=True, slots=True)
class Rest:
    """``others`` are known other names in the order of the text, ``unknown`` the words that no table holds.

    ``formlike`` are words in which the name of a form was seen: "filmtabletten", but also "oxycogone".
    ``alone`` are unknown words that no known name stands beside: they may be an ingredient of their own. ``is_other`` is
    True where the text positively names another drug and nothing that may be one more.
    """

    others: tuple[str, ...]
    unknown: tuple[str, ...]
    alone: tuple[str, ...]
    formlike: tuple[str, ...]
    is_other: bool


def rest_of(folded: str, covered: Iterable[tuple[int, int]], tables: Tables) -> Rest:
    """Read what is left of a text when the ``covered`` places are taken out."""
    plain = (
        _NOISE.sub(lambda m: " " * len(m.group()), folded)
        if ":" in folded or "-" in folded
        else folded
    )
    taken = sorted(covered)
    places = [
        p for p in WORD.finditer(plain) if not any(s < p.end() and p.start() < e for s, e in taken)
    ][:_MOST]
    words = [p.group().lower() for p in places]
    parts: list[list[_Found]] = [[]]
    last, at, joined, companion = 0, 0, False, False
    while at < len(words):
        word, place = words[at], places[at]
        between = plain[last : place.start()]
        joined = (
            (joined and word.isdigit())
            or bool(_JOINING.search(between))
            or (at > 0 and words[at - 1] in _JOINERS)
        )
        size = 0 if word.isdigit() else tables.others.at(words, at)
        size = 0 if size == 1 and word in _JOINERS else size
        companion |= bool(
            not size
            and _COMPANIONS.match(word)
            and parts[-1]
            and parts[-1][-1].known
            and last
            and not plain[last : place.start()].strip(" -.")
            and traits_of((parts[-1][-1].word,)) & PARTNERS
        )
        if size or _may_be_a_name(word, tables):
            if joined:
                parts.append([])
            named = " ".join(words[at : at + max(1, size)])
            parts[-1].append(_Found(named, bool(size), between[-1:] in "([-" if between else False))
        at += max(1, size)
        last = places[at - 1].end()
    return _judge(parts, companion, tuple(w for w in words if _FORMISH.search(w)), tables)


class _Found(NamedTuple):
    """A word that may be a name, whether it is known, and whether a bracket or hyphen opens it."""

    word: str
    known: bool
    opened: bool


def _may_be_a_name(word: str, tables: Tables) -> bool:
    if word in tables.unclear:
        return True
    return (
        len(word) > _SHORT
        and word.isascii()
        and not word.isdigit()
        and word not in tables.neutral
        and not _FORMISH.search(word)
    )


def _judge(
    parts: list[list[_Found]], companion: bool, formlike: tuple[str, ...], tables: Tables
) -> Rest:
    found = [each for part in parts for each in part]
    others = tuple(each.word for each in found if each.known)
    unknown = tuple(each.word for each in found if not each.known)
    alone = tuple(each.word for part in parts if not any(e.known for e in part) for each in part)
    return Rest(
        others,
        unknown,
        alone,
        formlike,
        bool(others) and _is_headed(found, tables) and not alone and not companion,
    )


def _is_headed(found: list[_Found], tables: Tables) -> bool:
    """Whether a known name leads: the first word, one in brackets, or an ingredient that is no opioid's usual partner."""
    if found[0].known or any(each.known and each.opened for each in found):
        return True
    return any(
        each.known
        and tables.others.is_substance(each.word)
        and not traits_of((each.word,)) & PARTNERS
        for each in found
    )
