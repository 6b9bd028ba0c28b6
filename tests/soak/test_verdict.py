"""What judges the soak can fail: each kind of wrong answer, loss and growth is called so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.soak.load import Ledger
from tests.soak.report import Findings
from tests.soak.verdict import (
    GAP_LINE,
    GAP_TOPIC,
    Due,
    Kept,
    Said,
    Window,
    compare_feedback,
    excused,
    judge,
    slope,
)
from tests.soak.watch import Grown

A, B = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea", "7ad8f4d5-5f24-4ea3-b81d-3f0bd0ab8e2c"


def card(topic: str, text: str = "words", uuid: str = A) -> dict[str, Any]:
    return {"uuid": uuid, "summary": text, "source": {"topic": {"code": topic}}}


DUE = Due.of([[card("interaction")], [{**card("interaction"), "detail": "words"}]])
GAP = card(GAP_TOPIC, "could not check")


@pytest.mark.parametrize(
    ("status", "cards", "said"),
    [
        pytest.param(200, [card("interaction", uuid=B)], Said.RIGHT, id="other ids"),
        pytest.param(200, [], Said.WRONG, id="silence"),
        pytest.param(200, [card("interaction", "other words")], Said.WRONG, id="other words"),
        pytest.param(200, [card("interaction"), card("dose")], Said.WRONG, id="one more"),
        pytest.param(200, [card("dose"), GAP], Said.WRONG, id="a gap beside what is not due"),
        pytest.param(200, [GAP], Said.UNCHECKED, id="a gap"),
        pytest.param(
            200, [card("interaction"), GAP], Said.UNCHECKED, id="a gap beside what is due"
        ),
        pytest.param(
            200,
            [{**card("interaction"), "detail": f"words\n{GAP_LINE} the problem list."}],
            Said.UNCHECKED,
            id="what is due says what was not read",
        ),
        pytest.param(503, [], Said.REFUSED, id="503"),
        pytest.param(0, [], Said.REFUSED, id="no answer"),
    ],
)
def test_an_answer_is_what_it_is(status: int, cards: list[dict[str, Any]], said: Said) -> None:
    assert judge(DUE, status, cards) is said


def test_a_gap_that_is_due_excuses_no_other_words() -> None:
    assert judge(Due.of([[GAP]]), 200, [card(GAP_TOPIC, "other words")]) is Said.WRONG


def test_ids_that_are_the_same_twice_are_told_from_ids_that_differ() -> None:
    due = Due.of([[card("x", A), card("y", A)]])
    assert judge(due, 200, [card("x", A), card("y", B)]) is Said.WRONG


FAULT = Window("fault", frozenset({Said.UNCHECKED}), begin=10, grace=5, end=20)


@pytest.mark.parametrize(
    ("said", "begun", "ended", "is_excused"),
    [
        (Said.UNCHECKED, 12, 13, True),
        (Said.UNCHECKED, 9, 11, True),
        (Said.UNCHECKED, 24, 26, True),
        (Said.UNCHECKED, 5, 9, False),
        (Said.UNCHECKED, 26, 27, False),
        (Said.REFUSED, 12, 13, False),
        (Said.WRONG, 12, 13, False),
        (Said.RIGHT, 5, 9, True),
    ],
)
def test_a_fault_excuses_what_it_causes_while_it_is_felt(
    said: Said, begun: float, ended: float, *, is_excused: bool
) -> None:
    assert excused(said, begun, ended, [FAULT]) is is_excused


def test_a_wrong_answer_is_never_excused() -> None:
    everything = Window("fault", frozenset(Said), begin=0, grace=0)
    assert not excused(Said.WRONG, 1, 2, [everything])


def test_feedback_is_lost_double_or_strange() -> None:
    kept = compare_feedback({"a", "b", "c", "d"}, {"a", "b", "c"}, ["a", "b", "b", "d", "e"])
    assert kept == Kept(frozenset({"c"}), frozenset({"b"}), frozenset({"e"}))
    assert not kept.ok
    assert compare_feedback({"a", "b"}, {"a"}, ["a", "b"]).ok


def test_a_slope_is_that_of_the_line() -> None:
    assert slope([(0, 100), (1, 102), (2, 104)]) == pytest.approx(2)
    assert slope([(0, 100), (1, 104), (2, 100), (3, 104)]) == pytest.approx(0.8)
    assert slope([(0, 1), (1, 2)]) == 0


def findings(**members: Any) -> Findings:
    book = Ledger(acknowledged={"a"})
    book.said[Said.RIGHT] = 1
    kept = Kept(frozenset(), frozenset(), frozenset())
    whole: dict[str, Any] = {
        "ledger": book,
        "cases": 1,
        "rate": 1,
        "seconds": 1,
        "audit": "required",
        "faults": {},
        "memory": [],
        "kept": kept,
        "chain": (),
        **members,
    }
    return Findings(**whole)


def test_a_run_without_complaint_is_ok() -> None:
    assert findings().ok


def unexcused(said: Said) -> Ledger:
    book = Ledger(acknowledged={"a"})
    book.said[Said.RIGHT] = book.unexcused[said] = 1
    return book


@pytest.mark.parametrize(
    "members",
    [
        *(pytest.param({"ledger": unexcused(said)}, id=said) for said in Said if said != "right"),
        pytest.param({"ledger": Ledger()}, id="nothing tried"),
        pytest.param({"kept": None}, id="store not looked at"),
        pytest.param(
            {"kept": Kept(frozenset({"a"}), frozenset(), frozenset())}, id="feedback lost"
        ),
        pytest.param({"chain": ("broken",)}, id="chain"),
        pytest.param({"unaudited": 1}, id="no audit event"),
        pytest.param({"memory": [Grown(1, 100, 150, 50, 1_200)]}, id="memory"),
    ],
)
def test_a_run_with_one_fault_is_not_ok(members: dict[str, Any]) -> None:
    assert not findings(**members).ok
