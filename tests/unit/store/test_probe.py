"""Readiness asks in the background: at once, by what is known, and never "no" before anybody could know."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from cds_service.store import probe
from cds_service.store.probe import Probe
from cds_service.store.store import open_store
from tests.unit.journal.samples import url_of


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


def slow(gate: threading.Event, answer: bool = True) -> Probe:
    """A question whose answer is not there before ``gate`` is set."""
    return Probe(lambda: gate.wait(20) and answer)


@pytest.mark.parametrize("told", [True, False])
def test_until_the_first_answer_is_there_what_is_known_is_said(
    gate: threading.Event, told: bool
) -> None:
    asked = slow(gate, not told)
    asked.tell(told)
    begun = time.monotonic()
    assert told is asked.answer()
    assert time.monotonic() - begun < probe.INTERVAL
    gate.set()
    asked.close()
    assert (not told) is asked.answer()


def test_an_answer_that_stays_away_is_a_no(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "INTERVAL", 0.05)
    asked = slow(gate)
    asked.tell(True)
    assert True is asked.answer()
    time.sleep(0.2)
    assert False is asked.answer()
    gate.set()
    asked.close()


def test_a_store_that_was_opened_is_ready_in_the_busiest_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first poll after a start: its own question has no time to be answered."""
    monkeypatch.setattr(probe, "PATIENCE", 0.0)
    store = open_store(url_of(tmp_path))
    with store._turn:
        assert True is store.writable()
    store.close()


def test_a_store_that_could_not_be_opened_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = open_store(f"sqlite:///{tmp_path / 'file' / 'store.sqlite3'}")
    assert False is store.writable()
    store.close()
