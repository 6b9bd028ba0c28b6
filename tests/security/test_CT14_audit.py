"""The audit holds one event per call, nothing clinical, and shows whether someone touched it (T14)."""

import json
import threading
from dataclasses import replace
from datetime import timedelta
from unittest import mock

import pytest
from sqlalchemy import delete, insert, select, update

from cds_service.journal import audit_chain
from cds_service.journal.audit import AuditedCard, AuditLog
from cds_service.journal.feedback import FeedbackJournal
from cds_service.store.read_only import open_to_read
from cds_service.store.schema import audit_event, audit_head, feedback, shown_card
from cds_service.store.store import open_store
from tests.postgres import postgres_server, postgres_url
from tests.unit.journal.samples import ISSUER, NOW, SERVICE, event, item, store_url

__all__ = ["postgres_server", "postgres_url", "store_url"]


@pytest.fixture
def store(store_url):
    opened = open_store(store_url)
    yield opened
    opened.close()


def log_of(store, *events, mode="required", **options):
    """Written without a clinician waiting: a disk that is slow for a second is none of these tests' matter."""
    log = AuditLog(store, mode, **options)
    with mock.patch("cds_service.store.group_commit.PATIENCE", 20):
        for one in events:
            log.append(one)
    assert True is log.close()
    return log


def bodies(store):
    with store.read() as connection:
        return [json.loads(row.body) for row in audit_chain.stream(connection)]


@pytest.mark.parametrize("mode", ["required", "best-effort"])
def test_CT14_n_calls_are_n_events_whatever_their_status(store, mode):
    log_of(store, *[event(status=status) for status in (200, 401, 412, 500)], mode=mode)
    assert [200, 401, 412, 500] == [body["status"] for body in bodies(store)]


def test_CT14_an_event_says_who_asked_what_was_read_and_what_was_shown(store):
    one = event(
        request_id="r",
        tenant="t",
        jti="j",
        hook_instance="h",
        patient_hash="p",
        content_version="v",
        rules_version="w",
        terminology_version="x",
        cards=(AuditedCard("c", "topic", "warning", shown=False),),
    )
    log_of(store, one)
    assert [
        {
            "seq": 1,
            "time": "2026-11-22T09:30:00.000000Z",
            "kind": "call",
            "request_id": "r",
            "issuer": ISSUER,
            "tenant": "t",
            "jti": "j",
            "hook": "order-select",
            "service": SERVICE,
            "hook_instance": "h",
            "patient_hash": "p",
            "sources": {"context": "answered", "medications": "failed"},
            "rules": ["naltrexone-opioid-interaction"],
            "content_version": "v",
            "rules_version": "w",
            "terminology_version": "x",
            "cards": [{"uuid": "c", "topic": "topic", "indicator": "warning", "shown": False}],
            "gaps": ["medications/timeout"],
            "status": 200,
            "ms": 12,
        }
    ] == bodies(store)


def test_CT14_off_writes_nothing_and_records_no_cards(store):
    log = log_of(store, event(), mode="off")
    assert ([], False) == (bodies(store), log.records_cards)


@pytest.mark.parametrize(
    "injected", ['\n{"level":"INFO"}', "\r\n", "\u2028", "\x00", "\ud800", '"},{"', "x" * 5_000]
)
def test_CT14_what_a_caller_sends_stays_one_line_of_ascii(store, injected):
    """Line breaks, NUL and half surrogate pairs stay inside their member; long texts are cut."""
    log_of(
        store,
        event(jti=injected, tenant=injected, request_id=injected, sources={injected: injected}),
    )
    with store.read() as connection:
        row = connection.execute(audit_event.select()).one()
    assert (1, True, injected[:256]) == (
        len(row.body.splitlines()),
        row.body.isascii(),
        json.loads(row.body)["jti"],
    )
    assert True is audit_chain.verify(store).ok


def test_CT14_an_untouched_chain_verifies_and_names_its_head(store):
    log_of(store, *[event() for _ in range(5)])
    report = audit_chain.verify(store)
    assert (5, 1, 5, (), True) == (
        report.events,
        report.first,
        report.head[0],
        report.faults,
        report.ok,
    )


def test_CT14_an_empty_chain_verifies(store):
    assert (0, ()) == (audit_chain.verify(store).events, audit_chain.verify(store).faults)


def edit_body(connection):
    body = connection.execute(select(audit_event.c.body).where(audit_event.c.seq == 3)).scalar_one()
    changed = body.replace('"status":200', '"status":201')
    assert changed != body
    connection.execute(update(audit_event).where(audit_event.c.seq == 3).values(body=changed))


def edit_body_and_its_hash(connection):
    edit_body(connection)
    body = connection.execute(select(audit_event.c.body).where(audit_event.c.seq == 3)).scalar_one()
    before = connection.execute(
        select(audit_event.c.hash).where(audit_event.c.seq == 2)
    ).scalar_one()
    values = {"hash": audit_chain.link(before, body)}
    connection.execute(update(audit_event).where(audit_event.c.seq == 3).values(values))


def edit_time(connection):
    connection.execute(
        update(audit_event).where(audit_event.c.seq == 3).values(time=NOW - timedelta(days=9))
    )


def remove_one(connection):
    connection.execute(delete(audit_event).where(audit_event.c.seq == 3))


def remove_the_first(connection):
    connection.execute(delete(audit_event).where(audit_event.c.seq == 1))


def remove_the_last(connection):
    connection.execute(delete(audit_event).where(audit_event.c.seq == 5))


def remove_all(connection):
    connection.execute(delete(audit_event))


def swap_two(connection):
    for old, new in ((3, 99), (4, 3), (99, 4)):
        connection.execute(update(audit_event).where(audit_event.c.seq == old).values(seq=new))


def close_the_gap_after_removing_one(connection):
    remove_one(connection)
    for seq in (4, 5):
        connection.execute(update(audit_event).where(audit_event.c.seq == seq).values(seq=seq - 1))
    connection.execute(update(audit_head).values(seq=4))


def add_one_at_the_end(connection):
    connection.execute(insert(audit_event).values(seq=6, time=NOW, body="{}", hash="0" * 64))


def cut_the_start_and_move_the_base(connection):
    base = connection.execute(select(audit_event.c.hash).where(audit_event.c.seq == 2)).scalar_one()
    connection.execute(delete(audit_event).where(audit_event.c.seq <= 2))
    connection.execute(update(audit_head).values(base_seq=2, base_hash=base))


def remove_the_head_record(connection):
    connection.execute(delete(audit_head))


@pytest.mark.parametrize(
    ("tamper", "fault"),
    [
        (edit_body, "event 3 was changed"),
        (edit_body_and_its_hash, "event 4 was changed"),
        (edit_time, "event 3 was changed"),
        (remove_one, "events 3 to 3 are missing"),
        (remove_the_first, "events 1 to 1 are missing"),
        (swap_two, "event 3 was changed"),
        (remove_the_last, "the chain ends at event 4, the head record says 5"),
        (remove_all, "the chain ends at event 0, the head record says 5"),
        (close_the_gap_after_removing_one, "event 3 was changed"),
        (add_one_at_the_end, "event 6 was changed"),
        (cut_the_start_and_move_the_base, "no checkpoint accounts for where the chain begins"),
        (remove_the_head_record, "the head record is missing"),
    ],
)
def test_CT14_a_touched_chain_says_where(store, tamper, fault):
    log_of(store, *[event() for _ in range(5)])
    with store.write() as connection:
        tamper(connection)
    assert fault == audit_chain.verify(store).faults[0]


def test_CT14_a_chain_recomputed_as_a_whole_is_told_by_an_anchor_kept_elsewhere(store):
    log_of(store, *[event() for _ in range(5)])
    anchor = audit_chain.verify(store).head
    with store.write() as connection:
        connection.execute(delete(audit_event))
        connection.execute(update(audit_head).values(seq=0, hash="0" * 64))
        audit_chain.append(connection, [(NOW, {"kind": "call"}) for _ in range(5)])
    assert (True, ("event 5 is not the one of the anchor",)) == (
        audit_chain.verify(store).ok,
        audit_chain.verify(store, anchor).faults,
    )


def test_CT14_a_chain_cut_off_with_its_head_is_told_by_an_anchor_kept_elsewhere(store):
    log_of(store, *[event() for _ in range(5)])
    anchor = audit_chain.verify(store).head
    with store.write() as connection:
        rest = connection.execute(
            select(audit_event.c.hash).where(audit_event.c.seq == 3)
        ).scalar_one()
        connection.execute(delete(audit_event).where(audit_event.c.seq > 3))
        connection.execute(update(audit_head).values(seq=3, hash=rest))
    assert ("event 5 of the anchor is missing",) == audit_chain.verify(store, anchor).faults


def test_CT14_retention_removes_by_age_and_the_rest_still_verifies(store):
    old = [event(time=NOW - timedelta(days=days)) for days in (40, 35, 31)]
    log_of(store, *old, event(), event())
    anchor = audit_chain.verify(store).head
    assert 3 == audit_chain.prune(store, NOW - timedelta(days=30), NOW)
    report = audit_chain.verify(store, anchor)
    assert (4, 3, ()) == (report.first, report.events, report.faults)
    assert "checkpoint" == bodies(store)[-1]["kind"]
    assert 0 == audit_chain.prune(store, NOW - timedelta(days=30), NOW)


def test_CT14_retention_never_removes_an_event_behind_a_younger_one(store):
    """A clock that jumped back costs no young event: removal stops at the first that is young enough."""
    log_of(store, event(), event(time=NOW - timedelta(days=99)))
    assert 0 == audit_chain.prune(store, NOW - timedelta(days=30), NOW)


def test_CT14_retention_of_everything_leaves_a_chain_that_goes_on(store, monkeypatch):
    """Removal in several steps down to a lone checkpoint, which stays; the chain takes new events after it."""
    monkeypatch.setattr(audit_chain, "PRUNE_EVENTS", 3)
    log_of(store, *[event() for _ in range(7)])
    found = []
    for days in (50, 100, 150, 200):
        later = NOW + timedelta(days=days)
        audit_chain.prune(store, later - timedelta(days=30), later)
        assert () == audit_chain.verify(store).faults
        found.append([(body["kind"], body["seq"]) for body in bodies(store)])
    assert [[("checkpoint", 11)]] * 3 == found[1:]
    log_of(store, event())
    assert (2, ()) == (audit_chain.verify(store).events, audit_chain.verify(store).faults)


def test_CT14_the_log_applies_its_retention_by_itself(store):
    log_of(store, event(time=NOW - timedelta(days=99)))
    log = AuditLog(store, "best-effort", retention_days=30, clock=lambda: NOW)
    log.append(event())
    assert True is log.close()
    assert ["call", "checkpoint"] == sorted(body["kind"] for body in bodies(store))


def test_CT14_several_workers_write_one_chain(store_url):
    """Four stores, two threads each, required and best effort mixed: one chain, no event lost."""
    stores = [open_store(store_url) for _ in range(4)]
    logs = [AuditLog(store, mode) for store in stores for mode in ("required", "best-effort")]
    threads = [
        threading.Thread(target=lambda log=log: [log.append(event()) for _ in range(10)])
        for log in logs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [True] * 8 == [log.close(10) for log in logs]
    report = audit_chain.verify(stores[0])
    for store in stores:
        store.close()
    assert (80, ()) == (report.events, report.faults)


def test_CT14_a_chain_is_verified_as_of_one_moment_while_the_service_writes(store, store_url):
    """Head and events are read from the same view, so an event written in between is no fault."""
    log = AuditLog(store, "required")
    log.append(event())
    with open_to_read(store_url) as reader, reader.read() as connection:
        head = connection.execute(select(audit_head.c.seq)).scalar_one()
        log.append(event())
        assert [head] == [row.seq for row in audit_chain.stream(connection)]
    log.close()
    assert 2 == audit_chain.verify(store).events


def test_CR110_feedback_on_a_shown_card_of_the_same_service_is_matched(store):
    """A silenced card was not shown, and a card of another service is not this one."""
    shown, silenced = item(), item()
    cards = (
        AuditedCard(shown.card, "t", "info"),
        AuditedCard(silenced.card, "t", "info", shown=False),
    )
    log = log_of(store, event(cards=cards))
    items = [shown, silenced, replace(shown, service="another")]
    FeedbackJournal(store, cards_recorded=log.records_cards).record(items, issuer=ISSUER, now=NOW)
    with store.read() as connection:
        found = (
            connection.execute(select(feedback.c.matched).order_by(feedback.c.id)).scalars().all()
        )
        assert [True, False, False] == found
        assert [shown.card] == connection.execute(select(shown_card.c.card)).scalars().all()
