"""A store that a newer version has migrated: an older one works on, or does not start and changes nothing."""

from __future__ import annotations

import sqlite3
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner

from cds_service.app import create_app
from cds_service.cli.main import main
from cds_service.settings import Settings
from cds_service.store.database import StoreError
from tests.security.ehr import feedback_item

FEEDBACK = "/cds-services/naltrexone-order-sign/feedback"
NEWER = """ALTER TABLE feedback ADD COLUMN of_a_newer_version TEXT;
UPDATE alembic_version SET version_num = '9999';"""


def migrate_to_newer(folder: Path) -> Path:
    """As a newer version does: a column that may be empty, and a revision that this version does not know."""
    file = folder / "store.sqlite3"
    connection = sqlite3.connect(file)
    connection.executescript(NEWER)
    connection.close()
    return file


def dump(file: Path) -> list[str]:
    connection = sqlite3.connect(file)
    lines = list(connection.iterdump())
    connection.close()
    return lines


def test_a_replica_that_runs_keeps_feedback_after_a_newer_version_migrated(tmp_path: Path) -> None:
    """So the job may migrate while the replicas of the older version still answer."""
    web = create_app(Settings(data_dir=str(tmp_path))).test_client()
    before = {"feedback": [feedback_item(card=str(uuid.uuid4()))]}
    assert web.post(FEEDBACK, json=before).status_code == 200
    file = migrate_to_newer(tmp_path)
    after = {"feedback": [feedback_item(card=str(uuid.uuid4()))]}
    assert web.post(FEEDBACK, json=after).status_code == 200
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT count(*) FROM feedback").fetchone() == (2,)
    connection.close()


def test_an_older_version_does_not_start_on_a_newer_store_and_changes_nothing(
    tmp_path: Path,
) -> None:
    made = CliRunner().invoke(main, ["store", "migrate", "--data-dir", str(tmp_path)])
    assert made.exit_code == 0
    file = migrate_to_newer(tmp_path)
    held = dump(file)
    refused = CliRunner().invoke(main, ["store", "migrate", "--data-dir", str(tmp_path)])
    assert refused.exit_code == 2
    assert "newer version" in refused.output
    with pytest.raises(StoreError, match="newer version"):
        create_app(Settings(data_dir=str(tmp_path)))
    assert dump(file) == held


def test_an_audit_event_names_the_versions_that_judged_its_call(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=str(tmp_path)))
    parts = app.extensions["naltrexone_cds"]
    app.test_client().post(FEEDBACK, json={"feedback": [feedback_item(card=str(uuid.uuid4()))]})
    parts.audit.close()
    connection = sqlite3.connect(tmp_path / "store.sqlite3")
    events = "\n".join(line for line in connection.iterdump() if 'INTO "audit' in line)
    connection.close()
    versions = app.test_client().get("/version").json
    for name in ("content", "rules", "terminology"):
        assert f'"{name}_version":"{versions[name]}"' in events.replace('": "', '":"')
