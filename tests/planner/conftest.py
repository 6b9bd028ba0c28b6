"""An EHR with one patient, and the titration app registered there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.e2e.oauth_server import Ehr, serve_ehr
from tests.e2e.smart_site import FIBROMYALGIA, PATIENT, Site, make_site


@pytest.fixture
def ehr() -> Iterator[Ehr]:
    with serve_ehr([PATIENT, FIBROMYALGIA]) as server:
        yield server


@pytest.fixture
def site(ehr: Ehr, tmp_path: Path) -> Iterator[Site]:
    made = make_site(ehr, tmp_path)
    yield made
    made.close()


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.app.test_client()
