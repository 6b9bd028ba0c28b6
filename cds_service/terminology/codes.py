"""What a code says about a drug: RxNorm, NDC, ATC, SNOMED CT and UNII, each in its own system only."""

from __future__ import annotations

import re
from typing import NamedTuple

from cds_service.model import Coding
from cds_service.terminology.tables import Product, Tables

_SYSTEMS = {
    "nlm.nih.gov/research/umls/rxnorm": "rxnorm", "urn:oid:2.16.840.1.113883.6.88": "rxnorm",
    "rxnorm": "rxnorm", "2.16.840.1.113883.6.88": "rxnorm", "purl.bioontology.org/ontology/rxnorm": "rxnorm",
    "hl7.org/fhir/sid/ndc": "ndc", "urn:oid:2.16.840.1.113883.6.69": "ndc", "fda.gov/ndc": "ndc",
    "whocc.no/atc": "atc", "urn:oid:2.16.840.1.113883.6.73": "atc",
    "snomed.info/sct": "snomed", "urn:oid:2.16.840.1.113883.6.96": "snomed",
    "fdasis.nlm.nih.gov": "unii", "urn:oid:2.16.840.1.113883.4.9": "unii",
}
_ATC_DRUG = re.compile(r"[A-Z]\d\d[A-Z]{2}\d\d")
_LONGEST = 40


class Code(NamedTuple):
    """A code that we can read: one of ours (``product``), or certainly another drug (``product`` is None)."""

    label: str
    product: Product | None


def system_of(uri: str) -> str:
    """rxnorm, ndc, atc, snomed, unii or ""; http(s), a trailing slash and the case make no difference."""
    if len(uri) > 200:
        return ""
    bare = re.sub(r"^https?://(?:www\.)?", "", uri.strip().lower()).rstrip("/")
    return _SYSTEMS.get(bare) or ("snomed" if bare.startswith("snomed.info/sct/") else "")


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
        return Code(f"atc {upper}", known) if known or _ATC_DRUG.fullmatch(upper) else None
    if system == "unii":
        rxcui = tables.unii.get(code.upper())
        return Code(f"unii {code.upper()}", tables.products[rxcui]) if rxcui else None
    found = tables.snomed.get(code) if system == "snomed" else None
    return Code(f"snomed {code}", found) if found else None


def _rxnorm(code: str, tables: Tables) -> Code | None:
    if not code.isdigit():
        return None
    rxcui = code.lstrip("0")
    known = tables.products.get(rxcui)
    if known or 0 < int(rxcui or 0) <= tables.newest_rxcui:
        return Code(f"rxnorm {rxcui}", known)
    return None


def ndc_forms(code: str) -> tuple[str, ...]:
    """The 11-digit forms that an NDC may stand for: one, or three for ten digits without hyphens, or none."""
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
    products = sorted((tables.products[rxcui] for rxcui in hits), key=lambda p: int(p.code))
    if len({p.ingredients for p in products}) != 1:
        return None
    first = products[0]
    if len(products) == 1:
        return first
    return Product(first.code, "IN", " / ".join(first.ingredients), first.ingredients)
