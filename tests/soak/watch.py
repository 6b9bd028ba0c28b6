"""How large each worker is, from its first minute to its last."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.soak.house import House, resident_mb
from tests.soak.verdict import slope

LIVES = 480.0  # seconds of samples after warm-up from which a slope is worth judging
MOST_MB_AN_HOUR = 12.0


@dataclass(frozen=True, slots=True)
class Grown:
    """One worker: what it weighed first and last, MB an hour after warm-up, and over how many seconds."""

    pid: int
    first: float
    last: float
    an_hour: float
    seconds: float
    course: tuple[float, ...] = ()  # MB at each tenth of its life

    @property
    def is_judged(self) -> bool:
        return self.seconds >= LIVES

    @property
    def ok(self) -> bool:
        return not self.is_judged or self.an_hour <= MOST_MB_AN_HOUR


@dataclass(slots=True)
class Watch:
    """Samples every worker of the house until stopped, and makes the EHR forget what it was asked."""

    house: House
    every: float = 5.0
    samples: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    queries: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        begun = time.monotonic()
        while not self._stop.wait(self.every):
            for pid in (pid for r in self.house.replicas for pid in r.workers()):
                if size := resident_mb(pid):
                    self.samples.setdefault(pid, []).append((time.monotonic() - begun, size))

    def stop(self) -> None:
        self._stop.set()

    def grown(self, warm_up: float) -> Iterable[Grown]:
        """Samples of a worker's first ``warm_up`` seconds are left out."""
        for pid, points in self.samples.items():
            warm = [(at, size) for at, size in points if at >= points[0][0] + warm_up]
            lasted = warm[-1][0] - warm[0][0] if warm else 0.0
            rise = 3_600 * slope(warm)
            course = tuple(points[len(points) * tenth // 10][1] for tenth in range(10))
            yield Grown(pid, points[0][1], points[-1][1], rise, lasted, course)
