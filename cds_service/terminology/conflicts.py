"""Where the evidence about one drug contradicts itself: both sides in words of our tables, never the sender's text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from cds_service.model import Drug
from cds_service.terminology.evidence import Evidence, product_traits
from cds_service.terminology.forms import PARTNERS, Trait
from cds_service.terminology.tables import Product, Tables
from cds_service.terminology.texts import Reading
from cds_service.terminology.words import fold, skeleton, split_words

_SAID = 3  # names of another drug that a contradiction quotes from our tables
_LONG_WORD = re.compile(r"[^\W\d_]{4,}")
_FORM_WORDS = frozenset(
    {
        "oral",
        "tablet",
        "tablets",
        "capsule",
        "capsules",
        "solution",
        "suspension",
        "film",
        "patch",
        "injection",
        "release",
        "extended",
        "product",
        "system",
        "transdermal",
        "syringe",
        "cream",
        "topical",
        "spray",
        "nasal",
    }
)


def conflicts_in(evidence: Evidence, drug: Drug, tables: Tables) -> Iterator[str]:
    """Every contradiction about which drug this is; nothing where one side only says less than the other."""
    yield from _code_against_words(evidence, tables)
    yield from _words_against_words(evidence)
    if (
        evidence.others
        and not evidence.coded
        and evidence.worded
        and _says_another_drug(evidence, drug)
    ):
        yield f"code: another drug ({evidence.others[0].label}); text: {_list(evidence.worded)}"
    for text in strangers(evidence, tables):
        yield f"{'code' if evidence.coded else 'text'}: {_list(evidence.names)}; text: {', '.join(text.others[:_SAID])}"


def strangers(evidence: Evidence, tables: Tables) -> Iterator[Reading]:
    """The texts that positively name another drug beside the relevant one, where that is no part of the same product."""
    if not any(t.is_other and t.others for t in evidence.texts) or not any(
        tables.ingredients[i].counts for i in evidence.names
    ):
        return
    company = {
        skeleton(w) or w for t in evidence.texts if t.ingredients for w in split_words(t.folded)
    }
    company |= {skeleton(w) or w for p in evidence.products for w in split_words(p.name)}
    partners = (
        frozenset[Trait]().union(
            *(product_traits(p, tables) for p in evidence.products),
            *(t.traits for t in evidence.texts if t.ingredients),
        )
        & PARTNERS
    )
    for text in evidence.texts:
        named = {skeleton(w) or w for other in text.others for w in other.split()}
        if text.is_other and text.others and not named & company and not partners & text.traits:
            yield text


def names_another(evidence: Evidence, tables: Tables) -> bool:
    """Whether one side of a contradiction is positively a drug that is neither opioid nor antagonist."""
    return bool(evidence.others and not evidence.coded) or any(
        True for _ in strangers(evidence, tables)
    )


def _code_against_words(evidence: Evidence, tables: Tables) -> Iterator[str]:
    coded, worded = evidence.coded, evidence.worded
    for name, other in (("text", worded), ("ingredient lines", evidence.compounded)):
        if coded and other and not _agree(evidence, other, tables):
            yield f"code: {_list(coded)}; {name}: {_list(other)}"
    if worded == {"naltrexone"} and any(holds_both(p, tables) for p in evidence.products):
        yield f"code: {_list(coded)}; text: naltrexone"
    exact = [frozenset(p.ingredients) for p in evidence.precise]
    if _disjoint(exact):
        yield f"codes: {_list(coded)}"


def _words_against_words(evidence: Evidence) -> Iterator[str]:
    worded, lines = evidence.worded, evidence.compounded
    if worded and lines and not worded & lines:
        yield f"text: {_list(worded)}; ingredient lines: {_list(lines)}"
    if _disjoint([t.ingredients for t in evidence.texts if t.ingredients]):
        yield f"texts: {_list(worded)}"
    for text in evidence.texts:
        if text.decisive and text.branded and not text.plain & text.branded:
            yield f"brand: {_list(text.branded)}; text: {_list(text.plain)}"


def _disjoint(sets: Iterable[frozenset[str]]) -> bool:
    known = tuple(sets)
    return any(not one & other for one in known for other in known)


def _agree(evidence: Evidence, other: frozenset[str], tables: Tables) -> bool:
    """Whether other evidence says no more than the codes do; naloxone beside an opioid adds nothing."""
    coded = evidence.coded
    if other <= coded or (not evidence.precise and coded <= other):
        return True
    return bool(coded & other) and not any(tables.ingredients[i].counts for i in other - coded)


def holds_both(product: Product, tables: Tables) -> bool:
    """Whether one coded product holds naltrexone and an opioid: Embeda, Troxyca and their generics."""
    return "naltrexone" in product.ingredients and any(
        tables.ingredients[i].counts for i in product.ingredients if i != "naltrexone"
    )


def _says_another_drug(evidence: Evidence, drug: Drug) -> bool:
    """Whether a foreign code is surely meant: ATC always, else a display without a word of the named texts."""
    if any(other.label.startswith("atc") for other in evidence.others):
        return True
    shared = {
        w for t in evidence.texts if t.ingredients for w in _LONG_WORD.findall(t.folded.lower())
    }
    labels = [
        set(_LONG_WORD.findall(fold(c.display).lower())) - _FORM_WORDS for c in drug.concept.codings
    ]
    return any(label and not label & shared for label in labels)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
