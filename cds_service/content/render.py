"""Finding + words -> Card, in the neutral profile that clients of CDS Hooks 1.0 to 3.0-draft understand.

Every card has its own fence: whatever breaks while one is made, the others are sent, and that one goes out as
``plain_card``. A suggestion that breaks is left out; the card stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import orjson

from cds_service.content import escaping
from cds_service.content.declared import Declared
from cds_service.content.loader import CardText, Content
from cds_service.content.plain_card import LONGEST_SUMMARY, TOPIC_SYSTEM, drugs_of, plain_card
from cds_service.content.suggestions import ActionWriter
from cds_service.content.words import fill, words_of
from cds_service.dosing.structured import format_mg
from cds_service.hooks.repeats import Overridden, softened
from cds_service.hooks.versions import Dialect
from cds_service.model import Exposure, Finding, Gap, Medication, Snapshot

OVERRIDE_SYSTEM = "urn:x-naltrexone-cds:override-reason"
_JUDGEMENT = "J"  # the source that is a choice of ours
_LAST = 1_000  # the place of a topic that no rule declares
_MOST_FOUND = 3
_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:[/?#][!-~]*)?")


@dataclass(frozen=True, slots=True)
class CardWriter:
    """What cards are printed with: the words, the rules that they belong to, where links lead, and fresh ids."""

    content: Content
    rules: Sequence[Declared]
    base_url: str
    new_id: Callable[[], str]  # lower-case UUIDs


@dataclass(frozen=True, slots=True)
class Written:
    """The cards of an answer, worst first; ``broken`` names topic and fault of each that is in its plain form."""

    cards: tuple[dict[str, Any], ...]
    broken: tuple[str, ...] = ()


def render(
    findings: Iterable[Finding],
    snapshot: Snapshot,
    dialect: Dialect,
    writer: CardWriter,
    overridden: Mapping[str, Overridden] = MappingProxyType({}),
) -> Written:
    """One card for each finding; each validates against the response schema, whatever the content is like.

    A topic in ``overridden`` is said in one line.
    """
    order = {rule.id: rule.order for rule in writer.rules}
    ordered = sorted(findings, key=lambda f: (-f.severity, order.get(f.topic, _LAST)))
    carriers = [
        rule.id for rule in sorted(writer.rules, key=lambda r: r.order) if rule.carries_gaps
    ]
    carrier = next((topic for topic in carriers if any(f.topic == topic for f in ordered)), None)
    broken: list[str] = []
    cards = []
    for finding in ordered:
        if again := overridden.get(finding.topic):
            cards.append(_said_again(finding, again, snapshot, writer, broken))
            continue
        card = _fenced(
            finding,
            snapshot.today,
            snapshot.gaps if finding.topic == carrier else (),
            writer,
            broken,
        )
        if suggestions := [*_suggestions(finding, snapshot, dialect, writer, broken)]:
            card |= {"selectionBehavior": "at-most-one", "suggestions": suggestions}
        cards.append(card)
    return Written(tuple(cards), tuple(broken))


def _said_again(
    finding: Finding,
    again: Overridden,
    snapshot: Snapshot,
    writer: CardWriter,
    broken: list[str],
) -> dict[str, Any]:
    """What was overridden, when and why, in one line; the whole card where that cannot be printed."""
    try:
        return _one_line(finding, again, snapshot, writer)
    except Exception as error:  # noqa: BLE001 - the fence, as below
        broken.append(f"{finding.topic}:repeat:{type(error).__name__}")
        return _fenced(finding, snapshot.today, snapshot.gaps, writer, broken)


def _one_line(
    finding: Finding, again: Overridden, snapshot: Snapshot, writer: CardWriter
) -> dict[str, Any]:
    content, shared = writer.content, writer.content.shared
    known = content.override_reasons.get(again.reason)
    at = again.at.astimezone(snapshot.as_of.tzinfo)
    words = {
        "when": f"{at:%H:%M}" if at.date() == snapshot.today else f"{at:%Y-%m-%d %H:%M}",
        "reason": escaping.plain(known["display"] if known else shared["no_reason"]),
        "what": " / ".join(dict.fromkeys(drugs_of(finding))) or content.cards[finding.topic].title,
    }
    return {
        "uuid": writer.new_id(),
        "summary": words_of(escaping.plain(fill(shared["repeat"], words, {}), LONGEST_SUMMARY)),
        "indicator": softened(finding.severity).indicator,
        "source": _source(finding.topic, content),
    }


def could_not_check(finding: Finding, writer: CardWriter) -> dict[str, Any]:
    """The card for a call without a snapshot, with the newest numbers: even the clock may be what failed."""
    return _fenced(finding, date.max, (), writer, [])


def _fenced(
    finding: Finding, day: date, gaps: tuple[Gap, ...], writer: CardWriter, broken: list[str]
) -> dict[str, Any]:
    try:
        return _card(finding, day, gaps, writer)
    except Exception as error:  # noqa: BLE001 - the fence: content is data, and data can be anything
        broken.append(f"{finding.topic}:{type(error).__name__}")
        return plain_card(finding, writer.new_id(), writer.rules)


def _card(finding: Finding, day: date, gaps: tuple[Gap, ...], writer: CardWriter) -> dict[str, Any]:
    content = writer.content
    words = content.cards[finding.topic]
    facts, printed = _facts(finding, escaping.plain), content.numbers(day)
    quoted = _facts(finding, escaping.markdown)
    summary = fill(words.summaries[finding.situation], facts, printed)
    card: dict[str, Any] = {
        "uuid": writer.new_id(),
        "summary": words_of(escaping.plain(summary[:1].upper() + summary[1:], LONGEST_SUMMARY)),
        "indicator": finding.severity.indicator,
        "source": _source(finding.topic, content),
        "detail": words_of(
            _bullets(
                [*_detail(finding, words, quoted, content, printed), *_gap_line(gaps, content)]
            )
        ),
    }
    if links := [*_links(finding, words, writer)]:
        card["links"] = links
    if finding.overrides and (reasons := words.override_reasons[finding.overrides]):
        card["overrideReasons"] = [_override(code, content) for code in reasons]
    return card


def _source(topic: str, content: Content) -> dict[str, Any]:
    display = words_of(content.cards[topic].title)
    return {
        "label": words_of(content.shared["source_label"]),
        "topic": {"system": TOPIC_SYSTEM, "code": topic, "display": display},
    }


def _facts(finding: Finding, quote: Callable[[str], str]) -> dict[str, str]:
    """What fills the placeholders: typed values, and quotations of the record made inert by ``quote``."""
    facts = {name: escaping.plain(value) for name, value in finding.facts.items()}
    facts |= {name: quote(value) for name, value in finding.quotes.items()}
    facts |= {
        name: format_mg(Decimal(value))
        for name, value in facts.items()
        if value and name.endswith("mg")
    }
    return facts


# --- detail -----------------------------------------------------------------------------------------------------------


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {words_of(line)}" for line in lines)


def _detail(
    finding: Finding,
    words: CardText,
    facts: Mapping[str, str],
    content: Content,
    printed: Mapping[str, str],
) -> Iterator[str]:
    for name in finding.lines:
        if name == "found":
            yield fill(content.shared["found"], {"found": _found(finding.found, content)}, printed)
        elif name == "which_draft":
            which = "; ".join(_name_draft(d.medication) for d in finding.about)
            yield fill(content.shared["which_draft"], {"which": which}, printed)
        elif name == "sources":
            yield fill(
                content.shared["sources"], {"sources": _sources(finding, words, content)}, printed
            )
        else:
            yield fill(words.lines[name], facts, printed)


def _sources(finding: Finding, words: CardText, content: Content) -> str:
    """What exactly the lines of this card rest on; a judgement of ours is called one, and comes last."""
    cited = dict.fromkeys(source for name in finding.lines for source in words.cites.get(name, ()))
    ranked = sorted(cited, key=lambda source: source == _JUDGEMENT)
    return "; ".join(words_of(content.sources[source]["short"]) for source in ranked)


def _found(exposures: tuple[Exposure, ...], content: Content) -> str:
    shown = [_name_exposure(e, content) for e in exposures[:_MOST_FOUND]]
    rest = exposures[_MOST_FOUND:]
    if rest:
        shown.append(f"+{len(rest)} more: {', '.join(_label(e.medication) for e in rest)}")
    return "; ".join(shown)


def _name_exposure(exposure: Exposure, content: Content) -> str:
    """{label}, {standing}, {date} ({source}): what a prescriber would otherwise look up in the chart."""
    order = exposure.medication.order
    dated = (
        "recorded" if (exposure.dated, order.kind) == ("written", "statement") else exposure.dated
    )
    day = (
        f"{words_of(content.shared['dated'][dated])} {exposure.on.isoformat()}"
        if exposure.on
        else "date unknown"
    )
    standing, kind = (
        words_of(content.shared["standing"][exposure.state]),
        words_of(content.shared["kinds"][order.kind]),
    )
    return f"{_label(exposure.medication)}, {standing}, {day} ({kind})"


def _label(medication: Medication) -> str:
    ingredients = "/".join(c.ingredient for c in medication.recognition.components)
    label = medication.order.label
    return escaping.markdown(label) if any(c.isalpha() for c in label) else ingredients


def _name_draft(medication: Medication) -> str:
    daily = medication.dose.daily_mg
    return _label(medication) + (f", {format_mg(daily)} mg/day" if daily is not None else "")


def _gap_line(gaps: tuple[Gap, ...], content: Content) -> Iterator[str]:
    """One line for all that could not be read, in words and without a repetition."""
    what, why = content.shared["gap_what"], content.shared["gap_why"]
    said = dict.fromkeys(
        f"{words_of(what[g.about])} ({words_of(why.get(g.why, why['failed']))})" for g in gaps
    )
    if said:
        yield fill(content.shared["gap"], {"gaps": "; ".join(said)})


# --- links and reasons ------------------------------------------------------------------------------------------------


def _links(finding: Finding, words: CardText, writer: CardWriter) -> Iterator[dict[str, Any]]:
    if finding.link is not None:
        yield {
            "label": words_of(writer.content.shared["labels"]["titration_link"]),
            "url": f"{writer.base_url}/smart/launch",
            "type": "smart",
            "appContext": orjson.dumps(dict(finding.link), option=orjson.OPT_SORT_KEYS).decode(),
        }
    for source in finding.links or words.links_for.get(finding.situation, words.links):
        cited = writer.content.sources[source]
        yield {
            "label": words_of(cited.get("link_label", cited["title"])),
            "url": _url(cited["url"]),
            "type": "absolute",
        }


def _url(value: object) -> str:
    if not isinstance(value, str) or not _URL.fullmatch(value):
        raise TypeError("no URL")
    return value


def _override(code: str, content: Content) -> dict[str, str]:
    display = content.override_reasons[code]["display"]
    return {"code": words_of(code), "system": OVERRIDE_SYSTEM, "display": words_of(display)}


# --- suggestions ------------------------------------------------------------------------------------------------------


def _suggestions(
    finding: Finding, snapshot: Snapshot, dialect: Dialect, writer: CardWriter, broken: list[str]
) -> Iterator[dict[str, Any]]:
    """Those that can be made; the card does not depend on them."""
    actions = ActionWriter(snapshot, dialect, writer.content, writer.new_id)
    for suggestion in finding.suggestions:
        try:
            if offered := actions.suggestion(suggestion):
                yield offered
        except Exception as error:  # noqa: BLE001 - a second fence: the warning matters more than the button
            broken.append(f"{finding.topic}:{suggestion.code}:{type(error).__name__}")
