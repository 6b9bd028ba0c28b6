"""How many calls each client has made lately, added up over the workers and replicas of one store."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Insert, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from cds_service.store.schema import client_calls
from cds_service.store.store import Store

KEEP_MINUTES = 2

Counts = Mapping[tuple[str, int], int]  # (client, minute) -> calls


def add_up(store: Store, counts: Counts) -> dict[tuple[str, int], int]:
    """Add these counts and say what all workers together have counted; Unavailable if the store cannot."""
    newest = max(minute for _, minute in counts)
    rows = [
        {"client": client, "minute": minute, "calls": calls}
        for (client, minute), calls in sorted(
            counts.items()
        )  # one order, or two workers may deadlock
    ]
    with store.write() as connection:
        connection.execute(_adding(store.dialect), rows)
        old = client_calls.c.minute < newest - KEEP_MINUTES
        connection.execute(delete(client_calls).where(old))
        clients = {client for client, _ in counts}
        found = connection.execute(select(client_calls).where(client_calls.c.client.in_(clients)))
        return {(row.client, row.minute): row.calls for row in found}


def _adding(dialect: str) -> Insert:
    keys = [client_calls.c.client, client_calls.c.minute]
    if dialect == "sqlite":
        lite = sqlite.insert(client_calls)
        more = client_calls.c.calls + lite.excluded.calls
        return lite.on_conflict_do_update(index_elements=keys, set_={"calls": more})
    post = postgresql.insert(client_calls)
    more = client_calls.c.calls + post.excluded.calls
    return post.on_conflict_do_update(index_elements=keys, set_={"calls": more})
