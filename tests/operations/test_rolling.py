"""Two replicas on one PostgreSQL behind the shipped proxy: restarted one by one and killed, under load (operations, 6)."""

from __future__ import annotations

import json
import shutil
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from cds_service import terminology
from cds_service.journal.export import export_audit, export_feedback
from cds_service.store.read_only import open_to_read
from tests.conftest import ROOT
from tests.operations.proxy import Replica, two_replicas
from tests.postgres import PostgresServer, new_database, server
from tests.security.ehr import bearer, feedback_item

DRAFT = ROOT / "fhir_fixtures" / "requests" / "order-select" / "ldn-with-recent-oxycodone.json"
HOOK = "/cds-services/naltrexone-order-select"
FEEDBACK = "/cds-services/naltrexone-order-sign/feedback"
CALLERS = 4


@dataclass(frozen=True, slots=True)
class House:
    """What stands behind one URL."""

    url: str
    replicas: list[Replica]
    database: str


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    found = server()
    if not isinstance(found, PostgresServer):
        pytest.skip(found)
    with (
        new_database(found) as database,
        two_replicas(tmp_path_factory.mktemp("house"), database) as (url, replicas),
    ):
        yield House(url, replicas, database)


class Load:
    """Callers that order and send feedback until told to stop; what came back is counted by status and cards."""

    def __init__(self, url: str) -> None:
        self.orders: Counter[str] = Counter()
        self.acknowledged: list[str] = []
        self._stop = threading.Event()
        self._body = json.loads(DRAFT.read_text("utf-8"))
        self._url = url
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        with requests.Session() as session:
            while not self._stop.is_set():
                self.orders[self._order(session)] += 1
                card = str(uuid.uuid4())
                if self._tell(session, card):
                    self.acknowledged.append(card)

    def _order(self, session: requests.Session) -> str:
        body = {**self._body, "hookInstance": str(uuid.uuid4())}
        try:
            answer = session.post(self._url + HOOK, json=body, headers=bearer(HOOK), timeout=10)
        except requests.RequestException as error:
            return type(error).__name__
        if answer.status_code != 200:
            return str(answer.status_code)
        return f"200 {answer.json()['cards'][0]['indicator']}"

    def _tell(self, session: requests.Session, card: str) -> bool:
        try:
            return session.post(
                self._url + FEEDBACK,
                json={"feedback": [feedback_item(card=card)]},
                headers=bearer(FEEDBACK),
                timeout=10,
            ).ok
        except requests.RequestException:
            return False


def test_a_rolling_restart_loses_no_order_and_no_feedback(house: House) -> None:
    load = Load(house.url)
    time.sleep(1)
    for replica in house.replicas:
        replica.stop()
        time.sleep(0.5)
        replica.start()
        time.sleep(0.5)
    load.stop()
    assert set(load.orders) == {"200 critical"}, load.orders
    assert load.orders.total() > 40
    assert set(load.acknowledged) <= _stored(house)


def test_a_killed_replica_costs_at_most_the_calls_that_it_held(house: House) -> None:
    load = Load(house.url)
    time.sleep(1)
    house.replicas[0].kill()
    time.sleep(2)
    house.replicas[0].start()
    load.stop()
    lost = {word: count for word, count in load.orders.items() if word != "200 critical"}
    assert sum(lost.values()) <= CALLERS, lost
    assert load.orders["200 critical"] > 10
    assert set(load.acknowledged) <= _stored(house)


def test_a_restart_of_the_database_fails_no_order_and_loses_no_acknowledged_feedback(
    house: House,
) -> None:
    """As at a fail-over: every connection is cut, nothing listens for a while, then the same data is back."""
    running = server()
    assert isinstance(running, PostgresServer)
    if running.folder is None:
        pytest.skip("TEST_POSTGRES_URL names a server that is not ours to stop")
    load = Load(house.url)
    try:
        _wait_for_more_feedback(load)
        running.stop()
        try:
            time.sleep(2)
        finally:
            running.start()
        _wait_for_more_feedback(load)
    finally:
        load.stop()
    assert set(load.orders) == {"200 critical"}, load.orders
    assert set(load.acknowledged) <= _stored(house)


def test_a_token_that_one_replica_took_is_refused_by_the_other_but_for_a_proxys_retry(
    house: House,
) -> None:
    body, headers = json.loads(DRAFT.read_text("utf-8")), bearer(HOOK)
    one, two = (replica.url + HOOK for replica in house.replicas)
    asked = [(one, body), (two, body), (two, {**body, "hookInstance": str(uuid.uuid4())})]
    answers = [requests.post(url, json=each, headers=headers, timeout=10) for url, each in asked]
    assert [a.status_code for a in answers] == [200, 200, 401]


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/startupz", "/livez", "/version"])
def test_what_is_for_operators_is_not_passed_on(house: House, path: str) -> None:
    assert requests.get(house.url + path, timeout=10).status_code == 404


def test_content_and_drug_tables_are_rolled_out_and_back_and_every_audit_event_says_which(
    house: House, tmp_path: Path
) -> None:
    """One replica has the new ones, the other not yet; then both; then the first is back. It ends the house: the last."""
    first, second = house.replicas
    site, packaged = _site_data(tmp_path), {"content_overlay": None, "terminology_dir": None}
    old = _versions(first)
    load = Load(house.url)
    try:
        _roll(first, site)
        new = _versions(first)
        assert _versions(second) == old
        asked = [(_ask(first), new), (_ask(second), old)]
        _roll(second, site)
        asked.append((_ask(second), new))
        _roll(first, packaged)
        asked.append((_ask(first), old))
    finally:
        load.stop()
    assert (new["content"], new["terminology"]) != (old["content"], old["terminology"])
    assert [said.startswith("Site words") for (_, said), _ in asked] == [True, False, True, False]
    assert set(load.orders) == {"200 critical"}, load.orders
    for replica in house.replicas:  # an orderly stop writes the audit of the last calls
        replica.stop()
    events = _audited(house)
    for (request_id, _), versions in asked:
        event = events[request_id]
        assert event["content_version"] == versions["content"]
        assert event["terminology_version"] == versions["terminology"]
        assert event["rules_version"] == versions["rules"]


def _site_data(folder: Path) -> dict[str, str | None]:
    """Settings with words and an edition of drug tables of a site's own."""
    words, edition = folder / "content", folder / "terminology"
    words.mkdir()
    words.joinpath("naltrexone-opioid-interaction.yaml").write_text(
        "summaries:\n  ntx-draft/CURRENT: 'Site words: no {blocker}, patient is on {opioid}.'\n"
    )
    shutil.copytree(Path(terminology.__file__).parent / "data", edition)
    (edition / "release.json").write_text('{"release": "an edition of the site"}')
    return {"content_overlay": str(words), "terminology_dir": str(edition)}


def _roll(replica: Replica, settings: dict[str, str | None]) -> None:
    replica.stop()
    replica.set(**settings)
    replica.start()


def _versions(replica: Replica) -> dict[str, str]:
    found: dict[str, str] = requests.get(replica.url + "/version", timeout=10).json()
    return found


def _ask(replica: Replica) -> tuple[str, str]:
    """The id and the first card's summary of one order, sent past the proxy."""
    body = {**json.loads(DRAFT.read_text("utf-8")), "hookInstance": str(uuid.uuid4())}
    answer = requests.post(replica.url + HOOK, json=body, headers=bearer(HOOK), timeout=10)
    return answer.headers["X-Request-Id"], answer.json()["cards"][0]["summary"]


def _audited(house: House) -> dict[str, dict[str, str]]:
    with open_to_read(house.database) as store:
        events = json.loads("".join(export_audit(store, "json")))
    return {event["request_id"]: event for event in events if event["kind"] == "call"}


def _wait_for_more_feedback(load: Load) -> None:
    """Until feedback is acknowledged that was not when this was called: the database takes rows again."""
    before, deadline = len(load.acknowledged), time.monotonic() + 60
    while len(load.acknowledged) <= before + CALLERS:
        assert time.monotonic() < deadline, "no feedback was acknowledged"
        time.sleep(0.05)


def _stored(house: House) -> set[str]:
    with open_to_read(house.database) as store:
        return {item["card"] for item in json.loads("".join(export_feedback(store, "json")))}
