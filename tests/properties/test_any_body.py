"""Whatever is posted, the answer is one of ours (conformance section 4)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.calls import complaints, path_of
from tests.properties.bodies import CASES, MANY, broken_bodies, json_values
from tests.properties.in_process import InProcess

STATUSES = {200, 400, 412, 413, 415, 422}


def check(walk: Any, body: Any, hook: str) -> None:
    """No fault of ours, a status on the list and a body that meets its schema."""
    answer = walk.post(path_of(body, hook), json=body)
    assert answer.status_code in STATUSES
    assert [] == complaints(
        "response" if answer.status_code == 200 else "operation-outcome", answer.json()
    )


@CASES
@given(
    body=broken_bodies(),
    hook=st.sampled_from(["order-sign", "order-select", "medication-prescribe"]),
)
def test_a_broken_call_is_answered_cleanly(walk: InProcess, body: Any, hook: str) -> None:
    check(walk, body, hook)


@CASES
@given(body=broken_bodies())
def test_a_broken_call_over_http_is_answered_cleanly(service: Any, body: Any) -> None:
    check(service, body, "order-select")


@CASES
@given(body=json_values)
def test_any_json_is_answered_cleanly(walk: InProcess, body: Any) -> None:
    check(walk, body, "order-sign")


@CASES
@given(context=json_values, prefetch=json_values)
def test_any_context_and_prefetch_are_answered_cleanly(
    walk: InProcess, context: Any, prefetch: Any
) -> None:
    context = context if isinstance(context, dict) else {"patientId": "p1", "draftOrders": context}
    check(
        walk,
        {"hook": "order-sign", "hookInstance": "i", "context": context, "prefetch": prefetch},
        "order-sign",
    )


@CASES
@given(
    resource=json_values,
    key=st.sampled_from(["medicationRequests", "conditions", "patient", "encounter", "x"]),
)
def test_any_value_under_any_prefetch_key_is_answered_cleanly(
    walk: InProcess, resource: Any, key: str
) -> None:
    drug = {
        "resourceType": "MedicationRequest",
        "status": "draft",
        "intent": "order",
        "id": "d",
        "medicationCodeableConcept": {"text": "naltrexone 50 mg tablet"},
        "subject": {"reference": "Patient/p1"},
    }
    body = {
        "hook": "order-sign",
        "hookInstance": "i",
        "prefetch": {key: resource},
        "context": {"patientId": "p1", "draftOrders": [drug]},
    }
    check(walk, body, "order-sign")


@CASES
@given(data=st.binary(max_size=200))
def test_any_bytes_are_answered_cleanly(service: Any, data: bytes) -> None:
    answer = service.post(
        "/cds-services/naltrexone-order-sign",
        data=data,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code in STATUSES
    assert [] == complaints("operation-outcome", answer.json())


@pytest.mark.slow
@MANY
@given(
    body=broken_bodies(),
    hook=st.sampled_from(["order-sign", "order-select", "medication-prescribe"]),
)
def test_thousands_of_broken_calls_are_answered_cleanly(
    walk: InProcess, body: Any, hook: str
) -> None:
    check(walk, body, hook)
