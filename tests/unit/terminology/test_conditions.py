"""What a problem or a reason means to the rules: by ICD-10-CM, by SNOMED CT, and only then by words."""

from __future__ import annotations

import pytest

from cds_service.model import Coding, Concept, ConditionKind
from cds_service.terminology import Terminology, load

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED = "http://snomed.info/sct"
Kind = ConditionKind

AUD = {Kind.ALCOHOL_USE_DISORDER}
OUD = {Kind.OPIOID_USE_DISORDER}
ACTIVE = OUD | {Kind.OPIOID_DEPENDENCE_ACTIVE}
LDN = {Kind.LDN_TYPE}
LIVER = {Kind.LIVER_ACUTE}


@pytest.fixture(scope="module")
def terminology() -> Terminology:
    return load()


def coded(code: str, system: str = ICD, text: str = "") -> Concept:
    return Concept((Coding(system, code),), text)


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        ("F10.20", AUD),
        ("F10.21", AUD),
        ("F10.2", AUD),
        ("F10.10", AUD),
        ("F10.90", set()),
        ("F11.20", ACTIVE),
        ("F11.2", ACTIVE),
        ("F11.29", ACTIVE),
        ("F11.21", OUD),
        ("F11.23", ACTIVE | {Kind.OPIOID_WITHDRAWAL}),
        ("F11.13", OUD | {Kind.OPIOID_USE, Kind.OPIOID_WITHDRAWAL}),
        ("F11.11", OUD),
        ("F11.93", {Kind.OPIOID_USE, Kind.OPIOID_WITHDRAWAL}),
        ("F11.10", OUD | {Kind.OPIOID_USE}),
        ("F11.90", {Kind.OPIOID_USE}),
        ("F11.91", set()),
        ("Z79.891", {Kind.OPIOID_TREATMENT}),
        ("Z79.899", set()),
        ("T40.2X1A", {Kind.OPIOID_POISONING}),
        ("T40.411A", {Kind.OPIOID_POISONING}),
        ("T40.2X5A", set()),
        ("T40.5X1A", set()),
        ("Z39.1", {Kind.LACTATION}),
        ("R45.851", {Kind.SUICIDAL}),
        ("F32.1", {Kind.DEPRESSION}),
        ("F33.42", set()),
        ("F32.5", set()),
        ("E66.9", {Kind.OBESITY}),
        ("E66.813", {Kind.OBESITY}),
        ("Z68.35", {Kind.OBESITY}),
        ("Z68.41", {Kind.OBESITY}),
        ("Z68.25", set()),
        ("K72.00", LIVER),
        ("K72.90", LIVER),
        ("B17.10", LIVER),
        ("B16.9", LIVER),
        ("K70.11", LIVER),
        ("K70.31", LIVER),
        ("K76.7", LIVER),
        ("K76.82", LIVER),
        ("K70.30", {Kind.CIRRHOSIS}),
        ("K74.60", {Kind.CIRRHOSIS}),
        ("B18.2", {Kind.HEPATITIS_CHRONIC}),
        ("K76.0", set()),
        ("Z33.1", {Kind.PREGNANCY}),
        ("O09.90", {Kind.PREGNANCY}),
        ("Z34.00", {Kind.PREGNANCY}),
        ("Z3A.20", {Kind.PREGNANCY}),
        ("Z32.02", set()),
        ("Z33.2", set()),
        ("N18.30", {Kind.CKD_3}),
        ("N18.31", {Kind.CKD_3}),
        ("N18.4", {Kind.CKD_4_5}),
        ("N18.5", {Kind.CKD_4_5}),
        ("N18.6", {Kind.CKD_4_5}),
        ("I12.0", {Kind.CKD_4_5}),
        ("N18.2", set()),
        ("N18.9", set()),
        ("Z51.5", {Kind.HOSPICE}),
        ("Z51.11", set()),
        ("M79.7", LDN),
        ("G35", LDN),
        ("G35.A", LDN),
        ("K50.90", LDN),
        ("K51.00", LDN),
        ("G90.50", LDN),
        ("G57.71", LDN),
        ("E11.42", LDN | {Kind.DIABETIC_NEUROPATHY}),
        ("E11.9", set()),
        ("G43.909", LDN),
        ("M54.30", LDN),
        ("G89.29", LDN),
        ("G89.4", LDN),
        ("G89.18", set()),
        ("L40.0", LDN),
        ("M06.9", LDN),
        ("M05.79", LDN),
        ("M32.9", LDN),
        ("E06.3", LDN),
        ("M35.00", LDN),
        ("G24.9", LDN),
        ("K14.6", LDN),
        ("M19.90", set()),
        ("I10", set()),
        ("J45.909", set()),
    ],
)
def test_icd_10_cm_is_read_by_prefix(
    terminology: Terminology, code: str, kinds: set[ConditionKind]
) -> None:
    """With or without the dot, in small letters, under its own system, the WHO system or none."""
    spellings = (code, code.replace(".", ""), code.lower())
    systems = (ICD, "http://hl7.org/fhir/sid/icd-10", "urn:oid:2.16.840.1.113883.6.90", "")
    found = {frozenset(terminology.classify(coded(c, s))) for c in spellings for s in systems}
    assert {frozenset(kinds)} == found


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        ("75544000", ACTIVE),
        ("191821007", OUD),
        ("87132004", {Kind.OPIOID_WITHDRAWAL}),
        ("66590003", AUD),
        ("203082005", LDN),
        ("24700007", LDN),
        ("34000006", LDN),
        ("59927004", LIVER),
        ("716203000", LIVER),
        ("77386006", {Kind.PREGNANCY}),
        ("433144002", {Kind.CKD_3}),
        ("46177005", {Kind.CKD_4_5}),
        ("385763009", {Kind.HOSPICE}),
        ("103735009", {Kind.HOSPICE}),
        ("19943007", {Kind.CIRRHOSIS}),
        ("310653000", {Kind.OPIOID_TREATMENT}),
        ("242253008", {Kind.OPIOID_POISONING}),
        ("38341003", set()),
    ],
)
def test_snomed_is_read_by_code(
    terminology: Terminology, code: str, kinds: set[ConditionKind]
) -> None:
    assert kinds == terminology.classify(coded(code, SNOMED))


def test_a_code_counts_only_in_its_own_system(terminology: Terminology) -> None:
    """75544000 without a system, and F11.20 in SNOMED CT or a local list, say nothing."""
    misplaced = (coded("75544000", ""), coded("F11.20", SNOMED), coded("F11.20", "urn:x"))
    found = [terminology.classify(concept) for concept in misplaced]
    assert [frozenset()] * 3 == found


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Fibromyalgia", LDN),
        ("FIBROMYALGIA", LDN),
        ("Crohn's disease", LDN),
        ("multiple sclerosis", LDN),
        ("CRPS", LDN),
        ("Diabetic peripheral neuropathy", LDN | {Kind.DIABETIC_NEUROPATHY}),
        ("painful neuropathy", LDN),
        ("chronic low back pain", LDN),
        ("chronic pain syndrome (intractable pain)", LDN),
        ("Psoriasis", LDN),
        ("Sjögren syndrome", LDN),
        ("LDN", LDN),
        ("Burning mouth syndrome", LDN),
        ("autoimmune disease", LDN),
        ("MS", set()),
        ("pain", set()),
        ("back pain", set()),
        ("Alcohol use disorder", AUD),
        ("alcohol dependence", AUD),
        ("alcoholism", AUD),
        ("Opioid use disorder", ACTIVE),
        ("opioid dependence, uncomplicated", ACTIVE),
        ("opiate addiction", ACTIVE),
        ("Opioid dependence, in remission", OUD),
        ("Opioid use disorder in sustained remission", OUD),
        ("opioid withdrawal", {Kind.OPIOID_WITHDRAWAL}),
        ("acute opiate withdrawal", {Kind.OPIOID_WITHDRAWAL}),
        ("Opioid dependence with withdrawal", ACTIVE | {Kind.OPIOID_WITHDRAWAL}),
        ("Obesity", {Kind.OBESITY}),
        ("pregnant", {Kind.PREGNANCY}),
        ("Pregnancy, 20 weeks", {Kind.PREGNANCY}),
        ("acute viral hepatitis", LIVER),
        ("Hepatic failure without coma", LIVER),
        ("decompensated cirrhosis", LIVER),
        ("cirrhosis of liver", {Kind.CIRRHOSIS}),
        ("chronic hepatitis C", {Kind.HEPATITIS_CHRONIC}),
        ("methadone maintenance therapy", {Kind.OPIOID_TREATMENT}),
        ("long-term current use of opiate analgesic", {Kind.OPIOID_TREATMENT}),
        ("heroin overdose", {Kind.OPIOID_POISONING}),
        ("breastfeeding", {Kind.LACTATION}),
        ("no suicidal ideation", set()),
        ("suicidal ideation", {Kind.SUICIDAL}),
        ("depressive disorder", {Kind.DEPRESSION}),
        ("fatty liver", set()),
        ("end stage renal disease", {Kind.CKD_4_5}),
        ("ESRD on dialysis", {Kind.CKD_4_5}),
        ("CKD stage 4", {Kind.CKD_4_5}),
        ("Chronic kidney disease, stage 3", {Kind.CKD_3}),
        ("CKD 3b", {Kind.CKD_3}),
        ("CKD stage 2", set()),
        ("CKD stage III", {Kind.CKD_3}),
        ("CKD stage IV", {Kind.CKD_4_5}),
        ("hospice care", {Kind.HOSPICE}),
        ("palliative care", {Kind.HOSPICE}),
        ("", set()),
        ("hypertension", set()),
    ],
)
def test_words_are_read_where_no_code_speaks(
    terminology: Terminology, text: str, kinds: set[ConditionKind]
) -> None:
    found = [
        terminology.classify(c)
        for c in (Concept(text=text), Concept((Coding("urn:local", "1", text),)))
    ]
    assert [frozenset(kinds)] * 2 == found


@pytest.mark.parametrize(
    "text",
    [
        "no fibromyalgia",
        "denies opioid withdrawal",
        "family history of multiple sclerosis",
        "Family history: alcoholism",
        "rule out acute hepatitis",
        "r/o liver failure",
        "not pregnant",
        "non-pregnant",
        "pregnancy test",
        "pregnancy planning",
        "history of opioid dependence",
        "h/o alcoholism",
        "risk of opioid withdrawal",
        "without hepatic encephalopathy",
        "possible Crohn's disease",
        "no fibromyalgia, migraine or CRPS",
        "screening for alcohol use disorder",
        "suspected opioid use disorder",
        "mother with lupus",
        "prevention of migraine",
    ],
)
def test_words_that_are_taken_back_mean_nothing(terminology: Terminology, text: str) -> None:
    assert frozenset() == terminology.classify(Concept(text=text))


def test_a_denial_ends_with_its_clause(terminology: Terminology) -> None:
    assert frozenset(LDN) == terminology.classify(
        Concept(text="No migraine. Fibromyalgia since 2019")
    )


def test_codes_beat_words(terminology: Terminology) -> None:
    """F11.21 with the words "opioid dependence" is still in remission."""
    assert frozenset(OUD) == terminology.classify(coded("F11.21", text="Opioid dependence"))


def test_all_codes_of_a_problem_are_read(terminology: Terminology) -> None:
    both = Concept((Coding(ICD, "M79.7"), Coding(SNOMED, "75544000")))
    assert frozenset(LDN | ACTIVE) == terminology.classify(both)


@pytest.mark.parametrize(
    "text",
    [
        "chronic " * 6_000 + "pain",
        "painful " * 6_000,
        "a" * 50_000,
        " " * 100_000,
        "\ud800",
        "acute " * 8_000,
        "no " * 16_000,
        "decompensated x " * 3_000,
    ],
)
def test_hostile_words_are_only_words(terminology: Terminology, text: str) -> None:
    assert terminology.classify(Concept(text=text)) <= frozenset(LDN)
