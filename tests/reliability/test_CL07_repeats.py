"""A repeat of a feedback item is stored once; anything that differs is another item (L7)."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from cds_service.hooks.feedback import FeedbackItem
from cds_service.model import Coding
from cds_service.store.store import open_store
from tests.postgres import postgres_server, postgres_url
from tests.unit.journal.samples import item, keep, kept, store_url

__all__ = ["postgres_server", "postgres_url", "store_url"]


def test_CL07_ten_repeats_are_stored_once(store_url):
    store = open_store(store_url)
    same = item()
    for _ in range(10):
        keep(store, same)
    found = kept(store)
    store.close()
    assert 1 == found


def test_CL07_a_repeat_within_one_call_is_stored_once(store_url):
    store = open_store(store_url)
    same = item()
    keep(store, same, item(), same)
    found = kept(store)
    store.close()
    assert 2 == found


def test_CL07_twenty_repeats_at_once_over_four_workers_are_stored_once(store_url):
    """All twenty are acknowledged, none fails, one row."""
    stores = [open_store(store_url) for _ in range(4)]
    same, together = item(), threading.Barrier(20)

    def send(number: int) -> None:
        together.wait(10)
        keep(stores[number % 4], same)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(send, range(20)))
    found = kept(stores[0])
    for store in stores:
        store.close()
    assert 1 == found


ONE = item(accepted_suggestions=(str(uuid4()),), user_comment="a", reason=Coding("s", "c", "d"))


@pytest.mark.parametrize(
    "other",
    [
        replace(ONE, service="other"),
        replace(ONE, card=str(uuid4())),
        replace(ONE, outcome="accepted"),
        replace(ONE, outcome_timestamp=ONE.outcome_timestamp + timedelta(microseconds=1)),
        replace(ONE, accepted_suggestions=()),
        replace(ONE, reason=None),
        replace(ONE, reason=Coding("", "c", "d")),
        replace(ONE, reason=Coding("s", "x", "d")),
        replace(ONE, reason=Coding("s", "c")),
        replace(ONE, user_comment=None),
        replace(ONE, user_comment=""),
    ],
)
def test_CR107_an_item_that_differs_in_anything_is_kept_beside_the_first(
    tmp_path, other: FeedbackItem
):
    store = open_store(f"sqlite:///{tmp_path}/store.sqlite3")
    keep(store, ONE)
    keep(store, other)
    found = kept(store)
    store.close()
    assert 2 == found
