"""A full, read-only or damaged store costs no card; feedback is refused, never lost, and taken again by itself (L11)."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import requests

from tests.conformance.calls import T1, conflict, topics
from tests.conftest import Running
from tests.reliability.server import serving
from tests.reliability.test_CL11_full_disk import small_disk
from tests.security.ehr import exported, feedback_item

__all__ = ["small_disk"]

SIGN = "/cds-services/naltrexone-order-sign"


def keep(service: Running, *items: Any) -> requests.Response:
    return service.post(f"{SIGN}/feedback", json={"feedback": items or [feedback_item()]})


def indicator(service: Running) -> str:
    answer = service.post(SIGN, json=conflict())
    assert 200 == answer.status_code
    return topics(answer.json()["cards"])[T1]


def keep_within(service: Running, seconds: float) -> float:
    """How long it takes until feedback is taken again."""
    begun = time.monotonic()
    while not keep(service).ok:
        assert time.monotonic() - begun < seconds, "feedback was not taken again in time"
        time.sleep(0.2)
    return time.monotonic() - begun


def fill(service: Running) -> tuple[list[str], requests.Response]:
    """Feedback until it is refused: the cards that were acknowledged, and the refusal."""
    taken: list[str] = []
    for _ in range(200):
        items = [feedback_item(overrideReason={"userComment": "x" * 3_900}) for _ in range(15)]
        answer = keep(service, *items)
        if not answer.ok:
            return taken, answer
        taken += [item["card"] for item in items]
    raise AssertionError("the disk never became full")


def test_CL11_a_full_disk_refuses_feedback_answers_hooks_and_recovers_within_5_s(
    small_disk: Path,
) -> None:
    with serving(small_disk) as service:
        taken, refused = fill(service)
        assert (503, True, "critical") == (
            refused.status_code,
            int(refused.headers["Retry-After"]) > 0,
            indicator(service),
        )
        time.sleep(1.1)
        ready = service.get("/readyz")
        assert (200, "degraded") == (ready.status_code, ready.json()["status"])
        subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
        assert keep_within(service, 5) < 5
        assert set(taken) <= {item["card"] for item in exported(small_disk)}
    assert len(taken) > 15


def test_CL11_a_start_on_a_full_disk_answers_hooks_and_takes_feedback_once_there_is_room(
    small_disk: Path,
) -> None:
    (small_disk / "ballast").write_bytes(b"x" * (1 << 20))
    with serving(small_disk) as service:
        assert (503, "critical") == (keep(service).status_code, indicator(service))
        (small_disk / "ballast").unlink()
        assert keep_within(service, 5) < 5


def test_CL11_a_read_only_disk_answers_hooks_and_takes_feedback_once_it_can_be_written(
    small_disk: Path,
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with serving(small_disk) as service:
        assert (503, "critical") == (keep(service).status_code, indicator(service))
        assert (200, "degraded") == (
            (ready := service.get("/readyz")).status_code,
            ready.json()["status"],
        )
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
        assert keep_within(service, 5) < 5


def test_CL11_a_damaged_store_is_set_aside_with_an_alarm_and_a_new_one_is_used(
    tmp_path: Path,
) -> None:
    with serving(tmp_path) as service:
        assert keep(service).ok
    file = tmp_path / "store.sqlite3"
    with closing(sqlite3.connect(file)) as connection:  # or the log would mend the file
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.write_bytes(file.read_bytes()[:4_096] + b"noise" * 20_000)
    with (tmp_path / "log").open("wb") as log, serving(tmp_path, stderr=log) as service:
        assert (True, "critical", 1) == (
            keep(service).ok,
            indicator(service),
            len(exported(tmp_path)),
        )
        aside = [found.name for found in tmp_path.glob("store.sqlite3.corrupt-*")]
        assert len(aside) >= 1
    assert "store-alarm" in (tmp_path / "log").read_text()
