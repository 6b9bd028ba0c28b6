"""From what an order names to what is in it: codes first, then words; where the two disagree, both are shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from cds_service.model import Component, Concept, Drug, IngredientLine, Recognition, Role, Strength
from cds_service.terminology.codes import Code, read_code
from cds_service.terminology.forms import FORMS, PARTNERS, Trait, concept_traits, traits_of
from cds_service.terminology.roles import is_sequestered, role_of
from cds_service.terminology.strengths import line_strength
from cds_service.terminology.tables import CLINICAL_DRUG, INGREDIENT_LEVEL, Product, Tables
from cds_service.terminology.texts import Reading, brand_traits, product_strength, read_text
from cds_service.terminology.words import fold, split_words

_FORM_ORDER = ("solid", "liquid", "topical", "transdermal", "injection", "implant", "nasal", "mucosal", "rectal", "er")
_COMMON_WORD = re.compile(r"[^\W\d_]{4,}")
_FORM_WORDS = frozenset({"oral", "tablet", "capsule", "solution", "suspension", "film", "patch", "injection", "release",
                         "extended", "product", "system", "transdermal", "syringe", "cream", "topical", "spray", "nasal"})


@dataclass(frozen=True, slots=True)
class Line:
    """One compounding line, read."""

    ingredients: frozenset[str]
    strength: Strength | None
    names_a_drug: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that speaks about one drug, each kind apart, in an order that does not depend on the sender's."""

    codes: tuple[Code, ...]
    others: tuple[Code, ...]
    texts: tuple[Reading, ...]
    lines: tuple[Line, ...]
    around: frozenset[Trait]

    @property
    def coded(self) -> frozenset[str]:
        return frozenset(i for c in self.codes if c.product for i in c.product.ingredients)

    @property
    def worded(self) -> frozenset[str]:
        return frozenset().union(*(_worded(t) for t in self.texts))

    @property
    def compounded(self) -> frozenset[str]:
        return frozenset().union(*(line.ingredients for line in self.lines))

    @property
    def products(self) -> tuple[Product, ...]:
        return tuple(c.product for c in self.codes if c.product)


def recognise(drug: Drug, tables: Tables) -> Recognition:
    """What is in the drug, by codes, words and compounding lines; the order of any of them makes no difference."""
    evidence = _gather(drug, tables)
    names = evidence.coded | evidence.worded | evidence.compounded
    traits = _traits(evidence, tables)
    strengths, unclear = _strengths(evidence, names, tables)
    conflict = "; ".join(sorted({*_conflicts(evidence, drug, tables), *unclear}))
    sequestered = not conflict and _holds_naltrexone_back(evidence, names, traits, strengths)
    components = tuple(_components(names, traits, strengths, sequestered, tables))
    return Recognition(
        identified=bool(evidence.codes or evidence.others or any(t.names_a_drug for t in evidence.texts)
                        or any(line.names_a_drug for line in evidence.lines)),
        components=components, matched_by=_matched_by(evidence), ldn_text=any(t.ldn for t in evidence.texts),
        conflict=conflict, combined=not conflict and _combined(components), sequestered=sequestered,
        product_key=_product_key(evidence, traits, strengths, conflict))


def _gather(drug: Drug, tables: Tables) -> Evidence:
    read = {c for coding in drug.concept.codings if (c := read_code(coding, tables))}
    around = concept_traits(drug.form) | concept_traits(drug.route)
    written = _texts(drug.concept) | {drug.form.label} - {""}
    texts = sorted((read_text(text, tables, around) for text in written), key=lambda t: t.folded)
    lines = sorted((_read_line(line, tables, around) for line in drug.ingredients), key=repr)
    if drug.form.label and not _texts(drug.concept):
        texts = [t for t in texts if t.ingredients]
    return Evidence(tuple(sorted((c for c in read if c.product), key=lambda c: c.label)),
                    tuple(sorted((c for c in read if not c.product), key=lambda c: c.label)),
                    tuple(texts), tuple(lines), around)


def _texts(concept: Concept) -> set[str]:
    return {text for text in (concept.text, *(c.display for c in concept.codings)) if text}


def _read_line(line: IngredientLine, tables: Tables, around: frozenset[Trait]) -> Line:
    codes = [c for coding in line.item.codings if (c := read_code(coding, tables))]
    readings = [read_text(text, tables, around | {Trait.ORAL}) for text in sorted(_texts(line.item))]
    named = frozenset(i for c in codes if c.product for i in c.product.ingredients)
    named = named.union(*(r.ingredients for r in readings))
    own = {s for r in readings for _, s in r.strengths}
    strength = line_strength(line) or (own.pop() if len(own) == 1 else None)
    return Line(named, strength, bool(codes) or any(r.names_a_drug for r in readings))


def _worded(reading: Reading) -> frozenset[str]:
    """Ingredients beat brand among opioids; a naltrexone brand beside an opioid's name (or the reverse) keeps both."""
    plain = reading.ingredients - reading.by_brand
    if not plain or not reading.by_brand or ("naltrexone" in plain) != ("naltrexone" in reading.by_brand):
        return reading.ingredients
    return plain


def _traits(evidence: Evidence, tables: Tables) -> frozenset[Trait]:
    """Form and partners from the codes that state them, else from words, form and route."""
    coded = frozenset().union(*(product_traits(p, tables) for p in evidence.products))
    said = evidence.around.union(*(t.traits for t in evidence.texts))
    forms = coded & FORMS or said & FORMS
    stated = any(p.tty not in INGREDIENT_LEVEL for p in evidence.products)
    partners = coded & PARTNERS if stated else said & PARTNERS
    return forms | partners | ((coded | said) & {Trait.DETERRENT})


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


def _strengths(evidence: Evidence, names: frozenset[str], tables: Tables) -> tuple[dict[str, Strength], list[str]]:
    """One strength per ingredient, lines before codes before words; a contradiction leaves none and says so."""
    chosen: dict[str, Strength] = {}
    unclear: list[str] = []
    for name in names:
        lines = {line.strength for line in evidence.lines if name in line.ingredients and line.strength}
        codes = {s for p in evidence.products if name in p.ingredients and (s := product_strength(p, name, tables))}
        words = {s for t in evidence.texts for n, s in t.strengths if n == name}
        ranked = [found for found in (lines, codes, words) if found]
        if not ranked or len(ranked[0]) != 1:
            continue
        best = next(iter(ranked[0]))
        rivals = [s for found in ranked[1:] for s in found if s.per_unit == best.per_unit and not _same(s, best)]
        if rivals:
            unclear.append(f"strength of {name}: {_say(best)} or {', '.join(sorted({_say(s) for s in rivals}))}")
        else:
            chosen[name] = best
    return chosen, unclear


def _same(one: Strength, other: Strength) -> bool:
    return one.mg * other.per_amount == other.mg * one.per_amount


def _say(strength: Strength) -> str:
    per = "" if strength.per_unit == "unit" and strength.per_amount == 1 else f"/{strength.per_amount:f} {strength.per_unit}"
    return f"{strength.mg.normalize():f} mg{per}"


def _conflicts(evidence: Evidence, drug: Drug, tables: Tables) -> Iterable[str]:
    coded, worded, lines = evidence.coded, evidence.worded, evidence.compounded
    precise = any(p.tty not in INGREDIENT_LEVEL for p in evidence.products)
    for name, other in (("text", worded), ("ingredient lines", lines)):
        if coded and other and not _agree(coded, other, precise, tables):
            yield f"code: {_list(coded)}; {name}: {_list(other)}"
    if worded and lines and not worded & lines:
        yield f"text: {_list(worded)}; ingredient lines: {_list(lines)}"
    whole = [frozenset(p.ingredients) for p in evidence.products if p.tty not in INGREDIENT_LEVEL]
    if whole and any(not a & b for a in whole for b in whole):
        yield f"codes: {_list(coded)}"
    spoken = [_worded(t) for t in evidence.texts if t.ingredients]
    if any(not a & b for a in spoken for b in spoken):
        yield f"texts: {_list(worded)}"
    for reading in evidence.texts:
        plain = reading.ingredients - reading.by_brand
        if plain and any(tables.ingredients[i].counts for i in reading.by_brand) and not plain & _branded(reading, tables):
            yield f"brand: {_list(_branded(reading, tables))}; text: {_list(plain)}"
    if evidence.others and not coded and worded and _says_another_drug(evidence, drug):
        yield f"code: another drug ({evidence.others[0].label}); text: {_list(worded)}"
    if any(_holds_both(p, tables) for p in evidence.products) and worded == {"naltrexone"}:
        yield f"code: {_list(coded)}; text: naltrexone"


def _branded(reading: Reading, tables: Tables) -> frozenset[str]:
    return frozenset(i for b in reading.brands for n in tables.names.get(b.split()[0], ()) if " ".join(n.words) == b
                     for i in n.ingredients)


def _agree(coded: frozenset[str], other: frozenset[str], precise: bool, tables: Tables) -> bool:
    """Whether other evidence says no more than the codes do: naloxone beside an opioid adds nothing to see."""
    if other <= coded or (not precise and coded <= other):
        return True
    return bool(coded & other) and not any(tables.ingredients[i].counts for i in other - coded)


def _says_another_drug(evidence: Evidence, drug: Drug) -> bool:
    """Whether a coding that is none of ours is labelled with words that no other text shares (ATC needs no label)."""
    if any(other.label.startswith("atc") for other in evidence.others):
        return True
    named = [t.folded for t in evidence.texts if t.ingredients]
    shared = {w for text in named for w in _COMMON_WORD.findall(text.lower())}
    labels = (set(_COMMON_WORD.findall(fold(c.display).lower())) - _FORM_WORDS for c in drug.concept.codings if c.display)
    return any(label and not label & shared for label in labels)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _holds_both(product: Product, tables: Tables) -> bool:
    return "naltrexone" in product.ingredients and any(
        tables.ingredients[i].counts for i in product.ingredients if i != "naltrexone")


def _holds_naltrexone_back(evidence: Evidence, names: frozenset[str], traits: frozenset[Trait],
                           strengths: dict[str, Strength]) -> bool:
    """Embeda and Troxyca, by any code of such a combination, by brand, or by their words (label: sequestered core)."""
    if any("naltrexone" in p.ingredients and len(p.ingredients) > 1 for p in evidence.products):
        return True
    if any(b in {"embeda", "troxyca"} for t in evidence.texts for b in t.brands):
        return True
    return is_sequestered(names, traits, strengths.get("naltrexone"))


def _components(names: Iterable[str], traits: frozenset[Trait], strengths: dict[str, Strength], sequestered: bool,
                tables: Tables) -> list[Component]:
    found = []
    for name in names:
        ingredient, strength = tables.ingredients[name], strengths.get(name)
        if sequestered and name == "naltrexone":
            continue
        role = Role.FULL_LA if sequestered and ingredient.counts else role_of(ingredient, traits, strength)
        if role is not None:
            found.append(Component(name, ingredient.rxcui, role, strength))
    return sorted(found, key=lambda c: (c.role, c.ingredient))


def _combined(components: tuple[Component, ...]) -> bool:
    return any(c.role.is_naltrexone for c in components) and any(c.role.is_opioid for c in components)


def _matched_by(evidence: Evidence) -> tuple[str, ...]:
    return tuple(sorted({*(c.label for c in (*evidence.codes, *evidence.others)),
                         *(f"text {i}" for i in evidence.worded), *(f"ingredient line {i}" for i in evidence.compounded)}))


def _product_key(evidence: Evidence, traits: frozenset[Trait], strengths: dict[str, Strength], conflict: str) -> str:
    """The same for the same product: the most exact rxcui, else what it holds, how much and in which form."""
    exact = sorted((p for p in evidence.products if p.tty in CLINICAL_DRUG),
                   key=lambda p: (p.tty not in {"SCD", "GPCK"}, int(p.code)))
    if exact and not conflict:
        return f"rxnorm:{exact[0].code}"
    names = evidence.coded | evidence.worded | evidence.compounded
    if names:
        held = "+".join(f"{n} {_say(strengths[n])}" if n in strengths else n for n in sorted(names))
        loose = sorted({f"{t.folded[a.start:a.end]}".lower() for t in evidence.texts for a in t.amounts
                        if len(strengths) < len(names)} | {m for t in evidence.texts for m in _percents(t)})
        return ":".join((held, *loose, *(f for f in _FORM_ORDER if f in traits)))
    if evidence.others:
        return evidence.others[0].label.replace(" ", ":")
    return " ".join(sorted({w for t in evidence.texts if t.names_a_drug for w in split_words(t.folded)}))


def _percents(reading: Reading) -> list[str]:
    return re.findall(r"(?<![\d.,])\d{1,3}(?:[.,]\d{1,3})?\s{0,2}%", reading.folded)
