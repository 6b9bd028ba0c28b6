"""A store that is stuck costs no card: best effort waits and counts, required refuses (L12)."""

import json
import threading
import time

import pytest

from cds_service.errors import Unavailable
from cds_service.journal.audit import AuditLog
from cds_service.journal.audit_chain import stream, verify
from cds_service.store.store import open_store
from tests.postgres import postgres_server, postgres_url
from tests.unit.journal.samples import event, store_url, url_of

__all__ = ["postgres_server", "postgres_url", "store_url"]


@pytest.fixture
def stuck(store_url):
    """A store whose chain another worker holds locked until ``release`` is set."""
    store, other = open_store(store_url), open_store(store_url)
    release, locked = threading.Event(), threading.Event()

    def hold() -> None:
        with other.write() as connection:
            connection.exec_driver_sql("UPDATE audit_head SET seq = seq")
            connection.exec_driver_sql("UPDATE readiness SET at = at")
            locked.set()
            release.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert locked.wait(10)
    yield store, release
    release.set()
    holder.join()
    store.close()
    other.close()


def test_CL12_best_effort_never_waits_for_a_stuck_store_and_writes_later(stuck):
    store, release = stuck
    log = AuditLog(store, "best-effort")
    slowest = max(timed_append(log) for _ in range(100))
    assert (0, 0) == (log.written, log.dropped)
    assert slowest < 0.05
    release.set()
    assert True is log.close(15)
    assert 100 == verify(store).events


def test_CL12_a_full_queue_drops_and_counts_and_the_chain_says_how_many(stuck):
    store, release = stuck
    log = AuditLog(store, "best-effort", queue_events=5)
    for _ in range(300):
        timed_append(log)
    dropped = log.dropped
    release.set()
    assert True is log.close(15)
    with store.read() as connection:
        bodies = [json.loads(row.body) for row in stream(connection)]
    assert dropped >= 300 - 5 - 200
    told = sum(body["events"] for body in bodies if body["kind"] == "lost")
    assert (300, dropped) == (log.written + dropped, told)
    assert () == verify(store).faults


def test_CL12_required_audit_refuses_when_the_store_cannot_take_it(tmp_path):
    store = open_store(url_of(tmp_path))
    with store.write() as connection:
        connection.exec_driver_sql("DROP TABLE audit_head")
    with pytest.raises(Unavailable) as caught:
        AuditLog(store, "required").append(event())
    store.close()
    assert "5" == caught.value.headers["Retry-After"]


def test_CL12_best_effort_answers_when_the_store_cannot_take_it(tmp_path):
    store = open_store(url_of(tmp_path))
    with store.write() as connection:
        connection.exec_driver_sql("DROP TABLE audit_head")
    log = AuditLog(store, "best-effort")
    assert timed_append(log) < 0.05
    assert False is log.close(0.2)
    assert (0, 1) == (log.written, log.pending)
    store.close()


def test_CL12_an_event_that_nothing_can_write_is_counted_and_the_next_one_is_written(tmp_path):
    store = open_store(url_of(tmp_path))
    log = AuditLog(store, "best-effort")
    log.append(event(status=object()))
    assert True is log.flush(5)
    log.append(event())
    assert True is log.close(5)
    assert (1, 1, 2) == (log.dropped, log.written, verify(store).events)
    store.close()


def test_CL13_readiness_answers_within_50_ms_while_the_store_is_stuck(stuck):
    store, _ = stuck
    answers = [timed_answer(store)]
    deadline = time.monotonic() + 10
    while answers[-1][0] and time.monotonic() < deadline:
        time.sleep(0.1)
        answers.append(timed_answer(store))
    assert False is answers[-1][0]
    assert sorted(seconds for _, seconds in answers)[len(answers) // 2] < 0.05


def timed_answer(store):
    begun = time.monotonic()
    answer = store.writable()
    return answer, time.monotonic() - begun


def timed_append(log):
    begun = time.monotonic()
    log.append(event())
    return time.monotonic() - begun
