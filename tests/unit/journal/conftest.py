"""Stores for the tests of the journal."""

import pytest

from cds_service.store import group_commit
from tests.postgres import postgres_server, postgres_url
from tests.unit.journal.samples import store_url

__all__ = ["postgres_server", "postgres_url", "store_url"]


@pytest.fixture(autouse=True)
def patient_with_a_slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here is about how long a call waits for the store: a disk that stops for a second fails none."""
    monkeypatch.setattr(group_commit, "PATIENCE", 20)
