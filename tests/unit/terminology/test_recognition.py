"""What the terminology makes of a drug as it is written: codes, words, compounding lines, form and route."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from importlib.resources import files
from itertools import permutations
from pathlib import Path

import pytest

from cds_service.model import (
    Coding,
    Component,
    Concept,
    Drug,
    Identity,
    IngredientLine,
    Quantity,
    Recognition,
    Role,
    Strength,
)
from cds_service.terminology import Terminology, load, says_ldn

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
NDC = "http://hl7.org/fhir/sid/ndc"
ATC = "http://www.whocc.no/atc"
SNOMED = "http://snomed.info/sct"
LOCAL = "urn:example:formulary"


@pytest.fixture(scope="module")
def terminology() -> Terminology:
    return load()


def coded(code: str, system: str = RXNORM, display: str = "", text: str = "") -> Drug:
    return Drug(Concept((Coding(system, code, display),), text))


def written(text: str) -> Drug:
    return Drug(Concept(text=text))


def roles(found: Recognition) -> dict[str, Role]:
    return {c.ingredient: c.role for c in found.components}


def mg(found: Recognition, ingredient: str = "naltrexone") -> Strength | None:
    return next(c.strength for c in found.components if c.ingredient == ingredient)


# --- codes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "system",
    [
        RXNORM,
        RXNORM + "/",
        "https://www.nlm.nih.gov/research/umls/rxnorm",
        "http://nlm.nih.gov/research/umls/rxnorm",
        "HTTP://WWW.NLM.NIH.GOV/RESEARCH/UMLS/RXNORM",
        "urn:oid:2.16.840.1.113883.6.88",
    ],
)
def test_rxnorm_is_read_under_the_spellings_of_its_uri(
    terminology: Terminology, system: str
) -> None:
    assert {"oxycodone": Role.FULL_SA} == roles(terminology.recognise(coded("1049621", system)))


def test_a_code_counts_only_in_its_own_system(terminology: Terminology) -> None:
    """1049621 is oxycodone in RxNorm and nothing in a local catalogue, in SNOMED CT or without a system."""
    found = [
        terminology.recognise(coded("1049621", system)) for system in (LOCAL, SNOMED, ATC, NDC, "")
    ]
    assert [(False, ())] * 5 == [(r.identified, r.components) for r in found]


@pytest.mark.parametrize(
    "code",
    [
        "00406-0512-01",
        "00406051201",
        "0406-0512-01",
        "0406051201",
        " 00406-0512-01 ",
        "NDC 0406-0512-01",
        "NDC:00406051201",
        "0406-0512",
        "00406-0512",
    ],
)
def test_ndc_is_read_with_and_without_hyphens_label_and_package(
    terminology: Terminology, code: str
) -> None:
    found = terminology.recognise(coded(code, NDC))
    assert ({"oxycodone": Role.FULL_SA}, True) == (roles(found), found.identified)


@pytest.mark.parametrize(
    "code", ["99999-9999-99", "0406-9999", "12-34-56", "0406/0512/01", "abc", "1" * 50, "--"]
)
def test_an_unknown_ndc_alone_identifies_nothing(terminology: Terminology, code: str) -> None:
    assert Recognition(Identity.UNREADABLE) == terminology.recognise(coded(code, NDC))


def test_ten_digits_that_may_be_two_different_drugs_are_nothing(tmp_path: Path) -> None:
    """0123456789 is 00123456789, 01234056789 or 01234567809: known readings must agree on the ingredients."""
    data = files("cds_service.terminology") / "data"
    (tmp_path / "products.csv").write_text(
        (data / "products.csv").read_text(encoding="utf-8"), encoding="utf-8"
    )
    (tmp_path / "ndc.csv").write_text(
        "ndc11,rxcui\n00123456789,1049621\n01234056789,1483744\n"
        "05555555555,1049621\n55555055555,1049683\n"
    )
    terminology = load(tmp_path)
    found = [
        roles(terminology.recognise(coded(code, NDC)))
        for code in ("0123456789", "5555555555", "00123-4567-89")
    ]
    assert [{}, {"oxycodone": Role.FULL_SA}, {"oxycodone": Role.FULL_SA}] == found


def test_atc_names_the_drug_and_its_partners(terminology: Terminology) -> None:
    found = {
        code: roles(terminology.recognise(coded(code, ATC)))
        for code in (
            "N07BB04",
            "N07BB05",
            "A08AA62",
            "N02AA05",
            "N02AJ06",
            "N07BC02",
            "N02AX02",
            "R05DA08",
            "A07DA03",
        )
    }
    assert {
        "N07BB04": {"naltrexone": Role.NTX_ORAL},
        "N07BB05": {"nalmefene": Role.OTHER_ANTAG},
        "A08AA62": {"naltrexone": Role.NTX_BUP},
        "N02AA05": {"oxycodone": Role.FULL_SA},
        "N02AJ06": {"codeine": Role.FULL_SA},
        "N07BC02": {"methadone": Role.METHADONE},
        "N02AX02": {"tramadol": Role.DUAL},
        "R05DA08": {"pholcodine": Role.ANTITUSSIVE},
        "A07DA03": {"loperamide": Role.PERIPH},
    } == found


@pytest.mark.parametrize(
    ("code", "role"),
    [
        ("373546002", Role.NTX_ORAL),
        ("779245001", Role.FULL_LA),
        ("51758009", Role.METHADONE),
        ("769238002", Role.BUP),
    ],
)
def test_snomed_codes_of_our_drugs_are_read(
    terminology: Terminology, code: str, role: Role
) -> None:
    found = terminology.recognise(coded(code, SNOMED + "/731000124108"))
    assert [role] == [c.role for c in found.components]


def test_a_snomed_code_with_a_wrong_check_digit_is_not_ours(terminology: Terminology) -> None:
    """2032002 circulates for hydrocodone and 744937001 for buprenorphine/naloxone: both are typing errors."""
    assert [False, False] == [
        terminology.recognise(coded(c, SNOMED)).identified for c in ("2032002", "744937001")
    ]


def test_a_unii_names_its_substance(terminology: Terminology) -> None:
    assert {"naltrexone": Role.NTX_ORAL} == roles(
        terminology.recognise(coded("5S6W795CQM", "http://fdasis.nlm.nih.gov"))
    )


# --- what is identified ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drug", "identified"),
    [
        (coded("310965"), False),  # a number that no table holds says nothing
        (coded("99999999"), False),  # newer than our tables: cannot tell
        (coded("0"), False),
        (coded("x12"), False),
        (coded(""), False),
        (coded("M01AE01", ATC), True),
        (coded("M01AE", ATC), False),  # the group holds ibuprofen with codeine
        (coded("C09AA", ATC), True),
        (coded("N02A", ATC), False),
        (coded("387207008", SNOMED), False),
        (coded("A1", LOCAL), False),
        (coded("A1", LOCAL, display="Ibuprofen 600 MG Oral Tablet"), True),
        (written("Ibuprofen 600 MG Oral Tablet"), True),
        (written("Advil"), True),
        (Drug(), False),
        (written("   "), False),
        (written("--- ... !"), False),
        (written("12345 67"), False),
        (written("unknown"), False),
        (written("Medication"), False),
        (written("Unknown medication"), False),
        (written("see notes"), False),
        (written("compounded capsule 4.5 mg"), False),
        (written("2f1c6e2a-9b1d-4c7e-8a55-0123456789ab"), False),
        (written("http://ehr.example.org/Medication/amoxicillin"), False),
        (written("urn:oid:1.2.3"), False),
        (Drug(ingredients=(IngredientLine(Concept(text="Ibuprofen")),)), True),
        (Drug(ingredients=(IngredientLine(Concept()),)), False),
        (Drug(form=Concept(text="Oral tablet")), False),
    ],
)
def test_a_drug_is_identified_only_where_something_readable_names_it(
    terminology: Terminology, drug: Drug, identified: bool
) -> None:
    found = terminology.recognise(drug)
    assert (identified, ()) == (found.identified, found.components)


# --- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Methylnaltrexone bromide 12 MG/0.6 ML injection (Relistor)",
        "Naloxone hydrochloride 40 MG/ML Nasal Spray",
        "Narcan",
        "Nalmefene 2.7 MG/ACTUAT Nasal Spray",
        "Naloxegol 25 MG Oral Tablet",
        "Apomorphine 10 mg/mL injection",
        "Papaverine 30 MG/ML Injectable Solution",
        "Dextromethorphan 2 MG/ML Oral Solution",
        "Lofexidine 0.18 mg tablet",
        "Ketorolac 10 MG Oral Tablet",
        "Trexall 5 mg",
        "Toradol",
        "Lodine 400 mg",
        "Bupropion 150 mg ER tablet",
        "hydrocortisone 10 mg",
        "Revatio 20 mg",
        "Robafen",
        "Ninjacof",
        "Tylenol 325 mg",
        "T3 25 mcg",
        "MS 10 mg PO",
        "Metformin 500 mg",
        "Nalidixic acid",
        "LDN-193189 10 mg",
        "ldnx",
        "Allay the pain",
    ],
)
def test_look_alikes_have_no_component(terminology: Terminology, text: str) -> None:
    assert () == terminology.recognise(written(text)).components


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("LDN 4.5 mg cap", {"naltrexone": Role.NTX_ORAL}),
        ("LDN-4.5mg", {"naltrexone": Role.NTX_ORAL}),
        ("ULDN 2 mcg", {"naltrexone": Role.NTX_ORAL}),
        ("Low dose naltrexone", {"naltrexone": Role.NTX_ORAL}),
        ("NALTREXONE (LOW DOSE)", {"naltrexone": Role.NTX_ORAL}),
        ("naltrexone50mg", {"naltrexone": Role.NTX_ORAL}),
        ("NaltrexoneHCl 50mg tab", {"naltrexone": Role.NTX_ORAL}),
        ("naltraxone 50 mg", {"naltrexone": Role.NTX_ORAL}),
        ("Nal\u200btrexone 50 mg", {"naltrexone": Role.NTX_ORAL}),
        ("naltrexona 50 mg", {"naltrexone": Role.NTX_ORAL}),
        ("Revia", {"naltrexone": Role.NTX_ORAL}),
        ("Naltrexone 4.5 mg SR capsule", {"naltrexone": Role.NTX_ORAL}),
        ("Naltrexone 1 mg/mL oral solution in oral syringe", {"naltrexone": Role.NTX_ORAL}),
        ("Vivitrol", {"naltrexone": Role.NTX_XR}),
        ("naltrexone 380 mg IM monthly", {"naltrexone": Role.NTX_XR}),
        ("naltrexone implant", {"naltrexone": Role.NTX_IMPLANT}),
        ("naltrexone pellet 1 g", {"naltrexone": Role.NTX_IMPLANT}),
        ("ldn 4.5 mg capsule", {"naltrexone": Role.NTX_ORAL}),
        ("n\u0430ltrexone", {"naltrexone": Role.NTX_ORAL}),
        ("MSO4 4 mg IV", {"morphine": Role.FULL_SA}),
        ("T3", {"codeine": Role.FULL_SA}),
        ("Lybalvi", {"samidorphan": Role.OTHER_ANTAG}),
        ("Selincro", {"nalmefene": Role.OTHER_ANTAG}),
        ("nalmefene 18 mg", {"nalmefene": Role.OTHER_ANTAG}),
        ("kratom 10 g", {"kratom": Role.OPIOID_LIKE}),
        ("tianeptine", {"tianeptine": Role.OPIOID_LIKE}),
        ("pholcodine linctus", {"pholcodine": Role.ANTITUSSIVE}),
        ("налтрексон 4.5", {"naltrexone": Role.NTX_ORAL}),
        ("naltrexone ER", {"naltrexone": Role.NTX_XR}),
        ("XR-NTX", {"naltrexone": Role.NTX_XR}),
        ("Contrave 8-90 mg ER tablet", {"naltrexone": Role.NTX_BUP}),
        ("Mysimba", {"naltrexone": Role.NTX_BUP}),
        ("naltrexone 1% vanishing cream", {"naltrexone": Role.NTX_TOPICAL}),
        ("naltrexone ophthalmic solution", {"naltrexone": Role.NTX_TOPICAL}),
        ("naltrexone gel capsule 3 mg", {"naltrexone": Role.NTX_ORAL}),
        ("codéine 30 mg", {"codeine": Role.FULL_SA}),
        ("ｏｘｙｃｏｄｏｎｅ", {"oxycodone": Role.FULL_SA}),
        ("Dihydrocodeine 30 mg", {"dihydrocodeine": Role.FULL_SA}),
        ("Hydromorphone 2 mg", {"hydromorphone": Role.FULL_SA}),
        ("OxyContin 10 mg", {"oxycodone": Role.FULL_LA}),
        ("MS Contin 15 mg", {"morphine": Role.FULL_LA}),
        ("morphine ER 30 mg", {"morphine": Role.FULL_LA}),
        ("Xtampza", {"oxycodone": Role.FULL_LA}),
        ("Hysingla", {"hydrocodone": Role.FULL_LA}),
        ("Zohydro 10 mg", {"hydrocodone": Role.FULL_LA}),
        ("Kadian", {"morphine": Role.FULL_LA}),
        ("oxycodone q12 hr prn", {"oxycodone": Role.FULL_SA}),
        ("oxycodone 5 mg every 12 hours", {"oxycodone": Role.FULL_SA}),
        ("levorphanol 2 mg", {"levorphanol": Role.FULL_LA}),
        ("fentanyl 25 mcg/hr patch", {"fentanyl": Role.FULL_LA}),
        ("Duragesic", {"fentanyl": Role.FULL_LA}),
        ("fentanyl 100 mcg buccal tablet", {"fentanyl": Role.FULL_SA}),
        ("Fentanyl 0.05 MG/ML", {"fentanyl": Role.FULL_SA}),
        ("tramadol 50 mg", {"tramadol": Role.DUAL}),
        ("Ultram ER 100 mg", {"tramadol": Role.FULL_LA}),
        ("ConZip 100 mg", {"tramadol": Role.FULL_LA}),
        ("Nucynta 50 mg", {"tapentadol": Role.DUAL}),
        ("Nucynta ER 50 mg", {"tapentadol": Role.FULL_LA}),
        ("Opana 5 mg", {"oxymorphone": Role.FULL_SA}),
        ("Opana ER 5 mg", {"oxymorphone": Role.FULL_LA}),
        ("Exalgo", {"hydromorphone": Role.FULL_LA}),
        ("Suboxone 8-2 mg film", {"buprenorphine": Role.BUP}),
        ("Butrans 10 mcg/hr", {"buprenorphine": Role.BUP}),
        ("Belbuca 150 mcg", {"buprenorphine": Role.BUP}),
        ("Buprenex 0.3 mg/mL", {"buprenorphine": Role.BUP}),
        ("buprenorphine 0.3 mg/mL prefilled syringe", {"buprenorphine": Role.BUP}),
        ("Buprenorphine 300 mg prefilled syringe (Sublocade)", {"buprenorphine": Role.BUP_DEPOT}),
        ("Brixadi 64 mg", {"buprenorphine": Role.BUP_DEPOT}),
        ("Probuphine", {"buprenorphine": Role.BUP_DEPOT}),
        ("buprenorphine ER injection 100 mg", {"buprenorphine": Role.BUP_DEPOT}),
        ("pentazocine 50 mg / naloxone 0.5 mg", {"pentazocine": Role.MIXED}),
        ("Stadol NS", {"butorphanol": Role.MIXED}),
        (
            "Oxycodone 10 MG / naloxone 5 MG Extended Release Oral Tablet",
            {"oxycodone": Role.FULL_LA},
        ),
        ("promethazine-codeine syrup", {"codeine": Role.ANTITUSSIVE}),
        ("Tussionex", {"hydrocodone": Role.ANTITUSSIVE}),
        ("Cheratussin DAC", {"codeine": Role.ANTITUSSIVE}),
        ("Hycodan", {"hydrocodone": Role.ANTITUSSIVE}),
        ("hydrocodone/homatropine 5-1.5 mg", {"hydrocodone": Role.ANTITUSSIVE}),
        ("acetaminophen/codeine/guaifenesin", {"codeine": Role.FULL_SA}),
        ("Tylenol #3", {"codeine": Role.FULL_SA}),
        ("Fioricet with codeine", {"codeine": Role.FULL_SA}),
        ("codeine 30 mg tablet", {"codeine": Role.FULL_SA}),
        ("Morphine 0.1% topical gel (compounded)", {}),
        ("Imodium", {"loperamide": Role.PERIPH}),
        ("Lomotil", {"diphenoxylate": Role.PERIPH}),
        ("opium tincture", {"opium": Role.FULL_SA}),
        ("MSIR 15 mg", {"morphine": Role.FULL_SA}),
        ("msir", {"morphine": Role.FULL_SA}),
        ("DHC 30 mg", {"dihydrocodeine": Role.FULL_SA}),
    ],
)
def test_words_give_ingredient_and_role(
    terminology: Terminology, text: str, found: dict[str, Role]
) -> None:
    assert found == roles(terminology.recognise(written(text)))


def test_embeda_by_brand_or_by_words_is_its_opioid_alone(terminology: Terminology) -> None:
    generic = "Abuse-Deterrent morphine sulfate 50 MG / naltrexone hydrochloride 2 MG Extended Release Oral Capsule"
    texts = ("Embeda", "Troxyca ER", generic, "morphine-naltrexone ER 20 mg-0.8 mg capsule")
    found = [terminology.recognise(written(t)) for t in texts]
    assert [(True, False, [Role.FULL_LA])] * 4 == [
        (r.sequestered, r.combined, [c.role for c in r.components]) for r in found
    ]


def test_embeda_stays_sequestered_where_only_its_strength_is_disputed(
    terminology: Terminology,
) -> None:
    found = terminology.recognise(coded("863852", text="Embeda 30 mg-1.2 mg capsule"))
    assert (True, {"morphine": Role.FULL_LA}, None) == (
        found.sequestered,
        roles(found),
        mg(found, "morphine"),
    )


def test_a_compounded_opioid_with_microgram_naltrexone_is_both(terminology: Terminology) -> None:
    found = terminology.recognise(written("Oxycodone 5 mg / naltrexone 1 mcg capsule (compounded)"))
    assert (True, False, "") == (found.combined, found.sequestered, found.conflict)
    assert (
        Component("oxycodone", "7804", Role.FULL_SA, Strength(Decimal(5))),
        Component("naltrexone", "7243", Role.NTX_ORAL, Strength(Decimal("0.001"))),
    ) == found.components


@pytest.mark.parametrize(
    ("text", "identified", "found"),
    [
        ("naltexone 4.5 mg capsule", True, {"naltrexone": Role.NTX_ORAL}),
        ("nalrexone 50 mg", True, {"naltrexone": Role.NTX_ORAL}),
        ("naltroxone 380 mg injection", True, {"naltrexone": Role.NTX_XR}),
        ("naltroxone", False, {}),
        ("naltroxone nasal spray 4 mg", False, {}),
        ("naltexone 0.4 mg/mL injection", False, {}),
    ],
)
def test_a_spelling_between_naltrexone_and_naloxone_needs_an_oral_form(
    terminology: Terminology, text: str, identified: bool, found: dict[str, Role]
) -> None:
    """Never guessed: without an oral form, or 380 mg, it is an unreadable drug, neither naltrexone nor naloxone."""
    read = terminology.recognise(written(text))
    assert (identified, found) == (read.identified, roles(read))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LDN", True),
        ("LDN 4.5 mg", True),
        ("ULDN", True),
        ("LDN protocol: take 50 mg at bedtime", True),
        ("low-dose naltrexone", True),
        ("Low Dose  Naltrexone", True),
        ("naltrexone (low dose)", True),
        ("low dose (4.5 mg) naltrexone", True),
        ("LDN-193189", False),
        ("ldn", True),
        ("Ldn 3 mg", True),
        ("XLDN", False),
        ("LDNs", False),
        ("naltrexone 50 mg", False),
        ("low dose aspirin, naltrexone", False),
        ("", False),
    ],
)
def test_says_ldn(terminology: Terminology, text: str, expected: bool) -> None:
    """Low-dose naltrexone is heard only where it is said; a research compound does not say it."""
    assert (expected, expected) == (says_ldn(text), terminology.recognise(written(text)).ldn_text)


# --- form and route --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drug", "role"),
    [
        (Drug(Concept(text="Naltrexone"), route=Concept(text="Intramuscular")), Role.NTX_XR),
        (
            Drug(Concept(text="Naltrexone"), route=Concept((Coding(SNOMED, "78421000"),))),
            Role.NTX_XR,
        ),
        (Drug(Concept(text="Naltrexone"), form=Concept(text="Cream")), Role.NTX_TOPICAL),
        (
            Drug(Concept(text="Naltrexone 1%"), route=Concept((Coding(SNOMED, "6064005"),))),
            Role.NTX_TOPICAL,
        ),
        (
            Drug(Concept((Coding(RXNORM, "7243"),)), form=Concept(text="topical gel")),
            Role.NTX_TOPICAL,
        ),
        (
            Drug(Concept((Coding(RXNORM, "1483744"),)), form=Concept(text="topical gel")),
            Role.NTX_ORAL,
        ),
        (
            Drug(Concept(text="Morphine"), form=Concept(text="Extended release tablet")),
            Role.FULL_LA,
        ),
        (Drug(Concept((Coding(RXNORM, "7052"),), "MS Contin 15 mg")), Role.FULL_LA),
        (Drug(Concept((Coding(RXNORM, "1049621"),), "oxycodone ER")), Role.FULL_SA),
        (Drug(Concept(text="Fentanyl"), route=Concept(text="Transdermal")), Role.FULL_LA),
    ],
)
def test_form_and_route_decide_where_the_code_does_not(
    terminology: Terminology, drug: Drug, role: Role
) -> None:
    assert [role] == [c.role for c in terminology.recognise(drug).components]


def test_a_topical_route_takes_an_opioid_away(terminology: Terminology) -> None:
    found = terminology.recognise(
        Drug(Concept(text="Morphine 1 mg/g"), route=Concept(text="topical"))
    )
    assert (True, ()) == (found.identified, found.components)


# --- strengths --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "strength"),
    [
        ("naltrexone hydrochloride 50 MG Oral Tablet", Strength(Decimal(50))),
        ("Naltrexone 4.5 mg oral capsule (compounded)", Strength(Decimal("4.5"))),
        ("Naltrexone 100 mcg capsule", Strength(Decimal("0.1"))),
        ("naltrexone 500 \u00b5g cap", Strength(Decimal("0.5"))),
        ("naltrexone 500 \u03bcg cap", Strength(Decimal("0.5"))),
        ("naltrexone 500 ug cap", Strength(Decimal("0.5"))),
        ("naltrexone 500 micrograms", Strength(Decimal("0.5"))),
        ("Naltrexone 0.05 g tablet", Strength(Decimal(50))),
        ("LDN 4.5 mg cap", Strength(Decimal("4.5"))),
        ("4.5 mg naltrexone capsule", Strength(Decimal("4.5"))),
        ("naltrexone 0.5mg", Strength(Decimal("0.5"))),
        ("naltrexone .5 mg", Strength(Decimal("0.5"))),
        ("naltrexone 4,5 mg", Strength(Decimal("4.5"))),
        ("naltrexone 4.5mg/tab", Strength(Decimal("4.5"))),
        ("naltrexone 4.5 mg per capsule, #30", Strength(Decimal("4.5"))),
        ("naltrexone 50-mg tablet", Strength(Decimal(50))),
        ("Low Dose Naltrexone (LDN) 3 mg", Strength(Decimal(3))),
        ("Naltrexone, compounded, 3 mg", Strength(Decimal(3))),
        ("Naltrexone 1 mg/mL oral solution", Strength(Decimal(1), Decimal(1), "mL")),
        ("Naltrexone 2 mg / 0.5 mL", Strength(Decimal(2), Decimal("0.5"), "mL")),
        ("naltrexone 5 mg/5mL susp", Strength(Decimal(5), Decimal(5), "mL")),
        (
            "Contrave (bupropion 90 MG / naltrexone 8 MG) Extended Release Oral Tablet",
            Strength(Decimal(8)),
        ),
        ("Contrave 8-90 mg", Strength(Decimal(8))),
        ("Naltrexone 380 MG Injection", Strength(Decimal(380))),
        ("Naltrexone capsule", None),
        ("Naltrexone 1% cream", None),
        ("LDN oral solution 4.5 mg", None),
        ("Naltrexone 1.5 mg and 3 mg capsules", None),
        ("Naltrexone 50 mg tablet (4.5 mg dose)", None),
        ("naltrexone 1 mg/kg", None),
        ("naltrexone 10 mg/g cream", None),
        ("naltrexone 4.5 mg/day", None),
        ("naltrexone 0 mg", None),
        ("naltrexone 1,500 mcg", None),
        ("naltrexone 4.5", None),
        ("dextromethorphan 10 mg / naltrexone", None),
    ],
)
def test_strength_of_naltrexone_by_its_words(
    terminology: Terminology, text: str, strength: Strength | None
) -> None:
    """Milligrams per unit or per mL where the words are clear, and nothing where they are not."""
    assert strength == mg(terminology.recognise(written(text)))


@pytest.mark.parametrize(
    ("text", "ingredient", "milligrams"),
    [
        ("Percocet 5/325", "oxycodone", "5"),
        ("hydrocodone-acetaminophen 10-325 mg", "hydrocodone", "10"),
        ("acetaminophen-codeine 300-30 mg", "codeine", "30"),
        ("Norco 7.5/325", "hydrocodone", "7.5"),
        ("acetaminophen 325 MG / oxycodone hydrochloride 5 MG Oral Tablet", "oxycodone", "5"),
        ("oxycodone 5 mg/acetaminophen 325 mg", "oxycodone", "5"),
    ],
)
def test_strength_of_an_opioid_beside_its_partner(
    terminology: Terminology, text: str, ingredient: str, milligrams: str
) -> None:
    assert Strength(Decimal(milligrams)) == mg(terminology.recognise(written(text)), ingredient)


def test_strength_by_code_is_that_of_the_rxnorm_name(terminology: Terminology) -> None:
    codes = ("1483744", "637213", "1551468", "7243", "372990")
    found = {code: mg(terminology.recognise(coded(code))) for code in codes}
    assert {
        "1483744": Strength(Decimal(50)),
        "637213": Strength(Decimal(380)),
        "1551468": Strength(Decimal(8)),
        "7243": None,
        "372990": None,
    } == found


def test_code_and_words_with_different_strengths_leave_none(terminology: Terminology) -> None:
    """A 50 mg code on a 4.5 mg capsule: nobody can tell which, so the strength is unknown and said to be."""
    found = terminology.recognise(coded("1483744", text="Naltrexone 4.5 mg capsule"))
    assert (None, "strength of naltrexone: 4.5 mg or 50 mg") == (mg(found), found.conflict)


def test_a_strength_per_syringe_does_not_contradict_one_per_ml(terminology: Terminology) -> None:
    found = terminology.recognise(
        coded("1996192", text="Buprenorphine 300 mg prefilled syringe (Sublocade)")
    )
    assert ("", Strength(Decimal(200), Decimal(1), "mL")) == (
        found.conflict,
        mg(found, "buprenorphine"),
    )


def line(
    text: str, amount: str | None, unit: str = "mg", per: str | None = None, per_unit: str = ""
) -> IngredientLine:
    below = Quantity(Decimal(per), per_unit) if per else None
    return IngredientLine(
        Concept(text=text), Quantity(Decimal(amount), unit) if amount else None, below
    )


@pytest.mark.parametrize(
    ("compounded", "strength"),
    [
        (line("Naltrexone", "4.5", "mg", "1", "{capsule}"), Strength(Decimal("4.5"))),
        (line("Naltrexone", "4.5", "mg", "1", "CAP"), Strength(Decimal("4.5"))),
        (line("Naltrexone", "500", "ug", "1", ""), Strength(Decimal("0.5"))),
        (line("Naltrexone", "1", "mg", "1", "mL"), Strength(Decimal(1), Decimal(1), "mL")),
        (line("Naltrexone", "4.5"), Strength(Decimal("4.5"))),
        (line("Naltrexone", "4.5", "mg", "1", "g"), None),
        (line("Naltrexone", "4.5", "%"), None),
        (line("Naltrexone", None), None),
        (line("Naltrexone", "4.5", "mg", "0", "mL"), None),
    ],
)
def test_strength_of_a_compounding_line(
    terminology: Terminology, compounded: IngredientLine, strength: Strength | None
) -> None:
    drug = Drug(
        Concept(text="Compounded product"),
        (compounded, IngredientLine(Concept(text="microcrystalline"))),
    )
    assert strength == mg(terminology.recognise(drug))


def test_a_compounding_line_beats_the_words(terminology: Terminology) -> None:
    drug = Drug(
        Concept(text="Naltrexone 1 mg/mL"), (line("Naltrexone", "4.5", "mg", "1", "capsule"),)
    )
    assert Strength(Decimal("4.5")) == mg(terminology.recognise(drug))


def test_each_compounding_line_keeps_its_own_strength(terminology: Terminology) -> None:
    oxycodone = Concept((Coding(RXNORM, "7804"),))
    lines = (
        line("Naltrexone", "1", "mcg", "1", "capsule"),
        IngredientLine(oxycodone, Quantity(Decimal(5), "mg"), Quantity(None, "capsule")),
    )
    drug = Drug(Concept(text="Oxycodone/naltrexone capsule"), lines)
    found = terminology.recognise(drug)
    assert (True, Strength(Decimal("0.001")), Strength(Decimal(5))) == (
        found.combined,
        mg(found),
        mg(found, "oxycodone"),
    )


# --- code against words ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drug", "components", "conflict"),
    [
        (
            coded("352364", text="Buprenorphine / Naltrexone"),
            {"buprenorphine": Role.BUP, "naltrexone": Role.NTX_ORAL},
            "code: buprenorphine, naloxone; text: buprenorphine, naltrexone",
        ),
        (
            coded("351265", text="naltrexone 50 mg tablet"),
            {"buprenorphine": Role.BUP, "naltrexone": Role.NTX_ORAL},
            "code: buprenorphine; text: naltrexone",
        ),
        (
            coded("1049621", display="hydrocodone 5 mg"),
            {"oxycodone": Role.FULL_SA, "hydrocodone": Role.FULL_SA},
            "code: oxycodone; text: hydrocodone",
        ),
        (
            coded("1049621", text="oxycodone / naltrexone"),
            {"oxycodone": Role.FULL_SA, "naltrexone": Role.NTX_ORAL},
            "code: oxycodone; text: naltrexone, oxycodone",
        ),
        (
            coded("1725059", text="Naltrexone 50 mg tablet"),
            {"naltrexone": Role.NTX_ORAL},
            "code: naloxone; text: naltrexone",
        ),
        (
            coded("310965", display="ibuprofen 200 MG Oral Tablet", text="oxycodone 5 mg"),
            {"oxycodone": Role.FULL_SA},
            "text: oxycodone; text: ibuprofen",
        ),
        (
            coded("M01AE01", ATC, text="oxycodone 5 mg"),
            {"oxycodone": Role.FULL_SA},
            "code: another drug (atc M01AE01); text: oxycodone",
        ),
        (
            Drug(Concept((Coding(LOCAL, "1", "Naloxone 4 mg spray"),), "Naltrexone")),
            {"naltrexone": Role.NTX_ORAL},
            "texts: naloxone, naltrexone",
        ),
        (
            Drug(Concept((Coding(RXNORM, "1049621"), Coding(RXNORM, "1483744")))),
            {"oxycodone": Role.FULL_SA, "naltrexone": Role.NTX_ORAL},
            "codes: naltrexone, oxycodone",
        ),
        (
            Drug(Concept(text="Morphine 10 mg"), (line("Naltrexone", "1"),)),
            {"morphine": Role.FULL_SA, "naltrexone": Role.NTX_ORAL},
            "text: morphine; ingredient lines: naltrexone",
        ),
        (
            written("Vivitrol (oxycodone)"),
            {"naltrexone": Role.NTX_XR, "oxycodone": Role.FULL_SA},
            "brand: naltrexone; text: oxycodone",
        ),
        (
            coded("863852", text="naltrexone 50 mg"),
            {"morphine": Role.FULL_LA, "naltrexone": Role.NTX_ORAL},
            "code: morphine, naltrexone; text: naltrexone; strength of naltrexone: 2 mg or 50 mg",
        ),
    ],
)
def test_a_contradiction_shows_both_sides_and_says_so(
    terminology: Terminology, drug: Drug, components: dict[str, Role], conflict: str
) -> None:
    found = terminology.recognise(drug)
    assert (components, conflict, False, False) == (
        roles(found),
        found.conflict,
        found.combined,
        found.sequestered,
    )


@pytest.mark.parametrize(
    "drug",
    [
        coded("1049621", text="Roxicodone 5 mg"),
        coded("1010604", text="Suboxone"),
        coded("351265", text="Subutex"),
        coded("7804", text="oxycodone 5 mg / naltrexone 1 mcg"),
        coded("863852", text="morphine ER"),
        coded("310965", text="oxycodone 5 mg"),
        coded("99999999", display="oxycodone", text="oxycodone 5 mg"),
        coded("310965", display="Oxy 5 mg tab", text="oxycodone 5 mg"),
        coded("310965", display="oxycodone of the house", text="oxycodone 5 mg"),
        coded("A1", LOCAL, "oxy", "oxycodone"),
        Drug(Concept((Coding(RXNORM, "7804"), Coding(RXNORM, "7243")))),
    ],
)
def test_saying_less_or_the_same_is_no_contradiction(terminology: Terminology, drug: Drug) -> None:
    """An unknown code beside a readable text is just an unknown code."""
    found = terminology.recognise(drug)
    assert ("", True) == (found.conflict, bool(found.components))


def test_ingredients_beat_brand_among_opioids(terminology: Terminology) -> None:
    found = terminology.recognise(written("oxycodone 5 mg (Norco)"))
    assert ({"oxycodone": Role.FULL_SA}, "brand: hydrocodone; text: oxycodone") == (
        roles(found),
        found.conflict,
    )


def test_the_wrong_vivitrol_code_in_circulation_is_another_drug(terminology: Terminology) -> None:
    """1116442 is published as naltrexone 380 MG and is in no release: the code alone shows no naltrexone."""
    assert () == terminology.recognise(coded("1116442")).components


# --- order, keys, memory -------------------------------------------------------------------------------------------


def test_the_order_of_codings_and_lines_changes_nothing(terminology: Terminology) -> None:
    codings = (
        Coding(RXNORM, "1049621", "oxycodone"),
        Coding(NDC, "00406051201", "Roxicodone 5 mg"),
        Coding(LOCAL, "7", "naltrexone 1 mcg"),
    )
    lines = (line("Naltrexone", "1", "mcg"), line("Oxycodone", "5"))
    found = {
        repr(terminology.recognise(Drug(Concept(c, "capsule"), li)))
        for c in permutations(codings)
        for li in permutations(lines)
    }
    assert 1 == len(found)


def test_product_keys_tell_strengths_apart_and_spellings_not(terminology: Terminology) -> None:
    texts = (
        "Naltrexone 1.5 mg capsule",
        "Naltrexone 3 mg capsule",
        "NALTREXONE 3MG ORAL CAP (COMPOUNDED)",
        "LDN 3 mg cap",
        "Naltrexone 3 mg/mL solution",
        "Naltrexone 1% cream",
        "Naltrexone 2% cream",
    )
    keys = [terminology.recognise(written(t)).product_key for t in texts]
    assert [
        "naltrexone 1.5 mg:solid",
        "naltrexone 3 mg:solid",
        "naltrexone 3 mg:solid",
        "naltrexone 3 mg:solid",
        "naltrexone 3 mg/1 mL:liquid",
        "naltrexone:1%:topical",
        "naltrexone:2%:topical",
    ] == keys


def test_product_key_of_a_coded_drug_ignores_its_words(terminology: Terminology) -> None:
    drugs = (coded("1049621"), coded("1049621", text="Oxycodone"), coded("00406051201", NDC))
    keys = [terminology.recognise(d).product_key for d in drugs]
    assert ["rxnorm:1049621", "rxnorm:1049621"] == keys[:2]
    assert keys[2].startswith("rxnorm:")


def test_product_key_of_a_bare_ingredient_code_keeps_the_words(terminology: Terminology) -> None:
    keys = {
        terminology.recognise(coded("7243", text=f"Naltrexone {n} mg capsule")).product_key
        for n in ("1.5", "3")
    }
    assert {"naltrexone 1.5 mg:solid", "naltrexone 3 mg:solid"} == keys


def test_product_key_of_a_disputed_code_keeps_the_words(terminology: Terminology) -> None:
    """Two compounded strengths under one borrowed 50 mg code are two products."""
    texts = ("Naltrexone 1.5 mg capsule", "Naltrexone 3 mg capsule")
    assert 2 == len({terminology.recognise(coded("1483744", text=t)).product_key for t in texts})


def test_an_unreadable_drug_has_no_key(terminology: Terminology) -> None:
    assert ["", ""] == [terminology.recognise(d).product_key for d in (Drug(), written("unknown"))]


def test_matched_by_names_the_evidence(terminology: Terminology) -> None:
    found = terminology.recognise(coded("1049621", text="Oxycodone 5 mg"))
    assert ("rxnorm 1049621", "text in table names", "text oxycodone") == found.matched_by


def test_conflicts_and_evidence_never_quote_the_sender(terminology: Terminology) -> None:
    """Only codes, our own ingredient names and numbers may travel on: a name of a person in a text does not."""
    found = terminology.recognise(
        coded("310965", display="for Jane Roe", text="oxycodone for Jane Roe")
    )
    assert "jane" not in repr(replace(found, product_key="")).lower()


@pytest.mark.parametrize(
    "text",
    [
        "a" * 50_000,
        " " * 100_000,
        "a b " * 12_500,
        "oxycodone " * 5_000,
        "5 mg/" * 10_000,
        "LDN-" * 12_500,
        "\u0301" * 9_999,
        "1" * 50_000,
        "low dose " * 6_000,
        "0-" * 25_000,
        "\x00",
        "\ud800",
        "%s{0}{{}}",
        "\u202enoxertlan",
    ],
)
def test_hostile_text_is_only_text(terminology: Terminology, text: str) -> None:
    found = terminology.recognise(written(text))
    assert {c.ingredient for c in found.components} <= {"oxycodone", "naltrexone"}


def test_a_name_at_the_end_of_a_very_long_text_is_found(terminology: Terminology) -> None:
    found = terminology.recognise(written("a b " * 20_000 + "naltrexone 4.5 mg capsule"))
    assert ({"naltrexone": Role.NTX_ORAL}, Strength(Decimal("4.5"))) == (roles(found), mg(found))


def test_names_far_apart_in_a_long_text_are_all_found(terminology: Terminology) -> None:
    found = terminology.recognise(written("oxycodone 5 mg" + " and so on" * 1_000 + " methadone"))
    assert {"oxycodone": Role.FULL_SA, "methadone": Role.METHADONE} == roles(found)


def test_a_name_after_hundreds_of_others_is_found(terminology: Terminology) -> None:
    """Repeating one name, even one with the same first word, hides no other."""
    found = terminology.recognise(written("co-codamol " * 300 + "co-dydramol, naltrexone"))
    assert {"codeine", "dihydrocodeine", "naltrexone"} == roles(found).keys()


def test_memory_is_bounded_in_number_and_in_length() -> None:
    """Of a long text only the head and the tail are looked at, and only those are remembered."""
    terminology = load()
    for end in ("x", "y"):
        terminology.recognise(written("oxycodone " + "and so on " * 5_000 + end + " " * 600))
    info = terminology._recognised.cache_info()
    assert (1, 4_096) == (info.currsize, info.maxsize)


@pytest.mark.parametrize("text", ["xoxycodone 5 mg", "premorphine", "Naltrex", "furanylfentanyl"])
def test_a_name_that_only_looks_or_sounds_like_ours_is_uncertain(
    terminology: Terminology, text: str
) -> None:
    found = terminology.recognise(written(text))
    assert (Identity.RELEVANT, True, True) == (
        found.kind,
        found.uncertain,
        bool(found.did_you_mean),
    )


@pytest.mark.parametrize(
    ("text", "ingredient", "role"),
    [
        ("Targiniq ER", "oxycodone", Role.FULL_LA),
        ("DepoDur", "morphine", Role.FULL_SA),
        ("Physeptone", "methadone", Role.METHADONE),
        ("Alfenta", "alfentanil", Role.FULL_SA),
    ],
)
def test_a_brand_alone_is_its_opioid(
    terminology: Terminology, text: str, ingredient: str, role: Role
) -> None:
    assert [(ingredient, role)] == [
        (c.ingredient, c.role) for c in terminology.recognise(written(text)).components
    ]
