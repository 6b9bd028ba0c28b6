"""What rules and words owe each other: whatever a rule can say has its words, and no words are left that nothing says.

The rules come in as data. Each complaint is one line: file, key, and what is missing or too much.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from cds_service.content.declared import Declared
from cds_service.content.loader import CardText, Content
from cds_service.content.words import TemplateError, fill, placeholders
from cds_service.model import DATED, GAP_ABOUT, GAP_WHY, ORDER_KINDS, State

LONGEST_BEFORE_NAMES = 120  # characters of a summary; names make it longer, 139 is the end
FORBIDDEN = ("no interactions", "guideline-recommended", "bi-weekly", " safe ")  # specification 5.3
_SHARED_PRINTS = {  # key of shared.yaml -> what it must print
    "found": ("found",),
    "which_draft": ("which",),
    "gap": ("gaps",),
    "sources": ("sources",),
    "repeat": ("when", "reason", "what"),
    "labels/DEL_NTX": ("antagonist",),
    "labels/DEL_NTX_several": ("antagonist",),
    "labels/DEL_OPI": ("opioid",),
    "labels/DEL_OPI_several": ("opioid",),
    "labels/START_1_5": ("schedules.A.start_mg",),
    "actions/START_1_5": ("schedules.A.start_mg", "schedules.A.step_days"),
    "start_low/medication": ("schedules.A.start_mg",),
    "start_low/sig": ("schedules.A.start_mg",),
}
_SHARED_FACTS = frozenset(
    {"found", "which", "gaps", "sources", "when", "reason", "what", "opioid", "antagonist"}
)
_START_LOW = ("medication", "sig")
_PLANNER = "titration_link"


def complaints(
    content: Content,
    rules: Sequence[Declared],
    read_elsewhere: Collection[str] = (),
    *,
    leftovers: bool = True,
) -> list[str]:
    """Every breach of the contract; ``read_elsewhere`` are the thresholds that something other than a rule reads.

    Without ``leftovers`` a source or a reason may be left that nothing uses any more: an overlay cannot take one away.
    """
    by_id = {rule.id: rule for rule in rules}
    found = [
        f"{name}.yaml: there is no rule of this id"
        for name in sorted(set(content.cards) - set(by_id))
    ]
    for rule in rules:
        card = content.cards.get(rule.id)
        found += (
            _card(card, rule, content) if card else [f"{rule.id}.yaml: the rule has no card file"]
        )
    found += _shared(content, rules)
    found += _numbers(
        content, {*read_elsewhere, *(name for rule in rules for name in rule.thresholds)}
    )
    return [*found, *_unused(content)] if leftovers else found


# --- one card ---------------------------------------------------------------------------------------------------------


def _card(card: CardText, rule: Declared, content: Content) -> Iterator[str]:
    file = f"{rule.id}.yaml"
    if card.id != rule.id:
        yield f"{file}: id must be {rule.id}"
    own = {name: line for name, line in rule.lines.items() if line.cites}
    yield from _same_keys(f"{file}: summaries", card.summaries, rule.situations)
    yield from _same_keys(f"{file}: lines", card.lines, own)
    for key, text in card.summaries.items():
        yield from _text(
            f"{file}: summaries/{key}", text, rule.situations.get(key, ()), rule.facts, content
        )
        yield from _too_long(f"{file}: summaries/{key}", text, content)
    for key, text in card.lines.items():
        declared = own.get(key)
        yield from _text(
            f"{file}: lines/{key}", text, declared.prints if declared else (), rule.facts, content
        )
        yield from _cited(
            f"{file}: lines/{key}", card.cites[key], declared.cites if declared else (), content
        )
    yield from _linked(f"{file}: links", card.links, rule.links, content)
    yield from _same_keys(f"{file}: links_for", card.links_for, rule.situations, all_needed=False)
    for key in dict.fromkeys((*rule.links_for, *card.links_for)):
        yield from _linked(
            f"{file}: links_for/{key}",
            card.links_for.get(key, ()),
            rule.links_for.get(key, ()),
            content,
        )
    yield from _reasons(file, card, rule, content)
    for where, text in said_of(card):
        yield from _text(f"{file}: sheet/{where}", text, (), (), content)


def said_of(card: CardText) -> Iterator[tuple[str, str]]:
    """Every text of the card's sheet, with where it stands."""
    for key, said in card.sheet.items():
        if isinstance(said, str):
            yield key, said
        else:
            yield from ((f"{key}/{number}", text) for number, text in enumerate(said))


def _same_keys(
    where: str, found: Collection[str], said: Collection[str], *, all_needed: bool = True
) -> Iterator[str]:
    if all_needed:
        yield from (
            f"{where}/{key}: missing, the rule can say it" for key in said if key not in found
        )
    yield from (f"{where}/{key}: no rule says it" for key in found if key not in said)


def _text(
    where: str, text: str, prints: Collection[str], facts: Collection[str], content: Content
) -> Iterator[str]:
    """What may and what must be filled in, and the words that are never printed."""
    try:
        used = placeholders(text)
    except TemplateError as error:
        yield f"{where}: {error}"
        return
    if not text.strip():
        yield f"{where}: says nothing"
    known = {*facts, *printable(content)}
    yield from (f"{where}: nothing fills {{{name}}}" for name in sorted(used - known))
    yield from (f"{where}: must print {{{name}}}" for name in prints if name not in used)
    yield from (f"{where}: says {bad.strip()!r}" for bad in FORBIDDEN if bad in f" {text.lower()} ")


def _too_long(where: str, text: str, content: Content) -> Iterator[str]:
    sizes = []
    for day in content.days:
        printed = content.numbers(day)
        names = {name: "" for name in _placeholders(text) if name not in printed}
        with suppress(TemplateError, TypeError):  # said by _text
            sizes.append(len(fill(text, names, printed)))
    if (size := max(sizes, default=0)) > LONGEST_BEFORE_NAMES:
        yield f"{where}: summary has {size} characters, at most {LONGEST_BEFORE_NAMES} before names are filled in"


def _cited(
    where: str, cites: Collection[str], needed: Collection[str], content: Content
) -> Iterator[str]:
    yield from (f"{where}: no source {name!r}" for name in cites if name not in content.sources)
    yield from (f"{where}: must cite {name}" for name in needed if name not in cites)


def _linked(
    where: str, links: Collection[str], needed: Collection[str], content: Content
) -> Iterator[str]:
    yield from (
        f"{where}: {name!r} has no URL to link to"
        for name in links
        if "url" not in content.sources.get(name, {})
    )
    yield from (f"{where}: must link to {name}" for name in needed if name not in links)


def _reasons(file: str, card: CardText, rule: Declared, content: Content) -> Iterator[str]:
    yield from _same_keys(f"{file}: override_reasons", card.override_reasons, rule.overrides)
    yield from (
        f"{file}: override_reasons/{group}: no override reason {code!r}"
        for group, codes in card.override_reasons.items()
        for code in codes
        if code not in content.override_reasons
    )


# --- what cards share -------------------------------------------------------------------------------------------------


def _shared(content: Content, rules: Sequence[Declared]) -> Iterator[str]:
    shared = content.shared
    codes = dict.fromkeys(code for rule in rules for code in rule.suggestions)
    planner = (_PLANNER,) if any(rule.offers_planner for rule in rules) else ()
    several = {f"{code}_several" for code in codes}
    for table, words in (
        ("standing", [str(state) for state in State]),
        ("dated", DATED),
        ("kinds", ORDER_KINDS),
        ("actions", codes),
        ("start_low", _START_LOW),
        ("gap_what", GAP_ABOUT),
        ("gap_why", GAP_WHY),
    ):
        yield from _same_keys(f"shared.yaml: {table}", shared[table], words)
    yield from _same_keys(
        "shared.yaml: labels", set(shared["labels"]) - several, (*codes, *planner)
    )
    for key, text in _shared_texts(content):
        prints = _SHARED_PRINTS.get(key, ())
        yield from _text(
            f"shared.yaml: {key}", text, prints, _SHARED_FACTS.intersection(prints), content
        )


def _shared_texts(content: Content) -> Iterator[tuple[str, str]]:
    for key, value in content.shared.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}/{part}", text) for part, text in value.items())
        else:
            yield key, value


# --- numbers and sources ----------------------------------------------------------------------------------------------


def printable(content: Content) -> frozenset[str]:
    """The placeholders that are filled on every day."""
    return frozenset.intersection(*(frozenset(content.numbers(day)) for day in content.days))


def _numbers(content: Content, read: Collection[str]) -> Iterator[str]:
    printed = {name for text in _texts(content) for name in _placeholders(text)}
    used = {*read, *printed, *(name.replace("_hours", "_days") for name in printed)}
    for name, history in content.threshold_history.items():
        file = f"thresholds.yaml: {name}"
        yield from (
            f"{file}: no source {source!r}"
            for e in history
            for source in e["sources"]
            if source not in content.sources
        )
        parts = {
            f"{name}.{part}"
            for e in history
            if isinstance(e["value"], Mapping)
            for part in e["value"]
        } or {name}
        yield from (
            f"thresholds.yaml: {part}: nothing reads or prints it" for part in sorted(parts - used)
        )
    for name in sorted(read):
        yield from _readable(name, content)


def _readable(name: str, content: Content) -> Iterator[str]:
    whole, _, part = name.partition(".")
    if whole in content.titration_history:
        if name not in printable(content):
            yield f"schedules.yaml: {name}: missing, a decision rests on it"
        return
    history = content.threshold_history.get(whole, [])
    if not history:
        yield f"thresholds.yaml: {name}: missing, a decision rests on it"
    for entry in history:
        value: Any = entry["value"]
        if isinstance(value, Mapping) != bool(part) or (part and part not in value):
            yield f"thresholds.yaml: {name}: missing from {entry['from']}, a decision rests on it"


def _texts(content: Content) -> Iterator[str]:
    for card in content.cards.values():
        yield from card.summaries.values()
        yield from card.lines.values()
        yield from (text for _, text in said_of(card))
    for page in content.pages.values():
        yield from page.words.values()
    yield from (text for _, text in _shared_texts(content))


def _placeholders(text: str) -> frozenset[str]:
    try:
        return placeholders(text)
    except TemplateError:
        return frozenset()


def _unused(content: Content) -> Iterator[str]:
    """Sources that nothing cites and reasons that no card offers."""
    cited = {
        name
        for card in content.cards.values()
        for ids in (card.linked, *card.cites.values())
        for name in ids
    }
    groups = (content.threshold_history, *content.titration_history.values())
    cited |= {
        name
        for group in groups
        for history in group.values()
        for e in history
        for name in e["sources"]
    }
    cited |= {
        name for page in content.pages.values() for ids in page.cites.values() for name in ids
    }
    yield from (
        f"sources.yaml: {name}: nothing cites it" for name in content.sources if name not in cited
    )
    offered = {
        code
        for card in content.cards.values()
        for codes in card.override_reasons.values()
        for code in codes
    }
    yield from (
        f"override-reasons.yaml: {code}: no card offers it"
        for code in content.override_reasons
        if code not in offered
    )
