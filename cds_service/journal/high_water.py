"""How much the store has held, kept in a small file apart from it: a store that lost something cannot say so itself.

The file only ever rises. Where the store turns out to hold less, or another history, the old mark becomes a ``Loss``
that readiness, ``audit verify`` and ``feedback export`` show until a person acknowledges it.
The file may lag a second behind the store, never ahead of it: so it raises no false alarm after a crash.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

KINDS = ("audit", "feedback")
SAVE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Mark:
    """The newest record of a kind: its number, its chain hash ("" for feedback), and how many there were.

    ``epoch`` counts the losses before it, so that two workers that see one loss record it once.
    """

    last: int = 0
    hash: str = ""
    count: int = 0
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Loss:
    """Records that the store held and holds no more: how many, and the last of them."""

    kind: str
    count: int
    last: int
    hash: str
    found: str  # when that was noticed, RFC 3339

    def __str__(self) -> str:
        what = "audit events" if self.kind == "audit" else "feedback items"
        end = f", the last with hash {self.hash}" if self.hash else ""
        return (
            f"{self.count} {what} up to number {self.last} are missing{end} (noticed {self.found})"
        )


@dataclass(frozen=True, slots=True)
class Marks:
    """What the file says. ``losses`` and ``alarms`` (word, sentence) wait for a person; ``acknowledged`` were seen."""

    marks: dict[str, Mark] = field(default_factory=dict)
    losses: tuple[Loss, ...] = ()
    alarms: tuple[tuple[str, str], ...] = ()
    acknowledged: tuple[Loss, ...] = ()

    def of(self, kind: str) -> Mark:
        return self.marks.get(kind, Mark())

    def with_mark(self, kind: str, mark: Mark) -> Marks:
        return replace(self, marks={**self.marks, kind: mark})


class HighWater:
    """The marks of one store, shared by the workers of one machine. Safe for threads; raises nothing.

    ``fault`` is why the file could not be read or written, "" if it could.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._saved_at = float("-inf")
        self.fault = ""
        found = self.read()
        self.was_there = found is not None
        self._known = found or Marks()

    def known(self, kind: str) -> Mark:
        """The highest mark that this worker knows of."""
        return self._known.of(kind)

    def read(self) -> Marks | None:
        """What the file says now; None if there is none or it cannot be read (then ``fault`` says why)."""
        try:
            found = _decode(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.fault = type(error).__name__
            return None
        return found

    def losses(self) -> tuple[Loss, ...]:
        """What is missing and not acknowledged, whichever worker noticed it."""
        found = self.read()
        return found.losses if found else self._known.losses

    def adopt(self) -> None:
        """Know what another worker may have written down since."""
        if (found := self.read()) is not None:
            with self._lock:
                self._known = found

    def rise(
        self, kind: str, last: int, chained: str = "", more: int = 0, *, at_once: bool = False
    ) -> None:
        """The store holds this record now, ``more`` of them since the last time; written down within a second."""
        with self._lock:
            known = self._known.of(kind)
            if last > known.last:
                self._known = self._known.with_mark(
                    kind,
                    replace(
                        known,
                        last=last,
                        hash=chained,
                        count=last if chained else known.count + more,
                    ),
                )
        self.save(at_once=at_once)

    def lose(self, kind: str, found: str, holds: Mark) -> Loss | None:
        """The store holds only ``holds`` where it held more; None where another worker has written that down."""
        self.adopt()
        with self._lock:
            known = self._known.of(kind)
            if known.epoch != holds.epoch or known.last == 0:
                return None
            lost = Loss(kind, max(known.count - holds.count, 1), known.last, known.hash, found)
            mark = replace(holds, epoch=known.epoch + 1)
            self._known = replace(
                self._known.with_mark(kind, mark), losses=(*self._known.losses, lost)
            )
        self._change(lambda marks: _merge(marks, self._known))
        return lost

    def alarms(self) -> tuple[tuple[str, str], ...]:
        """(word, sentence) of what befell the store and is not acknowledged, whichever process noticed it."""
        found = self.read()
        return found.alarms if found else ()

    def alarm(self, word: str, sentence: str) -> None:
        """Keep what befell the store until a person acknowledges it."""
        self._change(lambda marks: replace(marks, alarms=(*marks.alarms, (word, sentence))))

    def acknowledge(self) -> tuple[Loss, ...]:
        """A person has seen the losses: they stay in the file and are shown no more."""
        seen = self.losses()
        self._change(
            lambda marks: replace(
                marks, losses=(), alarms=(), acknowledged=(*marks.acknowledged, *marks.losses)
            )
        )
        self.adopt()
        return seen

    def save(self, *, at_once: bool = False) -> None:
        """Write down what is known, at most once a second unless ``at_once``."""
        now = time.monotonic()
        if not at_once and now - self._saved_at < SAVE_SECONDS:
            return
        self._saved_at = now
        known = self._known
        self._change(lambda marks: _merge(marks, known))

    def _change(self, change: Callable[[Marks], Marks]) -> None:
        try:
            with _only_writer(self._path):
                before = self.read()
                if before is None and self._path.exists():
                    self._path.replace(self._path.with_name(self._path.name + ".unreadable"))
                after = change(before or Marks())
                if after != before:
                    _write(self._path, after)
            self.fault = ""
        except OSError as error:
            self.fault = type(error).__name__


def _merge(file: Marks, known: Marks) -> Marks:
    """The higher of both for each kind; a later epoch is higher than any number."""
    marks = {
        kind: max(file.of(kind), known.of(kind), key=lambda m: (m.epoch, m.last)) for kind in KINDS
    }
    seen = {*file.losses, *file.acknowledged}
    return replace(
        file,
        marks=marks,
        losses=(*file.losses, *(loss for loss in known.losses if loss not in seen)),
    )


@contextmanager
def _only_writer(path: Path) -> Iterator[None]:
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, marks: Marks) -> None:
    """Whole under another name first, so that a full disk or a crash leaves the old file."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(asdict(marks), file, indent=1)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _decode(text: bytes) -> Marks:
    found: dict[str, Any] = json.loads(text)
    return Marks(
        {kind: Mark(**mark) for kind, mark in found["marks"].items() if kind in KINDS},
        tuple(Loss(**loss) for loss in found["losses"]),
        tuple((str(word), str(sentence)) for word, sentence in found["alarms"]),
        tuple(Loss(**loss) for loss in found["acknowledged"]),
    )
