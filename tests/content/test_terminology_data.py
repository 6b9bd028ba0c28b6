"""The shipped tables: every opioid product is recognised by code and by name, no guard is, and the data are sound."""

from __future__ import annotations

import csv
import re
from collections import Counter
from importlib.resources import files

import pytest

from cds_service.model import Coding, Concept, ConditionKind, Drug, Role
from cds_service.terminology import Terminology, load

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
DATA = files("cds_service.terminology") / "data"

NOTHING = {
    "naloxone",
    "nalmefene",
    "methylnaltrexone",
    "naloxegol",
    "naldemedine",
    "alvimopan",
    "apomorphine",
    "papaverine",
    "noscapine",
    "dextromethorphan",
    "lofexidine",
    "dimemorfan",
    "racecadotril",
    "belladonna alkaloids",
    "levallorphan",
}
FIXED = {
    "methadone": Role.METHADONE,
    "levorphanol": Role.FULL_LA,
    "loperamide": Role.PERIPH,
    "diphenoxylate": Role.PERIPH,
    "difenoxin": Role.PERIPH,
    "eluxadoline": Role.PERIPH,
    "difelikefalin": Role.PERIPH,
    "samidorphan": Role.OTHER_ANTAG,
    "butorphanol": Role.MIXED,
    "nalbuphine": Role.MIXED,
    "pentazocine": Role.MIXED,
}
COUGH = (
    "guaifenesin",
    "promethazine",
    "homatropine",
    "chlorpheniramine",
    "brompheniramine",
    "pseudoephedrine",
    "pyrilamine",
    "triprolidine",
    "phenylephrine",
    "diphenhydramine",
    "phenyltoloxamine",
)
PAIN = ("acetaminophen", "aspirin", "ibuprofen", "butalbital")


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


ACTIVE = [
    r
    for r in rows("products.csv")
    if r["active"]
    and r["tty"] in {"SCD", "SBD", "GPCK", "BPCK"}
    and not set(r["ingredients"].split(";")) <= NOTHING
]


@pytest.fixture(scope="module")
def terminology() -> Terminology:
    return load()


def expected_role(ingredient: str, row: dict[str, str]) -> Role:
    """The role by the columns of the table, worked out apart from the service's own reading of words."""
    form, slow, name = row["dose_form"], row["extended_release"] == "1", row["name"].lower()
    if ingredient == "naltrexone":
        return (
            Role.NTX_XR
            if form == "Injection"
            else Role.NTX_BUP
            if "bupropion" in name
            else Role.NTX_ORAL
        )
    if ingredient in FIXED:
        return FIXED[ingredient]
    if ingredient == "buprenorphine":
        return Role.BUP_DEPOT if form in {"Prefilled Syringe", "Drug Implant"} else Role.BUP
    if "naltrexone" in row["ingredients"] or form == "Transdermal System":
        return Role.FULL_LA
    cough = any(p in name for p in COUGH) and not any(p in name for p in PAIN)
    if cough and ingredient in {"codeine", "hydrocodone", "dihydrocodeine"}:
        return Role.ANTITUSSIVE
    if slow or re.search(r"\b(12|24) hr\b", name):
        return Role.FULL_LA
    return Role.DUAL if ingredient in {"tramadol", "tapentadol"} else Role.FULL_SA


def expected(row: dict[str, str]) -> dict[str, Role]:
    names = set(row["ingredients"].split(";")) - NOTHING
    if len(names) > 1:
        names -= {"naltrexone"}
    return {name: expected_role(name, row) for name in names}


def test_every_opioid_product_is_recognised_with_its_role_by_code_alone(
    terminology: Terminology,
) -> None:
    wrong = {}
    for row in ACTIVE:
        found = terminology.recognise(Drug(Concept((Coding(RXNORM, row["rxcui"]),))))
        if {c.ingredient: c.role for c in found.components} != expected(row) or found.conflict:
            wrong[row["rxcui"]] = (row["name"], found.components)
    assert {} == wrong


def test_every_opioid_product_is_recognised_with_its_role_by_name_alone(
    terminology: Terminology,
) -> None:
    wrong = {}
    for row in ACTIVE:
        found = terminology.recognise(Drug(Concept(text=row["name"])))
        if {c.ingredient: c.role for c in found.components} != expected(row):
            wrong[row["name"]] = found.components
    assert {} == wrong


def test_every_opioid_product_is_recognised_in_capitals(terminology: Terminology) -> None:
    """Many systems print drug names in capitals: the letters' case changes nothing."""
    wrong = []
    for row in ACTIVE:
        found = terminology.recognise(Drug(Concept(text=row["name"].upper())))
        if {c.ingredient: c.role for c in found.components} != expected(row):
            wrong.append(row["name"])
    assert [] == wrong


def test_name_and_code_together_never_conflict(terminology: Terminology) -> None:
    wrong = {}
    for row in ACTIVE:
        drug = Drug(Concept((Coding(RXNORM, row["rxcui"], row["name"]),), row["name"]))
        if conflict := terminology.recognise(drug).conflict:
            wrong[row["name"]] = conflict
    assert {} == wrong


def test_product_keys_are_the_code_for_coded_products(terminology: Terminology) -> None:
    keys = {
        terminology.recognise(Drug(Concept((Coding(RXNORM, row["rxcui"]),)))).product_key
        for row in ACTIVE
    }
    assert {f"rxnorm:{row['rxcui']}" for row in ACTIVE} == keys


def test_enough_opioid_products_are_active() -> None:
    """The counts of the source: 397 + 230 + 2 systemic opioids of October 2025, and the peripheral ones."""
    assert len(ACTIVE) >= 620
    assert {"SCD", "SBD", "GPCK"} == {row["tty"] for row in ACTIVE}


def test_no_guard_is_an_opioid(terminology: Terminology) -> None:
    """Look-alikes such as hydrocortisone, trazodone, bupropion and apomorphine have no component."""
    guards = [row["text"] for row in rows("names.csv") if row["match"] == "guard"]
    matched = [
        g
        for g in guards
        if terminology.recognise(Drug(Concept(text=f"{g} 10 mg oral tablet"))).components
    ]
    assert ([], True) == (matched, len(guards) >= 25)


def test_drugs_that_never_count_are_identified_without_components(terminology: Terminology) -> None:
    found = {name: terminology.recognise(Drug(Concept(text=f"{name} 5 MG"))) for name in NOTHING}
    assert dict.fromkeys(NOTHING, (True, ())) == {
        n: (r.identified, r.components) for n, r in found.items()
    }


def test_every_retired_opioid_code_still_names_its_ingredients(terminology: Terminology) -> None:
    """Old orders keep old codes: every RxNorm code gives the ingredients of its row.

    The two veterinary solutions for the skin are topical, and a topical opioid has no component (specification 2.2).
    """
    wrong = {}
    for row in rows("products.csv"):
        want = set(row["ingredients"].split(";")) - NOTHING
        found = terminology.recognise(Drug(Concept((Coding(RXNORM, row["rxcui"]),))))
        got = {c.ingredient for c in found.components} | (
            {"naltrexone"} if found.sequestered else set()
        )
        if want != got and not (
            "Topical Solution" in row["name"] or row["brand"] in {"Recuvyra", "Zorbium"}
        ):
            wrong[row["rxcui"]] = (row["name"], got)
    assert {} == wrong


def test_every_name_is_found_as_it_is_written(terminology: Terminology) -> None:
    wrong = []
    for row in rows("names.csv"):
        if row["match"] in {"phrase", "whole", "upper", "coarse"}:
            want = set(row["ingredients"].split(";"))
            found = terminology.recognise(Drug(Concept(text=row["text"])))
            got = {c.ingredient for c in found.components} | (
                {"naltrexone"} if found.sequestered else set()
            )
            if want - NOTHING != got:
                wrong.append((row["text"], got))
    assert [] == wrong


def test_every_ndc_has_its_product() -> None:
    products = {row["rxcui"] for row in rows("products.csv")}
    codes = rows("ndc.csv")
    assert set() == {row["rxcui"] for row in codes} - products
    assert {11} == {len(row["ndc11"]) for row in codes}


@pytest.mark.parametrize("name", ["products.csv", "ndc.csv", "atc.csv", "snomed.csv"])
def test_codes_are_unique_within_a_table(name: str) -> None:
    table = rows(name)
    key = next(iter(table[0]))
    assert [] == [code for code, times in Counter(row[key] for row in table).items() if times > 1]


def test_tables_name_only_known_ingredients() -> None:
    known = {row["ingredient"] for row in rows("ingredients.csv")}
    used = {
        i
        for name in ("products.csv", "atc.csv", "snomed.csv", "names.csv")
        for row in rows(name)
        for i in row["ingredients"].split(";")
        if i
    }
    assert set() == used - known


def test_crucial_codes_are_what_independent_sources_say(terminology: Terminology) -> None:
    codes = {
        "7243": Role.NTX_ORAL,
        "105069": Role.NTX_ORAL,
        "1483744": Role.NTX_ORAL,
        "1483746": Role.NTX_ORAL,
        "637213": Role.NTX_XR,
        "637216": Role.NTX_XR,
        "636556": Role.NTX_XR,
        "1551468": Role.NTX_BUP,
        "1551474": Role.NTX_BUP,
        "1551469": Role.NTX_BUP,
        "1551467": Role.NTX_BUP,
        "372990": Role.NTX_ORAL,
        "1740871": Role.NTX_XR,
        "1156982": Role.NTX_ORAL,
        "1996192": Role.BUP_DEPOT,
        "352364": Role.BUP,
    }
    found = {
        c: terminology.recognise(Drug(Concept((Coding(RXNORM, c),)))).components[0].role
        for c in codes
    }
    assert codes == found


def test_sequestered_products_are_a_long_acting_opioid_alone(terminology: Terminology) -> None:
    """Embeda and Troxyca (generic and brand codes of the specification, section 6) never pair with themselves."""
    codes = [*range(863845, 863858), 1806701, 1806710, 1806716, 1806722, 1806728, 1806734]
    found = [terminology.recognise(Drug(Concept((Coding(RXNORM, str(code)),)))) for code in codes]
    assert [(True, [Role.FULL_LA])] * len(codes) == [
        (r.sequestered, [c.role for c in r.components]) for r in found
    ]


def test_version_names_the_release(terminology: Terminology) -> None:
    assert terminology.version.startswith("RxNorm current prescribable content 2025-10-06")


def test_counts_are_complete(terminology: Terminology) -> None:
    counts = terminology.counts()
    total = counts["opioid_clinical_drugs"]
    assert {
        "opioid_clinical_drugs": len(ACTIVE),
        "by_code": total,
        "by_name": total,
        "guards": 27,
        "guards_matched": 0,
    } == counts


def test_condition_kinds_of_the_table_are_those_of_the_model() -> None:
    used = {kind for row in rows("conditions.csv") for kind in row["kinds"].split()}
    assert {str(kind) for kind in ConditionKind} == used


def test_snomed_codes_have_a_valid_check_digit() -> None:
    codes = [r["code"] for r in rows("snomed.csv")]
    codes += [r["code"] for r in rows("conditions.csv") if r["system"] == "snomed"]
    assert [] == [code for code in codes if not verhoeff_holds(code)]


def verhoeff_holds(code: str) -> bool:
    """The check of SNOMED CT identifiers: the dihedral group of order ten (Verhoeff 1969)."""
    permutation = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
    while len(permutation) < 8:
        permutation.append([permutation[1][d] for d in permutation[-1]])
    check = 0
    for at, digit in enumerate(reversed(code)):
        check = multiply(check, permutation[at % 8][int(digit)])
    return check == 0


def multiply(a: int, b: int) -> int:
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b) % 5
    return 5 + (a - b) % 5 if b < 5 else (a - b) % 5
