"""What the content says on one day, as the planner uses it: schedules, and words as plain text or as HTML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup, escape

from cds_service.content.loader import Content
from cds_service.content.planner_words import Words, words_on
from cds_service.content.words import parts
from cds_service.planner.answers import METHODS, TESTS
from cds_service.planner.chart import draw_chart
from cds_service.planner.phrases import (
    Phrases,
    daily_doses,
    day,
    diary_weeks,
    is_usual,
    mg,
    weekday,
)
from cds_service.titration.schedules import DEFAULT, Schedules
from cds_service.titration.supply import most_capsules_at_once

GUIDANCE = (
    "opioid",
    "surgery",
    "sleep",
    "common",
    "heart",
    "intolerable",
    "liver",
    "mood",
    "missed",
)
_BOLD, _NOT_BOLD = Markup("<strong>"), Markup("</strong>")


@dataclass(frozen=True, slots=True)
class Edition:
    """The content in force on one day."""

    schedules: Schedules
    say: Words

    @property
    def phrases(self) -> Phrases:
        return Phrases(self.say)

    def say_html(self, key: str, **facts: object) -> Markup:
        """The words of ``key`` for a page: everything escaped, what stands between ``**`` bold."""
        shown, is_bold = [], False
        for words, name in parts(self.say.templates[key]):
            first, *more = words.split("**")
            shown.append(escape(first))
            for part in more:
                is_bold = not is_bold
                shown.append((_BOLD if is_bold else _NOT_BOLD) + escape(part))
            if name:
                shown.append(escape(facts[name] if name in facts else self.say.numbers[name]))
        return Markup("").join(shown)


def edition_of(content: Content, day: date) -> Edition:
    """The edition of ``day``."""
    return Edition(Schedules.of(content.thresholds(day)), words_on(content, day))


def page_context(edition: Edition) -> dict[str, object]:
    """What every template may use: words (``say``, ``plain``), plans as words and pictures, the schedules."""
    phrases = edition.phrases
    shown: tuple[Callable[..., object], ...] = (
        mg,
        day,
        weekday,
        daily_doses,
        diary_weeks,
        is_usual,
        draw_chart,
        most_capsules_at_once,
        phrases.amount,
        phrases.answer_fault,
        phrases.complaint,
        phrases.count_table,
        phrases.defaults,
        phrases.describe,
        phrases.fill,
        phrases.hint,
        phrases.mg_in_words,
        phrases.refills,
        phrases.supplied_until,
        phrases.when,
    )
    return {
        "say": edition.say_html,
        "show": {function.__name__: function for function in shown},
        "SCHEDULES": edition.schedules.by_id,
        "LIMITS": edition.schedules.limits,
        "DEFAULT": DEFAULT,
        "METHODS": METHODS,
        "TESTS": TESTS,
        "GUIDANCE": GUIDANCE,
    }
