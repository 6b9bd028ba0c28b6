"""A sig of another language gives the number that its words say, or none; never another one."""

from __future__ import annotations

import time
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.dosing.sig import format_mg, read_daily, read_rate, read_sig
from cds_service.dosing.sig_words import cut, plain
from cds_service.dosing.translation import readings
from cds_service.dosing.vocabulary import LANGUAGES, NUMBER, books, english, marks, rows
from cds_service.model import Strength

UNIT = Strength(Decimal(1))  # 1 mg a unit: the number of units a day


def shown(mg: Decimal | None) -> str:
    return "unknown" if mg is None else format_mg(mg)


UNITS_A_DAY = {
    "de": [
        ("Dj 1 Kapsel zur Nacht", "1"),
        ("1-0-1 Tablette", "2"),
        ("½-0-½", "1"),
        ("0-0-0-1 Stk", "1"),
        ("1-0-1-0", "2"),
        ("»0-0-1«", "1"),
        ("1 - 0 - 1", "2"),
        ("2x tgl. 1 Tbl.", "2"),
        ("3 x täglich 2 Kps.", "6"),
        ("1x1", "1"),
        ("2x1 tgl.", "2"),
        ("dreimal täglich eine Tablette", "3"),
        ("Morgens und abends je 1 Tablette", "2"),
        ("1 Tablette alle 8 Stunden", "3"),
        ("alle 6 Std. 1 Tbl", "4"),
        ("1 Hartkapsel am Abend", "1"),
        ("eine halbe Tablette zur Nacht", "0.5"),
        ("1 bis 2 Tabletten abends", "2"),
        ("alle 2 Tage 1 Tablette", "0.5"),
        ("jeden zweiten Tag 1 Tablette", "0.5"),
        ("1 Filmtablette vor dem Schlafengehen", "1"),
        ("Nehmen Sie 1 Tablette täglich mit einem Glas Wasser", "1"),
        ("1 Tbl. b.B., max. 4 Tbl. am Tag", "4"),
        ("1-2 Tabletten alle 4-6 Stunden bei Bedarf, max. 6 Tabletten am Tag", "6"),
        ("1 Tablette 3x täglich für 7 Tage, dann 2 Tabletten täglich", "3"),
        ("1 Pflaster alle 72 Stunden", "0.3333"),
        ("Naltrexon-Kapseln 1 mg, 1 Kapsel zur Nacht", "1"),
    ],
    "fr": [
        ("1 cp x3/j", "3"),
        ("1 gélule au coucher", "1"),
        ("1 comprimé matin et soir", "2"),
        ("2 gélules par jour", "2"),
        ("1 comprimé 3 fois par jour pendant 7 jours", "3"),
        ("1 comprimé toutes les 6 heures si besoin", "4"),
        ("1 cp le matin et 2 cp le soir", "3"),
        ("1 cp un jour sur deux", "0.5"),
        ("1/2 comprimé le soir", "0.5"),
        ("prendre 1 comprimé matin, midi et soir pendant les repas", "3"),
        ("1 cp si douleur, max 4/j", "4"),
        ("1 à 2 comprimés toutes les 4 à 6 heures si besoin, max 8 par jour", "8"),
        ("1 sachet le soir", "1"),
    ],
    "es": [
        ("1 comprimido cada 8 horas", "3"),
        ("1 cápsula por la noche", "1"),
        ("tomar 1 tableta al día", "1"),
        ("1 comprimido 3 veces al día", "3"),
        ("1 tableta c/12 hrs", "2"),
        ("2 cápsulas al acostarse", "2"),
        ("1 comprimido en desayuno, comida y cena", "3"),
        ("medio comprimido al día", "0.5"),
        ("1 comprimido cada 6-8 horas si dolor", "4"),
        ("1 comprimido en días alternos", "0.5"),
    ],
    "it": [
        ("1 compressa ogni 8 ore", "3"),
        ("1 cpr al giorno", "1"),
        ("la sera 1 compressa", "1"),
        ("1 cpr x 2/die", "2"),
        ("1 compressa 2 volte al giorno dopo i pasti", "2"),
        ("1 capsula mattina e sera", "2"),
        ("mezza compressa prima di coricarsi", "0.5"),
        ("1 compressa a giorni alterni", "0.5"),
    ],
    "pt": [
        ("1 comprimido de 8 em 8 horas", "3"),
        ("1 cápsula ao deitar", "1"),
        ("1 comprimido 2 vezes ao dia", "2"),
        ("1 comprimido por dia em jejum", "1"),
        ("1 comprimido a cada 12 horas", "2"),
    ],
    "nl": [
        ("1 dd 1", "1"),
        ("3 dd 1 tablet", "3"),
        ("'s avonds 1 capsule", "1"),
        ("voor de nacht 1 caps", "1"),
        ("2 maal daags 1 tablet", "2"),
        ("1 tablet om de 6 uur", "4"),
        ("dagelijks 1 tablet", "1"),
        ("1 tablet om de dag", "0.5"),
        ("zo nodig 1 tablet, max 4 per dag", "4"),
    ],
    "sv": [
        ("1 tablett dagligen", "1"),
        ("1 tabl till natten", "1"),
        ("1 tablett 2 gånger dagligen", "2"),
        ("1x3", "3"),
        ("1 tablett var 8:e timme", "3"),
        ("1 kapsel morgon och kväll", "2"),
        ("1 tablett varannan dag", "0.5"),
        ("1 tablett vid behov, högst 4 per dygn", "4"),
        ("1 depotplåster var tredje dag", "0.3333"),
    ],
    "da": [
        ("1 tablett 2 ganger daglig", "2"),
        ("1 tablet 3 gange dagligt", "3"),
        ("1 kapsel ved sengetid", "1"),
        ("1 tablet hver 8. time", "3"),
        ("1 tablett morgen og kveld", "2"),
        ("1 depottablet om aftenen", "1"),
    ],
    "fi": [
        ("1 tabletti 2 kertaa päivässä", "2"),
        ("1 kapseli illalla", "1"),
        ("1 tabletti aamuin illoin", "2"),
        ("1 tabletti 8 tunnin välein", "3"),
        ("1 pilleri nukkumaan mennessä", "1"),
    ],
    "pl": [
        ("1 tabletka 2 razy dziennie", "2"),
        ("1 kapsułka na noc", "1"),
        ("1 tabletka co 8 godzin", "3"),
    ],
    "cs": [("1 tableta 2x denně", "2"), ("1 tobolka na noc", "1")],
    "ru": [
        ("по 1 таблетке 3 раза в день", "3"),
        ("1 таблетка на ночь", "1"),
        ("1 капсула каждые 8 часов", "3"),
        ("по 1 капсуле утром и вечером", "2"),
    ],
    "el": [
        ("1 δισκίο 3 φορές την ημέρα", "3"),
        ("1 κάψουλα το βράδυ", "1"),
        ("1 δισκίο κάθε 8 ώρες", "3"),
    ],
    "ja": [
        ("1回1錠1日3回毎食後", "3"),
        ("3錠 分3 毎食後", "3"),
        ("1錠 就寝前", "1"),
        ("1回2錠 1日2回 朝夕食後 14日分", "4"),
        ("2カプセル 1日1回 就寝前", "2"),
        ("１回１錠　１日１回　就寝前", "1"),
        ("疼痛時 1回1錠 1日3回まで", "3"),
        ("1回1錠 分3 毎食後", "unknown"),
        ("1回1錠 6時間毎", "4"),
        ("1錠 隔日 朝食後", "0.5"),
    ],
    "zh": [
        ("每次1片,每日3次,口服", "3"),
        ("一次一片，一日三次", "3"),
        ("早晚各1片", "2"),
        ("睡前1粒", "1"),
        ("每8小时1片", "3"),
    ],
    "ko": [("1일 3회 1회 1정 식후", "3"), ("1정 취침전", "1"), ("1정 8시간마다", "3")],
}
HOW_OFTEN = [
    ("abends", "1/d"),
    ("zur Nacht", "1/d"),
    ("morgens", "1/d"),
    ("täglich", "1/d"),
    ("2x tgl.", "2/d"),
    ("le soir", "1/d"),
    ("au coucher", "1/d"),
    ("par jour", "1/d"),
    ("matin et soir", "2/d"),
    ("por la noche", "1/d"),
    ("al día", "1/d"),
    ("cada 8 horas", "3/d"),
    ("ogni 8 ore", "3/d"),
    ("al giorno", "1/d"),
    ("la sera", "1/d"),
    ("'s avonds", "1/d"),
    ("voor de nacht", "1/d"),
    ("dagelijks", "1/d"),
    ("till natten", "1/d"),
    ("dagligen", "1/d"),
    ("2 ganger daglig", "2/d"),
    ("就寝前", "1/d"),
    ("1日3回 毎食後", "3/d"),
    ("内服・経口・１日３回朝昼夕食後", "3/d"),
    ("1日2回 毎食後", "None"),
    ("täglich außer sonntags", "None"),
    ("bei Bedarf", "None"),
    ("wie besprochen", "None"),
]
NO_NUMBER = [
    "1 Tablette täglich außer Sonntag",
    "1 Tablette halbiert täglich",
    "1 Tablette täglich, ab Tag 8 zwei",
    "Nicht mehr als 2 Tabletten täglich",
    "montags 1 Tablette",
    "1-0-1 jeden 2. Tag",
    "1-0-1 montags",
    "5-10-15 mg",
    "50-325-40 mg",
    "11-20-26",
    "1-2-2026",
    "1-0",
    "1-0-1-0-1",
    "7-0-7",
    "1 Tablette täglich steigern",
    "1 E täglich",
    "1 morgens, 1 abends",
    "1 cp par jour 5 jours sur 7",
    "1 cp par jour sauf le dimanche",
    "1 cp 2/j",
    "1 comprimé par jour en augmentant",
    "1 comprimido al día excepto domingos",
    "no tomar 1 comprimido al día",
    "1 compressa al giorno tranne il lunedì",
    "1 tablet per dag behalve zondag",
    "1 tablett dagligen varannan vecka",
    "1 tabletti joka päivä paitsi sunnuntai",
    "1錠 就寝前 増量",
    "1日1回1錠 月曜",
    "每日1片 除周末",
    "1 таблетка в день кроме субботы",
    "1 δισκίο την ημέρα εκτός Κυριακής",
    "קפסולה אחת ביום",
    "حبة واحدة يوميا",
    "1 tableta na den",
    "Take 1 tableta al día",
    "Medikament 1 Tablette täglich",
]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [(language, *row) for language, table in UNITS_A_DAY.items() for row in table],
)
def test_a_sig_of_another_language_gives_its_units_a_day(
    language: str, text: str, expected: str
) -> None:
    assert expected == shown(read_sig(text, UNIT).daily_mg)


@pytest.mark.parametrize(("text", "expected"), HOW_OFTEN)
def test_words_for_how_often_stand_alone_too(text: str, expected: str) -> None:
    assert expected == str(read_rate(text))


@pytest.mark.parametrize("text", NO_NUMBER)
def test_an_unknown_word_or_an_exception_leaves_no_number(text: str) -> None:
    assert (None, None) == (read_sig(text, UNIT).daily_mg, read_daily(text, UNIT))


@pytest.mark.parametrize(
    ("text", "strength", "expected"),
    [
        ("1 Kapsel zur Nacht", "4.5", "4.5"),
        ("0-0-0-1", "4.5", "4.5"),
        ("2-0-2", "2", "unknown"),
        ("2-0-2", "5", "20"),
        ("2-0-2 Tabl.", "2", "8"),
        ("1,5-0-0", None, "unknown"),
        ("1,5-0-0", "1.5", "unknown"),
        ("0,5-0-0", "50", "25"),
        ("10-0-20 mg", None, "30"),
        ("4,5 mg zur Nacht", None, "4.5"),
        ("4,5 mg al acostarse", None, "4.5"),
        ("мг", None, "unknown"),
        ("4,5 мг на ночь", None, "4.5"),
        ("500 µg täglich", None, "0.5"),
    ],
)
def test_units_take_the_strength_and_a_scheme_that_may_mean_mg_is_a_doubt(
    text: str, strength: str | None, expected: str
) -> None:
    assert expected == shown(
        read_sig(text, Strength(Decimal(strength)) if strength else None).daily_mg
    )


def test_english_stays_english() -> None:
    texts = [
        "Take 1 tablet daily due to pain",
        "take with water before week 2",
        "1 tab po qd",
        "1 cap qhs for sleep",
    ]
    assert texts == [readings(text)[0] for text in texts]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_meaning_of_a_table_is_one_that_the_grammar_knows(language: str) -> None:
    """A meaning that the English grammar takes for a strange word would be dropped without a trace."""
    special = {
        "-",
        "?",
        "{n} to {n}",
        "@each",
        "x",
        "to",
        "with",
        "of",
        "times",
        "times daily",
        "minutes",
        "once",
        "2 times",
        "3 times",
        "4 times",
    }
    units = {
        "tablet",
        "capsule",
        "piece",
        "sachet",
        "patch",
        "film",
        "suppository",
        "lozenge",
        "drop",
        "puff",
        "spray",
        "dose",
        "mg",
        "mcg",
        "g",
        "ng",
        "ml",
        "hours",
        "days",
        "weeks",
        "months",
        "years",
    }
    for meaning, phrase in rows(language):
        assert phrase, meaning
        assert meaning.count(NUMBER) <= phrase.count(NUMBER), (meaning, phrase)
        if (
            meaning in special | units
            or meaning.replace(".", "").replace("/", "").replace(" ", "").isdigit()
        ):
            continue
        said = meaning.removeprefix("for ").replace("@total", "daily").replace(NUMBER, "2")
        kinds = {t.kind for t in cut(plain(said)) if t.kind != "words"}
        assert kinds and not kinds & {"word", "number", "doubt"}, (meaning, kinds)


def test_no_word_that_english_sigs_use_marks_another_language() -> None:
    sigs = """take one tablet by mouth every day at bedtime as needed for pain with food and water apply patch chest wall
        dissolve film under tongue insert suppository give swallow whole crush chew due week month hours then start stop
        increase decrease until max not exceed do call doctor if sedation itching nausea taper titrate dose schedule sleep
        low compounded capsule solution drops spray nostril each other other alternate hold before surgery procedure after
        meals breakfast lunch dinner supper noon morning evening night for up to total daily twice three times may repeat
        once severe moderate mild chronic back low fibromyalgia opioid use disorder alcohol dependence prevention relapse"""
    assert set() == {word for word in sigs.split() if word in marks()}
    assert english() & {"water", "due", "week"}


TEMPLATES = {
    "de": (
        "{n} {u} {k}x täglich",
        "{n} {u} alle {h} Stunden",
        "{n} {u} zur Nacht",
        "Tablette",
        "Tabletten",
    ),
    "fr": (
        "{n} {u} {k} fois par jour",
        "{n} {u} toutes les {h} heures",
        "{n} {u} au coucher",
        "comprimé",
        "comprimés",
    ),
    "es": (
        "{n} {u} {k} veces al día",
        "{n} {u} cada {h} horas",
        "{n} {u} por la noche",
        "comprimido",
        "comprimidos",
    ),
    "it": (
        "{n} {u} {k} volte al giorno",
        "{n} {u} ogni {h} ore",
        "{n} {u} la sera",
        "compressa",
        "compresse",
    ),
    "pt": (
        "{n} {u} {k} vezes ao dia",
        "{n} {u} de {h} em {h} horas",
        "{n} {u} ao deitar",
        "cápsula",
        "cápsulas",
    ),
    "nl": (
        "{n} {u} {k} maal daags",
        "{n} {u} om de {h} uur",
        "{n} {u} voor de nacht",
        "tablet",
        "tabletten",
    ),
    "sv": (
        "{n} {u} {k} gånger dagligen",
        "{n} {u} var {h}:e timme",
        "{n} {u} till natten",
        "tablett",
        "tabletter",
    ),
    "da": (
        "{n} {u} {k} gange daglig",
        "{n} {u} hver {h}. time",
        "{n} {u} ved sengetid",
        "kapsel",
        "kapsler",
    ),
    "fi": (
        "{n} {u} {k} kertaa päivässä",
        "{n} {u} {h} tunnin välein",
        "{n} {u} illalla",
        "tabletti",
        "tablettia",
    ),
    "pl": (
        "{n} {u} {k} razy dziennie",
        "{n} {u} co {h} godzin",
        "{n} {u} na noc",
        "tabletka",
        "tabletki",
    ),
    "ru": (
        "по {n} {u} {k} раза в день",
        "{n} {u} каждые {h} часов",
        "{n} {u} на ночь",
        "таблетке",
        "таблетки",
    ),
    "el": (
        "{n} {u} {k} φορές την ημέρα",
        "{n} {u} κάθε {h} ώρες",
        "{n} {u} το βράδυ",
        "δισκίο",
        "δισκία",
    ),
    "ja": ("1回{n}{u} 1日{k}回", "1回{n}{u} {h}時間毎", "{n}{u} 就寝前", "錠", "錠"),
    "zh": ("每次{n}{u},每日{k}次", "{n}{u} 每{h}小时", "{n}{u} 睡前", "片", "片"),
    "ko": ("1회 {n}{u} 1일 {k}회", "{n}{u} {h}시간마다", "{n}{u} 취침전", "정", "정"),
}


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(TEMPLATES)),
    st.integers(1, 6),
    st.integers(2, 6),
    st.sampled_from([4, 6, 8, 12]),
    st.integers(0, 2),
    st.decimals("0.1", 100, places=1),
)
def test_the_same_order_in_any_language_has_the_same_dose(
    language: str, count: int, times: int, hours: int, which: int, mg: Decimal
) -> None:
    *templates, one, many = TEMPLATES[language]
    text = templates[which].format(n=count, u=one if count == 1 else many, k=times, h=hours)
    a_day = [times, Decimal(24) / hours, 1][which] * count
    assert format_mg(a_day * mg) == shown(read_sig(text, Strength(mg)).daily_mg), text
    daily = read_daily(text, None)
    assert daily is not None
    assert (a_day, a_day, "unit") == (daily.low, daily.high, daily.unit)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(TEMPLATES)),
    st.integers(1, 6),
    st.integers(2, 6),
    st.randoms(use_true_random=False),
    st.sampled_from(["xyzzy", "Maracaibo", "заноза", "なにか", "ohnehin", "quibble"]),
)
def test_a_word_that_nobody_knows_never_changes_the_number(
    language: str, count: int, times: int, random: Random, strange: str
) -> None:
    template, *_, one, many = TEMPLATES[language]
    words = template.format(n=count, u=one if count == 1 else many, k=times).split(" ")
    words.insert(random.randint(0, len(words)), strange)
    read = read_sig(" ".join(words), UNIT).daily_mg
    assert read is None or read == count * times


PIECES = st.lists(
    st.one_of(
        st.sampled_from([phrase for book in books() for _, phrase in rows(book.language)]),
        st.integers(0, 99).map(str),
        st.sampled_from(["-", "/", ",", ".", "1/2", "½", "x", " "]),
    ),
    max_size=14,
)


@settings(max_examples=300, deadline=None)
@given(PIECES, st.one_of(st.none(), st.just(UNIT)))
def test_no_heap_of_known_words_breaks_the_reading(
    pieces: list[str], strength: Strength | None
) -> None:
    text = " ".join(pieces)
    daily, sig = read_daily(text, strength), read_sig(text, strength)
    assert sig.daily_mg is None or sig.daily_mg >= 0
    assert daily is None or 0 < daily.low <= daily.high
    read_rate(text)


@pytest.mark.parametrize(
    "hostile",
    [
        "1-",
        "1-0-",
        "alle ",
        "1日",
        "toutes les ",
        "tablettentabletten",
        "é",
        "錠",
        "1x1 ",
        "cada 8 ",
        "1 - 0 ",
        "x",
        "по ",
        "½-0-",
    ],
)
def test_any_length_of_any_language_is_read_in_a_moment(hostile: str) -> None:
    began = time.perf_counter()
    text = hostile * (500_000 // len(hostile))
    read_sig(text, UNIT)
    read_daily(text, UNIT)
    read_rate(text)
    assert time.perf_counter() - began < 1.0
