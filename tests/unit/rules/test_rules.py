"""The interaction card: which pairs there are, their situations and lines, and what is offered (2.5 to 2.7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from cds_service.model import (
    Band,
    Component,
    ConditionKind,
    Draft,
    Finding,
    Medication,
    Role,
    Setting,
    Severity,
    Snapshot,
    Standing,
    State,
    Verdict,
)
from cds_service.rules import RULES, decide, interaction
from cds_service.rules.naltrexone import conflicts
from cds_service.rules.pairs import find_pairs
from tests.unit.clinic import ago, draft, exposure, medication, naltrexone, snapshot

INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
CURRENT, RECENT, HELD, STALE = State.CURRENT, State.RECENT, State.HELD, State.STALE
OUTPATIENT = {"categories": frozenset({"community"})}


def oxycodone(**order: Any) -> Medication:
    return medication(Role.FULL_SA, **order)


def found(call: Snapshot) -> Finding | None:
    return next(iter(interaction.judge(call)), None)


def finding(call: Snapshot) -> Finding:
    said = found(call)
    assert said is not None
    return said


# --- which pairs there are --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "band", "severity"),
    [
        (Role.FULL_SA, Band.LDN, CRITICAL),
        (Role.FULL_SA, Band.MICRO, WARNING),
        (Role.ANTITUSSIVE, Band.LDN, WARNING),
        (Role.PERIPH, Band.LDN, INFO),
        (Role.PERIPH, Band.MICRO, INFO),
        (Role.BUP_DEPOT, Band.UNKNOWN, CRITICAL),
    ],
)
def test_two_drafts_meet_in_the_first_column(role: Role, band: Band, severity: Severity) -> None:
    both = snapshot(draft(naltrexone(band)), draft(medication(role)))
    assert [("both-draft", severity, None)] == [
        (p.direction, p.severity, p.listed) for p in find_pairs(both)
    ]


@pytest.mark.parametrize(
    ("first", "second", "pairs"), [(True, False, 1), (False, True, 1), (False, False, 0)]
)
def test_one_of_two_drafts_must_be_selected(first: bool, second: bool, pairs: int) -> None:
    both = snapshot(draft(naltrexone(), selected=first), draft(oxycodone(), selected=second))
    assert pairs == len(find_pairs(both))


def test_an_unselected_draft_meets_nothing_on_the_list() -> None:
    listed = (exposure(oxycodone()), exposure(naltrexone()))
    assert () == find_pairs(
        snapshot(
            draft(naltrexone(), selected=False), draft(oxycodone(), selected=False), listed=listed
        )
    )


def test_topical_naltrexone_and_a_product_alone_make_no_pair() -> None:
    topical = naltrexone(Band.TOPICAL, role=Role.NTX_TOPICAL)
    both = naltrexone(Band.MICRO, also=(Component("oxycodone", "2", Role.FULL_SA),))
    assert ((), (), (), ()) == (
        find_pairs(snapshot(draft(topical), draft(oxycodone()))),
        find_pairs(snapshot(draft(topical), listed=(exposure(oxycodone()),))),
        find_pairs(snapshot(draft(oxycodone()), listed=(exposure(topical),))),
        find_pairs(snapshot(draft(both))),
    )


def test_micro_naltrexone_caps_the_draft_side_too() -> None:
    call = snapshot(draft(naltrexone(Band.MICRO)), listed=(exposure(oxycodone()),))
    assert [WARNING] == [p.severity for p in find_pairs(call)]


RANKED = (
    exposure(medication(Role.METHADONE)),
    exposure(medication(Role.BUP)),
    exposure(medication(Role.FULL_LA)),
    exposure(oxycodone()),
    exposure(oxycodone(ref="MedicationRequest/z")),
    exposure(medication(Role.MIXED)),
    exposure(medication(Role.DUAL)),
    exposure(medication(Role.FULL_LA), RECENT, 3),
    exposure(medication(Role.FULL_LA), RECENT, 5),
    exposure(oxycodone(), HELD),
    exposure(oxycodone(), STALE),
    exposure(medication(Role.PERIPH)),
)


def test_pairs_are_ranked_by_severity_then_state_then_role_then_days_whatever_the_order_sent() -> (
    None
):
    for listed in (RANKED, RANKED[::-1], RANKED[5:] + RANKED[:5]):
        assert RANKED == tuple(
            p.listed for p in find_pairs(snapshot(draft(naltrexone()), listed=listed))
        )


def test_drafted_together_comes_before_current() -> None:
    call = snapshot(
        draft(naltrexone()), draft(oxycodone()), listed=(exposure(medication(Role.METHADONE)),)
    )
    assert ["both-draft", "ntx-draft"] == [p.direction for p in find_pairs(call)]


# --- what is said -----------------------------------------------------------------------------------------------------

LDN, OXY = draft(naltrexone()), draft(oxycodone())
XR = naltrexone(Band.XR, role=Role.NTX_XR)
START, BLOCK = {"sources", "found", "why_start_low"}, {"sources", "found", "why_block", "do_block"}
BOTH = {"sources", "why_both"}
HOLD = BLOCK | {"hold"}
NALMEFENE = medication(Role.OTHER_ANTAG)
IMPLANT = naltrexone(Band.UNKNOWN, role=Role.NTX_IMPLANT)
CONTRAVE = naltrexone(Band.BUPROPION, role=Role.NTX_BUP)


@pytest.mark.parametrize(
    ("call", "situation", "lines"),
    [
        (snapshot(LDN, OXY), "both-draft/TOGETHER", BOTH | {"do_both_sa"}),
        (
            snapshot(LDN, draft(medication(Role.FULL_LA))),
            "both-draft/TOGETHER",
            BOTH | {"do_both_la"},
        ),
        (snapshot(LDN, draft(medication(Role.METHADONE))), "both-draft/TOGETHER", BOTH | {"moud"}),
        (snapshot(draft(XR), OXY), "both-draft/TOGETHER", BOTH | {"do_both_sa"}),
        (
            snapshot(draft(NALMEFENE), OXY),
            "both-draft/TOGETHER",
            {"sources", "why_both_other", "do_both_sa"},
        ),
        (snapshot(draft(naltrexone(Band.MICRO)), OXY), "both-draft/MICRO", BOTH | {"micro"}),
        (snapshot(LDN, draft(medication(Role.PERIPH))), "both-draft/PERIPH", {"sources", "periph"}),
        (
            snapshot(LDN, draft(medication(Role.OPIOID_LIKE))),
            "both-draft/OPIOID_LIKE",
            {"sources", "opioid_like"},
        ),
        (
            snapshot(LDN, listed=(exposure(oxycodone()),)),
            "ntx-draft/CURRENT",
            START | {"do_start_sa"},
        ),
        (
            snapshot(LDN, listed=(exposure(oxycodone(), RECENT, 7),)),
            "ntx-draft/RECENT",
            START | {"do_start_sa"},
        ),
        (
            snapshot(draft(XR), listed=(exposure(oxycodone(), RECENT, 2, last_dose_days=2),)),
            "ntx-draft/RECENT",
            {"sources", "found", "why_start", "do_start_sa"},
        ),
        (
            snapshot(draft(NALMEFENE), listed=(exposure(oxycodone()),)),
            "ntx-draft/CURRENT",
            {"sources", "found", "why_start_other", "do_start_sa"},
        ),
        (
            snapshot(
                LDN,
                listed=(
                    exposure(
                        medication(Role.BUP_DEPOT), RECENT, 30, last_dose_days=30, interval_days=28
                    ),
                ),
            ),
            "ntx-draft/DEPOT",
            START | {"wait_la", "moud"},
        ),
        (
            snapshot(LDN, listed=(exposure(oxycodone(), HELD),)),
            "ntx-draft/HELD",
            START | {"do_start_sa", "held"},
        ),
        (
            snapshot(LDN, listed=(exposure(oxycodone(), STALE),)),
            "ntx-draft/STALE",
            START | {"do_start_sa", "stale"},
        ),
        (
            snapshot(LDN, listed=(exposure(oxycodone(), State.OLD),)),
            "ntx-draft/OLD",
            START | {"stale"},
        ),
        (
            snapshot(LDN, listed=(exposure(oxycodone(), State.PLANNED),)),
            "ntx-draft/PLANNED",
            START | {"do_start_sa", "planned"},
        ),
        (
            snapshot(LDN, listed=(exposure(medication(Role.FULL_LA)),)),
            "ntx-draft/CURRENT",
            START | {"do_start_la"},
        ),
        (
            snapshot(LDN, listed=(exposure(medication(Role.BUP_DEPOT)),)),
            "ntx-draft/CURRENT",
            START | {"wait_la", "moud"},
        ),
        (
            snapshot(LDN, listed=(exposure(medication(Role.ANTITUSSIVE)),)),
            "ntx-draft/ANTITUSSIVE",
            {"sources", "found", "cough"},
        ),
        (snapshot(OXY, listed=(exposure(naltrexone()),)), "opioid-draft/CURRENT", HOLD),
        (
            snapshot(OXY, listed=(exposure(naltrexone(), last_dose_days=0),)),
            "opioid-draft/CURRENT",
            HOLD,
        ),
        (
            snapshot(OXY, listed=(exposure(CONTRAVE),)),
            "opioid-draft/CURRENT",
            BLOCK | {"hold_contrave"},
        ),
        (
            snapshot(OXY, listed=(exposure(NALMEFENE),)),
            "opioid-draft/CURRENT",
            {"sources", "found", "why_block_other", "do_block", "hold_nalmefene"},
        ),
        (snapshot(OXY, listed=(exposure(IMPLANT),)), "opioid-draft/IMPLANT", BLOCK | {"implant"}),
        (
            snapshot(OXY, listed=(exposure(naltrexone(), HELD),)),
            "opioid-draft/HELD",
            BLOCK | {"held"},
        ),
        (
            snapshot(OXY, listed=(exposure(naltrexone(Band.MICRO)),)),
            "opioid-draft/MICRO",
            HOLD | {"micro"},
        ),
        (
            snapshot(OXY, listed=(exposure(naltrexone(Band.LABELLED), RECENT, 3),)),
            "opioid-draft/TOLERANCE",
            {"sources", "found", "tolerance"},
        ),
        (
            snapshot(OXY, listed=(exposure(XR, HELD, last_dose_days=30),)),
            "opioid-draft/XR",
            BLOCK | {"injection", "held"},
        ),
        (
            snapshot(OXY, listed=(exposure(XR, HELD, last_dose_days=31),)),
            "opioid-draft/XR-FADING",
            {"sources", "found", "tolerance", "held"},
        ),
        (snapshot(OXY, listed=(exposure(XR),)), "opioid-draft/CURRENT", BLOCK | {"injection"}),
        (
            snapshot(draft(medication(Role.METHADONE)), listed=(exposure(naltrexone()),)),
            "opioid-draft/CURRENT",
            {"sources", "found", "why_block", "hold", "moud"},
        ),
        (
            snapshot(OXY, OXY, listed=(exposure(naltrexone()),)),
            "opioid-draft/CURRENT",
            HOLD | {"which_draft"},
        ),
        (
            snapshot(LDN, LDN, listed=(exposure(oxycodone()),)),
            "ntx-draft/CURRENT",
            START | {"do_start_sa", "which_draft"},
        ),
    ],
)
def test_the_situation_and_its_lines(call: Snapshot, situation: str, lines: set[str]) -> None:
    assert (situation, lines) == (finding(call).situation, set(finding(call).lines))


def test_lines_stand_in_the_order_of_the_card() -> None:
    """What was found, what to do, why, and on what it rests (section 8, wording)."""
    call = snapshot(
        LDN, OXY, listed=(exposure(medication(Role.FULL_LA)),), setting=Setting(acute=True)
    )
    assert ("found", "all_opioids", "acute", "do_both_la", "why_both", "sources") == finding(
        call
    ).lines


def test_beside_methadone_nobody_is_told_to_taper_it_or_to_take_something_else() -> None:
    call = snapshot(
        LDN,
        OXY,
        listed=(exposure(medication(Role.METHADONE)), exposure(XR, HELD)),
        setting=Setting(acute=True),
    )
    said = set(finding(call).lines)
    assert "moud" in said
    assert not said & {
        "do_both_sa",
        "do_both_la",
        "do_block",
        "do_start_sa",
        "do_start_la",
        "acute",
    }


@pytest.mark.parametrize(
    ("role", "facts", "orders", "lines"),
    [
        (Role.FULL_SA, {"setting": Setting(acute=True)}, {}, {"acute"}),
        (Role.FULL_SA, {}, {"categories": frozenset({"inpatient"})}, {"acute"}),
        (Role.FULL_SA, {"setting": Setting(outpatient=True)}, OUTPATIENT, set()),
        (Role.ANTITUSSIVE, {"setting": Setting(acute=True)}, {}, set()),
        (
            Role.PERIPH,
            {"setting": Setting(acute=True), "problems": (ConditionKind.HOSPICE,)},
            {},
            set(),
        ),
        (Role.METHADONE, {"setting": Setting(acute=True)}, {}, set()),
        (Role.FULL_SA, {"problems": (ConditionKind.HOSPICE,)}, {}, {"hospice"}),
    ],
)
def test_acute_care_and_hospice_add_a_line_from_warning_on(
    role: Role, facts: dict[str, Any], orders: dict[str, Any], lines: set[str]
) -> None:
    call = snapshot(draft(medication(role, **orders)), listed=(exposure(naltrexone()),), **facts)
    assert lines == set(finding(call).lines) & {"acute", "hospice"}


@pytest.mark.parametrize(("days", "ago_"), [(0, "today"), (1, "1 day ago"), (2, "2 days ago")])
def test_days_are_told_in_words(days: int, ago_: str) -> None:
    said = finding(snapshot(LDN, listed=(exposure(oxycodone(), RECENT, days, last_dose_days=9),)))
    assert (ago_, "9 days ago") == (said.facts["ago"], said.facts["last"])


def test_an_unknown_date_and_two_drafts_have_no_days() -> None:
    held, both = (
        finding(snapshot(LDN, listed=(exposure(oxycodone(), HELD),))),
        finding(snapshot(LDN, OXY)),
    )
    assert {("on an unknown date", "on an unknown date")} == {
        (f.facts["ago"], f.facts["last"]) for f in (held, both)
    }


def test_every_opioid_found_is_named_once_and_the_worst_first() -> None:
    listed = (
        exposure(oxycodone()),
        exposure(medication(Role.METHADONE)),
        exposure(oxycodone(ref="MedicationRequest/z")),
        exposure(medication(Role.PERIPH)),
    )
    said = finding(snapshot(LDN, listed=listed))
    assert ("methadone (+2 more)", "methadone, oxycodone, loperamide") == (
        said.facts["opioid"],
        said.facts["all"],
    )
    assert (listed[1], listed[0], listed[3]) == said.found
    assert "all_opioids" in said.lines


def test_naltrexone_found_is_listed_once_per_product_type() -> None:
    listed = (exposure(naltrexone()), exposure(naltrexone(Band.LABELLED)), exposure(XR))
    assert [Role.NTX_ORAL, Role.NTX_XR] == sorted(
        e.medication.recognition.components[0].role
        for e in finding(snapshot(OXY, listed=listed)).found
    )


def concerns(said: Finding, mine: Draft) -> bool:
    return conflicts(mine, (Verdict(interaction.RULE.id, (said,)),))


def test_a_card_is_about_the_drafts_of_its_serious_pairs() -> None:
    loperamide = draft(medication(Role.PERIPH))
    said = finding(snapshot(OXY, loperamide, listed=(exposure(naltrexone()),)))
    assert ((OXY,), True, False) == (said.about, concerns(said, OXY), concerns(said, loperamide))


def test_info_has_neither_overrides_nor_suggestions() -> None:
    loperamide = draft(medication(Role.PERIPH))
    said = finding(snapshot(loperamide, listed=(exposure(naltrexone()),)))
    assert (INFO, "", (), (loperamide,), False) == (
        said.severity,
        said.overrides,
        said.suggestions,
        said.about,
        concerns(said, loperamide),
    )


def test_the_trace_names_table_role_state_and_band() -> None:
    listed = exposure(oxycodone(), RECENT, 7, because="completed, ended 7 days ago")
    assert (
        "table A: oxycodone FULL_SA, RECENT (completed, ended 7 days ago), band LDN -> warning",
    ) == finding(snapshot(LDN, listed=(listed,))).trace
    assert ("table A: oxycodone FULL_SA, drafted together, band LDN -> critical",) == finding(
        snapshot(LDN, OXY)
    ).trace
    assert ("table B: oxycodone FULL_SA, CURRENT () -> critical",) == finding(
        snapshot(OXY, listed=(exposure(medication(Role.NTX_ORAL)),))
    ).trace


def test_nothing_is_said_without_a_pair() -> None:
    assert (None, None) == (
        found(snapshot(LDN)),
        found(snapshot(listed=(exposure(oxycodone()), exposure(naltrexone())))),
    )


# --- what one press does ----------------------------------------------------------------------------------------------


def offered(call: Snapshot) -> dict[str, bool]:
    return {s.code: s.recommended for s in finding(call).suggestions}


MTD = medication(Role.METHADONE)
HOSPICE, AMBULATORY, ACUTE = (ConditionKind.HOSPICE,), Setting(outpatient=True), Setting(acute=True)
HOLDABLE = exposure(naltrexone())


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (snapshot(LDN, listed=(exposure(oxycodone()),)), {"DEL_NTX": True}),
        (snapshot(LDN, listed=(exposure(oxycodone()),), setting=ACUTE), {"DEL_NTX": True}),
        (snapshot(LDN, listed=(exposure(oxycodone(), HELD),)), {"DEL_NTX": False}),
        (snapshot(LDN, listed=(exposure(oxycodone()),), problems=HOSPICE), {"DEL_NTX": True}),
        (snapshot(LDN, OXY), {"DEL_NTX": False, "DEL_OPI": False}),
        (snapshot(LDN, draft(MTD)), {"DEL_NTX": True, "DEL_OPI": False}),
        (snapshot(LDN, draft(medication(Role.BUP_DEPOT))), {"DEL_NTX": True, "DEL_OPI": False}),
        (snapshot(LDN, OXY, listed=(exposure(oxycodone()),)), {"DEL_NTX": True, "DEL_OPI": False}),
        (
            snapshot(LDN, OXY, listed=(exposure(oxycodone(), RECENT, 2),)),
            {"DEL_NTX": False, "DEL_OPI": False},
        ),
        (snapshot(LDN, OXY, listed=(exposure(XR),)), {"DEL_NTX": False, "DEL_OPI": True}),
        (
            snapshot(LDN, OXY, setting=ACUTE, listed=(exposure(oxycodone()),)),
            {"DEL_NTX": False, "DEL_OPI": False},
        ),
        (snapshot(LDN, OXY, setting=ACUTE, problems=HOSPICE), {"DEL_NTX": True, "DEL_OPI": False}),
        (snapshot(OXY, listed=(HOLDABLE,)), {"DEL_OPI": False, "HOLD_NTX": False}),
        (
            snapshot(OXY, listed=(HOLDABLE,), setting=AMBULATORY),
            {"DEL_OPI": True, "HOLD_NTX": False},
        ),
        (
            snapshot(OXY, listed=(HOLDABLE,), setting=Setting(acute=True, outpatient=True)),
            {"DEL_OPI": False, "HOLD_NTX": False},
        ),
        (
            snapshot(OXY, listed=(HOLDABLE,), problems=HOSPICE, setting=AMBULATORY),
            {"DEL_OPI": False, "HOLD_NTX": True},
        ),
        (
            snapshot(OXY, listed=(exposure(XR),), problems=HOSPICE, setting=AMBULATORY),
            {"DEL_OPI": False},
        ),
        (
            snapshot(draft(MTD), listed=(HOLDABLE,), setting=AMBULATORY),
            {"DEL_OPI": False, "HOLD_NTX": True},
        ),
        (snapshot(draft(MTD), listed=(exposure(XR),), setting=AMBULATORY), {"DEL_OPI": False}),
        (snapshot(OXY, listed=(exposure(naltrexone(), HELD),), setting=AMBULATORY), {}),
        (snapshot(OXY, listed=(exposure(naltrexone(), RECENT, 2),), setting=AMBULATORY), {}),
        (
            snapshot(OXY, listed=(exposure(XR, HELD, last_dose_days=9),), setting=AMBULATORY),
            {"DEL_OPI": True},
        ),
        (
            snapshot(OXY, listed=(exposure(naltrexone(Band.MICRO)),), setting=AMBULATORY),
            {"DEL_OPI": False, "HOLD_NTX": False},
        ),
    ],
)
def test_what_is_offered_and_recommended(call: Snapshot, expected: dict[str, bool]) -> None:
    assert expected == offered(call)


@pytest.mark.parametrize(
    ("category", "recommended"),
    [
        ("community", True),
        ("outpatient", True),
        ("discharge", True),
        ("inpatient", False),
        ("nonsense", False),
    ],
)
def test_the_category_of_the_order_says_outpatient(category: str, recommended: bool) -> None:
    opioid = draft(oxycodone(categories=frozenset({category})))
    assert {"DEL_OPI": recommended, "HOLD_NTX": False} == offered(
        snapshot(opioid, listed=(HOLDABLE,))
    )


@pytest.mark.parametrize(
    ("listed", "holdable"),
    [
        (naltrexone(), True),
        (naltrexone(Band.BUPROPION, role=Role.NTX_BUP), True),
        (XR, False),
        (naltrexone(kind="statement"), False),
        (naltrexone(target=""), False),
        (naltrexone(standing=Standing.ENDED), False),
    ],
)
def test_only_an_active_request_of_oral_naltrexone_with_an_id_can_be_held(
    listed: Medication, holdable: bool
) -> None:
    assert holdable is ("HOLD_NTX" in offered(snapshot(OXY, listed=(exposure(listed),))))


def test_each_order_is_a_target_once() -> None:
    listed = (exposure(oxycodone()), exposure(MTD))
    (suggestion,) = finding(snapshot(LDN, listed=listed)).suggestions
    assert (LDN.medication,) == suggestion.targets


# --- the table of rules -----------------------------------------------------------------------------------------------


def test_a_broken_rule_is_a_verdict_with_its_error_and_silences_no_other() -> None:
    def broken(_snapshot: Snapshot, _said: tuple[Verdict, ...]) -> Iterator[Finding]:
        raise KeyError("secret")

    call = snapshot(LDN, listed=(exposure(oxycodone()),))
    first, second = decide(
        call, (replace(interaction.RULE, id="broken", judge=broken), interaction.RULE)
    )
    assert ("broken", (), "KeyError") == (first.rule, first.findings, first.error)
    assert (interaction.RULE.id, 1, "") == (second.rule, len(second.findings), second.error)
    assert second.findings[0].trace == second.trace


def test_every_rule_runs_and_sees_what_was_said_before_it() -> None:
    seen: list[int] = []

    def count(_snapshot: Snapshot, said: tuple[Verdict, ...]) -> Iterator[Finding]:
        seen.append(len(said))
        return iter(())

    assert (3, [0, 1, 2]) == (
        len(decide(snapshot(LDN), [replace(interaction.RULE, judge=count)] * 3)),
        seen,
    )
    assert [rule.id for rule in RULES] == [v.rule for v in decide(snapshot(LDN))]


def test_the_answer_does_not_depend_on_the_order_of_the_drafts() -> None:
    drafts = (LDN, OXY, draft(MTD))
    said = {
        (f.situation, f.lines, f.facts["all"])
        for order in permutations(drafts)
        for f in interaction.judge(
            snapshot(*order, listed=(exposure(XR, RECENT, 3, last_dose_days=40, on=ago(3)),))
        )
    }
    assert 1 == len(said)


# --- several drafts at once -------------------------------------------------------------------------------------------


def test_one_methadone_among_the_drafted_opioids_decides_and_one_inpatient_order_makes_it_acute() -> (
    None
):
    inpatient = draft(oxycodone(categories=frozenset({"inpatient"})))
    assert {"DEL_OPI": False, "HOLD_NTX": True} == offered(
        snapshot(OXY, draft(MTD), listed=(HOLDABLE,), setting=AMBULATORY)
    )
    assert "acute" in finding(snapshot(OXY, inpatient, listed=(HOLDABLE,))).lines


def test_topical_naltrexone_before_an_oral_draft_hides_nothing() -> None:
    topical = draft(naltrexone(Band.TOPICAL, role=Role.NTX_TOPICAL))
    assert CRITICAL is finding(snapshot(topical, LDN, listed=(exposure(oxycodone()),))).severity


def test_a_warning_can_be_overridden_and_a_second_opioid_is_counted() -> None:
    said = finding(snapshot(LDN, listed=(exposure(oxycodone(), HELD), exposure(MTD, HELD))))
    assert (WARNING, "start", "methadone (+1 more)") == (
        said.severity,
        said.overrides,
        said.facts["opioid"],
    )
