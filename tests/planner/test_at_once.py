"""Several requests of one browser at the same moment: a live change and a press, two tabs, an ending permission."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.planner.sessions import KEPT, OPEN, Session, SmartSessions, new_secret
from tests.e2e.oauth_server import Ehr
from tests.e2e.smart_site import Site
from tests.e2e.smart_steps import is_written, open_app
from tests.planner.test_kept import sent
from tests.planner.test_smart_session import (
    postgres_server,
    postgres_url,
    sessions,
    store,
    time,
    url,
)

__all__ = ["postgres_server", "postgres_url", "sessions", "store", "time", "url"]


def test_of_several_who_put_a_row_at_once_one_is_first(sessions: SmartSessions) -> None:
    """And the store is well afterwards: a row that is there already is no fault of it."""
    browser = new_secret()

    def put(number: int) -> bool:
        return sessions.put(KEPT, "name", browser, {"n": number}, 60)

    with ThreadPoolExecutor(8) as pool:
        first = list(pool.map(put, range(16)))
    assert sum(first) == 1
    found = sessions.find(KEPT, "name", browser)
    assert found is not None
    assert found.body == {"n": first.index(True)}
    assert sessions._store.condition.value == "ok"


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], Any]]]:
    """What another request does just before the next changes of a session or of kept answers, once each."""
    waiting: list[Callable[[], Any]] = []
    running: list[bool] = []
    change, put = SmartSessions.change, SmartSessions.put

    def interrupt() -> None:
        if waiting and not running:
            running.append(True)
            waiting.pop(0)()
            running.clear()

    def then_change(self: SmartSessions, session: Session, body: Any) -> Session | None:
        interrupt()
        return change(self, session, body)

    def then_put(self: SmartSessions, *args: Any) -> bool:
        interrupt()
        return put(self, *args)

    monkeypatch.setattr(SmartSessions, "change", then_change)
    monkeypatch.setattr(SmartSessions, "put", then_put)
    yield waiting
    assert not waiting


@pytest.mark.parametrize("is_first", [True, False])
def test_a_press_and_a_live_change_of_one_page_are_both_taken(
    client: FlaskClient, ehr: Ehr, meanwhile: list[Callable[[], Any]], is_first: bool
) -> None:
    """Whoever is second: the plan is written, and no other tab is spoken of."""
    url = open_app(client, ehr)
    page = client.get(url)
    if not is_first:
        client.post(f"{url}preview", data=sent(page, reason_text="earlier"))
    answers: list[TestResponse] = []
    meanwhile.append(
        lambda: answers.append(client.post(f"{url}preview", data=sent(page, reason_text="live")))
    )
    assert is_written(client.post(f"{url}write", data=sent(page)))
    assert answers[0].status_code == 200
    assert len([r for r in ehr.of_type("MedicationRequest") if r.get("identifier")]) == 1


def test_another_tab_at_the_same_moment_is_still_told(
    client: FlaskClient, ehr: Ehr, meanwhile: list[Callable[[], Any]]
) -> None:
    url = open_app(client, ehr)
    one, other = client.get(url), client.get(url)
    meanwhile.append(lambda: client.post(url, data=sent(other, reason_text="of the other")))
    assert client.post(url, data=sent(one)).headers["Location"].endswith("?aside=1")
    assert "of the other" in client.get(url).text


def test_a_press_is_not_lost_to_what_another_tab_was_told(
    client: FlaskClient, ehr: Ehr, meanwhile: list[Callable[[], Any]]
) -> None:
    """The session is changed between judging and claiming it."""
    url = open_app(client, ehr)
    page, older = client.get(url), client.get(url)
    client.post(url, data=sent(page))

    def stale() -> None:
        client.post(url, data=sent(older, reason_text="other"))

    meanwhile.append(stale)
    assert is_written(client.post(f"{url}write", data=sent(page)))
    assert "All drafts are in the EHR" in client.get(f"{url}result").text


def test_two_presses_write_once(
    client: FlaskClient, ehr: Ehr, meanwhile: list[Callable[[], Any]]
) -> None:
    """The second comes between the first's judgement and its claim."""
    url = open_app(client, ehr)
    page = client.get(url)
    client.post(url, data=sent(page))
    answers: list[TestResponse] = []
    meanwhile.append(lambda: answers.append(client.post(f"{url}write", data=sent(page))))
    answers.append(client.post(f"{url}write", data=sent(page)))
    assert all(map(is_written, answers))
    names = [r["identifier"][0]["value"] for r in ehr.of_type("MedicationRequest")]
    assert len(names) == len(set(names)) == 1


def test_of_two_launches_for_one_patient_the_second_press_meets_the_drafts_of_the_first(
    client: FlaskClient, ehr: Ehr, site: Site
) -> None:
    """Opened before anything was drafted, in one browser and in another."""
    urls = [(who, open_app(who, ehr)) for who in (client, client, site.app.test_client())]
    forms = [sent(who.get(url)) for who, url in urls]
    answers = [
        who.post(f"{url}write", data=form) for (who, url), form in zip(urls, forms, strict=True)
    ]
    assert [True, False, False] == [is_written(answer) for answer in answers]
    assert len([r for r in ehr.of_type("MedicationRequest") if r.get("identifier")]) == 1


def test_of_several_presses_one_asks_for_a_fresh_token(
    client: FlaskClient, ehr: Ehr, site: Site
) -> None:
    """A refresh token is good for one use, and a server may end all tokens when it sees it twice."""
    ehr.expires_in, ehr.offers_refresh = 300, True
    url = open_app(client, ehr)
    cookie = client.get_cookie("__Host-titration", "localhost")
    assert cookie is not None
    site.clock.move(seconds=290)

    def look(_: int) -> int:
        other = site.app.test_client()
        other.set_cookie("__Host-titration", cookie.value)
        return other.get(url).status_code

    with ThreadPoolExecutor(6) as pool:
        assert [200] * 6 == list(pool.map(look, range(6)))
    asked = [s for s in ehr.seen if s.form.get("grant_type") == "refresh_token"]
    assert len(asked) == 1


def test_a_fresh_token_is_not_lost_to_a_note_of_another_request(
    client: FlaskClient, ehr: Ehr, site: Site, meanwhile: list[Callable[[], Any]]
) -> None:
    """The session row changes while the EHR is asked: the token is kept beside what the other wrote."""
    ehr.expires_in, ehr.offers_refresh = 300, True
    url = open_app(client, ehr)
    cookie = client.get_cookie("__Host-titration", "localhost")
    assert cookie is not None
    sessions = _sessions(site)
    handle = url.rstrip("/").rsplit("/", 1)[1]

    def note() -> None:
        found = sessions.find(OPEN, handle, cookie.value)
        assert found is not None
        assert sessions.change(found, {**found.body, "seen": found.version})

    site.clock.move(seconds=290)
    meanwhile.extend([note, lambda: None, note])
    assert [200, 200] == [client.get(url).status_code for _ in range(2)]
    found = sessions.find(OPEN, handle, cookie.value)
    assert found is not None and "seen" in found.body
    assert 1 == sum(s.form.get("grant_type") == "refresh_token" for s in ehr.seen)


def _sessions(site: Site) -> SmartSessions:
    """The rows of the running app, opened with its own key."""
    parts = site.app.extensions["naltrexone_cds"]
    key = (Path(site.settings.data_dir) / "smart.key").read_bytes()
    return SmartSessions(parts.store, key, site.clock.now.timestamp)
