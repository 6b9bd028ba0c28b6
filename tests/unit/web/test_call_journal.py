"""What the audit writes down of the sources of a call: what failed is never said to have answered."""

from __future__ import annotations

import pytest

from cds_service.hooks.prefetch import Record, SearchAnswer
from cds_service.hooks.services import PREFETCH_KEYS
from cds_service.web.call_journal import sources_of


@pytest.mark.parametrize(
    ("state", "fetched", "word"),
    [
        ("answered", False, "answered"),
        ("null", False, "answered"),
        ("answered", True, "fetched"),
        ("failed", False, "failed"),
        ("failed", True, "failed"),
        ("partial", False, "failed"),
        ("partial", True, "failed"),
    ],
)
def test_CT14_a_source_is_said_to_have_answered_only_if_all_of_it_did(
    state: str, fetched: bool, word: str
) -> None:
    answer = SearchAnswer("conditions", state, why="timeout", fetched=fetched)
    assert word == sources_of(Record({"conditions": answer}))["conditions"]


def test_CT14_a_key_that_nobody_sent_is_absent() -> None:
    assert dict.fromkeys(PREFETCH_KEYS, "absent") == sources_of(Record({}))


def test_CT14_keys_of_the_callers_own_are_counted_and_not_quoted() -> None:
    record = Record({key: SearchAnswer(key, "answered") for key in ("CANARY", "other", "patient")})
    said = sources_of(record)
    assert ("2", "answered", False) == (said["other keys"], said["patient"], "CANARY" in said)
