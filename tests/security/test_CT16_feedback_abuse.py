"""Nobody abuses the feedback address: sizes, counts, payloads, quotas and rates hold over HTTP (T16)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.calls import refusal
from tests.security.ehr import Ehr, client, exported, feedback_item, run_production

PATH = "/cds-services/naltrexone-order-sign/feedback"
SMALL = "https://small.example.com"
OTHER = "https://other.example.com"
JSON = {"Content-Type": "application/json"}
PAYLOADS = [
    "'); DROP TABLE feedback; --",
    '"; DELETE FROM feedback; --',
    "%s %(x)s {0} :name ?1 ${jndi:ldap://x}",
    "<script>alert(1)</script>",
    "line\r\nSet-Cookie: x=1",
    "\u202e\u0001\u001b[31m",
    "=cmd|' /C calc'!A0",
    "é\U0001f600",
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ehr, Path]]:
    folder = tmp_path_factory.mktemp("feedback")
    clients = [
        client(folder),
        client(folder, SMALL, number=1, feedback_quota=3),
        client(folder, OTHER, number=2),
    ]
    with run_production(folder, *clients) as ehr:
        yield ehr, folder / "data"


def said(comment: str, **members: Any) -> dict[str, Any]:
    return feedback_item(overrideReason={"userComment": comment, **members})


def stored(data: Path, *items: dict[str, Any]) -> list[dict[str, Any]]:
    cards = [item["card"] for item in items]
    return [found for found in exported(data) if found["card"] in cards]


def test_CT16_feedback_needs_a_token_of_its_own(site: tuple[Ehr, Path]) -> None:
    ehr, data = site
    item = feedback_item()
    assert (401, []) == (
        ehr.service.post(PATH, json={"feedback": [item]}).status_code,
        stored(data, item),
    )


def test_CT16_a_body_of_more_than_64_kb_is_refused(site: tuple[Ehr, Path]) -> None:
    ehr, data = site
    item = said("x")
    text = json.dumps({"feedback": [item]}).encode()
    fits, too_much = text + b" " * (64_000 - len(text)), text + b" " * (64_001 - len(text))
    answers = [ehr.post(PATH, data=each, headers=JSON) for each in (too_much, fits)]
    assert ([413, 200], 1) == ([answer.status_code for answer in answers], len(stored(data, item)))
    refusal(answers[0])


def test_CT16_a_chunked_body_of_more_than_64_kb_is_refused_too(site: tuple[Ehr, Path]) -> None:
    ehr, _ = site
    assert 413 == ehr.post(PATH, data=(b" " * 10_000 for _ in range(10)), headers=JSON).status_code


@pytest.mark.parametrize(("number", "status"), [(200, 200), (201, 400)])
def test_CT16_a_call_holds_at_most_200_items(
    site: tuple[Ehr, Path], number: int, status: int
) -> None:
    ehr, data = site
    items = [feedback_item(overrideReason=None) for _ in range(number)]
    assert status == ehr.post(PATH, json={"feedback": items}).status_code
    assert (number if status == 200 else 0) == len(stored(data, *items))


@pytest.mark.parametrize(("length", "status"), [(4_000, 200), (4_001, 400)])
def test_CT16_a_comment_holds_at_most_4000_characters(
    site: tuple[Ehr, Path], length: int, status: int
) -> None:
    ehr, data = site
    item = said("é" * length)
    assert (status, int(status == 200)) == (
        ehr.post(PATH, json={"feedback": [item]}).status_code,
        len(stored(data, item)),
    )


@pytest.mark.parametrize("payload", PAYLOADS)
def test_CT16_a_payload_is_kept_as_text_and_never_reflected(
    site: tuple[Ehr, Path], payload: str
) -> None:
    ehr, data = site
    item = said(payload, reason={"code": "x", "display": payload})
    answer = ehr.post(PATH, json={"feedback": [item]})
    assert (200, {}) == (answer.status_code, answer.json())
    (found,) = stored(data, item)
    assert (payload, payload) == (
        found["overrideReason"]["userComment"],
        found["overrideReason"]["reason"]["display"],
    )


@pytest.mark.parametrize("payload", ["\u0000", "\ud800"])
def test_CT16_a_character_that_no_store_keeps_is_a_400(
    site: tuple[Ehr, Path], payload: str
) -> None:
    ehr, data = site
    item = said(f"before{payload}after")
    answer = ehr.post(PATH, data=json.dumps({"feedback": [item]}).encode(), headers=JSON)
    assert (400, []) == (answer.status_code, stored(data, item))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 30_000,
        b"{" * 30_000,
        b'{"feedback":NaN}',
        b"\xff",
        b'{"feedback":[' + b"{}," * 20_000 + b"{}]}",
        b'{"feedback":[1e999]}',
        b"null",
        b"",
    ],
)
def test_CT16_a_hostile_body_is_a_400(site: tuple[Ehr, Path], body: bytes) -> None:
    answer = site[0].post(PATH, data=body, headers=JSON)
    assert 400 == answer.status_code
    refusal(answer)


def test_CT16_an_error_names_the_member_and_quotes_nothing(site: tuple[Ehr, Path]) -> None:
    answer = site[0].post(
        PATH, json={"feedback": [feedback_item(outcome="CANARY", extra="CANARY")]}
    )
    assert (400, False) == (answer.status_code, "CANARY" in answer.text)
    assert ["feedback[0].outcome"] == answer.json()["issue"][0]["expression"]


def test_CT16_a_client_at_its_quota_is_refused_and_the_others_are_not(
    site: tuple[Ehr, Path],
) -> None:
    ehr, data = site
    small = Ehr(ehr.service, SMALL, 1)
    items = [feedback_item() for _ in range(5)]
    answers = [small.post(PATH, json={"feedback": [item]}) for item in items]
    assert [200, 200, 200, 503, 503] == [answer.status_code for answer in answers]
    assert int(answers[3].headers["Retry-After"]) > 0
    assert (200, 3) == (
        ehr.post(PATH, json={"feedback": [feedback_item()]}).status_code,
        len(stored(data, *items)),
    )


def test_CT16_one_client_cannot_hide_the_feedback_of_another(site: tuple[Ehr, Path]) -> None:
    """The same item from two issuers is two items, each under its own name, whatever the item claims."""
    ehr, data = site
    item = feedback_item()
    senders = [Ehr(ehr.service, OTHER, 2), ehr]
    assert [200, 200] == [
        each.post(PATH, json={"feedback": [{**item, "issuer": OTHER}]}).status_code
        for each in senders
    ]
    assert [OTHER, "https://ehr.example.com"] == [found["issuer"] for found in stored(data, item)]


def test_CT16_the_tables_are_still_there(site: tuple[Ehr, Path]) -> None:
    with closing(sqlite3.connect(f"file:{site[1]}/store.sqlite3?mode=ro", uri=True)) as connection:
        tables = {
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
    assert {"feedback", "audit_event", "jwt_seen"} <= tables


def test_CT16_a_client_that_calls_too_often_is_told_to_wait(tmp_path: Path) -> None:
    """Each client has a bucket of its own; feedback and hooks share it."""
    clients = [client(tmp_path), client(tmp_path, SMALL, number=1)]
    with run_production(tmp_path, *clients, limits={"requests_per_minute": 5}) as ehr:
        answers = [ehr.post(PATH, json={"feedback": [feedback_item()]}) for _ in range(7)]
        assert [200] * 5 + [429] * 2 == [answer.status_code for answer in answers]
        assert int(answers[6].headers["Retry-After"]) > 0
        refusal(answers[6])
        assert (
            200
            == Ehr(ehr.service, SMALL, 1)
            .post(PATH, json={"feedback": [feedback_item()]})
            .status_code
        )
