"""What an answer decides, and how two decisions about one call differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.decision_diff.calls import Call
from tests.vignettes.compare import suggestion_code
from tests.vignettes.releases import Json

HTTP = "HTTP"


@dataclass(frozen=True, slots=True)
class Card:
    """One card: ``situations`` is None where the version does not show them, ``words`` are compared on demand only."""

    topic: str
    indicator: str
    suggestions: tuple[str, ...]  # DEL_NTX; DEL_NTX* = recommended
    links: tuple[str, ...]
    situations: tuple[str, ...] | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    status: str
    cards: tuple[Card, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One topic of one call that is decided otherwise; ``what`` reads "none -> warning; suggestions +DEL_NTX"."""

    topic: str
    what: str


def decision(call: Call, line: Json) -> Decision:
    """What a version's line about ``call`` decides."""
    if "error" in line:
        return Decision(f"broken: {line['error'].split(':')[0]}")
    cards = (line["answer"] or {}).get("cards", ()) if line["status"] == 200 else ()
    return Decision(
        str(line["status"]), tuple(card(each, call, line.get("situations")) for each in cards)
    )


def card(said: Json, call: Call, situations: dict[str, list[str]] | None) -> Card:
    topic = said["source"]["topic"]["code"]
    offered = [
        _offer(s, call.body) + ("*" if s.get("isRecommended") else "")
        for s in said.get("suggestions", ())
    ]
    reasons = [reason.get("code", "") for reason in said.get("overrideReasons", ())]
    return Card(
        topic,
        said["indicator"],
        tuple(sorted(offered)),
        tuple(sorted(link["type"] for link in said.get("links", ()))),
        tuple(situations.get(topic, ())) if situations is not None else None,
        (said["summary"], said.get("detail", ""), *reasons),
    )


def _offer(suggestion: Json, body: Json) -> str:
    """Its code; where the drafts of the body are too odd for its readers, its actions as they are."""
    try:
        return suggestion_code(suggestion, body)
    except (AttributeError, KeyError, TypeError):
        return json.dumps(suggestion["actions"], sort_keys=True)


def changes(old: Decision, new: Decision, *, words: bool = False) -> Iterator[Change]:
    """Topic by topic; where the status differs nothing else is said."""
    if old.status != new.status:
        yield Change(HTTP, f"{old.status} -> {new.status}")
        return
    before, after = by_topic(old.cards), by_topic(new.cards)
    for topic in sorted({*before, *after}):
        said = "; ".join(card_changes(before.get(topic, ()), after.get(topic, ()), words=words))
        if said:
            yield Change(topic, said)


def by_topic(cards: Iterable[Card]) -> dict[str, tuple[Card, ...]]:
    cards = tuple(cards)
    return {c.topic: tuple(each for each in cards if each.topic == c.topic) for c in cards}


def card_changes(old: tuple[Card, ...], new: tuple[Card, ...], *, words: bool) -> Iterator[str]:
    loud = [" and ".join(c.indicator for c in cards) or "none" for cards in (old, new)]
    if loud[0] != loud[1]:
        yield f"{loud[0]} -> {loud[1]}"
    offered = [[code for c in cards for code in c.suggestions] for cards in (old, new)]
    if offered[0] != offered[1]:
        yield "suggestions " + added_and_lost(*offered)
    if not (old and new):
        return
    links = [[kind for c in cards for kind in c.links] for cards in (old, new)]
    if links[0] != links[1]:
        yield "links " + added_and_lost(*links)
    situations = [[c.situations for c in cards] for cards in (old, new)]
    if situations[0] != situations[1] and None not in (*situations[0], *situations[1]):
        yield " -> ".join(
            ",".join(name for each in found for name in each or ()) for found in situations
        )
    if words and [c.words for c in old] != [c.words for c in new]:
        yield "words"


def added_and_lost(old: Iterable[str], new: Iterable[str]) -> str:
    old, new = list(old), list(new)
    lost, added = list(old), list(new)
    for each in new:
        if each in lost:
            lost.remove(each)
            added.remove(each)
    return (
        " ".join([*(f"-{each}" for each in lost), *(f"+{each}" for each in added)]) or "reordered"
    )
