"""Feedback, the cards it is about, and the audit chain.

The tables are written out again because a revision says what was made then, whatever ``schema`` says today.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CHAIN_START = "0" * 64


def upgrade() -> None:
    """Make the tables and the two single rows."""
    _make_feedback()
    _make_audit()
    _make_readiness()


def _make_feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("card", sa.String(36), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("outcome_timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_suggestions", sa.Text, nullable=False),
        sa.Column("reason_code", sa.Text),
        sa.Column("reason_system", sa.Text),
        sa.Column("reason_display", sa.Text),
        sa.Column("user_comment", sa.Text),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("matched", sa.Boolean),
    )
    op.create_index("feedback_issuer", "feedback", ["issuer"])
    op.create_table(
        "shown_card",
        sa.Column("card", sa.String(36), primary_key=True),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    op.create_index("shown_card_seq", "shown_card", ["seq"])


def _make_audit() -> None:
    op.create_table(
        "audit_event",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("audit_event_time", "audit_event", ["time"])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("base_seq", sa.BigInteger, nullable=False),
        sa.Column("base_hash", sa.String(64), nullable=False),
    )
    start = {"id": 1, "seq": 0, "hash": CHAIN_START, "base_seq": 0, "base_hash": CHAIN_START}
    op.bulk_insert(head, [start])


def _make_readiness() -> None:
    readiness = op.create_table(
        "readiness",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.DateTime(timezone=True)),
    )
    op.bulk_insert(readiness, [{"id": 1, "at": None}])
