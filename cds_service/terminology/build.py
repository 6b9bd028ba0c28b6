"""Make the drug tables anew from an official RxNorm release, or refuse and leave the old ones as they are.

The substances are the curated list of ``ingredients.csv``; a release adds their salts, products and package codes.
Codes that a release no longer lists stay, marked inactive: old orders keep them. Every other name and number of the
release is written down as another drug's (``site-names.txt``, ``site-codes.txt``): only then it counts as one. Point
the service at the result with
``load(out_dir)``.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from cds_service.terminology import load
from cds_service.terminology.names import names_in
from cds_service.terminology.rrf import BuildError, Concept, concepts, package_codes, relations
from cds_service.terminology.tables import CLINICAL_DRUG
from cds_service.terminology.words import fold, split_words

__all__ = ["BuildError", "Report", "build"]

LEAST_SHARE = 0.8  # of the opioid clinical drugs in use; a release with fewer is taken for broken
NALTREXONE = "7243"

_PRODUCTS = CLINICAL_DRUG | {"SCDC", "SBDC", "SCDF", "SBDF", "SCDG", "SBDG", "MIN", "BN"}
_NAMED = frozenset({"IN", "PIN", "BN", "MIN"})
_TTYS = _PRODUCTS | {"IN", "PIN", "DF", "DFG"}
_HOLDS = frozenset(
    {
        "has_ingredient",
        "has_precise_ingredient",
        "form_of",
        "consists_of",
        "tradename_of",
        "contains",
        "has_part",
        "has_ingredients",
        "isa",
    }
)
_FORMS = frozenset({"has_dose_form", "has_doseformgroup"})
_BRAND = re.compile(r"\[([^\]]+)\]\s*$")
_SLOW = re.compile(r"extended release|\b(?:12|24) HR\b", re.IGNORECASE)
_HEADS = {
    "ingredients.csv": ("rxcui", "tty", "name", "ingredient", "class", "unii"),
    "products.csv": (
        "rxcui",
        "tty",
        "name",
        "ingredients",
        "dose_form",
        "brand",
        "extended_release",
        "active",
    ),
    "ndc.csv": ("ndc11", "rxcui"),
}
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Report:
    """What a build changed, as "rxcui name" lines; ``removed`` are codes that became inactive."""

    release: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    ndc_added: int
    ndc_changed: int
    counts: Mapping[str, int]


def build(rrf_dir: Path, out_dir: Path) -> Report:
    """Write the tables of a release into ``out_dir`` (whole or not at all); raises BuildError for a broken release.

    The tables in use are those of ``out_dir`` where it has them, else the packaged ones.
    """
    with as_file(files("cds_service.terminology") / "data") as packaged:
        current = out_dir if (out_dir / "products.csv").is_file() else packaged
        ingredients = _read(current, packaged, "ingredients.csv")
        products = _read(current, packaged, "products.csv")
        codes = _read(current, packaged, "ndc.csv")
    known = concepts(rrf_dir, _TTYS)
    if NALTREXONE not in known:
        raise BuildError("RXNCONSO.RRF: naltrexone (7243) is missing")
    held, forms = _walk(rrf_dir, known)
    substances = _substances(ingredients, known, held)
    fresh = _products(known, held, forms, substances, products)
    _refuse_a_shrunken_release(products, fresh, ingredients)
    packages = _packages(rrf_dir, codes, fresh)
    tables = {
        "ingredients.csv": substances.values(),
        "products.csv": fresh.values(),
        "ndc.csv": packages.values(),
    }
    release = _release_of(rrf_dir)
    counts = _publish(out_dir, tables, _others(known, substances, fresh), release)
    before = {row["ndc11"]: row["rxcui"] for row in codes}
    return Report(
        release=release,
        counts=counts,
        ndc_added=len(packages.keys() - before.keys()),
        ndc_changed=sum(packages[ndc]["rxcui"] != rxcui for ndc, rxcui in before.items()),
        **_differences({row["rxcui"]: row for row in products}, fresh),
    )


def _read(current: Path, packaged: Path, name: str) -> list[Row]:
    file = current / name if (current / name).is_file() else packaged / name
    with file.open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def _walk(
    rrf_dir: Path, known: Mapping[str, Concept]
) -> tuple[dict[str, set[str]], dict[str, str]]:
    """What each concept is directly made of, and its dose form; a brand name is followed only from a group."""
    held: dict[str, set[str]] = defaultdict(set)
    forms: dict[str, str] = {}
    for relation in relations(rrf_dir, _HOLDS | _FORMS):
        subject, target = known.get(relation.subject), known.get(relation.target)
        if subject is None or target is None:
            continue
        if relation.rela in _FORMS:
            forms[subject.rxcui] = min(target.name, forms.get(subject.rxcui, target.name))
        elif target.tty != "BN" or subject.tty in {"SBDG", "SBDF"}:
            held[subject.rxcui].add(target.rxcui)
    return held, forms


def _reached(rxcui: str, held: Mapping[str, set[str]]) -> set[str]:
    seen, todo = {rxcui}, [rxcui]
    while todo:
        fresh = held.get(todo.pop(), set()) - seen
        seen |= fresh
        todo += fresh
    return seen


def _substances(
    current: Iterable[Row], known: Mapping[str, Concept], held: Mapping[str, set[str]]
) -> dict[str, Row]:
    """The curated substances with every salt that the release lists for one of them."""
    rows = {row["rxcui"] or row["name"]: row for row in current}
    bases = {row["rxcui"]: row for row in rows.values() if row["tty"] == "IN"}
    for concept in known.values():
        if concept.tty != "PIN" or concept.rxcui in rows:
            continue
        of = [bases[rxcui] for rxcui in sorted(held.get(concept.rxcui, ())) if rxcui in bases]
        if len(of) == 1:
            rows[concept.rxcui] = {
                **of[0],
                "rxcui": concept.rxcui,
                "tty": "PIN",
                "name": concept.name,
                "unii": "",
            }
    return rows


def _products(
    known: Mapping[str, Concept],
    held: Mapping[str, set[str]],
    forms: Mapping[str, str],
    substances: Mapping[str, Row],
    current: Iterable[Row],
) -> dict[str, Row]:
    """Every product of the release that holds one of ours, and the retired ones of the tables in use, by number."""
    rows = {row["rxcui"]: {**row, "active": ""} for row in current}
    for concept in known.values():
        if concept.tty not in _PRODUCTS:
            continue
        inside = {
            substances[r]["ingredient"] for r in _reached(concept.rxcui, held) if r in substances
        }
        if inside:
            rows[concept.rxcui] = _product(
                concept, inside, forms.get(concept.rxcui, ""), rows.get(concept.rxcui, {})
            )
    return dict(sorted(rows.items(), key=lambda item: int(item[0])))


def _product(concept: Concept, inside: set[str], dose_form: str, before: Mapping[str, str]) -> Row:
    brand = _BRAND.search(concept.name)
    slow = _SLOW.search(f"{concept.name} {dose_form}") or before.get("extended_release")
    return {
        "rxcui": concept.rxcui,
        "tty": concept.tty,
        "name": concept.name,
        "ingredients": ";".join(sorted(inside)),
        "dose_form": dose_form or before.get("dose_form", ""),
        "brand": brand.group(1) if brand else before.get("brand", ""),
        "extended_release": "1" if slow else "",
        "active": "1" if concept.active else "",
    }


def _refuse_a_shrunken_release(
    current: Iterable[Row], fresh: Mapping[str, Row], ingredients: Iterable[Row]
) -> None:
    never = {row["ingredient"] for row in ingredients if row["class"] == "never"}

    def opioid_drugs(rows: Iterable[Row]) -> int:
        drugs = (row for row in rows if row["active"] and row["tty"] in CLINICAL_DRUG)
        return sum(not set(row["ingredients"].split(";")) <= never for row in drugs)

    before, after = opioid_drugs(current), opioid_drugs(fresh.values())
    if after < before * LEAST_SHARE:
        raise BuildError(
            f"the release has {after} opioid clinical drugs, the tables in use have {before}"
        )


def _packages(rrf_dir: Path, current: Iterable[Row], products: Mapping[str, Row]) -> dict[str, Row]:
    """The package codes of the release, and the older ones; raises BuildError where one code has two contents."""
    stated: dict[str, str] = {}
    for ndc, rxcui in package_codes(rrf_dir):
        if rxcui not in products:
            continue
        other = stated.setdefault(ndc, rxcui)
        if products[other]["ingredients"] != products[rxcui]["ingredients"]:
            raise BuildError(f"RXNSAT.RRF: NDC {ndc} belongs to {other} and to {rxcui}")
        stated[ndc] = min(other, rxcui, key=int)
    merged = {row["ndc11"]: row["rxcui"] for row in current} | stated
    return {ndc: {"ndc11": ndc, "rxcui": rxcui} for ndc, rxcui in sorted(merged.items())}


def _others(
    known: Mapping[str, Concept], substances: Mapping[str, Row], products: Mapping[str, Row]
) -> dict[str, list[str]]:
    """The names and numbers of other drugs in the release: not reached by the walk, and naming nothing of ours."""
    tables = load().tables
    ours = substances.keys() | products.keys()
    rest = [
        c
        for c in known.values()
        if c.rxcui not in ours
        and c.tty in _NAMED | _PRODUCTS
        and not any(
            set(name.ingredients) - tables.never for name, _ in names_in(fold(c.name), tables)
        )
    ]
    return {
        "site-names": sorted({" ".join(split_words(c.name)) for c in rest if c.tty in _NAMED}),
        "site-codes": sorted((c.rxcui for c in rest), key=int),
    }


def _release_of(rrf_dir: Path) -> str:
    """The version that RXNSAB.RRF names, where the release has that file."""
    sources = rrf_dir / "RXNSAB.RRF"
    lines = (
        sources.read_text(encoding="utf-8", errors="replace").splitlines()
        if sources.is_file()
        else []
    )
    for fields in (line.split("|") for line in lines):
        if len(fields) > 6 and fields[3] == "RXNORM":
            return f"RxNorm {fields[6] or fields[2]}"
    return "RxNorm release of unknown date"


def _publish(
    out_dir: Path, tables: Mapping[str, Iterable[Row]], lists: Mapping[str, list[str]], release: str
) -> dict[str, int]:
    """Write beside ``out_dir``, read it all back, and only then take its place."""
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out_dir.parent, prefix=f".{out_dir.name}-") as scratch:
        fresh = Path(scratch) / "fresh"
        if out_dir.is_dir():
            shutil.copytree(out_dir, fresh)
        fresh.mkdir(exist_ok=True)
        for name, rows in tables.items():
            _write(fresh / name, _HEADS[name], rows)
        for name, lines in lists.items():
            (fresh / f"{name}.txt").write_text(
                "".join(f"{line}\n" for line in lines), encoding="utf-8"
            )
        (fresh / "release.json").write_text(
            json.dumps({"release": release}) + "\n", encoding="utf-8"
        )
        counts = load(fresh).counts()
        if counts["by_code"] < counts["opioid_clinical_drugs"] or counts["guards_matched"]:
            raise BuildError(f"the new tables do not recognise themselves: {counts}")
        if out_dir.is_dir():
            out_dir.rename(Path(scratch) / "before")
        try:
            fresh.rename(out_dir)
        except OSError:
            (Path(scratch) / "before").rename(out_dir)
            raise
    return counts


def _write(file: Path, head: tuple[str, ...], rows: Iterable[Row]) -> None:
    with file.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, head, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _differences(before: Mapping[str, Row], after: Mapping[str, Row]) -> dict[str, tuple[str, ...]]:
    def named(rxcuis: Iterable[str]) -> tuple[str, ...]:
        return tuple(f"{rxcui} {after[rxcui]['name']}" for rxcui in sorted(rxcuis, key=int))

    both = before.keys() & after.keys()
    gone = {r for r in both if before[r]["active"] and not after[r]["active"]}
    same = ("tty", "name", "ingredients")
    return {
        "added": named(after.keys() - before.keys()),
        "removed": named(gone),
        "changed": named(r for r in both if any(before[r][c] != after[r][c] for c in same)),
    }
