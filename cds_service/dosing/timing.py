"""How often a dosage says to take it: repeat, timing code, or words; None where they do not say or disagree."""

from __future__ import annotations

import re
from decimal import Decimal

from cds_service.dosing.amounts import DAILY, ONE, Rate, between, rate_of, same, usable
from cds_service.dosing.sig import read_rate
from cds_service.dosing.sig_words import plain
from cds_service.dosing.translation import readings, translations
from cds_service.dosing.units import time_unit
from cds_service.model import Dosage

_TIMES_A_DAY = {
    "QD": 1,
    "BID": 2,
    "TID": 3,
    "QID": 4,
    "AM": 1,
    "PM": 1,
    "BED": 1,
    "HS": 1,
    "QHS": 1,
    "QAM": 1,
    "QPM": 1,
    "DAILY": 1,
    "Q1H": 24,
    "Q2H": 12,
    "Q3H": 8,
    "Q4H": 6,
    "Q6H": 4,
    "Q8H": 3,
    "Q12H": 2,
    "Q24H": 1,
    "OD": 1,
    "OM": 1,
    "ON": 1,
    "BD": 2,
    "TDS": 3,
    "QDS": 4,
    "229797004": 1,
    "229799001": 2,
    "229798009": 3,
    "307439001": 4,  # SNOMED CT
    "225752000": 12,
    "225756002": 6,
    "307468000": 4,
    "307469008": 3,
    "307470009": 2,
    "396125000": 1,
}
_DAYS_BETWEEN = {"QOD": 2, "WK": 7, "MO": 30}
_JAMI = re.compile(r"[1-4]\d1([1-9])(\d{5})\d{7}")
_MEALS = frozenset({"AC", "PC", "C"})  # each meal: how many there are is not said
_SAYS_DAILY = re.compile(r"\b(?:night|nightly|bedtime|bed|hs|qhs|qd|daily|day)\b", re.IGNORECASE)


def rate_of_dosage(dosage: Dosage) -> Rate | None:
    """The repeat, else the code, else its words, else a text that says how often, else unknown."""
    repeats = any(x is not None for x in (dosage.frequency, dosage.frequency_max, dosage.period))
    if repeats or dosage.when or dosage.time_of_day:
        return _repeat(dosage)
    if dosage.timing_code or dosage.timing_words:
        return _on_days(_of_code_and_words(dosage), dosage)
    if dosage.day_of_week:
        return _on_days(DAILY, dosage)
    return read_rate(dosage.text) if _says_how_often(dosage.text[:2000]) else None


def _says_how_often(text: str) -> bool:
    """In English where it says daily or at night; in another language where all its words are known."""
    if _SAYS_DAILY.search(text):
        return True
    said = plain(text)
    return bool(said) and (readings(said) != (said,) or bool(translations(said)))


def _of_code_and_words(dosage: Dosage) -> Rate | None:
    """The code and the words beside it; what cannot be read says nothing, two that differ leave a doubt."""
    found = [
        _coded(dosage.timing_code),
        *(_coded(word) or read_rate(word) for word in dosage.timing_words),
    ]
    known = [rate for rate in found if rate is not None]
    return (
        known[0] if known and all(same(known[0].of(ONE), rate.of(ONE)) for rate in known) else None
    )


def _coded(code: str) -> Rate | None:
    code = code.strip().upper()
    if code in _TIMES_A_DAY:
        return Rate(Decimal(_TIMES_A_DAY[code]), ONE)
    if usage := _JAMI.fullmatch(code):
        return _by_meals(usage)
    return Rate(ONE, Decimal(_DAYS_BETWEEN[code])) if code in _DAYS_BETWEEN else None


def _by_meals(usage: re.Match[str]) -> Rate | None:
    """JAMI usage by meals: times a day, then bedtime, evening, noon, morning, waking; both must agree."""
    times, moments = int(usage[1]), sum(digit != "0" for digit in usage[2])
    return Rate(Decimal(times), ONE) if times == moments else None


def _repeat(dosage: Dosage) -> Rate | None:
    """Frequency per period, or the count of times of day. FHIR: a period without a frequency means once."""
    frequency, period = usable(dosage.frequency), usable(dosage.period)
    if frequency and period and dosage.frequency_max is None and dosage.period_max is None:
        return _on_days(rate_of(frequency, period, time_unit(dosage.period_unit)), dosage)
    moments = len(set(dosage.time_of_day)) or len({w.upper() for w in dosage.when})
    frequencies = [f for f in (dosage.frequency, dosage.frequency_max) if f is not None]
    if not frequencies and _MEALS & {w.upper() for w in dosage.when}:
        return None
    if not frequencies and dosage.period is None:
        return _on_days(Rate(Decimal(moments), ONE), dosage)
    numbers = [usable(f) for f in frequencies] or [Decimal(moments or 1)]
    periods = [usable(p) for p in (dosage.period, dosage.period_max or dosage.period)]
    times, spans = [n for n in numbers if n is not None], [p for p in periods if p is not None]
    if len(times) < len(numbers) or len(spans) < len(periods):
        return None
    unit = time_unit(dosage.period_unit)
    low = rate_of(min(times) or max(times), max(spans), unit)
    return _on_days(between(low, rate_of(max(times), min(spans), unit)), dosage)


def _on_days(rate: Rate | None, dosage: Dosage) -> Rate | None:
    """Only on some days of the week: once a week on Monday is one dose a week, once a day on Monday too."""
    if rate is None or not dosage.day_of_week:
        return rate
    days = len({d.lower() for d in dosage.day_of_week})
    if rate.times >= rate.days:
        part = min(days, 7)
        return Rate(
            rate.times * part, rate.days * 7, None if rate.least is None else rate.least * part
        )
    return Rate(max(rate.times, Decimal(days)), rate.days) if rate.days >= 7 else None
