"""A feedback body is read whole or refused whole (R101-R107)."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service.errors import BadRequest
from cds_service.hooks.feedback import FeedbackItem, read_feedback
from cds_service.model import Coding
from tests.unit.journal.samples import sent

CARD = "33333333-3333-4333-8333-333333333333"
SUGGESTION = "22222222-aaaa-4222-8222-222222222222"
STAMP = "2026-11-21T22:17:53.402Z"
INSTANT = datetime(2026, 11, 21, 22, 17, 53, 402_000, tzinfo=UTC)


def read(*items: Any) -> tuple[FeedbackItem, ...]:
    return read_feedback({"feedback": list(items)}, "the-service")


def refusal(body: Any) -> tuple[str, ...]:
    with pytest.raises(BadRequest) as caught:
        read_feedback(body, "the-service")
    return caught.value.expression


def test_CR107_captured_override_with_reason_is_read():
    overridden = {
        "card": CARD,
        "outcome": "overridden",
        "outcomeTimestamp": STAMP,
        "overrideReason": {
            "reason": {"code": "benefit-outweighs", "system": "urn:example:override"}
        },
    }
    expected = FeedbackItem(
        "the-service",
        CARD,
        "overridden",
        INSTANT,
        (),
        Coding("urn:example:override", "benefit-outweighs"),
    )
    assert (expected,) == read(overridden)


def test_CR103_captured_acceptance_is_read():
    accepted = {
        "card": CARD,
        "outcome": "accepted",
        "outcomeTimestamp": STAMP,
        "acceptedSuggestions": [{"id": SUGGESTION}],
    }
    assert (FeedbackItem("the-service", CARD, "accepted", INSTANT, (SUGGESTION,)),) == read(
        accepted
    )


def test_CR104_override_without_reason_is_read():
    assert None is read(sent(overrideReason=None))[0].reason


def test_CR105_reason_without_system_is_read_with_an_empty_system():
    assert Coding("", "x") == read(sent(overrideReason={"reason": {"code": "x"}}))[0].reason


def test_CR105_a_comment_alone_is_a_reason():
    assert "why not" == read(sent(overrideReason={"userComment": "why not"}))[0].user_comment


def test_CR107_several_items_keep_their_order():
    items = [sent(), sent(), sent()]
    assert [i["card"] for i in items] == [i.card for i in read(*items)]


def test_upper_case_uuid_is_the_same_card():
    assert CARD == read(sent(card=CARD.upper()))[0].card


def test_unknown_members_are_ignored():
    assert read(sent(card=CARD)) == read(sent(card=CARD, extension={"x": 1}))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2020-12-11T00:00:00Z", datetime(2020, 12, 11, tzinfo=UTC)),
        ("2020-12-11t00:00:00z", datetime(2020, 12, 11, tzinfo=UTC)),
        ("2020-12-11T00:00:00+00:00", datetime(2020, 12, 11, tzinfo=UTC)),
        ("2020-12-11T00:00:00-00:00", datetime(2020, 12, 11, tzinfo=UTC)),
        ("2020-12-11T00:00:00.5Z", datetime(2020, 12, 11, 0, 0, 0, 500_000, tzinfo=UTC)),
        ("2020-12-11T00:00:00.123456789Z", datetime(2020, 12, 11, 0, 0, 0, 123_456, tzinfo=UTC)),
        ("2020-12-11T00:00:00-05:00", datetime(2020, 12, 11, 5, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
    ],
)
def test_CR106_rfc_3339_times_are_normalised_to_utc(written, expected):
    assert expected == read(sent(outcomeTimestamp=written))[0].outcome_timestamp


@pytest.mark.parametrize(
    "written",
    [
        "2020-12-16",
        "2020-12-16T10:00:00",
        "2020-12-16T10:00Z",
        "2020-12-16T25:00:00Z",
        "2020-02-30T10:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "yesterday",
        "",
        "2020-12-16T10:00:00Z\n",
        "２020-12-16T10:00:00Z",
        1_608_112_800,
        True,
        {},
        [],
    ],
)
def test_CR106_other_times_are_refused(written):
    assert ("feedback[0].outcomeTimestamp",) == refusal(
        {"feedback": [sent(outcomeTimestamp=written)]}
    )


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        "x",
        7,
        [sent()],
        sent(),
        {"feedback": {}},
        {"feedback": None},
        {"feedback": []},
    ],
)
def test_CR101_a_body_without_a_list_of_feedback_is_refused(body):
    assert ("feedback",) == refusal(body)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"card": None}, "card"),
        ({"card": "not-a-uuid"}, "card"),
        ({"card": 5}, "card"),
        ({"card": ""}, "card"),
        ({"outcome": None}, "outcome"),
        ({"outcome": "ignored"}, "outcome"),
        ({"outcome": ["accepted"]}, "outcome"),
        ({"outcomeTimestamp": None}, "outcomeTimestamp"),
        ({"outcome": "accepted"}, "acceptedSuggestions"),
        ({"outcome": "accepted", "acceptedSuggestions": []}, "acceptedSuggestions"),
        ({"outcome": "accepted", "acceptedSuggestions": [{}]}, "acceptedSuggestions[0].id"),
        ({"outcome": "accepted", "acceptedSuggestions": [SUGGESTION]}, "acceptedSuggestions[0]"),
        ({"overrideReason": {}}, "overrideReason"),
        ({"overrideReason": "because"}, "overrideReason"),
        ({"overrideReason": {"reason": {}}}, "overrideReason.reason.code"),
        ({"overrideReason": {"reason": "x"}}, "overrideReason.reason"),
        ({"overrideReason": {"userComment": 5}}, "overrideReason.userComment"),
        ({"overrideReason": {"userComment": "a\0b"}}, "overrideReason.userComment"),
        ({"overrideReason": {"reason": {"code": "\ud800"}}}, "overrideReason.reason.code"),
    ],
)
def test_CR102_a_wrong_item_is_refused_by_the_name_of_its_member(change, where):
    assert (f"feedback[1].{where}",) == refusal({"feedback": [sent(), sent(**change)]})


def test_CT16_two_hundred_items_are_read_and_one_more_is_refused():
    assert 200 == len(read(*[sent()] * 200))
    assert ("feedback",) == refusal({"feedback": [sent()] * 201})


def test_CT16_a_comment_of_4000_characters_is_read_and_one_more_is_refused():
    assert 4_000 == len(read(sent(overrideReason={"userComment": "é" * 4_000}))[0].user_comment)
    longer = sent(overrideReason={"userComment": "é" * 4_001})
    assert ("feedback[0].overrideReason.userComment",) == refusal({"feedback": [longer]})


def test_CT02_comment_and_display_stay_out_of_reprs_and_refusals():
    """What a person typed is in neither the repr of a value nor the message of a refusal."""
    reason = {"reason": {"code": "x", "display": "CANARY"}, "userComment": "CANARY"}
    assert "CANARY" not in repr(read(sent(overrideReason=reason)))
    with pytest.raises(BadRequest) as caught:
        read(sent(outcome="CANARY", card="CANARY", CANARY=1, overrideReason={"CANARY": "CANARY"}))
    assert "CANARY" not in str((caught.value, caught.value.expression, caught.value.headers))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(
            ["card", "outcome", "outcomeTimestamp", "acceptedSuggestions", "overrideReason"]
        ),
        ANYTHING,
    )
)
def test_CR102_whatever_json_is_sent_is_read_or_refused(change):
    """No JSON value raises anything but BadRequest, and what is read can be stored as UTF-8."""
    try:
        items = read(sent() | change)
    except BadRequest:
        return
    texts = [items[0].user_comment or "", items[0].reason.display if items[0].reason else ""]
    assert texts == [text.encode().decode() for text in texts]
