"""Cases that once let a small wrong change of the core pass unnoticed (see tests/mutation), one per place."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cds_service.dosing.sig import read_rate, read_sig
from cds_service.dosing.structured import compute
from cds_service.model import (
    Coding,
    Component,
    Concept,
    ConditionKind,
    Dosage,
    Drug,
    Quantity,
    Role,
    Strength,
)
from cds_service.terminology import Terminology, load


@pytest.fixture(scope="module")
def terminology() -> Terminology:
    return load()


@pytest.mark.parametrize(
    ("unit", "mg"),
    [
        *((unit, "50000") for unit in ("g", "gm", "gms", "gram", "grams")),
        *(
            (unit, "50")
            for unit in ("mg", "mgs", "milligram", "milligrams", "milligramme", "milligrammes")
        ),
        *(
            (unit, "0.05")
            for unit in (
                "mcg",
                "mcgs",
                "ug",
                "microgram",
                "micrograms",
                "microgramme",
                "microgrammes",
            )
        ),
        *((unit, "0.00005") for unit in ("ng", "nanogram", "nanograms")),
    ],
)
def test_every_spelling_of_a_mass_is_read_in_a_sig(unit: str, mg: str) -> None:
    assert Decimal(mg) == read_sig(f"take 50 {unit} daily", None).daily_mg


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("twice daily", True),
        ("then twice daily", False),
        ("max twice daily", False),
        ("increase twice daily", False),
        ("up to twice daily", False),
        ("do not take twice daily", False),
        ("repeat twice daily", False),
    ],
)
def test_a_text_that_bounds_negates_or_changes_a_rate_states_none(text: str, known: bool) -> None:
    assert known is (read_rate(text) is not None)


NAMELESS = (
    "and brand buccal cap caps capsule capsules code comment comments compound compounded compounding cream daily "
    "delayed display dosage dose drops drug drugs dummy entered example extended film for free from gel generic "
    "gram grams home immediate injectable injection intramuscular intranasal intravenous item liquid lozenge mcg "
    "medicament medication medications medicine medicines microgram micrograms milligram milligrams milliliter misc "
    "miscellaneous mouth name nan nasal nil none not note notes null ointment ophthalmic oral orally order ordered "
    "other outside patch patient per placeholder powder prescribed prescription product protocol rectal release "
    "reported see solution specified spray strength subcutaneous sublingual supplied suppository suspension syringe "
    "syrup tab tablet tablets tabs take taking tbd test text the topical transdermal undefined unit units unknown "
    "unspecified vial with"
)


@pytest.mark.parametrize("word", NAMELESS.split())
def test_a_word_that_names_no_drug_leaves_the_drug_unidentified(
    terminology: Terminology, word: str
) -> None:
    """Its absence from the tables must not read as "no opioid"."""
    assert False is terminology.recognise(Drug(Concept(text=word))).identified


@pytest.mark.parametrize(
    "code",
    [
        "ORTAB",
        "ERTAB",
        "ERTAB24",
        "ECTAB",
        "DRTAB",
        "SLTAB",
        "BUCTAB",
        "CHEWTAB",
        "DISINTAB",
        "ERCAP",
        "ERCAP12",
        "ERCAP24",
        "ENTCAP",
        "ORCAP",
        "TPATCH",
        "TPATH16",
        "TPATH24",
        "TPATH72",
        "SUPP",
        "RECSUPP",
        "ORTROCHE",
    ],
)
def test_every_form_code_counts_units_of_the_product(code: str) -> None:
    two = Quantity(Decimal(2), code)
    twice = Dosage(
        dose_low=two, dose_high=two, frequency=Decimal(1), period=Decimal(1), period_unit="d"
    )
    product = Component("naltrexone", "7243", Role.NTX_ORAL, Strength(Decimal("1.5")))
    assert Decimal(3) == compute((twice,), product).daily_mg


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("naltrexone 1% cream", Role.NTX_TOPICAL),
        ("naltrexone 4.5 mg capsule and 1% cream", Role.NTX_ORAL),
        ("naltrexone topical or oral", Role.NTX_ORAL),
        ("naltrexone injection, topical anaesthetic first", Role.NTX_XR),
    ],
)
def test_naltrexone_that_may_be_swallowed_or_injected_is_not_topical(
    terminology: Terminology, text: str, role: Role
) -> None:
    assert [role] == [c.role for c in terminology.recognise(Drug(Concept(text=text))).components]


def test_dependence_with_withdrawal_is_both(terminology: Terminology) -> None:
    assert {
        ConditionKind.OPIOID_WITHDRAWAL,
        ConditionKind.OPIOID_USE_DISORDER,
    } <= terminology.classify(Concept(text="Opioid dependence with withdrawal"))


def test_a_name_at_the_very_start_of_a_long_text_keeps_its_strength(
    terminology: Terminology,
) -> None:
    (found,) = terminology.recognise(
        Drug(Concept(text="Naltrexone 4.5 mg capsule" + " see note" * 300))
    ).components
    assert Strength(Decimal("4.5")) == found.strength


@pytest.mark.parametrize(
    "text",
    [
        "buprenorphine buccal film extended-release",
        "buprenorphine ER patch",
        "buprenorphine ER tablet",
        "buprenorphine sublingual monthly",
    ],
)
def test_a_slow_buprenorphine_film_patch_or_tablet_is_no_depot(
    terminology: Terminology, text: str
) -> None:
    assert [Role.BUP] == [
        c.role for c in terminology.recognise(Drug(Concept(text=text))).components
    ]


@pytest.mark.parametrize(
    ("amount", "mg"),
    [
        ("5 mg", "5"),
        ("5 milligram", "5"),
        ("5 milligrams", "5"),
        ("5 mcg", "0.005"),
        ("5 ug", "0.005"),
        ("5 microgram", "0.005"),
        ("5 micrograms", "0.005"),
        ("5 ng", "0.000005"),
        ("0.05 g", "50"),
        ("0.05 gm", "50"),
        ("0.05 gram", "50"),
        ("0.05 grams", "50"),
    ],
)
def test_every_spelling_of_a_mass_is_read_in_the_name_of_a_product(
    terminology: Terminology, amount: str, mg: str
) -> None:
    (found,) = terminology.recognise(Drug(Concept(text=f"naltrexone {amount} capsule"))).components
    assert Strength(Decimal(mg)) == found.strength


def test_products_of_different_form_have_different_keys(terminology: Terminology) -> None:
    """A renewal is the same product: a lozenge is none of a tablet."""
    forms = (
        "",
        "tablet",
        "solution",
        "cream",
        "patch",
        "injection",
        "implant",
        "nasal spray",
        "lozenge",
        "suppository",
        "extended-release tablet",
        "extended-release patch",
    )
    keys = {
        terminology.recognise(Drug(Concept(text=f"buprenorphine 2 mg {form}"))).product_key
        for form in forms
    }
    assert len(forms) == len(keys)


@pytest.mark.parametrize(
    ("code", "role"),
    [
        ("218986", Role.FULL_LA),
        ("151678", Role.FULL_LA),
        ("1551469", Role.NTX_BUP),
        ("636556", Role.NTX_XR),
        ("1996185", Role.BUP_DEPOT),
        ("854137", Role.DUAL),
    ],
)
def test_the_code_of_a_brand_alone_gives_its_role(
    terminology: Terminology, code: str, role: Role
) -> None:
    """OxyContin, Duragesic, Contrave, Vivitrol, Sublocade and Nucynta, by the RxNorm code of the brand name."""
    named = Coding("http://www.nlm.nih.gov/research/umls/rxnorm", code)
    assert [role] == [c.role for c in terminology.recognise(Drug(Concept((named,)))).components]


@pytest.mark.parametrize(
    ("text", "mg"),
    [
        ("take 3 mg daily, increase 1.5 mg every 2 weeks to 4.5 mg daily", "4.5"),
        ("take 0.5 mg twice daily, increase to 2 mg", "4"),
    ],
)
def test_an_increase_begins_afresh_at_its_own_words(text: str, mg: str) -> None:
    """Neither the size of a step nor a maximum of an earlier one is taken for where it leads."""
    assert Decimal(mg) == read_sig(text, None).daily_mg


def test_what_a_dose_is_mixed_with_is_no_second_dose() -> None:
    assert (
        Decimal("4.5") == read_sig("take 4.5 mg (dissolved in 30 ml of juice) daily", None).daily_mg
    )
