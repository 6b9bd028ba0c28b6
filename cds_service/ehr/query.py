"""Queries to a FHIR server, read from filled prefetch templates and checked part by part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9\-.]{1,64}")
_KIND = re.compile(r"[A-Z][A-Za-z]{1,39}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?::[A-Za-z-]+)?")
_VALUE = re.compile(r"[A-Za-z0-9_.:/|,;@$~-]{1,1000}")
_INCLUDE = re.compile(r"[A-Z][A-Za-z]+:[a-z][A-Za-z-]*(?::[A-Z][A-Za-z]+)?")
_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}")
_OF_IDS = frozenset({"patient", "subject", "encounter", "_id"})


@dataclass(frozen=True, slots=True)
class Query:
    """A read (``id``) or a search (``parameters``) of one resource type, every part of it checked."""

    kind: str
    id: str = ""
    parameters: tuple[tuple[str, str], ...] = ()


def is_id(text: str) -> bool:
    """Is this a FHIR id (or a version id), and not a path step?"""
    return _ID.fullmatch(text) is not None


def fill(template: str, values: Mapping[str, str]) -> str:
    """A prefetch template with its ``{{tokens}}`` filled; "" where one is unknown or its value is no id."""
    tokens = [token.strip() for token in _PLACEHOLDER.findall(template)]
    if not all(_ID.fullmatch(values.get(token, "")) for token in tokens):
        return ""
    return _PLACEHOLDER.sub(lambda token: values[token[1].strip()], template)


def read_query(text: str) -> Query | None:
    """The query that a filled template means, or None for anything that an id could have smuggled in."""
    path, mark, search = text.partition("?")
    kind, _, name = path.partition("/")
    if not _KIND.fullmatch(kind):
        return None
    if not mark:
        return Query(kind, name) if _ID.fullmatch(name) else None
    pairs = [part.partition("=")[::2] for part in search.split("&")]
    names = [pair[0] for pair in pairs]
    if name or len(set(names)) != len(names) or not all(_is_parameter(*pair) for pair in pairs):
        return None
    return Query(kind, parameters=tuple((key, unquote(value)) for key, value in pairs))


def _is_parameter(name: str, value: str) -> bool:
    if not _NAME.fullmatch(name):
        return False
    if name in _OF_IDS:
        parts = value.split(",") if name == "_id" else [value]
        return all(_ID.fullmatch(part.removeprefix("Patient/")) for part in parts)
    if name.startswith(("_include", "_revinclude")):
        return bool(_INCLUDE.fullmatch(value))
    return bool(_VALUE.fullmatch(unquote(value)))
