"""The requests that the public sandbox really sent get the cards that the clinical specification wants for them.

The listed oxycodone ER and naltrexone are active, written on 2025-10-01 without supply data: 416 days old, hence stale.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.vignettes.compare import Told, told
from tests.vignettes.releases import Json

CAPTURES = Path(__file__).parents[2] / "fhir_fixtures" / "requests" / "captures"
SERVICES = {
    "order-select": "naltrexone-order-select",
    "order-sign": "naltrexone-order-sign",
    "medication-prescribe": "naltrexone-medication-prescribe",
}


@dataclass(frozen=True, slots=True)
class Expected:
    """One card: its topic without the prefix, and what it says and offers."""

    topic: str
    indicator: str
    words: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    link: bool = False


STALE_OPIOID = Expected(
    "opioid-interaction", "warning", ("naltrexone", "oxycodone", "reconcile"), ("DEL_NTX",)
)
STALE_NALTREXONE = Expected(
    "opioid-interaction", "warning", ("naltrexone", "oxycodone", "reconcile")
)
OFF_LABEL_PLANNED = Expected("off-label", "info", ("off-label", "not fda-approved"), link=True)
LOW_DOSE = Expected("dose-check", "warning", ("low-dose range",))
LIVER = Expected("dose-check", "warning", ("hepat",))
LIVER_AND_LOW_DOSE = Expected("dose-check", "warning", ("hepat", "ldn is 1-5 mg/day"))
GAP = Expected("data-gap", "warning", ("medication list",))

SILENT = ("02", "08", "10", "12", "13", "14", "22")
ANSWERS = {
    "03": (STALE_OPIOID, OFF_LABEL_PLANNED),
    "04": (GAP,),
    "05": (STALE_OPIOID, LOW_DOSE, OFF_LABEL_PLANNED),
    **dict.fromkeys(("06", "07", "09"), (STALE_OPIOID, LIVER_AND_LOW_DOSE, OFF_LABEL_PLANNED)),
    "11": (STALE_OPIOID, LIVER, OFF_LABEL_PLANNED),
    **dict.fromkeys(("15", "16"), (STALE_NALTREXONE,)),
    "17": (STALE_OPIOID, OFF_LABEL_PLANNED),
    **dict.fromkeys(("23", "24", "25", "26", "27"), (STALE_OPIOID, OFF_LABEL_PLANNED)),
}
IN_2019 = ("28", "29", "30")
FEEDBACK = {
    "18": "naltrexone-order-sign",
    "19": "naltrexone-order-select",
    "20": "naltrexone-order-select",
}
NOT_OURS = {
    "01": "/cds-services/pv",
    "21": "/cds-services/pv",
    "32": "/cds-services/pv",
    "31": "/cds-services/naltrexone-medication-prescribe/analytics/22222222-aaaa-4222-8222-222222222222",
    "33": "/_services/smart/Launch",
}


def captured(number: str) -> Json:
    path = next(CAPTURES.glob(f"{number}-*.json"))
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def service_of(number: str) -> str:
    """The service that was called: by the name of the file, for in 22 the hook in the body is another one's."""
    name = next(CAPTURES.glob(f"{number}-*.json")).name
    return (
        "naltrexone-order-select"
        if number == "22"
        else next(s for hook, s in SERVICES.items() if hook in name)
    )


def cards(service: Any, number: str) -> list[Json]:
    response = service.post(f"/cds-services/{service_of(number)}", json=captured(number))
    assert 200 == response.status_code
    return response.json()["cards"]  # type: ignore[no-any-return]


def met(expected: Expected, card: Told) -> Expected:
    """What the card is, in the words of the expectation."""
    said = tuple(words for words in expected.words if words in card.words)
    return Expected(
        card.topic.removeprefix("naltrexone-"), card.indicator, said, card.suggestions, card.link
    )


@pytest.mark.parametrize("number", SILENT)
def test_a_call_without_a_medication_is_silent(number: str, service: Any) -> None:
    """Opening a tab, deleting the order or ordering imaging gets 200 and no cards."""
    assert [] == cards(service, number)


@pytest.mark.parametrize("number", sorted(ANSWERS))
def test_a_captured_order_gets_its_cards(number: str, service: Any) -> None:
    """Row by row: topics, indicators, words, suggestions and link are those of the table, nothing is recommended."""
    found = told(cards(service, number), captured(number))
    wanted = sorted(ANSWERS[number], key=lambda e: e.topic)
    found = tuple(sorted(found, key=lambda c: c.topic))
    assert [e.topic for e in wanted] == [c.topic.removeprefix("naltrexone-") for c in found]
    assert wanted == [met(e, c) for e, c in zip(wanted, found, strict=True)]
    assert [()] * len(found) == [c.recommended for c in found]


@pytest.mark.parametrize("number", IN_2019)
def test_the_2019_client_gets_a_delete_without_a_resource(number: str, service: Any) -> None:
    """As capture 03; the single draft of medication-prescribe has no id, so the delete names no resource."""
    found = cards(service, number)
    assert [("naltrexone-opioid-interaction", "warning"), ("naltrexone-off-label", "info")] == [
        (c["source"]["topic"]["code"], c["indicator"]) for c in found
    ]
    suggestions = found[0]["suggestions"]
    actions = [action for suggestion in suggestions for action in suggestion["actions"]]
    assert [("delete", False, False)] == [
        (a["type"], "resource" in a, "resourceId" in a) for a in actions
    ]
    assert [False] == [s.get("isRecommended", False) for s in suggestions]
    assert 1 == len([link for link in found[1].get("links", ()) if link["type"] == "smart"])


@pytest.mark.parametrize(("number", "service_id"), list(FEEDBACK.items()))
def test_captured_feedback_is_taken(number: str, service_id: str, service: Any) -> None:
    """Feedback of the sandbox, with a code alone or without a reason, is acknowledged."""
    response = service.post(f"/cds-services/{service_id}/feedback", json=captured(number))
    assert 200 == response.status_code


@pytest.mark.parametrize(("number", "path"), list(NOT_OURS.items()))
def test_calls_for_others_get_a_plain_404(number: str, path: str, service: Any) -> None:
    """patient-view, analytics of 2019 and the FHIR server's launch are no endpoints of ours: 404, and in JSON."""
    response = service.post(path, json=captured(number))
    assert 404 == response.status_code
    assert "json" in response.headers["Content-Type"]
    assert "OperationOutcome" == response.json()["resourceType"]


def test_every_capture_has_an_answer() -> None:
    """No file of the folder goes unchecked."""
    answered = {*SILENT, *ANSWERS, *IN_2019, *FEEDBACK, *NOT_OURS}
    assert {path.name[:2] for path in CAPTURES.glob("*.json")} == answered
