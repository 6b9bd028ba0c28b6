"""No slip in a setting and no clock takes the audit along; a subject gets the events about it and no others."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from cds_service.__main__ import main
from cds_service.journal import audit_chain
from cds_service.journal.audit import AuditLog
from cds_service.journal.pseudonyms import Pseudonyms
from cds_service.journal.retention import GRACE, InForce, Retention, decide
from cds_service.store.store import Store, open_store
from tests.unit.journal.samples import ISSUER, NOW, event, url_of

OLD = NOW - timedelta(days=99)


@pytest.mark.parametrize(
    ("stated", "wanted", "days"),
    [
        (None, 30, 30),
        (None, 0, 0),
        (InForce(0), 30, 0),
        (InForce(2190), 30, 2190),
        (InForce(30), 2190, 2190),
        (InForce(30), 0, 0),
        (InForce(30), 30, 30),
        (InForce(2190, 30, (NOW - GRACE).isoformat()), 30, 30),
        (InForce(2190, 30, (NOW - GRACE + timedelta(minutes=1)).isoformat()), 30, 2190),
        (InForce(2190, 30, (NOW - GRACE).isoformat()), 20, 2190),
        (InForce(2190, 30, (NOW - GRACE).isoformat()), 2190, 2190),
    ],
)
def test_CT14_a_shorter_retention_waits_and_a_longer_one_does_not(
    stated: InForce | None, wanted: int, days: int
) -> None:
    assert days == decide(stated, wanted, NOW).days


def kinds(store: Store) -> list[str]:
    with store.read() as connection:
        return [json.loads(row.body)["kind"] for row in audit_chain.stream(connection)]


def run_once(store: Store, file: Path, days: int, now: datetime) -> AuditLog:
    log = AuditLog(
        store, "best-effort", retention_days=days, retention_file=file, clock=lambda: now
    )
    log.append(event(time=now))
    assert log.close(5)
    return log


def test_CT14_a_slip_in_the_setting_removes_nothing_for_a_week_and_can_be_taken_back(
    tmp_path: Path,
) -> None:
    store, file = open_store(url_of(tmp_path)), tmp_path / "retention.json"
    first = AuditLog(store, "required")
    first.append(event(time=OLD))
    assert "" == run_once(store, file, 2190, NOW).retention.waiting
    assert "retention of 3 instead of 2190 days" in run_once(store, file, 3, NOW).retention.waiting
    assert ["call"] * 3 == kinds(store)
    assert "" == run_once(store, file, 2190, NOW).retention.waiting
    run_once(store, file, 3, NOW + GRACE)
    assert ["call"] * 5 == kinds(store)
    run_once(store, file, 3, NOW + 2 * GRACE)
    assert "checkpoint" in kinds(store)
    assert audit_chain.verify(store).ok
    store.close()


def test_CT14_nothing_is_removed_while_the_clock_is_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = [NOW]
    retention = Retention(30, tmp_path / "r.json", lambda: moment[0])
    assert NOW - timedelta(days=30) == retention.before(NOW)
    assert (None, "the newest event is from the future") == (
        retention.before(NOW + timedelta(days=2)),
        retention.doubt,
    )
    moment[0] = NOW + timedelta(days=3650)
    assert (None, "the clock was set") == (retention.before(NOW), retention.doubt)
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + 3650 * 86_400)
    assert retention.before(NOW) is not None


def test_CT14_a_file_that_cannot_be_read_keeps_everything(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("{")
    retention = Retention(30, tmp_path / "r.json", lambda: NOW)
    assert (None, True) == (retention.before(NOW), "waits" in retention.waiting)


def export(folder: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["audit", "export", "--data-dir", str(folder), *words])
    return done.exit_code, done.output


def test_a_subject_gets_its_own_events_by_id_and_by_hash(tmp_path: Path) -> None:
    hashes = Pseudonyms(tmp_path / "audit.key")
    store = open_store(url_of(tmp_path))
    log = AuditLog(store, "required")
    for patient in ("12345", "other", "12345"):
        log.append(event(request_id=patient, patient_hash=hashes.patient(ISSUER, patient)))
    log.append(event(request_id="elsewhere", patient_hash=hashes.patient("https://b", "12345")))
    store.close()
    code, said = export(tmp_path, "--patient", ISSUER, "Patient/12345")
    assert (0, ["12345"] * 2) == (code, [each["request_id"] for each in json.loads(said)])
    wanted = hashes.patient(ISSUER, "other")
    assert ["other"] == [
        each["request_id"] for each in json.loads(export(tmp_path, "--patient-hash", wanted)[1])
    ]
    (tmp_path / "audit.key").unlink()
    code, said = export(tmp_path, "--patient", ISSUER, "12345")
    assert (2, True) == (code, "no key for patient hashes (FileNotFoundError)" in said)
    assert not (tmp_path / "audit.key").exists()
