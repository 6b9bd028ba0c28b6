"""Looks at everything that may fail beside a call, says each change once, and keeps the gauges at what it saw."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

Check = Callable[[], str]
LOOK_SECONDS = 5.0
JUMP_SECONDS = 60.0


class Health:
    """Runs the readiness checks. A check says "ok", "degraded: ...", or "not ready: ..." and why.

    ``gauges`` is run with every look, in a fence. ``now`` is the wall clock, whose jumps are said too.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        log: Any,
        now: Callable[[], datetime],
        *,
        gauges: Callable[[Mapping[str, str]], None] = lambda _found: None,
        on_jump: Callable[[], None] = lambda: None,
    ) -> None:
        self._checks = checks
        self._log = log
        self._now = now
        self._gauges = gauges
        self._on_jump = on_jump
        self._lock = threading.Lock()
        self._said: dict[str, str] = {}
        self._clocks: tuple[float, float] | None = None

    def look(self) -> dict[str, str]:
        """The word of each check, now; what has changed since the last look goes into the log."""
        found = {name: _run(check) for name, check in self._checks.items()}
        with self._lock:
            changed = [name for name, word in found.items() if word != self._said.get(name, "ok")]
            before, self._said = self._said, found
        for name in changed:
            self._log.warning(
                "readiness-changed", check=name, now=found[name], before=before.get(name, "ok")
            )
        try:
            self._look_at_clock()
            self._gauges(found)
        except Exception as error:  # noqa: BLE001 - a gauge is worth no answer
            self._log.error("gauges-broken", fault=type(error).__name__)
        return found

    def start(self, seconds: float = LOOK_SECONDS) -> None:
        """Look again and again in a thread: also where nobody asks, a change is said when it happens."""

        def keep_looking() -> None:
            while True:
                self.look()
                time.sleep(seconds)

        threading.Thread(target=keep_looking, name="health", daemon=True).start()

    def _look_at_clock(self) -> None:
        """Wall time and monotonic time go on alike, or somebody has set the clock."""
        wall, steady = self._now().timestamp(), time.monotonic()
        if self._clocks is not None:
            jump = (wall - self._clocks[0]) - (steady - self._clocks[1])
            if abs(jump) > JUMP_SECONDS:
                self._log.error("clock-jumped", seconds=round(jump))
                self._on_jump()
        self._clocks = (wall, steady)


def _run(check: Check) -> str:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a broken check is an answer, not a fault of the page
        return f"not ready: {type(error).__name__}"
