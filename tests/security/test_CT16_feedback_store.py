"""Nobody abuses the feedback store: payloads stay text, quotas hold, errors quote nothing (T16)."""

import pytest

from cds_service.errors import Unavailable
from cds_service.journal.feedback import FeedbackJournal
from cds_service.model import Coding
from cds_service.store.schema import feedback
from cds_service.store.store import open_store
from tests.postgres import postgres_server, postgres_url
from tests.unit.journal.samples import ISSUER, NOW, item, keep, kept, store_url

__all__ = ["postgres_server", "postgres_url", "store_url"]

PAYLOADS = (
    "'); DROP TABLE feedback; --",
    '"; DELETE FROM feedback; --',
    "%s %(x)s {0} :name ?1 ${jndi:ldap://x}",
    "<script>alert(1)</script>",
    "line\r\nSet-Cookie: x",
    "\u202e\u0001\x1b[31m",
    "=cmd|' /C calc'!A0",
    "é\U0001f600",
)


@pytest.fixture
def store(store_url):
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_CT16_a_payload_is_stored_as_the_text_that_it_is(store, payload):
    keep(
        store, item(user_comment=payload, reason=Coding(payload, payload, payload)), issuer=payload
    )
    with store.read() as connection:
        row = connection.execute(feedback.select()).one()
    assert [payload] * 5 == [
        row.user_comment,
        row.reason_system,
        row.reason_code,
        row.reason_display,
        row.issuer,
    ]


def test_CT16_an_issuer_at_its_quota_is_refused_and_another_is_not(store):
    keep(store, item(), item(), quota=2)
    with pytest.raises(Unavailable) as caught:
        keep(store, item(), quota=2)
    assert "3600" == caught.value.headers["Retry-After"]
    keep(store, item(), quota=2, issuer="https://other.example")
    assert 3 == kept(store)


def test_CT16_a_repeat_is_acknowledged_even_where_nothing_new_is_taken(store):
    first = item()
    keep(store, first, item())
    keep(store, first, quota=1)
    assert 2 == kept(store)


def test_CT16_items_beyond_the_quota_are_refused_whole(store):
    with pytest.raises(Unavailable):
        keep(store, *[item() for _ in range(3)], quota=2)
    assert 0 == kept(store)


def test_CT16_one_client_cannot_make_the_item_of_another_a_repeat(store):
    same = item()
    keep(store, same, issuer="https://a.example")
    keep(store, same, issuer="https://b.example")
    assert 2 == kept(store)


def test_CT02_a_failure_of_the_store_quotes_nothing_that_was_sent(store):
    """Neither the error, nor what led to it, nor the noted fault holds a word of the comment."""
    with store.write() as connection:
        connection.exec_driver_sql("DROP TABLE feedback")
    with pytest.raises(Unavailable) as caught:
        keep(store, item(user_comment="CANARY", reason=Coding("CANARY", "CANARY")), issuer="CANARY")
    assert (
        "CANARY"
        not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__} {store.fault}"
    )
    assert "" != store.fault


def test_CR110_feedback_on_a_card_that_was_not_shown_is_stored_as_unmatched(store):
    FeedbackJournal(store, cards_recorded=True).record([item()], issuer=ISSUER, now=NOW)
    assert [False] == matches(store)


def test_CR110_without_recorded_cards_a_match_is_unknown_not_no(store):
    FeedbackJournal(store, cards_recorded=False).record([item()], issuer=ISSUER, now=NOW)
    assert [None] == matches(store)


def matches(store):
    with store.read() as connection:
        return [row.matched for row in connection.execute(feedback.select())]
