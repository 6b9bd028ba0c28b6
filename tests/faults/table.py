"""The faults, each with what is then true of an answer and where it can be seen. ``python -m tests.faults`` tries all.

An answer is RIGHT (the same cards as without the fault), UNCHECKED (the could-not-check card), SILENT (no card where
there should be one: right for no fault), or REFUSED (a status that says so, where the site asked for that or the caller
is not known).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.site import Site

RIGHT, UNCHECKED, SILENT, REFUSED = "right", "could not check", "silent, recorded", "refused"
ALL_RIGHT = {"naltrexone": RIGHT, "opioid": RIGHT, "neither": RIGHT}
ALL_REFUSED = {"naltrexone": REFUSED, "opioid": REFUSED, "neither": REFUSED}
NO_LIST = {"naltrexone": UNCHECKED, "opioid": UNCHECKED, "neither": RIGHT}
BROKE = {"naltrexone": UNCHECKED, "opioid": UNCHECKED, "neither": REFUSED}
P = "naltrexone_cds_"

Trial = Callable[[Path], AbstractContextManager[Site]]


@dataclass(frozen=True, slots=True)
class Fault:
    """``trial`` is a service with the fault in it. ``log`` are events of which one must come; ``metric`` a sample
    that must be above 0; ``check`` a word of /readyz that must not be ok, or "" with ``why`` it is no matter of readiness.
    """

    name: str
    group: str
    trial: Trial
    log: tuple[str, ...]
    metric: str
    check: str
    answers: Mapping[str, str] = field(default_factory=lambda: ALL_RIGHT)
    why: str = ""
    needs: str = ""  # "postgres": is left out where there is none


FAULTS: dict[str, Fault] = {}


def fault(group: str, *, log: str, metric: str, check: str, **more: Any) -> Callable[[Any], Any]:
    """Register a generator of a Site as a fault of its own name; ``-`` parts its words."""

    def register(make: Callable[[Path], Iterator[Site]]) -> Any:
        name = make.__name__.replace("_", "-")
        assert name not in FAULTS
        assert check or more.get("why"), f"{name}: say why readiness does not show it"
        assert log and metric, f"{name}: every fault is seen in the log and in a metric"
        FAULTS[name] = Fault(
            name,
            group,
            contextmanager(make),
            tuple(log.split()),
            P + metric if metric else "",
            check,
            **more,
        )
        return make

    return register
