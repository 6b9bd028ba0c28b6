"""Alembic revisions of the store; ``store.open_store`` runs them, nobody else has to."""
