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

from cds_service.terminology.forms import Trait
from cds_service.terminology.likeness import Lookalikes, lookalikes_of
from cds_service.terminology.others import Others, others_of
from cds_service.terminology.packs import Pack, packaged_packs, site_packs
from cds_service.terminology.words import is_spaceless, skeleton, split_words

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


@dataclass(frozen=True, slots=True)
class Name:
    """One name that people write.

    ``match``: phrase, upper (a whole token in capitals), whole (the entire text), ambiguous (needs the form to confirm
    it), coarse (not beside micrograms: T3) or spelling (an international name in any language). ``traits`` are what the name alone tells of its form, and
    ``table`` is where it stands.
    """

    words: tuple[str, ...]
    ingredients: tuple[str, ...]
    match: str
    kind: str
    traits: frozenset[Trait] = frozenset()
    table: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Everything that is looked up.

    ``names`` is keyed by the first word, longest names first; ``sounds`` by the skeleton of an international name;
    ``parts`` by the first character of a name in a script without spaces, None standing for another drug's name.
    ``neutral`` are words that name no drug, ``other_codes`` the RxNorm numbers that a site's release gives to other
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
    parts: Mapping[str, tuple[tuple[str, Name | None], ...]]
    others: Others
    neutral: frozenset[str]
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
        lists |= {name: _lines(directory / f"{name}.txt") for name in _SITE_LISTS if (directory / f"{name}.txt").is_file()}
    return _assemble(release, rows, lists, (*packaged_packs(), *site_packs(packs)))


_LISTS = ("other-inn", "other-names", "neutral")
_SITE_LISTS = ("site-names", "site-codes")


def _lines(file: Traversable) -> list[str]:
    return [line for line in file.read_text(encoding="utf-8").split("\n") if line and not line.startswith("#")]


def _rows(file: Traversable) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8") as handle:
        yield from csv.DictReader(handle)


def _assemble(release: str, rows: Mapping[str, list[dict[str, str]]], lists: Mapping[str, list[str]],
              packs: tuple[Pack, ...]) -> Tables:
    ingredients = {r["ingredient"]: Ingredient(r["ingredient"], r["rxcui"], r["class"])
                   for r in rows["ingredients"] if r["tty"] != "PIN"}
    _refuse_strangers(ingredients, rows, packs)
    products = {r["rxcui"]: _product(r) for r in rows["products"]}
    for r in rows["ingredients"]:
        if r["rxcui"]:
            products[r["rxcui"]] = Product(r["rxcui"], r["tty"], r["name"], (r["ingredient"],))
    names = _names(ingredients, rows["names"], packs)
    never = frozenset(name for name, i in ingredients.items() if not i.counts)
    others = _others(names, rows["names"], lists, packs)
    return Tables(
        release=release, ingredients=ingredients, products=products, brands=_brands(products),
        by_ingredient=_by_ingredient(products),
        ndc={r["ndc11"]: r["rxcui"] for r in rows["ndc"]}, ndc_products=_ndc_products(rows["ndc"]),
        atc={r["code"]: _concept("ATC", r) for r in rows["atc"]},
        snomed={r["code"]: _concept("SCT", r) for r in rows["snomed"]},
        unii={r["unii"]: r["rxcui"] for r in rows["ingredients"] if r["unii"] and r["rxcui"]},
        names=_by_first_word(names), guards=tuple(r["text"] for r in rows["names"] if r["match"] == "guard"),
        sounds=_sounds(names), parts=_parts(names, others), others=others,
        neutral=frozenset(word for line in lists["neutral"] for word in line.split()),
        lookalikes=lookalikes_of({n.words[0]: n.ingredients for n in names if _may_be_misspelt(n)},
                                 frozenset(n.words[0] for n in names if _may_be_misspelt(n) and n.kind == "generic")),
        never=never, other_codes=frozenset(int(code) for code in lists.get("site-codes", ())),
        packs=tuple((pack.title, pack.version) for pack in packs))


def _refuse_strangers(ingredients: Mapping[str, Ingredient], rows: Mapping[str, list[dict[str, str]]],
                      packs: tuple[Pack, ...]) -> None:
    cells = {row["ingredients"] for name in ("products", "atc", "snomed", "names") for row in rows[name]}
    used = {ingredient for cell in cells for ingredient in cell.split(";")}
    used |= {ingredient for pack in packs for name in pack.names for ingredient in name.ingredients if name.relevant}
    if unknown := used - ingredients.keys() - {""}:
        raise ValueError(f"the tables name ingredients that are not in ingredients.csv: {', '.join(sorted(unknown))}")


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


def _ndc_products(rows: list[dict[str, str]]) -> dict[str, tuple[str, ...]]:
    """Package codes by labeler and product, their first nine digits."""
    found = defaultdict(list)
    for row in rows:
        found[row["ndc11"][:9]].append(row["ndc11"])
    return {product: tuple(codes) for product, codes in found.items()}


def _names(ingredients: Mapping[str, Ingredient], rows: list[dict[str, str]], packs: tuple[Pack, ...]) -> tuple[Name, ...]:
    """Every relevant name; of one name in two tables the later pack's row holds, and an unclear name holds nowhere."""
    found = {(words, "phrase"): Name(words, (name,), "phrase", "generic", table="ingredients")
             for name in ingredients for words in [split_words(name)]}
    for row in rows:
        if row["match"] != "guard":
            words, match = split_words(row["text"]), row["match"]
            hint = frozenset(Trait(word) for word in row.get("hint", "").split())
            found[words, match] = Name(words, tuple(row["ingredients"].split(";")), match, row["kind"], hint, "names")
    for pack in packs:
        for name in pack.names:
            words = split_words(name.name)
            if name.relevant and name.match != "unclear" and (words, "phrase") not in found:
                found[words, name.match] = Name(words, name.ingredients, name.match, "generic" if pack.title == "inn" else "brand", name.hint, f"pack {pack.title}")
    unclear = {split_words(n.name) for pack in packs for n in pack.names if n.match == "unclear"}
    return tuple(name for name in found.values() if name.words not in unclear)


def _by_first_word(names: tuple[Name, ...]) -> dict[str, tuple[Name, ...]]:
    index = defaultdict(list)
    for name in names:
        index[name.words[0]].append(name)
    return {first: tuple(sorted(group, key=lambda n: -len(n.words))) for first, group in index.items()}


def _sounds(names: tuple[Name, ...]) -> dict[str, Name]:
    """Generic names by skeleton; of two with one skeleton the one that is an ingredient's own name."""
    found: dict[str, Name] = {}
    for name in sorted(names, key=lambda n: (n.table != "ingredients", n.words)):
        if name.kind == "generic" and len(name.words) == 1 and name.match == "phrase":
            sound = skeleton(name.words[0])
            if sound:
                found.setdefault(sound, Name(name.words, name.ingredients, "spelling", "generic", name.traits, name.table))
    return found


def _parts(names: tuple[Name, ...], others: Others) -> dict[str, tuple[tuple[str, Name | None], ...]]:
    index: dict[str, dict[str, Name | None]] = defaultdict(dict)
    for first, group in others.parts.items():
        index[first].update(dict.fromkeys(group))
    for name in names:
        if len(name.words) == 1 and is_spaceless(name.words[0]):
            index[name.words[0][0]][name.words[0]] = name
    return {first: tuple(sorted(group.items(), key=lambda item: -len(item[0]))) for first, group in index.items()}


def _may_be_misspelt(name: Name) -> bool:
    return len(name.words) == 1 and name.match == "phrase"


def _others(names: tuple[Name, ...], rows: list[dict[str, str]], lists: Mapping[str, list[str]],
            packs: tuple[Pack, ...]) -> Others:
    """The names of other drugs, without any that is a relevant name too or that a pack calls unclear."""
    relevant = {" ".join(name.words) for name in names}
    relevant |= {" ".join(split_words(n.name)) for pack in packs for n in pack.names if n.match == "unclear"}
    stated = [*lists["other-names"], *lists.get("site-names", ()), *(r["text"] for r in rows if r["match"] == "guard")]
    stated += [n.name for pack in packs for n in pack.names if not n.relevant and n.match != "unclear"]
    inns = [n for n in lists["other-inn"] if n not in relevant]
    return others_of((n for n in (*stated, *inns) if n not in relevant and n.lower() not in relevant), inns)
