"""What words say about form, route, release and partners of a drug."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

from cds_service.model import Concept


class Trait(StrEnum):
    """One thing that a name, a form or a route says."""

    ER = "er"
    TRANSDERMAL = "transdermal"
    TOPICAL = "topical"
    IMPLANT = "implant"
    INJECTION = "injection"
    SYRINGE = "syringe"
    DEPOT = "depot"
    NASAL = "nasal"
    MUCOSAL = "mucosal"
    ORAL = "oral"
    SOLID = "solid"
    LIQUID = "liquid"
    RECTAL = "rectal"
    BUPROPION = "bupropion"
    COUGH = "cough"
    ANALGESIC = "analgesic"
    DETERRENT = "deterrent"


FORMS = frozenset(Trait) - {Trait.BUPROPION, Trait.COUGH, Trait.ANALGESIC, Trait.DETERRENT}
PARTNERS = frozenset({Trait.BUPROPION, Trait.COUGH, Trait.ANALGESIC})

# RxNorm files every patch under "Topical Product" too; a real topical opioid has no such code.
_WORDS = {
    Trait.ER: (r"(?:extended|sustained|controlled|prolonged|modified|slow)[\s-]{0,2}release|long[\s-]acting"
               r"|contin\b"
               r"|(?<!every )(?<!q )(?<!per )(?<!/)(?:12|24)[\s-]?(?:hr|hour)s?\b"
               r"|(?:er|xr|sr|cr|xl)\b|la\b(?=\s{0,3}(?:tab|cap))"),
    Trait.TRANSDERMAL: r"transdermal|patch(?:es)?\b|topical product|mcg/hr?\b|mg/hr\b",
    Trait.IMPLANT: r"implant|pellets?\b",
    Trait.SYRINGE: r"(?:prefilled )?syringe",
    Trait.DEPOT: r"depot|(?<![\d.])380\s?mg|(?:once[\s-])?monthly|weekly inj",
    Trait.INJECTION: (r"inj(?:\b|ect)|intramuscular|subcutaneous|intravenous|intrathecal|epidural|vial"
                      r"|ampu?le?|cartridge|auto[\s-]?injector|i\.?[mv]\b|s(?:ub)?[cq]\b"),
    Trait.NASAL: r"nasal|intranasal|nostril",
    Trait.TOPICAL: (r"cream|ointment|lotion|topical|ophthalmic|eye drops?|vanishing|emulgel|gel\b(?!\s?cap)"
                    r"|top\b"),
    Trait.MUCOSAL: r"sublingual|buccal|mucosal|film\b|lozenge|troche|sl\b",
    Trait.SOLID: r"tab(?:let)?s?\b|tbl\b|caps?(?:ules?|lets?)?\b|pills?\b|soft\s?gels?",
    Trait.LIQUID: r"solution|soln\b|suspension|susp\b|liquid|syrup|elixir|drops\b|concentrate|tincture",
    Trait.ORAL: r"oral|by mouth|p\.?o\b|sprinkle",
    Trait.RECTAL: r"rectal|suppositor|supprettes",
    Trait.BUPROPION: r"bupropion|contrave|mysimba|wellbutrin",
    Trait.COUGH: (r"guaif|promethaz|phenergan|robitussin|homatrop|(?:dex)?chlorphen|(?:dex)?bromphen"
                  r"|(?:dex)?brompheniram|pseudoeph|pyrilam|triprolid|phenyleph|guaiacol|diphenhydr|phenyltolox"
                  r"|chlorcycl|carbinox|doxylam|phenylprop|phenindam|ephedrine"),
    Trait.ANALGESIC: (r"acetamin|apap\b|paracetamol|tylenol|aspirin|asa\b|ibuprof|butalbit|diclofen|naprox"
                      r"|salicyl|phenacet|carisoprod"),
    Trait.DETERRENT: r"abuse[\s-]deterrent",
}
_ANY = "|".join(f"(?P<{trait.name}>{words})" for trait, words in _WORDS.items())
_TRAITS = re.compile(rf"(?<![^\W\d_])(?:{_ANY})", re.IGNORECASE)

# SNOMED CT and HL7 v3 codes of routes, for senders that leave the words out.
_ROUTES = {
    "26643006": Trait.ORAL, "78421000": Trait.INJECTION, "34206005": Trait.INJECTION,
    "47625008": Trait.INJECTION, "6064005": Trait.TOPICAL, "54485002": Trait.TOPICAL,
    "45890007": Trait.TRANSDERMAL, "46713006": Trait.NASAL,
    "PO": Trait.ORAL, "IM": Trait.INJECTION, "IV": Trait.INJECTION, "SQ": Trait.INJECTION,
    "TOPICAL": Trait.TOPICAL, "TRNSDERM": Trait.TRANSDERMAL, "NASINHL": Trait.NASAL, "OPTH": Trait.TOPICAL,
}


def traits_of(texts: Iterable[str]) -> frozenset[Trait]:
    """Every trait that the texts spell out; a text that says nothing adds nothing."""
    found = (m.lastgroup for text in texts for m in _TRAITS.finditer(text))
    return frozenset(Trait[name] for name in found if name)


def concept_traits(concept: Concept) -> frozenset[Trait]:
    """The traits of a form or a route, by its words and by the route codes in common use."""
    coded = {_ROUTES[c.code] for c in concept.codings if c.code in _ROUTES}
    return traits_of((concept.text, *(c.display for c in concept.codings))) | coded
