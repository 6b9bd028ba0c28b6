"""How well the tables recognise themselves: every opioid product by code and by name, and no guard."""

from __future__ import annotations

from collections.abc import Callable

from cds_service.model import Coding, Concept, Drug, Recognition
from cds_service.terminology.tables import CLINICAL_DRUG, Product, Tables

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def opioid_clinical_drugs(tables: Tables) -> tuple[Product, ...]:
    """The active SCD, SBD, GPCK and BPCK that hold an opioid or naltrexone of specification 2.2."""
    return tuple(
        p
        for p in tables.products.values()
        if p.active
        and p.tty in CLINICAL_DRUG
        and any(tables.ingredients[i].counts for i in p.ingredients)
    )


def count(tables: Tables, recognise: Callable[[Drug], Recognition]) -> dict[str, int]:
    """Counts for ``check``: a product counts as recognised when all its ingredients that matter are found."""
    drugs = opioid_clinical_drugs(tables)

    def complete(product: Product, concept: Concept) -> bool:
        found = recognise(Drug(concept))
        wanted = {
            i
            for i in product.ingredients
            if tables.ingredients[i].counts and not (found.sequestered and i == "naltrexone")
        }
        return wanted == {c.ingredient for c in found.components}

    return {
        "opioid_clinical_drugs": len(drugs),
        "by_code": sum(complete(p, Concept((Coding(RXNORM, p.code),))) for p in drugs),
        "by_name": sum(complete(p, Concept(text=p.name)) for p in drugs),
        "guards": len(tables.guards),
        "guards_matched": sum(
            bool(recognise(Drug(Concept(text=g))).components) for g in tables.guards
        ),
    }
