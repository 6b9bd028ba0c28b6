"""The strength that the words of a product state, where no code or compounding line gave one."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from cds_service.dosing.units import is_counted, unit_of
from cds_service.dosing.vocabulary import fold
from cds_service.model import Component, Quantity, Strength

_N = r"\d{1,6}(?:[.,]\d{1,6})?|[.,]\d{1,6}"
_CONCENTRATION = re.compile(
    rf"(?<![a-z0-9.,/-])(?P<n>{_N}) ?(?P<u>mg|мг|mcg|ug|g) ?(?:/|per|pro|par|por) ?"
    r"(?P<per>\d{1,4}(?:[.,]\d{1,4})?)? ?(?:ml|мл)(?!\w)",
    re.IGNORECASE,
)
_MASS = re.compile(
    rf"(?<![a-z0-9.,/-])(?P<n>{_N}) ?-?(?P<u>mg|мг|mcg|мкг|µg|μg|ug)(?![a-zа-я0-9/]| ?/)",
    re.IGNORECASE,
)
_PACK = re.compile(
    r"(?<![\w.,])(?:n ?[1-3]\b|(?P<n>\d{1,4}) ?(?:x|(?P<form>[^\W\d_]+)))", re.IGNORECASE
)
_ANOTHER = re.compile(r"[\d/+]|\b(?:and|with|und|mit|et|y|con)\b", re.IGNORECASE)


def strength_of(component: Component | None, drug_text: str) -> Strength | None:
    """The component's strength, else the one that the product's name states; another number there is a doubt."""
    if component is None or component.strength is not None:
        return component.strength if component else None
    return named_strength(drug_text[:500])


@lru_cache(maxsize=2_048)
def named_strength(drug_text: str) -> Strength | None:
    """ "1 mg/mL", or "4.5 mg" beside the name of a form that is counted; numbers of a pack may stand beside it."""
    found = _CONCENTRATION.search(drug_text)
    if found:
        per = _number(found["per"] or "1")
        mg = _mg(found)
        return (
            Strength(mg, per, "mL")
            if mg and per and not _ANOTHER.search(_rest(drug_text, found))
            else None
        )
    masses = list(_MASS.finditer(drug_text))
    if len(masses) != 1 or not is_counted(drug_text):
        return None
    mg = _mg(masses[0])
    rest = _PACK.sub(lambda m: "" if _is_pack(m) else m[0], _rest(drug_text, masses[0]))
    return Strength(mg) if mg and not _ANOTHER.search(rest) else None


def _rest(text: str, found: re.Match[str]) -> str:
    return f"{text[: found.start()]} {text[found.end() :]}"


def _is_pack(m: re.Match[str]) -> bool:
    unit = unit_of(Quantity(None, m["form"])) if m["form"] else None
    return not m["n"] or bool(unit and unit.kind == "unit")


def _mg(found: re.Match[str]) -> Decimal | None:
    value, unit = _number(found["n"]), unit_of(Quantity(None, fold(found["u"])))
    return value * unit.factor if value and unit and unit.kind == "mg" else None


def _number(text: str) -> Decimal | None:
    """ "4.5", ".5" or "4,5"; "1,500" may follow either convention and is none."""
    whole, comma, part = text.partition(",")
    if comma and len(part) == 3 and whole.strip("0"):
        return None
    return Decimal(text.replace(",", "."))
