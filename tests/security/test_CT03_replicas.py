"""A client's token is let in once, over two workers, two replicas, many at the same moment, and a restart (T3, R125)."""

from __future__ import annotations

import json
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cds_service.store.read_only import open_to_read
from cds_service.store.schema import audit_event
from tests.conformance.calls import conflict
from tests.conftest import Running
from tests.postgres import postgres_server, postgres_url
from tests.reliability.server import serving
from tests.security.ehr import bearer, client, write_settings
from tests.unit.journal.samples import store_url

__all__ = ["postgres_server", "postgres_url", "store_url"]

SIGN = "/cds-services/naltrexone-order-sign"


def environ(folder: Path, url: str, workers: int = 2) -> dict[str, str]:
    file = write_settings(folder / "etc", client(folder / "etc"), database_url=url, workers=workers)
    return {"NALTREXONE_CDS_SETTINGS": str(file)}


def another() -> dict[str, Any]:
    """A call that nobody made before."""
    return {**conflict(), "hookInstance": str(uuid.uuid4())}


def twenty_at_once(
    services: list[Running],
    headers: dict[str, str],
    body: Callable[[], dict[str, Any]] = another,
) -> Counter[int]:
    """The statuses of twenty calls at the same moment with the same token, spread over the services."""
    together = threading.Barrier(20)

    def call(number: int) -> int:
        together.wait(20)
        return services[number % len(services)].post(SIGN, json=body(), headers=headers).status_code

    with ThreadPoolExecutor(20) as pool:
        return Counter(pool.map(call, range(20)))


def test_CT03_a_token_is_accepted_once_by_two_workers(tmp_path: Path, store_url: str) -> None:
    with serving(tmp_path, **environ(tmp_path, store_url)) as service:
        assert [{200: 1, 401: 19}] * 3 == [
            dict(twenty_at_once([service], bearer(SIGN))) for _ in range(3)
        ]


@pytest.mark.postgres
def test_CT03_a_token_is_accepted_once_by_two_replicas_with_two_workers_each(
    tmp_path: Path, postgres_url: str
) -> None:
    """Both start at the same moment on an empty database."""
    settings = environ(tmp_path, postgres_url)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with serving(tmp_path / "one", **settings) as one, serving(tmp_path / "two", **settings) as two:
        assert [{200: 1, 401: 19}] * 3 == [
            dict(twenty_at_once([one, two], bearer(SIGN))) for _ in range(3)
        ]


@pytest.mark.postgres
def test_CT03_the_same_call_again_is_a_retry_that_any_replica_answers_and_the_audit_names(
    tmp_path: Path, postgres_url: str
) -> None:
    """As a proxy sends it: with the same token and the same body. With any other body it is refused."""
    settings = environ(tmp_path, postgres_url, workers=1)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with serving(tmp_path / "one", **settings) as one, serving(tmp_path / "two", **settings) as two:
        once, body = bearer(SIGN), another()
        found = twenty_at_once([one, two], once, lambda: body)
        other = [each.post(SIGN, json=another(), headers=once).status_code for each in (one, two)]
    assert ({200: 20}, [401, 401]) == (dict(found), other)
    with open_to_read(postgres_url) as store, store.read() as connection:
        events = [json.loads(row.body) for row in connection.execute(select(audit_event.c.body))]
    calls = [event for event in events if event["status"] == 200]
    assert [19, 20] == [sum(bool(e.get("retry")) for e in calls), len(calls)]


def test_CT03_a_token_stays_used_after_a_restart(tmp_path: Path, store_url: str) -> None:
    settings, once = environ(tmp_path, store_url, workers=1), bearer(SIGN)
    said = []
    for _ in range(2):
        with serving(tmp_path, **settings) as service:
            said.append(service.post(SIGN, json=another(), headers=once).status_code)
    assert [200, 401] == said
