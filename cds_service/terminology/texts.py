"""What the words of an order say: which drugs they name, how strong, in what form, and whether they name anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from cds_service.model import Strength
from cds_service.terminology.forms import Trait, traits_of
from cds_service.terminology.strengths import Amount, Mention, amounts_in, strength_for
from cds_service.terminology.tables import Name, Product, Tables
from cds_service.terminology.words import WORD, fold, ldn_at, says_ldn

EXCERPT = 2_000                    # names are sought in all of a text, form and strength around the first of them
_NOISE = re.compile(r"\b\w{1,20}://\S{1,200}|\burn:\S{1,200}|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_SPACES = re.compile(r"\s{2,}")
_WORDS = re.compile(r"[^\W\d_]+")
_GLUED = 7                         # "naltrexonehcl": a generic name of this length or more may open a longer word
_NAMELESS = frozenset("""
    unknown medication medications medicine medicines medicament drug drugs other unspecified not specified none null nil
    undefined nan tbd misc miscellaneous see note notes comment comments order ordered prescription prescribed free text
    entered compound compounded compounding product item generic brand patient supplied per protocol home reported outside
    test dummy example placeholder name code display the and with for from oral orally mouth take taking daily
    tablet tablets tab tabs capsule capsules cap caps film patch solution suspension liquid syrup cream gel ointment
    injection injectable vial syringe spray drops lozenge suppository powder strength dose dosage unit units
    nasal topical rectal sublingual buccal transdermal ophthalmic intranasal intravenous intramuscular subcutaneous
    milligram milligrams microgram micrograms gram grams mcg milliliter extended release delayed immediate
""".split())
_BRANDS_SLOW = {"palladone": frozenset({Trait.ER, Trait.SOLID}), "mysimba": frozenset({Trait.BUPROPION, Trait.ER, Trait.SOLID})}
_NOT_BY_MOUTH = frozenset({Trait.NASAL, Trait.INJECTION, Trait.SYRINGE, Trait.TOPICAL})


@dataclass(frozen=True, slots=True)
class Reading:
    """One text, read. ``ingredients`` are all of ours that it names; ``brands`` the brand names among them."""

    folded: str = ""
    ingredients: frozenset[str] = frozenset()
    by_brand: frozenset[str] = frozenset()
    brands: tuple[str, ...] = ()
    traits: frozenset[Trait] = frozenset()
    strengths: tuple[tuple[str, Strength], ...] = ()
    amounts: tuple[Amount, ...] = ()
    ldn: bool = False
    names_a_drug: bool = False


def read_text(text: str, tables: Tables, around: frozenset[Trait] = frozenset()) -> Reading:
    """All that one text says; ``around`` are the traits of form and route, which confirm an ambiguous spelling."""
    folded = _SPACES.sub(" ", fold(text))
    found = _names_in(folded, tables)
    excerpt = folded
    if len(folded) > EXCERPT:
        first = found[0][1].start if found else 0
        excerpt = folded[max(0, first - EXCERPT // 4):][:EXCERPT]
    local = found if excerpt is folded else _names_in(excerpt, tables)
    own = traits_of((excerpt,))
    amounts = amounts_in(excerpt)
    sure = [(n, m) for n, m in local if n.match != "ambiguous" or _confirmed(own | around, amounts)]
    names = [n for n, _ in sure] + ([n for n, _ in found if n.match != "ambiguous"] if local is not found else [])
    brands = tuple(sorted({" ".join(n.words) for n in names if n.kind == "brand"}))
    traits = own.union(*(brand_traits(b, tables) for b in brands))
    return Reading(
        folded=excerpt, ingredients=frozenset(i for n in names for i in n.ingredients),
        by_brand=frozenset(i for n in names if n.kind == "brand" for i in n.ingredients)
        - {i for n in names if n.kind != "brand" for i in n.ingredients},
        brands=brands, traits=traits, strengths=tuple(_strengths(excerpt, sure, amounts, brands, traits, tables)),
        amounts=amounts, ldn=says_ldn(folded), names_a_drug=bool(names) or _says_something(folded, found))


def _names_in(folded: str, tables: Tables) -> list[tuple[Name, Mention]]:
    """Every name of the tables in the text: whole words only, the longest first, never by likeness."""
    places = list(WORD.finditer(folded))
    words = [place.group().lower() for place in places]
    starts = _possible(frozenset(words), tables)
    found: list[tuple[Name, Mention]] = []
    free = 0                       # words before this one belong to a name already found
    for at, word in enumerate(words):
        if word not in starts or at < free:
            continue
        for name in starts[word]:
            if _stands_at(name, folded, words, at, places[at]):
                free = at + len(name.words)
                found += [(name, Mention(i, places[at].start(), places[free - 1].end())) for i in name.ingredients]
                break
    return found


def _possible(words: frozenset[str], tables: Tables) -> dict[str, tuple[Name, ...]]:
    """The names whose words all occur, by the word that they begin with."""
    possible = {}
    for word in words:
        names = tuple(n for n in tables.names.get(word, ()) if all(w in words for w in n.words))
        if not names and len(word) > _GLUED:
            names = _opening(word, tables)
        if names:
            possible[word] = names
    return possible


def _stands_at(name: Name, folded: str, words: list[str], at: int, place: re.Match[str]) -> bool:
    size = len(name.words)
    if size > 1 and tuple(words[at:at + size]) != name.words:
        return False
    if name.match == "upper":
        written = place.group()
        return written.isupper() and (not written.endswith("LDN") or ldn_at(folded, place.start()))
    return name.match != "whole" or (at == 0 and size == len(words))


def _opening(word: str, tables: Tables) -> tuple[Name, ...]:
    """The generic name that a longer word begins with, such as "oxycodonehcl"; nothing may stand before it."""
    for size in range(min(len(word) - 1, 20), _GLUED - 1, -1):
        for name in tables.names.get(word[:size], ()):
            if name.kind == "generic" and len(name.words) == 1 and name.match == "phrase":
                return (name,)
    return ()


def _confirmed(traits: frozenset[Trait], amounts: tuple[Amount, ...]) -> bool:
    """A spelling between naltrexone and naloxone is naltrexone only where an oral form or 380 mg says so."""
    if Trait.DEPOT in traits:
        return True
    by_mouth = traits & {Trait.ORAL, Trait.SOLID} or any(a.strength and a.strength.per_unit == "unit" for a in amounts)
    return bool(by_mouth) and not traits & _NOT_BY_MOUTH


def _strengths(folded: str, found: list[tuple[Name, Mention]], amounts: tuple[Amount, ...], brands: tuple[str, ...],
               traits: frozenset[Trait], tables: Tables) -> Iterator[tuple[str, Strength]]:
    plain = {m.ingredient for n, m in found if n.kind != "brand"}
    mentions = [m for n, m in found if n.kind != "brand" or m.ingredient not in plain]
    names = {m.ingredient for m in mentions}
    alone = len(names) == 1 and not traits & {Trait.COUGH, Trait.ANALGESIC, Trait.BUPROPION}
    poured = Trait.LIQUID in traits and not traits & {Trait.SOLID, Trait.INJECTION, Trait.SYRINGE}
    for ingredient in sorted(names):
        known = known_strengths(ingredient, brands, tables) if "/" in folded or "-" in folded else frozenset()
        strength = strength_for(ingredient, folded, mentions, amounts, alone=alone, known=known)
        if strength and not (poured and strength.per_unit == "unit"):
            yield ingredient, strength


@lru_cache(maxsize=1024)
def brand_traits(brand: str, tables: Tables) -> frozenset[Trait]:
    """What all products of a brand have in common: "OxyContin" is extended release, "Opana" may be either."""
    sold = [traits_of((p.name, p.dose_form)) for p in tables.brands.get(brand, ())]
    common = frozenset.intersection(*sold) if sold else frozenset()
    return common | _BRANDS_SLOW.get(brand, frozenset())


@lru_cache(maxsize=1024)
def known_strengths(ingredient: str, brands: tuple[str, ...], tables: Tables) -> frozenset[Decimal]:
    """The mg per unit in which the brand (else the ingredient in any product) is or was sold."""
    sold = [p for b in brands for p in tables.brands.get(b, ()) if ingredient in p.ingredients]
    products: tuple[Product, ...] = tuple(sold) or tables.by_ingredient.get(ingredient, ())
    return frozenset(s.mg for p in products for s in (product_strength(p, ingredient, tables),)
                     if s and s.per_unit == "unit")


@lru_cache(maxsize=8192)
def product_strength(product: Product, ingredient: str, tables: Tables) -> Strength | None:
    """The strength that an RxNorm name states for an ingredient."""
    found = [(n, m) for n, m in _names_in(product.name, tables) if n.kind != "brand"]
    mentions = [m for _, m in found]
    return strength_for(ingredient, product.name, mentions, amounts_in(product.name),
                        alone=len({m.ingredient for m in mentions}) == 1 and " / " not in product.name)


def _says_something(folded: str, unsure: list[tuple[Name, Mention]]) -> bool:
    """Whether the words name anything at all: not an identifier, a placeholder, or a form alone."""
    skip = {w for n, _ in unsure for w in n.words} | _NAMELESS
    plain = _NOISE.sub(" ", folded.lower()) if ":" in folded or "-" in folded else folded.lower()
    return any(len(word) > 2 and word not in skip for word in _WORDS.findall(plain))
