"""What an answer must look like, whatever it says: one function per requirement, each yielding its complaints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

Body = Any
Complaints = Iterator[str]
INDICATORS = frozenset({"info", "warning", "critical"})
_TOKEN = re.compile(r"\{\{(.*?)\}\}")
_ROOT_TOKEN = re.compile(
    r"context\.[A-Za-z]+|user(Practitioner|PractitionerRole|Patient|RelatedPerson)Id"
)
_NEVER_TOKENS = frozenset({"context.selections", "context.draftOrders", "context.medications"})


def _objects(value: Body, *names: str) -> Iterator[dict[str, Any]]:
    """Every object under this path of lists; what is no list or no object is left to its own requirement."""
    found = [value]
    for name in names:
        found = [item for each in found if isinstance(each, dict) for item in _list(each.get(name))]
    yield from (each for each in found if isinstance(each, dict))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def no_nulls(body: Body) -> Complaints:
    if body is None:
        yield "null"
    for each in body.values() if isinstance(body, dict) else _list(body):
        yield from no_nulls(each)


def no_empty(body: Body, path: str = "") -> Complaints:
    if (
        body in ("", [], {})
        and path not in {".cards", ".services"}
        and not isinstance(body, bool | int | float)
    ):
        yield f"empty {path or 'body'}"
    items = body.items() if isinstance(body, dict) else [("", each) for each in _list(body)]
    for name, each in items:
        yield from no_empty(each, f"{path}.{name}")


# --- discovery --------------------------------------------------------------------------------------------------------


def has_services(body: Body) -> Complaints:
    if not isinstance(body, dict) or not isinstance(body.get("services"), list):
        yield "no array services"


def services_are_named(body: Body) -> Complaints:
    for service in _list(body.get("services") if isinstance(body, dict) else None):
        missing = [
            n
            for n in ("hook", "description", "id")
            if not isinstance(service, dict) or not _text(service.get(n)).strip()
        ]
        if missing:
            yield f"a service without {', '.join(missing)}"


def services_are_titled(body: Body) -> Complaints:
    if any(not _text(service.get("title")) for service in _objects(body, "services")):
        yield "a service without title"


def prefetch_is_text(body: Body) -> Complaints:
    for service in _objects(body, "services"):
        templates = service.get("prefetch", {"-": "-"})
        if (
            not isinstance(templates, dict)
            or not all(isinstance(t, str) for t in templates.values())
            or not templates
        ):
            yield f"{service.get('id')}: prefetch is no object of texts"


def tokens_are_legal(body: Body) -> Complaints:
    for service in _objects(body, "services"):
        templates = service.get("prefetch")
        for template in templates.values() if isinstance(templates, dict) else ():
            for token in map(str.strip, _TOKEN.findall(_text(template))):
                if not _ROOT_TOKEN.fullmatch(token) or token in _NEVER_TOKENS:
                    yield f"{service.get('id')}: token {token}"


# --- cards ------------------------------------------------------------------------------------------------------------


def has_cards(body: Body) -> Complaints:
    if not isinstance(body, dict) or not isinstance(body.get("cards"), list):
        yield "no array cards"


def summaries_are_short(body: Body) -> Complaints:
    for card in _objects(body, "cards"):
        if not 0 < len(_text(card.get("summary"))) < 140:
            yield f"a summary of {len(_text(card.get('summary')))} characters"


def indicators_are_known(body: Body) -> Complaints:
    yield from (
        f"indicator {c.get('indicator')!r}"
        for c in _objects(body, "cards")
        if c.get("indicator") not in INDICATORS
    )


def sources_are_labelled(body: Body) -> Complaints:
    for card in _objects(body, "cards"):
        source = card.get("source")
        if not isinstance(source, dict) or not _text(source.get("label")).strip():
            yield "a card without source.label"


def source_urls_are_absolute(body: Body) -> Complaints:
    for card in _objects(body, "cards"):
        source = card.get("source")
        source = source if isinstance(source, dict) else {}
        for name in ("url", "icon"):
            if name in source and not _is_absolute(source[name]):
                yield f"source.{name} is not absolute"


def _is_absolute(url: object) -> bool:
    parts = urlsplit(_text(url))
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def suggestions_are_labelled(body: Body) -> Complaints:
    if any(not _text(s.get("label")) for s in _objects(body, "cards", "suggestions")):
        yield "a suggestion without label"


def selection_is_stated(body: Body) -> Complaints:
    for card in _objects(body, "cards"):
        if card.get("suggestions") and card.get("selectionBehavior") not in {"at-most-one", "any"}:
            yield f"suggestions with selectionBehavior {card.get('selectionBehavior')!r}"


def one_is_recommended(body: Body) -> Complaints:
    for card in _objects(body, "cards"):
        marks = [s.get("isRecommended") for s in _objects(card, "suggestions")]
        if card.get("selectionBehavior") == "at-most-one" and marks.count(True) > 1:
            yield "two recommended where one may be taken"


def actions_are_complete(body: Body) -> Complaints:
    for action in _objects(body, "cards", "suggestions", "actions"):
        if action.get("type") not in {"create", "update", "delete"} or not _text(
            action.get("description")
        ):
            yield f"an action of type {action.get('type')!r} or without description"


def changes_carry_resources(body: Body) -> Complaints:
    for action in _objects(body, "cards", "suggestions", "actions"):
        resource = action.get("resource")
        if action.get("type") in {"create", "update"} and not (
            isinstance(resource, dict) and resource.get("resourceType")
        ):
            yield f"{action.get('type')} without a resource"


def deletes_name_one(body: Body) -> Complaints:
    for action in _objects(body, "cards", "suggestions", "actions"):
        if action.get("type") == "delete" and ("resource" in action) == ("resourceId" in action):
            yield "delete with both or neither of resource and resourceId"


def links_are_complete(body: Body) -> Complaints:
    for link in _objects(body, "cards", "links"):
        if (
            link.get("type") not in {"absolute", "smart"}
            or not _text(link.get("label"))
            or not _is_absolute(link.get("url"))
        ):
            yield "a link without label, absolute url or type"


def context_only_on_smart(body: Body) -> Complaints:
    if any(
        "appContext" in link and link.get("type") != "smart"
        for link in _objects(body, "cards", "links")
    ):
        yield "appContext on a link that is not smart"


def reasons_are_coded(body: Body) -> Complaints:
    for reason in _objects(body, "cards", "overrideReasons"):
        if not all(_text(reason.get(name)) for name in ("code", "system", "display")):
            yield "an override reason without code, system or display"


def uuids_are_unique(body: Body) -> Complaints:
    found = [card["uuid"] for card in _objects(body, "cards") if "uuid" in card]
    if len(set(map(str, found))) != len(found) or not all(isinstance(u, str) and u for u in found):
        yield "a card uuid twice, or no text"


DISCOVERY: dict[str, Callable[[Body], Complaints]] = {
    "R02": no_nulls, "R03": no_empty, "R11": has_services, "R12": services_are_named, "R13": services_are_titled,
    "R14": prefetch_is_text, "R20": tokens_are_legal,
}  # fmt: skip
CARDS: dict[str, Callable[[Body], Complaints]] = {
    "R02": no_nulls, "R03": no_empty, "R70": has_cards, "R73": summaries_are_short, "R74": indicators_are_known,
    "R75": sources_are_labelled, "R76": source_urls_are_absolute, "R79": uuids_are_unique,
    "R80": suggestions_are_labelled, "R81": selection_is_stated, "R83": one_is_recommended, "R85": actions_are_complete,
    "R86": changes_carry_resources, "R87": deletes_name_one, "R89": links_are_complete, "R90": context_only_on_smart,
    "R92": reasons_are_coded,
}  # fmt: skip
