"""naltrexone-patient-safety: what the record says of this patient that speaks against an antagonist (2.11).

Problems count by when they were recorded, drug screens by their newest result. At most the two worst lines are printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from cds_service.model import (
    Band,
    Condition,
    ConditionKind,
    Draft,
    Finding,
    LabGroup,
    LabResult,
    Role,
    Severity,
    Snapshot,
    State,
    Suggestion,
    Verdict,
)
from cds_service.rules.naltrexone import LABELLED_INDICATIONS, antagonist_drafts, worst_interaction
from cds_service.rules.rule import SHARED, Rule, cited, names

TOPIC = "naltrexone-patient-safety"
_LABELLED = frozenset({Band.LABELLED, Band.SUPRA, Band.XR, Band.BUPROPION})
_LONG = frozenset({LabGroup.METHADONE, LabGroup.BUPRENORPHINE})
_NONE, _INFO, _WARNING, _CRITICAL = (
    Severity.NONE,
    Severity.INFO,
    Severity.WARNING,
    Severity.CRITICAL,
)
_MOST_LINES = 2


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing worth saying: its line, how bad it is, and what fills its words."""

    line: str
    severity: Severity
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Patient:
    """What the tests below ask, worked out once."""

    snapshot: Snapshot
    drafts: tuple[Draft, ...]
    interaction: Severity

    @property
    def renewal(self) -> bool:
        return all(draft.renewal for draft in self.drafts)

    @property
    def labelled(self) -> bool:
        return all(_is_labelled_use(draft, self.snapshot) for draft in self.drafts)

    def has(self, kind: ConditionKind) -> bool:
        return self.snapshot.has(kind)

    def newest(self, kind: ConditionKind, days: int, *, undated: bool) -> Condition | None:
        """A problem of this kind of the last ``days``; one without a date counts where ``undated``."""
        for condition in self.snapshot.conditions:
            if kind in condition.kinds and (
                (condition.day is None and undated)
                or (condition.day is not None and self.days(condition.day) <= days)
            ):
                return condition
        return None

    def days(self, day: date) -> int:
        return (self.snapshot.today - day).days

    def limit(self, name: str) -> Any:
        return self.snapshot.thresholds[name]


def judge(snapshot: Snapshot, said: tuple[Verdict, ...] = ()) -> Iterator[Finding]:
    """At most one finding; the worst hit gives indicator and summary."""
    drafts = tuple(antagonist_drafts(snapshot))
    if not drafts:
        return
    patient = _Patient(snapshot, drafts, worst_interaction(said))
    hits = sorted(
        (hit for test in _tests(drafts) for hit in test(patient)), key=lambda hit: -hit.severity
    )
    if not hits:
        return
    shown = tuple(dict.fromkeys(hit.line for hit in hits))[:_MOST_LINES]
    critical = hits[0].severity is _CRITICAL
    remove = Suggestion("DEL_NTX", tuple(d.medication for d in drafts), recommended=True)
    yield Finding(
        TOPIC,
        hits[0].severity,
        hits[0].line,
        lines=tuple(line for line in RULE.lines if line in {*shown, "sources"}),
        facts={name: value for hit in reversed(hits) for name, value in hit.facts.items()},
        suggestions=(remove,) if critical else (),
        overrides=_reasons(hits[0]),
        about=drafts,
        trace=tuple(f"{hit.line}: {hit.severity.indicator}" for hit in hits),
    )


def _tests(drafts: tuple[Draft, ...]) -> tuple[Callable[[_Patient], Iterator[Hit]], ...]:
    """Other antagonists are judged for opioids only: what follows is about naltrexone."""
    naltrexone = any(draft.medication.naltrexone is not None for draft in drafts)
    return (_withdrawal, _screens, _opioids_unlisted, *((_organs, _of_care) if naltrexone else ()))


def _reasons(worst: Hit) -> str:
    if worst.severity < _WARNING:
        return ""
    if worst.line in _SCREENS:
        return "screen" if worst.severity is _CRITICAL else "screen-warning"
    return "critical" if worst.severity is _CRITICAL else "warning"


# --- opioids that no order shows --------------------------------------------------------------------------------------


def _withdrawal(p: _Patient) -> Iterator[Hit]:
    """Acute withdrawal: a diagnosis of this encounter, or recorded lately; older or undated it counts as dependence."""
    kinds = [c for c in p.snapshot.conditions if ConditionKind.OPIOID_WITHDRAWAL in c.kinds]
    days = p.limit("withdrawal_days")
    if any(c.of_encounter and (c.day is None or p.days(c.day) <= days) for c in kinds) or any(
        c.day is not None and p.days(c.day) <= days for c in kinds
    ):
        yield Hit("withdrawal", _CRITICAL, {})
        return
    if _takes_lofexidine(p.snapshot):
        yield Hit("lofexidine", _WARNING, {})
    if (kinds or p.has(ConditionKind.OPIOID_DEPENDENCE_ACTIVE)) and p.interaction < _WARNING:
        yield Hit("dependence", _INFO if p.labelled else _WARNING, {})


def _takes_lofexidine(snapshot: Snapshot) -> bool:
    return "lofexidine" in snapshot.supportive


def _screens(p: _Patient) -> Iterator[Hit]:
    """The newest positive opioid screen of each class; a later negative of the same analyte has replaced an earlier one."""
    positive = [lab for lab in p.snapshot.labs if lab.positive and p.days(lab.day) >= 0]
    weighed = [(severity, lab) for lab in positive if (severity := _weigh_screen(lab, p))]
    if not weighed:
        return
    severity, lab = max(weighed, key=lambda found: (found[0], found[1].day, found[1].analyte))
    line = "screen-confirmed" if lab.confirmed else "screen"
    if severity is _INFO:
        line = "screen-naltrexone"
    yield Hit(line, severity, {"analyte": lab.analyte, "screened": lab.day.isoformat()})


def _weigh_screen(lab: LabResult, p: _Patient) -> Severity:
    days = p.days(lab.day)
    if lab.group in _LONG:
        found = _CRITICAL if days < p.limit("long_acting_days") else _NONE
    else:
        wait = p.limit("short_acting_days")
        found = (
            _CRITICAL
            if days < wait["critical_below"]
            else _WARNING
            if days < wait["warning_below"]
            else _NONE
        )
    return (
        min(found, _INFO)
        if lab.group is LabGroup.OXYCODONE and _takes_naltrexone(p, lab)
        else found
    )


def _takes_naltrexone(p: _Patient, lab: LabResult) -> bool:
    """Oral naltrexone can turn an oxycodone immunoassay positive (J30); not a confirmed result, nor a second class."""
    current = any(
        e.state is State.CURRENT and e.medication.naltrexone is not None
        for e in p.snapshot.exposures
    )
    others = any(o.positive and o.group is not LabGroup.OXYCODONE for o in p.snapshot.labs)
    return current and not lab.confirmed and not others


def _opioids_unlisted(p: _Patient) -> Iterator[Hit]:
    """Long-term opioids, a maintenance programme, opioid use or poisoning on the record, where no pair says it already."""
    if p.interaction >= _WARNING or p.renewal:
        return
    severity = _INFO if p.labelled else _WARNING
    if p.newest(ConditionKind.OPIOID_TREATMENT, p.limit("opioid_treatment_days"), undated=True):
        yield Hit("opioid-treatment", severity, {})
    elif p.newest(ConditionKind.OPIOID_POISONING, p.limit("opioid_poisoning_days"), undated=False):
        yield Hit("opioid-poisoning", severity, {})
    elif p.has(ConditionKind.OPIOID_USE):
        yield Hit("opioid-use", severity, {})


# --- organs and care --------------------------------------------------------------------------------------------------


def _organs(p: _Patient) -> Iterator[Hit]:
    if p.has(ConditionKind.LIVER_ACUTE):
        yield Hit("liver", _WARNING, {})
    if p.renewal:
        return
    if times := _transaminases(p):
        yield Hit("transaminases", _INFO, {"times": f"{times:.0f}"})
    depot = any(draft.medication.band is Band.XR for draft in p.drafts)
    if p.has(ConditionKind.CKD_4_5) or (depot and p.has(ConditionKind.CKD_3)):
        yield Hit("renal", _INFO, {})


def _transaminases(p: _Patient) -> Decimal | None:
    limit = p.limit("transaminases")
    high = [
        lab.times_limit
        for lab in p.snapshot.labs
        if lab.times_limit is not None
        and 0 <= p.days(lab.day) <= limit["days"]
        and lab.times_limit > limit["high_times"]
    ]
    return max(high, default=None)


def _of_care(p: _Patient) -> Iterator[Hit]:
    """Info of its own, never on renewals."""
    if p.renewal:
        return
    if p.has(ConditionKind.PREGNANCY):
        yield Hit("pregnancy", _INFO, {})
    elif p.has(ConditionKind.LACTATION):
        yield Hit("lactation", _INFO, {})
    if p.snapshot.age is not None and p.snapshot.age < p.limit("adult_age"):
        yield Hit("minor", _INFO, {})
    if p.newest(ConditionKind.SUICIDAL, p.limit("suicidal_days"), undated=False):
        yield Hit("suicidal", _INFO, {})


def _is_labelled_use(draft: Draft, snapshot: Snapshot) -> bool:
    """A labelled dose that is not meant for pain; a dose that could not be read is not taken for a labelled one."""
    if draft.means_low_dose:
        return False
    component = draft.medication.antagonist
    if draft.medication.band in _LABELLED or (
        component is not None and component.role is Role.OTHER_ANTAG
    ):
        return True
    dose = draft.medication.dose.daily_mg
    kinds = (
        draft.reason_kinds
        if draft.has_reason
        else frozenset().union(*(c.kinds for c in snapshot.conditions))
    )
    return (
        draft.medication.band is Band.INTERMEDIATE
        and bool(kinds & LABELLED_INDICATIONS)
        and dose is not None
        and dose >= Decimal(str(snapshot.thresholds["labelled_start_mg"]))
    )


# --- the declaration --------------------------------------------------------------------------------------------------

_SCREENED = names("analyte screened")
_WAIT = "short_acting_days.critical_below short_acting_days.warning_below long_acting_days"
_SCREENS = {
    "screen": cited("J", "analyte screened"),
    "screen-confirmed": cited("label-oral", "analyte screened"),
    "screen-naltrexone": cited("J", "analyte screened"),
}
_HITS = {
    "withdrawal": cited("label-oral"),
    **_SCREENS,
    "lofexidine": cited("label-oral J"),
    "dependence": cited("label-vivitrol", _WAIT),
    "opioid-treatment": cited("label-vivitrol J", _WAIT),
    "opioid-poisoning": cited("label-vivitrol J", _WAIT),
    "opioid-use": cited("label-vivitrol J", _WAIT),
    "liver": cited("label-oral label-vivitrol J"),
    "transaminases": cited("label-vivitrol J", "times transaminases.days"),
    "renal": cited("label-vivitrol"),
    "pregnancy": cited("G1"),
    "lactation": cited("J"),
    "minor": cited("label-oral", "adult_age"),
    "suicidal": cited("label-vivitrol", "suicidal_days"),
}

RULE = Rule(
    id=TOPIC,
    title="This patient's record speaks against naltrexone",
    judge=judge,
    order=3,
    overrides=names("critical warning screen screen-warning"),
    suggestions=names("DEL_NTX"),
    links=names("label-oral"),
    facts=names("analyte screened times"),
    thresholds=names(f"""
        {_WAIT} adult_age labelled_start_mg withdrawal_days opioid_treatment_days opioid_poisoning_days suicidal_days
        transaminases.days transaminases.high_times"""),
    situations={
        **dict.fromkeys(_HITS, ()),
        **dict.fromkeys(_SCREENS, _SCREENED),
        "minor": names("adult_age"),
        "transaminases": names("times"),
    },
    lines={**_HITS, "sources": SHARED},
)
