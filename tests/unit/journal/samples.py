"""Feedback items, audit events and stores as the tests of the journal need them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from cds_service.hooks.feedback import FeedbackItem
from cds_service.journal.audit import AuditedCard, AuditEvent
from cds_service.journal.feedback import FeedbackJournal
from cds_service.model import Coding, Gap
from cds_service.store.schema import feedback
from cds_service.store.store import Store

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ISSUER = "https://ehr.example"
SERVICE = "naltrexone-order-select"


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'store.sqlite3'}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The same test on a fresh SQLite file and on a fresh PostgreSQL database."""
    return (
        url_of(tmp_path)
        if request.param == "sqlite"
        else str(request.getfixturevalue("postgres_url"))
    )


def sent(**changes: Any) -> dict[str, Any]:
    """A valid feedback item as an EHR sends it; a change to None takes the member away."""
    item = {
        "card": str(uuid4()),
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-21T22:17:53.402Z",
        "overrideReason": {
            "reason": {"code": "benefit-outweighs", "system": "urn:example:override"}
        },
    } | changes
    return {name: value for name, value in item.items() if value is not None}


def item(**changes: Any) -> FeedbackItem:
    values = {
        "service": SERVICE,
        "card": str(uuid4()),
        "outcome": "overridden",
        "outcome_timestamp": datetime(2026, 11, 21, 22, 17, 53, 402_000, tzinfo=UTC),
        "reason": Coding("urn:example:override", "benefit-outweighs"),
        "user_comment": "seen, taper is done",
    }
    return FeedbackItem(**(values | changes))


def event(**changes: Any) -> AuditEvent:
    values = {
        "time": NOW,
        "request_id": str(uuid4()),
        "issuer": ISSUER,
        "hook": "order-select",
        "service": SERVICE,
        "sources": {"context": "answered", "medications": "failed"},
        "rules": ("naltrexone-opioid-interaction",),
        "cards": (AuditedCard(str(uuid4()), "naltrexone-opioid-interaction", "critical"),),
        "gaps": (Gap("medications", "timeout"),),
        "status": 200,
        "ms": 12,
    }
    return AuditEvent(**(values | changes))


def keep(store: Store, *items: FeedbackItem, **options: Any) -> None:
    """Record items as a service without an audit log does."""
    FeedbackJournal(store, cards_recorded=False).record(
        items, **({"issuer": ISSUER, "now": NOW} | options)
    )


def kept(store: Store) -> int:
    """How many feedback items the store holds."""
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(feedback)).scalar_one()
