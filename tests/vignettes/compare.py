"""What an answer decided, read from its cards as an EHR would, and how that differs from a vignette.

Suggestions carry no code of ours on the wire, so they are told by shape: a delete of a naltrexone or opioid draft, an
update of a listed naltrexone order to on-hold, an update of the draft to 1.5 mg at bedtime.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.vignettes.releases import Json

ORDER_OF = {"critical": 0, "warning": 1, "info": 2}
NAMES = {
    "recommended_suggestion": "recommended",
    "titration_link": "titration link",
    "override_reasons": "override reasons",
}
NEGATION = re.compile(r"\b(?:not|no|never|without|cannot|nor|neither|avoid|don't)\b")


@dataclass(frozen=True, slots=True)
class Told:
    """One card as a clinician meets it; ``recommended`` holds the codes of the suggestions marked so.

    ``reasons`` are the local codes of its override reasons.
    """

    topic: str
    indicator: str
    words: str
    suggestions: tuple[str, ...]
    recommended: tuple[str, ...]
    link: bool
    reasons: tuple[str, ...] = ()


def told(cards: Iterable[Json], body: Json) -> tuple[Told, ...]:
    return tuple(card_told(card, body) for card in cards)


def card_told(card: Json, body: Json) -> Told:
    offered = [
        (suggestion_code(s, body), s.get("isRecommended", False))
        for s in card.get("suggestions", ())
    ]
    return Told(
        topic=card["source"]["topic"]["code"],
        indicator=card["indicator"],
        words=plain(f"{card['summary']}\n{card.get('detail', '')}"),
        suggestions=tuple(sorted(code for code, _ in offered)),
        recommended=tuple(sorted(code for code, marked in offered if marked)),
        link=any(is_planner(link) for link in card.get("links", ())),
        reasons=tuple(sorted(reason["code"] for reason in card.get("overrideReasons", ()))),
    )


def plain(text: str) -> str:
    """Lower case, one kind of hyphen and space, markdown escapes undone."""
    text = re.sub(r"[\u2010-\u2015\u2212]", "-", text).replace("\u00a0", " ")
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text).lower()


def is_planner(link: Json) -> bool:
    return link["type"] == "smart" and urlsplit(link["url"]).path.endswith("/smart/launch")


def suggestion_code(suggestion: Json, body: Json) -> str:
    """DEL_NTX, DEL_OPI, HOLD_NTX or START_1_5; anything else is spelled out so that a comparison shows it."""
    codes = {action_code(action, body) for action in suggestion["actions"]}
    return codes.pop() if len(codes) == 1 else "+".join(sorted(codes))


def action_code(action: Json, body: Json) -> str:
    drafts = {r["id"]: r for r in orders(body["context"]) if isinstance(r.get("id"), str)}
    if action["type"] == "delete":
        target = str(action.get("resourceId") or action.get("resource") or "").rpartition("/")[2]
        return deletion_code(target, drafts)
    resource: Json = action.get("resource") or {}
    target, kind = resource.get("id", ""), resource.get("resourceType", "")
    if action["type"] == "update" and target in drafts and starts_low(resource):
        return "START_1_5"
    is_listed = (kind, target) in {
        (str(r.get("resourceType")), str(r.get("id"))) for r in orders(body.get("prefetch", {}))
    }
    is_held = is_listed and resource["status"] == "on-hold" and "naltrexone" in drug_of(resource)
    if action["type"] == "update" and is_held:
        return "HOLD_NTX"
    return f"{action['type']}({kind}/{target})"


def deletion_code(target: str, drafts: Json) -> str:
    """Told by the id where ours wrote it, else by the drug that the draft names."""
    if target not in drafts:
        return f"delete({target})"
    named = "DEL_NTX" if "naltrexone" in drug_of(drafts[target]) else "DEL_OPI"
    return {"ntx": "DEL_NTX", "op": "DEL_OPI"}.get(target.partition("-")[0], named)


def starts_low(resource: Json) -> bool:
    """1.5 mg at bedtime is every dose of it, 14 of them for 14 days, no more than that, and the product is named so."""
    doses = [
        (q.get("value"), q.get("unit") or q.get("code")) for q in under(resource, "doseQuantity")
    ]
    moments = [
        *under(resource, "when"),
        *(d.get("text", "") for d in resource.get("dosageInstruction", ())),
    ]
    supplied = resource.get("dispenseRequest", {})
    left_over = (
        supplied.get("numberOfRepeatsAllowed")
        or {"initialFill", "validityPeriod"} & supplied.keys()
    )
    return (
        doses == [(1.5, "mg")]
        and supplied.get("quantity", {}).get("value") == 14
        and not left_over
        and any("HS" in moment or "bedtime" in moment for moment in moments)
        and supplied.get("expectedSupplyDuration", {}).get("value") == 14
        and "naltrexone 1.5 mg oral capsule (compounded)" in drug_of(resource)
    )


def drug_of(resource: Json) -> str:
    """Every word that names the drug, in the resource itself or in its contained Medication."""
    concepts = [
        resource.get("medicationCodeableConcept")
        or resource.get("medication", {}).get("concept")
        or {},
        *(inside["code"] for inside in resource.get("contained", ()) if "code" in inside),
    ]
    words = [
        text
        for concept in concepts
        for name in ("text", "display")
        for text in under(concept, name)
    ]
    return " ".join(words).lower()


def under(document: Any, name: str) -> Iterator[Any]:
    """Every value of a member called ``name``, however deep."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key == name:
                yield value
            yield from under(value, name)
    elif isinstance(document, list):
        for value in document:
            yield from under(value, name)


def orders(part: Json) -> Iterator[Json]:
    """The resources of every Bundle inside a context or a prefetch."""
    for value in part.values():
        for entry in (value or {}).get("entry", ()) if isinstance(value, dict) else ():
            yield entry["resource"]


def differences(expected: Iterable[Json], cards: Iterable[Json], body: Json) -> list[str]:
    """One line for each way in which the cards are not those expected; empty if they are."""
    found, wanted = told(cards, body), {card["topic"]: card for card in expected}
    topics = [card.topic for card in found]
    lines = [f"{topic}: card missing" for topic in wanted if topic not in topics]
    lines += [f"{topic}: card not expected" for topic in topics if topic not in wanted]
    lines += [
        f"{topic}: more than one card" for topic in sorted(set(topics)) if topics.count(topic) > 1
    ]
    if [ORDER_OF[c.indicator] for c in found] != sorted(ORDER_OF[c.indicator] for c in found):
        lines.append("cards are not sorted critical, warning, info")
    for card in found:
        if card.topic in wanted:
            lines += card_differences(wanted[card.topic], card)
    return lines


def card_differences(wanted: Json, card: Told) -> Iterator[str]:
    """A member that the expectation does not have is not compared."""
    pairs = {
        "indicator": (wanted.get("indicator"), card.indicator),
        "suggestions": (tuple(sorted(wanted.get("suggestions") or ())), card.suggestions),
        "recommended_suggestion": (
            tuple(filter(None, [wanted.get("recommended_suggestion")])),
            card.recommended,
        ),
        "titration_link": (wanted.get("titration_link"), card.link),
        "override_reasons": (tuple(sorted(wanted.get("override_reasons") or ())), card.reasons),
    }
    for name, (should, did) in pairs.items():
        if name in wanted and should != did:
            yield f"{card.topic}: {NAMES.get(name, name)} should be {should!r}, is {did!r}"
    for words in wanted.get("must_mention", ()):
        if not any(plain(each) in card.words for each in words.split("|")):
            yield f"{card.topic}: does not mention {words!r}"
    for words in wanted.get("must_not_mention", ()):
        if says(card.words, words):
            yield f"{card.topic}: says {words!r}"


def says(text: str, phrase: str) -> bool:
    """Whether plain words assert the phrase: it stands in a clause without a negation before it."""
    clauses = re.split(r"[.;:!?\n]|, but ", text)
    before = [clause.partition(plain(phrase))[0] for clause in clauses if plain(phrase) in clause]
    return any(not NEGATION.search(words) for words in before)
