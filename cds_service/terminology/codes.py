"""What a code says about a drug: RxNorm, NDC, ATC, SNOMED CT and UNII, each in its own system only."""

from __future__ import annotations

import re
from typing import NamedTuple

from cds_service.model import Coding
from cds_service.terminology.atc import is_other_group
from cds_service.terminology.systems import system_of
from cds_service.terminology.tables import Product, Tables

_PACKAGE = re.compile(r"\d[\d -]{6,14}\d")
_LONGEST = 40


class Code(NamedTuple):
    """A code that we can read: one of ours (``product``), or certainly another drug (``product`` is None)."""

    label: str
    product: Product | None


def read_code(coding: Coding, tables: Tables) -> Code | None:
    """The code's meaning, or None where this system and code say nothing to us."""
    system, code = system_of(coding.system), coding.code.strip()
    if not code or len(code) > _LONGEST or not code.isascii():
        return None
    if system == "rxnorm":
        return _rxnorm(code, tables)
    if system == "ndc":
        product = _ndc(code, tables)
        return Code(f"ndc {code}", product) if product else None
    if system == "atc":
        upper = code.upper()
        known = tables.atc.get(upper)
        return Code(f"atc {upper}", known) if known or is_other_group(upper) else None
    if system == "unii":
        rxcui = tables.unii.get(code.upper())
        return Code(f"unii {code.upper()}", tables.products[rxcui]) if rxcui else None
    found = tables.snomed.get(code) if system == "snomed" else None
    return Code(f"snomed {code}", found) if found else None


def _rxnorm(code: str, tables: Tables) -> Code | None:
    """Ours, or another drug where the site's release says so; a number that no table holds says nothing."""
    if not code.isdigit():
        return None
    rxcui = code.lstrip("0")
    known = tables.products.get(rxcui)
    return (
        Code(f"rxnorm {rxcui}", known) if known or int(rxcui or 0) in tables.other_codes else None
    )


def ndc_forms(code: str) -> tuple[str, ...]:
    """The 11-digit forms that an NDC may stand for: one, or three for ten digits without hyphens, or none.

    A label around it is left out ("NDC 0406-0512-01").
    """
    found = _PACKAGE.search(code)
    if found is None or any(c.isdigit() for c in code.replace(found.group(), "", 1)) or "/" in code:
        return ()
    code = found.group()
    parts = code.replace(" ", "").split("-")
    if not all(part.isdigit() for part in parts):
        return ()
    if len(parts) == 3:
        sizes = tuple(map(len, parts))
        fits = sizes in {(5, 4, 2), (5, 4, 1), (5, 3, 2), (4, 4, 2)}
        return (parts[0].zfill(5) + parts[1].zfill(4) + parts[2].zfill(2),) if fits else ()
    digits = "".join(parts)
    if len(parts) == 1 and len(digits) == 11:
        return (digits,)
    if len(parts) == 1 and len(digits) == 10:
        return ("0" + digits, digits[:5] + "0" + digits[5:], digits[:9] + "0" + digits[9:])
    return ()


def _ndc(code: str, tables: Tables) -> Product | None:
    """The product; several readings of a number count only if all that we know hold the same ingredients."""
    hits = {tables.ndc[form] for form in ndc_forms(code) if form in tables.ndc}
    hits |= {tables.ndc[ndc] for ndc in _of_product(code, tables)}
    products = sorted((tables.products[rxcui] for rxcui in hits), key=lambda p: int(p.code))
    if len({p.ingredients for p in products}) != 1:
        return None
    first = products[0]
    if len(products) == 1:
        return first
    return Product(first.code, "IN", " / ".join(first.ingredients), first.ingredients)


def _of_product(code: str, tables: Tables) -> tuple[str, ...]:
    """The packages of a product code: the first two segments of an NDC."""
    parts = code.removeprefix("NDC").strip(" :").split("-")
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        return ()
    sizes = tuple(map(len, parts))
    if sizes not in {(5, 4), (5, 3), (4, 4)}:
        return ()
    return tables.ndc_products.get(parts[0].zfill(5) + parts[1].zfill(4), ())
