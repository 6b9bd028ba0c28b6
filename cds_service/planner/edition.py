"""What the content says on one day, as the planner uses it: numbers, schedules and words, plain or as HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape

from cds_service.content.loader import Content
from cds_service.content.placeholders import fill_place
from cds_service.content.planner_words import Words
from cds_service.planner.gate import METHODS, hold_hours
from cds_service.planner.phrases import Phrases, day, diary_weeks, mg, weekday
from cds_service.planner.view import draw_chart
from cds_service.titration.schedules import DEFAULT, Schedules
from cds_service.titration.supply import most_capsules_at_once

GUIDANCE = ("opioid", "surgery", "sleep", "common", "heart", "intolerable", "liver", "mood", "missed")
_BOLD, _NOT_BOLD = Markup("<strong>"), Markup("</strong>")


@dataclass(frozen=True, slots=True)
class Edition:
    """The content in force on one day."""

    numbers: Mapping[str, Any]
    schedules: Schedules
    say: Words

    @property
    def phrases(self) -> Phrases:
        return Phrases(self.say)

    def say_html(self, key: str, **facts: object) -> Markup:
        """The words of ``key`` for a page: everything escaped, what stands between ``**`` bold."""
        shown, is_bold = [], False
        for words, name in self.say.sentences[key].pieces:
            first, *more = words.split("**")
            shown.append(escape(first))
            for part in more:
                is_bold = not is_bold
                shown.append((_BOLD if is_bold else _NOT_BOLD) + escape(part))
            if name:
                shown.append(escape(fill_place(name, self.numbers, facts)))
        return Markup("").join(shown)


@lru_cache(maxsize=8)
def edition_of(content: Content, day: date) -> Edition:
    """The edition of ``day``."""
    numbers = content.thresholds(day)
    return Edition(numbers, Schedules.of(numbers), Words(content.words, numbers))


def page_context(edition: Edition) -> dict[str, object]:
    """What every template may use: words (``say``, ``plain``), plans as words and pictures, the schedules."""
    phrases = edition.phrases
    shown: tuple[Callable[..., object], ...] = (
        mg, day, weekday, diary_weeks, draw_chart, most_capsules_at_once, phrases.amount, phrases.complaint,
        phrases.count_table, phrases.defaults, phrases.describe, phrases.fill, phrases.hint, phrases.mg_in_words,
        phrases.when)
    return {"say": edition.say_html, "show": {function.__name__: function for function in shown},
            "SCHEDULES": edition.schedules.by_id, "LIMITS": edition.schedules.limits, "DEFAULT": DEFAULT,
            "METHODS": METHODS, "GUIDANCE": GUIDANCE, "hold_hours": hold_hours(edition.numbers)}
