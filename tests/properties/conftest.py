"""The service of these tests answers in process, so that thousands of cases are quick and no fault is hidden."""

from __future__ import annotations

from datetime import datetime

import pytest

from cds_service.pipeline import Engine
from tests.properties.in_process import InProcess


@pytest.fixture(scope="session")
def walk(engine: Engine, as_of: datetime) -> InProcess:
    return InProcess(engine, as_of)
