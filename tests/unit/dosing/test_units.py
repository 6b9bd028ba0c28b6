"""The unit of a quantity: its code in its own system, else its word in any language, else nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.dosing.label import named_strength
from cds_service.dosing.units import Unit, amount_of, days_in, is_counted, time_unit, unit_of
from cds_service.model import Quantity, Strength

UCUM, SNOMED = "http://unitsofmeasure.org", "http://snomed.info/sct"
KBV = "https://fhir.kbv.de/CodeSystem/KBV_CS_SFHIR_BMP_DOSIEREINHEIT"
ONE = Decimal(1)


def kind(words: str, code: str = "", system: str = "") -> str:
    unit = unit_of(Quantity(ONE, words or code, code, system))
    return unit.kind if unit else "none"


def mg(words: str) -> Decimal:
    unit = unit_of(Quantity(ONE, words))
    assert unit is not None and unit.kind == "mg"
    return unit.factor


@pytest.mark.parametrize(
    "words",
    [
        "Tablette(n)",
        "Tabletten",
        "Tbl",
        "Tbl.",
        "Kapsel(n)",
        "Kps",
        "Stk",
        "Stück",
        "Hartkapsel",
        "Retardtabletten",
        "Beutel",
        "Pflaster",
        "Zäpfchen",
        "comprimé(s)",
        "comprimé pelliculé",
        "cp",
        "gélule",
        "sachet",
        "comprimido",
        "cápsula",
        "tableta",
        "sobre",
        "parche",
        "compressa",
        "capsula",
        "bustina",
        "tablett(er)",
        "kapslar",
        "plåster",
        "tabletti",
        "pilleri",
        "kpl",
        "capsule(s)",
        "tabletten",
        "stuks",
        "tabletka",
        "kapsułka",
        "tobolka",
        "таблетка",
        "таблетки",
        "капсула",
        "шт.",
        "δισκίο",
        "κάψουλα",
        "錠",
        "カプセル",
        "包",
        "枚",
        "片",
        "胶囊",
        "粒",
        "정",
        "캡슐",
        "قرص",
        "כמוסה",
        "film-coated tablet",
        "tablet, extended release",
        "Tablet (unit of presentation)",
        "{tbl}",
        "{Tablet}",
        "{capsule}",
        "TAB",
        "ORTAB",
        "1",
        "EA",
    ],
)
def test_what_people_count_is_a_unit_in_any_language(words: str) -> None:
    assert "unit" == kind(words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Milligramm", "1"),
        ("miligramos", "1"),
        ("milligrammes", "1"),
        ("мг", "1"),
        ("ミリグラム", "1"),
        ('מ"ג', "1"),
        ("ملغ", "1"),
        ("Mikrogramm", "0.001"),
        ("µg", "0.001"),
        ("μg", "0.001"),
        ("mcg", "0.001"),
        ("мкг", "0.001"),
        ("γ", "0.001"),
        ("microgramos", "0.001"),
        ("Gramm", "1000"),
        ("MG", "1"),
        ("Milligram(s)", "1"),
    ],
)
def test_a_mass_is_a_mass_in_any_language(words: str, expected: str) -> None:
    assert Decimal(expected) == mg(words)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "units",
        "Unit",
        "U",
        "[iU]",
        "IE",
        "E",
        "unidades",
        "IU",
        "pack",
        "Packung",
        "box of tablets",
        "Flasche",
        "vial",
        "syringe",
        "mg/mL",
        "mg/kg",
        "kg",
        "mmol",
        "meq",
        "%",
        "tablespoon",
        "application",
        "gel",
        "h",
        "day",
        "tablet mg",
        "tabletta",
        "x" * 5000,
        "錠剤用",
    ],
)
def test_what_is_no_dose_or_not_known_is_no_unit(words: str) -> None:
    assert "none" == kind(words)


@pytest.mark.parametrize(
    ("words", "code", "system", "expected"),
    [
        ("Milligramm", "mg", UCUM, "mg"),
        ("foo", "mg", "", "mg"),
        ("mcg", "mg", UCUM, "mg"),
        ("comprimé", "{tbl}", UCUM, "unit"),
        ("", "{tbl}", UCUM, "unit"),
        ("tablet", "1", UCUM, "unit"),
        ("mL", "1", UCUM, "mL"),
        ("tablet", "[iU]", UCUM, "none"),
        ("Tablette", "mmol", UCUM, "none"),
        ("Kapsel", "{Kps}", UCUM, "unit"),
        ("drop", "[drp]", UCUM, "drop"),
        ("x", "732936001", SNOMED, "unit"),
        ("", "732937005", SNOMED, "unit"),
        ("patch", "733005001", SNOMED, "unit"),
        ("mg", "258684004", SNOMED, "mg"),
        ("spoonful", "733015007", SNOMED, "none"),
        ("tablet", "999999", SNOMED, "unit"),
        ("Tablet", "15054000", "http://standardterms.edqm.eu", "unit"),
        ("", "15012000", "urn:oid:0.4.0.127.0.16.1.1.2.1", "unit"),
        ("Stück", "1", KBV, "unit"),
        ("", "v", KBV, "mg"),
        ("", "s", KBV, "mL"),
        ("", "g", KBV, "dose"),
        ("", "l", KBV, "none"),
        ("Mio E", "l", KBV, "none"),
        ("", "9", KBV, "none"),
        ("", "C48542", "http://ncithesaurus-stage.nci.nih.gov", "unit"),
        ("錠", "TAB", "urn:oid:1.2.392.100495.20.2.101", "unit"),
        ("", "TAB", "http://example.org/local", "unit"),
        ("", "l", "http://example.org/local", "none"),
        ("", "1", "http://example.org/local", "none"),
    ],
)
def test_a_code_is_read_in_its_own_system_and_outranks_the_words(
    words: str, code: str, system: str, expected: str
) -> None:
    assert expected == kind(words, code, system)


def test_a_count_of_whatever_it_is_is_told_apart_from_tablets() -> None:
    assert [Unit("unit", bare=True), Unit("unit", bare=True), Unit("unit")] == [
        unit_of(Quantity(ONE, word)) for word in ("each", "Stk", "tablet")
    ]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("h", "h"),
        ("wk", "w"),
        ("a", "y"),
        ("Tage", "d"),
        ("Woche(n)", "w"),
        ("jours", "d"),
        ("días", "d"),
        ("dagar", "d"),
        ("日", "d"),
        ("天", "d"),
        ("часов", "h"),
        ("uur", "h"),
        ("timer", "h"),
        ("mois", "m"),
        ("vrk", "d"),
        ("min", "min"),
        ("fortnight", ""),
        ("mg", ""),
        ("", ""),
    ],
)
def test_a_unit_of_time_is_read_in_any_language(word: str, expected: str) -> None:
    assert expected == time_unit(word)


@pytest.mark.parametrize(
    ("value", "unit", "code", "expected"),
    [
        ("72", "h", "", "3"),
        ("90", "min", "", "0.0625"),
        ("3", "Woche(n)", "", "21"),
        ("2", "mois", "", "60"),
        ("7", "", "", "7"),
        ("7", "Tage", "d", "7"),
        ("1", "an", "", "365"),
        ("7", "mg", "", "none"),
        ("-1", "d", "", "none"),
        ("40000", "d", "", "none"),
        ("NaN", "d", "", "none"),
    ],
)
def test_a_supply_lasts_days_whatever_its_unit_of_time(
    value: str, unit: str, code: str, expected: str
) -> None:
    days = days_in(Quantity(Decimal(value), unit, code))
    assert ("none" if days is None else days) == (
        expected if expected == "none" else Decimal(expected)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Naltrexon-Kapseln 4,5 mg, 30 Stück, Rezeptur", Strength(Decimal("4.5"))),
        ("Tablets 5 mg N2", Strength(Decimal(5))),
        ("Naltrexona 4,5 mg cápsulas, 30 cápsulas", Strength(Decimal("4.5"))),
        ("ナルトレキソン錠50mg", Strength(Decimal(50))),
        ("Lösung 1,5 mg/ml", Strength(Decimal("1.5"), ONE, "mL")),
        ("10 mg/5 mL", Strength(Decimal(10), Decimal(5), "mL")),
        ("capsules 1,500 mg", None),
        ("Oxycodone/APAP 5/325 mg tablet", None),
        ("1.5 mg and 3 mg capsules", None),
        ("Loperamide 2 mg capsules, takes about 30 a day", None),
        ("Naltrexone 50 mg", None),
        ("tablet mg", None),
        ("patch 25 mcg/h", None),
        ("tablets 5 mg with 2 scores", None),
    ],
)
def test_a_name_states_a_strength_only_where_it_states_one_thing(
    text: str, expected: Strength | None
) -> None:
    assert expected == named_strength(text)


def test_the_name_of_a_product_says_whether_it_is_counted() -> None:
    names = [
        "Oxycodone 5 mg tablet",
        "Tramadol Retardtabletten",
        "オキシコドン錠",
        "Morphine 2 mg/mL solution",
        "Naltrexone",
        "",
    ]
    assert [True, True, True, False, False, False] == [is_counted(name) for name in names]


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=30),
    st.text(max_size=12),
    st.sampled_from([UCUM, SNOMED, KBV, "", "x"]),
    st.decimals(),
)
def test_any_unit_is_read_without_an_exception(
    words: str, code: str, system: str, value: Decimal
) -> None:
    amount = amount_of(Quantity(value, words, code, system))
    assert amount is None or amount.value >= 0
    days_in(Quantity(value, words, code, system))
