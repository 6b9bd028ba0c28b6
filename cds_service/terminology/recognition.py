"""From what an order names to what is in it: codes first, then words; if they disagree, both are shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from cds_service.model import Component, Drug, Identity, Recognition, Role, Strength
from cds_service.terminology.conflicts import conflicts_in, holds_both, names_another
from cds_service.terminology.evidence import Evidence, gather, traits_in
from cds_service.terminology.forms import Trait
from cds_service.terminology.roles import is_sequestered, role_of
from cds_service.terminology.tables import CLINICAL_DRUG, Ingredient, Tables
from cds_service.terminology.texts import Guess, product_strength
from cds_service.terminology.words import split_words

_PERCENT = re.compile(r"(?<![\d.,])\d{1,3}(?:[.,]\d{1,3})?\s{0,2}%")
_FORM_ORDER = (
    Trait.SOLID,
    Trait.LIQUID,
    Trait.TOPICAL,
    Trait.TRANSDERMAL,
    Trait.INJECTION,
    Trait.IMPLANT,
    Trait.NASAL,
    Trait.MUCOSAL,
    Trait.RECTAL,
    Trait.ER,
)
_SHOWN = 200  # characters of an unknown name
_SEQUESTERED_BRANDS = frozenset({"embeda", "troxyca"})


def recognise(drug: Drug, tables: Tables) -> Recognition:
    """What is in the drug, by codes, words and compounding lines; their order makes no difference."""
    evidence = gather(drug, tables)
    guess = min(evidence.guesses, key=repr, default=None)
    names = evidence.names or (guess.ingredients if guess else frozenset())
    traits = traits_in(evidence, tables)
    strengths, unclear = _strengths(evidence, names, tables)
    disputed = set(conflicts_in(evidence, drug, tables))
    sequestered = not disputed and _holds_naltrexone_back(evidence, traits, strengths, tables)
    roles = _roles(names, traits, strengths, tables)
    if sequestered:
        roles = {name: Role.FULL_LA for name in roles if name != "naltrexone"}
    components = tuple(
        sorted(
            (
                Component(name, _rxcui(name, tables), role, strengths.get(name))
                for name, role in roles.items()
            ),
            key=lambda c: (c.role, c.ingredient),
        )
    )
    kind = _kind(components, evidence)
    return Recognition(
        kind=kind,
        components=components,
        matched_by=_matched_by(evidence, guess, tables),
        ldn_text=any(text.ldn for text in evidence.texts),
        sequestered=sequestered,
        conflict="; ".join(sorted({*disputed, *unclear})),
        other_drug=bool(components) and names_another(evidence, tables),
        uncertain=bool(guess and components),
        did_you_mean=guess.name if guess and components else "",
        unknown_name=_written(drug) if kind is Identity.UNKNOWN else "",
        combined=not disputed and len({c.role.is_naltrexone for c in components}) > 1,
        product_key=_product_key(evidence, traits, strengths, exact=not (disputed or unclear)),
    )


def _kind(components: tuple[Component, ...], evidence: Evidence) -> Identity:
    if components:
        return Identity.RELEVANT
    if evidence.is_other:
        return Identity.OTHER
    return Identity.UNKNOWN if evidence.names_a_drug else Identity.UNREADABLE


def _written(drug: Drug) -> str:
    """The name as the sender wrote it, in one line and of a length that can be shown."""
    label = drug.concept.label or next(
        (line.item.label for line in drug.ingredients if line.item.label), ""
    )
    return " ".join(label[:_SHOWN].split())


def _rxcui(name: str, tables: Tables) -> str:
    return tables.ingredients[name].rxcui if name in tables.ingredients else ""


def _roles(
    names: Iterable[str],
    traits: frozenset[Trait],
    strengths: Mapping[str, Strength],
    tables: Tables,
) -> dict[str, Role]:
    found = (
        (
            name,
            role_of(
                tables.ingredients.get(name, Ingredient(name, "", "full")),
                traits,
                strengths.get(name),
            ),
        )
        for name in names
    )
    return {name: role for name, role in found if role is not None}


def _strengths(
    evidence: Evidence, names: frozenset[str], tables: Tables
) -> tuple[dict[str, Strength], list[str]]:
    """One strength per ingredient: lines, then codes, then words; a contradiction leaves none and says so."""
    chosen: dict[str, Strength] = {}
    unclear: list[str] = []
    for name in names:
        lines = {
            line.strength for line in evidence.lines if name in line.ingredients and line.strength
        }
        codes = {
            s
            for p in evidence.products
            if name in p.ingredients and (s := product_strength(p, name, tables))
        }
        words = {s for t in evidence.texts for n, s in t.strengths if n == name}
        stated = [found for found in (lines, codes, words) if found]
        if not stated or len(stated[0]) != 1:
            continue
        best = next(iter(stated[0]))
        rivals = [s for found in stated[1:] for s in found if not _compatible(s, best)]
        if rivals:
            unclear.append(
                f"strength of {name}: {' or '.join(sorted({_say(s) for s in (best, *rivals)}))}"
            )
        else:
            chosen[name] = best
    return chosen, unclear


def _compatible(one: Strength, other: Strength) -> bool:
    """Whether two strengths may be of one product: the same ratio, or mg per syringe beside mg per mL."""
    return one.per_unit != other.per_unit or one.mg * other.per_amount == other.mg * one.per_amount


def _say(strength: Strength) -> str:
    unit, amount = strength.per_unit, strength.per_amount.normalize()
    per = "" if unit == "unit" and amount == 1 else f"/{amount:f} {unit}"
    return f"{strength.mg.normalize():f} mg{per}"


def _holds_naltrexone_back(
    evidence: Evidence, traits: frozenset[Trait], strengths: Mapping[str, Strength], tables: Tables
) -> bool:
    """Embeda and Troxyca: any code of such a product, the brand, or words that can mean nothing else."""
    return (
        any(holds_both(p, tables) for p in evidence.products)
        or any(brand in _SEQUESTERED_BRANDS for text in evidence.texts for brand in text.brands)
        or is_sequestered(evidence.names, traits, strengths.get("naltrexone"))
    )


def _matched_by(evidence: Evidence, guess: Guess | None, tables: Tables) -> tuple[str, ...]:
    """What says so, and in which table or pack it stands."""
    if guess:
        return tuple(sorted({*evidence.labels, f"text like {guess.name}"}))
    words = {f"text {name}" for name in evidence.worded}
    words |= {
        f"text in {table if table.startswith('pack ') else f'table {table}'}"
        for text in evidence.texts
        for table in text.tables
    }
    if not evidence.names:
        words |= {
            f"text {other} (another drug, {tables.others.table_of(other)})"
            for text in evidence.texts
            if text.is_other
            for other in text.others
        }
        words |= {
            "text only mentions a drug"
            for text in evidence.texts
            if text.is_other and not text.others
        }
    lines = {f"ingredient line {name}" for name in evidence.compounded}
    return tuple(sorted({*evidence.labels, *words, *lines}))


def _product_key(
    evidence: Evidence, traits: frozenset[Trait], strengths: Mapping[str, Strength], *, exact: bool
) -> str:
    """The same for the same product: the most exact rxcui, else what it holds, how much and in which form."""
    drugs = sorted(
        (p for p in evidence.products if p.tty in CLINICAL_DRUG),
        key=lambda p: (p.tty not in {"SCD", "GPCK"}, int(p.code)),
    )
    if drugs and exact:
        return f"rxnorm:{drugs[0].code}"
    if evidence.names:
        held = "+".join(
            f"{n} {_say(strengths[n])}" if n in strengths else n for n in sorted(evidence.names)
        )
        forms = (form for form in _FORM_ORDER if form in traits)
        return ":".join((held, *sorted(_loose(evidence, strengths)), *forms))
    if evidence.others:
        return evidence.others[0].label.replace(" ", ":")
    return " ".join(
        sorted({w for t in evidence.texts if t.names_a_drug for w in split_words(t.folded)})
    )


def _loose(evidence: Evidence, strengths: Mapping[str, Strength]) -> set[str]:
    """Amounts and percentages as written, where they could not be given to an ingredient."""
    found = {m for t in evidence.texts for m in _PERCENT.findall(t.folded)}
    if len(strengths) < len(evidence.names):
        found |= {t.folded[a.start : a.end].lower() for t in evidence.texts for a in t.amounts}
    return found
