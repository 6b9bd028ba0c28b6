"""What happens to the store and its records is said once, in log, readiness and metric, and is not forgotten."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import text

from cds_service import settings as configuration
from cds_service.__main__ import main
from cds_service.app import create_app
from cds_service.journal import audit_chain
from cds_service.journal.high_water import HighWater, Mark
from cds_service.journal.telemetry import LogSink, open_log
from cds_service.store.conditions import Condition, Witness, name_condition
from cds_service.store.schema import audit_event
from cds_service.store.store import Store, open_store
from tests.conformance.calls import conflict
from tests.conftest import AS_OF
from tests.reliability.test_CL12_http import locked
from tests.unit.journal.samples import item, keep, url_of

SIGN = "/cds-services/naltrexone-order-sign"


class Service:
    """The application in this process, with what it says."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        made = configuration.load(None, {}, data_dir=str(folder), metrics="on", **settings)
        self.stream = io.StringIO()
        with mock.patch(
            "cds_service.app.open_log", lambda level: open_log(level, LogSink(self.stream))
        ):
            self.app: Flask = create_app(made, now=lambda: AS_OF)
        self.parts = self.app.extensions["naltrexone_cds"]
        self.client = self.app.test_client()

    def call(self) -> int:
        return int(self.client.post(SIGN, json=conflict()).status_code)

    def flush(self) -> None:
        assert self.parts.audit.flush(10)
        self.parts.water.save(at_once=True)

    def close(self) -> None:
        self.parts.audit.close(10)
        self.parts.store.close()

    def ready(self) -> dict[str, str]:
        return dict(self.client.get("/readyz").get_json()["checks"])

    def said(self, event: str) -> list[dict[str, Any]]:
        time.sleep(0.2)  # lines go out a few times a second
        return [
            line
            for line in map(json.loads, self.stream.getvalue().splitlines())
            if line["event"] == event
        ]

    def metric(self, sample: str) -> float:
        lines = self.client.get("/metrics").get_data(as_text=True).splitlines()
        return next(
            (float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample + " ")), 0.0
        )


def chain(store: Store) -> list[dict[str, Any]]:
    with store.read() as connection:
        return [json.loads(row.body) for row in audit_chain.stream(connection)]


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, list(words), catch_exceptions=False)
    return done.exit_code, done.output


@pytest.fixture
def served(tmp_path: Path) -> Service:
    """A service that has answered three calls and taken one feedback item."""
    service = Service(tmp_path)
    assert [200] * 3 == [service.call() for _ in range(3)]
    service.flush()
    service.parts.feedback.record([item()], issuer="i", now=AS_OF)
    return service


def remove(folder: Path) -> None:
    for file in folder.glob("store.sqlite3*"):
        if not file.name.endswith(".lock"):
            file.unlink()


def damage(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "store.sqlite3")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file = folder / "store.sqlite3"
    file.write_bytes(file.read_bytes()[:4096] + b"\xab" * (file.stat().st_size - 4096))


def put_an_older_copy(folder: Path) -> None:
    """As a new file: the number of one that was removed first may be given out again."""
    shutil.copyfile(folder / "older" / "store.sqlite3", folder / "older" / "copy")
    remove(folder)
    (folder / "older" / "copy").replace(folder / "store.sqlite3")


def test_CT14_the_first_chain_of_a_service_says_that_there_was_none_before(served: Service) -> None:
    assert ["none", None, None] == [body.get("predecessor") for body in chain(served.parts.store)]
    served.close()


@pytest.mark.parametrize(("harm", "alarm"), [(remove, "removed"), (damage, "damaged")])
def test_CL11_a_store_lost_under_a_running_service_is_told_in_log_readiness_metric_and_chain(
    served: Service, tmp_path: Path, harm: Any, alarm: str
) -> None:
    last = chain(served.parts.store)[-1]
    with served.parts.store.read() as connection:
        chained = connection.execute(text("SELECT hash FROM audit_head")).scalar()
    served.parts.store.engine.dispose()
    harm(tmp_path)
    assert [200] * 4 == [served.call() for _ in range(4)]
    served.flush()
    first = chain(served.parts.store)[0]
    assert {"seq": last["seq"], "hash": chained} == first["predecessor"]
    assert [alarm] == [line["alarm"] for line in served.said("store-alarm")]
    assert [("audit", 3)] == [
        (line["kind"], line["count"]) for line in served.said("records-missing")
    ]
    assert "degraded: records are missing (3 of audit)" == served.ready()["records"]
    assert (1, 3) == (
        served.metric(f'naltrexone_cds_store_alarms_total{{alarm="{alarm}"}}'),
        served.metric('naltrexone_cds_missing_records{kind="audit"}'),
    )
    served.parts.feedback.record([item(), item()], issuer="i", now=AS_OF)
    assert "degraded: records are missing (3 of audit, 1 of feedback)" == served.ready()["records"]
    served.close()


def test_CT14_a_store_removed_between_two_starts_is_told_by_the_second(
    served: Service, tmp_path: Path
) -> None:
    served.close()
    remove(tmp_path)
    again = Service(tmp_path)
    assert "degraded: records are missing (3 of audit, 1 of feedback)" == again.ready()["records"]
    again.call()
    again.flush()
    assert "missing" == chain(again.parts.store)[0]["predecessor"]
    again.close()


def test_CT14_a_store_put_back_to_an_older_copy_is_told_and_the_chain_says_where(
    served: Service, tmp_path: Path
) -> None:
    """The same chain goes on from an earlier end: its next event names the end that was lost."""
    served.parts.store.engine.dispose()
    (tmp_path / "older").mkdir()
    run("store", "backup", str(tmp_path / "older" / "store.sqlite3"), "--data-dir", str(tmp_path))
    served.call()
    served.flush()
    lost = served.parts.water.known("audit")
    served.parts.store.engine.dispose()
    put_an_older_copy(tmp_path)
    served.call()
    served.flush()
    assert {"seq": 4, "hash": lost.hash} == chain(served.parts.store)[-1]["predecessor"]
    assert ["replaced"] == [line["alarm"] for line in served.said("store-alarm")]
    assert "degraded: records are missing (1 of audit)" == served.ready()["records"]
    served.close()


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("harm", [remove, damage])
def test_CT14_exports_and_verify_fail_until_a_person_has_seen_the_loss(
    served: Service, tmp_path: Path, harm: Any, restart: bool
) -> None:
    data = ("--data-dir", str(tmp_path))
    served.close()
    assert [0, 0, 0] == [
        run(*words, *data)[0]
        for words in (("audit", "verify"), ("audit", "export"), ("feedback", "export"))
    ]
    harm(tmp_path)
    if restart:
        again = Service(tmp_path)
        again.call()
        again.close()
    codes = [
        run(*words, *data)[0]
        for words in (("audit", "verify"), ("audit", "export"), ("feedback", "export"))
    ]
    assert all(codes), codes
    if restart:
        code, said = run("store", "acknowledge", *data)
        assert (0, True, True) == (code, "3 audit events" in said, "1 feedback item" in said)
        assert [0, 0] == [
            run(*words, *data)[0] for words in (("audit", "verify"), ("feedback", "export"))
        ]
        third = Service(tmp_path)
        assert "ok" == third.ready()["records"]
        third.close()


def test_CT14_some_feedback_that_was_deleted_is_missed_by_the_export(
    served: Service, tmp_path: Path
) -> None:
    served.parts.feedback.record([item() for _ in range(5)], issuer="i", now=AS_OF)
    with served.parts.store.write() as connection:
        connection.execute(text("DELETE FROM feedback WHERE id = 2"))
    served.close()
    code, said = run("feedback", "export", "--data-dir", str(tmp_path))
    assert (1, True) == (
        code,
        "5 feedback items up to number 6, where there were 6 up to number 6" in said,
    )


def test_CT14_a_chain_rewritten_as_a_whole_is_found_without_an_anchor(
    served: Service, tmp_path: Path
) -> None:
    with served.parts.store.write() as connection:
        connection.execute(audit_event.delete())
        connection.execute(
            text("UPDATE audit_head SET seq = 0, hash = :start"), {"start": "0" * 64}
        )
        audit_chain.append(connection, [(AS_OF, {"kind": "call"}) for _ in range(3)])
    served.parts.store.close()
    code, said = run("audit", "verify", "--data-dir", str(tmp_path))
    assert (1, True) == (code, "another history" in said)


def test_CL11_a_condition_is_said_once_when_it_comes_and_once_when_it_goes(tmp_path: Path) -> None:
    service = Service(tmp_path, audit="required")
    assert 200 == service.call()
    with locked(tmp_path):
        assert 503 == service.call()
        deadline = time.monotonic() + 10  # the call gives up before SQLite tells the writer why
        while not service.said("store-condition") and time.monotonic() < deadline:
            pass
        assert [("locked", "ok")] == [
            (x["condition"], x["before"]) for x in service.said("store-condition")
        ]
        assert 1 == service.metric('naltrexone_cds_store_condition{condition="locked"}')
    assert 200 == service.call()
    assert ["locked", "ok"] == [line["condition"] for line in service.said("store-condition")]
    assert 1 == service.metric('naltrexone_cds_store_condition_changes_total{condition="locked"}')
    service.close()


def test_CL11_a_store_that_lost_its_tables_is_behind_and_upgrades_itself(tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []
    store = open_store(
        url_of(tmp_path),
        witness=Witness(changed=lambda now, before, _: heard.append((now, before))),
    )
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as connection:
        for table in (
            "feedback",
            "shown_card",
            "audit_event",
            "audit_head",
            "readiness",
            "jwt_seen",
            "smart_session",
            "client_calls",
            "alembic_version",
        ):
            connection.execute(f"DROP TABLE {table}")
        connection.commit()
    with pytest.raises(Exception, match="cannot take this now"):
        keep(store, item())
    assert Condition.BEHIND is store.condition
    keep(store, item())
    assert [("behind", "ok"), ("ok", "behind")] == heard
    store.close()


@pytest.mark.parametrize(
    ("error", "condition"),
    [
        (OSError(28, "x"), "full"),
        (OSError(30, "x"), "read-only"),
        (PermissionError(), "read-only"),
        (FileNotFoundError(), "removed"),
        (BlockingIOError(), "locked"),
        (OSError(5, "x"), "failed"),
    ],
)
def test_CL11_each_error_of_a_file_has_its_word(error: OSError, condition: str) -> None:
    assert condition == name_condition(error)


def test_CT14_the_mark_never_sinks_and_two_workers_record_one_loss(tmp_path: Path) -> None:
    one, other = HighWater(tmp_path / "mark.json"), HighWater(tmp_path / "mark.json")
    one.rise("audit", 9, "h9", at_once=True)
    other.adopt()
    other.rise("audit", 7, "h7", at_once=True)
    assert Mark(9, "h9", 9) == HighWater(tmp_path / "mark.json").known("audit")
    holds = Mark(2, "x", 2)
    assert (True, False) == (
        one.lose("audit", "now", holds) is not None,
        other.lose("audit", "now", holds) is not None,
    )
    assert 1 == len(HighWater(tmp_path / "mark.json").losses())
    assert Mark(2, "x", 2, 1) == HighWater(tmp_path / "mark.json").known("audit")


def test_CT14_a_mark_that_cannot_be_read_is_said_and_kept(served: Service, tmp_path: Path) -> None:
    served.close()
    (tmp_path / "high-water.json").write_text("not json")
    again = Service(tmp_path)
    assert "not json" == (tmp_path / "high-water.json.unreadable").read_text()
    assert "degraded: high-water mark unreadable, a new one is begun" == again.ready()["records"]
    again.close()


def test_CT14_a_negative_retention_is_refused_before_it_removes_anything(served: Service) -> None:
    with pytest.raises(ValueError, match="negative"):
        replace(
            served.parts,
            audit=type(served.parts.audit)(served.parts.store, "required", retention_days=-4),
        )
    with pytest.raises(configuration.SettingsError, match="audit_retention_days"):
        configuration.load(None, {}, audit_retention_days=-4)
    served.close()
