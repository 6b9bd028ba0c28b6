"""The role of an ingredient in a form: specification 2.2, row by row."""

from __future__ import annotations

from decimal import Decimal

from cds_service.model import Role, Strength
from cds_service.terminology.forms import Trait
from cds_service.terminology.tables import Ingredient

_FIXED = {
    "long": Role.FULL_LA,
    "methadone": Role.METHADONE,
    "mixed": Role.MIXED,
    "peripheral": Role.PERIPH,
    "antitussive": Role.ANTITUSSIVE,
    "opioid-like": Role.OPIOID_LIKE,
    "antagonist": Role.OTHER_ANTAG,
}
_NALMEFENE_TABLET = Decimal(18)
_COUGH_OPIOIDS = frozenset({"codeine", "hydrocodone", "dihydrocodeine"})
_SEQUESTERED_WITH = frozenset({"morphine", "oxycodone"})
_SWALLOWED = frozenset({Trait.ORAL, Trait.SOLID})
_INTO_BODY = frozenset({Trait.INJECTION, Trait.SYRINGE, Trait.IMPLANT, Trait.DEPOT})
_BUP_EVERYDAY = frozenset({Trait.TRANSDERMAL, Trait.MUCOSAL, Trait.SOLID})
_WEAKEST_DEPOT = Decimal(20)  # mg/mL; hospital syringes hold 0.3, Brixadi 50 or 356, Sublocade 200
_LEAST_SEQUESTERED = Decimal("0.1")


def role_of(
    ingredient: Ingredient, traits: frozenset[Trait], strength: Strength | None
) -> Role | None:
    """The role, or None where the body meets nothing that matters (naloxone, a topical opioid)."""
    if ingredient.kind == "nalmefene":
        return _nalmefene(traits, strength)
    if not ingredient.counts:
        return None
    if ingredient.kind == "naltrexone":
        return _naltrexone(traits)
    if Trait.TOPICAL in traits and not traits & (_SWALLOWED | _INTO_BODY | {Trait.TRANSDERMAL}):
        return None
    if ingredient.kind in _FIXED:
        return _FIXED[ingredient.kind]
    if ingredient.kind == "buprenorphine":
        return _buprenorphine(traits, strength)
    return _agonist(ingredient, traits)


def _naltrexone(traits: frozenset[Trait]) -> Role:
    if Trait.BUPROPION in traits:
        return Role.NTX_BUP
    if Trait.TOPICAL in traits and not traits & (_SWALLOWED | _INTO_BODY):
        return Role.NTX_TOPICAL
    if Trait.IMPLANT in traits:
        return Role.NTX_IMPLANT
    swallowed = bool(traits & (_SWALLOWED | {Trait.LIQUID}))
    if traits & (_INTO_BODY - {Trait.SYRINGE}) or (
        traits & {Trait.ER, Trait.SYRINGE} and not swallowed
    ):
        return Role.NTX_XR
    return Role.NTX_ORAL


def _nalmefene(traits: frozenset[Trait], strength: Strength | None) -> Role | None:
    """An antagonist for days by mouth; by injection or nose it is a rescue medicine like naloxone."""
    if traits & (_INTO_BODY | {Trait.NASAL}):
        return None
    by_mouth = traits & _SWALLOWED or (strength is not None and strength.mg == _NALMEFENE_TABLET)
    return Role.OTHER_ANTAG if by_mouth else None


def _buprenorphine(traits: frozenset[Trait], strength: Strength | None) -> Role:
    if Trait.IMPLANT in traits:
        return Role.BUP_DEPOT
    if traits & _BUP_EVERYDAY:
        return Role.BUP
    weak = (
        strength is not None
        and strength.per_unit == "mL"
        and strength.mg / strength.per_amount < _WEAKEST_DEPOT
    )
    slow = traits & {Trait.ER, Trait.DEPOT} or Trait.SYRINGE in traits
    return Role.BUP_DEPOT if slow and not weak else Role.BUP


def _agonist(ingredient: Ingredient, traits: frozenset[Trait]) -> Role:
    if Trait.TRANSDERMAL in traits:
        return Role.FULL_LA
    if is_cough_product(ingredient.name, traits):
        return Role.ANTITUSSIVE
    if Trait.ER in traits:
        return Role.FULL_LA
    return Role.DUAL if ingredient.kind == "dual" else Role.FULL_SA


def is_cough_product(ingredient: str, traits: frozenset[Trait]) -> bool:
    """Codeine, hydrocodone or dihydrocodeine by mouth, with a cough partner, without an analgesic."""
    if ingredient == "opium alkaloids":
        return True
    return (
        ingredient in _COUGH_OPIOIDS
        and Trait.COUGH in traits
        and Trait.ANALGESIC not in traits
        and not traits & (_INTO_BODY | {Trait.RECTAL})
    )


def is_sequestered(
    names: frozenset[str], traits: frozenset[Trait], naltrexone: Strength | None
) -> bool:
    """Embeda or Troxyca by its words: ER or abuse-deterrent, with 0.1 mg of naltrexone or more."""
    slow = traits & {Trait.ER, Trait.DETERRENT}
    return bool(
        "naltrexone" in names
        and names & _SEQUESTERED_WITH
        and slow
        and naltrexone is not None
        and naltrexone.mg >= _LEAST_SEQUESTERED
    )
