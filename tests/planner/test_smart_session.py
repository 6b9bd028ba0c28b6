"""Sessions of the titration app: one browser, one use, one winner, nothing readable at rest, nothing in a log."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from flask.testing import FlaskClient
from sqlalchemy import update

from cds_service.planner.sessions import (
    OPEN,
    PENDING,
    Session,
    SmartSessions,
    new_secret,
    read_or_make_key,
    smart_session,
)
from cds_service.store.store import Store, open_store
from tests.e2e.oauth_server import Ehr
from tests.e2e.smart_steps import open_app, write_plan
from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

BROWSER = new_secret()


class Time:
    """Seconds since the epoch, moved by the test."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'store.sqlite3'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def sessions(store: Store, time: Time) -> SmartSessions:
    return SmartSessions(store, Fernet.generate_key(), time)


def test_a_session_is_found_by_handle_and_browser_together(sessions: SmartSessions) -> None:
    """Neither alone, nor with another stage."""
    handle = sessions.begin(OPEN, BROWSER, {"a": 1}, 60)
    found = sessions.find(OPEN, handle, BROWSER)
    assert found is not None
    assert {"a": 1} == found.body
    assert [None] * 3 == [
        sessions.find(OPEN, handle, new_secret()),
        sessions.find(OPEN, new_secret(), BROWSER),
        sessions.find(PENDING, handle, BROWSER),
    ]


def test_a_session_ends_with_its_time(sessions: SmartSessions, time: Time) -> None:
    """The last second counts, the next does not."""
    handle = sessions.begin(OPEN, BROWSER, {}, 60)
    time.now += 59
    assert sessions.find(OPEN, handle, BROWSER) is not None
    time.now += 1
    assert sessions.find(OPEN, handle, BROWSER) is None


def test_of_two_changes_of_the_same_version_one_wins(sessions: SmartSessions) -> None:
    """What makes a double click harmless."""
    handle = sessions.begin(OPEN, BROWSER, {}, 60)
    found = sessions.find(OPEN, handle, BROWSER)
    assert found is not None
    results = [sessions.change(found, {"by": n}) for n in (1, 2)]
    assert [True, False] == [r is not None for r in results]
    after = sessions.find(OPEN, handle, BROWSER)
    assert after is not None
    assert {"by": 1} == after.body


def test_twenty_takers_of_one_launch_get_it_once(sessions: SmartSessions) -> None:
    """A state is used up by exactly one callback."""
    handle = sessions.begin(PENDING, BROWSER, {"iss": "x"}, 60)
    got: list[object] = []
    takers = [
        threading.Thread(target=lambda: got.append(sessions.take(PENDING, handle, BROWSER)))
        for _ in range(20)
    ]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert 1 == sum(body is not None for body in got)


def test_another_worker_with_the_same_key_file_reads_the_session(
    store: Store, time: Time, tmp_path: Path
) -> None:
    """Any worker can answer; a store with a lost key has no sessions, and no fault."""
    key = read_or_make_key(tmp_path / "key")
    handle = SmartSessions(store, key, time).begin(OPEN, BROWSER, {"a": 1}, 60)
    assert (
        SmartSessions(store, read_or_make_key(tmp_path / "key"), time).find(OPEN, handle, BROWSER)
        is not None
    )
    assert SmartSessions(store, Fernet.generate_key(), time).find(OPEN, handle, BROWSER) is None


def test_a_body_moved_to_another_row_is_not_opened(store: Store, sessions: SmartSessions) -> None:
    """Somebody who can write the database cannot give one browser the session of another."""
    mine, theirs = (
        sessions.begin(OPEN, browser, {"who": browser}, 60) for browser in (BROWSER, "b" * 43)
    )
    with store.write() as connection:
        rows = {row.browser_hash: row.body for row in connection.execute(smart_session.select())}
        bodies = list(rows.values())
        for browser_hash, body in zip(rows, reversed(bodies), strict=True):
            connection.execute(
                update(smart_session)
                .where(smart_session.c.browser_hash == browser_hash)
                .values(body=body)
            )
    assert [None, None] == [
        sessions.find(OPEN, mine, BROWSER),
        sessions.find(OPEN, theirs, "b" * 43),
    ]


@pytest.mark.parametrize(
    ("bound", "browsers", "places"),
    [
        ("MOST_PENDING", "abc", "xyz"),
        ("MOST_OF_BROWSER", "aaa", "xyz"),
        ("MOST_OF_PLACE", "abc", "xxx"),
    ],
)
def test_launches_that_nobody_finishes_are_bounded_and_none_is_refused(
    sessions: SmartSessions, monkeypatch: pytest.MonkeyPatch, bound: str, browsers: str, places: str
) -> None:
    """Where all, one browser's or one address's are too many, the oldest goes; open sessions are not counted."""
    monkeypatch.setattr(f"cds_service.planner.sessions.{bound}", 2)
    opened = sessions.begin(OPEN, BROWSER, {}, 60)
    handles = [
        sessions.begin(PENDING, browser, {}, 60 + n, place)
        for n, (browser, place) in enumerate(zip(browsers, places, strict=True))
    ]
    found = [
        sessions.find(PENDING, handle, browser)
        for handle, browser in zip(handles, browsers, strict=True)
    ]
    assert [False, True, True] == [row is not None for row in found]
    assert sessions.find(OPEN, opened, BROWSER) is not None


def test_a_flood_from_one_address_leaves_the_launch_of_another(sessions: SmartSessions) -> None:
    mine = sessions.begin(PENDING, BROWSER, {}, 600, "192.0.2.1")
    for _ in range(700):
        sessions.begin(PENDING, new_secret(), {}, 600, "192.0.2.66")
    assert sessions.find(PENDING, mine, BROWSER) is not None


def test_workers_that_start_together_share_one_table(url: str, time: Time) -> None:
    """Each has its own connection, and every launch is kept."""
    stores = [open_store(url) for _ in range(4)]
    key, handles = Fernet.generate_key(), []
    workers = [SmartSessions(store, key, time) for store in stores]
    starts = [
        threading.Thread(target=lambda w=w: handles.append(w.begin(OPEN, BROWSER, {}, 60)))
        for w in workers
    ]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert [True] * 4 == [workers[0].find(OPEN, handle, BROWSER) is not None for handle in handles]
    for store in stores:
        store.close()


def test_a_key_that_is_there_is_read_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster mounts it from a secret; a key of each replica's own would part their sessions."""
    (tmp_path / "key").write_bytes(key := Fernet.generate_key())

    def refuse(*_: object, **_more: object) -> None:
        raise OSError(errno.EROFS, "read-only file system")

    for owner, name in ((Path, "mkdir"), (Path, "unlink"), (os, "open")):
        monkeypatch.setattr(owner, name, refuse)
    assert key == read_or_make_key(tmp_path / "key")


def test_the_key_is_made_once_by_many_workers(tmp_path: Path) -> None:
    """All read the same key, and no half-written file is left behind."""
    keys: list[bytes] = []
    makers = [
        threading.Thread(target=lambda: keys.append(read_or_make_key(tmp_path / "a" / "key")))
        for _ in range(8)
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert (1, 44, ["key"]) == (
        len(set(keys)),
        len(keys[0]),
        [f.name for f in (tmp_path / "a").iterdir()],
    )


def test_a_session_does_not_print_its_secrets() -> None:
    """A repr in a log or a traceback holds neither handle nor body."""
    assert "Session(version=1)" == repr(Session("CANARY", 1, {"token": "CANARY"}))


def test_CT02_a_whole_plan_leaves_no_token_code_or_patient_in_the_logs(
    client: FlaskClient,
    ehr: Ehr,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """At level DEBUG, with every library logging: nothing of the session, nothing of the patient."""
    caplog.set_level(logging.DEBUG)
    plan_url = open_app(client, ehr)
    write_plan(client, plan_url)
    written = capfd.readouterr()
    logged = caplog.text + written.out + written.err
    secrets = [seen.form["code"] for seen in ehr.seen if "code" in seen.form]
    secrets += [seen.form["code_verifier"] for seen in ehr.seen if "code" in seen.form]
    canaries = ["CANARY", "ldn-1", "1979-04-02", "Fibromyalgia", plan_url.split("/")[3], *secrets]
    assert [] == [canary for canary in canaries if canary in logged]
    assert len(secrets) == 2
