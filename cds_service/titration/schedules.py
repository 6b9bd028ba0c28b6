"""The titration schedules A to E: doses, limits, sources and how good the evidence is (specification 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Span:
    """What a prescriber may choose between, ends included, and what we propose."""

    low: Decimal
    high: Decimal
    default: Decimal

    def admits(self, value: Decimal) -> bool:
        return self.low <= value <= self.high

    @property
    def is_fixed(self) -> bool:
        return self.low == self.high


@dataclass(frozen=True, slots=True)
class Schedule:
    """One way to titrate. Milligrams are per dose, ``times_per_day`` doses a day; ``interval`` is in days."""

    id: str
    name: str
    source: str
    evidence: str
    standing: str
    start: Span
    step: Span
    interval: Span
    maximum: Span
    times_per_day: int = 1
    review_weeks: tuple[int, ...] = (2, 4, 8)
    weeks: int | None = None                   # total length; None = 8 weeks at the highest dose
    rise_is_decided_at_review: bool = False


def _span(low: str, high: str, default: str) -> Span:
    return Span(Decimal(low), Decimal(high), Decimal(default))


def _fixed(value: str) -> Span:
    return _span(value, value, value)


SCHEDULES: Mapping[str, Schedule] = MappingProxyType({s.id: s for s in (
    Schedule(
        "A", "1.5 mg at bedtime, +1.5 mg every 2 weeks to 4.5 mg",
        "common practice; the 4.5 mg dose is that of Younger 2013 (doi 10.1002/art.37734)",
        "Mixed. One crossover trial (n=31) was positive in fibromyalgia at 4.5 mg; its steps are untested.",
        "default", _span("0.5", "1.5", "1.5"), _span("0.5", "1.5", "1.5"), _span("14", "28", "14"),
        _span("1.5", "5", "4.5")),
    Schedule(
        "B", "0.5 mg twice daily, then 1 mg twice daily",
        "clinic article on intractable pain; the interval is not stated there",
        "No trial was found for this schedule. The prescriber picks the interval.",
        "clinic article", _fixed("0.5"), _fixed("0.5"), _span("7", "28", "14"), _span("0.5", "1", "1"),
        times_per_day=2),
    Schedule(
        "C", "One fixed dose, no steps",
        "dose range 1-5 mg/day of published reviews (doi 10.3390/medsci6040082)",
        "Mixed. Trials used fixed doses of 2 to 6 mg; 6 mg did not beat placebo in fibromyalgia (n=99).",
        "entry allowed", _span("1", "5", "1.5"), _fixed("0"), _fixed("14"), _span("1", "5", "1.5")),
    Schedule(
        "D", "Painful diabetic neuropathy: 2 mg daily, 4 mg from week 2 if relief is under 20%",
        "Srinivasan 2021, J Diabetes 13:770",
        "One trial (n=67) against amitriptyline 10 mg: similar relief, fewer adverse effects (8 vs 52); "
        "no placebo arm.",
        "painful diabetic neuropathy", _fixed("2"), _fixed("2"), _fixed("14"), _span("2", "4", "2"),
        review_weeks=(2, 4, 6), weeks=6, rise_is_decided_at_review=True),
    Schedule(
        "E", "Slow start: 0.5 mg at bedtime, +0.5 mg every 2 weeks to 4.5 mg",
        "pharmacy practice; effective doses 0.1-4.5 mg vary between people (doi 10.2147/JPR.S451183)",
        "Practice, not trial.",
        "practice, not trial", _span("0.1", "0.5", "0.5"), _span("0.1", "0.5", "0.5"), _span("7", "14", "14"),
        _span("1", "4.5", "4.5")),
)})
