"""The drug tables as frozen values: ingredients, products, codes, and the names that people write."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from cds_service.terminology.lexicon import (
    Name,
    by_first_word,
    is_well_spelt,
    may_be_misspelt,
    names,
    other_names,
    parts,
    sounds,
)
from cds_service.terminology.likeness import Lookalikes, lookalikes_of
from cds_service.terminology.others import Others
from cds_service.terminology.packs import Pack, packaged_packs, site_packs
from cds_service.terminology.words import split_words

__all__ = [
    "CLINICAL_DRUG",
    "INGREDIENT_LEVEL",
    "OPENING",
    "Ingredient",
    "Name",
    "Product",
    "Tables",
    "read_tables",
]

_FILES = ("ingredients", "products", "ndc", "atc", "snomed", "names")
OPENING = 6  # letters of a skeleton that may open a longer word: "oxycodonhydrochlorid"
INGREDIENT_LEVEL = frozenset({"IN", "PIN"})
CLINICAL_DRUG = frozenset({"SCD", "SBD", "GPCK", "BPCK"})


@dataclass(frozen=True, slots=True)
class Ingredient:
    """One substance. ``kind`` is its class in specification 2.2; "never" = known, but no component."""

    name: str
    rxcui: str
    kind: str

    @property
    def counts(self) -> bool:
        return self.kind not in {"never", "nalmefene"}


@dataclass(frozen=True, slots=True)
class Product:
    """One coded concept (RxNorm, ATC, SNOMED CT); ``ingredients`` are those of ours, by generic name."""

    code: str
    tty: str
    name: str
    ingredients: tuple[str, ...]
    dose_form: str = ""
    brand: str = ""
    extended_release: bool = False
    active: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Everything that is looked up.

    ``names`` is keyed by the first word, longest names first; ``sounds`` by the skeleton of an international name
    (``openings`` are their first letters);
    ``parts`` by the first character of a name in a script without spaces, None standing for another drug's name.
    ``neutral`` are words that name no drug, ``unclear`` words of names that mean two things,
    ``other_codes`` the RxNorm numbers that a site's release gives to other
    drugs, ``packs`` the titles and versions of the name packs.
    """

    release: str
    ingredients: Mapping[str, Ingredient]
    products: Mapping[str, Product]
    brands: Mapping[str, tuple[Product, ...]]
    by_ingredient: Mapping[str, tuple[Product, ...]]
    ndc: Mapping[str, str]
    ndc_products: Mapping[str, tuple[str, ...]]
    atc: Mapping[str, Product]
    snomed: Mapping[str, Product]
    unii: Mapping[str, str]
    names: Mapping[str, tuple[Name, ...]]
    guards: tuple[str, ...]
    sounds: Mapping[str, Name]
    openings: frozenset[str]
    parts: Mapping[str, tuple[tuple[str, Name | None], ...]]
    others: Others
    neutral: frozenset[str]
    unclear: frozenset[str]
    lookalikes: Lookalikes
    never: frozenset[str]
    other_codes: frozenset[int]
    packs: tuple[tuple[str, str], ...]


def read_tables(directory: Path | None = None, packs: Path | None = None) -> Tables:
    """The tables of ``directory``; other files come from the package. ``packs`` is a folder of a site's own packs.

    Raises OSError, ValueError, KeyError where a table cannot be read.
    """
    packaged = files("cds_service.terminology") / "data"

    def find(name: str) -> Traversable:
        own = directory / name if directory else None
        return own if own is not None and own.is_file() else packaged / name

    if directory is not None and not (directory / "products.csv").is_file():
        raise FileNotFoundError("the terminology directory holds no products.csv")
    rows = {name: list(_rows(find(f"{name}.csv"))) for name in _FILES}
    release = json.loads(find("release.json").read_text(encoding="utf-8"))["release"]
    lists = {name: _lines(packaged / f"{name}.txt") for name in _LISTS}
    if directory is not None:
        own = {name: directory / f"{name}.txt" for name in _SITE_LISTS}
        lists |= {name: _lines(file) for name, file in own.items() if file.is_file()}
    return _assemble(release, rows, lists, (*packaged_packs(), *site_packs(packs)))


_LISTS = ("other-inn", "other-names", "neutral")
_SITE_LISTS = ("site-names", "site-codes")


def _lines(file: Traversable) -> list[str]:
    return [
        line
        for line in file.read_text(encoding="utf-8").split("\n")
        if line and not line.startswith("#")
    ]


def _rows(file: Traversable) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8") as handle:
        yield from csv.DictReader(handle)


def _assemble(
    release: str,
    rows: Mapping[str, list[dict[str, str]]],
    lists: Mapping[str, list[str]],
    packs: tuple[Pack, ...],
) -> Tables:
    ingredients = {
        r["ingredient"]: Ingredient(r["ingredient"], r["rxcui"], r["class"])
        for r in rows["ingredients"]
        if r["tty"] != "PIN"
    }
    _refuse_strangers(ingredients, rows, packs)
    products = {r["rxcui"]: _product(r) for r in rows["products"]}
    for r in rows["ingredients"]:
        if r["rxcui"]:
            products[r["rxcui"]] = Product(r["rxcui"], r["tty"], r["name"], (r["ingredient"],))
    known = names(ingredients, rows["names"], packs)
    heard = sounds(known)
    never = frozenset(name for name, i in ingredients.items() if not i.counts)
    others = other_names(known, rows["names"], lists, packs)
    return Tables(
        release=release,
        ingredients=ingredients,
        products=products,
        brands=_brands(products),
        by_ingredient=_by_ingredient(products),
        ndc={r["ndc11"]: r["rxcui"] for r in rows["ndc"]},
        ndc_products=_ndc_products(rows["ndc"]),
        atc={r["code"]: _concept("ATC", r) for r in rows["atc"]},
        snomed={r["code"]: _concept("SCT", r) for r in rows["snomed"]},
        unii={r["unii"]: r["rxcui"] for r in rows["ingredients"] if r["unii"] and r["rxcui"]},
        names=by_first_word(known),
        guards=tuple(r["text"] for r in rows["names"] if r["match"] == "guard"),
        sounds=heard,
        openings=frozenset(sound[:OPENING] for sound in heard),
        parts=parts(known, others),
        others=others,
        neutral=frozenset(word for line in lists["neutral"] for word in line.split()),
        lookalikes=lookalikes_of(
            {n.words[0]: n.ingredients for n in known if may_be_misspelt(n)},
            frozenset(n.words[0] for n in known if may_be_misspelt(n) and n.kind == "generic"),
            frozenset(n.words[0] for n in known if may_be_misspelt(n) and is_well_spelt(n)),
        ),
        unclear=frozenset(
            word
            for pack in packs
            for n in pack.names
            if n.match == "unclear"
            for word in split_words(n.name)
        ),
        never=never,
        other_codes=frozenset(int(code) for code in lists.get("site-codes", ())),
        packs=tuple((pack.title, pack.version) for pack in packs),
    )


def _refuse_strangers(
    ingredients: Mapping[str, Ingredient],
    rows: Mapping[str, list[dict[str, str]]],
    packs: tuple[Pack, ...],
) -> None:
    cells = {
        row["ingredients"] for name in ("products", "atc", "snomed", "names") for row in rows[name]
    }
    used = {ingredient for cell in cells for ingredient in cell.split(";")}
    used |= {
        ingredient
        for pack in packs
        for name in pack.names
        for ingredient in name.ingredients
        if name.relevant
    }
    if unknown := used - ingredients.keys() - {""}:
        raise ValueError(
            f"the tables name ingredients that are not in ingredients.csv: {', '.join(sorted(unknown))}"
        )


def _product(row: Mapping[str, str]) -> Product:
    return Product(
        row["rxcui"],
        row["tty"],
        row["name"],
        tuple(row["ingredients"].split(";")),
        row["dose_form"],
        row["brand"],
        row["extended_release"] == "1",
        row["active"] == "1",
    )


def _concept(tty: str, row: Mapping[str, str]) -> Product:
    return Product(row["code"], tty, row["name"], tuple(row["ingredients"].split(";")))


def _brands(products: Mapping[str, Product]) -> dict[str, tuple[Product, ...]]:
    brands = defaultdict(list)
    for product in products.values():
        if product.tty == "SBD" and product.brand:
            brands[" ".join(split_words(product.brand))].append(product)
    return {brand: tuple(sold) for brand, sold in brands.items()}


def _by_ingredient(products: Mapping[str, Product]) -> dict[str, tuple[Product, ...]]:
    sold = defaultdict(list)
    for product in products.values():
        if product.tty in CLINICAL_DRUG:
            for ingredient in product.ingredients:
                sold[ingredient].append(product)
    return {ingredient: tuple(group) for ingredient, group in sold.items()}


def _ndc_products(rows: list[dict[str, str]]) -> dict[str, tuple[str, ...]]:
    """Package codes by labeler and product, their first nine digits."""
    found = defaultdict(list)
    for row in rows:
        found[row["ndc11"][:9]].append(row["ndc11"])
    return {product: tuple(codes) for product, codes in found.items()}
