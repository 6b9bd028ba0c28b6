"""What the unit of a quantity means: UCUM code, national code or word of any language; nothing is guessed.

The kinds: "mg", "mL", "unit" (tablet, capsule, film, patch, suppository, sachet...), "dose" (whatever is taken at
once), "puff", "spray", "drop". "50 units" has none: it may be international units.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from cds_service.dosing.amounts import (
    COUNTED,
    COUNTS,
    MG_PER_UNIT,
    ONE,
    VOLUMES,
    DoseAmount,
    mg_of,
    usable,
)
from cds_service.dosing.vocabulary import codes, endings, fold, meanings
from cds_service.model import Quantity, Strength

_LONGEST = 300  # characters of a unit, its code and its system
_UCUM = ("unitsofmeasure", "2.16.840.1.113883.6.8")
_NO_DOSE = re.compile(r".*[/*].*|.*\[[a-z]{0,3}u\].*|u|iu|units?|m?mol|meq|k?cal|kg|m2|cm2?|%")
_BARE = frozenset({"1", "each", "ea", "{each}"})
_DOSES = frozenset({"dose", "doses"})
_VOLUME_FACTORS = {
    "l": Decimal(1000),
    "liter": Decimal(1000),
    "litre": Decimal(1000),
    "dl": Decimal(100),
    "cl": Decimal(10),
    "ul": Decimal("0.001"),
}
_DRUG_FORM_CODES = frozenset(
    {  # HL7 orderableDrugForm
        "ortab",
        "ertab",
        "ertab24",
        "ertab12",
        "ectab",
        "drtab",
        "sltab",
        "buctab",
        "chewtab",
        "disintab",
        "effertab",
        "cptab",
        "orcap",
        "ercap",
        "ercap12",
        "ercap24",
        "entcap",
        "drcap",
        "caplet",
        "tpatch",
        "tpath16",
        "tpath24",
        "tpath72",
        "supp",
        "recsupp",
        "ortroche",
        "orfilm",
        "buctroche",
    }
)
_ADJECTIVES = re.compile(  # what may stand beside the one word that is the unit
    "oral film coated extended modified prolonged sustained delayed controlled immediate release hard soft gelatin "
    "gelatine sublingual buccal chewable dispersible effervescent enteric retard depot er xr sr ir cr la lp mr "
    "orodispersible orally disintegrating pelliculé pelliculés pellicule pellicules rivestita rivestite molli rigide "
    "dura duras blanda blandas recubierto recubiertos transdermal transdermique unit of presentation".replace(
        " ", "|"
    )
)
_PLURAL = re.compile(r"\((?:s|es|n|en|e|r|er|i|a|x)\)")
_COMMENT = re.compile(r" ?\([^)]*\)")
_COUNTED_FORM = re.compile(
    "錠|カプセル|胶囊|膠囊|片|캡슐|정(?![가-힣])"
)  # inside names without spaces
_KIND_OF = {
    **dict.fromkeys(
        ("tablet", "capsule", "piece", "sachet", "patch", "film", "suppository", "lozenge"), "unit"
    ),
    **dict.fromkeys(("dose", "puff", "spray", "drop"), ""),
}
_TIME_OF = {"hours": "h", "days": "d", "weeks": "w", "months": "m", "years": "y", "minutes": "min"}
_TIME_CODES: Mapping[str, str] = {
    "s": "s",
    "sec": "s",
    "second": "s",
    "min": "min",
    "minute": "min",
    "h": "h",
    "hr": "h",
    "hrs": "h",
    "hour": "h",
    "d": "d",
    "day": "d",
    "wk": "w",
    "w": "w",
    "week": "w",
    "mo": "m",
    "month": "m",
    "a": "y",
    "y": "y",
    "yr": "y",
    "year": "y",
    "[d]": "d",
}
_DAYS_IN = {"d": ONE, "w": Decimal(7), "m": Decimal(30), "y": Decimal(365)}
_PER_DAY = {"h": Decimal(24), "min": Decimal(1440), "s": Decimal(86400)}


class Unit(NamedTuple):
    """One of this unit is ``factor`` of ``kind``."""

    kind: str
    factor: Decimal = ONE
    bare: bool = False  # "1", "each": a count of whatever it is


_UCUM_WORDS = {
    "[drp]": Unit("drop"),
    "[puff]": Unit("puff"),
    "{puff}": Unit("puff"),
    "{actuat}": Unit("puff"),
    "{spray}": Unit("spray"),
}


def unit_of(quantity: Quantity) -> Unit | None:
    """The unit of a quantity: its code where it can be read, else its words; None for every other unit."""
    words, code, system = quantity.unit, quantity.code, quantity.system
    if len(words) + len(code) + len(system) > _LONGEST:
        words, code, system = words[:80], code[:80], system[:200]
    return _unit(words, code, system)


def amount_of(quantity: Quantity) -> DoseAmount | None:
    """A quantity as an amount; None without a usable number or a unit that is known."""
    value, unit = usable(quantity.value), unit_of(quantity)
    return DoseAmount(value * unit.factor, unit.kind) if value is not None and unit else None


def mg_in(quantity: Quantity, strength: Strength | None) -> Decimal | None:
    """mg in a quantity; a volume or a count needs a strength per that."""
    amount = amount_of(quantity)
    if amount is None:
        return _mg_per_word(quantity, strength)
    return mg_of(as_units(amount), strength)


def as_units(amount: DoseAmount) -> DoseAmount:
    """A dose of a product that is counted is one of its units."""
    return DoseAmount(amount.value, "unit", amount.low) if amount.unit == "dose" else amount


def time_unit(quantity_or_word: Quantity | str) -> str:
    """s, min, h, d, w, m or y of a unit of time, by UCUM code or word of any language; "" for every other."""
    if isinstance(quantity_or_word, str):
        return _time(quantity_or_word[:40])
    return _time(quantity_or_word.code[:40]) or _time(quantity_or_word.unit[:40])


def days_in(quantity: Quantity) -> Decimal | None:
    """A duration in days, with any unit of time; a month is 30 days, a year 365; without a unit the number is days."""
    number = quantity.value
    if number is None or not number.is_finite() or not 0 <= number <= 1_000_000_000:
        return None
    if not (quantity.unit or quantity.code).strip():
        return _within_a_century(number)
    unit = time_unit(quantity)
    if unit in _PER_DAY:
        return _within_a_century(number / _PER_DAY[unit])
    return _within_a_century(number * _DAYS_IN[unit]) if unit in _DAYS_IN else None


def _within_a_century(days: Decimal) -> Decimal | None:
    return days if days <= 36_500 else None


@lru_cache(maxsize=2_048)
def _time(word: str) -> str:
    word = _PLURAL.sub("", fold(word).strip().strip("{}").strip()).removesuffix(".")
    found = _TIME_CODES.get(word) or _TIME_CODES.get(word.removesuffix("s"), "")
    if found:
        return found
    told = {_TIME_OF[m] for m in meanings().get(word, ()) if m in _TIME_OF}
    return told.pop() if len(told) == 1 else ""


@lru_cache(maxsize=8_192)
def _unit(words: str, code: str, system: str) -> Unit | None:
    address = system.lower()
    national = any(part in address for parts, _, _ in codes() for part in parts)
    if national:
        found = _national(code.strip().lower(), address)
        return found or (_said(words) if words != code else None)
    if code and (not address or _is_ucum(address)):
        found = _UCUM_WORDS.get(code.strip().lower()) or _said(code)
        if found and not found.bare:
            return found
        if _is_ucum(address) and _NO_DOSE.fullmatch(code.strip().lower()):
            return None
        return _said(words) or found
    return _said(words) if words != code or (len(code) > 1 and not code.isdecimal()) else None


def _national(code: str, address: str) -> Unit | None:
    return next(
        (
            _of_meaning(meaning)
            for parts, known, meaning in codes()
            if known == code and any(part in address for part in parts)
        ),
        None,
    )


def _is_ucum(system: str) -> bool:
    return any(part in system.lower() for part in _UCUM)


def _said(words: str) -> Unit | None:
    """A unit in words: one word or compound, or one with adjectives ("film-coated tablet")."""
    text = _PLURAL.sub("", fold(words).strip())
    text = _COMMENT.sub("", text).strip().strip("{}").strip()
    if found := _one_word(text):
        return found
    parts = re.split(r"[ ,\-]+", text)
    known = {found for part in parts if (found := _one_word(part))}
    strange = [part for part in parts if not _ADJECTIVES.fullmatch(part) and not _one_word(part)]
    return (
        known.pop()
        if len(known) == 1 and not strange and all(u.kind == "unit" for u in known)
        else None
    )


def _one_word(word: str) -> Unit | None:
    if word in _BARE:
        return Unit("unit", bare=True)
    word = word.removesuffix(".").replace("μ", "u").replace("µ", "u")
    if word in MG_PER_UNIT:
        return Unit("mg", MG_PER_UNIT[word])
    if word in VOLUMES or word in _VOLUME_FACTORS:
        return Unit("mL", _VOLUME_FACTORS.get(word, ONE))
    if word in COUNTS or word in _DRUG_FORM_CODES:
        return Unit("unit")
    if word in _DOSES or word.removesuffix("s") in COUNTED:
        return Unit(word.removesuffix("s"))
    if len(word) < 2 and word.isascii():
        return None
    found = {unit for meaning in meanings().get(word, ()) if (unit := _of_meaning(meaning))}
    if not found and (ending := _ending(word)):
        found = {unit for unit in (_of_meaning(ending),) if unit}
    return found.pop() if len(found) == 1 else None


def _ending(word: str) -> str | None:
    return next(
        (endings()[word[cut:]] for cut in range(1, len(word)) if word[cut:] in endings()), None
    )


def _of_meaning(meaning: str) -> Unit | None:
    if meaning in MG_PER_UNIT:
        return Unit("mg", MG_PER_UNIT[meaning])
    if meaning == "ml":
        return Unit("mL")
    return (
        Unit(_KIND_OF[meaning] or meaning, bare=meaning == "piece") if meaning in _KIND_OF else None
    )


def _mg_per_word(quantity: Quantity, strength: Strength | None) -> Decimal | None:
    """A unit that only the strength knows ("click", "actuation")."""
    value, word = (
        usable(quantity.value),
        quantity.unit.strip().strip("{}").strip().lower().removesuffix("(s)"),
    )
    if strength is None or value is None or strength.per_unit in {"unit", "mL"} or not word:
        return None
    if word.removesuffix("s") != strength.per_unit.lower().removesuffix("s"):
        return None
    return mg_of(DoseAmount(value, strength.per_unit), strength)


def is_counted(drug_text: str) -> bool:
    """Whether the words of a product name a form that is counted in units, and none that is measured."""
    folded = fold(drug_text[:500])
    found = {
        unit.kind
        for word in re.split(r"[^\w]+", folded)
        if len(word) > 2 and (unit := _one_word(word))
    }
    return ("unit" in found or bool(_COUNTED_FORM.search(folded))) and "mL" not in found
