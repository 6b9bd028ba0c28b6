"""Used client tokens, so that a token is let in once over all workers, replicas and restarts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table where no earlier version of this service has made it on its own."""
    op.create_table(
        "jwt_seen",
        sa.Column("token_hash", sa.CHAR(64), primary_key=True),
        sa.Column("expires", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_index("jwt_seen_expires", "jwt_seen", ["expires"], if_not_exists=True)
