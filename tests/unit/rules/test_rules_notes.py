"""Off-label note, dose check, patient safety and data gap: each row of their tables and both sides of each limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from cds_service.model import (
    Band,
    ConditionKind,
    Dose,
    Draft,
    Exposure,
    Finding,
    LabGroup,
    LabResult,
    Medication,
    Role,
    Severity,
    Snapshot,
    State,
    Strength,
    UnknownDraft,
    Verdict,
)
from cds_service.rules import data_gap, dose_check, off_label, patient_safety
from cds_service.rules.interaction import TOPIC as INTERACTION
from tests.unit.clinic import ago, draft, exposure, medication, naltrexone, problem, snapshot

AUD, OUD, LDN_TYPE, OBESITY, PREGNANCY = (
    ConditionKind.ALCOHOL_USE_DISORDER,
    ConditionKind.OPIOID_USE_DISORDER,
    ConditionKind.LDN_TYPE,
    ConditionKind.OBESITY,
    ConditionKind.PREGNANCY,
)
INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
XR, TOPICAL, BUPROPION = (
    naltrexone(band, role=role)
    for band, role in (
        (Band.XR, Role.NTX_XR),
        (Band.TOPICAL, Role.NTX_TOPICAL),
        (Band.BUPROPION, Role.NTX_BUP),
    )
)
OXYCODONE = medication(Role.FULL_SA)


def because(*kinds: ConditionKind, **facts: Any) -> dict[str, Any]:
    """What a draft states as its reason; without kinds a reason that means nothing to the rules."""
    return {"has_reason": True, "reason_kinds": frozenset(kinds), **facts}


def only(findings: Iterator[Finding]) -> Finding | None:
    said = tuple(findings)
    assert len(said) <= 1
    return said[0] if said else None


def warned(
    *about: Draft, severity: Severity = WARNING, rule: str = INTERACTION
) -> tuple[Verdict, ...]:
    return (Verdict(rule, (Finding(INTERACTION, severity, "x", about=about),)),)


# --- off label (2.9) --------------------------------------------------------------------------------------------------

NOTES = [
    (naltrexone(Band.MICRO), {}, (), ("MICRO", False)),
    (TOPICAL, {}, (), ("TOPICAL", False)),
    (naltrexone(Band.VLDN), {}, (), ("VLDN", True)),
    (naltrexone(Band.LDN), {}, (), ("LDN", True)),
    (naltrexone(Band.LDN), because(AUD), (), ("LDN", True)),
    (naltrexone(Band.INTERMEDIATE, "12.5"), because(AUD), (), None),
    (naltrexone(Band.INTERMEDIATE, "12.5"), because(OUD), (), None),
    (naltrexone(Band.INTERMEDIATE, "12.5"), {}, (AUD,), None),
    (naltrexone(Band.INTERMEDIATE, "12.4"), because(AUD), (), ("INTERMEDIATE", False)),
    (naltrexone(Band.INTERMEDIATE), because(AUD), (), ("INTERMEDIATE", False)),
    (naltrexone(Band.INTERMEDIATE, "25"), {}, (), ("INTERMEDIATE", False)),
    (naltrexone(Band.INTERMEDIATE, "25"), because(), (AUD,), ("INTERMEDIATE", False)),
    (naltrexone(Band.INTERMEDIATE, "25"), because(LDN_TYPE), (), ("INTERMEDIATE", True)),
    (naltrexone(Band.INTERMEDIATE, "25"), {"says_ldn": True}, (), ("INTERMEDIATE", True)),
    (naltrexone(Band.INTERMEDIATE, "25"), {}, (LDN_TYPE,), ("INTERMEDIATE", False)),
    (naltrexone(Band.LABELLED), {}, (), None),
    (naltrexone(Band.LABELLED), because(AUD), (), None),
    (naltrexone(Band.LABELLED), because(), (), ("LABELLED", False)),
    (naltrexone(Band.LABELLED), because(LDN_TYPE), (), ("LABELLED", True)),
    (naltrexone(Band.LABELLED), because(LDN_TYPE, AUD), (), None),
    (naltrexone(Band.LABELLED), {}, (LDN_TYPE,), ("NO-INDICATION", True)),
    (naltrexone(Band.LABELLED), {}, (LDN_TYPE, AUD), None),
    (naltrexone(Band.LABELLED), {"says_ldn": True}, (AUD,), ("LABELLED", True)),
    (naltrexone(Band.SUPRA), because(), (), ("SUPRA", False)),
    (naltrexone(Band.SUPRA), {"says_ldn": True}, (), None),
    (XR, because(LDN_TYPE), (), ("XR", True)),
    (XR, {}, (LDN_TYPE,), ("NO-INDICATION", True)),
    (XR, {}, (), None),
    (BUPROPION, {}, (), None),
    (BUPROPION, because(OBESITY), (), None),
    (BUPROPION, because(), (), ("BUPROPION", False)),
    (naltrexone(Band.UNKNOWN), {}, (), None),
    (naltrexone(Band.UNKNOWN), {"says_ldn": True}, (), ("UNKNOWN", True)),
    (naltrexone(Band.UNKNOWN), because(LDN_TYPE), (), ("UNKNOWN", True)),
    (naltrexone(Band.UNKNOWN), {}, (LDN_TYPE,), ("UNKNOWN", True)),
    (naltrexone(Band.UNKNOWN), because(), (LDN_TYPE,), None),
    (naltrexone(Band.UNKNOWN, strength=Strength(Decimal(5))), {}, (), ("UNKNOWN", True)),
    (
        naltrexone(Band.UNKNOWN, strength=Strength(Decimal(10), Decimal(2))),
        {},
        (),
        ("UNKNOWN", True),
    ),
    (naltrexone(Band.UNKNOWN, strength=Strength(Decimal("5.1"))), {}, (), None),
    (naltrexone(Band.UNKNOWN, strength=Strength(Decimal(1), Decimal(1), "mL")), {}, (), None),
]


@pytest.mark.parametrize(("meant", "facts", "problems", "note"), NOTES)
def test_who_gets_the_off_label_note_and_the_planner(
    meant: Medication,
    facts: dict[str, Any],
    problems: tuple[ConditionKind, ...],
    note: tuple[str, bool] | None,
) -> None:
    said = only(off_label.judge(snapshot(draft(meant, **facts), problems=problems)))
    assert note == (said and (said.situation, said.link is not None))
    assert said is None or (INFO, "") == (said.severity, said.overrides)


def test_a_compounded_opioid_with_naltrexone_is_investigational_whatever_its_dose() -> None:
    plain = naltrexone(Band.MICRO, also=OXYCODONE.recognition.components)
    combined = replace(plain, recognition=replace(plain.recognition, combined=True))
    said = only(off_label.judge(snapshot(draft(combined))))
    assert said is not None
    assert ("COMBO", None, ("no_schedule", "practical", "sources")) == (
        said.situation,
        said.link,
        said.lines,
    )


def test_an_unselected_draft_gets_no_note() -> None:
    assert None is only(
        off_label.judge(snapshot(draft(naltrexone(), selected=False), draft(OXYCODONE)))
    )


@pytest.mark.parametrize(
    ("meant", "facts", "lines"),
    [
        (naltrexone(Band.LDN, "4.5"), {}, ("evidence", "usual_course", "practical", "sources")),
        (
            naltrexone(Band.LDN, dose=Dose(Decimal("4.5"), Decimal("1.5"))),
            {},
            ("evidence", "stop_rule", "practical", "sources"),
        ),
        (naltrexone(Band.LDN, "4.6"), {}, ("evidence", "above_max", "practical", "sources")),
        (naltrexone(Band.LDN, "1.5"), {}, ("evidence", "next", "practical", "sources")),
        (naltrexone(Band.LDN, "1.4"), {}, ("evidence", "next_below", "practical", "sources")),
        (naltrexone(Band.VLDN, "0.5"), {}, ("evidence", "next_below", "practical", "sources")),
        (
            naltrexone(Band.LDN, "2"),
            because(ConditionKind.DIABETIC_NEUROPATHY),
            ("evidence", "next_neuropathy", "practical", "sources"),
        ),
        (
            naltrexone(Band.UNKNOWN),
            {"says_ldn": True},
            ("evidence", "usual_course", "practical", "sources"),
        ),
        (naltrexone(Band.MICRO, "0.01"), {}, ("no_schedule", "practical", "sources")),
        (TOPICAL, {}, ("no_schedule", "practical", "sources")),
        (BUPROPION, because(), ("approved", "sources")),
        (naltrexone(Band.INTERMEDIATE, "25"), because(), ("approved", "sources")),
        (naltrexone(Band.LABELLED, "50"), because(), ("approved", "sources")),
        (
            naltrexone(Band.LABELLED, "50"),
            because(LDN_TYPE),
            ("evidence", "usual_course", "sources"),
        ),
    ],
)
def test_the_lines_of_the_note(
    meant: Medication, facts: dict[str, Any], lines: tuple[str, ...]
) -> None:
    said = only(off_label.judge(snapshot(draft(meant, **facts))))
    assert said is not None
    assert lines == said.lines


@pytest.mark.parametrize(
    ("meant", "facts", "line", "gate"),
    [
        (naltrexone(Band.LDN), {}, "conflict", "opioid-conflict"),
        (naltrexone(Band.MICRO), {}, "conflict_no_planner", None),
        (naltrexone(Band.LABELLED), because(), "conflict_no_planner", None),
    ],
)
def test_beside_an_opioid_conflict_the_note_says_not_now(
    meant: Medication, facts: dict[str, Any], line: str, gate: str | None
) -> None:
    mine = draft(meant, **facts)
    said = only(off_label.judge(snapshot(mine), warned(mine)))
    assert said is not None
    assert (True, False, gate) == (
        line in said.lines,
        "usual_course" in said.lines,
        said.link and said.link["gate"],
    )


@pytest.mark.parametrize(
    "said",
    [
        (),
        warned(draft(OXYCODONE)),
        warned(draft(naltrexone())),
        warned(draft(TOPICAL), rule="naltrexone-dose-check"),
    ],
)
def test_a_warning_about_another_draft_is_no_conflict(said: tuple[Verdict, ...]) -> None:
    """Even an equal draft is another one: they are told apart by identity."""
    note = only(off_label.judge(snapshot(draft(naltrexone())), said))
    assert note is not None
    assert ("none", True) == (note.link and note.link["gate"], "usual_course" in note.lines)


def test_a_warning_of_another_rule_is_no_conflict() -> None:
    mine = draft(naltrexone())
    note = only(off_label.judge(snapshot(mine), warned(mine, rule="naltrexone-dose-check")))
    assert "none" == (note and note.link and note.link["gate"])


def test_an_interaction_of_info_is_no_conflict() -> None:
    mine = draft(naltrexone())
    note = only(off_label.judge(snapshot(mine), warned(mine, severity=INFO)))
    assert "none" == (note and note.link and note.link["gate"])


def test_the_planner_is_told_draft_dose_band_and_gate_and_nothing_else() -> None:
    said = only(
        off_label.judge(
            snapshot(draft(naltrexone(Band.LDN, "4.50", target="MedicationRequest/d-1")))
        )
    )
    assert {"draft": "d-1", "mgPerDay": "4.50", "band": "LDN", "gate": "none"} == (
        said and said.link
    )
    assert {"mg": "4.50"} == (said and said.facts)
    unknown = only(
        off_label.judge(snapshot(draft(naltrexone(Band.UNKNOWN, target=""), says_ldn=True)))
    )
    assert {"band": "UNKNOWN", "gate": "none"} == (unknown and unknown.link)


def test_of_several_drafts_the_one_with_a_planner_speaks() -> None:
    drafts = (
        draft(naltrexone(Band.MICRO)),
        draft(naltrexone(Band.VLDN, ref="MedicationRequest/b")),
        draft(naltrexone(Band.LDN, ref="MedicationRequest/a")),
    )
    said = only(off_label.judge(snapshot(*drafts)))
    assert said is not None
    assert ("LDN", "which_draft", drafts) == (said.situation, said.lines[0], said.about)
    assert (
        "MICRO: microgram dose",
        "VLDN: the dose itself is not labelled",
        "LDN: the dose itself is not labelled",
    ) == said.trace


def start(first: str | None) -> Medication:
    """A low dose with this first phase."""
    return naltrexone(Band.LDN, dose=Dose(Decimal("4.5"), Decimal(first) if first else None))


def of_naltrexone(state: State, days: int | None = None) -> tuple[Exposure, ...]:
    return (exposure(naltrexone(), state, days),)


@pytest.mark.parametrize(
    ("meant", "facts", "call", "offered"),
    [
        (start("4.5"), {}, {}, True),
        (start("2.1"), {}, {}, True),
        (start("2"), {}, {}, False),
        (start(None), {}, {}, False),
        (start("4.5"), {"renewal": True}, {}, False),
        (start("4.5"), {}, {"list_available": False}, False),
        (start("4.5"), {}, {"listed": of_naltrexone(State.CURRENT)}, False),
        (start("4.5"), {}, {"listed": of_naltrexone(State.HELD)}, False),
        (start("4.5"), {}, {"listed": of_naltrexone(State.RECENT, 90)}, False),
        (start("4.5"), {}, {"listed": of_naltrexone(State.RECENT, 91)}, True),
        (start("4.5"), {}, {"listed": of_naltrexone(State.RECENT)}, False),
        (start("4.5"), {}, {"listed": (exposure(OXYCODONE),)}, True),
        (start("4.5"), {}, {"conditions_read": False}, False),
        (start("4.5"), {}, {"unreadable": 1}, False),
        (start("4.5"), {}, {"unknown_names": ("Neurophyllin",)}, False),
        (start("4.5"), {}, {"unknown_drafts": (UnknownDraft("Neurophyllin", True),)}, False),
        (start("4.5"), {}, {"problems": (PREGNANCY,)}, False),
        (start("4.5"), {}, {"problems": (ConditionKind.LACTATION,)}, False),
        (start("4.5"), {}, {"age": 17}, False),
        (start("4.5"), {}, {"age": 18}, True),
        (start("4.5"), {}, {"age": None}, True),
        (naltrexone(Band.LDN, "4"), because(ConditionKind.DIABETIC_NEUROPATHY), {}, False),
        (naltrexone(Band.LDN, "4.1"), because(ConditionKind.DIABETIC_NEUROPATHY), {}, True),
        (naltrexone(Band.INTERMEDIATE, "25"), {}, {}, False),
        (naltrexone(Band.VLDN, "3"), {}, {}, False),
    ],
)
def test_starting_low_is_offered_above_2_mg_to_who_is_known_to_be_off_naltrexone_for_90_days(
    meant: Medication, facts: dict[str, Any], call: dict[str, Any], offered: bool
) -> None:
    said = only(off_label.judge(snapshot(draft(meant, **facts), **call)))
    assert said is not None
    assert ([("START_1_5", False)] if offered else []) == [
        (s.code, s.recommended) for s in said.suggestions
    ]


@pytest.mark.parametrize(
    "said",
    [
        warned(severity=INFO),
        warned(severity=WARNING),
        warned(rule="naltrexone-dose-check"),
        (Verdict("naltrexone-dose-check", error="KeyError"),),
    ],
)
def test_starting_low_is_withheld_beside_any_interaction_any_warning_and_any_broken_rule(
    said: tuple[Verdict, ...],
) -> None:
    note = only(off_label.judge(snapshot(draft(start("4.5"))), said))
    assert () == (note and note.suggestions)


# --- dose check (2.10) ------------------------------------------------------------------------------------------------

LDN_MEANT = because(LDN_TYPE)


def phases(structured: str | None, sig: str | None, number: int = 1) -> Dose:
    return Dose(
        structured_mg=Decimal(structured) if structured else None,
        sig_mg=Decimal(sig) if sig else None,
        phases=number,
    )


SLIPS = [
    (naltrexone(Band.LDN, "4.5"), LDN_MEANT, ()),
    (naltrexone(Band.INTERMEDIATE, "6"), LDN_MEANT, ()),
    (naltrexone(Band.INTERMEDIATE, "6.1"), LDN_MEANT, ("low-dose range",)),
    (naltrexone(Band.INTERMEDIATE, "6.1"), {"says_ldn": True}, ("low-dose range",)),
    (naltrexone(Band.INTERMEDIATE, "45"), because(), ()),
    (naltrexone(Band.INTERMEDIATE, "45"), {}, ()),
    (naltrexone(Band.INTERMEDIATE, "9.9"), LDN_MEANT, ("low-dose range",)),
    (naltrexone(Band.INTERMEDIATE, "10"), LDN_MEANT, ("decimal", "low-dose range")),
    (naltrexone(Band.INTERMEDIATE, "49.9"), LDN_MEANT, ("decimal", "low-dose range")),
    (naltrexone(Band.LABELLED, "50"), LDN_MEANT, ("low-dose range",)),
    (naltrexone(Band.SUPRA, "150"), {}, ("hepat",)),
    (naltrexone(Band.SUPRA, "150"), LDN_MEANT, ("low-dose range", "hepat")),
    (naltrexone(Band.MICRO, "0.0045"), LDN_MEANT, ("microgram",)),
    (naltrexone(Band.MICRO, "0.0045"), {}, ()),
    (XR, LDN_MEANT, ("low-dose range",)),
    (XR, {}, ()),
    (BUPROPION, LDN_MEANT, ()),
    (naltrexone(Band.BUPROPION, "32", role=Role.NTX_BUP), LDN_MEANT, ()),
    (naltrexone(Band.UNKNOWN), LDN_MEANT, ()),
    (naltrexone(dose=phases("10", "11")), {}, ()),
    (naltrexone(dose=phases("10", "11.1")), {}, ("disagree",)),
    (naltrexone(dose=phases("10", "9")), {}, ()),
    (naltrexone(dose=phases("10", "8.9")), {}, ("disagree",)),
    (naltrexone(dose=phases("10", "45", 2)), {}, ()),
    (naltrexone(dose=phases("10", None)), {}, ()),
    (naltrexone(dose=phases(None, "10")), {}, ()),
    (naltrexone(Band.BUPROPION, role=Role.NTX_BUP, dose=phases("10", "45")), {}, ()),
]


@pytest.mark.parametrize(("meant", "facts", "lines"), SLIPS)
def test_which_doses_look_like_a_slip(
    meant: Medication, facts: dict[str, Any], lines: tuple[str, ...]
) -> None:
    said = only(dose_check.judge(snapshot(draft(meant, **facts))))
    assert lines == (said.lines[:-1] if said else ())
    assert said is None or (WARNING, "dose", "sources") == (
        said.severity,
        said.overrides,
        said.lines[-1],
    )


def test_the_reason_on_the_problem_list_is_no_sign_of_low_dose_use() -> None:
    assert None is only(
        dose_check.judge(snapshot(draft(naltrexone(Band.INTERMEDIATE, "45")), problems=(LDN_TYPE,)))
    )


def test_renewals_topical_and_unselected_drafts_are_not_checked() -> None:
    supra = naltrexone(Band.SUPRA, "150")
    assert [None] * 3 == [
        only(dose_check.judge(snapshot(d)))
        for d in (
            draft(supra, renewal=True),
            draft(supra, selected=False),
            draft(TOPICAL, says_ldn=True),
        )
    ]


@pytest.mark.parametrize(
    ("mine", "other", "duplicate"),
    [
        (naltrexone(), exposure(naltrexone(Band.LABELLED)), False),
        (naltrexone(), exposure(XR), True),
        (naltrexone(), exposure(BUPROPION), True),
        (naltrexone(), exposure(TOPICAL), False),
        (naltrexone(), exposure(OXYCODONE), False),
        (XR, exposure(naltrexone()), True),
        (naltrexone(), exposure(BUPROPION, State.HELD), False),
        (naltrexone(), exposure(BUPROPION, State.RECENT, 1), False),
        (naltrexone(), exposure(XR, State.RECENT, 1, last_dose_days=28), True),
        (naltrexone(), exposure(XR, State.HELD, 1, last_dose_days=28), True),
        (naltrexone(), exposure(XR, State.RECENT, 1, last_dose_days=29), False),
        (naltrexone(), exposure(XR, State.RECENT, 1), False),
        (XR, exposure(BUPROPION, State.RECENT, 1, last_dose_days=1), False),
    ],
)
def test_another_product_type_that_is_current_or_a_depot_of_28_days_is_a_duplicate(
    mine: Medication, other: Exposure, duplicate: bool
) -> None:
    said = only(dose_check.judge(snapshot(draft(mine), listed=(other, exposure(OXYCODONE)))))
    assert (("duplicate", ("found", "duplicate", "sources"), (other,)) if duplicate else None) == (
        said and (said.situation, said.lines, said.found)
    )


@pytest.mark.parametrize(
    ("meant", "situation", "lines", "mg"),
    [
        (
            naltrexone(Band.SUPRA, "150"),
            "hepat",
            ("found", "low-dose range", "hepat", "duplicate", "sources"),
            "150",
        ),
        (
            naltrexone(Band.MICRO, "0.004"),
            "microgram",
            ("found", "microgram", "duplicate", "sources"),
            "0.004",
        ),
        (
            naltrexone(Band.INTERMEDIATE, "45"),
            "low-dose range",
            ("found", "decimal", "low-dose range", "duplicate", "sources"),
            "45",
        ),
        (
            naltrexone(Band.LDN, dose=phases("1", "3")),
            "disagree",
            ("found", "disagree", "duplicate", "sources"),
            "",
        ),
    ],
)
def test_the_worst_slip_gives_the_summary_and_every_slip_a_line(
    meant: Medication, situation: str, lines: tuple[str, ...], mg: str
) -> None:
    said = only(dose_check.judge(snapshot(draft(meant, **LDN_MEANT), listed=(exposure(XR),))))
    assert said is not None
    assert (situation, lines, mg) == (said.situation, said.lines, said.facts["mg"])


def test_a_depot_is_printed_as_380_mg() -> None:
    said = only(dose_check.judge(snapshot(draft(XR, **LDN_MEANT))))
    assert said is not None
    assert ("380", ("low-dose range: 380 mg",)) == (said.facts["mg"], said.trace)


def test_of_several_drafts_only_those_with_a_slip_are_named() -> None:
    fine, slip = draft(naltrexone()), draft(naltrexone(Band.SUPRA, "150"))
    said = only(dose_check.judge(snapshot(fine, slip)))
    assert said is not None
    assert (("which_draft", "hepat", "sources"), (slip,), "150", ("hepat: 150 mg",)) == (
        said.lines,
        said.about,
        said.facts["mg"],
        said.trace,
    )


# --- patient safety (2.11) --------------------------------------------------------------------------------------------

LABELLED = draft(naltrexone(Band.LABELLED, "50"))
WITHDRAWAL, LIVER, ACTIVE, CKD3, CKD45 = (
    ConditionKind.OPIOID_WITHDRAWAL,
    ConditionKind.LIVER_ACUTE,
    ConditionKind.OPIOID_DEPENDENCE_ACTIVE,
    ConditionKind.CKD_3,
    ConditionKind.CKD_4_5,
)


def dated(kind: ConditionKind, days: int | None, *, of_encounter: bool = False) -> dict[str, Any]:
    """A problem of this kind, recorded so many days ago."""
    day = None if days is None else ago(days)
    return {"conditions": (replace(problem(kind), day=day, of_encounter=of_encounter),)}


@pytest.mark.parametrize(
    ("problems", "facts", "hits"),
    [
        ((), {}, None),
        ((LIVER,), {}, ("liver", WARNING)),
        ((PREGNANCY,), {}, ("pregnancy", INFO)),
        ((ConditionKind.LACTATION,), {}, ("lactation", INFO)),
        ((CKD45,), {}, ("renal", INFO)),
        ((CKD3,), {}, None),
        ((), {"age": 17}, ("minor", INFO)),
        ((), {"age": 18}, None),
        ((), {"age": None}, None),
        ((OUD, AUD), {}, None),
        ((), dated(WITHDRAWAL, 14), ("withdrawal", CRITICAL)),
        ((), dated(WITHDRAWAL, 15), ("dependence", INFO)),
        ((), dated(WITHDRAWAL, None), ("dependence", INFO)),
        ((), dated(WITHDRAWAL, None, of_encounter=True), ("withdrawal", CRITICAL)),
        ((), dated(ConditionKind.SUICIDAL, 90), ("suicidal", INFO)),
        ((), dated(ConditionKind.SUICIDAL, 91), None),
        ((), dated(ConditionKind.SUICIDAL, None), None),
        ((), dated(ConditionKind.OPIOID_TREATMENT, 180), ("opioid-treatment", INFO)),
        ((), dated(ConditionKind.OPIOID_TREATMENT, 181), None),
        ((), dated(ConditionKind.OPIOID_TREATMENT, None), ("opioid-treatment", INFO)),
        ((), dated(ConditionKind.OPIOID_POISONING, 30), ("opioid-poisoning", INFO)),
        ((), dated(ConditionKind.OPIOID_POISONING, 31), None),
        ((), dated(ConditionKind.OPIOID_POISONING, None), None),
        ((ConditionKind.OPIOID_USE,), {}, ("opioid-use", INFO)),
        ((), {"supportive": frozenset({"lofexidine"})}, ("lofexidine", WARNING)),
        (
            (ConditionKind.DEPRESSION, ConditionKind.CIRRHOSIS, ConditionKind.HEPATITIS_CHRONIC),
            {},
            None,
        ),
    ],
)
def test_each_condition_has_its_hit(
    problems: tuple[ConditionKind, ...], facts: dict[str, Any], hits: tuple[str, Severity] | None
) -> None:
    said = only(patient_safety.judge(snapshot(LABELLED, problems=problems, **facts)))
    assert hits == (said and (said.situation, said.severity))
    assert said is None or ((said.situation, "sources"), (LABELLED,)) == (said.lines, said.about)


@pytest.mark.parametrize(
    ("group", "days", "severity"),
    [
        *(
            (group, days, severity)
            for group in (LabGroup.OPIATES, LabGroup.OXYCODONE, LabGroup.FENTANYL)
            for days, severity in (
                (0, CRITICAL),
                (6, CRITICAL),
                (7, WARNING),
                (9, WARNING),
                (10, None),
                (-1, None),
            )
        ),
        *(
            (group, days, severity)
            for group in (LabGroup.METHADONE, LabGroup.BUPRENORPHINE)
            for days, severity in ((13, CRITICAL), (14, None))
        ),
    ],
)
def test_a_positive_screen_counts_by_its_day(
    group: LabGroup, days: int, severity: Severity | None
) -> None:
    said = only(patient_safety.judge(snapshot(LABELLED, labs=(screen(group, days),))))
    assert severity == (said and said.severity)
    assert (
        said is None
        or {CRITICAL: "screen", WARNING: "screen-warning"}[said.severity] == said.overrides
    )


@pytest.mark.parametrize(
    ("others", "confirmed", "severity"),
    [((), False, INFO), ((), True, CRITICAL), ((LabGroup.FENTANYL,), False, CRITICAL)],
)
def test_naltrexone_itself_can_turn_the_oxycodone_assay_positive(
    others: tuple[LabGroup, ...], confirmed: bool, severity: Severity
) -> None:
    labs = (
        replace(screen(LabGroup.OXYCODONE, 1), confirmed=confirmed),
        *(screen(g, 1) for g in others),
    )
    said = only(
        patient_safety.judge(snapshot(LABELLED, labs=labs, listed=of_naltrexone(State.CURRENT)))
    )
    assert severity == (said and said.severity)


def screen(group: LabGroup, days: int) -> LabResult:
    return LabResult(group=group, analyte=str(group), day=ago(days), positive=True)


def test_the_two_worst_hits_are_said() -> None:
    withdrawal = dated(WITHDRAWAL, 3)["conditions"]
    others = tuple(problem(kind) for kind in (PREGNANCY, LIVER, CKD45))
    said = only(patient_safety.judge(snapshot(LABELLED, conditions=withdrawal + others, age=17)))
    assert said is not None
    assert ("withdrawal", ("withdrawal", "liver", "sources")) == (said.situation, said.lines)
    assert (
        "withdrawal: critical",
        "liver: warning",
        "renal: info",
        "pregnancy: info",
        "minor: info",
    ) == said.trace
    milder = only(patient_safety.judge(snapshot(LABELLED, problems=(PREGNANCY, LIVER))))
    assert ("liver", WARNING, (), "warning") == (
        milder and (milder.situation, milder.severity, milder.suggestions, milder.overrides)
    )


def test_withdrawal_recommends_removing_every_naltrexone_draft() -> None:
    other = draft(naltrexone())
    said = only(
        patient_safety.judge(snapshot(LABELLED, other, draft(OXYCODONE), **dated(WITHDRAWAL, 0)))
    )
    assert said is not None
    (suggestion,) = said.suggestions
    assert ("DEL_NTX", True, (LABELLED.medication, other.medication), "critical") == (
        suggestion.code,
        suggestion.recommended,
        suggestion.targets,
        said.overrides,
    )


@pytest.mark.parametrize(
    "facts",
    [
        {"problems": (PREGNANCY, CKD45), "age": 17},
        dated(ConditionKind.OPIOID_TREATMENT, 1),
        dated(ConditionKind.SUICIDAL, 1),
    ],
)
def test_a_renewal_gets_no_info_of_its_own(facts: dict[str, Any]) -> None:
    renewal = draft(naltrexone(Band.LABELLED, "50"), renewal=True)
    assert None is only(patient_safety.judge(snapshot(renewal, **facts)))


@pytest.mark.parametrize(
    ("meant", "problems", "hit"), [(XR, (CKD3,), "renal"), (XR, (CKD45,), "renal")]
)
def test_a_depot_minds_moderate_kidney_disease_too(
    meant: Medication, problems: tuple[ConditionKind, ...], hit: str
) -> None:
    said = only(patient_safety.judge(snapshot(draft(meant), problems=problems)))
    assert hit == (said and said.situation)


@pytest.mark.parametrize(
    ("mine", "severity"),
    [
        (draft(naltrexone(Band.LABELLED)), INFO),
        (draft(naltrexone(Band.SUPRA)), INFO),
        (draft(XR), INFO),
        (draft(BUPROPION), INFO),
        (draft(naltrexone(Band.LDN)), WARNING),
        (draft(naltrexone(Band.UNKNOWN)), WARNING),
        (draft(naltrexone(Band.LABELLED), **LDN_MEANT), WARNING),
        (draft(naltrexone(Band.LABELLED), says_ldn=True), WARNING),
        (draft(naltrexone(Band.INTERMEDIATE, "12.5"), **because(OUD)), INFO),
        (draft(naltrexone(Band.INTERMEDIATE, "12.4"), **because(OUD)), WARNING),
        (draft(naltrexone(Band.INTERMEDIATE), **because(OUD)), WARNING),
        (draft(naltrexone(Band.INTERMEDIATE, "25"), **because()), WARNING),
        (draft(naltrexone(Band.INTERMEDIATE, "25")), WARNING),
    ],
)
def test_opioid_dependence_warns_unless_the_dose_is_a_labelled_one(
    mine: Draft, severity: Severity
) -> None:
    said = only(patient_safety.judge(snapshot(mine, problems=(ACTIVE,))))
    assert ("dependence", severity) == (said and (said.situation, said.severity))


def test_a_labelled_start_may_take_its_reason_from_the_problem_list() -> None:
    said = only(
        patient_safety.judge(
            snapshot(draft(naltrexone(Band.INTERMEDIATE, "25")), problems=(ACTIVE, OUD))
        )
    )
    assert INFO is (said and said.severity)


def test_one_low_dose_among_the_drafts_is_enough_to_warn() -> None:
    said = only(patient_safety.judge(snapshot(LABELLED, draft(naltrexone()), problems=(ACTIVE,))))
    assert WARNING is (said and said.severity)


@pytest.mark.parametrize(("severity", "silent"), [(WARNING, True), (CRITICAL, True), (INFO, False)])
def test_opioid_dependence_is_silent_beside_an_interaction_warning(
    severity: Severity, silent: bool
) -> None:
    said = only(
        patient_safety.judge(
            snapshot(LABELLED, problems=(ACTIVE,)), warned(LABELLED, severity=severity)
        )
    )
    assert silent is (said is None)


# --- data gap (2.11) --------------------------------------------------------------------------------------------------

BROKEN = (Verdict("naltrexone-off-label", error="KeyError"),)


NAMED, NAMELESS = (UnknownDraft("Neurophyllin", True),), (UnknownDraft("", True),)


@pytest.mark.parametrize(
    ("facts", "said", "lines", "severity"),
    [
        ({}, (), None, None),
        ({"list_available": False}, (), ("list",), WARNING),
        ({"unknown_drafts": NAMELESS}, (), ("draft",), WARNING),
        ({}, BROKEN, ("rule",), WARNING),
        ({"foreign_naltrexone": True}, (), ("other-patient",), WARNING),
        ({"unreadable": 2, "listed_count": 5}, (), ("unreadable",), WARNING),
        ({"unknown_names": ("Neurophyllin",)}, (), ("names",), INFO),
        ({"unknown_drafts": NAMED}, (), ("names",), INFO),
        (
            {"unknown_names": ("Neurophyllin",), "list_available": False},
            (),
            ("list", "names"),
            WARNING,
        ),
        (
            {"list_available": False, "unknown_drafts": NAMELESS, "foreign_naltrexone": True},
            BROKEN,
            ("other-patient", "list", "draft", "rule"),
            WARNING,
        ),
        ({"list_available": False}, warned(LABELLED), None, None),
        ({"list_available": False}, warned(LABELLED, severity=CRITICAL), None, None),
        ({"list_available": False}, warned(LABELLED, severity=INFO), ("list",), WARNING),
    ],
)
def test_what_could_not_be_known_is_said_unless_a_pair_was_found(
    facts: dict[str, Any],
    said: tuple[Verdict, ...],
    lines: tuple[str, ...] | None,
    severity: Severity | None,
) -> None:
    gap = only(data_gap.judge(snapshot(LABELLED, **facts), said))
    assert lines == (gap and gap.lines[:-1])
    assert gap is None or (
        severity,
        gap.lines[0],
        (LABELLED,),
        "warning" if severity is WARNING else "",
    ) == (gap.severity, gap.situation, gap.about, gap.overrides)


def test_five_unknown_names_are_named_and_the_rest_counted() -> None:
    said = only(data_gap.judge(snapshot(LABELLED, unknown_names=tuple("ABCDEFG"))))
    assert {"names": "A; B; C; D; E (+2 more)", "first": "A"} == (said and said.quotes)


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        (draft(OXYCODONE, selected=False), BROKEN),
        (draft(TOPICAL), BROKEN),
        (draft(naltrexone(), selected=False), BROKEN),
        (draft(medication(Role.PERIPH)), ()),
        (draft(medication(Role.ANTITUSSIVE)), ()),
    ],
)
def test_a_gap_is_never_a_card_for_what_no_antagonist_would_matter_to(
    mine: Draft, said: tuple[Verdict, ...]
) -> None:
    assert None is only(data_gap.judge(snapshot(mine, list_available=False), said))


@pytest.mark.parametrize(
    "role", [Role.FULL_SA, Role.FULL_LA, Role.METHADONE, Role.BUP, Role.MIXED, Role.DUAL]
)
def test_an_opioid_without_a_list_is_told_that_naltrexone_could_not_be_excluded(role: Role) -> None:
    call = snapshot(draft(medication(role)), list_available=False)
    said = only(data_gap.judge(call))
    assert (INFO, "list-opioid", "") == (said and (said.severity, said.situation, said.overrides))
    assert None is only(data_gap.judge(replace(call, hook="medication-refill")))


@pytest.mark.parametrize("state", [State.CURRENT, State.HELD, State.RECENT])
def test_an_unknown_draft_is_named_where_an_antagonist_is_current_held_or_recent(
    state: State,
) -> None:
    named = only(data_gap.judge(snapshot(listed=of_naltrexone(state, 1), unknown_drafts=NAMED)))
    assert (INFO, "names-antagonist") == (named and (named.severity, named.situation))
    nameless = only(
        data_gap.judge(snapshot(listed=of_naltrexone(state, 1), unknown_drafts=NAMELESS))
    )
    assert (INFO, "draft-antagonist") == (nameless and (nameless.severity, nameless.situation))
    assert None is only(data_gap.judge(snapshot(unknown_drafts=NAMED)))


def test_a_broken_rule_is_said_for_a_drafted_opioid_too() -> None:
    mine = draft(OXYCODONE)
    gap = only(data_gap.judge(snapshot(mine), BROKEN))
    assert gap is not None
    assert (WARNING, "rule-opioid", ("rule-opioid", "sources"), (mine,)) == (
        gap.severity,
        gap.situation,
        gap.lines,
        gap.about,
    )


@pytest.mark.parametrize(
    ("said", "lines"), [((), ("other-patient",)), (BROKEN, ("other-patient", "rule-opioid"))]
)
def test_naltrexone_for_somebody_else_is_said_even_without_a_draft_of_ours(
    said: tuple[Verdict, ...], lines: tuple[str, ...]
) -> None:
    gap = only(data_gap.judge(snapshot(draft(OXYCODONE), foreign_naltrexone=True), said))
    assert lines == (gap and gap.lines[:-1])


@pytest.mark.parametrize("judge", [off_label.judge, dose_check.judge, patient_safety.judge])
def test_no_rule_speaks_without_a_naltrexone_draft(judge: Callable[..., Iterator[Finding]]) -> None:
    call: Snapshot = snapshot(
        draft(OXYCODONE),
        listed=(exposure(naltrexone()),),
        problems=tuple(ConditionKind),
        age=5,
        list_available=False,
    )
    assert None is only(judge(call, ()))
