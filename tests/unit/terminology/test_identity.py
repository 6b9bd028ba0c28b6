"""The open world: known relevant, known other, unknown, unreadable, each by evidence (specification 2.2 and 2.11)."""

from __future__ import annotations

import csv
import random
import re
import unicodedata
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.model import Coding, Concept, Drug, Identity, Role
from cds_service.terminology import Terminology, absence, form_codes, load
from cds_service.terminology.forms import Trait
from cds_service.terminology.systems import system_of

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
TERMINOLOGY = load()
LONG_NAMES = (
    "oxycodone",
    "hydrocodone",
    "hydromorphone",
    "oxymorphone",
    "buprenorphine",
    "naltrexone",
    "methadone",
    "tapentadol",
    "tramadol",
    "fentanyl",
    "pentazocine",
    "butorphanol",
    "levorphanol",
    "dihydrocodeine",
)
OTHER_NAMES = (
    "metformin",
    "lisinopril",
    "atorvastatin",
    "omeprazole",
    "sertraline",
    "amoxicillin",
    "levothyroxine",
    "ibuprofen",
    "trazodone",
    "haloperidol",
    "nadolol",
    "hydrocortisone",
    "dextromethorphan",
    "apomorphine",
)
AROUND = (
    "{} 5 mg tablet",
    "{} Retardtabletten 10 mg",
    "{} 10 mg comprimé",
    "{}, 20 mg depottablett",
    "{} ER",
    "{} liberación prolongada 30 mg",
    "compounded {} capsule",
    "{} hydrochloride",
    "{}-HCl 10 mg",
    "({}) 5 mg",
)


@pytest.fixture(scope="module")
def terminology() -> Terminology:
    return TERMINOLOGY


def written(text: str) -> Drug:
    return Drug(Concept(text=text))


def kind(text: str) -> Identity:
    return TERMINOLOGY.recognise(written(text)).kind


def rows(name: str) -> list[dict[str, str]]:
    with (files("cds_service.terminology") / "data" / name).open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Oxycodone 5 mg", Identity.RELEVANT),
        ("Metformin 500 mg", Identity.OTHER),
        ("Blorptexin 5 mg", Identity.UNKNOWN),
        ("", Identity.UNREADABLE),
        ("12345", Identity.UNREADABLE),
        ("tablet 5 mg", Identity.UNREADABLE),
        ("ยาแก้ปวด", Identity.UNREADABLE),
        ("MS 10 mg PO", Identity.UNKNOWN),
        ("insulin pen needles 4 mm", Identity.OTHER),
        ("Amoxicillin 500 mg / clavulanate 125 mg", Identity.OTHER),
        ("paracetamol / blorptexin", Identity.UNKNOWN),
        ("Paracetamol comp.", Identity.RELEVANT),
        ("Ibuprofen Plus", Identity.UNKNOWN),
        ("Metformin " + "x " * 3_000, Identity.UNKNOWN),
    ],
)
def test_only_a_table_makes_another_drug(text: str, expected: Identity) -> None:
    assert expected is kind(text)


def test_an_unknown_name_is_kept_as_written(terminology: Terminology) -> None:
    found = terminology.recognise(written("  Blorptexin\n 5 mg "))
    assert (Identity.UNKNOWN, "Blorptexin 5 mg") == (found.kind, found.unknown_name)
    assert "" == terminology.recognise(written("Metformin")).unknown_name


def test_a_code_that_no_table_holds_says_nothing(terminology: Terminology) -> None:
    """A retired or new RxNorm number is not certainly another drug: the name decides, or nobody."""
    code = Coding(RXNORM, "310965")
    found = [
        terminology.recognise(Drug(Concept((code,), text))).kind
        for text in ("", "Blorptexin", "Metformin", "Morphine")
    ]
    assert [Identity.UNREADABLE, Identity.UNKNOWN, Identity.OTHER, Identity.RELEVANT] == found


# --- conflicts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "text", "both"),
    [
        ("857002", "Captopril 25 mg tablet", ("hydrocodone", "captopril")),
        ("1049621", "Lisinopril", ("oxycodone", "lisinopril")),
        ("1483744", "Sertraline 50 mg", ("naltrexone", "sertraline")),
        ("1725059", "Naltrexone 50 mg", ("naloxone", "naltrexone")),
    ],
)
def test_a_code_and_a_name_of_two_drugs_are_both_said(
    terminology: Terminology, code: str, text: str, both: tuple[str, str]
) -> None:
    found = terminology.recognise(Drug(Concept((Coding(RXNORM, code),), text)))
    assert (Identity.RELEVANT, [True, True]) == (
        found.kind,
        [name in found.conflict for name in both],
    )


@pytest.mark.parametrize("text", ["acetaminophen", "Paracetamol 325 mg", "Tylenol"])
def test_a_partner_named_beside_its_combination_is_no_conflict(
    terminology: Terminology, text: str
) -> None:
    found = terminology.recognise(Drug(Concept((Coding(RXNORM, "857002"),), text)))
    assert ("", False) == (found.conflict, found.other_drug)


# --- mentioned, not meant ------------------------------------------------------------------------------------------

CUES = (
    "no {}",
    "allergic to {}",
    "without {}",
    "instead of {}",
    "avoid {}",
    "history of {}",
    "ohne {}",
    "sans {}",
    "sin {}",
    "senza {}",
    "zonder {}",
    "utan {}",
    "{} allergy",
    "{}-free",
    "previously on {}",
)


@pytest.mark.parametrize("cue", CUES)
@pytest.mark.parametrize("opioid", ["codeine", "oxycodone", "methadone"])
def test_a_mentioned_opioid_is_not_the_drug(cue: str, opioid: str) -> None:
    assert [Identity.OTHER, Identity.OTHER] == [
        kind(f"Ibuprofen 400 mg ({cue.format(opioid)})"),
        kind(f"Ibuprofen 400 mg, {cue.format(opioid)}"),
    ]


@pytest.mark.parametrize("cue", CUES)
def test_a_real_opioid_stays_beside_a_mentioned_one(terminology: Terminology, cue: str) -> None:
    found = terminology.recognise(written(f"Morphine 10 mg tablet ({cue.format('codeine')})"))
    assert ["morphine"] == [c.ingredient for c in found.components]


@pytest.mark.parametrize(
    "text",
    [
        "Oxycodone 5 mg (no refills)",
        "Do not crush OxyContin 10 mg",
        "Oxycodone 5 mg, not for IV use",
        "No. 30 oxycodone 5 mg",
        "after surgery: oxycodone 5 mg",
        "take after meals. Morphine 10 mg",
        "sin receta: oxicodona 5 mg",
        "Discontinue ibuprofen; oxycodone 5 mg",
        "Codeine 30 mg C-II",
        "Morphine 1 mg/mL in D5W",
        "Oxycodone 5 mg C2",
        "stopped oxycodone last week",
        "previously on methadone",
        "off oxycodone 5 mg",
        "no oxycodone 5 mg",
    ],
)
def test_a_meant_opioid_is_never_dropped(text: str) -> None:
    assert Identity.RELEVANT is kind(text)


@pytest.mark.parametrize(
    "text", ["Opium 30C", "Opium D6 Globuli", "Morphinum C200", "Codeinum D6", "Opium 9CH granules"]
)
def test_a_homeopathic_potency_is_another_drug(text: str) -> None:
    assert Identity.OTHER is kind(text)


NARCOTICS = [
    line
    for line in (Path(__file__).parent / "narcotics.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize("form", ["{}", "{} 10 mg", "{} hydrochloride 10 mg tablet"])
def test_no_opioid_with_an_international_name_is_another_drug(form: str) -> None:
    """Whatever the lists of other medicines were made from: they held forty of these."""
    assert [] == [name for name in NARCOTICS if Identity.RELEVANT is not kind(form.format(name))]


@pytest.mark.parametrize("name", ["other-inn.txt", "other-names.txt"])
def test_no_list_of_other_names_holds_the_name_of_an_opioid(name: str) -> None:
    text = (files("cds_service.terminology") / "data" / name).read_text("utf-8")
    opioids = {word for narcotic in NARCOTICS for word in narcotic.split()} - {"butyrate"}
    found = [line for line in text.splitlines() if opioids & {*re.split(r"[^a-z]+", line.lower())}]
    assert [] == found


# --- guesses -------------------------------------------------------------------------------------------------------


@given(st.sampled_from(LONG_NAMES), st.integers(0, 10_000))
@settings(max_examples=400, deadline=None)
def test_one_slip_in_a_relevant_name_is_never_another_drug(name: str, seed: int) -> None:
    assert kind(slipped(name, random.Random(seed)) + " 5 mg") in {
        Identity.RELEVANT,
        Identity.UNKNOWN,
    }


@given(st.sampled_from(OTHER_NAMES), st.integers(0, 10_000))
@settings(max_examples=400, deadline=None)
def test_one_slip_in_another_name_is_never_surely_relevant(name: str, seed: int) -> None:
    found = TERMINOLOGY.recognise(written(slipped(name, random.Random(seed)) + " 5 mg"))
    assert not found.components or found.uncertain


def slipped(name: str, chance: random.Random) -> str:
    """The name with one letter doubled, left out, swapped or changed."""
    at = chance.randrange(1, len(name) - 1)
    way = chance.randrange(4)
    if way == 0:
        return name[:at] + name[at] + name[at:]
    if way == 1:
        return name[:at] + name[at + 1 :]
    if way == 2:
        return name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    return name[:at] + chance.choice("abcdefghiklmnoprstu") + name[at + 1 :]


def test_a_guess_names_what_it_means(terminology: Terminology) -> None:
    found = terminology.recognise(written("oxycodnoe 5 mg"))
    assert (True, "oxycodone", ["oxycodone"]) == (
        found.uncertain,
        found.did_you_mean,
        [c.ingredient for c in found.components],
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("oxycogone 5 mg", "oxycodone"),
        ("oxycogine 5 mg", "oxycodone"),
        ("tramadil 50 mg", "tramadol"),
    ],
)
def test_a_guess_is_asked_for_by_a_name_that_is_rightly_written(
    terminology: Terminology, text: str, meant: str
) -> None:
    """Also where the word looks like the name of a form in some language, or like a common misspelling."""
    assert meant == terminology.recognise(written(text)).did_you_mean


@pytest.mark.parametrize("text", ["Filmtabletten", "film coated tablets", "Pflaster 25 mg"])
def test_the_name_of_a_form_is_no_guess(terminology: Terminology, text: str) -> None:
    assert Identity.UNREADABLE is terminology.recognise(written(text)).kind


@pytest.mark.parametrize("text", ["naloxne", "naloxon", "nalaxone", "naltroxone", "naloxonee"])
def test_naloxone_and_naltrexone_are_not_guessed_into_each_other(
    terminology: Terminology, text: str
) -> None:
    assert () == terminology.recognise(written(text)).components


# --- every name, however it is written --------------------------------------------------------------------------------

NAMES = sorted(
    {
        row["text"]
        for row in rows("names.csv")
        if row["match"] == "phrase"
        and row["kind"] == "generic"
        and row["text"].isascii()
        and " " not in row["text"]
        and row["ingredients"] != "nalmefene"
    }
)


@given(st.sampled_from(NAMES), st.sampled_from(AROUND), st.integers(0, 10_000))
@settings(max_examples=400, deadline=None)
def test_case_accents_strength_and_form_change_no_name(name: str, around: str, seed: int) -> None:
    chance = random.Random(seed)
    odd = "".join(c.upper() if chance.random() < 0.5 else c for c in name)
    odd = "".join(
        unicodedata.normalize("NFC", c + "\u0301") if c in "aeiou" and chance.random() < 0.3 else c
        for c in odd
    )
    plain, dressed = (TERMINOLOGY.recognise(written(text)) for text in (name, around.format(odd)))
    assert {c.ingredient for c in plain.components} == {
        c.ingredient for c in dressed.components
    } or (Role.PERIPH in {c.role for c in plain.components})


@pytest.mark.parametrize(
    "spellings",
    [
        (
            "oxycodone",
            "oxycodon",
            "oxicodona",
            "ossicodone",
            "oksykodon",
            "oxikodon",
            "оксикодон",
            "οξυκωδόνη",
            "oksikodoni",
        ),
        ("codeine", "Kodein", "codeína", "kodeiini", "кодеин", "κωδεΐνη", "codéine", "Codeinum"),
        ("morphine", "morfina", "Morphin", "morfiini", "морфин", "μορφίνη", "Morphinum"),
        ("fentanyl", "fentanilo", "fentanile", "fentanyyli", "фентанил", "φαιντανύλη"),
        ("naltrexone", "Naltrexon", "naltrekson", "ναλτρεξόνη", "налтрексон", "naltrexona"),
        ("buprenorphine", "buprenorfina", "бупренорфин", "βουπρενορφίνη", "Buprenorphin"),
        ("tramadol", "tramadolo", "трамадол", "τραμαδόλη", "Tramadolhydrochlorid", "tramadolum"),
    ],
)
def test_a_name_is_one_in_every_language(
    terminology: Terminology, spellings: tuple[str, ...]
) -> None:
    found = [
        {c.ingredient for c in terminology.recognise(written(f"{s} 10 mg")).components}
        for s in spellings
    ]
    assert [{spellings[0]}] * len(spellings) == found


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("Tramadol 100 mg Retardtabletten", Role.FULL_LA),
        ("Skenan LP 30 mg", Role.FULL_LA),
        ("Palexia", Role.FULL_LA),
        ("Oxikodon 10 mg depottablett", Role.FULL_LA),
        ("Oxicodona 10 mg liberación prolongada", Role.FULL_LA),
        ("Ossicodone 10 mg rilascio prolungato", Role.FULL_LA),
        ("Fentanyl 25 mikrogram/timme depotplåster", Role.FULL_LA),
        ("Fentanilo parche transdérmico", Role.FULL_LA),
        ("MST Continus 30 mg", Role.FULL_LA),
        ("オキシコンチン錠5mg", Role.FULL_LA),
        ("Norspan 10 mikrogram/timme depotplåster", Role.BUP),
        ("Buvidal 64 mg", Role.BUP_DEPOT),
        ("Palexia 50 mg", Role.DUAL),
        ("Sevredol 10 mg", Role.FULL_SA),
        ("Tramadol 50 mg Tropfen", Role.DUAL),
        ("Adepend 50 mg", Role.NTX_ORAL),
    ],
)
def test_release_and_form_are_read_in_their_language(
    terminology: Terminology, text: str, role: Role
) -> None:
    assert [role] == [c.role for c in terminology.recognise(written(text)).components]


@pytest.mark.parametrize(
    ("system", "code", "role"),
    [
        ("https://fhir.kbv.de/CodeSystem/KBV_CS_SFHIR_KBV_DARREICHUNGSFORM", "RET", Role.FULL_LA),
        ("http://standardterms.edqm.eu", "10226000", Role.FULL_LA),
        ("http://standardterms.edqm.eu", "10219000", Role.DUAL),
        ("https://spor.ema.europa.eu/v1/lists/200000000004", "100000073683", Role.FULL_LA),
        ("urn:other", "RET", Role.DUAL),
    ],
)
def test_a_form_code_decides_the_release(
    terminology: Terminology, system: str, code: str, role: Role
) -> None:
    drug = Drug(Concept(text="Tramadol"), form=Concept((Coding(system, code),)))
    assert [role] == [c.role for c in terminology.recognise(drug).components]


# --- systems -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "system",
    [
        "http://www.whocc.no/atc",
        "http://www.whocc.no/atc|2024",
        "http://fhir.de/CodeSystem/bfarm/atc",
        "http://fhir.de/CodeSystem/dimdi/atc",
        "urn:oid:2.16.840.1.113883.6.73",
        "2.16.840.1.113883.6.73",
        "urn:oid:1.2.40.0.34.4.17",
    ],
)
def test_atc_is_read_under_its_national_addresses(terminology: Terminology, system: str) -> None:
    found = [
        terminology.recognise(Drug(Concept((Coding(system, code),))))
        for code in ("N02AA05", "C09AA05", "N02AA", "N02BE51")
    ]
    assert [Identity.RELEVANT, Identity.OTHER, Identity.UNREADABLE, Identity.UNREADABLE] == [
        f.kind for f in found
    ]


def test_no_atc_code_of_ours_is_in_a_group_called_other(terminology: Terminology) -> None:
    from cds_service.terminology.atc import is_other_group

    codes = [
        row["code"]
        for row in rows("atc.csv")
        if not set(row["ingredients"].split(";")) <= terminology.tables.never
    ]
    wrong = [code for code in codes for size in (3, 4, 5, 7) if is_other_group(code[:size])]
    assert ([], True) == (wrong, len(codes) > 50)


@pytest.mark.parametrize(
    ("system", "code", "text", "expected"),
    [
        (
            "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips",
            "no-medication-info",
            "",
            "unknown",
        ),
        (
            "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips",
            "no-known-medications",
            "",
            "none",
        ),
        ("", "", "No known medications", "none"),
        ("", "", "Not on any medications", "none"),
        ("", "", "Metformin", ""),
        ("urn:other", "no-known-medications", "", ""),
        ("", "", "no oxycodone", ""),
    ],
)
def test_an_entry_that_says_there_is_nothing(
    system: str, code: str, text: str, expected: str
) -> None:
    assert expected == absence(Drug(Concept((Coding(system, code),) if code else (), text)))


def test_close_names_are_listed_for_a_formulary(terminology: Terminology) -> None:
    assert "oxycodone" in terminology.near("oxycodine 5 mg")
    assert () == terminology.near("")


IPS = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
SNOMED = "http://snomed.info/sct"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"


@pytest.mark.parametrize(
    ("system", "code", "expected"),
    [
        (ABSENT, "unknown", "unknown"),
        (ABSENT, "asked-unknown", "unknown"),
        (ABSENT, "not-asked", "unknown"),
        (SNOMED, "787481004", "none"),
        (SNOMED, "1631000175102", "none"),
        (SNOMED, "182904002", "unknown"),
        (IPS, "no-allergy-info", ""),
        (ABSENT, "error", ""),
    ],
)
def test_a_code_that_says_that_nothing_is_known_is_no_medicine(
    system: str, code: str, expected: str
) -> None:
    assert expected == absence(Drug(Concept((Coding(system, code),))))


def test_every_form_code_names_traits_that_there_are() -> None:
    tables = (form_codes._KBV, form_codes._HL7, form_codes._NUMBERS)
    said = {word for table in tables for value in table.values() for word in value.split()}
    assert set() == said - {trait.value for trait in Trait}


@pytest.mark.parametrize("code", ["10207000", "10208000", "10226000", "13134000", "10519000"])
def test_a_coded_slow_form_makes_the_longer_interval(terminology: Terminology, code: str) -> None:
    form = Concept((Coding("http://standardterms.edqm.eu", code),))
    found = terminology.recognise(Drug(Concept(text="oxycodone 10 mg"), form=form))
    assert [Role.FULL_LA] == [c.role for c in found.components]


@pytest.mark.parametrize(
    ("uri", "system"),
    [
        ("http://www.nlm.nih.gov/research/umls/rxnorm", "rxnorm"),
        ("http://purl.bioontology.org/ontology/RXNORM/", "rxnorm"),
        ("urn:oid:2.16.840.1.113883.6.88", "rxnorm"),
        ("RxCUI", "rxnorm"),
        ("http://hl7.org/fhir/sid/ndc|2025", "ndc"),
        ("2.16.840.1.113883.6.69", "ndc"),
        ("https://www.fda.gov/ndc", "ndc"),
        ("http://www.whocc.no/atc", "atc"),
        ("https://www.whocc.no/atc_ddd_index/", "atc"),
        ("urn:oid:2.16.840.1.113883.6.73", "atc"),
        ("urn:oid:1.2.40.0.34.4.17", "atc"),
        ("1.2.40.0.34.5.156", "atc"),
        ("1.2.276.0.76.5.114", "atc"),
        ("oid:1.2.276.0.76.4.17", "atc"),
        ("http://fhir.de/CodeSystem/bfarm/atc?version=2026", "atc"),
        ("http://snomed.info/sct/900000000000207008/version/20260101", "snomed"),
        ("2.16.840.1.113883.6.96", "snomed"),
        ("SNOMED-CT", "snomed"),
        ("snomedct", "snomed"),
        ("http://fdasis.nlm.nih.gov", "unii"),
        ("urn:oid:2.16.840.1.113883.4.9", "unii"),
        ("http://terminology.hl7.org/CodeSystem/data-absent-reason", "absent"),
        ("http://example.org/matches", ""),
        ("http://example.org/" + "rxnorm" * 40, ""),
        ("", ""),
    ],
)
def test_the_addresses_under_which_records_name_a_code_system(uri: str, system: str) -> None:
    assert system == system_of(uri)


@pytest.mark.parametrize("word", ["metadione", "methlcone", "hydronfdone", "propide"])
def test_a_slip_that_may_as_well_be_of_another_drug_is_not_guessed(word: str) -> None:
    """Menadione, methicone and hydronidone are as near as methadone and hydrocodone are."""
    assert Identity.UNKNOWN is kind(word)


@pytest.mark.parametrize("name", ["Jasminum officinale 200 mg", "acide arsenieux"])
def test_a_name_of_several_words_is_another_drug_though_none_of_its_words_is(name: str) -> None:
    alone = kind(name.split(maxsplit=1)[0])
    assert (Identity.OTHER, False) == (kind(name), alone is Identity.OTHER)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ibuprofen (no codeine, oxycodone or morphine)", []),
        ("Ibuprofen, no codeine and tramadol", []),
        ("no codeine, 5 oxycodone", ["oxycodone"]),
    ],
)
def test_a_list_of_what_is_not_meant_goes_on_until_a_number(text: str, found: list[str]) -> None:
    assert found == [c.ingredient for c in TERMINOLOGY.recognise(written(text)).components]


@pytest.mark.parametrize("opioid", ["oxycodone 10 mg", "morphine 20 mg"])
def test_slow_capsules_that_hold_naltrexone_back_are_an_opioid_by_their_words(opioid: str) -> None:
    found = TERMINOLOGY.recognise(written(f"{opioid} / naltrexone 1.2 mg ER capsule"))
    assert ([Role.FULL_LA], True) == ([c.role for c in found.components], found.sequestered)


@pytest.mark.parametrize(
    "uri",
    [
        "http://terminology.hl7.org/CodeSystem/v3-orderableDrugForm",
        "urn:oid:2.16.840.1.113883.5.85",
    ],
)
def test_a_slow_form_by_the_key_of_hl7(uri: str) -> None:
    drug = Drug(Concept(text="oxycodone 10 mg"), form=Concept((Coding(uri, "ERTAB"),)))
    assert [Role.FULL_LA] == [c.role for c in TERMINOLOGY.recognise(drug).components]


def test_the_evidence_says_where_a_drug_is_only_mentioned() -> None:
    assert ("text only mentions a drug",) == TERMINOLOGY.recognise(
        written("morphine-free syrup")
    ).matched_by
