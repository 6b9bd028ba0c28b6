"""Finding + words -> Card, in the neutral profile that clients of CDS Hooks 1.0 to 3.0-draft understand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from cds_service.content import escaping, placeholders
from cds_service.content.loader import CardText, Content
from cds_service.dosing.structured import format_mg
from cds_service.fhir import write
from cds_service.hooks.services import Service
from cds_service.model import Exposure, Finding, Gap, Medication, Order, Severity, Snapshot, Suggestion
from cds_service.titration.schedules import DEFAULT, Schedules

TOPIC_SYSTEM = "urn:x-naltrexone-cds:card-topic"
OVERRIDE_SYSTEM = "urn:x-naltrexone-cds:override-reason"
LONGEST_SUMMARY = 139
_READING_ORDER = ("naltrexone-opioid-interaction", "naltrexone-data-gap", "naltrexone-patient-safety",
                  "naltrexone-dose-check", "naltrexone-off-label")  # among cards of one indicator
_CARRIES_GAPS = ("naltrexone-opioid-interaction", "naltrexone-data-gap", "naltrexone-off-label")
_MOST_FOUND = 3


@dataclass(frozen=True, slots=True)
class CardWriter:
    """What cards are printed with: the words, where links lead, and fresh ids (lower-case UUIDs)."""

    content: Content
    base_url: str
    new_id: Callable[[], str]


def render(findings: Iterable[Finding], snapshot: Snapshot, service: Service, writer: CardWriter) -> list[dict[str, Any]]:
    """The cards of an answer, worst first; each validates against the response schema."""
    ordered = sorted(findings, key=lambda finding: (-finding.severity, _READING_ORDER.index(finding.topic)))
    carrier = next((topic for topic in _CARRIES_GAPS if any(f.topic == topic for f in ordered)), None)
    return [_card(f, snapshot, service, writer, carries_gaps=f.topic == carrier) for f in ordered]


def could_not_check(writer: CardWriter) -> dict[str, Any]:
    """The data-gap card for a call in which our own code failed before any rule could speak."""
    finding = Finding("naltrexone-data-gap", Severity.WARNING, "rule", lines=("rule",))
    words = writer.content.cards[finding.topic]
    return {**_head(finding, words, writer), "detail": _bullets([words.lines["rule"]]),
            "links": [*_links(finding, words, writer)]}


def _card(finding: Finding, snapshot: Snapshot, service: Service, writer: CardWriter, *,
          carries_gaps: bool) -> dict[str, Any]:
    words = writer.content.cards[finding.topic]
    gaps = snapshot.gaps if carries_gaps else ()
    card = _head(finding, words, writer)
    card["detail"] = _bullets([*_detail(finding, words, writer.content), *_gap_line(gaps, writer.content)])
    if suggestions := [*_suggestions(finding, snapshot, service, writer)]:
        card["selectionBehavior"] = "at-most-one"
        card["suggestions"] = suggestions
    if finding.overrides and words.override_reasons:
        card["overrideReasons"] = [_override(code, writer.content) for code in words.override_reasons]
    card["links"] = [*_links(finding, words, writer)]
    return card


def _head(finding: Finding, words: CardText, writer: CardWriter) -> dict[str, Any]:
    return {
        "uuid": writer.new_id(),
        "summary": _summary(words.summaries[finding.situation], _facts(finding)),
        "indicator": finding.severity.indicator,
        "source": {"label": writer.content.shared["source_label"],
                   "topic": {"system": TOPIC_SYSTEM, "code": finding.topic, "display": words.title}},
    }


def _summary(template: str, facts: Mapping[str, str]) -> str:
    text = template.format_map(facts)
    return escaping.plain(text[:1].upper() + text[1:], LONGEST_SUMMARY)


def _facts(finding: Finding) -> dict[str, str]:
    facts = {name: escaping.plain(value) for name, value in finding.facts.items()}
    if facts.get("mg"):
        facts["mg"] = format_mg(Decimal(facts["mg"]))
    return facts


# --- detail -----------------------------------------------------------------------------------------------------------

def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _detail(finding: Finding, words: CardText, content: Content) -> Iterator[str]:
    facts = _facts(finding)
    for name in finding.lines:
        if name == "found":
            yield content.shared["found"].format_map({"found": _found(finding.found, content)})
        elif name == "which_draft":
            yield content.shared["which_draft"].format_map(
                {"which": "; ".join(_name_draft(d.medication) for d in finding.about)})
        else:
            yield words.lines[name].format_map(facts)


def _found(exposures: tuple[Exposure, ...], content: Content) -> str:
    shown = [_name_exposure(e, content) for e in exposures[:_MOST_FOUND]]
    rest = exposures[_MOST_FOUND:]
    if rest:
        shown.append(f"+{len(rest)} more: {', '.join(_label(e.medication) for e in rest)}")
    return "; ".join(shown)


def _name_exposure(exposure: Exposure, content: Content) -> str:
    """{label}, {standing}, {date} ({source}): what a prescriber would otherwise look up in the chart."""
    order = exposure.medication.order
    dated = "recorded" if (exposure.dated, order.kind) == ("written", "statement") else exposure.dated
    day = f"{content.shared['dated'][dated]} {exposure.on.isoformat()}" if exposure.on else "date unknown"
    standing, kind = content.shared["standing"][exposure.state], content.shared["kinds"][order.kind]
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
    said = dict.fromkeys(f"{what.get(g.about, g.about)} ({why.get(g.why, why['failed'])})" for g in gaps)
    if said:
        yield content.shared["gap"].format_map({"gaps": "; ".join(said)})


# --- links and reasons ------------------------------------------------------------------------------------------------

def _links(finding: Finding, words: CardText, writer: CardWriter) -> Iterator[dict[str, Any]]:
    if finding.link is not None:
        yield {"label": writer.content.shared["labels"]["titration_link"], "url": f"{writer.base_url}/smart/launch",
               "type": "smart", "appContext": orjson.dumps(dict(finding.link), option=orjson.OPT_SORT_KEYS).decode()}
    for source in words.links_for.get(finding.situation, words.links):
        cited = writer.content.sources[source]
        yield {"label": cited.get("link_label", cited["title"]), "url": cited["url"], "type": "absolute"}


def _override(code: str, content: Content) -> dict[str, str]:
    return {"code": code, "system": OVERRIDE_SYSTEM, "display": content.override_reasons[code]["display"]}


# --- suggestions ------------------------------------------------------------------------------------------------------

def _suggestions(finding: Finding, snapshot: Snapshot, service: Service, writer: CardWriter) -> Iterator[dict[str, Any]]:
    for suggestion in finding.suggestions:
        actions = [_action(suggestion, medication, snapshot, service, writer) for medication in suggestion.targets]
        if all(actions):
            yield {"label": _suggestion_label(suggestion, snapshot, writer), "uuid": writer.new_id(),
                   "isRecommended": suggestion.recommended, "actions": actions}


def _suggestion_label(suggestion: Suggestion, snapshot: Snapshot, writer: CardWriter) -> str:
    names = dict.fromkeys(c.ingredient for m in suggestion.targets for c in m.opioids)
    labels = writer.content.shared["labels"]
    several = labels.get(f"{suggestion.code}_several") if len(suggestion.targets) > 1 else None
    return _fill(several or labels[suggestion.code], snapshot, opioid=" and ".join(names))


def _action(suggestion: Suggestion, medication: Medication, snapshot: Snapshot, service: Service,
            writer: CardWriter) -> dict[str, Any] | None:
    """One action on one order; None where it cannot be made honestly, and then the suggestion is left out."""
    described = _fill(writer.content.shared["actions"][suggestion.code], snapshot)
    if suggestion.code in {"DEL_NTX", "DEL_OPI"}:
        target = _delete_target(medication, snapshot, service)
        return None if target is None else {"type": "delete", "description": described, **target}
    order = medication.order
    if not order.target:
        return None
    resource = _changed(suggestion, order, snapshot, writer)
    return None if resource is None else {"type": "update", "description": described, "resource": resource}


def _changed(suggestion: Suggestion, order: Order, snapshot: Snapshot, writer: CardWriter) -> dict[str, Any] | None:
    """The order as the suggestion makes it; None where that is no legal resource or cannot be written as JSON."""
    try:
        if suggestion.code == "HOLD_NTX":
            resource = write.hold(order.resource, order.release, writer.content.shared["hold_reason"])
        else:
            resource = write.start_low(order.resource, order.release, _first_step(snapshot, writer.content))
        orjson.dumps([[[[[[[[[[resource]]]]]]]]]])   # an answer holds it that deep, and JSON writers have a limit
    except (RecursionError, TypeError, ValueError):
        return None
    return resource if write.is_valid(resource, order.release) else None


def _first_step(snapshot: Snapshot, content: Content) -> write.FirstStep:
    """The first step of the default schedule, in the words in force."""
    first = Schedules.of(snapshot.thresholds).by_id[DEFAULT]
    words = content.shared["start_low"]
    return write.FirstStep(first.start.default, int(first.interval.default), _fill(words["medication"], snapshot),
                           _fill(words["sig"], snapshot))


def _fill(text: str, snapshot: Snapshot, **facts: str) -> str:
    return placeholders.parse(text).fill(snapshot.thresholds, facts)


def _delete_target(medication: Medication, snapshot: Snapshot, service: Service) -> dict[str, str] | None:
    """``resource`` on the 1.0 hook, ``resourceId`` on the order hooks (R87); {} for the only order without an id."""
    ref = medication.order.target
    if service.delete_by_resource:
        if ref:
            return {"resource": ref.partition("/")[2]}
        return {} if snapshot.orders_in_call == 1 else None
    return {"resourceId": ref} if ref else None
