"""What the words of a text are that no relevant name covers: another drug's name, an unknown one, or no name at all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cds_service.terminology.tables import Tables
from cds_service.terminology.words import WORD

_NOISE = re.compile(r"\b\w{1,20}://\S{1,200}|\burn:\S{1,200}"
                    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
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
    r"|herstell|bereid|prepar|vaske$|vatska$|vaeske$|hartkap|weichkap|magensaft")
_JOINERS = frozenset({"with", "and", "und", "mit", "et", "avec", "y", "con", "e", "ed", "og", "och", "med", "en", "met",
                      "ja", "plus", "w", "i"})
_JOINING = re.compile(r"[+&/]|\bplus\b")
_SHORT = 2
_MOST = 60                  # words of a text that are looked at one by one
_COMPANIONS = re.compile(r"^(?:comp|compositum|compuesto|compose|composta|plus|cod|combi|duo|co)$")


@dataclass(frozen=True, slots=True)
class Rest:
    """``others`` are known other names in the order of the text, ``unknown`` the words that no table holds.

    ``is_other`` is True where the text positively names another drug and nothing that may be one more.
    """

    others: tuple[str, ...]
    unknown: tuple[str, ...]
    is_other: bool


def rest_of(folded: str, covered: Iterable[tuple[int, int]], tables: Tables) -> Rest:
    """Read what is left of a text when the ``covered`` places are taken out."""
    plain = _NOISE.sub(lambda m: " " * len(m.group()), folded) if ":" in folded or "-" in folded else folded
    taken = sorted(covered)
    places = [p for p in WORD.finditer(plain) if not any(s < p.end() and p.start() < e for s, e in taken)][:_MOST]
    words = [p.group().lower() for p in places]
    parts: list[list[tuple[str, bool]]] = [[]]
    opened = ""
    last, at = 0, 0
    while at < len(words):
        word, place = words[at], places[at]
        between = plain[last:place.start()]
        if word in _JOINERS or _JOINING.search(between):
            parts.append([])
        size = 0 if word.isdigit() else tables.others.at(words, at)
        if size:
            parts[-1].append((" ".join(words[at:at + size]), True))
            opened = opened or ("other" if not _holds_unknown(parts) or between[-1:] in "([-" else "")
        elif _may_be_a_name(word, tables):
            parts[-1].append((word, False))
        at += max(1, size)
        last = places[at - 1].end()
    return _judge(parts, bool(opened))


def _holds_unknown(parts: list[list[tuple[str, bool]]]) -> bool:
    return any(not known for part in parts for _, known in part)


def _may_be_a_name(word: str, tables: Tables) -> bool:
    return (len(word) > _SHORT and word.isascii() and not word.isdigit() and word not in tables.neutral
            and not _FORMISH.search(word))


def _judge(parts: list[list[tuple[str, bool]]], opened: bool) -> Rest:
    others = tuple(word for part in parts for word, known in part if known)
    unknown = tuple(word for part in parts for word, known in part if not known)
    stranger = any(part and not any(known for _, known in part) for part in parts)
    companion = any(_COMPANIONS.match(word) for word in unknown)
    return Rest(others, unknown, bool(others) and opened and not stranger and not companion)
