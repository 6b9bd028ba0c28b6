"""What the words of an order say: which drugs they name, how strong and in what form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from cds_service.model import Strength
from cds_service.terminology.forms import FORMS, Trait, traits_of
from cds_service.terminology.likeness import stem_of
from cds_service.terminology.mentions import Place, is_remedy, mentioned
from cds_service.terminology.names import names_in
from cds_service.terminology.rest import Rest, rest_of
from cds_service.terminology.strengths import Amount, Mention, Scan, amounts_in, strength_for
from cds_service.terminology.tables import Name, Product, Tables
from cds_service.terminology.words import fold, says_ldn, skeleton

HEAD, TAIL = 1_500, 500  # characters of a long text that are looked at
CUT = " [...] "
_SPACES = re.compile(r"\s{2,}")
_PARTNERS = frozenset({Trait.COUGH, Trait.ANALGESIC, Trait.BUPROPION})
_NOT_POURED = frozenset({Trait.SOLID, Trait.INJECTION, Trait.SYRINGE})
_NOT_BY_MOUTH = frozenset({Trait.NASAL, Trait.INJECTION, Trait.SYRINGE, Trait.TOPICAL})
_GUESSES = 12  # unknown words of a text that are compared with relevant names


@dataclass(frozen=True, slots=True)
class Guess:
    """A relevant drug that a text may mean: by likeness to ``name`` or by a stem."""

    ingredients: frozenset[str]
    name: str
    word: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One text, read: ``plain`` are the ingredients it names, ``branded`` those that its brands stand for.

    ``decisive`` is True where one of the plain ones counts. ``tables`` are the tables that the names
    stand in, ``only_mentioned`` is True where a name is there and not meant.
    """

    folded: str
    plain: frozenset[str]
    branded: frozenset[str]
    decisive: bool
    brands: tuple[str, ...]
    tables: frozenset[str]
    traits: frozenset[Trait]
    strengths: tuple[tuple[str, Strength], ...]
    amounts: tuple[Amount, ...]
    ldn: bool
    only_mentioned: bool
    others: tuple[str, ...]
    unknown: tuple[str, ...]
    is_other: bool
    guess: Guess | None

    @property
    def ingredients(self) -> frozenset[str]:
        """Ingredients beat brand among opioids; where only one of the two says naltrexone, both are kept."""
        if (
            not self.decisive
            or ("naltrexone" in self.plain) != ("naltrexone" in self.branded)
            or (self.plain & self.branded)
        ):
            return self.plain | self.branded
        return self.plain

    @property
    def names_a_drug(self) -> bool:
        return bool(
            self.plain or self.branded or self.others or self.unknown or self.only_mentioned
        )


def bounded(text: str) -> str:
    """The text, or the head and the tail of a long one."""
    return text if len(text) <= HEAD + TAIL else text[:HEAD] + CUT + text[-TAIL:]


def read_text(text: str, tables: Tables, around: frozenset[Trait] = frozenset()) -> Reading:
    """All that one text says; ``around`` (form and route) may confirm an ambiguous spelling."""
    folded = _SPACES.sub(" ", fold(bounded(text)))
    found = names_in(folded, tables)
    passing = _passing(folded, found, tables)
    meant = [(name, at) for name, at in found if (at.start, at.end) not in passing]
    amounts, own = amounts_in(folded), traits_of((folded,))
    confirmed = _confirmed(own | around, amounts)
    sure = [(name, at) for name, at in meant if name.match != "ambiguous" or confirmed]
    left = rest_of(
        folded, ((at.start, at.end) for name, at in (*sure, *_passed(found, meant))), tables
    )
    guess = None if sure else _guess(left, tables)
    brands = tuple(sorted({" ".join(name.words) for name, _ in sure if name.kind == "brand"}))
    traits = _traits(own, around, amounts, {name for name, _ in sure}, tables)
    return Reading(
        folded=folded,
        brands=brands,
        traits=traits,
        amounts=amounts,
        ldn=says_ldn(folded),
        plain=frozenset(i for name, _ in sure if name.kind != "brand" for i in name.ingredients),
        branded=frozenset(i for name, _ in sure if name.kind == "brand" for i in name.ingredients),
        decisive=any(
            i not in tables.never
            for name, _ in sure
            if name.kind != "brand"
            for i in name.ingredients
        ),
        tables=frozenset(name.table for name, _ in sure),
        only_mentioned=bool(passing),
        strengths=tuple(
            _strengths(_scan(folded, sure, guess, amounts, traits), brands, traits, tables)
        ),
        others=left.others,
        unknown=left.unknown,
        guess=guess,
        is_other=not (sure or guess or CUT in folded)
        and (left.is_other or (bool(passing) and not left.unknown) or is_remedy(folded)),
    )


def _passing(folded: str, found: list[tuple[Name, Mention]], tables: Tables) -> frozenset[Place]:
    """The places of names that are not meant; where none would be left, only what the text surely turns away."""
    places = tuple(dict.fromkeys(Place(at.start, at.end) for _, at in found))
    gone = mentioned(folded, places, alone=False)
    if not gone or len(gone) < len(places) or rest_of(folded, places, tables).others:
        return gone
    return mentioned(folded, places, alone=True)


def _passed(
    found: list[tuple[Name, Mention]], meant: list[tuple[Name, Mention]]
) -> list[tuple[Name, Mention]]:
    return [each for each in found if each not in meant]


def _traits(
    own: frozenset[Trait],
    around: frozenset[Trait],
    amounts: tuple[Amount, ...],
    names: Iterable[Name],
    tables: Tables,
) -> frozenset[Trait]:
    """What the text says of the form, with what its names alone tell; a brand sold in both releases counts as slow."""
    told = frozenset[Trait]().union(*(name.traits for name in names))
    told |= frozenset[Trait]().union(
        *(brand_traits(" ".join(n.words), tables) for n in names if n.kind == "brand")
    )
    if Trait.EITHER in told and not (own | around) & FORMS and not amounts:
        told |= {Trait.ER}
    return own | told


def _confirmed(traits: frozenset[Trait], amounts: tuple[Amount, ...]) -> bool:
    """A spelling between naltrexone and naloxone is naltrexone only where an oral form or 380 mg says so."""
    if Trait.DEPOT in traits:
        return True
    units = any(a.strength and a.strength.per_unit == "unit" for a in amounts)
    return bool(traits & {Trait.ORAL, Trait.SOLID} or units) and not traits & _NOT_BY_MOUTH


def _guess(left: Rest, tables: Tables) -> Guess | None:
    """The first unknown word that looks like a relevant name, where no known name explains it, or that has its stem.

    A text that names nothing at all may hold a name that only looks like a form's: oxyc(ogon)e.
    """
    named = left.others or left.unknown
    for word in (left.alone if named else left.formlike)[:_GUESSES]:
        never = _relevant_in_no_form(tables)
        near = tables.lookalikes.near(word, tables.others.starting_with(word), never)
        if near:
            meant = tables.lookalikes.meant_by(near)
            return Guess(frozenset(tables.lookalikes.means[near]) - never, meant, word)
    for word in left.unknown[:_GUESSES]:
        if family := stem_of(word) or stem_of(skeleton(word)):
            return Guess(frozenset({family}), family, word)
    return None


def _relevant_in_no_form(tables: Tables) -> frozenset[str]:
    """What is never a component; nalmefene is one by mouth."""
    return frozenset(name for name in tables.never if tables.ingredients[name].kind == "never")


def _scan(
    folded: str,
    found: list[tuple[Name, Mention]],
    guess: Guess | None,
    amounts: tuple[Amount, ...],
    traits: frozenset[Trait],
) -> Scan:
    """The text with its mentions; a brand's place counts only where the text leaves the ingredient out."""
    plain = {at.ingredient for name, at in found if name.kind != "brand"}
    mentions = tuple(at for name, at in found if name.kind != "brand" or at.ingredient not in plain)
    if guess:
        start = max(folded.lower().find(guess.word), 0)
        mentions = tuple(
            Mention(i, start, start + len(guess.word)) for i in sorted(guess.ingredients)
        )
    alone = len({m.ingredient for m in mentions}) == 1 and not traits & _PARTNERS
    return Scan(folded, mentions, amounts, alone)


def _strengths(
    scan: Scan, brands: tuple[str, ...], traits: frozenset[Trait], tables: Tables
) -> Iterator[tuple[str, Strength]]:
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
    return frozenset[Trait].intersection(*sold) if sold else frozenset()


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
