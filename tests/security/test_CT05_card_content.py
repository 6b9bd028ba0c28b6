"""No text of the EHR's reaches a card as anything but words (conformance T5)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import (
    LDN,
    OXYCODONE,
    RXNORM,
    T1,
    Json,
    call,
    card_of,
    cards,
    dosage,
    ldn,
    leaves,
    listed,
    topics,
)
from tests.security.payloads import PAYLOADS, marked

SIGN = "/cds-services/naltrexone-order-sign"


def _drug_text(draft: Json, opioid: Json, body: Json, text: str) -> None:
    opioid["medicationCodeableConcept"]["text"] = text


def _coding_display(draft: Json, opioid: Json, body: Json, text: str) -> None:
    opioid["medicationCodeableConcept"] = {
        "coding": [{"system": RXNORM, "code": OXYCODONE[1], "display": text}]
    }


def _draft_text(draft: Json, opioid: Json, body: Json, text: str) -> None:
    draft["medicationCodeableConcept"]["text"] = f"{LDN} {text}"


def _sig(draft: Json, opioid: Json, body: Json, text: str) -> None:
    draft["dosageInstruction"][0]["text"] = f"4.5 mg at bedtime {text}"


def _patient_instruction(draft: Json, opioid: Json, body: Json, text: str) -> None:
    draft["dosageInstruction"][0]["patientInstruction"] = text


def _contained_code(draft: Json, opioid: Json, body: Json, text: str) -> None:
    code = {"text": text, "coding": [{"system": RXNORM, "code": OXYCODONE[1]}]}
    del opioid["medicationCodeableConcept"]
    opioid["medicationReference"] = {"reference": "#m", "display": text}
    opioid["contained"] = [{"resourceType": "Medication", "id": "m", "code": code}]


def _outcome(draft: Json, opioid: Json, body: Json, text: str) -> None:
    issue = {
        "severity": "error",
        "code": "exception",
        "diagnostics": text,
        "details": {"text": text},
    }
    body["prefetch"]["conditions"] = {"resourceType": "OperationOutcome", "issue": [issue]}


def _user(draft: Json, opioid: Json, body: Json, text: str) -> None:
    body["context"]["userId"] = text


def _extension(draft: Json, opioid: Json, body: Json, text: str) -> None:
    draft["extension"] = [{"url": "urn:x", "valueString": text}]


def _reason(draft: Json, opioid: Json, body: Json, text: str) -> None:
    draft["reasonCode"] = [
        {"text": text, "coding": [{"system": text, "code": text, "display": text}]}
    ]


def _condition(draft: Json, opioid: Json, body: Json, text: str) -> None:
    problem = {
        "resourceType": "Condition",
        "subject": {"reference": "Patient/p1"},
        "code": {"text": text},
    }
    body["prefetch"]["conditions"] = {"resourceType": "Bundle", "entry": [{"resource": problem}]}


def _patient_name(draft: Json, opioid: Json, body: Json, text: str) -> None:
    body["prefetch"]["patient"]["name"] = [{"family": text, "given": [text]}]


def _unit(draft: Json, opioid: Json, body: Json, text: str) -> None:
    opioid["dosageInstruction"] = [dosage(1, text)]


def _status_reason(draft: Json, opioid: Json, body: Json, text: str) -> None:
    opioid["statusReason"] = {"text": text}


FILL: dict[str, Callable[[Json, Json, Json, str], None]] = {
    "drug text": _drug_text,
    "coding display": _coding_display,
    "draft text": _draft_text,
    "sig": _sig,
    "patient instruction": _patient_instruction,
    "contained code": _contained_code,
    "outcome": _outcome,
    "user": _user,
    "extension": _extension,
    "reason": _reason,
    "condition": _condition,
    "patient name": _patient_name,
    "unit": _unit,
    "status reason": _status_reason,
}
FIELDS = tuple(FILL)


def filled(field: str, text: str) -> Json:
    """A conflict call with ``text`` in one place that the EHR fills."""
    body = call("order-sign", ldn(), meds=(listed(),))
    draft = body["context"]["draftOrders"]["entry"][0]["resource"]
    (entry,) = body["prefetch"]["medicationRequests"]["entry"]
    FILL[field](draft, entry["resource"], body, text)
    return body


@pytest.mark.parametrize("field", FIELDS)
def test_CT05_a_payload_in_any_field_leaves_the_plain_text_members_plain(
    service: Any, field: str
) -> None:
    for payload in PAYLOADS:
        found = cards(service, filled(field, marked(payload)))
        assert "critical" == topics(found)[T1], payload
        for card in found:
            plain = [
                card["summary"],
                card["source"]["label"],
                *(link["label"] for link in card.get("links", [])),
                *(s["label"] for s in card.get("suggestions", [])),
                *(a["description"] for s in card.get("suggestions", []) for a in s["actions"]),
            ]
            assert [] == [
                p
                for p in plain
                if re.search(r"[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", p)
            ]
            assert [] == [
                p for p in plain if re.search(r"<[a-z!/]|\]\(|https?://", p, re.IGNORECASE)
            ], payload


@pytest.mark.parametrize("field", FIELDS)
def test_CT05_a_payload_never_becomes_a_link_a_source_or_a_reason(service: Any, field: str) -> None:
    for payload in PAYLOADS:
        for card in cards(service, filled(field, marked(payload))):
            ours = json.dumps(
                [card.get("links", []), card["source"], card.get("overrideReasons", [])]
            )
            assert "QQMARK" not in ours, payload


@pytest.mark.parametrize("number", [4.5, 4.50, 4.500000001, 1e-7, 123456789.123456789, 3])
def test_CT05_a_number_is_printed_by_us_and_not_copied(service: Any, number: float) -> None:
    draft = ldn(
        dose=dosage(number, "mg"),
        medicationCodeableConcept={"text": "naltrexone oral liquid, low-dose naltrexone"},
    )
    for card in cards(service, call("order-sign", draft)):
        assert not re.search(
            r"\d[eE][-+]?\d|\d\.\d*0 mg|\.\d{7,}", card["summary"] + card.get("detail", "")
        )


def test_CT05_a_template_in_a_drug_name_is_only_text(service: Any) -> None:
    for trick in (
        "{opioid}",
        "{0}",
        "{d.__class__}",
        "%(opioid)s",
        "{{7*7}}",
        "${7*7}",
        "{",
        "}",
        "{}",
    ):
        found = cards(service, filled("drug text", f"QQMARK {trick} oxycodone"))
        assert "critical" == topics(found)[T1]
        text = card_of(found, T1)["summary"] + card_of(found, T1)["detail"]
        assert not re.search(r"\b49\b|class '", text)


def test_CT05_no_other_text_of_the_patients_is_printed(service: Any) -> None:
    """Name, user, notes and extensions have no business on a card."""
    for field in (
        "patient name",
        "user",
        "extension",
        "outcome",
        "patient instruction",
        "status reason",
    ):
        found = cards(service, filled(field, "QQMARK"))
        shown = [
            v
            for card in found
            for key in ("summary", "detail", "links")
            for _, v in leaves(card.get(key))
        ]
        assert [] == [v for v in shown if isinstance(v, str) and "QQMARK" in v], field
