"""An order of the call stands for its copy on the medication list, and for nothing else (specification 2.1.3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.calls import call, ldn, listed, order

OXYCODONE = "oxycodone hydrochloride 5 MG Oral Tablet"
LISTED = listed(OXYCODONE, id="m-1")


def indicators(answered: Any, *drafts: Any) -> list[str]:
    return [
        c["indicator"]
        for c in answered(call("order-sign", ldn(), *drafts, meds=(LISTED,)))
        if c["source"]["topic"]["code"] == "naltrexone-opioid-interaction"
    ]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("stopped", ["critical"]),
        ("completed", ["critical"]),
        ("cancelled", []),
        ("entered-in-error", []),
    ],
)
def test_a_finished_order_is_day_0_and_a_cancelled_one_was_never_given(
    answered: Any, status: str, expected: list[str]
) -> None:
    assert expected == indicators(
        answered, order(OXYCODONE, id="m-1", status=status, authoredOn="2026-09-01")
    )


def test_an_order_changed_into_another_drug_does_not_hide_what_was_taken_until_now(
    answered: Any,
) -> None:
    assert ["critical"] == indicators(
        answered, order("acetaminophen 500 MG Oral Tablet", id="m-1", status="active")
    )


def test_a_resigned_order_is_counted_once(answered: Any) -> None:
    cards = answered(
        call("order-sign", ldn(), order(OXYCODONE, id="m-1", status="active"), meds=(LISTED,))
    )
    assert "ordered together" in cards[0]["summary"]
    assert "Found" not in cards[0]["detail"]
