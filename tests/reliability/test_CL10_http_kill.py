"""Feedback that was answered with a 2xx is in the store, once and whole, whenever a worker or all of them die (L10).

Over real HTTP, with eight writers; power loss proper needs a tool that drops blocks under the file system.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import threading
import time
import uuid
from contextlib import closing
from pathlib import Path

import pytest
import requests

from cds_service.journal.audit_chain import verify
from cds_service.journal.export import export_feedback
from cds_service.store.read_only import open_to_read
from tests.postgres import postgres_server, postgres_url
from tests.reliability.server import kill_all, start
from tests.security.ehr import feedback_item, wait_until_alive, worker_pids
from tests.unit.journal.samples import store_url

__all__ = ["postgres_server", "postgres_url", "store_url"]

WRITERS = 8
PATH = "/cds-services/naltrexone-order-sign/feedback"


class Writers:
    """Eight clients that send feedback until told to stop; ``acknowledged`` are the cards that got a 2xx."""

    def __init__(self, url: str) -> None:
        self.acknowledged: list[str] = []
        self.first = threading.Event()
        self._url = url
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write) for _ in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[str]:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.acknowledged

    def _write(self) -> None:
        with requests.Session() as session:
            while not self._stop.is_set():
                cards = [str(uuid.uuid4()) for _ in range(random.randint(1, 3))]
                items = [
                    feedback_item(card=card, overrideReason={"userComment": card * 30})
                    for card in cards
                ]
                try:
                    answer = session.post(self._url + PATH, json={"feedback": items}, timeout=10)
                except requests.RequestException:
                    time.sleep(0.01)
                    continue
                if answer.ok:
                    self.acknowledged += cards
                    self.first.set()


def run_round(data: Path, url: str, chance: random.Random) -> list[str]:
    """Start, write, kill one worker or everything at a random moment; the cards that were acknowledged."""
    running = start(data, NALTREXONE_CDS_DATABASE_URL=url, NALTREXONE_CDS_WORKERS="2")
    try:
        wait_until_alive(running)
        writers = Writers(running.url)
        assert writers.first.wait(20), "nothing was ever acknowledged"
        time.sleep(chance.uniform(0, 0.3))
        if chance.random() < 0.5:
            os.kill(chance.choice(worker_pids(running)), signal.SIGKILL)
            time.sleep(chance.uniform(0, 0.3))
    finally:
        kill_all(running)
    return writers.stop()


def kill_again_and_again(data: Path, url: str, rounds: int) -> dict[str, int]:
    chance, acknowledged = random.Random(rounds), set()
    for _ in range(rounds):
        acknowledged |= set(run_round(data, url, chance))
    with open_to_read(url) as store:
        stored = json.loads("".join(export_feedback(store, "json")))
        faults = len(verify(store).faults)
    cards = [item["card"] for item in stored]
    whole = sum(item["overrideReason"]["userComment"] == item["card"] * 30 for item in stored)
    return {
        "lost": len(acknowledged - set(cards)),
        "doubled": len(cards) - len(set(cards)),
        "torn": len(cards) - whole,
        "chain faults": faults,
        "damaged": damage(url),
        "acknowledged": len(acknowledged),
    }


def damage(url: str) -> int:
    if not url.startswith("sqlite"):
        return 0
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return int(connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)])


NOTHING = {"lost": 0, "doubled": 0, "torn": 0, "chain faults": 0, "damaged": 0}


def test_CL10_a_few_kills_under_eight_writers_lose_nothing_that_was_acknowledged(
    tmp_path: Path, store_url: str
) -> None:
    found = kill_again_and_again(tmp_path, store_url, int(os.environ.get("KILL_ROUNDS", "3")))
    assert found.pop("acknowledged") >= 3
    assert NOTHING == found


@pytest.mark.slow
def test_CL10_two_hundred_kills_under_eight_writers_lose_nothing(
    tmp_path: Path, store_url: str
) -> None:
    found = kill_again_and_again(
        tmp_path, store_url, int(os.environ.get("KILL_ROUNDS_SLOW", "200"))
    )
    assert found.pop("acknowledged") >= 200
    assert NOTHING == found
