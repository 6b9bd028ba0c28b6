"""Fill a template: words with ``{placeholders}`` and no logic.

A placeholder names a fact that code states (``{opioid}``) or a number in force: ``{adult_age}``, and by a dotted path
where one entry holds several, ``{short_acting_days.warning_below}`` or ``{schedules.A.max_mg}``. Every number of days is
there in hours too: ``oral_hold_days: 3`` fills ``{oral_hold_hours}`` with 72.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

_NAME = re.compile(r"[a-z][a-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*")
_NONE: Mapping[str, str] = {}
_DAYS = re.compile(r"_days(?=\.|$)")


class TemplateError(ValueError):
    """A template that cannot be filled: a brace too many, or a placeholder with a format of its own."""


@lru_cache(maxsize=4096)
def parts(template: str) -> tuple[tuple[str, str], ...]:
    """(words, placeholder that follows them or ""); raises TemplateError."""
    try:
        parsed = [*string.Formatter().parse(template)]
    except ValueError as error:
        raise TemplateError(str(error)) from None
    for _, name, form, conversion in parsed:
        if name is not None and (form or conversion or not _NAME.fullmatch(name)):
            raise TemplateError(f"{{{name}}} is not a plain placeholder")
    return tuple((words, name or "") for words, name, _, _ in parsed)


def placeholders(template: str) -> frozenset[str]:
    """The names of what must be filled in; raises TemplateError."""
    return frozenset(name for _, name in parts(template) if name)


def fill(template: str, facts: Mapping[str, str], printed: Mapping[str, str] = _NONE) -> str:
    """The template with every placeholder filled from ``facts``, else from the ``printed`` numbers.

    Raises TemplateError, KeyError for a value that is missing, or TypeError for what is no text.
    """
    filled = []
    for words, name in parts(template):
        filled.append(words)
        if name:
            filled.append(facts[name] if name in facts else printed[name])
    return words_of("".join(filled))


def words_of(value: object) -> str:
    """Text that may stand on a card; raises TypeError for anything else that damaged content may hold."""
    if not isinstance(value, str) or not value.strip():
        raise TypeError("no words")
    return value


def numbers(in_force: Mapping[str, Any]) -> dict[str, str]:
    """Every number by the placeholder that prints it, without trailing zeros."""
    found = dict(_printed(in_force))
    hours = {
        _DAYS.sub("_hours", name): value for name, value in found.items() if _DAYS.search(name)
    }
    return {**{name: _print(Decimal(value) * 24) for name, value in hours.items()}, **found}


def _printed(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Lists are choices, not numbers: they have no placeholder."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _printed(value, f"{path}{name}.")
        elif not isinstance(value, list):
            yield f"{path}{name}", _print(value)


def _print(number: Any) -> str:
    return f"{Decimal(str(number)).normalize():f}"
