"""Callers at a steady rate: each answer is judged at once, each card gets feedback until that is acknowledged."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests

from tests.bench.tokens import Signer
from tests.security.ehr import feedback_item
from tests.soak.cases import Case
from tests.soak.verdict import Said, Window, excused, judge

CALLERS = 8
TIMEOUT = 15
BUDGET = 1.5  # seconds
NOTES = 40
MEASURED_SECONDS = 8.0
WEIGHTS = {"fetched": 2, "not ours": 2, "vignettes": 6}
STRANGER = Signer("ES384", life=300)  # holds a key that nobody published


@dataclass(slots=True)
class Ledger:
    """What came back. Written by all callers under one lock, read when they have stopped."""

    said: Counter[Said] = field(default_factory=Counter)
    unexcused: Counter[Said] = field(default_factory=Counter)
    why: Counter[str] = field(default_factory=Counter)  # of refusals: status or error
    notes: list[str] = field(default_factory=list)  # the first unexcused answers
    seconds: list[float] = field(default_factory=list)
    late_unexcused: int = 0  # beyond the budget while no fault was in
    answered: set[str] = field(
        default_factory=set
    )  # request ids of 200s, all of which an audit may have
    sent: set[str] = field(default_factory=set)  # cards that feedback was tried for
    acknowledged: set[str] = field(default_factory=set)
    waiting: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # path, item
    refused_feedback: int = 0
    strangers: int = 0
    admitted_strangers: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Load:
    """``rate`` calls a second by CALLERS threads until stopped; 0 = as fast as they are answered."""

    def __init__(
        self, url: str, cases: Sequence[Case], signer: Signer, windows: list[Window], rate: float
    ) -> None:
        self.ledger = Ledger()
        self._url, self._signer, self._windows, self._rate = url, signer, windows, rate
        kinds = {"fetched": [], "not ours": [], "vignettes": []}  # type: dict[str, list[Case]]
        for case in cases:
            kind = next(
                (k for k in ("fetched", "not ours") if case.name.startswith(k)), "vignettes"
            )
            kinds[kind].append(case)
        self._kinds = {kind: some for kind, some in kinds.items() if some}
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(CALLERS)
        ]

    def start(self) -> None:
        self.begun = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> float:
        """Seconds that the load lasted; callers have finished what they had begun."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return time.monotonic() - self.begun

    def finish_feedback(self, seconds: float) -> None:
        """An EHR asks again until it is told; whatever waits is sent until it is acknowledged or time is up."""
        end = time.monotonic() + seconds
        with requests.Session() as session:
            while self.ledger.waiting and time.monotonic() < end:
                if not self._send_waiting(session):
                    time.sleep(0.3)

    def _run(self, number: int) -> None:
        chance = random.Random(number)
        weights = [WEIGHTS[kind] for kind in self._kinds]
        due = time.monotonic() + number / self._rate if self._rate else 0.0
        with requests.Session() as session:
            while not self._stop.is_set():
                if self._rate:
                    self._stop.wait(max(0.0, due - time.monotonic()))
                    due = max(due + CALLERS / self._rate, time.monotonic() - 1)
                kind = chance.choices([*self._kinds], weights)[0]
                self._call(session, chance.choice(self._kinds[kind]), chance)
                if chance.random() < 0.7:
                    self._send_waiting(session)
                if chance.random() < 0.01:
                    self._be_a_stranger(session, chance.choice(self._kinds[kind]))

    def _post(
        self, session: requests.Session, path: str, body: Any, signer: Signer
    ) -> requests.Response | str:
        try:
            headers = {"Authorization": f"Bearer {signer.token(path)}"}
            return session.post(self._url + path, json=body, headers=headers, timeout=TIMEOUT)
        except requests.RequestException as error:
            return type(error).__name__

    def _call(self, session: requests.Session, case: Case, chance: random.Random) -> None:
        begun = time.monotonic()
        got = self._post(session, case.path, case.fresh(), self._signer)
        ended = time.monotonic()
        cards = got.json()["cards"] if not isinstance(got, str) and got.status_code == 200 else []
        status = got if isinstance(got, str) else str(got.status_code)
        said = judge(case.due, 0 if isinstance(got, str) else got.status_code, cards)
        windows = [*self._windows]
        excuse = excused(said, begun, ended, windows)
        if said is Said.UNCHECKED and not case.fetched:
            excuse = False  # the list was in the body
        calm = not any(window.covers(begun, ended) for window in windows)
        book = self.ledger
        with book.lock:
            book.said[said] += 1
            book.seconds.append(ended - begun)
            book.late_unexcused += calm and ended - begun > BUDGET
            if said is Said.REFUSED:
                book.why[status] += 1
            elif not isinstance(got, str):
                book.answered.add(got.headers.get("X-Request-Id", ""))
            if not excuse:
                book.unexcused[said] += 1
                if len(book.notes) < NOTES:
                    book.notes.append(f"{begun - self.begun:.1f} s: {case.name}: {said} ({status})")
            if cards and chance.random() < 0.4:
                card = chance.choice(cards)["uuid"]
                at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                item = feedback_item(card=card, outcomeTimestamp=at)
                book.waiting.append((f"{case.path}/feedback", item))

    def _send_waiting(self, session: requests.Session) -> bool:
        """One item; one that was not acknowledged waits on, as it may or may not have been kept."""
        book = self.ledger
        with book.lock:
            if not book.waiting:
                return True
            path, item = book.waiting.pop(0)
            book.sent.add(item["card"])
        got = self._post(session, path, {"feedback": [item]}, self._signer)
        done = not isinstance(got, str) and got.status_code == 200
        with book.lock:
            if done:
                book.acknowledged.add(item["card"])
            else:
                book.refused_feedback += 1
                book.waiting.append((path, item))
        return done

    def _be_a_stranger(self, session: requests.Session, case: Case) -> None:
        got = self._post(session, case.path, case.fresh(), STRANGER)
        with self.ledger.lock:
            self.ledger.strangers += 1
            self.ledger.admitted_strangers += not isinstance(got, str) and got.status_code == 200


def capacity(url: str, cases: Sequence[Case], signer: Signer) -> tuple[float, Ledger]:
    """Calls a second that this machine gives now, sender and all, as fast as they are answered."""
    load = Load(url, cases, signer, [], 0)
    load.start()
    time.sleep(MEASURED_SECONDS)
    return load.ledger.said.total() / load.stop(), load.ledger
