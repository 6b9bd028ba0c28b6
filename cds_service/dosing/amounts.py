"""How much and how often: the units, numbers and rates that structured dosage and sig text share."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal, localcontext

from cds_service.model import Strength

ONE = Decimal(1)
_TOLERANCE = Decimal("1e-9")

_MASSES = {
    "mg": ("mg", "mgs", "milligram", "milligrams", "milligramme", "milligrammes"),
    "g": ("g", "gm", "gms", "gram", "grams"),
    "mcg": (
        "mcg",
        "mcgs",
        "ug",
        "µg",
        "μg",
        "microgram",
        "micrograms",
        "microgramme",
        "microgrammes",
    ),
    "ng": ("ng", "nanogram", "nanograms"),
}
_FACTORS = {"mg": ONE, "g": Decimal(1000), "mcg": Decimal("0.001"), "ng": Decimal("0.000001")}
MG_PER_UNIT = {word: _FACTORS[unit] for unit, words in _MASSES.items() for word in words}
VOLUMES = frozenset({"ml", "mls", "cc", "milliliter", "milliliters", "millilitre", "millilitres"})
COUNTS = frozenset(
    {
        "tab",
        "tabs",
        "tbl",
        "tabl",
        "tablet",
        "tablets",
        "cap",
        "caps",
        "capsule",
        "capsules",
        "pill",
        "pills",
        "caplet",
        "caplets",
        "film",
        "films",
        "patch",
        "patches",
        "lozenge",
        "lozenges",
        "suppository",
        "suppositories",
        "troche",
        "troches",
        "piece",
        "pieces",
        "sachet",
        "sachets",
    }
)
COUNTED = frozenset({"puff", "spray", "drop"})  # units that only a strength per that turns into mg
_DAYS = {"d": ONE, "w": Decimal(7), "m": Decimal(30), "y": Decimal(365)}  # a month is 30 days
_PER_DAY = {"h": Decimal(24), "min": Decimal(1440), "s": Decimal(86400)}


@dataclass(frozen=True, slots=True)
class Rate:
    """How often: ``times`` doses in ``days`` days, ``least`` where a range begins lower; all are above zero."""

    times: Decimal
    days: Decimal
    least: Decimal | None = None

    @property
    def fewest(self) -> Decimal:
        return self.times if self.least is None else self.least

    def of(self, mg: Decimal) -> Decimal:
        """mg per day of a dose of ``mg``."""
        return mg * self.times / self.days

    def __str__(self) -> str:
        return f"{format_mg(self.times)}/{'' if self.days == 1 else format_mg(self.days) + ' '}d"


DAILY = Rate(ONE, ONE)


@dataclass(frozen=True, slots=True)
class DoseAmount:
    """One dose as written: the upper end of its range, in "mg", "mL", "unit" (tablets, capsules...), "puff"...

    ``low`` is the other end, where it is a range.
    """

    value: Decimal
    unit: str
    low: Decimal | None = None

    @property
    def fewest(self) -> Decimal:
        return self.value if self.low is None else self.low


@dataclass(frozen=True, slots=True)
class DailyAmount:
    """What a day takes, ``low`` to ``high`` (both above zero), in one unit: "unit", "mL", "mg", "puff", "spray", "drop"
    or "dose". ``as_needed`` where it is taken only when needed: then a day may also take none of it.
    """

    low: Decimal
    high: Decimal
    unit: str
    as_needed: bool = False


def same(a: Decimal, b: Decimal) -> bool:
    """Equal within 1e-9 (specification 2.13)."""
    return abs(a - b) <= _TOLERANCE


def format_mg(value: Decimal) -> str:
    """A number for people: "4.5", "0.5", "100"; 4 decimals (4 digits below 0.001), no exponent."""
    with localcontext(Context(prec=60)):
        decimals = 4 if value == 0 or value.adjusted() >= -3 else 3 - value.adjusted()
        rounded = round(value, decimals) if value.adjusted() < 40 else value
    text = f"{rounded:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def usable(value: Decimal | None) -> Decimal | None:
    """A number that a dose or a time can have; negative, endless or absurd ones are no number."""
    if value is None or not value.is_finite() or value < 0 or not -12 <= value.adjusted() <= 12:
        return None
    return value + 0  # to the context's 28 digits


def mg_of(amount: DoseAmount, strength: Strength | None) -> Decimal | None:
    """mg in an amount; a volume or a count needs a strength per that, else None."""
    if amount.unit == "mg":
        return amount.value
    if strength is None or strength.per_unit != amount.unit:
        return None
    mg, per = usable(strength.mg), usable(strength.per_amount)
    return amount.value * mg / per if mg is not None and per else None


def between(low: Rate | None, high: Rate | None) -> Rate | None:
    """One rate from both ends of a range; the upper end in its own days."""
    if low is None or high is None or low == high:
        return high
    return Rate(high.times, high.days, low.times * high.days / low.days)


def rate_of(times: Decimal, period: Decimal, unit: str) -> Rate | None:
    """``times`` per ``period`` of a time unit: s, min, h, d, w, m (30 days) or y; None = unreadable."""
    if times <= 0 or period <= 0:
        return None
    if unit in _PER_DAY:
        times = times * _PER_DAY[unit]
        a_day = times / period
        return Rate(a_day, ONE) if a_day * period == times else Rate(times, period)
    return Rate(times, period * _DAYS[unit]) if unit in _DAYS else None
