"""Pairs on both sides of every threshold of dose, age and setting (specification 2.3, 2.6 to 2.12).

Each expectation is worked out by hand from the text of the specification.
"""

from __future__ import annotations

import pytest

from tests.vignettes.builder import DOSE, INTERACTION, OFF_LABEL, SAFETY, TODAY, request
from tests.vignettes.releases import RELEASES, Json
from tests.vignettes.situations import (
    ALCOHOL,
    FIBROMYALGIA,
    LOPERAMIDE,
    MORPHINE,
    NALTREXONE,
    OPIOID_DEPENDENCE,
    OXYCODONE,
    VIVITROL,
    Answered,
    active,
    ago,
    capsule,
    card,
    daily,
    everywhere,
    finished,
    indicator,
    injected,
    listed,
    naltrexone,
    named,
    opioid,
    oral,
    situation,
)

# 2.3, 2.7, 2.9, 2.10: bands, START_1_5, off-label note, dose check ------------------------------------------------

OFF_LABEL_EDGES = {
    "0.0999 micro": (naltrexone(0.0999), False, "investigational"),
    "0.1 very low": (naltrexone(0.1), True, "very low dose"),
    "0.999 very low": (naltrexone(0.999), True, "very low dose"),
    "1 low": (naltrexone(1), True, "evidence is mixed"),
    "5 low": (naltrexone(5), True, "evidence is mixed"),
    "5.01 intermediate": (naltrexone(5.01), False, "off-label"),
    "12.49 for alcohol": (naltrexone(12.49, reason=[ALCOHOL]), False, "off-label"),
    "49.99 no reason": (naltrexone(49.99, product=NALTREXONE), False, "off-label"),
}


@everywhere
@pytest.mark.parametrize(
    ("draft", "link", "words"), list(OFF_LABEL_EDGES.values()), ids=list(OFF_LABEL_EDGES)
)
def test_off_label_note_at_the_band_edges(
    draft: Json, link: bool, words: str, release: str, answered: Answered
) -> None:
    """2.9 by band: microgram without link, VLDN and LDN with link, intermediate without LDN evidence."""
    found = card(answered, situation([draft]), OFF_LABEL, release)
    assert found is not None
    assert ("info", link, True) == (found.indicator, found.link, words in found.words)


@pytest.mark.parametrize(
    ("mg", "words"), [(0.999, "very low dose"), (1, "low-dose naltrexone 1 mg/day")]
)
def test_very_low_dose_ends_below_one_milligram(mg: float, words: str, answered: Answered) -> None:
    """The words of the one band do not appear on the card of the other."""
    found = card(answered, situation([naltrexone(mg)]), OFF_LABEL)
    assert found is not None
    assert [words in found.words, "very low dose" in found.words] == [True, mg < 1]


@everywhere
@pytest.mark.parametrize(("mg", "noted"), [(4.5, False), (4.51, True), (5, True)])
def test_above_the_usual_maximum_is_noted(
    mg: float, noted: bool, release: str, answered: Answered
) -> None:
    """K11: 4.5 mg/day is the printed maximum; more than that, up to 5 mg/day, is still LDN and noted."""
    found = card(answered, situation([naltrexone(mg)]), OFF_LABEL, release)
    assert found is not None
    assert [True, noted] == [
        f"{mg:g} mg/day" in found.words,
        "above the usual maximum" in found.words,
    ]


@everywhere
@pytest.mark.parametrize(
    "draft",
    [
        naltrexone(50, product=NALTREXONE),
        naltrexone(100, product=NALTREXONE),
        naltrexone(12.5, product=NALTREXONE, reason=[ALCOHOL]),
        naltrexone(49.99, product=NALTREXONE, reason=[ALCOHOL]),
    ],
)
def test_labelled_doses_are_silent(draft: Json, release: str, answered: Answered) -> None:
    """50-100 mg/day without a reason or problem, and 12.5 to under 50 mg/day for alcohol dependence, get no card."""
    assert [] == answered(request(situation([draft]), release, "order-sign"))


@everywhere
@pytest.mark.parametrize(
    ("mg", "offered"), [(2, ()), (2.01, ("START_1_5",)), (5, ("START_1_5",)), (5.01, ())]
)
def test_start_low_above_2_mg_within_the_low_dose_band(
    mg: float, offered: tuple[str, ...], release: str, answered: Answered
) -> None:
    """START_1_5: LDN band (1-5 mg/day) and a first phase above 2 mg."""
    found = card(answered, situation([naltrexone(mg)]), OFF_LABEL, release)
    assert found is not None
    assert (offered, ()) == (found.suggestions, found.recommended)


@everywhere
@pytest.mark.parametrize(("days", "offered"), [(90, ()), (91, ("START_1_5",))])
def test_start_low_again_after_90_days_off(
    days: int, offered: tuple[str, ...], release: str, answered: Answered
) -> None:
    """J15: after more than 90 days off naltrexone the start dose is offered again."""
    case = situation([naltrexone(4.5)], [finished(capsule(4.5), days, **oral(4.5))])
    found = card(answered, case, OFF_LABEL, release)
    assert found is not None
    assert offered == found.suggestions


LOW_DOSE = {
    6: (False, False),
    6.01: (True, False),
    9.99: (True, False),
    10: (True, True),
    49.99: (True, True),
    50: (True, False),
}


@everywhere
@pytest.mark.parametrize("mg", list(LOW_DOSE))
def test_dose_check_above_the_low_dose_range(mg: float, release: str, answered: Answered) -> None:
    """With an LDN reason: above 6 mg/day the range, from 10 to under 50 also the decimal point."""
    found = card(answered, situation([naltrexone(mg, reason=[FIBROMYALGIA])]), DOSE, release)
    words = found.words if found else ""
    assert LOW_DOSE[mg] == ("low-dose range" in words, "decimal" in words)


@everywhere
@pytest.mark.parametrize(("mg", "severity"), [(100, "none"), (100.1, "warning")])
def test_dose_check_above_100_mg(
    mg: float, severity: str, release: str, answered: Answered
) -> None:
    """SUPRA: more than 100 mg/day warns of liver toxicity."""
    found = card(
        answered, situation([naltrexone(mg, product=NALTREXONE, reason=[ALCOHOL])]), DOSE, release
    )
    assert severity == (found.indicator if found and "hepat" in found.words else "none")


@everywhere
@pytest.mark.parametrize(
    ("doses", "severity"),
    [((4, 4.4), "none"), ((4.4, 4), "none"), ((4, 4.45), "warning"), ((4.45, 4), "warning")],
)
def test_dose_check_where_dose_and_sig_disagree_by_more_than_a_tenth(
    doses: tuple[float, float], severity: str, release: str, answered: Answered
) -> None:
    """4 against 4.4 mg is 10 % (of the smaller) and silent; 4 against 4.45 mg is 10.1 % of the larger and warns."""
    structured, sig = doses
    draft = naltrexone(
        structured,
        product=("Naltrexone oral capsule (compounded)", None),
        sig_text=f"Take {sig:g} mg by mouth once daily",
    )
    assert severity == indicator(answered, situation([draft]), DOSE, release)


@everywhere
@pytest.mark.parametrize(("days", "severity"), [(28, "warning"), (29, "none")])
def test_duplicate_up_to_28_days_after_an_injection(
    days: int, severity: str, release: str, answered: Answered
) -> None:
    """2.10: oral naltrexone within 28 days of a finished injection is a duplicate."""
    case = situation([naltrexone()], [injected(VIVITROL, days)], [ALCOHOL])
    assert severity == indicator(answered, case, DOSE, release)


# 2.12: renewals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("renewal", "hook", "severity"),
    [
        ({}, "order-sign", "warning"),
        ({"prior": "m-0"}, "order-sign", "none"),
        ({}, "medication-refill", "none"),
    ],
)
@everywhere
def test_a_renewal_gets_no_dose_check(
    renewal: Json, hook: str, severity: str, release: str, answered: Answered
) -> None:
    """``priorPrescription`` or the refill hook make a renewal: 150 mg/day was checked when it was new."""
    case = situation([naltrexone(150, product=NALTREXONE, reason=[ALCOHOL], **renewal)])
    assert severity == indicator(answered, case, DOSE, release, hook)


@pytest.mark.parametrize(
    ("renewal", "hook", "offered"),
    [
        ({}, "order-sign", ("START_1_5",)),
        ({"prior": "m-0"}, "order-sign", ()),
        ({}, "medication-refill", ()),
    ],
)
@everywhere
def test_a_renewal_gets_no_start_dose(
    renewal: Json, hook: str, offered: tuple[str, ...], release: str, answered: Answered
) -> None:
    """The off-label note stays on a renewal (J22), the start dose goes."""
    found = card(answered, situation([naltrexone(4.5, **renewal)]), OFF_LABEL, release, hook)
    assert found is not None
    assert offered == found.suggestions


@pytest.mark.parametrize(
    ("meds", "severity"), [([], "warning"), ([listed(NALTREXONE, **oral(150))], "none")]
)
def test_the_same_product_current_is_a_renewal(
    meds: list[Json], severity: str, answered: Answered
) -> None:
    """A 150 mg/day order of the product that the patient takes at 150 mg/day is no news."""
    case = situation([naltrexone(150, product=NALTREXONE, reason=[ALCOHOL])], meds)
    assert severity == indicator(answered, case, DOSE)


# 2.11: patient safety ---------------------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize(
    ("born", "severity"),
    [
        (f"{TODAY.year - 18}-11-22", "info"),
        (f"{TODAY.year - 18}-11-21", "none"),
        (f"{TODAY.year - 17}-11-21", "info"),
    ],
)
def test_under_18_is_told_until_the_birthday(
    born: str, severity: str, release: str, answered: Answered
) -> None:
    """17 years and 364 days informs, the 18th birthday does not."""
    case = situation([naltrexone()], birth_date=born)
    assert severity == indicator(answered, case, SAFETY, release)


def problem(code: str, text: str) -> Json:
    return {"code": code, "text": text}


@pytest.mark.parametrize(
    ("draft", "condition", "severity"),
    [
        (naltrexone(), problem("N18.30", "Chronic kidney disease, stage 3 unspecified"), "none"),
        (naltrexone(), problem("N18.4", "Chronic kidney disease, stage 4 (severe)"), "info"),
        (naltrexone(), problem("N18.6", "End stage renal disease"), "info"),
        (naltrexone(), OPIOID_DEPENDENCE, "warning"),
        (naltrexone(50, product=NALTREXONE, reason=[ALCOHOL]), OPIOID_DEPENDENCE, "info"),
        (naltrexone(), problem("F11.21", "Opioid dependence, in remission"), "none"),
        (naltrexone(), problem("F11.23", "Opioid dependence with withdrawal"), "warning"),
        (
            naltrexone(),
            {**problem("F11.23", "Opioid dependence with withdrawal"), "recorded": ago(14)},
            "critical",
        ),
        (
            naltrexone(),
            {**problem("F11.23", "Opioid dependence with withdrawal"), "recorded": ago(15)},
            "warning",
        ),
        (
            naltrexone(),
            problem("K72.00", "Acute and subacute hepatic failure without coma"),
            "warning",
        ),
    ],
)
def test_patient_safety_by_problem(
    draft: Json, condition: Json, severity: str, answered: Answered
) -> None:
    """2.11: stage 4 on informs (stage 3 for the injection only), dependence warns unless the dose is labelled."""
    assert severity == indicator(answered, situation([draft], conditions=[condition]), SAFETY)


@pytest.mark.parametrize(
    ("meds", "severity"), [([listed(OXYCODONE)], "none"), ([listed(LOPERAMIDE)], "warning")]
)
def test_dependence_is_not_told_twice(meds: list[Json], severity: str, answered: Answered) -> None:
    """The dependence line is for calls without a warning or critical pair; an info pair does not replace it."""
    case = situation([naltrexone()], meds, [OPIOID_DEPENDENCE])
    assert severity == indicator(answered, case, SAFETY)


# 2.6, 2.7: acute care and what is recommended ---------------------------------------------------------------------

SETTINGS: dict[str, tuple[Json, Json, tuple[str, ...]]] = {
    "unknown": ({}, {"category": None}, ()),
    "community": ({}, {"category": "community"}, ("DEL_OPI",)),
    "outpatient": ({}, {"category": "outpatient"}, ("DEL_OPI",)),
    "discharge": ({}, {"category": "discharge"}, ("DEL_OPI",)),
    "inpatient": ({}, {"category": "inpatient"}, ()),
}
SETTINGS |= {
    code: ({"encounter_class": code}, {"category": None}, ("DEL_OPI",))
    for code in ("AMB", "HH", "VR")
}
SETTINGS |= {
    code: ({"encounter_class": code}, {"category": None}, ())
    for code in ("IMP", "ACUTE", "NONACUTE", "EMER", "OBSENC", "SS")
}


@pytest.mark.parametrize(
    ("release", "name"),
    [
        (release, name)
        for release in RELEASES
        for name, (_, order, _) in SETTINGS.items()
        if not (release == "DSTU2" and order["category"])
    ],
)
def test_deleting_the_opioid_is_recommended_outside_hospital_only(
    release: str, name: str, answered: Answered
) -> None:
    """DEL_OPI is recommended where an outpatient setting was read, never if it is unknown or acute."""
    encounter, order, recommended = SETTINGS[name]
    case = situation([opioid(**order)], [listed(NALTREXONE, **oral(50))], **encounter)
    found = card(answered, case, INTERACTION, release)
    assert found is not None
    acute = name in {"inpatient", "IMP", "ACUTE", "NONACUTE", "EMER", "OBSENC", "SS"}
    assert ("critical", ("DEL_OPI", "HOLD_NTX"), recommended, acute) == (
        found.indicator,
        found.suggestions,
        found.recommended,
        "monitored" in found.words,
    )


@everywhere
@pytest.mark.parametrize(
    ("med", "offered"),
    [
        (listed(NALTREXONE, **oral(50)), ("DEL_OPI", "HOLD_NTX")),
        (active(NALTREXONE, 366, **oral(50)), ()),
        (listed(NALTREXONE, status="on-hold", authoredOn=ago(10), **oral(50)), ()),
        (injected(VIVITROL, 10, status="active"), ("DEL_OPI",)),
        (injected(VIVITROL, 30), ("DEL_OPI",)),
    ],
)
def test_the_opioid_can_be_deleted_beside_current_or_critical_naltrexone(
    med: Json, offered: tuple[str, ...], release: str, answered: Answered
) -> None:
    """2.7: DEL_OPI needs CURRENT naltrexone or a critical pair; HOLD_NTX needs a current oral request."""
    found = card(answered, situation([opioid()], [med]), INTERACTION, release)
    assert found is not None
    assert offered == found.suggestions


@pytest.mark.parametrize(
    ("meds", "recommended"),
    [
        ([], ()),
        ([listed(MORPHINE)], ("DEL_NTX",)),
        ([listed(NALTREXONE, **oral(50))], ("DEL_OPI",)),
    ],
)
def test_of_two_drafts_the_newcomer_is_recommended_for_deletion(
    meds: list[Json], recommended: tuple[str, ...], answered: Answered
) -> None:
    """2.7 (3): nothing is recommended for two new drafts; an opioid already active decides, and so does naltrexone."""
    found = card(answered, situation([naltrexone(4.5), opioid()], meds), INTERACTION)
    assert found is not None
    assert recommended == found.recommended


def test_the_sig_alone_gives_the_dose(answered: Answered) -> None:
    """Without a structured dose, 'take .5mg qhs' of a product without strength is 0.5 mg/day."""
    draft = naltrexone(product=("Naltrexone capsule", None), dosage=[], sig_text="take .5mg qhs")
    found = card(answered, situation([draft]), OFF_LABEL)
    assert found is not None
    assert "naltrexone 0.5 mg/day" in found.words


def test_phases_are_never_added(answered: Answered) -> None:
    """1.5, then 3, then 4.5 mg: 4.5 mg/day at most, 1.5 mg/day to begin with."""
    phases = [{"sequence": n, **daily(mg)[0]} for n, mg in enumerate((1.5, 3, 4.5), 1)]
    found = card(answered, situation([naltrexone(dosage=phases, sig_text="")]), OFF_LABEL)
    assert found is not None
    assert (True, ()) == ("4.5 mg/day" in found.words, found.suggestions)


def test_named_products_carry_their_code() -> None:
    """The situations above use codes where a product has one: a lost code would make them text tests."""
    assert "1049621" == named(OXYCODONE)["rxnorm"]["code"]


@everywhere
@pytest.mark.parametrize(
    ("meds", "gate", "advice"),
    [
        ([], "none", ("usual course", "not now")),
        ([listed(OXYCODONE)], "opioid-conflict", ("not now", "usual course")),
    ],
)
def test_the_planner_opens_on_its_opioid_gate_beside_a_conflict(
    meds: list[Json], gate: str, advice: tuple[str, str], release: str, answered: Answered
) -> None:
    """J18, J21: beside such a pair the link says so, and the note says 'not now' instead of how to start."""
    body = request(situation([naltrexone(4.5)], meds), release, "order-sign")
    note = next(c for c in answered(body) if c["source"]["topic"]["code"] == OFF_LABEL)
    context = next(link["appContext"] for link in note["links"] if link["type"] == "smart")
    assert [gate] == [g for g in ("none", "opioid-conflict") if f'"{g}"' in context]
    assert (True, False) == (
        advice[0] in note["detail"].lower(),
        advice[1] in note["detail"].lower(),
    )
    assert "oxycodone" not in context.lower()
