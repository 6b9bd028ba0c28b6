"""Stores for the tests of the store."""

from tests.postgres import postgres_server, postgres_url
from tests.unit.journal.samples import store_url

__all__ = ["postgres_server", "postgres_url", "store_url"]
