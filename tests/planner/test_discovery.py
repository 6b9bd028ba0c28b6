"""Silent EHRs take no other EHR's place: what is known holds, few are asked at once, who waits is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from cds_service.planner.discovery import (
    FRESH_SECONDS,
    PLACES,
    SILENT_SECONDS,
    WAITERS,
    Discoveries,
    SilentError,
)

PATIENCE = 60.0


class Time:
    """Seconds, moved by the test."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Hanging:
    """Questions that are not answered until ``let_go``."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Semaphore(0), threading.Event()

    def __call__(self) -> str:
        self.begun.release()
        assert self.let_go.wait(PATIENCE)
        raise ConnectionError("silent")

    def wait_for(self, number: int) -> None:
        assert all(self.begun.acquire(timeout=PATIENCE) for _ in range(number))


def told(discoveries: Discoveries[str], address: str, ask: Callable[[], str]) -> str:
    try:
        return discoveries.get(address, ask)
    except (SilentError, ConnectionError) as error:
        return type(error).__name__


def test_an_ehr_that_answered_before_is_asked_whatever_strangers_hang() -> None:
    clock, hanging = Time(), Hanging()
    discoveries: Discoveries[str] = Discoveries(clock)
    assert discoveries.get("ours", lambda: "first") == "first"
    clock.now += FRESH_SECONDS + 1
    with ThreadPoolExecutor(PLACES) as pool:
        strangers = [pool.submit(told, discoveries, str(n), hanging) for n in range(PLACES)]
        try:
            hanging.wait_for(PLACES)
            assert discoveries.get("ours", lambda: "second") == "second"
        finally:
            hanging.let_go.set()
        assert ["ConnectionError"] * PLACES == [s.result(PATIENCE) for s in strangers]


def test_what_was_said_holds_while_it_is_asked_again() -> None:
    clock, hanging = Time(), Hanging()
    discoveries: Discoveries[str] = Discoveries(clock)
    discoveries.get("ours", lambda: "first")
    clock.now += FRESH_SECONDS + 1
    with ThreadPoolExecutor(1) as pool:
        again = pool.submit(told, discoveries, "ours", hanging)
        try:
            hanging.wait_for(1)
            assert discoveries.get("ours", hanging) == "first"
        finally:
            hanging.let_go.set()
        assert again.result(PATIENCE) == "ConnectionError"


def test_a_stranger_is_let_in_when_a_place_is_free() -> None:
    """Real time: it waits for a moment, and the silent ones give up in that moment."""
    hanging, discoveries = Hanging(), Discoveries[str](lambda: 0.0)
    with ThreadPoolExecutor(PLACES + 1) as pool:
        for number in range(PLACES):
            pool.submit(told, discoveries, str(number), hanging)
        hanging.wait_for(PLACES)
        stranger = pool.submit(told, discoveries, "new", lambda: "said")
        hanging.let_go.set()
        assert stranger.result(PATIENCE) == "said"


def test_one_question_answers_all_who_wait_for_it_and_few_may_wait() -> None:
    discoveries: Discoveries[str] = Discoveries(lambda: 0.0)
    begun, go_on = threading.Event(), threading.Event()

    def ask() -> str:
        begun.set()
        assert go_on.wait(PATIENCE)
        return "said"

    def never() -> str:
        raise AssertionError("asked twice")

    with ThreadPoolExecutor(WAITERS + 1) as pool:
        first = pool.submit(discoveries.get, "ehr", ask)
        assert begun.wait(PATIENCE)
        others = [pool.submit(discoveries.get, "ehr", never) for _ in range(WAITERS)]
        until = time.monotonic() + PATIENCE
        while discoveries._waiting["ehr"] < WAITERS and time.monotonic() < until:
            time.sleep(0.01)
        with pytest.raises(SilentError):
            discoveries.get("ehr", never)
        go_on.set()
        assert {"said"} == {each.result(PATIENCE) for each in (first, *others)}


def test_a_silent_one_is_left_alone_for_a_moment() -> None:
    clock, asked = Time(), []

    def ask() -> str:
        asked.append(1)
        raise ConnectionError

    discoveries: Discoveries[str] = Discoveries(clock)
    assert ["ConnectionError", "SilentError"] == [told(discoveries, "x", ask) for _ in range(2)]
    clock.now += SILENT_SECONDS + 1
    assert told(discoveries, "x", lambda: "back") == "back"
    assert len(asked) == 1
