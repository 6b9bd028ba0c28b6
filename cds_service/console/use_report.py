"""From counts to what a committee reads: tables and series for one choice of weeks, client, hook and rule.

Numbers from one to four are never printed, nor what would give one away: a rate that rests on one, and the next
smallest cell of a column in which only one is hidden.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from cds_service.journal.use import Fact

SMALL = 5
HIDDEN, FEW, NOTHING = "hidden", f"<{SMALL}", "–"
WEEKS = (4, 8, 13, 26)

Facts = Mapping[Fact, int]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is looked at; "" means all."""

    weeks: int = 13
    client: str = ""
    hook: str = ""
    rule: str = ""

    def holds(self, fact: Fact, first: date) -> bool:
        """Whether a count belongs here. A call has no rule: it belongs to every one."""
        return (
            fact.week >= first
            and self.client in ("", fact.client)
            and self.hook in ("", fact.hook)
            and (self.rule in ("", fact.rule) or not fact.rule)
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: the counts of its kinds, by kind."""

    name: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Table:
    """``rows`` hold texts that may be shown; the first ``names`` of each say what it is about, the others count."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1


@dataclass(frozen=True, slots=True)
class Bar:
    """A week or a rule as it is drawn; None = too small to show, or nothing to divide."""

    name: str
    whole: int | None
    part: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """What the page shows."""

    headline: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]
    weekly: tuple[Bar, ...]
    rates: tuple[Bar, ...]  # per cent of the cards of a rule that were answered


_COLUMNS = ("shown", "silenced", "accepted", "overridden", "repeat")
_SAID = ("Shown", "Silent", "Accepted", "Overridden", "Again in 24 h", "Override rate")


def report(
    facts: Facts,
    chosen: Chosen,
    today: date,
    titles: Mapping[str, str],
    reasons: Mapping[str, str],
) -> Report:
    """The page for this choice on this day; ``titles`` name the rules, ``reasons`` the codes of overrides."""
    monday = today - timedelta(days=today.weekday())
    weeks = [monday - timedelta(weeks=n) for n in range(chosen.weeks - 1, -1, -1)]
    held = {fact: n for fact, n in facts.items() if n and chosen.holds(fact, weeks[0])}
    by_rule = _counted("By rule", "Rule", rows(held, lambda f: titles.get(f.rule, f.rule)))
    tables = (
        by_rule,
        _reasons(held, titles, reasons),
        _counted("By client", "Client", rows(held, lambda fact: fact.client or "no client")),
        _counted("By hook", "Hook", rows(held, lambda fact: fact.hook)),
        _counted(
            "By version of rules and content",
            "Version",
            rows(held, lambda f: f.version or "not recorded"),
        ),
        _gaps(held),
    )
    by_week = {row.name: row.counts for row in rows(held, lambda fact: fact.week.isoformat())}
    weekly = _counted(
        "By week",
        "Week of",
        [Row(week.isoformat(), by_week.get(week.isoformat(), {})) for week in weeks],
    )
    return Report(
        tuple(_headline(held)),
        (weekly, *tables),
        tuple(Bar(row[0][5:], _drawn(row[1]), _drawn(row[4])) for row in weekly.rows),
        tuple(Bar(row[0], 100, _drawn(row[6].removesuffix(" %"))) for row in by_rule.rows),
    )


def _drawn(cell: str) -> int | None:
    """A chart shows what its table shows, and no more."""
    digits = cell.replace(",", "")
    return int(digits) if digits.isdecimal() else None


def rows(facts: Facts, name: Callable[[Fact], str]) -> list[Row]:
    """Cards and feedback by name, those with most cards first."""
    found: dict[str, Counter[str]] = {}
    for fact, n in facts.items():
        if fact.kind in _COLUMNS:
            found.setdefault(name(fact), Counter())[fact.kind] += n
    return sorted((Row(n, c) for n, c in found.items()), key=lambda r: (-r.counts["shown"], r.name))


def override_rate(counts: Mapping[str, int]) -> int | None:
    """Per cent of the answered cards that were overridden; None where that would rest on, or reveal, a small number."""
    accepted, overridden = counts.get("accepted", 0), counts.get("overridden", 0)
    if accepted + overridden < SMALL or _is_small(accepted) or _is_small(overridden):
        return None
    return round(100 * overridden / (accepted + overridden))


def hide(column: Sequence[int]) -> list[str]:
    """The column as it may be printed: small numbers, and never one alone, or a total would give it away."""
    small = {place for place, n in enumerate(column) if _is_small(n)}
    also = -1
    if len(small) == 1:
        others = [(n, place) for place, n in enumerate(column) if n and place not in small]
        also = min(others)[1] if others else -1
    return [
        FEW if place in small else HIDDEN if place == also else f"{n:,}"
        for place, n in enumerate(column)
    ]


def one(count: int) -> str:
    """A number that stands alone."""
    return FEW if _is_small(count) else f"{count:,}"


def csv_lines(facts: Facts, chosen: Chosen, today: date) -> Iterator[Sequence[str]]:
    """Every count of this choice, small ones as such."""
    first = today - timedelta(days=today.weekday(), weeks=chosen.weeks - 1)
    yield ("week", "kind", "client", "hook", "rule", "indicator", "version", "word", "count")
    for fact, n in sorted(facts.items()):
        if n and chosen.holds(fact, first):
            yield (fact.week.isoformat(), *fact[1:], FEW if _is_small(n) else str(n))


def _headline(facts: Facts) -> Iterator[tuple[str, str]]:
    total: Counter[str] = Counter()
    for fact, n in facts.items():
        total[fact.kind] += n
    rate = override_rate(total)
    yield "Calls", one(total["call"])
    yield "Calls without a card", one(total["quiet"])
    yield "Cards shown", one(total["shown"])
    yield "Cards per 1,000 calls", _share(1_000 * total["shown"], total["call"], total["shown"])
    yield "Judged, kept silent", one(total["silenced"])
    yield "Accepted", one(total["accepted"])
    yield "Overridden", one(total["overridden"])
    yield "Override rate", NOTHING if rate is None else f"{rate} %"
    yield "Overridden again in 24 h", one(total["repeat"])
    yield "Calls refused", one(total["refused"])
    yield "Names not known", one(total["unknown"])
    yield "Feedback without its card", one(total["loose"])


def _share(part: int, whole: int, count: int) -> str:
    return NOTHING if not whole or _is_small(count) or whole < SMALL else f"{part / whole:,.0f}"


def _counted(title: str, first: str, found: Sequence[Row]) -> Table:
    columns = [hide([row.counts.get(kind, 0) for row in found]) for kind in _COLUMNS]
    rates = [override_rate(row.counts) for row in found]
    said = [NOTHING if rate is None else f"{rate} %" for rate in rates]
    for place, cells in enumerate(zip(columns[2], columns[3], strict=True)):
        if HIDDEN in cells:  # the rate would give back what was hidden
            said[place] = NOTHING
    return Table(
        title,
        (first, *_SAID),
        tuple(zip((row.name for row in found), *columns, said, strict=True)),
    )


def _reasons(facts: Facts, titles: Mapping[str, str], reasons: Mapping[str, str]) -> Table:
    counts: Counter[tuple[str, str]] = Counter()
    for fact, n in facts.items():
        if fact.kind == "overridden":
            counts[titles.get(fact.rule, fact.rule), reasons.get(fact.word, fact.word)] += n
    return _listed("Reasons for going on", ("Rule", "Reason"), _by_size(counts.items()))


def _gaps(facts: Facts) -> Table:
    counts: Counter[tuple[str, ...]] = Counter()
    for fact, n in facts.items():
        if fact.kind == "gap":
            counts[tuple(fact.word.partition("/")[::2])] += n
    return _listed("Could not check", ("What", "Why"), _by_size(counts.items()))


def _by_size(counts: Iterable[tuple[tuple[str, ...], int]]) -> list[tuple[tuple[str, ...], int]]:
    return sorted(counts, key=lambda item: (item[0][0], -item[1], item[0]))


def _listed(
    title: str, names: tuple[str, ...], counts: Sequence[tuple[tuple[str, ...], int]]
) -> Table:
    said = hide([n for _, n in counts])
    return Table(
        title,
        (*names, "Times"),
        tuple((*key, cell) for (key, _), cell in zip(counts, said, strict=True)),
        len(names),
    )


def _is_small(n: int) -> bool:
    return 0 < n < SMALL
