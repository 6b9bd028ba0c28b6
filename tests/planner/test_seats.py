"""Slow planner pages leave threads to the hooks: places are few, and who finds none is told at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import date
from pathlib import Path

import orjson
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.planner.oauth import Endpoints, SmartOauth
from cds_service.planner.seats import MOST, Seats
from cds_service.settings import Settings, Smart, SmartIssuer
from tests.bench import bodies
from tests.e2e.smart_site import Clock
from tests.e2e.smart_steps import words

THREADS = 4  # as many as discoveries may hang by themselves
HOOK = "/cds-services/naltrexone-order-select"
ISSUERS = [f"http://127.0.0.1:{port}/fhir" for port in range(1, 13)]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    issuers = {iss: SmartIssuer(client_id="titration") for iss in ISSUERS}
    made = create_app(
        Settings(
            public_base_url="http://127.0.0.1:1",
            data_dir=str(tmp_path),
            threads=THREADS,
            smart=Smart(issuers),
        ),
        Clock(),
    )
    yield made
    parts = made.extensions["naltrexone_cds"]
    parts.audit.close()
    parts.store.close()


def launch(app: Flask, iss: str, address: str) -> TestResponse:
    return app.test_client().get(
        "/smart/launch", query_string={"iss": iss}, environ_base={"REMOTE_ADDR": address}
    )


def test_hooks_are_answered_while_every_discovery_hangs(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many threads as the server has, twelve EHRs that never answer: launches hold one thread, hooks the rest."""
    let_go, inside = threading.Event(), threading.Semaphore(0)

    def hang(_self: SmartOauth, _registration: object) -> Endpoints:
        inside.release()
        let_go.wait(60)
        return Endpoints("http://127.0.0.1:1/authorize", "http://127.0.0.1:1/token")

    monkeypatch.setattr(SmartOauth, "_discover", hang)
    body = bodies.calls(1, date(2026, 11, 21))[0]
    with ThreadPoolExecutor(THREADS) as server:
        launches = [
            server.submit(launch, app, iss, f"192.0.2.{n}") for n, iss in enumerate(ISSUERS)
        ]
        try:
            assert all(inside.acquire(timeout=30) for _ in range(THREADS // 4))
            hooks: list[Future[TestResponse]] = [
                server.submit(app.test_client().post, HOOK, json=orjson.loads(body))
                for _ in range(20)
            ]
            done, _ = wait(hooks, timeout=60)
            assert [200] * 20 == [each.result().status_code for each in done]
            deadline = time.monotonic() + 30  # the refused ones may still be on their way out
            while (held := sum(not each.done() for each in launches)) > THREADS // 4:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            let_go.set()
        answers = [each.result(60) for each in launches]
    assert held == THREADS // 4
    refused = [a for a in answers if a.status_code == 503]
    assert len(refused) == len(ISSUERS) - held
    assert {"5"} == {a.headers["Retry-After"] for a in refused}
    assert "Too many planner pages at once" in words(refused[0])
    assert 302 == launch(app, ISSUERS[0], "192.0.2.1").status_code


def test_the_style_of_the_page_that_says_so_needs_no_place(app: Flask) -> None:
    """And what was taken is given back, also by a page that fails."""
    client = app.test_client()
    for path in ["/smart/look.css", "/smart/launch?iss=x&iss=y", "/smart/s/none/", "/smart/none"]:
        for _ in range(5):
            with client.get(path) as answer:
                assert answer.status_code != 503


@pytest.mark.parametrize("threads", [2, 4, 8, 64, 256, 1_024])
def test_the_planner_never_holds_all_threads(threads: int) -> None:
    seats = Seats(threads)
    taken = sum(seats.take(str(n)) for n in range(threads))
    assert taken == seats.most <= max(1, min(MOST, threads // 4)) < threads


def test_one_caller_leaves_half_of_the_places_to_others() -> None:
    seats = Seats(32)
    assert [True] * 4 + [False] * 4 == [seats.take("flood") for _ in range(8)]
    assert [True] * 4 == [seats.take(name) for name in "abcd"]
    assert not seats.take("e")
    seats.leave("flood")
    assert (True, False) == (seats.take("flood"), seats.take("flood"))
