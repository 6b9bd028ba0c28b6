"""What the soak found: the store is looked at when nothing writes to it any more, then all of it is printed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import click
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from cds_service.journal.export import export_audit, export_feedback
from cds_service.store.read_only import open_to_read
from tests.conftest import ROOT
from tests.soak.house import House
from tests.soak.load import BUDGET, Ledger
from tests.soak.verdict import Kept, Said, compare_feedback
from tests.soak.watch import Grown

BREAKS = {
    "feedback": "DELETE FROM feedback WHERE id = (SELECT min(id) FROM feedback)",
    "audit": "UPDATE audit_event SET body = replace(body, '200', '201') WHERE seq = 5",
}


@dataclass(frozen=True, slots=True)
class Findings:
    """All figures of one run."""

    ledger: Ledger
    cases: int
    rate: float
    seconds: float
    audit: str
    faults: Mapping[str, int]
    memory: Sequence[Grown]
    full: float = 0.0
    kept: Kept | None = None
    stored: int = 0
    events: int = 0
    unaudited: int = 0  # answers without an audit event
    chain: tuple[str, ...] = ("not verified",)

    @property
    def complaints(self) -> list[str]:
        book = self.ledger
        found = [f"{n} answers {said} that no fault excuses" for said, n in book.unexcused.items()]
        found += (
            [f"{book.admitted_strangers} strangers admitted"] if book.admitted_strangers else []
        )
        found += [f"{len(book.waiting)} items of feedback never taken"] if book.waiting else []
        if self.kept is None or not self.kept.ok:
            found.append(f"feedback: {self.kept}")
        if not book.acknowledged or not book.said[Said.RIGHT]:
            found.append("nothing was tried")
        if self.audit == "required" and self.unaudited:
            found.append(f"{self.unaudited} answers without their audit event")
        found += self.chain
        found += [f"memory grows: {each}" for each in self.memory if not each.ok]
        return found

    @property
    def ok(self) -> bool:
        return not self.complaints


def look(house: House, findings: Findings, sabotage: str) -> Findings:
    """The same findings with what the store says; both replicas have stopped."""
    if sabotage in BREAKS:
        engine = create_engine(make_url(house.database).set(drivername="postgresql+psycopg"))
        with engine.begin() as connection:
            connection.execute(text(BREAKS[sabotage]))
        engine.dispose()
    with open_to_read(house.database) as store:
        cards = [item["card"] for item in json.loads("".join(export_feedback(store, "json")))]
        events = json.loads("".join(export_audit(store, "json")))
    book = findings.ledger
    return replace(
        findings,
        kept=compare_feedback(book.sent, book.acknowledged, cards),
        stored=len(cards),
        events=len(events),
        unaudited=len(book.answered - {e["request_id"] for e in events if e["kind"] == "call"}),
        chain=tuple(line for replica in house.replicas for line in _verify(house, replica.folder)),
    )


def _verify(house: House, folder: object) -> list[str]:
    """The shipped command, with what this replica remembers of the store."""
    command = [sys.executable, "-m", "cds_service", "audit", "verify"]
    done = subprocess.run(
        [*command, "--settings", str(house.settings), "--data-dir", str(folder)],
        cwd=ROOT,
        env={"NALTREXONE_CDS_DATABASE_URL": house.database},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return [] if done.returncode == 0 else [f"audit verify: {done.stdout} {done.stderr}".strip()]


def show(found: Findings) -> None:
    for line in _lines(found):
        click.echo(line)


def _lines(found: Findings) -> Iterator[str]:
    book, sizes = found.ledger, sorted(found.ledger.seconds)
    calls, kept = book.said.total(), found.kept or Kept(frozenset(), frozenset(), frozenset())
    yield (
        f"{found.seconds / 60:.1f} min, {calls} calls: {calls / found.seconds:.1f}/s of "
        f"{found.rate:.1f}/s wanted"
        + (f"; {found.full:.0f}/s is what this machine gave before" if found.full else "")
    )
    yield (
        f"{found.cases} different bodies, audit {found.audit}, {sum(found.faults.values())} faults:"
    )
    yield from (f"  {times:>3} x {name}" for name, times in found.faults.items())
    for said in Said:
        yield f"answers {said}: {book.said[said]}, not excused: {book.unexcused[said]}"
    yield f"refused by: {dict(book.why)}"
    p50, p99 = (1e3 * sizes[int(len(sizes) * share)] for share in (0.5, 0.99))
    yield (
        f"ms: p50 {p50:.0f}, p99 {p99:.0f}, worst {1e3 * sizes[-1]:.0f}; above {BUDGET} s: "
        f"{sum(s > BUDGET for s in sizes)}, of these while no fault was in: {book.late_unexcused}"
    )
    yield (
        f"feedback acknowledged: {len(book.acknowledged)}, in the store: {found.stored}; "
        f"lost {len(kept.lost)}, double {len(kept.double)}, strange {len(kept.strange)}; "
        f"refused and sent again: {book.refused_feedback}"
    )
    yield (
        f"audit: {found.events} events, {found.unaudited} answers without one; "
        f"chain {'BROKEN' if found.chain else 'ok'}"
    )
    yield f"unknown callers refused: {book.strangers - book.admitted_strangers} of {book.strangers}"
    judged = [each for each in found.memory if each.is_judged]
    for each in judged or found.memory:
        yield (
            f"worker {each.pid}: {each.first:.0f} -> {each.last:.0f} MB, {each.an_hour:+.1f} MB/h "
            f"over {each.seconds / 60:.1f} min{'' if each.is_judged else ' (too short to judge)'}; "
            + " ".join(f"{size:.0f}" for size in each.course)
        )
    yield from book.notes
    yield from (f"FAILED: {line}" for line in found.complaints)
