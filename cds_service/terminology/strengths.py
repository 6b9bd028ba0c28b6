"""How much of an ingredient one unit or one mL holds, as names and compounding lines write it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

from cds_service.model import IngredientLine, Quantity, Strength

_MG = {
    "mg": Decimal(1),
    "milligram": Decimal(1),
    "milligrams": Decimal(1),
    "mcg": Decimal("0.001"),
    "ug": Decimal("0.001"),
    "\u03bcg": Decimal("0.001"),
    "microgram": Decimal("0.001"),
    "micrograms": Decimal("0.001"),
    "ng": Decimal("0.000001"),
    "g": Decimal(1000),
    "gm": Decimal(1000),
    "gram": Decimal(1000),
    "grams": Decimal(1000),
}
_NUMBER = r"\d{1,9}(?:[.,]\d{1,9})?|[.,]\d{1,9}"
_UNIT_WORD = (
    r"actuat(?:ion)?s?|tab(?:let)?s?|tbl|caps?(?:ules?)?|films?|patch(?:es)?|lozenges?|troches?"
    r"|suppositor(?:y|ies)|puffs?|sprays?|doses?|drops?|units?|implants?|pellets?"
    r"|syringes?|vials?|each|1"
)
_MASS = "|".join(sorted(_MG, key=len, reverse=True))
_RATE = r"hours?|hrs?|h|days?|d|kg|g|mg|cm2"
_STRENGTH = re.compile(
    rf"(?<![\d.,])(?P<n>{_NUMBER})\s{{0,2}}-?(?P<u>{_MASS})(?![^\W\d_])"
    rf"(?:\s{{0,2}}(?:/|\bper\b)\s{{0,2}}(?:(?P<pn>{_NUMBER})\s{{0,2}})?"
    rf"(?:(?P<ml>ml|milliliters?|cc|l)|(?P<unit>{_UNIT_WORD})|(?P<rate>{_RATE}))(?![^\W_]))?"
    r"(?!\s?/[^\W\d_]{0,2}$)",
    re.IGNORECASE,
)
_RATIO = re.compile(
    rf"(?<![\d.,/-])({_NUMBER})\s?(?:mg)?\s?[/-]\s?({_NUMBER})(?:\s?[/-]\s?({_NUMBER}))?\s?(?:mg)?"
    r"(?![\d.,]|\s{0,2}(?:ml|hr|hour|mcg|g|l|%)\b|[/-]\d)",
    re.IGNORECASE,
)
_BREAK = re.compile(r"[/+&;]|\b(?:and|with)\b|-(?=[^\W\d_]{3})", re.IGNORECASE)
_JOIN = re.compile(r"^(?:and|with)\b", re.IGNORECASE)
_LETTER = re.compile(r"[^\W\d_]")


class Amount(NamedTuple):
    """An amount with its place; ``strength`` is None for a rate (mg/hr, mg/kg, mg/g) or an unclear number."""

    start: int
    end: int
    strength: Strength | None


class Mention(NamedTuple):
    """Where a text names an ingredient."""

    ingredient: str
    start: int
    end: int


class Scan(NamedTuple):
    """A text, the ingredients and amounts in it; ``alone`` = one ingredient and no known partner."""

    folded: str
    mentions: tuple[Mention, ...]
    amounts: tuple[Amount, ...]
    alone: bool

    @property
    def breaks(self) -> tuple[int, ...]:
        """Where one ingredient ends and the next begins: "/", "+", "and"; not the stroke of mg/mL."""
        return tuple(
            m.start()
            for m in _BREAK.finditer(self.folded)
            if not any(a.start <= m.start() < a.end for a in self.amounts)
        )


def number(text: str) -> Decimal | None:
    """The value of "4.5", ".5" or "4,5"; None for "1,500", which may follow either convention."""
    whole, comma, part = text.partition(",")
    if comma and len(part) == 3 and whole.strip("0"):
        return None
    return Decimal(text.replace(",", "."))


def amounts_in(folded: str) -> tuple[Amount, ...]:
    """Every amount with a mass unit in the text, in order."""
    return tuple(Amount(m.start(), m.end(), _strength(m)) for m in _STRENGTH.finditer(folded))


def _strength(found: re.Match[str]) -> Strength | None:
    value, per = number(found["n"]), number(found["pn"]) if found["pn"] else Decimal(1)
    if value is None or per is None or found["rate"] or not value or not per:
        return None
    mg = value * _MG[found["u"].lower()]
    if not found["ml"]:
        return Strength(mg, per)
    return Strength(mg, per * 1000 if found["ml"].lower() == "l" else per, "mL")


def strength_for(
    ingredient: str, scan: Scan, known: frozenset[Decimal] = frozenset()
) -> Strength | None:
    """The strength of one ingredient in one text; None where it is not clear.

    ``known`` are the mg per unit that products of this name have: they settle "5/325" and "8-90 mg".
    """
    if known and (settled := _from_ratio(scan.folded, known)):
        return settled
    breaks = scan.breaks
    near = {
        a.strength
        for m in scan.mentions
        if m.ingredient == ingredient
        for a in _beside(m, breaks, scan)
    }
    if not near and scan.alone and not any(b < a.end for b in breaks for a in scan.amounts):
        near = {a.strength for a in scan.amounts}
    if near and scan.alone:
        near |= {a.strength for a in scan.amounts if _is_bare(a, breaks, scan.folded)}
    return near.pop() if len(near) == 1 else None


def _beside(mention: Mention, breaks: tuple[int, ...], scan: Scan) -> list[Amount]:
    """The amounts between the breaks around a mention; none where another ingredient shares that place."""
    low = max((b for b in breaks if b < mention.start), default=-1)
    high = min((b for b in breaks if b >= mention.end), default=len(scan.folded))
    if any(m.ingredient != mention.ingredient and low < m.start < high for m in scan.mentions):
        return []
    return [a for a in scan.amounts if low < a.start < high]


def _is_bare(amount: Amount, breaks: tuple[int, ...], folded: str) -> bool:
    """Whether an amount has no word of its own: "1.5 mg and 3 mg" gives one drug two strengths."""
    start = max((b for b in breaks if b < amount.start), default=-1)
    return start >= 0 and not _LETTER.search(_JOIN.sub("", folded[start : amount.start]))


def _from_ratio(folded: str, known: frozenset[Decimal]) -> Strength | None:
    found = _RATIO.search(folded)
    fitting = (
        {n for text in found.groups() if text and (n := number(text)) in known} if found else set()
    )
    return Strength(fitting.pop()) if len(fitting) == 1 else None


def line_strength(line: IngredientLine) -> Strength | None:
    """The strength that a compounding line states: numerator per denominator (none = per unit)."""
    mg = _milligrams(line.numerator)
    if mg is None or line.denominator is None:
        return Strength(mg) if mg is not None else None
    amount = Decimal(1) if line.denominator.value is None else line.denominator.value
    unit = line.denominator.unit.strip("{}[] ").lower()
    if amount <= 0:
        return None
    if unit in {"ml", "milliliter", "milliliters", "cc"}:
        return Strength(mg, amount, "mL")
    return Strength(mg, amount) if not unit or re.fullmatch(_UNIT_WORD, unit) else None


def _milligrams(quantity: Quantity | None) -> Decimal | None:
    if quantity is None or quantity.value is None or quantity.value <= 0:
        return None
    factor = _MG.get(quantity.unit.strip().lower().replace("\u00b5", "\u03bc"))
    return quantity.value * factor if factor is not None else None
