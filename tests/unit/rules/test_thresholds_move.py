"""Every number that decides, moved: the verdict changes exactly at the new number, and nowhere at the old one.

Each probe asks one rule (or the reading that it rests on) about a value beside the number; "below" changes from n - step
to n, "up to" from n to n + step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from cds_service.dosing.structured import BandEdges, band
from cds_service.model import (
    Band,
    Component,
    ConditionKind,
    Dose,
    Draft,
    Exposure,
    LabGroup,
    LabResult,
    Role,
    Severity,
    State,
    Strength,
)
from cds_service.rules import RULES, dose_check, interaction, off_label, patient_safety
from tests.unit.clinic import (
    LIMITS,
    ago,
    draft,
    exposure,
    medication,
    naltrexone,
    problem,
    snapshot,
)

RECENT = State.RECENT
LDN, OXY = draft(naltrexone()), draft(medication(Role.FULL_SA))
XR = naltrexone(Band.XR, role=Role.NTX_XR)
Limits = Mapping[str, Any]
PRINTED_ONLY = {"depot_dose_mg"}
# the first in unit/exposure, the others by the lines and offers of test_rules_notes
PROBED_ELSEWHERE = {
    "brief_course_days",
    "schedules.A.start_mg",
    "schedules.D.limits.max_mg.high",
    "transaminases.raised_times",
}


@dataclass(frozen=True)
class Probe:
    """``ask`` gives what is decided for a value; ``edge`` says on which side of the number it changes."""

    edge: str
    ask: Callable[[Any, Limits], object]
    step: Decimal = Decimal(1)


def severity(mine: Draft, met: Exposure, limits: Limits) -> Severity:
    found = interaction.judge(snapshot(mine, listed=(met,), thresholds=limits))
    return max((f.severity for f in found), default=Severity.NONE)


def met(role: Role) -> Callable[[Any, Limits], object]:
    return lambda x, limits: severity(LDN, exposure(medication(role), RECENT, int(x)), limits)


def depot_opioid(x: Any, limits: Limits) -> object:
    return severity(
        LDN,
        exposure(medication(Role.BUP_DEPOT), RECENT, 0, last_dose_days=int(x), interval_days=0),
        limits,
    )


def stopped(band_: Band) -> Callable[[Any, Limits], object]:
    return lambda x, limits: severity(OXY, exposure(naltrexone(band_), RECENT, int(x)), limits)


def injected(x: Any, limits: Limits) -> object:
    return severity(OXY, exposure(XR, RECENT, int(x), last_dose_days=int(x)), limits)


def tail(kind: str, interval: int) -> Callable[[Any, Limits], object]:
    """Depot buprenorphine so long ago that only the tail of this kind is left."""
    return lambda x, limits: severity(
        LDN,
        exposure(
            medication(Role.BUP_DEPOT), RECENT, 0,
            last_dose_days=int(x), interval_days=interval, depot=kind,
        ),
        limits,
    )  # fmt: skip


def removed(x: Any, limits: Limits) -> object:
    implant = exposure(
        medication(Role.BUP_DEPOT), RECENT, 0,
        last_dose_days=900, interval_days=180, depot="implant", removed_days=int(x),
    )  # fmt: skip
    return severity(LDN, implant, limits)


def inserted(x: Any, limits: Limits) -> object:
    implant = naltrexone(Band.UNKNOWN, role=Role.NTX_IMPLANT)
    return severity(OXY, exposure(implant, RECENT, 0, last_dose_days=int(x)), limits)


def without(name: str) -> Callable[[Any, Limits], object]:
    plain = medication(Role.OTHER_ANTAG)
    component = Component(name, "9", Role.OTHER_ANTAG)
    drug = replace(plain, recognition=replace(plain.recognition, components=(component,)))
    return lambda x, limits: severity(OXY, exposure(drug, RECENT, int(x)), limits)


def loperamide(x: Any, limits: Limits) -> object:
    taken = medication(Role.PERIPH, dose=Dose(Decimal(x), Decimal(x)))
    return severity(LDN, exposure(taken), limits)


def safety(limits: Limits, **facts: Any) -> object:
    found = patient_safety.judge(snapshot(LDN, thresholds=limits, **facts))
    return [(f.situation, f.severity) for f in found]


def recorded(kind: ConditionKind) -> Callable[[Any, Limits], object]:
    return lambda x, limits: safety(limits, conditions=(replace(problem(kind), day=ago(int(x))),))


def liver(times: Any, days: int, limits: Limits) -> object:
    lab = LabResult(LabGroup.ALT, "ALT", ago(days), times_limit=Decimal(times))
    return safety(limits, labs=(lab,))


def note(mine: Draft, limits: Limits, *listed: Exposure) -> Any:
    return next(iter(off_label.judge(snapshot(mine, listed=listed, thresholds=limits))), None)


def offered(mine: Draft, limits: Limits, *listed: Exposure) -> object:
    return [s.code for s in note(mine, limits, *listed).suggestions]


def weak(x: Any, limits: Limits) -> object:
    return note(draft(naltrexone(Band.UNKNOWN, strength=Strength(Decimal(x)))), limits) is None


def alcohol(x: Any, limits: Limits) -> object:
    mine = draft(
        naltrexone(Band.INTERMEDIATE, str(x)),
        has_reason=True,
        reason_kinds=frozenset({ConditionKind.ALCOHOL_USE_DISORDER}),
    )
    return note(mine, limits) is None


def slips(mine: Draft, limits: Limits, *listed: Exposure) -> object:
    return [f.lines for f in dose_check.judge(snapshot(mine, listed=listed, thresholds=limits))]


def low_dose(x: Any, limits: Limits) -> object:
    return slips(draft(naltrexone(Band.INTERMEDIATE, str(x)), says_ldn=True), limits)


def disagreeing(x: Any, limits: Limits) -> object:
    dose = Dose(
        Decimal(10), Decimal(10), structured_mg=Decimal(10), sig_mg=10 + 10 * Decimal(x), phases=1
    )
    return slips(draft(naltrexone(Band.INTERMEDIATE, dose=dose)), limits)


def banded(x: Any, limits: Limits) -> object:
    return band(Decimal(x), BandEdges.of(limits["dose_bands"]))


def aged(x: Any, limits: Limits) -> object:
    return [f.situation for f in patient_safety.judge(snapshot(LDN, age=int(x), thresholds=limits))]


PROBES: dict[str, Probe] = {
    "short_acting_days.critical_below": Probe("below", met(Role.FULL_SA)),
    "short_acting_days.warning_below": Probe("below", met(Role.DUAL)),
    "long_acting_days": Probe("below", met(Role.METHADONE)),
    "depot_opioid_days.critical_below": Probe("below", depot_opioid),
    "depot_tail_days.weekly": Probe("up to", tail("weekly", 7)),
    "depot_tail_days.monthly": Probe("up to", tail("monthly", 28)),
    "depot_tail_days.implant": Probe("up to", removed),
    "naltrexone_tail_days.implant": Probe("up to", inserted),
    "depot_interval_days.implant": Probe("up to", inserted),
    "antitussive_days.warning_below": Probe("below", met(Role.ANTITUSSIVE)),
    "antitussive_days.info_below": Probe("below", met(Role.ANTITUSSIVE)),
    "opioid_like_days": Probe("below", met(Role.OPIOID_LIKE)),
    "other_antagonist_days.nalmefene": Probe("below", without("nalmefene")),
    "other_antagonist_days.samidorphan": Probe("below", without("samidorphan")),
    "loperamide_mg": Probe("up to", loperamide),
    "withdrawal_days": Probe("up to", recorded(ConditionKind.OPIOID_WITHDRAWAL)),
    "opioid_treatment_days": Probe("up to", recorded(ConditionKind.OPIOID_TREATMENT)),
    "opioid_poisoning_days": Probe("up to", recorded(ConditionKind.OPIOID_POISONING)),
    "suicidal_days": Probe("up to", recorded(ConditionKind.SUICIDAL)),
    "transaminases.days": Probe("up to", lambda x, limits: liver(20, int(x), limits)),
    "transaminases.high_times": Probe("up to", lambda x, limits: liver(x, 1, limits)),
    "oral_hold_days": Probe("below", stopped(Band.LDN)),
    "xr_blockade_days": Probe("up to", injected),
    "tolerance_notice_days.labelled_below": Probe("below", stopped(Band.LABELLED)),
    "naltrexone_tail_days.xr": Probe("up to", injected),
    "dose_bands.ldn_to": Probe("up to", weak),
    "dose_bands.micro_below": Probe("below", banded, Decimal("0.01")),
    "dose_bands.ldn_from": Probe("below", banded, Decimal("0.1")),
    "dose_bands.labelled_to": Probe("up to", banded),
    "labelled_start_mg": Probe("below", alcohol),
    "ldn_usual_max_mg": Probe(
        "up to", lambda x, limits: note(draft(naltrexone(mg=str(x))), limits).lines
    ),
    "start_low.first_phase_above_mg": Probe(
        "up to", lambda x, limits: offered(draft(naltrexone(mg=str(x))), limits)
    ),
    "start_low.naltrexone_free_days": Probe(
        "up to",
        lambda x, limits: offered(
            draft(naltrexone(mg="4.5")), limits, exposure(naltrexone(), RECENT, int(x))
        ),
    ),
    "dose_check.ldn_trial_max_mg": Probe("up to", low_dose),
    "dose_check.decimal_from_mg": Probe("below", low_dose),
    "dose_check.decimal_below_mg": Probe("below", low_dose),
    "dose_check.disagreement_share": Probe("up to", disagreeing, Decimal("0.01")),
    "dose_check.duplicate_depot_days": Probe(
        "up to",
        lambda x, limits: slips(LDN, limits, exposure(XR, RECENT, int(x), last_dose_days=int(x))),
    ),
    "adult_age": Probe("below", aged),
}


def number(name: str, limits: Limits) -> Decimal:
    whole, _, part = name.partition(".")
    return Decimal(str(limits[whole][part] if part else limits[whole]))


def moved(name: str, to: Decimal) -> dict[str, Any]:
    whole, _, part = name.partition(".")
    value = float(to) if to % 1 else int(to)
    return {**LIMITS, whole: {**LIMITS[whole], part: value} if part else value}


def test_every_number_that_decides_has_a_probe() -> None:
    """Of those that a rule decides by; how long a course or a supply lasts is tried in ``unit/exposure``."""
    named = {name for rule in RULES for name in rule.thresholds}
    assert named - PROBED_ELSEWHERE == {*PROBES, *PRINTED_ONLY} & named
    assert PROBED_ELSEWHERE <= named


@pytest.mark.parametrize("steps", [0, 1, -1])
@pytest.mark.parametrize("name", PROBES)
def test_the_verdict_changes_at_the_number_wherever_it_is_moved(name: str, steps: int) -> None:
    probe = PROBES[name]
    at = number(name, LIMITS) + steps * probe.step
    limits = moved(name, at)
    before, after = (at - probe.step, at) if probe.edge == "below" else (at, at + probe.step)
    assert probe.ask(before, limits) != probe.ask(after, limits)
    for value in (before - probe.step, after + probe.step):
        same = before if value < before else after
        assert value <= 0 or probe.ask(same, limits) == probe.ask(value, limits)


def test_the_printed_dose_of_a_depot_is_the_number() -> None:
    mine = draft(XR, says_ldn=True)
    (said,) = dose_check.judge(snapshot(mine, thresholds={**LIMITS, "depot_dose_mg": 381}))
    assert "381" == said.facts["mg"]
