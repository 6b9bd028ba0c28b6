"""Read what clinicians did with our cards out of a feedback body, or refuse all of it (R101-R107)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from cds_service.errors import BadRequest
from cds_service.model import Coding, Json

MAX_ITEMS = 200


@dataclass(frozen=True, slots=True)
class FeedbackItem:
    """What one clinician did with one card. What a person may have typed stays out of the repr.

    ``card`` and the suggestions are lower-case UUIDs, ``outcome`` is accepted or overridden,
    ``outcome_timestamp`` UTC to the microsecond. ``reason.system`` is "" where the sender gave none (R105).
    """

    service: str
    card: str
    outcome: str
    outcome_timestamp: datetime
    accepted_suggestions: tuple[str, ...] = ()
    reason: Coding | None = field(default=None, repr=False)
    user_comment: str | None = field(default=None, repr=False)


def read_feedback(
    body: object, service: str, max_items: int = MAX_ITEMS
) -> tuple[FeedbackItem, ...]:
    """Every item of ``{"feedback": [...]}`` in order; BadRequest, naming a member, if one is wrong."""
    listed = body.get("feedback") if isinstance(body, Mapping) else None
    if isinstance(listed, list) and len(listed) > max_items:
        raise BadRequest(
            "feedback holds more items than one call may send.", expression=("feedback",)
        )
    for error in _schema().iter_errors(body):
        raise BadRequest(
            "The feedback breaks the CDS Hooks contract here.", expression=(_where(error),)
        )
    assert isinstance(listed, list)  # noqa: S101 - the schema has just said so; this tells the type checker
    return tuple(_read_item(item, f"feedback[{i}]", service) for i, item in enumerate(listed))


@cache
def _schema() -> Draft202012Validator:
    written = (
        files("cds_service.hooks")
        .joinpath("schema/feedback.schema.json")
        .read_text(encoding="utf-8")
    )
    return Draft202012Validator(json.loads(written))


def _where(error: ValidationError) -> str:
    """Like ``feedback[3].outcome``: the schema looks into no other member, so no word here is theirs."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path]
    if error.validator == "required":
        required = cast("list[str]", error.validator_value)
        steps += [f".{name}" for name in required if name not in cast("Json", error.instance)][:1]
    return "".join(steps).lstrip(".") or "feedback"


def _read_item(item: Json, where: str, service: str) -> FeedbackItem:
    for name, text in _texts(item):
        if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
            raise BadRequest(
                "A text holds a character that no store keeps.", expression=(f"{where}.{name}",)
            )
    override = item.get("overrideReason", {})
    return FeedbackItem(
        service=service,
        card=item["card"].lower(),
        outcome=item["outcome"],
        outcome_timestamp=_read_time(item["outcomeTimestamp"], f"{where}.outcomeTimestamp"),
        accepted_suggestions=tuple(s["id"].lower() for s in item.get("acceptedSuggestions", ())),
        reason=_read_coding(override.get("reason")),
        user_comment=override.get("userComment"),
    )


def _texts(item: Json) -> Iterator[tuple[str, str]]:
    """The free texts of an item with the member of each; all other texts have a pattern of their own."""
    override = item.get("overrideReason", {})
    yield "overrideReason.userComment", override.get("userComment", "")
    for name in ("code", "system", "display"):
        yield f"overrideReason.reason.{name}", override.get("reason", {}).get(name, "")


def _read_coding(coding: Json | None) -> Coding | None:
    if coding is None:
        return None
    return Coding(
        system=coding.get("system", ""), code=coding["code"], display=coding.get("display", "")
    )


def _read_time(text: str, where: str) -> datetime:
    """UTC from the RFC 3339 text of the schema: :60 is the second after :59, digits past 1 us are cut."""
    leap = text[17:19] == "60"
    try:
        written = f"{text[:17]}59{text[19:]}" if leap else text
        return datetime.fromisoformat(written.upper()).astimezone(UTC) + timedelta(
            seconds=int(leap)
        )
    except (ValueError, OverflowError):
        message = "outcomeTimestamp is no time that exists."
        raise BadRequest(message, expression=(where,)) from None
