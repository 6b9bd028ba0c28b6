"""The tables of the store, the same on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    CHAR,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

HEAD = "0006"  # the newest revision under migrations/versions

metadata = MetaData()


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite keeps no zone, so it is taken off on the way in and put back after."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


feedback = Table(
    "feedback",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("service", Text, nullable=False),
    Column("card", String(36), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("outcome_timestamp", UtcTime, nullable=False),
    Column("accepted_suggestions", Text, nullable=False),  # ids, separated by one space
    Column("reason_code", Text),
    Column("reason_system", Text),
    Column("reason_display", Text),
    Column("user_comment", Text),
    Column("issuer", Text, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("matched", Boolean),  # NULL: not known
    Index("feedback_issuer", "issuer"),
)

shown_card = Table(
    "shown_card",
    metadata,
    Column("card", String(36), primary_key=True),
    Column("service", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),  # the audit event that showed it
    Column("rule", Text),  # NULL in all of these: shown by an older version
    Column("situation", Text),
    Column("indicator", Text),
    Column("hook", Text),
    Column("client", Text),  # its configured name
    Column("release", Text),
    Column("content_version", Text),
    Column("rules_version", Text),
    Column("prescriber", Text),  # a keyed hash, where the settings allow it
    Column("shown_at", UtcTime),
    Column("alert", Text),  # a keyed hash of all that it rests on, where a repeat may be shortened
    Index("shown_card_seq", "seq"),
    Index("shown_card_alert", "alert"),
)

# How many calls a client made in a minute, added up over workers and replicas, for the rate limit.
client_calls = Table(
    "client_calls",
    metadata,
    Column("client", Text, primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),  # Unix seconds / 60
    Column("calls", BigInteger, nullable=False),
)

audit_event = Table(
    "audit_event",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("time", UtcTime, nullable=False),
    Column("body", Text, nullable=False),  # canonical JSON, one line of ASCII
    Column("hash", String(64), nullable=False),
    Index("audit_event_time", "time"),
)

# One row. Its row lock makes the chain one chain under several workers, and what it says shows that a chain
# was cut off at its end. base_* is where the chain begins since retention last removed events.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("base_seq", BigInteger, nullable=False),
    Column("base_hash", String(64), nullable=False),
)

# One row that readiness writes to, to know that the store takes writes.
readiness = Table(
    "readiness",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcTime),
)

# Tokens that were used, for auth.used_tokens.
jwt_seen = Table(
    "jwt_seen",
    metadata,
    Column("token_hash", CHAR(64), primary_key=True),  # SHA-256 of issuer and jti, hexadecimal
    Column(
        "expires", BigInteger, nullable=False
    ),  # Unix seconds; later the token is refused anyway
    Column("request", Text),  # SHA-256 of what was asked; NULL: by an older version
    Column("used_at", BigInteger),  # Unix seconds
    Index("jwt_seen_expires", "expires"),
)

# Sessions of the titration app, for planner.sessions.
smart_session = Table(
    "smart_session",
    metadata,
    Column("handle_hash", String(64), primary_key=True),
    Column("browser_hash", String(64), nullable=False),
    Column("stage", String(8), nullable=False),
    Column("version", Integer, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # encrypted: launch state, later the EHR's token
    Index("smart_session_expires", "expires"),
)
