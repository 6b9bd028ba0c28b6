"""All that speaks about one drug, each kind apart: codes, words, compounding lines, form and route."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cds_service.model import Concept, Drug, IngredientLine, Strength
from cds_service.terminology.codes import Code, read_code
from cds_service.terminology.forms import FORMS, PARTNERS, Trait, concept_traits, traits_of
from cds_service.terminology.strengths import line_strength
from cds_service.terminology.tables import CLINICAL_DRUG, INGREDIENT_LEVEL, Product, Tables
from cds_service.terminology.texts import Guess, Reading, brand_traits, read_text
from cds_service.terminology.words import split_words


@dataclass(frozen=True, slots=True)
class Line:
    """One compounding line, read; ``is_other`` where it is positively another substance."""

    ingredients: frozenset[str]
    strength: Strength | None
    traits: frozenset[Trait]
    names_a_drug: bool
    is_other: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was read, in an order that is not the sender's. ``others`` are codes of other drugs.

    ``coded``, ``worded`` and ``compounded`` are the ingredients that codes, words and lines name.
    """

    products: tuple[Product, ...]
    labels: tuple[str, ...]
    others: tuple[Code, ...]
    texts: tuple[Reading, ...]
    lines: tuple[Line, ...]
    around: frozenset[Trait]
    coded: frozenset[str]
    worded: frozenset[str]
    compounded: frozenset[str]

    @property
    def guesses(self) -> tuple[Guess, ...]:
        """What the words may mean, where nothing else says what the drug is."""
        if self.names or self.others or any(t.is_other for t in self.texts):
            return ()
        return tuple(t.guess for t in self.texts if t.guess)

    @property
    def names(self) -> frozenset[str]:
        return self.coded | self.worded | self.compounded

    @property
    def precise(self) -> tuple[Product, ...]:
        """The coded products that say more than a bare ingredient."""
        return tuple(p for p in self.products if p.tty not in INGREDIENT_LEVEL)

    @property
    def is_other(self) -> bool:
        """Whether codes, words or lines are positively of another drug, as long as nothing relevant is named."""
        if self.names or self.others or any(t.is_other for t in self.texts):
            return True
        return bool(self.lines) and all(line.is_other for line in self.lines)

    @property
    def names_a_drug(self) -> bool:
        return bool(
            self.products
            or self.others
            or any(t.names_a_drug for t in self.texts)
            or any(line.names_a_drug for line in self.lines)
        )


def gather(drug: Drug, tables: Tables) -> Evidence:
    """Read everything that the order says about its drug."""
    codes = sorted(
        {c for coding in drug.concept.codings if (c := read_code(coding, tables))}, key=_label
    )
    around = concept_traits(drug.form) | concept_traits(drug.route)
    texts = {read_text(text, tables, around) for text in texts_of(drug.concept)}
    texts |= {
        form for text in texts_of(drug.form) if (form := read_text(text, tables, around)).plain
    }
    lines = sorted((_read_line(line, tables, around) for line in drug.ingredients), key=repr)
    products = tuple(c.product for c in codes if c.product)
    return Evidence(
        products=products,
        labels=tuple(c.label for c in codes),
        others=tuple(c for c in codes if not c.product),
        texts=tuple(sorted(texts, key=lambda t: t.folded)),
        lines=tuple(lines),
        around=around,
        coded=frozenset(i for p in products for i in p.ingredients),
        worded=frozenset(i for text in texts for i in text.ingredients),
        compounded=frozenset(i for line in lines for i in line.ingredients),
    )


def _label(code: Code) -> str:
    return code.label


def texts_of(concept: Concept) -> set[str]:
    """The text and the displays, each once, without the empty ones."""
    return {text for text in (concept.text, *(c.display for c in concept.codings)) if text}


def _read_line(line: IngredientLine, tables: Tables, around: frozenset[Trait]) -> Line:
    codes = [c for coding in line.item.codings if (c := read_code(coding, tables))]
    texts = [read_text(text, tables, around) for text in sorted(texts_of(line.item))]
    named = frozenset(i for c in codes if c.product for i in c.product.ingredients)
    stated = {s for t in texts for _, s in t.strengths}
    return Line(
        ingredients=named.union(*(t.ingredients for t in texts)),
        strength=line_strength(line) or (stated.pop() if len(stated) == 1 else None),
        traits=frozenset[Trait]().union(*(t.traits for t in texts)),
        names_a_drug=bool(codes) or any(t.names_a_drug for t in texts),
        is_other=any(c.product is None for c in codes) or any(t.is_other for t in texts),
    )


def traits_in(evidence: Evidence, tables: Tables) -> frozenset[Trait]:
    """Form and partners: from the codes where they state them, else from words, lines, form and route."""
    coded = frozenset[Trait]().union(*(product_traits(p, tables) for p in evidence.products))
    written = [t.traits for t in evidence.texts] + [line.traits for line in evidence.lines]
    said = evidence.around.union(*written)
    partners = coded if evidence.precise else said
    return (
        (coded & FORMS or said & FORMS)
        | (partners & PARTNERS)
        | ((coded | said) & {Trait.DETERRENT})
    )


@lru_cache(maxsize=8192)
def product_traits(product: Product, tables: Tables) -> frozenset[Trait]:
    """What a coded product's own name, dose form and brand say."""
    own = traits_of((product.name, product.dose_form))
    if product.extended_release and Trait.TRANSDERMAL not in own:
        own |= {Trait.ER}
    brand = product.brand or (product.name if product.tty == "BN" else "")
    if not brand or product.tty in CLINICAL_DRUG:
        return own
    return own | brand_traits(" ".join(split_words(brand)), tables)
