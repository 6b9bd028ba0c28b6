"""The declarations of ``model`` at work: raw tables become values, or lines with what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cds_service.settings.model import Settings

_MEANING = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list of texts",
    "missing": "is missing",
    "string_too_short": "is missing",
    "dataclass_type": "must be a table",
    "mapping_type": "must be a table",
    "dict_type": "must be a table",
}


class NotSettingsError(Exception):
    """``lines`` say what does not fit the declarations, one line each."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(lines[0])
        self.lines = tuple(lines)


def shaped(raw: Mapping[str, Any] | Settings) -> Settings:
    """Settings from raw tables, or the same ones checked again; raises NotSettingsError."""
    try:
        return _adapter().validate_python(raw)
    except ValidationError as error:
        raise NotSettingsError([_line(e) for e in error.errors(include_url=False)]) from None


def schema() -> dict[str, Any]:
    """The declarations as a JSON Schema."""
    return _adapter().json_schema()


@cache
def _adapter() -> TypeAdapter[Settings]:
    return TypeAdapter(Settings)


def _line(error: Mapping[str, Any]) -> str:
    """``limits.fhir_pages: must be ...``; of many tables ``clients[0]: issuer is missing``."""
    where, kind = list(error["loc"]), error["type"]
    if kind == "unexpected_keyword_argument":
        said = "no such setting"
    elif isinstance(where[-1], int) and kind == "string_type":
        where, said = where[:-1], _MEANING["tuple_type"]
    elif isinstance(where[-1], int) and kind == "literal_error":
        where, said = where[:-1], _bounds(where)
    elif where[-1] in {"clients", "reviewers"} and kind == "tuple_type":
        said = f"must be a list of [[{'.'.join(map(str, where))}]] tables"
    else:
        said = _MEANING.get(kind) or _bounds(where)
    entry, members = _entry(where)
    name = ".".join(map(str, members))
    if entry and name:
        return f"{entry}: {name}{':' if said == 'no such setting' else ''} {said}"
    return f"{entry or name}: {said}"


def _entry(where: Sequence[str | int]) -> tuple[str, Sequence[str | int]]:
    """Which of many tables a place lies in ("" for none), and the place within it."""
    if where[0] == "clients" and len(where) > 1:
        return f"clients[{where[1]}]", where[2:]
    if list(where[:2]) == ["smart", "issuers"] and len(where) > 2:
        return f"smart.issuers[{where[2]}]", where[3:]
    return "", where


def _bounds(where: Sequence[str | int]) -> str:
    """What is allowed at this place, from its declaration."""
    declared = schema()
    node: Mapping[str, Any] = declared
    for part in where:
        node = (
            node.get("items")
            or node.get("properties", {}).get(part)
            or node["additionalProperties"]
        )
        if "$ref" in node:
            node = declared["$defs"][node["$ref"].rpartition("/")[2]]
    if "enum" in node:
        return f"must be one of {', '.join(sorted(value for value in node['enum'] if value))}"
    return f"must be between {node['minimum']} and {node['maximum']}"
