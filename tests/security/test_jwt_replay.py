"""Used tokens are remembered once and for all workers; what happens when the store cannot remember."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from cds_service.auth import used_tokens
from cds_service.auth.used_tokens import (
    KEEP_SECONDS,
    RETRY_WINDOW,
    SeenTokens,
    Use,
    hash_token,
)
from cds_service.errors import Unavailable
from cds_service.store.schema import jwt_seen
from cds_service.store.store import Store, open_store
from tests.postgres import postgres_server, postgres_url
from tests.security.keys import ISSUER, NOW, Clock

LATER = NOW + 360
STORES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]

__all__ = ["postgres_server", "postgres_url"]  # fixtures that this module lends from tests.postgres


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.sqlite3'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def worker(url: str) -> Iterator[Callable[[], SeenTokens]]:
    """Starts one more worker on the store."""
    stores: list[Store] = []

    def start() -> SeenTokens:
        stores.append(open_store(url))
        return SeenTokens(stores[-1].writer, Clock())

    yield start
    for store in stores:
        store.close()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = open_store(url)
    yield store
    store.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path / 'only.sqlite3'}")
    yield store
    store.close()


def stored(store: Store) -> int:
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(jwt_seen)).scalar_one()


def test_CT03_token_is_new_once(store: Store) -> None:
    seen = SeenTokens(store.writer, Clock())
    assert [Use.FIRST, Use.AGAIN, Use.AGAIN] == [
        seen.remember(ISSUER, "a", LATER) for _ in range(3)
    ]


@pytest.mark.parametrize("other", [("https://b.example", "a"), (ISSUER, "b"), (ISSUER, "A")])
def test_CT03_another_issuer_or_jti_is_another_token(store: Store, other: tuple[str, str]) -> None:
    seen = SeenTokens(store.writer, Clock())
    assert (Use.FIRST, Use.FIRST) == (
        seen.remember(ISSUER, "a", LATER),
        seen.remember(*other, LATER),
    )


def test_issuer_and_jti_cannot_be_shifted_into_each_other() -> None:
    assert hash_token("a b", "c") != hash_token("a", "b c")


def test_CT03_token_used_at_one_worker_is_refused_at_another(
    worker: Callable[[], SeenTokens],
) -> None:
    assert [Use.FIRST, Use.AGAIN, Use.AGAIN] == [
        worker().remember(ISSUER, "a", LATER) for _ in range(3)
    ]


def test_CR125_of_twenty_parallel_identical_tokens_one_is_new(
    worker: Callable[[], SeenTokens],
) -> None:
    """Half of the callers reach one worker, half another."""
    workers, said = [worker(), worker()], []
    start = threading.Barrier(20)

    def call(number: int) -> None:
        start.wait()
        said.append(workers[number % 2].remember(ISSUER, "a", LATER))

    callers = [threading.Thread(target=call, args=(number,)) for number in range(20)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert [Use.AGAIN] * 19 + [Use.FIRST] == sorted(said)


_WORKER = """
import sys
from cds_service.auth.used_tokens import SeenTokens
from cds_service.store.store import open_store
seen = SeenTokens(open_store(sys.argv[1]).writer, lambda: 1_800_000_000.0)
print(*[number for number in range(60) if seen.remember("issuer", str(number), 1_800_000_360.0) == "first"])
"""


def test_CT03_each_token_is_new_to_one_process_only(url: str) -> None:
    command = [sys.executable, "-c", _WORKER, url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    new = [
        int(number)
        for process in processes
        for number in process.communicate(timeout=60)[0].split()
    ]
    assert list(range(60)) == sorted(new)


@pytest.mark.parametrize(
    ("request_", "seconds", "use"),
    [
        ("same", 0, Use.RETRY),
        ("same", RETRY_WINDOW, Use.RETRY),
        ("same", RETRY_WINDOW + 1, Use.AGAIN),
        ("same", -3_600, Use.AGAIN),
        ("other", 0, Use.AGAIN),
        ("", 0, Use.AGAIN),
    ],
)
def test_CT03_the_same_call_with_the_same_token_is_a_retry_for_a_moment(
    store: Store, request_: str, seconds: int, use: Use
) -> None:
    """By the same worker and by one that knows only the store, whatever the clock on the wall was told meanwhile."""
    clock, steady = Clock(), Clock(0)
    seen = SeenTokens(store.writer, clock, steady=steady)
    assert Use.FIRST is seen.remember(ISSUER, "a", LATER, "same")
    clock.forward(seconds)
    steady.forward(abs(seconds))
    another = SeenTokens(store.writer, clock, steady=steady)
    assert [use, use] == [each.remember(ISSUER, "a", LATER, request_) for each in (seen, another)]


def test_CT03_a_request_that_nobody_hashed_is_never_a_retry(store: Store) -> None:
    said = [SeenTokens(store.writer, Clock()).remember(ISSUER, "a", LATER) for _ in range(2)]
    assert [Use.FIRST, Use.AGAIN] == said


def test_CT03_token_is_remembered_over_a_restart(
    url: str, worker: Callable[[], SeenTokens]
) -> None:
    before = open_store(url)
    SeenTokens(before.writer, Clock()).remember(ISSUER, "a", LATER)
    before.close()
    assert worker().remember(ISSUER, "a", LATER) is Use.AGAIN


def test_CR127_neither_issuer_nor_jti_is_stored(sqlite: Store, tmp_path: Path) -> None:
    SeenTokens(sqlite.writer, Clock()).remember(ISSUER, "CANARY-JTI", LATER)
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    looked_for = (hash_token(ISSUER, "CANARY-JTI").encode(), b"CANARY", ISSUER.encode())
    assert [True, False, False] == [text in content for text in looked_for]


def test_forgotten_tokens_make_room(store: Store) -> None:
    """Rows go once their token has been refused by its own exp for two hours, and the clock can be believed."""
    clock, steady = Clock(), Clock(0)
    seen = SeenTokens(store.writer, clock, steady=steady)
    seen.remember(ISSUER, "a", LATER)
    seen.remember(ISSUER, "b", LATER + 61)
    for each in (clock, steady):
        each.forward(360 + KEEP_SECONDS + 1)
    seen.remember(ISSUER, "c", clock.now + 360)
    assert 2 == stored(store)


@pytest.mark.parametrize("hours", [1, 4, 24, -4])
@pytest.mark.parametrize("restarted", [False, True])
def test_CL17_clock_that_jumps_and_comes_back_forgets_nothing(
    store: Store, hours: int, *, restarted: bool
) -> None:
    """Neither the store nor the worker; a worker that starts while the clock is wrong does not know it."""
    clock, steady = Clock(), Clock(0)
    seen = SeenTokens(store.writer, clock, steady=steady)
    seen.remember(ISSUER, "a", LATER)
    steady.forward(2 * KEEP_SECONDS)  # it has run for long, and all that time the clock was right
    clock.forward(2 * KEEP_SECONDS)
    seen.remember(ISSUER, "b", clock.now + 360)
    clock.forward(3_600 * hours)
    if restarted:
        seen = SeenTokens(store.writer, clock, steady=steady)
    seen.remember(ISSUER, "c", clock.now + 360)
    steady.forward(10)
    seen.remember(ISSUER, "d", clock.now + 360)
    clock.forward(-3_600 * hours)
    fresh = SeenTokens(store.writer, clock, steady=steady)  # knows what the store knows
    assert [Use.AGAIN] * 3 == [fresh.remember(ISSUER, jti, LATER) for jti in ("b", "c", "d")]


def test_rows_are_swept_again_once_a_clock_has_kept_its_new_time(store: Store) -> None:
    clock, steady = Clock(), Clock(0)
    seen = SeenTokens(store.writer, clock, steady=steady)
    seen.remember(ISSUER, "a", LATER)
    clock.forward(14_400)
    seen.remember(ISSUER, "b", clock.now + 360)
    for each in (clock, steady):
        each.forward(KEEP_SECONDS + 1)
    seen.remember(ISSUER, "c", clock.now + 360)
    assert 2 == stored(store)


def test_CL11_broken_store_silences_no_hook_and_the_worker_still_knows(sqlite: Store) -> None:
    """The calls go on, this worker refuses replays by its own memory, and somebody is told."""
    told: list[str] = []
    seen = SeenTokens(sqlite.writer, Clock(), on_failure=lambda: told.append("failed"))
    jwt_seen.drop(sqlite.engine)
    said = [seen.remember(ISSUER, "a", LATER) for _ in range(2)]
    assert ([Use.FIRST, Use.AGAIN], ["failed"]) == (said, told)


def test_CL11_store_is_used_again_without_a_restart(sqlite: Store) -> None:
    seen = SeenTokens(sqlite.writer, Clock())
    jwt_seen.drop(sqlite.engine)
    seen.remember(ISSUER, "a", LATER)
    jwt_seen.create(sqlite.engine)
    seen.remember(ISSUER, "b", LATER)
    assert 1 == stored(sqlite)


def test_CL11_corrupt_store_silences_no_hook(tmp_path: Path) -> None:
    (tmp_path / "noise.sqlite3").write_bytes(b"noise" * 5_000)
    store = open_store(f"sqlite:///{tmp_path / 'noise.sqlite3'}")
    seen = SeenTokens(store.writer, Clock())
    assert [Use.FIRST, Use.AGAIN] == [seen.remember(ISSUER, "a", LATER) for _ in range(2)]
    store.close()


def test_CL11_store_that_failed_costs_later_calls_no_wait(sqlite: Store) -> None:
    """Another process holds the write lock: one call waits a second for it, the next ones not at all."""
    seen = SeenTokens(sqlite.writer, Clock())
    with sqlite.write():
        seen.remember(ISSUER, "a", LATER)
        start = time.monotonic()
        said = [seen.remember(ISSUER, str(number), LATER) for number in range(100)]
        elapsed = time.monotonic() - start
    assert ([Use.FIRST] * 100, True) == (said, elapsed < 0.5)


def test_CL12_site_may_ask_for_503_instead(sqlite: Store) -> None:
    """And the token is not used up: the EHR may send it again."""
    seen = SeenTokens(sqlite.writer, Clock(), durable=True)
    jwt_seen.drop(sqlite.engine)
    with pytest.raises(Unavailable) as refusal:
        seen.remember(ISSUER, "a", LATER)
    jwt_seen.create(sqlite.engine)
    assert ({"Retry-After": "2"}, Use.FIRST) == (
        refusal.value.headers,
        seen.remember(ISSUER, "a", LATER),
    )


# --- what one worker remembers by itself -----------------------------------------------------------------------------


def test_a_worker_remembers_the_newest_tokens_as_long_as_any_lives() -> None:
    recent, asked = used_tokens._Recent(room=3), "ab" * 32
    tokens = [
        used_tokens._Token(used_tokens.hash_token("i", f"{n}"), 1, asked, 1) for n in range(5)
    ]
    for at, token in enumerate(tokens):
        recent.add(token, float(at))
    assert [None, None] == [recent.get(token.hash, 5.0) for token in tokens[:2]]
    assert [(asked, 2.0), (asked, 3.0), (asked, 4.0)] == [
        recent.get(token.hash, 5.0) for token in tokens[2:]
    ]
    last = tokens[-1].hash
    assert recent.get(last, 4.0 + used_tokens.KEEP_SECONDS) is not None
    assert recent.get(last, 4.5 + used_tokens.KEEP_SECONDS) is None
    recent.forget(last)
    assert recent.get(last, 4.0) is None
