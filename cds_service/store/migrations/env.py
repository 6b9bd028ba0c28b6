"""Alembic's entry: runs inside the transaction of the connection that ``store`` hands over."""

from __future__ import annotations

from alembic import context

from cds_service.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
