"""Try one fault: is every answer true and in time, and can the fault be seen?"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.faults.of_world import Full
from tests.faults.site import BUDGET_SECONDS, DRAFTS, Answer, Site, site
from tests.faults.table import REFUSED, RIGHT, SILENT, UNCHECKED, Fault

GAP_TOPIC = "naltrexone-data-gap"
LOOK_SECONDS = 12.0


@dataclass(frozen=True, slots=True)
class Report:
    """What a fault led to. ``wrong`` are answers that are not true, ``late`` those beyond the budget."""

    fault: Fault
    calls: int
    wrong: tuple[str, ...]
    late: tuple[str, ...]
    unseen: tuple[str, ...]
    slowest: float

    @property
    def ok(self) -> bool:
        return not (self.wrong or self.late or self.unseen)


@cache
def right(hook: str, drafted: str) -> tuple[tuple[str, str], ...]:
    """The cards without any fault; the same whether the list was sent or fetched."""
    with tempfile.TemporaryDirectory() as folder, site(Path(folder)) as well:
        found = well.ask(hook, drafted)
    assert found.status == 200
    return tuple(sorted(found.cards.items()))


def name_answer(answer: Answer, hook: str, drafted: str) -> str:
    """The word for an answer; "wrong" for one that is none of them."""
    if answer.status != 200:
        return REFUSED if answer.status in {401, 429, 503, 500} else "wrong"
    if GAP_TOPIC in answer.cards:
        return UNCHECKED
    if tuple(sorted(answer.cards.items())) == right(hook, drafted):
        return RIGHT
    return SILENT if not answer.cards else "wrong"


def attempt(fault: Fault, folder: Path, hooks: Sequence[str]) -> Report:
    """Every hook with every draft under this fault, then a look at log, metrics and readiness."""
    wrong, late, slowest, calls = [], [], 0.0, 0
    with fault.trial(folder) as found:
        for hook in hooks:
            for drafted in DRAFTS:
                answer = found.ask(hook, drafted)
                said = name_answer(answer, hook, drafted)
                calls, slowest = calls + 1, max(slowest, answer.seconds)
                if said != fault.answers[drafted]:
                    wrong.append(f"{hook}, {drafted}: {said} ({answer.status} {answer.cards})")
                if answer.seconds > BUDGET_SECONDS:
                    late.append(f"{hook}, {drafted}: {answer.seconds:.2f} s")
        unseen = tuple(_wait_to_see(fault, found))
    return Report(fault, calls, tuple(wrong), tuple(late), unseen, slowest)


def _wait_to_see(fault: Fault, found: Site) -> list[str]:
    """A writer may wait for the store before it knows; a fault must be seen soon, not at once."""
    time.sleep(0.2)
    deadline = time.monotonic() + LOOK_SECONDS
    while (unseen := list(_unseen(fault, found))) and time.monotonic() < deadline:
        time.sleep(0.3)
    return unseen


def _unseen(fault: Fault, found: Site) -> Iterator[str]:
    checks = found.ready()
    if fault.check and checks[fault.check] == "ok":
        yield f"readyz: {fault.check} is ok"
    if fault.metric and not _shows(fault, found):
        yield f"metric: {fault.metric}"
    if isinstance(found.stream, Full):
        found.stream.full = False
        found.ask("order-sign", "neither")
    if not {line["event"] for line in found.events() if _tells(line)} & {*fault.log}:
        yield f"log: {' or '.join(fault.log)}"


def _tells(line: dict[str, Any]) -> bool:
    """Every call has its line; it tells of a fault only where it says what was not in order."""
    said = any(line.get(name) for name in ("fault", "broken_rules", "limited", "gaps"))
    return line["event"] != "call" or said or line["status"] >= 400


def _shows(fault: Fault, found: Site) -> bool:
    """A sample above 0; for a check of readiness, one below 1."""
    named = {
        k: v
        for k, v in found.metrics().items()
        if k == fault.metric or k.startswith(fault.metric + "{")
    }
    if "check_ok" in fault.metric:
        return any(value < 1 for value in named.values())
    return any(value > 0 for value in named.values())
