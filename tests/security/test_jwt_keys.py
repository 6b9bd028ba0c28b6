"""Published keys: what is read, how often it is asked for, and what happens when it cannot be had."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from cds_service.app import jwks_getter
from cds_service.auth.jwks import (
    CALL_SECONDS,
    FRESH_SECONDS,
    MAX_BYTES,
    JwksCache,
    KeysUnavailableError,
    read_keys,
)
from tests.security.keys import JWKS_URL, KID, Clock, PublishedAt, ehr, jwk, key_set, settings

ROTATED = key_set(jwk(kid="new"))


@pytest.fixture
def web() -> PublishedAt:
    return PublishedAt()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(web: PublishedAt, clock: Clock) -> JwksCache:
    return JwksCache(web, clock)


def kids(cache: JwksCache, kid: str) -> list[str]:
    return [key.kid for key in cache.find(JWKS_URL, kid)]


def eventually(is_so: Callable[[], bool]) -> None:
    """Wait for what a thread does in the background."""
    deadline = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_known_key_is_fetched_once(cache: JwksCache, web: PublishedAt) -> None:
    assert [[KID]] * 100 == [kids(cache, KID) for _ in range(100)]
    assert [JWKS_URL] == web.fetched


def test_old_keys_are_fetched_again(cache: JwksCache, web: PublishedAt, clock: Clock) -> None:
    kids(cache, KID)
    clock.forward(FRESH_SECONDS + 1)
    assert [KID] == kids(cache, KID)
    eventually(lambda: len(web.fetched) == 2)


def test_withdrawn_key_ends_with_the_next_fetch(
    cache: JwksCache, web: PublishedAt, clock: Clock
) -> None:
    kids(cache, KID)
    web.documents[JWKS_URL] = key_set(jwk(kid="new"))
    clock.forward(FRESH_SECONDS + 1)
    eventually(lambda: kids(cache, KID) == [])
    assert ["new"] == kids(cache, "new")


def test_empty_key_set_withdraws_every_key(
    cache: JwksCache, web: PublishedAt, clock: Clock
) -> None:
    kids(cache, KID)
    web.documents[JWKS_URL] = b'{"keys": []}'
    clock.forward(FRESH_SECONDS + 1)
    eventually(lambda: kids(cache, KID) == [])


def test_server_that_hangs_costs_a_call_nothing_while_its_key_is_known(clock: Clock) -> None:
    """Not when the keys are old either, and not each of those who ask for a key that nobody knows."""
    hang, answer = threading.Event(), threading.Event()

    def get(_url: str) -> bytes:
        if hang.is_set():
            answer.wait(20)
        return key_set()

    cache = JwksCache(get, clock)
    kids(cache, KID)
    hang.set()
    clock.forward(FRESH_SECONDS + 1)
    start = time.monotonic()
    known = [kids(cache, KID) for _ in range(100)]
    known_seconds = time.monotonic() - start
    clock.forward(CALL_SECONDS)
    with pytest.raises(KeysUnavailableError):
        kids(cache, "nobody")
    assert ([[KID]] * 100, True, True) == (
        known,
        known_seconds < 0.1,
        time.monotonic() - start < 0.3,
    )
    answer.set()


def test_a_slow_server_is_waited_for_in_the_background(clock: Clock) -> None:
    """It takes longer than a call waits; the next call finds the keys."""
    cache = JwksCache(lambda _url: time.sleep(CALL_SECONDS + 0.3) or key_set(), clock)  # type: ignore[func-returns-value]
    start = time.monotonic()
    with pytest.raises(KeysUnavailableError):
        kids(cache, KID)
    assert time.monotonic() - start < CALL_SECONDS + 0.2
    eventually(lambda: cache.at_hand(JWKS_URL))
    assert [KID] == kids(cache, KID)


def test_keys_are_there_before_anybody_calls(cache: JwksCache, web: PublishedAt) -> None:
    cache.keep_fresh([JWKS_URL])
    eventually(lambda: cache.at_hand(JWKS_URL))
    assert ([KID], [JWKS_URL]) == (kids(cache, KID), web.fetched)


def test_CR129_rotated_key_is_found_by_one_refetch(cache: JwksCache, web: PublishedAt) -> None:
    kids(cache, KID)
    web.documents[JWKS_URL] = ROTATED
    assert [["new"], ["new"]] == [kids(cache, "new"), kids(cache, "new")]
    assert 2 == len(web.fetched)


def test_CT03_unknown_kid_is_asked_for_once_a_minute(
    cache: JwksCache, web: PublishedAt, clock: Clock
) -> None:
    kids(cache, KID)
    assert [[]] * 50 == [kids(cache, "nobody") for _ in range(50)]
    assert 2 == len(web.fetched)
    clock.forward(61)
    assert ([], 3) == (kids(cache, "nobody"), len(web.fetched))


def test_CT03_kid_that_a_fresh_key_set_lacks_is_not_asked_for(
    cache: JwksCache, web: PublishedAt
) -> None:
    assert ([], [], [JWKS_URL]) == (kids(cache, "nobody"), kids(cache, "nobody"), web.fetched)


def test_CT03_thousand_unknown_kids_in_a_minute_are_two_fetches(
    cache: JwksCache, web: PublishedAt, clock: Clock
) -> None:
    for number in range(1_000):
        kids(cache, f"kid {number}")
        clock.forward(0.0599)
    assert 2 == len(web.fetched)


def test_kid_that_could_not_be_asked_for_is_found_as_soon_as_it_may_be(
    cache: JwksCache, web: PublishedAt, clock: Clock
) -> None:
    """Strangers use up this minute's fetches just when the EHR rotates its keys: it ends with the minute."""
    kids(cache, "stranger 1")
    kids(cache, "stranger 2")
    web.documents[JWKS_URL] = ROTATED
    assert [] == kids(cache, "new")
    clock.forward(60)
    assert ["new"] == kids(cache, "new")


@pytest.mark.parametrize(
    "document", [OSError("down"), b"<html>", b" " * (MAX_BYTES + 1)], ids=["down", "html", "big"]
)
def test_CL17_last_good_keys_serve_a_day(
    cache: JwksCache, web: PublishedAt, clock: Clock, document: bytes | Exception
) -> None:
    kids(cache, KID)
    web.documents[JWKS_URL] = document
    clock.forward(24 * 3_600)
    assert ([KID], True) == (kids(cache, KID), cache.at_hand(JWKS_URL))
    clock.forward(1)
    with pytest.raises(KeysUnavailableError):
        kids(cache, KID)
    assert not cache.at_hand(JWKS_URL)


def test_server_that_fails_is_left_alone_for_half_a_minute(
    cache: JwksCache, web: PublishedAt, clock: Clock
) -> None:
    web.documents[JWKS_URL] = OSError("down")
    for _ in range(20):
        with pytest.raises(KeysUnavailableError):
            kids(cache, KID)
    assert 1 == len(web.fetched)
    web.documents[JWKS_URL] = key_set()
    clock.forward(30)
    assert [KID] == kids(cache, KID)


def test_each_source_has_its_own_keys_and_limits(clock: Clock) -> None:
    web = PublishedAt({JWKS_URL: OSError("down"), "https://b.example/keys": ROTATED})
    cache = JwksCache(web, clock)
    with pytest.raises(KeysUnavailableError):
        kids(cache, "new")
    assert ["new"] == [key.kid for key in cache.find("https://b.example/keys", "new")]


def test_keys_in_a_file_are_read_and_rotate(
    tmp_path: Path, cache: JwksCache, web: PublishedAt
) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(key_set())
    first = [key.kid for key in cache.find(str(file), KID)]
    file.write_bytes(ROTATED)
    assert ([KID], ["new"], []) == (
        first,
        [key.kid for key in cache.find(str(file), "new")],
        web.fetched,
    )


def test_file_that_is_missing_is_no_key_set(tmp_path: Path, cache: JwksCache) -> None:
    with pytest.raises(KeysUnavailableError):
        cache.find(str(tmp_path / "none.json"), KID)


def test_twenty_callers_at_once_share_one_fetch(clock: Clock) -> None:
    """Nobody of them is refused: who comes late waits for the fetch under way."""
    fetched: list[str] = []

    def slowly(url: str) -> bytes:
        fetched.append(url)
        time.sleep(0.1)
        return key_set()

    cache, found = JwksCache(slowly, clock), []
    callers = [threading.Thread(target=lambda: found.append(kids(cache, KID))) for _ in range(20)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert ([[KID]] * 20, 1) == (found, len(fetched))


def test_keys_without_a_kid_and_beyond_the_hundredth_are_not_read() -> None:
    document = key_set(jwk(kid=None), jwk(kid=5), *[jwk(kid=str(number)) for number in range(120)])
    assert [str(number) for number in range(98)] == [key.kid for key in read_keys(document)]


# The guarded door through which the running service fetches them


class _Site(BaseHTTPRequestHandler):
    seen: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        getattr(self, self.path.strip("/"))()

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def good(self) -> None:
        self.answer(200, key_set())

    def redirect(self) -> None:
        self.answer(302, Location="/good")

    def error(self) -> None:
        self.answer(500, key_set())

    def empty(self) -> None:
        self.answer(200)

    def zipped(self) -> None:
        self.answer(200, gzip.compress(b" " * 5_000_000), Content_Encoding="gzip")

    def large(self) -> None:
        self.answer(200, b" " * (MAX_BYTES + 1))

    def silent(self) -> None:
        time.sleep(2 * CALL_SECONDS)

    def dripping(self) -> None:
        self.answer(200)
        self.drip(b" ")

    def dripping_header(self) -> None:
        self.drip(b"H")

    def drip(self, drop: bytes) -> None:
        for _ in range(15):
            self.wfile.write(drop)
            time.sleep(0.1)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def keys_at(url: str) -> list[str]:
    """The key that the EHR signs with, as a worker fetches it from there; a demo, as loopback has no HTTPS."""
    cache = JwksCache(jwks_getter(settings(ehr(jwks_url=url), profile="demo")))
    return [key.kid for key in cache.find(url, KID)]


def test_document_is_fetched(site: str) -> None:
    assert [KID] == keys_at(f"{site}/good")


@pytest.mark.parametrize(
    "page",
    [
        "redirect",
        "error",
        "empty",
        "zipped",
        "large",
        "silent",
        "dripping",
        "dripping_header",
    ],
)
def test_CT03_bad_server_is_given_up_within_a_second(site: str, page: str) -> None:
    """No redirect is followed and nothing large inflated; a drop now and then does not prolong the second."""
    start = time.monotonic()
    with pytest.raises(KeysUnavailableError):
        keys_at(f"{site}/{page}")
    assert time.monotonic() - start < CALL_SECONDS + 0.5
    assert ("/good", None) not in _Site.seen[-1:]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://[::", "ftp://127.0.0.1/", "nonsense"]
)
def test_url_that_leads_nowhere_is_no_document(url: str) -> None:
    with pytest.raises(KeysUnavailableError):
        keys_at(url)


def test_CT02_no_password_of_this_machine_is_sent(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """requests would send what .netrc says of the host."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    keys_at(f"{site}/good")
    assert ("/good", None) == _Site.seen[-1]
