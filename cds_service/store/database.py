"""A SQLAlchemy engine for the store's URL, and the Alembic upgrade inside one of its transactions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Insert, Table, create_engine, event, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from cds_service.store import sqlite as sqlite_file
from cds_service.store.deadline import DEADLINE_SECONDS
from cds_service.store.schema import HEAD

MIGRATION_LOCK = 7_203_118  # any number, as long as every worker takes the same one
POSTGRES_NAMES = frozenset({"postgresql", "postgres", "postgresql+psycopg"})
POSTGRES_CONNECT = {
    "connect_timeout": 2,
    "tcp_user_timeout": 5_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "options": "-c synchronous_commit=on -c lock_timeout=3000 -c statement_timeout=4000",
}


# A statement with ? for each value, and the values; gives a cursor of the driver: rows, and ``rowcount``.
Run = Callable[..., Any]


class StoreError(Exception):
    """One line for a person: why this store cannot be used at all, however long one waits."""


def parse_url(url: str) -> URL:
    """The URL of a SQLite file or a PostgreSQL database, its driver filled in; StoreError for any other."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError("database_url: not a database URL") from None
    if parsed.drivername in POSTGRES_NAMES:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise StoreError("database_url: must be sqlite:///file or postgresql://user@host/database")
    return parsed


def make_engine(url: URL) -> Engine:
    """An engine whose errors quote no parameter and whose pool gives up rather than wait for long."""
    common: dict[str, Any] = {
        "hide_parameters": True,
        "pool_size": 8,
        "max_overflow": 8,
        "pool_timeout": 5,
        "pool_use_lifo": True,  # the connection of the last write is warm
    }
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, **common)
        event.listen(engine, "connect", sqlite_file.configure)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        engine = create_engine(url, pool_pre_ping=True, connect_args=POSTGRES_CONNECT, **common)
        from cds_service.store.postgres import connect  # noqa: PLC0415 - its driver is an extra
    except ModuleNotFoundError:
        raise StoreError(
            "database_url: PostgreSQL needs the extra naltrexone-cds[postgres]"
        ) from None
    event.listen(engine, "do_connect", connect)
    event.listen(engine, "begin", _begin_postgres)
    return engine


def make_reader(file: Path) -> Engine:
    """An engine that opens this SQLite file read-only and makes neither the file nor anything in it."""
    uri = f"{file.absolute().as_uri()}?mode=ro"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=sqlite_file.BUSY_MS / 1000
        )

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


_ALEMBIC = (
    threading.Lock()
)  # its environment is global to the process: two upgrades at once swap connections


def upgrade(connection: Connection) -> None:
    """Bring the schema to HEAD in the open transaction; another worker waits, then finds nothing left to do.

    SQLite's lock is the transaction's own, PostgreSQL's an advisory lock that ends with it.
    """
    if connection.dialect.name == "postgresql":
        set_deadline(connection, None)
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
    if revision(connection) != HEAD:
        _run_migrations(connection)
    set_deadline(connection, DEADLINE_SECONDS)


def set_deadline(connection: Connection, seconds: float | None) -> None:
    """How long one answer of a PostgreSQL server is waited for; nothing for SQLite, which has its own."""
    if connection.dialect.name == "postgresql":
        connection.connection.driver_connection.deadline_seconds = seconds  # type: ignore[union-attr]


def revision(connection: Connection) -> str | None:
    """The schema revision that the store is at; None = it holds no tables of ours."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def run_in(connection: Connection) -> Run:
    """Plain statements in the transaction of this connection."""
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    return lambda said, values=(): connection.exec_driver_sql(
        said.replace("?", mark), tuple(values)
    )


def insert_once(
    connection: Connection, table: Table, key: str, *, returning: bool = False
) -> Insert:
    """An insert that leaves a row alone whose ``key`` is there already; it may return the keys that it inserted."""
    return _insert_once(connection.dialect.name, table, key, returning)


@cache
def _insert_once(dialect: str, table: Table, key: str, returning: bool) -> Insert:
    own = sqlite.insert if dialect == "sqlite" else postgresql.insert
    made: Insert = own(table).on_conflict_do_nothing(index_elements=[key])
    return made.returning(table.c[key]) if returning else made


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes its lock first: a reader cannot become a writer once another has written.

    In a log of SQLite's, NORMAL leaves the sync to the next FULL commit or checkpoint; the file stays whole.
    """
    options = connection.get_execution_options()
    if not options.get("writes", False):
        connection.exec_driver_sql("BEGIN")
        return
    synced = "FULL" if options.get("synced", True) else "NORMAL"
    if connection.info.get("synchronous") != synced:
        connection.exec_driver_sql(f"PRAGMA synchronous={synced}")
        connection.info["synchronous"] = synced
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_postgres(connection: Connection) -> None:
    """A writer that stops in its transaction loses its locks; a reader may take its time."""
    options = connection.get_execution_options()
    if options.get("writes", False):
        synced = "on" if options.get("synced", True) else "off"
        connection.exec_driver_sql(
            f"SET LOCAL synchronous_commit = {synced}; SET LOCAL idle_in_transaction_session_timeout = 5000"
        )


def _run_migrations(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - 0.3 s of import that most starts do not need
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "cds_service.store:migrations")
    config.attributes["connection"] = connection
    try:
        with _ALEMBIC:
            command.upgrade(config, "head")
    except CommandError:
        raise StoreError(
            "database_url: the store was made by a newer version of this service"
        ) from None
