"""What the words of an order say: which drugs they name, how strong and in what form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from cds_service.model import Strength
from cds_service.terminology.forms import Trait, traits_of
from cds_service.terminology.names import names_in, says_something
from cds_service.terminology.strengths import Amount, Mention, Scan, amounts_in, strength_for
from cds_service.terminology.tables import Name, Product, Tables
from cds_service.terminology.words import fold, says_ldn

EXCERPT = 2_000             # names are sought in all of a text, form and strength around the first of them
_SPACES = re.compile(r"\s{2,}")
_PARTNERS = frozenset({Trait.COUGH, Trait.ANALGESIC, Trait.BUPROPION})
_NOT_POURED = frozenset({Trait.SOLID, Trait.INJECTION, Trait.SYRINGE})
_NOT_BY_MOUTH = frozenset({Trait.NASAL, Trait.INJECTION, Trait.SYRINGE, Trait.TOPICAL})

# Brands that no RxNorm product of the tables describes.
_TOLD = {"palladone": frozenset({Trait.ER, Trait.SOLID}),
         "mysimba": frozenset({Trait.BUPROPION, Trait.ER, Trait.SOLID})}


@dataclass(frozen=True, slots=True)
class Reading:
    """One text, read: ``plain`` are the ingredients it names, ``branded`` those that its brands stand for."""

    folded: str
    plain: frozenset[str]
    branded: frozenset[str]
    brands: tuple[str, ...]
    traits: frozenset[Trait]
    strengths: tuple[tuple[str, Strength], ...]
    amounts: tuple[Amount, ...]
    ldn: bool
    names_a_drug: bool

    @property
    def ingredients(self) -> frozenset[str]:
        """Ingredients beat brand among opioids; where only one of the two says naltrexone, both are kept."""
        if not self.plain or ("naltrexone" in self.plain) != ("naltrexone" in self.branded) or (
                self.plain & self.branded):
            return self.plain | self.branded
        return self.plain


def read_text(text: str, tables: Tables, around: frozenset[Trait] = frozenset()) -> Reading:
    """All that one text says; ``around`` (form and route) may confirm an ambiguous spelling."""
    folded = _SPACES.sub(" ", fold(text))
    everywhere = names_in(folded, tables)
    excerpt = _excerpt(folded, everywhere)
    near = everywhere if excerpt is folded else names_in(excerpt, tables)
    amounts, own = amounts_in(excerpt), traits_of((excerpt,))
    confirmed = _confirmed(own | around, amounts)
    sure = [(name, at) for name, at in near if name.match != "ambiguous" or confirmed]
    names = {name for name, _ in (*sure, *everywhere) if name.match != "ambiguous" or confirmed}
    brands = tuple(sorted({" ".join(name.words) for name in names if name.kind == "brand"}))
    traits = own.union(*(brand_traits(brand, tables) for brand in brands))
    return Reading(
        folded=excerpt, brands=brands, traits=traits, amounts=amounts, ldn=says_ldn(folded),
        plain=frozenset(i for name in names if name.kind != "brand" for i in name.ingredients),
        branded=frozenset(i for name in names if name.kind == "brand" for i in name.ingredients),
        strengths=tuple(_strengths(_scan(excerpt, sure, amounts, traits), brands, traits, tables)),
        names_a_drug=bool(names) or says_something(folded, everywhere))


def _excerpt(folded: str, found: list[tuple[Name, Mention]]) -> str:
    if len(folded) <= EXCERPT:
        return folded
    first = found[0][1].start if found else 0
    return folded[max(0, first - EXCERPT // 4):][:EXCERPT]


def _confirmed(traits: frozenset[Trait], amounts: tuple[Amount, ...]) -> bool:
    """A spelling between naltrexone and naloxone is naltrexone only where an oral form or 380 mg says so."""
    if Trait.DEPOT in traits:
        return True
    units = any(a.strength and a.strength.per_unit == "unit" for a in amounts)
    return bool(traits & {Trait.ORAL, Trait.SOLID} or units) and not traits & _NOT_BY_MOUTH


def _scan(excerpt: str, found: list[tuple[Name, Mention]], amounts: tuple[Amount, ...],
          traits: frozenset[Trait]) -> Scan:
    """The text with its mentions; a brand's place counts only where the text leaves the ingredient out."""
    plain = {at.ingredient for name, at in found if name.kind != "brand"}
    mentions = tuple(at for name, at in found if name.kind != "brand" or at.ingredient not in plain)
    alone = len({m.ingredient for m in mentions}) == 1 and not traits & _PARTNERS
    return Scan(excerpt, mentions, amounts, alone)


def _strengths(scan: Scan, brands: tuple[str, ...], traits: frozenset[Trait],
               tables: Tables) -> Iterator[tuple[str, Strength]]:
    poured = Trait.LIQUID in traits and not traits & _NOT_POURED
    for ingredient in sorted({m.ingredient for m in scan.mentions}):
        paired = "/" in scan.folded or "-" in scan.folded
        known = known_strengths(ingredient, brands, tables) if paired else frozenset[Decimal]()
        strength = strength_for(ingredient, scan, known)
        if strength and not (poured and strength.per_unit == "unit"):
            yield ingredient, strength


@lru_cache(maxsize=1024)
def brand_traits(brand: str, tables: Tables) -> frozenset[Trait]:
    """What all products of a brand have in common: "OxyContin" is extended release, "Opana" may be either."""
    sold = [traits_of((p.name, p.dose_form)) for p in tables.brands.get(brand, ())]
    common = frozenset[Trait].intersection(*sold) if sold else frozenset[Trait]()
    return common | _TOLD.get(brand, frozenset())


@lru_cache(maxsize=1024)
def known_strengths(ingredient: str, brands: tuple[str, ...], tables: Tables) -> frozenset[Decimal]:
    """The mg per unit in which the brand (else the ingredient in any product) is or was sold."""
    sold = [p for b in brands for p in tables.brands.get(b, ()) if ingredient in p.ingredients]
    products = sold or tables.by_ingredient.get(ingredient, ())
    found = (product_strength(p, ingredient, tables) for p in products)
    return frozenset(s.mg for s in found if s and s.per_unit == "unit")


@lru_cache(maxsize=8192)
def product_strength(product: Product, ingredient: str, tables: Tables) -> Strength | None:
    """The strength that an RxNorm name states for an ingredient."""
    mentions = tuple(at for name, at in names_in(product.name, tables) if name.kind != "brand")
    alone = len({m.ingredient for m in mentions}) == 1 and " / " not in product.name
    return strength_for(ingredient, Scan(product.name, mentions, amounts_in(product.name), alone))
