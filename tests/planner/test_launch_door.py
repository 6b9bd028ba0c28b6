"""Launches in front of Flask: a flood is sent back for next to nothing, who follows is let in, hooks are not looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from cds_service.planner.door import BURST, HURRIED, PATH, TURN_SECONDS, LaunchDoor, Turn, Turns
from cds_service.planner.pace import Pace, place_of
from tests.e2e.oauth_server import Ehr
from tests.e2e.smart_site import Site, make_site

KEY = b"k" * 44


class Time:
    """Seconds, moved by the test."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def site(ehr: Ehr, tmp_path: Path) -> Iterator[Site]:
    made = make_site(ehr, tmp_path)
    yield made
    made.close()


def crowd(app: Flask, ehr: Ehr, address: str, launches: int) -> list[TestResponse]:
    return [launch(app, f"{PATH}?iss={ehr.iss}&launch=x", address) for _ in range(launches)]


def launch(app: Flask, target: str, address: str) -> TestResponse:
    return app.test_client().get(target, environ_base={"REMOTE_ADDR": address})


def test_a_flood_is_sent_back_and_a_browser_that_follows_is_let_in(site: Site, ehr: Ehr) -> None:
    answers = crowd(site.app, ehr, "192.0.2.1", BURST + 20)
    assert {302} == {a.status_code for a in answers}
    back = [a.location for a in answers if a.location.startswith("launch?")]
    assert len(back) >= 10  # a slow machine gains a few launches meanwhile
    assert not any(a.location.startswith("launch?") for a in answers[:BURST])
    followed = launch(site.app, urljoin(PATH, back[-1]), "192.0.2.1")
    assert (302, True) == (followed.status_code, followed.location.startswith(ehr.root))


def test_others_do_not_notice(site: Site, ehr: Ehr) -> None:
    crowd(site.app, ehr, "192.0.2.1", BURST + 5)
    answer = launch(site.app, f"{PATH}?iss={ehr.iss}&launch=x", "198.51.100.7")
    assert answer.location.startswith(ehr.root)


def test_a_crowd_that_follows_reads_a_page_that_says_when_to_come_again(
    site: Site, ehr: Ehr
) -> None:
    answers = crowd(site.app, ehr, "192.0.2.1", BURST + 20)
    target = urljoin(PATH, answers[-1].location)
    followed = [launch(site.app, target, "192.0.2.1") for _ in range(2 * BURST)]
    (page, *_) = [a for a in followed if a.status_code == 429]
    assert {302, 429} == {a.status_code for a in followed}
    assert ("5", "no-store") == (page.headers["Retry-After"], page.headers["Cache-Control"])
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Too many launches at once" in page.text
    assert ehr.iss not in page.text
    assert len({a.headers["X-Request-Id"] for a in followed}) == len(followed)


# --- the door by itself -----------------------------------------------------------------------------------------------


def inner(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    status = "429 Too Many Requests" if HURRIED in environ else "200 OK"
    start_response(status, [("X-Request-Id", "one"), ("Content-Length", "2"), ("X-A", "b")])
    return [b"in"]


def ask(door: LaunchDoor, query: str = "iss=a", **environ: str) -> tuple[str, dict[str, str]]:
    told: list[Any] = []
    asked = {"PATH_INFO": PATH, "REMOTE_ADDR": "192.0.2.1", "QUERY_STRING": query} | environ
    parts = door(asked, lambda *args: told.extend(args))
    b"".join(parts)
    return told[0], dict(told[1])


def test_the_pace_is_that_of_the_clock() -> None:
    time = Time()
    refused: list[int] = []
    door = LaunchDoor(inner, KEY, lambda: refused.append(1), time)
    found = [ask(door)[0] for _ in range(BURST + 3)]
    assert ["200 OK"] * BURST + ["302 Found"] * 3 == found
    assert len(refused) == 3
    time.now += 1
    assert ["200 OK"] * 5 + ["302 Found"] == [ask(door)[0] for _ in range(6)]


def test_a_page_that_failed_is_made_again() -> None:
    """A fault of one moment must not be what every later crowd reads."""
    statuses = iter(["500 Internal Server Error", "429 Too Many Requests"])

    def faulty(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response(next(statuses) if HURRIED in environ else "200 OK", [])
        return [b""]

    door = LaunchDoor(faulty, KEY, clock=Time())
    found = [ask(door, "iss=a&turn=0.0")[0][:3] for _ in range(BURST + 3)]
    assert ["200"] * BURST + ["500", "429", "429"] == found


def test_hooks_and_other_pages_are_not_looked_at() -> None:
    door = LaunchDoor(inner, KEY, clock=Time())
    for path in ("/cds-services", "/smart/s/x/", "/smart/callback", "/"):
        assert {"200 OK"} == {ask(door, PATH_INFO=path)[0] for _ in range(3 * BURST)}


@pytest.mark.parametrize(
    "query",
    ["iss=a&turn=", "iss=a&turn=0.0", "iss=a&turn=x.y&turn=z", "iss=a&turn=\xe9", "\xe9", "a\r\nb"],
)
def test_what_is_no_turn_of_ours_gets_no_second_way(query: str) -> None:
    """So that nobody is sent round and round, and nothing of a caller's splits a header."""
    door = LaunchDoor(inner, KEY, clock=Time())
    for _ in range(BURST):
        ask(door)
    status, headers = ask(door, query)
    assert status in ("429 Too Many Requests", "302 Found")
    assert headers.get("Location", "").isprintable()
    if status == "302 Found":
        assert query == "iss=a&turn="
    for place in ("2001:db8::1", "192.0.2.9"):
        turn = door._turns.give("192.0.2.1")
        assert door._turns.read(turn, place) is Turn.FOREIGN


def test_a_turn_ends_and_is_then_as_good_as_none() -> None:
    time = Time()
    turns = Turns(KEY[:32], time)
    turn = turns.give("a")
    assert turns.read(turn, "a") is Turn.VALID
    time.now += TURN_SECONDS
    assert turns.read(turn, "a") is Turn.NONE


@given(st.lists(st.tuples(st.floats(0, 2), st.sampled_from("abcdef")), max_size=200))
def test_no_more_begin_than_burst_and_pace_allow(arrivals: list[tuple[float, str]]) -> None:
    """Of one address and of all, from any moment on; one that is refused costs the next nothing."""
    time = Time()
    pace = Pace(2, 4, shares=3, clock=time)
    begun: list[tuple[float, str]] = []
    for wait, address in arrivals:
        time.now += wait
        if pace.admits(address):
            begun.append((time.now, address))
    for number, (start, _) in enumerate(begun):
        later = begun[number:]
        for end, _ in later:
            within = [address for at, address in later if at <= end]
            assert len(within) <= 3 * (4 + 2 * (end - start)) + 0.001
            assert all(within.count(a) <= 4 + 2 * (end - start) + 0.001 for a in set(within))


def test_an_address_of_a_network_is_the_network() -> None:
    assert place_of("2001:db8:1:2::1") == place_of("2001:db8:1:2:ffff::9")
    assert place_of("2001:db8:1:2::1") != place_of("2001:db8:1:3::1")
    assert ("192.0.2.1", "", "unix") == (place_of("192.0.2.1"), place_of(""), place_of("unix"))
