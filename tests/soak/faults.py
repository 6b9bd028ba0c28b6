"""The faults, one after the other, round and round, each with what it excuses while it is in and for how long after."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.soak.house import START_SECONDS, House, children, freeze
from tests.soak.verdict import Said, Window

UNCHECKED, REFUSED = frozenset({Said.UNCHECKED}), frozenset({Said.REFUSED})
NOTHING: frozenset[Said] = frozenset()
BREAKER = 25.0  # seconds in which every worker has asked an ill server again: 10 s of the breaker, twice, and its probe


@dataclass(frozen=True, slots=True)
class Fault:
    """``put`` puts it in and returns what takes it out again after ``seconds``."""

    name: str
    put: Callable[[House], Callable[[], None]]
    excuses: frozenset[Said] = NOTHING
    seconds: float = 4.0
    grace: float = 2.0


def _kill_worker(house: House) -> Callable[[], None]:
    before = house.replicas[0].workers()
    os.kill(before[0], signal.SIGKILL)
    return lambda: _wait(lambda: len(set(house.replicas[0].workers()) - {before[0]}) == len(before))


def _kill_replica(house: House) -> Callable[[], None]:
    house.replicas[0].kill()
    return house.replicas[0].start


def _restart_replica(house: House) -> Callable[[], None]:
    house.replicas[0].stop()
    return house.replicas[0].start


def _stop_database(house: House) -> Callable[[], None]:
    house.postgres.stop()
    return house.postgres.start


def _freeze_database(house: House) -> Callable[[], None]:
    freeze(house.postgres, frozen=True)
    return lambda: freeze(house.postgres, frozen=False)


def _fhir(fault: str, delay: float = 0.0) -> Callable[[House], Callable[[], None]]:
    def put(house: House) -> Callable[[], None]:
        house.ehr.fhir(fault, delay)
        return house.ehr.fhir

    return put


def _keys(fault: str) -> Callable[[House], Callable[[], None]]:
    """Keys are asked for only when they are old or a new one is named: the strangers of the load see to the latter."""

    def put(house: House) -> Callable[[], None]:
        house.ehr.keys(fault)
        return house.ehr.keys

    return put


def _stop_reading_logs(house: House) -> Callable[[], None]:
    for replica in house.replicas:
        replica.stand_still(still=True)
    return lambda: [r.stand_still(still=False) for r in house.replicas] and None


def faults(*, audit: str) -> tuple[Fault, ...]:
    """Where an answer has to wait for its audit event, a store that is away refuses calls; else it costs none."""
    without_store = REFUSED if audit == "required" else NOTHING
    return (
        Fault("database restarted as after a crash", _stop_database, without_store, 3, 6),
        Fault("FHIR server hangs", _fhir("hang"), UNCHECKED, 6, BREAKER),
        Fault("kill -9 of a worker", _kill_worker, REFUSED, 2, 5),
        Fault("FHIR server slow", _fhir("", 0.3), UNCHECKED, 6, BREAKER),
        Fault("replica restarted", _restart_replica, NOTHING, 2, 5),
        Fault("FHIR server answers 503", _fhir("503"), UNCHECKED, 6, BREAKER),
        Fault("log is not read", _stop_reading_logs, NOTHING, 8, 2),
        Fault("kill -9 of a replica", _kill_replica, REFUSED, 2, 5),
        Fault("database hangs", _freeze_database, without_store, 4, 6),
        Fault("key endpoint answers 503", _keys("503"), NOTHING, 8, 2),
        Fault("key endpoint hangs", _keys("hang"), NOTHING, 8, 2),
    )


@dataclass(slots=True)
class Schedule:
    """Puts one fault after the other into the house, with ``gap`` seconds of peace between them."""

    house: House
    order: tuple[Fault, ...]
    gap: float
    windows: list[Window]
    put_in: dict[str, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self, until: float) -> None:
        """Until ``until`` (monotonic seconds), and the last one is out again."""
        turn = 0
        while self.order and time.monotonic() + self.gap < until:
            time.sleep(self.gap)
            self._put(self.order[turn % len(self.order)])
            turn += 1
        time.sleep(max(0.0, until - time.monotonic()))

    def _put(self, fault: Fault) -> None:
        window = Window(fault.name, fault.excuses, time.monotonic(), fault.grace)
        self.windows.append(window)
        self.put_in[fault.name] = self.put_in.get(fault.name, 0) + 1
        take_out = fault.put(self.house)
        try:
            time.sleep(fault.seconds)
        finally:
            take_out()
            window.end = time.monotonic()


def _wait(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + START_SECONDS
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError("a worker that was killed was not replaced")
        time.sleep(0.1)


__all__ = ["Fault", "Schedule", "children", "faults"]
