"""A replay finds what was planted, whatever the style of record, and says the same however it is run."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
from werkzeug.serving import WSGIRequestHandler, make_server

from cds_service import settings
from cds_service.app import create_app
from cds_service.retrospective import output, report, run
from cds_service.retrospective.chart import SERVICE, Session, hook_call, read_chart
from cds_service.retrospective.judging import INTERACTION, Court, judge_chart
from cds_service.retrospective.run import Plan, Stopped, finish, replay
from tests.burden.patients import Style as Told
from tests.burden.patients import starter_call, starters
from tests.retrospective.generate import FIRST, LAST, Kind, Planted, Style, truths, write

PATIENTS = int(os.environ.get("REPLAY_PATIENTS", "400"))
CALLS = int(os.environ.get("REPLAY_CALLS", "120"))
SEED = 11
Row = dict[str, Any]


def plan(export: Path, out: Path, **changes: Any) -> Plan:
    return replace(Plan(export, out, FIRST, LAST, with_ids=True, partitions=6), **changes)


def by_order(rows: list[Row]) -> dict[str, Row]:
    return {order: row for row in rows for order in row["orders"]}


def indicators(row: Row) -> list[str]:
    return row["verdicts"]["as it is"].get(INTERACTION, ["none", "none"])[:2]


@pytest.fixture(scope="module", params=list(Style))
def replayed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Planted], list[Row], Style]:
    folder = tmp_path_factory.mktemp("export")
    planted = write(
        folder / "in", SEED, PATIENTS, request.param, zipped=request.param is Style.MESSY
    )
    return planted, replay(plan(folder / "in", folder / "out")), request.param


def test_every_planted_danger_is_found(replayed: tuple[list[Planted], list[Row], Style]) -> None:
    planted, rows, _ = replayed
    said = by_order(rows)
    dangers = [p for p in planted if p.dangerous]
    missed = {p.order: said[f"MedicationRequest/{p.order}"]["silent"] for p in dangers
              if "critical" not in indicators(said[f"MedicationRequest/{p.order}"])}  # fmt: skip
    assert len({p.kind for p in dangers}) >= 4
    assert {} == missed


def test_no_planted_nuisance_is_called_critical(
    replayed: tuple[list[Planted], list[Row], Style],
) -> None:
    """An overwritten status may make a finished course look current: that is the upper bound, never the lower."""
    planted, rows, style = replayed
    said = by_order(rows)
    nuisances = [p for p in planted if not p.dangerous]
    assert nuisances
    for each in nuisances:
        least, most = indicators(said[f"MedicationRequest/{each.order}"])
        assert least == "none", each
        if style is not Style.OVERWRITTEN or each.kind is not Kind.LONG_OVER:
            assert most == "none", each


def test_an_overwritten_status_gives_two_bounds(tmp_path: Path) -> None:
    planted = write(tmp_path / "in", SEED, 1200, Style.OVERWRITTEN)
    said = by_order(replay(plan(tmp_path / "in", tmp_path / "out")))
    found = [
        indicators(said[f"MedicationRequest/{p.order}"])
        for p in planted
        if p.kind is Kind.LONG_OVER
    ]
    assert found
    assert all(least == "none" and most != "none" for least, most in found)


def test_one_process_two_and_a_run_that_was_stopped_give_the_same(tmp_path: Path) -> None:
    write(tmp_path / "in", SEED, 300, Style.CLEAN)
    alone = replay(plan(tmp_path / "in", tmp_path / "one"))
    both = replay(plan(tmp_path / "in", tmp_path / "two", processes=2))
    with pytest.raises(Stopped):
        replay(plan(tmp_path / "in", tmp_path / "slices", most=2))
    before = {
        f.name: f.stat().st_mtime_ns for f in (tmp_path / "slices/work").glob("verdicts-*.ndjson")
    }
    again = replay(plan(tmp_path / "in", tmp_path / "slices"))
    after = {
        f.name: f.stat().st_mtime_ns for f in (tmp_path / "slices/work").glob("verdicts-*.ndjson")
    }
    assert len(before) == 2
    assert before.items() <= after.items()
    assert alone == both == again
    assert len(alone) > 20


def test_a_changed_export_is_read_anew(tmp_path: Path) -> None:
    write(tmp_path / "in", SEED, 40, Style.CLEAN)
    few = replay(plan(tmp_path / "in", tmp_path / "out"))
    write(tmp_path / "in", SEED, 80, Style.CLEAN)
    assert len(replay(plan(tmp_path / "in", tmp_path / "out"))) > len(few)


class _Quiet(WSGIRequestHandler):
    """Keeps its connection, says nothing."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - as its base names it
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, list[datetime]]]:
    """(address, the one moment that its clock shows) of the service behind a socket."""
    moment = [datetime(2026, 11, 21, 12, tzinfo=UTC)]
    limits = {"requests_per_minute": 1_000_000}
    app = create_app(
        settings.load(None, data_dir=str(tmp_path), audit="off", limits=limits),
        now=lambda: moment[0],
    )
    server = make_server("127.0.0.1", 0, app, request_handler=_Quiet)
    running = Thread(target=server.serve_forever, daemon=True)
    running.start()
    yield f"http://127.0.0.1:{server.server_port}/cds-services/{SERVICE.id}", moment
    server.shutdown()
    running.join(timeout=30)


def test_verdicts_equal_those_of_the_service(
    tmp_path: Path, served: tuple[str, list[datetime]], capsys: pytest.CaptureFixture[str]
) -> None:
    """The same chart, sent whole (the medicines that matter to no rule included), gets the same cards over HTTP."""
    address, moment = served
    court = run.make_court(plan(tmp_path, tmp_path), b"key", {}, {})
    compared: Counter[str] = Counter()
    with requests.Session() as calls:
        for style in Style:
            for session, body, row in islice(_told_whole(style, court), CALLS // len(Style)):
                moment[0] = session.at.instant
                answer = calls.post(address, json=body, timeout=60)
                assert answer.status_code == 200, answer.text
                cards = {c["source"]["topic"]["code"]: c["indicator"] for c in answer.json()["cards"]}  # fmt: skip
                said = {t: v[0] for t, v in row["verdicts"]["as it is"].items() if v[0] != "none"}
                assert said == cards, (style, row)
                compared["calls"] += 1
                compared["with cards"] += bool(cards)
                compared["critical"] += "critical" in cards.values()
    with capsys.disabled():
        sys.stdout.write(f"\nthe same verdicts over HTTP: {dict(compared)}\n")
    assert compared["calls"] == CALLS // len(Style) * len(Style)
    assert compared["with cards"] > compared["calls"] // 50


def _told_whole(style: Style, court: Court) -> Iterator[tuple[Session, Row, Row]]:
    """Every session of generated patients: as the call that an EHR would have made, and as the replay's verdict."""
    for number, (resources, _) in enumerate(truths(SEED, 1_000_000, style)):
        chart = read_chart(f"p{number}", resources, court.engine.zone, court.engine.terminology, FIRST, LAST)  # fmt: skip
        for session, row in zip(chart.sessions, judge_chart(chart, court), strict=True):
            everything = [r for r in resources if r["resourceType"].startswith("Medication")
                          and r not in session.orders and _known(r, session.at.instant)]  # fmt: skip
            kept = {t.exported["id"]: t.exported for t in chart.at(session)}
            body = hook_call(chart, session, [kept.get(r["id"], r) for r in everything])
            yield session, body, row


def _known(resource: Row, at: datetime) -> bool:
    day = (
        resource.get("authoredOn")
        or resource.get("effectiveDateTime")
        or resource.get("occurenceDateTime")
    )[:19]
    then = datetime.fromisoformat(day)
    if len(day) == 10:
        return then.date() <= at.date()
    return then.replace(tzinfo=UTC) < at


def test_nothing_identifying_is_in_the_output(tmp_path: Path) -> None:
    write(tmp_path / "in", SEED, 120, Style.CLEAN)
    wanted = plan(tmp_path / "in", tmp_path / "out", with_ids=False)
    rows = replay(wanted)
    output.write_verdicts(rows, wanted.out)
    report.write(rows, wanted.out, 5)
    finish(wanted)
    assert not wanted.work.exists()
    written = b"".join(
        f.read_bytes() for f in wanted.out.iterdir() if f.suffix != ".parquet"
    ).decode()
    for row in by_order(replay(plan(tmp_path / "in", tmp_path / "ids"))).values():
        assert f'"{row["patient"]}"' not in written
        assert row["day"] not in written or row["day"] == row["week"]
        assert all(order not in written for order in row["orders"])


def test_the_report_adds_up(tmp_path: Path) -> None:
    """Recounted from the CSV by other code."""
    write(tmp_path / "in", SEED, 600, Style.OVERWRITTEN)
    rows = replay(plan(tmp_path / "in", tmp_path / "out"))
    output.write_verdicts(rows, tmp_path / "out")
    found = report.write(rows, tmp_path / "out", 1)
    lines = (tmp_path / "out/verdicts.json").read_text(encoding="utf-8").splitlines()
    said = [json.loads(line) for line in lines]
    for row in found["firing"]:
        both = sorted(sum(s["topic"] == row["topic"] and s[name] == row["indicator"] for s in said)
                      for name in ("as_exported", "if_still_active"))  # fmt: skip
        assert both == row["cards"], row
    for row in found["cross"]:
        for indicator in ("critical", "warning", "info"):
            both = sorted(sum((s["topic"], s["department"], s[name]) == (row["topic"], row["department"], indicator)
                              for s in said) for name in ("as_exported", "if_still_active"))  # fmt: skip
            assert both == row[indicator], row
    met = {(s["topic"], s["department"]) for s in said if s["topic"]}
    assert met == {(r["topic"], r["department"]) for r in found["cross"]}
    assert found["orders"] == sum(line["orders"] for line in found["by"]["month"])
    assert found["sessions"] == len({s["session"] for s in said})
    assert "Limits of these numbers" in (tmp_path / "out/report.html").read_text(encoding="utf-8")


def test_small_cells_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "in", SEED, 60, Style.CLEAN)
    rows = replay(plan(tmp_path / "in", tmp_path / "out"))
    found = report.write(rows, tmp_path / "out", 5)
    shown = [n for row in found["firing"] if row["cards"] for n in row["cards"]]
    assert all(n == 0 or n >= 5 for n in shown)
    assert any(row["cards"] is None for row in found["firing"])


def test_lines_that_are_no_json_and_copies_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "in", SEED, 30, Style.CLEAN)
    orders = tmp_path / "in/MedicationRequest.ndjson"
    text = orders.read_text(encoding="utf-8")
    orders.write_text(text + text.splitlines()[0] + "\nnot json\n", encoding="utf-8")
    replay(plan(tmp_path / "in", tmp_path / "out"))
    counted = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))["counted"]
    assert (1, 1) == (counted["duplicates"], counted["unreadable_lines"])
    assert counted["orders"] == len(text.splitlines())


def test_recorded_calls_are_replayed_at_their_moment(tmp_path: Path) -> None:
    """The opioid of the chart is current on the day of the call, not today."""
    today = datetime(2025, 3, 1, tzinfo=UTC).date()
    taking = next(s for s in starters(7) if s.taking and s.written > 3)
    (tmp_path / "in").mkdir()
    call = starter_call(taking, Told.TIDY, today)
    (tmp_path / "in/a.json").write_text(json.dumps(call), encoding="utf-8")
    (tmp_path / "in/b.json").write_text(
        json.dumps({"received": "2026-03-01T10:00:00Z", "request": call}), encoding="utf-8"
    )
    (tmp_path / "in/c.json").write_text("{", encoding="utf-8")
    then, later = run.replay_recorded(plan(tmp_path / "in", tmp_path / "out"))
    assert indicators(then) == ["critical", "critical"]
    assert indicators(later) != ["critical", "critical"]
    report.write([then, later], tmp_path / "out", 1)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))
    assert {"no JSON": 1} == manifest["left_out"]
