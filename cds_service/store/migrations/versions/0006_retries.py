"""What a used token asked for, and when: a proxy's retry is told from a replay."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was used before is never a retry."""
    op.add_column("jwt_seen", sa.Column("request", sa.Text))
    op.add_column("jwt_seen", sa.Column("used_at", sa.BigInteger))
