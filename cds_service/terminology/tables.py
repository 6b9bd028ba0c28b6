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

from cds_service.terminology.words import split_words

_FILES = ("ingredients", "products", "ndc", "atc", "snomed", "names")
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
        return self.kind != "never"


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


@dataclass(frozen=True, slots=True)
class Name:
    """One name that people write.

    ``match``: phrase, upper (a whole token in capitals), whole (the entire text) or ambiguous.
    """

    words: tuple[str, ...]
    ingredients: tuple[str, ...]
    match: str
    kind: str


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Everything that is looked up. ``names`` is keyed by the first word, longest names first."""

    release: str
    ingredients: Mapping[str, Ingredient]
    products: Mapping[str, Product]
    brands: Mapping[str, tuple[Product, ...]]
    by_ingredient: Mapping[str, tuple[Product, ...]]
    ndc: Mapping[str, str]
    atc: Mapping[str, Product]
    snomed: Mapping[str, Product]
    unii: Mapping[str, str]
    names: Mapping[str, tuple[Name, ...]]
    guards: tuple[str, ...]
    newest_rxcui: int


def read_tables(directory: Path | None = None) -> Tables:
    """The tables of ``directory``; other files come from the package. Raises OSError, ValueError, KeyError."""
    packaged = files("cds_service.terminology") / "data"

    def find(name: str) -> Traversable:
        own = directory / name if directory else None
        return own if own is not None and own.is_file() else packaged / name

    if directory is not None and not (directory / "products.csv").is_file():
        raise FileNotFoundError("the terminology directory holds no products.csv")
    rows = {name: list(_rows(find(f"{name}.csv"))) for name in _FILES}
    release = json.loads(find("release.json").read_text(encoding="utf-8"))["release"]
    return _assemble(release, rows)


def _rows(file: Traversable) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8") as handle:
        yield from csv.DictReader(handle)


def _assemble(release: str, rows: Mapping[str, list[dict[str, str]]]) -> Tables:
    ingredients = {r["ingredient"]: Ingredient(r["ingredient"], r["rxcui"], r["class"])
                   for r in rows["ingredients"] if r["tty"] != "PIN"}
    naming = (row["ingredients"] for name in ("products", "atc", "snomed", "names") for row in rows[name])
    used = {ingredient for cell in set(naming) for ingredient in cell.split(";")}
    if unknown := used - ingredients.keys() - {""}:
        raise ValueError(f"the tables name ingredients that are not in ingredients.csv: {', '.join(sorted(unknown))}")
    products = {r["rxcui"]: _product(r) for r in rows["products"]}
    for r in rows["ingredients"]:
        if r["rxcui"]:
            products[r["rxcui"]] = Product(r["rxcui"], r["tty"], r["name"], (r["ingredient"],))
    return Tables(
        release=release, ingredients=ingredients, products=products, brands=_brands(products),
        by_ingredient=_by_ingredient(products),
        ndc={r["ndc11"]: r["rxcui"] for r in rows["ndc"]},
        atc={r["code"]: _concept("ATC", r) for r in rows["atc"]},
        snomed={r["code"]: _concept("SCT", r) for r in rows["snomed"]},
        unii={r["unii"]: r["rxcui"] for r in rows["ingredients"] if r["unii"] and r["rxcui"]},
        names=_names(ingredients, rows["names"]),
        guards=tuple(r["text"] for r in rows["names"] if r["match"] == "guard"),
        newest_rxcui=max((int(code) for code in products), default=0),
    )


def _product(row: Mapping[str, str]) -> Product:
    return Product(row["rxcui"], row["tty"], row["name"], tuple(row["ingredients"].split(";")),
                   row["dose_form"], row["brand"], row["extended_release"] == "1", row["active"] == "1")


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


def _names(ingredients: Mapping[str, Ingredient], rows: list[dict[str, str]]) -> dict[str, tuple[Name, ...]]:
    found = {(words, "phrase"): Name(words, (name,), "phrase", "generic")
             for name in ingredients for words in [split_words(name)]}
    for row in rows:
        if row["match"] != "guard":
            words, match = split_words(row["text"]), row["match"]
            found[words, match] = Name(words, tuple(row["ingredients"].split(";")), match, row["kind"])
    index = defaultdict(list)
    for name in found.values():
        index[name.words[0]].append(name)
    return {first: tuple(sorted(group, key=lambda n: -len(n.words))) for first, group in index.items()}
