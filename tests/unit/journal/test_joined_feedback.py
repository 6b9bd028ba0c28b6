"""Feedback is exported with the call that it is about: rule, situation, hook, client, versions; nothing clinical."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import select, text

from cds_service import settings as configuration
from cds_service.app import create_app
from cds_service.journal import audit_chain
from cds_service.journal.export import FEEDBACK_COLUMNS, export_feedback
from cds_service.journal.versions import rules_version
from cds_service.store.database import make_engine, parse_url
from cds_service.store.schema import shown_card
from cds_service.store.store import open_store
from tests.conformance.calls import conflict
from tests.conftest import AS_OF
from tests.unit.journal.samples import url_of

SIGN = "/cds-services/naltrexone-order-sign"
FEEDBACK = SIGN + "/feedback"


def answered(folder: Path, **settings: Any) -> list[dict[str, Any]]:
    """The exported feedback on every card of one call."""
    app = create_app(
        configuration.load(None, {}, data_dir=str(folder), **settings), now=lambda: AS_OF
    )
    parts, web = app.extensions["naltrexone_cds"], app.test_client()
    body = conflict()
    body["context"]["userId"] = "Practitioner/CANARY"
    cards = web.post(SIGN, json=body).get_json()["cards"]
    assert parts.audit.flush(10)
    items = [
        {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": "2026-11-21T12:00:00Z"}
        for card in cards
    ]
    assert 200 == web.post(FEEDBACK, json={"feedback": items}).status_code
    parts.audit.close()
    found: list[dict[str, Any]] = json.loads("".join(export_feedback(parts.store, "json")))
    assert "CANARY" not in json.dumps(found)
    rows = list(
        csv.DictReader(io.StringIO("".join(export_feedback(parts.store, "csv")), newline=""))
    )
    assert [item["shown"]["rule"] for item in found] == [row["rule"] for row in rows]
    assert set(FEEDBACK_COLUMNS) == rows[0].keys()
    parts.store.close()
    return found


def test_each_item_says_which_card_of_which_call_it_is_about(tmp_path: Path) -> None:
    found = answered(tmp_path)
    assert len(found) > 1
    first = found[0]["shown"]
    assert ("naltrexone-opioid-interaction", "critical", "order-sign", "R4") == tuple(
        first[name] for name in ("rule", "indicator", "hook", "release")
    )
    assert ("2026-11-21T12:00:00.000000Z", rules_version()) == (
        first["shownAt"],
        first["rulesVersion"],
    )
    assert all(item["shown"]["situation"] and item["shown"]["contentVersion"] for item in found)
    assert all("prescriber" not in item["shown"] for item in found)


def test_the_prescriber_is_a_keyed_hash_and_only_where_the_site_allows_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = (
        answered(tmp_path / name, audit_prescribers=True)[0]["shown"]["prescriber"]
        for name in ("a", "b")
    )
    assert (64, True) == (len(one), one != other)


def test_retention_keeps_what_feedback_is_about_and_forgets_who_prescribed(tmp_path: Path) -> None:
    answered(tmp_path, audit_prescribers=True)
    store = open_store(url_of(tmp_path))
    with store.write() as connection:
        seq = connection.execute(select(shown_card.c.seq)).scalar()
        connection.execute(shown_card.insert().values(card="unanswered", service="s", seq=seq))
    assert audit_chain.prune(store, AS_OF + timedelta(days=1), AS_OF + timedelta(days=1))
    with store.read() as connection:
        left = connection.execute(select(shown_card.c.rule, shown_card.c.prescriber)).all()
    assert len(left) > 1
    assert {None} == {row.prescriber for row in left}
    store.close()


def test_a_store_of_the_version_before_is_upgraded_with_what_it_holds(
    store_url_of_0003: str,
) -> None:
    store = open_store(store_url_of_0003)
    with store.read() as connection:
        assert [("old", None)] == [
            tuple(row) for row in connection.execute(select(shown_card.c.card, shown_card.c.rule))
        ]
    store.close()


@pytest.fixture
def store_url_of_0003(store_url: str) -> str:
    """A store as version 0003 of its tables left it, with one card."""
    config = Config()
    config.set_main_option("script_location", "cds_service.store:migrations")
    engine = make_engine(parse_url(store_url))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        connection.execute(
            text("INSERT INTO shown_card (card, service, seq) VALUES ('old', 's', 1)")
        )
    engine.dispose()
    return store_url
