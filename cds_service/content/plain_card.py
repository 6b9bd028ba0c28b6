"""The card that needs no content file: what is sent where the words of a card are missing or broken.

The only sentences in code. They say how bad it is, which drugs it is about, and that the rest could not be printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cds_service.content import escaping
from cds_service.content.declared import Declared
from cds_service.model import Finding, Medication

LONGEST_SUMMARY = 139
SOURCE_LABEL = "Naltrexone safety"
TOPIC_SYSTEM = "urn:x-naltrexone-cds:card-topic"
_MOST_DRUGS = 4


def page_of(topic: str, base_url: str) -> str:
    """Where the rule of a card is laid open."""
    return f"{base_url}/rules/{topic}"


def plain_card(
    finding: Finding, new_id: str, rules: Sequence[Declared], base_url: str
) -> dict[str, Any]:
    """The finding as a card without any word of ``cards/``; valid like every other one."""
    title = next((rule.title for rule in rules if rule.id == finding.topic), "Naltrexone check")
    drugs = [*dict.fromkeys(drugs_of(finding))][:_MOST_DRUGS]
    about = f"{title} ({', '.join(drugs)})" if drugs else title
    return {
        "uuid": new_id,
        "summary": escaping.plain(
            f"{about}: details unavailable. Check before signing.", LONGEST_SUMMARY
        ),
        "indicator": finding.severity.indicator,
        "source": {
            "label": SOURCE_LABEL,
            "url": page_of(finding.topic, base_url),
            "topic": {"system": TOPIC_SYSTEM, "code": finding.topic, "display": title},
        },
        "detail": "- **Details unavailable:** this check has a finding, and its text could not be made. "
        "Review the orders and the medication list before signing.",
    }


def drugs_of(finding: Finding) -> Iterator[str]:
    """The ingredients that a finding is about, the drafted ones first; some twice."""
    medications: list[Medication] = [d.medication for d in finding.about]
    medications += [e.medication for e in finding.found]
    for medication in medications:
        yield from (
            escaping.plain(component.ingredient) for component in medication.recognition.components
        )
