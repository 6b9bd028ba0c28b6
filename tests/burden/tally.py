"""How often which patient gets which card: the burden of a version of the service, and what it misses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from tests.burden.drafts import Drafted, draft_call
from tests.burden.patients import Starter, Style, looks_like_a_user, record, starter_call
from tests.decision_diff.calls import Call
from tests.decision_diff.decisions import Decision
from tests.vignettes.builder import GAP, INTERACTION, NOW

TODAY = NOW.date()
SILENT = "silent"
LEVELS = ("critical", "warning", "info", SILENT)


@dataclass(frozen=True, slots=True)
class Burden:
    """One record style: how the clear and the endangered are told, by the loudest card that speaks of opioids.

    ``identical`` are the clear patients with a critical card whose record somebody in danger may have; they are not in
    ``clear``. ``by_rule`` are the endangered of a brief course that the specification itself lets pass; they are neither
    in ``endangered`` nor in ``started``, the endangered patients who were offered the 1.5 mg start.
    """

    style: str
    clear: Mapping[str, int] = field(default_factory=dict)
    identical: int = 0
    endangered: Mapping[str, int] = field(default_factory=dict)
    by_rule: int = 0
    started: int = 0

    @property
    def falsely_critical(self) -> int:
        return self.clear.get("critical", 0)

    @property
    def missed(self) -> int:
        return self.endangered.get(SILENT, 0)


def calls_of(cohort: Iterable[Starter], style: Style, today: date = TODAY) -> list[Call]:
    return [
        Call(f"starter/{who.number}/{style.name}", starter_call(who, style, today))
        for who in cohort
    ]


def burden(cohort: Iterable[Starter], style: Style, decisions: Iterable[Decision]) -> Burden:
    """The decisions about each patient of the cohort, counted against the truth."""
    clear: Counter[str] = Counter()
    endangered: Counter[str] = Counter()
    identical = by_rule = started = 0
    for who, decided in zip(cohort, decisions, strict=True):
        said = loudest(decided)
        if who.endangered:
            if said == SILENT and passes_by_rule(who, style):
                by_rule += 1
                continue
            endangered[said] += 1
            started += offers_start(decided)
        elif said == "critical" and looks_like_a_user(who, style):
            identical += 1
        else:
            clear[said] += 1
    return Burden(str(style), dict(clear), identical, dict(endangered), by_rule, started)


def passes_by_rule(who: Starter, style: Style) -> bool:
    """A brief course whose record shows that it ended 7 to 9 days ago: table A says none, the measure says danger."""
    return who.silent_by_rule and record(who, style).ended is not None


def loudest(decided: Decision) -> str:
    """The indicator of the interaction card, else of the one that says what could not be read."""
    if decided.status != "200":
        return decided.status
    said = {card.topic: card.indicator for card in decided.cards}
    return said.get(INTERACTION) or said.get(GAP) or SILENT


def offers_start(decided: Decision) -> bool:
    return any(code.startswith("START") for card in decided.cards for code in card.suggestions)


def draft_calls(drafts: Iterable[Drafted], today: date = TODAY) -> list[Call]:
    return [Call(f"draft/{who.number}", draft_call(who, today)) for who in drafts]


def cards_of(drafts: Iterable[Drafted], decisions: Iterable[Decision]) -> dict[str, Counter[str]]:
    """(topic indicator) -> how many drafts of each purpose get that card; "no card" where there is none."""
    found: dict[str, Counter[str]] = {}
    for who, decided in zip(drafts, decisions, strict=True):
        names = {f"{card.topic} {card.indicator}" for card in decided.cards}
        for name in names or {"no card" if decided.status == "200" else decided.status}:
            found.setdefault(name, Counter())[who.purpose] += 1
    return dict(sorted(found.items()))


def gap_share(drafts: Iterable[Drafted], decisions: Iterable[Decision]) -> float:
    """The share of drafts that get a card about what could not be read."""
    told = [
        any(card.topic == GAP for card in decided.cards)
        for _, decided in zip(drafts, decisions, strict=True)
    ]
    return sum(told) / len(told)


def as_json(
    version: str, found: Iterable[Burden], cards: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    return {
        "version": version,
        "styles": [asdict(each) for each in found],
        "drafts": {name: dict(counts) for name, counts in cards.items()},
    }
