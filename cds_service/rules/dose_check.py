"""naltrexone-dose-check: doses that look like a slip of the decimal point, the unit or the product (specification 2.10).

Only the order's own reason and words count as a sign of low-dose use, never the problem list; renewals stay silent.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from cds_service.model import (
    Band,
    Draft,
    Exposure,
    Finding,
    Role,
    Severity,
    Snapshot,
    State,
    Verdict,
)
from cds_service.rules.naltrexone import naltrexone_drafts
from cds_service.rules.rule import SHARED, Rule, cited, names

TOPIC = "naltrexone-dose-check"
_ORDER = ("hepat", "microgram", "low-dose range", "disagree", "duplicate")


def judge(snapshot: Snapshot, _said: tuple[Verdict, ...] = ()) -> Iterator[Finding]:
    """At most one finding; the worst slip gives the summary, every slip a line."""
    hits = {draft: tuple(find_slips(draft, snapshot)) for draft in naltrexone_drafts(snapshot) if not draft.renewal}
    slips = {slip for found in hits.values() for slip in found}
    if not slips:
        return
    situation = next(name for name in _ORDER if name in slips)
    draft = next(d for d, found in hits.items() if situation in found)
    several = ("which_draft",) if sum(1 for _ in naltrexone_drafts(snapshot)) > 1 else ()
    found = tuple(e for e in snapshot.exposures if _duplicates(draft, e, snapshot)) if "duplicate" in slips else ()
    yield Finding(
        TOPIC, Severity.WARNING, situation, lines=(*several, *(line for line in RULE.lines if line in slips)),
        facts={"mg": _printed_mg(draft, snapshot)}, overrides=True, found=found,
        about=tuple(d for d, s in hits.items() if s),
        trace=tuple(f"{slip}: {_printed_mg(d, snapshot) or 'unknown'} mg" for d, s in hits.items() for slip in s))


def find_slips(draft: Draft, snapshot: Snapshot) -> Iterator[str]:
    """The names of what looks wrong with this draft."""
    limits = {name: Decimal(str(value)) for name, value in snapshot.thresholds["dose_check"].items()}
    medication, dose = draft.medication, draft.medication.dose
    if medication.band is Band.XR and draft.means_low_dose:
        yield "low-dose range"
    elif medication.band is Band.MICRO and draft.means_low_dose:
        yield "microgram"
    elif medication.band is Band.SUPRA:
        yield "hepat"
    if medication.band is not Band.BUPROPION and draft.means_low_dose and dose.daily_mg is not None \
            and medication.band is not Band.XR and dose.daily_mg > limits["ldn_trial_max_mg"]:
        yield "low-dose range"
        if limits["decimal_from_mg"] <= dose.daily_mg < limits["decimal_below_mg"]:
            yield "decimal"
    if _disagrees(draft, limits["disagreement_share"]):
        yield "disagree"
    if any(_duplicates(draft, exposure, snapshot) for exposure in snapshot.exposures):
        yield "duplicate"


def _disagrees(draft: Draft, share: Decimal) -> bool:
    """Structured dose and instruction text differ by more than ``share`` of the structured one (oral, one phase)."""
    component, dose = draft.medication.naltrexone, draft.medication.dose
    if component is None or component.role is not Role.NTX_ORAL or dose.phases > 1:
        return False
    if dose.structured_mg is None or dose.sig_mg is None:
        return False
    return abs(dose.structured_mg - dose.sig_mg) > dose.structured_mg * share + Decimal("1e-9")


def _duplicates(draft: Draft, exposure: Exposure, snapshot: Snapshot) -> bool:
    """Another naltrexone product type that is current, or a recent depot. A new strength is titration."""
    mine, other = draft.medication.naltrexone, exposure.medication.naltrexone
    if mine is None or other is None or other.role is Role.NTX_TOPICAL or mine.role is other.role:
        return False
    depot_days = snapshot.thresholds["dose_check"]["duplicate_depot_days"]
    recent_depot = other.role is Role.NTX_XR and exposure.last_dose_days is not None \
        and exposure.last_dose_days <= depot_days
    return exposure.state is State.CURRENT or recent_depot


def _printed_mg(draft: Draft, snapshot: Snapshot) -> str:
    if draft.medication.band is Band.XR:
        return str(snapshot.thresholds["depot_dose_mg"])
    dose = draft.medication.dose.daily_mg
    return f"{dose:f}" if dose is not None else ""


RULE = Rule(
    id=TOPIC, title="A slip of the decimal point, the unit or the product", judge=judge, order=4, overrides=True,
    facts=names("mg"), links=names("label-oral"),
    thresholds=names("""
        dose_check.ldn_trial_max_mg dose_check.decimal_from_mg dose_check.decimal_below_mg dose_check.disagreement_share
        dose_check.duplicate_depot_days dose_bands.micro_below dose_bands.labelled_to depot_dose_mg"""),
    situations={
        "low-dose range": names("mg"),
        **dict.fromkeys(names("disagree microgram duplicate"), ()),
        "hepat": names("dose_bands.labelled_to"),
    },
    lines={
        "which_draft": SHARED,
        "decimal": cited("J"),
        "low-dose range": cited("P3 P6 J", "dose_bands.ldn_from dose_bands.ldn_to dose_check.ldn_trial_max_mg"),
        "microgram": cited("P3 J"),
        "hepat": cited("label-oral", "dose_bands.labelled_to"),
        "disagree": cited("J"),
        "duplicate": cited("label-vivitrol J"),
    })
