"""Stores for the tests of the journal."""

from tests.edge.journal.samples import store_url
from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url", "store_url"]
